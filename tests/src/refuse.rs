//! System calls that the kernel refuses to a program, as in a container or under a security module.

use std::io::{Error, Result};

/// What is refused, always with "operation not permitted".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// To trace other processes and to read their memory.
    Tracing,
    /// To make processes. Threads may be made.
    Processes,
}

/// Puts a filter in force for this process and what it executes; for
/// [`crate::Run::before_exec`] and its like.
pub fn refuse(what: Refuse) -> impl Fn() -> Result<()> + Send + Sync + 'static {
    let program = filter(what);
    move || {
        let program = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel only reads the program, which outlives the calls.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        if done {
            Ok(())
        } else {
            Err(Error::last_os_error())
        }
    }
}

/// Places in `struct seccomp_data`.
const NUMBER: u32 = 0;
const FIRST_ARGUMENT: u32 = 16;

fn filter(what: Refuse) -> Vec<libc::sock_filter> {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let load = |place| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, place, 0, 0);
    let end = |action| step(libc::BPF_RET | libc::BPF_K, action, 0, 0);
    let refused = |error: i32| end(libc::SECCOMP_RET_ERRNO | error as u32);
    let unless = |number: libc::c_long, skip| {
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            number as u32,
            0,
            skip,
        )
    };
    let mut program = vec![load(NUMBER)];
    match what {
        Refuse::Tracing => {
            for call in [libc::SYS_ptrace, libc::SYS_process_vm_readv] {
                program.extend([unless(call, 1), refused(libc::EPERM)]);
            }
        }
        Refuse::Processes => {
            for call in [libc::SYS_fork, libc::SYS_vfork] {
                program.extend([unless(call, 1), refused(libc::EPERM)]);
            }
            // Its flags are in memory, where no filter looks: libc goes on with `clone`.
            program.extend([unless(libc::SYS_clone3, 1), refused(libc::ENOSYS)]);
            let is_thread = step(
                libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K,
                libc::CLONE_THREAD as u32,
                1,
                0,
            );
            program.extend([
                unless(libc::SYS_clone, 3),
                load(FIRST_ARGUMENT),
                is_thread,
                refused(libc::EPERM),
            ]);
        }
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program
}
