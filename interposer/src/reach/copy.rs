//! The frozen copy of the process, and how its result comes back.

use super::answer::Answer;
use super::run::{self, Job, Result};
use crate::arch::clock::clock_ns;
use crate::arch::process;
use crate::arch::syscall::{syscall2, syscall3, syscall4};
use crate::sys;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use log_format::reach::Outcome;

const WALL: usize = 0x4000_0000;
const PR_SET_PDEATHSIG: usize = 1;
/// What a block's result needs at most, bytes, and room for roots.
const A_BLOCK: usize = 46;
const ROOM: usize = 8 << 20;
/// Where the parts begin.
const PARTS: usize = 4096;

const WORKING: u32 = 0;
const READY: u32 = 1;

/// Begins the shared memory.
#[repr(C)]
struct Shared {
    state: AtomicU32,
    outcome: AtomicU32,
    scanned: AtomicU64,
    /// Bytes of parts: each is its length in 8 bytes and its content.
    used: AtomicU64,
    /// What to say if the program asked: [`Answer`].
    lost: AtomicU64,
    bytes: AtomicU64,
    set_aside: AtomicU64,
}

impl Shared {
    fn result(&self, outcome: Outcome) -> Result {
        Result {
            outcome,
            scanned: self.scanned.load(Relaxed),
            answer: Answer {
                lost: self.lost.load(Relaxed),
                bytes: self.bytes.load(Relaxed),
                set_aside: self.set_aside.load(Relaxed),
            },
        }
    }
}

/// A copy of the process at work.
pub struct Copy {
    shared: *mut Shared,
    len: usize,
    pid: usize,
    gone: bool,
}

/// Makes the copy, which begins to search at once; `None` if the system refuses.
/// Signals are blocked, and stay so in the copy.
pub fn start(job: &Job<'_>) -> Option<Copy> {
    let keeps = job.question.is_none_or(|question| question.keeps);
    let parts = if keeps {
        ROOM + job.live.len() * A_BLOCK
    } else {
        0
    };
    let len = (PARTS + parts).next_multiple_of(4096);
    let memory = sys::map_shared(len)?;
    let shared = memory.cast::<Shared>();
    // SAFETY: the copy does not return.
    let pid = unsafe { process::copy() };
    if pid == 0 {
        work(job, shared, len);
    }
    if pid < 0 {
        // SAFETY: nobody uses it.
        unsafe { sys::unmap(memory, len) };
        return None;
    }
    Some(Copy {
        shared,
        len,
        pid: pid as usize,
        gone: false,
    })
}

/// The copy's life.
fn work(job: &Job<'_>, shared: *mut Shared, len: usize) -> ! {
    // SAFETY: no memory involved; closes what is the program's. Before Linux 5.9 the
    // descriptors stay open for the time of the search.
    unsafe {
        syscall2(libc::SYS_prctl, PR_SET_PDEATHSIG, libc::SIGKILL as usize);
        syscall3(libc::SYS_close_range, 0, u32::MAX as usize, 0);
    }
    // SAFETY: shared memory of that length.
    let head = unsafe { &*shared };
    let parts = shared.cast::<u8>();
    let mut used = 0usize;
    let result = run::run(job, &mut |part| {
        let next = used + 8 + part.len().next_multiple_of(8);
        if PARTS + next > len {
            return false;
        }
        // SAFETY: inside, as was just seen.
        unsafe {
            let at = parts.add(PARTS + used);
            at.cast::<u64>().write(part.len() as u64);
            core::ptr::copy_nonoverlapping(part.as_ptr(), at.add(8), part.len());
        }
        used = next;
        true
    });
    head.used.store(used as u64, Relaxed);
    head.scanned.store(result.scanned, Relaxed);
    head.lost.store(result.answer.lost, Relaxed);
    head.bytes.store(result.answer.bytes, Relaxed);
    head.set_aside.store(result.answer.set_aside, Relaxed);
    head.outcome.store(result.outcome as u32, Relaxed);
    head.state.store(READY, Release);
    // Shared with another process: not a private futex.
    loop {
        // SAFETY: a word of shared memory; then the end of this process.
        unsafe {
            syscall3(
                libc::SYS_futex,
                head.state.as_ptr() as usize,
                libc::FUTEX_WAKE as usize,
                1,
            );
            syscall2(libc::SYS_exit_group, 0, 0);
        }
    }
}

impl Copy {
    /// Waits until the copy has ended, `deadline` at most; how its search went.
    pub fn wait(&mut self, deadline: u64) -> Result {
        // SAFETY: mapped until this is dropped.
        let head = unsafe { &*self.shared };
        loop {
            let time = [0u64, 50_000_000];
            // SAFETY: the word is mapped; two longs.
            unsafe {
                let word = head.state.as_ptr() as usize;
                syscall4(
                    libc::SYS_futex,
                    word,
                    libc::FUTEX_WAIT as usize,
                    WORKING as usize,
                    time.as_ptr() as usize,
                );
            }
            if head.state.load(Acquire) == READY {
                return head.result(Outcome::from_raw(head.outcome.load(Relaxed) as u8));
            }
            // SAFETY: our own copy.
            self.gone = unsafe {
                syscall4(
                    libc::SYS_wait4,
                    self.pid,
                    0,
                    WALL | libc::WNOHANG as usize,
                    0,
                )
            } != 0;
            if self.gone {
                let ready = head.state.load(Acquire) == READY;
                let outcome = if ready {
                    Outcome::from_raw(head.outcome.load(Relaxed) as u8)
                } else {
                    Outcome::Died
                };
                return head.result(outcome);
            }
            if clock_ns(libc::CLOCK_MONOTONIC) > deadline {
                return head.result(Outcome::TooLong);
            }
        }
    }

    /// Gives the parts of the result to `emit`; whether all were taken.
    pub fn parts(&self, emit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        // SAFETY: mapped until this is dropped.
        let used = unsafe { (*self.shared).used.load(Relaxed) } as usize;
        let parts = self.shared.cast::<u8>().cast_const();
        let mut at = 0;
        while at + 8 <= used && PARTS + used <= self.len {
            // SAFETY: inside the shared memory; lengths are checked.
            let part = unsafe {
                let len = parts.add(PARTS + at).cast::<u64>().read() as usize;
                if len > used - at - 8 {
                    return false;
                }
                core::slice::from_raw_parts(parts.add(PARTS + at + 8), len)
            };
            if !emit(part) {
                return false;
            }
            at += 8 + part.len().next_multiple_of(8);
        }
        true
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // SAFETY: our own copy, which has nothing more to do.
        unsafe {
            if !self.gone {
                syscall2(libc::SYS_kill, self.pid, libc::SIGKILL as usize);
                while syscall4(libc::SYS_wait4, self.pid, 0, WALL, 0) == -(libc::EINTR as isize) {}
            }
            sys::unmap(self.shared.cast(), self.len);
        }
    }
}
