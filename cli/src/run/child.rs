//! The traced program as a child: started with the library preloaded, signals passed on, its
//! end taken over.
//!
//! The terminal sends SIGINT, SIGQUIT and its SIGHUP to the whole foreground group, so the
//! child has them already; this process only must outlive it. What another process sends goes
//! on to the child: a user or a supervisor knows only this process. The kernel says which of
//! the two it was (`si_code`, `sigaction(2)`).
//! Handlers, not `SIG_IGN`: handlers are reset in the child by exec, ignoring is inherited.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::{Options, library};

/// Process id of the child; 0 before it is started.
static CHILD: AtomicI32 = AtomicI32::new(0);
/// A signal that came before the child was there.
static EARLY: AtomicI32 = AtomicI32::new(0);

/// What goes on to the child.
const PASSED_ON: [i32; 6] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Whether this process was started with SIGPIPE ignored, as services are. Rust's
/// runtime changes that before `main`, and its `Command` sets it to the default.
static PIPE_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static ASK_PIPE: extern "C" fn() = ask_pipe;

extern "C" fn ask_pipe() {
    // SAFETY: asks for the disposition and changes nothing.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) == 0 {
            PIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
        }
    }
}

/// Starts `program` (under the name `name`) and waits; meanwhile `beside` runs with its process id.
pub fn run(
    program: &Path,
    name: &OsStr,
    args: &[OsString],
    library: &Path,
    log: &OsStr,
    options: &Options,
    beside: impl FnOnce(u32) + Send,
) -> io::Result<(u32, ExitStatus)> {
    catch_signals();
    let mut command = Command::new(program);
    if PIPE_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: sigaction is safe between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                Ok(())
            });
        }
    }
    if options.js_exact {
        command.env(crate::environment::JS, "exact");
    }
    if options.check_frees {
        command.env(crate::environment::CHECK_FREES, "1");
    }
    if let Some(when) = &options.snapshot {
        command.env(crate::environment::SNAPSHOT, when);
    }
    let mut child = command
        .arg0(name)
        .args(args)
        .env(
            "LD_PRELOAD",
            preload(library, std::env::var_os("LD_PRELOAD")),
        )
        .env(crate::environment::LOG, log)
        .spawn()?;
    let pid = child.id();
    CHILD.store(pid.cast_signed(), Ordering::SeqCst);
    let early = EARLY.swap(0, Ordering::SeqCst);
    if early != 0 {
        // SAFETY: the child has not been waited for, so the id is its own.
        unsafe { libc::kill(pid.cast_signed(), early) };
    }
    let status = std::thread::scope(|scope| {
        let beside = scope.spawn(move || beside(pid));
        let status = child.wait();
        CHILD.store(0, Ordering::SeqCst);
        let _ = beside.join();
        status
    });
    // The summary of a large log may take long: from now on ^C is for this process.
    restore_signals();
    Ok((pid, status?))
}

/// Ends this process as the child ended: same status, or same signal.
pub fn end_like(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        // SAFETY: plain system calls on this process; the limit is a live local. No core file
        // of this process: the child may have left its own.
        unsafe {
            let no_core = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            libc::setrlimit(libc::RLIMIT_CORE, &no_core);
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        return 128u8.saturating_add(u8::try_from(signal).unwrap_or(0));
    }
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

/// The library in front of what is preloaded anyway.
fn preload(library: &Path, before: Option<OsString>) -> OsString {
    let mut list = OsString::from(library);
    let before = before.unwrap_or_default();
    let entries = before
        .as_encoded_bytes()
        .split(|&byte| byte == b':' || byte == b' ');
    for entry in entries.filter(|entry| !entry.is_empty()) {
        // SAFETY: cut from an `OsString` at ASCII bytes.
        let entry = unsafe { OsStr::from_encoded_bytes_unchecked(entry) };
        if Path::new(entry).file_name() != Some(OsStr::new(library::NAME)) {
            list.push(":");
            list.push(entry);
        }
    }
    list
}

fn catch_signals() {
    for signal in PASSED_ON {
        catch(signal, pass_on as *const () as usize);
    }
}

fn restore_signals() {
    for signal in PASSED_ON {
        // SAFETY: all pointers are to live locals; zeroes are a valid sigaction.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut now);
            if now.sa_sigaction == pass_on as *const () as usize {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Installs a handler, unless the signal is ignored (`nohup`): that is for the child as well.
fn catch(signal: i32, handler: usize) {
    // SAFETY: all pointers are to live locals; zeroes are a valid sigaction; the handler does
    // only what `signal-safety(7)` allows.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
        {
            return;
        }
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = handler;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(signal, &new, std::ptr::null_mut());
    }
}

extern "C" fn pass_on(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo with SA_SIGINFO.
    let from_kernel = unsafe { (*info).si_code } > 0;
    if from_kernel {
        return;
    }
    let child = CHILD.load(Ordering::SeqCst);
    if child == 0 {
        EARLY.store(signal, Ordering::SeqCst);
        return;
    }
    // SAFETY: errno is this thread's own and is put back; the id is the child's until it was
    // waited for, and then 0.
    unsafe {
        let errno = *libc::__errno_location();
        libc::kill(child, signal);
        *libc::__errno_location() = errno;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_preloaded_stays_preloaded_behind_the_library() {
        let library = Path::new("/l/libleak.so");
        let list = |before: Option<&str>| preload(library, before.map(OsString::from));
        assert_eq!(list(None), "/l/libleak.so");
        assert_eq!(list(Some("")), "/l/libleak.so");
        assert_eq!(
            list(Some("/a.so b.so::c.so")),
            "/l/libleak.so:/a.so:b.so:c.so"
        );
        assert_eq!(list(Some("/old/libleak.so:x.so")), "/l/libleak.so:x.so");
    }
}
