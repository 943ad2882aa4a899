//! What strings are there, how they are kept, and what they look like.
//!
//! V8 joins strings by a pair of pointers (concatenated) and cuts them by a pointer into the whole
//! (sliced): a slice of a few letters keeps all of a large text.

use graph::{Node, Retainers};
use rustc_hash::FxHashMap;

use crate::figures::Analysis;
use crate::snapshot::Snapshot;

/// Characters that strings with the same beginning share.
const PREFIX: usize = 16;

/// Strings that have something in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// What: a way of keeping, a look, a beginning.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Bytes of the strings themselves.
    pub own: u64,
    /// The id of the largest.
    pub largest: u32,
}

/// A string that slices keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The string.
    pub node: Node,
    /// Its bytes.
    pub own: u64,
    /// How many slices of it there are.
    pub slices: u64,
    /// Whether nothing but slices points to it: copies of the slices would set it free.
    pub by_slices_only: bool,
}

/// All strings of a snapshot.
#[derive(Debug)]
pub struct StringUse {
    /// `flat`, `concatenated`, `sliced`.
    pub kept: Vec<Sort>,
    /// `URL`, `path`, `JSON or array`, `number`, `source text`, `other`; flat ones only.
    pub looks: Vec<Sort>,
    /// By their first characters, those of which there are at least two; flat ones only.
    pub beginnings: Vec<Sort>,
    /// What slices keep, the largest first.
    pub parents: Vec<Parent>,
}

#[derive(Default)]
struct Sorts<K>(FxHashMap<K, (u64, u64, u64, Node)>);

impl<K: std::hash::Hash + Eq> Sorts<K> {
    fn add(&mut self, key: K, node: Node, own: u64) {
        let (count, sum, most, largest) = self.0.entry(key).or_default();
        *count += 1;
        *sum += own;
        if own > *most || *count == 1 {
            (*most, *largest) = (own, node);
        }
    }

    fn all(self, snapshot: &Snapshot, least: u64, name: impl Fn(K) -> String) -> Vec<Sort> {
        let mut all: Vec<Sort> = self
            .0
            .into_iter()
            .filter(|(_, (count, ..))| *count >= least)
            .map(|(key, (count, own, _, largest))| Sort {
                name: name(key),
                count,
                own,
                largest: snapshot.ids[largest as usize],
            })
            .collect();
        all.sort_by(|a, b| b.own.cmp(&a.own).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

/// What a string looks like.
fn look(text: &str) -> &'static str {
    let start = text.trim_start();
    let scheme = start.find("://").filter(|&at| {
        at > 0
            && start[..at]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
    });
    if scheme.is_some() {
        "URL"
    } else if start.starts_with(['{', '[']) {
        "JSON or array"
    } else if start.starts_with('/') && !start.starts_with("//") && !start.starts_with("/*") {
        "path"
    } else if start.parse::<f64>().is_ok() {
        "number"
    } else if [
        "function",
        "'use strict'",
        "\"use strict\"",
        "(function",
        "//",
        "/*",
        "const ",
        "import ",
    ]
    .iter()
    .any(|word| start.starts_with(word))
    {
        "source text"
    } else {
        "other"
    }
}

impl StringUse {
    /// Looks at all strings that have a size.
    pub fn new(analysis: &Analysis) -> StringUse {
        let snapshot = &analysis.snapshot;
        let kind = &snapshot.kind;
        let (mut kept, mut looks) = (Sorts::default(), Sorts::default());
        let mut beginnings: Sorts<String> = Sorts::default();
        let mut slices: FxHashMap<Node, u64> = FxHashMap::default();
        for node in 0..snapshot.graph.nodes() as Node {
            let of = snapshot.kinds[node as usize];
            let own = snapshot.sizes.get(node);
            let way = match of {
                _ if of == kind.string => "flat",
                _ if of == kind.concatenated => "concatenated",
                _ if of == kind.sliced => "sliced",
                _ => continue,
            };
            if of == kind.sliced
                && let Some(parent) = snapshot.follow(node, snapshot.edge_kind.internal, "parent")
            {
                *slices.entry(parent).or_default() += 1;
            }
            if own == 0 {
                continue;
            }
            kept.add(way, node, own);
            if of == kind.string {
                let text = snapshot.name(node);
                looks.add(look(&text), node, own);
                beginnings.add(text.chars().take(PREFIX).collect(), node, own);
            }
        }
        StringUse {
            kept: kept.all(snapshot, 1, str::to_owned),
            looks: looks.all(snapshot, 1, str::to_owned),
            beginnings: beginnings.all(snapshot, 2, |name| name),
            parents: parents(snapshot, slices),
        }
    }
}

fn parents(snapshot: &Snapshot, slices: FxHashMap<Node, u64>) -> Vec<Parent> {
    if slices.is_empty() {
        return Vec::new();
    }
    let retainers = Retainers::new(&snapshot.graph);
    let weak = snapshot.edge_kind.weak;
    let mut parents: Vec<Parent> = slices
        .into_iter()
        .map(|(node, slices)| Parent {
            node,
            own: snapshot.sizes.get(node),
            slices,
            by_slices_only: retainers
                .of(node)
                .filter(|&(_, edge)| snapshot.kind_of_edge(edge) != weak)
                .all(|(from, _)| snapshot.kinds[from as usize] == snapshot.kind.sliced),
        })
        .collect();
    parents.sort_by_key(|parent| (std::cmp::Reverse(parent.own), parent.node));
    parents
}

#[cfg(test)]
mod tests {
    use super::look;

    #[test]
    fn strings_are_told_apart_by_their_looks() {
        for (text, wanted) in [
            ("https://example.org/a", "URL"),
            ("://", "other"),
            ("/usr/lib", "path"),
            ("// text", "source text"),
            (" {\"a\": 1}", "JSON or array"),
            ("-1.5e3", "number"),
            ("function f() {}", "source text"),
            ("", "other"),
            ("words", "other"),
        ] {
            assert_eq!(look(text), wanted, "{text}");
        }
    }
}
