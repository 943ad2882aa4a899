//! The drain: rings to windows.
//!
//! **Common instant.** The drain reads the clock, then every ring's head, and
//! takes only events up to that time. If B frees what A allocated, A's record was
//! published before B could have the address; a drain that misses A's record
//! read A's head before it was published, so B's free has a later time than the
//! drain's and stays for the next window. The same holds for a free and the next
//! allocation of the address, because a free is published before it is done.
//!
//! **Peak.** A window that raises the heap's peak is cut at its maximum: a first
//! pass finds the place, is taken back, and a second one ends there. So the live
//! set at the peak is exactly the live set at the end of a window.

use super::live::{Block, Live};
use super::scratch::{Listed, Scratch, Slot};
use crate::arch::clock;
use crate::global::{Global, MAX_THREADS};
use crate::sys;
use crate::thread;
use core::mem::size_of;
use core::sync::atomic::{Ordering::*, compiler_fence, fence};
use log_format::blob::{Blob, BlobKind, Thread};
use log_format::block::{BLOCK_HEADER, BlockHeader, BlockKind, Codec};
use log_format::layout::{EXTENT_HEADER_SIZE, ExtentHeader, ExtentKind, StopReason};
use log_format::record::{self, MAX_BLOB, Record, kind};
use log_format::ring::{self, RingHeader};
use log_format::window::{Encoder, Event, EventKind, Head, Tail, Totals};

/// Event times keep this many bits less (about ½ µs at 2 GHz).
const TIME_SHIFT: u8 = 10;
/// A block of at most this size is stored as it is before the first drain, bytes.
const SMALL: usize = 8 << 10;
/// Reallocations of one thread that can be under way at once (handlers).
const MAX_PENDING: usize = 4;
/// First DATA extent added, bytes; each further one is twice as large up to the last.
const DATA_EXTENT: u64 = 256 << 10;
const MAX_DATA_EXTENT: u64 = 16 << 20;

/// A block between the two records of its reallocation.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pending {
    old: u64,
    /// 1: open slot, 2: older block, 3: unknown; 0: none.
    what: u32,
    slot: u32,
    block: Block,
    /// The log was told (in an earlier window).
    announced: bool,
}

/// What the drain knows of a ring.
#[derive(Clone, Copy)]
#[repr(C)]
struct RingState {
    /// Serial of the thread that wrote the events at the tail.
    thread: u32,
    /// The block it made last, if it is still there and nothing came after.
    last_alloc: u64,
    pending: [Pending; MAX_PENDING],
    pending_len: u32,
    /// Time of the last record that had one.
    now: u64,
    // The pass at hand:
    position: u64,
    end: u64,
    time: u64,
}

/// See the module. All-zero bytes: nothing drained yet.
#[repr(C)]
pub struct Drain {
    data: *mut u8,
    data_len: u64,
    next_data: u64,
    /// Order of the next block.
    seq: u64,
    live: Live,
    scratch: Scratch,
    rings: *mut RingState,
    /// Copies for taking a pass back.
    saved: *mut RingState,
    ring_count: usize,
    /// Rings with events in this pass.
    active: *mut u32,
    active_len: usize,
    live_blocks: u64,
    live_bytes: u64,
    peak_bytes: u64,
    next_serial: u64,
    totals: Totals,
    order: u32,
    start: u64,
    end: u64,
    max_live: u64,
    max_at: u32,
    windows: u64,
    stage: Stage,
    /// Live bytes and blocks before the window at hand.
    before: (u64, u64),
}

/// How far the window at hand is: what must be undone if the drain is abandoned.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Stage {
    /// Nothing to undo.
    Idle = 0,
    /// Events are being taken.
    Pass = 1,
    /// Survivors are being put into the live set.
    Commit = 2,
    /// The window is in the file.
    Written = 3,
}

impl Drain {
    /// Blocks go into this DATA extent from now on.
    pub fn set_data(&mut self, extent: *mut u8, len: u64) {
        self.data = extent;
        self.data_len = len;
    }

