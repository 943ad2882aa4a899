//! Groups of objects of which there are more in every snapshot: what no container counts.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use super::words::Pattern;
use super::{Leak, Measures, View, async_contexts, grows, reach, views};
use crate::figures::Analysis;
use crate::functions::Wanted;
use crate::snapshot::{Location, Snapshot, detachedness};

/// What makes objects a group; the same in all snapshots of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// By the callback.
    Timers(Option<Location>),
    /// By the callback.
    Intervals(Option<Location>),
    /// By the function that waits.
    Promises(Option<Location>),
    /// Calls of an async function that wait.
    Suspended(Location),
    /// Of an EventTarget, by the listener.
    Listeners(Location),
    /// By class.
    Streams(String),
    /// By name.
    Detached(String),
    /// What AsyncLocalStorage keeps for asynchronous work.
    AsyncContexts,
    /// Of ArrayBuffers.
    Buffers,
    /// Copies of one string, by its text (V8 writes the first 1,024 characters) and bytes.
    Copies(String, u64),
    /// Of functions.
    Closures(Location),
    /// By constructor.
    Objects(String, Location),
}

/// The sums of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    count: u64,
    retained: u64,
    /// The one with the highest id, and its retained bytes.
    newest: Node,
}

pub(super) type Groups = FxHashMap<Group, Sum>;

/// Things of Node that have to be closed.
const STREAMS: [&str; 29] = [
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

/// The groups of a snapshot, and the one of each node.
pub(super) struct Grouped {
    pub(super) sums: Groups,
    /// By node: 1 + the place in `all`, or 0.
    of: Vec<u32>,
    all: Vec<Group>,
}

/// How many dominators above a node are looked at for one of the same group: the links of a list
/// must not be counted again and again.
const NESTED: usize = 4;

/// Fewer copies of a string are no group.
const MIN_COPIES: u32 = 10;
/// Copies of a string that grow by fewer bytes are nothing to look at.
const MIN_COPIED: u64 = 4096;

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
                    .then(|| Group::Copies(snapshot.name(node).into_owned(), size))
            });
            let Some(group) = found else {
                return 0;
            };
            *numbers.entry(group.clone()).or_insert_with(|| {
                all.push(group);
                all.len() as u32
            })
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
    data: Option<u32>,
    streams: Vec<u32>,
    async_contexts: FxHashSet<Node>,
}

impl Names {
    fn new(snapshot: &Snapshot) -> Names {
        let find = |name| snapshot.strings.find(name);
        Names {
            timeout: find("Timeout"),
            promise: find("Promise"),
            generator: find("Generator"),
            listener: find("Listener"),
            dom_listener: find("V8EventListener"),
            dom_timer: find("DOMTimer"),
            data: find("system / JSArrayBufferData"),
            streams: STREAMS.iter().filter_map(|name| find(name)).collect(),
            async_contexts: async_contexts::find(snapshot),
        }
    }
}

fn group(snapshot: &Snapshot, names: &Names, node: Node) -> Option<Group> {
    let kind = snapshot.kinds[node as usize];
    let name = snapshot.names[node as usize];
    if kind == snapshot.kind.closure {
        return snapshot.location(node).map(Group::Closures);
    }
    if kind == snapshot.kind.native {
        if Some(name) == names.data {
            return Some(Group::Buffers);
        }
        if Some(name) == names.dom_listener {
            return callback(snapshot, node).map(Group::Listeners);
        }
        if Some(name) == names.dom_timer {
            return callback(snapshot, node).map(|location| Group::Timers(Some(location)));
        }
        return is_detached(snapshot, node)
            .then(|| Group::Detached(snapshot.name(node).into_owned()));
    }
    if names.async_contexts.contains(&node) {
        return Some(Group::AsyncContexts);
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
        let location = snapshot.location(callback);
        return Some(if once {
            Group::Timers(location)
        } else {
            Group::Intervals(location)
        });
    }
    if Some(name) == names.promise {
        let reaction = snapshot.follow(node, snapshot.edge_kind.internal, "reactions_or_result")?;
        return (snapshot.name(reaction) == "system / PromiseReaction")
            .then(|| Group::Promises(waiter(snapshot, reaction)));
    }
    if Some(name) == names.generator && awaits(snapshot, names, node) {
        return snapshot.location(node).map(Group::Suspended);
    }
    // What Node's EventTarget keeps of a listener.
    if Some(name) == names.listener
        && let Some(callback) = snapshot.follow(node, property, "callback")
        && let Some(location) = snapshot.location(callback)
    {
        return Some(Group::Listeners(location));
    }
    if names.streams.contains(&name) {
        return Some(Group::Streams(snapshot.name(node).into_owned()));
    }
    let location = snapshot.location(node)?;
    Some(Group::Objects(snapshot.name(node).into_owned(), location))
}

