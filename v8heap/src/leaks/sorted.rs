//! Everything that grows, strongest evidence first, each told once: what an earlier finding reaches is
//! explained by it.

use graph::Node;

use super::companions::{self, go_along, grow_alike, steps};
use super::families::Family;
use super::groups::Group;
use super::grown::{self, Grown};
use super::held::Held;
use super::holders::is_of_connections;
use super::program::program;
use super::rank::{COPIES, rank};
use super::reach::Claims;
use super::settling::{Turnover, slows, turnover};
use super::told::{Copies, Told};
use super::words::Pattern;
use super::{Leak, View, bounds, containers, notes, shared, stacks};

/// What is to be said of containers that are emptied more slowly than they are filled.
const BACKLOG: (&str, &str) = (
    "More entries come than go: of those of the first snapshot hardly one is left.",
    "Find what takes them out and why it falls behind, and bound how many may wait.",
);
/// Why something may be no leak.
const STEADY: &str = "of the entries of the first snapshot hardly one is left";
const SLOW: &str = "it grows ever more slowly";
/// More families of containers are not described.
const MAX_FAMILIES: usize = 200;
/// Of as many containers that are held alike it is looked what they keep together.
const MAX_ALIKE: usize = 8;

/// From this rank on, what comes one for one with something told is not told.
const COMPANIONS: u8 = 65;
/// Less is nothing to look at.
const MIN_GROWTH: u64 = 1024;

/// The rank of lists that something else explains.
const AFTER_ALL: u8 = 120;

/// Something that grows.
struct Suspect<'a> {
    /// Strong evidence is low.
    rank: u8,
    growth: u64,
    /// New objects that it is about.
    new: Vec<Node>,
    /// Containers, which claim what they keep alone.
    holders: Vec<Node>,
    /// Whether these have numbers.
    numbers: bool,
    what: What<'a>,
}

enum What<'a> {
    /// A container, and how near its place is.
    Container(Box<Leak>, u8),
    Group(Grown<'a>),
    Held(Held),
    Value(Box<Leak>),
}

impl Suspect<'_> {
    /// Whether it is of timers, which Node holds as well.
    fn is_timers(&self) -> bool {
        let What::Group(grown) = &self.what else {
            return false;
        };
        matches!(grown.group, Group::Timers(_) | Group::Intervals(_))
    }

    /// What is said of a container.
    fn said(&self) -> Option<&str> {
        match &self.what {
            What::Container(leak, _) => Some(&leak.what),
            _ => None,
        }
    }
}

/// All that grows.
#[derive(Default)]
pub(super) struct Suspects<'a> {
    all: Vec<Suspect<'a>>,
}

impl<'a> Suspects<'a> {
    /// Adds containers.
    pub(super) fn containers(&mut self, view: &View, mut all: Vec<Family>) {
        all.sort_by_key(|family| std::cmp::Reverse(growth(&family.retained)));
        all.truncate(MAX_FAMILIES);
        for family in all {
            let (mut leak, place) = containers::describe(view, &family);
            // V8 has changed how it keeps the properties of one: nobody adds to them.
            if leak.pattern == Pattern::Object && notes::is_opened(view, family.nodes[0]) {
                continue;
            }
            match turnover(view, &family) {
                Some(Turnover::Steady) => leak.doubt = Some(STEADY.to_owned()),
                // Node's own, which takes them out in time.
                Some(Turnover::Backlog) if view.distance(place) == 2 => {
                    leak.doubt = Some(STEADY.to_owned());
                }
                Some(Turnover::Backlog) => {
                    (leak.is, leak.cure) = (BACKLOG.0.to_owned(), BACKLOG.1.to_owned());
                }
                None => leak.doubt = bounds::of(view, &family, place),
            }
            // The loader has more that grows with them.
            let loaded = (leak.pattern == Pattern::Modules).then(|| family.is_of_modules(view));
            let of_connections = is_of_connections(view, family.nodes[0]);
            let distance = match loaded {
                Some(false) => 2,
                _ if of_connections => 2,
                _ => view.distance(place),
            };
            let rank = match (leak.pattern, distance) {
                (Pattern::Detached, _) => 20,
                _ if loaded == Some(true) => 13,
                // The sockets are what leaks, and the requests that have them.
                _ if of_connections => 42,
                // A pipe adds listeners as well.
                (Pattern::Streams, _) => 9,
                (_, 0) => 10,
                (_, 1) => 11,
                _ => 70,
            };
            self.all.push(Suspect {
                rank,
                growth: leak.growth(),
                new: family.new_entries(view),
                holders: family.holders(view),
                numbers: family.numbers,
                what: What::Container(Box::new(leak), distance),
            });
        }
    }

