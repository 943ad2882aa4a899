//! From a file to a [`Snapshot`], by several threads: the tables of nodes, edges and locations
//! piece by piece, and the strings meanwhile.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use graph::{Graph, Node};

use crate::error::{Error, Fault};
use crate::meta::{Meta, NodeFields, NodeKinds};
use crate::numbers::{Extent, Piece, Table};
use crate::pairs::PairNames;
use crate::sections::Sections;
use crate::snapshot::{Location, Sizes, Snapshot};
use crate::source::Source;
use crate::strings::Strings;
use crate::threads::on_threads;

/// Reads a snapshot with this many threads.
pub fn load(path: &Path, threads: usize) -> Result<Snapshot, Error> {
    let source = Source::open(path).map_err(|error| Error::Read {
        path: path.to_owned(),
        error,
    })?;
    parse(&Arc::new(source), threads.max(1)).map_err(|fault| Error::Content {
        path: path.to_owned(),
        fault,
    })
}

/// Reads a snapshot that is in memory: for fuzzing.
pub fn load_bytes(bytes: Vec<u8>) -> Result<Snapshot, Fault> {
    parse(&Arc::new(Source::Read(bytes)), 2)
}

/// The highest numbers in a snapshot, which are checked when everything has been read.
#[derive(Default)]
struct Highest {
    kind: AtomicU8,
    node_name: AtomicU32,
    edge_name: AtomicU32,
}

/// The columns of some nodes.
struct NodePiece<'a> {
    piece: Piece,
    kinds: &'a mut [u8],
    names: &'a mut [u32],
    ids: &'a mut [u32],
    sizes: &'a mut [u32],
    edge_counts: &'a mut [u32],
    detachedness: Option<&'a mut [u8]>,
}

/// The columns of some edges.
struct EdgePiece<'a> {
    piece: Piece,
    kinds: &'a mut [u8],
    names: &'a mut [u32],
    to: &'a mut [u32],
}

enum Work<'a> {
    Strings,
    Locations,
    Nodes(NodePiece<'a>),
    Edges(EdgePiece<'a>),
}

/// Takes the first `count` items off a slice.
fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(slice).split_at_mut(count);
    *slice = rest;
    first
}

