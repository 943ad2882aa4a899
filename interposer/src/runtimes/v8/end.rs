//! The end of an isolate: the last moment at which V8 can be asked.
//!
//! Node calls what was given to `node::AtExit` when an environment ends: after the last event, in
//! `process.exit`, after an exception that nobody caught, and when a worker is stopped. Not on
//! signals and `abort`.
//!
//! `AtExit` wants the environment, which only a context leads to, and asking for that makes a
//! handle. So it is registered from an interrupt ([`super::pulse`]), where V8 has opened a handle
//! scope. What is done at the end is one list: [`TASKS`].

use super::api::Isolate;
use super::isolate::State;
use super::optional::Optional;
use super::{command, handles, sampling, snapshot, usage};
use crate::collect;
use crate::global::{self, Global};
use crate::symbols::Name;
use core::ffi::c_void;
use core::sync::atomic::Ordering::*;
use log_format::blob::BlobKind;

/// Functions for the end.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::GetCurrentContext`; a `Local` is one pointer.
    context: unsafe extern "C" fn(*mut Isolate) -> *mut c_void,
    /// `node::GetCurrentEnvironment`.
    environment: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    /// `node::AtExit`.
    at_exit: unsafe extern "C" fn(*mut c_void, unsafe extern "C" fn(*mut c_void), *mut c_void),
}

/// See [`Api`].
pub static API: Optional<Api, 3> = Optional::new(
    [
        Name::new("_ZN2v87Isolate17GetCurrentContextEv"),
        Name::new("_ZN4node21GetCurrentEnvironmentEN2v85LocalINS0_7ContextEEE"),
        Name::new("_ZN4node6AtExitEPNS_11EnvironmentEPFvPvES2_"),
    ],
    "Node in this program does not tell the end of its environments: what is measured of the JavaScript heap ends before",
);

/// What is done at an isolate's end, on its thread, at rest, without a handle scope ([`handles`]) and
/// with JavaScript not to be run; in this order.
const TASKS: [fn(&'static Global, &'static State); 4] =
    [usage::at_end, sampling::at_end, snapshot::at_end, teardown];

/// Node frees nearly everything now; what lives at this moment is what the program has kept.
fn teardown(global: &'static Global, state: &'static State) {
    if command::is_first(state) && global.filtered.load(Relaxed) == 0 {
        collect::cut(global, BlobKind::Teardown);
    }
}

/// Arranges to be told the end; later again if there is no environment yet. Returns whether that
/// was done now.
///
/// # Safety
/// On the isolate's thread, at rest, with a handle scope open.
pub unsafe fn watch(state: &'static State) -> bool {
    let Some(api) = API.get() else { return false };
    if state.watched.load(Relaxed) {
        return false;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let isolate = state.isolate();
        let (context, place) = handles::learn(isolate, || (api.context)(isolate));
        state.handles.store(place, Relaxed);
        if context.is_null() {
            return false;
        }
        let environment = (api.environment)(context);
        if environment.is_null() {
            return false;
        }
        state.watched.store(true, Relaxed);
        (api.at_exit)(
            environment,
            ended,
            core::ptr::from_ref(state).cast_mut().cast(),
        );
    }
    true
}

unsafe extern "C" fn ended(data: *mut c_void) {
    let Some(api) = super::api::get() else { return };
    // SAFETY: the function reads a thread-local variable; `watch` gave the state.
    let called = unsafe { super::isolate::called((api.current)(), data) };
    if let Some((global, state)) = called {
        // Node may end the process with the number that it has left there.
        super::keeping_errno(|| {
            for task in TASKS {
                if global::recording().is_some() {
                    task(global, state);
                }
            }
        });
        state.end();
    }
}
