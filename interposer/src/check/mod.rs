//! `LEAK_CHECK_FREES=1`: every free is held against the allocation of its block, and a wrong one goes into
//! the log with its stack before the allocator sees it (which may end the program).
//!
//! Nothing of this touches the usual hot path: what the hooks call as the allocator's functions are, in this
//! mode, the functions below, which look and then call the allocator's. A family is known where its function
//! is entered; libstdc++'s `new` and `delete` call malloc and free, which find it noted in the thread's
//! words. Where an allocator has operators of its own, which call nobody, nothing is checked, and the log
//! says so.

mod table;

use crate::arch::{thunk::capture_here, tls};
use crate::global;
use crate::hooks::cxx;
use crate::originals::{self, Slot};
use crate::thread;
use crate::thunk_found;
use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::*};
use log_format::blob::{BadFree, BlobKind, bad_free, family};
use log_format::varint::Out;

/// Wrong frees that are written, and unknown addresses (which mostly are not wrong).
const MOST: u32 = 256;
const MOST_UNKNOWN: u32 = 64;

static WRITTEN: AtomicU32 = AtomicU32::new(0);
static UNKNOWN: AtomicU32 = AtomicU32::new(0);

/// What a thread has noted for the malloc or free that comes next: a view of its words.
#[repr(C)]
struct Noted {
    /// [`family`] of the `new` that is under way, with [`SOME`], and above it the size it was asked for.
    making: u64,
    /// Block whose `delete` is under way.
    deleting: u64,
    /// Its [`family`].
    by: u64,
    /// Size given to it, plus one; 0: none.
    given: u64,
}

fn noted() -> &'static mut Noted {
    // SAFETY: four words of this thread's own.
    unsafe { &mut *tls::spare().cast() }
}

/// Begins, if the settings say so.
pub fn begin() {
    if crate::start::variable(b"LEAK_CHECK_FREES") != b"1" || global::recording().is_none() {
        return;
    }
    if !cxx::all_call_hooks() {
        note(b"LEAK_CHECK_FREES: the allocator has operators new and delete of its own; frees are not checked");
        return;
    }
    if !table::map() {
        note(b"LEAK_CHECK_FREES: no memory; frees are not checked");
        return;
    }
    for exchange in EXCHANGES {
        let original = exchange.slot.load(Relaxed);
        if !original.is_null() {
            exchange.real.store(original, Relaxed);
            exchange.slot.store(exchange.ours as *mut c_void, Release);
        }
    }
}

fn note(text: &[u8]) {
    let thread = thread::ready();
    if !thread.is_null() {
        // SAFETY: this thread's state.
        unsafe { thread::blob(thread, BlobKind::Note, text) };
        thread::release_borrowed(thread);
    }
}

/// A function of the allocator's and the one that stands in its place.
struct Exchange {
    slot: &'static Slot,
    real: &'static Slot,
    ours: *const (),
}

// SAFETY: addresses of functions and statics.
unsafe impl Sync for Exchange {}

/// The table of functions that are replaced, with a slot for each original.
macro_rules! exchanges {
    ($( $slot:ident => $ours:path ),* $(,)?) => {
        /// The allocator's own functions.
        mod real {
            use super::Slot;
            $( pub static $slot: Slot = Slot::new(core::ptr::null_mut()); )*
        }
        static EXCHANGES: &[Exchange] = &[
            $( Exchange { slot: &originals::$slot, real: &real::$slot, ours: $ours as *const () } ),*
        ];
    };
}

exchanges! {
    MALLOC => malloc, CALLOC => calloc, REALLOC => realloc, POSIX_MEMALIGN => posix_memalign,
    ALIGNED_ALLOC => aligned_alloc, MEMALIGN => memalign, VALLOC => valloc, PVALLOC => pvalloc,
    FREE => free, FREE_SIZED => free_sized, FREE_ALIGNED_SIZED => free_aligned_sized,
    NEW => new, NEW_NOTHROW => new_nothrow, NEW_ALIGNED => new_aligned, NEW_ALIGNED_NOTHROW => new_aligned_nothrow,
    NEW_ARRAY => new_array, NEW_ARRAY_NOTHROW => new_array_nothrow, NEW_ARRAY_ALIGNED => new_array_aligned,
    NEW_ARRAY_ALIGNED_NOTHROW => new_array_aligned_nothrow,
    DELETE => delete, DELETE_NOTHROW => delete_nothrow, DELETE_ALIGNED => delete_aligned,
    DELETE_ALIGNED_NOTHROW => delete_aligned_nothrow, DELETE_SIZED => delete_sized,
    DELETE_SIZED_ALIGNED => delete_sized_aligned,
    DELETE_ARRAY => delete_array, DELETE_ARRAY_NOTHROW => delete_array_nothrow,
    DELETE_ARRAY_ALIGNED => delete_array_aligned, DELETE_ARRAY_ALIGNED_NOTHROW => delete_array_aligned_nothrow,
    DELETE_ARRAY_SIZED => delete_array_sized, DELETE_ARRAY_SIZED_ALIGNED => delete_array_sized_aligned,
}

