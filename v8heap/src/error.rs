//! What is wrong with a file that is no heap snapshot, or not a whole one.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a snapshot cannot be read. Shows as one line: what, where, what to do.
#[derive(Debug)]
pub enum Error {
    /// The system would not read the file.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The content is wrong.
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Snapshots that cannot be compared in this order.
    Order {
        /// The one that was given first.
        earlier: PathBuf,
        /// The one that must have been taken before it, or elsewhere.
        later: PathBuf,
    },
    /// Snapshots of two processes.
    Processes {
        /// Of one.
        one: PathBuf,
        /// Of another.
        other: PathBuf,
    },
    /// A snapshot that later ones cannot be compared with.
    OwnIds {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with the content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is nothing in the file.
    Empty,
    /// The file does not begin as a snapshot does.
    NotASnapshot,
    /// The file is something else.
    Other {
        /// What it is, and what to do with it.
        what: &'static str,
    },
    /// The path is a folder's.
    Folder,
    /// The path is a socket's.
    NotAFile,
    /// What is packed cannot be unpacked.
    Packed {
        /// By what.
        by: &'static str,
        /// What is wrong.
        why: String,
    },
    /// There is more of it than the machine has memory.
    Endless,
    /// The file goes on behind the end of the snapshot.
    Behind {
        /// Where that is.
        byte: u64,
    },
    /// The file ends too early.
    CutShort {
        /// The part it ends in.
        part: &'static str,
        /// Where.
        byte: u64,
    },
    /// A byte that has no place there.
    Malformed {
        /// The part it is in.
        part: &'static str,
        /// Where.
        byte: u64,
        /// What should be there.
        expected: &'static str,
    },
    /// A part is missing.
    Missing {
        /// Its key.
        part: &'static str,
    },
    /// The description of the fields is not usable.
    Meta {
        /// Why.
        why: String,
    },
    /// Two parts contradict each other.
    Contradiction {
        /// How.
        what: String,
    },
    /// More than the program can number.
    TooLarge {
        /// Of what.
        what: &'static str,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Empty => write!(
                f,
                "the file is empty; was the snapshot still being written, or the disk full?"
            ),
            Fault::NotASnapshot => write!(
                f,
                "not a V8 heap snapshot (those begin with {{\"snapshot\":); take one with \
                 v8.writeHeapSnapshot(), node --heapsnapshot-signal, or DevTools"
            ),
            Fault::Other { what } => f.write_str(what),
            Fault::Folder => f.write_str("is a folder: name a .heapsnapshot file in it"),
            Fault::NotAFile => f.write_str("is a socket: name a .heapsnapshot file"),
            Fault::Packed { by, why } => write!(
                f,
                "is packed with {by} and cannot be unpacked ({why}): the file is damaged or cut short, copy it again"
            ),
            Fault::Endless => f.write_str(
                "has more bytes than half of this machine's memory, in which what is packed or piped has to fit; \
                 write it to a file, unpacked",
            ),
            Fault::Behind { byte } => write!(
                f,
                "the snapshot ends at byte {byte} and the file goes on: two files in one, or written over a longer one; \
                 take it again"
            ),
            Fault::CutShort { part, byte } => write!(
                f,
                "ends inside of {part:?}, at byte {byte}: the snapshot was cut short; wait until it is written, \
                 or take it again"
            ),
            Fault::Malformed {
                part,
                byte,
                expected,
            } => write!(
                f,
                "{part:?}, byte {byte}: {expected} expected; the file is damaged, take the snapshot again"
            ),
            Fault::Missing { part } => write!(
                f,
                "has no {part:?}: not a whole V8 heap snapshot; take it again"
            ),
            Fault::Meta { why } => write!(
                f,
                "\"snapshot\": {why}; the file is damaged, or of a V8 that this leak does not know"
            ),
            Fault::Contradiction { what } => {
                write!(f, "{what}; the file is damaged, take the snapshot again")
            }
            Fault::TooLarge { what } => write!(
                f,
                "has 2^32 {what} or more, which is more than leak can number"
            ),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, error } => {
                let text = error.to_string();
                let plain = text.split(" (os error").next().unwrap_or_default();
                write!(
                    f,
                    "{}: cannot be read ({})",
                    path.display(),
                    plain.to_lowercase()
                )
            }
            Error::Content { path, fault } => write!(f, "{}: {fault}", path.display()),
            Error::OwnIds { path } => write!(
                f,
                "{}: was taken by a copy of the process (leak snapshot --fork), whose ids of objects later \
                 snapshots do not share: it can only be the last one; take the others without --fork",
                path.display()
            ),
            Error::Order { earlier, later } => write!(
                f,
                "{}: was taken before {}, or of another process; give snapshots of one process in the order in \
                 which they were taken",
                later.display(),
                earlier.display()
            ),
            Error::Processes { one, other } => write!(
                f,
                "{}: cannot be compared with {}: most of their objects differ under the same ids, as in another \
                 process, or after an inspector was closed in between; give snapshots of one process, taken in one \
                 session (leak snapshot --inspect … --count 3)",
                other.display(),
                one.display()
            ),
        }
    }
}

impl std::error::Error for Error {}
