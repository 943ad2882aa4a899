//! Stops the other threads for the moment in which the process is copied, and reads
//! their registers.
//!
//! A thread may not trace its own process's threads, so a helper process that shares
//! the memory does it: `PTRACE_SEIZE` and `PTRACE_INTERRUPT` send no signal, and calls
//! that wait in the kernel go on afterwards (a few, such as `epoll_wait`, return
//! `EINTR`, as they do under a debugger). Yama's ptrace_scope 1 is satisfied by naming
//! the helper as a tracer; under 2 and 3, or if someone traces the process already,
//! nothing is stopped and the threads stay *blind*.
//!
//! Every wait is bounded. If the helper dies, the kernel lets the threads go.

use super::threads::{ALL, SP_AT, Thread};
use crate::arch::clock::clock_ns;
use crate::arch::process;
use crate::arch::syscall::{syscall2, syscall4};
use crate::sys;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// Longest time that threads are waited for, ns.
const PATIENCE: u64 = 500_000_000;
/// Longest time that they stay stopped, ns.
const LONGEST: u64 = 10_000_000_000;
/// Bytes of the helper's stack.
const STACK: usize = 64 << 10;

const PTRACE_GETREGS: usize = 12;
const PTRACE_GETFPREGS: usize = 14;
const PTRACE_DETACH: usize = 17;
const PTRACE_SEIZE: usize = 0x4206;
const PTRACE_INTERRUPT: usize = 0x4207;
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_PTRACER: usize = 0x5961_6d61;
const WALL: usize = 0x4000_0000;

const WAITING: u32 = 0;
const GO: u32 = 1;
const STOPPED: u32 = 2;
const RELEASE: u32 = 3;

/// What this process and the helper share.
#[repr(C)]
struct Job {
    state: AtomicU32,
    threads: *mut Thread,
    count: usize,
}

/// Threads that are stopped until this is dropped.
pub struct Stopped {
    job: *mut Job,
    helper: usize,
    memory: *mut u8,
}

/// Stops what can be stopped and fills in the threads' registers; `None` if there can
/// be no helper.
pub fn stop(threads: &mut [Thread]) -> Option<Stopped> {
    let memory = sys::map_private(STACK)?;
    let job = memory.cast::<Job>();
    let state = AtomicU32::new(WAITING);
    // SAFETY: a fresh mapping; the stack grows down from its other end.
    let helper = unsafe {
        job.write(Job {
            state,
            threads: threads.as_mut_ptr(),
            count: threads.len(),
        });
        process::helper(job.cast(), work, memory.add(STACK))
    };
    if helper <= 0 {
        // SAFETY: nobody uses it.
        unsafe { sys::unmap(memory, STACK) };
        return None;
    }
    let stopped = Stopped {
        job,
        helper: helper as usize,
        memory,
    };
    // SAFETY: no memory involved; unknown without Yama.
    unsafe { syscall2(libc::SYS_prctl, PR_SET_PTRACER, stopped.helper) };
    stopped.say(GO);
    let end = clock_ns(libc::CLOCK_MONOTONIC) + 2 * PATIENCE;
    // SAFETY: the job lives as long as `stopped`.
    let state = unsafe { &(*job).state };
    while state.load(Acquire) != STOPPED
        && clock_ns(libc::CLOCK_MONOTONIC) < end
        && !stopped.is_gone()
    {
        sys::futex_wait(state, GO, 20_000_000);
    }
    Some(stopped)
}

impl Stopped {
    fn say(&self, what: u32) {
        // SAFETY: the job lives as long as this.
        let state = unsafe { &(*self.job).state };
        state.store(what, Release);
        sys::futex_wake(state);
    }

    fn is_gone(&self) -> bool {
        let nobody = [0u64; 20];
        // SAFETY: WNOWAIT | WNOHANG | WEXITED: only looks; P_PID is 1.
        let ret = unsafe {
            crate::arch::syscall::syscall6(
                libc::SYS_waitid,
                1,
                self.helper,
                nobody.as_ptr() as usize,
                (libc::WNOWAIT | libc::WNOHANG | libc::WEXITED) as usize | WALL,
                0,
                0,
            )
        };
        // SAFETY: the kernel may have written there.
        ret != 0 || unsafe { core::ptr::read_volatile(nobody.as_ptr()) } != 0
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.say(RELEASE);
        // The helper ends by itself: its waits are bounded.
        // SAFETY: waits for our own helper; its memory is not used any more then.
        unsafe {
            while syscall4(libc::SYS_wait4, self.helper, 0, WALL, 0) == -(libc::EINTR as isize) {}
            syscall2(libc::SYS_prctl, PR_SET_PTRACER, 0);
            sys::unmap(self.memory, STACK);
        }
    }
}

