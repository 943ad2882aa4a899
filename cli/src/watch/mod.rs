//! `leak watch`: programs that run are looked at from time to time: snapshots of their heaps that
//! are compared, thresholds that raise an alert.
//!
//! ```text
//! logs of the run ─> a Node among its processes ─> a thread that follows it:
//!   every interval ─> sample (rss; heaps of its isolates, asked through the log) ─> rules ─> alert
//!   every --every  ─> heap snapshot ─> after the last one: what grew
//! ```
//!
//! The program is started as `leak run` does it, or is there already. It never fails because of
//! what goes wrong here: that is a line on stderr.

mod alert;
pub mod flags;
mod follow;
mod places;
mod process;
mod rules;
mod sample;
mod snapshots;
mod tree;

use std::collections::HashSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::live::{self, Problem};
use crate::run::{self, Pattern};
use flags::WatchFlags;
use follow::follow;
use places::Places;
use process::Process;
use tree::{Found, Tree};

/// Longest sleep between two looks at whether a process is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Watches a process, or a program from its start; the program's exit status.
pub fn watch(flags: WatchFlags) -> Result<u8, Error> {
    if flags.snapshots.is_some() || flags.snapshot_on_alert {
        is_writable(&flags.dir)?;
    }
    let Some(pid) = flags.pid else {
        let (options, flags) = flags.into_run();
        return run::run_beside(&options, |pid, logs| {
            watch_run(pid.cast_signed(), logs, &flags);
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
    live::interrupt::catch();
    say_if_launcher(pid);
    let places = Places::new(&flags);
    follow(pid, &flags, &places, true).map_err(|problem| Error::Asked { pid, problem })?;
    Ok(0)
}

/// Who names npm means what it has started, perhaps.
fn say_if_launcher(pid: i32) {
    let process = Process::look(pid);
    if !process.is_launcher {
        return;
    }
    let others = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = others.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let started = pids.filter(|other| tree::descends(other.cast_unsigned(), pid.cast_unsigned()));
    let names: Vec<String> = started
        .map(Process::look)
        .filter(|other| other.is_node && !other.is_launcher)
        .take(places::MOST_NAMED)
        .map(|other| other.to_string())
        .collect();
    if !names.is_empty() {
        tell!(
            "leak watch: {process} is there to start others, and is watched itself now; it has started {}",
            names.join(", ")
        );
    }
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

/// Watches a program that was started, and what it starts, until it ends: each Node that is not
/// there to start others only; of other programs, the one that was started.
fn watch_run(first: i32, logs: &Pattern, flags: &WatchFlags) {
    if logs.directory().as_os_str().as_bytes().contains(&b'%') {
        tell!(
            "leak watch: only the started process is watched, for each process has a folder of its own for its log; \
             -o without % in the folder watches all"
        );
    }
    let places = Places::new(flags);
    let mut tree = Tree::new(first, logs);
    let mut left_out: Vec<Process> = Vec::new();
    let followed = Mutex::new(HashSet::new());
    let is_followed = |pid: i32| {
        let followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.contains(&pid)
    };
    let (places, followed) = (&places, &followed);
    std::thread::scope(|scope| {
        let begin = |pid: i32| {
            let mut all = followed.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(pid);
            scope.spawn(move || {
                if let Err(problem) = follow(pid, flags, places, false) {
                    tell!("leak watch: {}: {problem}", Process::look(pid));
                }
                let mut all = followed.lock().unwrap_or_else(PoisonError::into_inner);
                all.remove(&pid);
            });
        };
        if flags.wants(&Process::look(first)) {
            begin(first);
        }
        while live::is_alive(first) {
            for found in tree.look() {
                let (pid, is_node) = match found {
                    Found::Process(pid) => (pid, false),
                    Found::Node(pid) => (pid, true),
                };
                // Those that are asked for by name may be any program.
                if !is_node && flags.only.is_empty() {
                    continue;
                }
                let process = Process::look(pid);
                if !flags.wants(&process) {
                    if is_node && left_out.len() < places::MOST_NAMED {
                        left_out.push(process);
                    }
                } else if !is_followed(pid) {
                    begin(pid);
                }
            }
            std::thread::sleep(LOOK);
        }
        // Others may live on; they are waited for no longer.
        live::interrupt::give_up();
    });
    places.say_if_nothing_came(flags, &left_out);
}
