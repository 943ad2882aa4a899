//! What a drain works with: mapped once, touched as used, never part of the log.

use crate::sys;
use core::mem::size_of;
use core::sync::atomic::{Ordering::SeqCst, compiler_fence};
use log_format::window::{COLUMNS, Event, LIFETIMES, Sum};

/// Most blocks open at a time in one window.
pub const MAX_SLOTS: usize = 40 << 10;
/// Most events of one window that are not blocks made in it.
pub const MAX_EVENTS: usize = 32 << 10;
/// Of these, kept free for the reallocations under way at a window's end.
const MAX_PENDING_EVENTS: usize = 1024;
/// Most distinct stacks among a window's cancelled pairs.
pub const MAX_SUMS: usize = 48 << 10;
/// Room for a window's blobs, bytes.
pub const MAX_BLOBS: usize = 256 << 10;
/// Entries of the table of open blocks.
const TABLE: usize = (2 * MAX_SLOTS).next_power_of_two();
/// Entries of the table of sums.
const SUM_TABLE: usize = (2 * MAX_SUMS).next_power_of_two();
/// Bytes of one column.
const COLUMN: usize = (MAX_SLOTS + MAX_EVENTS) * 10;
/// Bytes of an encoded window.
pub const OUT: usize = COLUMN * COLUMNS + MAX_SUMS * 64 + MAX_BLOBS;
/// zstd's level for windows: the next one costs half as much again for 4 % less.
pub const LEVEL: i32 = 1;

/// A block made in the window at hand and not yet freed. 48 bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Slot {
    /// Address.
    pub ptr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Event clock.
    pub time: u64,
    /// Number of the event in its window.
    pub order: u32,
    /// Node.
    pub stack: u32,
    /// Serial of the thread.
    pub thread: u32,
    /// Ring it came through.
    pub ring: u32,
    /// Whether it is in use.
    pub open: bool,
    /// Made by a reallocation.
    pub realloc: bool,
    /// Given to a reallocation that has not ended.
    pub pending: bool,
}

/// An event that goes to the log as it is, with its place in the window.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Listed {
    /// Number of the event in its window.
    pub order: u32,
    /// The event.
    pub event: Event,
    /// For a freed block: how to take it back.
    pub ptr: u64,
    /// As `ptr`.
    pub size: u64,
}

/// Cancelled pairs of a stack, 64 bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SumEntry {
    bytes: u64,
    stack: u32,
    allocations: u32,
    reallocations: u32,
    temporary: u32,
    lifetimes: [u32; LIFETIMES],
}

const _: () = assert!(size_of::<SumEntry>() == 56);

impl SumEntry {
    /// As the log has it.
    pub fn sum(&self) -> Sum {
        Sum {
            stack: self.stack,
            allocations: u64::from(self.allocations),
            reallocations: u64::from(self.reallocations),
            bytes: self.bytes,
            temporary: u64::from(self.temporary),
            lifetimes: self.lifetimes,
        }
    }
}

/// See the module. All-zero bytes: nothing mapped.
#[repr(C)]
pub struct Scratch {
    base: *mut u8,
    /// Open blocks.
    slots: *mut Slot,
    /// `slots[..high]` were used in this window.
    pub high: usize,
    /// Numbers of slots to use again.
    free: *mut u32,
    free_len: usize,
    /// Address -> slot + 1.
    table: *mut u32,
    /// Listed events.
    listed: *mut Listed,
    /// Used ones.
    pub listed_len: usize,
    sums: *mut SumEntry,
    /// Used ones.
    pub sums_len: usize,
    sum_table: *mut u32,
    /// 64 − log2 of the entries that both tables use now, see [`Scratch::expect`].
    shift: u32,
    /// The sums were sorted, so their table is empty.
    sorted: bool,
    blobs: *mut u8,
    /// Used bytes.
    pub blobs_len: usize,
    columns: *mut u8,
    out: *mut u8,
    compressed: *mut u8,
    /// Bytes of `compressed`.
    compressed_len: usize,
    zstd: *mut zstd_sys::ZSTD_CCtx,
}

/// A place in the table of open blocks; good until the table changes.
#[derive(Clone, Copy)]
pub struct Place(usize);

