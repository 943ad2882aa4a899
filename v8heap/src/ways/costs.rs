//! What edges cost: little, if they stand in the program's text.

use graph::{Edge, Node, Paths};

use super::start;
use crate::pairs::PAIR;
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;

/// What the name of an edge says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Any,
    /// `__proto__` and the like.
    Dear,
    /// From an object to where V8 keeps what is in it.
    Plain,
    Context,
    Previous,
    Symbol,
    /// Of a bound function.
    Bound,
}

/// What edges cost.
#[derive(Debug)]
pub(super) struct Costs {
    /// By the string's number.
    names: Vec<Name>,
    gc_roots: Option<u32>,
    map: Option<u32>,
    native_context: Option<u32>,
    /// What Node's and Chrome's own functions see says little. Ascending.
    internal: Vec<Node>,
}

impl Costs {
    pub(super) fn new(snapshot: &Snapshot, scripts: &Scripts) -> Costs {
        let strings = &snapshot.strings;
        let name = |number| match strings.raw(number) {
            b"__proto__" | b"constructor" | b"prototype" => Name::Dear,
            b"elements"
            | b"properties"
            | b"table"
            | b"backing_store"
            | b"native_to_javascript"
            | b"value" => Name::Plain,
            b"context" => Name::Context,
            b"previous" => Name::Previous,
            name if name.starts_with(b"<symbol ") => Name::Symbol,
            name if name.starts_with(b"bound_") => Name::Bound,
            _ => Name::Any,
        };
        Costs {
            names: (0..strings.len() as u32).map(name).collect(),
            gc_roots: strings.find("(GC roots)"),
            map: strings.find("system / Map"),
            native_context: strings.find("system / NativeContext"),
            // Locations are sorted by node.
            internal: snapshot
                .locations
                .iter()
                .filter(|(_, location)| scripts.is_internal(*location))
                .map(|&(node, _)| node)
                .collect(),
        }
    }

    /// The cheapest ways from some nodes.
    pub(super) fn paths(&self, snapshot: &Snapshot, starts: &[(Node, u16)]) -> Paths {
        Paths::new(&snapshot.graph, starts, |from, edge| {
            self.of(snapshot, from, edge)
        })
    }

    /// What an edge costs; `None` if it keeps nothing.
    pub(super) fn of(&self, snapshot: &Snapshot, from: Node, edge: Edge) -> Option<u16> {
        let kind = &snapshot.edge_kind;
        let node = &snapshot.kind;
        let of = snapshot.edge_kinds[edge as usize];
        if of & PAIR != 0 {
            return Some(20);
        }
        if of == kind.weak {
            return None;
        }
        let from_kind = snapshot.kinds[from as usize];
        let from_name = Some(snapshot.names[from as usize]);
        let source = if from_kind == node.code {
            // Compiled code, byte code and what they remember.
            300
        } else if from_name == self.map {
            100
        } else if from_kind == node.synthetic && from_name == self.gc_roots {
            return Some(start::of_root(snapshot, snapshot.graph.to(edge)));
        } else {
            0
        };
        if of == kind.element {
            return Some(source + 2);
        }
        let number = snapshot.edge_names[edge as usize] as usize;
        let name = self.names.get(number).copied().unwrap_or(Name::Any);
        let step = if of == kind.property {
            match name {
                Name::Dear => 60,
                Name::Symbol => 6,
                _ => 2,
            }
        } else if of == kind.context {
            3
        } else if of == kind.internal {
            match name {
                Name::Plain => 1,
                Name::Context => match self.internal.binary_search(&from) {
                    Ok(_) => 30,
                    Err(_) => 4,
                },
                Name::Previous => 2,
                // Entries of Maps and Sets are named by their number.
                _ if from_kind == node.array => 2,
                _ if from_kind == node.native || from_kind == node.synthetic => 6,
                _ if from_name == self.native_context => 60,
                _ => 25,
            }
        } else if of == kind.shortcut {
            match name {
                Name::Bound => 3,
                _ => 40,
            }
        } else {
            12
        };
        Some(source + step)
    }
}
