//! After an `exec` that failed.
//!
//! Before an `exec` the log is made whole and the file is cut: if it succeeds, nothing
//! of this program runs any more. If it fails, the same log goes on: the last extent is
//! made longer, rings and nodes get new extents, numbers and positions continue. Nothing
//! of that is done before something is to be recorded, so that a search which tries
//! many files costs what it costs without us.

use super::drain::Drain;
use crate::arch::tls;
use crate::global::{self, Global, Phase};
use crate::{sys, thread};
use core::sync::atomic::Ordering::*;
use log_format::layout::{State, StopReason, flag};

/// Lets go of what the file has no more. The caller holds the drain; no other thread
/// records.
pub fn suspend(global: &'static Global) {
    thread::drop_rings(global);
    // SAFETY: the drain is held.
    unsafe { (*global.drain.get()).drop_data() };
    global.set_phase(Phase::Suspended);
}

/// The `exec` before which [`super::finish::finish`] said true has failed.
pub fn exec_failed() {
    let Some(global) = global::get() else { return };
    let Some(header) = global.file.header() else {
        return;
    };
    let was = State::Exec as u32;
    let now = if global.phase() == Phase::Dormant {
        // The file could not be cut, so it cannot go on.
        header
            .stop_reason
            .store(StopReason::Unreachable as u32, Relaxed);
        State::Stopped
    } else {
        State::Running
    };
    let _ = header
        .state
        .compare_exchange(was, now as u32, AcqRel, Relaxed);
}

/// Goes on with the log, unless another thread is at it. The phase says what came of it.
#[cold]
pub fn resume(global: &'static Global) {
    // As at the start of a log.
    let signals = sys::block_signals();
    if global.claim_start(Phase::Suspended) {
        resume_claimed(global);
    }
    sys::restore_signals(&signals);
}

fn resume_claimed(global: &'static Global) {
    let mark = tls::get();
    tls::set(thread::BUSY);
    // SAFETY: no thread drains before the phase is set.
    let result = try_resume(global, unsafe { &mut *global.drain.get() });
    global.set_phase(Phase::Recording);
    if let Err(reason) = result {
        global.stop(reason);
    }
    sys::futex_wake(global.phase_word());
    tls::set(mark);
}

fn try_resume(global: &'static Global, drain: &mut Drain) -> Result<(), StopReason> {
    let (extent, len) = global.file.lengthen_last(super::drain::DATA_EXTENT)?;
    drain.resume_data(extent, len);
    global.stacks.resume(&global.file)?;
    if let Some(header) = global.file.header() {
        header.block_count.store(0, Relaxed);
        header.end_ticks.store(0, Relaxed);
        header.flags.fetch_and(!flag::NODES_IN_BLOCKS, Release);
        header.state.store(State::Running as u32, Release);
    }
    Ok(())
}
