//! Objects that point to most others: the collections of a program, and what has grown into one.

use graph::Node;

use crate::figures::Analysis;
use crate::leaks::entries;

/// An object with many references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fan {
    /// It.
    pub node: Node,
    /// Its entries, if it is a Map, a Set, an array, or an object with properties.
    pub entries: u64,
    /// All its references, those of the table behind a Map or Set among them.
    pub references: u64,
}

/// The objects of the program (not V8's own) with the most references: at most `most`, and none
/// with fewer than `least`.
pub fn fanout(analysis: &Analysis, least: u64, most: usize) -> Vec<Fan> {
    let snapshot = &analysis.snapshot;
    let kind = &snapshot.kind;
    let table = snapshot.strings.find("table");
    let mut found: Vec<Fan> = (0..snapshot.graph.nodes() as Node)
        .filter(|&node| {
            let of = snapshot.kinds[node as usize];
            of == kind.object || of == kind.closure || of == kind.native
        })
        .filter_map(|node| {
            let behind: u64 = snapshot
                .graph
                .of(node)
                .filter(|&edge| {
                    snapshot.kind_of_edge(edge) == snapshot.edge_kind.internal
                        && Some(snapshot.edge_names[edge as usize]) == table
                })
                .map(|edge| u64::from(snapshot.graph.degree(snapshot.graph.to(edge))))
                .sum();
            let references = u64::from(snapshot.graph.degree(node)) + behind;
            (references >= least).then_some(Fan {
                node,
                entries: 0,
                references,
            })
        })
        .collect();
    found.sort_by_key(|fan| (std::cmp::Reverse(fan.references), fan.node));
    found.truncate(most);
    for fan in &mut found {
        fan.entries = entries(snapshot, fan.node);
    }
    found
}