/// Calls one of the allocator's own functions.
macro_rules! real {
    ($slot:ident as fn($($arg:ty),*) -> $ret:ty, $($value:expr),*) => {
        // SAFETY: the slot was filled before ours came into its place; the function has this type.
        unsafe { transmute::<*mut c_void, unsafe extern "C" fn($($arg),*) -> $ret>(real::$slot.load(Relaxed))($($value),*) }
    };
}

/// The stack of the program, 0 if nothing is recorded, and which process's log has it.
#[inline(never)]
fn stack() -> (u32, u32) {
    let thread = thread::ready();
    if thread.is_null() {
        return (0, 0);
    }
    // SAFETY: this thread's state, with room.
    let stack = unsafe { capture_here(thread) };
    thread::release_borrowed(thread);
    let pid = global::get()
        .and_then(|global| global.file.header())
        .map_or(0, |header| header.pid.load(Relaxed));
    (stack, pid)
}

/// [`Noted::making`]: no `new` is under way.
const NOTHING: u64 = 0;
/// Stands by each family there, so that "not known" is not [`NOTHING`].
const SOME: u8 = 0x80;

/// Notes a block that the allocator has just made, or not.
fn made(ptr: *mut u8, size: usize) -> *mut u8 {
    let noted = noted();
    let making = noted.making;
    if ptr.is_null() {
        // `new` may ask again after its handler ran, or throw: what comes next is not judged.
        noted.making = if making == NOTHING {
            NOTHING
        } else {
            u64::from(SOME)
        };
        return ptr;
    }
    noted.making = NOTHING;
    let (by, size) = match making {
        NOTHING => (family::MALLOC, size as u64),
        // libstdc++ rounds sizes up before it calls.
        _ => (making as u8 & !SOME, making >> 8),
    };
    let (stack, pid) = stack();
    table::made(ptr as u64, size, by, stack, pid);
    ptr
}

/// Holds a free against its block.
fn going(ptr: *mut u8, by: u8, given: u64) {
    if ptr.is_null() {
        return;
    }
    let noted = noted();
    let (by, given) = if noted.deleting == ptr as u64 {
        noted.deleting = 0;
        (noted.by as u8, noted.given)
    } else {
        (by, given)
    };
    let (here, pid) = stack();
    let mut bad = BadFree {
        freed_by: by,
        ptr: ptr as u64,
        given,
        here,
        ..BadFree::default()
    };
    let Some(known) = table::freed(ptr as u64, here, pid) else {
        if table::is_complete() && UNKNOWN.fetch_add(1, Relaxed) < MOST_UNKNOWN {
            bad.what = bad_free::UNKNOWN;
            write(&bad);
        }
        return;
    };
    (bad.made_by, bad.size, bad.made, bad.freed) =
        (known.made_by, known.size, known.made, known.freed);
    bad.what = if !known.live {
        bad_free::DOUBLE
    } else if known.made_by != family::UNKNOWN && known.made_by != by {
        bad_free::FAMILY
    } else if given != 0 && given - 1 != known.size {
        bad_free::SIZE
    } else {
        return;
    };
    if WRITTEN.fetch_add(1, Relaxed) < MOST {
        write(&bad);
    }
}

fn write(bad: &BadFree) {
    let thread = thread::ready();
    if !thread.is_null() {
        let mut buffer = [0u8; 64];
        let mut out = Out::new(&mut buffer);
        bad.encode(&mut out);
        // SAFETY: this thread's state.
        unsafe { thread::blob(thread, BlobKind::BadFree, out.written()) };
        thread::release_borrowed(thread);
    }
}

unsafe extern "C" fn malloc(size: usize) -> *mut u8 {
    made(real!(MALLOC as fn(usize) -> *mut u8, size), size)
}

unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
    made(
        real!(CALLOC as fn(usize, usize) -> *mut u8, count, size),
        count.wrapping_mul(size),
    )
}

/// The old block is marked as freed before the call: afterwards its place may be another thread's.
unsafe extern "C" fn realloc(old: *mut u8, size: usize) -> *mut u8 {
    going(old, family::MALLOC, 0);
    let new = real!(REALLOC as fn(*mut u8, usize) -> *mut u8, old, size);
    if new.is_null() {
        if size != 0 && !old.is_null() {
            table::revived(old as u64);
        }
        return new;
    }
    made(new, size)
}

unsafe extern "C" fn posix_memalign(out: *mut *mut u8, align: usize, size: usize) -> i32 {
    let result = real!(
        POSIX_MEMALIGN as fn(*mut *mut u8, usize, usize) -> i32,
        out,
        align,
        size
    );
    // SAFETY: on success the allocator has written there.
    made(
        if result == 0 {
            unsafe { *out }
        } else {
            null_mut()
        },
        size,
    );
    result
}

unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
    made(
        real!(ALIGNED_ALLOC as fn(usize, usize) -> *mut u8, align, size),
        size,
    )
}

unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut u8 {
    made(
        real!(MEMALIGN as fn(usize, usize) -> *mut u8, align, size),
        size,
    )
}

unsafe extern "C" fn valloc(size: usize) -> *mut u8 {
    made(real!(VALLOC as fn(usize) -> *mut u8, size), size)
}

unsafe extern "C" fn pvalloc(size: usize) -> *mut u8 {
    made(real!(PVALLOC as fn(usize) -> *mut u8, size), size)
}

unsafe extern "C" fn free(ptr: *mut u8) {
    going(ptr, family::MALLOC, 0);
    real!(FREE as fn(*mut u8) -> (), ptr)
}

unsafe extern "C" fn free_sized(ptr: *mut u8, size: usize) {
    going(ptr, family::MALLOC, size as u64 + 1);
    real!(FREE_SIZED as fn(*mut u8, usize) -> (), ptr, size)
}

unsafe extern "C" fn free_aligned_sized(ptr: *mut u8, align: usize, size: usize) {
    going(ptr, family::MALLOC, size as u64 + 1);
    real!(
        FREE_ALIGNED_SIZED as fn(*mut u8, usize, usize) -> (),
        ptr,
        align,
        size
    )
}

/// `new!(thunk -> find, slot, family)`: notes the family, unless an outer form did, and goes on in the
/// allocator's function: it may throw, and no frame of ours is in the way.
macro_rules! new {
    ($($name:ident -> $find:ident, $slot:ident, $family:expr;)*) => {$(
        thunk_found!($name -> $find);
        unsafe extern "C" fn $find(size: usize) -> *const c_void {
            let noted = noted();
            if noted.making == NOTHING {
                noted.making = u64::from($family | SOME) | (size as u64) << 8;
            }
            real::$slot.load(Relaxed)
        }
    )*};
}

new! {
    new -> find_new, NEW, family::NEW;
    new_nothrow -> find_new_nothrow, NEW_NOTHROW, family::NEW;
    new_aligned -> find_new_aligned, NEW_ALIGNED, family::NEW;
    new_aligned_nothrow -> find_new_aligned_nothrow, NEW_ALIGNED_NOTHROW, family::NEW;
    new_array -> find_new_array, NEW_ARRAY, family::NEW_ARRAY;
    new_array_nothrow -> find_new_array_nothrow, NEW_ARRAY_NOTHROW, family::NEW_ARRAY;
    new_array_aligned -> find_new_array_aligned, NEW_ARRAY_ALIGNED, family::NEW_ARRAY;
    new_array_aligned_nothrow -> find_new_array_aligned_nothrow, NEW_ARRAY_ALIGNED_NOTHROW, family::NEW_ARRAY;
}

/// `delete!(thunk -> find, slot, family, sized)`: the same for the block that is going.
macro_rules! delete {
    ($($name:ident -> $find:ident, $slot:ident, $family:expr, $sized:literal;)*) => {$(
        thunk_found!($name -> $find);
        unsafe extern "C" fn $find(ptr: u64, size: usize) -> *const c_void {
            let noted = noted();
            if noted.deleting != ptr {
                noted.deleting = ptr;
                noted.by = u64::from($family);
                noted.given = if $sized { size as u64 + 1 } else { 0 };
            }
            real::$slot.load(Relaxed)
        }
    )*};
}

delete! {
    delete -> find_delete, DELETE, family::NEW, false;
    delete_nothrow -> find_delete_nothrow, DELETE_NOTHROW, family::NEW, false;
    delete_aligned -> find_delete_aligned, DELETE_ALIGNED, family::NEW, false;
    delete_aligned_nothrow -> find_delete_aligned_nothrow, DELETE_ALIGNED_NOTHROW, family::NEW, false;
    delete_sized -> find_delete_sized, DELETE_SIZED, family::NEW, true;
    delete_sized_aligned -> find_delete_sized_aligned, DELETE_SIZED_ALIGNED, family::NEW, true;
    delete_array -> find_delete_array, DELETE_ARRAY, family::NEW_ARRAY, false;
    delete_array_nothrow -> find_delete_array_nothrow, DELETE_ARRAY_NOTHROW, family::NEW_ARRAY, false;
    delete_array_aligned -> find_delete_array_aligned, DELETE_ARRAY_ALIGNED, family::NEW_ARRAY, false;
    delete_array_aligned_nothrow -> find_delete_array_aligned_nothrow, DELETE_ARRAY_ALIGNED_NOTHROW, family::NEW_ARRAY, false;
    delete_array_sized -> find_delete_array_sized, DELETE_ARRAY_SIZED, family::NEW_ARRAY, true;
    delete_array_sized_aligned -> find_delete_array_sized_aligned, DELETE_ARRAY_SIZED_ALIGNED, family::NEW_ARRAY, true;
}