fn parse(source: &Arc<Source>, threads: usize) -> Result<Snapshot, Fault> {
    let bytes = source.bytes();
    let sections = Sections::find(bytes, threads)?;
    let need = |extent: Option<Extent>, part| extent.ok_or(Fault::Missing { part });
    let missing = |part| Fault::Missing { part };
    let meta = Meta::parse(&bytes[sections.header.ok_or(missing("snapshot"))?])?;
    let nodes = Table {
        name: "nodes",
        extent: need(sections.nodes, "nodes")?,
        fields: meta.node.count,
    };
    let edges = Table {
        name: "edges",
        extent: need(sections.edges, "edges")?,
        fields: meta.edge.count,
    };
    let strings_range = sections.strings.ok_or(missing("strings"))?;
    let (node_pieces, node_count) = nodes.pieces()?;
    let (edge_pieces, edge_count) = edges.pieces()?;
    check_count("nodes", meta.node_count, node_count)?;
    check_count("edges", meta.edge_count, edge_count)?;
    if node_count >= 1 << 31 {
        return Err(Fault::TooLarge { what: "nodes" });
    }
    if edge_count >= u32::MAX as usize {
        return Err(Fault::TooLarge { what: "edges" });
    }
    if meta.root >= node_count as u64 {
        return Err(Fault::Contradiction {
            what: format!("the root is node {} of {node_count}", meta.root),
        });
    }

    let mut kinds = vec![0u8; node_count];
    let mut names = vec![0u32; node_count];
    let mut ids = vec![0u32; node_count];
    let mut small = vec![0u32; node_count];
    // One more: these become the first edges of the nodes.
    let mut first = vec![0u32; node_count + 1];
    let mut detachedness = meta.node.detachedness.map(|_| vec![0u8; node_count]);
    let mut edge_kinds = vec![0u8; edge_count];
    let mut edge_names = vec![0u32; edge_count];
    let mut to = vec![0u32; edge_count];

    let large = Mutex::new(HashMap::new());
    let strings = Mutex::new(Ok(<(Strings, PairNames)>::default()));
    let locations = Mutex::new(Ok(Vec::new()));
    let highest = Highest::default();
    {
        let mut work = vec![Work::Strings, Work::Locations];
        let (mut a, mut b, mut c) = (&mut kinds[..], &mut names[..], &mut ids[..]);
        let (mut d, mut e) = (&mut small[..], &mut first[..node_count]);
        let mut f = detachedness.as_deref_mut();
        for piece in node_pieces {
            let rows = piece.rows.len();
            work.push(Work::Nodes(NodePiece {
                piece,
                kinds: take(&mut a, rows),
                names: take(&mut b, rows),
                ids: take(&mut c, rows),
                sizes: take(&mut d, rows),
                edge_counts: take(&mut e, rows),
                detachedness: f.as_mut().map(|f| take(f, rows)),
            }));
        }
        let (mut a, mut b, mut c) = (&mut edge_kinds[..], &mut edge_names[..], &mut to[..]);
        for piece in edge_pieces {
            let rows = piece.rows.len();
            work.push(Work::Edges(EdgePiece {
                piece,
                kinds: take(&mut a, rows),
                names: take(&mut b, rows),
                to: take(&mut c, rows),
            }));
        }
        on_threads(threads, work, |work| match work {
            Work::Strings => {
                let mut pairs = PairNames::default();
                let parsed = Strings::parse(source, strings_range.clone(), |number, raw| {
                    pairs.see(number, raw);
                });
                *strings.lock().unwrap_or_else(PoisonError::into_inner) =
                    parsed.map(|strings| (strings, pairs));
                Ok(())
            }
            Work::Locations => {
                let extent = sections.locations.clone();
                let parsed = parse_locations(bytes, &meta, extent, node_count);
                *locations.lock().unwrap_or_else(PoisonError::into_inner) = parsed;
                Ok(())
            }
            Work::Nodes(piece) => {
                let range = piece.piece.bytes.clone();
                parse_nodes(bytes, &nodes, &meta.node, piece, &large, &highest)?;
                source.release(range);
                Ok(())
            }
            Work::Edges(piece) => {
                let range = piece.piece.bytes.clone();
                parse_edges(bytes, &edges, &meta, piece, node_count, &highest)?;
                source.release(range);
                Ok(())
            }
        })?;
    }
    let (strings, pair_names) = strings
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)?;
    let locations = locations
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)?;
    source.release(0..strings_range.start);

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
    let last = highest.node_name.into_inner();
    if last as usize >= strings.len() {
        return Err(no_string("node", last, &strings));
    }
    let last = highest.edge_name.into_inner();
    if edge_count > 0 && last as usize >= strings.len() {
        return Err(no_string("edge", last, &strings));
    }
    let kind = highest.kind.into_inner();
    if usize::from(kind) >= meta.node_types.len() {
        return Err(Fault::Contradiction {
            what: format!("a node is of type {kind} of {}", meta.node_types.len()),
        });
    }
    let graph = Graph::of_checked(first, to).ok_or(Fault::Missing { part: "edges" })?;
    Ok(Snapshot {
        graph,
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
        locations,
        strings,
        pair_names,
        node_types: meta.node_types,
        edge_types: meta.edge_types,
        kind: meta.node_kinds,
        edge_kind: meta.edge_kinds,
        extra_native_bytes: meta.extra_native_bytes,
    })
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

#[cold]
fn wrong(part: &'static str, piece: &Piece, what: &str, value: u64) -> Fault {
    Fault::Contradiction {
        what: format!(
            "{part:?}, bytes {} to {}: {what} {value}",
            piece.bytes.start, piece.bytes.end
        ),
    }
}

