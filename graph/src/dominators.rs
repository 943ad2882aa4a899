//! Dominators and retained sizes.
//!
//! Lengauer and Tarjan's algorithm (ACM TOPLAS 1, 1979), arranged so that memory is touched as
//! little as possible:
//!
//! * The depth-first walk looks at each edge once and settles on the spot what an edge means that
//!   leads down the tree. Only edges to lower numbers are kept, in the order they were found,
//!   chained by target: no rows of retainers are built.
//! * A vertex whose semidominator is the root needs neither the rest of its retainers nor a bucket:
//!   its dominator is the root. That is so for most of what everything points to (shapes,
//!   prototypes, code), which have most of the edges.
//!
//! What is unreachable hangs on the root, in two ways: nodes that no edge keeps are walked from
//! like children of the root; what then remains (rings that keep only themselves) becomes a child of
//! the root node by node, and its edges count for nothing.

use crate::link_eval::{Forest, Vertex};
use crate::prefetch::prefetch;
use crate::{Edge, Graph, Node};

/// What an edge means for dominance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It keeps its target alive.
    Keeps,
    /// It does not keep its target, but makes it part of the domain (see [`Rules`]).
    Reaches,
    /// It does nothing: weak references.
    Nothing,
}

/// What the edges of a graph mean.
///
/// A graph may have a *domain*: everything that can be reached from certain edges of the root (what
/// the page owns, as against its debugger). An edge into the domain from outside of it, other than
/// the root's own, keeps nothing.
pub trait Rules: Sync {
    /// What an edge does. Edges of a node to itself need not be sorted out.
    fn edge(&self, from: Node, edge: Edge) -> Use;
    /// Whether this edge of the root leads into the domain.
    fn enters(&self, edge: Edge) -> bool;
}

/// The dominator tree.
#[derive(Debug, Clone)]
pub struct Dominators {
    /// The immediate dominator of each node; the root's is itself.
    pub parent: Vec<Node>,
    /// Every node but the root, each behind its dominator.
    order: Vec<Node>,
}

impl Dominators {
    /// What each node keeps alive alone, itself included: the sum of `own` over what it dominates.
    pub fn retained(&self, own: impl Fn(Node) -> u64) -> Vec<u64> {
        let mut sums: Vec<u64> = (0..self.parent.len() as Node).map(own).collect();
        for &node in self.order.iter().rev() {
            let sum = sums[node as usize];
            let above = &mut sums[self.parent[node as usize] as usize];
            *above = above.saturating_add(sum);
        }
        sums
    }

    /// Every node but the root, each behind its dominator.
    pub fn downwards(&self) -> &[Node] {
        &self.order
    }
}

/// Part of the domain; above all numbers of vertices.
const DOMAIN: u32 = 1 << 31;

/// So many targets of a node's edges are loaded while the first of them is looked at.
const TARGETS_AHEAD: Edge = 16;
/// So many vertices are worked on while what is needed next is loaded.
const VERTICES_AHEAD: u32 = 8;

/// What the walk knows of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Its number (0: not seen), and the bit [`DOMAIN`].
    number: u32,
    /// The last edge found that leads to it from a higher number: 1 + its place in `Walk::chain`.
    last: u32,
}

/// An edge to a lower number.
#[derive(Debug, Clone, Copy)]
struct Upwards {
    from: u32,
    /// The one found before it with the same target.
    before: u32,
}

struct Walk<'a, R> {
    graph: &'a Graph,
    rules: &'a R,
    root: Node,
    seen: Vec<Seen>,
    forest: Forest,
    /// The node of each number; 0 is unused.
    nodes: Vec<Node>,
    chain: Vec<Upwards>,
    /// Where edges that only reach have led to.
    reached: Vec<Node>,
    stack: Vec<(Node, Edge)>,
}

