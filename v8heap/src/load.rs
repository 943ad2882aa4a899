//! From a file to a [`Snapshot`], by several threads: the tables of nodes and edges piece by piece, and
//! the strings meanwhile.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graph::{Graph, Incoming, Node};

use crate::columns::{Edges, Nodes, Seen, parse_edges, parse_locations, parse_nodes};
use crate::error::{Error, Fault};
use crate::locations::Locations;
use crate::meta::Meta;
use crate::numbers::Piece;
use crate::pairs::{PairNames, Pairs};
use crate::sections::{Part, Parts, Widths, strings_near_end};
use crate::snapshot::{Sizes, Snapshot};
use crate::source::Source;
use crate::stacks;
use crate::strings::Strings;
use crate::threads::on_threads;

/// Reads a snapshot with this many threads; of standard input if the path is `-`, unpacked if it is packed by gzip or zstd.
pub fn load(path: &Path, threads: usize) -> Result<Snapshot, Error> {
    let source = Source::open(path)?;
    parse(&Arc::new(source), threads.max(1)).map_err(|fault| Error::Content {
        path: path.to_owned(),
        fault,
    })
}

/// Reads a snapshot that is in memory: for fuzzing.
pub fn load_bytes(bytes: Vec<u8>) -> Result<Snapshot, Fault> {
    parse(&Arc::new(Source::Read(bytes)), 2)
}

/// What is known before the tables are read.
struct Outline {
    meta: Meta,
    nodes: usize,
    edges: usize,
    /// Where the strings seem to be.
    strings: Option<Range<usize>>,
}

impl Outline {
    /// What the header says; if it does not come first, as V8 writes it, or what it says cannot be, all
    /// is counted.
    fn of(bytes: &[u8]) -> Result<Outline, Fault> {
        let mut parts = Parts::of(bytes, Widths::default())?;
        let (mut header, mut nodes, mut edges) = (None, 0, 0);
        while let Some(part) = parts.next()? {
            match part {
                Part::Header(range) => {
                    let meta = Meta::parse(&bytes[range])?;
                    if let Some((nodes, edges)) = meta.likely_counts(bytes.len()) {
                        let strings = strings_near_end(bytes).map(|start| start..bytes.len());
                        return Ok(Outline {
                            meta,
                            nodes,
                            edges,
                            strings,
                        });
                    }
                    header = Some(meta);
                }
                Part::Nodes(piece) => nodes = piece.rows.end,
                Part::Edges(piece) => edges = piece.rows.end,
                Part::Locations(_) | Part::Stacks(..) | Part::Strings(_) => {}
            }
        }
        let meta = header.ok_or(Fault::Missing { part: "snapshot" })?;
        Ok(Outline {
            nodes: nodes / meta.node.count,
            edges: edges / meta.edge.count,
            meta,
            strings: None,
        })
    }
}

enum Work<'a> {
    Strings(Range<usize>),
    Locations(Piece),
    Nodes(Piece, Nodes<'a>),
    Edges(Piece, Edges<'a>),
}

/// What there is to do, in the order of the file, but for the strings, which are begun with.
struct Queue<'a> {
    outline: &'a Outline,
    strings: Option<Range<usize>>,
    parts: Parts<'a>,
    /// Columns without rows yet.
    nodes: Nodes<'a>,
    edges: Edges<'a>,
    found: &'a mut Found,
}

/// Which parts there were.
#[derive(Default)]
struct Found {
    /// The rows, if there is a table.
    nodes: Option<usize>,
    edges: Option<usize>,
    strings: Option<Range<usize>>,
    stacks: stacks::Parts,
}

