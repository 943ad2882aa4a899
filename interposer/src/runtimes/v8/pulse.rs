//! Being called now and then while an isolate runs, without a timer, thread or signal.
//!
//! Three occasions, all on the isolate's own thread:
//!
//! * safe points ([`super`]), among them each wait for events;
//! * the end of a collection: a program that is busy collects. V8 may not be asked for handles
//!   there, figures it does tell;
//! * an interrupt asked for at one of the others: V8 calls back at the next call or loop of
//!   JavaScript, with a handle scope open and its heap at rest.

use super::api::Isolate;
use super::isolate::{self, State};
use super::optional::Optional;
use super::{command, end, sampling, usage};
use crate::arch::clock;
use crate::global::Global;
use crate::symbols::Name;
use core::ffi::c_void;
use core::sync::atomic::Ordering::*;

type GcCallback = unsafe extern "C" fn(*mut Isolate, i32, i32, *mut c_void);

/// Functions for it.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::RequestInterrupt`.
    interrupt: unsafe extern "C" fn(
        *mut Isolate,
        unsafe extern "C" fn(*mut Isolate, *mut c_void),
        *mut c_void,
    ),
    /// `Isolate::AddGCPrologueCallback`.
    add_prologue: unsafe extern "C" fn(*mut Isolate, GcCallback, *mut c_void, i32),
    /// `Isolate::AddGCEpilogueCallback`.
    add_epilogue: unsafe extern "C" fn(*mut Isolate, GcCallback, *mut c_void, i32),
}

/// See [`Api`].
pub static API: Optional<Api, 3> = Optional::new(
    [
        Name::new("_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_"),
        Name::new(
            "_ZN2v87Isolate21AddGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
        ),
        Name::new(
            "_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
        ),
    ],
    "V8 in this program does not tell of its collections: the JavaScript heap is not measured",
);

/// `kGCTypeAll`.
const ALL_COLLECTIONS: i32 = 31;

/// Begins with an isolate.
///
/// # Safety
/// At a safe point of the isolate's thread.
pub unsafe fn begin(global: &'static Global, state: &'static State) {
    let Some(api) = API.get() else { return };
    let data = core::ptr::from_ref(state).cast_mut().cast();
    // SAFETY: the caller's promise; states are never given back.
    unsafe {
        (api.add_prologue)(state.isolate(), collection_begins, data, ALL_COLLECTIONS);
        (api.add_epilogue)(state.isolate(), collection_ends, data, ALL_COLLECTIONS);
    }
    ask(state);
    safe_point(global, state);
}

/// At a safe point of the isolate's thread: does what is due.
#[inline]
pub fn safe_point(global: &'static Global, state: &'static State) {
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    if now >= state.due.load(Relaxed) {
        due(global, state, now);
    }
}

/// Whether something is to be done at a safe point now.
pub fn is_due(state: &State) -> bool {
    clock::clock_ns(libc::CLOCK_MONOTONIC) >= state.due.load(Relaxed)
}

#[cold]
fn due(global: &'static Global, state: &'static State, now: u64) {
    state.due.store(usage::sample(global, state, now), Relaxed);
    if !state.watched.load(Relaxed) || sampling::is_due(state, now) {
        ask(state);
    }
}

/// Asks for an interrupt.
pub fn ask(state: &'static State) {
    if let Some(api) = API.get()
        && !state.asked.swap(true, Relaxed)
    {
        let data = core::ptr::from_ref(state).cast_mut().cast();
        // SAFETY: may be called at any time, by any thread.
        unsafe { (api.interrupt)(state.isolate(), interrupted, data) };
    }
}

unsafe extern "C" fn interrupted(isolate: *mut Isolate, data: *mut c_void) {
    // SAFETY: registered with a state.
    let Some((global, state)) = (unsafe { isolate::called(isolate, data) }) else {
        return;
    };
    state.asked.store(false, Relaxed);
    super::keeping_errno(|| {
        // SAFETY: V8 calls at rest, with a handle scope open.
        unsafe {
            if end::watch(state) {
                sampling::start(state);
            }
            command::listen(global, state);
            let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
            if sampling::is_due(state, now) {
                sampling::mark(state, now);
            }
        }
    });
}

unsafe extern "C" fn collection_begins(
    isolate: *mut Isolate,
    kind: i32,
    _: i32,
    data: *mut c_void,
) {
    // SAFETY: registered with a state.
    if let Some((_, state)) = unsafe { isolate::called(isolate, data) } {
        super::keeping_errno(|| usage::collection_begins(state, kind));
    }
}

unsafe extern "C" fn collection_ends(isolate: *mut Isolate, kind: i32, _: i32, data: *mut c_void) {
    // SAFETY: registered with a state.
    if let Some((global, state)) = unsafe { isolate::called(isolate, data) } {
        super::keeping_errno(|| {
            usage::collection_ends(state, kind);
            safe_point(global, state);
        });
    }
}
