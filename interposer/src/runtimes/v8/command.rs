//! Requests from outside (`leak snapshot`, `leak mark`, `leak watch`) to the isolates of this
//! process, by way of the log's first page ([`log_format::control`]).
//!
//! One small thread waits for requests. What needs an isolate must be done on the isolate's own
//! thread, so the request is handed to Node: `node::RequestInterrupt` runs a function between two
//! instructions of JavaScript that is running, and wakes a thread that waits for events through
//! libuv's own means. The program sees neither an event, nor `EINTR`, nor a handle, nor a signal.
//!
//! An isolate is known from its first safe point in a call of JavaScript until Node's environment
//! goes: `node::AddEnvironmentCleanupHook` says when. Without these functions nobody listens.

use super::api::Isolate;
use super::isolate::State as IsolateState;
use super::optional::Optional;
use super::{copy, note, room, sampling, snapshot};
use crate::arch::clock;
use crate::global::{self, Global};
use crate::symbols::Name;
use crate::{call, memory, sys, thread};
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};
use log_format::blob::BlobKind;
use log_format::control::{Control, Failure, Kind, MAX_ISOLATES, MAX_NAME, State, flag};

/// `node::Environment`, opaque.
pub enum Environment {}

/// Functions of Node.
#[derive(Clone, Copy)]
pub struct Api {
    /// `v8::Isolate::GetCurrentContext`; a `Local` is a pointer.
    context: unsafe extern "C" fn(*mut Isolate) -> *mut c_void,
    /// `node::GetCurrentEnvironment`.
    environment: unsafe extern "C" fn(*mut c_void) -> *mut Environment,
    /// `node::RequestInterrupt`.
    interrupt:
        unsafe extern "C" fn(*mut Environment, unsafe extern "C" fn(*mut c_void), *mut c_void),
    /// `node::AddEnvironmentCleanupHook`.
    at_end: unsafe extern "C" fn(*mut Isolate, unsafe extern "C" fn(*mut c_void), *mut c_void),
}

/// See [`Api`].
pub static API: Optional<Api, 4> = Optional::new(
    [
        Name::new("_ZN2v87Isolate17GetCurrentContextEv"),
        Name::new("_ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE"),
        Name::new("_ZN4node16RequestInterruptEPNS_11EnvironmentEPFvPvES2_"),
        Name::new("_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_"),
    ],
    "V8 in this program is not Node's: leak snapshot and leak mark do not reach it",
);

/// Isolates that requests can be made to. Part of the recorder's state: a fork child begins anew.
pub struct Asked {
    /// 1: the thread was begun.
    begun: AtomicU32,
    /// Held while environments are looked at; short.
    lock: AtomicU32,
    environments: [AtomicPtr<Environment>; MAX_ISOLATES as usize],
    /// Copies of the process that take snapshots.
    pub copying: copy::Copying,
}

impl Asked {
    /// Runs `work` while no environment can come or go.
    fn locked<R>(&self, work: impl FnOnce() -> R) -> R {
        while self.lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            sys::futex_wait(&self.lock, 1, 1_000_000);
        }
        let result = work();
        self.lock.store(0, Release);
        sys::futex_wake(&self.lock);
        result
    }
}

/// [`IsolateState::heard`]: there are too many to be told apart.
const NO_NUMBER: u32 = u32::MAX;

