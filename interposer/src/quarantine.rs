//! A `fork` by a signal handler that interrupted a hook: the child returns into the
//! hook.
//!
//! Elsewhere a child finds everything of ours wiped and begins anew. This one needs
//! what the interrupted hook works with, down to the half-done drain; but not the
//! parent's log. So nothing is wiped for it, and what is shared with the log is
//! replaced by private pages. Such a child is not recorded (until it calls `exec`),
//! and its parent's log counts it.

use crate::arch::{stack, tls};
use crate::global::{self, Global, Phase};
use crate::thread::{self, ThreadState};
use crate::unwind::{self, Bounds, EXACT, State, Step};
use crate::{modules, sys};
use core::sync::atomic::Ordering::*;
use log_format::layout::{FIRST_DATA_END, PAGE};
use log_format::ring::was_left;

/// Frames that are looked through for an interrupted hook.
const MOST: usize = 1024;

/// Whether a signal handler's frame lies between the caller of a hook (`slot` and
/// `fp` as a thunk gives them) and code of ours.
///
/// # Safety
/// As the thunk's.
pub unsafe fn is_within_a_hook(slot: *const u64, fp: u64) -> bool {
    let word = tls::get();
    if word <= thread::MAX_MARK {
        return false;
    }
    let Some(ours) = modules::find_object(is_within_a_hook as *const () as u64) else {
        return false;
    };
    // SAFETY: this thread's state; the thunk's frame is live; states come from
    // verified steps.
    unsafe {
        let thread = &mut *(word as *mut ThreadState);
        let bounds: Bounds = thread.bounds(stack::pointer() as u64);
        // Its room for evaluations is that of captures in handlers, who find it taken.
        let [_, inner] = &mut thread.captures;
        if inner.active != 0 && !was_left(inner.active, slot as u64) {
            return true;
        }
        inner.active = slot as u64;
        let mut state = State {
            sp: slot as u64 + 8,
            ra: *slot,
            bp: fp,
        };
        let (mut handler, mut found) = (false, false);
        for _ in 0..MOST {
            handler |= state.ra & EXACT != 0;
            let address = state.ra & !EXACT;
            let own = address >= ours.start && address < ours.end;
            found = handler && own && !crate::arch::thunk::runs_thread(address);
            if found {
                break;
            }
            match unwind::step(&state, bounds, &mut inner.scratch) {
                Step::Frame(next, _) => state = next,
                _ => break,
            }
        }
        inner.active = 0;
        found
    }
}

/// Before the fork, `keep`, and after it in the parent, not.
pub fn keep_for_child(keep: bool) {
    let Some(global) = global::get() else { return };
    // SAFETY: our own mappings.
    unsafe {
        let whole = core::ptr::from_ref(global).cast_mut().cast();
        sys::keep_on_fork(whole, size_of::<Global>().next_multiple_of(4096), keep);
        for state in thread::all(global) {
            sys::keep_on_fork(
                core::ptr::from_ref(state).cast_mut().cast(),
                thread::STATE,
                keep,
            );
        }
    }
}

/// In the child: parts from the parent's log.
pub fn leave_log() {
    let Some(global) = global::get() else { return };
    let Some(header) = global.file.header() else {
        return;
    };
    header.children_without_log.fetch_add(1, Relaxed);
    global.set_phase(Phase::Dormant);
    // The file is not to be opened again.
    global.filtered.store(1, SeqCst);
    // SAFETY: what of ours is mapped from the file; nobody else runs here.
    unsafe {
        for state in thread::all(global) {
            if !state.ring.is_null() {
                let base = (state.ring as usize - 64) as *mut u8;
                let _ = sys::replace_by_private(base, (state.mask + 1 + PAGE) as usize);
            }
        }
        let _ = global.stacks.detach_file();
        let (data, len) = (*global.drain.get()).data();
        let base = core::ptr::from_ref(header).cast_mut().cast::<u8>();
        if data.addr().wrapping_sub(base.addr()) >= FIRST_DATA_END as usize && !data.is_null() {
            let _ = sys::replace_by_private(data, len);
        }
        let _ = sys::replace_by_private(base, FIRST_DATA_END as usize);
    }
}
