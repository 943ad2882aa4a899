//! Leaks: what grows from snapshot to snapshot of one process, with a name, a place and a cure.
//!
//! Ways to see growth, all by what stays the same between snapshots:
//!
//! * **containers** that are there in all snapshots (by id) and have more entries in each
//!   ([`containers`]): Maps, Sets, arrays, objects used as maps, listeners of an emitter;
//! * **groups** of objects of which there are more in each ([`groups`]): timers by their callback,
//!   promises by who waits, closures by function, sockets and streams, detached trees, classes,
//!   contexts of AsyncLocalStorage, copies of one string.
//!
//! * containers that are **made anew** with every change, by the names that lead to them ([`renewed`]);
//! * **strings and memory** that get longer ([`values`]), **linked lists**, and whatever else grows below one old
//!   object ([`held`]).
//!
//! What is new and reached from what a leak is about is that leak, and not a second one ([`reach`]).
//! Only the last snapshot and one other are in memory at a time.

mod adders;
mod async_contexts;
mod bounds;
mod callbacks;
mod chains;
mod companions;
mod containers;
mod detached;
mod entries;
mod families;
mod groups;
mod grown;
mod held;
mod holders;
mod named;
mod notes;
mod origins;
mod program;
mod rank;
mod reach;
mod registered;
mod removers;
mod renewed;
pub mod sampled;
mod settling;
mod shared;
mod sorted;
mod stacks;
mod targets;
mod text;
mod times;
mod told;
mod unnamed;
mod values;
mod views;
mod words;
mod written;

use std::path::PathBuf;
use std::time::Duration;

use graph::Node;

use crate::error::Error;
use crate::figures::Analysis;
use crate::functions::Functions;
use crate::ids::{self, Ids, Objects};
use crate::place::Place;
use crate::rules::{Findings, Rules};
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::threads::join;
use crate::ways::{Step, Ways};
use origins::Origins;

pub use origins::SourceOf;
pub use shared::Shared;
pub use stacks::Allocated;
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
    /// The function that adds to it, or that the added ones are.
    pub place: Option<Place>,
    /// If that is not known: functions of which any may be the one.
    pub perhaps: Vec<Place>,
    /// The program's own function that leads to it, if the place is in a package.
    pub program: Option<Place>,
    /// Where most of what is new was allocated, if the last snapshot has stacks.
    pub allocated: Option<Allocated>,
    /// What most of the entries are.
    pub entries: Option<String>,
    /// What else has the same objects, or grows one for one with them.
    pub also: Vec<Also>,
    /// If others hold the same objects, so that these go only when all of them have let go.
    pub shared: Option<Shared>,
    /// Why it is kept.
    pub way: Vec<Step>,
    /// What it is, in a sentence.
    pub is: String,
    /// What ends it, in a sentence.
    pub cure: String,
    /// Why it may be no leak: it has an end, or entries are taken out.
    pub doubt: Option<String>,
}

/// Something that has the objects of another finding, or grows with it.
#[derive(Debug, Clone)]
pub struct Also {
    /// What grows.
    pub what: String,
    /// The function that adds to it.
    pub place: Option<Place>,
    /// If that is not known: functions of which any may be the one.
    pub perhaps: Vec<Place>,
    /// How many there are in each snapshot.
    pub counts: Vec<u64>,
    /// How many bytes it retains alone in each snapshot.
    pub retained: Vec<u64>,
    /// The container, or one of the group, in the last snapshot.
    pub id: u32,
    /// Whether it has the same objects; else others that come one for one with them.
    pub same: bool,
}

impl Leak {
    /// Bytes from the first to the last snapshot.
    pub fn growth(&self) -> u64 {
        let (first, last) = (self.retained.first(), self.retained.last());
        last.copied()
            .unwrap_or_default()
            .saturating_sub(first.copied().unwrap_or_default())
    }

    /// What grows, and by which functions.
    fn said(&self) -> String {
        let places = self.place.iter().chain(&self.perhaps);
        let places: Vec<String> = places.map(ToString::to_string).collect();
        format!("{}, by {}", self.what, places.join(", "))
    }
}

/// All leaks of some snapshots.
#[derive(Debug)]
pub struct Leaks {
    /// The greatest growth first.
    pub all: Vec<Leak>,
    /// What may be no leak: see [`Leak::doubt`].
    pub slowing: Vec<Leak>,
    /// If there is none: classes that grow all the same.
    pub unnamed: Vec<Unnamed>,
    /// All bytes of each snapshot.
    pub totals: Vec<u64>,
    /// From the first to the last snapshot, if that was said, or the files' names or times tell.
    pub span: Option<Duration>,
    /// Lines of rules that excused nothing that was found.
    pub idle_rules: Vec<usize>,
}

