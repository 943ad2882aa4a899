//! Threads: where their stacks begin, when they end, how they are called.

use crate::arch::thunk::run_thread;
use crate::arch::{stack, tls};
use crate::originals;
use crate::thread::{self, ThreadState};
use crate::{bootstrap, call, global};
use core::ffi::{c_char, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use log_format::blob::{BlobKind, Thread};
use log_format::varint::Out;

type Start = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// What a new thread is to run. Boxes are reused, never freed: the bootstrap
/// arena only grows.
#[repr(C)]
struct Box {
    start: Start,
    argument: *mut c_void,
    /// Bytes of the thread's stack, 0 if not known.
    stack: usize,
    next: AtomicPtr<Box>,
}

static FREE: AtomicPtr<Box> = AtomicPtr::new(core::ptr::null_mut());

/// Takes all free boxes, keeps one, puts the rest back: no ABA.
fn take_box() -> *mut Box {
    let first = FREE.swap(core::ptr::null_mut(), Acquire);
    if first.is_null() {
        return bootstrap::alloc(size_of::<Box>(), 16).cast();
    }
    // SAFETY: the list is ours since the swap.
    let mut rest = unsafe { (*first).next.swap(core::ptr::null_mut(), Relaxed) };
    while !rest.is_null() {
        // SAFETY: as above.
        let next = unsafe { (*rest).next.load(Relaxed) };
        put_box(rest);
        rest = next;
    }
    first
}

fn put_box(item: *mut Box) {
    let mut head = FREE.load(Relaxed);
    loop {
        // SAFETY: the item is ours until it is in the list.
        unsafe { (*item).next.store(head, Relaxed) };
        match FREE.compare_exchange_weak(head, item, Release, Relaxed) {
            Ok(_) => return,
            Err(seen) => head = seen,
        }
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `pthread_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    id: *mut c_void,
    attributes: *const c_void,
    start: Start,
    argument: *mut c_void,
) -> i32 {
    if !originals::resolved() {
        return libc::EAGAIN;
    }
    if let Some(global) = crate::global::recording() {
        global.several.store(1, Relaxed);
    }
    let item = take_box();
    // SAFETY: pthread_create's contract is the caller's; the box is ours until
    // the new thread takes it.
    unsafe {
        if item.is_null() {
            return call!(
                PTHREAD_CREATE as fn(*mut c_void, *const c_void, Start, *mut c_void) -> i32,
                id,
                attributes,
                start,
                argument
            );
        }
        item.write(Box {
            start,
            argument,
            stack: stack_size(attributes),
            next: AtomicPtr::new(core::ptr::null_mut()),
        });
        let result = call!(
            PTHREAD_CREATE as fn(*mut c_void, *const c_void, Start, *mut c_void) -> i32,
            id,
            attributes,
            run_thread,
            item.cast()
        );
        if result != 0 {
            put_box(item);
        }
        result
    }
}

/// Bytes of stack that a thread with these attributes gets, 0 if not known.
unsafe fn stack_size(attributes: *const c_void) -> usize {
    let mut size = 0;
    // SAFETY: the caller's attributes, or a buffer that libc fills with the default
    // ones. Neither call allocates.
    unsafe {
        if attributes.is_null() {
            let mut default = core::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
            if pthread_getattr_default_np(default.as_mut_ptr()) == 0 {
                libc::pthread_attr_getstacksize(default.as_ptr(), &mut size);
            }
        } else {
            libc::pthread_attr_getstacksize(attributes.cast(), &mut size);
        }
    }
    size
}

unsafe extern "C" {
    fn pthread_getattr_default_np(attributes: *mut libc::pthread_attr_t) -> i32;
}

/// What a new thread runs, in two registers.
#[repr(C)]
pub struct Call {
    start: Start,
    argument: *mut c_void,
}

/// Called by [`run_thread`] on the new thread.
///
/// # Safety
/// `item` is the box that `pthread_create` filled for this thread.
pub unsafe extern "C" fn prepare(item: *mut c_void) -> Call {
    let item = item.cast::<Box>();
    // SAFETY: by the caller's promise.
    let (call, size) = unsafe {
        (
            Call {
                start: (*item).start,
                argument: (*item).argument,
            },
            (*item).stack,
        )
    };
    // Boxes are searched for pointers when the process ends.
    // SAFETY: as above.
    unsafe { (*item).argument = core::ptr::null_mut() };
    put_box(item);
    // What lies above is libc's first frame and the thread's own descriptor, with
    // which the stack's size is shared, and the guard.
    let top = (stack::pointer() + 1024) & !15;
    let low = top - size.saturating_sub(STACK_OVERHEAD).min(top);
    tls::set_stack(top, low);
    crate::reach::known::note_stack(low as u64, top as u64, crate::sys::gettid());
    call
}

/// Part of a thread's stack that is not at its disposal, at most, bytes.
const STACK_OVERHEAD: usize = 24 << 10;

/// 0: none, 1: being made, 2: made.
static KEY_STATE: AtomicU32 = AtomicU32::new(0);
static KEY: AtomicU32 = AtomicU32::new(0);

/// Makes the key while keys are small: setting a small one never allocates.
pub fn init() {
    if KEY_STATE.compare_exchange(0, 1, AcqRel, Acquire).is_ok() {
        let mut key = 0;
        // SAFETY: `key` is writable; the destructor has the right type.
        if unsafe { libc::pthread_key_create(&mut key, Some(at_end)) } == 0 && key < 32 {
            KEY.store(key, Relaxed);
            KEY_STATE.store(2, Release);
        }
    }
}

/// Arranges that the state is given back when the thread ends.
pub fn watch_end(thread: *mut ThreadState) {
    if KEY_STATE.load(Acquire) == 2 {
        // SAFETY: the key was made; a small key allocates nothing.
        unsafe { libc::pthread_setspecific(KEY.load(Relaxed), thread.cast()) };
    }
}

/// Key destructor. Other keys' destructors may still allocate, so the state is
/// kept until the last round.
unsafe extern "C" fn at_end(value: *mut c_void) {
    let thread = value.cast::<ThreadState>();
    // SAFETY: this thread's state, while it has it.
    let serial = (tls::get() == value as usize).then(|| unsafe { (*thread).serial });
    if !thread::end_round(thread) {
        watch_end(thread);
    } else if let (Some(serial), Some(global)) = (serial, global::recording()) {
        global.isolates.end_of_thread(serial);
    }
}

/// Hook; see the table. A thread that has recorded nothing yet says its name itself
/// when it does, so the name is noted after the call: then none is missed.
///
/// # Safety
/// As `pthread_setname_np`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_setname_np(target: u64, name: *const c_char) -> i32 {
    if !originals::resolved() {
        return libc::EAGAIN;
    }
    // SAFETY: the caller's.
    unsafe {
        let result = call!(
            PTHREAD_SETNAME as fn(u64, *const c_char) -> i32,
            target,
            name
        );
        if result == 0 {
            if target == libc::pthread_self() as u64 {
                note_name(name);
            } else {
                note_name_of(target, name);
            }
        }
        result
    }
}

/// Writes another thread's new name.
unsafe fn note_name_of(target: u64, name: *const c_char) {
    let Some(global) = global::recording() else {
        return;
    };
    let named = thread::all(global).find(|state| state.handle == target && thread::is_owned(state));
    let Some(serial) = named.map(|state| state.serial) else {
        return;
    };
    let thread = thread::ready();
    if !thread.is_null() {
        let mut buf = [0u8; 64];
        let mut out = Out::new(&mut buf);
        // SAFETY: a C string of the program's that libc has accepted.
        unsafe {
            let name = core::slice::from_raw_parts(name.cast(), libc::strnlen(name, 15));
            Thread {
                serial,
                tid: 0,
                name,
            }
            .encode(&mut out);
            thread::blob(thread, BlobKind::OtherName, out.written());
            thread::release_borrowed(thread);
        }
    }
}

/// Writes the thread's new name.
pub fn note_name(name: *const c_char) {
    let thread = thread::ready();
    if !thread.is_null() {
        // SAFETY: a C string of the program's; the kernel takes 15 bytes of it.
        unsafe {
            let bytes = core::slice::from_raw_parts(name.cast(), libc::strnlen(name, 15));
            thread::blob(thread, BlobKind::ThreadName, bytes);
            thread::release_borrowed(thread);
        }
    }
}
