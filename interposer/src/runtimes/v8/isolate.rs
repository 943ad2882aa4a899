//! What is known of each isolate, from its first safe point to its end.
//!
//! An isolate belongs to one thread. Its state is in a table of the recorder's, so a fork child,
//! which has none of its parent's threads but one and a log of its own, begins anew; V8's callbacks
//! that were registered in the parent find that their state is not in the table and do nothing.

use super::api::Isolate;
use super::{sampling, usage};
use crate::global::{self, Global};
use crate::sys;
use core::cell::UnsafeCell;
use core::mem::size_of;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::*,
};

/// Isolates that are alive at one time.
const ISOLATES: usize = 4096;
/// Places that are tried for one.
const TRIES: usize = 16;

/// All of them; all-zero bytes: none.
pub struct Isolates {
    states: [AtomicPtr<State>; ISOLATES],
    /// One has come to a safe point at which everything may be done.
    any_began: AtomicBool,
}

/// An isolate's state. Memory that is never given back: V8 may call with it at any time.
/// All-zero bytes are one that has not begun.
pub struct State {
    /// The isolate's address.
    isolate: AtomicUsize,
    /// Serial number of its thread.
    serial: AtomicU32,
    /// More than its code is asked for.
    pub begun: AtomicBool,
    /// It is telling what code it had before it was asked.
    pub tells_existing: AtomicBool,
    /// It has ended, or nobody has it yet: another isolate may have the state.
    free: AtomicBool,
    /// [`super::end`]: its end is watched.
    pub watched: AtomicBool,
    /// [`super::command`]: its number for requests + 1; 0: they are not heard yet.
    pub heard: AtomicU32,
    /// [`super::handles`]: where its handles are.
    pub handles: AtomicU16,
    /// `CLOCK_MONOTONIC` ns before which nothing is to be done at a safe point.
    pub due: AtomicU64,
    /// An interrupt is on its way.
    pub asked: AtomicBool,
    /// Memory usage; only the isolate's thread has it.
    pub usage: UnsafeCell<usage::State>,
    /// Sampled allocations; only the isolate's thread has it.
    pub sampling: UnsafeCell<sampling::State>,
}

// SAFETY: the cells are used by the isolate's thread alone.
unsafe impl Sync for State {}

impl State {
    /// The isolate, for V8's functions.
    pub fn isolate(&self) -> *mut Isolate {
        self.isolate.load(Relaxed) as *mut Isolate
    }

    /// Serial number of its thread.
    pub fn serial(&self) -> u32 {
        self.serial.load(Relaxed)
    }

    /// Whether it is this isolate's, and that has not ended.
    pub fn is_of(&self, isolate: *const Isolate) -> bool {
        self.isolate.load(Acquire) == isolate as usize && !self.free.load(Acquire)
    }

    /// The isolate ends: its callbacks do nothing more.
    pub fn end(&self) {
        self.free.store(true, Release);
    }
}

impl Isolates {
    /// Whether V8 is up: an isolate has come to where everything may be done.
    pub fn any_began(&self) -> bool {
        self.any_began.load(Acquire)
    }

    /// An isolate has come there.
    pub fn note_begun(&self, state: &State) {
        state.begun.store(true, Relaxed);
        self.any_began.store(true, Release);
    }

    /// The state of a thread's isolate, also one that has ended.
    #[inline]
    pub fn of(&self, isolate: *const Isolate, serial: u32) -> Option<&'static State> {
        self.places(serial).find_map(|place| {
            // SAFETY: states are never given back.
            let state = unsafe { place.load(Acquire).as_ref() }?;
            (state.serial() == serial && state.isolate.load(Relaxed) == isolate as usize)
                .then_some(state)
        })
    }

    /// A fresh state for a thread's isolate; `None`: there are too many, or no memory.
    pub fn begin(&self, isolate: *const Isolate, serial: u32) -> Option<&'static State> {
        for place in self.places(serial) {
            let known = place.load(Acquire);
            let state = if known.is_null() {
                let fresh = sys::map_private(size_of::<State>())?.cast::<State>();
                // SAFETY: a fresh mapping of zeros; another thread may be first here, then
                // this one is not needed.
                unsafe {
                    (*fresh).serial.store(serial, Relaxed);
                    (*fresh).isolate.store(isolate as usize, Relaxed);
                }
                if place
                    .compare_exchange(core::ptr::null_mut(), fresh, AcqRel, Acquire)
                    .is_err()
                {
                    // SAFETY: nobody saw it.
                    unsafe { sys::unmap(fresh.cast(), size_of::<State>()) };
                    continue;
                }
                fresh
            } else {
                // SAFETY: states are never given back.
                let state = unsafe { &*known };
                if state
                    .free
                    .compare_exchange(true, false, AcqRel, Acquire)
                    .is_err()
                {
                    continue;
                }
                state.serial.store(serial, Relaxed);
                state.isolate.store(isolate as usize, Release);
                known
            };
            // SAFETY: ours now; what its last isolate left in it is begun anew.
            unsafe {
                let state = &*state;
                state.begun.store(false, Relaxed);
                state.watched.store(false, Relaxed);
                state.heard.store(0, Relaxed);
                state.asked.store(false, Relaxed);
                state.handles.store(0, Relaxed);
                state.due.store(0, Relaxed);
                (*state.usage.get()).begin();
                (*state.sampling.get()).begin();
                return Some(state);
            }
        }
        None
    }

    /// The thread has ended, and its isolates with it, also those that Node did not tell the end of.
    pub fn end_of_thread(&self, serial: u32) {
        for place in self.places(serial) {
            // SAFETY: states are never given back.
            if let Some(state) = unsafe { place.load(Acquire).as_ref() }
                && state.serial() == serial
            {
                state.end();
            }
        }
    }

    fn places(&self, serial: u32) -> impl Iterator<Item = &AtomicPtr<State>> {
        let first = serial as usize % ISOLATES;
        (first..first + TRIES).filter_map(|index| self.states.get(index % ISOLATES))
    }
}

/// The state that a callback was registered with, if it is still that isolate's and this process
/// records.
///
/// # Safety
/// `data` is the address of a [`State`].
pub unsafe fn called(
    isolate: *const Isolate,
    data: *mut core::ffi::c_void,
) -> Option<(&'static Global, &'static State)> {
    let global = global::recording()?;
    // SAFETY: the caller's promise; states are never given back.
    let state = unsafe { &*data.cast::<State>() };
    let known = global
        .isolates
        .places(state.serial())
        .any(|place| core::ptr::eq(place.load(Relaxed), state));
    (known && state.is_of(isolate)).then_some((global, state))
}
