//! A JavaScript engine's own heap: payloads of the blobs [`crate::blob::BlobKind::JsHeap`] to
//! [`crate::blob::BlobKind::JsLive`]. The blob's thread tells the isolate: each has a thread of
//! its own.
//!
//! All numbers are LEB128; times are those of the event clock. What is not known is 0, what is
//! known is its value plus one, where the field says "or unknown".

use crate::varint::{In, Out};

/// Kinds of collections, by their bit in V8's `GCType`: places of [`Usage::collections`].
pub const COLLECTIONS: usize = 5;

/// Places of [`Usage::collections`] and [`Collection::kind`].
pub mod collection {
    /// Of the young generation, by copying.
    pub const SCAVENGE: u8 = 0;
    /// Of the young generation, by marking.
    pub const MINOR: u8 = 1;
    /// Of everything.
    pub const FULL: u8 = 2;
    /// A step of marking for a full one.
    pub const INCREMENTAL: u8 = 3;
    /// Callbacks of what died.
    pub const WEAK_CALLBACKS: u8 = 4;
}

/// Most spaces of a heap that are told of.
pub const MAX_SPACES: usize = 24;

fn known(value: Option<u64>) -> u64 {
    value.map_or(0, |value| value.saturating_add(1))
}

/// An isolate begins: payload of [`crate::blob::BlobKind::JsHeap`].
#[derive(Clone, Copy, Debug)]
pub struct Heap<'a> {
    /// Most bytes that the heap may take.
    pub limit: u64,
    /// Number of spaces.
    pub spaces: u64,
    /// The engine was told not to inline calls. Logs of before this was said end earlier: not told.
    pub exact: bool,
    names: In<'a>,
}

impl<'a> Heap<'a> {
    /// Appends the limit, the number of spaces, their names, each with its length, and whether calls are kept.
    pub fn encode<'n>(
        limit: u64,
        names: impl ExactSizeIterator<Item = &'n [u8]>,
        exact: bool,
        out: &mut Out<'_>,
    ) {
        out.uint(limit);
        out.uint(names.len() as u64);
        for name in names {
            out.uint(name.len() as u64);
            out.bytes(name);
        }
        out.uint(u64::from(exact));
    }

    /// Decodes a payload; `None` if it ends early.
    pub fn decode(payload: &'a [u8]) -> Option<Heap<'a>> {
        let mut input = In::new(payload);
        let mut heap = Heap {
            limit: input.uint()?,
            spaces: input.uint()?,
            exact: false,
            names: input,
        };
        let mut rest = heap.walk(|_| ())?;
        heap.exact = rest.uint().is_some_and(|exact| exact != 0);
        Some(heap)
    }

    /// Calls `each` with the spaces' names; `None` if the payload ends early.
    pub fn names(self, each: impl FnMut(&'a [u8])) -> Option<()> {
        self.walk(each).map(|_| ())
    }

    /// The same; returns what follows them.
    fn walk(self, mut each: impl FnMut(&'a [u8])) -> Option<In<'a>> {
        let mut input = self.names;
        for _ in 0..self.spaces {
            let len = usize::try_from(input.uint()?).ok()?;
            each(input.bytes(len)?);
        }
        Some(input)
    }
}

/// Bytes of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Of its pages.
    pub size: u64,
    /// Of the objects in them.
    pub used: u64,
}

/// How often there was a collection of some kind so far, and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    /// How many.
    pub count: u64,
    /// How long the program stood still for them, ns.
    pub pause_ns: u64,
}

/// Memory usage at a moment: payload of [`crate::blob::BlobKind::JsUsage`]. The first fields are
/// those of Node's `process.memoryUsage()`. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory of the process, or unknown.
    pub rss: Option<u64>,
    /// Pages of the heap.
    pub heap_total: u64,
    /// Objects in them, those that are not collected yet included.
    pub heap_used: u64,
    /// Memory of objects outside the heap that the engine was told of.
    pub external: u64,
    /// That of `ArrayBuffer`s, also part of `external`; or unknown.
    pub array_buffers: Option<u64>,
    /// What the engine itself has allocated.
    pub malloced: u64,
    /// Contexts, and those that were detached and are not collected yet.
    pub contexts: u64,
    /// See `contexts`.
    pub detached_contexts: u64,
    /// By [`collection`].
    pub collections: [Collections; COLLECTIONS],
    /// The isolate's last one.
    pub at_end: bool,
    /// How many of `spaces` there are.
    pub space_count: usize,
    /// In the order of [`Heap::names`].
    pub spaces: [Space; MAX_SPACES],
}

