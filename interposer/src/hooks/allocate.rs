//! malloc and its family.
//!
//! An allocation is recorded after the allocator returned, a free before it is
//! called. A function that the allocator lacks is served by those it has.

use crate::originals::{self, *};
use crate::{bootstrap, call, events, thunk};
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

thunk!(malloc(1) -> malloc_body);
thunk!(calloc(2) -> calloc_body);
thunk!(realloc(2) -> realloc_body);
thunk!(reallocarray(3) -> reallocarray_body);
thunk!(posix_memalign(3) -> posix_memalign_body);
thunk!(aligned_alloc(2) -> aligned_alloc_body);
thunk!(memalign(2) -> memalign_body);
thunk!(valloc(1) -> valloc_body);
thunk!(pvalloc(1) -> pvalloc_body);

fn has(slot: &Slot) -> bool {
    !slot.load(Relaxed).is_null()
}

fn set_errno(value: i32) {
    // SAFETY: this thread's errno.
    unsafe { *libc::__errno_location() = value };
}

/// Records and returns the block of an allocation.
#[inline(always)]
unsafe fn made(ptr: *mut u8, size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    if !ptr.is_null() {
        // SAFETY: slot and fp come from the thunk.
        unsafe { events::alloc(ptr, size, slot, fp) };
    }
    ptr
}

/// The hook behind its thunk.
///
/// # Safety
/// As the function; `slot` and `fp` come from a thunk.
pub(super) unsafe extern "C" fn malloc_body(size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    if !originals::resolved() {
        return bootstrap::alloc(size, 16);
    }
    // SAFETY: malloc's type; slot and fp come from the thunk.
    unsafe { made(call!(MALLOC as fn(usize) -> *mut u8, size), size, slot, fp) }
}

unsafe extern "C" fn calloc_body(count: usize, size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    if !originals::resolved() {
        return count
            .checked_mul(size)
            .map_or(null_mut(), |total| bootstrap::alloc(total, 16));
    }
    // SAFETY: as in malloc. A product that overflows makes the original fail.
    unsafe {
        made(
            call!(CALLOC as fn(usize, usize) -> *mut u8, count, size),
            count.wrapping_mul(size),
            slot,
            fp,
        )
    }
}

unsafe extern "C" fn realloc_body(old: *mut u8, size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    // SAFETY: realloc's contract is the caller's.
    unsafe {
        if !originals::resolved() || bootstrap::owns(old) {
            return move_from_bootstrap(old, size, slot, fp);
        }
        if old.is_null() {
            return made(
                call!(REALLOC as fn(*mut u8, usize) -> *mut u8, old, size),
                size,
                slot,
                fp,
            );
        }
        if size == 0 {
            return realloc_to_nothing(old, slot, fp);
        }
        let begun = events::realloc_begin(old);
        let new = call!(REALLOC as fn(*mut u8, usize) -> *mut u8, old, size);
        if begun || !new.is_null() {
            events::realloc_end(old, new, size, !new.is_null(), slot, fp);
        }
        new
    }
}

/// `realloc(p, 0)`: frees the block and returns null in glibc, makes a block of
/// no bytes in other allocators.
#[cold]
unsafe fn realloc_to_nothing(old: *mut u8, slot: *const u64, fp: u64) -> *mut u8 {
    // SAFETY: realloc's contract is the caller's.
    unsafe {
        events::free(old);
        made(
            call!(REALLOC as fn(*mut u8, usize) -> *mut u8, old, 0),
            0,
            slot,
            fp,
        )
    }
}

/// A block of the bootstrap arena grows: it becomes one of the allocator's.
#[cold]
unsafe fn move_from_bootstrap(old: *mut u8, size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    // SAFETY: the old block is ours; the new one has `size` bytes.
    unsafe {
        let new = if originals::resolved() {
            malloc_body(size, slot, fp)
        } else {
            bootstrap::alloc(size, 16)
        };
        if !new.is_null() && !old.is_null() {
            core::ptr::copy_nonoverlapping(old, new, size.min(bootstrap::size(old)));
        }
        new
    }
}

unsafe extern "C" fn reallocarray_body(
    old: *mut u8,
    count: usize,
    size: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    match count.checked_mul(size) {
        // SAFETY: realloc's contract is the caller's.
        Some(total) => unsafe { realloc_body(old, total, slot, fp) },
        None => {
            set_errno(libc::ENOMEM);
            null_mut()
        }
    }
}

/// The hook behind its thunk.
///
/// # Safety
/// As the function; `slot` and `fp` come from a thunk.
pub(super) unsafe extern "C" fn posix_memalign_body(
    out: *mut *mut u8,
    align: usize,
    size: usize,
    slot: *const u64,
    fp: u64,
) -> i32 {
    // SAFETY: posix_memalign's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            *out = bootstrap::alloc(size, align);
            return if (*out).is_null() { libc::ENOMEM } else { 0 };
        }
        let result = call!(
            POSIX_MEMALIGN as fn(*mut *mut u8, usize, usize) -> i32,
            out,
            align,
            size
        );
        if result == 0 {
            made(*out, size, slot, fp);
        }
        result
    }
}

