//! Dominators and retained sizes.
//!
//! Lengauer and Tarjan's algorithm (ACM TOPLAS 1, 1979), arranged so that memory is touched as
//! little as possible:
//!
//! * The depth-first walk looks at each edge once and settles on the spot what an edge means that
//!   leads down the tree. Only edges to lower numbers are kept, in the order they were found,
//!   chained by target: no rows of retainers are built.
//! * A vertex needs the rest of its retainers only as long as they may still lower its
//!   semidominator. No retainer gives less than the least semidominator found so far in the same
//!   tree below the root, but for those in other such trees, which give the root and come first.
//!   What everything points to (shapes, prototypes, code) has most of the edges, and one or two
//!   are looked at.
//! * A node with one retainer is dominated by that, and no vertex unless it is on the way to one. Its
//!   edges to what has been found before (the shape of a string, the prototype of an object) are
//!   taken for edges of the vertex above: a way to there that does without the node had been found
//!   before, so the node dominates none of that, and for all others both mean the same.
//!
//! What is unreachable hangs on the root, in two ways: nodes that no edge keeps are walked from
//! like children of the root; what then remains (rings that keep only themselves) becomes a child of
//! the root node by node, and its edges count for nothing.

use crate::link_eval::{Forest, Vertex};
use crate::prefetch::prefetch;
use crate::{Edge, Graph, Incoming, Node};

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
#[derive(Debug, Clone, Default)]
pub struct Dominators {
    /// The immediate dominator of each node; the root's is itself.
    pub parent: Vec<Node>,
    /// Every node but the root, each behind its dominator.
    order: Vec<Node>,
}

