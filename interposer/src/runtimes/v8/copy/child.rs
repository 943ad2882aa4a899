//! The life of the copy: it takes the snapshot, says how that went, and ends.
//!
//! It consists of the isolate's thread. Nothing of it may reach the program: not through
//! descriptors, which all lead nowhere here, nor through its log, its signals, or what it does at
//! exit; and no core is dumped if it fails.

use super::super::api::Isolate;
use super::super::new_file::NewFile;
use super::super::snapshot::{self, Trouble};
use super::super::stream::Stream;
use super::rest::Waits;
use super::{Shared, heap};
use crate::arch::syscall::{syscall2, syscall3, syscall4};
use crate::digits::number;
use crate::global::{self, Phase};
use crate::sys::{self, Errno, Fd};
use core::sync::atomic::Ordering::*;
use log_format::control::Failure;

/// In the header of what a copy wrote: the ids of new objects are its own.
const MARK: &[u8] = b"\"leak_ids\":\"own\",";

/// What it is to do.
pub struct Job<'a> {
    pub shared: &'a Shared,
    pub isolate: *mut Isolate,
    pub file: &'a NewFile,
    /// The program's process id.
    pub program: u32,
    /// It ends by itself after so many seconds.
    pub seconds: u64,
}

/// Does it.
///
/// # Safety
/// In the copy, on the isolate's thread, at rest, with a scope for handles open.
pub unsafe fn live(job: &Job<'_>, waits: &Waits) -> ! {
    // Wiped, so that an event would begin a log.
    if let Some(global) = global::get() {
        global.set_phase(Phase::Dormant);
    }
    // SAFETY: nobody else runs here.
    let result = unsafe {
        leave_program(job);
        waits.forget();
        if heap::take_over() {
            take(job)
        } else {
            Err(Trouble::File(Errno(libc::ENOMEM)))
        }
    };
    let shared = job.shared;
    match result {
        Ok(written) => shared.written.store(written, Relaxed),
        Err(Trouble::File(Errno(errno))) => {
            shared.errno.store(errno as u32, Relaxed);
            shared.failure.store(Failure::File as u32, Relaxed);
        }
        Err(Trouble::NoFunction) => shared.failure.store(Failure::NoFunction as u32, Relaxed),
        Err(_) => shared.failure.store(Failure::Refused as u32, Relaxed),
    }
    shared.done.store(1, Release);
    sys::futex_wake_shared(&shared.done);
    sys::exit_group(0)
}

/// Takes it and gives the file its name; bytes written.
unsafe fn take(job: &Job<'_>) -> Result<u64, Trouble> {
    let api = snapshot::API.get().ok_or(Trouble::NoFunction)?;
    snapshot::ignore_limit(job.isolate);
    // SAFETY: the caller's.
    let written = unsafe { snapshot::write_to(api, job.isolate, Stream::new(job.file.fd, MARK)) }?;
    job.file.appear().map_err(Trouble::File)?;
    Ok(written)
}

/// `struct sigaction` of the kernel: handler, flags, restorer, mask. Zeros: the default.
static DEFAULT: [u64; 4] = [0; 4];

unsafe fn leave_program(job: &Job<'_>) {
    sys::block_signals();
    sys::set_thread_name(b"leak copy\0");
    let more = [libc::SIGABRT, libc::SIGALRM];
    let set = sys::signal_set(&sys::OF_INSTRUCTIONS) | sys::signal_set(&more);
    // The interval, and the time.
    let time = [0u64, 0, job.seconds, 0];
    // SAFETY: no memory but what is given.
    unsafe {
        for signal in sys::OF_INSTRUCTIONS.into_iter().chain(more) {
            let size = size_of::<u64>();
            let default = (&raw const DEFAULT) as usize;
            syscall4(libc::SYS_rt_sigaction, signal as usize, default, 0, size);
        }
        let (how, set) = (libc::SIG_UNBLOCK as usize, (&raw const set) as usize);
        syscall4(libc::SYS_rt_sigprocmask, how, set, 0, size_of::<u64>());
        let timer = libc::ITIMER_REAL as usize;
        syscall3(libc::SYS_setitimer, timer, time.as_ptr() as usize, 0);
        // It ends with the isolate's thread, and so with the program.
        let kill = libc::SIGKILL as usize;
        syscall2(libc::SYS_prctl, libc::PR_SET_PDEATHSIG as usize, kill);
        if sys::getppid() != job.program {
            sys::exit_group(0);
        }
        // Without memory, rather the copy goes than the program.
        if let Ok(fd) = sys::open(b"/proc/self/oom_score_adj\0", libc::O_WRONLY, 0) {
            let _ = sys::write_all(fd, b"1000");
            sys::close(fd);
        }
        // No core.
        syscall2(libc::SYS_prctl, libc::PR_SET_DUMPABLE as usize, 0);
    }
    leave_descriptors(job.file.fd);
}

/// All descriptors but the file's lead to nothing; what libuv writes to wake its loops by must
/// still be written.
fn leave_descriptors(file: Fd) {
    let mut most = 0;
    let known = sys::each_entry(b"/proc/self/fd\0", &mut |name| {
        most = most.max(number(name, 10).unwrap_or(0));
    });
    if known.is_none() {
        most = sys::rlimit(libc::RLIMIT_NOFILE).min(1 << 16);
    }
    let Ok(nothing) = sys::open(b"/dev/null\0", libc::O_RDWR, 0) else {
        // SAFETY: nobody relies on them here; the file's own is kept.
        unsafe {
            let file = file.0 as usize;
            syscall3(libc::SYS_close_range, 0, file.saturating_sub(1), 0);
            syscall3(libc::SYS_close_range, file + 1, u32::MAX as usize, 0);
        }
        return;
    };
    for fd in 0..=most as usize {
        if fd == file.0 as usize || fd == nothing.0 as usize {
            continue;
        }
        // SAFETY: as above.
        unsafe {
            if syscall2(libc::SYS_fcntl, fd, libc::F_GETFD as usize) >= 0 {
                let flags = libc::O_CLOEXEC as usize;
                syscall3(libc::SYS_dup3, nothing.0 as usize, fd, flags);
            }
        }
    }
}
