//! Groups of objects of which there are more in every snapshot: what no container counts.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use super::async_contexts;
use super::callbacks::{self, callback};
use super::detached::is_detached;
use super::registered::{self, Registered};
use super::targets::{self, Targets};
use crate::figures::Analysis;
use crate::scripts;
use crate::snapshot::{Location, Snapshot};

/// What makes objects a group; the same in all snapshots of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// By the callback.
    Timers(Option<Location>),
    /// By the callback.
    Intervals(Option<Location>),
    /// Of a page: what is to be called before the next frame, by the function.
    Frames(Location),
    /// By the function that waits.
    Promises(Option<Location>),
    /// Calls of an async function that wait.
    Suspended(Location),
    /// Of an EventTarget: what that is called and the event, if they are known, and the listener.
    Listeners {
        target: String,
        event: Option<String>,
        location: Location,
    },
    /// By class.
    Streams(String),
    /// By name.
    Detached(String),
    /// What AsyncLocalStorage keeps for asynchronous work.
    AsyncContexts,
    /// What was printed to a console that DevTools, or another inspector, looks at.
    Printed,
    /// Of ArrayBuffers.
    Buffers,
    /// Copies of one string, by its text (V8 writes the first 1,024 characters) and bytes.
    Copies(Name, u64),
    /// By what was registered.
    Registered(Registered),
    /// Of functions.
    Closures(Location),
    /// By constructor.
    Objects(Name, Location),
}

/// The name of a group of which there are so many objects that they are told apart by numbers first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// The number of a string.
    Number(u32),
    Text(String),
}

impl Group {
    /// The same in all snapshots.
    fn spelled(mut self, snapshot: &Snapshot) -> Group {
        if let Group::Copies(name, _) | Group::Objects(name, _) = &mut self
            && let Name::Number(number) = name
        {
            *name = Name::Text(snapshot.strings.get(*number).into_owned());
        }
        self
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Name::Number(_) => "",
            Name::Text(text) => text,
        }
    }
}

/// The sums of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) count: u64,
    pub(super) retained: u64,
    /// The one with the highest id, and its retained bytes.
    pub(super) newest: Node,
}

pub(super) type Groups = FxHashMap<Group, Sum>;

/// Things of Node that have to be closed.
pub(super) const STREAMS: [&str; 30] = [
    "Agent",
    "Socket",
    "TLSSocket",
    "Server",
    "ReadStream",
    "WriteStream",
    "FileHandle",
    "ClientRequest",
    "IncomingMessage",
    "ServerResponse",
    "Readable",
    "Writable",
    "Duplex",
    "Transform",
    "PassThrough",
    "Gzip",
    "Gunzip",
    "Deflate",
    "Inflate",
    "ChildProcess",
    "Worker",
    "MessagePort",
    "ClientHttp2Session",
    "ServerHttp2Session",
    "Interface",
    "FSWatcher",
    "StatWatcher",
    "BroadcastChannel",
    "BrotliCompress",
    "BrotliDecompress",
];

/// Things of pages that have to be closed: Blink keeps them while they may have something to tell.
pub(super) const OF_PAGES: [&str; 11] = [
    "AudioContext",
    "BroadcastChannel",
    "EventSource",
    "IDBDatabase",
    "MessagePort",
    "RTCPeerConnection",
    "SharedWorker",
    "WebSocket",
    "WebTransport",
    "Worker",
    "XMLHttpRequest",
];

/// The groups of a snapshot, and the one of each node.
pub(super) struct Grouped {
    pub(super) sums: Groups,
    /// By node: 1 + the place in `all`, or 0.
    pub(super) of: Vec<u32>,
    pub(super) all: Vec<Group>,
    /// Where listeners are.
    pub(super) targets: Targets,
}

/// How many dominators above a node are looked at for one of the same group: the links of a list
/// must not be counted again and again.
const NESTED: usize = 4;

/// Fewer copies of a string are no group.
const MIN_COPIES: u32 = 10;
/// Copies of a string that grow by fewer bytes are nothing to look at.
pub(super) const MIN_COPIED: u64 = 4096;

