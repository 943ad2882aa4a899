//! Records in a ring: whole words of 8 bytes.
//!
//! ```text
//!         word 0                       word 1   word 2   word 3           word 4    word 5
//! FREE    | kind:8 | old ptr:56 |       time
//! ALLOC   | kind:8 | ptr:56 |           time     size     stack:32 | 0
//! R.BEGIN | kind:8 | old ptr:56 |       time
//! R.END   | kind:8 | new ptr:56 |       time     size     stack:32 | ok:1   old ptr   0
//! MAP     | kind:8 | address:56 |       time     length   stack:32 | prot   flags     0
//! UNMAP   | kind:8 | address:56 |       time     length   0
//! BLOB    | kind:8 | what:8 | len:48 |  time     len bytes, padded with zeros to 16
//! TIME    | kind:8 | time:56 |
//! FREE'   | kind:8 | old ptr:56 |
//! ALLOC'  | kind:8 | ptr:56 |           size:32 | stack:32
//! ```
//!
//! The short forms happened at the time of the last record with one, or later.
//! One thread writes them, most often the main thread: reading the clock would cost more
//! than the rest of a record. A TIME comes every few of them, and before the first of them that
//! may depend on another thread's event.
//!
//! A `realloc` is two records, because its two instants differ: the old block
//! may belong to another thread before the call returns. Times: an ALLOC's and
//! an R.END's is taken after the allocator returned, a FREE's and an R.BEGIN's
//! before it is called, so that for one address alloc < free < next alloc.

/// Positions are multiples of this, bytes.
pub const UNIT: u64 = 8;
/// Low bits of word 0 that hold an address.
pub const PTR_MASK: u64 = (1 << 56) - 1;
/// Longest payload of a blob, bytes.
pub const MAX_BLOB: usize = 8192;
/// Longest record, bytes.
pub const MAX_RECORD: u64 = MAX_BLOB as u64 + 16;

/// Record kinds: the top byte of word 0.
pub mod kind {
    /// A block is about to be freed.
    pub const FREE: u8 = 1;
    /// A block was made.
    pub const ALLOC: u8 = 2;
    /// A block is about to be reallocated.
    pub const REALLOC_BEGIN: u8 = 3;
    /// The reallocation is done, well or not.
    pub const REALLOC_END: u8 = 4;
    /// A mapping was made.
    pub const MAP: u8 = 5;
    /// A mapping is about to be removed; of length 0: that failed.
    pub const UNMAP: u8 = 6;
    /// Anything rare ([`crate::blob`]).
    pub const BLOB: u8 = 7;
    /// The time of the short records that follow, 56 bits.
    pub const TIME: u8 = 8;
    /// FREE without a time.
    pub const FREE_SHORT: u8 = 9;
    /// ALLOC without a time, of less than 4 GiB.
    pub const ALLOC_SHORT: u8 = 10;
}

/// Word 0 of a record.
#[inline(always)]
pub const fn word0(kind: u8, ptr: u64) -> u64 {
    (kind as u64) << 56 | (ptr & PTR_MASK)
}

/// Bytes of the record whose first word is `word0`; 0 if that is no record.
#[inline(always)]
pub const fn length(word0: u64) -> u64 {
    match (word0 >> 56) as u8 {
        kind::TIME | kind::FREE_SHORT => 8,
        kind::FREE | kind::REALLOC_BEGIN | kind::ALLOC_SHORT => 16,
        kind::ALLOC | kind::UNMAP => 32,
        kind::REALLOC_END | kind::MAP => 48,
        kind::BLOB => {
            let len = word0 & ((1 << 48) - 1);
            if len > MAX_BLOB as u64 {
                0
            } else {
                16 + len.next_multiple_of(16)
            }
        }
        _ => 0,
    }
}

/// Whether word 1 of the record with this first word is its time.
#[inline(always)]
pub const fn has_time(word0: u64) -> bool {
    (word0 >> 56) as u8 <= kind::BLOB
}

/// A record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// See [`kind::FREE`].
    Free {
        /// Address of the block.
        ptr: u64,
    },
    /// See [`kind::ALLOC`].
    Alloc {
        /// Address of the block.
        ptr: u64,
        /// Bytes asked for.
        size: u64,
        /// Node id of the innermost frame.
        stack: u32,
    },
    /// See [`kind::REALLOC_BEGIN`].
    ReallocBegin {
        /// Address of the old block.
        old: u64,
    },
    /// See [`kind::REALLOC_END`].
    ReallocEnd {
        /// Address given to the call.
        old: u64,
        /// Address of the new block; 0 on failure.
        new: u64,
        /// Bytes asked for.
        size: u64,
        /// Node id of the innermost frame.
        stack: u32,
        /// Whether the old block is gone and the new one there.
        ok: bool,
    },
    /// See [`kind::MAP`].
    Map {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// Node id of the innermost frame.
        stack: u32,
        /// `PROT_*`.
        prot: u32,
        /// `MAP_*`.
        flags: u64,
    },
    /// See [`kind::UNMAP`].
    Unmap {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
    },
    /// See [`kind::TIME`].
    Time {
        /// Event clock.
        time: u64,
    },
    /// See [`kind::BLOB`]; the payload follows in the ring.
    Blob {
        /// [`crate::blob::BlobKind`] as its number.
        what: u8,
        /// Payload, bytes.
        len: usize,
    },
}

impl Record {
    /// Decodes a record from its words, which `word(i)` gives.
    #[inline(always)]
    pub fn decode(word: impl Fn(u64) -> u64) -> Option<Record> {
        let first = word(0);
        let ptr = first & PTR_MASK;
        Some(match (first >> 56) as u8 {
            kind::FREE | kind::FREE_SHORT => Record::Free { ptr },
            kind::TIME => Record::Time { time: ptr },
            kind::ALLOC_SHORT => Record::Alloc {
                ptr,
                size: word(1) & 0xffff_ffff,
                stack: (word(1) >> 32) as u32,
            },
            kind::ALLOC => Record::Alloc {
                ptr,
                size: word(2),
                stack: word(3) as u32,
            },
            kind::REALLOC_BEGIN => Record::ReallocBegin { old: ptr },
            kind::REALLOC_END => Record::ReallocEnd {
                old: word(4),
                new: ptr,
                size: word(2),
                stack: word(3) as u32,
                ok: word(3) >> 32 != 0,
            },
            kind::MAP => Record::Map {
                address: ptr,
                len: word(2),
                stack: word(3) as u32,
                prot: (word(3) >> 32) as u32,
                flags: word(4),
            },
            kind::UNMAP => Record::Unmap {
                address: ptr,
                len: word(2),
            },
            kind::BLOB => Record::Blob {
                what: (first >> 48) as u8,
                len: (first & ((1 << 48) - 1)) as usize,
            },
            _ => return None,
        })
    }
}
