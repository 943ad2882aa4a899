//! Leaks: what grows from snapshot to snapshot of one process, with a name, a place and a cure.
//!
//! Two ways to see growth, both by what stays the same between snapshots:
//!
//! * **containers** that are there in all snapshots (by id) and have more entries in each
//!   ([`containers`]): Maps, Sets, arrays, objects used as maps, listeners of an emitter;
//! * **groups** of objects of which there are more in each ([`groups`]): timers by their callback,
//!   promises by who waits, closures by function, sockets and streams, detached trees, classes,
//!   contexts of AsyncLocalStorage, copies of one string.
//!
//! What a container that grows holds alone is its leak, and not a second one of its class.
//! Only the last snapshot and one other are in memory at a time.

mod async_contexts;
mod containers;
mod groups;
mod named;
mod unnamed;
mod views;
mod words;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use graph::Node;

use crate::error::Error;
use crate::figures::Analysis;
use crate::functions::Functions;
use crate::rules::{Findings, Rules};
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;
use crate::ways::{Step, Ways};

pub use unnamed::Unnamed;
pub use words::Pattern;

/// One leak.
#[derive(Debug, Clone)]
pub struct Leak {
    /// What kind of leak.
    pub pattern: Pattern,
    /// What grows: `emitter 'data' of Socket`, `Map sessions`, …
    pub what: String,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// How many bytes they retain in each snapshot.
    pub retained: Vec<u64>,
    /// The container, or one of the group, in the last snapshot.
    pub id: u32,
    /// The function that adds to it, or that the added ones are: `name() file:line:column`.
    pub place: Option<String>,
    /// What most of the entries are.
    pub entries: Option<String>,
    /// Why it is kept.
    pub way: Vec<Step>,
    /// What it is, in a sentence.
    pub is: String,
    /// What ends it, in a sentence.
    pub cure: String,
}

impl Leak {
    /// Bytes from the first to the last snapshot.
    pub fn growth(&self) -> u64 {
        let (first, last) = (self.retained.first(), self.retained.last());
        last.copied()
            .unwrap_or_default()
            .saturating_sub(first.copied().unwrap_or_default())
    }
}

/// All leaks of some snapshots.
#[derive(Debug)]
pub struct Leaks {
    /// The greatest growth first.
    pub all: Vec<Leak>,
    /// If there is none: classes that grow all the same.
    pub unnamed: Vec<Unnamed>,
    /// All bytes of each snapshot.
    pub totals: Vec<u64>,
    /// From the first to the last snapshot, if the files' times tell.
    pub span: Option<Duration>,
}

/// What is measured in each snapshot.
struct Measures {
    total: u64,
    /// Of each candidate: entries and retained bytes, `None` if it is not there.
    containers: Vec<Option<(u64, u64)>>,
    groups: groups::Groups,
}

/// How many entries a container has: a Map, a Set, an array, an object used as a map.
pub(crate) fn entries(snapshot: &Snapshot, node: Node) -> u64 {
    containers::count(snapshot, node)
}

/// Where the first key of a Map is in its table; see [`containers::first_key`].
pub(crate) fn first_key(snapshot: &Snapshot, map: Node) -> Option<u64> {
    containers::first_key(snapshot, map)
}