impl Usage {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(known(self.rss));
        out.uint(self.heap_total);
        out.uint(self.heap_used);
        out.uint(self.external);
        out.uint(known(self.array_buffers));
        out.uint(self.malloced);
        out.uint(self.contexts);
        out.uint(self.detached_contexts);
        for sum in &self.collections {
            out.uint(sum.count);
            out.uint(sum.pause_ns);
        }
        out.byte(u8::from(self.at_end));
        let spaces = self.spaces.get(..self.space_count).unwrap_or(&self.spaces);
        out.uint(spaces.len() as u64);
        for space in spaces {
            out.uint(space.size);
            out.uint(space.used);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<Usage> {
        let mut input = In::new(payload);
        let mut usage = Usage {
            rss: input.uint()?.checked_sub(1),
            heap_total: input.uint()?,
            heap_used: input.uint()?,
            external: input.uint()?,
            array_buffers: input.uint()?.checked_sub(1),
            malloced: input.uint()?,
            contexts: input.uint()?,
            detached_contexts: input.uint()?,
            ..Usage::default()
        };
        for sum in &mut usage.collections {
            sum.count = input.uint()?;
            sum.pause_ns = input.uint()?;
        }
        usage.at_end = input.byte()? != 0;
        usage.space_count = usize::try_from(input.uint()?).ok()?;
        for space in usage.spaces.get_mut(..usage.space_count)? {
            space.size = input.uint()?;
            space.used = input.uint()?;
        }
        Some(usage)
    }
}

/// A collection: payload of [`crate::blob::BlobKind::JsCollection`]. Of many only some are told,
/// the longest of each span; [`Usage::collections`] counts all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// [`collection`].
    pub kind: u8,
    /// When it began.
    pub start: u64,
    /// How long the program stood still for it, ns.
    pub pause_ns: u64,
    /// [`Usage::heap_used`] before.
    pub before: u64,
    /// The same afterwards.
    pub after: u64,
}

impl Collection {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.byte(self.kind);
        for value in [self.start, self.pause_ns, self.before, self.after] {
            out.uint(value);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<Collection> {
        let mut input = In::new(payload);
        Some(Collection {
            kind: input.byte()?,
            start: input.uint()?,
            pause_ns: input.uint()?,
            before: input.uint()?,
            after: input.uint()?,
        })
    }
}

/// A place in the tree of stacks that sampled allocations come from: payload of
/// [`crate::blob::BlobKind::JsFrame`]. Told once, before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number, by the engine; not used for anything else in the isolate.
    pub id: u64,
    /// The caller's; 0: this is the root.
    pub parent: u64,
    /// Line where the function begins, from 1; 0: unknown.
    pub line: u64,
    /// Column, from 1; 0: unknown.
    pub column: u64,
    /// Number of the script, by the engine; 0: none.
    pub script: u64,
    /// Name of the function, empty if it has none.
    pub function: &'a [u8],
    /// Where the script is from: a path or an URL; empty if not known.
    pub file: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        for value in [self.id, self.parent, self.line, self.column, self.script] {
            out.uint(value);
        }
        out.uint(self.function.len() as u64);
        out.bytes(self.function);
        out.bytes(self.file);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Frame<'a>> {
        let mut input = In::new(payload);
        let [id, parent, line, column, script] = [
            input.uint()?,
            input.uint()?,
            input.uint()?,
            input.uint()?,
            input.uint()?,
        ];
        let len = usize::try_from(input.uint()?).ok()?;
        Some(Frame {
            id,
            parent,
            line,
            column,
            script,
            function: input.bytes(len)?,
            file: input.rest(),
        })
    }
}

/// How a piece of a mark stands to the others: bits of [`Live::flags`].
pub mod live_flag {
    /// The mark begins with this piece.
    pub const FIRST: u8 = 1;
    /// It ends with this piece.
    pub const LAST: u8 = 2;
    /// No garbage of before the last full collection is counted, and little since then.
    pub const COLLECTED: u8 = 4;
    /// The isolate's last one.
    pub const AT_END: u8 = 8;
}

/// A piece of a mark, that is of what is live by stack: payload of
/// [`crate::blob::BlobKind::JsLive`].
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// [`live_flag`].
    pub flags: u8,
    /// Bytes between two samples, on average.
    pub interval: u64,
    entries: In<'a>,
}

