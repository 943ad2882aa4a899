//! Shallow sizes: what V8 keeps outside of an object for it (elements, properties, hidden parts)
//! counts as the object's own if nothing else uses it.

use graph::Node;

use crate::figures::{is, user_roots};
use crate::snapshot::{Sizes, Snapshot};

const UNOWNED: u32 = u32::MAX;
const SHARED: u32 = u32::MAX - 1;

/// To whom the size of each node goes: to itself, to its owner, or to nobody that is known.
pub(crate) fn owners(snapshot: &Snapshot) -> Vec<u32> {
    // Without roots of the user the snapshot was made to show V8's internals as they are.
    if user_roots(snapshot).next().is_none() {
        return (0..snapshot.graph.nodes() as Node).collect();
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
}

/// Moves the sizes.
pub(crate) fn apply(snapshot: &Snapshot, sizes: &mut Sizes, owners: &[u32]) {
    for (owned, &owner) in (0..).zip(owners) {
        if owner == owned
            || owner == UNOWNED
            || owner == SHARED
            || owner == snapshot.root
            || snapshot.kinds[owner as usize] == snapshot.kind.synthetic
        {
            continue;
        }
        let size = sizes.get(owned);
        sizes.set(owned, 0);
        let sum = sizes.get(owner).saturating_add(size);
        sizes.set(owner, sum);
    }
}
