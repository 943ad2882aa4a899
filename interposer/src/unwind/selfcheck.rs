//! The self-check: every n-th capture is compared with the `backtrace` crate's
//! stack (libgcc's unwinder), which shares nothing with ours.
//!
//! Only with `LEAK_SELFCHECK=N`. It costs stack and time that hooks otherwise
//! never take.

use super::{EXACT, State, cache};
use crate::global::Global;
use crate::thread::{self, ThreadState};
use core::sync::atomic::Ordering::Relaxed;
use log_format::blob::{BlobKind, Disagreement};
use log_format::layout::{Node, node_kind};
use log_format::varint::Out;

/// Frames compared.
const MAX: usize = 4096;
/// Disagreements kept in the log.
const KEEP: u64 = 16;

struct Check {
    thread: *mut ThreadState,
    first: State,
    node: u32,
}

/// Counts a capture and checks it when it is its turn.
pub fn count_down(global: &'static Global, thread: &mut ThreadState, first: State, node: u32) {
    thread.extras_left -= 1;
    if thread.extras_left != 0 {
        return;
    }
    let thread: *mut ThreadState = thread;
    let mut check = Check {
        thread,
        first,
        node,
    };
    // No nested checks.
    // Not `thread::deep`: the other unwinder must see the program's stack.
    // SAFETY: this thread's state.
    unsafe {
        run((&raw mut check).cast());
        (*thread).extras_left = global.selfcheck_every.load(Relaxed);
    }
}

unsafe extern "C" fn run(check: *mut u8) {
    // SAFETY: `count_down` gave it.
    let check = unsafe { &*check.cast::<Check>() };
    let Some(global) = crate::global::recording() else {
        return;
    };
    let Some(header) = global.file.header() else {
        return;
    };
    let Some(memory) = crate::sys::map_private(2 * MAX * 8) else {
        return;
    };
    // SAFETY: a fresh mapping.
    let (ours, theirs) =
        unsafe { core::slice::from_raw_parts_mut(memory.cast::<u64>(), 2 * MAX) }.split_at_mut(MAX);
    let nodes = global.stacks.nodes();
    let mut len = 0;
    let mut cut = false;
    let mut id = check.node;
    while let Some(&Node {
        parent,
        kind,
        payload,
    }) = nodes.get(id as usize)
        && id != 0
    {
        match (kind, ours.get_mut(len)) {
            (node_kind::NATIVE | node_kind::CODE, Some(slot)) => {
                *slot = payload;
                len += 1;
            }
            (node_kind::NATIVE | node_kind::CODE, None) => {}
            _ => cut = true,
        }
        id = parent;
    }
    let mut count = 0;
    let mut started = false;
    let first = check.first.ra & !EXACT;
    // SAFETY: no lock is needed: libgcc's unwinder is thread-safe, and symbols
    // are not asked for.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let ip = frame.ip() as u64;
            // Our own frames come first; the program's begin at the hook's caller.
            started |= ip == first && frame.sp() as u64 >= check.first.sp - 16;
            if started && ip != 0 {
                match theirs.get_mut(count) {
                    Some(slot) => *slot = global.codes.meaning(ip).1,
                    None => return false,
                }
                count += 1;
            }
            true
        });
    }
    header.selfcheck_checked.fetch_add(1, Relaxed);
    let (ours, theirs) = (
        ours.get(..len).unwrap_or(&[]),
        theirs.get(..count).unwrap_or(&[]),
    );
    if ours != theirs {
        // Where the other one stops for want of unwind information and ours goes
        // on by frame pointer (or both stop), there is nothing to compare.
        let shorter = ours.starts_with(theirs) || cut && theirs.starts_with(ours);
        let last = theirs.last().unwrap_or(&first);
        let no_cfi = shorter && (cut || no_unwind_information(*last, check.thread));
        if no_cfi {
            header.selfcheck_no_cfi.fetch_add(1, Relaxed);
        } else if header.selfcheck_disagreed.fetch_add(1, Relaxed) < KEEP {
            keep(check.thread, ours, theirs);
        }
    }
    // SAFETY: not used any more.
    unsafe { crate::sys::unmap(memory, 2 * MAX * 8) };
}

fn no_unwind_information(ip: u64, thread: *mut ThreadState) -> bool {
    // SAFETY: this thread's state; its capture is over.
    let [capture, _] = unsafe { &mut (*thread).captures };
    matches!(
        cache::rule(ip, &mut capture.scratch).kind(),
        cache::Kind::FramePointer
    )
}

fn keep(thread: *mut ThreadState, ours: &[u64], theirs: &[u64]) {
    let mut buf = [0u8; 2048];
    let mut out = Out::new(&mut buf);
    let first = |list: &'_ [u64]| list.len().min(90);
    let (ours, theirs) = (ours.get(..first(ours)), theirs.get(..first(theirs)));
    Disagreement {
        ours: ours.unwrap_or(&[]),
        theirs: theirs.unwrap_or(&[]),
    }
    .encode(&mut out);
    // SAFETY: this thread's state.
    unsafe { thread::blob(thread, BlobKind::Disagreement, out.written()) };
}
