//! Shallow sizes: what V8 keeps outside of an object for it (elements, properties, hidden parts)
//! counts as the object's own if nothing else uses it.

use graph::Node;

use crate::figures::{is, user_roots};
use crate::snapshot::{Sizes, Snapshot};

const UNOWNED: u32 = u32::MAX;
const SHARED: u32 = u32::MAX - 1;

/// Whose sizes go to whom: (owned, owner).
pub(crate) fn moves(snapshot: &Snapshot) -> Vec<(Node, Node)> {
    // Without roots of the user the snapshot was made to show V8's internals as they are.
    if user_roots(snapshot).next().is_none() {
        return Vec::new();
    }
    let external = snapshot.strings.find("system / ExternalStringData");
    let kind = &snapshot.kind;
    let mut owners: Vec<u32> = snapshot
        .kinds
        .iter()
        .zip(&snapshot.names)
        .zip(0..)
        .map(|((&of, &name), node)| {
            let part = is(of, kind.hidden)
                || is(of, kind.array)
                || is(of, kind.native) && Some(name) == external;
            if part { UNOWNED } else { node }
        })
        .collect();
    let weak = snapshot.edge_kind.weak;
    // Parts whose owner became known or shared, and have yet to pass it on.
    let mut list: Vec<Node> = Vec::new();
    let visit = |owners: &mut [u32], list: &mut Vec<Node>, node: Node| {
        let owner = owners[node as usize];
        let edges = snapshot.graph.of(node);
        for (edge, &to) in edges.clone().zip(snapshot.graph.targets(edges)) {
            let of = &mut owners[to as usize];
            if *of == to || *of == owner || *of == SHARED || snapshot.kind_of_edge(edge) == weak {
                continue;
            }
            *of = if *of == UNOWNED { owner } else { SHARED };
            list.push(to);
        }
    };
    for node in 0..snapshot.graph.nodes() as Node {
        if owners[node as usize] == node {
            visit(&mut owners, &mut list, node);
            while let Some(part) = list.pop() {
                visit(&mut owners, &mut list, part);
            }
        }
    }
    owners
        .iter()
        .zip(0..)
        .filter(|&(&owner, node)| owner != node && owner != UNOWNED && owner != SHARED)
        .filter(|&(&owner, _)| {
            owner != snapshot.root && snapshot.kinds[owner as usize] != kind.synthetic
        })
        .map(|(&owner, node)| (node, owner))
        .collect()
}

/// Moves the sizes.
pub(crate) fn apply(sizes: &mut Sizes, moves: &[(Node, Node)]) {
    for &(owned, owner) in moves {
        let size = sizes.get(owned);
        sizes.set(owned, 0);
        let sum = sizes.get(owner).saturating_add(size);
        sizes.set(owner, sum);
    }
}
