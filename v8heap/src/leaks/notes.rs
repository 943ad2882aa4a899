//! What the entries of a container keep that does not show: memory behind small views, long strings
//! behind short ones, what has to be closed.

use graph::Node;
use rustc_hash::FxHashSet;

use super::detached::{WINDOWS, is_detached, is_of_window};
use super::groups::{OF_PAGES, STREAMS};
use super::{View, async_contexts, reach};
use crate::scripts;
use crate::snapshot::Location;
use crate::ways::what;

/// Entries that are asked for the memory behind them.
const MOST_VIEWS: usize = 64;

/// Less memory behind an entry is not worth a word.
const MIN_BEHIND: u64 = 1024;

/// The sentences of a container, with what one of its new entries adds to them.
pub(super) fn of_entries(
    view: &View,
    one: Option<Node>,
    new: &[Node],
    is: &str,
    cure: &str,
) -> (String, String) {
    let plain = (is.to_owned(), cure.to_owned());
    let Some(one) = one else {
        return plain;
    };
    let snapshot = &view.analysis.snapshot;
    let internal = snapshot.edge_kind.internal;
    let size = |node: Node| snapshot.sizes.get(node);
    let mut nearby = std::iter::once(one).chain(own(view, one));
    if nearby.clone().any(|node| is_exchange(view, node)) {
        return (
            format!(
                "{is} Its entries are, or have, requests that a server was sent, or its responses: all of an exchange, its socket as well."
            ),
            "Take each out when its response is done or its client has gone (response.once('close', …) comes in both cases), or keep only the values that are needed.".to_owned(),
        );
    }
    if let Some(opened) = nearby.clone().find(|&node| is_opened(view, node)) {
        let class = snapshot.name(opened);
        let class = class.strip_prefix("Detached ").unwrap_or(&class);
        return (
            format!("{is} What is in it has to be closed: such as {class}."),
            format!(
                "{} Only then take them out of here, which closes nothing.",
                closing(class)
            ),
        );
    }
    if nearby.clone().any(|node| is_of_window(snapshot, node)) {
        return (WINDOWS.0.to_owned(), WINDOWS.1.to_owned());
    }
    let is_of_page = |node: Node| is_detached(snapshot, node);
    if !is_of_page(one) {
        let with = nearby.clone().chain(variables(view, one)).any(is_of_page);
        let keys = new.iter().filter(|&&node| is_of_page(node)).count() * 3 >= new.len();
        if with || keys {
            return (
                format!(
                    "{is} With its entries it keeps DOM nodes that are no longer in the document."
                ),
                format!(
                    "{cure} Forget an entry when its node is removed, or hold nodes by a WeakMap or a WeakRef."
                ),
            );
        }
    }
    let behind = |node: Node| {
        let buffer = snapshot.follow(node, internal, "buffer")?;
        snapshot.follow(buffer, internal, "backing_store")
    };
    // Small Buffers are pieces of one that Node keeps for them; so would a copy be.
    let pieces: Vec<Node> = new
        .iter()
        .take(MOST_VIEWS)
        .filter_map(|&node| {
            std::iter::once(node)
                .chain(own(view, node))
                .find_map(behind)
        })
        .collect();
    let whole: FxHashSet<Node> = pieces.iter().copied().collect();
    let memory = nearby
        .find_map(behind)
        .map(size)
        .filter(|&bytes| bytes >= MIN_BEHIND && whole.len() * 2 > pieces.len());
    if let Some(bytes) = memory {
        return (
            format!(
                "{is} Its entries are, or have, views of memory: each keeps all that is behind it, the newest {bytes} bytes."
            ),
            format!(
                "{cure} Where only a part is needed, keep a copy of the part (Buffer.from(view)), not a slice."
            ),
        );
    }
    if snapshot.name(one) == "WeakRef" {
        return (
            format!("{is} Its entries are WeakRefs, which stay when what they point to is gone."),
            format!(
                "{cure} Drop a WeakRef when its target goes (FinalizationRegistry), or key a WeakMap by the target."
            ),
        );
    }
    let class = snapshot.name(one);
    if class.ends_with("Subscriber") || class.ends_with("Subscription") {
        return (
            format!("{is} Its entries are subscriptions: each keeps its callback and all that that captures."),
            "Call unsubscribe() on each when its owner ends, or let what ends the owner end it (takeUntil).".to_owned(),
        );
    }
    if is_iterating(view, one) {
        let (is, cure) = match waiting(view, one) {
            Some(_) => ITERATED,
            None => ABANDONED,
        };
        return (is.to_owned(), cure.to_owned());
    }
    // What a package makes (compiled templates) the program cannot make otherwise.
    let is_own = || view.distance(snapshot.location(one)) == 0;
    if let Some((name, bytes)) = captured(view, one).filter(|_| is_own()) {
        return (
            format!(
                "{is} Its entries are functions: each keeps all variables of its scope that any function there uses, the largest {name} ({bytes} bytes)."
            ),
            format!("{cure} Make the functions where nothing large is in sight."),
        );
    }
    let long = (snapshot.kinds[one as usize] == snapshot.kind.sliced)
        .then(|| snapshot.follow(one, internal, "parent"))
        .flatten()
        .map(size)
        .filter(|&bytes| bytes >= MIN_BEHIND);
    match long {
        Some(bytes) => (
            format!(
                "{is} Its entries are parts of longer strings, and each keeps all of that string, the newest {bytes} bytes."
            ),
            format!(
                "{cure} Keep copies of the parts instead (JSON.parse(JSON.stringify(part)) makes one)."
            ),
        ),
        None => plain,
    }
}

