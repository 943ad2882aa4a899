//! The program asks whether it leaks (`__lsan_do_leak_check` and its kin).
//!
//! ```text
//! ask ── drain held: drain, stop the others, copy ── let go ── wait for the copy ── answer
//!                                                      └─ the last check: parts ─> log
//! ```
//! The copy is all that the other threads wait for. Whatever fails, the answer is that nothing
//! is lost, and the log says why nobody knows.

use super::answer::{Answer, PATH, Question};
use super::copy::Copy;
use super::record::Record;
use super::roots::Leaver;
use super::run::Job;
use super::{LONGEST, append_parts, append_summary, copy, leave, while_stopped};
use crate::arch::clock::{self, clock_ns};
use crate::collect;
use crate::global::Global;
use crate::sys;
use crate::thread::ThreadState;
use core::sync::atomic::{AtomicU32, Ordering::*};
use log_format::reach::{Outcome, Summary};

/// Id of the process whose last check was made before its end, 0 if none was.
static LAST: AtomicU32 = AtomicU32::new(0);

/// Whether the program has asked for the check that comes instead of the one at its end.
pub fn was_last() -> bool {
    LAST.load(Relaxed) == sys::getpid()
}

/// The question, and how the work on it goes.
struct Work {
    global: &'static Global,
    leaver: Leaver,
    suppressions: [u8; PATH],
    last: bool,
    begin: u64,
    summary: Summary,
    copy: Option<Copy>,
}

/// Searches, and says what is lost. `last`: and keeps the result for the log, in place of that
/// of the end. `suppressions` is the path of a file, filled up with NUL bytes.
///
/// # Safety
/// `registers` comes from [`crate::thunk_registers`]; `thread` is this thread's state.
pub unsafe fn ask(
    global: &'static Global,
    thread: *mut ThreadState,
    registers: *const u64,
    suppressions: [u8; PATH],
    last: bool,
) -> Result<Answer, Outcome> {
    let pid = sys::getpid();
    let header = global.file.header();
    if header.is_none_or(|header| header.pid.load(Relaxed) != pid) {
        return Err(Outcome::NoFork);
    }
    if global.filtered.load(Relaxed) != 0 {
        return Err(Outcome::Filtered);
    }
    let begin = clock_ns(libc::CLOCK_MONOTONIC);
    let mut work = Work {
        global,
        // SAFETY: the caller's.
        leaver: unsafe { leave::caller(registers) },
        suppressions,
        last,
        begin,
        summary: Summary {
            outcome: Outcome::Done,
            time: 0,
            threads: 1,
            blind: 0,
            ns: 0,
            scanned: 0,
            asked: true,
        },
        copy: None,
    };
    // SAFETY: this thread's state.
    unsafe { with_drain(&mut work, thread, freeze) }?;
    let Some(copy) = &mut work.copy else {
        return Err(work.summary.outcome);
    };
    let result = copy.wait(begin + LONGEST);
    if result.outcome != Outcome::Done {
        return Err(result.outcome);
    }
    work.summary.scanned = result.scanned;
    // SAFETY: as above.
    if last && unsafe { with_drain(&mut work, thread, keep) }.is_ok() {
        LAST.store(pid, Relaxed);
    }
    Ok(result.answer)
}

/// Holds the drain while `step` works.
unsafe fn with_drain(
    work: &mut Work,
    thread: *mut ThreadState,
    step: unsafe extern "C" fn(*mut u8),
) -> Result<(), Outcome> {
    let global = work.global;
    // SAFETY: this thread's state; the work outlives the call.
    let held =
        unsafe { collect::with_drain(global, thread, step, core::ptr::from_mut(work).cast()) };
    held.then_some(()).ok_or(Outcome::Busy)
}

/// Makes the copy.
unsafe extern "C" fn freeze(work: *mut u8) {
    // SAFETY: `with_drain` gave it.
    let work = unsafe { &mut *work.cast::<Work>() };
    let global = work.global;
    // SAFETY: the drain is held.
    let drain = unsafe { &mut *global.drain.get() };
    drain.drain_all(global);
    work.summary.time = clock::now();
    let deadline = work.begin + LONGEST;
    let (suppressions, keeps) = (work.suppressions, work.last);
    let copied = while_stopped(
        global,
        drain,
        work.leaver,
        deadline,
        &mut work.summary,
        |job, _| {
            let question = Question {
                record: Record::new(global).ok_or(Outcome::Unread)?,
                keeps,
                suppressions,
            };
            let question = Some(&question);
            copy::start(&Job { question, ..*job }).ok_or(Outcome::NoFork)
        },
    );
    match copied {
        None => work.summary.outcome = Outcome::NoMemory,
        Some(Err(why)) => work.summary.outcome = why,
        Some(Ok(copy)) => work.copy = Some(copy),
    }
}

/// Puts the result into the log.
unsafe extern "C" fn keep(work: *mut u8) {
    // SAFETY: `with_drain` gave it.
    let work = unsafe { &mut *work.cast::<Work>() };
    let global = work.global;
    // SAFETY: the drain is held.
    let drain = unsafe { &mut *global.drain.get() };
    if let Some(copy) = &work.copy
        && !append_parts(global, drain, copy)
    {
        work.summary.outcome = Outcome::Died;
    }
    append_summary(global, drain, &mut work.summary, work.begin);
}
