//! Stacks of JavaScript, in one line and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};
use v8heap::Snapshot;
use v8heap::stacks::{Allocated, Frame, Nearness};

use crate::figures::{bytes, count};

/// As many frames are shown in a line.
const SHOWN: usize = 8;

/// Where an object was allocated, innermost frame first; nothing if that is not known.
pub fn of(snapshot: &Snapshot, node: u32) -> Vec<Frame> {
    let stack = snapshot
        .stacks
        .as_ref()
        .and_then(|stacks| Some(stacks.frames(snapshot, stacks.of(node)?)));
    stack.map_or(Vec::new(), Iterator::collect)
}

/// `add() app.js:10:13 < onRequest() app.js:15:17 < 3 of Node`: what is not the program's is folded, what is
/// outside of all of that left out.
pub fn line(stack: &[Frame]) -> String {
    let is_known = |frame: &Frame| frame.nearness() != Nearness::Engine;
    let Some(outermost) = stack.iter().rposition(is_known) else {
        return match stack.first() {
            Some(frame) => frame.text(),
            None => "V8 itself".to_owned(),
        };
    };
    let mut shown: Vec<String> = Vec::new();
    let mut rest = &stack[..=outermost];
    while let Some(first) = rest.first() {
        let folded = match first.nearness() {
            Nearness::Own => None,
            Nearness::Package => package(&first.file),
            Nearness::Engine => Some("Node or V8"),
        };
        let like = |frame: &&Frame| match first.nearness() {
            Nearness::Package => package(&frame.file) == folded,
            near => frame.nearness() == near,
        };
        let many = rest.iter().take_while(like).count().max(1);
        match folded {
            Some(whose) if many > 1 => {
                shown.push(format!("{many} of {whose}"));
                rest = &rest[many..];
            }
            _ => {
                shown.push(first.text());
                rest = &rest[1..];
            }
        }
    }
    if shown.len() > SHOWN {
        let more = shown.len() - SHOWN;
        shown.truncate(SHOWN);
        shown.push(format!("{more} more"));
    }
    shown.join(" < ")
}

/// `express`, `@scope/name`
fn package(file: &str) -> Option<&str> {
    let (_, path) = file.rsplit_once("/node_modules/")?;
    let mut ends = path.match_indices('/').map(|(at, _)| at);
    let end = match path.starts_with('@') {
        true => ends.nth(1),
        false => ends.next(),
    };
    Some(&path[..end.unwrap_or(path.len())])
}

/// The frames with all that is known of them.
pub fn json(stack: &[Frame]) -> Value {
    let frame = |frame: &Frame| {
        json!({
            "function": frame.function,
            "file": frame.file,
            "line": frame.place.map(|(line, _)| line),
            "column": frame.place.map(|(_, column)| column),
            "near": match frame.nearness() {
                Nearness::Own => "own",
                Nearness::Package => "package",
                Nearness::Engine => "engine",
            },
        })
    };
    stack.iter().map(frame).collect()
}

/// In pages and JSON, as many stacks.
const STACKS: usize = 1000;

/// What functions and stacks have allocated, as DevTools' Allocation view has it; nothing if V8 was not told to track it.
pub fn sums(snapshot: &Snapshot, top: usize, out: &mut impl Write) -> io::Result<()> {
    let Some(stacks) = &snapshot.stacks else {
        return Ok(());
    };
    let row = |sums: Allocated| {
        format!(
            "{:>10} {:>10}  {:>10} {:>10}",
            bytes(sums.live_bytes),
            count(sums.live_objects),
            bytes(sums.bytes),
            count(sums.objects)
        )
    };
    let title = |by: &str, out: &mut dyn Write| {
        writeln!(
            out,
            "\n{:>10} {:>10}  {:>10} {:>10}  since V8 tracks allocations, by {by}",
            "live", "objects", "all", "objects"
        )
    };
    let functions = stacks.functions(snapshot);
    title("function", out)?;
    for (frame, sums) in functions.iter().take(top) {
        writeln!(out, "{}  {}", row(*sums), frame.text())?;
    }
    let all = stacks.sums(snapshot);
    title("stack", out)?;
    for &(stack, sums) in all.iter().take(top) {
        let frames: Vec<Frame> = stacks.frames(snapshot, stack).collect();
        writeln!(out, "{}  {}", row(sums), line(&frames))?;
    }
    let more = functions.len().saturating_sub(top) + all.len().saturating_sub(top);
    match more {
        0 => Ok(()),
        _ => writeln!(out, "\n{} more; --top 0 shows all", count(more as u64)),
    }
}

/// The same, for programs and pages; null if there are no stacks.
pub fn sums_json(snapshot: &Snapshot) -> Value {
    let Some(stacks) = &snapshot.stacks else {
        return Value::Null;
    };
    let row = |frames: &[Frame], sums: Allocated| {
        json!({
            "stack": json(frames),
            "live_bytes": sums.live_bytes, "live_objects": sums.live_objects,
            "bytes": sums.bytes, "objects": sums.objects,
        })
    };
    let functions = stacks.functions(snapshot);
    let functions = functions
        .into_iter()
        .map(|(frame, sums)| row(&[frame], sums));
    let all = stacks.sums(snapshot).into_iter().take(STACKS);
    let all = all.map(|(stack, sums)| {
        let frames: Vec<Frame> = stacks.frames(snapshot, stack).collect();
        row(&frames, sums)
    });
    json!({ "functions": functions.collect::<Vec<_>>(), "stacks": all.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: function.to_owned(),
            file: file.to_owned(),
            script: 1,
            place: Some((1, 2)),
        }
    }

    #[test]
    fn what_is_not_the_programs_is_folded() {
        let stack = [
            frame("push", "/app/node_modules/@a/b/x.js"),
            frame("add", "/app/list.js"),
            frame("next", "/app/node_modules/express/a.js"),
            frame("handle", "/app/node_modules/express/b.js"),
            frame("emit", "node:events"),
            frame("on", ""),
            frame("", "/app/main.js"),
            frame("run", "node:internal/main"),
        ];
        assert_eq!(
            line(&stack),
            "push() /app/node_modules/@a/b/x.js:1:2 < add() /app/list.js:1:2 < 2 of express < \
             2 of Node or V8 < anonymous function /app/main.js:1:2"
        );
    }
}
