//! What a run left, in short, on stderr.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use log_format::layout::SeenEnd;

use super::output::Pattern;
use crate::report;

/// Clocks of file systems are coarser than the system's.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
/// So many logs are named one by one.
const MAX_NAMED: usize = 3;

/// The processes that descend from `pid`, with the sites that `options` show.
pub fn load(
    pattern: &Pattern,
    began: SystemTime,
    pid: u32,
    options: &report::Options,
) -> report::Loaded {
    report::load(&own_logs(new_logs(pattern, began), pattern, pid), options)
}

/// Writes into the logs of the process that was run how it ended, if they do not know. What cannot be written is no
/// harm: the log then says what it knew.
pub fn note_end(pattern: &Pattern, began: SystemTime, pid: u32, status: ExitStatus) {
    let byte = |number: i32| u8::try_from(number).ok();
    let killed = status.signal().and_then(byte).map(SeenEnd::Killed);
    let exited = status.code().and_then(byte).map(SeenEnd::Exited);
    let Some(end) = killed.or(exited) else {
        return;
    };
    for log in new_logs(pattern, began) {
        let _ = log_format::seen::note_end(&log, pid, end);
    }
}

/// Prints the summary of a run. It never fails: the program's run is done, and its logs are there.
pub fn print(loaded: &report::Loaded, pattern: &Pattern, options: &report::Options) {
    let mut text = Vec::new();
    // Writing to memory cannot fail, and a closed stderr is nobody's concern.
    let _ = summarize(&mut text, loaded, pattern, options);
    let _ = io::stderr().write_all(&text);
}

fn summarize(
    out: &mut impl Write,
    loaded: &report::Loaded,
    pattern: &Pattern,
    options: &report::Options,
) -> io::Result<()> {
    writeln!(out)?;
    if loaded.profiles.is_empty() {
        for problem in &loaded.problems {
            writeln!(out, "leak: {problem}")?;
        }
        if loaded.problems.is_empty() {
            writeln!(
                out,
                "leak: no log was written to {}; was LEAK_DISABLE set, or LD_PRELOAD emptied by the program \
                 or a wrapper of it? LEAK_VERBOSE=1 tells more",
                pattern.directory().display()
            )?;
        }
        return Ok(());
    }
    report::write(out, &loaded.profiles, options)?;
    writeln!(out)?;
    for problem in &loaded.problems {
        writeln!(out, "leak: {problem}")?;
    }
    let here = std::env::current_dir().unwrap_or_default();
    let named = |path: &Path| quoted(path.strip_prefix(&here).unwrap_or(path));
    let logs = match loaded.profiles.as_slice() {
        few if few.len() <= MAX_NAMED => {
            let logs: Vec<String> = few.iter().map(|profile| named(&profile.path)).collect();
            logs.join(" ")
        }
        many => {
            writeln!(
                out,
                "leak: {} logs in {}",
                many.len(),
                pattern.directory().display()
            )?;
            let entries = fs::read_dir(pattern.directory())
                .into_iter()
                .flatten()
                .flatten();
            let all = entries
                .filter(|entry| entry.path().extension().is_some_and(|end| end == "leak"))
                .count();
            if all > many.len() || pattern.directory() == here {
                return writeln!(
                    out,
                    "leak: to report on them and no others, run with -o NEWDIR/"
                );
            }
            named(pattern.directory())
        }
    };
    writeln!(
        out,
        "leak: the whole report: {}",
        options.paint.strong(format_args!("leak report {logs}"))
    )
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "_-+=./:,@%".contains(c);
    match text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Files that may be logs of this run.
fn new_logs(pattern: &Pattern, began: SystemTime) -> Vec<PathBuf> {
    let after = began.checked_sub(CLOCK_SLACK).unwrap_or(began);
    let entries = fs::read_dir(pattern.directory())
        .into_iter()
        .flatten()
        .flatten();
    let mut logs: Vec<PathBuf> = entries
        .filter(|entry| pattern.matches(&entry.file_name()))
        .filter(|entry| {
            let about = entry.metadata();
            about.is_ok_and(|about| {
                about.is_file() && about.modified().is_ok_and(|time| time >= after)
            })
        })
        .map(|entry| entry.path())
        .collect();
    logs.sort();
    logs
}

/// The logs of `pid` and of the processes that descend from it. Others may write to the same
/// directory: their logs are not read, and nothing is said of them.
fn own_logs(logs: Vec<PathBuf>, pattern: &Pattern, pid: u32) -> Vec<PathBuf> {
    let mut rest = Vec::new();
    let mut ours = Vec::new();
    for log in logs {
        match heap::origin(&log) {
            Ok(origin) => rest.push((log, origin)),
            // A log that was never begun tells its process by its name only.
            Err(_) if pattern.is_of(pid, log.file_name().unwrap_or_default()) => ours.push(log),
            Err(_) => {}
        }
    }
    let mut pids = HashSet::from([pid]);
    let mut ids = HashSet::new();
    loop {
        let is_ours = |origin: &heap::Origin| {
            pids.contains(&origin.pid)
                || pids.contains(&origin.ppid)
                || ids.contains(&origin.parent_log_id)
        };
        let (found, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|(_, origin)| is_ours(origin));
        if found.is_empty() {
            break;
        }
        for (log, origin) in found {
            pids.insert(origin.pid);
            ids.insert(origin.log_id);
            ours.push(log);
        }
        rest = others;
    }
    ours.sort();
    ours
}
