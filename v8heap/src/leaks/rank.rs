//! Which of several findings of the same objects is the one to tell.

use graph::Node;

use super::View;
use super::detached::is_detached;
use super::groups::{Group, STREAMS, Sum};
use super::grown::{Grown, waits_for};
use super::registered::Registered;
use crate::snapshot::Location;

/// What says more than the sockets and ports that come with it.
const WHOLE: [&str; 9] = [
    "Agent",
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

/// A response of which more is waiting was not read, bytes.
const UNREAD: u64 = 4096;

/// Whether messages are responses that keep what nobody has read.
fn is_unread(view: &View, sum: &Sum) -> bool {
    let snapshot = &view.analysis.snapshot;
    let request = snapshot.follow(sum.newest, snapshot.edge_kind.property, "req");
    request.is_some_and(|request| snapshot.name(request) == "ClientRequest")
        && sum.retained / sum.count.max(1) > UNREAD
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
        // All on one that outlives them.
        Group::Listeners { location, .. }
            if grown.target.is_some_and(|target| !view.is_new(target)) =>
        {
            if own(&Some(*location)) {
                18
            } else {
                19
            }
        }
        Group::Listeners { .. } if is_of_something_new(view, grown.sum.newest) => 43,
        Group::Timers(_) | Group::Intervals(_) | Group::Frames(_) | Group::Listeners { .. } => 19,
        Group::Streams(class) if class == "IncomingMessage" && is_unread(view, &grown.sum) => 39,
        // Who opened a connection is to close it.
        Group::Streams(class) if class == "ServerHttp2Session" => 41,
        Group::Streams(class) if WHOLE.contains(&&**class) => 40,
        Group::Streams(class) if class == "MessagePort" || class == "FileHandle" => 42,
        Group::Streams(_) => 41,
        Group::Promises(location) if !own(location) => 66,
        Group::Promises(_) => 50,
        Group::Printed => 30,
        Group::AsyncContexts | Group::Suspended(_) => 60,
        Group::Registered(Registered::Observers(..)) => 18,
        Group::Registered(Registered::BlobUrls | Registered::Marks) => 45,
        // What is registered may be what leaks.
        Group::Registered(Registered::Finalizers(_) | Registered::Symbols) => 95,
        // Kept by functions that are new as well, which are told instead.
        Group::Objects(..) if is_of_closure(view, grown.sum.newest) => 92,
        Group::Objects(..) => 80,
        // All on one promise that outlives them, as listeners on an emitter.
        Group::Closures(location)
            if own(&Some(*location))
                && waits_for(view, grown.sum.newest).is_some_and(|on| !view.is_new(on)) =>
        {
            21
        }
        Group::Closures(_) => 90,
        Group::Buffers => 100,
        Group::Copies(..) => COPIES,
    }
}