/// The isolate can be asked from now on; if it has no environment yet, nothing happens.
///
/// # Safety
/// On the isolate's thread, at rest, with a handle scope open.
pub unsafe fn listen(global: &'static Global, state: &IsolateState) {
    let (Some(api), Some(control)) = (API.get(), global.file.control()) else {
        return;
    };
    if state.heard.load(Relaxed) != 0 {
        return;
    }
    let isolate = state.isolate();
    // SAFETY: the caller's.
    let environment = unsafe {
        let context = (api.context)(isolate);
        if context.is_null() {
            return;
        }
        (api.environment)(context)
    };
    if environment.is_null() {
        return;
    }
    state.heard.store(NO_NUMBER, Relaxed);
    let asked = &global.asked;
    let place = asked.locked(|| {
        let all = &asked.environments;
        if all.iter().any(|slot| slot.load(Relaxed) == environment) {
            return None;
        }
        let free = all.iter().position(|slot| slot.load(Relaxed).is_null())?;
        all.get(free)?.store(environment, Relaxed);
        Some(free)
    });
    let Some(number) = place else {
        return;
    };
    state.heard.store(number as u32 + 1, Relaxed);
    // SAFETY: the thread's own isolate; not called twice for an environment, which Node forbids.
    unsafe { (api.at_end)(isolate, gone, environment.cast()) };
    control.isolates.fetch_or(1 << number, Relaxed);
    if let Some(v8) = super::api::get() {
        // SAFETY: V8 says its version at any time.
        let engine = unsafe { super::main::major(v8) };
        control.engine.store(engine, Relaxed);
    }
    // SAFETY: as above.
    unsafe { snapshot::watch_limit(isolate) };
    if asked.begun.swap(1, Relaxed) == 0 {
        asked.copying.workers.learn();
        begin_thread(control);
    }
}

/// Whether it is the isolate of the first environment: the main thread's.
pub fn is_first(state: &IsolateState) -> bool {
    state.heard.load(Relaxed) == 1
}

/// Called by Node when an environment is about to go, on its thread.
unsafe extern "C" fn gone(environment: *mut c_void) {
    let Some(global) = global::get() else { return };
    let asked = &global.asked;
    asked.locked(|| {
        for (number, slot) in asked.environments.iter().enumerate() {
            if slot.load(Relaxed).cast() == environment {
                slot.store(core::ptr::null_mut(), Relaxed);
                if let Some(control) = global.file.control() {
                    control.isolates.fetch_and(!(1 << number), Relaxed);
                }
            }
        }
    });
}

/// Bytes of the thread's stack.
const STACK: usize = 256 << 10;

/// Begins the thread that waits. libc makes it, since it takes part in set-id calls.
fn begin_thread(control: &Control) {
    let seen = control.request.load(Acquire);
    // SAFETY: attributes as libc initializes them; the thread gets nothing.
    unsafe {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::zeroed();
        let attributes = attributes.as_mut_ptr();
        if libc::pthread_attr_init(attributes) != 0 {
            return;
        }
        libc::pthread_attr_setstacksize(attributes, STACK);
        libc::pthread_attr_setdetachstate(attributes, libc::PTHREAD_CREATE_DETACHED);
        let mut id = 0u64;
        let mask = sys::block_signals();
        let result = call!(
            PTHREAD_CREATE as fn(*mut c_void, *const c_void, Main, *mut c_void) -> i32,
            (&raw mut id).cast(),
            attributes.cast(),
            wait,
            seen as usize as *mut c_void
        );
        sys::restore_signals(&mask);
        libc::pthread_attr_destroy(attributes);
        if result == 0 {
            control.listens.store(1, Release);
        } else {
            note(b"no thread could be made: leak snapshot and leak mark do not reach this process");
        }
    }
}

type Main = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// The thread; it gets the number of the last request that is not for it.
unsafe extern "C" fn wait(seen: *mut c_void) -> *mut c_void {
    sys::refuse_signals();
    sys::set_thread_name(b"leak\0");
    let Some((global, control)) = global::get().and_then(|g| Some((g, g.file.control()?))) else {
        return core::ptr::null_mut();
    };
    let mut seen = seen as usize as u32;
    loop {
        sys::futex_wait_shared(&control.request, seen);
        let now = control.request.load(Acquire);
        if now != seen {
            seen = now;
            pass_on(global, control, now);
        }
    }
}

/// Hands a request to its isolate, or answers it.
fn pass_on(global: &'static Global, control: &Control, request: u32) {
    if control.state() != State::Asked {
        return;
    }
    if Kind::from_raw(control.kind.load(Relaxed)) == Kind::Mark {
        if control.change(State::Asked, State::Running) {
            mark(control);
            answer(control, Ok(()));
        }
        return;
    }
    let hand_over = || hand_over(global, control, request);
    if control.flags.load(Relaxed) & flag::COPY != 0 {
        copy::attend(global, control, request, hand_over, |result| {
            answer(control, result);
        });
    } else if !hand_over() && control.change(State::Asked, State::Running) {
        answer(control, Err(Failure::NoIsolate));
    }
}

