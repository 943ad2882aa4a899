//! The process and its threads: signals, waiting, names, limits.

use crate::arch::syscall::{syscall2, syscall3, syscall4};
use core::ptr;

/// Signals that are blocked in a thread, as the kernel's set.
pub struct Blocked(u64);

/// Signals that stem from a thread's own instructions.
pub const OF_INSTRUCTIONS: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// These signals as the kernel's set.
pub fn signal_set(signals: &[i32]) -> u64 {
    signals
        .iter()
        .fold(0, |set, signal| set | 1 << (signal - 1))
}

/// Blocks every signal of this thread that does not stem from its own instructions.
pub fn block_signals() -> Blocked {
    let set = !signal_set(&OF_INSTRUCTIONS);
    let mut before = Blocked(0);
    set_signals(libc::SIG_BLOCK, set, &mut before.0);
    before
}

/// Takes [`block_signals`] back.
pub fn restore_signals(before: &Blocked) {
    set_signals(libc::SIG_SETMASK, before.0, &mut 0);
}

fn set_signals(how: i32, set: u64, before: &mut u64) {
    // SAFETY: both sets have the size that the kernel is told.
    unsafe {
        let (set, before) = (
            &raw const set as usize,
            core::ptr::from_mut(before) as usize,
        );
        syscall4(
            libc::SYS_rt_sigprocmask,
            how as usize,
            set,
            before,
            size_of::<u64>(),
        );
    }
}

/// Kernel's id of this thread.
pub fn gettid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_gettid, 0, 0) as u32 }
}

/// Name of this thread: 15 bytes and a NUL at most.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes 16 bytes.
    unsafe {
        syscall2(
            libc::SYS_prctl,
            libc::PR_GET_NAME as usize,
            name.as_mut_ptr() as usize,
        )
    };
    name
}

/// Process id.
pub fn getpid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_getpid, 0, 0) as u32 }
}

/// Parent's process id.
pub fn getppid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_getppid, 0, 0) as u32 }
}

/// Random bytes for the log's identity; zeros if the kernel has none yet.
pub fn random() -> [u64; 2] {
    let mut out = [0u64; 2];
    // SAFETY: 16 writable bytes. GRND_NONBLOCK: never wait for entropy.
    unsafe {
        syscall3(
            libc::SYS_getrandom,
            ptr::addr_of_mut!(out) as usize,
            16,
            libc::GRND_NONBLOCK as usize,
        )
    };
    out
}

/// Sleeps until `*word != seen`, a wake, or the time is over.
pub fn futex_wait(word: &core::sync::atomic::AtomicU32, seen: u32, timeout_ns: u64) {
    let time = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    // SAFETY: the word outlives the call, the time is two longs.
    unsafe {
        syscall4(
            libc::SYS_futex,
            word.as_ptr() as usize,
            (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize,
            seen as usize,
            time.as_ptr() as usize,
        )
    };
}

/// As [`futex_wait`] without an end, for a word in memory that other processes map as well.
pub fn futex_wait_shared(word: &core::sync::atomic::AtomicU32, seen: u32) {
    // SAFETY: the word outlives the call.
    unsafe {
        syscall4(
            libc::SYS_futex,
            word.as_ptr() as usize,
            libc::FUTEX_WAIT as usize,
            seen as usize,
            0,
        )
    };
}

/// Wakes all who wait for such a word.
pub fn futex_wake_shared(word: &core::sync::atomic::AtomicU32) {
    // SAFETY: the word is valid.
    unsafe {
        syscall3(
            libc::SYS_futex,
            word.as_ptr() as usize,
            libc::FUTEX_WAKE as usize,
            i32::MAX as usize,
        )
    };
}

/// Blocks in this thread every signal that is not due to its own instructions, for good. Those
/// that libc uses between threads (set-id calls, cancellation) stay.
pub fn refuse_signals() {
    let libc_own = 1u64 << 31 | 1 << 32;
    let mut before = block_signals();
    set_signals(libc::SIG_UNBLOCK, libc_own, &mut before.0);
}

/// Names this thread (`name` NUL-terminated, 15 bytes at most).
pub fn set_thread_name(name: &[u8]) {
    if name.last() == Some(&0) {
        // SAFETY: a NUL-terminated name.
        unsafe {
            syscall2(
                libc::SYS_prctl,
                libc::PR_SET_NAME as usize,
                name.as_ptr() as usize,
            )
        };
    }
}

/// Sleeps for less than a second.
pub fn sleep(ns: u64) {
    let time = [0, ns];
    // SAFETY: the time is two longs.
    unsafe { syscall2(libc::SYS_nanosleep, time.as_ptr() as usize, 0) };
}

/// Wakes all who wait for the word.
pub fn futex_wake(word: &core::sync::atomic::AtomicU32) {
    // SAFETY: the word is valid.
    unsafe {
        syscall3(
            libc::SYS_futex,
            word.as_ptr() as usize,
            (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize,
            i32::MAX as usize,
        )
    };
}

/// Soft limit of a resource.
pub fn rlimit(resource: u32) -> u64 {
    let mut limit = [u64::MAX; 2];
    // SAFETY: two writable words.
    unsafe {
        syscall2(
            libc::SYS_getrlimit,
            resource as usize,
            limit.as_mut_ptr() as usize,
        )
    };
    limit[0]
}

/// Writes a line to stderr (only with `LEAK_VERBOSE=1`).
pub fn stderr(text: &[u8]) {
    // SAFETY: the slice is readable; a failure is nobody's concern.
    unsafe { syscall3(libc::SYS_write, 2, text.as_ptr() as usize, text.len()) };
}

/// Ends the process at once.
pub fn exit_group(status: u8) -> ! {
    loop {
        // SAFETY: the end of this process.
        unsafe { syscall2(libc::SYS_exit_group, usize::from(status), 0) };
    }
}