/// What the functions of `events.on()` are called; the one without a name sees the first.
const ITERATING: [&str; 2] = ["eventHandler", "errorHandler"];

/// What there is to say of them while a function waits in its loop.
const ITERATED: (&str, &str) = (
    "Each is a loop over events.on() (for await) that still waits for its next event, with all that its function has.",
    "End each loop when its owner ends: break or return out of it, or give on() an AbortSignal ({ signal }).",
);

/// And if none waits any more.
const ABANDONED: (&str, &str) = (
    "Each is an iterator of events.on() that was left without an end: it still gets every event, and keeps those that nobody asks it for.",
    "Read it with for await, which ends it on every way out, or call its return(); or give on() an AbortSignal ({ signal }).",
);

/// Whether a function is one of the two of Node's own that `events.on()` adds for each loop.
pub(super) fn is_iterating(view: &View, function: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let name = snapshot.name(function);
    snapshot.kinds[function as usize] == snapshot.kind.closure
        && scripts::is_of_node(snapshot, function)
        && (ITERATING.contains(&&*name) || name.is_empty() && is_events_wrapper(view, function))
}

/// The function of the program that waits for what calls a function of Node's.
pub(super) fn waiting(view: &View, function: Node) -> Option<Location> {
    reach::function_near(view, function, |place| !view.scripts.is_internal(place))
}

/// Whether a function is made where `events.on()` has its handler.
fn is_events_wrapper(view: &View, function: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    snapshot
        .follow(function, snapshot.edge_kind.internal, "context")
        .and_then(|context| snapshot.follow(context, snapshot.edge_kind.context, ITERATING[0]))
        .is_some_and(|handler| scripts::is_of_node(snapshot, handler))
}

/// So many edges of an entry are looked at.
const MAX_OWN: usize = 64;

/// What an object has itself, as properties or elements.
fn own(view: &View, node: Node) -> impl Iterator<Item = Node> + Clone {
    let snapshot = &view.analysis.snapshot;
    let is_object = snapshot.kinds[node as usize] == snapshot.kind.object;
    let edges = snapshot
        .graph
        .of(node)
        .take(if is_object { MAX_OWN } else { 0 });
    edges
        .filter(|&edge| {
            let kind = snapshot.kind_of_edge(edge);
            (kind == snapshot.edge_kind.property || kind == snapshot.edge_kind.element)
                && view.is_new(snapshot.graph.to(edge))
        })
        .map(|edge| snapshot.graph.to(edge))
}

/// The new objects among the variables that a function captures.
fn variables(view: &View, closure: Node) -> impl Iterator<Item = Node> {
    let snapshot = &view.analysis.snapshot;
    let is_function = snapshot.kinds[closure as usize] == snapshot.kind.closure;
    let context = is_function
        .then(|| snapshot.follow(closure, snapshot.edge_kind.internal, "context"))
        .flatten();
    let edges = context
        .into_iter()
        .flat_map(|context| snapshot.graph.of(context));
    edges
        .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.context)
        .map(|edge| snapshot.graph.to(edge))
        .filter(|&to| view.is_new(to))
}

/// Of pages: what has memory outside of the heap until it is closed, or waits for something until then.
const CLOSED: [&str; 3] = ["ImageBitmap", "VideoFrame", "AudioData"];