impl<'a> Live<'a> {
    /// Appends what a piece begins with; entries follow.
    pub fn begin(flags: u8, interval: u64, out: &mut Out<'_>) {
        out.byte(flags);
        out.uint(interval);
    }

    /// Appends an entry: a frame, and live objects that were allocated there and their bytes, both estimated
    /// from the samples.
    pub fn entry(frame: u64, objects: u64, bytes: u64, out: &mut Out<'_>) {
        out.uint(frame);
        out.uint(objects);
        out.uint(bytes);
    }

    /// Most bytes of an entry.
    pub const MAX_ENTRY: usize = 30;

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Live<'a>> {
        let mut input = In::new(payload);
        Some(Live {
            flags: input.byte()?,
            interval: input.uint()?,
            entries: input,
        })
    }

    /// Calls `each(frame, objects, bytes)`; `None` if the payload ends within an entry.
    pub fn entries(mut self, mut each: impl FnMut(u64, u64, u64)) -> Option<()> {
        while !self.entries.rest().is_empty() {
            each(
                self.entries.uint()?,
                self.entries.uint()?,
                self.entries.uint()?,
            );
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn written(encode: impl FnOnce(&mut Out<'_>)) -> Vec<u8> {
        let mut buf = [0u8; 1024];
        let mut out = Out::new(&mut buf);
        encode(&mut out);
        out.written().to_vec()
    }

    #[test]
    fn what_is_told_of_a_heap_comes_back_and_a_cut_payload_does_not() {
        let mut usage = Usage {
            rss: Some(0),
            heap_total: 1 << 30,
            heap_used: 77,
            external: 5,
            contexts: 2,
            at_end: true,
            space_count: 2,
            ..Usage::default()
        };
        usage.collections[2] = Collections {
            count: 9,
            pause_ns: 1 << 40,
        };
        usage.spaces[1] = Space { size: 3, used: 2 };
        let payload = written(|out| usage.encode(out));
        assert_eq!(Usage::decode(&payload), Some(usage));
        for len in 0..payload.len() {
            assert_eq!(Usage::decode(&payload[..len]), None, "{len}");
        }

        let collection = Collection {
            kind: collection::FULL,
            start: 1 << 50,
            pause_ns: 3,
            before: 9,
            after: 8,
        };
        let payload = written(|out| collection.encode(out));
        assert_eq!(Collection::decode(&payload), Some(collection));
    }

    #[test]
    fn more_spaces_than_there_is_room_for_are_refused() {
        let mut usage = Usage {
            space_count: 1,
            ..Usage::default()
        };
        let mut payload = written(|out| usage.encode(out));
        let count = payload.len() - 3;
        payload[count] = 100;
        assert_eq!(Usage::decode(&payload), None);
        usage.space_count = MAX_SPACES + 1;
        let payload = written(|out| usage.encode(out));
        assert_eq!(
            Usage::decode(&payload).map(|usage| usage.space_count),
            Some(MAX_SPACES)
        );
    }

    #[test]
    fn frames_and_what_is_live_in_them_come_back() {
        let frame = Frame {
            id: 7,
            parent: 1,
            line: 3,
            column: 0,
            script: 12,
            function: b"keep",
            file: b"/app/a.js",
        };
        let payload = written(|out| frame.encode(out));
        assert_eq!(Frame::decode(&payload), Some(frame));
        let payload = written(|out| {
            Live::begin(live_flag::FIRST, 4096, out);
            Live::entry(7, 2, 8192, out);
            Live::entry(9, 1, 64, out);
        });
        let live = Live::decode(&payload).unwrap();
        assert_eq!((live.flags, live.interval), (live_flag::FIRST, 4096));
        let mut found = Vec::new();
        live.entries(|frame, objects, bytes| found.push((frame, objects, bytes)))
            .unwrap();
        assert_eq!(found, [(7, 2, 8192), (9, 1, 64)]);
        let cut = Live::decode(&payload[..payload.len() - 1]).unwrap();
        assert_eq!(cut.entries(|_, _, _| {}), None);
        let names =
            written(|out| Heap::encode(9, [b"new".as_slice(), b"old"].into_iter(), true, out));
        let heap = Heap::decode(&names).unwrap();
        assert!(heap.exact);
        let older = Heap::decode(&names[..names.len() - 1]).unwrap();
        assert!(!older.exact, "logs of before have no such number");
        let mut spaces = Vec::new();
        heap.names(|name| spaces.push(name.to_vec())).unwrap();
        assert_eq!(spaces, [b"new".to_vec(), b"old".to_vec()]);
    }
}
