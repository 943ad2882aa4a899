//! The allocator of a copy of the process: another thread may have held a lock of the program's
//! allocator when the copy was made, and nobody is left to release it.
//!
//! A copy has one thread and a short life. Its blocks stand in one range of addresses, with 16
//! bytes before each; what is freed goes into lists by size. Blocks from before stay as they are.

use crate::arch::syscall::syscall3;
use crate::originals::*;
use crate::sys;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Addresses that are asked for at first; less is enough.
const MOST: usize = 1 << 40;
const LEAST: usize = 1 << 28;
/// Made usable at a time, bytes.
const STEP: usize = 16 << 20;
/// Stands before each block.
const HEAD: usize = 16;
/// Sizes up to this have a list each 16 bytes, larger ones four for each doubling.
const SMALL: usize = 1024;
const SMALL_BITS: u32 = SMALL.trailing_zeros();
const LISTS: usize = SMALL / 16 + 1 + 4 * 40;
/// Pages of free blocks as large as this are given back.
const LARGE: usize = 1 << 20;
/// The usual alignment.
const ALIGN: usize = 16;

/// Stands before each block.
struct Head {
    /// Where its memory begins.
    start: usize,
    /// Bytes from there.
    size: usize,
}

struct Heap {
    start: usize,
    end: usize,
    /// Nothing was given out from here on.
    next: usize,
    /// Usable up to here.
    usable: usize,
    /// First free block of each size: each begins with the address of the next.
    free: [usize; LISTS],
}

struct Only(UnsafeCell<Heap>);

// SAFETY: used in a copy of the process alone, which has one thread.
unsafe impl Sync for Only {}

static HEAP: Only = Only(UnsafeCell::new(Heap {
    start: 0,
    end: 0,
    next: 0,
    usable: 0,
    free: [0; LISTS],
}));

/// The program's `malloc_usable_size`.
static USABLE_SIZE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Makes all hooks of this process use this allocator; whether there is room for it.
///
/// # Safety
/// In a copy of the process with one thread, before it allocates.
pub unsafe fn take_over() -> bool {
    let mut room = MOST;
    let start = loop {
        match sys::reserve(room) {
            Some(start) => break start as usize,
            None if room <= LEAST => return false,
            None => room /= 2,
        }
    };
    // SAFETY: the only thread.
    let heap = unsafe { &mut *HEAP.0.get() };
    (heap.start, heap.next, heap.usable) = (start, start, start);
    heap.end = start + room;
    USABLE_SIZE.store(MALLOC_USABLE_SIZE.load(Relaxed), Relaxed);
    let set = |slots: &[&Slot], function: *const ()| {
        for slot in slots {
            slot.store(function.cast_mut().cast(), Relaxed);
        }
    };
    let (plain, aligned) = NEWS.split_at(4);
    set(&[&MALLOC], malloc as *const ());
    set(plain, malloc as *const ());
    set(aligned, new_aligned as *const ());
    set(&[&CALLOC], calloc as *const ());
    set(&[&REALLOC], realloc as *const ());
    set(&[&POSIX_MEMALIGN], posix_memalign as *const ());
    set(&[&ALIGNED_ALLOC, &MEMALIGN], aligned_alloc as *const ());
    set(&[&VALLOC, &PVALLOC], valloc as *const ());
    set(&[&MALLOC_USABLE_SIZE], usable_size as *const ());
    let frees = [&FREE, &CFREE, &FREE_SIZED, &FREE_ALIGNED_SIZED];
    set(&frees, free as *const ());
    set(&DELETES, free as *const ());
    true
}

/// The size that a block of at least so many bytes has, and its list.
fn class(need: usize) -> Option<(usize, usize)> {
    if need <= SMALL {
        let size = need.next_multiple_of(16).max(2 * HEAD);
        return Some((size, size / 16));
    }
    let bits = (need - 1).ilog2();
    let step = 1usize << (bits - 2);
    let size = need.checked_next_multiple_of(step)?;
    let list = SMALL / 16 + 1 + 4 * (bits - SMALL_BITS) as usize + ((size - 1) / step) % 4;
    (list < LISTS).then_some((size, list))
}

impl Heap {
    fn owns(&self, block: usize) -> bool {
        (self.start..self.end).contains(&block)
    }

    /// A block, and whether it is fresh from the system, that is zeros.
    unsafe fn make(&mut self, bytes: usize, align: usize) -> Option<(usize, bool)> {
        let more = if align > ALIGN { align } else { 0 };
        let (size, list) = class(bytes.checked_add(HEAD)?.checked_add(more)?)?;
        let first = self.free.get_mut(list)?;
        let (start, fresh) = if *first == 0 {
            (self.fresh(size)?, true)
        } else {
            let start = *first;
            // SAFETY: a free block of this heap begins with the next one's address.
            *first = unsafe { *(start as *const usize) };
            (start, false)
        };
        let block = (start + HEAD).next_multiple_of(align);
        // SAFETY: inside of the block's memory.
        unsafe { ((block - HEAD) as *mut Head).write(Head { start, size }) };
        Some((block, fresh))
    }