/// Hands a request to its isolate's thread; false if there is none.
fn hand_over(global: &'static Global, control: &Control, request: u32) -> bool {
    let asked = &global.asked;
    let wanted = control.isolate.load(Relaxed) as usize;
    // The environment must stay while Node is told. Node takes no lock for it that it holds
    // while it waits.
    let told = asked.locked(|| {
        let slot = asked.environments.get(wanted)?;
        let environment = slot.load(Relaxed);
        let api = API.get().filter(|_| !environment.is_null())?;
        // SAFETY: a live environment; the call is made for other threads.
        unsafe { (api.interrupt)(environment, on_thread, request as usize as *mut c_void) };
        Some(())
    });
    told.is_some()
}

/// Says that a request is done.
fn answer(control: &Control, result: Result<(), Failure>) {
    if let Err(failure) = result {
        control.failure.store(failure as u32, Relaxed);
    }
    control.change(
        State::Running,
        match result {
            Ok(()) => State::Done,
            Err(_) => State::Failed,
        },
    );
    sys::futex_wake_shared(&control.state);
}

/// Called by Node on the isolate's thread. Requests that were taken back, or that another isolate
/// is to answer, are none.
unsafe extern "C" fn on_thread(request: *mut c_void) {
    let request = request as usize as u32;
    let Some((global, control)) =
        global::recording().and_then(|global| Some((global, global.file.control()?)))
    else {
        return;
    };
    let Some(v8) = super::api::get() else { return };
    // SAFETY: the function reads a thread-local variable.
    let isolate = unsafe { (v8.current)() };
    if isolate.is_null()
        || control.request.load(Acquire) != request
        || !control.change(State::Asked, State::Running)
    {
        return;
    }
    // SAFETY: this thread's errno.
    let errno = unsafe { *libc::__errno_location() };
    let number = control.isolate.load(Relaxed);
    // SAFETY: between instructions of JavaScript, or while waiting; Node has a scope open.
    let result = unsafe {
        use_usage(control, isolate);
        match Kind::from_raw(control.kind.load(Relaxed)) {
            Kind::Snapshot if control.flags.load(Relaxed) & flag::COPY != 0 => {
                // Else the thread that waits for requests will answer.
                copy::begin(global, control, isolate).map(Err)
            }
            Kind::Snapshot => {
                let result = snapshot::on_request(control, isolate, number);
                if result.is_ok() {
                    mark_heap(global, isolate);
                }
                Some(result)
            }
            _ => Some(Ok(())),
        }
    };
    if let Some(result) = result {
        answer(control, result);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Has the heap by stack of the moment in the log.
///
/// # Safety
/// As [`sampling::at_snapshot`].
unsafe fn mark_heap(global: &'static Global, isolate: *mut Isolate) {
    let thread = thread::ready();
    if thread.is_null() {
        return;
    }
    // SAFETY: this thread's state.
    let serial = unsafe { (*thread).serial };
    if let Some(state) = global.isolates.of(isolate, serial) {
        // SAFETY: the caller's promise.
        unsafe { sampling::at_snapshot(state) };
    }
}

/// Stores the figures of the moment.
unsafe fn use_usage(control: &Control, isolate: *mut Isolate) {
    let usage = &control.usage;
    let rss = memory::head().map_or(0, |head| head.resident);
    usage.rss.store(rss, Relaxed);
    // SAFETY: the caller's.
    if let Some(heap) = unsafe { snapshot::statistics(isolate) } {
        usage.heap_total.store(heap.total, Relaxed);
        usage.heap_used.store(heap.used, Relaxed);
        usage.heap_limit.store(heap.limit, Relaxed);
        usage.external.store(heap.external, Relaxed);
    }
    control.available.store(room::available(), Relaxed);
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    usage.time_ns.store(now, Release);
}

/// Writes a mark into the log.
fn mark(control: &Control) {
    let mut name = [0u8; MAX_NAME];
    let len = control.name(&mut name);
    let thread = thread::ready();
    if !thread.is_null() {
        // SAFETY: this thread's own state.
        unsafe { thread::blob(thread, BlobKind::Mark, name.get(..len).unwrap_or(&[])) };
        thread::release_borrowed(thread);
    }
}