    /// Maps what a drain needs; false if there is no memory.
    fn ready(&mut self) -> bool {
        if self.rings.is_null() {
            let array = MAX_THREADS * size_of::<RingState>();
            let Some(base) = sys::map_private(2 * array + MAX_THREADS * 4) else { return false };
            self.rings = base.cast();
            // SAFETY: inside the mapping.
            unsafe {
                self.saved = base.add(array).cast();
                self.active = base.add(2 * array).cast();
            }
        }
        self.scratch.ready()
    }

    /// Touches and reserves what a program behind a system-call filter needs.
    pub fn prepare(&mut self, global: &Global) {
        self.ready();
        self.extend(global, MAX_DATA_EXTENT);
    }

    /// The first DATA extent, if no other was needed.
    pub fn first_extent(&self) -> Option<&ExtentHeader> {
        // SAFETY: the current extent is mapped.
        (self.next_data == 0).then(|| unsafe { &*self.data.cast::<ExtentHeader>() })
    }

    /// Blocks written so far.
    pub fn block_count(&self) -> u64 {
        self.seq
    }

    /// Drains everything that the rings hold now.
    pub fn drain_all(&mut self, global: &'static Global) {
        if !self.ready() {
            global.stop(StopReason::NoSpace);
            return;
        }
        let until = clock::after();
        // The clock first, the heads after it (see the module).
        fence(SeqCst);
        self.ring_count = global.state_count.load(Acquire).min(MAX_THREADS);
        for index in 0..self.ring_count {
            let (tail, head) = self.ring_of(global, index).map_or((0, 0), |ring| ring::readable(ring.header));
            // SAFETY: the array has a place for every state.
            unsafe {
                (*self.rings.add(index)).position = tail;
                (*self.rings.add(index)).end = head;
            }
        }
        loop {
            let more = self.window(global, until);
            if !more || global.phase() != crate::global::Phase::Recording {
                break;
            }
        }
        self.windows += 1;
        global.file.calibrate(self.windows as usize);
    }

    /// One window; false if nothing was left.
    fn window(&mut self, global: &'static Global, until: u64) -> bool {
        self.save();
        self.before = (self.live_bytes, self.live_blocks);
        self.set_stage(Stage::Pass);
        self.pass(global, until, u32::MAX);
        if self.order == 0 {
            self.scratch.clear(true);
            self.set_stage(Stage::Idle);
            return false;
        }
        let raised = self.max_live > self.peak_bytes;
        if raised && self.max_at + 1 < self.order {
            let limit = self.max_at + 1;
            self.take_back(true);
            self.pass(global, until, limit);
        }
        self.set_stage(Stage::Commit);
        self.commit(global, raised);
        self.set_stage(Stage::Idle);
        true
    }

    /// Compilers must not move the stage among the work that it is about.
    fn set_stage(&mut self, stage: Stage) {
        compiler_fence(SeqCst);
        self.stage = stage;
        compiler_fence(SeqCst);
    }

    /// After a handler left the drain by `longjmp`: undoes the window at hand, or
    /// finishes it if it is in the file already.
    pub fn recover(&mut self, global: &'static Global) {
        match self.stage {
            Stage::Idle => {}
            Stage::Pass => self.take_back(false),
            Stage::Commit => {
                for index in 0..self.scratch.high as u32 {
                    let slot = *self.scratch.slot(index);
                    if slot.open && !slot.pending {
                        self.live.remove(slot.ptr);
                    }
                }
                self.take_back(false);
            }
            Stage::Written => self.give_room(global),
        }
        self.scratch.clear(false);
        self.set_stage(Stage::Idle);
    }

    fn save(&mut self) {
        // SAFETY: both arrays have `ring_count` places.
        unsafe { core::ptr::copy_nonoverlapping(self.rings, self.saved, self.ring_count) };
    }

