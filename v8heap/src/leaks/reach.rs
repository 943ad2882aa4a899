//! What belongs to one leak: everything new that its objects point to.
//!
//! A leaked request keeps its socket, the socket its timers, their callbacks more: all of them grow, and
//! all of them end with the request. So what is found is followed through objects that have come
//! since the first snapshot, and what it reaches is not a second leak.

use graph::Node;

use super::View;
use crate::snapshot::Location;

/// Who has claimed each node.
pub(super) struct Claims {
    /// 1 + the number of the finding, or 0.
    of: Vec<u32>,
    /// Edges that lead from one leak to the next: timers are in one list, whoever set them.
    chains: Vec<Option<u32>>,
}

impl Claims {
    pub(super) fn new(view: &View) -> Claims {
        let strings = &view.analysis.snapshot.strings;
        Claims {
            of: vec![0; view.new.len()],
            chains: ["_idleNext", "_idlePrev", "__proto__"]
                .iter()
                .map(|name| strings.find(name))
                .collect(),
        }
    }

    /// Claims what is new and reached from some nodes, or kept by them alone, unless it has been claimed.
    /// Returns its bytes.
    pub(super) fn claim(&mut self, view: &View, finding: u32, starts: &[Node]) -> u64 {
        let snapshot = &view.analysis.snapshot;
        let mut bytes = 0;
        let mut list: Vec<Node> = Vec::new();
        for &start in starts {
            if self.of[start as usize] == 0 {
                self.of[start as usize] = finding + 1;
                bytes += snapshot.sizes.get(start);
                list.push(start);
            }
        }
        while let Some(node) = list.pop() {
            for edge in snapshot.graph.of(node) {
                let to = snapshot.graph.to(edge);
                let kind = snapshot.kind_of_edge(edge);
                if self.of[to as usize] != 0
                    || !view.is_new(to)
                    || kind == snapshot.edge_kind.weak
                    || self
                        .chains
                        .contains(&Some(snapshot.edge_names[edge as usize]))
                        && snapshot.has_string_name(edge)
                {
                    continue;
                }
                self.of[to as usize] = finding + 1;
                bytes += snapshot.sizes.get(to);
                list.push(to);
            }
        }
        let dominators = &view.analysis.dominators;
        for &node in dominators.downwards() {
            let above = self.of[dominators.parent[node as usize] as usize];
            if above == finding + 1 && self.of[node as usize] == 0 && view.is_new(node) {
                self.of[node as usize] = above;
                bytes += snapshot.sizes.get(node);
            }
        }
        bytes
    }

    /// Whether a finding has claimed a third of some nodes.
    pub(super) fn has_part(&self, finding: usize, nodes: &[Node]) -> bool {
        let of = finding as u32 + 1;
        let own = nodes.iter().filter(|&&node| self.of[node as usize] == of);
        own.count() * 3 >= nodes.len()
    }

    /// The finding that has claimed more than half of some nodes.
    pub(super) fn owner(&self, nodes: &[Node]) -> Option<u32> {
        let claimed: Vec<u32> = nodes
            .iter()
            .map(|&node| self.of[node as usize])
            .filter(|&of| of != 0)
            .collect();
        if claimed.len() * 2 <= nodes.len() {
            return None;
        }
        let mut counts: Vec<(u32, usize)> = Vec::new();
        for of in claimed {
            match counts.iter_mut().find(|(known, _)| *known == of) {
                Some((_, count)) => *count += 1,
                None => counts.push((of, 1)),
            }
        }
        let best = counts.into_iter().max_by_key(|&(_, count)| count)?;
        Some(best.0 - 1)
    }
}

/// How many nodes are looked at for a function.
const NEAR: usize = 2_000;

/// The nearest function that a new object points to, through new ones, in a place that is wanted.
pub(super) fn function_near(
    view: &View,
    start: Node,
    is_wanted: impl Fn(Location) -> bool,
) -> Option<Location> {
    placed_near(view, start, is_wanted).map(|(_, place)| place)
}

/// That function, or an object whose class stands in such a place.
pub(super) fn placed_near(
    view: &View,
    start: Node,
    is_wanted: impl Fn(Location) -> bool,
) -> Option<(Node, Location)> {
    let snapshot = &view.analysis.snapshot;
    let mut list = vec![start];
    let mut seen: rustc_hash::FxHashSet<Node> = list.iter().copied().collect();
    let mut next = 0;
    while next < list.len() && next < NEAR {
        let node = list[next];
        next += 1;
        let place = snapshot.location(node).filter(|&place| is_wanted(place));
        if let Some(place) = place {
            return Some((node, place));
        }
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let weak = snapshot.kind_of_edge(edge) == snapshot.edge_kind.weak;
            if !weak && (view.is_new(to) || next == 1) && seen.insert(to) {
                list.push(to);
            }
        }
    }
    None
}
