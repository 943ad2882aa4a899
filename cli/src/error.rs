//! What ends a command early, each in one line: what, where and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use heap::gate::GateError;

use crate::run::{Untraceable, Unwritable};

/// What the system said, without the number of the error.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or_default();
    let mut chars = plain.chars();
    let lower = chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect());
    lower.unwrap_or_default()
}

/// An error of the command. All of them end it with status 2.
#[derive(Debug)]
pub enum Error {
    /// The program cannot be traced.
    Untraceable(Untraceable),
    /// No log can be written.
    Unwritable(Unwritable),
    /// `libleak.so` is not where it should be.
    NoLibrary {
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// What stands for `libleak.so` cannot be loaded into a program.
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is, or what the system said.
        why: String,
    },
    /// `LD_PRELOAD` cannot hold its path, and no link to it could be made.
    LibraryPath(PathBuf),
    /// The system would not start the program.
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file of `leak generate` cannot be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file that was asked for cannot be written.
    WriteFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No log has a JavaScript heap by stack for this file.
    NoJsHeap(PathBuf),
    /// A heap snapshot cannot be read.
    Snapshot(v8heap::Error),
    /// The log that stacks were to come from cannot be read.
    Log(heap::Error),
    /// That log has none.
    NoStacks(PathBuf),
    /// The same snapshot twice, where several are compared.
    Twice {
        /// The later of the two.
        path: PathBuf,
        /// The other, which may be called otherwise.
        first: PathBuf,
    },
    /// A pipe where a file is read more than once.
    Piped(PathBuf),
    /// A snapshot cannot be written to a place.
    Place {
        /// The place.
        path: PathBuf,
        /// Why not.
        why: String,
        /// What to do.
        cure: &'static str,
    },
    /// A folder in which snapshots cannot be made.
    Folder(PathBuf, io::Error),
    /// There is no snapshot of a running process.
    Live {
        /// The process.
        pid: i32,
        /// Why.
        problem: crate::snapshot::Problem,
    },
    /// There is no heap snapshot over the DevTools protocol.
    Inspect {
        /// The process or address.
        what: String,
        /// Why.
        problem: crate::inspect::Problem,
    },
    /// A running process does not do what it is asked for.
    Asked {
        /// The process.
        pid: i32,
        /// Why.
        problem: crate::live::Problem,
    },
    /// A snapshot has no object of this id.
    NoSuchObject {
        /// The snapshot.
        file: PathBuf,
        /// The id.
        id: u32,
    },
    /// A job that has no HTML page.
    NoPage(&'static str),
    /// A question or a bound is not understood.
    Query {
        /// It, or what it is called.
        text: String,
        /// Why.
        why: String,
    },
    /// A file of rules for leaks cannot be used.
    Rules {
        /// The file.
        path: PathBuf,
        /// The line, from 1, if it is one.
        line: Option<usize>,
        /// Why.
        why: String,
    },
    /// Standard output cannot be written to.
    Output(io::Error),
    /// Suppressions or a baseline cannot be used.
    Gate(GateError),
    /// The gate asks for classes that a log does not have.
    NotClassified {
        /// The log.
        log: PathBuf,
    },
    /// Nothing to judge.
    NoLog,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Untraceable(why) => why.fmt(f),
            Error::Unwritable(why) => why.fmt(f),
            Error::Live { pid, problem } => write!(f, "process {pid}: {problem}"),
            Error::Inspect { what, problem } => match what.parse::<i32>() {
                Ok(pid) => write!(f, "process {pid}: {problem}"),
                Err(_) => write!(f, "{what}: {problem}"),
            },
            Error::Asked { pid, problem } => write!(f, "process {pid}: {problem}"),
            Error::NoLibrary { places } => {
                write!(f, "libleak.so: not found (looked at")?;
                for (i, place) in places.iter().enumerate() {
                    write!(f, "{} {}", if i == 0 { "" } else { "," }, place.display())?;
                }
                write!(f, "); install it beside leak, or set LEAK_LIB to its path")
            }
            Error::LibraryPath(path) => write!(
                f,
                "{}: LD_PRELOAD cannot hold a path with a space, a colon or a dollar sign, and no link \
                 could be made in $TMPDIR or /tmp; make one elsewhere and set LEAK_LIB to it",
                path.display()
            ),
            Error::NotALibrary { path, why } => write!(
                f,
                "{}: cannot be preloaded ({why}); set LEAK_LIB to the libleak.so of this leak, or unset it",
                path.display()
            ),
            Error::Start { program, error } => {
                write!(f, "{}: ", program.display())?;
                match error.raw_os_error() {
                    Some(libc::ENOEXEC) => write!(
                        f,
                        "no program that the kernel knows how to start; if it is a script \
                         without a #! line, run its interpreter (leak run -- sh {})",
                        program.display()
                    ),
                    _ => write!(
                        f,
                        "cannot be started ({}); does it start without leak?",
                        reason(error)
                    ),
                }
            }
            Error::WriteFile { path, error } => write!(
                f,
                "{}: cannot be written ({}); choose another place",
                path.display(),
                reason(error)
            ),
            Error::Log(error) => write!(f, "{error}"),
            Error::NoStacks(path) => write!(
                f,
                "{}: the log has no sampled stacks of JavaScript (record a program that runs in Node for a second or more, \
                 without LEAK_JS=0, LEAK_JS_SAMPLE=0 and an inspector)",
                path.display()
            ),
            Error::NoJsHeap(path) => write!(
                f,
                "{}: not written: the log has no JavaScript heap by stack (record a program that runs in Node, \
                 without LEAK_JS=0, LEAK_JS_SAMPLE=0 and an inspector)",
                path.display()
            ),
            Error::Write { path, error } => {
                write!(
                    f,
                    "{}: cannot be written ({}); choose another directory",
                    path.display(),
                    reason(error)
                )
            }
            Error::Snapshot(why) => why.fmt(f),
            Error::Folder(path, error) => write!(
                f,
                "{}: no file can be made there ({}); name another folder with --dir",
                path.display(),
                reason(error)
            ),
            Error::Twice { path, first } => {
                let other = match path == first {
                    true => String::new(),
                    false => format!(" (the same as {})", first.display()),
                };
                write!(
                    f,
                    "{}: is given twice{other}; give snapshots that were taken some time apart",
                    path.display()
                )
            }
            Error::Piped(path) => write!(
                f,
                "{}: is no plain file, and each is read more than once; write it to a file first \
                 (those packed by gzip or zstd are read as they are)",
                path.display()
            ),
            Error::Place { path, why, cure } => {
                write!(f, "{}: cannot be written ({why}); {cure}", path.display())
            }
            Error::NoSuchObject { file, id } => write!(
                f,
                "{}: has no object @{id}; ids are those of the same process's snapshots",
                file.display()
            ),
            Error::NoPage(job) => write!(
                f,
                "leak heap {job} has no HTML page; leak heap FILE, diff, leaks and why have one"
            ),
            Error::Rules { path, line, why } => match line {
                Some(line) => write!(f, "{}:{line}: {why}", path.display()),
                None => write!(f, "{}: {why}", path.display()),
            },
            Error::Query { text, why } => write!(f, "{text}: {why}"),
            Error::Output(error) => write!(
                f,
                "standard output: {}; the report is not whole: free some space, or write it elsewhere",
                reason(error)
            ),
            Error::Gate(error) => error.fmt(f),
            Error::NotClassified { log } => write!(
                f,
                "{}: does not say what points to a block at the end, so nothing is known to be unreachable; \
                 use --fail-on any",
                log.display()
            ),
            Error::NoLog => write!(
                f,
                "no log that could be judged; run the program with leak run, or give its logs"
            ),
        }
    }
}

impl From<GateError> for Error {
    fn from(error: GateError) -> Error {
        Error::Gate(error)
    }
}

impl From<Untraceable> for Error {
    fn from(why: Untraceable) -> Error {
        Error::Untraceable(why)
    }
}

impl From<Unwritable> for Error {
    fn from(why: Unwritable) -> Error {
        Error::Unwritable(why)
    }
}
