//! Marks in the time line, for people and as JSON.

use heap::{Mark, Marked, Profile};
use serde::Serialize;

use crate::figures::{bytes, duration};

/// So many are listed for people.
const MAX_LISTED: usize = 20;

/// One line for each mark; none if there are several processes.
pub fn lines(profiles: &[Profile]) -> Vec<String> {
    let [profile] = profiles else {
        return Vec::new();
    };
    let mut lines: Vec<String> = profile.marks.iter().take(MAX_LISTED).map(line).collect();
    if let Some(more) = profile.marks.len().checked_sub(MAX_LISTED + 1) {
        lines.push(format!("{} more", more + 1));
    }
    lines
}

fn line(mark: &Mark) -> String {
    let head = format!(
        "{} after the start, {} live: ",
        duration(mark.time.0),
        bytes(mark.live.0)
    );
    head + &match &mark.what {
        Marked::Named(name) => name
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect(),
        Marked::HeapSnapshot {
            pause,
            heap_used,
            path,
            ..
        } => format!(
            "heap snapshot of {} in {} ({})",
            bytes(heap_used.0),
            duration(pause.0),
            path.display()
        ),
    }
}

/// `marks` of a process in JSON.
#[derive(Clone, Serialize)]
pub struct JsonMark<'a> {
    time_ns: u64,
    live_bytes: u64,
    name: Option<&'a str>,
    heap_snapshot: Option<JsonHeapSnapshot>,
}

#[derive(Clone, Serialize)]
struct JsonHeapSnapshot {
    path: String,
    cause: &'static str,
    isolate: u32,
    pause_ns: u64,
    heap_used: u64,
}

impl JsonMark<'_> {
    /// All of a process.
    pub fn all(profile: &Profile) -> Vec<JsonMark<'_>> {
        profile.marks.iter().map(JsonMark::from).collect()
    }
}

impl<'a> From<&'a Mark> for JsonMark<'a> {
    fn from(mark: &'a Mark) -> JsonMark<'a> {
        let (name, heap_snapshot) = match &mark.what {
            Marked::Named(name) => (Some(name.as_str()), None),
            Marked::HeapSnapshot {
                cause,
                isolate,
                pause,
                heap_used,
                path,
            } => {
                let taken = JsonHeapSnapshot {
                    path: path.display().to_string(),
                    cause: match cause {
                        heap::Cause::Request => "request",
                        heap::Cause::Exit => "exit",
                        heap::Cause::Limit => "limit",
                    },
                    isolate: *isolate,
                    pause_ns: pause.0,
                    heap_used: heap_used.0,
                };
                (None, Some(taken))
            }
        };
        JsonMark {
            time_ns: mark.time.0,
            live_bytes: mark.live.0,
            name,
            heap_snapshot,
        }
    }
}
