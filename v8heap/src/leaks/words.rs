//! The kinds of leaks, and for each what it is and what ends it.

use std::fmt;

/// A kind of leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// A Map that is only added to.
    Map,
    /// A Map whose keys are objects that nothing else keeps.
    StrongKeys,
    /// A Set that is only added to.
    Set,
    /// An array that is only added to.
    Array,
    /// An object used as a map.
    Object,
    /// A global that grows.
    Global,
    /// What the console keeps.
    Console,
    /// The cache of `require`.
    Modules,
    /// Listeners never removed.
    Listeners,
    /// Timeouts never cleared.
    Timers,
    /// Intervals never cleared.
    Intervals,
    /// Promises nobody settles.
    Promises,
    /// Sockets, streams, servers not closed.
    Streams,
    /// Observers of a page never disconnected.
    Observers,
    /// Objects registered with a FinalizationRegistry.
    Finalizers,
    /// Symbols with ever new names.
    Symbols,
    /// Addresses of Blobs never revoked.
    BlobUrls,
    /// What performance.mark() and the like keep.
    Performance,
    /// DOM nodes outside of the document.
    Detached,
    /// Memory of ArrayBuffers.
    Buffers,
    /// What AsyncLocalStorage keeps for asynchronous work.
    AsyncContexts,
    /// Copies of one string.
    Copies,
    /// Closures of one function.
    Closures,
    /// Objects of one class.
    Objects,
    /// A linked list that is only added to.
    List,
    /// A string that is only appended to.
    Text,
    /// What a rule of the user's calls a leak.
    Rule,
}