/// The function behind a timer or a listener of Blink's, one or two of its own objects away.
fn callback(snapshot: &Snapshot, node: Node) -> Option<Location> {
    let mut list = vec![node];
    let mut next = 0;
    while next < list.len() && next < 4 {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if snapshot.kinds[to as usize] == snapshot.kind.closure {
                return snapshot.location(to);
            }
            if matches!(&*snapshot.name(to), "ScheduledAction" | "V8Function") {
                list.push(to);
            }
        }
    }
    None
}

/// Whether a generator's object is that of an async function: V8 keeps the call's promise in it, without
/// a name.
fn awaits(snapshot: &Snapshot, names: &Names, node: Node) -> bool {
    snapshot.graph.of(node).any(|edge| {
        snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden
            && Some(snapshot.names[snapshot.graph.to(edge) as usize]) == names.promise
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

/// A group that grows.
#[derive(Debug)]
pub(super) struct Grown<'a> {
    group: &'a Group,
    sum: Sum,
    pub(super) counts: Vec<u64>,
    pub(super) retained: Vec<u64>,
    /// Those that have come since the first snapshot.
    pub(super) new: Vec<Node>,
}

impl Grown<'_> {
    /// Whether what it consists of is a leak by its kind, whatever holds it.
    pub(super) fn is_of_a_kind(&self) -> bool {
        !matches!(self.group, Group::Objects(..) | Group::Closures(_))
    }
}

/// The groups that grow.
pub(super) fn grown<'a>(view: &View, last: &'a Grouped, earlier: &[Measures]) -> Vec<Grown<'a>> {
    let mut found = Vec::new();
    let mut wanted = vec![usize::MAX; last.all.len() + 1];
    for (number, group) in (1..).zip(&last.all) {
        let Some(&sum) = last.sums.get(group) else {
            continue;
        };
        let of = |measures: &Measures| measures.groups.get(group).copied().unwrap_or_default();
        let counts: Vec<u64> = earlier
            .iter()
            .map(|m| of(m).count)
            .chain([sum.count])
            .collect();
        let retained: Vec<u64> = earlier
            .iter()
            .map(|m| of(m).retained)
            .chain([sum.retained])
            .collect();
        let least = match group {
            Group::Copies(..) => MIN_COPIED,
            _ => 1,
        };
        let grown = retained.last().zip(retained.first());
        if grows(&counts) && grown.is_some_and(|(last, first)| *last >= first + least) {
            wanted[number] = found.len();
            found.push(Grown {
                group,
                sum,
                counts,
                retained,
                new: Vec::new(),
            });
        }
    }
    for (node, &of) in (0..).zip(&last.of) {
        if let Some(grown) = found.get_mut(wanted[of as usize])
            && view.is_new(node)
        {
            grown.new.push(node);
        }
    }
    found.retain(|grown| !grown.new.is_empty());
    found
}

/// What says more than the sockets and ports that come with it.
const WHOLE: [&str; 8] = [
    "Worker",
    "ChildProcess",
    "Server",
    "ClientRequest",
    "ClientHttp2Session",
    "ServerHttp2Session",
    "Interface",
    "FSWatcher",
];

/// Whether something is kept by a stream, a port, or a detached node that is new itself.
fn is_of_something_new(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    view.ways.raw(view.analysis, node).iter().any(|&(from, _)| {
        view.is_new(from)
            && (STREAMS.contains(&&*snapshot.name(from)) || is_detached(snapshot, from))
    })
}

/// Whether something is kept by a new function of the user's.
fn is_of_closure(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    view.ways.raw(view.analysis, node).iter().any(|&(from, _)| {
        view.is_new(from)
            && snapshot.kinds[from as usize] == snapshot.kind.closure
            && view.distance(snapshot.location(from)) < 2
    })
}

/// Whether something is a node of a page outside of its document.
fn is_detached(snapshot: &Snapshot, node: Node) -> bool {
    let states = snapshot.detachedness.as_ref();
    // Node's own objects outside of V8 are not of a document.
    let of_page = !snapshot.name(node).contains("Node / ");
    of_page && states.is_some_and(|states| states[node as usize] & 3 == detachedness::DETACHED)
}