impl<'a> Queue<'a> {
    fn take(&mut self) -> Result<Option<Work<'a>>, Fault> {
        if let Some(strings) = self.strings.take() {
            return Ok(Some(Work::Strings(strings)));
        }
        while let Some(part) = self.parts.next()? {
            match part {
                Part::Nodes(piece) => {
                    once("nodes", &piece, self.outline.nodes - self.nodes.len())?;
                    self.found.nodes = Some(piece.rows.end);
                    // More than the header has said are only counted.
                    if piece.rows.len() <= self.nodes.len() {
                        let columns = self.nodes.take(piece.rows.len());
                        return Ok(Some(Work::Nodes(piece, columns)));
                    }
                }
                Part::Edges(piece) => {
                    // Before edges are found to point to nowhere.
                    if let Some(nodes) = self.found.nodes {
                        check_count("nodes", self.outline.meta.node_count, nodes)?;
                    }
                    once("edges", &piece, self.outline.edges - self.edges.len())?;
                    self.found.edges = Some(piece.rows.end);
                    if piece.rows.len() <= self.edges.len() {
                        let columns = self.edges.take(piece.rows.len());
                        return Ok(Some(Work::Edges(piece, columns)));
                    }
                }
                Part::Locations(piece) => return Ok(Some(Work::Locations(piece))),
                Part::Stacks(part, range) => self.found.stacks.add(part, range),
                Part::Strings(range) => self.found.strings = Some(range),
                Part::Header(_) => {}
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Queue<'a> {
    type Item = Result<Work<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take().transpose()
    }
}

fn parse(source: &Arc<Source>, threads: usize) -> Result<Snapshot, Fault> {
    let mut outline = Outline::of(source.bytes())?;
    if outline.nodes >= 1 << 31 {
        return Err(Fault::TooLarge { what: "nodes" });
    }
    if outline.edges >= u32::MAX as usize {
        return Err(Fault::TooLarge { what: "edges" });
    }
    loop {
        match parse_tables(source, threads, outline)? {
            Parsed::Snapshot(snapshot) => return Ok(*snapshot),
            Parsed::StringsElsewhere(again) => outline = *again,
        }
    }
}

enum Parsed {
    Snapshot(Box<Snapshot>),
    StringsElsewhere(Box<Outline>),
}

fn parse_tables(source: &Arc<Source>, threads: usize, outline: Outline) -> Result<Parsed, Fault> {
    let bytes = source.bytes();
    let (meta, node_count, edge_count) = (&outline.meta, outline.nodes, outline.edges);
    let mut kinds = vec![0u8; node_count];
    let mut names = vec![0u32; node_count];
    let mut ids = vec![0u32; node_count];
    let mut small = vec![0u32; node_count];
    // One more: these become the first edges of the nodes.
    let mut first = vec![0u32; node_count + 1];
    let mut detachedness = meta.node.detachedness.map(|_| vec![0u8; node_count]);
    // Most files have no stacks, and then need no room for them.
    let mut stack_of = meta.stack.map(|_| vec![0u32; node_count]);
    let mut edge_kinds = vec![0u8; edge_count];
    let mut edge_names = vec![0u32; edge_count];
    let mut to = vec![0u32; edge_count];

    let large = Mutex::new(HashMap::new());
    let strings = Mutex::new(None);
    let pairs = OnceLock::<Pairs>::new();
    // Edges that were parsed before these were known.
    let unmarked = Mutex::new(Vec::new());
    let locations = Mutex::new(Locations::default());
    let mut found = Found::default();
    let queue = Queue {
        outline: &outline,
        strings: outline.strings.clone(),
        parts: Parts::of(bytes, meta.widths())?,
        nodes: Nodes {
            kinds: &mut kinds,
            names: &mut names,
            ids: &mut ids,
            sizes: &mut small,
            edge_counts: &mut first[..node_count],
            detachedness: detachedness.as_deref_mut(),
            stacks: stack_of.as_deref_mut(),
        },
        edges: Edges {
            kinds: &mut edge_kinds,
            names: &mut edge_names,
            to: &mut to,
        },
        found: &mut found,
    };
    let internal = meta.edge_kinds.internal;
    let mut seen = on_threads(threads, queue, |seen: &mut Seen, work| {
        match work? {
            Work::Strings(range) => {
                let mut names = PairNames::default();
                let parsed = Strings::parse(source, range, |number, raw| names.see(number, raw));
                if let Ok(strings) = &parsed {
                    let _ = pairs.set(names.pairs(strings));
                }
                // If it is wrong, they may be elsewhere.
                *lock(&strings) = Some(parsed);
            }
            Work::Locations(piece) => {
                *lock(&locations) = parse_locations(bytes, meta, &piece, node_count)?;
            }
            Work::Nodes(piece, columns) => {
                parse_nodes(bytes, &meta.node, &piece, columns, &large, seen)?;
                source.release_behind(&piece.bytes);
            }
            Work::Edges(piece, columns) => {
                let rows = piece.rows.clone();
                let pairs = pairs.get();
                parse_edges(bytes, meta, &piece, columns, node_count, pairs, seen)?;
                if pairs.is_none() {
                    lock(&unmarked).push(rows);
                }
                source.release_behind(&piece.bytes);
            }
        }
        Ok(())
    })?;

    let missing = |part| Fault::Missing { part };
    check_count(
        "nodes",
        meta.node_count,
        found.nodes.ok_or(missing("nodes"))?,
    )?;
    check_count(
        "edges",
        meta.edge_count,
        found.edges.ok_or(missing("edges"))?,
    )?;
    let strings_range = found.strings.ok_or(missing("strings"))?;
    if outline.strings.as_ref() != Some(&strings_range) {
        return Ok(Parsed::StringsElsewhere(Box::new(Outline {
            strings: Some(strings_range),
            ..outline
        })));
    }
    let strings = strings.into_inner().unwrap_or_else(PoisonError::into_inner);
    let strings = strings.ok_or(missing("strings"))??;
    let stacks = meta.stack.zip(stack_of).map(|(fields, of_node)| {
        let parsed = stacks::parse(bytes, &fields, &found.stacks)?;
        parsed.attached(of_node, strings.len())
    });
    source.release(0..strings_range.start);
    if meta.root >= node_count as u64 {
        return Err(Fault::Contradiction {
            what: format!("the root is node {} of {node_count}", meta.root),
        });
    }
    let pairs = pairs.into_inner().unwrap_or_default();
    for rows in unmarked
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        pairs.mark(internal, &mut edge_kinds[rows.clone()], &edge_names[rows]);
    }

