//! Who ends the process, and from which frame: the stack below it is dead.
//!
//! `exit` called by the program comes through a hook that sees the caller's registers.
//! When `main` returns, or the last thread ends, libc calls `exit` itself: then the
//! frames between the handler at the end and the caller of `exit` are unwound, and the
//! registers that are preserved hold nothing of the program's.

use super::roots::Leaver;
use crate::arch::tls;
use crate::originals::EXIT;
use crate::thread::ThreadState;
use crate::unwind::{self, EXACT, State, Step};
use core::sync::atomic::{AtomicU64, Ordering::*};

/// Stack pointer, return address, six registers.
static WORDS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
/// Thread descriptor of the thread that they are of.
static OWNER: AtomicU64 = AtomicU64::new(0);

/// A function that ends the process was called.
///
/// # Safety
/// `registers` comes from [`crate::thunk_leaving`].
pub unsafe fn called(registers: *const u64) {
    // SAFETY: eight words.
    let words = unsafe { &*registers.cast::<[u64; 8]>() };
    let [rbx, rbp, r12, r13, r14, r15, _, ra] = *words;
    store([registers as u64 + 64, ra, rbx, rbp, r12, r13, r14, r15]);
}

fn store(words: [u64; 8]) {
    for (to, value) in WORDS.iter().zip(words) {
        to.store(value, Relaxed);
    }
    OWNER.store(tls::own_address() as u64, Release);
}

/// Length of `exit`, at most, bytes.
const EXIT_LEN: u64 = 128;
/// Frames between the handler and `exit`, at most.
const FRAMES: usize = 16;

/// The handler at the end runs, called with its return address at `slot`; `thread` is
/// this thread's state or null.
///
/// # Safety
/// `slot` and `fp` come from [`crate::arch::thunk::at_exit`].
pub unsafe fn handler(slot: *const u64, fp: u64, thread: *mut ThreadState) {
    let noted = OWNER.load(Acquire) == tls::own_address() as u64;
    if noted
        && WORDS
            .first()
            .is_some_and(|sp| sp.load(Relaxed) > slot as u64)
    {
        return;
    }
    // SAFETY: the slot holds the return address.
    let mut state = State {
        sp: slot as u64 + 8,
        ra: unsafe { *slot },
        bp: fp,
    };
    let mut found = State { ..state };
    let exit = EXIT.load(Relaxed) as u64;
    // SAFETY: this thread's state.
    if let Some(thread) = unsafe { thread.as_mut() } {
        for _ in 0..FRAMES {
            let bounds = thread.bounds(state.sp);
            let inside = exit != 0 && (state.ra & !EXACT).wrapping_sub(exit) < EXIT_LEN;
            let Some(capture) = thread.captures.first_mut() else {
                break;
            };
            // SAFETY: a live frame of this thread.
            let Step::Frame(next, _) =
                (unsafe { unwind::step(&state, bounds, &mut capture.scratch) })
            else {
                break;
            };
            state = next;
            if inside {
                found = state;
                break;
            }
        }
    }
    store([found.sp, found.ra & !EXACT, 0, 0, 0, 0, 0, 0]);
}

/// What is known of a thread that called a function of the recorder's.
///
/// # Safety
/// `registers` comes from [`crate::thunk_registers`], in this thread.
pub unsafe fn caller(registers: *const u64) -> Leaver {
    // SAFETY: eight words.
    let words = unsafe { &*registers.cast::<[u64; 8]>() };
    let [rbx, rbp, r12, r13, r14, r15, _, ra] = *words;
    Leaver {
        tid: crate::sys::gettid(),
        sp: registers as u64 + 64,
        code: ra,
        registers: [rbx, rbp, r12, r13, r14, r15],
        descriptor: tls::own_address() as u64,
    }
}

/// What is known of this thread, which ends the process.
pub fn leaver(sp: u64) -> Leaver {
    let [at, code, registers @ ..] = &WORDS;
    let descriptor = tls::own_address() as u64;
    let noted = OWNER.load(Acquire) == descriptor && at.load(Relaxed) > sp;
    Leaver {
        tid: crate::sys::gettid(),
        sp: if noted { at.load(Relaxed) } else { sp },
        code: if noted { code.load(Relaxed) } else { 0 },
        registers: if noted {
            core::array::from_fn(|n| registers.get(n).map_or(0, |r| r.load(Relaxed)))
        } else {
            [0; 6]
        },
        descriptor,
    }
}