/// What is measured in each snapshot.
struct Measures {
    total: u64,
    /// Of each candidate: entries and retained bytes, `None` if it is not there.
    containers: Vec<Option<(u64, u64)>>,
    held: Vec<Option<held::Figures>>,
    chains: Vec<Option<chains::Figures>>,
    values: Vec<Option<u64>>,
    renewed: Vec<Option<renewed::Figures>>,
    groups: groups::Groups,
}

/// How many entries a container has: a Map, a Set, an array, an object used as a map.
pub(crate) fn entries(snapshot: &Snapshot, node: Node) -> u64 {
    entries::count(snapshot, node)
}

/// Where the first key of a Map is in its table; see [`entries::first_key`].
pub(crate) fn first_key(snapshot: &Snapshot, map: Node) -> Option<u64> {
    entries::first_key(snapshot, map)
}

/// Looks for leaks in two snapshots or more, given in the order they were taken (and how far apart, if that is
/// known), and for what rules call so. `source_of` says where the source of a place in built code is, if that is known.
pub fn find(
    files: &[PathBuf],
    threads: usize,
    rules: Option<&Rules>,
    every: Option<Duration>,
    source_of: SourceOf,
) -> Result<Leaks, Error> {
    let Some((last_file, earlier)) = files.split_last() else {
        return Ok(Leaks {
            all: Vec::new(),
            slowing: Vec::new(),
            unnamed: Vec::new(),
            totals: Vec::new(),
            span: None,
            idle_rules: Vec::new(),
        });
    };
    // They may ask for distances.
    let distances = rules.is_some();
    let (last, (scripts, ways)) =
        Analysis::of_file_and(last_file, threads, distances, |snapshot| {
            let scripts = Scripts::new(snapshot);
            let ways = Ways::of(snapshot, &scripts);
            (scripts, ways)
        })?;
    let looked = || {
        let functions = Functions::new(&last.snapshot, &scripts);
        (containers::candidates(&last), functions)
    };
    let ((candidates, functions), grouped) = join(threads, looked, || groups::groups(&last));
    let wanted = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (last.snapshot.ids[candidate.node as usize], at))
        .collect();
    let mut measures = Vec::new();
    let mut earlier_one: Option<Objects<'_>> = None;
    let mut is_new = Vec::new();
    let mut held = Vec::new();
    let mut linked = Vec::new();
    let mut values = Vec::new();
    let mut renewed = Vec::new();
    let mut by_rules = Vec::new();
    for file in earlier {
        let (analysis, ()) = Analysis::of_file_and(file, threads, distances, |_| ())?;
        let objects = Objects::of(&analysis.snapshot, file);
        if let Some(one) = &earlier_one {
            one.are_before(&objects)?;
        }
        earlier_one = Some(objects);
        if is_new.is_empty() {
            ids::are_of_one_process(&analysis.snapshot, file, &last.snapshot, last_file)?;
            is_new = new_nodes(&last.snapshot, &analysis.snapshot);
            let by_name = || {
                let values = values::candidates(&last, &is_new);
                (values, renewed::candidates(&last, &is_new))
            };
            let of_links = || {
                let held = held::candidates(&last, &is_new);
                (held, chains::candidates(&last, &is_new))
            };
            ((held, linked), (values, renewed)) = join(threads, of_links, by_name);
        }
        let measured = || Measures {
            total: analysis.total(),
            containers: containers::measure(&analysis, &candidates, &wanted),
            held: held::measure(&analysis, &held),
            chains: chains::measure(&analysis, &last.snapshot, &linked),
            values: values::measure(&analysis, &values),
            renewed: renewed::measure(&analysis, &renewed),
            groups: groups::Groups::default(),
        };
        let (measured, groups) = join(threads, measured, || groups::groups(&analysis).sums);
        measures.push(Measures { groups, ..measured });
        if let Some(rules) = rules {
            let scripts = Scripts::new(&analysis.snapshot);
            by_rules.push(rules.ask(&analysis, &scripts).leaks);
        }
    }
    if let Some(one) = earlier_one {
        one.are_before(&Objects::of(&last.snapshot, last_file))?;
    }
    measures.push(Measures {
        total: last.total(),
        containers: candidates
            .iter()
            .map(|candidate| Some((candidate.entries, last.retained[candidate.node as usize])))
            .collect(),
        held: Vec::new(),
        chains: Vec::new(),
        values: Vec::new(),
        renewed: Vec::new(),
        groups: groups::Groups::default(),
    });
    let times = times::between(files, every);
    let view = View {
        functions,
        ways,
        scripts,
        sources: Sources::default(),
        origins: Origins::new(source_of),
        analysis: &last,
        new: is_new,
        times: times.steps,
    };
    let before = &measures[..measures.len() - 1];
    let mut suspects = sorted::Suspects::default();
    let figures: Vec<_> = before.iter().map(|moment| &moment.renewed[..]).collect();
    let families = || {
        let mut families = families::families(&view, &candidates, &measures);
        families.extend(renewed::families(&view, &renewed, &figures));
        suspects.containers(&view, families);
    };
    let ((), held_last) = join(threads, families, || held::measure(&last, &held));
    let figures = before.iter().map(|moment| &moment.held[..]);
    let figures: Vec<_> = figures.chain([&held_last[..]]).collect();
    suspects.held(&view, held::grown(&held, &figures));
    let figures: Vec<_> = before.iter().map(|moment| &moment.chains[..]).collect();
    suspects.held(&view, chains::grown(&last, linked, &figures));
    let figures: Vec<_> = before.iter().map(|moment| &moment.values[..]).collect();
    suspects.values(values::leaks(&view, &values, &figures));
    suspects.groups(&view, grown::grown(&view, &grouped, before));
    let (mut all, mut slowing) = suspects.told_once(&view);
    one_of_each(&mut all);
    let mut idle = Vec::new();
    if let Some(rules) = rules {
        let Findings { leaks, excused } = rules.ask(&last, &view.scripts);
        let node = |leak: &Leak| last.snapshot.node_of_id(leak.id);
        let found = all.iter().chain(&slowing);
        let found: Vec<_> = found.map(|leak| (node(leak), leak.said())).collect();
        idle = rules.idle(&last, &view.scripts, &found);
        for found in [&mut all, &mut slowing] {
            found.retain(|leak| {
                let excused = node(leak).is_some_and(|node| excused[node as usize]);
                !excused && !rules.hide(&leak.said())
            });
        }
        by_rules.push(leaks);
        all.extend(named::leaks(&view, rules, &by_rules));
    }
    // What was asked for comes first; of the rest, what was found first weighs most.
    all.sort_by_key(|leak| leak.pattern != Pattern::Rule);
    let unnamed = match all.is_empty() && slowing.is_empty() {
        true => unnamed::classes(&last, earlier, view.times.as_deref(), threads)?,
        false => Vec::new(),
    };
    Ok(Leaks {
        all,
        slowing,
        unnamed,
        totals: measures.iter().map(|measures| measures.total).collect(),
        span: times.span,
        idle_rules: idle,
    })
}

