//! What is done at an alert: a line, a snapshot, a command.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use heap::Nanos;

use super::flags::WatchFlags;
use super::places::Places;
use super::process::Process;
use super::rules::Alert;
use super::sample::Sample;
use super::snapshots;
use crate::figures::{bytes, duration};

/// Time in which the program comes to a request.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Commands of one process that wait for the one that runs.
const MOST_WAITING: usize = 16;
/// Time that they get when nothing is watched any more.
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Time between two looks at them then.
const SOON: Duration = Duration::from_millis(5);

/// What is done at alerts.
pub struct Alerts<'a> {
    pid: i32,
    flags: &'a WatchFlags,
    places: &'a Places,
    /// An isolate's last snapshot, and when its sample was taken.
    taken: HashMap<u32, (Nanos, PathBuf)>,
    /// The command that runs, and since when.
    running: Option<(Child, Instant)>,
    /// Those that are to run after it.
    waiting: VecDeque<Command>,
}

impl<'a> Alerts<'a> {
    pub fn new(pid: i32, flags: &'a WatchFlags, places: &'a Places) -> Alerts<'a> {
        Alerts {
            pid,
            flags,
            places,
            taken: HashMap::new(),
            running: None,
            waiting: VecDeque::new(),
        }
    }

    /// Says it, takes the snapshot, begins the command.
    pub fn raise(&mut self, isolate: u32, alert: &Alert, sample: &Sample) {
        let process = Process::look(self.pid);
        // It may have become another program since it was chosen.
        if self.flags.pid.is_none() && !self.flags.wants(&process) {
            return;
        }
        let who = snapshots::who(&process, isolate);
        let its_heap = match (isolate, self.flags.snapshot_on_alert) {
            (0, _) | (_, true) => String::new(),
            _ => format!("; for its heap: leak snapshot --workers {}", self.pid),
        };
        let last = self.last(isolate, sample.time);
        let rests = match &last {
            Some((since, _)) if since.0 > 0 => format!(
                "; no heap snapshot: the last one was {} ago (--rest {})",
                duration(since.0),
                duration(self.flags.rest)
            ),
            _ => String::new(),
        };
        tell!("leak watch: {who}: {}{its_heap}{rests}", words(alert));
        let mut file = None;
        if let Some((since, path)) = last {
            // Of several alerts of one moment, all are told of its snapshot.
            file = (since.0 == 0).then_some(path);
        } else if self.flags.snapshot_on_alert {
            match snapshots::take(self.pid, isolate, self.flags, self.places, "") {
                Ok((path, line)) => {
                    tell!("leak watch: {who}: {line}");
                    self.taken.insert(isolate, (sample.time, path.clone()));
                    file = Some(path);
                }
                Err(problem) => tell!("leak watch: {who}: no heap snapshot: {problem}"),
            }
        }
        if let Some(command) = &self.flags.on_alert {
            let shell = self.shell(command, &process, isolate, alert, sample, file);
            self.begin(shell);
        }
    }

    /// Has a command run beside the watching, after those before it.
    fn begin(&mut self, shell: Command) {
        self.look();
        if self.waiting.len() >= MOST_WAITING {
            let since = self.running.as_ref().map(|(_, begin)| begin.elapsed());
            tell!(
                "leak watch: the command of --on-alert is not run: {MOST_WAITING} wait for the one that has been running for {}",
                duration(since.unwrap_or_default().as_nanos() as u64)
            );
            return;
        }
        self.waiting.push_back(shell);
        self.look();
    }

    /// Says whether the command that ran has failed, and begins the next one.
    pub fn look(&mut self) {
        loop {
            if let Some((child, _)) = &mut self.running {
                match child.try_wait() {
                    Ok(None) => return,
                    Ok(Some(status)) if status.success() => {}
                    Ok(Some(status)) => say_failed(&status.to_string()),
                    Err(error) => say_failed(&crate::error::reason(&error)),
                }
                self.running = None;
            }
            let Some(mut shell) = self.waiting.pop_front() else {
                return;
            };
            match shell.spawn() {
                Ok(child) => self.running = Some((child, Instant::now())),
                Err(error) => say_failed(&crate::error::reason(&error)),
            }
        }
    }

    /// Waits for the commands, but not for ever.
    pub fn finish(&mut self) {
        let begin = Instant::now();
        self.look();
        while self.running.is_some() && begin.elapsed() < LAST_WAIT {
            sleep(SOON);
            self.look();
        }
        if self.running.is_some() {
            let others = match self.waiting.len() {
                0 => String::new(),
                count => format!("; {count} more are not run"),
            };
            tell!(
                "leak watch: the command of --on-alert still runs, and is not waited for{others}"
            );
        }
    }

    /// An isolate's last snapshot and the time since, if that is too short for another one.
    fn last(&self, isolate: u32, now: Nanos) -> Option<(Nanos, PathBuf)> {
        let (then, path) = self.taken.get(&isolate)?;
        let since = Nanos(now.0.saturating_sub(then.0));
        let is_rested = since.0 > 0 && since.0 >= self.flags.rest;
        (!is_rested).then(|| (since, path.clone()))
    }

    /// The command, with what it is told.
    fn shell(
        &self,
        command: &str,
        process: &Process,
        isolate: u32,
        alert: &Alert,
        sample: &Sample,
        file: Option<PathBuf>,
    ) -> Command {
        let (name, value, limit) = match alert {
            Alert::Above(figure, value, limit) => {
                (figure.name(), value.to_string(), limit.to_string())
            }
            Alert::Growth(growth) => (
                "growth",
                format!("{:.3}", growth.trend.factor),
                growth.limit.to_string(),
            ),
        };
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .stdin(Stdio::null())
            .env("LEAK_ALERT", name)
            .env("LEAK_PID", self.pid.to_string())
            .env("LEAK_NAME", &process.name)
            .env("LEAK_VALUE", value)
            .env("LEAK_LIMIT", limit)
            .env("LEAK_RSS", sample.rss.to_string());
        if isolate != 0 {
            shell.env("LEAK_WORKER", isolate.to_string());
        }
        if let Some(heap) = sample.heap_of(isolate) {
            shell
                .env("LEAK_HEAP_USED", heap.heap_used.to_string())
                .env("LEAK_HEAP_TOTAL", heap.heap_total.to_string())
                .env("LEAK_EXTERNAL", heap.external.to_string());
        }
        if let Some(file) = file {
            shell.env("LEAK_SNAPSHOT", file);
        }
        shell
    }
}

fn say_failed(why: &str) {
    tell!("leak watch: the command of --on-alert failed ({why})");
}

fn words(alert: &Alert) -> String {
    match alert {
        Alert::Above(figure, value, limit) => {
            format!(
                "{} {}, above {}",
                bytes(*value),
                figure.words(),
                bytes(*limit)
            )
        }
        Alert::Growth(growth) => format!(
            "{} grew from {} to {} within {}, by a factor of {:.2}",
            if growth.is_heap {
                "the heap in use"
            } else {
                "what is in memory"
            },
            bytes(growth.trend.from.0),
            bytes(growth.trend.to.0),
            duration(growth.trend.span.0),
            growth.trend.factor
        ),
    }
}
