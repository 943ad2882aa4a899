//! Heap snapshots of an isolate, one after the other, and what grew.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::alert::PATIENCE;
use super::flags::WatchFlags;
use super::places::Places;
use super::process::Process;
use crate::figures::bytes;
use crate::heap;
use crate::live::{self, Channel, Problem};
use crate::snapshot::javascript;

/// Time that a program may take to begin.
const GRACE: Duration = Duration::from_secs(30);
/// Time until it is looked at again.
const SOON: Duration = Duration::from_millis(100);
/// The same, of a program that is no Node so far.
const SELDOM: Duration = Duration::from_secs(2);
/// A worker's heap has grown if it is larger each time, and at last by so much.
const GROWN: f64 = 1.2;
/// … and by so many bytes.
const GROWN_BYTES: u64 = 1 << 20;

/// The snapshots of a watch.
pub struct Snapshots<'a> {
    pid: i32,
    isolate: u32,
    /// The process as it was when it was chosen, or last.
    process: Process,
    flags: &'a WatchFlags,
    places: &'a Places,
    /// Whether the user named the process: then it is said if it gives none.
    alone: bool,
    wanted: usize,
    begin: Instant,
    every: Duration,
    /// Whether it takes requests; before, its program has not begun, or is about to run another one.
    is_up: bool,
    /// Whether it has a place among those of which snapshots are taken.
    has_place: bool,
    ended: bool,
    due: Instant,
    taken: Vec<PathBuf>,
    /// The log of the process.
    log: Option<PathBuf>,
    /// The heaps of workers each time.
    workers: Vec<HashMap<u32, u64>>,
    told: bool,
}

