//! Linked lists whose first link is another one each time, and that nothing old has: contexts that hold the
//! one before them (`als.run({parent: als.getStore()}, …)`), requests that keep the last one.
//!
//! They are seen from their old end. A new object that has an old one of its class under a name is where a list
//! has been added to; from there it is followed back to its first link. What was there of it in an earlier
//! snapshot are the links that this one knows.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use super::grows;
use super::held::{Held, MIN_LINKS, chain, is_object};
use crate::figures::Analysis;
use crate::ids::Ids;
use crate::snapshot::Snapshot;

/// Between the links of more lists, those of one class by one name are a tree.
const MAX_LISTS: usize = 64;

/// A list of the last snapshot.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Newest first.
    links: Vec<Node>,
    link: String,
}

/// How many links there are, and the bytes that they retain.
pub(super) type Figures = (u64, u64);

/// The class of links, and the number of the name by which they hang together.
type Kind = (u32, u32);

/// The lists that have new links before old ones, in the last snapshot.
pub(super) fn candidates(analysis: &Analysis, is_new: &[bool]) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let property = snapshot.edge_kind.property;
    let ignored = ["__proto__", "constructor", "_idlePrev", "_idleNext"]
        .map(|name| snapshot.strings.find(name));
    let new_links = || {
        let nodes = 0..snapshot.graph.nodes() as Node;
        let new = nodes.filter(|&node| is_new[node as usize] && is_object(snapshot, node));
        new.flat_map(|node| snapshot.graph.of(node).map(move |edge| (node, edge)))
            .filter(|&(node, edge)| {
                let to = snapshot.graph.to(edge);
                snapshot.kind_of_edge(edge) == property
                    && snapshot.names[to as usize] == snapshot.names[node as usize]
                    && !ignored.contains(&Some(snapshot.edge_names[edge as usize]))
            })
    };
    let kind = |node: Node, edge| -> Kind {
        (
            snapshot.names[node as usize],
            snapshot.edge_names[edge as usize],
        )
    };
    let mut ends: FxHashMap<Kind, Vec<Node>> = FxHashMap::default();
    // Who has a link under the name: none if several have.
    let mut before: FxHashMap<(u32, Node), Option<Node>> = FxHashMap::default();
    for (node, edge) in new_links() {
        let to = snapshot.graph.to(edge);
        if !is_new[to as usize] && is_object(snapshot, to) {
            ends.entry(kind(node, edge)).or_default().push(node);
        }
    }
    ends.retain(|_, ends| ends.len() <= MAX_LISTS);
    if ends.is_empty() {
        return Vec::new();
    }
    for (node, edge) in new_links() {
        if ends.contains_key(&kind(node, edge)) {
            let key = (snapshot.edge_names[edge as usize], snapshot.graph.to(edge));
            before
                .entry(key)
                .and_modify(|one| *one = None)
                .or_insert(Some(node));
        }
    }
    let mut found = Vec::new();
    for ((_, name), ends) in ends {
        for end in ends {
            let mut first = end;
            let mut added = 1u64;
            // A ring has no first link.
            while let Some(&Some(above)) = before.get(&(name, first))
                && added <= before.len() as u64
            {
                first = above;
                added += 1;
            }
            if added >= MIN_LINKS {
                let link = snapshot.strings.get(name).into_owned();
                let links = chain(snapshot, first, &link).collect();
                found.push(Candidate { links, link });
            }
        }
    }
    found
}

/// The figures of a list: what is held from elsewhere as well, in the middle, counts by itself.
fn sums(analysis: &Analysis, first: Node, link: &str) -> Figures {
    let links: FxHashSet<Node> = chain(&analysis.snapshot, first, link).collect();
    let parents = &analysis.dominators.parent;
    let outermost = links
        .iter()
        .filter(|&&node| !links.contains(&parents[node as usize]));
    let retained = outermost.map(|&node| analysis.retained[node as usize]);
    (links.len() as u64, retained.sum())
}

/// The figures of the candidates in another snapshot.
pub(super) fn measure(
    analysis: &Analysis,
    last: &Snapshot,
    all: &[Candidate],
) -> Vec<Option<Figures>> {
    let links = || all.iter().flat_map(|candidate| &candidate.links);
    if all.is_empty() {
        return Vec::new();
    }
    let wanted = Ids::of(links().map(|&node| last.ids[node as usize]));
    let known: FxHashMap<u32, Node> = wanted
        .nodes(&analysis.snapshot)
        .map(|(node, id)| (id, node))
        .collect();
    let figures = |candidate: &Candidate| {
        let mut ids = candidate.links.iter().map(|&node| last.ids[node as usize]);
        let &first = ids.find_map(|id| known.get(&id))?;
        // Those that have gone since count as well: a list that is cut at its end does not grow.
        Some(sums(analysis, first, &candidate.link))
    };
    all.iter().map(figures).collect()
}

/// Those that grow. `figures` are those of each snapshot but the last.
pub(super) fn grown(
    analysis: &Analysis,
    candidates: Vec<Candidate>,
    figures: &[&[Option<Figures>]],
) -> Vec<Held> {
    let mut found = Vec::new();
    for (at, candidate) in candidates.into_iter().enumerate() {
        let before: Option<Vec<Figures>> = figures.iter().map(|figures| figures[at]).collect();
        let Some(before) = before else { continue };
        let first = candidate.links[0];
        let last = sums(analysis, first, &candidate.link);
        let (counts, retained): (Vec<u64>, Vec<u64>) = before.into_iter().chain([last]).unzip();
        if grows(&counts) && retained.is_sorted() {
            found.push(Held::of_list(first, candidate.link, counts, retained));
        }
    }
    found
}
