//! Mappings and the break: recorded apart from blocks.
//!
//! What the allocator itself maps is not shown: those bytes are its blocks'.

use crate::originals::{self, *};
use crate::{call, events, thunk, thunk_many};
use core::sync::atomic::Ordering::Relaxed;

thunk_many!(mmap -> mmap_body);
thunk_many!(mmap64 -> mmap_body);
thunk_many!(mremap -> mremap_body);
thunk!(sbrk(1) -> sbrk_body);

const FAILED: usize = usize::MAX;

/// Whether the call comes from the allocator's own module (not libc's: its
/// allocator does not call through these symbols).
fn from_allocator(slot: *const u64) -> bool {
    // SAFETY: the thunk's slot holds the return address.
    let caller = unsafe { *slot };
    let module =
        |address: u64| crate::modules::find_object(address).map(|object| object.identity());
    let allocator = module(MALLOC.load(Relaxed) as u64);
    allocator.is_some()
        && module(caller) == allocator
        && module(MUNMAP.load(Relaxed) as u64) != allocator
}

unsafe extern "C" fn mmap_body(
    address: usize,
    len: usize,
    prot: i32,
    flags: i32,
    fd: i32,
    offset: i64,
    slot: *const u64,
    fp: u64,
) -> usize {
    // SAFETY: mmap's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            return early(
                libc::SYS_mmap,
                [
                    address,
                    len,
                    prot as usize,
                    flags as usize,
                    fd as usize,
                    offset as usize,
                ],
            );
        }
        let got = call!(
            MMAP as fn(usize, usize, i32, i32, i32, i64) -> usize,
            address,
            len,
            prot,
            flags,
            fd,
            offset
        );
        if got != FAILED && !from_allocator(slot) {
            events::map(got as u64, len, prot, flags, slot, fp);
        }
        got
    }
}

/// Before libc's function is known: the system call, with libc's errno.
#[cold]
unsafe fn early(number: i64, arg: [usize; 6]) -> usize {
    let [a, b, c, d, e, f] = arg;
    // SAFETY: the caller's.
    unsafe {
        let ret = crate::arch::syscall::syscall6(number, a, b, c, d, e, f);
        if (-4095..0).contains(&ret) {
            *libc::__errno_location() = -ret as i32;
            return FAILED;
        }
        ret as usize
    }
}

unsafe extern "C" fn mremap_body(
    old: usize,
    old_len: usize,
    len: usize,
    flags: i32,
    new: usize,
    _: usize,
    slot: *const u64,
    fp: u64,
) -> usize {
    // SAFETY: mremap's contract is the caller's; the fifth argument is ignored
    // unless a flag asks for it.
    unsafe {
        if !originals::resolved() {
            return early(
                libc::SYS_mremap,
                [old, old_len, len, flags as usize, new, 0],
            );
        }
        let got = call!(
            MREMAP as fn(usize, usize, usize, i32, usize) -> usize,
            old,
            old_len,
            len,
            flags,
            new
        );
        if got != FAILED && !from_allocator(slot) {
            events::unmap(old as u64, old_len);
            events::map(got as u64, len, 0, 0, slot, fp);
        }
        got
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `munmap`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(address: usize, len: usize) -> i32 {
    // SAFETY: munmap's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            return early(libc::SYS_munmap, [address, len, 0, 0, 0, 0]) as i32;
        }
        events::unmap(address as u64, len);
        call!(MUNMAP as fn(usize, usize) -> i32, address, len)
    }
}

unsafe extern "C" fn sbrk_body(increment: isize, slot: *const u64, fp: u64) -> usize {
    if !originals::resolved() {
        return FAILED;
    }
    // SAFETY: sbrk's contract is the caller's.
    unsafe {
        let got = call!(SBRK as fn(isize) -> usize, increment);
        if got != FAILED && increment > 0 && !from_allocator(slot) {
            events::map(
                got as u64,
                increment as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                0,
                slot,
                fp,
            );
        } else if got != FAILED && increment < 0 {
            events::unmap(
                (got as u64).wrapping_add(increment as u64),
                increment.unsigned_abs(),
            );
        }
        got
    }
}
