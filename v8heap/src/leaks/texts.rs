//! Strings that are appended to: a variable or property whose string is a longer one in every snapshot.

use graph::Node;
use rustc_hash::FxHashMap;

use super::words::Pattern;
use super::{Leak, View};
use crate::figures::Analysis;
use crate::functions::Wanted;
use crate::snapshot::Snapshot;

/// Shorter ones are nothing to look at.
const MIN_BYTES: u64 = 4096;

/// A string under a name of an old object.
#[derive(Debug)]
pub(super) struct Candidate {
    holder: Node,
    id: u32,
    name: String,
    text: Node,
    bytes: u64,
}

fn is_text(snapshot: &Snapshot, node: Node) -> bool {
    let kind = snapshot.kinds[node as usize];
    let of = &snapshot.kind;
    kind == of.string || kind == of.concatenated
}

/// The long new strings that old objects have, in the last snapshot.
pub(super) fn candidates(analysis: &Analysis, is_new: &[bool]) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let of = &snapshot.edge_kind;
    let mut found = Vec::new();
    for node in 0..snapshot.graph.nodes() as Node {
        let kind = snapshot.kinds[node as usize];
        if is_new[node as usize] || kind != snapshot.kind.object && kind != snapshot.kind.closure {
            continue;
        }
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let kind = snapshot.kind_of_edge(edge);
            let bytes = analysis.retained[to as usize];
            if is_text(snapshot, to)
                && is_new[to as usize]
                && bytes >= MIN_BYTES
                && (kind == of.property || kind == of.context)
            {
                found.push(Candidate {
                    holder: node,
                    id: snapshot.ids[node as usize],
                    name: snapshot.edge_name(edge).into_owned(),
                    text: to,
                    bytes,
                });
            }
        }
    }
    found
}

/// The bytes of the candidates' strings in another snapshot.
pub(super) fn measure(analysis: &Analysis, candidates: &[Candidate]) -> Vec<Option<u64>> {
    let snapshot = &analysis.snapshot;
    let mut wanted: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (at, candidate) in candidates.iter().enumerate() {
        wanted.entry(candidate.id).or_default().push(at);
    }
    let mut found = vec![None; candidates.len()];
    for (node, id) in (0..).zip(&snapshot.ids) {
        for &at in wanted.get(id).into_iter().flatten() {
            let of = &snapshot.edge_kind;
            let text = [of.property, of.context]
                .iter()
                .find_map(|&kind| snapshot.follow(node, kind, &candidates[at].name))
                .filter(|&text| is_text(snapshot, text));
            found[at] = text.map(|text| analysis.retained[text as usize]);
        }
    }
    found
}

/// Whether bytes grow in even steps: a text that is replaced by others does so by chance only.
fn grows(bytes: &[u64]) -> bool {
    let steps: Vec<u64> = bytes
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    let (Some(&least), Some(&most)) = (steps.iter().min(), steps.iter().max()) else {
        return false;
    };
    let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
    least >= 256 && most <= least * 4 && (last - first) * 10 >= first
}

/// As many parts of a string are looked at.
const MAX_PIECES: usize = 64;

/// The texts of the parts that were added last.
fn pieces(snapshot: &Snapshot, text: Node) -> Vec<u32> {
    let mut list = vec![text];
    let mut next = 0;
    while next < list.len() && list.len() < MAX_PIECES {
        for name in ["second", "first"] {
            list.extend(snapshot.follow(list[next], snapshot.edge_kind.internal, name));
        }
        next += 1;
    }
    list.retain(|&node| snapshot.kinds[node as usize] == snapshot.kind.string);
    list.iter()
        .map(|&node| snapshot.names[node as usize])
        .collect()
}

/// The strings that grow, with what they are made of. `figures` are those of each snapshot but the last.
pub(super) fn leaks(
    view: &View,
    candidates: &[Candidate],
    figures: &[&[Option<u64>]],
) -> Vec<(Node, Leak)> {
    let snapshot = &view.analysis.snapshot;
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let before: Option<Vec<u64>> = figures.iter().map(|figures| figures[at]).collect();
        let Some(mut retained) = before else { continue };
        retained.push(candidate.bytes);
        // Two snapshots cannot tell a text that grows from another text.
        if retained.len() < 3 || !grows(&retained) {
            continue;
        }
        let name = &candidate.name;
        let context = snapshot.name(candidate.holder) == "system / Context";
        let shown = match context {
            true => format!("variable {name}"),
            false => format!("{}.{name}", snapshot.name(candidate.holder)),
        };
        let place = view.functions.adder(Wanted {
            name: snapshot.strings.find(name),
            context: context.then_some(candidate.holder),
            script: snapshot
                .location(candidate.holder)
                .map(|location| location.script),
            added: u64::MAX,
            pieces: &pieces(snapshot, candidate.text),
            by: &[],
        });
        let (is, cure) = Pattern::Text.sentences();
        found.push((
            candidate.text,
            Leak {
                pattern: Pattern::Text,
                what: format!("string {shown} has grown to {} bytes", candidate.bytes),
                counts: vec![1; retained.len()],
                retained,
                id: snapshot.ids[candidate.text as usize],
                place: place.map(|place| view.place(place)),
                entries: None,
                also: Vec::new(),
                program: None,
                way: view.ways.to(view.analysis, &view.scripts, candidate.text),
                is: is.to_owned(),
                cure: cure.to_owned(),
            },
        ));
    }
    found
}
