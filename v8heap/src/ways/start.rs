//! Where ways begin, and what it costs to begin there: the less, the more it says.

use graph::{Edge, Node};

use crate::scopes::Scopes;
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;

/// V8's own, and the globals.
pub(super) fn roots(snapshot: &Snapshot) -> Vec<(Node, u16)> {
    const GLOBAL: u16 = 4;
    const OF_THE_EMBEDDER: u16 = 12;
    const ROOT: u16 = 100;
    let mut all: Vec<(Node, u16)> = crate::figures::user_roots(snapshot)
        .map(|node| (node, OF_THE_EMBEDDER))
        .collect();
    all.extend(globals(snapshot).map(|node| (node, GLOBAL)));
    all.extend(process(snapshot).map(|node| (node, GLOBAL)));
    // Handles and sockets that Node keeps open.
    let embedder = snapshot
        .graph
        .of(snapshot.root)
        .map(|edge| snapshot.graph.to(edge))
        .filter(|&node| snapshot.name(node).starts_with("Node / "));
    all.extend(embedder.map(|node| (node, OF_THE_EMBEDDER)));
    all.push((snapshot.root, ROOT));
    all
}

/// Variables of files, exports of modules, lists of timers.
pub(super) fn of_the_program(
    snapshot: &Snapshot,
    scripts: &Scripts,
    scopes: &Scopes,
) -> Vec<(Node, u16)> {
    const VARIABLE: u16 = 1;
    const INTERNAL: u16 = 50;
    const EXPORTS: u16 = 4;
    const TIMERS: u16 = 6;
    let cost = |internal| if internal { INTERNAL } else { VARIABLE };
    let mut all: Vec<(Node, u16)> = scopes
        .contexts()
        .map(|(scope, file)| (scope, cost(file.internal)))
        .chain(scopes.cells().map(|(cell, export)| {
            let internal = export.file.is_some_and(|file| file.internal);
            (cell, cost(internal))
        }))
        .collect();
    for node in 0..snapshot.graph.nodes() as Node {
        if crate::scopes::common_js_file(snapshot, node).is_some() {
            all.push((node, EXPORTS));
        } else if is_timers(snapshot, scripts, node) {
            all.push((node, TIMERS));
        }
    }
    all
}

/// A list of Node's timers.
pub(super) fn is_timers(snapshot: &Snapshot, scripts: &Scripts, node: Node) -> bool {
    snapshot.kinds[node as usize] == snapshot.kind.object
        && matches!(
            snapshot.strings.raw(snapshot.names[node as usize]),
            b"TimersList" | b"ImmediateList"
        )
        && snapshot
            .location(node)
            .is_none_or(|location| scripts.is_internal(location))
}

/// The global objects, and what stands for them in pages.
fn globals(snapshot: &Snapshot) -> impl Iterator<Item = Node> + '_ {
    let internal = snapshot.edge_kind.internal;
    let (object, native) = (snapshot.kind.object, snapshot.kind.native);
    crate::scopes::native_contexts(snapshot)
        .flat_map(move |context| {
            ["global_object", "global_proxy_object", "extension"]
                .into_iter()
                .filter_map(move |name| snapshot.follow(context, internal, name))
        })
        .filter(move |&node| [object, native].contains(&snapshot.kinds[node as usize]))
}

/// Node's `process`, which is a getter of the global object.
fn process(snapshot: &Snapshot) -> Option<Node> {
    let name = snapshot.strings.find("process_object")?;
    let edge = (0..snapshot.graph.edges() as Edge).find(|&edge| {
        snapshot.edge_names[edge as usize] == name
            && snapshot.kind_of_edge(edge) == snapshot.edge_kind.internal
    })?;
    Some(snapshot.graph.to(edge))
}

/// What keeps something that begins at one of V8's own roots.
pub(super) fn name_of_root(name: &str) -> &str {
    match name {
        "(Stack roots)" => "running code (the stack)",
        "(Handle scope)" => "running native code (handles)",
        "(Global handles)" | "(Traced handles)" | "(Eternal handles)" => {
            "native code (global handles)"
        }
        "(Micro tasks)" => "tasks to be run next (microtasks)",
        "C++ Persistent roots" | "C++ CrossThreadPersistent roots" => {
            "native code (references of C++)"
        }
        "(Compilation cache)" => "compiled code (compilation cache)",
        _ => name,
    }
}

/// What it costs to begin at one of V8's own roots.
pub(super) fn of_root(snapshot: &Snapshot, root: Node) -> u16 {
    match snapshot.strings.raw(snapshot.names[root as usize]) {
        b"(Global handles)" | b"(Traced handles)" | b"(Eternal handles)" | b"(Micro tasks)" => 10,
        // What happens to run.
        b"(Stack roots)" | b"(Handle scope)" => 400,
        b"(Internalized strings)"
        | b"(External strings)"
        | b"(Bootstrapper)"
        | b"(Compilation cache)" => 600,
        _ => 200,
    }
}