#[inline(always)]
fn place(ptr: u64, shift: u32) -> usize {
    ((ptr >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}

#[inline(always)]
fn sum_place(stack: u32, shift: u32) -> usize {
    (u64::from(stack).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}

/// Both tables are used alike.
const _: () = assert!(TABLE == SUM_TABLE && TABLE.is_power_of_two());
/// Fewest entries of a table that are used.
const LEAST: usize = 1024;

/// A used place of the table of sums that is being emptied.
const EMPTIED: u32 = u32::MAX;

impl Scratch {
    /// Whether everything is mapped.
    pub fn is_ready(&self) -> bool {
        !self.base.is_null()
    }

    /// Maps everything; false if there is no memory.
    pub fn ready(&mut self) -> bool {
        if !self.base.is_null() {
            return true;
        }
        // SAFETY: a pure function.
        let compressed_len = unsafe { zstd_sys::ZSTD_compressBound(OUT) };
        let parts = [
            MAX_SLOTS * size_of::<Slot>(),
            MAX_SLOTS * 4,
            TABLE * 4,
            MAX_EVENTS * size_of::<Listed>(),
            MAX_SUMS * size_of::<SumEntry>(),
            SUM_TABLE * 4,
            MAX_BLOBS,
            COLUMN * COLUMNS,
            OUT,
            compressed_len,
        ]
        .map(|len| len.next_multiple_of(4096));
        let Some(base) = sys::map_private(parts.iter().sum()) else {
            return false;
        };
        let mut at = base;
        let [
            slots,
            free,
            table,
            listed,
            sums,
            sum_table,
            blobs,
            columns,
            out,
            compressed,
        ] = parts.map(|len| {
            let part = at;
            // SAFETY: inside the mapping.
            at = unsafe { at.add(len) };
            part
        });
        self.slots = slots.cast();
        self.free = free.cast();
        self.table = table.cast();
        self.listed = listed.cast();
        self.sums = sums.cast();
        self.sum_table = sum_table.cast();
        self.blobs = blobs;
        self.columns = columns;
        self.out = out;
        self.compressed = compressed;
        self.compressed_len = compressed_len;
        // Last: a handler that leaves by longjmp may end this at any point.
        compiler_fence(SeqCst);
        self.base = base;
        true
    }

    /// Says that the windows until the next call have at most that many blocks: few
    /// events, spread over whole tables, would touch a page each. Only between two
    /// windows, when both tables are empty.
    pub fn plan_for(&mut self, blocks: usize) {
        let entries = (2 * blocks.min(TABLE / 2))
            .next_power_of_two()
            .clamp(LEAST, TABLE);
        self.shift = 64 - entries.trailing_zeros();
    }

    /// Entries of a table that are used − 1.
    #[inline(always)]
    fn mask(&self) -> usize {
        (1 << (64 - self.shift)) - 1
    }

    /// Whether the compressor is there; it asks the processor for its features and
    /// touches memory, so a short program does without.
    pub fn has_compressor(&self) -> bool {
        !self.zstd.is_null()
    }

    fn ready_compressor(&mut self) -> bool {
        if !self.zstd.is_null() {
            return true;
        }
        // SAFETY: a pure function of the level.
        let len = unsafe { zstd_sys::ZSTD_estimateCCtxSize(LEVEL) }.next_multiple_of(4096);
        let Some(place) = sys::map_private(len) else {
            return false;
        };
        // SAFETY: the place is 8-aligned and as large as zstd asked for. A static
        // context never allocates.
        self.zstd = unsafe { zstd_sys::ZSTD_initStaticCCtx(place.cast(), len) };
        !self.zstd.is_null()
    }

    /// Takes now the memory that compressing will need.
    pub fn prepare(&mut self) {
        self.ready_compressor();
    }

    /// How many more events surely fit the window.
    pub fn sure_room(&self) -> usize {
        let slots = MAX_SLOTS - self.high;
        let listed = MAX_EVENTS.saturating_sub(self.listed_len + MAX_PENDING_EVENTS) / 2;
        let sums = MAX_SUMS - self.sums_len;
        let blobs = MAX_BLOBS.saturating_sub(self.blobs_len) / (2 * log_format::record::MAX_BLOB);
        slots.min(listed).min(sums).min(blobs * 8)
    }

    /// A slot by its number.
    #[inline(always)]
    pub fn slot(&mut self, index: u32) -> &mut Slot {
        // SAFETY: numbers come from `open` and are below MAX_SLOTS.
        unsafe { &mut *self.slots.add(index as usize) }
    }

    /// Slots used in this window.
    pub fn slots(&self) -> &[Slot] {
        // SAFETY: `high` of them were written.
        unsafe { core::slice::from_raw_parts(self.slots, self.high) }
    }

    /// Place of an address in the table, and the open block there if there is one.
    #[inline(always)]
    pub fn find(&self, ptr: u64) -> (Place, Option<u32>) {
        let (mut at, mask) = (place(ptr, self.shift), self.mask());
        // SAFETY: indices are masked; the table is at most half full.
        unsafe {
            loop {
                match *self.table.add(at) {
                    0 => return (Place(at), None),
                    number if (*self.slots.add(number as usize - 1)).ptr == ptr => {
                        return (Place(at), Some(number - 1));
                    }
                    _ => at = (at + 1) & mask,
                }
            }
        }
    }

    /// Stores a block; it is not yet found by its address.
    #[inline(always)]
    pub fn open(&mut self, slot: Slot) -> u32 {
        // SAFETY: `has_room` was asked, so `high` is in bounds; so is the free list.
        unsafe {
            let index = if self.free_len > 0 {
                self.free_len -= 1;
                *self.free.add(self.free_len)
            } else {
                self.high += 1;
                self.high as u32 - 1
            };
            *self.slots.add(index as usize) = slot;
            index
        }
    }

    /// Makes a slot found by its address, for which `find` gave the place just now.
    #[inline(always)]
    pub fn link(&mut self, place: Place, index: u32) {
        // SAFETY: a place in the table.
        unsafe { *self.table.add(place.0) = index + 1 };
    }

    /// Makes the slot at a place that `find` gave just now not found any more.
    #[inline(always)]
    pub fn unlink(&mut self, place_of: Place) {
        let (mut at, mask) = (place_of.0, self.mask());
        // SAFETY: indices are masked; the table is at most half full.
        unsafe {
            let mut next = (at + 1) & mask;
            loop {
                let number = *self.table.add(next);
                if number == 0 {
                    break;
                }
                let home = place((*self.slots.add(number as usize - 1)).ptr, self.shift);
                if next.wrapping_sub(home) & mask >= next.wrapping_sub(at) & mask {
                    *self.table.add(at) = number;
                    at = next;
                }
                next = (next + 1) & mask;
            }
            *self.table.add(at) = 0;
        }
    }

    /// Gives a slot back.
    #[inline(always)]
    pub fn close(&mut self, index: u32) {
        self.slot(index).open = false;
        // SAFETY: at most MAX_SLOTS numbers are out.
        unsafe { *self.free.add(self.free_len) = index };
        self.free_len += 1;
    }

    /// Adds the end of a block made in this window to its stack's sum.
    #[inline(always)]
    pub fn cancel(&mut self, index: u32, end: u64, temporary: bool) {
        let slot = *self.slot(index);
        // SAFETY: indices are masked; `has_room` keeps a place free.
        unsafe {
            let (mut at, mask) = (sum_place(slot.stack, self.shift), self.mask());
            let entry = loop {
                match *self.sum_table.add(at) {
                    0 => {
                        let entry = self.sums.add(self.sums_len);
                        *entry = SumEntry {
                            bytes: 0,
                            stack: slot.stack,
                            allocations: 0,
                            reallocations: 0,
                            temporary: 0,
                            lifetimes: [0; LIFETIMES],
                        };
                        self.sums_len += 1;
                        *self.sum_table.add(at) = self.sums_len as u32;
                        break entry;
                    }
                    number => {
                        let entry = self.sums.add(number as usize - 1);
                        if (*entry).stack == slot.stack {
                            break entry;
                        }
                        at = (at + 1) & mask;
                    }
                }
            };
            (*entry).bytes += slot.size;
            (*entry).allocations += u32::from(!slot.realloc);
            (*entry).reallocations += u32::from(slot.realloc);
            (*entry).temporary += u32::from(temporary);
            let class = log_format::window::lifetime_class(end.wrapping_sub(slot.time));
            *(*entry).lifetimes.get_unchecked_mut(class) += 1;
        }
    }

    /// Appends an event to the list.
    #[inline(always)]
    pub fn list(&mut self, listed: Listed) {
        // SAFETY: `has_room` was asked.
        unsafe { *self.listed.add(self.listed_len) = listed };
        self.listed_len += 1;
    }

    /// The listed events.
    pub fn listed(&self) -> &[Listed] {
        // SAFETY: that many were written.
        unsafe { core::slice::from_raw_parts(self.listed, self.listed_len) }
    }

    /// Appends an encoded blob.
    pub fn blob(&mut self, blob: &log_format::blob::Blob<'_>) {
        // SAFETY: the buffer has MAX_BLOBS bytes.
        let rest = unsafe {
            core::slice::from_raw_parts_mut(
                self.blobs.add(self.blobs_len),
                MAX_BLOBS - self.blobs_len,
            )
        };
        let mut out = log_format::varint::Out::new(rest);
        blob.encode(&mut out);
        self.blobs_len += out.finish().unwrap_or(0);
    }

    /// Numbers of the open slots by their order, in the free list's memory, which
    /// the window needs no more.
    pub fn survivors(&mut self) -> &'static [u32] {
        let mut len = 0;
        for index in 0..self.high {
            // SAFETY: below `high`; the list has as many places as there are slots.
            unsafe {
                if (*self.slots.add(index)).open {
                    *self.free.add(len) = index as u32;
                    len += 1;
                }
            }
        }
        self.free_len = 0;
        // SAFETY: just written; slots stay while the numbers are sorted.
        unsafe {
            let numbers = core::slice::from_raw_parts_mut(self.free, len);
            let slots = self.slots;
            numbers.sort_unstable_by_key(|&index| (*slots.add(index as usize)).order);
            numbers
        }
    }

    /// The sums by stack. Their table is emptied.
    pub fn sorted_sums(&mut self) -> &'static [SumEntry] {
        // SAFETY: that many were written.
        unsafe {
            self.empty_sum_table();
            self.sorted = true;
            let sums = core::slice::from_raw_parts_mut(self.sums, self.sums_len);
            sums.sort_unstable_by_key(|sum| sum.stack);
            sums
        }
    }

    /// Empties the table of sums: entry by entry if few are used, so that a short
    /// program touches little memory.
    fn empty_sum_table(&mut self) {
        let (mask, shift) = (self.mask(), self.shift);
        // SAFETY: the table's own memory; sums are below `sums_len`.
        unsafe {
            if self.sums_len > mask / 16 {
                self.sum_table.write_bytes(0, mask + 1);
                return;
            }
            for index in 0..self.sums_len {
                let mut at = sum_place((*self.sums.add(index)).stack, shift);
                while *self.sum_table.add(at) != index as u32 + 1 {
                    at = (at + 1) & mask;
                }
                // Not 0 yet: walks of later entries pass here.
                *self.sum_table.add(at) = EMPTIED;
            }
            for index in 0..self.sums_len {
                let mut at = sum_place((*self.sums.add(index)).stack, shift);
                while *self.sum_table.add(at) == EMPTIED {
                    *self.sum_table.add(at) = 0;
                    at = (at + 1) & mask;
                }
            }
        }
    }

    /// The seven columns.
    pub fn columns(&mut self) -> [&'static mut [u8]; COLUMNS] {
        // SAFETY: disjoint parts of the mapping, used by one encoder at a time.
        core::array::from_fn(|index| unsafe {
            core::slice::from_raw_parts_mut(self.columns.add(index * COLUMN), COLUMN)
        })
    }

    /// The blobs so far.
    pub fn blobs(&self) -> &'static [u8] {
        // SAFETY: that many bytes were written; stable until the next window.
        unsafe { core::slice::from_raw_parts(self.blobs, self.blobs_len) }
    }

    /// Where a window is put together.
    pub fn out(&mut self) -> &'static mut [u8] {
        // SAFETY: a part of the mapping, used for one block at a time.
        unsafe { core::slice::from_raw_parts_mut(self.out, OUT) }
    }

    /// `raw` compressed; `None` if that gains nothing.
    pub fn compress(&mut self, raw: &[u8]) -> Option<&'static [u8]> {
        if raw.len() < 160 || !self.ready_compressor() {
            return None;
        }
        // SAFETY: the context is ours, both buffers have the lengths given.
        unsafe {
            let len = zstd_sys::ZSTD_compressCCtx(
                self.zstd,
                self.compressed.cast(),
                self.compressed_len,
                raw.as_ptr().cast(),
                raw.len(),
                LEVEL,
            );
            if zstd_sys::ZSTD_isError(len) != 0 || len >= raw.len() {
                return None;
            }
            Some(core::slice::from_raw_parts(self.compressed, len))
        }
    }

    /// Empties everything for the next window. `whole`: the tables are as they
    /// should be (else they are wiped, not walked).
    pub fn clear(&mut self, whole: bool) {
        if !whole {
            // SAFETY: the tables' own memory.
            unsafe {
                self.table.write_bytes(0, TABLE);
                self.sum_table.write_bytes(0, SUM_TABLE);
            }
            self.sorted = true;
        } else {
            // Few survivors are cheaper to take out one by one.
            let open = self
                .slots()
                .iter()
                .filter(|slot| slot.open && !slot.pending)
                .count();
            if open > self.mask() / 64 {
                // SAFETY: the table's own memory.
                unsafe { self.table.write_bytes(0, self.mask() + 1) };
            } else if open > 0 {
                for index in 0..self.high as u32 {
                    let slot = self.slot(index);
                    if slot.open && !slot.pending {
                        let ptr = slot.ptr;
                        let (place, _) = self.find(ptr);
                        self.unlink(place);
                    }
                }
            }
        }
        self.high = 0;
        self.free_len = 0;
        self.listed_len = 0;
        if !self.sorted {
            self.empty_sum_table();
        }
        self.sorted = false;
        self.sums_len = 0;
        self.blobs_len = 0;
    }
}
