//! The tables of a snapshot as columns: each piece of rows is parsed into its own part of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use graph::{Incoming, Node};

use crate::error::Fault;
use crate::locations::Locations;
use crate::meta::{Meta, NodeFields, NodeKinds};
use crate::numbers::{Piece, parse};
use crate::pairs::Pairs;
use crate::snapshot::{Location, Sizes};

/// The columns of some nodes.
#[derive(Debug)]
pub(crate) struct Nodes<'a> {
    pub(crate) kinds: &'a mut [u8],
    pub(crate) names: &'a mut [u32],
    pub(crate) ids: &'a mut [u32],
    pub(crate) sizes: &'a mut [u32],
    pub(crate) edge_counts: &'a mut [u32],
    pub(crate) detachedness: Option<&'a mut [u8]>,
    pub(crate) stacks: Option<&'a mut [u32]>,
}

/// The columns of some edges.
#[derive(Debug)]
pub(crate) struct Edges<'a> {
    pub(crate) kinds: &'a mut [u8],
    pub(crate) names: &'a mut [u32],
    pub(crate) to: &'a mut [u32],
}

/// Takes the first `count` items off a slice.
fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(slice).split_at_mut(count);
    *slice = rest;
    first
}

impl<'a> Nodes<'a> {
    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Takes the first off.
    pub(crate) fn take(&mut self, rows: usize) -> Nodes<'a> {
        Nodes {
            kinds: take(&mut self.kinds, rows),
            names: take(&mut self.names, rows),
            ids: take(&mut self.ids, rows),
            sizes: take(&mut self.sizes, rows),
            edge_counts: take(&mut self.edge_counts, rows),
            detachedness: self.detachedness.as_mut().map(|column| take(column, rows)),
            stacks: self.stacks.as_mut().map(|column| take(column, rows)),
        }
    }
}

impl<'a> Edges<'a> {
    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Takes the first off.
    pub(crate) fn take(&mut self, rows: usize) -> Edges<'a> {
        Edges {
            kinds: take(&mut self.kinds, rows),
            names: take(&mut self.names, rows),
            to: take(&mut self.to, rows),
        }
    }
}

/// What a thread has seen in all its rows.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The highest numbers, which are checked when everything has been read.
    pub(crate) kind: u8,
    pub(crate) node_name: u32,
    pub(crate) edge_name: u32,
    /// Edges that are not weak.
    pub(crate) incoming: Option<Incoming>,
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

/// Parses rows of nodes. Sizes that are too large for the column go to `large`.
pub(crate) fn parse_nodes(
    bytes: &[u8],
    fields: &NodeFields,
    piece: &Piece,
    mut out: Nodes<'_>,
    large: &Mutex<HashMap<Node, u64>>,
    seen: &mut Seen,
) -> Result<(), Fault> {
    let fields = *fields;
    let mut node = piece.rows.start as Node;
    let bad = |what, value| wrong("nodes", piece, what, value);
    let check = |row: &[u64]| {
        if row[fields.kind] >= u64::from(NodeKinds::NONE) {
            return bad("a node's type is", row[fields.kind]);
        }
        let named = [
            (fields.name, "a node's name is string"),
            (fields.id, "a node's id is"),
            (fields.edge_count, "a node's edges are"),
        ];
        let (field, what) = named
            .into_iter()
            .find(|&(field, _)| row[field] >> 32 != 0)
            .unwrap_or(named[0]);
        bad(what, row[field])
    };
    parse(bytes, ("nodes", fields.count), piece, |values| {
        let rows = values.chunks_exact(fields.count);
        let part = out.take(rows.len());
        let columns = part.kinds.iter_mut().zip(part.names).zip(part.ids);
        let columns = columns.zip(part.sizes).zip(part.edge_counts);
        for (row, ((((kind, name), id), small), edge_count)) in rows.clone().zip(columns) {
            let wide = row[fields.name] | row[fields.id] | row[fields.edge_count];
            if row[fields.kind] >= u64::from(NodeKinds::NONE) || wide >> 32 != 0 {
                return Err(check(row));
            }
            *kind = row[fields.kind] as u8;
            *name = row[fields.name] as u32;
            *id = row[fields.id] as u32;
            *edge_count = row[fields.edge_count] as u32;
            seen.kind = seen.kind.max(*kind);
            seen.node_name = seen.node_name.max(*name);
            let size = row[fields.self_size];
            *small = size.min(u64::from(Sizes::LARGE)) as u32;
            if *small == Sizes::LARGE {
                let mut large = large.lock().unwrap_or_else(PoisonError::into_inner);
                large.insert(node, size);
            }
            node += 1;
        }
        if let (Some(column), Some(field)) = (part.detachedness, fields.detachedness) {
            for (row, state) in rows.clone().zip(column) {
                *state = row[field].min(255) as u8;
            }
        }
        if let (Some(column), Some(field)) = (part.stacks, fields.stack) {
            // V8's numbers are smaller; what is not is no stack.
            for (row, stack) in rows.zip(column) {
                *stack = u32::try_from(row[field]).unwrap_or_default();
            }
        }
        Ok(())
    })
}

