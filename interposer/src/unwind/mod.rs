//! Stacks: from a hook's return address to a node of the stack table.
//!
//! [`capture`] walks the frames with cached unwind rules ([`cache`], [`cfi`]) and
//! keeps what it found; the next capture walks only as far as it differs (the
//! memo). Nothing here takes a lock, allocates, or calls libc, except the first
//! sight of an address, which asks the loader's lock-free table for its module.

pub mod cache;
mod capture;
pub mod cfi;
mod memo;
mod paths;
pub mod registered;
pub mod selfcheck;

pub use capture::{Capture, capture};
pub use memo::{FRAMES, Frame, KNOWN, Known, Memo};
pub use paths::Paths;

use crate::arch::tls;
use crate::global::Global;
use crate::thread::ThreadState;
use log_format::layout::{node_kind, truncation};

/// Marks [`State::ra`] as an exact address (the frame below is a signal frame),
/// not a return address.
pub const EXACT: u64 = 1 << 63;

/// A point in a walk: the caller's registers just after the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Stack pointer.
    pub sp: u64,
    /// Where it continues, perhaps with [`EXACT`].
    pub ra: u64,
    /// Frame pointer.
    pub bp: u64,
}

/// How a step came to its state, for checking it later without the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The frame pointer was carried over; the return address stands below `sp`.
    Kept,
    /// The frame pointer was loaded from this address.
    Loaded(u64),
    /// More than two words were read: only the step itself can tell.
    Barrier,
}

/// What lies outwards of a frame.
pub enum Step {
    /// A frame.
    Frame(State, Link),
    /// The outermost frame is reached; the unwind rule says so.
    End,
    /// The outermost frame is reached, as memory says.
    SoftEnd,
    /// The walk cannot go on: [`truncation`].
    Broken(u64),
}

/// The known part of the stack that a walk is on.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Frames lie below this address; 0: unknown stack.
    pub top: u64,
}

/// Farthest a frame may reach on a stack whose end is not known, bytes.
const MAX_FRAME: u64 = 16 << 20;

/// Walks from one frame to the next outer one.
///
/// # Safety
/// `state` is the verified state of a live frame of this thread.
#[inline(always)]
pub unsafe fn step(state: &State, bounds: Bounds, scratch: &mut cfi::Scratch) -> Step {
    let rule = cache::rule(state.ra, scratch);
    // SAFETY: as the caller's.
    unsafe {
        match rule.kind() {
            cache::Kind::Sp => apply(
                state,
                state.sp.wrapping_add(rule.cfa_offset()),
                rule.bp_offset(),
                bounds,
            ),
            cache::Kind::Bp => apply(
                state,
                state.bp.wrapping_add(rule.cfa_offset()),
                rule.bp_offset(),
                bounds,
            ),
            cache::Kind::End => Step::End,
            cache::Kind::FramePointer => by_frame_pointer(state, bounds),
            cache::Kind::Slow => cfi::slow_step(state, bounds, scratch),
            cache::Kind::None => Step::Broken(truncation::NO_RULE),
        }
    }
}

/// Whether a canonical frame address can be right after `sp`.
#[inline(always)]
fn plausible(sp: u64, cfa: u64, bounds: Bounds) -> bool {
    cfa > sp
        && cfa & 7 == 0
        && (cfa - sp) < MAX_FRAME
        && (bounds.top == 0 || cfa <= bounds.top || sp > bounds.top)
}

#[inline(always)]
unsafe fn apply(state: &State, cfa: u64, bp_offset: i64, bounds: Bounds) -> Step {
    if !plausible(state.sp, cfa, bounds) {
        return Step::Broken(truncation::OUT_OF_STACK);
    }
    // SAFETY: the rule holds for this frame, so its return address stands there.
    unsafe {
        let ra = *((cfa - 8) as *const u64);
        let (bp, link) = if bp_offset == 0 {
            (state.bp, Link::Kept)
        } else {
            let slot = cfa.wrapping_add(bp_offset as u64);
            (*(slot as *const u64), Link::Loaded(slot))
        };
        if ra == 0 {
            return Step::SoftEnd;
        }
        Step::Frame(State { sp: cfa, ra, bp }, link)
    }
}

/// Code without unwind information (JIT): the frame pointer chain, where it lies
/// inside the known stack.
#[cold]
unsafe fn by_frame_pointer(state: &State, bounds: Bounds) -> Step {
    // The ABI marks the outermost frame so; a start file may lack unwind tables.
    if state.bp == 0 {
        return Step::End;
    }
    let inside = bounds.top != 0 && state.sp <= bounds.top;
    if !inside
        || state.bp < state.sp
        || state.bp & 7 != 0
        || state.bp.saturating_add(16) > bounds.top
    {
        return Step::Broken(truncation::NO_RULE);
    }
    // SAFETY: both words lie between the stack pointer and the stack's end.
    unsafe { apply(state, state.bp + 16, -16, bounds) }
}

/// What few programs ask for, after a capture: the self-check, and the mark of blocks
/// that are not to be called leaks.
#[cold]
#[inline(never)]
fn extras(global: &'static Global, thread: &mut ThreadState, first: State, node: u32) -> u32 {
    selfcheck::count_down(global, thread, first, node);
    marked(global, node)
}

/// The stack with the mark of blocks that are not to be called leaks, while this thread
/// has leak checking disabled. Without room for it: the stack.
fn marked(global: &Global, node: u32) -> u32 {
    if tls::unchecked() == 0 {
        return node;
    }
    match global.stacks.node(node, node_kind::IGNORED, 0) {
        0 => node,
        marked => marked,
    }
}
