//! Views of ArrayBuffers: whoever keeps one keeps all of the memory behind it.
//!
//! How many bytes a view shows is not in a snapshot (V8 writes no fields that are not pointers).

use graph::{Node, Retainers};
use rustc_hash::FxHashMap;

use crate::snapshot::Snapshot;

/// What keeps the memory of ArrayBuffers, in a sentence, and the newest of these views; `None` if no view does.
pub(super) fn kept_by(snapshot: &Snapshot, memory: &[Node]) -> Option<(String, Node)> {
    let retainers = Retainers::new(&snapshot.graph);
    let behind = |node: Node, name: &'static str| {
        retainers
            .of(node)
            .filter(move |&(_, edge)| {
                snapshot.kind_of_edge(edge) == snapshot.edge_kind.internal
                    && snapshot.edge_name(edge) == name
            })
            .map(|(from, _)| from)
    };
    // By the view's class: buffers that have one view only, and their bytes.
    let mut single: FxHashMap<u32, (u64, u64, Node)> = FxHashMap::default();
    for &data in memory {
        let mut views = behind(data, "backing_store").flat_map(|buffer| behind(buffer, "buffer"));
        let (Some(view), None) = (views.next(), views.next()) else {
            continue;
        };
        let (count, bytes, newest) = single
            .entry(snapshot.names[view as usize])
            .or_insert((0, 0, view));
        *count += 1;
        *bytes += snapshot.sizes.get(data);
        if snapshot.ids[view as usize] > snapshot.ids[*newest as usize] {
            *newest = view;
        }
    }
    let (_, (count, bytes, view)) = single.into_iter().max_by_key(|&(_, (count, ..))| count)?;
    let sentence = format!(
        "{count} of {} new ones are kept by a single {} each, {} bytes on average",
        memory.len(),
        snapshot.name(view),
        bytes / count,
    );
    Some((sentence, view))
}
