//! Nodes of pages that are in no document, and windows that were closed.

use graph::Node;

use crate::snapshot::{Snapshot, detachedness};

/// Whether something is a node of a page outside of its document.
pub(super) fn is_detached(snapshot: &Snapshot, node: Node) -> bool {
    let states = snapshot.detachedness.as_ref();
    // Node's own objects outside of V8 are not of a document; an observer is no node, only what it observes.
    let name = snapshot.name(node);
    let of_page = !name.contains("Node / ") && !name.ends_with("Observer");
    of_page && states.is_some_and(|states| states[node as usize] & 3 == detachedness::DETACHED)
}

/// A window takes its whole document and all of its globals along.
pub(super) const WINDOWS: (&str, &str) = (
    "Windows that were closed, or frames that were taken out of the document, are kept by a script that still has them, their nodes or their functions.",
    "Forget a window and all that came from it when it is closed or its frame is removed, and remove the listeners that were added to it.",
);

/// Whether what is no longer in a document is a window of its own.
pub(super) fn is_window(name: &str) -> bool {
    name.strip_prefix("Detached ")
        .is_some_and(|name| name == "Window" || name.starts_with("Window /"))
}

/// The window that an object or a function was made in, or that an object is.
fn window(snapshot: &Snapshot, node: Node) -> Option<Node> {
    let internal = snapshot.edge_kind.internal;
    if is_window(&snapshot.name(node)) {
        return Some(node);
    }
    let closure = match snapshot.kinds[node as usize] == snapshot.kind.closure {
        true => node,
        false => {
            let map = snapshot.follow(node, internal, "map")?;
            snapshot.follow(map, internal, "constructor")?
        }
    };
    let around = |&context: &Node| snapshot.follow(context, internal, "previous");
    std::iter::successors(snapshot.follow(closure, internal, "context"), around)
        .find_map(|context| snapshot.follow(context, internal, "global_proxy_object"))
}

/// Whether an object is a closed window, or comes from one.
pub(super) fn is_of_window(snapshot: &Snapshot, node: Node) -> bool {
    window(snapshot, node).is_some_and(|window| is_window(&snapshot.name(window)))
}