    /// Adds what is below old objects: lists are strong evidence, all else is none.
    pub(super) fn held(&mut self, view: &View, all: Vec<Held>) {
        for held in all {
            self.all.push(Suspect {
                rank: if held.is_list() { 15 } else { u8::MAX },
                growth: growth(&held.retained),
                // The others are looked at only if there is nothing else.
                new: match held.is_list() {
                    true => held.new_nodes(view),
                    false => Vec::new(),
                },
                holders: Vec::new(),
                numbers: false,
                what: What::Held(held),
            });
        }
    }

    /// Adds strings and memory that get longer.
    pub(super) fn values(&mut self, all: Vec<(Node, Leak)>) {
        for (node, leak) in all {
            self.all.push(Suspect {
                rank: 12,
                growth: leak.growth(),
                new: vec![node],
                holders: Vec::new(),
                numbers: false,
                what: What::Value(Box::new(leak)),
            });
        }
    }

    /// Adds groups.
    pub(super) fn groups(&mut self, view: &View, all: Vec<Grown<'a>>) {
        for grown in all {
            self.all.push(Suspect {
                rank: rank(view, &grown),
                growth: growth(&grown.retained),
                new: grown.new.clone(),
                holders: Vec::new(),
                numbers: false,
                what: What::Group(grown),
            });
        }
    }

    /// Lists that only string together what is a leak of its own kind come after it.
    fn lists_give_way(&mut self) {
        let kinds: Vec<(Vec<u64>, u64)> = self
            .all
            .iter()
            .filter_map(|suspect| match &suspect.what {
                What::Group(grown) if grown.is_of_a_kind() => {
                    Some((grown.counts.clone(), suspect.growth))
                }
                _ => None,
            })
            .collect();
        for suspect in &mut self.all {
            if let What::Held(held) = &suspect.what
                && held.is_list()
                && kinds.iter().any(|(counts, growth)| {
                    growth * 2 > suspect.growth && grow_alike(counts, &held.counts)
                })
            {
                suspect.rank = AFTER_ALL;
            }
        }
    }

