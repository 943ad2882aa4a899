//! What can be wrong with a log, for a person to read: [`Error`] when there is
//! nothing to read at all, [`Damage`] when a part is lost and the rest counts.

use std::borrow::ToOwned;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

/// Why a log cannot be read. Displays as one line: what, where, what to do.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be opened or read.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no leak log.
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// The file is a heap snapshot of JavaScript.
    HeapSnapshot {
        /// The file.
        path: PathBuf,
    },
    /// The file ends within the header page.
    HeaderTruncated {
        /// The file.
        path: PathBuf,
        /// Its length, bytes.
        len: u64,
    },
    /// The recorder reserved the file and was ended before it began.
    NotBegun {
        /// The file.
        path: PathBuf,
    },
    /// Another version of the format.
    Version {
        /// The file.
        path: PathBuf,
        /// Its version; this reader's is [`crate::layout::VERSION`].
        found: u32,
    },
    /// A folder holds no log.
    NoLogs {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    /// The file or folder that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Error::Open { path, .. }
            | Error::NotALog { path }
            | Error::HeapSnapshot { path }
            | Error::HeaderTruncated { path, .. }
            | Error::NotBegun { path }
            | Error::Version { path, .. }
            | Error::NoLogs { path } => path,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path().display())?;
        match self {
            Error::Open { source, .. } => write!(f, "cannot be read: {source}"),
            Error::NotALog { .. } => f.write_str(
                "not a leak log; logs are written by a program run with libleak.so preloaded",
            ),
            Error::HeapSnapshot { .. } => {
                f.write_str("is a heap snapshot of JavaScript: give it to leak heap")
            }
            Error::HeaderTruncated { len, .. } => write!(
                f,
                "the file ends after {len} bytes, within the header of {}; nothing can be read",
                crate::layout::HEADER_SIZE
            ),
            Error::NotBegun { .. } => f.write_str(
                "recording never began: the program was ended while it was being started",
            ),
            Error::Version { found, .. } if *found > crate::layout::VERSION => write!(
                f,
                "log version {found} is newer than this program's ({}); read it with a newer leak",
                crate::layout::VERSION
            ),
            Error::Version { found, .. } => write!(
                f,
                "log version {found} is not this program's ({}); read it with the leak that wrote it",
                crate::layout::VERSION
            ),
            Error::NoLogs { .. } => f.write_str("no leak log in this folder"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Open { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// One thing that is broken in a log which is readable otherwise. Displays as
/// one line, `app.log: block 17 at 0x4a000: checksum differs; …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The log.
    pub path: Arc<Path>,
    /// What is broken where, and what that costs.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

/// Lines that a [`DamageList`] keeps; more are only counted.
pub const MAX_DAMAGE: usize = 64;

/// The damage found so far in one log. Bounded: a file of noise does not fill
/// the memory with complaints.
#[derive(Clone, Debug)]
pub struct DamageList {
    path: Arc<Path>,
    lines: Vec<Damage>,
    more: u64,
}

impl DamageList {
    /// An empty list for the log at `path`.
    pub fn new(path: &Path) -> DamageList {
        DamageList {
            path: Arc::from(path.to_owned()),
            lines: Vec::new(),
            more: 0,
        }
    }

    /// Adds a line.
    pub fn add(&mut self, what: String) {
        if self.lines.len() < MAX_DAMAGE {
            let path = Arc::clone(&self.path);
            self.lines.push(Damage { path, what });
        } else {
            self.more += 1;
        }
    }

    /// Adds the lines of another list.
    pub fn append(&mut self, other: &DamageList) {
        for line in &other.lines {
            self.add(line.what.clone());
        }
        self.more += other.more;
    }

    /// Whether nothing is broken.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines; the last one counts those that were left out.
    pub fn lines(&self) -> Vec<Damage> {
        let mut lines = self.lines.clone();
        if self.more > 0 {
            lines.push(Damage {
                path: Arc::clone(&self.path),
                what: std::format!("and {} more places are broken", self.more),
            });
        }
        lines
    }
}
