//! Ends and forks: `_exit`, `fork`, and what would make our own system
//! calls deadly (system-call filters).

use crate::arch::{clock, thunk::Answer, tls};
use crate::collect::finish;
use crate::global;
use crate::originals::{self, *};
use crate::reach::leave;
use crate::{call, quarantine, sys, thunk, thunk_before, thunk_leaving, thunk_unless};
use core::sync::atomic::{AtomicU64, Ordering::*};
use log_format::layout::{State, StopReason};

/// When the last `fork` was called here, event clock; inherited by the child.
pub static FORK_TICKS: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn before_exit(_: i32, registers: *const u64) {
    originals::resolved();
    // SAFETY: the thunk's; the log is ended by the last handler.
    unsafe { leave::called(registers) };
}

thunk_leaving!(exit -> before_exit, EXIT);

unsafe extern "C" fn before_exit_now(status: i32, registers: *const u64) {
    if originals::resolved() {
        // SAFETY: the thunk's.
        unsafe { leave::called(registers) };
        finish::finish(State::Exited, status);
    }
}

thunk_leaving!(_exit -> before_exit_now, EXIT_NOW);
thunk_leaving!(_Exit -> before_exit_now, EXIT_NOW_C99);

unsafe extern "C" fn before_quick_exit(status: i32, registers: *const u64) {
    originals::resolved();
    // SAFETY: the thunk's.
    unsafe { leave::called(registers) };
    // Handlers run first; the last one ends the log.
    finish::QUICK_STATUS.store(status, Relaxed);
}

thunk_leaving!(quick_exit -> before_quick_exit, QUICK_EXIT);

/// A fork. The child is found by its wiped state, not here: raw clones must be found too.
/// Only the moment is noted, and whether the child returns into a hook.
///
/// # Safety
/// `slot` and `fp` are a thunk's; `fork` forks.
unsafe fn forked<T: From<i8> + PartialEq>(
    slot: *const u64,
    fp: u64,
    fork: impl FnOnce() -> T,
) -> T {
    FORK_TICKS.store(clock::now(), Relaxed);
    let wipes = sys::WIPES.load(Relaxed);
    // SAFETY: the thunk's.
    let within = wipes && unsafe { quarantine::is_within_a_hook(slot, fp) };
    if within {
        quarantine::keep_for_child(true);
    }
    let child = fork();
    let is_child = child == T::from(0);
    if within {
        if is_child {
            quarantine::leave_log();
        }
        quarantine::keep_for_child(false);
    } else if is_child && !wipes {
        // A kernel that does not wipe our state for us (before 4.14).
        tls::set(0);
        if let Some(global) = global::get() {
            global.reset();
        }
    }
    child
}

unsafe extern "C" fn fork_body(slot: *const u64, fp: u64) -> i32 {
    if !originals::resolved() {
        return -1;
    }
    // SAFETY: the thunk's; fork's type.
    unsafe { forked(slot, fp, || call!(FORK as fn() -> i32,)) }
}

unsafe extern "C" fn fork_now_body(slot: *const u64, fp: u64) -> i32 {
    if !originals::resolved() || FORK_NOW.load(Relaxed).is_null() {
        return -1;
    }
    // SAFETY: as `fork_body`.
    unsafe { forked(slot, fp, || call!(FORK_NOW as fn() -> i32,)) }
}

thunk!(fork(0) -> fork_body);
thunk!(_Fork(0) -> fork_now_body);

const PR_SET_NAME: u64 = 15;
const PR_SET_SECCOMP: u64 = 22;
const PR_SET_TSC: u64 = 26;
const SECCOMP_MODE_STRICT: u64 = 1;
const SECCOMP_SET_MODE_STRICT: u64 = 0;
const PR_TSC_SIGSEGV: u64 = 2;

unsafe extern "C" fn before_prctl(option: u64, argument: u64) {
    originals::resolved();
    match option {
        PR_SET_SECCOMP if argument == SECCOMP_MODE_STRICT => clockless(),
        PR_SET_TSC if argument == PR_TSC_SIGSEGV => clockless(),
        PR_SET_SECCOMP => filter(),
        PR_SET_NAME if argument != 0 => super::thread::note_name(argument as *const _),
        _ => {}
    }
}

/// The arguments of `syscall`, in the order in which [`thunk_unless!`] has them in memory.
#[repr(C)]
struct SyscallArguments {
    vectors: u64,
    fifth: u64,
    fourth: u64,
    third: u64,
    second: u64,
    first: u64,
    number: u64,
    /// The return address.
    slot: u64,
}

unsafe extern "C" fn before_syscall(arguments: *const SyscallArguments, fp: u64) -> Answer {
    originals::resolved();
    // SAFETY: the thunk's.
    let arguments = unsafe { &*arguments };
    match arguments.number as i64 {
        libc::SYS_statx => crate::runtimes::v8::before_call(),
        libc::SYS_seccomp if arguments.first == SECCOMP_SET_MODE_STRICT => clockless(),
        libc::SYS_seccomp => filter(),
        // SAFETY: the thunk's.
        libc::SYS_fork | libc::SYS_clone => return unsafe { raw_fork(arguments, fp) },
        _ => {}
    }
    Answer {
        instead: 0,
        value: 0,
    }
}

/// A fork without libc's: only one out of a hook needs help. (The child of a `clone` with a
/// stack of its own does not return here; one that shares our memory is no fork.)
unsafe fn raw_fork(arguments: &SyscallArguments, fp: u64) -> Answer {
    let (number, first, second) = (arguments.number, arguments.first, arguments.second);
    let (third, fourth, fifth) = (arguments.third, arguments.fourth, arguments.fifth);
    let forks =
        number == libc::SYS_fork as u64 || first & libc::CLONE_VM as u64 == 0 && second == 0;
    // SAFETY: the thunk's.
    let instead = forks
        && !SYSCALL.load(Relaxed).is_null()
        && sys::WIPES.load(Relaxed)
        && unsafe { quarantine::is_within_a_hook(&arguments.slot, fp) };
    let value = if instead {
        // SAFETY: the thunk's; the type of syscall for these.
        unsafe {
            forked(&arguments.slot, fp, || {
                call!(
                    SYSCALL as fn(u64, u64, u64, u64, u64, u64) -> i64,
                    number,
                    first,
                    second,
                    third,
                    fourth,
                    fifth
                )
            })
        }
    } else {
        0
    };
    Answer {
        instead: instead.into(),
        value,
    }
}

thunk_before!(prctl -> before_prctl, PRCTL);
thunk_unless!(syscall -> before_syscall, SYSCALL);

/// A filter is about to be installed: take now what will be needed, and make no
/// system call afterwards.
fn filter() {
    if let Some(global) = global::recording() {
        crate::collect::prepare_for_filter(global);
    }
}

/// Reading the time-stamp counter is about to become a fault (strict mode does
/// that too): what happened so far is written, and recording ends.
fn clockless() {
    if let Some(global) = global::recording() {
        crate::collect::end_early(global, StopReason::Filtered);
    }
}
