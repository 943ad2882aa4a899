//! Containers that grow, and which of them are one leak: those that are held alike, as the `members` of
//! every Room.

use graph::Node;
use rustc_hash::FxHashMap;

use super::containers::{Candidate, MIN_ENTRIES};
use super::entries::{entries, rows};
use super::holders::{emitter, holder};
use super::{Measures, View, grows};

/// Containers that grow together, or one.
#[derive(Debug)]
pub(super) struct Family {
    /// The one with the most entries first.
    pub(super) nodes: Vec<Node>,
    /// Their entries in each snapshot.
    pub(super) counts: Vec<u64>,
    /// The bytes they retain.
    pub(super) retained: Vec<u64>,
    /// Whether it is the room for numbers that grows.
    pub(super) numbers: bool,
    /// Whether it is another container in each snapshot.
    pub(super) renewed: bool,
}

/// Fewer small ones are no family.
const MIN_SMALL: usize = 5;
/// As many objects of a plain object's properties are one.
const MIN_SIBLINGS: usize = 3;
/// More containers that grow a little are not told apart.
const MAX_GROWN: usize = 20_000;

/// One that has more entries in the last snapshot than in the first.
struct Grown {
    node: Node,
    counts: Vec<u64>,
    retained: Vec<u64>,
    /// Whether it is a leak by itself.
    alone: bool,
    numbers: bool,
    class: u32,
}

impl Family {
    /// What is new in them.
    pub(super) fn new_entries(&self, view: &View) -> Vec<Node> {
        let snapshot = &view.analysis.snapshot;
        let mut new: Vec<Node> = self
            .nodes
            .iter()
            .flat_map(|&node| entries(snapshot, node))
            .map(|edge| snapshot.graph.to(edge))
            .filter(|&to| view.is_new(to))
            .collect();
        new.sort_unstable();
        new.dedup();
        new
    }

    /// Whether its new entries are modules of CommonJS.
    pub(super) fn is_of_modules(&self, view: &View) -> bool {
        let snapshot = &view.analysis.snapshot;
        let new = self.new_entries(view);
        let modules = new.iter().filter(|&&node| {
            snapshot.name(node) == "Module" && snapshot.kinds[node as usize] == snapshot.kind.object
        });
        modules.count() * 2 > new.len()
    }

    /// The containers and the tables behind them.
    pub(super) fn holders(&self, view: &View) -> Vec<Node> {
        let snapshot = &view.analysis.snapshot;
        let both = |&node: &Node| [node, rows(snapshot, node).0];
        self.nodes.iter().flat_map(both).collect()
    }

    fn of(mut members: Vec<Grown>) -> Family {
        members.sort_by_key(|grown| std::cmp::Reverse(grown.counts.last().copied()));
        let sum = |of: &dyn Fn(&Grown) -> &Vec<u64>| {
            let moments = of(&members[0]).len();
            (0..moments)
                .map(|at| members.iter().map(|grown| of(grown)[at]).sum())
                .collect()
        };
        Family {
            numbers: members[0].numbers,
            renewed: false,
            counts: sum(&|grown| &grown.counts),
            retained: sum(&|grown| &grown.retained),
            nodes: members.iter().map(|grown| grown.node).collect(),
        }
    }
}

/// The containers that grow.
pub(super) fn families(
    view: &View,
    candidates: &[Candidate],
    measures: &[Measures],
) -> Vec<Family> {
    let mut groups: FxHashMap<(u32, String, bool), Vec<Grown>> = FxHashMap::default();
    for grown in grown(view, candidates, measures) {
        // Node lists what it has loaded of itself, and there is an end to that.
        let holder = holder(view, grown.node);
        if holder.name == "moduleLoadList" {
            continue;
        }
        // All events of one emitter are one.
        let held = match emitter(view, grown.node) {
            Some((_, of)) => of.to_string(),
            // Variables of a call, of which no name is known: each is another one.
            None if holder.is_local && holder.name.is_empty() => format!("@{}", grown.node),
            None => holder.shown,
        };
        let key = (grown.class, held, grown.numbers);
        groups.entry(key).or_default().push(grown);
    }
    let mut found = Vec::new();
    // Those of one plain object: groups by its keys.
    let mut siblings: FxHashMap<(u32, Node), Vec<Grown>> = FxHashMap::default();
    for (_, mut members) in groups {
        let alone = members.iter().filter(|grown| grown.alone).count();
        if alone == 1 {
            members.retain(|grown| grown.alone);
        }
        if alone == 1
            && let Some(from) = plain_holder(view, &members[0])
        {
            let key = (members[0].class, from);
            siblings.entry(key).or_default().append(&mut members);
            continue;
        }
        if alone == 0 && members.len() < MIN_SMALL {
            continue;
        }
        let family = Family::of(members);
        let enough = family
            .counts
            .last()
            .is_some_and(|&last| last >= MIN_ENTRIES);
        if enough && (family.numbers || grows(&family.counts)) {
            found.push(family);
        }
    }
    for members in siblings.into_values() {
        if members.len() >= MIN_SIBLINGS {
            found.push(Family::of(members));
        } else {
            found.extend(members.into_iter().map(|grown| Family::of(vec![grown])));
        }
    }
    found
}

/// Whether room for numbers grows as it does for ever more of them: an array's by half, a table's to the double.
fn has_more_room(room: &[u64], class: &str) -> bool {
    let (first, last) = (room[0], room[room.len() - 1]);
    if class == "Array" {
        room.windows(2).all(|pair| pair[1] > pair[0]) && last * 5 >= first * 7
    } else {
        last >= first * 2
    }
}

/// The plain object that has a container under a name, if the name may be a key.
fn plain_holder(view: &View, grown: &Grown) -> Option<Node> {
    let snapshot = &view.analysis.snapshot;
    let from = holder(view, grown.node).from?;
    let plain =
        snapshot.kinds[from as usize] == snapshot.kind.object && snapshot.name(from) == "Object";
    plain.then_some(from)
}

fn grown(view: &View, candidates: &[Candidate], measures: &[Measures]) -> Vec<Grown> {
    let snapshot = &view.analysis.snapshot;
    let mut all: Vec<Grown> = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let figures: Option<Vec<(u64, u64)>> = measures
            .iter()
            .map(|measures| measures.containers[at])
            .collect();
        let Some(figures) = figures else { continue };
        let (counts, retained): (Vec<u64>, Vec<u64>) = figures.into_iter().unzip();
        if counts.last() > counts.first()
            && counts.is_sorted()
            && retained.last() > retained.first()
        {
            let numbers = candidate.numbers;
            let alone = match numbers {
                true => has_more_room(&counts, &snapshot.name(candidate.node)),
                false => grows(&counts) && candidate.entries >= MIN_ENTRIES,
            };
            if alone || !numbers {
                all.push(Grown {
                    node: candidate.node,
                    class: snapshot.names[candidate.node as usize],
                    counts,
                    retained,
                    alone,
                    numbers,
                });
            }
        }
    }
    // Where there are too many, those that are leaks by themselves.
    if all.len() > MAX_GROWN {
        all.retain(|grown| grown.alone);
    }
    all
}
