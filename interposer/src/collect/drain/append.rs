//! Blocks into the file.

use super::Drain;
use crate::global::Global;
use crate::sys;
use core::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use core::sync::atomic::compiler_fence;
use log_format::block::{BLOCK_HEADER, BlockHeader, BlockKind, Codec};
use log_format::layout::{
    EXTENT_HEADER_SIZE, ExtentHeader, ExtentKind, FIRST_DATA_END, HEADER_SIZE,
};

/// A block of at most this size is stored as it is until a larger one came, bytes.
const SMALL: usize = 8 << 10;
/// First DATA extent added, bytes; each further one is twice as large up to the last.
pub const DATA_EXTENT: u64 = 256 << 10;
/// Largest DATA extent, bytes.
pub(super) const MAX_DATA_EXTENT: u64 = 16 << 20;

impl Drain {
    /// Appends a block to the file; nothing happens if there is no room (and
    /// recording ends).
    pub fn append(&mut self, global: &Global, kind: BlockKind, raw: &[u8]) -> bool {
        // The blocks of a short process are small: not worth the compressor.
        let worth = raw.len() > SMALL || self.scratch.has_compressor();
        let compressed = if worth && self.scratch.ready() {
            self.scratch.compress(raw)
        } else {
            None
        };
        let (codec, stored) = match compressed {
            Some(stored) => (Codec::Zstd, stored),
            None => (Codec::Raw, raw),
        };
        let header = BlockHeader::new(kind, codec, self.seq, raw.len() as u32, stored);
        let stride = BlockHeader::stride(stored.len() as u32);
        if self.used() + stride > self.data_len
            && self.data_len < FIRST_DATA_END - HEADER_SIZE
            && self.next_data == 0
        {
            // The first extent has more than the room at its start.
            if let Err(reason) = global.file.reserve_first() {
                global.stop(reason);
                return false;
            }
            self.data_len = FIRST_DATA_END - HEADER_SIZE;
        }
        if self.used() + stride > self.data_len {
            let least = stride + EXTENT_HEADER_SIZE;
            let len = self
                .next_data
                .max(DATA_EXTENT)
                .max(least.next_multiple_of(4096));
            if !self.extend(global, len) {
                return false;
            }
        }
        let used = self.used();
        self.goal = (used + stride, self.seq + 1);
        compiler_fence(SeqCst);
        // SAFETY: the extent has room for the stride; nobody else writes there.
        unsafe {
            let at = self.data.add(used as usize);
            core::ptr::copy_nonoverlapping(stored.as_ptr(), at.add(BLOCK_HEADER), stored.len());
            core::ptr::copy_nonoverlapping(header.to_bytes().as_ptr(), at, BLOCK_HEADER);
            // Published last: a block that the extent does not count is not there.
            (*self.data.cast::<ExtentHeader>())
                .used
                .store(used + stride - EXTENT_HEADER_SIZE, Release);
        }
        self.seq += 1;
        true
    }

    /// After a `longjmp` out of [`Drain::append`]: whether the block is in the file.
    pub(super) fn was_appended(&self) -> bool {
        self.used() == self.goal.0
    }

    /// Bytes of the current extent that are in use, with its header.
    pub(super) fn used(&self) -> u64 {
        if self.data.is_null() {
            return u64::MAX / 2;
        }
        // SAFETY: a mapped extent.
        EXTENT_HEADER_SIZE + unsafe { (*self.data.cast::<ExtentHeader>()).used.load(Relaxed) }
    }

    /// Lets go of the current extent: the file was cut behind it.
    pub fn drop_data(&mut self) {
        if self.next_data != 0 && !self.data.is_null() {
            // SAFETY: the extent is complete. (The first one shares its mapping with
            // the header and stays.)
            unsafe { sys::unmap(self.data, self.data_len as usize) };
        }
        self.data = core::ptr::null_mut();
    }

    /// Goes on in the file's last extent, which was made longer again.
    pub fn resume_data(&mut self, extent: *mut u8, len: u64) {
        self.set_data(extent, len);
        self.next_data = self.next_data.max(DATA_EXTENT);
    }

    pub(super) fn extend(&mut self, global: &Global, len: u64) -> bool {
        // SAFETY: no fixed place.
        match unsafe {
            global
                .file
                .extend(ExtentKind::Data, 0, len, core::ptr::null_mut())
        } {
            Ok(extent) => {
                let (old, old_len) = (self.data, self.data_len);
                self.set_data(extent, len);
                if !old.is_null() && self.next_data != 0 {
                    // SAFETY: the old extent is complete; the first one shares its
                    // mapping with the header and stays.
                    unsafe { sys::unmap(old, old_len as usize) };
                }
                self.next_data = (len * 2).min(MAX_DATA_EXTENT);
                true
            }
            Err(reason) => {
                global.stop(reason);
                false
            }
        }
    }

    /// Writes the nodes made so far as blocks.
    pub fn append_nodes(&mut self, global: &'static Global) -> bool {
        const PART: usize = 32 << 10;
        if !self.scratch.ready() {
            return false;
        }
        let nodes = global.stacks.nodes();
        let mut first = self.nodes_written.max(1);
        let Some(scratch) = sys::map_private(PART * 4 * 3) else {
            return false;
        };
        // SAFETY: a fresh mapping; the two parts do not overlap.
        let (hash, order) = unsafe {
            (
                core::slice::from_raw_parts_mut(scratch.cast::<u32>(), PART * 2),
                core::slice::from_raw_parts_mut(scratch.cast::<u32>().add(PART * 2), PART),
            )
        };
        let mut ok = true;
        for part in nodes.get(first as usize..).unwrap_or(&[]).chunks(PART) {
            let out = self.scratch.out();
            // A small table for few nodes touches less memory.
            let size = (part.len() * 2).next_power_of_two().min(PART * 2);
            let table = hash.get_mut(..size).unwrap_or(&mut []);
            let len = log_format::nodes::encode_nodes(first, part, table, order, out);
            ok &= match len.and_then(|len| out.get(..len)) {
                Some(raw) => self.append(global, BlockKind::Nodes, raw),
                None => false,
            };
            first += part.len() as u32;
        }
        // SAFETY: not used any more.
        unsafe { sys::unmap(scratch, PART * 4 * 3) };
        if ok {
            self.nodes_written = first;
        }
        ok
    }
}
