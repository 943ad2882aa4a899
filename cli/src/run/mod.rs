//! `leak run`: a program with the recorder preloaded, and a summary of what it left.

mod child;
mod elf;
mod library;
mod output;
mod program;
mod summary;

use std::ffi::OsString;
use std::time::SystemTime;

use crate::error::Error;
use crate::flags::RunFlags;

pub use output::Unwritable;
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
    /// Sites of the summary; `None` for no summary.
    pub summary: Option<usize>,
}

impl From<RunFlags> for Options {
    fn from(flags: RunFlags) -> Options {
        let mut words = flags.program.into_iter();
        Options {
            name: words.next().unwrap_or_default(),
            args: words.collect(),
            output: flags.output,
            js_exact: flags.js_exact,
            summary: (!flags.quiet).then_some(flags.top),
        }
    }
}

/// Runs the program and gives its exit status; does not return if a signal ended it.
pub fn run(options: &Options) -> Result<u8, Error> {
    let program = program::find(&options.name)?;
    let library = library::find()?;
    // Last, since it may make a directory.
    let pattern = output::Pattern::prepare(options.output.as_deref())?;

    let began = SystemTime::now();
    let (pid, status) = child::run(
        &program,
        &options.name,
        &options.args,
        &library,
        pattern.0.as_os_str(),
        options.js_exact,
    )
    .map_err(|error| Error::Start { program, error })?;
    if let Some(top) = options.summary {
        summary::print(&pattern, began, pid, top);
    }
    Ok(child::end_like(status))
}
