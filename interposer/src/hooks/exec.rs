//! `exec`: the log is whole before the program is replaced, and goes on if it is not.

use crate::collect::{finish, resume};
use crate::originals;
use crate::{call, sys, thunk_list};
use core::ffi::c_char;
use log_format::layout::State;

/// A list of strings that ends with null.
type Strings = *const *const c_char;

/// Calls an original `exec`, which returns only if it failed. `path` is the file if
/// it is known: where there is none, the log need not be ended, and searches along
/// PATH try many.
unsafe fn around(path: *const c_char, exec: impl FnOnce() -> i32) -> i32 {
    // SAFETY: null or the program's string.
    let missing = !path.is_null() && unsafe { sys::is_missing(path) };
    if !originals::resolved() || missing {
        return exec();
    }
    let ended = finish::finish(State::Exec, 0);
    let result = exec();
    if ended {
        resume::exec_failed();
    }
    result
}

/// Hook; see the table.
///
/// # Safety
/// As `execve`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execve(path: *const c_char, argv: Strings, envp: Strings) -> i32 {
    // SAFETY: the caller's, here and below.
    unsafe {
        around(path, || {
            call!(
                EXECVE as fn(*const c_char, Strings, Strings) -> i32,
                path,
                argv,
                envp
            )
        })
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `execv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execv(path: *const c_char, argv: Strings) -> i32 {
    // SAFETY: the caller's.
    unsafe {
        around(path, || {
            call!(EXECV as fn(*const c_char, Strings) -> i32, path, argv)
        })
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `execvp`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvp(file: *const c_char, argv: Strings) -> i32 {
    // SAFETY: the caller's.
    unsafe {
        around(core::ptr::null(), || {
            call!(EXECVP as fn(*const c_char, Strings) -> i32, file, argv)
        })
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `execvpe`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execvpe(file: *const c_char, argv: Strings, envp: Strings) -> i32 {
    // SAFETY: the caller's.
    unsafe {
        around(core::ptr::null(), || {
            call!(
                EXECVPE as fn(*const c_char, Strings, Strings) -> i32,
                file,
                argv,
                envp
            )
        })
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `fexecve`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fexecve(fd: i32, argv: Strings, envp: Strings) -> i32 {
    // SAFETY: the caller's.
    unsafe {
        around(core::ptr::null(), || {
            call!(FEXECVE as fn(i32, Strings, Strings) -> i32, fd, argv, envp)
        })
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `execveat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn execveat(
    dir: i32,
    path: *const c_char,
    argv: Strings,
    envp: Strings,
    flags: i32,
) -> i32 {
    // SAFETY: the caller's.
    unsafe {
        around(core::ptr::null(), || {
            call!(
                EXECVEAT as fn(i32, *const c_char, Strings, Strings, i32) -> i32,
                dir,
                path,
                argv,
                envp,
                flags
            )
        })
    }
}

// The arguments of these are a list on the stack already.

unsafe extern "C" fn execl_body(path: *const c_char, list: Strings) -> i32 {
    // SAFETY: the thunk's list ends with null.
    unsafe { execv(path, list) }
}

unsafe extern "C" fn execlp_body(file: *const c_char, list: Strings) -> i32 {
    // SAFETY: as above.
    unsafe { execvp(file, list) }
}

unsafe extern "C" fn execle_body(path: *const c_char, list: Strings) -> i32 {
    // SAFETY: the environment follows the null.
    unsafe {
        let mut end = list;
        while !(*end).is_null() {
            end = end.add(1);
        }
        execve(path, list, *end.add(1).cast::<Strings>())
    }
}

thunk_list!(execl -> execl_body);
thunk_list!(execlp -> execlp_body);
thunk_list!(execle -> execle_body);
