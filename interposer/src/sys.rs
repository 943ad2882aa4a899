//! System calls, made directly: libc's wrappers set errno, and some of them are
//! ours to hook.
//!
//! After the start these are all the recorder uses: mmap, munmap, fallocate,
//! open, close, gettid, futex; fstat and read for samples of the memory; at a clean
//! end ftruncate as well.

use crate::arch::syscall::{syscall2, syscall3, syscall4, syscall6};
use crate::reach::own;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

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

/// Private zeroed memory, touched lazily; `None` if refused.
pub fn map_private(len: usize) -> Option<*mut u8> {
    map_anonymous(len, libc::MAP_NORESERVE)
}

/// As [`map_private`], with its pages there from the start: for what is surely used,
/// a fault for each page costs more.
pub fn map_touched(len: usize) -> Option<*mut u8> {
    map_anonymous(len, libc::MAP_POPULATE)
}

fn map_anonymous(len: usize, flags: i32) -> Option<*mut u8> {
    // SAFETY: a fresh mapping disturbs nothing.
    let ret = unsafe {
        syscall6(
            libc::SYS_mmap,
            0,
            len,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags) as usize,
            usize::MAX,
            0,
        )
    };
    let address = check(ret).ok()?;
    own::note(address as u64, len);
    Some(address as *mut u8)
}

/// Makes the pages of a mapping be there (Linux 5.14; else nothing happens).
///
/// # Safety
/// The range is mapped and ours.
pub unsafe fn touch(addr: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe {
        syscall3(
            libc::SYS_madvise,
            addr as usize,
            len,
            libc::MADV_POPULATE_WRITE as usize,
        )
    };
}

/// Address space without access, to map into later.
pub fn reserve(len: usize) -> Option<*mut u8> {
    // SAFETY: a fresh mapping disturbs nothing.
    let ret = unsafe {
        syscall6(
            libc::SYS_mmap,
            0,
            len,
            libc::PROT_NONE as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize,
            usize::MAX,
            0,
        )
    };
    let address = check(ret).ok()?;
    own::note(address as u64, len);
    Some(address as *mut u8)
}

/// Shared pages of a file; `at` non-null: placed exactly there, over what was
/// reserved.
///
/// # Safety
/// `at` is null or page-aligned inside a reservation of ours of that length.
pub unsafe fn map_file(fd: Fd, offset: u64, len: usize, at: *mut u8) -> Result<*mut u8, Errno> {
    let fixed = if at.is_null() { 0 } else { libc::MAP_FIXED };
    // SAFETY: by the caller's promise the place is ours.
    let ret = unsafe {
        syscall6(
            libc::SYS_mmap,
            at as usize,
            len,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_SHARED | fixed) as usize,
            fd.0 as usize,
            offset as usize,
        )
    };
    let address = check(ret)?;
    if fixed == 0 {
        own::note(address as u64, len);
    }
    Ok(address as *mut u8)
}

/// The content of a file, mapped to be read, and its length; `path` has no NUL at its end.
pub fn map_readable(path: &[u8]) -> Option<(*const u8, usize)> {
    let mut name = [0u8; 4096];
    name.get_mut(..path.len())
        .filter(|to| to.len() < 4096)?
        .copy_from_slice(path);
    let fd = open(&name, libc::O_RDONLY, 0).ok()?;
    // SAFETY: lseek and mmap touch no memory of ours.
    let mapped = unsafe {
        let len = syscall3(libc::SYS_lseek, fd.0 as usize, 0, libc::SEEK_END as usize);
        let len = check(len).ok().filter(|&len| len > 0);
        len.and_then(|len| {
            let ret = syscall6(
                libc::SYS_mmap,
                0,
                len,
                libc::PROT_READ as usize,
                libc::MAP_PRIVATE as usize,
                fd.0 as usize,
                0,
            );
            Some((check(ret).ok()? as *const u8, len))
        })
    };
    close(fd);
    mapped
}