unsafe extern "C" fn aligned_alloc_body(
    align: usize,
    size: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    // SAFETY: as in malloc.
    unsafe { aligned(&ALIGNED_ALLOC, align, size, slot, fp) }
}

unsafe extern "C" fn memalign_body(
    align: usize,
    size: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    // SAFETY: as in malloc.
    unsafe { aligned(&MEMALIGN, align, size, slot, fp) }
}

unsafe fn aligned(
    original: &Slot,
    align: usize,
    size: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    if !originals::resolved() {
        return bootstrap::alloc(size, align);
    }
    // SAFETY: both originals have this type.
    unsafe {
        let ptr = if has(original) {
            let function = original.load(Relaxed);
            core::mem::transmute::<
                *mut core::ffi::c_void,
                unsafe extern "C" fn(usize, usize) -> *mut u8,
            >(function)(align, size)
        } else {
            by_posix_memalign(align, size)
        };
        made(ptr, size, slot, fp)
    }
}

unsafe fn by_posix_memalign(align: usize, size: usize) -> *mut u8 {
    let mut out = null_mut();
    // SAFETY: posix_memalign's type; every allocator has it.
    let result = unsafe {
        call!(
            POSIX_MEMALIGN as fn(*mut *mut u8, usize, usize) -> i32,
            &mut out,
            align.max(8),
            size
        )
    };
    if result != 0 {
        set_errno(result);
        return null_mut();
    }
    out
}

unsafe extern "C" fn valloc_body(size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    // SAFETY: as in malloc.
    unsafe { paged(&VALLOC, size, slot, fp) }
}

unsafe extern "C" fn pvalloc_body(size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    // SAFETY: as in malloc.
    unsafe { paged(&PVALLOC, size, slot, fp) }
}

unsafe fn paged(original: &Slot, size: usize, slot: *const u64, fp: u64) -> *mut u8 {
    if !originals::resolved() {
        return bootstrap::alloc(size, 4096);
    }
    // SAFETY: both originals have this type.
    unsafe {
        let ptr = if has(original) {
            let function = original.load(Relaxed);
            core::mem::transmute::<*mut core::ffi::c_void, unsafe extern "C" fn(usize) -> *mut u8>(
                function,
            )(size)
        } else {
            by_posix_memalign(4096, size)
        };
        made(ptr, size, slot, fp)
    }
}

/// Before a block goes: records it. False: the block is the bootstrap arena's
/// (or null) and must not reach the allocator.
#[inline(always)]
fn going(ptr: *mut u8) -> bool {
    if ptr.is_null() || bootstrap::owns(ptr) || !originals::resolved() {
        return false;
    }
    events::free(ptr);
    true
}

/// Hook; see the table.
///
/// # Safety
/// As `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(ptr: *mut u8) {
    if going(ptr) {
        // SAFETY: free's contract is the caller's.
        unsafe { call!(FREE as fn(*mut u8) -> (), ptr) }
    }
}

/// Hook; see the table. Gone from glibc, so mostly served by `free`.
///
/// # Safety
/// As `free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(ptr: *mut u8) {
    // SAFETY: as the caller's.
    unsafe { free(ptr) }
}

/// Hook; see the table (C23).
///
/// # Safety
/// As `free_sized`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(ptr: *mut u8, size: usize) {
    if going(ptr) {
        // SAFETY: as the caller's.
        unsafe {
            if has(&FREE_SIZED) {
                call!(FREE_SIZED as fn(*mut u8, usize) -> (), ptr, size)
            } else {
                call!(FREE as fn(*mut u8) -> (), ptr)
            }
        }
    }
}

/// Hook; see the table (C23).
///
/// # Safety
/// As `free_aligned_sized`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(ptr: *mut u8, align: usize, size: usize) {
    if going(ptr) {
        // SAFETY: as the caller's.
        unsafe {
            if has(&FREE_ALIGNED_SIZED) {
                call!(
                    FREE_ALIGNED_SIZED as fn(*mut u8, usize, usize) -> (),
                    ptr,
                    align,
                    size
                )
            } else {
                call!(FREE as fn(*mut u8) -> (), ptr)
            }
        }
    }
}

/// Hook; see the table. Passes through, but knows the bootstrap arena's blocks.
///
/// # Safety
/// As `malloc_usable_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(ptr: *mut u8) -> usize {
    if ptr.is_null() {
        return 0;
    }
    // SAFETY: as the caller's.
    unsafe {
        if bootstrap::owns(ptr) {
            return bootstrap::size(ptr);
        }
        if !originals::resolved() || !has(&MALLOC_USABLE_SIZE) {
            return 0;
        }
        call!(MALLOC_USABLE_SIZE as fn(*mut u8) -> usize, ptr)
    }
}
