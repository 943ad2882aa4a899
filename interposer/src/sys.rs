//! System calls, made directly: libc's wrappers set errno, and some of them are
//! ours to hook.
//!
//! After the start these are all the recorder uses: mmap, munmap, fallocate,
//! open, close, gettid, futex; fstat and read for samples of the memory; at a clean
//! end ftruncate as well.

mod files;
mod memory;
mod process;

pub use files::*;
pub use memory::*;
pub use process::*;

/// A failed system call: the positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

fn check(ret: isize) -> Result<usize, Errno> {
    if (-4095..0).contains(&ret) {
        Err(Errno(-ret as i32))
    } else {
        Ok(ret as usize)
    }
}

/// Repeats a call that a signal interrupted before it did anything.
fn retry(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match check(call()) {
            Err(Errno(libc::EINTR)) => continue,
            other => return other,
        }
    }
}
