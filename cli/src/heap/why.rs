//! `leak heap why`: what keeps one object.

use std::io::{self, Write};
use std::path::Path;

use graph::Retainers;
use serde_json::{Value, json};
use v8heap::stacks::Frame;
use v8heap::{Analysis, Reference, Scripts, Step, Ways, references, what};

use crate::error::Error;
use crate::figures::{bytes, counted};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::leaks::{way_json, way_text};
use crate::heap::{page, read, shown, stacks};

/// Distances from here on are those of what only V8's own roots reach.
const SYSTEM: i32 = v8heap::SYSTEM_DISTANCE;
/// Dominators in JSON; chains may be as long as the heap.
const MOST_DOMINATORS: usize = 1000;

/// What there is to say about a node.
struct Why<'a> {
    analysis: &'a Analysis,
    scripts: Scripts,
    node: u32,
    /// The best first.
    ways: Vec<Vec<Step>>,
    /// Where it was allocated, if that is known.
    stack: Vec<Frame>,
    /// When, in microseconds since V8 began to track that.
    made: Option<(u64, u64)>,
    /// What the node has: properties, elements, variables.
    references: Vec<Reference>,
    /// From the inside outwards.
    dominators: Vec<u32>,
    /// Nodes and edges that point to it.
    retainers: Vec<(u32, u32)>,
}

pub fn why(
    file: &Path,
    id: u32,
    ways: usize,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let node = analysis
        .snapshot
        .node_of_id(id)
        .ok_or_else(|| Error::NoSuchObject {
            file: file.to_owned(),
            id,
        })?;
    let snapshot = &analysis.snapshot;
    let scripts = Scripts::new(snapshot);
    let parents = &analysis.dominators.parent;
    let above = std::iter::successors(Some(node), |&at| {
        (at != snapshot.root).then(|| parents[at as usize])
    });
    let all = Ways::new(&analysis, &scripts);
    let why = Why {
        node,
        ways: all.several(&analysis, &scripts, node, ways.max(1)),
        stack: stacks::of(snapshot, node),
        made: snapshot.stacks.as_ref().and_then(|all| all.made(id)),
        references: references(&analysis, &scripts, node),
        dominators: above.skip(1).collect(),
        retainers: Retainers::new(&snapshot.graph)
            .of(node)
            .filter(|&(_, edge)| snapshot.kind_of_edge(edge) != snapshot.edge_kind.weak)
            .collect(),
        analysis: &analysis,
        scripts,
    };
    match flags.format {
        HeapFormat::Json => writeln!(out, "{:#}", why.json(shown(flags, 10))),
        HeapFormat::Html => {
            let said = why.json(shown(flags, 10));
            page::why(file, &analysis, &why.scripts, &all, node, said, out)
        }
        _ => why.text(shown(flags, 10), out),
    }
    .map_err(Error::Output)
}

impl Why<'_> {
    fn what(&self, node: u32) -> String {
        what(&self.analysis.snapshot, &self.scripts, node)
    }

    fn id(&self, node: u32) -> u32 {
        self.analysis.snapshot.ids[node as usize]
    }

    fn named(&self, node: u32) -> String {
        format!("{} @{}", self.what(node), self.id(node))
    }

    fn json(&self, top: usize) -> Value {
        let snapshot = &self.analysis.snapshot;
        let retained = |node: u32| self.analysis.retained[node as usize];
        json!({
            "version": 1,
            "id": self.id(self.node),
            "what": self.what(self.node),
            "place": self.scripts.place_of(snapshot, self.node),
            "self_bytes": snapshot.sizes.get(self.node),
            "retained_bytes": retained(self.node),
            "distance": self.analysis.distances[self.node as usize],
            "way": self.ways.first().map(|way| way_json(way)),
            "other_ways": self.ways.iter().skip(1).map(|way| way_json(way)).collect::<Vec<_>>(),
            "allocated": (!self.stack.is_empty()).then(|| json!({
                "stack": stacks::json(&self.stack),
                "seconds": self.made.map(|(after, before)| [seconds(after), seconds(before)]),
            })),
            "references": self.references.iter().take(top).map(|reference| json!({
                "by": reference.by, "what": reference.what, "id": reference.id,
            })).collect::<Vec<_>>(),
            "dominators": self.dominators.iter().take(MOST_DOMINATORS).map(|&node| json!({
                "id": self.id(node), "what": self.what(node), "retained_bytes": retained(node),
            })).collect::<Vec<_>>(),
            "retainers": self.retainers.iter().take(top).map(|&(from, edge)| json!({
                "id": self.id(from), "what": self.what(from), "edge": snapshot.edge_name(edge),
                "type": snapshot.edge_types[usize::from(snapshot.kind_of_edge(edge))],
                "distance": self.analysis.distances[from as usize],
            })).collect::<Vec<_>>(),
        })
    }

    fn text(&self, top: usize, out: &mut impl Write) -> io::Result<()> {
        let snapshot = &self.analysis.snapshot;
        writeln!(
            out,
            "{}\nself {}, retained {}{}\n",
            self.named(self.node),
            bytes(snapshot.sizes.get(self.node)),
            bytes(self.analysis.retained[self.node as usize]),
            distance(self.analysis.distances[self.node as usize]),
        )?;
        for (number, way) in self.ways.iter().enumerate() {
            let word = if number == 0 { "kept by:" } else { "and by: " };
            writeln!(out, "{word} {}", way_text(way))?;
        }
        if !self.stack.is_empty() {
            let made = self.made.map_or(String::new(), |(after, before)| {
                let (after, before) = (seconds(after), seconds(before));
                format!(", {after:.1} to {before:.1} s after V8 began to track allocations")
            });
            writeln!(out, "\nallocated by{made}:")?;
            for frame in &self.stack {
                writeln!(out, "  {}", frame.text())?;
            }
        }
        if !self.references.is_empty() {
            writeln!(out, "\nhas:")?;
            for reference in self.references.iter().take(top) {
                writeln!(
                    out,
                    "  {}  {} @{}",
                    reference.by, reference.what, reference.id
                )?;
            }
            more(self.references.len(), top, out)?;
        }
        writeln!(out, "\nwhat would free it, if it went:")?;
        for &above in self.dominators.iter().take(top) {
            writeln!(
                out,
                "  {:>10}  {}",
                bytes(self.analysis.retained[above as usize]),
                self.named(above)
            )?;
        }
        more(self.dominators.len(), top, out)?;
        writeln!(
            out,
            "\n{}:",
            counted(self.retainers.len() as u64, "retainer")
        )?;
        for &(from, edge) in self.retainers.iter().take(top) {
            let kind = &snapshot.edge_types[usize::from(snapshot.kind_of_edge(edge))];
            writeln!(
                out,
                "  {kind} {}  of {}{}",
                snapshot.edge_name(edge),
                self.named(from),
                distance(self.analysis.distances[from as usize]),
            )?;
        }
        more(self.retainers.len(), top, out)
    }
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

fn distance(distance: i32) -> String {
    match distance {
        SYSTEM.. => ", reached by V8's own roots only".to_owned(),
        0.. => format!(", distance {distance}"),
        _ => ", not reached by anything".to_owned(),
    }
}

fn more(all: usize, shown: usize, out: &mut impl Write) -> io::Result<()> {
    match all.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(left) => writeln!(out, "  {left} more; --top 0 shows all"),
    }
}
