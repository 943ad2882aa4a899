//! Whether V8's worker threads are at rest. In a copy of the process they are no more: a job that
//! one of them was at would be waited for without end, and what it had locked stays locked.
//!
//! A thread at rest waits at a condition, which counts it: after a few signals that nobody takes,
//! `pthread_cond_signal` of libc waits for the waiters ([`Waits::forget`]).

use crate::digits::number;
use crate::memory::read_lines;
use crate::sys::{self, Errno};
use core::sync::atomic::{AtomicU32, Ordering::*};
use log_format::varint::Out;

/// Most threads that are looked at.
const MOST: usize = 64;

/// The threads that were there with the first isolate, V8's workers among them: kernel's ids, 0
/// for none.
pub struct Workers([AtomicU32; MOST]);

/// Where a thread at rest waits: futex with a bit set (for a condition), epoll, poll, sleep, read.
/// Not the plain futex, by which libc waits for a lock.
const WAITS: [i64; 8] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_read,
];
/// The operation of the futex call, without its flags.
const OPERATION: u64 = 0x7f;

impl Workers {
    /// Notes who is there besides this thread.
    pub fn learn(&self) {
        let own = sys::gettid();
        let mut free = self.0.iter();
        sys::each_entry(b"/proc/self/task\0", &mut |name| {
            if let Some(tid) = number(name, 10).filter(|&tid| tid != u64::from(own))
                && let Some(slot) = free.next()
            {
                slot.store(tid as u32, Relaxed);
            }
        });
    }

    /// Where all of them wait for something to do; `None`: one is at work.
    ///
    /// # Errors
    /// `EACCES` if the process may not know it of itself: it has changed its user, and is not dumpable.
    pub fn at_rest(&self) -> Result<Option<Waits>, Errno> {
        let mut waits = Waits([0; MOST]);
        for (slot, word) in self.0.iter().zip(&mut waits.0) {
            let tid = slot.load(Relaxed);
            if tid != 0 {
                match wait_of(tid)? {
                    Some(wait) => *word = wait,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(waits))
    }
}

/// The words that threads wait at, 0 for none.
pub struct Waits([usize; MOST]);

/// `pthread_cond_t` of glibc 2.25 to 2.40.
#[repr(C)]
struct Condition {
    sequence: u64,
    first: u64,
    /// Waiters of both groups, twice.
    waiters: [u32; 2],
    sizes: [u32; 2],
    first_size: u32,
    /// All waiters, eight times, and three flags.
    all: u32,
    /// What is waited at.
    signals: [u32; 2],
}

impl Waits {
    /// In a copy of the process: conditions count no waiters any more.
    ///
    /// # Safety
    /// In the copy.
    pub unsafe fn forget(&self) {
        let of = |word: usize| {
            (word & !7).wrapping_sub(core::mem::offset_of!(Condition, signals)) as *mut Condition
        };
        for &word in self.0.iter().filter(|&&word| word != 0) {
            let condition = of(word);
            let count = self.0.iter().filter(|&&other| of(other) == condition);
            let count = count.count();
            // SAFETY: the kernel has read there; a word in its neighbourhood may be on a page that
            // is not there only if it is not a condition's, so the counters next to it come first.
            unsafe {
                let found = &mut *condition;
                let [one, two] = found.waiters;
                let all = found.all >> 3;
                // Something else (a semaphore), or another libc's: as it is.
                if all as usize != count || (one >> 1) + (two >> 1) != all {
                    continue;
                }
                condition.write(Condition {
                    sequence: 0,
                    first: 0,
                    waiters: [0; 2],
                    sizes: [0; 2],
                    first_size: 0,
                    all: found.all & 7,
                    signals: [0; 2],
                });
            }
        }
    }
}

/// The word that a thread waits at, or 0; `None`: it is at work.
fn wait_of(tid: u32) -> Result<Option<usize>, Errno> {
    let mut path = [0u8; 48];
    let mut out = Out::new(&mut path);
    out.bytes(b"/proc/self/task/");
    crate::digits::decimal(&mut out, tid);
    out.bytes(b"/syscall\0");
    let mut wait = None;
    let read = read_lines(out.written(), &mut [0u8; 256], &mut |line| {
        wait = wait_in(line);
    });
    if read {
        return Ok(wait);
    }
    // A thread that has ended holds nothing.
    let ended = sys::file_type(out.written()).is_none();
    if ended {
        Ok(Some(0))
    } else {
        Err(Errno(libc::EACCES))
    }
}

/// The word of such a wait in a line of `/proc/…/syscall` (number and arguments), or 0.
fn wait_in(line: &[u8]) -> Option<usize> {
    let mut words = line.split(|&byte| byte == b' ');
    let call = number(words.next()?, 10)?;
    if call != libc::SYS_futex as u64 {
        return WAITS.iter().any(|&wait| wait as u64 == call).then_some(0);
    }
    let mut argument = || number(words.next()?.strip_prefix(b"0x")?, 16);
    let (word, operation) = (argument()?, argument()?);
    (operation & OPERATION == libc::FUTEX_WAIT_BITSET as u64).then_some(word as usize)
}