/// The dominator tree of a graph of fewer than 2^31 nodes.
pub fn dominators(graph: &Graph, root: Node, rules: &impl Rules) -> Dominators {
    assert!(graph.nodes() < DOMAIN as usize, "more than 2^31 nodes");
    let mut walk = Walk {
        graph,
        rules,
        root,
        seen: vec![Seen::default(); graph.nodes()],
        forest: Forest::default(),
        nodes: Vec::with_capacity(graph.nodes() + 1),
        chain: Vec::with_capacity(graph.edges()),
        reached: Vec::new(),
        stack: Vec::new(),
    };
    walk.forest.vertices.reserve(graph.nodes() + 1);
    walk.nodes.push(root);
    walk.forest.vertices.push(Vertex::default());
    walk.number(root, 0);
    walk.walk_root(true);
    walk.complete_domain();
    walk.walk_root(false);
    walk.orphans();
    walk.solve()
}

impl<R: Rules> Walk<'_, R> {
    fn number(&mut self, node: Node, parent: u32) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        self.forest.vertices.push(Vertex::reached(number, parent));
        self.seen[node as usize].number |= number;
        number
    }

    /// Walks from the root's edges that lead into the domain, or from the others.
    fn walk_root(&mut self, domain: bool) {
        for edge in self.graph.of(self.root) {
            if self.rules.enters(edge) != domain {
                continue;
            }
            let to = self.graph.to(edge);
            if domain {
                self.reached.push(to);
            }
            if to == self.root || self.rules.edge(self.root, edge) != Use::Keeps {
                continue;
            }
            let seen = &mut self.seen[to as usize];
            if domain {
                seen.number |= DOMAIN;
            }
            match seen.number & !DOMAIN {
                0 => self.walk(to, 1),
                number => {
                    // Dominated by the root, whatever else leads here.
                    self.forest.vertices[number as usize].semi = 1;
                }
            }
        }
    }

    /// Walks depth first from a node not seen yet.
    fn walk(&mut self, start: Node, parent: u32) {
        self.number(start, parent);
        self.stack.push((start, self.graph.of(start).start));
        while let Some((node, mut edge)) = self.stack.pop() {
            let own = self.seen[node as usize].number;
            let number = own & !DOMAIN;
            let edges = self.graph.of(node);
            let end = edges.end;
            if edge == edges.start {
                for &to in self.graph.targets(edge..end.min(edge + TARGETS_AHEAD)) {
                    prefetch(&self.seen, to as usize);
                }
            }
            while edge < end {
                let this = edge;
                edge += 1;
                let to = self.graph.to(this);
                match self.rules.edge(node, this) {
                    Use::Nothing => continue,
                    Use::Reaches => {
                        if own & DOMAIN != 0 {
                            self.reached.push(to);
                        }
                        continue;
                    }
                    Use::Keeps => {}
                }
                let seen = &mut self.seen[to as usize];
                if own & DOMAIN == 0 {
                    // From outside into the domain.
                    if seen.number & DOMAIN != 0 {
                        continue;
                    }
                } else {
                    seen.number |= DOMAIN;
                }
                let other = seen.number & !DOMAIN;
                if other == 0 {
                    self.stack.push((node, edge));
                    self.number(to, number);
                    self.stack.push((to, self.graph.of(to).start));
                    break;
                } else if other > number {
                    let semi = &mut self.forest.vertices[other as usize].semi;
                    *semi = number.min(*semi);
                } else if other < number && other > 1 {
                    let before = seen.last;
                    self.chain.push(Upwards {
                        from: number,
                        before,
                    });
                    seen.last = self.chain.len() as u32;
                }
            }
        }
    }

    /// Adds to the domain what only edges that do not keep have led to.
    fn complete_domain(&mut self) {
        let mut list = std::mem::take(&mut self.reached);
        // The root is numbered before the domain is known: only now are its edges looked at.
        if self.seen[self.root as usize].number & DOMAIN != 0 {
            self.seen[self.root as usize].number &= !DOMAIN;
            list.push(self.root);
        }
        while let Some(node) = list.pop() {
            let seen = &mut self.seen[node as usize].number;
            // Numbered nodes of the domain have been walked from.
            if *seen & DOMAIN != 0 {
                continue;
            }
            *seen |= DOMAIN;
            for edge in self.graph.of(node) {
                if self.rules.edge(node, edge) != Use::Nothing {
                    list.push(self.graph.to(edge));
                }
            }
        }
    }

    /// Walks from the nodes that no edge keeps.
    fn orphans(&mut self) {
        if self.nodes.len() > self.graph.nodes() {
            return;
        }
        let unseen: Vec<Node> = (0..self.graph.nodes() as Node)
            .filter(|&node| self.seen[node as usize].number & !DOMAIN == 0)
            .collect();
        let mut kept = vec![false; self.graph.nodes()];
        for &node in &unseen {
            let outside = self.seen[node as usize].number & DOMAIN == 0;
            for edge in self.graph.of(node) {
                let to = self.graph.to(edge);
                if to == node || self.rules.edge(node, edge) != Use::Keeps {
                    continue;
                }
                if !(outside && self.seen[to as usize].number & DOMAIN != 0) {
                    kept[to as usize] = true;
                }
            }
        }
        for &node in &unseen {
            if self.seen[node as usize].number & !DOMAIN == 0 && !kept[node as usize] {
                self.walk(node, 1);
            }
        }
    }

    /// Begins to load what the vertices worked on next will need: where their edges are, the first
    /// of these, and where that one comes from.
    #[inline(always)]
    fn look_ahead(&self, number: u32) {
        let last = |ahead: u32| {
            let number = number.saturating_sub(ahead) as usize;
            // Nothing is asked about the root's own.
            let wanted = self.forest.vertices[number].semi > 1;
            let node = self.nodes[number] as usize;
            wanted.then_some(node)
        };
        if let Some(node) = last(3 * VERTICES_AHEAD) {
            prefetch(&self.seen, node);
        }
        if let Some(node) = last(2 * VERTICES_AHEAD) {
            prefetch(&self.chain, (self.seen[node].last as usize).wrapping_sub(1));
        }
        if let Some(node) = last(VERTICES_AHEAD)
            && let Some(before) = self.seen[node].last.checked_sub(1)
        {
            let from = self.chain[before as usize].from;
            prefetch(&self.forest.vertices, from as usize);
        }
    }

    fn solve(mut self) -> Dominators {
        let count = self.nodes.len() as u32 - 1;
        // Vertices by semidominator, for those where it is neither the root nor the parent: there
        // the immediate dominator is the semidominator itself.
        let mut bucket = vec![0u32; count as usize + 1];
        let mut same_bucket = vec![0u32; count as usize + 1];
        let mut dominator = vec![0u32; count as usize + 1];
        for number in (2..=count).rev() {
            self.look_ahead(number);
            let Vertex {
                ancestor: parent,
                mut semi,
                ..
            } = self.forest.vertices[number as usize];
            // Those that wait for their semidominator, which is this one: all below it are linked.
            let mut waiting = bucket[number as usize];
            while waiting != 0 {
                let (lowest, least) = self.forest.eval(waiting, number);
                dominator[waiting as usize] = if least < number { lowest } else { number };
                waiting = same_bucket[waiting as usize];
            }
            let mut next = self.seen[self.nodes[number as usize] as usize].last;
            while next != 0 && semi > 1 {
                let upwards = self.chain[next as usize - 1];
                prefetch(&self.chain, (upwards.before as usize).wrapping_sub(1));
                semi = semi.min(self.forest.eval(upwards.from, number).1);
                next = upwards.before;
            }
            self.forest.settle(number, semi);
            if semi == 1 || semi == parent {
                dominator[number as usize] = semi;
            } else {
                same_bucket[number as usize] = bucket[semi as usize];
                bucket[semi as usize] = number;
            }
        }
        drop(bucket);
        drop(same_bucket);
        self.chain = Vec::new();
        for number in 2..=count {
            let found = dominator[number as usize];
            // A vertex with a lesser semidominator has the same dominator.
            let semi = self.forest.vertices[number as usize].semi;
            if found != semi {
                dominator[number as usize] = dominator[found as usize];
            }
        }
        self.forest = Forest::default();

        let mut parent = vec![self.root; self.graph.nodes()];
        for number in 2..=count {
            parent[self.nodes[number as usize] as usize] =
                self.nodes[dominator[number as usize] as usize];
        }
        let mut order = self.nodes;
        if (count as usize) < self.graph.nodes() {
            let unseen = (0..self.graph.nodes() as Node)
                .filter(|&node| self.seen[node as usize].number & !DOMAIN == 0);
            order.extend(unseen);
        }
        // The unused number 0 and the root.
        order.drain(..2);
        Dominators { parent, order }
    }
}
