//! Threads: the state that each has while it lives, and its ring.
//!
//! A state and its ring are made once and handed from thread to thread, so that
//! a hundred thousand short threads cost no system calls. The state is reached
//! by one TLS word, which is a pointer or a mark:
//!
//! * 0: nothing yet; the first event attaches;
//! * [`BUSY`]: this thread begins the log: events of handlers are lost (counted);
//! * [`PROBING`]: the recorder tries the allocator out: events are only counted;
//! * [`LATE`]: the thread's last key destructor has run; each further event
//!   borrows a state for itself.
//!
//! States are wiped in a fork child: `producer` then has no room, so the hot path
//! needs no test for it.

use crate::arch::{clock, stack, tls};
use crate::collect::{self, Room};
use crate::global::{self, Global, MAX_THREADS, Phase};
use crate::unwind::{Bounds, Capture, FRAMES, Frame, KNOWN, Known, Memo};
use crate::{start, sys};
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::blob::{self, BlobKind};
use log_format::layout::{ExtentKind, PAGE};
use log_format::record::{self, kind};
use log_format::ring::{Line, Producer, RingHeader};
use log_format::varint::Out;

/// TLS mark: see the module.
pub const BUSY: usize = 1;
/// TLS mark: see the module.
pub const PROBING: usize = 3;
/// TLS mark: after the last destructor.
pub const LATE: usize = 2;
/// Marks are at most this.
pub const MAX_MARK: usize = 15;

/// Ring of the first thread, bytes.
const FIRST_RING: u64 = 2 << 20;
/// Ring of every further thread, bytes.
const RING: u64 = 512 << 10;
/// Own stack for deep paths, bytes (touched as used).
const OWN_STACK: usize = 256 << 10;
/// Less room than this on the program's stack: deep paths use the own one, bytes.
const DEEP_PATH: usize = 64 << 10;

/// See [`ThreadState::extras_left`]: no thread captures so often.
const NO_SELFCHECK: u64 = u64::MAX;

/// A thread's state. Wiped in a fork child; all-zero bytes are "not attached".
#[repr(C)]
pub struct ThreadState {
    /// The producer's end of the ring.
    pub producer: Producer,
    /// The ring's shared header.
    pub ring: *const RingHeader,
    /// The ring's data.
    pub data: *mut u64,
    /// Bytes of data − 1.
    pub mask: u64,
    /// Captures until the next self-check. 0: nothing but the capture itself is to be
    /// done; [`NO_SELFCHECK`]: something is, but no self-check.
    pub extras_left: u64,
    /// Every record carries the exact time: the process has several threads.
    pub precise: AtomicBool,
    /// Records until the clock is read again.
    ticks_left: u32,
    /// Records per reading.
    ticks: u32,
    /// Last reading.
    now: u64,
    /// The event at hand returns the state afterwards ([`LATE`]).
    pub borrowed: bool,
    /// 1 while a thread owns it.
    owner: AtomicU32,
    /// The owner's earlier state ([`move_on`]), null if none.
    older: *mut ThreadState,
    /// Serial of the owner.
    pub serial: u32,
    /// Ring id = place in [`Global::states`].
    pub index: u32,
    /// Kernel's thread id of the owner; 0 if unknown.
    pub tid: u32,
    /// `pthread_self` of the owner.
    pub handle: u64,
    /// Rounds of key destructors seen.
    rounds: u32,
    /// Known stack of the owner: `low..top`, 0 if unknown.
    pub stack_low: u64,
    /// See `stack_low`.
    pub stack_top: u64,
    /// Whether the own stack is in use.
    pub on_own_stack: AtomicU32,
    /// Stack pointer of the drain that this thread runs.
    pub drain_sp: u64,
    own_stack: *mut u8,
    /// Captures, and those of a signal handler that interrupts one.
    pub captures: [Capture; 2],
}

impl ThreadState {
    /// Notes whether captures of this thread need more than the capture itself.
    pub fn arm_extras(&mut self, global: &Global) {
        let every = global.selfcheck_every.load(Relaxed);
        self.extras_left = if every == 0 && tls::unchecked() != 0 {
            NO_SELFCHECK
        } else {
            every
        };
    }

    /// What is known of the stack that contains `sp`.
    pub fn bounds(&self, sp: u64) -> Bounds {
        let known = sp >= self.stack_low && sp < self.stack_top;
        Bounds {
            top: if known { self.stack_top } else { 0 },
        }
    }
}

