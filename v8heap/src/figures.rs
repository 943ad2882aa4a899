//! The figures of every node, by the rules of Chrome DevTools' snapshot worker: self size, retained
//! size, distance, immediate dominator.

use graph::{Dominators, Edge, Node, Rules, UNREACHED, Use, breadth_first, dominators};
use std::collections::HashSet;
use std::path::Path;

use crate::error::Error;
use crate::meta::NodeKinds;
use crate::pairs::{PAIR, Pairs};
use crate::snapshot::{KIND_BITS, Snapshot};
use crate::threads::join;
use crate::{detached, shallow};

/// The distance of the root, where there is anything nearer to the user.
pub const SYSTEM_DISTANCE: i32 = 100_000_000;

/// A snapshot and its figures.
#[derive(Debug)]
pub struct Analysis {
    /// The snapshot; its sizes are those that DevTools calls shallow.
    pub snapshot: Snapshot,
    /// The dominator tree.
    pub dominators: Dominators,
    /// Retained bytes of each node.
    pub retained: Vec<u64>,
    /// The shortest way from the user's roots: 1 for those. [`SYSTEM_DISTANCE`] and more for what is
    /// reached only from V8's own, and [`UNREACHED`] for what is not reached at all.
    pub distances: Vec<i32>,
}

/// What edges mean in V8's snapshots.
struct Meaning<'a> {
    snapshot: &'a Snapshot,
    pairs: &'a Pairs,
    /// The root of the trees of documents.
    documents: Option<Node>,
}

impl Rules for Meaning<'_> {
    #[inline]
    fn edge(&self, from: Node, edge: Edge) -> Use {
        let snapshot = self.snapshot;
        let kind = snapshot.edge_kinds[edge as usize];
        if kind == snapshot.edge_kind.weak {
            Use::Nothing
        } else if kind == snapshot.edge_kind.shortcut && from != snapshot.root {
            Use::Reaches
        } else if kind & PAIR != 0 && self.by_table(from, edge) {
            // The key keeps the value: that names the better culprit.
            Use::Reaches
        } else {
            Use::Keeps
        }
    }

    fn enters(&self, edge: Edge) -> bool {
        let kind = self.snapshot.kind_of_edge(edge);
        kind == self.snapshot.edge_kind.shortcut
            || kind == self.snapshot.edge_kind.element
                && Some(self.snapshot.graph.to(edge)) == self.documents
    }
}

impl Meaning<'_> {
    fn by_table(&self, from: Node, edge: Edge) -> bool {
        let name = self.snapshot.edge_names[edge as usize];
        self.pairs
            .get(name)
            .is_some_and(|pair| pair.table == self.snapshot.ids[from as usize])
    }
}

impl Analysis {
    /// Reads a file and computes everything, with up to this many threads (two are of use).
    pub fn of_file(path: &Path, threads: usize) -> Result<Analysis, Error> {
        Ok(Analysis::new(crate::load(path, threads)?, threads))
    }

    /// Reads a file and computes everything; distances only if they are wanted, else there are none.
    /// `meanwhile` is done by the thread that is the first to have nothing more to do: it sees the
    /// snapshot before its nodes have sizes.
    pub(crate) fn of_file_and<T: Send>(
        path: &Path,
        threads: usize,
        distances: bool,
        meanwhile: impl FnOnce(&Snapshot) -> T + Send,
    ) -> Result<(Analysis, T), Error> {
        let snapshot = crate::load(path, threads)?;
        Ok(Analysis::compute(snapshot, threads, distances, meanwhile))
    }

    /// Computes the figures of a snapshot.
    pub fn new(snapshot: Snapshot, threads: usize) -> Analysis {
        Analysis::compute(snapshot, threads, true, |_| ()).0
    }

