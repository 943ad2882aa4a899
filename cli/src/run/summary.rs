//! What a run left, in short, on stderr.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use heap::Profile;

use super::output::Pattern;
use crate::flags::Color;
use crate::paint::Paint;
use crate::report;

/// Clocks of file systems are coarser than the system's.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
/// So many logs are named one by one.
const MAX_NAMED: usize = 3;

/// Prints the summary of the processes that descend from `pid`. It never fails: the program's
/// run is done, and its logs are there.
pub fn print(pattern: &Pattern, began: SystemTime, pid: u32, top: usize) {
    let logs = new_logs(pattern, began);
    let mut loaded = report::load(&logs);
    loaded.profiles = descendants(loaded.profiles, pid);
    let mut text = Vec::new();
    let paint = Paint::new(Color::Auto, &io::stderr());
    // Writing to memory cannot fail, and a closed stderr is nobody's concern.
    let _ = summarize(&mut text, &loaded, pattern, top, paint);
    let _ = io::stderr().write_all(&text);
}

fn summarize(
    out: &mut impl Write,
    loaded: &report::Loaded,
    pattern: &Pattern,
    top: usize,
    paint: Paint,
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
    let options = report::Options::summary(top, paint);
    report::write(out, &loaded.profiles, &options)?;
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
        paint.strong(format_args!("leak report {logs}"))
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

/// The processes that `pid` and its children started. Others may use the same directory.
fn descendants(mut profiles: Vec<Profile>, pid: u32) -> Vec<Profile> {
    let mut pids = HashSet::from([pid]);
    let mut logs = HashSet::new();
    let mut ours = Vec::new();
    loop {
        let is_ours = |profile: &Profile| {
            let process = &profile.process;
            pids.contains(&process.pid)
                || pids.contains(&process.ppid)
                || logs.contains(&process.parent_log_id)
        };
        let (found, rest): (Vec<_>, Vec<_>) = profiles.into_iter().partition(is_ours);
        if found.is_empty() {
            break;
        }
        for profile in &found {
            pids.insert(profile.process.pid);
            logs.insert(profile.process.log_id);
        }
        ours.extend(found);
        profiles = rest;
    }
    ours.sort_by_key(|profile| (profile.process.started, profile.process.pid));
    ours
}
