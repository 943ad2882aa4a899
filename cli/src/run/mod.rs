//! `leak run`: a program with the recorder preloaded, and a summary of what it left.

mod child;
mod elf;
mod library;
mod output;
mod program;
mod summary;

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::time::SystemTime;

use crate::error::Error;
use crate::flags::{Color, RunFlags};
use crate::gate::{self, Gate};
use crate::paint::Paint;
use crate::report;

pub use output::{Pattern, Unwritable};
pub use program::Untraceable;

/// What to run and how, as validated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The command's name, as the user wrote it.
    pub name: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where the logs go, if the user says so.
    pub output: Option<OsString>,
    /// Calls in JavaScript stay calls.
    pub js_exact: bool,
    /// Whether frees are checked.
    pub check_frees: bool,
    /// When heap snapshots of JavaScript are taken.
    pub snapshot: Option<String>,
    /// Sites of the summary; `None` for no summary.
    pub summary: Option<usize>,
    /// What the run is judged by, if it is.
    pub gate: Option<gate::Options>,
}

impl From<RunFlags> for Options {
    fn from(flags: RunFlags) -> Options {
        let mut words = flags.program.into_iter();
        let paint = Paint::new(Color::Auto, &io::stderr());
        Options {
            gate: flags
                .gate
                .is_asked_for()
                .then(|| gate::Options::of_run(&flags.gate, flags.top, paint)),
            name: words.next().unwrap_or_default(),
            args: words.collect(),
            output: flags.output,
            js_exact: flags.js_exact,
            check_frees: flags.check_frees,
            snapshot: flags.snapshot,
            summary: (!flags.quiet).then_some(flags.top),
        }
    }
}

/// Runs the program and gives its exit status; does not return if a signal ended it.
pub fn run(options: &Options) -> Result<u8, Error> {
    run_beside(options, |_, _| {})
}

/// As [`run`], with `beside` running in a thread of its own; it is told the process's id and where
/// the logs are, and is waited for.
pub fn run_beside(
    options: &Options,
    beside: impl FnOnce(u32, &Pattern) + Send,
) -> Result<u8, Error> {
    let gate = options.gate.clone().map(Gate::prepare).transpose()?;
    let program = program::find(&options.name)?;
    let library = library::find()?;
    // Last, since it may make a directory.
    let pattern = Pattern::prepare(options.output.as_deref())?;

    let began = SystemTime::now();
    let (pid, status) = child::run(
        &program,
        &options.name,
        &options.args,
        &library,
        pattern.0.as_os_str(),
        options,
        |pid| beside(pid, &pattern),
    )
    .map_err(|error| Error::Start { program, error })?;
    summary::note_end(&pattern, began, pid, status);
    if options.summary.is_none() && gate.is_none() {
        return Ok(child::end_like(status));
    }
    let growing = gate.as_ref().is_some_and(Gate::needs_growth);
    let mut shown = report::Options::summary(
        options.summary.unwrap_or(0),
        Paint::new(Color::Auto, &io::stderr()),
    );
    shown.warm_up = report::Options::judged(growing).warm_up;
    let loaded = summary::load(&pattern, began, pid, &shown);
    if options.summary.is_some() {
        summary::print(&loaded, &pattern, &shown);
    }
    match gate {
        Some(gate) => judge(gate, loaded, status),
        None => Ok(child::end_like(status)),
    }
}

/// A run that failed by itself ends as it ended; else the gate decides.
fn judge(gate: Gate, loaded: report::Loaded, status: ExitStatus) -> Result<u8, Error> {
    let whole = loaded.problems.is_empty();
    let judged = match loaded.profiles.is_empty() {
        true => Err(Error::NoLog),
        false => gate.judge(&mut io::stderr(), loaded.profiles),
    };
    if !status.success() {
        if let Err(error) = judged {
            tell!("leak: {error}");
        }
        return Ok(child::end_like(status));
    }
    Ok(judged?.unwrap_or(if whole { 0 } else { crate::BAD_INPUT }))
}
