//! Why a node is kept: the way that says most to a person, of all that lead to it.
//!
//! Every edge has a cost, and the way is the cheapest: what stands in the program's text (properties,
//! elements, variables) costs little, prototypes and V8's own references much. It begins not at V8's
//! roots but where the program's own begins: at a variable of a file, the exports of a module, a
//! global, a timer. What is on the stack or in compiled code at the moment of the snapshot keeps things
//! too, and is the last thing that explains them.

mod chains;
mod costs;
mod declared;
mod has;
mod other;
mod running;
mod start;
mod words;

use std::cell::OnceCell;

use graph::{Edge, Node, Paths};

use crate::figures::Analysis;
use crate::scopes::Scopes;
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;
use crate::sources::Sources;

use costs::Costs;
pub use has::{Reference, references};
pub(crate) use running::Running;
pub use words::what;

/// One step of a way, from the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `.name`, `[3]`, `variable name`, …; of the first step the variable or the root it begins at.
    pub by: String,
    /// What is reached: its class and, of functions, where they stand.
    pub what: String,
    /// Its id.
    pub id: u32,
    /// How many equal steps this one stands for: links of a chain.
    pub times: u32,
}

/// The cheapest ways to all nodes of a snapshot.
#[derive(Debug)]
pub struct Ways {
    scopes: Scopes,
    sources: Sources,
    costs: Costs,
    paths: Paths,
    /// From V8's own roots only: what a variable of a file keeps that it keeps alive itself is not
    /// explained by that variable.
    from_roots: OnceCell<Paths>,
}

impl Ways {
    /// Finds the ways.
    pub fn new(analysis: &Analysis, scripts: &Scripts) -> Ways {
        Ways::of(&analysis.snapshot, scripts)
    }

    /// Finds them in a snapshot without figures.
    pub(crate) fn of(snapshot: &Snapshot, scripts: &Scripts) -> Ways {
        let scopes = Scopes::new(snapshot, scripts);
        let costs = Costs::new(snapshot, scripts);
        let mut starts = start::roots(snapshot);
        starts.extend(start::of_the_program(snapshot, scripts, &scopes));
        let paths = costs.paths(snapshot, &starts);
        Ways {
            scopes,
            sources: Sources::default(),
            costs,
            paths,
            from_roots: OnceCell::new(),
        }
    }

    /// The nodes and edges of the way to a node.
    pub fn raw(&self, analysis: &Analysis, node: Node) -> Vec<(Node, Edge)> {
        let snapshot = &analysis.snapshot;
        let way = self.paths.to(&snapshot.graph, node);
        let start = way.first().map_or(node, |&(from, _)| from);
        if start == node || !dominates(analysis, node, start) {
            return way;
        }
        let paths = self
            .from_roots
            .get_or_init(|| self.costs.paths(snapshot, &start::roots(snapshot)));
        paths.to(&snapshot.graph, node)
    }

    /// The way to a node.
    pub fn to(&self, analysis: &Analysis, scripts: &Scripts, node: Node) -> Vec<Step> {
        let way = self.raw(analysis, node);
        self.words(analysis, scripts, &way, node)
    }

    /// The best ways to a node, at most so many: the first is [`Ways::to`]'s, the others leave it somewhere.
    pub fn several(
        &self,
        analysis: &Analysis,
        scripts: &Scripts,
        node: Node,
        most: usize,
    ) -> Vec<Vec<Step>> {
        other::several(self, analysis, scripts, node, most)
    }

    /// What the best way to a node over one of its retainers costs, as against that over another; `None` if
    /// the edge keeps nothing.
    pub fn cost(&self, analysis: &Analysis, from: Node, edge: Edge) -> Option<u32> {
        let cost = self.costs.of(&analysis.snapshot, from, edge)?;
        Some(self.paths.cost(from)?.saturating_add(u32::from(cost)))
    }

    /// What a reference is called: `.name`, `[3]`, `variable name`, and V8's own name for its own.
    pub fn edge(&self, analysis: &Analysis, scripts: &Scripts, from: Node, edge: Edge) -> String {
        self.words_of(analysis, scripts).edge(from, edge)
    }

    /// The variable of a file that a way begins at: the string's number of its name, and its scope.
    pub(crate) fn variable(
        &self,
        snapshot: &Snapshot,
        way: &[(Node, Edge)],
    ) -> Option<(u32, Option<Node>)> {
        let &(first, edge) = way.first()?;
        if let Some(export) = self.scopes.export(first) {
            return Some((export.name, export.scope));
        }
        let of_file = self.scopes.file(first).is_some()
            && snapshot.kind_of_edge(edge) == snapshot.edge_kind.context;
        of_file.then(|| (snapshot.edge_names[edge as usize], Some(first)))
    }

    /// The call that is running and keeps what a way leads to, if it begins there, and how many edges that is.
    pub(crate) fn running(
        &self,
        snapshot: &Snapshot,
        scripts: &Scripts,
        way: &[(Node, Edge)],
    ) -> Option<(Running, usize)> {
        running::on_way(snapshot, scripts, &self.sources, way)
    }

    /// Whether ways that begin at a node begin at a variable of a file.
    fn is_of_a_file(&self, start: Node) -> bool {
        self.scopes.file(start).is_some() || self.scopes.export(start).is_some()
    }

    /// Whether the variables of a file are in a context.
    pub(crate) fn is_file(&self, context: Node) -> bool {
        self.scopes.file(context).is_some()
    }

    /// A way in words; `node` is what it leads to.
    pub(crate) fn words(
        &self,
        analysis: &Analysis,
        scripts: &Scripts,
        way: &[(Node, Edge)],
        node: Node,
    ) -> Vec<Step> {
        let words = self.words_of(analysis, scripts);
        chains::shorten(words.steps(way, node))
    }

    fn words_of<'a>(&'a self, analysis: &'a Analysis, scripts: &'a Scripts) -> words::Words<'a> {
        words::Words {
            snapshot: &analysis.snapshot,
            scripts,
            scopes: &self.scopes,
            sources: &self.sources,
        }
    }
}

/// Whether all ways to a node lead over another one.
fn dominates(analysis: &Analysis, above: Node, node: Node) -> bool {
    let parents = &analysis.dominators.parent;
    let root = analysis.snapshot.root;
    std::iter::successors(Some(node), |&at| (at != root).then(|| parents[at as usize]))
        .any(|at| at == above)
}
