//! `leak watch`: a program that runs is looked at from time to time: snapshots of its heap that
//! are compared, thresholds that raise an alert.
//!
//! ```text
//! every interval ─> sample (rss; in Node its heap, asked through the log) ─> rules ─> alert
//! every --every  ─> heap snapshot ─> after the last one: what grew
//! ```
//!
//! The program is started as `leak run` does it, or is there already. It never fails because of
//! what goes wrong here: that is a line on stderr.

mod alert;
pub mod flags;
mod rules;
mod sample;
mod snapshots;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::live::{self, Problem};
use crate::run;
use alert::Alerts;
use flags::WatchFlags;
use rules::Rules;
use sample::Sampler;
use snapshots::Snapshots;

/// Longest sleep between two looks at whether the process is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Watches a process, or a program from its start; the program's exit status.
pub fn watch(flags: WatchFlags) -> Result<u8, Error> {
    if flags.snapshots.is_some() || flags.snapshot_on_alert {
        is_writable(&flags.dir)?;
    }
    let Some(pid) = flags.pid else {
        let (options, flags) = flags.into_run();
        return run::run_beside(&options, |pid| {
            if let Err(problem) = follow(pid.cast_signed(), &flags) {
                tell!("leak watch: process {pid}: {problem}");
            }
        });
    };
    // Without libleak only what the system knows can be watched.
    let of_heap = [flags.heap_used, flags.heap_total, flags.external];
    let needs_log =
        flags.snapshots.is_some() || of_heap.iter().any(Option::is_some) || flags.snapshot_on_alert;
    match live::find(pid) {
        Err(problem) if needs_log || matches!(problem, Problem::Gone) => {
            return Err(Error::Asked { pid, problem });
        }
        _ => {}
    }
    follow(pid, &flags).map_err(|problem| Error::Asked { pid, problem })?;
    Ok(0)
}

/// Whether snapshots can be made in a folder: now, not when the first one is due.
fn is_writable(dir: &Path) -> Result<(), Error> {
    let error = match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => io::ErrorKind::NotADirectory.into(),
        Ok(_) => {
            let path = CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
            // SAFETY: a C string.
            match unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) } {
                0 => return Ok(()),
                _ => io::Error::last_os_error(),
            }
        }
        Err(error) => error,
    };
    Err(Error::Folder(dir.to_owned(), error))
}

/// Watches until the process ends, or nothing is left to be done.
fn follow(pid: i32, flags: &WatchFlags) -> Result<(), Problem> {
    let begin = Instant::now();
    let mut sampler = Sampler::new(pid);
    let mut rules = Rules::new(flags);
    let alerts = Alerts::new(pid, flags);
    let mut snapshots = Snapshots::new(pid, flags, begin);
    let interval = Duration::from_nanos(flags.interval).max(Duration::from_millis(1));
    let mut due = begin;
    let mut result = Ok(());
    while live::is_alive(pid) {
        let now = Instant::now();
        if now >= due && !rules.is_empty() {
            // Not `due + interval`: a machine that slept needs no samples of that time.
            due = now + interval;
            if let Some(sample) = sampler.sample(rules.wants_heap(), interval) {
                for alert in rules.judge(&sample) {
                    alerts.raise(&alert, &sample);
                }
            }
        }
        if let Err(problem) = snapshots.go_on() {
            result = Err(problem);
            if rules.is_empty() {
                return result;
            }
        }
        if rules.is_empty() && snapshots.are_done() {
            break;
        }
        let next = match (rules.is_empty(), snapshots.due()) {
            (true, Some(snapshot)) => snapshot,
            (false, Some(snapshot)) => snapshot.min(due),
            (_, None) => due,
        };
        std::thread::sleep(next.saturating_duration_since(Instant::now()).min(LOOK));
    }
    snapshots.finish(&mut io::stderr());
    result
}
