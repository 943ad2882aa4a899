//! Objects that several containers hold: each of these alone retains next to nothing, and what goes when
//! all of them let go is the size of the leak.
//!
//! Dominators know of one holder only. What a set of holders retains is what cannot be reached without going through one
//! of them. One pass from the root that stops at the holders of all findings leaves what they keep together, and within
//! that little each finding is asked for by itself: what is left unreached if only its own holders are closed.

use graph::{Edge, Node};

use super::View;
use crate::pairs::PAIR;
use crate::snapshot::Snapshot;

/// What some holders of the same objects retain together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// How many holders there are.
    pub holders: usize,
    /// The bytes that go when all let go, in the last snapshot.
    pub retained: u64,
    /// Those of objects that have come since the first.
    pub new: u64,
}

/// Holders that have the same objects: the nodes of each.
pub(super) type Holders = Vec<Vec<Node>>;

/// Nodes that some pass has met.
struct Marks(Vec<u64>);

impl Marks {
    fn new(nodes: usize) -> Marks {
        Marks(vec![0; nodes.div_ceil(64)])
    }

    fn has(&self, node: Node) -> bool {
        self.0[node as usize / 64] & (1 << (node % 64)) != 0
    }

    /// Whether it was not there.
    fn add(&mut self, node: Node) -> bool {
        let (word, bit) = (&mut self.0[node as usize / 64], 1 << (node % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// Whether an edge keeps what it leads to, as dominators see it.
fn keeps(snapshot: &Snapshot, from: Node, edge: Edge) -> bool {
    let kind = snapshot.kind_of_edge(edge);
    if kind == snapshot.edge_kind.weak {
        return false;
    }
    if kind == snapshot.edge_kind.shortcut {
        return from == snapshot.root;
    }
    // The table of a WeakMap does not keep values: their keys do.
    snapshot.edge_kinds[edge as usize] & PAIR == 0
        || !snapshot
            .edge_name(edge)
            .ends_with(&format!("(table @{})", snapshot.ids[from as usize]))
}

/// Marks what is reached from some nodes, which are marked, by way of what `enters` lets pass.
fn mark(
    snapshot: &Snapshot,
    marks: &mut Marks,
    mut list: Vec<Node>,
    mut enters: impl FnMut(Node) -> bool,
) {
    while let Some(node) = list.pop() {
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if !marks.has(to) && keeps(snapshot, node, edge) && enters(to) {
                marks.add(to);
                list.push(to);
            }
        }
    }
}

/// What is reached without holders, and which of them are reached from there.
struct Kept {
    marks: Marks,
    entered: Marks,
}

impl Kept {
    /// One pass over all, stopped at some nodes.
    fn new(snapshot: &Snapshot, holders: impl Iterator<Item = Node>) -> Kept {
        let nodes = snapshot.graph.nodes();
        let mut closed = Marks::new(nodes);
        for node in holders {
            closed.add(node);
        }
        let (mut marks, mut entered) = (Marks::new(nodes), Marks::new(nodes));
        marks.add(snapshot.root);
        mark(snapshot, &mut marks, vec![snapshot.root], |node| {
            let is_closed = closed.has(node);
            if is_closed {
                entered.add(node);
            }
            !is_closed
        });
        Kept { marks, entered }
    }
}

/// What each of some groups of holders retains; `None` for those that retain no more together than the first
/// of them does alone.
pub(super) fn together(view: &View, groups: &[Holders]) -> Vec<Option<Shared>> {
    let snapshot = &view.analysis.snapshot;
    if groups.iter().all(|group| group.len() < 2) {
        return vec![None; groups.len()];
    }
    let kept = Kept::new(snapshot, groups.iter().flatten().flatten().copied());
    groups
        .iter()
        .map(|group| {
            let mut group = group.clone();
            if group.len() < 2 {
                return None;
            }
            let mut shared = of_group(view, &kept, groups, &group);
            // What one of them holds may be held by another all the same.
            for at in (1..group.len()).rev() {
                let holder = group.remove(at);
                let less = of_group(view, &kept, groups, &group);
                match less.retained < shared.retained {
                    true => group.insert(at, holder),
                    false => shared = less,
                }
            }
            (group.len() > 1).then_some(shared)
        })
        .collect()
}

/// What one group retains, of what is not kept by anything but holders.
fn of_group(view: &View, kept: &Kept, groups: &[Holders], group: &[Vec<Node>]) -> Shared {
    let snapshot = &view.analysis.snapshot;
    let nodes = snapshot.graph.nodes();
    let mut own = Marks::new(nodes);
    for &node in group.iter().flatten() {
        own.add(node);
    }
    // Other holders are reached as ever.
    let mut others = Marks::new(nodes);
    let mut starts = Vec::new();
    for &node in groups.iter().flatten().flatten() {
        if !own.has(node) && kept.entered.has(node) && others.add(node) {
            starts.push(node);
        }
    }
    mark(snapshot, &mut others, starts, |node| {
        !own.has(node) && !kept.marks.has(node)
    });
    // Its own are what it consists of.
    let mut all = Marks::new(nodes);
    let starts: Vec<Node> = group.iter().flatten().copied().collect();
    let mut list: Vec<Node> = starts.into_iter().filter(|&node| all.add(node)).collect();
    let mut shared = Shared {
        holders: group.len(),
        retained: 0,
        new: 0,
    };
    while let Some(node) = list.pop() {
        let bytes = snapshot.sizes.get(node);
        shared.retained += bytes;
        shared.new += if view.is_new(node) { bytes } else { 0 };
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if !all.has(to) && !kept.marks.has(to) && !others.has(to) && keeps(snapshot, node, edge)
            {
                all.add(to);
                list.push(to);
            }
        }
    }
    shared
}