    /// The leaks among them, what weighs most first, and what may be none.
    pub(super) fn told_once(mut self, view: &View) -> (Vec<Leak>, Vec<Leak>) {
        self.lists_give_way();
        // Ids say nothing of two that are alike: V8 numbers objects as they lie in memory.
        self.all
            .sort_by(|a, b| (a.rank, b.growth, a.said()).cmp(&(b.rank, a.growth, b.said())));
        companions::order(view, &mut self.all, |suspect| match &suspect.what {
            What::Container(leak, _) => Some((suspect.rank, &leak.counts, &suspect.new)),
            _ => None,
        });
        // What has a time to live, for the timers that keep to it.
        let timed: Vec<(Vec<u64>, String)> = self
            .all
            .iter()
            .filter_map(|suspect| match &suspect.what {
                What::Container(leak, _) => {
                    let doubt = leak.doubt.as_ref();
                    let doubt = doubt.filter(|doubt| doubt.starts_with(bounds::BY_TIMER));
                    Some((leak.counts.clone(), doubt?.clone()))
                }
                _ => None,
            })
            .collect();
        let mut claims = Claims::new(view);
        let mut told: Vec<Told> = Vec::new();
        for suspect in self.all {
            if suspect.rank == u8::MAX && !explain_little(view, &told, suspect.growth) {
                break;
            }
            if let Some(owner) = claims.owner(&suspect.new) {
                if let What::Group(Grown {
                    group: Group::Copies(text, _),
                    ..
                }) = &suspect.what
                    && let Some(first) = told.get_mut(owner as usize)
                {
                    first.copies.add(text, &suspect.new, view);
                }
                if let Some(first) = told.get_mut(owner as usize)
                    && suspect.is_timers()
                    && first.is_held_elsewhere()
                    && let Some((leak, _)) = suspect.describe(view)
                {
                    first.also_by_timers(leak, suspect.new);
                } else if let What::Container(leak, 0 | 1) = suspect.what
                    && let Some(first) = told.get_mut(owner as usize)
                {
                    first.also(*leak, suspect.holders, true);
                }
                continue;
            }
            if suspect.is_explained_by_kind(&told) {
                continue;
            }
            let Some((mut leak, distance)) = suspect.describe(view) else {
                continue;
            };
            if suspect.is_timers()
                && let Some((_, doubt)) = timed
                    .iter()
                    .find(|(counts, _)| grow_alike(counts, &leak.counts))
            {
                leak.doubt = Some(doubt.replace("its entries", "entries of a container"));
            }
            let goes_with = told
                .iter()
                .position(|first| grow_alike(&leak.counts, &first.leak.counts));
            // What grows in Node for no reason in sight is its own.
            if distance == 2 && (goes_with.is_some() || suspect.rank == u8::MAX) {
                continue;
            }
            // A pipe's own listeners.
            if leak.pattern == Pattern::Listeners
                && goes_with
                    .and_then(|at| told.get(at))
                    .is_some_and(|first| first.leak.pattern == Pattern::Streams)
            {
                continue;
            }
            // Nodes that the handlers of a page's sockets and channels keep.
            if let Some(first) = goes_with.and_then(|at| told.get_mut(at))
                && let kinds = [leak.pattern, first.leak.pattern]
                && kinds.contains(&Pattern::Detached)
                && kinds.contains(&Pattern::Streams)
                && file_of(&leak) == file_of(&first.leak)
            {
                if leak.pattern == Pattern::Streams {
                    first.growth += leak.growth();
                    leak.also = std::mem::take(&mut first.leak.also);
                    std::mem::swap(&mut leak, &mut first.leak);
                }
                first.also(leak, Vec::new(), false);
                continue;
            }
            // The sockets of an Agent, both ends of a connection.
            if leak.pattern == Pattern::Streams
                && let Some(first) = goes_with.and_then(|at| told.get_mut(at))
                && first.leak.pattern == Pattern::Streams
            {
                first.also(leak, Vec::new(), false);
                continue;
            }
            // The other ends of connections that a container has.
            if leak.pattern == Pattern::Streams
                && let Some(at) = (0..told.len()).find(|&at| claims.has_part(at, &suspect.new))
            {
                claims.claim(view, at as u32, &suspect.new);
                told[at].also(leak, Vec::new(), false);
                continue;
            }
            let mut starts = suspect.holders.clone();
            starts.extend(&suspect.new);
            if let Some(at) = suspect.companion_of(view, &leak, distance, &told) {
                let bytes = claims.claim(view, at as u32, &starts);
                let first = &mut told[at];
                // The one that has the objects is the one to tell.
                if bytes > first.growth && distance == first.distance {
                    leak.program = program(view, &leak, &suspect.new);
                    leak.also = std::mem::take(&mut first.leak.also);
                    std::mem::swap(&mut leak, &mut first.leak);
                }
                first.growth += bytes;
                let of_objects = if suspect.numbers {
                    Vec::new()
                } else {
                    suspect.holders
                };
                first.also(leak, of_objects, false);
                continue;
            }
            if let Some(first) = goes_with.and_then(|at| told.get_mut(at))
                && (steps(&leak.counts) == steps(&first.leak.counts)
                    || leak.pattern == Pattern::Buffers && first.leak.pattern == Pattern::Streams)
            {
                // What comes one for one with what has been told; a connection may have some buffers.
                if suspect.rank >= COMPANIONS {
                    continue;
                }
                if first.leak.pattern == leak.pattern {
                    first.also(leak, Vec::new(), false);
                    continue;
                }
            }
            if distance == 1 {
                leak.program = program(view, &leak, &suspect.new);
            }
            // What a package keeps in several ways of the same calls of the program.
            if let Some(at) = told
                .iter()
                .position(|first| companions::are_of_one_call(&first.leak, &leak))
            {
                claims.claim(view, at as u32, &starts);
                told[at].also(leak, Vec::new(), false);
                continue;
            }
            stacks::tell(view, &mut leak, &suspect.new, &suspect.holders);
            if leak.pattern != Pattern::AsyncContexts
                && let Some(store) = notes::store(view, &suspect.new)
            {
                let entries = leak.entries.map(|entries| format!("{entries}; "));
                leak.entries = Some(entries.unwrap_or_default() + &store);
            }
            let bytes = claims.claim(view, told.len() as u32, &starts);
            let growth = bytes.max(leak.growth());
            told.push(Told {
                distance,
                growth,
                // What several alike have may be the same objects.
                holders: match suspect.holders.len() / 2 {
                    2..=MAX_ALIKE => suspect.holders.chunks(2).map(<[Node]>::to_vec).collect(),
                    _ => vec![suspect.holders],
                },
                copies: Copies::default(),
                leak,
            });
        }
        for told in &mut told {
            told.say_copies();
        }
        let holders: Vec<_> = told
            .iter_mut()
            .map(|told| std::mem::take(&mut told.holders))
            .collect();
        for (told, shared) in told.iter_mut().zip(shared::together(view, &holders)) {
            // Where others have the objects as well, the containers themselves are there all the same.
            told.leak.shared = shared.filter(|shared| shared.new >= told.leak.growth());
            if let Some(shared) = shared {
                told.growth = shared.new.max(told.leak.growth());
            }
        }
        told.retain(|told| told.growth >= MIN_GROWTH);
        told.sort_by_key(|told| std::cmp::Reverse(told.weight()));
        let doubted = |mut told: Told| {
            if told.leak.doubt.is_none() && is_slower(view, &told.leak) {
                told.leak.doubt = Some(SLOW.to_owned());
            }
            told.leak
        };
        told.into_iter()
            .map(doubted)
            .partition(|leak| leak.doubt.is_none())
    }
}

