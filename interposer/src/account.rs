//! The allocator's own account: `mallinfo2`, asked in a copy of the process.
//!
//! It takes the locks of all arenas. Another thread may hold one, or this one, further out, when
//! a handler ends the process. In a copy that costs nothing but the account: the copy is ended
//! when it has not answered in time.

use crate::arch::clock::clock_ns;
use crate::arch::process;
use crate::arch::syscall::{syscall2, syscall3, syscall4};
use crate::call;
use crate::originals::{self, MALLINFO, MALLOC};
use crate::sys;
use core::mem::size_of;
use core::sync::atomic::{AtomicU32, Ordering::*};
use log_format::memory::Account;

/// Longest wait for the answer, ns.
const PATIENCE: u64 = 100_000_000;
const WALL: usize = 0x4000_0000;
const PR_SET_PDEATHSIG: usize = 1;

/// `struct mallinfo2`.
#[repr(C)]
#[derive(Default)]
struct Mallinfo {
    arena: usize,
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    uordblks: usize,
    fordblks: usize,
    keepcost: usize,
}

/// What the copy writes.
#[repr(C)]
struct Shared {
    /// 1: the account is there.
    state: AtomicU32,
    account: Account,
}

/// The account; `None` if the allocator keeps none, or has not answered.
pub fn ask() -> Option<Account> {
    if MALLINFO.load(Relaxed).is_null() || !originals::same_module(&MALLINFO, &MALLOC) {
        return None;
    }
    let shared = sys::map_shared(size_of::<Shared>())?.cast::<Shared>();
    let signals = sys::block_signals();
    // SAFETY: the copy does not return; the memory is mapped until the copy is gone, and zeros
    // are valid.
    let answer = unsafe {
        let pid = process::copy();
        if pid == 0 {
            answer(shared);
        }
        let answer = pid > 0 && wait(&(*shared).state);
        if pid > 0 {
            syscall2(libc::SYS_kill, pid as usize, libc::SIGKILL as usize);
            while syscall4(libc::SYS_wait4, pid as usize, 0, WALL, 0) == -(libc::EINTR as isize) {}
        }
        answer.then(|| (*shared).account)
    };
    sys::restore_signals(&signals);
    // SAFETY: the copy is gone.
    unsafe { sys::unmap(shared.cast(), size_of::<Shared>()) };
    answer
}

/// The copy's life.
///
/// # Safety
/// Called in a copy, with shared memory.
unsafe fn answer(shared: *mut Shared) -> ! {
    // SAFETY: the caller's promise; the type of `mallinfo2`. A fault ends the copy: no handler of
    // the program's is to run here.
    unsafe {
        let all = u64::MAX;
        syscall2(libc::SYS_prctl, PR_SET_PDEATHSIG, libc::SIGKILL as usize);
        syscall4(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK as usize,
            &raw const all as usize,
            0,
            size_of::<u64>(),
        );
        let told = call!(MALLINFO as fn() -> Mallinfo,);
        (*shared).account = Account {
            arenas: told.arena as u64,
            used: told.uordblks as u64,
            free: told.fordblks as u64,
            top: told.keepcost as u64,
            mapped: told.hblkhd as u64,
        };
        let state = &(*shared).state;
        state.store(1, Release);
        loop {
            syscall3(
                libc::SYS_futex,
                state.as_ptr() as usize,
                libc::FUTEX_WAKE as usize,
                1,
            );
            syscall2(libc::SYS_exit_group, 0, 0);
        }
    }
}

/// Whether the answer came in time.
fn wait(state: &AtomicU32) -> bool {
    let until = clock_ns(libc::CLOCK_MONOTONIC) + PATIENCE;
    while state.load(Acquire) == 0 {
        let left = until.saturating_sub(clock_ns(libc::CLOCK_MONOTONIC));
        if left == 0 {
            return false;
        }
        let time = [0u64, left];
        // SAFETY: a mapped word; two longs. Shared with another process: not a private futex.
        unsafe {
            syscall4(
                libc::SYS_futex,
                state.as_ptr() as usize,
                libc::FUTEX_WAIT as usize,
                0,
                time.as_ptr() as usize,
            );
        }
    }
    true
}