/// Parses rows of edges, and marks those of pairs if these are known.
pub(crate) fn parse_edges(
    bytes: &[u8],
    meta: &Meta,
    piece: &Piece,
    mut out: Edges<'_>,
    node_count: usize,
    pairs: Option<&Pairs>,
    seen: &mut Seen,
) -> Result<(), Fault> {
    let fields = meta.edge;
    let types = meta.edge_types.len() as u64;
    // These have numbers, not names.
    let (element, hidden) = (meta.edge_kinds.element, meta.edge_kinds.hidden);
    let weak = meta.edge_kinds.weak;
    let incoming = seen
        .incoming
        .get_or_insert_with(|| Incoming::new(node_count));
    let bad = |what, value| wrong("edges", piece, what, value);
    // `to_node` counts values, not nodes. Where the quotient is whole and below 2^32, this is it.
    let fields_of_node = meta.node.count as u64;
    let inverse = (1u64 << 32).div_ceil(fields_of_node);
    let node = |value: u64| match value >> 32 {
        0 => (value * inverse) >> 32,
        _ => value / fields_of_node,
    };
    parse(bytes, ("edges", fields.count), piece, |values| {
        let rows = values.chunks_exact(fields.count);
        let part = out.take(rows.len());
        let columns = part.kinds.iter_mut().zip(part.names.iter_mut());
        let columns = columns.zip(part.to);
        for (row, ((kind, name), to)) in rows.zip(columns) {
            let node = node(row[fields.to]);
            if node >= node_count as u64 || node * fields_of_node != row[fields.to] {
                return Err(bad("an edge points to value", row[fields.to]));
            }
            if row[fields.kind] >= types {
                return Err(bad("an edge's type is", row[fields.kind]));
            }
            if row[fields.name] >> 32 != 0 {
                return Err(bad("an edge's name is", row[fields.name]));
            }
            *kind = row[fields.kind] as u8;
            *name = row[fields.name] as u32;
            *to = node as u32;
            if *kind != element && *kind != hidden {
                seen.edge_name = seen.edge_name.max(*name);
            }
            if *kind != weak {
                incoming.see(*to);
            }
        }
        if let Some(pairs) = pairs {
            pairs.mark(meta.edge_kinds.internal, part.kinds, part.names);
        }
        Ok(())
    })
}

/// Parses rows of locations.
pub(crate) fn parse_locations(
    bytes: &[u8],
    meta: &Meta,
    piece: &Piece,
    node_count: usize,
) -> Result<Locations, Fault> {
    let Some(fields) = meta.location else {
        return Ok(Locations::default());
    };
    let mut locations = Vec::with_capacity(piece.rows.len());
    parse(bytes, ("locations", fields.count), piece, |values| {
        for row in values.chunks_exact(fields.count) {
            let value = row[fields.object];
            let node = value / meta.node.count as u64;
            if node >= node_count as u64 || !value.is_multiple_of(meta.node.count as u64) {
                return Err(wrong("locations", piece, "a location is of value", value));
            }
            let narrow = |value: u64| value.min(u64::from(u32::MAX)) as u32;
            let location = Location {
                script: narrow(row[fields.script]),
                line: narrow(row[fields.line]),
                column: narrow(row[fields.column]),
            };
            locations.push((node as Node, location));
        }
        Ok(())
    })?;
    Ok(Locations::of(locations))
}
