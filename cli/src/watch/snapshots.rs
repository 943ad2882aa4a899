//! Heap snapshots one after the other, and what grew.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::alert::PATIENCE;
use super::flags::WatchFlags;
use crate::heap;
use crate::live::{self, Channel, Problem, Way};
use crate::snapshot::javascript;

/// Time that a program may take to begin.
const GRACE: Duration = Duration::from_secs(30);
/// Time until it is looked at again.
const SOON: Duration = Duration::from_millis(100);

/// The snapshots of a watch.
pub struct Snapshots<'a> {
    pid: i32,
    wanted: usize,
    begin: Instant,
    every: Duration,
    /// Whether it takes requests; before, its program has not begun, or is about to run another one.
    is_up: bool,
    due: Instant,
    way: Way,
    dir: &'a Path,
    taken: Vec<PathBuf>,
    told: bool,
}

impl<'a> Snapshots<'a> {
    pub fn new(pid: i32, flags: &'a WatchFlags, begin: Instant) -> Snapshots<'a> {
        let every = Duration::from_nanos(flags.every);
        Snapshots {
            pid,
            wanted: flags.snapshots.unwrap_or(0) as usize,
            begin,
            every,
            is_up: false,
            due: begin,
            way: flags.way(),
            dir: &flags.dir,
            taken: Vec::new(),
            told: false,
        }
    }

    /// When the next one is due.
    pub fn due(&self) -> Option<Instant> {
        (self.taken.len() < self.wanted).then_some(self.due)
    }

    /// Whether all are taken and compared.
    pub fn are_done(&self) -> bool {
        self.due().is_none() && (self.told || self.wanted == 0)
    }

    /// Takes the next one if it is due; after the last one, says what grew.
    ///
    /// # Errors
    /// If there can be no more.
    pub fn go_on(&mut self) -> Result<(), Problem> {
        if self.due().is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        let pid = self.pid;
        if !self.is_up && self.begin.elapsed() < GRACE {
            self.is_up = Channel::open(pid).is_ok_and(|channel| channel.listens());
            self.due = Instant::now() + if self.is_up { self.every } else { SOON };
            return Ok(());
        }
        self.is_up = true;
        let number = format!("{} of {}: ", self.taken.len() + 1, self.wanted);
        match take(pid, self.dir, self.way, &number) {
            Ok((path, line)) => {
                self.taken.push(path);
                tell!("leak watch: process {pid}: {number}{line}");
            }
            // It may be free the next time.
            Err(problem @ (Problem::Patience | Problem::Asked(_) | Problem::NoMemory(..))) => {
                tell!("leak watch: process {pid}: no heap snapshot: {problem}");
            }
            Err(_) if !live::is_alive(pid) => {}
            Err(problem) => {
                self.wanted = 0;
                return Err(problem);
            }
        }
        self.due = Instant::now() + self.every;
        if self.taken.len() == self.wanted {
            self.finish(&mut std::io::stderr());
        }
        Ok(())
    }

    /// Says what grew, if that is not done yet and there are enough.
    pub fn finish(&mut self, out: &mut impl Write) {
        if std::mem::replace(&mut self.told, true) || self.wanted == 0 {
            return;
        }
        if self.taken.len() < self.wanted {
            tell!(
                "leak watch: process {} ended after {} of {} snapshots{}",
                self.pid,
                self.taken.len(),
                self.wanted,
                match self.taken.len() {
                    0 => "; only a Node that runs with libleak gives any",
                    _ => "",
                }
            );
        }
        if self.taken.len() < 2 {
            return;
        }
        let mut text = Vec::new();
        let _ = match heap::what_grew(&self.taken, &mut text) {
            Ok(()) => out.write_all(&text),
            Err(error) => writeln!(out, "leak watch: {error}"),
        };
    }
}

/// Says what it will cost, behind some words, and takes one into a new file; its path, and a line
/// about it.
pub fn take(pid: i32, dir: &Path, way: Way, words: &str) -> Result<(PathBuf, String), Problem> {
    let channel = Channel::open(pid)?;
    let dir = std::path::absolute(dir).map_err(|error| Problem::File(dir.to_owned(), error))?;
    let path = javascript::fresh(&dir, &format!("{}.{pid}", channel.name), 0);
    let figures = channel.figures(0, PATIENCE)?;
    let before = javascript::before(&figures, way);
    tell!("leak watch: process {pid}: {words}{before}");
    let taken = channel.snapshot(0, &path, way, PATIENCE)?;
    let line = format!("heap snapshot: {}", javascript::after(&taken, &path));
    Ok((path, line))
}