/// Of each node of the last snapshot, whether it has come since the first.
fn new_nodes(last: &Snapshot, first: &Snapshot) -> Vec<bool> {
    let known = Ids::of(first.ids.iter().copied());
    last.ids.iter().map(|&id| !known.contain(id)).collect()
}

/// The caches of modules grow together: one leak, that of `require.cache` if it is among them. So do the lists of
/// marks and measures.
fn one_of_each(all: &mut Vec<Leak>) {
    for pattern in [Pattern::Modules, Pattern::Performance] {
        let alike = |leak: &&Leak| leak.pattern == pattern;
        let best = all
            .iter()
            .filter(alike)
            .max_by_key(|leak| (leak.what.contains("._cache "), leak.growth()));
        if let Some(best) = best.map(|leak| leak.id) {
            all.retain(|leak| leak.pattern != pattern || leak.id == best);
        }
    }
}

/// What is looked at when leaks are described: the last snapshot.
struct View<'a> {
    analysis: &'a Analysis,
    scripts: Scripts,
    sources: Sources,
    origins: Origins<'a>,
    functions: Functions,
    ways: Ways,
    /// Of each node, whether it has come since the first snapshot.
    new: Vec<bool>,
    /// The times between the snapshots, if they are known.
    times: Option<Vec<Duration>>,
}

impl View<'_> {
    /// Whether a node has come since the first snapshot.
    fn is_new(&self, node: Node) -> bool {
        self.new[node as usize]
    }

    /// How near a place is to the user: 0 in the program, 1 in a package it uses, 2 in Node or nowhere.
    fn distance(&self, location: Option<crate::Location>) -> u8 {
        match location {
            Some(location) if self.scripts.is_internal(location) => 2,
            Some(location) => u8::from(self.origins.is_of_package(&self.scripts, location)),
            None => 2,
        }
    }

    /// Where a function stands.
    fn place(&self, (function, location): (String, crate::Location)) -> Place {
        Place {
            function,
            at: self.scripts.place(location),
        }
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
