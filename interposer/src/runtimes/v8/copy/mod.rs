//! Snapshots without the pause: a copy of the process takes them, while the program runs on after
//! the milliseconds of the fork.
//!
//! ```text
//! thread "leak"                   isolate's thread, at rest              copy
//! asks for an interrupt ────────> V8's threads at work? AGAIN
//! a moment later, again ────────> file, DOFORK, clone ─────────────────> [`child`]: own allocator,
//!                                 DONTFORK; BEGUN; runs on               no descriptors;
//! watches the copy <──────────────────────────────────────────────────── snapshot, named, done
//! answers; or kills it and asks for another one
//! ```
//!
//! In the copy only the isolate's thread exists. What other threads were at is never finished
//! there, what they had locked stays locked. So it is made only while V8's workers are at rest
//! ([`rest`]), and it has an allocator of its own ([`heap`]). V8 in it does itself what no helper
//! takes. A copy that sleeps, which nobody could wake, is killed, and another one made.

mod child;
mod heap;
mod pages;
mod rest;

use super::api::Isolate;
use super::new_file::{self, NewFile};
use super::snapshot::{self, Taken, Trouble};
use crate::arch::clock::clock_ns;
use crate::arch::process;
use crate::arch::syscall::{syscall2, syscall4};
use crate::global::Global;
use crate::memory::read_lines;
use crate::sys::{self, Errno};
use child::Job;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::blob;
use log_format::control::{Control, Estimate, Failure, MAX_NAME, State, flag};
use log_format::varint::Out;
use pages::Kept;

/// What the two threads of the program know of a copy. Zeros: nothing is asked.
pub struct Copying {
    /// [`turn`].
    turn: AtomicU32,
    /// The copy's process id.
    pid: AtomicU32,
    shared: AtomicPtr<Shared>,
    /// The time that the isolate's thread stood for it, ns.
    pause_ns: AtomicU64,
    /// Bytes of the heap in use.
    used: AtomicU64,
    /// V8's workers.
    pub workers: rest::Workers,
}

/// Values of [`Copying::turn`].
mod turn {
    /// The isolate's thread has not come yet.
    pub const WAITING: u32 = 0;
    /// V8's workers were at work.
    pub const AGAIN: u32 = 1;
    /// There is a copy.
    pub const BEGUN: u32 = 2;
    /// The request is answered.
    pub const ANSWERED: u32 = 3;
}

/// Memory that the copy shares with the program.
#[repr(C)]
struct Shared {
    /// 1: the copy is done.
    done: AtomicU32,
    /// [`Failure`]; 0: none.
    failure: AtomicU32,
    errno: AtomicU32,
    /// 1: the file has a name of its own while it is written.
    is_named: AtomicU32,
    /// Bytes of the file.
    written: AtomicU64,
}

const PAGE: usize = 4096;
/// Copies that are made for a request.
const COPIES: u32 = 4;
/// How long a moment is waited for in which V8's workers are at rest, ns.
const PATIENCE: u64 = 20_000_000_000;
/// Longest time between two looks, ns.
const LONGEST_SLEEP: u64 = 20_000_000;
/// A copy that used no CPU for so long and sleeps is stuck, ns.
const STUCK: u64 = 2_000_000_000;
/// How long a copy may work: so many times the pause that it saves, and so long in any case, s.
const TIMES: u64 = 10;
const SECONDS: u64 = 60;

/// Seconds that a copy may work.
fn bound(used: u64, engine: u32) -> u64 {
    let estimate = Estimate::of_heap(used, engine).pause_ns;
    (estimate / 1_000_000_000).saturating_mul(TIMES) + SECONDS
}

/// On the isolate's thread: makes the copy, or tells why not. The request is running.
///
/// # Safety
/// As [`snapshot::on_request`].
pub unsafe fn begin(
    global: &'static Global,
    control: &Control,
    isolate: *mut Isolate,
) -> Option<Failure> {
    let copying = &global.asked.copying;
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let (turn, failure) = if matches!(copying.workers.at_rest(), Ok(None)) {
        (turn::AGAIN, None)
    } else {
        // SAFETY: the caller's.
        match unsafe { make(global, control, isolate) } {
            Ok(Some(pid)) => {
                copying.pid.store(pid, Relaxed);
                (turn::BEGUN, None)
            }
            Ok(None) => (turn::AGAIN, None),
            Err(failure) => (turn::ANSWERED, Some(failure)),
        }
    };
    let pause = clock_ns(libc::CLOCK_MONOTONIC) - begin;
    copying.pause_ns.store(pause, Relaxed);
    if turn == turn::AGAIN {
        control.change(State::Running, State::Asked);
    }
    copying.turn.store(turn, Release);
    sys::futex_wake(&copying.turn);
    failure
}