impl Pattern {
    /// A word for programs.
    pub fn key(self) -> &'static str {
        match self {
            Pattern::Map => "map",
            Pattern::StrongKeys => "strong-keys",
            Pattern::Set => "set",
            Pattern::Array => "array",
            Pattern::Object => "object",
            Pattern::Global => "global",
            Pattern::Console => "console",
            Pattern::Modules => "modules",
            Pattern::Listeners => "listeners",
            Pattern::Timers => "timers",
            Pattern::Intervals => "intervals",
            Pattern::Promises => "promises",
            Pattern::Streams => "streams",
            Pattern::Observers => "observers",
            Pattern::Finalizers => "finalizers",
            Pattern::Symbols => "symbols",
            Pattern::BlobUrls => "blob-urls",
            Pattern::Performance => "performance",
            Pattern::Detached => "detached-dom",
            Pattern::Buffers => "buffers",
            Pattern::AsyncContexts => "async-contexts",
            Pattern::Copies => "string-copies",
            Pattern::Closures => "closures",
            Pattern::Objects => "objects",
            Pattern::List => "list",
            Pattern::Text => "string",
            Pattern::Rule => "rule",
        }
    }

    /// What it is, and what ends it.
    pub(super) fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Pattern::Map => (
                "A Map gets new entries and loses none.",
                "Delete entries when what they stand for ends, or bound it (least recently used first).",
            ),
            Pattern::StrongKeys => (
                "A Map is keyed by objects that only the Map itself still keeps.",
                "Make it a WeakMap: an entry then goes with its key.",
            ),
            Pattern::Set => (
                "A Set gets new members and loses none.",
                "Delete members when they end, or bound it.",
            ),
            Pattern::Array => (
                "An array is added to and never shortened.",
                "Remove what has been dealt with, or keep only the newest.",
            ),
            Pattern::Object => (
                "An object is used as a map, and its properties are never deleted.",
                "Delete properties that are done with; a Map with a bound does it better.",
            ),
            Pattern::Global => (
                "A container that hangs on the global object grows; globals live as long as the process.",
                "Move it to what owns it, or remove entries when they are done with.",
            ),
            Pattern::Console => (
                "The console keeps what was printed to it (the newest 1,000 messages) while DevTools or another inspector is attached.",
                "Clear the console, or print texts instead of objects; without an inspector nothing is kept.",
            ),
            Pattern::Modules => (
                "Modules are loaded again and again: under new names, or anew after they were deleted from require.cache.",
                "Load each module once under one name, or delete its entry (require.cache) and its parent's child.",
            ),
            Pattern::Listeners => (
                "Listeners are added to an emitter that outlives them, and not removed.",
                "Remove each with off() when its owner ends, use once(), or add one listener for all.",
            ),
            Pattern::Timers => (
                "Timeouts are set faster than they fire, and what their callbacks capture waits with them.",
                "Call clearTimeout() when what waited is done, or use one timer for many.",
            ),
            Pattern::Intervals => (
                "Intervals are started and never stopped; each keeps its callback and all that it captures.",
                "Keep what setInterval() returns and call clearInterval() when its owner ends.",
            ),
            Pattern::Promises => (
                "Functions wait for promises that nobody settles; their variables wait with them.",
                "Settle every promise: reject on time-out, on abort, and when the other side goes away.",
            ),
            Pattern::Streams => (
                "Sockets or streams are opened and never closed.",
                "Call destroy() or close() on every way out, errors included (pipeline() does), and set time-outs.",
            ),
            Pattern::Observers => (
                "Observers observe what outlives them; each keeps its callback and all that it captures.",
                "Call disconnect() when what wanted to know ends, or let one observer serve all.",
            ),
            Pattern::Finalizers => (
                "Objects are registered with a FinalizationRegistry and do not go, so what is held for them stays.",
                "Register an object once, unregister() it when it is done with, and hold nothing large for it.",
            ),
            Pattern::Symbols => (
                "Symbols are made under ever new names; those of Symbol.for() stay as long as the process.",
                "Use Symbol.for() for a fixed set of names only, and strings or Symbol() for what comes and goes.",
            ),
            Pattern::BlobUrls => (
                "Each address that URL.createObjectURL() returns keeps its Blob until it is revoked.",
                "Call URL.revokeObjectURL() when the address has been used.",
            ),
            Pattern::Performance => (
                "What performance.mark(), measure() and fetch() note is kept until it is cleared.",
                "Call performance.clearMarks(), clearMeasures() or clearResourceTimings() when it has been read.",
            ),
            Pattern::Detached => (
                "DOM nodes were taken out of the document, but a script still points into their tree.",
                "Drop the reference when the nodes are removed, or hold it by a WeakRef; remove listeners that capture it.",
            ),
            Pattern::Buffers => (
                "The memory of ArrayBuffers and Buffers grows.",
                "Drop what keeps them; a small view keeps all of a large buffer, so copy the part (Buffer.from(view)).",
            ),
            Pattern::AsyncContexts => (
                "What AsyncLocalStorage.run() was given is kept by asynchronous work that does not end.",
                "End or drop that work (timers, promises, AsyncResources), or start it outside: AsyncLocalStorage.exit().",
            ),
            Pattern::Copies => (
                "The same text is kept again and again, each time as a string of its own.",
                "Keep each text once (a Map from text to itself, with a bound), and drop what points to the copies.",
            ),
            Pattern::Closures => (
                "Functions made again and again are kept, with all variables that they or their siblings capture.",
                "Drop the functions when they are done with, and make them where nothing large is in sight.",
            ),
            Pattern::List => (
                "A linked list gets new links and loses none.",
                "Unlink what has been dealt with, or bound the list: drop a link at one end for each beyond N.",
            ),
            Pattern::Text => (
                "A string is appended to and never shortened.",
                "Write it out and begin anew, or keep only its newest part.",
            ),
            Pattern::Rule => (
                "A rule calls objects like these a leak, and new ones have come since the first snapshot.",
                "Follow the way that keeps the newest of them, and cut it when the object is done with.",
            ),
            Pattern::Objects => (
                "More and more objects of one class are kept.",
                "Follow the way that keeps the newest of them, and cut it when the object is done with.",
            ),
        }
    }
}

/// A number with its thousands apart, as all of a report's are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            few @ ..1000 => write!(f, "{few}"),
            many => write!(f, "{},{:03}", Count(many / 1000), many % 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let shown = [0, 999, 1000, 72_500, 1_002_003].map(|n| Count(n).to_string());
        assert_eq!(shown, ["0", "999", "1,000", "72,500", "1,002,003"]);
    }
}
