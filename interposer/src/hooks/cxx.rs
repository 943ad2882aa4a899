//! operator new and delete.
//!
//! Recorded only where they come from the same module as malloc (jemalloc,
//! tcmalloc, mimalloc). libstdc++'s call malloc, whose hook sees the block; to
//! record both would count it twice. The thunks leave no frame behind, so that
//! `std::bad_alloc` passes.

use crate::arch::tls;
use crate::originals::{self, *};
use crate::symbols::{self, Module, Name};
use crate::{call, events, thread, thunk_before, thunk_else, thunk_or};
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Bit 31: decided. Bit `k`: the form at place `k` of [`NEWS`] and then [`DELETES`] is recorded.
/// Decided form by form: an allocator may define some, and libstdc++'s others
/// call those or malloc.
static MODE: AtomicU32 = AtomicU32::new(0);
const DECIDED: u32 = 1 << 31;

#[inline(always)]
fn recorded(form: usize) -> bool {
    let mode = MODE.load(Relaxed);
    let mode = if mode == 0 { decide() } else { mode };
    mode >> form & 1 != 0
}

/// Decides now. Whether no form is recorded by itself: each calls malloc or free.
pub fn all_call_hooks() -> bool {
    let mode = MODE.load(Relaxed);
    let mode = if mode == 0 { decide() } else { mode };
    mode == DECIDED
}

#[cold]
fn decide() -> u32 {
    if !originals::resolved() {
        // The form is called all the same.
        fill_gaps();
        return 0;
    }
    let mut mode = DECIDED;
    for (place, slot) in NEWS.iter().chain(&DELETES).enumerate() {
        mode |= u32::from(originals::same_module(slot, &MALLOC) && !calls_hooks(place)) << place;
    }
    // A plain new is recorded through its nothrow twin, the form after it.
    for place in [0, 2, 4, 6] {
        if mode >> (place + 1) & 1 == 0 {
            mode &= !(1 << place);
        }
    }
    fill_gaps();
    MODE.store(mode, Relaxed);
    mode
}

/// `new!(symbol -> body, slot; place in [`MODE`], nothrow twin, aligned?)`
macro_rules! new {
    ($name:ident -> $body:ident, $slot:ident; $form:literal, $nothrow:ident, $aligned:literal) => {
        thunk_or!($name -> $body, $slot);
        unsafe extern "C" fn $body(size: usize, align: usize, _: usize, slot: *const u64, fp: u64) -> *mut u8 {
            if !recorded($form) {
                return null_mut();
            }
            // SAFETY: the twins have these types; slot and fp come from the thunk.
            unsafe {
                let ptr = if $aligned {
                    call!($nothrow as fn(usize, usize, &u64) -> *mut u8, size, align, &NOTHROW)
                } else {
                    call!($nothrow as fn(usize, &u64) -> *mut u8, size, &NOTHROW)
                };
                if !ptr.is_null() {
                    events::alloc(ptr, size, slot, fp);
                }
                ptr
            }
        }
    };
}

/// An object to point at where `std::nothrow` is wanted.
static NOTHROW: u64 = 0;

new!(_Znwm -> new_body, NEW; 0, NEW_NOTHROW, false);
new!(_ZnwmRKSt9nothrow_t -> new_nothrow_body, NEW_NOTHROW; 1, NEW_NOTHROW, false);
new!(_Znam -> new_array_body, NEW_ARRAY; 2, NEW_ARRAY_NOTHROW, false);
new!(_ZnamRKSt9nothrow_t -> new_array_nothrow_body, NEW_ARRAY_NOTHROW; 3, NEW_ARRAY_NOTHROW, false);
new!(_ZnwmSt11align_val_t -> new_aligned_body, NEW_ALIGNED; 4, NEW_ALIGNED_NOTHROW, true);
new!(_ZnwmSt11align_val_tRKSt9nothrow_t -> new_aligned_nothrow_body, NEW_ALIGNED_NOTHROW; 5, NEW_ALIGNED_NOTHROW, true);
new!(_ZnamSt11align_val_t -> new_array_aligned_body, NEW_ARRAY_ALIGNED; 6, NEW_ARRAY_ALIGNED_NOTHROW, true);
new!(_ZnamSt11align_val_tRKSt9nothrow_t -> new_array_aligned_nothrow_body, NEW_ARRAY_ALIGNED_NOTHROW; 7, NEW_ARRAY_ALIGNED_NOTHROW, true);