/// The copy's process id; `None`: V8's workers were at work.
unsafe fn make(
    global: &'static Global,
    control: &Control,
    isolate: *mut Isolate,
) -> Result<Option<u32>, Failure> {
    let refused = |errno: i32| {
        control.errno.store(errno as u32, Relaxed);
        Failure::NoCopy
    };
    if !sys::WIPES.load(Relaxed) || global.filtered.load(Relaxed) != 0 {
        return Err(refused(libc::EPERM));
    }
    let copying = &global.asked.copying;
    let force = control.flags.load(Relaxed) & flag::FORCE != 0;
    // SAFETY: the caller's.
    let used = unsafe { snapshot::look_at_memory(isolate, true, force) };
    let used = used.map_err(|trouble| trouble.answer(control))?;
    let mut name = [0u8; MAX_NAME];
    let opened = NewFile::begin(path_of(control, &mut name));
    let file = opened.map_err(|trouble| trouble.answer(control))?;
    let shared = sys::map_shared(PAGE);
    let made = match shared {
        // SAFETY: shared memory of that size; the caller's.
        Some(shared) => unsafe {
            let shared = &*shared.cast::<Shared>();
            shared.is_named.store(u32::from(file.is_named), Relaxed);
            let job = Job {
                shared,
                isolate,
                file: &file,
                program: sys::getpid(),
                seconds: bound(used, control.engine.load(Relaxed)) + SECONDS,
            };
            copy(&copying.workers, &job)
        },
        None => Err(Errno(libc::ENOMEM)),
    };
    match made {
        // The copy ends it.
        Ok(Some(_)) => file.leave(),
        _ => {
            let _ = file.end::<()>(Err(Trouble::Refused));
            if let Some(shared) = shared {
                // SAFETY: nobody uses it.
                unsafe { sys::unmap(shared, PAGE) };
            }
        }
    }
    let made = made.map_err(|Errno(errno)| refused(errno))?;
    if let (Some(_), Some(shared)) = (made, shared) {
        copying.shared.store(shared.cast(), Relaxed);
        copying.used.store(used, Relaxed);
    }
    Ok(made)
}

fn path_of<'a>(control: &Control, name: &'a mut [u8; MAX_NAME]) -> &'a [u8] {
    let len = control.name(name);
    name.get(..len).unwrap_or(&[])
}

unsafe fn copy(workers: &rest::Workers, job: &Job<'_>) -> Result<Option<u32>, Errno> {
    let kept = Kept::read().ok_or(Errno(libc::ENOMEM))?;
    kept.share(true);
    let rest = workers.at_rest();
    let pid = if let Ok(Some(waits)) = &rest {
        // The copy gets no signal before it has left the program.
        let signals = sys::block_signals();
        // SAFETY: the copy does not return; the caller's.
        let pid = unsafe { process::copy() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { child::live(job, waits) };
        }
        sys::restore_signals(&signals);
        Some(pid)
    } else {
        None
    };
    kept.share(false);
    rest?;
    match pid {
        Some(pid @ 1..) => Ok(Some(pid as u32)),
        Some(errno) => Err(Errno(-errno as i32)),
        None => Ok(None),
    }
}

/// On the thread that waits for requests: sees to one until it is answered, or taken back.
/// `hand_over` asks for an interrupt; false: the isolate is gone.
pub fn attend(
    global: &'static Global,
    control: &Control,
    request: u32,
    hand_over: impl Fn() -> bool,
    answer: impl Fn(Result<(), Failure>),
) {
    let copying = &global.asked.copying;
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let (mut sleep, mut copies) = (500_000, 0);
    let fail = |failure| {
        if control.change(State::Asked, State::Running) {
            answer(Err(failure));
        }
    };
    loop {
        copying.turn.store(turn::WAITING, Release);
        if !hand_over() {
            return fail(Failure::NoIsolate);
        }
        while copying.turn.load(Acquire) == turn::WAITING {
            sys::futex_wait(&copying.turn, turn::WAITING, 100_000_000);
            let is_asked = matches!(control.state(), State::Asked | State::Running);
            if !is_asked || control.request.load(Acquire) != request {
                return;
            }
        }
        match copying.turn.load(Acquire) {
            turn::AGAIN => {
                if clock_ns(libc::CLOCK_MONOTONIC) - begin > PATIENCE {
                    return fail(Failure::NotAtRest);
                }
                sys::sleep(sleep);
                sleep = (sleep * 2).min(LONGEST_SLEEP);
            }
            turn::BEGUN => {
                copies += 1;
                control.copies.store(copies, Relaxed);
                let result = finish(copying, control);
                if matches!(result, Err(Failure::CopyFailed)) && copies < COPIES {
                    control.change(State::Running, State::Asked);
                    continue;
                }
                return answer(result);
            }
            _ => return,
        }
    }
}

