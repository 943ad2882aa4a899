//! What is done at an alert: a line, a snapshot, a command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::flags::WatchFlags;
use super::rules::Alert;
use super::sample::Sample;
use super::snapshots;
use crate::figures::{bytes, duration};
use crate::live::Way;

/// Time in which the program comes to a request.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What is done at alerts.
pub struct Alerts<'a> {
    pid: i32,
    command: Option<&'a str>,
    snapshot: bool,
    way: Way,
    dir: &'a Path,
}

impl<'a> Alerts<'a> {
    pub fn new(pid: i32, flags: &'a WatchFlags) -> Alerts<'a> {
        Alerts {
            pid,
            command: flags.on_alert.as_deref(),
            snapshot: flags.snapshot_on_alert,
            way: flags.way(),
            dir: &flags.dir,
        }
    }

    /// Says it, takes the snapshot, runs the command and waits for it.
    pub fn raise(&self, alert: &Alert, sample: &Sample) {
        let pid = self.pid;
        tell!("leak watch: process {pid}: {}", words(alert));
        let mut file = None;
        if self.snapshot {
            match snapshots::take(pid, self.dir, self.way, "") {
                Ok((path, line)) => {
                    tell!("leak watch: process {pid}: {line}");
                    file = Some(path);
                }
                Err(problem) => tell!("leak watch: process {pid}: no heap snapshot: {problem}"),
            }
        }
        if let Some(command) = self.command {
            self.run(command, alert, sample, file);
        }
    }

    fn run(&self, command: &str, alert: &Alert, sample: &Sample, file: Option<PathBuf>) {
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
            .env("LEAK_VALUE", value)
            .env("LEAK_LIMIT", limit)
            .env("LEAK_RSS", sample.rss.to_string());
        if let Some(heap) = sample.heap {
            shell
                .env("LEAK_HEAP_USED", heap.heap_used.to_string())
                .env("LEAK_HEAP_TOTAL", heap.heap_total.to_string())
                .env("LEAK_EXTERNAL", heap.external.to_string());
        }
        if let Some(file) = file {
            shell.env("LEAK_SNAPSHOT", file);
        }
        let failed = match shell.status() {
            Ok(status) if status.success() => return,
            Ok(status) => status.to_string(),
            Err(error) => crate::error::reason(&error),
        };
        tell!("leak watch: the command of --on-alert failed ({failed})");
    }
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