/// `delete!(symbol, before, slot; place in [`MODE`])`
macro_rules! delete {
    ($name:ident, $before:ident, $slot:ident; $form:literal) => {
        thunk_before!($name -> $before, $slot);
        unsafe extern "C" fn $before(ptr: *mut u8) {
            if recorded($form) && !ptr.is_null() {
                events::free(ptr);
            }
        }
    };
}

delete!(_ZdlPv, before_delete, DELETE; 8);
delete!(_ZdaPv, before_delete_array, DELETE_ARRAY; 9);
delete!(_ZdlPvm, before_delete_sized, DELETE_SIZED; 10);
delete!(_ZdaPvm, before_delete_array_sized, DELETE_ARRAY_SIZED; 11);
delete!(_ZdlPvRKSt9nothrow_t, before_delete_nothrow, DELETE_NOTHROW; 12);
delete!(_ZdaPvRKSt9nothrow_t, before_delete_array_nothrow, DELETE_ARRAY_NOTHROW; 13);
delete!(_ZdlPvSt11align_val_t, before_delete_aligned, DELETE_ALIGNED; 14);
delete!(_ZdaPvSt11align_val_t, before_delete_array_aligned, DELETE_ARRAY_ALIGNED; 15);
delete!(_ZdlPvmSt11align_val_t, before_delete_sized_aligned, DELETE_SIZED_ALIGNED; 16);
delete!(_ZdaPvmSt11align_val_t, before_delete_array_sized_aligned, DELETE_ARRAY_SIZED_ALIGNED; 17);
delete!(_ZdlPvSt11align_val_tRKSt9nothrow_t, before_delete_aligned_nothrow, DELETE_ALIGNED_NOTHROW; 18);
delete!(_ZdaPvSt11align_val_tRKSt9nothrow_t, before_delete_array_aligned_nothrow, DELETE_ARRAY_ALIGNED_NOTHROW; 19);

/// Whether a form calls malloc or free through their exported names (jemalloc's
/// do), so that the block is recorded there. Found out by trying it.
fn calls_hooks(form: usize) -> bool {
    let Some(slot) = NEWS.iter().chain(&DELETES).nth(form) else {
        return false;
    };
    let function = slot.load(Relaxed);
    let before = tls::get();
    tls::set(thread::PROBING);
    let passed = thread::passed_by();
    let aligned = matches!(form, 4..=7 | 14..=19);
    // SAFETY: the forms have these types (further arguments do no harm); what is
    // made is freed by the same allocator.
    unsafe {
        let block = || {
            let mut out: *mut u8 = null_mut();
            call!(
                POSIX_MEMALIGN as fn(*mut *mut u8, usize, usize) -> i32,
                &mut out,
                16,
                16
            );
            out
        };
        // (size[, align], nothrow): the one that is not meant is a valid pointer or 16.
        let second = if aligned {
            16
        } else {
            &raw const NOTHROW as usize
        };
        if form < 8 {
            let new = core::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(usize, usize, &u64) -> *mut u8,
            >(function);
            let made = new(16, second, &NOTHROW);
            call!(FREE as fn(*mut u8) -> (), made);
        } else {
            let delete = core::mem::transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut u8, usize, usize),
            >(function);
            // Sized forms: (block, size[, align]); others (block[, align][, nothrow]).
            delete(
                block(),
                if matches!(form, 10 | 11 | 16 | 17) {
                    16
                } else {
                    second
                },
                16,
            );
        }
    }
    tls::set(before);
    thread::passed_by() != passed
}

