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

pub mod known;
pub mod leave;
pub mod own;

mod array;
mod copy;
mod maps;
mod memory;
mod present;
mod roots;
mod run;
mod snapshot;
mod stop;
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
use run::Job;

/// Longest time that the end of a process is held up, ns.
const LONGEST: u64 = 60_000_000_000;
/// Largest heap that is searched without a copy of the process, bytes: meanwhile
/// signals wait.
const SMALL: u64 = 32 << 20;

/// Searches and appends the result. The drain is held, and the rings are empty but for
/// what other threads do at this moment.
pub fn at_exit(global: &'static Global, drain: &mut Drain) {
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let mut summary = Summary {
        outcome: Outcome::Off,
        time: clock::after(),
        threads: 1,
        blind: 0,
        ns: 0,
        scanned: 0,
    };
    if start::variable(b"LEAK_REACH") != b"0" {
        let careful = global
            .file
            .header()
            .is_some_and(|header| header.flags.load(Relaxed) & flag::FORK_CHILD != 0);
        search(global, drain, careful, begin + LONGEST, &mut summary);
    }
    summary.ns = clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(begin);
    let mut buf = [0u8; 64];
    let mut out = Out::new(&mut buf);
    form::encode_summary(&summary, &mut out);
    drain.append(global, BlockKind::Reach, out.written());
}

fn search(
    global: &'static Global,
    drain: &mut Drain,
    careful: bool,
    deadline: u64,
    summary: &mut Summary,
) {
    if drain.live().len() == 0 {
        summary.outcome = Outcome::Done;
        return;
    }
    let leaver = leave::leaver(stack::pointer() as u64);
    let signals = sys::block_signals();
    let Some(mut threads) = List::new(threads::MOST) else {
        summary.outcome = Outcome::NoMemory;
        return;
    };
    // Without `/proc` the search itself will say so.
    if global.precise.load(Relaxed) != 0 {
        let _ = threads::list(&mut threads);
    }
    let alone = threads.all().is_empty();
    let stopped = if alone {
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
    let job = Job {
        live: drain.live(),
        next_serial: drain.next_serial(),
        program: drain.program(),
        pid: sys::getpid(),
        leaver,
        threads: threads.all(),
        careful,
        deadline,
    };
    if alone && drain.live_bytes() < SMALL {
        let result = run::run(&job, &mut |part| {
            drain.append(global, BlockKind::Reach, part)
        });
        (summary.outcome, summary.scanned) = (result.outcome, result.scanned);
        sys::restore_signals(&signals);
        return;
    }
    let copied = copy::start(&job);
    drop(stopped);
    sys::restore_signals(&signals);
    match copied {
        None => summary.outcome = Outcome::NoFork,
        Some(mut copy) => {
            (summary.outcome, summary.scanned) = copy.wait(deadline);
            if summary.outcome == Outcome::Done {
                let whole = copy.parts(&mut |part| drain.append(global, BlockKind::Reach, part));
                if !whole {
                    summary.outcome = Outcome::Died;
                }
            }
        }
    }
}