/// The rank of copies of strings.
pub(super) const COPIES: u8 = 110;

/// Strong evidence is low.
pub(super) fn rank(view: &View, grown: &Grown) -> u8 {
    let own = |location: &Option<Location>| {
        location.is_some_and(|location| !view.scripts.is_internal(location))
    };
    match grown.group {
        Group::Detached(_) => 20,
        Group::Timers(location) | Group::Intervals(location) if !own(location) => 65,
        // A package's timers come with what they watch.
        Group::Timers(location) | Group::Intervals(location) if view.distance(*location) > 0 => 43,
        Group::Listeners(_) if is_of_something_new(view, grown.sum.newest) => 43,
        Group::Timers(_) | Group::Intervals(_) | Group::Listeners(_) => 19,
        Group::Streams(class) if WHOLE.contains(&&**class) => 40,
        Group::Streams(class) if class == "MessagePort" || class == "FileHandle" => 42,
        Group::Streams(_) => 41,
        Group::Promises(location) if !own(location) => 66,
        Group::Promises(_) => 50,
        Group::AsyncContexts | Group::Suspended(_) => 60,
        // Kept by functions that are new as well, which are told instead.
        Group::Objects(..) if is_of_closure(view, grown.sum.newest) => 92,
        Group::Objects(..) => 80,
        Group::Closures(_) => 90,
        Group::Buffers => 100,
        Group::Copies(..) => COPIES,
    }
}

/// What there is to say of a group, and its place.
pub(super) fn describe(view: &View, grown: &Grown) -> Option<(Leak, Option<Location>)> {
    let Grown {
        group, sum, new, ..
    } = grown;
    let snapshot = &view.analysis.snapshot;
    let count = sum.count;
    let node = sum.newest;
    let user = |location: &Option<Location>| {
        location.filter(|&location| !view.scripts.is_internal(location))
    };
    let callback = |location: &Option<Location>| {
        let location = user(location)?;
        Some(
            view.functions
                .around(location)
                .unwrap_or((String::new(), location)),
        )
    };
    let at = |location: &Option<Location>| {
        location.map_or(String::new(), |location| {
            format!(" of {}", view.scripts.place(location))
        })
    };
    let (pattern, what, place) = match group {
        // Blink's timers do not tell whether they repeat; the code around the callback does.
        Group::Timers(location)
            if snapshot.kinds[node as usize] == snapshot.kind.native
                && location.is_some_and(|location| {
                    let around = |word| {
                        let word = snapshot.strings.find(word);
                        view.functions.around_names(location, word)
                    };
                    around("setInterval") && !around("setTimeout")
                }) =>
        {
            (
                Pattern::Intervals,
                format!("{count} intervals{}", at(location)),
                callback(location),
            )
        }
        Group::Timers(location) => (
            Pattern::Timers,
            format!("{count} timers{}", at(location)),
            callback(location),
        ),
        Group::Intervals(location) => (
            Pattern::Intervals,
            format!("{count} intervals{}", at(location)),
            callback(location),
        ),
        Group::Promises(location) => (
            Pattern::Promises,
            format!("{count} promises never settled"),
            user(location).map(|location| (function_name(snapshot, location), location)),
        ),
        Group::Suspended(location) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Promises,
                format!("{count} calls that wait for a promise never settled"),
                Some((function_name(snapshot, location), location)),
            )
        }
        Group::Listeners(location) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Listeners,
                format!(
                    "{count} listeners of EventTargets, from {}",
                    view.scripts.place(location)
                ),
                callback(&Some(location)),
            )
        }
        Group::Streams(class) => {
            let place = callback(&inside(view, node));
            (Pattern::Streams, format!("{count} × {class}"), place)
        }
        Group::Detached(name) => (Pattern::Detached, format!("{count} × {name}"), None),
        Group::AsyncContexts => (
            Pattern::AsyncContexts,
            format!("{count} contexts of AsyncLocalStorage"),
            None,
        ),
        Group::Buffers => (Pattern::Buffers, format!("{count} ArrayBuffers"), None),
        Group::Copies(text, size) => {
            let start: String = text.chars().take(40).collect();
            let more = if start.len() < text.len() { "…" } else { "" };
            (
                Pattern::Copies,
                format!("{count} copies of the string {start:?}{more}, {size} bytes each"),
                None,
            )
        }
        Group::Closures(location) if waits(view, node) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Promises,
                format!(
                    "{count} functions wait for a promise never settled, from {}",
                    view.scripts.place(location)
                ),
                callback(&Some(location)),
            )
        }
        Group::Closures(location) => {
            let location = user(&Some(*location))?;
            let name = function_name(snapshot, location);
            let captured = captured(snapshot, node);
            let text = if captured.is_empty() {
                String::new()
            } else {
                format!(" that capture {captured}")
            };
            (
                Pattern::Closures,
                format!("{count} closures{text}"),
                Some((name, location)),
            )
        }
        Group::Objects(class, location) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Objects,
                format!("{count} × {class}"),
                Some((format!("new {class}"), location)),
            )
        }
    };
    // What Node alone keeps is Node's business.
    let way = view.ways.to(view.analysis, &view.scripts, node);
    // The nearest function of the user's that it points to, or that is on the way.
    let near = || {
        let is_wanted = |place| !view.scripts.is_internal(place);
        callback(&Some(reach::function_near(view, node, is_wanted)?))
    };
    let place = place.or_else(near).or_else(|| {
        let way = view.ways.raw(view.analysis, node);
        let on_the_way = way.iter().rev().find_map(|&(from, _)| {
            let location = user(&snapshot.location(from))?;
            Some((snapshot.name(from).into_owned(), location))
        });
        // Or what most likely adds to the variable.
        let adder = || {
            let (name, scope) = view.ways.variable(snapshot, &way)?;
            view.functions.adder(Wanted {
                name: Some(name),
                context: scope,
                ..Wanted::default()
            })
        };
        on_the_way.or_else(adder)
    });
    let entries = match group {
        Group::Buffers => views::kept_by(snapshot, new),
        Group::AsyncContexts => view
            .ways
            .raw(view.analysis, node)
            .last()
            .map(|&(holder, _)| {
                let holder = crate::ways::what(snapshot, &view.scripts, holder);
                format!("the newest belongs to {holder}")
            }),
        _ => None,
    };
    let (is, cure) = pattern.sentences();
    let leak = Leak {
        pattern,
        what,
        counts: grown.counts.clone(),
        retained: grown.retained.clone(),
        id: snapshot.ids[node as usize],
        place: place.clone().map(|place| view.place(place)),
        entries,
        also: Vec::new(),
        program: None,
        way,
        is: is.to_owned(),
        cure: cure.to_owned(),
    };
    Some((leak, place.map(|(_, location)| location)))
}