    // First edges from edge counts.
    let mut sum = 0u64;
    for count in &mut first {
        let own = u64::from(*count);
        *count = sum.min(u64::from(u32::MAX)) as u32;
        sum += own;
    }
    if sum != edge_count as u64 {
        return Err(Fault::Contradiction {
            what: format!("the nodes have {sum} edges together, but there are {edge_count}"),
        });
    }
    let most = |of: fn(&Seen) -> u32| seen.iter().map(of).max().unwrap_or_default();
    let last = most(|seen| seen.node_name);
    if last as usize >= strings.len() {
        return Err(no_string("node", last, &strings));
    }
    let last = most(|seen| seen.edge_name);
    if edge_count > 0 && last as usize >= strings.len() {
        return Err(no_string("edge", last, &strings));
    }
    let kind = most(|highest| u32::from(highest.kind));
    if kind as usize >= meta.node_types.len() {
        return Err(Fault::Contradiction {
            what: format!("a node is of type {kind} of {}", meta.node_types.len()),
        });
    }
    let mut incoming = Incoming::new(node_count);
    for other in seen.iter_mut().filter_map(|seen| seen.incoming.take()) {
        incoming.add(&other);
    }
    let graph = Graph::of_checked(first, to).ok_or(missing("edges"))?;
    let meta = outline.meta;
    Ok(Parsed::Snapshot(Box::new(Snapshot {
        graph,
        incoming,
        root: meta.root as Node,
        kinds,
        names,
        ids,
        sizes: Sizes {
            small,
            large: large.into_inner().unwrap_or_else(PoisonError::into_inner),
        },
        detachedness,
        edge_kinds,
        edge_names,
        locations: locations
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        stacks: stacks.transpose()?,
        strings,
        pairs,
        node_types: meta.node_types,
        edge_types: meta.edge_types,
        kind: meta.node_kinds,
        edge_kind: meta.edge_kinds,
        extra_native_bytes: meta.extra_native_bytes,
    })))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a second table of a name.
fn once(name: &str, piece: &Piece, filled: usize) -> Result<(), Fault> {
    match piece.rows.start < filled {
        true => Err(Fault::Contradiction {
            what: format!("has two tables of {name}"),
        }),
        false => Ok(()),
    }
}

fn check_count(what: &str, said: Option<u64>, found: usize) -> Result<(), Fault> {
    match said {
        Some(said) if said != found as u64 => Err(Fault::Contradiction {
            what: format!("says it has {said} {what}, but has {found}"),
        }),
        _ => Ok(()),
    }
}

#[cold]
fn no_string(of: &str, number: u32, strings: &Strings) -> Fault {
    Fault::Contradiction {
        what: format!(
            "the name of a{} {of} is string {number} of {}",
            if of == "edge" { "n" } else { "" },
            strings.len()
        ),
    }
}