    /// Undoes a pass: rings, and blocks taken out of the live set. `whole`: the
    /// scratch is as the pass left it (not as a jump out of it did).
    fn take_back(&mut self, whole: bool) {
        // SAFETY: as in `save`.
        unsafe { core::ptr::copy_nonoverlapping(self.saved, self.rings, self.ring_count) };
        for listed in self.scratch.listed() {
            if listed.ptr != 0 {
                let block = Block { size: listed.size, serial: listed.event.serial };
                // It was there a moment ago, so there is room for it.
                let _ = self.live.insert(listed.ptr, block);
            }
        }
        (self.live_bytes, self.live_blocks) = self.before;
        self.scratch.clear(whole);
    }

    /// Takes events in order of time until `limit` of them, or until the scratch is full.
    fn pass(&mut self, global: &'static Global, until: u64, limit: u32) {
        self.order = 0;
        self.totals = Totals::default();
        (self.max_live, self.max_at) = (0, 0);
        (self.start, self.end) = (0, 0);
        self.active_len = 0;
        for index in 0..self.ring_count {
            // SAFETY: as in `drain_all`.
            unsafe {
                let ring = &mut *self.rings.add(index);
                if let Some(source) = self.ring_of(global, index)
                    && ring.position < ring.end
                {
                    ring.time = source.time(ring.position, ring.now);
                    if ring.time <= until {
                        *self.active.add(self.active_len) = index as u32;
                        self.active_len += 1;
                    }
                }
            }
        }
        while self.active_len > 0 {
            // The ring with the earliest event, and how long it stays that.
            let (mut place, mut first, mut second) = (0, u64::MAX, u64::MAX);
            for at in 0..self.active_len {
                // SAFETY: active rings are below `ring_count`.
                let time = unsafe { (*self.rings.add(*self.active.add(at) as usize)).time };
                if time < first {
                    second = first;
                    (place, first) = (at, time);
                } else if time < second {
                    second = time;
                }
            }
            // SAFETY: as above.
            let index = unsafe { *self.active.add(place) } as usize;
            match self.run(global, index, until.min(second), until, limit) {
                Run::Full => return,
                Run::Other => {}
                Run::Empty => {
                    self.active_len -= 1;
                    // SAFETY: as above.
                    unsafe { *self.active.add(place) = *self.active.add(self.active_len) };
                }
            }
        }
    }

    /// A ring by its number; `None` while it is being made.
    fn ring_of(&self, global: &'static Global, index: usize) -> Option<Ring> {
        // SAFETY: published states and their rings stay mapped.
        unsafe {
            let state = global.states.get(index)?.load(Acquire).as_ref()?;
            Some(Ring { header: &*state.ring, data: state.data, mask: state.mask })
        }
    }

    /// Takes events of one ring while they are not later than `until`.
    fn run(&mut self, global: &'static Global, index: usize, until: u64, last: u64, limit: u32) -> Run {
        let Some(source) = self.ring_of(global, index) else { return Run::Empty };
        // SAFETY: `index` is below `ring_count`.
        let state = unsafe { &mut *self.rings.add(index) };
        let mut sure = 0;
        loop {
            if sure == 0 {
                sure = self.scratch.sure_room();
                if sure == 0 {
                    return Run::Full;
                }
            }
            if self.order >= limit {
                return Run::Full;
            }
            sure -= 1;
            let position = state.position;
            let first = source.word(position);
            if self.order == 0 {
                self.start = state.time;
            }
            // The two commonest by hand; the decoder knows them all.
            match (first >> 56) as u8 {
                kind::TIME => {
                    state.now = first & record::PTR_MASK;
                    state.position = position + 8;
                    if state.position >= state.end {
                        return Run::Empty;
                    }
                    state.time = source.time(state.position, state.now);
                    if state.time > until {
                        return if state.time > last { Run::Empty } else { Run::Other };
                    }
                    continue;
                }
                kind::FREE_SHORT => {
                    self.freed(state, first & record::PTR_MASK, state.now);
                    state.position = position + 8;
                }
                kind::ALLOC_SHORT => {
                    let second = source.word(position + 8);
                    self.totals.allocations += 1;
                    let (size, stack) = (second & 0xffff_ffff, (second >> 32) as u32);
                    self.made(index as u32, state, first & record::PTR_MASK, size, stack, state.now, false);
                    state.position = position + 16;
                }
                _ => {
                    let word = |i: u64| source.word(position + i * 8);
                    let len = record::length(first);
                    let Some(record) = Record::decode(word).filter(|_| len != 0) else {
                        // Cannot be, short of a program that writes into our pages.
                        state.position = state.end;
                        thread::lost(global);
                        return Run::Empty;
                    };
                    state.now = word(1);
                    match record {
                        Record::Blob { what, len } => self.blob(state, what, state.now, len, &source),
                        record => self.event(index as u32, state, &record, state.now),
                    }
                    state.position = position + len;
                }
            }
            self.end = self.end.max(state.now);
            self.order += 1;
            if state.position >= state.end {
                return Run::Empty;
            }
            state.time = source.time(state.position, state.now);
            if state.time > until {
                return if state.time > last { Run::Empty } else { Run::Other };
            }
        }
    }

