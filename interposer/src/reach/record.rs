//! The log, read back in a copy of the process: where the blocks were made that are lost, and
//! what the program said of its blocks.
//!
//! The live set knows no stacks, so that a block costs it 16 bytes; the windows do. They are
//! decoded as a reader does it; what is damaged is passed over.

use super::array::List;
use crate::global::Global;
use crate::sys;
use core::sync::atomic::Ordering::*;
use log_format::block::{BLOCK_HEADER, BlockHeader, BlockKind, Codec, MAX_RAW};
use log_format::layout::*;
use log_format::window::{self, Decoder, Sum};

/// Most sums of a window: beyond that it is damaged.
const SUMS: usize = 1 << 20;

/// The log's file, mapped as a whole. Made before the copy, in which the recorder's state is
/// wiped; goes with this.
pub struct Record {
    base: *mut u8,
    len: usize,
    /// The stacks.
    pub nodes: &'static [Node],
}

impl Record {
    /// `None` if the file cannot be read.
    pub fn new(global: &'static Global) -> Option<Record> {
        let opened = global.file.open().ok()?;
        let len = global.file.end() as usize;
        // SAFETY: no fixed place.
        let base = unsafe { sys::map_file(opened.fd, 0, len, core::ptr::null_mut()) };
        global.file.done(opened);
        Some(Record {
            base: base.ok()?,
            len,
            nodes: global.stacks.nodes(),
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { sys::unmap(self.base, self.len) };
    }
}

/// Calls `each` with every window of the log, its sums already passed over. `None` if there is
/// no memory.
pub fn windows(record: &Record, each: &mut dyn FnMut(Decoder<'_>)) -> Option<()> {
    let (base, end) = (record.base, record.len);
    let mut raw = Raw::new()?;
    let mut sums = List::<Sum>::new(SUMS)?;
    let mut at = HEADER_SIZE as usize;
    while at + EXTENT_HEADER_SIZE as usize <= end {
        // SAFETY: the file has `end` bytes at least while the process records; extents begin
        // at whole pages.
        let head = unsafe { &*base.add(at).cast::<ExtentHeader>() };
        let len = head.len.load(Relaxed) as usize;
        if head.magic.load(Acquire) != EXTENT_MAGIC || len == 0 {
            // Reserved, and not begun.
            at += PAGE as usize;
            continue;
        }
        if head.kind.load(Acquire) == ExtentKind::Data as u32 {
            let room = len
                .min(end - at)
                .saturating_sub(EXTENT_HEADER_SIZE as usize);
            let used = (head.used.load(Acquire) as usize).min(room);
            // SAFETY: blocks that are counted as used do not change.
            let blocks = unsafe {
                core::slice::from_raw_parts(base.add(at + EXTENT_HEADER_SIZE as usize), used)
            };
            extent(blocks, &mut raw, &mut sums, each);
        }
        at += len;
    }
    Some(())
}

/// The blocks of one extent.
fn extent(
    mut blocks: &[u8],
    raw: &mut Raw,
    sums: &mut List<Sum>,
    each: &mut dyn FnMut(Decoder<'_>),
) {
    while let Some(head) = blocks.get(..BLOCK_HEADER).and_then(BlockHeader::from_bytes) {
        let stored = blocks.get(BLOCK_HEADER..BLOCK_HEADER + head.len as usize);
        if head.kind == BlockKind::Window as u8
            && let Some(stored) = stored
            && let Some(raw) = raw.of(&head, stored)
            && let Some(mut decoder) = window::decode(raw)
            && decoder.tails(|_| {}).is_some()
            // SAFETY: a sum is numbers.
            && decoder.sums(|count| unsafe { sums.room() }.get_mut(..count)).is_some()
        {
            each(decoder);
        }
        let Some(rest) = blocks.get(BlockHeader::stride(head.len) as usize..) else {
            return;
        };
        blocks = rest;
    }
}

/// Undoes the compression.
struct Raw {
    room: List<u8>,
    /// What zstd works in.
    _work: List<u64>,
    zstd: *mut zstd_sys::ZSTD_DCtx,
}

impl Raw {
    fn new() -> Option<Raw> {
        // SAFETY: no arguments.
        let len = unsafe { zstd_sys::ZSTD_estimateDCtxSize() };
        let mut work = List::<u64>::new(len.div_ceil(8))?;
        // SAFETY: the place is 8-aligned and as large as zstd asked for.
        let zstd = unsafe { zstd_sys::ZSTD_initStaticDCtx(work.room().as_mut_ptr().cast(), len) };
        Some(Raw {
            room: List::new(MAX_RAW)?,
            _work: work,
            zstd,
        })
    }

    fn of<'a>(&'a mut self, head: &BlockHeader, stored: &'a [u8]) -> Option<&'a [u8]> {
        if !head.matches(stored) {
            return None;
        }
        if head.codec == Codec::Raw as u8 {
            return Some(stored);
        }
        if head.codec != Codec::Zstd as u8 || self.zstd.is_null() {
            return None;
        }
        // SAFETY: bytes.
        let room = unsafe { self.room.room() };
        // SAFETY: both slices are valid; the context lives in this.
        let len = unsafe {
            zstd_sys::ZSTD_decompressDCtx(
                self.zstd,
                room.as_mut_ptr().cast(),
                room.len(),
                stored.as_ptr().cast(),
                stored.len(),
            )
        };
        // SAFETY: looks at the number only.
        if unsafe { zstd_sys::ZSTD_isError(len) } != 0 {
            return None;
        }
        room.get(..len)
    }
}
