//! `leak snapshot PID`: a snapshot of a process that runs on: of its heap of JavaScript
//! ([`javascript`]), or of what its native blocks can be reached from:
//!
//! ```text
//! stop all threads ─> their registers ─> one calls the recorder: drain, frozen copy
//!    ─> copy of the log ─> let them go        (the pause ends here)
//! the copy searches ─> its result, read from outside ─> into the copy of the log
//! ```

mod inject;
pub mod javascript;
pub mod pause;
pub mod place;
mod stop;
mod target;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};
use log_format::append::append;
use log_format::block::BlockKind;
use log_format::reach::{Outcome, Summary, encode_summary};
use log_format::varint::Out;

use crate::error::{Error, reason};
use crate::figures::{bytes, duration, parse_duration};
use crate::flags::Color;
use crate::inspect::{self, InspectFlags};
use crate::live::{self, Channel};
use crate::paint::Paint;
use crate::report;
use inject::{HEAD, State};
use stop::Threads;
use target::Target;

/// Times that a process is stopped again because it was just draining.
const TRIES: u32 = 20;
/// Longest search.
const LONGEST: Duration = Duration::from_secs(110);

/// Take a snapshot of a running process: JavaScript's heap in Node, else what can still be reached.
///
/// The process must run with libleak (leak run, or LD_PRELOAD).
///
/// In Node, V8 writes its heap into a .heapsnapshot file, for leak heap and for DevTools. The program
/// stands still meanwhile; for how long, and how much memory it needs, is said before. It is asked
/// through its log, so whoever may write the log may ask.
///
/// Other programs are stopped for the moment in which a copy of them is made; the copy is searched while
/// they run on. The result is a log of that moment, for leak report.
#[derive(Debug, Args)]
pub struct SnapshotFlags {
    /// The process.
    #[arg(value_name = "PID", required_unless_present = "inspect")]
    pub pid: Option<i32>,

    /// The file to write. Default: NAME.PID.heapsnapshot, with a number if that is there, or
    /// NAME.PID.snapshot.leak, in the current directory.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// In Node: what the native blocks can be reached from, as in other programs.
    #[arg(long)]
    pub native: bool,

    /// In Node: the heaps of the worker threads as well, each in a file of its own.
    #[arg(long, conflicts_with = "native")]
    pub workers: bool,

    /// In Node, experimental: a copy of the process takes the snapshot, while the program runs on.
    ///
    /// The program stands only for the fork, milliseconds; memory is needed for the copy as well. Objects
    /// have ids of their own in such a file, so that it cannot be compared with later ones (leak heap diff,
    /// leak heap leaks). A copy that does not finish is ended and made again, and at last it is said that
    /// none did.
    #[arg(long, conflicts_with = "native")]
    pub fork: bool,

    /// In Node: how long to wait until the program comes to the request.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub timeout: u64,

    /// How many sites are shown.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub top: usize,

    #[command(flatten)]
    pub inspect: InspectFlags,
}

/// Why there is no snapshot.
#[derive(Debug)]
pub enum Problem {
    /// There is no such process, or no more.
    Gone,
    /// The system does not let us look at it.
    NotOurs(io::Error),
    /// It runs without libleak.
    NotPreloaded,
    /// Its libleak has not the functions that are called.
    OtherVersion,
    /// It records nothing.
    NoLog,
    /// Its threads do not stop.
    NotStopping,
    /// It was draining each time.
    Busy,
    /// The recorder said why not.
    Refused(i64),
    /// The call failed by a signal.
    Crashed(i32),
    /// The search did not end well.
    Search(Outcome),
    /// The result cannot be written.
    Write(PathBuf, io::Error),
    /// The log cannot be used.
    Log(log_format::error::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Gone => write!(f, "there is no such process"),
            Problem::NotOurs(error) => write!(
                f,
                "it may not be looked at ({}): it belongs to someone else, is traced already, or ptrace is restricted \
                 (kernel.yama.ptrace_scope); try as root",
                reason(error)
            ),
            Problem::NotPreloaded => write!(f, "it runs without libleak; start it with leak run"),
            Problem::OtherVersion => {
                write!(f, "it runs with the libleak of another version of leak")
            }
            Problem::NoLog => write!(
                f,
                "it records nothing: its recording has ended, or was turned off"
            ),
            Problem::NotStopping => write!(
                f,
                "a thread of it does not stop (it waits for a device?); try again"
            ),
            Problem::Busy => write!(f, "its recorder was busy each time; try again"),
            Problem::Refused(-5) => write!(
                f,
                "it has a system-call filter, behind which no copy can be made"
            ),
            Problem::Refused(-4) => write!(
                f,
                "the system refuses a copy of it (memory or process limit)"
            ),
            Problem::Refused(-3) => write!(f, "it has no memory for that"),
            Problem::Refused(_) => write!(f, "its recording has ended"),
            Problem::Crashed(signal) => {
                write!(f, "the call of its recorder ended by signal {signal}")
            }
            Problem::Search(outcome) => write!(f, "the search did not end well ({outcome:?})"),
            Problem::Write(path, error) => {
                write!(f, "cannot write {}: {}", path.display(), reason(error))
            }
            Problem::Log(error) => error.fmt(f),
        }
    }
}

/// The copy of a process; ended when this is dropped.
struct Copy(i32);

