//! Stops the threads of a process, and lets one of them call a function.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use libc::{c_void, user_regs_struct};

use super::Problem;
use super::target::{Target, write};

/// Longest time that threads are waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest time that a function may take.
const LONGEST: Duration = Duration::from_secs(20);

/// A thread that stands still.
pub struct Stopped {
    /// Its id.
    pub tid: i32,
    /// Its registers.
    pub registers: user_regs_struct,
    /// Its vector registers, two words each.
    pub vectors: [u64; 32],
    /// A signal that arrived meanwhile, given to it when it goes on.
    signal: i32,
}

/// All threads of a process, stopped until this is dropped.
pub struct Threads(pub Vec<Stopped>);

fn ptrace(what: libc::c_uint, tid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the buffers that `data` stands for are the callers'.
    match unsafe { libc::ptrace(what, tid, address as *mut c_void, data as *mut c_void) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits for a thread's next stop; `None` if it does not come in time.
fn wait(tid: i32, end: Instant) -> Option<i32> {
    loop {
        let mut status = 0;
        // SAFETY: a writable word.
        match unsafe { libc::waitpid(tid, &mut status, libc::__WALL | libc::WNOHANG) } {
            0 if Instant::now() < end => std::thread::sleep(Duration::from_micros(50)),
            found if found == tid => return Some(status),
            _ => return None,
        }
    }
}

impl Threads {
    /// Stops all threads, those too that are made meanwhile.
    pub fn stop(target: &Target) -> Result<Threads, Problem> {
        let mut threads = Threads(Vec::new());
        let mut seen = HashSet::new();
        let end = Instant::now() + PATIENCE;
        loop {
            let fresh: Vec<i32> = target
                .threads()
                .into_iter()
                .filter(|tid| seen.insert(*tid))
                .collect();
            if fresh.is_empty() {
                break;
            }
            let mut seized = Vec::new();
            for tid in fresh {
                match ptrace(libc::PTRACE_SEIZE, tid, 0, 0)
                    .and_then(|()| ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0))
                {
                    Ok(()) => seized.push(tid),
                    // One that has just ended, or a main thread that has.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    Err(_) if has_ended(target.pid, tid) => {}
                    Err(error) => return Err(Problem::NotOurs(error)),
                }
            }
            for tid in seized {
                let Some(status) = wait(tid, end) else {
                    return Err(Problem::NotStopping);
                };
                if libc::WIFSTOPPED(status) {
                    let event = status >> 16 != 0;
                    let signal = if event { 0 } else { libc::WSTOPSIG(status) };
                    threads.0.extend(Stopped::look(tid, signal));
                }
            }
        }
        if threads.0.is_empty() {
            Err(Problem::Gone)
        } else {
            Ok(threads)
        }
    }

    /// Lets one thread call `function(argument)`; what it returns.
    pub fn call(&mut self, target: &Target, function: u64, argument: u64) -> Result<i64, Problem> {
        let outside = |thread: &&mut Stopped| {
            !(target.library.0..target.library.1).contains(&thread.registers.rip)
        };
        let Some(thread) = self.0.iter_mut().find(outside) else {
            return Err(Problem::Busy);
        };
        thread.call(target.pid, function, argument)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in &self.0 {
            // One that is gone needs nothing.
            let _ = ptrace(libc::PTRACE_DETACH, thread.tid, 0, thread.signal as usize);
        }
    }
}

fn has_ended(pid: i32, tid: i32) -> bool {
    let path = format!("/proc/{pid}/task/{tid}/stat");
    let stat = crate::live::text(path.as_ref()).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_none_or(|rest| rest.starts_with(['Z', 'X']))
}

impl Stopped {
    fn look(tid: i32, signal: i32) -> Option<Stopped> {
        // SAFETY: plain numbers.
        let mut registers: user_regs_struct = unsafe { std::mem::zeroed() };
        let mut vectors = [0u64; 64];
        ptrace(libc::PTRACE_GETREGS, tid, 0, (&raw mut registers) as usize).ok()?;
        ptrace(
            libc::PTRACE_GETFPREGS,
            tid,
            0,
            vectors.as_mut_ptr() as usize,
        )
        .ok()?;
        let vectors = std::array::from_fn(|word| vectors[20 + word]);
        Some(Stopped {
            tid,
            registers,
            vectors,
            signal,
        })
    }

    fn call(&mut self, pid: i32, function: u64, argument: u64) -> Result<i64, Problem> {
        let failed = |_| Problem::Gone;
        let mut registers = self.registers;
        // Below what functions may keep under the stack pointer; as a call leaves it. It
        // returns to address 0, which stops it.
        registers.rsp = ((self.registers.rsp - 128 - 64) & !15) - 8;
        write(pid, registers.rsp, &[0; 8]).map_err(failed)?;
        (registers.rip, registers.rdi) = (function, argument);
        // No system call is to be begun again now.
        registers.orig_rax = u64::MAX;
        ptrace(
            libc::PTRACE_SETREGS,
            self.tid,
            0,
            (&raw mut registers) as usize,
        )
        .map_err(failed)?;
        let end = Instant::now() + LONGEST;
        let result = loop {
            ptrace(libc::PTRACE_CONT, self.tid, 0, 0).map_err(failed)?;
            let Some(status) = wait(self.tid, end) else {
                return Err(Problem::NotStopping);
            };
            if !libc::WIFSTOPPED(status) {
                return Err(Problem::Gone);
            }
            let mut now = registers;
            ptrace(libc::PTRACE_GETREGS, self.tid, 0, (&raw mut now) as usize).map_err(failed)?;
            match libc::WSTOPSIG(status) {
                libc::SIGSEGV if now.rip == 0 => break now.rax as i64,
                fatal @ (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL) => {
                    let mut own = self.registers;
                    let _ = ptrace(libc::PTRACE_SETREGS, self.tid, 0, (&raw mut own) as usize);
                    return Err(Problem::Crashed(fatal));
                }
                signal if status >> 16 == 0 => self.signal = signal,
                _ => {}
            }
        };
        let mut own = self.registers;
        ptrace(libc::PTRACE_SETREGS, self.tid, 0, (&raw mut own) as usize).map_err(failed)?;
        Ok(result)
    }
}