/// Whether an object is one of Node's or of a page's that have to be closed.
pub(super) fn is_opened(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let name = snapshot.name(node);
    if snapshot.kinds[node as usize] == snapshot.kind.native {
        let name = name.strip_prefix("Detached ").unwrap_or(&name);
        return OF_PAGES.contains(&name) || CLOSED.contains(&name) || name.ends_with("Observer");
    }
    STREAMS.contains(&&*name) && is_of_node(view, node)
}

/// Whether an object is of one of Node's own classes.
fn is_of_node(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    snapshot.kinds[node as usize] == snapshot.kind.object
        && snapshot
            .location(node)
            .is_none_or(|location| view.scripts.is_internal(location))
}

/// Whether an object is a request that a server was sent, or its response; what a client was answered knows its request.
fn is_exchange(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let is_server = match &*snapshot.name(node) {
        "ServerResponse" => true,
        "IncomingMessage" => {
            let request = snapshot.follow(node, snapshot.edge_kind.property, "req");
            request.is_none_or(|request| snapshot.name(request) != "ClientRequest")
        }
        _ => false,
    };
    is_server && is_of_node(view, node)
}

/// How things of a class of Node's or of a page's are closed.
pub(super) fn closing(class: &str) -> &'static str {
    match class {
        "XMLHttpRequest" => "Call abort() on those that hang, or give each a timeout.",
        "MessagePort" | "BroadcastChannel" => {
            "Call close() on each when nothing more will be sent."
        }
        "ImageBitmap" | "VideoFrame" | "AudioData" => {
            "Call close() on each when it has been drawn or read: its pixels or samples are no part of this heap."
        }
        "Worker" | "SharedWorker" => {
            "Call terminate() on each when its work is done, or use a few for all work (a pool)."
        }
        "ChildProcess" => {
            "Wait for each, and kill() those that hang; close their pipes (stdin.end())."
        }
        "ResizeObserver" | "IntersectionObserver" | "MutationObserver" | "PerformanceObserver" => {
            "Call disconnect() on each when what it observes is removed."
        }
        "Agent" => "Make one Agent for all requests, and destroy() those that are done with.",
        "IncomingMessage" | "ClientRequest" => {
            "Read each response to its end (resume() throws it away) or destroy() it, errors and time-outs included."
        }
        "ClientHttp2Session" | "ServerHttp2Session" | "Server" | "Interface" | "FileHandle"
        | "FSWatcher" | "StatWatcher" | "AudioContext" | "EventSource" | "IDBDatabase"
        | "RTCPeerConnection" | "WebSocket" | "WebTransport" => {
            "Call close() on each on every way out, errors included."
        }
        _ => {
            "Call destroy() or close() on every way out, errors included (pipeline() does), and set time-outs."
        }
    }
}

/// The largest variable that a function captures, and its bytes.
pub(super) fn captured(view: &View, closure: Node) -> Option<(String, u64)> {
    let snapshot = &view.analysis.snapshot;
    if snapshot.kinds[closure as usize] != snapshot.kind.closure {
        return None;
    }
    let context = snapshot.follow(closure, snapshot.edge_kind.internal, "context")?;
    let variables = snapshot.graph.of(context).filter(|&edge| {
        snapshot.kind_of_edge(edge) == snapshot.edge_kind.context
            && view.is_new(snapshot.graph.to(edge))
    });
    let bytes = |edge| view.analysis.retained[snapshot.graph.to(edge) as usize];
    let largest = variables.max_by_key(|&edge| bytes(edge))?;
    (bytes(largest) >= MIN_BEHIND)
        .then(|| (snapshot.edge_name(largest).into_owned(), bytes(largest)))
}

/// So many of the new objects are looked at.
const LOOKED_AT: usize = 16;

/// That most of some new objects each keep the store of an AsyncLocalStorage, which is not in sight in the
/// program: it was there when they were made.
pub(super) fn store(view: &View, new: &[Node]) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let some = new.iter().rev().take(LOOKED_AT);
    let stores: Vec<Node> = some
        .clone()
        .filter_map(|&node| async_contexts::of(snapshot, node))
        .filter(|&store| view.is_new(store))
        .collect();
    let store = stores.first().filter(|_| stores.len() * 2 > some.len())?;
    let bytes = view.analysis.retained[*store as usize];
    let what = what(snapshot, &view.scripts, *store);
    Some(format!(
        "each keeps the store of an AsyncLocalStorage, in which it was made: {what} ({bytes} bytes in the newest)"
    ))
}