/// Events of probing threads.
static PASSED_BY: AtomicU32 = AtomicU32::new(0);

/// How many events there were of threads that were probing.
pub fn passed_by() -> u32 {
    PASSED_BY.load(Relaxed)
}

/// The state of this thread with room for an event; null if nothing is recorded.
///
/// The hot half: one TLS load, two loads of the ring's positions.
#[inline(always)]
pub fn ready() -> *mut ThreadState {
    let word = tls::get();
    if word > MAX_MARK {
        let thread = word as *mut ThreadState;
        // SAFETY: a state stays mapped for the life of the process.
        if unsafe { (*thread).producer.has_room() } {
            return thread;
        }
    }
    slow_ready(word)
}

#[cold]
#[inline(never)]
fn slow_ready(word: usize) -> *mut ThreadState {
    let null = core::ptr::null_mut();
    if word == PROBING {
        PASSED_BY.fetch_add(1, Relaxed);
        return null;
    }
    let Some(global) = global::get_or_map() else {
        return null;
    };
    if word == BUSY {
        lost(global);
        return null;
    }
    if global.phase() == Phase::None {
        start::begin(global);
    }
    if global.phase() == Phase::Suspended {
        collect::resume::resume(global);
    }
    // Another thread may have been first.
    if global.phase() == Phase::Starting {
        start::wait(global);
    }
    match global.phase() {
        Phase::Recording => {}
        Phase::Dormant => return null,
        Phase::None | Phase::Starting | Phase::Suspended => {
            lost(global);
            return null;
        }
    }
    let mut thread = word as *mut ThreadState;
    // SAFETY: above the marks the word is a state; wiped ones have no owner.
    if word <= MAX_MARK || unsafe { (*thread).owner.load(Relaxed) } == 0 {
        thread = attach(global, word == LATE);
        if thread.is_null() {
            lost(global);
            return null;
        }
    }
    // SAFETY: this thread's state.
    unsafe {
        if is_without_ring(thread) && !give_ring(global, thread) {
            lost(global);
            release_borrowed(thread);
            return null;
        }
        let room = if (*thread).producer.has_room() {
            Room::Yes
        } else {
            collect::make_room(global, thread)
        };
        if room == Room::Stuck {
            let other = move_on(global, thread);
            if !other.is_null() {
                return other;
            }
        }
        if room != Room::Yes {
            if global.phase() == Phase::Recording {
                lost(global);
            }
            release_borrowed(thread);
            return null;
        }
    }
    thread
}

/// Gives the thread another ring: its own is full and the thread that drains does
/// not get on. What is in the old one is drained later. The thread keeps it until
/// it ends: a hook that a handler has interrupted may be in the midst of it.
unsafe fn move_on(global: &'static Global, old: *mut ThreadState) -> *mut ThreadState {
    let thread = acquire(global);
    if thread.is_null() {
        return thread;
    }
    // SAFETY: the new state is ours alone, the old one this thread's.
    unsafe {
        let (state, before) = (&mut *thread, &*old);
        prepare(global, state, before.borrowed);
        (state.tid, state.serial, state.rounds) = (before.tid, before.serial, before.rounds);
        if collect::make_room(global, thread) != Room::Yes {
            state.owner.store(0, Release);
            return core::ptr::null_mut();
        }
        state.older = old;
        say_start(thread);
        if !state.borrowed {
            tls::set(thread as usize);
            crate::hooks::thread::watch_end(thread);
        }
    }
    thread
}

/// Makes an acquired state ready for this thread.
fn prepare(global: &Global, state: &mut ThreadState, borrowed: bool) {
    (state.stack_low, state.stack_top) = own_stack_bounds();
    (state.ticks, state.ticks_left) = (1, 1);
    state.borrowed = borrowed;
    state.arm_extras(global);
    // SAFETY: no arguments.
    state.handle = unsafe { libc::pthread_self() } as u64;
    let own: *mut ThreadState = state;
    for capture in &mut state.captures {
        capture.active = 0;
        capture.memo.clear();
        capture.scratch.thread = own;
    }
    learn_precision(global, state);
    // SAFETY: the ring's header stays mapped.
    state.producer = Producer::new(unsafe { &*state.ring });
}

/// Another thread may be changing it for all: look again after the store.
fn learn_precision(global: &Global, state: &ThreadState) {
    state
        .precise
        .store(global.precise.load(SeqCst) != 0, SeqCst);
    if global.precise.load(SeqCst) != 0 {
        state.precise.store(true, SeqCst);
    }
}

