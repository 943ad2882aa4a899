//! Files and directories, by descriptor and by path.

use super::{Errno, check, retry};
use crate::arch::syscall::{syscall2, syscall3, syscall4, syscall6};

/// A file descriptor, closed by [`close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fd(pub i32);

/// Opens a file; `path` ends with a NUL byte.
pub fn open(path: &[u8], flags: i32, mode: u32) -> Result<Fd, Errno> {
    if path.last() != Some(&0) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the path is NUL-terminated.
    retry(|| unsafe {
        syscall4(
            libc::SYS_openat,
            libc::AT_FDCWD as usize,
            path.as_ptr() as usize,
            (flags | libc::O_CLOEXEC) as usize,
            mode as usize,
        )
    })
    .map(|fd| Fd(fd as i32))
}

/// Closes a descriptor.
pub fn close(fd: Fd) {
    // SAFETY: the descriptor was opened by us a moment ago.
    unsafe { syscall2(libc::SYS_close, fd.0 as usize, 0) };
}

/// Reserves `len` bytes at `offset`: later writes there cannot fail for want of room.
pub fn fallocate(fd: Fd, offset: u64, len: u64) -> Result<(), Errno> {
    // SAFETY: no memory involved.
    retry(|| unsafe {
        syscall4(
            libc::SYS_fallocate,
            fd.0 as usize,
            0,
            offset as usize,
            len as usize,
        )
    })
    .map(|_| ())
}

/// Reads what comes next, at most the buffer; 0 at the end.
pub fn read(fd: Fd, buf: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable.
    retry(|| unsafe {
        syscall3(
            libc::SYS_read,
            fd.0 as usize,
            buf.as_mut_ptr() as usize,
            buf.len(),
        )
    })
}

/// Writes all of `bytes` where the last write ended.
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        // SAFETY: the slice is readable.
        let done = retry(|| unsafe {
            syscall3(
                libc::SYS_write,
                fd.0 as usize,
                bytes.as_ptr() as usize,
                bytes.len(),
            )
        })?;
        if done == 0 {
            return Err(Errno(libc::ENOSPC));
        }
        bytes = bytes.get(done..).unwrap_or(&[]);
    }
    Ok(())
}

/// Gives a file another name, never over an existing file where the file system can tell
/// (paths NUL-terminated).
pub fn rename_new(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    if from.last() != Some(&0) || to.last() != Some(&0) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: NUL-terminated paths.
    let rename = |flags: u32| unsafe {
        check(syscall6(
            libc::SYS_renameat2,
            libc::AT_FDCWD as usize,
            from.as_ptr() as usize,
            libc::AT_FDCWD as usize,
            to.as_ptr() as usize,
            flags as usize,
            0,
        ))
    };
    match rename(libc::RENAME_NOREPLACE) {
        Err(Errno(libc::EINVAL)) if file_type(to).is_none() => rename(0),
        other => other,
    }
    .map(|_| ())
}

/// Gives the file that a link in /proc leads to a name that is not taken (paths NUL-terminated).
pub fn link(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    if from.last() != Some(&0) || to.last() != Some(&0) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: NUL-terminated paths.
    check(unsafe {
        syscall6(
            libc::SYS_linkat,
            libc::AT_FDCWD as usize,
            from.as_ptr() as usize,
            libc::AT_FDCWD as usize,
            to.as_ptr() as usize,
            libc::AT_SYMLINK_FOLLOW as usize,
            0,
        )
    })
    .map(|_| ())
}

/// Locks a file for this description of it and its copies; false if another one has it.
pub fn lock_file(fd: Fd) -> bool {
    let how = libc::LOCK_EX | libc::LOCK_NB;
    // SAFETY: no memory involved.
    check(unsafe { syscall2(libc::SYS_flock, fd.0 as usize, how as usize) }).is_ok()
}

/// The next byte read or written is the first; whether that could be done.
pub fn rewind(fd: Fd) -> bool {
    // SAFETY: no memory involved.
    check(unsafe { syscall3(libc::SYS_lseek, fd.0 as usize, 0, libc::SEEK_SET as usize) }).is_ok()
}

/// Removes a file (`path` NUL-terminated).
pub fn unlink(path: &[u8]) {
    if path.last() == Some(&0) {
        // SAFETY: a NUL-terminated path.
        unsafe { syscall2(libc::SYS_unlink, path.as_ptr() as usize, 0) };
    }
}

/// Writes `bytes` at `offset`.
pub fn pwrite(fd: Fd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    // SAFETY: the slice is readable.
    retry(|| unsafe {
        syscall4(
            libc::SYS_pwrite64,
            fd.0 as usize,
            bytes.as_ptr() as usize,
            bytes.len(),
            offset as usize,
        )
    })
}

/// Cuts a file.
pub fn ftruncate(fd: Fd, len: u64) -> Result<(), Errno> {
    // SAFETY: no memory involved.
    retry(|| unsafe { syscall2(libc::SYS_ftruncate, fd.0 as usize, len as usize) }).map(|_| ())
}

