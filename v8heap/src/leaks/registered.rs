//! What a program has registered, and what stays until it is taken back: observers of a page, finalizers,
//! symbols of `Symbol.for()`, addresses of Blobs.

use graph::Node;

use super::words::{Count, Pattern};
use crate::snapshot::{Location, Snapshot};

/// Something registered; alike in all snapshots of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Registered {
    /// A page's observers: class and callback.
    Observers(&'static str, Location),
    /// Of a FinalizationRegistry, by its callback.
    Finalizers(Location),
    /// Symbols with a name.
    Symbols,
    /// What `URL.createObjectURL()` was given.
    BlobUrls,
    /// Of a page: what `performance.mark()` and `measure()` noted.
    Marks,
}

/// Blink's callbacks of observers, and the observers' classes.
const OBSERVERS: [(&str, &str); 3] = [
    ("V8MutationCallback", "MutationObserver"),
    ("V8ResizeObserverCallback", "ResizeObserver"),
    ("V8IntersectionObserverCallback", "IntersectionObserver"),
];

/// The numbers of the names that are asked for.
pub(super) struct Names {
    observers: Vec<(u32, &'static str)>,
    cell: Option<u32>,
    registry: Option<u32>,
    symbol: Option<u32>,
    stored: [Option<u32>; 2],
    marks: [Option<u32>; 2],
}

impl Names {
    pub(super) fn new(snapshot: &Snapshot) -> Names {
        let find = |name| snapshot.strings.find(name);
        Names {
            observers: OBSERVERS
                .iter()
                .filter_map(|&(callback, class)| Some((find(callback)?, class)))
                .collect(),
            cell: find("system / WeakCell"),
            registry: find("FinalizationRegistry"),
            symbol: find("symbol"),
            stored: [
                find("Node / StoredDataObject"),
                find("Detached Node / StoredDataObject"),
            ],
            marks: [find("PerformanceMark"), find("PerformanceMeasure")],
        }
    }

    /// What kind of registration a node is, if it is one.
    pub(super) fn of(&self, snapshot: &Snapshot, node: Node) -> Option<Registered> {
        let kind = snapshot.kinds[node as usize];
        let name = Some(snapshot.names[node as usize]);
        let of = &snapshot.kind;
        if kind == of.native {
            if self.stored.contains(&name) {
                return Some(Registered::BlobUrls);
            }
            if self.marks.contains(&name) {
                return Some(Registered::Marks);
            }
            let observer = |&&(callback, _): &&(u32, &str)| Some(callback) == name;
            let &(_, class) = self.observers.iter().find(observer)?;
            return Some(Registered::Observers(class, function(snapshot, node)?));
        }
        if name == self.cell && kind == of.hidden {
            // The registry's callback has no name of an edge.
            let mut hidden = snapshot.graph.of(node).filter(|&edge| {
                snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden
                    && Some(snapshot.names[snapshot.graph.to(edge) as usize]) == self.registry
            });
            let registry = snapshot.graph.to(hidden.next()?);
            return function(snapshot, registry).map(Registered::Finalizers);
        }
        (name == self.symbol && kind == of.symbol).then_some(Registered::Symbols)
    }
}

/// The first function that an object points to.
fn function(snapshot: &Snapshot, node: Node) -> Option<Location> {
    let mut edges = snapshot.graph.of(node);
    edges.find_map(|edge| {
        let to = snapshot.graph.to(edge);
        let is_function = snapshot.kinds[to as usize] == snapshot.kind.closure;
        snapshot.location(to).filter(|_| is_function)
    })
}

impl Registered {
    /// The pattern, what there is to say of so many of them, and the words of which the function names one that
    /// registers them.
    pub(super) fn said(&self, count: u64) -> (Pattern, String, &'static [&'static str]) {
        let count = Count(count);
        match self {
            Registered::Observers(class, _) => (
                Pattern::Observers,
                format!("{count} {class}s never disconnected"),
                &["observe"],
            ),
            Registered::Finalizers(_) => (
                Pattern::Finalizers,
                format!("{count} objects registered with a FinalizationRegistry"),
                &["register"],
            ),
            Registered::Symbols => (
                Pattern::Symbols,
                format!("{count} symbols, such as those of Symbol.for()"),
                &["for"],
            ),
            Registered::BlobUrls => (
                Pattern::BlobUrls,
                format!("{count} addresses of Blobs (URL.createObjectURL)"),
                &["createObjectURL"],
            ),
            Registered::Marks => (
                Pattern::Performance,
                format!("{count} marks and measures of performance"),
                &["mark", "measure"],
            ),
        }
    }

    /// The place of the callback.
    pub(super) fn callback(&self) -> Option<Location> {
        match self {
            Registered::Observers(_, location) | Registered::Finalizers(location) => {
                Some(*location)
            }
            Registered::Symbols | Registered::BlobUrls | Registered::Marks => None,
        }
    }
}