impl Drop for Copy {
    fn drop(&mut self) {
        // SAFETY: the copy that was made for us.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

/// Takes the snapshot and reports on it.
pub fn snapshot(flags: &SnapshotFlags) -> Result<u8, Error> {
    let Some(pid) = flags.pid else {
        return inspect::inspect(&flags.inspect, flags.output.as_deref());
    };
    if !flags.native {
        let needs_node = flags.workers || flags.fork || flags.inspect.force;
        match Channel::open(pid) {
            Ok(channel) if channel.listens() => {
                return javascript::snapshots(pid, &channel, &flags.into());
            }
            // A Node's native blocks are not what was asked for.
            Ok(_) if !needs_node && !inspect::is_node(pid) => {}
            Ok(_) => {
                return Err(Error::Asked {
                    pid,
                    problem: live::Problem::NotListening,
                });
            }
            // What is asked for by the others is in Node's own hands.
            Err(live::Problem::NotPreloaded) if inspect::is_node(pid) => {
                return Err(Error::Asked {
                    pid,
                    problem: live::Problem::PlainNode(pid),
                });
            }
            // Of no use for the other way either.
            Err(
                problem @ (live::Problem::Gone | live::Problem::Deleted(_) | live::Problem::Cut(_)),
            ) => {
                return Err(Error::Asked { pid, problem });
            }
            Err(problem) if needs_node => return Err(Error::Asked { pid, problem }),
            Err(_) => {}
        }
    }
    native(pid, flags)
}

/// What can be reached now.
fn native(pid: i32, flags: &SnapshotFlags) -> Result<u8, Error> {
    let failed = |problem| Error::Live { pid, problem };
    let target = Target::find(pid).map_err(failed)?;
    let output = flags
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.{pid}.snapshot.leak", target.name)));
    place::check(&output, place::LOG)?;
    place::is_other(&output, &target.log)?;
    let begin = Instant::now();
    let moment = take(&target, &output).map_err(failed)?;
    let parts = result(&moment, begin).map_err(failed)?;
    append(&output, BlockKind::Reach, &parts).map_err(|error| failed(Problem::Log(error)))?;

    let paint = Paint::new(Color::Auto, &io::stdout());
    let options = report::Options::summary(flags.top, paint);
    let loaded = report::load(std::slice::from_ref(&output), &options);
    let mut out = io::stdout().lock();
    let told = writeln!(
        out,
        "snapshot of {pid}: stopped for {}, searched {} in {}; written to {}\n",
        duration(moment.pause.as_nanos() as u64),
        bytes(moment.scanned.get()),
        duration(begin.elapsed().as_nanos() as u64),
        output.display()
    )
    .and_then(|()| report::write(&mut out, &loaded.profiles, &options));
    match told {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Error::Output(error));
        }
        _ => {}
    }
    for problem in &loaded.problems {
        tell!("leak: {problem}");
    }
    Ok(if loaded.problems.is_empty() { 0 } else { 2 })
}

/// A stopped moment of the process.
struct Moment {
    copy: Copy,
    request: u64,
    threads: u32,
    pause: Duration,
    scanned: std::cell::Cell<u64>,
}

/// Stops the process, copies it and its log.
fn take(target: &Target, output: &PathBuf) -> Result<Moment, Problem> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let begin = Instant::now();
        let mut threads = Threads::stop(target)?;
        let count = threads.0.len();
        let request = match threads.call(target, target.prepare, count as u64) {
            Err(Problem::Busy) => continue,
            other => other?,
        };
        if request < 0 {
            return Err(Problem::Refused(request));
        }
        let request = request as u64;
        let words = inject::encode(&threads.0);
        target::write(target.pid, request + HEAD as u64, &words).map_err(Problem::NotOurs)?;
        let copy = threads.call(target, target.run, request)?;
        match copy {
            -2 => continue,
            ..0 => return Err(Problem::Refused(copy)),
            _ => {}
        }
        let copy = Copy(copy as i32);
        let copied =
            fs::copy(&target.log, output).map_err(|error| Problem::Write(output.clone(), error));
        drop(threads);
        let pause = begin.elapsed();
        copied?;
        return Ok(Moment {
            copy,
            request,
            threads: count as u32,
            pause,
            scanned: std::cell::Cell::new(0),
        });
    }
    Err(Problem::Busy)
}

/// Waits for the copy's search and reads the parts of its result.
fn result(moment: &Moment, begin: Instant) -> Result<Vec<Vec<u8>>, Problem> {
    let pid = moment.copy.0;
    let mut head = [0u8; HEAD];
    let state = loop {
        target::read(pid, moment.request, &mut head).map_err(|_| Problem::Search(Outcome::Died))?;
        let state = State::decode(&head);
        if state.done {
            break state;
        }
        if begin.elapsed() > LONGEST {
            return Err(Problem::Search(Outcome::TooLong));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    moment.scanned.set(state.scanned);
    let outcome = Outcome::from_raw(state.outcome);
    if outcome != Outcome::Done {
        return Err(Problem::Search(outcome));
    }
    let mut bytes = vec![0u8; usize::try_from(state.used).unwrap_or(0)];
    target::read(pid, state.parts, &mut bytes).map_err(|_| Problem::Search(Outcome::Died))?;
    let mut parts = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((len, after)) = rest.split_first_chunk::<8>() {
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        let Some(part) = after.get(..len) else {
            return Err(Problem::Search(Outcome::Died));
        };
        parts.push(part.to_vec());
        rest = after.get(len.next_multiple_of(8)..).unwrap_or(&[]);
    }
    let summary = Summary {
        outcome,
        time: 0,
        threads: moment.threads,
        blind: 0,
        ns: begin.elapsed().as_nanos() as u64,
        scanned: state.scanned,
        asked: false,
    };
    let mut buf = [0u8; 64];
    let mut out = Out::new(&mut buf);
    encode_summary(&summary, &mut out);
    parts.push(out.written().to_vec());
    Ok(parts)
}
