//! Memory before the allocator is known: a static arena that only grows, and
//! mappings when it is used up. Blocks from here are never given to `free`.
//!
//! Each block carries its size in the 16 bytes before it, for `realloc`. It also
//! serves as Rust's global allocator (the self-check's library wants one).

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::*};

const SIZE: usize = 64 << 10;

#[repr(C, align(4096))]
struct Arena(UnsafeCell<[u8; SIZE]>);

// SAFETY: every byte is handed out once.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// Zeroed memory; null if there is none.
pub fn alloc(size: usize, align: usize) -> *mut u8 {
    let align = align.max(16);
    let Some(room) = size.checked_add(align + 16) else {
        return core::ptr::null_mut();
    };
    let taken = USED.fetch_update(Relaxed, Relaxed, |used| {
        used.checked_add(room).filter(|&end| end <= SIZE)
    });
    let start = match taken {
        Ok(at) => ARENA.0.get() as usize + at,
        Err(_) => match crate::sys::map_private(room.next_multiple_of(4096)) {
            Some(start) => start as usize,
            None => return core::ptr::null_mut(),
        },
    };
    let block = (start + 16).next_multiple_of(align);
    // SAFETY: 16 bytes before the block belong to it.
    unsafe { *((block - 16) as *mut usize) = size };
    block as *mut u8
}

/// Whether the static arena holds the block. (Mapped ones are only made before
/// the allocator is known and for the self-check, and never reach a program's
/// `free` but by chance of a start-up that allocates more than the arena.)
#[inline(always)]
pub fn owns(ptr: *mut u8) -> bool {
    (ptr as usize).wrapping_sub(ARENA.0.get() as usize) < SIZE
}

/// Size of a block of ours.
///
/// # Safety
/// `ptr` came from [`alloc`].
pub unsafe fn size(ptr: *mut u8) -> usize {
    // SAFETY: by the caller's promise.
    unsafe { *(ptr as *const usize).sub(2) }
}

/// Rust's allocator in this library.
pub struct Bootstrap;

// SAFETY: blocks are distinct, aligned and never reused.
unsafe impl GlobalAlloc for Bootstrap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        alloc(layout.size(), layout.align())
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bootstrap = Bootstrap;

/// Start and end of what was handed out of the static arena: blocks that the program
/// holds, and the boxes of threads that begin.
pub fn used() -> (u64, u64) {
    let start = ARENA.0.get() as u64;
    (start, start + USED.load(Relaxed).min(SIZE) as u64)
}
