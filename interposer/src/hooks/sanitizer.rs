//! LeakSanitizer's interface (`sanitizer/lsan_interface.h`), so that a program written for it works
//! unchanged: what it would tell the sanitizer goes into the log.
//!
//! Two directions. The program calls `__lsan_disable` and its kin, which are here. And it may define
//! `__lsan_default_suppressions`, `__lsan_default_options` and `__lsan_is_turned_off`, which are called as
//! the sanitizer calls them: the texts before `main`, the last at exit. Only definitions that the dynamic
//! linker can see are found.

mod options;

use crate::arch::tls;
use crate::collect::finish;
use crate::global;
use crate::originals::{self, *};
use crate::reach::answer::Answer;
use crate::reach::{ask, known};
use crate::symbols::{self, Name};
use crate::thread::{self, ThreadState};
use crate::unwind::capture;
use crate::{call, start, sys, thunk_registers};
use core::ffi::{c_char, c_void};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use log_format::blob::{BlobKind, LeakCheck, RootRegion};
use log_format::layout::State;
use log_format::reach::Outcome;
use log_format::record::MAX_BLOB;
use log_format::varint::Out;

/// Longest text that is taken from a program, bytes.
const MAX_TEXT: usize = 64 << 10;

/// The program's `__lsan_is_turned_off`, if it has one.
static IS_TURNED_OFF: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Takes what the program says of itself. Called once, before its constructors and `main`.
pub fn ask_program() {
    if global::recording().is_none() {
        return;
    }
    let names = [
        "__lsan_default_suppressions",
        "__lsan_default_options",
        "__lsan_is_turned_off",
    ]
    .map(Name::new);
    let [suppressions, options, off] = symbols::find(names, |_| true);
    IS_TURNED_OFF.store(off, Relaxed);
    take_text(suppressions, BlobKind::Suppressions);
    take_text(options, BlobKind::CheckOptions);
}

/// Writes the text that a function of the program's returns.
fn take_text(function: *mut c_void, kind: BlobKind) {
    if function.is_null() {
        return;
    }
    // SAFETY: the interface gives the function this type; it returns null or a C string.
    let text = unsafe {
        let text = core::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(
            function,
        )();
        if text.is_null() {
            return;
        }
        core::slice::from_raw_parts(text.cast::<u8>(), libc::strnlen(text, MAX_TEXT))
    };
    if kind == BlobKind::CheckOptions {
        options::take(text);
    }
    for piece in text.chunks(MAX_BLOB) {
        say(kind, piece);
    }
}

/// Asks the program whether it is to be checked. Called at exit.
pub fn ask_whether_off() {
    let function = IS_TURNED_OFF.load(Relaxed);
    if function.is_null() || global::recording().is_none() {
        return;
    }
    // SAFETY: the interface gives the function this type.
    let off =
        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> i32>(function)() };
    if off != 0 {
        say(BlobKind::ChecksOff, &[]);
    }
}

/// Writes a blob into this thread's ring, without changing errno.
fn say(kind: BlobKind, payload: &[u8]) {
    // SAFETY: this thread's errno, and its state.
    unsafe {
        let errno = *libc::__errno_location();
        let thread = thread::ready();
        if !thread.is_null() {
            if !thread::blob(thread, kind, payload)
                && let Some(global) = global::get()
            {
                thread::lost(global);
            }
            thread::release_borrowed(thread);
        }
        *libc::__errno_location() = errno;
    }
}

/// Calls a sanitizer's own function, if the program has one besides.
macro_rules! pass_on {
    ($slot:ident as fn($($arg:ty),*), $($value:expr),*) => {
        if !$slot.load(Relaxed).is_null() {
            // SAFETY: the function has this type; the arguments are the caller's.
            unsafe { call!($slot as fn($($arg),*) -> (), $($value),*) }
        }
    };
}

/// Changes how deep this thread is in sections that are not checked.
fn change(change: impl FnOnce(usize) -> Option<usize>) {
    let Some(depth) = change(tls::unchecked()) else {
        return;
    };
    tls::set_unchecked(depth);
    let word = tls::get();
    if word > thread::MAX_MARK
        && let Some(global) = global::get()
    {
        // SAFETY: above the marks the word is this thread's state.
        unsafe { (*(word as *mut ThreadState)).arm_extras(global) };
    }
}

/// Blocks that this thread makes from now on are not to be called leaks. Nests.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_disable() {
    if originals::resolved() {
        change(|depth| depth.checked_add(1));
        pass_on!(LSAN_DISABLE as fn(),);
    }
}

/// Ends the effect of the last `__lsan_disable`. Without one it does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_enable() {
    if originals::resolved() {
        change(|depth| depth.checked_sub(1));
        pass_on!(LSAN_ENABLE as fn(),);
    }
}