impl Dominators {
    /// What each node keeps alive alone, itself included: the sum of `own` (a number for each node)
    /// over what it dominates.
    pub fn retained(&self, own: Vec<u64>) -> Vec<u64> {
        let mut sums = own;
        for (place, &node) in self.order.iter().enumerate().rev() {
            if let Some(&ahead) = self.order.get(place.wrapping_sub(2 * NODES_AHEAD)) {
                prefetch(&sums, ahead as usize);
                prefetch(&self.parent, ahead as usize);
            }
            if let Some(&ahead) = self.order.get(place.wrapping_sub(NODES_AHEAD)) {
                prefetch(&sums, self.parent[ahead as usize] as usize);
            }
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

/// The dominator is that of another vertex, whose number this is; above all numbers.
const SAME: u32 = 1 << 31;

/// So many targets of a node's edges are loaded while the first of them is looked at.
const TARGETS_AHEAD: Edge = 16;
/// So many nodes are summed up while what is needed next is loaded.
const NODES_AHEAD: usize = 8;
/// So many vertices are worked on while what is needed next is loaded.
const VERTICES_AHEAD: u32 = 8;

/// An edge to a lower number.
#[derive(Debug, Clone, Copy)]
struct Upwards {
    from: u32,
    /// The one found before it with the same target: 1 + its place in [`Walk::chain`].
    before: u32,
}

struct Walk<'a, R> {
    graph: &'a Graph,
    rules: &'a R,
    incoming: &'a Incoming,
    root: Node,
    /// The number of each node (0: not seen), and the bit [`DOMAIN`].
    seen: Vec<u32>,
    forest: Forest,
    /// The node of each number; 0 is unused. At the end, from `leaves` on, the nodes that are no vertices,
    /// each before all that it dominates; these have 1 + their dominator for a number.
    nodes: Vec<Node>,
    /// The number given last.
    numbers: u32,
    leaves: usize,
    chain: Vec<Upwards>,
    /// Where edges that only reach have led to.
    reached: Vec<Node>,
    /// The way from where the walk began.
    path: Vec<Frame>,
    /// What nodes of the path point to and had not been seen then; the next one is the last.
    waiting: Vec<Node>,
}

/// A node that is being walked from.
#[derive(Debug, Clone, Copy)]
struct Frame {
    node: Node,
    /// Its number, or that of the nearest vertex above; and the bit [`DOMAIN`].
    own: u32,
    /// How many waited before it.
    waiting: usize,
}

/// The dominator tree of a graph of fewer than 2^31 nodes; `incoming` has counted all edges that are not
/// [`Use::Nothing`].
pub fn dominators(
    graph: &Graph,
    root: Node,
    rules: &impl Rules,
    incoming: &Incoming,
) -> Dominators {
    assert!(graph.nodes() < DOMAIN as usize, "more than 2^31 nodes");
    let mut walk = Walk {
        graph,
        rules,
        incoming,
        root,
        seen: vec![0; graph.nodes()],
        forest: Forest::default(),
        nodes: vec![0; graph.nodes() + 1],
        numbers: 0,
        leaves: graph.nodes() + 1,
        chain: Vec::with_capacity(graph.edges()),
        reached: Vec::new(),
        path: Vec::new(),
        waiting: Vec::new(),
    };
    walk.forest.vertices.reserve(graph.nodes() + 1);
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
        self.numbers += 1;
        let number = self.numbers;
        self.nodes[number as usize] = node;
        self.forest.vertices.push(Vertex::reached(parent));
        self.seen[node as usize] |= number;
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
                *seen |= DOMAIN;
            }
            match *seen & !DOMAIN {
                0 => self.walk(to, 1),
                number => {
                    // Dominated by the root, whatever else leads here.
                    self.forest.vertices[number as usize].least = 1;
                }
            }
        }
    }

    /// Walks depth first from a node not seen yet.
    fn walk(&mut self, start: Node, parent: u32) {
        self.number(start, parent);
        self.enter(start, self.seen[start as usize]);
        // So many of the path are vertices; those behind are none yet.
        let mut vertices = 1;
        while let Some(&Frame { node, own, waiting }) = self.path.last() {
            if self.waiting.len() == waiting {
                self.path.pop();
                if self.path.len() < vertices {
                    vertices = self.path.len();
                } else {
                    self.leaves -= 1;
                    self.nodes[self.leaves] = node;
                }
                continue;
            }
            let Some(to) = self.waiting.pop() else { break };
            self.graph.look_ahead_back(&self.waiting);
            let other = self.seen[to as usize] & !DOMAIN;
            if other != 0 {
                self.meet(own & !DOMAIN, other);
            } else if self.incoming.are_several(to) {
                let parent = self.number_path(vertices);
                self.number(to, parent);
                self.enter(to, self.seen[to as usize]);
                vertices = self.path.len();
            } else {
                self.seen[to as usize] |= node + 1;
                self.enter(to, own);
            }
        }
    }

    /// Looks at the edges of a node: what has been seen is met, what has not is walked to later.
    #[inline(always)]
    fn enter(&mut self, node: Node, own: u32) {
        self.path.push(Frame {
            node,
            own,
            waiting: self.waiting.len(),
        });
        let edges = self.graph.of(node);
        let ahead = edges.start..edges.end.min(edges.start + TARGETS_AHEAD);
        for &to in self.graph.targets(ahead) {
            prefetch(&self.seen, to as usize);
        }
        for edge in edges {
            let to = self.graph.to(edge);
            match self.rules.edge(node, edge) {
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
                if *seen & DOMAIN != 0 {
                    continue;
                }
            } else {
                *seen |= DOMAIN;
            }
            match *seen & !DOMAIN {
                0 => self.waiting.push(to),
                other => self.meet(own & !DOMAIN, other),
            }
        }
    }

    /// Those of the path from this one on become vertices; the number of the last.
    fn number_path(&mut self, from: usize) -> u32 {
        for place in from..self.path.len() {
            let Frame { node, own, .. } = self.path[place];
            let parent = self.path[place - 1].own & !DOMAIN;
            self.seen[node as usize] = own & DOMAIN;
            self.number(node, parent);
            self.path[place].own = self.seen[node as usize];
        }
        self.path[self.path.len() - 1].own & !DOMAIN
    }

    /// An edge between two numbers.
    #[inline(always)]
    fn meet(&mut self, number: u32, other: u32) {
        if other > number {
            let semi = &mut self.forest.vertices[other as usize].least;
            *semi = number.min(*semi);
        } else if other < number && other > 1 {
            let last = &mut self.forest.vertices[other as usize].label;
            // Strings of one object point to one shape.
            let before = self.chain.get((*last as usize).wrapping_sub(1));
            if before.is_some_and(|before| before.from == number) {
                return;
            }
            self.chain.push(Upwards {
                from: number,
                before: *last,
            });
            *last = self.chain.len() as u32;
        }
    }

    /// Adds to the domain what only edges that do not keep have led to.
    fn complete_domain(&mut self) {
        let mut list = std::mem::take(&mut self.reached);
        // The root is numbered before the domain is known: only now are its edges looked at.
        if self.seen[self.root as usize] & DOMAIN != 0 {
            self.seen[self.root as usize] &= !DOMAIN;
            list.push(self.root);
        }
        while let Some(node) = list.pop() {
            let seen = &mut self.seen[node as usize];
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
        if self.leaves == self.numbers as usize + 1 {
            return;
        }
        let unseen: Vec<Node> = (0..self.graph.nodes() as Node)
            .filter(|&node| self.seen[node as usize] & !DOMAIN == 0)
            .collect();
        let mut kept = vec![false; self.graph.nodes()];
        for &node in &unseen {
            let outside = self.seen[node as usize] & DOMAIN == 0;
            for edge in self.graph.of(node) {
                let to = self.graph.to(edge);
                if to == node || self.rules.edge(node, edge) != Use::Keeps {
                    continue;
                }
                if !(outside && self.seen[to as usize] & DOMAIN != 0) {
                    kept[to as usize] = true;
                }
            }
        }
        for &node in &unseen {
            if self.seen[node as usize] & !DOMAIN == 0 && !kept[node as usize] {
                self.walk(node, 1);
            }
        }
    }

    /// Begins to load what the vertices worked on next will need: the first of the edges that lead
    /// to them from higher numbers, and where it comes from.
    #[inline(always)]
    fn look_ahead(&self, number: u32) {
        let last = |ahead: u32| {
            let number = number.saturating_sub(ahead) as usize;
            self.forest.vertices[number].label.checked_sub(1)
        };
        if let Some(last) = last(2 * VERTICES_AHEAD) {
            prefetch(&self.chain, last as usize);
        }
        if let Some(last) = last(VERTICES_AHEAD) {
            let from = self.chain[last as usize].from;
            prefetch(&self.forest.vertices, from as usize);
        }
    }

    fn solve(mut self) -> Dominators {
        let count = self.numbers;
        // Of the tree below the root that is worked on: the first number behind it, and the least
        // semidominator in it but for its own root's.
        let mut end = count + 1;
        let mut least = u32::MAX;
        for number in (2..=count).rev() {
            self.look_ahead(number);
            let Vertex {
                ancestor: parent,
                label: mut next,
                least: mut semi,
                dominator: mut waiting,
            } = self.forest.vertices[number as usize];
            // Those that wait for their semidominator, which is this one: all below it are linked.
            while waiting != 0 {
                let (lowest, least) = self.forest.eval(waiting, number);
                let dominator = if least < number {
                    // A vertex with a lesser semidominator has the same dominator.
                    lowest | SAME
                } else {
                    number
                };
                let place = &mut self.forest.vertices[waiting as usize].dominator;
                waiting = std::mem::replace(place, dominator);
            }
            while next != 0 && semi > least {
                let upwards = self.chain[next as usize - 1];
                prefetch(&self.chain, (upwards.before as usize).wrapping_sub(1));
                semi = semi.min(self.forest.eval(upwards.from, number).1);
                next = upwards.before;
            }
            // Edges from other trees were found last, so that they come first.
            if next != 0 && self.chain[next as usize - 1].from >= end {
                semi = 1;
            }
            let dominator = if semi == 1 || semi == parent {
                semi
            } else {
                // Waits for its semidominator.
                std::mem::replace(&mut self.forest.vertices[semi as usize].dominator, number)
            };
            self.forest.settle(number, semi, dominator);
            if parent == 1 {
                (end, least) = (number, u32::MAX);
            } else {
                least = least.min(semi);
            }
        }
        self.chain = Vec::new();

        let mut order = self.nodes;
        // Of no use any more: the memory of one becomes the other.
        let mut parent = self.seen;
        let mut unseen = order[..self.leaves].iter_mut().skip(count as usize + 1);
        if unseen.len() > 0 {
            for (node, place) in (0..).zip(&mut parent) {
                if *place & !DOMAIN == 0
                    && let Some(next) = unseen.next()
                {
                    *place = self.root;
                    *next = node;
                }
            }
        }
        for &leaf in &order[self.leaves..] {
            parent[leaf as usize] = (parent[leaf as usize] & !DOMAIN) - 1;
        }
        parent[self.root as usize] = self.root;
        for number in 2..=count {
            let mut found = self.forest.vertices[number as usize].dominator;
            if found & SAME != 0 {
                found = self.forest.vertices[(found & !SAME) as usize].dominator;
                self.forest.vertices[number as usize].dominator = found;
            }
            parent[order[number as usize] as usize] = order[found as usize];
        }
        // The unused number 0 and the root.
        order.drain(..2);
        Dominators { parent, order }
    }
}