    #[inline(always)]
    fn event(&mut self, index: u32, ring: &mut RingState, record: &Record, time: u64) {
        match *record {
            Record::Alloc { ptr, size, stack } => {
                self.totals.allocations += 1;
                self.made(index, ring, ptr, size, stack, time, false);
            }
            Record::Free { ptr } => self.freed(ring, ptr, time),
            Record::ReallocBegin { old } => self.realloc_begin(ring, old),
            Record::ReallocEnd { old, new, size, stack, ok } => {
                let pending = take_pending(ring, old);
                if ok {
                    self.realloc_done(ring, pending, time);
                    let known = pending.what == 1 || pending.what == 2;
                    if known {
                        self.totals.reallocations += 1;
                    } else {
                        self.totals.allocations += 1;
                    }
                    self.made(index, ring, new, size, stack, time, known);
                } else {
                    self.realloc_failed(ring, pending, time);
                }
            }
            Record::Map { address, len, stack, .. } => {
                self.list(EventKind::Map, ring.thread, time, address, len, stack);
            }
            Record::Unmap { address, len } => self.list(EventKind::Unmap, ring.thread, time, address, len, 0),
            Record::Blob { .. } | Record::Time { .. } => {}
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn made(&mut self, index: u32, ring: &mut RingState, ptr: u64, size: u64, stack: u32, time: u64, realloc: bool) {
        let (mut place, stale) = self.scratch.find(ptr);
        if let Some(stale) = stale {
            // Its free was not seen.
            self.totals.missed_frees += 1;
            self.live_bytes -= self.scratch.slot(stale).size;
            self.live_blocks -= 1;
            self.scratch.cancel(stale, time, false);
            self.scratch.unlink(place);
            self.scratch.close(stale);
            (place, _) = self.scratch.find(ptr);
        }
        self.totals.allocated_bytes = self.totals.allocated_bytes.wrapping_add(size);
        self.live_blocks += 1;
        self.live_bytes = self.live_bytes.wrapping_add(size);
        self.note_peak();
        ring.last_alloc = ptr;
        let order = self.order;
        let thread = ring.thread;
        let slot = self.scratch.open(Slot {
            ptr, size, time, order, stack, thread, ring: index, open: true, realloc, pending: false,
        });
        self.scratch.link(place, slot);
    }

    #[inline(always)]
    fn freed(&mut self, ring: &mut RingState, ptr: u64, time: u64) {
        if let (place, Some(slot)) = self.scratch.find(ptr) {
            let (owner, size) = { let s = self.scratch.slot(slot); (s.ring, s.size) };
            // SAFETY: the ring of an open slot is below `ring_count`. It may be the
            // one behind `ring`: fields are read through one pointer at a time.
            let last = unsafe { &raw mut (*self.rings.add(owner as usize)).last_alloc };
            // SAFETY: as above.
            let temporary = unsafe { *last } == ptr;
            if temporary {
                // SAFETY: as above.
                unsafe { *last = 0 };
                self.totals.temporary += 1;
            }
            self.totals.frees += 1;
            self.live_blocks -= 1;
            self.live_bytes -= size;
            self.scratch.cancel(slot, time, temporary);
            self.scratch.unlink(place);
            self.scratch.close(slot);
        } else {
            self.freed_older(ring, ptr, time);
        }
    }

    fn freed_older(&mut self, ring: &mut RingState, ptr: u64, time: u64) {
        let Some(block) = self.live.remove(ptr) else {
            self.totals.unmatched_frees += 1;
            self.list(EventKind::UnmatchedFree, ring.thread, time, ptr, 0, 0);
            return;
        };
        let temporary = self.forget_last(ptr);
        self.totals.frees += 1;
        self.totals.temporary += u64::from(temporary);
        self.live_blocks -= 1;
        self.live_bytes = self.live_bytes.wrapping_sub(block.size);
        let kind = if temporary { EventKind::FreeTemporary } else { EventKind::Free };
        self.list_block(kind, ring.thread, time, ptr, block);
    }

    /// If the block is some thread's last allocation: it is no longer.
    fn forget_last(&mut self, ptr: u64) -> bool {
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let last = unsafe { &mut (*self.rings.add(index)).last_alloc };
            if *last == ptr {
                *last = 0;
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn note_peak(&mut self) {
        if self.live_bytes > self.max_live {
            self.max_live = self.live_bytes;
            self.max_at = self.order;
        }
    }

    fn realloc_begin(&mut self, ring: &mut RingState, old: u64) {
        let mut pending =
            Pending { old, what: 3, slot: 0, block: Block { size: 0, serial: 0 }, announced: false };
        if let (place, Some(slot)) = self.scratch.find(old) {
            self.scratch.unlink(place);
            let open = self.scratch.slot(slot);
            open.pending = true;
            pending.what = 1;
            pending.slot = slot;
            pending.block.size = open.size;
        } else if let Some(block) = self.live.remove(old) {
            pending.what = 2;
            pending.block = block;
            // Only for taking the pass back; nothing is written for it.
            self.scratch.list(Listed {
                order: u32::MAX,
                event: Event {
                    kind: EventKind::ReleaseDone, thread: 0, stack: 0, time: 0, ptr: 0, size: 0, serial: block.serial,
                },
                ptr: old,
                size: block.size,
            });
        }
        if pending.what != 3 {
            self.live_blocks -= 1;
            self.live_bytes = self.live_bytes.wrapping_sub(pending.block.size);
            self.forget_last(old);
        }
        if ring.pending_len as usize == MAX_PENDING {
            // The oldest was left by a longjmp.
            ring.pending.copy_within(1.., 0);
            ring.pending_len -= 1;
        }
        if let Some(place) = ring.pending.get_mut(ring.pending_len as usize) {
            *place = pending;
            ring.pending_len += 1;
        }
    }

    fn realloc_done(&mut self, ring: &mut RingState, pending: Pending, time: u64) {
        match pending.what {
            1 => {
                self.scratch.cancel(pending.slot, time, false);
                self.scratch.close(pending.slot);
            }
            2 => self.list_block(EventKind::ReleaseDone, ring.thread, time, 0, pending.block),
            _ => {
                self.totals.unmatched_frees += 1;
                self.list(EventKind::UnmatchedFree, ring.thread, time, pending.old, 0, 0);
            }
        }
    }

    fn realloc_failed(&mut self, ring: &mut RingState, pending: Pending, time: u64) {
        match pending.what {
            1 => {
                let slot = self.scratch.slot(pending.slot);
                slot.pending = false;
                let ptr = slot.ptr;
                let (place, _) = self.scratch.find(ptr);
                self.scratch.link(place, pending.slot);
            }
            2 => {
                let _ = self.live.insert(pending.old, pending.block);
                if pending.announced {
                    self.list_block(EventKind::Revive, ring.thread, time, 0, pending.block);
                }
            }
            _ => return,
        }
        self.live_blocks += 1;
        self.live_bytes = self.live_bytes.wrapping_add(pending.block.size);
        self.note_peak();
    }

    fn list(&mut self, kind: EventKind, thread: u32, time: u64, ptr: u64, size: u64, stack: u32) {
        let event = Event { kind, thread, stack, time, ptr, size, serial: 0 };
        self.scratch.list(Listed { order: self.order, event, ptr: 0, size: 0 });
    }

    fn list_block(&mut self, kind: EventKind, thread: u32, time: u64, ptr: u64, block: Block) {
        let event = Event { kind, thread, stack: 0, time, ptr: 0, size: 0, serial: block.serial };
        self.scratch.list(Listed { order: self.order, event, ptr, size: block.size });
    }

    #[cold]
    fn blob(&mut self, ring: &mut RingState, what: u8, time: u64, len: usize, source: &Ring) {
        let mut payload = [0u8; 512];
        let small = len <= payload.len();
        let bytes: &mut [u8] = if small {
            &mut payload
        } else {
            // Larger ones are rare: the window's output is free until the end.
            self.scratch.out()
        };
        let Some(bytes) = bytes.get_mut(..len.min(MAX_BLOB)) else { return };
        for (index, byte) in bytes.iter_mut().enumerate() {
            let at = ring.position + 16 + index as u64;
            *byte = (source.word(at & !7) >> (at % 8 * 8)) as u8;
        }
        if what == BlobKind::ThreadStart as u8
            && let Some(thread) = Thread::decode(bytes)
        {
            ring.thread = thread.serial;
            ring.last_alloc = 0;
        }
        self.scratch.blob(&Blob { what, time, thread: ring.thread, payload: bytes });
    }

    /// Writes the window and makes it final.
    fn commit(&mut self, global: &'static Global, raised: bool) {
        let survivors = self.scratch.survivors();
        let mut head = Head {
            start: self.start,
            end: self.end.max(self.start),
            time_shift: TIME_SHIFT,
            ends_at_peak: raised,
            first_serial: self.next_serial,
            totals: self.totals,
            live_blocks: self.live_blocks,
            live_bytes: self.live_bytes,
            max_live_bytes: self.max_live,
        };
        let mut encoder = Encoder::new(&head, self.scratch.columns());
        let mut listed = 0;
        let mut failed = false;
        for &number in survivors {
            let slot = *self.scratch.slot(number);
            self.encode_listed(&mut encoder, &mut listed, slot.order);
            let serial = encoder.next_serial();
            if slot.pending {
                self.settle(number, serial);
            } else {
                match self.live.insert(slot.ptr, Block { size: slot.size, serial }) {
                    Ok(None) => {}
                    Ok(Some(stale)) => {
                        head.totals.missed_frees += 1;
                        self.live_blocks -= 1;
                        self.live_bytes = self.live_bytes.wrapping_sub(stale.size);
                        encoder.event(&Event {
                            kind: EventKind::MissedFree, thread: slot.thread, stack: 0, time: slot.time, ptr: 0, size: 0,
                            serial: stale.full_serial(serial),
                        });
                    }
                    Err(()) => failed = true,
                }
            }
            encoder.event(&Event {
                kind: if slot.realloc { EventKind::ReallocAlloc } else { EventKind::Alloc },
                thread: slot.thread, stack: slot.stack, time: slot.time, ptr: slot.ptr, size: slot.size, serial: 0,
            });
        }
        self.encode_listed(&mut encoder, &mut listed, u32::MAX);
        self.announce_pending(&mut encoder);
        self.next_serial = encoder.next_serial();
        head.live_blocks = self.live_blocks;
        head.live_bytes = self.live_bytes;
        let sums = self.scratch.sorted_sums();
        let tails = self.tails();
        let out = self.scratch.out();
        let blobs = self.scratch.blobs();
        match encoder.finish(&head, tails, sums.iter().map(|s| s.sum()), blobs, out) {
            Some(len) => {
                self.append(global, BlockKind::Window, out.get(..len).unwrap_or(&[]));
            }
            None => failed = true,
        }
        if raised {
            self.peak_bytes = self.max_live;
        }
        self.set_stage(Stage::Written);
        if failed {
            global.stop(StopReason::NoSpace);
        }
        self.give_room(global);
        self.scratch.clear(true);
    }

    /// The window is in the file: the rings' room can be used again.
    fn give_room(&mut self, global: &'static Global) {
        for index in 0..self.ring_count {
            if let Some(ring) = self.ring_of(global, index) {
                // SAFETY: below `ring_count`.
                ring::release(ring.header, unsafe { (*self.rings.add(index)).position });
            }
        }
    }

    fn encode_listed(&mut self, encoder: &mut Encoder<'_>, next: &mut usize, before: u32) {
        while let Some(listed) = self.scratch.listed().get(*next) {
            if listed.order == u32::MAX {
                *next += 1;
                continue;
            }
            if listed.order >= before {
                return;
            }
            let mut event = listed.event;
            event.serial = Block { size: 0, serial: event.serial }.full_serial(encoder.next_serial());
            encoder.event(&event);
            *next += 1;
        }
    }

    /// A block of this window that is being reallocated while the window ends is
    /// an older one from now on.
    fn settle(&mut self, slot: u32, serial: u64) {
        let size = self.scratch.slot(slot).size;
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let ring = unsafe { &mut *self.rings.add(index) };
            let count = ring.pending_len as usize;
            for pending in ring.pending.iter_mut().take(count) {
                if pending.what == 1 && pending.slot == slot {
                    pending.what = 2;
                    pending.block = Block { size, serial };
                }
            }
        }
    }

    fn announce_pending(&mut self, encoder: &mut Encoder<'_>) {
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let ring = unsafe { &mut *self.rings.add(index) };
            let (count, thread) = (ring.pending_len as usize, ring.thread);
            for pending in ring.pending.iter_mut().take(count) {
                if pending.what == 2 && !pending.announced {
                    pending.announced = true;
                    let serial = pending.block.full_serial(encoder.next_serial());
                    encoder.event(&Event {
                        kind: EventKind::Release, thread, stack: 0, time: self.end, ptr: 0, size: 0, serial,
                    });
                }
            }
        }
    }

    /// Tails of the rings that this window moved.
    fn tails(&mut self) -> &'static [Tail] {
        // The saved copies are not needed any more: their memory holds the tails.
        let tails = self.saved.cast::<Tail>();
        let mut len = 0;
        const { assert!(size_of::<Tail>() <= size_of::<RingState>()) };
        for index in 0..self.ring_count {
            // SAFETY: both arrays have `ring_count` places; a tail is smaller than
            // a saved state, and its place is not behind the one that is read.
            unsafe {
                let before = (*self.saved.add(index)).position;
                let ring = &*self.rings.add(index);
                if ring.position != before {
                    let tail =
                        Tail { ring: index as u32, tail: ring.position, thread: ring.thread, last_alloc: ring.last_alloc };
                    *tails.add(len) = tail;
                    len += 1;
                }
            }
        }
        // SAFETY: just written; stable until the next `save`.
        unsafe { core::slice::from_raw_parts(tails, len) }
    }

    /// Appends a block to the file; nothing happens if there is no room (and
    /// recording ends).
    pub fn append(&mut self, global: &Global, kind: BlockKind, raw: &[u8]) -> bool {
        // The first blocks of a process are small: not worth the compressor's memory.
        let worth = raw.len() > SMALL || self.scratch.is_ready();
        let compressed = if worth && self.scratch.ready() { self.scratch.compress(raw) } else { None };
        let (codec, stored) = match compressed {
            Some(stored) => (Codec::Zstd, stored),
            None => (Codec::Raw, raw),
        };
        let header = BlockHeader::new(kind, codec, self.seq, raw.len() as u32, stored);
        let stride = BlockHeader::stride(stored.len() as u32);
        if self.used() + stride > self.data_len {
            let least = stride + EXTENT_HEADER_SIZE;
            let len = self.next_data.max(DATA_EXTENT).max(least.next_multiple_of(4096));
            if !self.extend(global, len) {
                return false;
            }
        }
        let used = self.used();
        // SAFETY: the extent has room for the stride; nobody else writes there.
        unsafe {
            let at = self.data.add(used as usize);
            core::ptr::copy_nonoverlapping(stored.as_ptr(), at.add(BLOCK_HEADER), stored.len());
            core::ptr::copy_nonoverlapping(header.to_bytes().as_ptr(), at, BLOCK_HEADER);
            // Published last: a block that the extent does not count is not there.
            (*self.data.cast::<ExtentHeader>()).used.store(used + stride - EXTENT_HEADER_SIZE, Release);
        }
        self.seq += 1;
        true
    }

    /// Bytes of the current extent that are in use, with its header.
    fn used(&self) -> u64 {
        if self.data.is_null() {
            return u64::MAX / 2;
        }
        // SAFETY: a mapped extent.
        EXTENT_HEADER_SIZE + unsafe { (*self.data.cast::<ExtentHeader>()).used.load(Relaxed) }
    }

    fn extend(&mut self, global: &Global, len: u64) -> bool {
        // SAFETY: no fixed place.
        match unsafe { global.file.extend(ExtentKind::Data, 0, len, core::ptr::null_mut()) } {
            Ok(extent) => {
                if !self.data.is_null() && self.next_data != 0 {
                    // SAFETY: the old extent is complete; the first one shares its
                    // mapping with the header and stays.
                    unsafe { sys::unmap(self.data, self.data_len as usize) };
                }
                self.set_data(extent, len);
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
        let Some(scratch) = sys::map_private(PART * 4 * 3) else { return false };
        // SAFETY: a fresh mapping; the two parts do not overlap.
        let (hash, order) = unsafe {
            (
                core::slice::from_raw_parts_mut(scratch.cast::<u32>(), PART * 2),
                core::slice::from_raw_parts_mut(scratch.cast::<u32>().add(PART * 2), PART),
            )
        };
        let mut ok = true;
        let mut first = 1u32;
        for part in nodes.get(1..).unwrap_or(&[]).chunks(PART) {
            let out = self.scratch.out();
            // A small table for few nodes touches less memory.
            let size = (part.len() * 2).next_power_of_two().min(PART * 2);
            let table = hash.get_mut(..size).unwrap_or(&mut []);
            let len = log_format::window::encode_nodes(first, part, table, order, out);
            ok &= match len.and_then(|len| out.get(..len)) {
                Some(raw) => self.append(global, BlockKind::Nodes, raw),
                None => false,
            };
            first += part.len() as u32;
        }
        // SAFETY: not used any more.
        unsafe { sys::unmap(scratch, PART * 4 * 3) };
        ok
    }

}

/// A ring as the consumer sees it.
struct Ring {
    header: &'static RingHeader,
    data: *const u64,
    mask: u64,
}

impl Ring {
    /// Time of the record at a position, given that of the one before.
    #[inline(always)]
    fn time(&self, position: u64, now: u64) -> u64 {
        let first = self.word(position);
        if record::has_time(first) {
            self.word(position + 8)
        } else if (first >> 56) as u8 == kind::TIME {
            first & record::PTR_MASK
        } else {
            now
        }
    }

    /// The word at a position.
    #[inline(always)]
    fn word(&self, position: u64) -> u64 {
        // SAFETY: masked into the ring's data.
        unsafe { *self.data.add(((position & self.mask) / 8) as usize) }
    }
}

/// Why a run through one ring ended.
enum Run {
    /// The window is full.
    Full,
    /// Another ring's event is earlier.
    Other,
    /// Nothing is left up to the common instant.
    Empty,
}

fn take_pending(ring: &mut RingState, old: u64) -> Pending {
    let count = ring.pending_len as usize;
    let list = ring.pending.get_mut(..count).unwrap_or(&mut []);
    if let Some(at) = list.iter().rposition(|pending| pending.old == old) {
        let found = list.get(at).copied();
        list.copy_within(at + 1.., at);
        ring.pending_len -= 1;
        if let Some(found) = found {
            return found;
        }
    }
    Pending { old, what: 3, slot: 0, block: Block { size: 0, serial: 0 }, announced: false }
}