/// Writes whose records follow in the ring.
///
/// # Safety
/// `thread` is a state of this thread's, with room.
unsafe fn say_start(thread: *mut ThreadState) {
    let mut buf = [0u8; 64];
    let mut out = Out::new(&mut buf);
    let filtered = global::get().is_none_or(|g| g.filtered.load(Relaxed) != 0);
    let name = if filtered {
        [0; 16]
    } else {
        sys::thread_name()
    };
    let name = name.split(|&byte| byte == 0).next().unwrap_or(&[]);
    // SAFETY: by the caller's promise.
    unsafe {
        blob::Thread {
            serial: (*thread).serial,
            tid: (*thread).tid,
            name,
        }
        .encode(&mut out);
        blob(thread, BlobKind::ThreadStart, out.written());
    }
}

/// Counts an event that could not be recorded.
pub fn lost(global: &Global) {
    if let Some(header) = global.file.header() {
        header.events_lost.fetch_add(1, Relaxed);
    }
}

/// Gives this thread a state. A handler that interrupts this and allocates gives
/// the thread one as well: the first to finish wins.
fn attach(global: &'static Global, late: bool) -> *mut ThreadState {
    let before = tls::get();
    let thread = acquire(global);
    if thread.is_null() {
        return thread;
    }
    // SAFETY: acquired: ours alone.
    let state = unsafe { &mut *thread };
    prepare(global, state, late);
    state.tid = if global.filtered.load(Relaxed) != 0 {
        0
    } else {
        sys::gettid()
    };
    state.rounds = 0;
    // The ring may still be full of its last owner's events.
    // SAFETY: ours alone.
    if unsafe { collect::make_room(global, thread) } != Room::Yes {
        state.owner.store(0, Release);
        return core::ptr::null_mut();
    }
    state.serial = global.threads.fetch_add(1, Relaxed) + 1;
    if state.serial > 1 {
        be_precise(global);
    }
    learn_precision(global, state);
    // SAFETY: ours alone.
    unsafe { say_start(thread) };
    if !late && !tls::replace(before, thread as usize) {
        // A handler's state is the thread's now.
        state.owner.store(0, Release);
        return tls::get() as *mut ThreadState;
    }
    if !late {
        crate::hooks::thread::watch_end(thread);
    }
    thread
}

/// From now on the order of events is told by their times, not by one ring.
/// Called before a second thread exists (or at the latest when it attaches).
pub fn be_precise(global: &Global) {
    if global.precise.swap(1, SeqCst) == 0 {
        for state in all(global) {
            state.precise.store(true, SeqCst);
        }
    }
}

/// Most records per reading of the clock.
const MAX_TICKS: u32 = 16;
/// Records that come slower than this are each worth a reading, ticks.
const SLOW: u64 = 4096;

/// The time of a record while the process has one thread: exact to the last few
/// records. A reading of the clock can cost as much as the rest of a record.
///
/// # Safety
/// `thread` is this thread's state and has room.
#[inline(always)]
pub unsafe fn coarse_time(thread: *mut ThreadState) -> u64 {
    // SAFETY: by the caller's promise.
    unsafe {
        (*thread).ticks_left = (*thread).ticks_left.wrapping_sub(1);
        if (*thread).ticks_left == 0 {
            read_clock(thread);
        }
        (*thread).now
    }
}

/// Reads the clock and writes it into the ring; adapts how often.
#[inline(never)]
unsafe fn read_clock(thread: *mut ThreadState) {
    // SAFETY: by the caller's promise.
    unsafe {
        let state = &mut *thread;
        let now = clock::before();
        // 0 in a child of a raw `clone` that returns into this: its state is wiped.
        let passed = now.wrapping_sub(state.now) / u64::from(state.ticks.max(1));
        state.ticks = if passed > SLOW {
            1
        } else {
            (state.ticks * 2).min(MAX_TICKS)
        };
        state.ticks_left = state.ticks;
        state.now = now;
        let position = state.producer.reserve(8, stack::pointer() as u64);
        write(thread, position, [record::word0(kind::TIME, now)]);
        publish(thread, position);
    }
}

/// Bounds of the stack that this thread was started on.
fn own_stack_bounds() -> (u64, u64) {
    let sp = stack::pointer() as u64;
    let main_top = start::main_stack_top();
    let limit = start::stack_limit();
    if main_top != 0 && sp < main_top && main_top - sp < limit {
        return (main_top - limit, main_top);
    }
    let (top, low) = tls::stack();
    (low as u64, top as u64)
}