impl<'a> Snapshots<'a> {
    pub fn new(
        pid: i32,
        isolate: u32,
        flags: &'a WatchFlags,
        places: &'a Places,
        begin: Instant,
        alone: bool,
    ) -> Snapshots<'a> {
        Snapshots {
            pid,
            isolate,
            process: Process::look(pid),
            flags,
            places,
            alone,
            wanted: flags.snapshots.unwrap_or(0) as usize,
            begin,
            every: Duration::from_nanos(flags.every),
            is_up: false,
            has_place: false,
            ended: false,
            due: begin,
            taken: Vec::new(),
            log: None,
            workers: Vec::new(),
            told: false,
        }
    }

    /// The isolate's number; 0 is the main thread's.
    pub fn isolate(&self) -> u32 {
        self.isolate
    }

    /// Whether the isolate is no more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// When the next one is due.
    pub fn due(&self) -> Option<Instant> {
        (!self.ended && self.taken.len() < self.wanted).then_some(self.due)
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
        if !self.is_up && (!self.alone || self.begin.elapsed() < GRACE) {
            self.is_up = Channel::open(self.pid).is_ok_and(|channel| channel.listens());
            self.process = Process::look(self.pid);
            let next = match (self.is_up, self.begin.elapsed() < GRACE) {
                (true, _) => self.every,
                (false, true) => SOON,
                // It may still run another program.
                (false, false) => SELDOM,
            };
            self.due = Instant::now() + next;
            return Ok(());
        }
        self.is_up = true;
        self.process = Process::look(self.pid);
        self.due = Instant::now() + self.every;
        // It may have become another program since it was chosen.
        let is_wanted = self.alone || self.flags.wants(&self.process);
        if !is_wanted {
            return Ok(());
        }
        if !self.has_place && !self.places.take() {
            let who = who(&self.process, self.isolate);
            self.places.say_full(&who, self.flags.processes);
            return Ok(());
        }
        self.has_place = true;
        let result = self.take();
        self.due = Instant::now() + self.every;
        result?;
        if self.taken.len() == self.wanted {
            self.finish(&mut std::io::stderr());
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), Problem> {
        let who = who(&self.process, self.isolate);
        let number = format!("{} of {}: ", self.taken.len() + 1, self.wanted);
        match take(self.pid, self.isolate, self.flags, self.places, &number) {
            Ok((path, line)) => {
                self.taken.push(path);
                self.log = Channel::open(self.pid).ok().map(|channel| channel.log);
                self.places.count();
                self.note_workers();
                tell!("leak watch: {who}: {number}{line}");
            }
            // It may be free the next time.
            Err(problem @ (Problem::Patience | Problem::Asked(_) | Problem::NoMemory(..))) => {
                self.places.note_told();
                tell!("leak watch: {who}: no heap snapshot: {problem}");
            }
            Err(_) if !live::is_alive(self.pid) => {}
            Err(Problem::NoIsolate) if self.isolate != 0 => {
                self.ended = true;
                self.finish(&mut std::io::stderr());
            }
            Err(Problem::GivenUp(_)) => {}
            Err(problem) => {
                self.places.note_told();
                self.ended = true;
                self.finish(&mut std::io::stderr());
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Says what grew, if that is not done yet and there are enough.
    pub fn finish(&mut self, out: &mut impl Write) {
        if std::mem::replace(&mut self.told, true) || self.wanted == 0 {
            return;
        }
        let who = who(&self.process, self.isolate);
        let taken = self.taken.len();
        if taken < self.wanted && (taken > 0 || self.alone) {
            tell!(
                "leak watch: {who}: {} {taken} of {} snapshots{}",
                match live::is_alive(self.pid) {
                    true => "gave",
                    false => "ended after",
                },
                self.wanted,
                match taken {
                    0 => "; only a Node that runs with libleak gives any",
                    _ => "",
                }
            );
        }
        if taken == 0 && self.is_up && self.isolate == 0 && self.flags.wants(&self.process) {
            self.places.note_early();
        }
        if taken < 2 {
            if self.has_place {
                self.places.give_back();
            }
            return;
        }
        let mut text = format!("leak watch: {who}: what grew:\n").into_bytes();
        if let Err(error) = heap::what_grew(&self.taken, self.every, self.log.as_deref(), &mut text)
        {
            text = format!("leak watch: {who}: {error}\n").into_bytes();
        }
        for line in self.workers_that_grew() {
            text.extend(format!("leak watch: {who}: {line}\n").bytes());
        }
        let _ = out.write_all(&text);
    }

    /// Notes how large the heaps of workers are, whose growth the main thread's snapshots do not show.
    fn note_workers(&mut self) {
        if self.isolate != 0 || self.flags.workers {
            return;
        }
        let Ok(channel) = Channel::open(self.pid) else {
            return;
        };
        let workers = channel
            .isolates()
            .into_iter()
            .filter(|&isolate| isolate != 0);
        let used = workers.filter_map(|isolate| {
            let figures = channel.figures(isolate, SOON * 2).ok()?;
            Some((isolate, figures.heap_used))
        });
        self.workers.push(used.collect());
    }

    fn workers_that_grew(&self) -> Vec<String> {
        let (Some(first), Some(last)) = (self.workers.first(), self.workers.last()) else {
            return Vec::new();
        };
        let mut lines: Vec<String> = Vec::new();
        let mut numbers: Vec<u32> = first.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let all: Option<Vec<u64>> = self
                .workers
                .iter()
                .map(|at| at.get(&number).copied())
                .collect();
            let (Some(all), Some(&from), Some(&to)) = (all, first.get(&number), last.get(&number))
            else {
                continue;
            };
            let grows = all.is_sorted_by(|one, next| one < next);
            if grows && to as f64 > from as f64 * GROWN && to - from > GROWN_BYTES {
                lines.push(format!(
                    "the heap of its worker thread {number} grew from {} to {}, which these snapshots do not \
                     show; with --workers it is taken as well",
                    bytes(from),
                    bytes(to)
                ));
            }
        }
        lines
    }
}

/// A process, and which of its threads.
pub fn who(process: &Process, isolate: u32) -> String {
    match isolate {
        0 => process.to_string(),
        number => format!("{process}, worker {number}"),
    }
}

/// Says what it will cost, behind some words, and takes one into a new file; its path, and a line
/// about it.
pub fn take(
    pid: i32,
    isolate: u32,
    flags: &WatchFlags,
    places: &Places,
    words: &str,
) -> Result<(PathBuf, String), Problem> {
    let channel = Channel::open(pid)?;
    let absolute = std::path::absolute(&flags.dir);
    let dir = absolute.map_err(|error| Problem::File(flags.dir.clone(), error))?;
    // One that does not answer must not keep the others waiting.
    channel.figures(isolate, PATIENCE)?;
    let _turn = places.turn();
    let path = javascript::fresh(&dir, &format!("{}.{pid}", channel.name), isolate);
    let figures = channel.figures(isolate, PATIENCE)?;
    let before = javascript::before(&figures, flags.way());
    let who = who(&Process::look(pid), isolate);
    tell!("leak watch: {who}: {words}{before}");
    let taken = channel.snapshot(isolate, &path, flags.way(), PATIENCE)?;
    let path = live::seen_from_here(pid, &path);
    let line = format!("heap snapshot: {}", javascript::after(&taken, &path));
    Ok((path, line))
}
