//! What is wrong with the gate's files, in one line: what, where and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A file of suppressions or a baseline that cannot be used.
#[derive(Debug)]
pub enum GateError {
    /// It cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of suppressions is not in the grammar.
    Line {
        /// Whose line.
        source: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// It is no baseline.
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It is the baseline of another program.
    OtherProgram {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        theirs: String,
        /// Whose logs are checked.
        ours: String,
    },
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GateError::Read { path, source } => {
                write!(f, "{}: cannot be read ({})", path.display(), reason(source))
            }
            GateError::Write { path, source } => {
                write!(
                    f,
                    "{}: cannot be written ({}); choose another place",
                    path.display(),
                    reason(source)
                )
            }
            GateError::Line {
                source,
                line,
                problem,
            } => write!(f, "{source}:{line}: {problem}"),
            GateError::Baseline { path, problem } => write!(
                f,
                "{}: {problem}; write it anew with --write-baseline",
                path.display()
            ),
            GateError::OtherProgram { path, theirs, ours } => write!(
                f,
                "{}: the baseline of {theirs}, but the log is of {ours}; give the baseline of {ours}, or write one \
                 with --write-baseline",
                path.display()
            ),
        }
    }
}

impl std::error::Error for GateError {}

fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}