/// Device and inode of an open file; `None` if the number is not open.
pub fn identity(fd: Fd) -> Option<[u64; 2]> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a writable structure of the kernel's layout.
    let ret = unsafe { syscall2(libc::SYS_fstat, fd.0 as usize, stat.as_mut_ptr() as usize) };
    // SAFETY: filled by the kernel, and zeros are valid.
    let stat = unsafe { stat.assume_init() };
    (ret == 0).then_some([stat.st_dev, stat.st_ino])
}

/// Type of the file that a path names (`S_IFMT` bits; `path` NUL-terminated); `None` if it
/// names none.
pub fn file_type(path: &[u8]) -> Option<u32> {
    if path.last() != Some(&0) {
        return None;
    }
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a NUL-terminated path and a writable structure of the kernel's layout.
    let ret = unsafe {
        syscall2(
            libc::SYS_stat,
            path.as_ptr() as usize,
            stat.as_mut_ptr() as usize,
        )
    };
    // SAFETY: filled by the kernel, and zeros are valid.
    let stat = unsafe { stat.assume_init() };
    (ret == 0).then_some(stat.st_mode & libc::S_IFMT)
}

/// Makes a directory for its owner alone (`path` NUL-terminated).
pub fn make_directory(path: &[u8]) -> bool {
    // SAFETY: the path is NUL-terminated.
    path.last() == Some(&0)
        && unsafe { syscall2(libc::SYS_mkdir, path.as_ptr() as usize, 0o700) } == 0
}

/// A second descriptor of the file, closed on exec, not below `least`.
pub fn duplicate(fd: Fd, least: u64) -> Option<Fd> {
    // SAFETY: no memory involved.
    let ret = unsafe {
        syscall3(
            libc::SYS_fcntl,
            fd.0 as usize,
            libc::F_DUPFD_CLOEXEC as usize,
            least as usize,
        )
    };
    check(ret).ok().map(|fd| Fd(fd as i32))
}

/// Target of a symbolic link (`path` NUL-terminated); the number of bytes.
pub fn readlink(path: &[u8], buf: &mut [u8]) -> Result<usize, Errno> {
    if path.last() != Some(&0) {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: the path is NUL-terminated, the buffer writable.
    check(unsafe {
        syscall3(
            libc::SYS_readlink,
            path.as_ptr() as usize,
            buf.as_mut_ptr() as usize,
            buf.len(),
        )
    })
}

/// Working directory; bytes with the NUL.
pub fn getcwd(buf: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is writable.
    check(unsafe { syscall2(libc::SYS_getcwd, buf.as_mut_ptr() as usize, buf.len()) })
}

/// Whether there surely is no file of that name.
///
/// # Safety
/// `path` is a C string, or a bad address, which the kernel tells.
pub unsafe fn is_missing(path: *const libc::c_char) -> bool {
    // SAFETY: by the caller's promise.
    let found = check(unsafe {
        syscall3(
            libc::SYS_faccessat,
            libc::AT_FDCWD as usize,
            path as usize,
            libc::F_OK as usize,
        )
    });
    matches!(found, Err(Errno(libc::ENOENT | libc::ENOTDIR)))
}

/// Reads a file from its start (`path` NUL-terminated) until it ends or `to` is full;
/// the number of bytes, `None` if it cannot be read.
pub fn read_file(path: &[u8], to: &mut [u8]) -> Option<usize> {
    let fd = open(path, libc::O_RDONLY, 0).ok()?;
    let mut len = 0;
    while let Some(rest) = to.get_mut(len..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the rest of the buffer is writable.
        let got = retry(|| unsafe {
            syscall3(
                libc::SYS_read,
                fd.0 as usize,
                rest.as_mut_ptr() as usize,
                rest.len(),
            )
        });
        match got {
            Ok(0) => break,
            Ok(got) => len += got,
            Err(_) => {
                close(fd);
                return None;
            }
        }
    }
    close(fd);
    Some(len)
}

/// Calls `each` with the names in a directory (`path` NUL-terminated).
pub fn each_entry(path: &[u8], each: &mut dyn FnMut(&[u8])) -> Option<()> {
    let fd = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()?;
    let mut buf = [0u8; 4096];
    loop {
        // SAFETY: the buffer is writable.
        let got = check(unsafe {
            syscall3(
                libc::SYS_getdents64,
                fd.0 as usize,
                buf.as_mut_ptr() as usize,
                buf.len(),
            )
        });
        let Some(mut rest) = got
            .ok()
            .filter(|&got| got > 0)
            .and_then(|got| buf.get(..got))
        else {
            break;
        };
        // ino:8 off:8 length:2 type:1 name NUL
        while let (Some(&[low, high]), Some(name)) = (rest.get(16..18), rest.get(19..)) {
            each(name.split(|&byte| byte == 0).next().unwrap_or(&[]));
            rest = rest
                .get(usize::from(u16::from_le_bytes([low, high]))..)
                .unwrap_or(&[]);
        }
    }
    close(fd);
    Some(())
}

/// Reads words at `offset`; how many, `None` on failure.
pub fn pread(fd: Fd, to: &mut [u64], offset: u64) -> Option<usize> {
    // SAFETY: the slice is writable.
    let got = retry(|| unsafe {
        syscall4(
            libc::SYS_pread64,
            fd.0 as usize,
            to.as_mut_ptr() as usize,
            core::mem::size_of_val(to),
            offset as usize,
        )
    });
    Some(got.ok()? / 8)
}