/// Whether a closure is kept as what goes on when a promise is settled.
fn waits(view: &View, closure: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, closure);
    way.last()
        .is_some_and(|&(from, _)| snapshot.name(from) == "system / PromiseReaction")
}

/// A function of the user's that an object has, by way of properties and elements: a listener.
fn inside(view: &View, node: Node) -> Option<Location> {
    let snapshot = &view.analysis.snapshot;
    let mut list = vec![node];
    let mut next = 0;
    while next < list.len() && list.len() < 400 {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let of = snapshot.kind_of_edge(edge);
            let own = of == snapshot.edge_kind.property || of == snapshot.edge_kind.element;
            if !own || snapshot.edge_name(edge) == "__proto__" || list.contains(&to) {
                continue;
            }
            let location = snapshot
                .location(to)
                .filter(|&location| !view.scripts.is_internal(location));
            if location.is_some() && snapshot.kinds[to as usize] == snapshot.kind.closure {
                return location;
            }
            list.push(to);
        }
    }
    None
}

/// The name of the function that stands there.
fn function_name(snapshot: &Snapshot, location: Location) -> String {
    snapshot
        .locations
        .iter()
        .find(|&&(node, other)| {
            other == location && snapshot.kinds[node as usize] == snapshot.kind.closure
        })
        .map(|&(node, _)| snapshot.name(node).into_owned())
        .unwrap_or_default()
}

/// The variables in a closure's own context.
fn captured(snapshot: &Snapshot, closure: Node) -> String {
    let Some(context) = snapshot.follow(closure, snapshot.edge_kind.internal, "context") else {
        return String::new();
    };
    let names: Vec<String> = snapshot
        .graph
        .of(context)
        .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.context)
        .map(|edge| snapshot.edge_name(edge).into_owned())
        .take(6)
        .collect();
    names.join(", ")
}