unsafe fn ptrace(what: usize, tid: u32, data: usize) -> isize {
    // SAFETY: the caller's.
    unsafe { syscall4(libc::SYS_ptrace, what, tid as usize, 0, data) }
}

/// Waits until a thread that was interrupted has stopped; whether it has.
fn has_stopped(tid: u32, end: u64) -> bool {
    loop {
        // SAFETY: our own tracee.
        let ret = unsafe {
            syscall4(
                libc::SYS_wait4,
                tid as usize,
                0,
                WALL | libc::WNOHANG as usize,
                0,
            )
        };
        if ret != 0 {
            return ret == tid as isize;
        }
        if clock_ns(libc::CLOCK_MONOTONIC) > end {
            return false;
        }
        sys::sleep(50_000);
    }
}

/// `struct user_regs_struct` and `user_fpregs_struct`, x86-64, as words.
const USER_WORDS: usize = 27;
const FP_WORDS: usize = 64;
/// Where each register stands, by its DWARF number.
const PLACES: [usize; 16] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0];
const FS_BASE: usize = 21;
/// The first vector register's word.
const VECTOR: usize = 20;

fn registers(thread: &mut Thread) {
    let mut user = [0u64; USER_WORDS];
    let mut vector = [0u64; FP_WORDS];
    // SAFETY: buffers of the structures' sizes.
    unsafe {
        if ptrace(PTRACE_GETREGS, thread.tid, user.as_mut_ptr() as usize) != 0 {
            return;
        }
        ptrace(PTRACE_GETFPREGS, thread.tid, vector.as_mut_ptr() as usize);
    }
    let (general, wide) = thread.registers.split_at_mut(PLACES.len());
    for (to, place) in general.iter_mut().zip(PLACES) {
        *to = user.get(place).copied().unwrap_or(0);
    }
    for (to, from) in wide.iter_mut().zip(vector.iter().skip(VECTOR)) {
        *to = *from;
    }
    thread.sp = thread.registers.get(SP_AT).copied().unwrap_or(0);
    thread.descriptor = user.get(FS_BASE).copied().unwrap_or(0);
    thread.known = ALL;
}

/// The helper.
unsafe extern "C" fn work(job: *mut u8) {
    // SAFETY: `stop` gave it, and it lives until this process has ended.
    let job = unsafe { &*job.cast::<Job>() };
    // SAFETY: nobody else touches the threads until this says so.
    let threads = unsafe { core::slice::from_raw_parts_mut(job.threads, job.count) };
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_prctl, PR_SET_PDEATHSIG, libc::SIGKILL as usize) };
    let now = || clock_ns(libc::CLOCK_MONOTONIC);
    let begin = now();
    while job.state.load(Acquire) == WAITING && now() < begin + PATIENCE {
        sys::futex_wait(&job.state, WAITING, 20_000_000);
    }
    for thread in threads.iter_mut() {
        // SAFETY: threads of the process that asked.
        let seized = unsafe {
            ptrace(PTRACE_SEIZE, thread.tid, 0) == 0 && ptrace(PTRACE_INTERRUPT, thread.tid, 0) == 0
        };
        thread.known = u32::from(seized);
    }
    let end = now() + PATIENCE;
    for thread in threads.iter_mut() {
        if core::mem::take(&mut thread.known) != 0 && has_stopped(thread.tid, end) {
            registers(thread);
        }
    }
    if job
        .state
        .compare_exchange(GO, STOPPED, AcqRel, Acquire)
        .is_ok()
    {
        sys::futex_wake(&job.state);
        let end = now() + LONGEST;
        while job.state.load(Acquire) == STOPPED && now() < end {
            sys::futex_wait(&job.state, STOPPED, 100_000_000);
        }
    }
    for thread in threads.iter() {
        // SAFETY: ours; those that did not stop are let go when this process ends.
        unsafe { ptrace(PTRACE_DETACH, thread.tid, 0) };
    }
}