/// All groups of a snapshot.
pub(super) fn groups(analysis: &Analysis) -> Grouped {
    let snapshot = &analysis.snapshot;
    let names = Names::new(snapshot);
    let mut numbers: FxHashMap<Group, u32> = FxHashMap::default();
    let mut all = Vec::new();
    // Strings with a size by the number of their text.
    let mut copies = vec![0u32; snapshot.strings.len()];
    for node in 0..snapshot.graph.nodes() as Node {
        if let Some((text, _)) = copied(snapshot, node) {
            copies[text as usize] += 1;
        }
    }
    let of: Vec<u32> = (0..snapshot.graph.nodes() as Node)
        .map(|node| {
            let found = group(snapshot, &names, node).or_else(|| {
                let (text, size) = copied(snapshot, node)?;
                (copies[text as usize] >= MIN_COPIES)
                    .then_some(Group::Copies(Name::Number(text), size))
            });
            let Some(group) = found else {
                return 0;
            };
            if let Some(&number) = numbers.get(&group) {
                return number;
            }
            all.push(group.clone().spelled(snapshot));
            numbers.insert(group, all.len() as u32);
            all.len() as u32
        })
        .collect();
    let mut sums = vec![Sum::default(); all.len()];
    for (node, &number) in of.iter().enumerate() {
        if number == 0 {
            continue;
        }
        let sum = &mut sums[number as usize - 1];
        sum.count += 1;
        if sum.count == 1 || snapshot.ids[node] > snapshot.ids[sum.newest as usize] {
            sum.newest = node as Node;
        }
        let parents = &analysis.dominators.parent;
        let above =
            std::iter::successors(Some(parents[node]), |&above| Some(parents[above as usize]));
        if !above.take(NESTED).any(|above| of[above as usize] == number) {
            sum.retained += analysis.retained[node];
        }
    }
    Grouped {
        sums: all.iter().cloned().zip(sums).collect(),
        of,
        all,
        targets: names.targets,
    }
}

/// The text's number and the bytes of a string that has some.
fn copied(snapshot: &Snapshot, node: Node) -> Option<(u32, u64)> {
    let size = snapshot.sizes.get(node);
    let wanted = snapshot.kinds[node as usize] == snapshot.kind.string && size > 0;
    wanted.then(|| (snapshot.names[node as usize], size))
}

/// The numbers of names that are asked for often.
struct Names {
    timeout: Option<u32>,
    promise: Option<u32>,
    generator: Option<u32>,
    listener: Option<u32>,
    dom_listener: Option<u32>,
    dom_timer: Option<u32>,
    frames: [Option<u32>; 2],
    of_pages: Vec<u32>,
    data: Option<u32>,
    request: Option<u32>,
    worker: Option<u32>,
    /// Of calls of async functions that wait.
    of_calls: FxHashSet<Node>,
    streams: Vec<u32>,
    /// Classes that are called like those, of other code than Node's.
    others: FxHashSet<Location>,
    async_contexts: FxHashSet<Node>,
    printed: FxHashSet<Node>,
    targets: Targets,
    registered: registered::Names,
}

impl Names {
    fn new(snapshot: &Snapshot) -> Names {
        let find = |name| snapshot.strings.find(name);
        let streams: Vec<u32> = STREAMS.iter().filter_map(|name| find(name)).collect();
        Names {
            timeout: find("Timeout"),
            promise: find("Promise"),
            generator: find("Generator"),
            listener: find("Listener"),
            dom_listener: find(targets::LISTENER),
            dom_timer: find("DOMTimer"),
            frames: [
                find("V8FrameRequestCallback"),
                find("V8IdleRequestCallback"),
            ],
            of_pages: OF_PAGES.iter().filter_map(|name| find(name)).collect(),
            data: find("system / JSArrayBufferData"),
            request: find("system / AsyncGeneratorRequest"),
            worker: find("Worker"),
            of_calls: of_calls(snapshot, find("Generator"), find("Promise")),
            others: others(snapshot, &streams),
            streams,
            async_contexts: async_contexts::find(snapshot),
            printed: printed(snapshot),
            targets: targets::find(snapshot),
            registered: registered::Names::new(snapshot),
        }
    }
}

