//! From the rings to the file: who drains, when, and how the log ends.

pub mod drain;
pub mod file;
pub mod finish;
pub mod live;
pub mod ranges;
pub mod resume;
pub mod scratch;

use crate::arch::clock;
use crate::global::{Global, Phase};
use crate::thread::{self, ThreadState};
use crate::{memory, sys};
use core::sync::atomic::Ordering::*;
use log_format::blob::BlobKind;
use log_format::layout::StopReason;
use log_format::ring::{SLACK, was_left};

/// Part of a ring that only handlers use that interrupt a drain, bytes.
const RESERVE: u64 = 64 << 10;
/// One wait that may not sleep: some ten milliseconds.
const SPINS: u32 = 200_000;
/// One wait for another thread's drain, ns.
const WAIT_NS: u64 = 10_000_000;
/// So many of them for one that must drain itself.
const MAX_WAITS: u32 = 200;
/// After so long without any drain ending the thread takes another ring: the one that
/// drains may be stopped by a signal of the program's. Not sooner: on a busy machine
/// it may only wait for a processor, and each ring taken makes its work longer (18
/// threads on 2 loaded cores: 99 rings after 40 ms).
const MAX_WAIT_NS: u64 = 250_000_000;

/// What [`make_room`] came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is room.
    Yes,
    /// There is none: recording has ended, or the ring's reserve is used up too.
    No,
    /// The thread that drains does not get on.
    Stuck,
}

impl From<bool> for Room {
    fn from(room: bool) -> Room {
        if room { Room::Yes } else { Room::No }
    }
}

/// Gets room in the thread's ring: by draining, or, while another thread drains,
/// from the quarter of the ring that is kept for that.
///
/// # Safety
/// `thread` is this thread's state.
#[cold]
pub unsafe fn make_room(global: &'static Global, thread: *mut ThreadState) -> Room {
    // SAFETY: by the caller's promise.
    let state = unsafe { &*thread };
    // SAFETY: the ring stays mapped.
    let ring = unsafe { &*state.ring };
    let capacity = state.mask + 1;
    let hard = capacity - SLACK - RESERVE;
    if !global.file.is_reserved()
        && state.index == 0
        && let Some(room) = first_room(global, state)
    {
        return room;
    }
    // With one thread a larger window costs nothing; with more, one thread's
    // drain must not stop the others.
    let soft = if global.state_count.load(Relaxed) > 1 {
        capacity / 4 * 3
    } else {
        hard
    };
    if state.producer.refresh(ring, capacity, soft) {
        return Room::Yes;
    }
    let me = thread as usize;
    // When the drain that stands still was seen first, and its number.
    let mut still = (0, 0);
    loop {
        match global.drain_owner.compare_exchange(0, me, Acquire, Relaxed) {
            Ok(_) => {
                // Handlers that interrupt us may use the rest.
                state.producer.refresh(ring, capacity, hard + RESERVE);
                // SAFETY: this thread's state.
                unsafe {
                    (*thread).drain_sp = crate::arch::stack::pointer() as u64;
                    thread::deep(thread, drain_here, core::ptr::null_mut());
                }
                unlock(global);
                let room = global.phase() == Phase::Recording
                    && state.producer.refresh(ring, capacity, soft);
                return room.into();
            }
            // SAFETY: an owner's address is a state's, and states stay mapped.
            Err(owner) if owner == me || unsafe { is_same_thread(owner, state) } => {
                let sp = crate::arch::stack::pointer() as u64;
                // SAFETY: as above.
                let (other, began) = unsafe {
                    (
                        &(*(owner as *const ThreadState)).on_own_stack,
                        (*(owner as *const ThreadState)).drain_sp,
                    )
                };
                if state.bounds(sp).top == 0 || !was_left(began, sp) {
                    // A handler that interrupts our own drain, or what was called
                    // after one left it: the reserve, then another ring.
                    let room = state.producer.refresh(ring, capacity, hard + RESERVE);
                    return if room { Room::Yes } else { Room::Stuck };
                }
                // Our drain was left by a longjmp: put things right and begin anew.
                other.store(0, Relaxed);
                // SAFETY: the drain is this thread's.
                unsafe { (*global.drain.get()).recover(global) };
                unlock(global);
            }
            Err(_) => {}
        }
        // Someone else drains: a little further, then look again.
        let used = state.producer.pending(ring);
        if used < hard {
            state
                .producer
                .refresh(ring, capacity, (used + capacity / 16).min(hard));
            return Room::Yes;
        }
        let seen = global.drain_done.load(Acquire);
        let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
        if still.0 == 0 || still.1 != seen {
            still = (now, seen);
        }
        if global.filtered.load(Relaxed) != 0 {
            // No system call may be made, and no ring added. One wait for a drain that
            // stands still is enough for all events.
            if global.stuck.load(Relaxed) == seen.wrapping_add(1) {
                return Room::Stuck;
            }
            for _ in 0..SPINS {
                core::hint::spin_loop();
            }
        } else {
            sys::futex_wait(&global.drain_done, seen, WAIT_NS);
        }
        if state.producer.refresh(ring, capacity, soft) {
            return Room::Yes;
        }
        if global.drain_done.load(Acquire) == seen && now - still.0 > MAX_WAIT_NS {
            global.stuck.store(seen.wrapping_add(1), Relaxed);
            return Room::Stuck;
        }
    }
}

