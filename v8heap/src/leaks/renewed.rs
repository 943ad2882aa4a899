//! Containers that are made anew with every change: `list = list.concat(x)`, `state = {...state, items: [...state.items,
//! x]}`. None of them is there in two snapshots, so ids do not tell that they grow; the place where the program has
//! them does: the same names, from an object that stays, lead to one with more entries in each snapshot, and most
//! of its entries are those it had.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use super::containers::MIN_ENTRIES;
use super::entries::{count, entries};
use super::families::Family;
use super::{View, grows};
use crate::figures::Analysis;
use crate::ids::Ids;
use crate::snapshot::Snapshot;

/// Names from the object that stays to the container, at most.
const MAX_NAMES: usize = 4;
/// More new values under names, and an object is itself a container.
const MAX_VALUES: usize = 64;

/// A new container of the last snapshot, and how it is reached from an old object.
#[derive(Debug)]
pub(super) struct Candidate {
    node: Node,
    /// The old object's id.
    holder: u32,
    names: Vec<String>,
}

/// How many entries there are at the end of the names, and the bytes retained.
pub(super) type Figures = (u64, u64);

/// The new containers that old objects lead to by names, in the last snapshot.
pub(super) fn candidates(analysis: &Analysis, is_new: &[bool]) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let mut seen = FxHashSet::default();
    let mut found = Vec::new();
    for holder in 0..snapshot.graph.nodes() as Node {
        let kind = snapshot.kinds[holder as usize];
        if is_new[holder as usize] || kind != snapshot.kind.object && kind != snapshot.kind.closure
        {
            continue;
        }
        let mut list: Vec<(Node, Vec<String>)> = Vec::new();
        let mut from = (holder, Vec::new());
        loop {
            list.extend(renewed(snapshot, &from, is_new, &mut seen));
            let Some(next) = list.pop() else { break };
            let (node, names) = &next;
            if count(snapshot, *node) >= MIN_ENTRIES {
                found.push(Candidate {
                    node: *node,
                    holder: snapshot.ids[holder as usize],
                    names: names.clone(),
                });
            }
            from = next;
        }
    }
    found
}

/// The new objects that an object has under names.
fn renewed(
    snapshot: &Snapshot,
    (from, names): &(Node, Vec<String>),
    is_new: &[bool],
    seen: &mut FxHashSet<Node>,
) -> Vec<(Node, Vec<String>)> {
    let of = &snapshot.edge_kind;
    if names.len() == MAX_NAMES {
        return Vec::new();
    }
    let mut found = Vec::new();
    for edge in snapshot.graph.of(*from) {
        let to = snapshot.graph.to(edge);
        let kind = snapshot.kind_of_edge(edge);
        if (kind != of.property && kind != of.context)
            || !is_new[to as usize]
            || snapshot.kinds[to as usize] != snapshot.kind.object
        {
            continue;
        }
        found.push((to, edge));
        if found.len() > MAX_VALUES {
            return Vec::new();
        }
    }
    let named = |(to, edge)| {
        let name = snapshot.edge_name(edge).into_owned();
        (to, names.iter().cloned().chain([name]).collect::<Vec<_>>())
    };
    found.retain(|&(to, _)| seen.insert(to));
    found
        .into_iter()
        .map(named)
        .filter(|(_, names)| names.last().is_some_and(|name| name != "__proto__"))
        .collect()
}

/// The figures of the candidates in another snapshot.
pub(super) fn measure(analysis: &Analysis, candidates: &[Candidate]) -> Vec<Option<Figures>> {
    let snapshot = &analysis.snapshot;
    let mut wanted: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (at, candidate) in candidates.iter().enumerate() {
        wanted.entry(candidate.holder).or_default().push(at);
    }
    let mut found = vec![None; candidates.len()];
    if candidates.is_empty() {
        return found;
    }
    let of = [snapshot.edge_kind.property, snapshot.edge_kind.context];
    for (holder, id) in Ids::of(wanted.keys().copied()).nodes(snapshot) {
        for &at in wanted.get(&id).into_iter().flatten() {
            let mut names = candidates[at].names.iter();
            let node = names.try_fold(holder, |node, name| {
                of.iter()
                    .find_map(|&kind| snapshot.follow(node, kind, name))
            });
            found[at] = node.map(|node| (count(snapshot, node), analysis.retained[node as usize]));
        }
    }
    found
}

/// Those that grow. `figures` are those of each snapshot but the last.
pub(super) fn families(
    view: &View,
    candidates: &[Candidate],
    figures: &[&[Option<Figures>]],
) -> Vec<Family> {
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let before: Option<Vec<Figures>> = figures.iter().map(|figures| figures[at]).collect();
        let Some(before) = before else { continue };
        let node = candidate.node;
        let last = (
            count(&view.analysis.snapshot, node),
            view.analysis.retained[node as usize],
        );
        let (counts, retained): (Vec<u64>, Vec<u64>) = before.into_iter().chain([last]).unzip();
        if grows(&counts) && retained.is_sorted() && kept(view, node) * 2 >= counts[0] {
            found.push(Family {
                nodes: vec![node],
                counts,
                retained,
                numbers: false,
                renewed: true,
            });
        }
    }
    found
}

/// How many of a container's entries were there in the first snapshot: values, or keys of an object.
fn kept(view: &View, node: Node) -> u64 {
    let snapshot = &view.analysis.snapshot;
    let is_old = |&edge: &u32| !view.is_new(snapshot.graph.to(edge));
    let values = entries(snapshot, node).filter(is_old).count();
    let table = snapshot.follow(node, snapshot.edge_kind.internal, "properties");
    let keys = table.map_or(0, |table| {
        let is_text =
            |&edge: &u32| snapshot.kinds[snapshot.graph.to(edge) as usize] == snapshot.kind.string;
        let edges = snapshot.graph.of(table).filter(is_text);
        edges.filter(is_old).count()
    });
    values.max(keys) as u64
}
