//! Loading and unloading of libraries, and unwind tables of generated code.

use crate::global;
use crate::originals::{self, *};
use crate::unwind::{cache, registered};
use crate::{call, thread, thunk_before};
use core::sync::atomic::Ordering::Relaxed;
use log_format::layout::flag;

/// `RTLD_DEEPBIND`: the library's own symbols come first, so it bypasses hooks.
const DEEPBIND: u64 = 8;

unsafe extern "C" fn before_dlopen(_name: u64, flags: u64) {
    note_flags(flags);
}

unsafe extern "C" fn before_dlmopen(_namespace: u64, _name: u64, flags: u64) {
    note_flags(flags);
}

fn note_flags(flags: u64) {
    originals::resolved();
    if flags & DEEPBIND != 0
        && let Some(header) = global::get().and_then(|g| g.file.header())
    {
        header.flags.fetch_or(flag::DEEPBIND, Relaxed);
    }
}

thunk_before!(dlopen -> before_dlopen, DLOPEN);
thunk_before!(dlmopen -> before_dlmopen, DLMOPEN);

/// Hook; see the table.
///
/// # Safety
/// As `dlclose`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(handle: *mut core::ffi::c_void) -> i32 {
    if !originals::resolved() {
        return -1;
    }
    // SAFETY: dlclose's contract is the caller's.
    let result = unsafe { call!(DLCLOSE as fn(*mut core::ffi::c_void) -> i32, handle) };
    if let Some(global) = global::recording() {
        global.modules.sweep(global, thread::ready());
        cache::invalidate(global);
    }
    result
}

unsafe extern "C" fn before_register(begin: *const u8) {
    originals::resolved();
    if REGISTER_FRAME.load(Relaxed).is_null() {
        fill(&REGISTER_FRAME, c"__register_frame");
    }
    // SAFETY: the program registers a well-formed section.
    unsafe { registered::add(begin) };
}

unsafe extern "C" fn before_deregister(begin: *const u8) {
    originals::resolved();
    if DEREGISTER_FRAME.load(Relaxed).is_null() {
        fill(&DEREGISTER_FRAME, c"__deregister_frame");
    }
    registered::remove(begin);
    if let Some(global) = global::get() {
        cache::invalidate(global);
    }
}

/// libgcc was loaded privately: find it where it is.
fn fill(slot: &Slot, name: &core::ffi::CStr) {
    unsafe extern "C" fn nothing() {}
    let found = super::cxx::in_loaded(&[c"libgcc_s.so.1"], name);
    slot.store(
        if found.is_null() {
            nothing as *mut core::ffi::c_void
        } else {
            found
        },
        Relaxed,
    );
}

thunk_before!(__register_frame -> before_register, REGISTER_FRAME);
thunk_before!(__deregister_frame -> before_deregister, DEREGISTER_FRAME);