/// A free state, or a new one with its ring.
fn acquire(global: &'static Global) -> *mut ThreadState {
    let count = global.state_count.load(Acquire).min(MAX_THREADS);
    for slot in global.states.iter().take(count) {
        let thread = slot.load(Acquire);
        if thread.is_null() {
            continue;
        }
        // SAFETY: published states stay mapped.
        let (owner, full) = unsafe {
            let state = &*thread;
            let without = is_without_ring(thread);
            (
                &state.owner,
                !without && state.producer.pending(&*state.ring) > state.mask.div_ceil(2),
            )
        };
        // One that was left full is not for a thread that wants to write.
        if full {
            continue;
        }
        if owner.load(Relaxed) == 0 && owner.compare_exchange(0, 1, AcqRel, Relaxed).is_ok() {
            // SAFETY: acquired: ours alone.
            if unsafe { is_without_ring(thread) && !give_ring(global, thread) } {
                owner.store(0, Release);
                return core::ptr::null_mut();
            }
            return thread;
        }
    }
    // After a failure only now and then: each try costs system calls.
    let failed = global.ring_failures.load(Relaxed);
    if failed != 0
        && !global
            .ring_failures
            .fetch_add(1, Relaxed)
            .is_multiple_of(RETRY)
    {
        return core::ptr::null_mut();
    }
    let index = global.state_count.fetch_add(1, AcqRel);
    let Some(slot) = global.states.get(index) else {
        global.state_count.fetch_sub(1, AcqRel);
        return core::ptr::null_mut();
    };
    // SAFETY: no fixed place.
    match unsafe {
        global.file.extend(
            ExtentKind::Ring,
            index as u32,
            RING + PAGE,
            core::ptr::null_mut(),
        )
    } {
        // SAFETY: a fresh extent of that size.
        Ok(extent) => unsafe { make_state(slot, extent, RING, index as u32, 1) },
        // This thread's events are lost; those of others are not.
        Err(_) => {
            global.ring_failures.fetch_max(1, Relaxed);
            core::ptr::null_mut()
        }
    }
}

/// Tries to get a ring that follow a failure, one of so many.
const RETRY: u32 = 4096;

/// Bytes of the first ring's extent.
pub const FIRST_EXTENT: u64 = FIRST_RING + PAGE;
/// Bytes of it that have room on the disk from the start.
pub const FIRST_HEAD: u64 = 5 * PAGE;
/// Longest blob that may overshoot a ring of which not all has room, bytes.
const SMALL_BLOB: usize = 1024;

/// Makes the first state, which nobody owns yet, over an extent of
/// [`FIRST_EXTENT`] bytes.
///
/// # Safety
/// The extent is fresh and mapped; called once, by the thread that starts.
pub unsafe fn make_first(global: &'static Global, extent: *mut u8) -> bool {
    let Some(slot) = global.states.first() else {
        return false;
    };
    // SAFETY: by the caller's promise.
    let made = !unsafe { make_state(slot, extent, FIRST_RING, 0, 0) }.is_null();
    global.state_count.store(1, Release);
    made
}

unsafe fn make_state(
    slot: &AtomicPtr<ThreadState>,
    extent: *mut u8,
    capacity: u64,
    index: u32,
    owner: u32,
) -> *mut ThreadState {
    // SAFETY: a fresh extent: header, ring header at 64, data on the next page.
    unsafe {
        let ring = extent.add(64).cast::<RingHeader>();
        (*ring).capacity.store(capacity, Relaxed);
        (*ring).id.store(index, Relaxed);
        let thread = map_state(ring, extent.add(PAGE as usize).cast(), capacity, index);
        if !thread.is_null() {
            (*thread).owner.store(owner, Relaxed);
            slot.store(thread, Release);
        }
        thread
    }
}

/// What the ring of a state is whose own was given up with the end of the log: always
/// empty.
static NO_RING: RingHeader = RingHeader {
    head: Line(AtomicU64::new(0)),
    tail: Line(AtomicU64::new(0)),
    capacity: AtomicU64::new(0),
    id: AtomicU32::new(0),
};

unsafe fn is_without_ring(thread: *const ThreadState) -> bool {
    // SAFETY: a published state.
    unsafe { core::ptr::eq((*thread).ring, &NO_RING) }
}

