//! The hot path: one function per event.

use crate::arch::clock;
use crate::thread::{self, release_borrowed, write};
use crate::unwind::capture;
use log_format::record::{kind, word0};

/// Records that the allocator returned `ptr` (not null) for `size` bytes.
///
/// # Safety
/// `slot` and `fp` come from a hook's thunk.
#[inline(always)]
pub unsafe fn alloc(ptr: *mut u8, size: usize, slot: *const u64, fp: u64) {
    let time = clock::after();
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state; the position is reserved for four words.
    unsafe {
        let stack = capture(thread, slot, fp);
        let producer = &(*thread).producer;
        let position = producer.reserve(32);
        write(thread, position, [word0(kind::ALLOC, ptr as u64), time, size as u64, u64::from(stack)]);
        producer.complete(&*(*thread).ring);
        release_borrowed(thread);
    }
}

/// Records that `ptr` (not null) is about to be freed.
#[inline(always)]
pub fn free(ptr: *mut u8) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    let time = clock::before();
    // SAFETY: this thread's state; the position is reserved for two words.
    unsafe { short(thread, word0(kind::FREE, ptr as u64), time) }
}

/// Records that `old` (not null) is about to be reallocated; returns whether.
#[inline(always)]
pub fn realloc_begin(old: *mut u8) -> bool {
    let thread = thread::ready();
    if thread.is_null() {
        return false;
    }
    let time = clock::before();
    // SAFETY: as in `free`.
    unsafe { short(thread, word0(kind::REALLOC_BEGIN, old as u64), time) };
    true
}

#[inline(always)]
unsafe fn short(thread: *mut thread::ThreadState, first: u64, time: u64) {
    // SAFETY: the callers'.
    unsafe {
        let producer = &(*thread).producer;
        let position = producer.reserve(16);
        write(thread, position, [first, time]);
        producer.complete(&*(*thread).ring);
        release_borrowed(thread);
    }
}

/// Records how the reallocation of `old` ended: `ok` if the old block is gone
/// and `new` is there.
///
/// # Safety
/// As [`alloc`].
#[inline(always)]
pub unsafe fn realloc_end(old: *mut u8, new: *mut u8, size: usize, ok: bool, slot: *const u64, fp: u64) {
    let time = clock::after();
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: as in `alloc`, six words.
    unsafe {
        let stack = if ok { capture(thread, slot, fp) } else { 0 };
        let producer = &(*thread).producer;
        let position = producer.reserve(48);
        let words = [
            word0(kind::REALLOC_END, new as u64),
            time,
            size as u64,
            u64::from(stack) | u64::from(ok) << 32,
            old as u64,
            0,
        ];
        write(thread, position, words);
        producer.complete(&*(*thread).ring);
        release_borrowed(thread);
    }
}

/// Records a mapping.
///
/// # Safety
/// As [`alloc`].
pub unsafe fn map(address: u64, len: usize, prot: i32, flags: i32, slot: *const u64, fp: u64) {
    let time = clock::after();
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: as in `alloc`, six words.
    unsafe {
        let stack = capture(thread, slot, fp);
        let producer = &(*thread).producer;
        let position = producer.reserve(48);
        let words = [
            word0(kind::MAP, address),
            time,
            len as u64,
            u64::from(stack) | u64::from(prot as u32) << 32,
            flags as u32 as u64,
            0,
        ];
        write(thread, position, words);
        producer.complete(&*(*thread).ring);
        release_borrowed(thread);
    }
}

/// Records that a range is about to be unmapped.
pub fn unmap(address: u64, len: usize) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    let time = clock::before();
    // SAFETY: as in `alloc`, four words.
    unsafe {
        let producer = &(*thread).producer;
        let position = producer.reserve(32);
        write(thread, position, [word0(kind::UNMAP, address), time, len as u64, 0]);
        producer.complete(&*(*thread).ring);
        release_borrowed(thread);
    }
}