    fn fresh(&mut self, size: usize) -> Option<usize> {
        let start = self.next;
        let next = start.checked_add(size).filter(|&next| next <= self.end)?;
        if next > self.usable {
            let more = (next - self.usable).next_multiple_of(STEP);
            let more = more.min(self.end - self.usable);
            // SAFETY: our own reservation.
            let result = unsafe {
                syscall3(
                    libc::SYS_mprotect,
                    self.usable,
                    more,
                    (libc::PROT_READ | libc::PROT_WRITE) as usize,
                )
            };
            if result != 0 {
                return None;
            }
            self.usable += more;
        }
        self.next = next;
        Some(start)
    }

    unsafe fn head(block: usize) -> *const Head {
        (block - HEAD) as *const Head
    }

    unsafe fn drop(&mut self, block: usize) {
        // SAFETY: a block of this heap.
        let Head { start, size } = unsafe { Heap::head(block).read() };
        let Some(first) = class(size).and_then(|(_, list)| self.free.get_mut(list)) else {
            return;
        };
        if size >= LARGE {
            let from = start.next_multiple_of(4096);
            let len = (start + size).saturating_sub(from) & !4095;
            // SAFETY: nobody uses it any more.
            unsafe { syscall3(libc::SYS_madvise, from, len, libc::MADV_DONTNEED as usize) };
        }
        // SAFETY: nobody uses it any more.
        unsafe { (start as *mut usize).write(*first) };
        *first = start;
    }
}

/// The heap of this process.
unsafe fn heap() -> &'static mut Heap {
    // SAFETY: the only thread, and no function here calls one of the others while it has this.
    unsafe { &mut *HEAP.0.get() }
}

fn out_of_memory() -> *mut u8 {
    // SAFETY: this thread's errno.
    unsafe { *libc::__errno_location() = libc::ENOMEM };
    null_mut()
}

unsafe extern "C" fn malloc(size: usize) -> *mut u8 {
    // SAFETY: the only thread.
    match unsafe { heap().make(size, ALIGN) } {
        Some((block, _)) => block as *mut u8,
        None => out_of_memory(),
    }
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    let Some(bytes) = count.checked_mul(size) else {
        return out_of_memory();
    };
    // SAFETY: as `malloc`; the block has so many bytes.
    unsafe {
        match heap().make(bytes, ALIGN) {
            Some((block, fresh)) => {
                if !fresh {
                    (block as *mut u8).write_bytes(0, bytes);
                }
                block as *mut u8
            }
            None => out_of_memory(),
        }
    }
}

unsafe extern "C" fn realloc(old: *mut u8, size: usize) -> *mut u8 {
    if old.is_null() {
        // SAFETY: as the caller's.
        return unsafe { malloc(size) };
    }
    // SAFETY: as the caller's.
    unsafe {
        if size == 0 {
            free(old);
            return null_mut();
        }
        let there = usable_size(old);
        if there >= size && heap().owns(old as usize) {
            return old;
        }
        let new = if there == 0 {
            out_of_memory()
        } else {
            malloc(size)
        };
        if !new.is_null() {
            core::ptr::copy_nonoverlapping(old, new, there.min(size));
            free(old);
        }
        new
    }
}

unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        return out_of_memory();
    }
    // SAFETY: as `malloc`.
    match unsafe { heap().make(size, align.max(ALIGN)) } {
        Some((block, _)) => block as *mut u8,
        None => out_of_memory(),
    }
}

unsafe extern "C" fn new_aligned(size: usize, align: usize) -> *mut u8 {
    // SAFETY: as the caller's.
    unsafe { aligned_alloc(align, size) }
}

unsafe extern "C" fn posix_memalign(out: *mut *mut u8, align: usize, size: usize) -> i32 {
    // SAFETY: as the caller's.
    unsafe {
        let block = aligned_alloc(align, size);
        if block.is_null() {
            return libc::ENOMEM;
        }
        out.write(block);
    }
    0
}

unsafe extern "C" fn valloc(size: usize) -> *mut u8 {
    // SAFETY: as the caller's.
    unsafe { aligned_alloc(4096, size) }
}

/// Blocks from before the copy stay.
unsafe extern "C" fn free(block: *mut u8) {
    // SAFETY: a block of this heap.
    unsafe {
        if heap().owns(block as usize) {
            heap().drop(block as usize);
        }
    }
}

unsafe extern "C" fn usable_size(block: *mut u8) -> usize {
    // SAFETY: a live block, of this heap or of the program's allocator.
    unsafe {
        if heap().owns(block as usize) {
            let Head { start, size } = Heap::head(block as usize).read();
            return start + size - block as usize;
        }
        if block.is_null() || USABLE_SIZE.load(Relaxed).is_null() {
            return 0;
        }
        let function = USABLE_SIZE.load(Relaxed);
        let function: unsafe extern "C" fn(*mut u8) -> usize = core::mem::transmute(function);
        function(block)
    }
}
