//! operator new and delete.
//!
//! Recorded only where they come from the same module as malloc (jemalloc,
//! tcmalloc, mimalloc). libstdc++'s call malloc, whose hook sees the block; to
//! record both would count it twice. The thunks leave no frame behind, so that
//! `std::bad_alloc` passes.

use crate::originals::{self, *};
use crate::{call, events, thunk_before, thunk_found, thunk_or};
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// 0: not yet looked at, 1: record, 2: pass on.
static MODE: AtomicU32 = AtomicU32::new(0);

#[inline(always)]
fn recorded() -> bool {
    match MODE.load(Relaxed) {
        0 => decide(),
        mode => mode == 1,
    }
}

#[cold]
fn decide() -> bool {
    if !originals::resolved() {
        return false;
    }
    let same = originals::same_module(&NEW, &MALLOC);
    fill_gaps();
    MODE.store(if same { 1 } else { 2 }, Relaxed);
    same
}

/// `new!(symbol -> body, slot; nothrow twin, aligned?)`
macro_rules! new {
    ($name:ident -> $body:ident, $slot:ident; $nothrow:ident, $aligned:literal) => {
        thunk_or!($name -> $body, $slot);
        unsafe extern "C" fn $body(size: usize, align: usize, _: usize, slot: *const u64, fp: u64) -> *mut u8 {
            if !recorded() {
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

new!(_Znwm -> new_body, NEW; NEW_NOTHROW, false);
new!(_ZnwmRKSt9nothrow_t -> new_nothrow_body, NEW_NOTHROW; NEW_NOTHROW, false);
new!(_Znam -> new_array_body, NEW_ARRAY; NEW_ARRAY_NOTHROW, false);
new!(_ZnamRKSt9nothrow_t -> new_array_nothrow_body, NEW_ARRAY_NOTHROW; NEW_ARRAY_NOTHROW, false);
new!(_ZnwmSt11align_val_t -> new_aligned_body, NEW_ALIGNED; NEW_ALIGNED_NOTHROW, true);
new!(_ZnwmSt11align_val_tRKSt9nothrow_t -> new_aligned_nothrow_body, NEW_ALIGNED_NOTHROW; NEW_ALIGNED_NOTHROW, true);
new!(_ZnamSt11align_val_t -> new_array_aligned_body, NEW_ARRAY_ALIGNED; NEW_ARRAY_ALIGNED_NOTHROW, true);
new!(_ZnamSt11align_val_tRKSt9nothrow_t -> new_array_aligned_nothrow_body, NEW_ARRAY_ALIGNED_NOTHROW; NEW_ARRAY_ALIGNED_NOTHROW, true);

unsafe extern "C" fn deleting(ptr: *mut u8) {
    if recorded() && !ptr.is_null() {
        events::free(ptr);
    }
}

thunk_before!(_ZdlPv -> deleting, DELETE);
thunk_before!(_ZdaPv -> deleting, DELETE_ARRAY);
thunk_before!(_ZdlPvm -> deleting, DELETE_SIZED);
thunk_before!(_ZdaPvm -> deleting, DELETE_ARRAY_SIZED);
thunk_before!(_ZdlPvRKSt9nothrow_t -> deleting, DELETE_NOTHROW);
thunk_before!(_ZdaPvRKSt9nothrow_t -> deleting, DELETE_ARRAY_NOTHROW);
thunk_before!(_ZdlPvSt11align_val_t -> deleting, DELETE_ALIGNED);
thunk_before!(_ZdaPvSt11align_val_t -> deleting, DELETE_ARRAY_ALIGNED);
thunk_before!(_ZdlPvmSt11align_val_t -> deleting, DELETE_SIZED_ALIGNED);
thunk_before!(_ZdaPvmSt11align_val_t -> deleting, DELETE_ARRAY_SIZED_ALIGNED);
thunk_before!(_ZdlPvSt11align_val_tRKSt9nothrow_t -> deleting, DELETE_ALIGNED_NOTHROW);
thunk_before!(_ZdaPvSt11align_val_tRKSt9nothrow_t -> deleting, DELETE_ARRAY_ALIGNED_NOTHROW);

/// A program without C++ that loads a C++ library later, privately: its new and
/// delete bind to ours, and there is no next one in our search order. Each empty
/// slot gets a function that looks in the loaded libstdc++ then.
fn fill_gaps() {
    let fill = |slot: &Slot, gap: *const ()| {
        if slot.load(Relaxed).is_null() {
            slot.store(gap as *mut c_void, Relaxed);
        }
    };
    fill(&NEW, gap_new as *const ());
    fill(&NEW_NOTHROW, gap_new_nothrow as *const ());
    fill(&NEW_ARRAY, gap_new as *const ());
    fill(&NEW_ARRAY_NOTHROW, gap_new_nothrow as *const ());
    fill(&NEW_ALIGNED, gap_new_aligned as *const ());
    fill(&NEW_ARRAY_ALIGNED, gap_new_aligned as *const ());
    fill(&NEW_ALIGNED_NOTHROW, gap_new_aligned_nothrow as *const ());
    fill(&NEW_ARRAY_ALIGNED_NOTHROW, gap_new_aligned_nothrow as *const ());
    for slot in [
        &DELETE, &DELETE_ARRAY, &DELETE_SIZED, &DELETE_ARRAY_SIZED, &DELETE_NOTHROW, &DELETE_ARRAY_NOTHROW,
        &DELETE_ALIGNED, &DELETE_ARRAY_ALIGNED, &DELETE_SIZED_ALIGNED, &DELETE_ARRAY_SIZED_ALIGNED,
        &DELETE_ALIGNED_NOTHROW, &DELETE_ARRAY_ALIGNED_NOTHROW,
    ] {
        fill(slot, super::allocate::free as *const ());
    }
}

/// A function of a library that is loaded, wherever; null if there is none.
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

const CXX: &[&CStr] = &[c"libstdc++.so.6", c"libc++.so.1", c"libc++abi.so.1"];

// Jumps, because the function that is found may throw.
thunk_found!(gap_new -> find_new);
thunk_found!(gap_new_aligned -> find_new_aligned);

unsafe extern "C" fn find_new(_size: usize) -> *const c_void {
    let found = in_loaded(CXX, c"_Znwm").cast_const();
    if found.is_null() || found == _Znwm as *const c_void { gap_new_nothrow as *const c_void } else { found }
}

unsafe extern "C" fn find_new_aligned(_size: usize, _align: usize) -> *const c_void {
    let found = in_loaded(CXX, c"_ZnwmSt11align_val_t").cast_const();
    let own = _ZnwmSt11align_val_t as *const c_void;
    if found.is_null() || found == own { gap_new_aligned_nothrow as *const c_void } else { found }
}

unsafe extern "C" fn gap_new_nothrow(size: usize) -> *mut u8 {
    // SAFETY: malloc's type.
    unsafe { libc::malloc(size.max(1)).cast() }
}

unsafe extern "C" fn gap_new_aligned_nothrow(size: usize, align: usize) -> *mut u8 {
    let mut out = null_mut();
    // SAFETY: posix_memalign's type.
    unsafe { libc::posix_memalign(&mut out, align.max(8), size.max(1)) };
    out.cast()
}
