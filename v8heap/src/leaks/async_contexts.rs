//! What AsyncLocalStorage keeps for a piece of asynchronous work: up to Node 22 the stores themselves,
//! which the work points to, later a frame of all stores.

use graph::Node;
use rustc_hash::FxHashSet;

use crate::snapshot::Snapshot;

/// The property of what Node 22 and earlier run something for.
const STORE: &str = "<symbol kResourceStore>";
/// The class of a frame of all stores.
const FRAME: &str = "AsyncContextFrame";

/// The stores, or the frames.
pub(super) fn find(snapshot: &Snapshot) -> FxHashSet<Node> {
    let store = snapshot.strings.find(STORE);
    let frame = snapshot.strings.find(FRAME);
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
            found.extend(stores(snapshot, node, store));
        }
    }
    found
}

/// The stores that an object has; where there is none, the property is there and undefined.
fn stores(snapshot: &Snapshot, node: Node, store: Option<u32>) -> impl Iterator<Item = Node> {
    let edges = snapshot.graph.of(node).filter(move |&edge| {
        store == Some(snapshot.edge_names[edge as usize])
            && snapshot.kind_of_edge(edge) == snapshot.edge_kind.property
    });
    edges.map(|edge| snapshot.graph.to(edge)).filter(|&to| {
        let kind = snapshot.kinds[to as usize];
        kind == snapshot.kind.object || kind == snapshot.kind.string
    })
}

/// The store that an object keeps for the work it stands for, if any.
pub(super) fn of(snapshot: &Snapshot, node: Node) -> Option<Node> {
    let own = || snapshot.strings.find(STORE);
    let own = own().and_then(|store| stores(snapshot, node, Some(store)).next());
    own.or_else(|| {
        let frame = snapshot.graph.of(node).find_map(|edge| {
            let to = snapshot.graph.to(edge);
            (snapshot.kind_of_edge(edge) == snapshot.edge_kind.property
                && snapshot.name(to) == FRAME)
                .then_some(to)
        })?;
        // A Map of them by their AsyncLocalStorage.
        let table = snapshot.follow(frame, snapshot.edge_kind.internal, "table")?;
        snapshot
            .graph
            .of(table)
            .map(|edge| snapshot.graph.to(edge))
            .find(|&to| {
                snapshot.kinds[to as usize] == snapshot.kind.object
                    && snapshot.name(to) != "AsyncLocalStorage"
            })
    })
}