/// The block that contains `p` is not to be called a leak.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_ignore_object(p: *const c_void) {
    if !originals::resolved() || p.is_null() {
        return;
    }
    let mut buffer = [0u8; 10];
    let mut out = Out::new(&mut buffer);
    out.uint(p as u64);
    say(BlobKind::Ignore, out.written());
    pass_on!(LSAN_IGNORE as fn(*const c_void), p);
}

/// Memory that may point to blocks.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_register_root_region(start: *const c_void, len: usize) {
    if originals::resolved() {
        known::note_region(start as u64, len as u64);
        say_region(start, len, true);
        pass_on!(LSAN_REGISTER as fn(*const c_void, usize), start, len);
    }
}

/// Ends the effect of `__lsan_register_root_region`.
#[unsafe(no_mangle)]
pub extern "C" fn __lsan_unregister_root_region(start: *const c_void, len: usize) {
    if originals::resolved() {
        known::forget_region(start as u64, len as u64);
        say_region(start, len, false);
        pass_on!(LSAN_UNREGISTER as fn(*const c_void, usize), start, len);
    }
}

fn say_region(start: *const c_void, len: usize, begins: bool) {
    let mut buffer = [0u8; 24];
    let mut out = Out::new(&mut buffer);
    RootRegion {
        start: start as u64,
        len: len as u64,
        begins,
    }
    .encode(&mut out);
    say(BlobKind::RootRegion, out.written());
}

thunk_registers!(__lsan_do_leak_check -> leak_check);
thunk_registers!(__lsan_do_recoverable_leak_check -> recoverable_leak_check);

/// The program asks whether it leaks, and ends if it does. Once: later questions have no effect.
unsafe extern "C" fn leak_check(registers: *const u64) {
    if !originals::resolved() || ask::was_last() {
        return;
    }
    let other = !LSAN_CHECK.load(Relaxed).is_null();
    // SAFETY: registers come from the thunk.
    let answer = unsafe { question(registers, true, other) };
    if other {
        pass_on!(LSAN_CHECK as fn(),);
    } else if answer.lost > 0 {
        end(answer);
    }
}

/// The program asks whether it leaks. Returns whether it does, as far as is known.
unsafe extern "C" fn recoverable_leak_check(registers: *const u64) -> i32 {
    if !originals::resolved() {
        return 0;
    }
    let other = !LSAN_CHECK_RECOVERABLE.load(Relaxed).is_null();
    // SAFETY: registers come from the thunk; the function has this type.
    unsafe {
        let answer = question(registers, false, other);
        if other {
            return call!(LSAN_CHECK_RECOVERABLE as fn() -> i32,);
        }
        i32::from(answer.lost > 0)
    }
}

/// Looks for the answer, and writes both into the log. `other`: a sanitizer in the program is
/// asked instead.
unsafe fn question(registers: *const u64, last: bool, other: bool) -> Answer {
    // SAFETY: this thread's errno and state; registers come from the thunk: rbp is the second
    // word, the return address the eighth.
    unsafe {
        let errno = *libc::__errno_location();
        let thread = thread::ready();
        let mut found = Err(Outcome::Off);
        if !thread.is_null() {
            let stack = capture(thread, registers.add(7), *registers.add(1));
            let looks = !other && options::detects() && start::variable(b"LEAK_REACH") != b"0";
            if let Some(global) = global::get().filter(|_| looks) {
                found = ask::ask(global, thread, registers, options::suppressions(), last);
            }
            let answer = found.unwrap_or_default();
            let mut buffer = [0u8; 64];
            let mut out = Out::new(&mut buffer);
            LeakCheck {
                stack,
                lost: found.ok().map(|answer| answer.lost),
                bytes: answer.bytes,
                set_aside: answer.set_aside,
                outcome: found.err().unwrap_or(Outcome::Done),
                last,
            }
            .encode(&mut out);
            thread::blob(thread, BlobKind::LeakCheck, out.written());
            thread::release_borrowed(thread);
        }
        *libc::__errno_location() = errno;
        found.unwrap_or_default()
    }
}

/// Ends the process as LeakSanitizer does, unless its options say otherwise: no handlers, its
/// exit code. The one line is all that anybody would see of the reason.
fn end(answer: Answer) {
    let (Some(global), status) = (global::get(), options::exit_code()) else {
        return;
    };
    if status == 0 {
        return;
    }
    let mut line = [0u8; 1024];
    let mut out = Out::new(&mut line);
    out.bytes(b"leak: __lsan_do_leak_check: ");
    crate::digits::decimal(&mut out, answer.bytes);
    out.bytes(b" bytes lost in ");
    crate::digits::decimal(&mut out, answer.lost);
    out.bytes(if answer.lost == 1 {
        b" block, exit status ".as_slice()
    } else {
        b" blocks, exit status "
    });
    crate::digits::decimal(&mut out, status);
    out.bytes(b"; see: leak report ");
    let path = global.file.path();
    out.bytes(path.strip_suffix(b"\0").unwrap_or(path));
    out.byte(b'\n');
    sys::stderr(out.written());
    finish::finish(State::Exited, i32::from(status));
    sys::exit_group(status);
}
