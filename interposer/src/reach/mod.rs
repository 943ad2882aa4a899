//! At the end of the process: what can still be reached?
//!
//! ```text
//! finish ─> at_exit ── the only thread, a small heap ─────────> run ─> parts ─> log
//!              └─ else: stop the others ─> drain ─> copy of the process: run ─> parts
//!                 in shared memory; let them go; wait for it; parts ─> log
//! ```
//! The copy is made by a bare `clone`: no handlers of the program, no signal to the
//! parent, nothing that its `wait` sees. It closes all descriptors first, so that nobody
//! who waits for the end of a pipe waits for it. Nothing here takes a lock of libc's or
//! of the loader's; what is needed of either is read from `/proc/self/maps`.
//!
//! The same at any moment for a program that asks whether it leaks ([`ask`]), and for
//! `leak snapshot`.

pub mod ask;
pub mod known;
pub mod leave;
pub mod own;

pub mod answer;
pub mod array;
mod copy;
mod maps;
mod memory;
mod present;
mod record;
mod roots;
mod run;
mod snapshot;
mod stop;
mod suppress;
mod threads;

use crate::arch::clock::{self, clock_ns};
use crate::arch::stack;
use crate::collect::drain::Drain;
use crate::global::Global;
use crate::{start, sys};
use array::List;
use core::sync::atomic::Ordering::*;
use log_format::block::BlockKind;
use log_format::layout::flag;
use log_format::reach::{self as form, Outcome, Summary};
use log_format::varint::Out;
use roots::Leaver;
use run::Job;

/// Longest time that the end of a process is held up, ns.
const LONGEST: u64 = 60_000_000_000;
/// Largest heap that is searched without a copy of the process, bytes: meanwhile
/// signals wait.
const SMALL: u64 = 32 << 20;

/// Searches and appends the result. The drain is held, and the rings are empty but for
/// what other threads do at this moment.
pub fn at_exit(global: &'static Global, drain: &mut Drain) {
    if ask::was_last() {
        return;
    }
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let mut summary = Summary {
        outcome: Outcome::Off,
        time: clock::now(),
        threads: 1,
        blind: 0,
        ns: 0,
        scanned: 0,
        asked: false,
    };
    if start::variable(b"LEAK_REACH") != b"0" {
        search(global, drain, begin + LONGEST, &mut summary);
    }
    append_summary(global, drain, &mut summary, begin);
}

fn append_summary(
    global: &'static Global,
    drain: &mut Drain,
    summary: &mut Summary,
    begin: u64,
) -> bool {
    summary.ns = clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(begin);
    let mut buf = [0u8; 64];
    let mut out = Out::new(&mut buf);
    form::encode_summary(summary, &mut out);
    drain.append(global, BlockKind::Reach, out.written())
}

fn search(global: &'static Global, drain: &mut Drain, deadline: u64, summary: &mut Summary) {
    if drain.live().len() == 0 {
        summary.outcome = Outcome::Done;
        return;
    }
    let leaver = leave::leaver(stack::pointer() as u64);
    let small = drain.live_bytes() < SMALL;
    let work = |job: &Job<'_>, drain: &mut Drain| {
        if job.threads.is_empty() && small {
            let emit = &mut |part: &[u8]| drain.append(global, BlockKind::Reach, part);
            Ok(run::run(job, emit))
        } else {
            Err(copy::start(job))
        }
    };
    match while_stopped(global, drain, leaver, deadline, summary, work) {
        None => summary.outcome = Outcome::NoMemory,
        Some(Ok(result)) => (summary.outcome, summary.scanned) = (result.outcome, result.scanned),
        Some(Err(None)) => summary.outcome = Outcome::NoFork,
        Some(Err(Some(mut copy))) => {
            let result = copy.wait(deadline);
            (summary.outcome, summary.scanned) = (result.outcome, result.scanned);
            if summary.outcome == Outcome::Done && !append_parts(global, drain, &copy) {
                summary.outcome = Outcome::Died;
            }
        }
    }
}

/// Puts the copy's result into the log; whether all of it is there.
fn append_parts(global: &'static Global, drain: &mut Drain, copy: &copy::Copy) -> bool {
    copy.parts(&mut |part| drain.append(global, BlockKind::Reach, part))
}

/// Calls `work` while the other threads stand still, as far as they can be stopped, and
/// signals are blocked. `None` if there is no memory.
fn while_stopped<R>(
    global: &'static Global,
    drain: &mut Drain,
    leaver: Leaver,
    deadline: u64,
    summary: &mut Summary,
    work: impl FnOnce(&Job<'_>, &mut Drain) -> R,
) -> Option<R> {
    let mut threads = List::new(threads::MOST)?;
    let signals = sys::block_signals();
    // Without `/proc` the search itself will say so.
    if global.several.load(Relaxed) != 0 {
        let _ = threads::list(&mut threads);
    }
    let stopped = if threads.all().is_empty() {
        None
    } else {
        stop::stop(threads.all_mut())
    };
    threads.retain(|thread| thread.known == threads::ALL || !threads::has_ended(thread));
    for thread in threads
        .all_mut()
        .iter_mut()
        .filter(|thread| thread.known != threads::ALL)
    {
        threads::look(thread);
        summary.blind += 1;
    }
    summary.threads = threads.all().len() as u32 + 1;
    if stopped.is_some() {
        // What they did up to now.
        drain.drain_all(global);
    }
    let header = global.file.header();
    let job = Job {
        live: drain.live(),
        next_serial: drain.next_serial(),
        program: drain.program(),
        pid: sys::getpid(),
        leaver,
        threads: threads.all(),
        careful: header.is_some_and(|header| header.flags.load(Relaxed) & flag::FORK_CHILD != 0),
        deadline,
        question: None,
    };
    let result = work(&job, drain);
    drop(stopped);
    sys::restore_signals(&signals);
    Some(result)
}
