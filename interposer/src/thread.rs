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

mod record;
mod rings;

pub use record::{blob, coarse_time, publish, tell_foreign, write};
pub use rings::{FIRST_EXTENT, FIRST_HEAD, STATE, drop_rings, make_first};

use crate::arch::{stack, tls};
use crate::collect::{self, Room};
use crate::global::{self, Global, MAX_THREADS, Phase};
use crate::unwind::{Bounds, Capture};
use crate::{start, sys};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use log_format::blob::{self, BlobKind};
use log_format::ring::{Producer, RingHeader};
use log_format::varint::Out;
use rings::{acquire, give_ring, is_without_ring};

/// TLS mark: see the module.
pub const BUSY: usize = 1;
/// TLS mark: see the module.
pub const PROBING: usize = 3;
/// TLS mark: after the last destructor.
pub const LATE: usize = 2;
/// Marks are at most this.
pub const MAX_MARK: usize = 15;

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
    /// Every record carries the exact time; false for the first thread only, see
    /// [`record`].
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
        // The thread's events are in two rings from here on.
        be_precise(global);
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
    state.precise.store(true, SeqCst);
    // SAFETY: the ring's header stays mapped.
    state.producer = Producer::new(unsafe { &*state.ring });
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
        global.several.store(1, Relaxed);
    } else {
        state.precise.store(false, SeqCst);
        // Another thread may be changing it for all: look again after the store.
        if global.precise.load(SeqCst) != 0 {
            state.precise.store(true, SeqCst);
        }
    }
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

/// From now on every record of every thread carries its own time, for good.
pub fn be_precise(global: &Global) {
    if global.precise.swap(1, SeqCst) == 0 {
        for state in all(global) {
            state.precise.store(true, SeqCst);
        }
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

/// Ends the ownership of a state: the thread will record nothing more with it.
pub fn detach(thread: *mut ThreadState) {
    // SAFETY: called by the owner.
    unsafe {
        if (*thread).producer.has_room() {
            blob(thread, BlobKind::ThreadEnd, &[]);
        }
        let mut state = thread;
        while let Some(ended) = state.as_mut() {
            if !ended.precise.load(Relaxed)
                && let Some(global) = global::get()
            {
                be_precise(global);
            }
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
