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

mod append;
mod commit;
mod matching;
mod view;

pub use append::DATA_EXTENT;

use super::live::{Block, Live};
use super::ranges::Ranges;
use super::scratch::Scratch;
use crate::arch::clock;
use crate::global::{Global, MAX_THREADS};
use crate::sys;
use crate::thread;
use core::mem::size_of;
use core::sync::atomic::{Ordering::*, compiler_fence, fence};
use log_format::layout::{ExtentHeader, StopReason};
use log_format::record::{self, Record, kind};
use log_format::ring::{self, RingHeader};
use log_format::window::{Tail, Totals};

/// So few rings are looked at one by one.
const FEW_RINGS: usize = 8;
/// Entries of the index by last block.
const LASTS: usize = 2 * MAX_THREADS;
/// Bytes of the shortest record that makes a block.
const LEAST_ALLOC: u64 = 16;
/// Event times keep this many bits less (about ½ µs at 2 GHz).
const TIME_SHIFT: u8 = 10;
/// A coarse thread pays if it fills so many times as much of the rings as all others.
const COARSE_PAYS: u64 = 4;
/// Bytes of the others below which a drain says nothing of that.
const CROWD: u64 = 4096;
/// So many drains make all threads precise.
const CROWDS: u32 = 4;
/// Reallocations of one thread that can be under way at once (handlers).
const MAX_PENDING: usize = 4;

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
    /// Nodes below this id are in blocks.
    nodes_written: u32,
    /// Order of the next block.
    seq: u64,
    /// Bytes in use of the extent and `seq` once the block at hand is in the file;
    /// 0: not yet begun.
    goal: (u64, u64),
    live: Live,
    /// The program's own mappings.
    mappings: Ranges,
    scratch: Scratch,
    rings: *mut RingState,
    /// Copies for taking a pass back.
    saved: *mut RingState,
    /// For the window at hand.
    tails: *mut Tail,
    ring_count: usize,
    /// Rings with events in this pass.
    active: *mut u32,
    active_len: usize,
    /// Rings + 1 by the block that each had made last when the window began.
    lasts: *mut u32,
    /// 64 − log2 of the entries of `lasts` in use; 0: few rings, none.
    lasts_shift: u32,
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
    /// Instant of the last drain.
    until: u64,
    /// Drains in which the coarse thread did not pay, less those in which it did.
    crowded: u32,
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
        // Never the new address with the length of a larger one.
        self.data_len = 0;
        compiler_fence(SeqCst);
        self.data = extent;
        compiler_fence(SeqCst);
        self.data_len = len;
    }

    /// The mapped DATA extent and its length in bytes.
    pub fn data(&self) -> (*mut u8, usize) {
        (self.data, self.data_len as usize)
    }

    /// Maps what a drain needs; false if there is no memory.
    fn ready(&mut self) -> bool {
        if self.rings.is_null() {
            let array = MAX_THREADS * size_of::<RingState>();
            let tails = MAX_THREADS * size_of::<Tail>();
            let Some(base) = sys::map_private(2 * array + tails + (MAX_THREADS + LASTS) * 4) else {
                return false;
            };
            // SAFETY: inside the mapping.
            unsafe {
                self.saved = base.add(array).cast();
                self.tails = base.add(2 * array).cast();
                self.active = base.add(2 * array + tails).cast();
                self.lasts = self.active.add(MAX_THREADS);
            }
            // Last: a handler that leaves by longjmp may end this at any point.
            compiler_fence(SeqCst);
            self.rings = base.cast();
        }
        self.scratch.ready()
    }

    /// Touches and reserves what a program behind a system-call filter needs.
    pub fn prepare(&mut self, global: &Global) {
        self.ready();
        self.scratch.prepare();
        self.extend(global, append::MAX_DATA_EXTENT);
    }

    /// The first DATA extent, if no other was needed.
    pub fn first_extent(&self) -> Option<&ExtentHeader> {
        // SAFETY: the current extent is mapped.
        (self.next_data == 0).then(|| unsafe { &*self.data.cast::<ExtentHeader>() })
    }

    /// Most bytes that were live at any moment so far.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes
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
        let until = clock::now();
        // The clock first, the heads after it (see the module).
        fence(SeqCst);
        self.ring_count = global.state_count.load(Acquire).min(MAX_THREADS);
        let (mut bytes, mut coarse) = (0, 0);
        for index in 0..self.ring_count {
            let ring = self.ring_of(global, index);
            let (tail, head) = ring
                .as_ref()
                .map_or((0, 0), |ring| ring::readable(ring.header));
            bytes += head - tail;
            if ring.is_some_and(|ring| !ring.precise) {
                coarse += head - tail;
            }
            // SAFETY: the array has a place for every state.
            unsafe {
                let state = &mut *self.rings.add(index);
                state.position = tail;
                state.end = head;
                // What was not there at the last drain's instant came after it.
                state.now = state.now.max(self.until);
            }
        }
        self.weigh(global, coarse, bytes - coarse);
        self.scratch.plan_for((bytes / LEAST_ALLOC) as usize);
        loop {
            let more = self.window(global, until);
            if !more || global.phase() != crate::global::Phase::Recording {
                break;
            }
        }
        self.until = until;
        self.windows += 1;
        global.file.calibrate(self.windows as usize);
    }

    /// Makes all threads precise if one coarse thread does not pay: `coarse` of its bytes were
    /// in the rings, and `precise` of all others'.
    fn weigh(&mut self, global: &Global, coarse: u64, precise: u64) {
        // Each event of another thread costs the coarse one what some four readings of the clock do, and
        // its records are half as long as theirs.
        if coarse >= precise * COARSE_PAYS {
            self.crowded = self.crowded.saturating_sub(1);
        } else if global.precise.load(Relaxed) == 0 && precise >= CROWD {
            self.crowded += 1;
            if self.crowded >= CROWDS {
                thread::be_precise(global);
            }
        }
    }

    /// One window; false if nothing was left.
    fn window(&mut self, global: &'static Global, until: u64) -> bool {
        self.save();
        self.index_lasts();
        self.live.settle();
        self.goal = (0, 0);
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
        if !self.scratch.is_ready() {
            return;
        }
        match self.stage {
            Stage::Idle => {}
            Stage::Pass => {
                self.take_back(false);
                self.live.mend();
            }
            Stage::Commit if self.was_appended() => {
                self.seq = self.goal.1;
                self.peak_bytes = self.peak_bytes.max(self.max_live);
                self.give_room(global);
            }
            Stage::Commit => {
                for index in 0..self.scratch.high as u32 {
                    let slot = *self.scratch.slot(index);
                    if slot.open && !slot.pending {
                        self.live.remove(slot.ptr);
                    }
                }
                self.live.settle();
                self.take_back(false);
                self.live.mend();
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

    /// Makes the index by which an older block's ring is found.
    fn index_lasts(&mut self) {
        self.lasts_shift = 0;
        if self.ring_count <= FEW_RINGS {
            return;
        }
        let entries = (2 * self.ring_count).next_power_of_two();
        self.lasts_shift = 64 - entries.trailing_zeros();
        // SAFETY: `lasts` has LASTS places, at least twice the rings.
        unsafe {
            self.lasts.write_bytes(0, entries);
            for index in 0..self.ring_count {
                let last = (*self.rings.add(index)).last_alloc;
                if last == 0 {
                    continue;
                }
                let mut at = self.place_of_last(last);
                while *self.lasts.add(at) != 0 {
                    at = (at + 1) & (entries - 1);
                }
                *self.lasts.add(at) = index as u32 + 1;
            }
        }
    }

    fn place_of_last(&self, ptr: u64) -> usize {
        ((ptr >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.lasts_shift) as usize
    }

    /// Undoes a pass: rings, and blocks taken out of the live set. `whole`: the
    /// scratch is as the pass left it (not as a jump out of it did).
    fn take_back(&mut self, whole: bool) {
        // SAFETY: as in `save`.
        unsafe { core::ptr::copy_nonoverlapping(self.saved, self.rings, self.ring_count) };
        for listed in self.scratch.listed() {
            if listed.ptr != 0 {
                let block = Block {
                    size: listed.size,
                    serial: listed.event.serial,
                };
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
            Some(Ring {
                header: &*state.ring,
                data: state.data,
                mask: state.mask,
                precise: state.precise.load(Relaxed),
            })
        }
    }

    /// Takes events of one ring while they are not later than `until`.
    fn run(
        &mut self,
        global: &'static Global,
        index: usize,
        until: u64,
        last: u64,
        limit: u32,
    ) -> Run {
        let Some(source) = self.ring_of(global, index) else {
            return Run::Empty;
        };
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
                    // A reader that finds the records behind it in the ring goes on from here.
                    self.end = self.end.max(state.now);
                    state.position = position + 8;
                    if state.position >= state.end {
                        return Run::Empty;
                    }
                    state.time = source.time(state.position, state.now);
                    if state.time > until {
                        return if state.time > last {
                            Run::Empty
                        } else {
                            Run::Other
                        };
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
                    self.made(
                        index as u32,
                        state,
                        first & record::PTR_MASK,
                        size,
                        stack,
                        state.now,
                        false,
                    );
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
                        Record::Blob { what, len } => {
                            self.blob(state, what, state.now, len, &source)
                        }
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
                return if state.time > last {
                    Run::Empty
                } else {
                    Run::Other
                };
            }
        }
    }
}

/// A ring as the consumer sees it.
struct Ring {
    header: &'static RingHeader,
    data: *const u64,
    mask: u64,
    /// See [`thread::ThreadState::precise`].
    precise: bool,
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
