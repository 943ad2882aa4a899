//! The command line of `leak watch`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
use heap::Nanos;

use super::process::Process;
use super::rules::Limits;
use crate::figures::{parse_bytes, parse_duration};
use crate::live::Way;
use crate::run;

/// Watch a running program: compare heap snapshots, raise alerts.
///
/// With --snapshots, heap snapshots of a Node program are taken one after the other, and what grows in
/// each of them is named, as by leak heap leaks. With thresholds, memory is looked at in intervals, and
/// a line on stderr says when one is passed.
///
/// The program is started as by leak run (leak watch ... -- npm start), whose exit status is passed
/// on, or runs already (leak watch ... PID). Of a program that is started, what it starts is watched as
/// well: each Node, cluster workers and processes that come later among them, but not npm, npx, pnpm,
/// yarn, nodemon and their like, which are there to start others. Other programs that it starts are
/// watched with --only.
#[derive(Debug, Args)]
#[command(
    override_usage = "leak watch [OPTIONS] <PID | -- PROGRAM [ARGS]...>",
    group = ArgGroup::new("wanted").args(["snapshots", "rss", "heap_used", "heap_total", "external", "growth"]).multiple(true).required(true),
    after_long_help = HELP
)]
pub struct WatchFlags {
    /// A process. All but --rss and --growth need libleak in it (leak run, or LD_PRELOAD).
    #[arg(value_name = "PID", required_unless_present = "program")]
    pub pid: Option<i32>,

    /// Take so many heap snapshots of each process that is watched and say what grew.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub snapshots: Option<u32>,

    /// Of so many processes at most: those that are there first.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub processes: u32,

    /// Take those of worker threads as well: each is as a process of its own.
    #[arg(long, requires = "snapshots")]
    pub workers: bool,

    /// Of the processes of a program that is started, watch only those with this in their name, as lines show
    /// it (node server.js), or of this id; of any program. More than one can be given.
    #[arg(long, value_name = "NAME|PID", conflicts_with = "pid", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub only: Vec<String>,

    /// Time between two snapshots, and before the first one.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub every: u64,

    /// Where the snapshots go: NAME.PID.heapsnapshot, NAME.PID.1.heapsnapshot, ….
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,

    /// Alert when the process has more than this in memory.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub rss: Option<u64>,

    /// Alert when more than this of JavaScript's heap is in use, in the main thread or in a worker.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub heap_used: Option<u64>,

    /// Alert when JavaScript's heap is larger than this, used or not.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub heap_total: Option<u64>,

    /// Alert when JavaScript's objects hold more than this outside of its heap, array buffers included.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub external: Option<u64>,

    /// Alert when memory (JavaScript's heap in use; in other programs what is in memory) has grown by this
    /// factor within the window, and by its floors more steadily than chance explains.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    pub growth: Option<f64>,

    /// Samples in the window.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(6..=100_000))]
    pub window: u32,

    /// Time between two samples.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: u64,

    /// A command for the shell to run at an alert; see below.
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub on_alert: Option<String>,

    /// Take a heap snapshot at an alert.
    #[arg(long)]
    pub snapshot_on_alert: bool,

    /// Time that has to pass between two heap snapshots at alerts, each of which stops the program, and between two
    /// alerts of one limit, unless a figure is by a quarter worse than at the last one.
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    pub rest: u64,

    /// Experimental: a copy of the program takes the snapshot at an alert, as of leak snapshot --fork.
    #[arg(long, requires = "snapshot_on_alert", conflicts_with = "snapshots")]
    pub fork: bool,

    /// Take snapshots even if memory may not suffice.
    #[arg(long)]
    pub force: bool,

    /// Where the logs of a program that is started go, as of leak run.
    #[arg(short, long, value_name = "PATTERN|DIR/", value_hint = ValueHint::AnyPath, requires = "program")]
    pub output: Option<OsString>,

    /// The program and its arguments.
    #[arg(last = true, value_name = "PROGRAM", conflicts_with = "pid", value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}

/// What ends the help.
const HELP: &str = "\
The command of --on-alert has in its environment: LEAK_ALERT (rss, heap_used, heap_total, external or
growth), LEAK_PID, LEAK_NAME (node server.js), LEAK_WORKER (the number of a worker thread, if it is about
that), LEAK_VALUE and LEAK_LIMIT (bytes; for growth the factor in LEAK_VALUE), LEAK_RSS,
LEAK_HEAP_USED, LEAK_HEAP_TOTAL, LEAK_EXTERNAL (bytes, where known) and LEAK_SNAPSHOT (the file of
--snapshot-on-alert). It runs beside the watching, for one alert of a process after the other; when nothing is
watched any more, it has 10 s to end.

Three snapshots, one command:  leak watch --snapshots 3 --every 60s -- npm start";

fn parse_factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 1.0 => Ok(factor),
        _ => Err(format!(
            "{text:?} is no factor of growth: write a number above 1, such as 1.5"
        )),
    }
}

impl WatchFlags {
    /// The limits that raise alerts.
    pub fn limits(&self) -> Limits {
        Limits {
            rss: self.rss,
            heap_used: self.heap_used,
            heap_total: self.heap_total,
            external: self.external,
            growth: self.growth,
            window: self.window,
            rest: Nanos(self.rest),
        }
    }

    /// Whether a process of a program that was started is to be watched.
    pub fn wants(&self, process: &Process) -> bool {
        match self.only.is_empty() {
            true => !process.is_launcher,
            false => process.is_one_of(&self.only),
        }
    }

    /// How snapshots are taken.
    pub fn way(&self) -> Way {
        Way {
            force: self.force,
            copy: self.fork,
        }
    }

    /// What to run, and the rest.
    pub fn into_run(mut self) -> (run::Options, WatchFlags) {
        let mut words = std::mem::take(&mut self.program).into_iter();
        let options = run::Options {
            name: words.next().unwrap_or_default(),
            args: words.collect(),
            output: self.output.take(),
            js_exact: false,
            check_frees: false,
            snapshot: None,
            summary: None,
            gate: None,
        };
        (options, self)
    }
}
