//! A capture: the stack of the code that called a hook, as the node of its innermost frame.

use super::memo::{Memo, truncated, verify, walk};
use super::paths;
use super::{Bounds, State, cfi};
use crate::thread::ThreadState;
use core::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use log_format::layout::truncation;
use log_format::ring::was_left;

/// What one level of capture works with. All-zero bytes are valid (and useless
/// until the memo has its arrays).
#[repr(C)]
pub struct Capture {
    /// Stack pointer of the capture in progress; 0: none.
    pub active: u64,
    /// Kept frames.
    pub memo: Memo,
    /// For rules that must be evaluated.
    pub scratch: cfi::Scratch,
}

/// Captures the stack of the code that called a hook; returns the node of its
/// innermost frame, 0 if there is none.
///
/// # Safety
/// `return_slot` is where the hook's return address stands, `bp` the caller's
/// frame pointer; `thread` is this thread's state.
#[inline(always)]
pub unsafe fn capture(thread: *mut ThreadState, return_slot: *const u64, bp: u64) -> u32 {
    // SAFETY: the caller's promise; the state is only used by this thread.
    unsafe {
        let state = State {
            sp: return_slot as u64 + 8,
            ra: *return_slot,
            bp,
        };
        let Some(global) = crate::global::get() else {
            return 0;
        };
        let thread = &mut *thread;
        let [outer, _] = &mut thread.captures;
        if outer.active != 0 {
            return nested(global, thread, state);
        }
        outer.active = state.sp;
        compiler_fence(SeqCst);
        let memo = &mut outer.memo;
        let generation = global.stacks_generation.load(Relaxed);
        if memo.generation != generation {
            memo.clear();
            memo.generation = generation;
        }
        let mut node = None;
        let known = state.sp >= thread.stack_low && state.sp < thread.stack_top;
        let bounds = Bounds {
            top: if known { thread.stack_top } else { 0 },
        };
        // The commonest case first: the same innermost frame, nothing changed.
        if let Some(top) = memo.len.checked_sub(1) {
            let frame = &*memo.frames.add(top);
            if frame.is(state.sp, state.ra, state.bp)
                && memo.hard_end
                && verify(memo, top, bounds) == 0
            {
                node = Some(frame.node);
            }
        }
        if node.is_none() && bounds.top != 0 && memo.hard_end && memo.trial.next() {
            node = paths::follow(memo, &state, bounds);
        }
        let node = match node {
            Some(node) => node,
            None => {
                let [Capture { memo, scratch, .. }, _] = &mut thread.captures;
                walk(global, bounds, memo, scratch, state)
            }
        };
        compiler_fence(SeqCst);
        let [outer, _] = &mut thread.captures;
        outer.active = 0;
        if thread.extras_left != 0 {
            return super::extras(global, thread, state, node);
        }
        node
    }
}

/// A capture inside a capture: a signal handler allocates. The memo belongs to
/// the interrupted one, so this one walks without, in arrays of its own.
#[cold]
#[inline(never)]
unsafe fn nested(
    global: &'static crate::global::Global,
    thread: &mut ThreadState,
    first: State,
) -> u32 {
    let bounds = thread.bounds(first.sp);
    let [outer, inner] = &mut thread.captures;
    if inner.active != 0 && !was_left(inner.active, first.sp) {
        return truncated(global, &global.stacks, truncation::TOO_DEEP);
    }
    inner.active = first.sp;
    compiler_fence(SeqCst);
    inner.memo.clear();
    // SAFETY: as `capture`.
    let node = unsafe { walk(global, bounds, &mut inner.memo, &mut inner.scratch, first) };
    compiler_fence(SeqCst);
    inner.active = 0;
    if bounds.top != 0 && was_left(outer.active, first.sp) {
        outer.memo.clear();
        outer.active = 0;
    }
    super::marked(global, node)
}
