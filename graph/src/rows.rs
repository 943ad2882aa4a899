//! The graph: compressed sparse rows.

use crate::prefetch::prefetch;
use crate::{Edge, Node};
use std::ops::Range;

/// Nodes 0..n and their outgoing edges 0..m; the edges of a node are consecutive.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// First edge of each node, and at `n` the number of edges: n + 1 values.
    first: Vec<u32>,
    /// The node each edge points to: m values, each below n.
    to: Vec<Node>,
}

impl Graph {
    /// From the first edge of each node (n + 1 ascending values that end with m) and the targets
    /// of the edges. `None` if these do not fit each other.
    pub fn new(first: Vec<u32>, to: Vec<Node>) -> Option<Graph> {
        let nodes = first.len().checked_sub(1)?;
        // Not `all`, which looks at one by one.
        let fits = to.iter().fold(0, |most, &node| node.max(most)) < nodes.max(1) as u32;
        if fits {
            Graph::of_checked(first, to)
        } else {
            None
        }
    }

    /// As [`Graph::new`], if the caller knows that all targets are nodes.
    pub fn of_checked(first: Vec<u32>, to: Vec<Node>) -> Option<Graph> {
        let nodes = first.len().checked_sub(1)?;
        let fits = first[0] == 0 && first[nodes] as usize == to.len() && first.is_sorted();
        fits.then_some(Graph { first, to })
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.to.len()
    }

    /// The edges of a node.
    #[inline]
    pub fn of(&self, node: Node) -> Range<Edge> {
        self.first[node as usize]..self.first[node as usize + 1]
    }

    /// How many edges a node has.
    #[inline]
    pub fn degree(&self, node: Node) -> u32 {
        self.of(node).len() as u32
    }

    /// Where an edge points to.
    #[inline]
    pub fn to(&self, edge: Edge) -> Node {
        self.to[edge as usize]
    }

    /// Where an edge comes from: a search.
    pub fn from(&self, edge: Edge) -> Node {
        self.first.partition_point(|&first| first <= edge) as Node - 1
    }

    /// The targets of a range of edges.
    #[inline]
    pub fn targets(&self, edges: Range<Edge>) -> &[Node] {
        &self.to[edges.start as usize..edges.end as usize]
    }

    /// Begins to load the edges of nodes that are looked at next, the last one first.
    #[inline(always)]
    pub(crate) fn look_ahead_back(&self, stack: &[Node]) {
        if let Some(&node) = stack.get(stack.len().wrapping_sub(4)) {
            prefetch(&self.first, node as usize);
        }
        if let Some(&node) = stack.get(stack.len().wrapping_sub(2)) {
            prefetch(&self.to, self.first[node as usize] as usize);
        }
    }

    /// Begins to load the edges of nodes that are looked at next.
    #[inline(always)]
    pub(crate) fn look_ahead(&self, queue: &[Node]) {
        if let Some(&node) = queue.get(8) {
            prefetch(&self.first, node as usize);
        }
        if let Some(&node) = queue.get(4) {
            prefetch(&self.to, self.first[node as usize] as usize);
        }
    }
}
