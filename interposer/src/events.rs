//! The hot path: one function per event.

use crate::arch::{clock, stack};
use crate::thread::{
    self, ThreadState, coarse_time, publish, release_borrowed, tell_foreign, write,
};
use crate::unwind::capture;
use core::sync::atomic::Ordering::Relaxed;
use log_format::record::{kind, word0};

/// Time of a record: after the allocator returned, before it is called.
#[inline(always)]
unsafe fn time(thread: *mut ThreadState) -> u64 {
    // SAFETY: this thread's state.
    if unsafe { (*thread).precise.load(Relaxed) } {
        clock::now()
    } else {
        unsafe { coarse_time(thread) }
    }
}

/// Reserves, writes and publishes a record.
#[inline(always)]
unsafe fn put<const N: usize>(thread: *mut ThreadState, words: [u64; N]) {
    // SAFETY: this thread's state, which has room.
    unsafe {
        let position = (*thread)
            .producer
            .reserve(N as u64 * 8, stack::pointer() as u64);
        write(thread, position, words);
        publish(thread, position);
        if (*thread).precise.load(Relaxed) {
            tell_foreign();
        }
        release_borrowed(thread);
    }
}

/// Records that the allocator returned `ptr` (not null) for `size` bytes.
///
/// # Safety
/// `slot` and `fp` come from a hook's thunk.
#[inline(always)]
pub unsafe fn alloc(ptr: *mut u8, size: usize, slot: *const u64, fp: u64) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state.
    unsafe {
        let time = time(thread);
        let stack = u64::from(capture(thread, slot, fp));
        if !(*thread).precise.load(Relaxed) && size >> 32 == 0 {
            put(
                thread,
                [
                    word0(kind::ALLOC_SHORT, ptr as u64),
                    size as u64 | stack << 32,
                ],
            );
        } else {
            put(
                thread,
                [word0(kind::ALLOC, ptr as u64), time, size as u64, stack],
            );
        }
    }
}

/// Records that `ptr` (not null) is about to be freed.
#[inline(always)]
pub fn free(ptr: *mut u8) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state.
    unsafe {
        let time = time(thread);
        if (*thread).precise.load(Relaxed) {
            put(thread, [word0(kind::FREE, ptr as u64), time]);
        } else {
            put(thread, [word0(kind::FREE_SHORT, ptr as u64)]);
        }
    }
}

/// Records that `old` (not null) is about to be reallocated; returns whether.
#[inline(always)]
pub fn realloc_begin(old: *mut u8) -> bool {
    let thread = thread::ready();
    if thread.is_null() {
        return false;
    }
    // SAFETY: this thread's state.
    unsafe {
        let time = time(thread);
        put(thread, [word0(kind::REALLOC_BEGIN, old as u64), time]);
    }
    true
}

/// Records how the reallocation of `old` ended: `ok` if the old block is gone
/// and `new` is there.
///
/// # Safety
/// As [`alloc`].
#[inline(always)]
pub unsafe fn realloc_end(
    old: *mut u8,
    new: *mut u8,
    size: usize,
    ok: bool,
    slot: *const u64,
    fp: u64,
) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: as in `alloc`.
    unsafe {
        let time = time(thread);
        let stack = if ok { capture(thread, slot, fp) } else { 0 };
        let words = [
            word0(kind::REALLOC_END, new as u64),
            time,
            size as u64,
            u64::from(stack) | u64::from(ok) << 32,
            old as u64,
            0,
        ];
        put(thread, words);
    }
}

/// Records a mapping.
///
/// # Safety
/// As [`alloc`].
pub unsafe fn map(address: u64, len: usize, prot: i32, flags: i32, slot: *const u64, fp: u64) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: as in `alloc`.
    unsafe {
        let time = time(thread);
        let stack = capture(thread, slot, fp);
        let words = [
            word0(kind::MAP, address),
            time,
            len as u64,
            u64::from(stack) | u64::from(prot as u32) << 32,
            flags as u32 as u64,
            0,
        ];
        put(thread, words);
    }
}

/// Records that a range is about to be unmapped; of length 0: that this has failed.
pub fn unmap(address: u64, len: usize) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state.
    unsafe {
        let time = time(thread);
        put(thread, [word0(kind::UNMAP, address), time, len as u64, 0]);
    }
}
