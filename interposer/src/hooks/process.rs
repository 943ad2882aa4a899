//! Ends and forks: `_exit`, `fork`, and what would make our own system
//! calls deadly (system-call filters).

use crate::arch::{clock, tls};
use crate::collect::finish;
use crate::global;
use crate::originals::{self, *};
use crate::reach::leave;
use crate::{call, quarantine, sys, thunk, thunk_before, thunk_leaving};
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

/// The hook of `fork`. The child is found by its wiped state, not here: raw clones
/// must be found too. Only the moment is noted, and whether the child returns into a
/// hook.
unsafe extern "C" fn fork_body(slot: *const u64, fp: u64) -> i32 {
    if !originals::resolved() {
        return -1;
    }
    FORK_TICKS.store(clock::before(), Relaxed);
    let wipes = sys::WIPES.load(Relaxed);
    // SAFETY: the thunk's.
    let within = wipes && unsafe { quarantine::is_within_a_hook(slot, fp) };
    if within {
        quarantine::keep_for_child(true);
    }
    // SAFETY: fork's type.
    let child = unsafe { call!(FORK as fn() -> i32,) };
    if within {
        if child == 0 {
            quarantine::leave_log();
        }
        quarantine::keep_for_child(false);
    } else if child == 0 && !wipes {
        // A kernel that does not wipe our state for us (before 4.14).
        tls::set(0);
        if let Some(global) = global::get() {
            global.reset();
        }
    }
    child
}

thunk!(fork(0) -> fork_body);

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

unsafe extern "C" fn before_syscall(number: u64, operation: u64) {
    originals::resolved();
    if number == libc::SYS_statx as u64 {
        crate::runtimes::v8::before_call();
    }
    if number == libc::SYS_seccomp as u64 {
        if operation == SECCOMP_SET_MODE_STRICT {
            clockless()
        } else {
            filter()
        }
    }
}

thunk_before!(prctl -> before_prctl, PRCTL);
thunk_before!(syscall -> before_syscall, SYSCALL);

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