/// Takes the rings of all states, whose pages the file has no more. No other thread
/// records.
pub fn drop_rings(global: &Global) {
    for slot in global.states.iter().take(global.state_count.load(Acquire)) {
        let thread = slot.load(Acquire);
        // SAFETY: published states stay mapped; this is the only thread that uses any.
        unsafe {
            if thread.is_null() || is_without_ring(thread) {
                continue;
            }
            (*thread).producer.close();
            let extent = (*thread).ring.cast::<u8>().sub(64).cast_mut();
            (*thread).ring = &NO_RING;
            sys::unmap(extent, ((*thread).mask + 1 + PAGE) as usize);
        }
    }
}

/// Gives a state a new ring of the same number, in which its positions go on.
unsafe fn give_ring(global: &Global, thread: *mut ThreadState) -> bool {
    // SAFETY: the caller owns the state; the extent is fresh: header, ring header at
    // 64, data on the next page.
    unsafe {
        let state = &mut *thread;
        let len = state.mask + 1 + PAGE;
        let Ok(extent) =
            global
                .file
                .extend(ExtentKind::Ring, state.index, len, core::ptr::null_mut())
        else {
            return false;
        };
        let ring = extent.add(64).cast::<RingHeader>();
        let position = state.producer.position();
        (*ring).head.0.store(position, Relaxed);
        (*ring).tail.0.store(position, Relaxed);
        (*ring).capacity.store(state.mask + 1, Relaxed);
        (*ring).id.store(state.index, Relaxed);
        state.data = extent.add(PAGE as usize).cast();
        state.ring = ring;
    }
    true
}

/// Bytes of one capture's arrays.
const LEVEL: usize = 2 * FRAMES * size_of::<Frame>() + KNOWN * size_of::<Known>();
/// Bytes of a state's mapping.
pub const STATE: usize = size_of::<ThreadState>().next_multiple_of(4096) + 2 * LEVEL + OWN_STACK;

/// Maps a state: itself, for two captures the frames and known steps, the own stack.
unsafe fn map_state(
    ring: *const RingHeader,
    data: *mut u64,
    capacity: u64,
    index: u32,
) -> *mut ThreadState {
    let head = size_of::<ThreadState>().next_multiple_of(4096);
    let array = FRAMES * size_of::<Frame>();
    let known = KNOWN * size_of::<Known>();
    let (level, len) = (LEVEL, STATE);
    let Some(base) = sys::map_private(len) else {
        return core::ptr::null_mut();
    };
    // SAFETY: the mapping is fresh and large enough for all parts.
    unsafe {
        sys::wipe_on_fork(base, len);
        let thread = base.cast::<ThreadState>();
        (*thread).ring = ring;
        (*thread).data = data;
        (*thread).mask = capacity - 1;
        (*thread).index = index;
        (*thread).own_stack = base.add(len);
        for (number, capture) in (*thread).captures.iter_mut().enumerate() {
            let frames = base.add(head + number * level);
            let fresh = frames.add(array);
            capture.memo = Memo::new(frames.cast(), fresh.cast(), fresh.add(array).cast());
        }
        if index == 0 {
            // Soon used all over.
            sys::touch(base.add(head + 2 * array), known);
        }
        thread
    }
}

/// Ends the ownership of a state: the thread will record nothing more with it.
pub fn detach(thread: *mut ThreadState) {
    // SAFETY: called by the owner.
    unsafe {
        if (*thread).producer.has_room() {
            blob(thread, BlobKind::ThreadEnd, &[]);
        }
        let mut state = thread;
        while let Some(ended) = state.as_mut() {
            state = core::mem::replace(&mut ended.older, core::ptr::null_mut());
            ended.owner.store(0, Release);
        }
    }
}

/// Returns the state of a late event.
#[inline(always)]
pub fn release_borrowed(thread: *mut ThreadState) {
    // SAFETY: this thread's state.
    if unsafe { (*thread).borrowed } {
        detach(thread);
    }
}

/// Called by the thread's key destructor; true when it was the last round.
pub fn end_round(thread: *mut ThreadState) -> bool {
    // SAFETY: the owner calls.
    unsafe {
        if tls::get() != thread as usize {
            return true;
        }
        (*thread).rounds += 1;
        // glibc makes four rounds (PTHREAD_DESTRUCTOR_ITERATIONS).
        if (*thread).rounds < 4 {
            return false;
        }
        tls::set(LATE);
        detach(thread);
    }
    true
}