    fn compute<T: Send>(
        mut snapshot: Snapshot,
        threads: usize,
        all: bool,
        meanwhile: impl FnOnce(&Snapshot) -> T + Send,
    ) -> (Analysis, T) {
        let pairs = std::mem::take(&mut snapshot.pairs);
        detached::spread(&mut snapshot);
        let mut sizes = std::mem::take(&mut snapshot.sizes);
        let documents = user_roots(&snapshot)
            .find(|&node| snapshot.kinds[node as usize] == snapshot.kind.synthetic);
        let meaning = Meaning {
            snapshot: &snapshot,
            pairs: &pairs,
            documents,
        };
        let tree = || {
            let incoming = &snapshot.incoming;
            dominators(&snapshot.graph, snapshot.root, &meaning, incoming)
        };
        let rest = || {
            let mut owners = shallow::owners(&snapshot);
            shallow::apply(&snapshot, &mut sizes, &owners);
            let own = (0..owners.len() as Node).map(|node| sizes.get(node));
            let own: Vec<u64> = own.collect();
            let distances = if all {
                // The memory of one becomes the other's queue.
                owners.clear();
                distances(&snapshot, &pairs, owners)
            } else {
                Vec::new()
            };
            (own, distances, meanwhile(&snapshot))
        };
        let (tree, (own, distances, other)) = join(threads, tree, rest);
        let retained = tree.retained(own);
        snapshot.sizes = sizes;
        let analysis = Analysis {
            snapshot,
            dominators: tree,
            retained,
            distances,
        };
        (analysis, other)
    }

    /// Lets go of what the dominator tree tells, and of distances: for who compares sizes only.
    pub fn keep_sizes(&mut self) {
        self.dominators = Dominators::default();
        self.retained = Vec::new();
        self.distances = Vec::new();
    }

    /// Everything in the snapshot, and native memory that no node stands for.
    pub fn total(&self) -> u64 {
        self.retained[self.snapshot.root as usize] + self.snapshot.extra_native_bytes
    }
}

/// Where users begin to look: what the root points to and is not synthetic, and the documents.
pub(crate) fn user_roots(snapshot: &Snapshot) -> impl Iterator<Item = Node> + '_ {
    let edges = snapshot.graph.of(snapshot.root);
    edges.map(|edge| snapshot.graph.to(edge)).filter(|&node| {
        snapshot.kinds[node as usize] != snapshot.kind.synthetic
            || snapshot.strings.raw(snapshot.names[node as usize]) == b"(Document DOM trees)"
    })
}

fn distances(snapshot: &Snapshot, pairs: &Pairs, mut queue: Vec<Node>) -> Vec<i32> {
    let root = snapshot.root;
    queue.extend(user_roots(snapshot));
    let mut distances = vec![UNREACHED; snapshot.graph.nodes()];
    for &node in &queue {
        distances[node as usize] = 1;
    }
    let any = !queue.is_empty();
    let context = snapshot.strings.find("system / NativeContext");
    let descriptors = snapshot.strings.find("(map descriptors)");
    let weak = snapshot.edge_kind.weak;
    // Of the two edges that hold the value of a WeakMap's entry the second one counts: the value is
    // as far as the farther of key and table.
    let mut half = HashSet::new();
    let mut follows = |from: Node, edge: Edge| {
        let kind = snapshot.edge_kinds[edge as usize];
        if kind == weak {
            return false;
        }
        let of = snapshot.kinds[from as usize];
        let name = Some(snapshot.names[from as usize]);
        if of == snapshot.kind.hidden
            && name == context
            && context.is_some()
            && snapshot.edge_name(edge) == "sloppy_function_map"
        {
            return false;
        }
        if of == snapshot.kind.array && name == descriptors && descriptors.is_some() {
            // Maps share these tables; most of what is in one is not this map's.
            return leading_number(snapshot, edge).is_none_or(|index| index < 2 || index % 3 != 1);
        }
        if kind & PAIR != 0
            && let Some(pair) = pairs.get(snapshot.edge_names[edge as usize])
            && !half.remove(&pair.number)
        {
            half.insert(pair.number);
            return false;
        }
        true
    };
    breadth_first(&snapshot.graph, &mut queue, &mut distances, &mut follows);
    distances[root as usize] = if any { SYSTEM_DISTANCE } else { 0 };
    queue.clear();
    queue.push(root);
    breadth_first(&snapshot.graph, &mut queue, &mut distances, &mut follows);
    distances
}

/// The number that the name of an edge begins with.
fn leading_number(snapshot: &Snapshot, edge: Edge) -> Option<u64> {
    if !snapshot.has_string_name(edge) {
        return Some(u64::from(snapshot.edge_names[edge as usize]));
    }
    let name = snapshot.edge_name(edge);
    let digits = name.trim_start();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Whether V8 has a type of this number, and the file such a node.
pub(crate) fn is(kind: u8, wanted: u8) -> bool {
    kind == wanted && wanted != NodeKinds::NONE
}

const _: () = assert!(PAIR & KIND_BITS == 0);