/// Where the classes stand that have some names, in other code than Node's.
fn others(snapshot: &Snapshot, names: &[u32]) -> FxHashSet<Location> {
    let named = snapshot.locations.iter().filter(|&&(node, _)| {
        snapshot.kinds[node as usize] == snapshot.kind.closure
            && names.contains(&snapshot.names[node as usize])
    });
    named
        .filter(|&&(node, _)| !scripts::is_of_node(snapshot, node))
        .map(|&(_, location)| location)
        .collect()
}

impl Names {
    /// Whether an object is of a class that only is called like one of Node's, and is no stream.
    fn is_other(&self, snapshot: &Snapshot, node: Node) -> bool {
        let has = |name| snapshot.follow(node, snapshot.edge_kind.property, name);
        snapshot
            .location(node)
            .is_some_and(|location| self.others.contains(&location))
            && has("_readableState").is_none()
            && has("_writableState").is_none()
    }

    /// The group of a listener.
    fn listener(&self, snapshot: &Snapshot, node: Node, location: Location) -> Group {
        let target = self.targets.get(&node);
        let event = target.and_then(|target| target.event);
        Group::Listeners {
            target: target.map_or(String::new(), |target| {
                targets::called(snapshot, target.node)
            }),
            event: event.map(|event| snapshot.strings.get(event).into_owned()),
            location,
        }
    }
}

fn group(snapshot: &Snapshot, names: &Names, node: Node) -> Option<Group> {
    let kind = snapshot.kinds[node as usize];
    let name = snapshot.names[node as usize];
    if kind == snapshot.kind.closure {
        return snapshot.location(node).map(Group::Closures);
    }
    if let Some(registered) = names.registered.of(snapshot, node) {
        return Some(Group::Registered(registered));
    }
    if kind == snapshot.kind.native {
        if Some(name) == names.data {
            return Some(Group::Buffers);
        }
        if Some(name) == names.dom_listener {
            return Some(names.listener(snapshot, node, callback(snapshot, node)?));
        }
        if Some(name) == names.dom_timer {
            return callback(snapshot, node).map(|location| Group::Timers(Some(location)));
        }
        if names.frames.contains(&Some(name)) {
            return callback(snapshot, node).map(Group::Frames);
        }
        if names.of_pages.contains(&name) {
            return Some(Group::Streams(snapshot.name(node).into_owned()));
        }
        return is_detached(snapshot, node)
            .then(|| Group::Detached(snapshot.name(node).into_owned()));
    }
    if names.async_contexts.contains(&node) {
        return Some(Group::AsyncContexts);
    }
    if names.printed.contains(&node) {
        return Some(Group::Printed);
    }
    if kind != snapshot.kind.object {
        return None;
    }
    let property = snapshot.edge_kind.property;
    if Some(name) == names.timeout {
        let callback = snapshot.follow(node, property, "_onTimeout")?;
        if snapshot.kinds[callback as usize] != snapshot.kind.closure {
            return None;
        }
        // null once, a number again and again; small numbers leave no edge.
        let once = snapshot
            .follow(node, property, "_repeat")
            .is_some_and(|repeat| snapshot.kinds[repeat as usize] != snapshot.kind.number);
        let location = callbacks::place(snapshot, callback);
        return Some(if once {
            Group::Timers(location)
        } else {
            Group::Intervals(location)
        });
    }
    if Some(name) == names.promise {
        // It will be settled by a call that waits, which is told itself.
        if names.of_calls.contains(&node) {
            return None;
        }
        let reaction = snapshot.follow(node, snapshot.edge_kind.internal, "reactions_or_result")?;
        return (snapshot.name(reaction) == "system / PromiseReaction")
            .then(|| Group::Promises(waiter(snapshot, reaction)));
    }
    if Some(name) == names.generator && promise_of(snapshot, names.promise, node).is_some()
        || is_waiting_generator(snapshot, names, node)
    {
        return snapshot.location(node).map(Group::Suspended);
    }
    // Those that C++ makes for the objects of that name have no constructor.
    if names.worker == Some(name) && snapshot.location(node).is_none() {
        return None;
    }
    // What Node's EventTarget keeps of a listener.
    if Some(name) == names.listener
        && let Some(callback) = snapshot.follow(node, property, "callback")
        && let Some(location) = callbacks::place(snapshot, callback)
    {
        return Some(names.listener(snapshot, node, location));
    }
    if names.streams.contains(&name) && !names.is_other(snapshot, node) {
        return Some(Group::Streams(snapshot.name(node).into_owned()));
    }
    let location = snapshot.location(node)?;
    Some(Group::Objects(Name::Number(name), location))
}