/// A program without C++ that loads a C++ library later, privately: its new and
/// delete bind to ours, and there is no next one in our search order. Each empty
/// slot gets a function that does the same as libstdc++'s.
fn fill_gaps() {
    let fill = |slot: &Slot, gap: *const ()| {
        // Fails if there is one, which another thread may be finding at this moment.
        let _ = slot.compare_exchange(null_mut(), gap as *mut c_void, Relaxed, Relaxed);
    };
    fill(&NEW, gap_new as *const ());
    fill(&NEW_NOTHROW, gap_new_nothrow as *const ());
    fill(&NEW_ARRAY, gap_new as *const ());
    fill(&NEW_ARRAY_NOTHROW, gap_new_nothrow as *const ());
    fill(&NEW_ALIGNED, gap_new_aligned as *const ());
    fill(&NEW_ARRAY_ALIGNED, gap_new_aligned as *const ());
    fill(&NEW_ALIGNED_NOTHROW, gap_new_aligned_nothrow as *const ());
    fill(
        &NEW_ARRAY_ALIGNED_NOTHROW,
        gap_new_aligned_nothrow as *const (),
    );
    for slot in DELETES {
        fill(slot, super::allocate::free as *const ());
    }
}

/// A function of a library that is loaded, wherever, and stays so from now on; null if
/// there is none.
pub fn in_loaded(libraries: &[&CStr], name: &CStr) -> *mut c_void {
    for library in libraries {
        // SAFETY: NUL-terminated names; NOLOAD only looks.
        unsafe {
            let handle = libc::dlopen(library.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            if !handle.is_null() {
                let found = libc::dlsym(handle, name.as_ptr());
                if !found.is_null() {
                    return found;
                }
            }
        }
    }
    null_mut()
}

/// Whether a module is the C++ library.
fn is_cxx(module: &Module) -> bool {
    [b"libstdc++.so".as_slice(), b"libc++.so", b"libc++abi.so"]
        .iter()
        .any(|stem| module.is_named(stem))
}

/// `gap!(thunk -> body; find, symbol)`: what is in the place of a missing new: malloc,
/// or posix_memalign, as the loaded libstdc++'s would call it. Only when that has no
/// memory is libstdc++'s own looked for, to call the handler and throw. Not by `dlopen`:
/// the loader's lock may be held by a thread that waits for this one, in a library's
/// constructor. And nothing is kept: the library may be unloaded.
macro_rules! gap {
    ($name:ident -> $body:ident; $find:ident, $symbol:literal) => {
        thunk_else!($name -> $body, $find);
        unsafe extern "C" fn $find() -> *const c_void {
            // SAFETY: this thread's errno.
            let errno = unsafe { *libc::__errno_location() };
            let [found] = symbols::find([const { Name::new($symbol) }], is_cxx);
            // SAFETY: as above.
            unsafe { *libc::__errno_location() = errno };
            if found.is_null() { nothing as *const c_void } else { found }
        }
    };
}

gap!(gap_new -> gap_body; find_new, "_Znwm");
gap!(gap_new_nothrow -> gap_body; find_new_nothrow, "_ZnwmRKSt9nothrow_t");
gap!(gap_new_aligned -> gap_aligned_body; find_new_aligned, "_ZnwmSt11align_val_t");
gap!(gap_new_aligned_nothrow -> gap_aligned_body; find_new_aligned_nothrow, "_ZnwmSt11align_val_tRKSt9nothrow_t");

unsafe extern "C" fn gap_body(
    size: usize,
    _: usize,
    _: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    // SAFETY: slot and fp come from the thunk.
    unsafe { super::allocate::malloc_body(size.max(1), slot, fp) }
}

unsafe extern "C" fn gap_aligned_body(
    size: usize,
    align: usize,
    _: usize,
    slot: *const u64,
    fp: u64,
) -> *mut u8 {
    let mut out = null_mut();
    // SAFETY: as above; null stays where there is no memory.
    unsafe { super::allocate::posix_memalign_body(&mut out, align.max(8), size.max(1), slot, fp) };
    out
}

/// No C++ library that could throw.
extern "C" fn nothing() -> *mut u8 {
    null_mut()
}
