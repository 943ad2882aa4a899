//! Marks in the time line: set from outside, or by heap snapshots of JavaScript.

use crate::profile::Point;
use crate::units::{Bytes, Nanos};
use log_format::reader::TimelineMark;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When, from the start of recording.
    pub time: Nanos,
    /// Bytes live then, as the time line has them.
    pub live: Bytes,
    /// What it is.
    pub what: Marked,
}

/// What happened at a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Someone set it, and called it so.
    Named(String),
    /// A heap snapshot of JavaScript was written.
    HeapSnapshot {
        /// Why.
        cause: Cause,
        /// Number of the isolate; 0: the main thread's.
        isolate: u32,
        /// How long its thread stood still.
        pause: Nanos,
        /// Bytes of its heap in use before.
        heap_used: Bytes,
        /// The file.
        path: PathBuf,
    },
}

/// Why a heap snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Someone asked for it while the program ran.
    Request,
    /// The program ended.
    Exit,
    /// The heap was nearly as large as it may become.
    Limit,
}

/// The marks of a log, in the order of time.
pub(crate) fn marks(
    facts: &[(u64, TimelineMark)],
    timeline: &[Point],
    ns: impl Fn(u64) -> Nanos,
) -> Vec<Mark> {
    let mut marks: Vec<Mark> = facts
        .iter()
        .map(|(time, fact)| {
            let time = ns(*time);
            let after = timeline.partition_point(|point| point.time <= time);
            let before = after.checked_sub(1).and_then(|place| timeline.get(place));
            Mark {
                time,
                live: before.map_or(Bytes(0), |point| point.live_bytes),
                what: marked(fact),
            }
        })
        .collect();
    marks.sort_by_key(|mark| mark.time);
    marks
}

fn marked(fact: &TimelineMark) -> Marked {
    match fact {
        TimelineMark::Named(name) => Marked::Named(String::from_utf8_lossy(name).into_owned()),
        TimelineMark::HeapSnapshot {
            cause,
            isolate,
            pause_ns,
            heap_used,
            path,
            ..
        } => Marked::HeapSnapshot {
            cause: match *cause {
                log_format::blob::cause::EXIT => Cause::Exit,
                log_format::blob::cause::LIMIT => Cause::Limit,
                _ => Cause::Request,
            },
            isolate: *isolate,
            pause: Nanos(*pause_ns),
            heap_used: Bytes(*heap_used),
            path: PathBuf::from(OsString::from_vec(path.clone())),
        },
    }
}