/// How the console's references end, which have numbers.
pub(super) const CONSOLE: &str = " / DevTools console";

/// Objects that the console keeps because they were printed.
fn printed(snapshot: &Snapshot) -> FxHashSet<Node> {
    let roots = snapshot.strings.find("(Global handles)");
    let is_roots = |&node: &Node| Some(snapshot.names[node as usize]) == roots;
    (0..snapshot.graph.nodes() as Node)
        .filter(is_roots)
        .flat_map(|node| snapshot.graph.of(node))
        .filter(|&edge| {
            snapshot.has_string_name(edge) && snapshot.edge_name(edge).ends_with(CONSOLE)
        })
        .map(|edge| snapshot.graph.to(edge))
        .filter(|&to| snapshot.kinds[to as usize] == snapshot.kind.object)
        .collect()
}

/// The promises of calls of async functions that have not returned.
fn of_calls(snapshot: &Snapshot, generator: Option<u32>, promise: Option<u32>) -> FxHashSet<Node> {
    let is_generator = |&node: &Node| Some(snapshot.names[node as usize]) == generator;
    (0..snapshot.graph.nodes() as Node)
        .filter(is_generator)
        .filter_map(|node| promise_of(snapshot, promise, node))
        .collect()
}

/// The promise of a call of an async function, by its generator's object: V8 keeps it there, without a name.
fn promise_of(snapshot: &Snapshot, promise: Option<u32>, generator: Node) -> Option<Node> {
    let mut edges = snapshot.graph.of(generator);
    let found = edges.find(|&edge| {
        snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden
            && Some(snapshot.names[snapshot.graph.to(edge) as usize]) == promise
    });
    found.map(|edge| snapshot.graph.to(edge))
}

/// Whether an object is that of an async generator that was asked for something it has not got.
fn is_waiting_generator(snapshot: &Snapshot, names: &Names, node: Node) -> bool {
    names.request.is_some()
        && snapshot.graph.of(node).any(|edge| {
            snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden
                && Some(snapshot.names[snapshot.graph.to(edge) as usize]) == names.request
        })
}

/// The function that goes on when a promise is settled: nearby, behind V8's own.
fn waiter(snapshot: &Snapshot, reaction: Node) -> Option<Location> {
    let mut list = vec![reaction];
    let mut next = 0;
    while next < list.len() && list.len() < 60 {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let name = snapshot.edge_name(edge);
            let of = snapshot.kind_of_edge(edge);
            let kind = &snapshot.edge_kind;
            let inner = of == kind.internal || of == kind.context || of == kind.hidden;
            // Not out into everything.
            let away = matches!(
                &*name,
                "map"
                    | "native_context"
                    | "shared"
                    | "code"
                    | "feedback_cell"
                    | "scope_info"
                    | "global_proxy_object"
            ) || snapshot.name(to).starts_with("system / NativeContext");
            if !inner || away {
                continue;
            }
            if snapshot.kinds[to as usize] == snapshot.kind.closure
                && let Some(location) = snapshot.location(to)
            {
                return Some(location);
            }
            if !list.contains(&to) {
                list.push(to);
            }
        }
    }
    None
}
