//! States and their rings: made once, handed from thread to thread, given up and given anew.

use super::ThreadState;
use crate::global::{Global, MAX_THREADS};
use crate::sys;
use crate::unwind::{FRAMES, Frame, KNOWN, Known, Memo, Paths};
use core::mem::size_of;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::layout::{ExtentKind, PAGE};
use log_format::ring::{Line, RingHeader};

/// Ring of the first thread, bytes.
const FIRST_RING: u64 = 2 << 20;
/// Ring of every further thread, bytes.
const RING: u64 = 512 << 10;
/// Own stack for deep paths, bytes (touched as used).
const OWN_STACK: usize = 256 << 10;
/// Place of a ring's header in its extent, bytes.
const AT: usize = 64;
/// Tries to get a ring that follow a failure, one of so many.
const RETRY: u32 = 4096;

/// Bytes of the first ring's extent.
pub const FIRST_EXTENT: u64 = FIRST_RING + PAGE;
/// Bytes of it that have room on the disk from the start.
pub const FIRST_HEAD: u64 = 5 * PAGE;

/// A free state, or a new one with its ring.
pub(super) fn acquire(global: &'static Global) -> *mut ThreadState {
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
    // SAFETY: a fresh extent.
    unsafe {
        let (ring, data) = lay_out(extent, capacity, index, 0);
        let thread = map_state(ring, data, capacity, index);
        if !thread.is_null() {
            (*thread).owner.store(owner, Relaxed);
            slot.store(thread, Release);
        }
        thread
    }
}

/// Lays a ring out in an extent, empty at `position`: the extent's header, the ring's at
/// [`AT`], data on the next page.
///
/// # Safety
/// The extent is fresh and mapped.
unsafe fn lay_out(
    extent: *mut u8,
    capacity: u64,
    index: u32,
    position: u64,
) -> (*const RingHeader, *mut u64) {
    // SAFETY: by the caller's promise.
    unsafe {
        let ring = extent.add(AT).cast::<RingHeader>();
        (*ring).head.0.store(position, Relaxed);
        (*ring).tail.0.store(position, Relaxed);
        (*ring).capacity.store(capacity, Relaxed);
        (*ring).id.store(index, Relaxed);
        (ring, extent.add(PAGE as usize).cast())
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

pub(super) unsafe fn is_without_ring(thread: *const ThreadState) -> bool {
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
            let extent = (*thread).ring.cast::<u8>().sub(AT).cast_mut();
            (*thread).ring = &NO_RING;
            sys::unmap(extent, ((*thread).mask + 1 + PAGE) as usize);
        }
    }
}

/// Gives a state a new ring of the same number, in which its positions go on.
pub(super) unsafe fn give_ring(global: &Global, thread: *mut ThreadState) -> bool {
    // SAFETY: the caller owns the state; the extent is fresh.
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
        let position = state.producer.position();
        (state.ring, state.data) = lay_out(extent, state.mask + 1, state.index, position);
    }
    true
}

/// Bytes of one capture's arrays.
const LEVEL: usize =
    2 * FRAMES * size_of::<Frame>() + KNOWN * size_of::<Known>() + size_of::<Paths>();
/// Bytes of a state's mapping.
pub const STATE: usize = size_of::<ThreadState>().next_multiple_of(4096) + 2 * LEVEL + OWN_STACK;

/// Maps a state: itself, for two captures the frames, known steps and paths, the own stack.
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
            let steps = fresh.add(array);
            let paths = steps.add(known);
            capture.memo = Memo::new(frames.cast(), fresh.cast(), steps.cast(), paths.cast());
        }
        if index == 0 {
            // Soon used all over.
            sys::touch(base.add(head + 2 * array), known);
        }
        thread
    }
}
