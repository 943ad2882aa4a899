//! A snapshot in memory, as the file has it.

use graph::{Edge, Graph, Incoming, Node};
use std::borrow::Cow;
use std::collections::HashMap;

use crate::locations::Locations;
use crate::meta::{EdgeKinds, NodeKinds};
use crate::pairs::Pairs;
use crate::stacks::Stacks;
use crate::strings::Strings;

/// Where a function, or the constructor of an object, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// V8's number of the script.
    pub script: u32,
    /// From 0.
    pub line: u32,
    /// From 0.
    pub column: u32,
}

/// Whether a node of a page's document is attached to it. Numbers as in the file.
pub mod detachedness {
    /// Not said, or no such thing.
    pub const UNKNOWN: u8 = 0;
    /// Part of the document.
    pub const ATTACHED: u8 = 1;
    /// Not part of it any more, or not yet.
    pub const DETACHED: u8 = 2;
}

/// Bytes of each node: most fit 32 bits.
#[derive(Debug, Default, Clone)]
pub struct Sizes {
    pub(crate) small: Vec<u32>,
    /// Those of nodes whose small size is [`Sizes::LARGE`].
    pub(crate) large: HashMap<Node, u64>,
}

impl Sizes {
    pub(crate) const LARGE: u32 = u32::MAX;

    /// Of a node.
    #[inline]
    pub fn get(&self, node: Node) -> u64 {
        match self.small[node as usize] {
            Sizes::LARGE => self.large.get(&node).copied().unwrap_or_default(),
            small => u64::from(small),
        }
    }

    pub(crate) fn set(&mut self, node: Node, size: u64) {
        self.small[node as usize] = match u32::try_from(size) {
            Ok(small) if small != Sizes::LARGE => small,
            _ => {
                self.large.insert(node, size);
                Sizes::LARGE
            }
        };
    }
}

/// A node's or edge's columns and what they mean.
#[derive(Debug)]
pub struct Snapshot {
    /// Nodes and edges.
    pub graph: Graph,
    /// Which nodes have several edges that are not weak.
    pub(crate) incoming: Incoming,
    /// The root.
    pub root: Node,
    /// V8's number of the type of each node.
    pub kinds: Vec<u8>,
    /// The name of each node: a string's number. V8 gives objects the name of their constructor.
    pub names: Vec<u32>,
    /// Stays the same from snapshot to snapshot of a process.
    pub ids: Vec<u32>,
    /// Bytes of each node itself; once computed, after DevTools' redistribution.
    pub sizes: Sizes,
    /// See [`detachedness`]; `None` in files of old versions.
    pub detachedness: Option<Vec<u8>>,
    /// V8's number of the type of each edge, and flags in the high bits.
    pub(crate) edge_kinds: Vec<u8>,
    /// The name of each edge: a string's number, or an index.
    pub edge_names: Vec<u32>,
    /// Where functions and constructors stand.
    pub locations: Locations,
    /// Where objects were allocated, if V8 was told to track that.
    pub stacks: Option<Stacks>,
    /// All strings.
    pub strings: Strings,
    /// Which of them are names of WeakMaps' entries.
    pub(crate) pairs: Pairs,
    /// The types of nodes.
    pub node_types: Vec<String>,
    /// The types of edges.
    pub edge_types: Vec<String>,
    /// The types of nodes that mean something here.
    pub kind: NodeKinds,
    /// The types of edges that mean something here.
    pub edge_kind: EdgeKinds,
    /// Native memory that V8 knows of and no node stands for.
    pub extra_native_bytes: u64,
}

/// The bits of an edge's kind that are V8's type.
pub(crate) const KIND_BITS: u8 = 0x3f;

impl Snapshot {
    /// The type of an edge.
    #[inline]
    pub fn kind_of_edge(&self, edge: Edge) -> u8 {
        self.edge_kinds[edge as usize] & KIND_BITS
    }

    /// The name of a node.
    pub fn name(&self, node: Node) -> Cow<'_, str> {
        self.strings.get(self.names[node as usize])
    }

    /// The text of a string, of joined ones as far as V8 has written it; `None` if it is no string.
    pub fn text(&self, node: Node) -> Option<Cow<'_, str>> {
        const MOST: usize = 4096;
        let kind = self.kinds[node as usize];
        if kind == self.kind.string || kind == self.kind.sliced {
            return Some(self.name(node));
        }
        if kind != self.kind.concatenated {
            return None;
        }
        let mut text = String::new();
        let mut parts = vec![node];
        while let Some(part) = parts.pop() {
            if text.len() > MOST || parts.len() > MOST {
                break;
            }
            if self.kinds[part as usize] == self.kind.concatenated {
                let halves = ["second", "first"];
                let halves = halves.map(|half| self.follow(part, self.edge_kind.internal, half));
                parts.extend(halves.into_iter().flatten());
            } else {
                text += &self.name(part);
            }
        }
        Some(Cow::Owned(text))
    }

    /// Whether the name of an edge is a string; else it is an index.
    pub fn has_string_name(&self, edge: Edge) -> bool {
        let kind = self.kind_of_edge(edge);
        kind != self.edge_kind.element && kind != self.edge_kind.hidden
    }

    /// The name of an edge as text.
    pub fn edge_name(&self, edge: Edge) -> Cow<'_, str> {
        let name = self.edge_names[edge as usize];
        if self.has_string_name(edge) {
            self.strings.get(name)
        } else {
            Cow::Owned(name.to_string())
        }
    }

    /// Whether an edge has this type and this name.
    pub fn is_edge(&self, edge: Edge, kind: u8, name: &str) -> bool {
        self.kind_of_edge(edge) == kind
            && self.strings.raw(self.edge_names[edge as usize]) == name.as_bytes()
    }

    /// The first target of an edge of this type and name.
    pub fn follow(&self, node: Node, kind: u8, name: &str) -> Option<Node> {
        self.graph
            .of(node)
            .find(|&edge| self.is_edge(edge, kind, name))
            .map(|edge| self.graph.to(edge))
    }

    /// The location of a node.
    #[inline]
    pub fn location(&self, node: Node) -> Option<Location> {
        self.locations.get(node)
    }

    /// The node of an id.
    pub fn node_of_id(&self, id: u32) -> Option<Node> {
        self.ids
            .iter()
            .position(|&other| other == id)
            .map(|node| node as Node)
    }
}
