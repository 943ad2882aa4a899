//! `leak report --heapprofile FILE`: live objects by stack in the format of Chrome's DevTools and
//! VS Code (`HeapProfiler.SamplingHeapProfile` of the DevTools protocol, as `node --heap-prof`
//! writes it).
//!
//! ```text
//! {head: {callFrame: {functionName, scriptId, url, lineNumber, columnNumber}, selfSize, id, children: […]},
//!  samples: [{size, nodeId, ordinal}]}
//! ```
//! Lines and columns count from 0 there. Several heaps stand side by side below the root, each under
//! a function that is named after its thread.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use heap::Profile;
use heap::js::{JsFrame, JsHeap};

/// What is written of a frame.
struct Node<'h> {
    frame: Option<&'h JsFrame>,
    /// Of a thread's own node.
    name: String,
    size: u64,
    children: Vec<usize>,
}

/// Writes the file whole or not at all; returns false if no log has anything for it.
pub fn write(path: &Path, profiles: &[Profile]) -> io::Result<bool> {
    let nodes = tree(profiles);
    if nodes.len() <= 1 {
        return Ok(false);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let written = File::create(part).and_then(|file| {
        let mut out = BufWriter::new(file);
        print(&mut out, &nodes)?;
        out.flush()?;
        std::fs::rename(part, path)
    });
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(part);
    }
    written.map(|()| true)
}

/// All nodes, the root first.
fn tree(profiles: &[Profile]) -> Vec<Node<'_>> {
    let mut nodes = vec![Node {
        frame: None,
        name: "(root)".to_owned(),
        size: 0,
        children: Vec::new(),
    }];
    let heaps = profiles
        .iter()
        .flat_map(|profile| profile.js_heaps.iter().map(move |heap| (profile, heap)))
        .filter(|(_, heap)| !heap.marks.is_empty());
    let heaps: Vec<(&Profile, &JsHeap)> = heaps.collect();
    for (profile, heap) in &heaps {
        let mut top = 0;
        if heaps.len() > 1 {
            top = nodes.len();
            nodes[0].children.push(top);
            nodes.push(Node {
                frame: None,
                name: format!(
                    "(process {}, thread {})",
                    profile.process.pid, heap.thread.0
                ),
                size: 0,
                children: Vec::new(),
            });
        }
        add(&mut nodes, top, heap);
    }
    nodes
}

fn add<'h>(nodes: &mut Vec<Node<'h>>, top: usize, heap: &'h JsHeap) {
    let sizes: BTreeMap<u64, u64> = heap
        .sites
        .iter()
        .map(|site| (site.frame, site.bytes.0))
        .collect();
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    // Callers have smaller numbers than what they call.
    for (&id, frame) in &heap.frames {
        let size = sizes.get(&id).copied().unwrap_or(0);
        let Some(&parent) = places.get(&frame.parent).filter(|_| frame.parent != 0) else {
            if frame.parent == 0 {
                places.insert(id, top);
                nodes[top].size += size;
            }
            continue;
        };
        let place = nodes.len();
        places.insert(id, place);
        nodes[parent].children.push(place);
        nodes.push(Node {
            frame: Some(frame),
            name: String::new(),
            size,
            children: Vec::new(),
        });
    }
}

/// Prints without recursion: stacks may be deep.
fn print(out: &mut impl Write, nodes: &[Node<'_>]) -> io::Result<()> {
    write!(out, "{{\"head\":")?;
    open(out, nodes, 0)?;
    // Nodes that are open, and how many of their children are printed.
    let mut path = vec![(0usize, 0usize)];
    while let Some((place, done)) = path.last_mut() {
        let Some(&child) = nodes[*place].children.get(*done) else {
            write!(out, "]}}")?;
            path.pop();
            continue;
        };
        if *done > 0 {
            write!(out, ",")?;
        }
        *done += 1;
        open(out, nodes, child)?;
        path.push((child, 0));
    }
    write!(out, ",\"samples\":[")?;
    let live = nodes.iter().enumerate().filter(|(_, node)| node.size > 0);
    for (number, (place, node)) in live.enumerate() {
        let comma = if number > 0 { "," } else { "" };
        write!(
            out,
            "{comma}{{\"size\":{},\"nodeId\":{},\"ordinal\":{}}}",
            node.size,
            place + 1,
            number + 1
        )?;
    }
    write!(out, "]}}")
}

fn open(out: &mut impl Write, nodes: &[Node<'_>], place: usize) -> io::Result<()> {
    let node = &nodes[place];
    let (name, script, url, line, column) = match node.frame {
        None => (node.name.as_str(), 0, "", -1, -1),
        Some(frame) => (
            frame.function.as_str(),
            frame.script,
            frame.file.as_str(),
            from_zero(frame.line),
            from_zero(frame.column),
        ),
    };
    write!(
        out,
        "{{\"callFrame\":{{\"functionName\":{},\"scriptId\":\"{script}\",\"url\":{},\"lineNumber\":{line},\
         \"columnNumber\":{column}}},\"selfSize\":{},\"id\":{},\"children\":[",
        serde_json::to_string(name)?,
        serde_json::to_string(url)?,
        node.size,
        place + 1
    )
}

fn from_zero(number: Option<u64>) -> i64 {
    number.map_or(-1, |number| i64::try_from(number).unwrap_or(i64::MAX) - 1)
}
