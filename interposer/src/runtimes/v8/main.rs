//! Before the program's main function: flags for V8, which must be set before it starts.

use super::api::{self, Api};
use crate::originals;
use crate::{global, start, thunk_first};
use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};

/// Each interpreted function runs in a copy of the interpreter's entry of its own, which
/// has a name.
const FRAMES: &CStr = c"--interpreted-frames-native-stack";
/// Calls stay calls.
const EXACT: &CStr = c"--no-turbo-inlining";
/// The same for the compiler that came with V8 11.
const EXACT_MAGLEV: &CStr = c"--no-maglev-inlining";
/// A function whose optimized code was discarded runs in the interpreter's common entry, without a
/// name, until it is compiled again: no longer than until it is hot, whatever else the machine does.
const EXACT_AT_ONCE: &CStr = c"--no-concurrent-recompilation";
/// First version whose second compiler inlines and has the flag.
const MAGLEV: u32 = 12;
/// First version whose CPU profiler takes no lock for [`FRAMES`] in its signal handler, which may have interrupted
/// the thread that holds it.
const PROFILED: u32 = 12;

/// The program's own main function.
pub static MAIN: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// `__libc_start_main` is about to run `main`; returns what it shall run instead.
unsafe extern "C" fn before_start(main: *mut c_void) -> *mut c_void {
    originals::resolved();
    // Also begins the log, if the constructor could not.
    if start::variable(b"LEAK_JS") == b"0" || global::recording().is_none() {
        return main;
    }
    // SAFETY: only one thread, and libc calls this once.
    match unsafe { api::find() } {
        // SAFETY: as above.
        api::Presence::Whole => unsafe { super::optional::find(&super::SUBJECTS) },
        api::Presence::None => return main,
        api::Presence::Part => {
            super::note(b"V8 in this program lacks a function that leak needs: JavaScript frames have no names");
            return main;
        }
    }
    MAIN.store(main, Relaxed);
    crate::arch::thunk::run_main as *mut c_void
}

thunk_first!(__libc_start_main -> before_start, originals::START_MAIN);

/// Called by [`crate::arch::thunk::run_main`] with main's arguments.
///
/// # Safety
/// `argv` is a null-terminated array of C strings.
pub unsafe extern "C" fn set_flags(_argc: i32, argv: *const *const c_char) {
    let Some(api) = api::get() else { return };
    // SAFETY: the caller's promise; V8 copies the strings and has not started.
    unsafe {
        if has_option(argv, &[b"inspect", b"heap-prof"]) {
            INSPECTED.store(true, Relaxed);
        }
        if needs_equal_flags(argv) {
            super::note(b"started with or for a startup snapshot: interpreted JavaScript functions have no names");
            return;
        }
        if has_option(argv, &[b"jitless", b"lite-mode"]) {
            super::note(b"V8 makes no code for functions (--jitless, --lite-mode): JavaScript frames have no names in native stacks");
        }
        if major(api) < PROFILED && has_option(argv, &[b"cpu-prof", b"--prof", b"inspect"]) {
            super::note(b"V8 of this version could hang in its CPU profiler: interpreted JavaScript functions have no names");
        } else {
            (api.set_flags)(FRAMES.as_ptr());
        }
        let wanted = start::variable(b"LEAK_JS");
        if !matches!(wanted, b"" | b"1" | b"exact") {
            super::note(b"LEAK_JS is neither 0 nor exact: it is taken as not set");
        }
        if wanted == b"exact" {
            IS_EXACT.store(true, Relaxed);
            (api.set_flags)(EXACT.as_ptr());
            (api.set_flags)(EXACT_AT_ONCE.as_ptr());
            if major(api) >= MAGLEV {
                (api.set_flags)(EXACT_MAGLEV.as_ptr());
            }
        }
    }
}

/// First number of V8's version.
pub unsafe fn major(api: &Api) -> u32 {
    // SAFETY: returns a C string.
    let text = unsafe { crate::modules::c_bytes((api.version)()) };
    crate::digits::leading(text) as u32
}

/// Whether Node would refuse to start with other flags than a snapshot was made with. The
/// frames of interpreted functions have no names then.
unsafe fn needs_equal_flags(argv: *const *const c_char) -> bool {
    // SAFETY: the caller's promise.
    unsafe { has_option(argv, &[b"snapshot-blob", b"build-snapshot"]) }
}

/// V8 was told to keep calls.
static IS_EXACT: AtomicBool = AtomicBool::new(false);

/// Whether no call is inlined.
pub fn is_exact() -> bool {
    IS_EXACT.load(Relaxed)
}

/// The program was started with an option for its inspector, or for sampling its heap.
static INSPECTED: AtomicBool = AtomicBool::new(false);

/// Whether somebody else may want the only sampler of the heap.
pub fn is_inspected() -> bool {
    INSPECTED.load(Relaxed)
}

/// Whether an option of Node's has one of these parts in its name.
unsafe fn has_option(argv: *const *const c_char, names: &[&[u8]]) -> bool {
    let is_one = |text: &[u8]| {
        names
            .iter()
            .any(|name| text.windows(name.len()).any(|part| part == *name))
    };
    // SAFETY: the caller's promise.
    unsafe {
        let mut at = argv;
        while !at.is_null() && !(*at).is_null() {
            let argument = crate::modules::c_bytes(*at);
            if argument.starts_with(b"--") && is_one(argument) {
                return true;
            }
            at = at.add(1);
        }
    }
    is_one(start::variable(b"NODE_OPTIONS"))
}
