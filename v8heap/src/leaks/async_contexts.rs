//! What AsyncLocalStorage keeps for a piece of asynchronous work: up to Node 22 the stores themselves,
//! which the work points to, later a frame of all stores.

use graph::Node;
use rustc_hash::FxHashSet;

use crate::snapshot::Snapshot;

/// The stores, or the frames.
pub(super) fn find(snapshot: &Snapshot) -> FxHashSet<Node> {
    let store = snapshot.strings.find("<symbol kResourceStore>");
    let frame = snapshot.strings.find("AsyncContextFrame");
    let property = snapshot.edge_kind.property;
    let mut found = FxHashSet::default();
    if store.is_none() && frame.is_none() {
        return found;
    }
    for node in 0..snapshot.graph.nodes() as Node {
        if snapshot.kinds[node as usize] != snapshot.kind.object {
            continue;
        }
        if frame == Some(snapshot.names[node as usize]) {
            found.insert(node);
        }
        if store.is_some() {
            let stores = snapshot.graph.of(node).filter(|&edge| {
                store == Some(snapshot.edge_names[edge as usize])
                    && snapshot.kind_of_edge(edge) == property
            });
            // Without one, it is there and undefined.
            let stores = stores.map(|edge| snapshot.graph.to(edge)).filter(|&to| {
                let kind = snapshot.kinds[to as usize];
                kind == snapshot.kind.object || kind == snapshot.kind.string
            });
            found.extend(stores);
        }
    }
    found
}
