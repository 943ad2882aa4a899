//! Heap snapshots of JavaScript, written by the process itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{SnapshotFlags, pause};
use crate::error::Error;
use crate::figures::{bytes, duration};
use crate::live::{self, Channel, Figures, Problem, Taken, Way};

/// The ending that DevTools wants.
const ENDING: &str = "heapsnapshot";

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The file; one in the current directory if not given.
    pub output: Option<&'a Path>,
    /// Those of workers as well.
    pub workers: bool,
    /// How.
    pub way: Way,
    /// How long the program may take to come to it.
    pub patience: Duration,
}

impl<'a> From<&'a SnapshotFlags> for Wanted<'a> {
    fn from(flags: &'a SnapshotFlags) -> Wanted<'a> {
        Wanted {
            output: flags.output.as_deref(),
            workers: flags.workers,
            way: Way {
                force: flags.inspect.force,
                copy: flags.fork,
            },
            patience: Duration::from_nanos(flags.timeout),
        }
    }
}

/// Says what a snapshot will cost, takes it, says what it has cost.
pub fn snapshots(pid: i32, channel: &Channel, wanted: &Wanted) -> Result<u8, Error> {
    let failed = |problem| Error::Asked { pid, problem };
    live::interrupt::catch();
    let isolates = match wanted.workers {
        true => channel.isolates(),
        false => vec![0],
    };
    let mut files = Vec::new();
    for isolate in isolates {
        let path = path_of(pid, channel, wanted.output, isolate).map_err(failed)?;
        let figures = channel.figures(isolate, wanted.patience);
        let figures = match figures {
            // A worker may end at any moment.
            Err(Problem::NoIsolate) if isolate != 0 => continue,
            other => other.map_err(failed)?,
        };
        let thread = match isolate {
            0 => String::new(),
            number => format!("isolate {number}: "),
        };
        say(&format!("{thread}{}", before(&figures, wanted.way)))?;
        let taken = channel
            .snapshot(isolate, &path, wanted.way, wanted.patience)
            .map_err(failed)?;
        let path = live::seen_from_here(pid, &path);
        say(&format!("{thread}{}", after(&taken, &path)))?;
        files.push(path);
    }
    for path in &files {
        say(&format!("read it:  leak heap {}", path.display()))?;
    }
    Ok(0)
}

/// One line for what is about to happen.
pub fn before(figures: &Figures, way: Way) -> String {
    let estimate = figures.estimate;
    let memory = estimate.memory_of(figures.heap_used, way.copy);
    let time = pause::words(estimate.least_pause_ns, estimate.pause_ns);
    let stands = match way.copy {
        false => format!("the program will stand for {time}"),
        true => format!("a copy of the program will work for {time}"),
    };
    format!(
        "heap of {} in use: {stands} and need up to {} of memory ({} can be had)",
        bytes(figures.heap_used),
        bytes(memory),
        bytes(figures.available)
    )
}

/// One line for what has happened.
pub fn after(taken: &Taken, path: &Path) -> String {
    let stood = duration(taken.pause.as_nanos() as u64);
    let file = format!("{} written to {}", bytes(taken.written), path.display());
    let Some((time, copies)) = taken.copy else {
        return format!("stood for {stood}; {file}");
    };
    let time = duration(time.as_nanos() as u64);
    match copies {
        0 | 1 => format!("stood for {stood}; {file} by a copy within {time}"),
        more => format!("stood for {stood}, {more} times; {file} by the last copy within {time}"),
    }
}

fn say(line: &str) -> Result<(), Error> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Absolute path of the file for an isolate: the one that was asked for, or one that is not there.
fn path_of(
    pid: i32,
    channel: &Channel,
    given: Option<&Path>,
    isolate: u32,
) -> Result<PathBuf, Problem> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| Problem::File(path.to_owned(), error))
    };
    let Some(given) = given else {
        return absolute(&fresh(
            Path::new("."),
            &format!("{}.{}", channel.name, pid),
            isolate,
        ));
    };
    if isolate == 0 {
        return absolute(given);
    }
    let stem = given.file_stem().unwrap_or_default().to_string_lossy();
    absolute(&given.with_file_name(format!("{stem}.worker{isolate}.{ENDING}")))
}

/// A name in a directory that is not taken: `STEM.heapsnapshot`, `STEM.1.heapsnapshot`, ….
pub fn fresh(dir: &Path, stem: &str, isolate: u32) -> PathBuf {
    let stem = match isolate {
        0 => stem.to_owned(),
        number => format!("{stem}.worker{number}"),
    };
    let first = dir.join(format!("{stem}.{ENDING}"));
    let more = (1u32..).map(|number| dir.join(format!("{stem}.{number}.{ENDING}")));
    std::iter::once(first)
        .chain(more)
        .find(|path| !path.exists())
        .unwrap_or_default()
}