fn parse_nodes(
    bytes: &[u8],
    table: &Table,
    fields: &NodeFields,
    mut out: NodePiece<'_>,
    large: &Mutex<HashMap<Node, u64>>,
    highest: &Highest,
) -> Result<(), Fault> {
    let mut at = 0;
    let (mut highest_kind, mut highest_name) = (0, 0);
    let fields = *fields;
    let piece = out.piece.clone();
    let bad = |what, value| wrong(table.name, &piece, what, value);
    table.parse(bytes, &piece, |row| {
        let narrow = |value: u64, what| u32::try_from(value).map_err(|_| bad(what, value));
        let kind = row[fields.kind];
        if kind >= u64::from(NodeKinds::NONE) {
            return Err(bad("a node's type is", kind));
        }
        let name = narrow(row[fields.name], "a node's name is string")?;
        out.kinds[at] = kind as u8;
        out.names[at] = name;
        highest_kind = highest_kind.max(kind as u8);
        highest_name = highest_name.max(name);
        out.ids[at] = narrow(row[fields.id], "a node's id is")?;
        out.edge_counts[at] = narrow(row[fields.edge_count], "a node's edges are")?;
        let size = row[fields.self_size];
        out.sizes[at] = match u32::try_from(size) {
            Ok(small) if small != Sizes::LARGE => small,
            _ => {
                let node = (piece.rows.start + at) as Node;
                large
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(node, size);
                Sizes::LARGE
            }
        };
        if let (Some(column), Some(field)) = (&mut out.detachedness, fields.detachedness) {
            column[at] = row[field].min(255) as u8;
        }
        at += 1;
        Ok(())
    })?;
    highest.kind.fetch_max(highest_kind, Ordering::Relaxed);
    highest.node_name.fetch_max(highest_name, Ordering::Relaxed);
    Ok(())
}

fn parse_edges(
    bytes: &[u8],
    table: &Table,
    meta: &Meta,
    out: EdgePiece<'_>,
    node_count: usize,
    highest: &Highest,
) -> Result<(), Fault> {
    let mut at = 0;
    let mut highest_name = 0;
    let fields = meta.edge;
    let (node_fields, types) = (meta.node.count, meta.edge_types.len());
    // These have numbers, not names.
    let (element, hidden) = (meta.edge_kinds.element, meta.edge_kinds.hidden);
    let piece = out.piece.clone();
    let bad = |what, value| wrong(table.name, &piece, what, value);
    // to_node counts values, not nodes; doubles divide exactly where the quotient is whole.
    let part = 1.0 / node_fields as f64;
    table.parse(bytes, &piece, |row| {
        let kind = row[fields.kind];
        if kind >= types as u64 {
            return Err(bad("an edge's type is", kind));
        }
        let value = row[fields.to];
        let node = (value as f64 * part + 0.5) as u64;
        if node >= node_count as u64 || node * node_fields as u64 != value {
            return Err(bad("an edge points to value", value));
        }
        let name = row[fields.name];
        let name = u32::try_from(name).map_err(|_| bad("an edge's name is", name))?;
        let kind = kind as u8;
        out.kinds[at] = kind;
        out.names[at] = name;
        out.to[at] = node as u32;
        if kind != element && kind != hidden {
            highest_name = highest_name.max(name);
        }
        at += 1;
        Ok(())
    })?;
    highest.edge_name.fetch_max(highest_name, Ordering::Relaxed);
    Ok(())
}

fn parse_locations(
    bytes: &[u8],
    meta: &Meta,
    extent: Option<Extent>,
    node_count: usize,
) -> Result<Vec<(Node, Location)>, Fault> {
    let (Some(fields), Some(extent)) = (meta.location, extent) else {
        return Ok(Vec::new());
    };
    let table = Table {
        name: "locations",
        extent,
        fields: fields.count,
    };
    let (pieces, rows) = table.pieces()?;
    let mut locations = Vec::with_capacity(rows);
    for piece in pieces {
        table.parse(bytes, &piece, |row| {
            let value = row[fields.object];
            let node = value / meta.node.count as u64;
            if node >= node_count as u64 || !value.is_multiple_of(meta.node.count as u64) {
                return Err(wrong("locations", &piece, "a location is of value", value));
            }
            let narrow = |value: u64| value.min(u64::from(u32::MAX)) as u32;
            let location = Location {
                script: narrow(row[fields.script]),
                line: narrow(row[fields.line]),
                column: narrow(row[fields.column]),
            };
            locations.push((node as Node, location));
            Ok(())
        })?;
    }
    // Of two locations of a node the later one counts.
    locations.reverse();
    locations.sort_by_key(|&(node, _)| node);
    locations.dedup_by_key(|&mut (node, _)| node);
    Ok(locations)
}
