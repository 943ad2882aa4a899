//! JavaScript heaps in the report: their figures over the run, and what is live in them by stack.

pub mod heapprofile;
mod json;
mod place;
mod text;

pub use json::JsonJsHeap;
pub use text::{lines, live, print};

use heap::js::{JsFrame, JsHeap, JsSite};

/// Name of a frame's function.
fn function(frame: &JsFrame) -> &str {
    if frame.function.is_empty() {
        "(anonymous)"
    } else {
        &frame.function
    }
}

/// A frame's file as a path: modules are known by their URL.
fn path(frame: &JsFrame) -> &str {
    match (frame.file.as_str(), frame.line) {
        ("", Some(_)) => symbolizer::NO_FILE,
        (file, _) => file.strip_prefix("file://").unwrap_or(file),
    }
}

/// Whether a script is Node's own.
fn is_nodes(frame: &JsFrame) -> bool {
    let file = path(frame);
    file.starts_with("node:") || file.is_empty()
}

/// Frames of a site, innermost first; without those of Node's own that are outside of all of the
/// program's, unless all are wanted.
fn frames<'h>(heap: &'h JsHeap, site: &JsSite, all: bool) -> Vec<&'h JsFrame> {
    let mut frames: Vec<&JsFrame> = heap.stack(site).collect();
    if !all && let Some(outermost) = frames.iter().rposition(|frame| !is_nodes(frame)) {
        frames.truncate(outermost + 1);
    }
    frames
}