/// Writes words of a record at its reserved position.
///
/// # Safety
/// The position was reserved for at least that many words.
#[inline(always)]
pub unsafe fn write<const N: usize>(thread: *const ThreadState, position: u64, words: [u64; N]) {
    // SAFETY: the mask keeps each word inside the ring.
    unsafe {
        for (index, word) in words.into_iter().enumerate() {
            let at = (position + index as u64 * 8) & (*thread).mask;
            *(*thread).data.add((at / 8) as usize) = word;
        }
    }
}

/// Ends the record at `position`.
///
/// # Safety
/// The position was reserved and written by this thread.
#[inline(always)]
pub unsafe fn publish(thread: *mut ThreadState, position: u64) {
    // SAFETY: by the caller's promise.
    unsafe {
        if !(*thread).producer.complete(&*(*thread).ring) {
            nested(thread, position);
        }
    }
}

/// A record inside another: a handler's, or the other writer was left by
/// `longjmp` and what it reserved must be filled.
#[cold]
unsafe fn nested(thread: *mut ThreadState, position: u64) {
    // SAFETY: as `publish`.
    unsafe {
        let state = &*thread;
        let sp = stack::pointer() as u64;
        if state.bounds(sp).top == 0 || !state.producer.is_abandoned(sp) {
            return;
        }
        let mut at = (*state.ring).head.0.load(Relaxed);
        while at < position {
            write(thread, at, [record::word0(kind::TIME, state.now)]);
            at += 8;
        }
        if let Some(global) = global::get() {
            lost(global);
        }
        state.producer.take_over(&*state.ring);
    }
}

/// Writes a blob into this thread's ring if there is room; returns whether.
///
/// # Safety
/// `thread` is this thread's state.
pub unsafe fn blob(thread: *mut ThreadState, what: BlobKind, payload: &[u8]) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let state = &*thread;
        if !state.producer.has_room() || payload.len() > record::MAX_BLOB {
            return false;
        }
        if payload.len() > SMALL_BLOB
            && global::get().is_none_or(|g| g.file.reserve_first().is_err())
        {
            return false;
        }
        let len = 16 + (payload.len() as u64).next_multiple_of(16);
        let first = u64::from(kind::BLOB) << 56 | (what as u64) << 48 | payload.len() as u64;
        let position = state.producer.reserve(len, stack::pointer() as u64);
        write(thread, position, [first, clock::after()]);
        let (chunks, rest) = payload.as_chunks::<8>();
        let mut at = position + 16;
        for chunk in chunks {
            write(thread, at, [u64::from_le_bytes(*chunk)]);
            at += 8;
        }
        let mut last = [0u8; 8];
        if let Some(to) = last.get_mut(..rest.len()) {
            to.copy_from_slice(rest);
        }
        if at < position + len {
            write(thread, at, [u64::from_le_bytes(last)]);
        }
        publish(thread, position);
        true
    }
}

/// Runs a deep path: on the program's stack where that is large, else on the
/// state's own (alternate signal stacks have 8 KiB, fibers not much more).
///
/// Not always on the own one, because a collector that stops threads by signal
/// and scans their stacks must find them there.
///
/// # Safety
/// `thread` is this thread's state.
pub unsafe fn deep(
    thread: *mut ThreadState,
    path: unsafe extern "C" fn(*mut u8),
    argument: *mut u8,
) {
    // SAFETY: by the caller's promise; the own stack is used by one path at a time.
    unsafe {
        let sp = stack::pointer();
        let state = &*thread;
        let known = (sp as u64) < state.stack_top && sp as u64 >= state.stack_low;
        if known && sp - state.stack_low as usize > DEEP_PATH
            || state.on_own_stack.swap(1, Relaxed) != 0
        {
            path(argument);
            return;
        }
        stack::call_on(argument, path, state.own_stack);
        state.on_own_stack.store(0, Relaxed);
    }
}

/// All states made so far.
pub fn all(global: &Global) -> impl Iterator<Item = &'static ThreadState> + '_ {
    let count = global.state_count.load(Acquire).min(MAX_THREADS);
    // SAFETY: published states stay mapped.
    global
        .states
        .iter()
        .take(count)
        .filter_map(|slot| unsafe { slot.load(Acquire).as_ref() })
}

/// Whether a thread owns the state now.
pub fn is_owned(state: &ThreadState) -> bool {
    state.owner.load(Acquire) != 0
}
