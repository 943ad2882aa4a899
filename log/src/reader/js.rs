//! What blobs say of a JavaScript engine's heaps.

use crate::js::{Collection, Frame, Heap, Live, Usage, live_flag};
use std::collections::BTreeMap;
use std::vec::Vec;

/// So many usages and collections of an isolate are kept, and so many marks: the first ones and
/// the last one. The recorder writes fewer.
pub const MAX_TOLD: usize = 1 << 16;

/// An isolate, by what its thread said.
#[derive(Clone, Debug, Default)]
pub struct IsolateFact {
    /// Most bytes that its heap may take.
    pub limit: u64,
    /// The engine inlines no calls.
    pub exact: bool,
    /// Names of the spaces of its heap.
    pub spaces: Vec<Vec<u8>>,
    /// Memory usage: event clock, figures.
    pub usages: Vec<(u64, Usage)>,
    /// Collections that were told.
    pub collections: Vec<Collection>,
    /// Where sampled allocations come from, by the engine's number.
    pub frames: BTreeMap<u64, JsFrameFact>,
    /// What was live at moments of the run.
    pub marks: Vec<MarkFact>,
}

/// A function on a stack of sampled allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsFrameFact {
    /// Number of its caller's frame; 0: this is the root.
    pub parent: u64,
    /// Line where the function begins, from 1; 0: unknown.
    pub line: u64,
    /// Column, from 1; 0: unknown.
    pub column: u64,
    /// Number of the script, 0: none.
    pub script: u64,
    /// Name, empty if it has none.
    pub function: Vec<u8>,
    /// Path or URL of the script, empty if not known.
    pub file: Vec<u8>,
}

/// What is live by stack at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkFact {
    /// Event clock.
    pub time: u64,
    /// Bytes between two samples.
    pub interval: u64,
    /// No garbage of before the last full collection is in it.
    pub collected: bool,
    /// It is the isolate's last one.
    pub at_end: bool,
    /// All of it was written.
    pub whole: bool,
    /// Frame, objects, bytes.
    pub live: Vec<(u64, u64, u64)>,
}

impl IsolateFact {
    pub(super) fn heap(&mut self, payload: &[u8]) -> Option<()> {
        let heap = Heap::decode(payload)?;
        self.limit = heap.limit;
        self.exact = heap.exact;
        self.spaces.clear();
        heap.names(|name| self.spaces.push(name.to_vec()))
    }

    pub(super) fn usage(&mut self, time: u64, payload: &[u8]) -> Option<()> {
        push(&mut self.usages, (time, Usage::decode(payload)?));
        Some(())
    }

    pub(super) fn collection(&mut self, payload: &[u8]) -> Option<()> {
        push(&mut self.collections, Collection::decode(payload)?);
        Some(())
    }

    pub(super) fn frame(&mut self, payload: &[u8]) -> Option<()> {
        let frame = Frame::decode(payload)?;
        self.frames.insert(
            frame.id,
            JsFrameFact {
                parent: frame.parent,
                line: frame.line,
                column: frame.column,
                script: frame.script,
                function: frame.function.to_vec(),
                file: frame.file.to_vec(),
            },
        );
        Some(())
    }

    pub(super) fn live(&mut self, time: u64, payload: &[u8]) -> Option<()> {
        let piece = Live::decode(payload)?;
        let is = |flag: u8| piece.flags & flag != 0;
        if is(live_flag::FIRST) {
            push(
                &mut self.marks,
                MarkFact {
                    time,
                    interval: piece.interval,
                    collected: is(live_flag::COLLECTED),
                    at_end: is(live_flag::AT_END),
                    ..MarkFact::default()
                },
            );
        }
        let mark = self.marks.last_mut()?;
        mark.whole |= is(live_flag::LAST);
        piece.entries(|frame, objects, bytes| mark.live.push((frame, objects, bytes)))
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= MAX_TOLD {
        list.pop();
    }
    list.push(item);
}
