//! V8 in Node: names of the code that it makes at run time.
//!
//! Everything goes through V8's C++ interface, which every official build of Node exports;
//! without it nothing here runs. No JavaScript is run, no file is loaded, and `NODE_OPTIONS`
//! is not touched.
//!
//! Moments:
//!
//! * before `main`, flags are set ([`main::set_flags`]): without one of them V8 runs all
//!   interpreted functions in the same code, which nobody could tell apart;
//! * on each isolate's own thread, as Node makes its part of it ([`getegid`]) or at the first *safe point*, V8 is asked to tell of the code
//!   it has and will make ([`code`]). A safe point is a system call that Node makes for
//!   JavaScript or while it waits, with the isolate entered and neither a collection nor a
//!   compiler running: there an addon could call V8 as well. Asking for the current directory
//!   (for a relative path, `-e`, standard input) and for a file's state (`statx`, for an
//!   absolute path) are such calls that all versions make, in each thread, before the
//!   program's own code; waiting for events is the last chance.

pub mod api;
mod array_buffers;
pub mod code;
pub mod command;
mod copy;
mod end;
mod handles;
pub mod isolate;
pub mod main;
mod new_file;
mod optional;
mod pulse;
mod room;
mod sampling;
mod snapshot;
mod stream;
mod usage;

use crate::global;
use crate::{call, originals, thread, thunk_before};
use api::Api;
use core::sync::atomic::Ordering::Relaxed;
use log_format::blob::BlobKind;
use log_format::varint::Out;
use optional::Subject;

/// What is used of V8 besides [`api`]; each may be missing without the others.
const SUBJECTS: [&dyn Subject; 16] = [
    &code::API,
    &handles::API,
    &handles::DELETE_EXTENSIONS,
    &pulse::API,
    &end::API,
    &usage::API,
    &array_buffers::API,
    &sampling::API,
    &sampling::STRINGS,
    &sampling::STRINGS_V2,
    &command::API,
    &snapshot::API,
    &snapshot::TAKE,
    &snapshot::TAKE_LATER,
    &snapshot::TAKE_WITH,
    &snapshot::LIMIT,
];

/// V8's states in which its heap and its compiler are at rest
/// (`StateTag` in `v8-unwinder.h`): running JavaScript, in a callback, waiting.
const AT_REST: [u16; 3] = [0, 6, 8];

/// Before a system call that may be a safe point.
pub extern "C" fn before_call() {
    originals::resolved();
    if let Some(api) = api::get() {
        safe_point(api, Moment::Any);
    }
}

/// Hook. Node asks for the group, before it believes its environment, while it makes what belongs to a worker:
/// nothing of Node's own JavaScript has run there, or (Node 18) hardly any.
///
/// # Safety
/// As `getegid`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getegid() -> libc::gid_t {
    if originals::resolved()
        && let Some(api) = api::get()
    {
        safe_point(api, Moment::Early);
    }
    // SAFETY: no arguments.
    unsafe {
        if originals::GETEGID.load(Relaxed).is_null() {
            return crate::arch::syscall::syscall6(libc::SYS_getegid, 0, 0, 0, 0, 0, 0) as u32;
        }
        call!(GETEGID as fn() -> libc::gid_t,)
    }
}

thunk_before!(getcwd -> before_call, originals::GETCWD);
thunk_before!(epoll_wait -> before_call, originals::EPOLL_WAIT);
thunk_before!(epoll_pwait -> before_call, originals::EPOLL_PWAIT);

/// What may be done at a safe point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Node's part of the isolate is not whole yet: its code can be asked for. Only after another
    /// isolate's [`Moment::Any`]: before V8 is there, not even the current isolate may be asked for.
    Early,
    /// Everything.
    Any,
}

#[inline]
fn safe_point(api: &'static Api, moment: Moment) {
    let Some(global) = global::recording() else {
        return;
    };
    if moment == Moment::Early && !global.isolates.any_began() {
        return;
    }
    // SAFETY: the function reads a thread-local variable.
    let isolate = unsafe { (api.current)() };
    if isolate.is_null() {
        return;
    }
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state.
    let serial = unsafe { (*thread).serial };
    let known = global.isolates.of(isolate, serial);
    let has_nothing = |state: &isolate::State| {
        !state.is_of(isolate) || moment == Moment::Early || !pulse::is_due(state)
    };
    if known.is_some_and(has_nothing) {
        return;
    }
    // SAFETY: the thread's current isolate.
    if !unsafe { is_at_rest(api, isolate, moment) } {
        return;
    }
    // The call that follows may leave the number as it is.
    keeping_errno(|| {
        if let Some(state) = known
            && state.begun.load(Relaxed)
        {
            pulse::safe_point(global, state);
            return;
        }
        // Under a filter of system calls nothing may be mapped.
        if global.filtered.load(Relaxed) != 0 {
            return;
        }
        // SAFETY: a safe point, see the module.
        unsafe {
            let state = match known {
                Some(state) => state,
                None => {
                    let Some(state) = global.isolates.begin(isolate, serial) else {
                        if !global.isolates_left_out.swap(true, Relaxed) {
                            note(b"too many threads with JavaScript at one time: of some nothing is said but native stacks");
                        }
                        return;
                    };
                    code::listen(global, api, state);
                    state
                }
            };
            if moment == Moment::Any {
                global.isolates.note_begun(state);
                pulse::begin(global, state);
            }
        }
    });
}

/// Runs something after which `errno` is what it was before.
fn keeping_errno(run: impl FnOnce()) {
    // SAFETY: this thread's number.
    unsafe {
        let errno = *libc::__errno_location();
        run();
        *libc::__errno_location() = errno;
    }
}

/// Whether V8 may be called here.
unsafe fn is_at_rest(api: &Api, isolate: *mut api::Isolate, moment: Moment) -> bool {
    let here = crate::arch::stack::pointer();
    let registers = api::Registers::at(is_at_rest as *const () as usize, here);
    let mut sample = api::Sample::default();
    let mut frames = [0usize; 4];
    // SAFETY: made to be called from a signal handler at any moment; both structures are
    // larger than V8's.
    unsafe {
        // Its code an isolate can tell of before it has a context.
        if moment == Moment::Any && !(api.in_context)(isolate) {
            return false;
        }
        (api.stack_sample)(
            isolate,
            &registers,
            frames.as_mut_ptr(),
            frames.len(),
            &mut sample,
        );
    }
    AT_REST.contains(&sample.state)
}

/// The program has mapped code from a file. V8 does that with its own builtins, to have them
/// near the code that it makes (Node 20).
pub fn mapped_code(address: u64, len: u64, offset: u64) {
    let (Some(api), Some(global)) = (api::get(), global::recording()) else {
        return;
    };
    global.modules.second_sight(
        global,
        api.set_code_handler as usize as u64,
        address,
        len,
        offset,
    );
}

/// Adds a line to the reader's loss account.
fn note(text: &[u8]) {
    write(BlobKind::Note, text);
}

/// Writes a blob into this thread's ring, if all of it fitted into the buffer.
fn say(kind: BlobKind, out: &Out<'_>) {
    if out.finish().is_some() {
        write(kind, out.written());
    }
}

fn write(kind: BlobKind, payload: &[u8]) {
    let thread = thread::ready();
    if !thread.is_null() {
        // SAFETY: this thread's own state.
        unsafe { thread::blob(thread, kind, payload) };
        thread::release_borrowed(thread);
    }
}
