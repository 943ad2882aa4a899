//! Mappings.

use super::{Errno, Fd, check, close, open};
use crate::arch::syscall::{syscall2, syscall3, syscall6};
use crate::reach::own;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
