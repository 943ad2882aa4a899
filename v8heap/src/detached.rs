//! Attached or detached: what a document's nodes say of themselves, spread to what they hold.

use graph::Node;
use std::collections::HashMap;

use crate::snapshot::Snapshot;
use crate::snapshot::detachedness::{ATTACHED, DETACHED, UNKNOWN};

/// Spreads the state over the native nodes, attached first, and calls those that are detached
/// `Detached …`.
pub(crate) fn spread(snapshot: &mut Snapshot) {
    let Some(mut states) = snapshot.detachedness.take() else {
        return;
    };
    // Not `all`, which looks at one by one.
    if states.iter().fold(UNKNOWN, |all, &state| all | state) == UNKNOWN {
        snapshot.detachedness = Some(states);
        return;
    }
    let mut spreading = Spreading {
        visited: vec![false; snapshot.graph.nodes()],
        attached: Vec::new(),
        detached: Vec::new(),
        prefixed: HashMap::new(),
        states: &mut states,
    };
    for node in 0..snapshot.graph.nodes() as Node {
        let state = spreading.states[node as usize];
        if state & 3 != UNKNOWN {
            spreading.visit(snapshot, node, state & 3);
        }
    }
    while let Some(node) = spreading.attached.pop() {
        spreading.children(snapshot, node, ATTACHED);
    }
    while let Some(node) = spreading.detached.pop() {
        if spreading.states[node as usize] & 3 != ATTACHED {
            spreading.children(snapshot, node, DETACHED);
        }
    }
    snapshot.detachedness = Some(states);
}

struct Spreading<'a> {
    visited: Vec<bool>,
    attached: Vec<Node>,
    detached: Vec<Node>,
    /// Names with the prefix, by the name without.
    prefixed: HashMap<u32, u32>,
    states: &'a mut [u8],
}

impl Spreading<'_> {
    fn children(&mut self, snapshot: &mut Snapshot, node: Node, state: u8) {
        for edge in snapshot.graph.of(node) {
            let kind = snapshot.kind_of_edge(edge);
            if kind != snapshot.edge_kind.hidden && kind != snapshot.edge_kind.weak {
                let to = snapshot.graph.to(edge);
                self.visit(snapshot, to, state);
            }
        }
    }

    fn visit(&mut self, snapshot: &mut Snapshot, node: Node, state: u8) {
        let at = node as usize;
        if std::mem::replace(&mut self.visited[at], true) {
            return;
        }
        // JavaScript does not pass it on: every way back into the document has a state of its own.
        if snapshot.kinds[at] != snapshot.kind.native {
            return;
        }
        self.states[at] = state;
        if state == ATTACHED {
            self.attached.push(node);
        } else if state == DETACHED {
            let old = snapshot.names[at];
            snapshot.names[at] = *self.prefixed.entry(old).or_insert_with(|| {
                let name = [b"Detached ", snapshot.strings.raw(old)].concat();
                snapshot.strings.add(name)
            });
            self.detached.push(node);
        }
    }
}