/// Looks for leaks in two snapshots or more, given in the order they were taken, and for what rules
/// call so.
pub fn find(files: &[PathBuf], threads: usize, rules: Option<&Rules>) -> Result<Leaks, Error> {
    let Some((last_file, earlier)) = files.split_last() else {
        return Ok(Leaks {
            all: Vec::new(),
            unnamed: Vec::new(),
            totals: Vec::new(),
            span: None,
        });
    };
    let read = |file: &Path| match rules {
        // They may ask for them.
        Some(_) => Analysis::of_file(file, threads),
        None => Analysis::without_distances(file, threads),
    };
    let last = read(last_file)?;
    let candidates = containers::candidates(&last);
    let wanted = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (last.snapshot.ids[candidate.node as usize], at))
        .collect();
    let mut measures = Vec::new();
    // V8 numbers objects as it meets them, and never gives a number twice.
    let mut newest = (0, last_file);
    let mut known: Vec<u32> = Vec::new();
    let mut by_rules = Vec::new();
    for file in earlier {
        let analysis = read(file)?;
        let before = std::mem::replace(&mut newest, (newest_object(&analysis.snapshot), file));
        in_order(before, newest)?;
        measures.push(Measures {
            total: analysis.total(),
            containers: containers::measure(&analysis, &wanted),
            groups: groups::groups(&analysis).sums,
        });
        if let Some(rules) = rules {
            let scripts = Scripts::new(&analysis.snapshot);
            by_rules.push(rules.ask(&analysis, &scripts).leaks);
        }
        if known.is_empty() {
            known = analysis.snapshot.ids;
            known.sort_unstable();
        }
    }
    in_order(newest, (newest_object(&last.snapshot), last_file))?;
    measures.push(Measures {
        total: last.total(),
        containers: candidates
            .iter()
            .map(|candidate| Some((candidate.entries, last.retained[candidate.node as usize])))
            .collect(),
        groups: groups::Groups::default(),
    });
    let grouped = groups::groups(&last);
    let scripts = Scripts::new(&last.snapshot);
    let view = View {
        functions: Functions::new(&last.snapshot, &scripts),
        ways: Ways::new(&last, &scripts),
        scripts,
        analysis: &last,
        known: &known,
    };
    let mut all = containers::leaks(&view, &candidates, &measures);
    let owners: Vec<Node> = all.iter().map(|(node, _)| *node).collect();
    let mut all: Vec<Leak> = all.drain(..).map(|(_, leak)| leak).collect();
    let before = &measures[..measures.len() - 1];
    all.extend(groups::leaks(&view, &owners, &grouped, before));
    one_cache(&mut all);
    if let Some(rules) = rules {
        let Findings { leaks, excused } = rules.ask(&last, &view.scripts);
        all.retain(|leak| {
            let node = last.snapshot.node_of_id(leak.id);
            node.is_none_or(|node| !excused[node as usize])
        });
        by_rules.push(leaks);
        all.extend(named::leaks(&view, rules, &by_rules));
    }
    // What was asked for comes first.
    all.sort_by_key(|leak| {
        let found = leak.pattern != Pattern::Rule;
        (found, std::cmp::Reverse(leak.growth()))
    });
    let unnamed = match all.is_empty() {
        true => unnamed::classes(&last, earlier, threads)?,
        false => Vec::new(),
    };
    Ok(Leaks {
        all,
        unnamed,
        totals: measures.iter().map(|measures| measures.total).collect(),
        span: span(&files[0], last_file),
    })
}

/// The highest id of an object.
fn newest_object(snapshot: &Snapshot) -> u32 {
    let all = snapshot.ids.iter().zip(&snapshot.kinds);
    all.filter(|(_, kind)| **kind == snapshot.kind.object)
        .map(|(&id, _)| id)
        .max()
        .unwrap_or_default()
}

/// Refuses snapshots of which the later one knows fewer ids.
fn in_order(earlier: (u32, &PathBuf), later: (u32, &PathBuf)) -> Result<(), Error> {
    match earlier.0 > later.0 {
        true => Err(Error::Order {
            earlier: earlier.1.clone(),
            later: later.1.clone(),
        }),
        false => Ok(()),
    }
}

/// The caches of modules grow together: one leak, that of `require.cache` if it is among them.
fn one_cache(all: &mut Vec<Leak>) {
    let modules = |leak: &&Leak| leak.pattern == Pattern::Modules;
    let Some(best) = all
        .iter()
        .filter(modules)
        .max_by_key(|leak| (leak.what.contains("._cache "), leak.growth()))
    else {
        return;
    };
    let id = best.id;
    all.retain(|leak| leak.pattern != Pattern::Modules || leak.id == id);
}

/// What is looked at when leaks are described: the last snapshot.
struct View<'a> {
    analysis: &'a Analysis,
    scripts: Scripts,
    functions: Functions,
    ways: Ways,
    /// The ids of the first snapshot, ascending.
    known: &'a [u32],
}

impl View<'_> {
    /// Whether a node has come since the first snapshot.
    fn is_new(&self, node: Node) -> bool {
        self.known
            .binary_search(&self.analysis.snapshot.ids[node as usize])
            .is_err()
    }

    /// `name() file:line:column`
    fn place(&self, function: (String, crate::Location)) -> String {
        let (name, location) = function;
        let name = if name.is_empty() {
            "function".to_owned()
        } else {
            format!("{name}()")
        };
        format!("{name} {}", self.scripts.place(location))
    }
}

/// Whether numbers grow like those of a leak: in every step, and by more than chance.
fn grows(counts: &[u64]) -> bool {
    let steps = counts.windows(2).all(|pair| pair[1] >= pair[0] + 3);
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    // Two snapshots cannot tell a leak from something that is still filling up.
    let least = if counts.len() > 2 { 10 } else { 20 };
    steps && last - first >= least && (last - first) * 50 >= first
}

/// The time between two snapshots, by their names (V8's own) or else the files' times.
fn span(first: &Path, last: &Path) -> Option<Duration> {
    let changed = |path: &Path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let (first, last): (SystemTime, SystemTime) = (changed(first)?, changed(last)?);
    last.duration_since(first)
        .ok()
        .filter(|span| span.as_secs() >= 1)
}