/// Replaces mapped pages by private zeroed ones.
///
/// # Safety
/// The range is ours and nobody relies on its content.
pub unsafe fn replace_by_private(at: *mut u8, len: usize) -> Result<(), Errno> {
    // SAFETY: by the caller's promise.
    let ret = unsafe {
        syscall6(
            libc::SYS_mmap,
            at as usize,
            len,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED)
                as usize,
            usize::MAX,
            0,
        )
    };
    check(ret).map(|_| ())
}

/// Removes a mapping of ours.
///
/// # Safety
/// Nothing uses the range any more.
pub unsafe fn unmap(addr: *mut u8, len: usize) {
    own::forget(addr as u64);
    // SAFETY: by the caller's promise.
    unsafe { syscall2(libc::SYS_munmap, addr as usize, len) };
}

/// Lets the kernel zero these pages in a fork child (Linux 4.14).
///
/// # Safety
/// The range is a private anonymous mapping of ours.
pub unsafe fn wipe_on_fork(addr: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    if unsafe {
        syscall3(
            libc::SYS_madvise,
            addr as usize,
            len,
            libc::MADV_WIPEONFORK as usize,
        )
    } != 0
    {
        WIPES.store(false, Relaxed);
    }
}

/// Takes [`wipe_on_fork`] back, or does it again.
///
/// # Safety
/// As `wipe_on_fork`.
pub unsafe fn keep_on_fork(addr: *mut u8, len: usize, keep: bool) {
    let advice = if keep {
        libc::MADV_KEEPONFORK
    } else {
        libc::MADV_WIPEONFORK
    };
    // SAFETY: by the caller's promise.
    unsafe { syscall3(libc::SYS_madvise, addr as usize, len, advice as usize) };
}

/// Whether the kernel does what [`wipe_on_fork`] asks.
pub static WIPES: AtomicBool = AtomicBool::new(true);

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

/// Signals that are blocked in a thread, as the kernel's set.
pub struct Blocked(u64);

/// Blocks every signal of this thread that does not stem from its own instructions.
pub fn block_signals() -> Blocked {
    let own = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGSYS,
    ];
    let set = !own.iter().fold(0u64, |set, signal| set | 1 << (signal - 1));
    let mut before = Blocked(0);
    set_signals(libc::SIG_BLOCK, set, &mut before.0);
    before
}

/// Takes [`block_signals`] back.
pub fn restore_signals(before: &Blocked) {
    set_signals(libc::SIG_SETMASK, before.0, &mut 0);
}

fn set_signals(how: i32, set: u64, before: &mut u64) {
    // SAFETY: both sets have the size that the kernel is told.
    unsafe {
        let (set, before) = (
            &raw const set as usize,
            core::ptr::from_mut(before) as usize,
        );
        syscall4(
            libc::SYS_rt_sigprocmask,
            how as usize,
            set,
            before,
            size_of::<u64>(),
        );
    }
}

/// Kernel's id of this thread.
pub fn gettid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_gettid, 0, 0) as u32 }
}

/// Name of this thread: 15 bytes and a NUL at most.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes 16 bytes.
    unsafe {
        syscall2(
            libc::SYS_prctl,
            libc::PR_GET_NAME as usize,
            name.as_mut_ptr() as usize,
        )
    };
    name
}

/// Process id.
pub fn getpid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_getpid, 0, 0) as u32 }
}

/// Parent's process id.
pub fn getppid() -> u32 {
    // SAFETY: no memory involved.
    unsafe { syscall2(libc::SYS_getppid, 0, 0) as u32 }
}

/// Random bytes for the log's identity; zeros if the kernel has none yet.
pub fn random() -> [u64; 2] {
    let mut out = [0u64; 2];
    // SAFETY: 16 writable bytes. GRND_NONBLOCK: never wait for entropy.
    unsafe {
        syscall3(
            libc::SYS_getrandom,
            ptr::addr_of_mut!(out) as usize,
            16,
            libc::GRND_NONBLOCK as usize,
        )
    };
    out
}

