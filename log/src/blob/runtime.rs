//! Blobs of a language's runtime: its code, its heap.

#[cfg(doc)]
use super::BlobKind;
use crate::varint::{In, Out};

/// Payload of [`BlobKind::CodeName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeName<'a> {
    /// What nodes of kind [`crate::layout::node_kind::CODE`] hold.
    pub number: u32,
    /// As the runtime says it.
    pub name: &'a [u8],
}

impl<'a> CodeName<'a> {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(u64::from(self.number));
        out.bytes(self.name);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<CodeName<'a>> {
        let mut input = In::new(payload);
        Some(CodeName {
            number: input.u32()?,
            name: input.rest(),
        })
    }
}

/// Payload of [`BlobKind::CodeRange`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeRange {
    /// Address of the first byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Stack nodes handed out before. A node with a smaller id meant what was there before, or,
    /// if there was nothing, this all the same: it ran before anybody asked.
    pub first_node: u32,
    /// Of the [`CodeName`]; 0: from now on nothing that is known.
    pub number: u32,
}

impl CodeRange {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.start);
        out.uint(self.len);
        out.uint(u64::from(self.first_node));
        out.uint(u64::from(self.number));
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<CodeRange> {
        let mut input = In::new(payload);
        Some(CodeRange {
            start: input.uint()?,
            len: input.uint()?,
            first_node: input.u32()?,
            number: input.u32()?,
        })
    }
}

/// Why a heap snapshot was taken: [`HeapSnapshot::cause`].
pub mod cause {
    /// Someone asked for it while the program ran.
    pub const REQUEST: u8 = 1;
    /// The program ended.
    pub const EXIT: u8 = 2;
    /// The heap was nearly as large as it may become.
    pub const LIMIT: u8 = 3;
}

/// Payload of [`BlobKind::HeapSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSnapshot<'a> {
    /// [`cause`].
    pub cause: u8,
    /// Number of the isolate, 0 for the main thread's.
    pub isolate: u32,
    /// How long its thread stood still, ns.
    pub pause_ns: u64,
    /// Bytes of its heap in use before.
    pub heap_used: u64,
    /// Absolute path of the file.
    pub path: &'a [u8],
}

impl<'a> HeapSnapshot<'a> {
    /// Appends the fields in order; the path is the rest.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.byte(self.cause);
        out.uint(u64::from(self.isolate));
        out.uint(self.pause_ns);
        out.uint(self.heap_used);
        out.bytes(self.path);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<HeapSnapshot<'a>> {
        let mut input = In::new(payload);
        Some(HeapSnapshot {
            cause: input.byte()?,
            isolate: input.u32()?,
            pause_ns: input.uint()?,
            heap_used: input.uint()?,
            path: input.rest(),
        })
    }
}