/// End of a ring's room that only handlers and small blobs may overshoot into, while
/// not all of the first ring has room, bytes.
const FIRST_SLACK: u64 = 4096;

/// Room in the first ring while not all of it has room on the disk; `None` once it has.
fn first_room(global: &Global, state: &ThreadState) -> Option<Room> {
    let file = &global.file;
    let result = loop {
        let room = file.ring_room();
        if state.producer.begin(room - FIRST_SLACK) {
            return Some(Room::Yes);
        }
        if file.is_filling() {
            // A handler that interrupts this very work.
            return Some(state.producer.begin(room - FIRST_SLACK / 4).into());
        }
        match file.widen_ring() {
            Ok(true) => {}
            Ok(false) => break file.reserve_first(),
            Err(reason) => break Err(reason),
        }
    };
    if let Err(reason) = result {
        global.stop(reason);
        return Some(Room::No);
    }
    None
}

/// Whether the drain's owner is an earlier state of this thread.
///
/// # Safety
/// `owner` is what [`Global::drain_owner`] held.
unsafe fn is_same_thread(owner: usize, state: &ThreadState) -> bool {
    // SAFETY: above the marks it is a state's address.
    owner > thread::MAX_MARK
        && state.tid != 0
        && unsafe { (*(owner as *const ThreadState)).tid } == state.tid
}

unsafe extern "C" fn drain_here(_: *mut u8) {
    if let Some(global) = crate::global::recording() {
        // SAFETY: the caller holds the drain.
        let drain = unsafe { &mut *global.drain.get() };
        drain.drain_all(global);
        if global.phase() == Phase::Recording {
            memory::after_drain(global, drain);
        }
    }
}

/// Holds the drain while `step(data)` works, on the recorder's stack; waits up to 2 s for another
/// thread's. False if that does not get on, or is this thread's own, which a handler interrupts.
///
/// # Safety
/// `thread` is this thread's state; `step` takes `data`.
pub unsafe fn with_drain(
    global: &Global,
    thread: *mut ThreadState,
    step: unsafe extern "C" fn(*mut u8),
    data: *mut u8,
) -> bool {
    let me = thread as usize;
    let mut tries = 0;
    while let Err(owner) = global.drain_owner.compare_exchange(0, me, Acquire, Relaxed) {
        tries += 1;
        if tries > MAX_WAITS || owner == me {
            return false;
        }
        let seen = global.drain_done.load(Relaxed);
        sys::futex_wait(&global.drain_done, seen, WAIT_NS);
    }
    // SAFETY: by the caller's promise; the drain is held.
    unsafe {
        (*thread).drain_sp = crate::arch::stack::pointer() as u64;
        thread::deep(thread, step, data);
    }
    unlock(global);
    true
}

/// Says a blob without payload, and ends the window with it: what a reader has played up to there
/// is the heap of this moment.
pub fn cut(global: &'static Global, kind: BlobKind) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's own state.
    unsafe {
        thread::blob(thread, kind, &[]);
        with_drain(global, thread, drain_here, core::ptr::null_mut());
    }
    thread::release_borrowed(thread);
}

/// Lets the next one drain.
pub fn unlock(global: &Global) {
    global.drain_owner.store(0, Release);
    global.drain_done.fetch_add(1, Release);
    if global.state_count.load(Relaxed) > 1 && global.filtered.load(Relaxed) == 0 {
        sys::futex_wake(&global.drain_done);
    }
}

/// Before a system-call filter comes into force: takes the room and the memory
/// that recording will need and uses no system call from then on.
pub fn prepare_for_filter(global: &'static Global) {
    let thread = thread::ready();
    if thread.is_null() || global.filtered.load(Relaxed) != 0 {
        return;
    }
    if global
        .drain_owner
        .compare_exchange(0, thread as usize, Acquire, Relaxed)
        .is_ok()
    {
        crate::unwind::cache::use_whole(global);
        global.stacks.prepare(&global.file);
        // SAFETY: the drain is held.
        unsafe { (*global.drain.get()).prepare(global) };
        global.filtered.store(1, Relaxed);
        if let Some(header) = global.file.header() {
            header
                .flags
                .fetch_or(log_format::layout::flag::FILTERED, Relaxed);
        }
        unlock(global);
    }
    thread::release_borrowed(thread);
}

/// Writes what happened so far and ends recording.
pub fn end_early(global: &'static Global, reason: StopReason) {
    let thread = thread::ready();
    if !thread.is_null() {
        if global
            .drain_owner
            .compare_exchange(0, thread as usize, Acquire, Relaxed)
            .is_ok()
        {
            // SAFETY: this thread's state; the drain is held.
            unsafe { thread::deep(thread, drain_here, core::ptr::null_mut()) };
            unlock(global);
        }
        thread::release_borrowed(thread);
    }
    global.stop(reason);
}