/// Waits for the copy, which gives the file its name.
fn finish(copying: &Copying, control: &Control) -> Result<(), Failure> {
    let shared = copying.shared.swap(core::ptr::null_mut(), AcqRel);
    // SAFETY: mapped until the end of this function.
    let Some(copy) = (unsafe { shared.as_ref() }) else {
        return Err(Failure::CopyFailed);
    };
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let used = copying.used.load(Relaxed);
    let seconds = bound(used, control.engine.load(Relaxed));
    let is_done = wait(
        copy,
        copying.pid.load(Relaxed),
        begin + seconds * 1_000_000_000,
    );
    control
        .copy_ns
        .store(clock_ns(libc::CLOCK_MONOTONIC) - begin, Relaxed);
    let result = match Failure::from_raw(copy.failure.load(Relaxed)) {
        _ if !is_done => Err(None),
        Failure::Unknown => Ok(Taken {
            pause_ns: copying.pause_ns.load(Relaxed),
            written: copy.written.load(Relaxed),
            used,
        }),
        Failure::File => Err(Some(Trouble::File(Errno(copy.errno.load(Relaxed) as i32)))),
        Failure::NoFunction => Err(Some(Trouble::NoFunction)),
        _ => Err(Some(Trouble::Refused)),
    };
    let is_named = copy.is_named.load(Relaxed) != 0;
    // SAFETY: the copy has ended.
    unsafe { sys::unmap(shared.cast(), PAGE) };
    let mut name = [0u8; MAX_NAME];
    let path = path_of(control, &mut name);
    let result = match result {
        Err(trouble) => {
            if is_named {
                new_file::remove_partial(path);
            }
            Err(trouble.map_or(Failure::CopyFailed, |trouble| trouble.answer(control)))
        }
        Ok(taken) => Ok(taken),
    };
    let taken = result?;
    control.pause_ns.store(taken.pause_ns, Relaxed);
    control.written.store(taken.written, Relaxed);
    let isolate = control.isolate.load(Relaxed);
    snapshot::say(blob::cause::REQUEST, isolate, path, &taken);
    Ok(())
}

/// Waits for the end of the copy, and makes it end; whether it was done.
fn wait(copy: &Shared, pid: u32, deadline: u64) -> bool {
    let wait = |flags: i32| {
        let (pid, flags) = (pid as usize, (WALL | flags) as usize);
        // SAFETY: no memory involved.
        unsafe { syscall4(libc::SYS_wait4, pid, 0, flags, 0) }
    };
    let mut used = (0, clock_ns(libc::CLOCK_MONOTONIC));
    while copy.done.load(Acquire) == 0 {
        sys::sleep(LONGEST_SLEEP);
        if wait(libc::WNOHANG) != 0 {
            return copy.done.load(Acquire) != 0;
        }
        let now = clock_ns(libc::CLOCK_MONOTONIC);
        let cpu = clock_ns(cpu_clock(pid));
        if cpu != used.0 {
            used = (cpu, now);
        }
        if now > deadline || now - used.1 > STUCK && sleeps(pid) {
            // SAFETY: our own copy.
            unsafe { syscall2(libc::SYS_kill, pid as usize, libc::SIGKILL as usize) };
            wait(0);
            return copy.done.load(Acquire) != 0;
        }
    }
    wait(0);
    true
}

/// `__WALL`: children that tell nobody of their end as well.
const WALL: i32 = 0x4000_0000;

/// The clock of a process's CPU time (`CPUCLOCK_SCHED`).
fn cpu_clock(pid: u32) -> i32 {
    !(pid as i32) << 3 | 2
}

/// Whether a process sleeps, not for a device.
fn sleeps(pid: u32) -> bool {
    let mut path = [0u8; 32];
    let mut out = Out::new(&mut path);
    out.bytes(b"/proc/");
    crate::digits::decimal(&mut out, pid);
    out.bytes(b"/stat\0");
    let mut sleeps = false;
    read_lines(out.written(), &mut [0u8; 1024], &mut |line| {
        let end = line.windows(2).rposition(|two| two == b") ");
        sleeps |= end.and_then(|end| line.get(end + 2)) == Some(&b'S');
    });
    sleeps
}
