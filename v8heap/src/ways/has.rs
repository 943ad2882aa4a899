//! What an object has, in the words of the program.

use graph::Node;

use super::words::{self, what};
use crate::figures::Analysis;
use crate::scripts::Scripts;

/// One thing that an object has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `.name`, `[3]`, `variable name`.
    pub by: String,
    /// What it is: of strings the text.
    pub what: String,
    /// Its id.
    pub id: u32,
}

/// The properties, elements and variables of a node; small integers leave none.
pub fn references(analysis: &Analysis, scripts: &Scripts, node: Node) -> Vec<Reference> {
    let snapshot = &analysis.snapshot;
    let kind = &snapshot.edge_kind;
    let edges = snapshot.graph.of(node).filter_map(|edge| {
        let of = snapshot.kind_of_edge(edge);
        let name = snapshot.edge_name(edge);
        let by = if of == kind.property && name != "__proto__" {
            words::property(&name)
        } else if of == kind.element {
            format!("[{name}]")
        } else if of == kind.context {
            format!("variable {name}")
        } else {
            return None;
        };
        let to = snapshot.graph.to(edge);
        Some(Reference {
            by,
            what: what(snapshot, scripts, to),
            id: snapshot.ids[to as usize],
        })
    });
    edges.collect()
}