/// Sleeps until `*word != seen`, a wake, or the time is over.
pub fn futex_wait(word: &core::sync::atomic::AtomicU32, seen: u32, timeout_ns: u64) {
    let time = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    // SAFETY: the word outlives the call, the time is two longs.
    unsafe {
        syscall4(
            libc::SYS_futex,
            word.as_ptr() as usize,
            (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize,
            seen as usize,
            time.as_ptr() as usize,
        )
    };
}

/// As [`futex_wait`] without an end, for a word in memory that other processes map as well.
pub fn futex_wait_shared(word: &core::sync::atomic::AtomicU32, seen: u32) {
    // SAFETY: the word outlives the call.
    unsafe {
        syscall4(
            libc::SYS_futex,
            word.as_ptr() as usize,
            libc::FUTEX_WAIT as usize,
            seen as usize,
            0,
        )
    };
}

/// Wakes all who wait for such a word.
pub fn futex_wake_shared(word: &core::sync::atomic::AtomicU32) {
    // SAFETY: the word is valid.
    unsafe {
        syscall3(
            libc::SYS_futex,
            word.as_ptr() as usize,
            libc::FUTEX_WAKE as usize,
            i32::MAX as usize,
        )
    };
}

/// Blocks in this thread every signal that is not due to its own instructions, for good. Those
/// that libc uses between threads (set-id calls, cancellation) stay.
pub fn refuse_signals() {
    let libc_own = 1u64 << 31 | 1 << 32;
    let mut before = block_signals();
    set_signals(libc::SIG_UNBLOCK, libc_own, &mut before.0);
}

/// Names this thread (`name` NUL-terminated, 15 bytes at most).
pub fn set_thread_name(name: &[u8]) {
    if name.last() == Some(&0) {
        // SAFETY: a NUL-terminated name.
        unsafe {
            syscall2(
                libc::SYS_prctl,
                libc::PR_SET_NAME as usize,
                name.as_ptr() as usize,
            )
        };
    }
}

/// Sleeps for less than a second.
pub fn sleep(ns: u64) {
    let time = [0, ns];
    // SAFETY: the time is two longs.
    unsafe { syscall2(libc::SYS_nanosleep, time.as_ptr() as usize, 0) };
}

/// Wakes all who wait for the word.
pub fn futex_wake(word: &core::sync::atomic::AtomicU32) {
    // SAFETY: the word is valid.
    unsafe {
        syscall3(
            libc::SYS_futex,
            word.as_ptr() as usize,
            (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize,
            i32::MAX as usize,
        )
    };
}

/// Soft limit of a resource.
pub fn rlimit(resource: u32) -> u64 {
    let mut limit = [u64::MAX; 2];
    // SAFETY: two writable words.
    unsafe {
        syscall2(
            libc::SYS_getrlimit,
            resource as usize,
            limit.as_mut_ptr() as usize,
        )
    };
    limit[0]
}

/// Writes a line to stderr (only with `LEAK_VERBOSE=1`).
pub fn stderr(text: &[u8]) {
    // SAFETY: the slice is readable; a failure is nobody's concern.
    unsafe { syscall3(libc::SYS_write, 2, text.as_ptr() as usize, text.len()) };
}

/// Ends the process at once.
pub fn exit_group(status: u8) -> ! {
    loop {
        // SAFETY: the end of this process.
        unsafe { syscall2(libc::SYS_exit_group, usize::from(status), 0) };
    }
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

/// Memory that a process made by `fork` shares with this one; not touched until used.
pub fn map_shared(len: usize) -> Option<*mut u8> {
    // SAFETY: a fresh mapping disturbs nothing.
    let ret = unsafe {
        syscall6(
            libc::SYS_mmap,
            0,
            len,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize,
            usize::MAX,
            0,
        )
    };
    let address = check(ret).ok()?;
    own::note(address as u64, len);
    Some(address as *mut u8)
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