/// The file of the function that adds to it.
fn file_of(leak: &Leak) -> Option<&str> {
    leak.place.as_ref()?.file()
}

/// Whether it grows ever more slowly.
fn is_slower(view: &View, leak: &Leak) -> bool {
    let counted = leak.counts.first() != leak.counts.last();
    let grown = if counted {
        &leak.counts
    } else {
        &leak.retained
    };
    slows(grown, view.times.as_deref()) && !grows_below(view, leak)
}

/// Whether what has been told is at most a small part of some growth, and fills up: as parts of a tree do, of which
/// others grow then.
fn explain_little(view: &View, told: &[Told], growth: u64) -> bool {
    let fills_up = |told: &Told| told.leak.doubt.is_none() && is_slower(view, &told.leak);
    let sum: u64 = told.iter().map(|told| told.growth).sum();
    told.iter().all(fills_up) && sum < growth / 2
}

/// Whether there is ever more below the entries of a container, as in a tree that has all branches at its top: more than
/// the container's own tables explain.
fn grows_below(view: &View, leak: &Leak) -> bool {
    let snapshot = &view.analysis.snapshot;
    let Some(node) = snapshot.node_of_id(leak.id) else {
        return false;
    };
    let steps: Vec<u64> = leak
        .retained
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    let most = steps.iter().copied().max().unwrap_or_default();
    let last = steps.last().copied().unwrap_or_default();
    let internal = snapshot
        .graph
        .of(node)
        .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.internal);
    let tables = internal.map(|edge| snapshot.sizes.get(snapshot.graph.to(edge)));
    let own = snapshot.sizes.get(node) + tables.sum::<u64>();
    last * 5 > most * 4 && last > own * 4
}

impl Suspect<'_> {
    /// Whether findings by kind make this one needless: the sources of modules, the list of such objects.
    fn is_explained_by_kind(&self, told: &[Told]) -> bool {
        match &self.what {
            // Each module brings its source.
            What::Group(_) if self.rank == COPIES => told
                .iter()
                .any(|first| first.leak.pattern == Pattern::Modules),
            What::Held(held) if self.rank == AFTER_ALL => told
                .iter()
                .any(|first| grow_alike(&held.counts, &first.leak.counts)),
            _ => false,
        }
    }

    /// What has been told of that this container is a part of: it stands beside its containers and has numbers, or
    /// belongs to the same object of a package and grows with them.
    fn companion_of(&self, view: &View, leak: &Leak, distance: u8, told: &[Told]) -> Option<usize> {
        if !matches!(self.what, What::Container(..) | What::Held(_)) {
            return None;
        }
        let node = |leak: &Leak| view.analysis.snapshot.node_of_id(leak.id);
        let own = node(leak)?;
        told.iter().position(|first| {
            node(&first.leak).is_some_and(|other| match self.numbers {
                true => companions::stand_together(view, own, other),
                false => {
                    let is_alike =
                        matches!(self.what, What::Held(_)) && leak.place == first.leak.place;
                    distance == 1
                        && (is_alike || go_along(&leak.counts, &first.leak.counts))
                        && companions::have_one_owner(view, own, other)
                }
            })
        })
    }

    /// What there is to say of it, and how near its place is to the user.
    fn describe(&self, view: &View) -> Option<(Leak, u8)> {
        let (leak, place) = match &self.what {
            What::Container(leak, distance) => return Some((Leak::clone(leak), *distance)),
            What::Value(leak) => return Some((Leak::clone(leak), 0)),
            What::Group(grown) => grown::describe(view, grown)?,
            What::Held(held) if self.new.is_empty() => {
                held.describe(view, &held.new_nodes(view))?
            }
            What::Held(held) => held.describe(view, &self.new)?,
        };
        Some((leak, view.distance(place)))
    }
}

/// From the first to the last snapshot.
fn growth(retained: &[u64]) -> u64 {
    let (first, last) = (retained.first(), retained.last());
    last.copied()
        .unwrap_or_default()
        .saturating_sub(first.copied().unwrap_or_default())
}
