//! A search of a running process, asked for from outside by `leak snapshot`.
//!
//! The command has stopped all threads and knows their registers. It lets one of them
//! call the two functions here: the first gives it a place for the registers, the second
//! drains the rings, makes the frozen copy and comes back at once. The copy searches and
//! keeps its result until the command, which reads it from outside, ends it. A helper
//! stands between the process and its copy, so that the copy is nobody's child here.

use super::roots::Leaver;
use super::run::{self, Job};
use super::threads::Thread;
use crate::arch::clock::clock_ns;
use crate::arch::syscall::{syscall2, syscall3, syscall4};
use crate::arch::{process, stack};
use crate::{global, sys};
use core::mem::size_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use log_format::layout::flag;

/// What the command reads and writes; the same in `cli/src/snapshot/inject.rs`. Then
/// the threads follow.
#[repr(C)]
pub struct Request {
    /// 0: at work, 1: done. In the copy.
    state: AtomicU32,
    /// [`log_format::reach::Outcome`].
    outcome: AtomicU32,
    /// Bytes searched.
    scanned: AtomicU64,
    /// Where the parts are: each is its length in 8 bytes and its content, padded to 8.
    parts: AtomicU64,
    /// Bytes of them.
    used: AtomicU64,
    /// Threads that follow.
    threads: u64,
    /// Bytes of this mapping.
    len: u64,
}

const HEAD: usize = 64;
const _: () = assert!(size_of::<Request>() <= HEAD && size_of::<Thread>() == 408);

/// Bytes of the stack that the work is done on.
const STACK: usize = 256 << 10;
/// Longest life of a copy, ns.
const LIFE: u64 = 120_000_000_000;
/// What a block's result needs at most, bytes, and room for roots.
const A_BLOCK: usize = 46;
const ROOM: usize = 8 << 20;
const WALL: usize = 0x4000_0000;

/// Nothing is recorded.
const NOT_RECORDING: isize = -1;
/// A drain is under way: try again.
const BUSY: isize = -2;
/// No memory.
const NO_MEMORY: isize = -3;
/// The process cannot be copied.
const NO_COPY: isize = -4;
/// A system-call filter is in force.
const FILTERED: isize = -5;

/// Makes a place for a request with so many threads; its address or an error.
#[unsafe(no_mangle)]
pub extern "C" fn leak_snapshot_prepare(threads: usize) -> isize {
    match global::recording() {
        None => return NOT_RECORDING,
        Some(global) if global.filtered.load(Relaxed) != 0 => return FILTERED,
        Some(_) => {}
    }
    let len = (HEAD + threads * size_of::<Thread>()).next_multiple_of(4096);
    let Some(memory) = sys::map_private(len) else {
        return NO_MEMORY;
    };
    // SAFETY: a fresh mapping of zeros.
    unsafe {
        (*memory.cast::<Request>()).threads = threads as u64;
        (*memory.cast::<Request>()).len = len as u64;
    }
    memory as isize
}

/// The work and its result.
struct Work {
    request: *mut Request,
    /// Id of the copy, or an error.
    result: isize,
    job: *const Job<'static>,
}

/// Makes the copy; its process id or an error. The request is gone afterwards, but for
/// the copy's.
///
/// # Safety
/// `request` comes from [`leak_snapshot_prepare`], its threads are filled in, and all
/// other threads of the process stand still.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leak_snapshot_run(request: *mut Request) -> isize {
    let Some(memory) = sys::map_private(STACK) else {
        return NO_MEMORY;
    };
    let mut work = Work {
        request,
        result: NO_MEMORY,
        job: core::ptr::null(),
    };
    // SAFETY: a fresh stack; the request is the caller's.
    unsafe {
        stack::call_on((&raw mut work).cast(), search, memory.add(STACK));
        sys::unmap(memory, STACK);
        sys::unmap(request.cast(), (*request).len as usize);
    }
    work.result
}

