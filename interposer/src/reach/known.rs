//! Memory that is known by how it was made or what was said of it: the allocator's mappings,
//! the stacks of threads, the program's root regions. Tables in static memory, written without
//! a lock.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

const ALLOCATORS: usize = 1024;

/// Start and length of what the allocator's own module mapped, never taken back: what
/// was unmapped and made anew by the program is in the list of the program's mappings,
/// which goes first.
static ALLOCATOR: [[AtomicU64; 2]; ALLOCATORS] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; ALLOCATORS];
static ALLOCATOR_USED: AtomicUsize = AtomicUsize::new(0);

/// The allocator has mapped something.
pub fn note_allocator(start: u64, len: usize) {
    if let Some([to, length]) = ALLOCATOR.get(ALLOCATOR_USED.fetch_add(1, Relaxed)) {
        to.store(start, Relaxed);
        length.store(len as u64, Release);
    }
}

/// All of the allocator's mappings: start and end.
pub fn allocator() -> impl Iterator<Item = (u64, u64)> {
    ALLOCATOR
        .iter()
        .take(ALLOCATOR_USED.load(Acquire).min(ALLOCATORS))
        .filter_map(|[start, len]| {
            let (len, start) = (len.load(Acquire), start.load(Relaxed));
            (len != 0).then_some((start, start + len))
        })
}

/// Most stacks that are known.
pub const STACKS: usize = 32 << 10;

/// A thread's stack, by the place of its outermost frame. Stacks are used again by
/// later threads, and then have the later one's id.
pub struct Stack {
    top: AtomicU64,
    low: AtomicU64,
    tid: AtomicU32,
}

static STACK: [Stack; STACKS] = [const {
    Stack {
        top: AtomicU64::new(0),
        low: AtomicU64::new(0),
        tid: AtomicU32::new(0),
    }
}; STACKS];

/// Looks at so many places for a stack's.
const PROBES: usize = 64;

/// A thread begins: it uses the stack `low..top`.
pub fn note_stack(low: u64, top: u64, tid: u32) {
    STACKS_MADE.store(1, Relaxed);
    let home = ((top >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - STACKS.trailing_zeros()))
        as usize;
    for step in 0..PROBES {
        let Some(place) = STACK.get((home + step) % STACKS) else {
            return;
        };
        let seen = place.top.load(Relaxed);
        if seen == top || seen == 0 && place.top.compare_exchange(0, top, AcqRel, Relaxed).is_ok() {
            place.low.store(low, Relaxed);
            place.tid.store(tid, Release);
            return;
        }
    }
}

/// Calls `each` with low end, top and the last thread of every stack that is or was.
pub fn stacks(each: &mut dyn FnMut(u64, u64, u32)) {
    if STACKS_MADE.load(Relaxed) == 0 {
        return;
    }
    for place in &STACK {
        let (top, tid) = (place.top.load(Acquire), place.tid.load(Acquire));
        if top != 0 && tid != 0 {
            each(place.low.load(Relaxed), top, tid);
        }
    }
}

/// Whether there is any stack in the table.
static STACKS_MADE: AtomicU32 = AtomicU32::new(0);

/// Most root regions at a time; further ones are not searched.
const REGIONS: usize = 4096;

/// Start and length of what the program declared as roots; a length of 0: a free place.
static REGION: [[AtomicU64; 2]; REGIONS] =
    [const { [AtomicU64::new(0), AtomicU64::new(0)] }; REGIONS];
/// Places used so far: those above were never used.
static REGIONS_USED: AtomicUsize = AtomicUsize::new(0);

/// The program declares a root region. It may do so several times, and then takes it back as
/// often.
pub fn note_region(start: u64, len: u64) {
    for (number, [to, length]) in REGION.iter().enumerate() {
        let is_free = length.load(Relaxed) == 0;
        if is_free && len != 0 && length.compare_exchange(0, len, AcqRel, Relaxed).is_ok() {
            to.store(start, Release);
            REGIONS_USED.fetch_max(number + 1, AcqRel);
            return;
        }
    }
}

/// The program takes a root region back.
pub fn forget_region(start: u64, len: u64) {
    for [to, length] in REGION.iter().take(REGIONS_USED.load(Acquire)) {
        if to.load(Acquire) == start
            && len != 0
            && length.compare_exchange(len, 0, AcqRel, Relaxed).is_ok()
        {
            return;
        }
    }
}

/// All root regions: start and end.
pub fn regions() -> impl Iterator<Item = (u64, u64)> {
    let used = REGIONS_USED.load(Acquire).min(REGIONS);
    REGION.iter().take(used).filter_map(|[start, len]| {
        let (len, start) = (len.load(Acquire), start.load(Relaxed));
        (len != 0).then(|| (start, start.saturating_add(len)))
    })
}