unsafe extern "C" fn search(work: *mut u8) {
    // SAFETY: the caller's, for the time of this call.
    let work = unsafe { &mut *work.cast::<Work>() };
    let Some(global) = global::recording() else {
        work.result = NOT_RECORDING;
        return;
    };
    if global
        .drain_owner
        .compare_exchange(0, 1, Acquire, Relaxed)
        .is_err()
    {
        work.result = BUSY;
        return;
    }
    let signals = sys::block_signals();
    // SAFETY: the drain is held.
    let drain = unsafe { &mut *global.drain.get() };
    drain.drain_all(global);
    // SAFETY: the request is followed by its threads.
    let threads = unsafe {
        let first = work.request.cast::<u8>().add(HEAD).cast::<Thread>();
        core::slice::from_raw_parts(first, (*work.request).threads as usize)
    };
    let job = Job {
        live: drain.live(),
        next_serial: drain.next_serial(),
        program: drain.program(),
        pid: sys::getpid(),
        leaver: Leaver::default(),
        threads,
        careful: global
            .file
            .header()
            .is_some_and(|header| header.flags.load(Relaxed) & flag::FORK_CHILD != 0),
        deadline: clock_ns(libc::CLOCK_MONOTONIC) + LIFE,
        question: None,
    };
    work.job = &raw const job;
    work.result = NO_MEMORY;
    if let Some(memory) = sys::map_private(STACK) {
        // SAFETY: a fresh stack; the helper is waited for.
        unsafe {
            let helper = process::helper(
                core::ptr::from_mut(work).cast(),
                make_copy,
                memory.add(STACK),
            );
            work.result = if helper > 0 { work.result } else { NO_COPY };
            while helper > 0
                && syscall4(libc::SYS_wait4, helper as usize, 0, WALL, 0) == -(libc::EINTR as isize)
            {
            }
            sys::unmap(memory, STACK);
        }
    }
    crate::collect::unlock(global);
    sys::restore_signals(&signals);
}

/// The helper: makes the copy and ends. In the copy it goes on.
unsafe extern "C" fn make_copy(work: *mut u8) {
    // SAFETY: the process waits for this helper.
    let work = unsafe { &mut *work.cast::<Work>() };
    // SAFETY: the copy does not return.
    let pid = unsafe { process::copy() };
    if pid == 0 {
        // SAFETY: the job is on a stack that is copied.
        unsafe { in_copy(&*work.request, &*work.job) };
    }
    work.result = if pid > 0 { pid } else { NO_COPY };
}

unsafe fn in_copy(request: &Request, job: &Job<'_>) -> ! {
    // SAFETY: no memory involved.
    unsafe { syscall3(libc::SYS_close_range, 0, u32::MAX as usize, 0) };
    let room = (ROOM + job.live.len() * A_BLOCK).next_multiple_of(4096);
    let mut used = 0usize;
    if let Some(parts) = sys::map_private(room) {
        let result = run::run(job, &mut |part| {
            let next = used + 8 + part.len().next_multiple_of(8);
            if next > room {
                return false;
            }
            // SAFETY: inside, as was just seen.
            unsafe {
                parts.add(used).cast::<u64>().write(part.len() as u64);
                core::ptr::copy_nonoverlapping(part.as_ptr(), parts.add(used + 8), part.len());
            }
            used = next;
            true
        });
        request.outcome.store(result.outcome as u32, Relaxed);
        request.scanned.store(result.scanned, Relaxed);
        request.parts.store(parts as u64, Relaxed);
        request.used.store(used as u64, Relaxed);
    } else {
        request
            .outcome
            .store(log_format::reach::Outcome::NoMemory as u32, Relaxed);
    }
    request.state.store(1, Release);
    let end = clock_ns(libc::CLOCK_MONOTONIC) + LIFE;
    while clock_ns(libc::CLOCK_MONOTONIC) < end {
        sys::sleep(100_000_000);
    }
    loop {
        // SAFETY: the end of this process.
        unsafe { syscall2(libc::SYS_exit_group, 0, 0) };
    }
}
