//! Values that get longer: a variable or property whose string, Buffer or typed array is a longer one in
//! every snapshot. Nothing is counted more often then: the value is another each time, or the memory behind
//! it is made larger in place.

use graph::Node;
use rustc_hash::FxHashMap;

use super::words::Pattern;
use super::{Leak, View, holders};
use crate::figures::Analysis;
use crate::functions::Wanted;
use crate::ids::Ids;
use crate::snapshot::Snapshot;

/// Shorter ones are nothing to look at.
const MIN_BYTES: u64 = 4096;

/// A string or some memory under a name of an old object.
#[derive(Debug)]
pub(super) struct Candidate {
    holder: Node,
    id: u32,
    name: String,
    value: Node,
    /// What is behind a view; the string itself.
    data: Node,
    bytes: u64,
    is_text: bool,
}

fn is_text(snapshot: &Snapshot, node: Node) -> bool {
    let kind = snapshot.kinds[node as usize];
    let of = &snapshot.kind;
    kind == of.string || kind == of.concatenated
}

/// By ArrayBuffer, by view of one, and by WebAssembly's Memory: what is behind it, if that is as large as
/// some bytes.
fn memory(snapshot: &Snapshot, least: u64) -> FxHashMap<Node, Node> {
    let mut found = FxHashMap::default();
    let find = |name| snapshot.strings.find(name);
    let (Some(data), Some(store)) = (find("system / JSArrayBufferData"), find("backing_store"))
    else {
        return found;
    };
    let (buffer, wasm) = (find("buffer"), find("Memory"));
    let of = &snapshot.edge_kind;
    let nodes = || 0..snapshot.graph.nodes() as Node;
    for node in nodes().filter(|&node| snapshot.kinds[node as usize] == snapshot.kind.object) {
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if snapshot.edge_names[edge as usize] == store
                && snapshot.kind_of_edge(edge) == of.internal
                && snapshot.names[to as usize] == data
                && snapshot.sizes.get(to) >= least
            {
                found.insert(node, to);
            }
        }
    }
    if found.is_empty() {
        return found;
    }
    let mut behind = Vec::new();
    for node in nodes().filter(|&node| snapshot.kinds[node as usize] == snapshot.kind.object) {
        let is_wasm = wasm == Some(snapshot.names[node as usize]);
        for edge in snapshot.graph.of(node) {
            let kind = snapshot.kind_of_edge(edge);
            let is_view = buffer == Some(snapshot.edge_names[edge as usize]) && kind == of.internal;
            if (is_view || is_wasm && kind == of.hidden)
                && let Some(&data) = found.get(&snapshot.graph.to(edge))
            {
                behind.push((node, data));
            }
        }
    }
    found.extend(behind);
    found
}

/// The long strings and the memory that old objects have by name, in the last snapshot. Strings are new.
pub(super) fn candidates(analysis: &Analysis, is_new: &[bool]) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let of = &snapshot.edge_kind;
    let memory = memory(snapshot, MIN_BYTES);
    let mut found = Vec::new();
    for node in 0..snapshot.graph.nodes() as Node {
        let kind = snapshot.kinds[node as usize];
        if is_new[node as usize] || kind != snapshot.kind.object && kind != snapshot.kind.closure {
            continue;
        }
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let kind = snapshot.kind_of_edge(edge);
            if kind != of.property && kind != of.context {
                continue;
            }
            let is_text = is_text(snapshot, to);
            let (data, bytes) = match (is_text, memory.get(&to)) {
                (true, _) if is_new[to as usize] => (to, analysis.retained[to as usize]),
                (false, Some(&data)) => (data, snapshot.sizes.get(data)),
                _ => continue,
            };
            if bytes >= MIN_BYTES {
                found.push(Candidate {
                    holder: node,
                    id: snapshot.ids[node as usize],
                    name: snapshot.edge_name(edge).into_owned(),
                    value: to,
                    data,
                    bytes,
                    is_text,
                });
            }
        }
    }
    found
}

/// The bytes of the candidates' values in another snapshot.
pub(super) fn measure(analysis: &Analysis, candidates: &[Candidate]) -> Vec<Option<u64>> {
    let snapshot = &analysis.snapshot;
    let mut wanted: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (at, candidate) in candidates.iter().enumerate() {
        wanted.entry(candidate.id).or_default().push(at);
    }
    let mut found = vec![None; candidates.len()];
    if candidates.is_empty() {
        return found;
    }
    let memory = match candidates.iter().all(|candidate| candidate.is_text) {
        true => FxHashMap::default(),
        false => memory(snapshot, 0),
    };
    for (node, id) in Ids::of(wanted.keys().copied()).nodes(snapshot) {
        for &at in wanted.get(&id).into_iter().flatten() {
            let candidate = &candidates[at];
            let of = &snapshot.edge_kind;
            let value = [of.property, of.context]
                .iter()
                .find_map(|&kind| snapshot.follow(node, kind, &candidate.name));
            found[at] = match candidate.is_text {
                true => value
                    .filter(|&text| is_text(snapshot, text))
                    .map(|text| analysis.retained[text as usize]),
                false => value
                    .and_then(|value| memory.get(&value))
                    .map(|&data| snapshot.sizes.get(data)),
            };
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

/// Methods by which memory is made larger, or what is in it put into a larger one.
const EXTENDING: [&str; 6] = ["concat", "set", "copy", "grow", "resize", "transfer"];

/// The values that grow, with what they are made of. `figures` are those of each snapshot but the last.
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
        // Two snapshots cannot tell a value that grows from another value.
        if retained.len() < 3 || !grows(&retained) {
            continue;
        }
        let name = &candidate.name;
        let context = snapshot.name(candidate.holder) == "system / Context";
        let shown = match context {
            true => format!("variable {name}"),
            false => {
                // The class of an object without one says nothing.
                let class = snapshot.name(candidate.holder);
                let variable = (class == "Object")
                    .then(|| holders::variable(view, candidate.holder))
                    .flatten();
                match variable {
                    Some(variable) => format!("variable {variable}.{name}"),
                    None => format!("{class}.{name}"),
                }
            }
        };
        let (pattern, class) = match candidate.is_text {
            true => (Pattern::Text, "string".into()),
            false => (Pattern::Buffers, snapshot.name(candidate.value)),
        };
        let pieces = match candidate.is_text {
            true => pieces(snapshot, candidate.value),
            false => Vec::new(),
        };
        let place = view.functions.adder(Wanted {
            name: snapshot.strings.find(name),
            context: context.then_some(candidate.holder),
            script: snapshot
                .location(candidate.holder)
                .map(|location| location.script),
            added: u64::MAX,
            pieces: &pieces,
            by: match candidate.is_text {
                true => &[],
                false => &EXTENDING,
            },
            ..Wanted::default()
        });
        let (is, cure) = match candidate.is_text {
            true => pattern.sentences(),
            false => EXTENDED,
        };
        found.push((
            candidate.data,
            Leak {
                pattern,
                what: format!("{class} {shown} has grown to {} bytes", candidate.bytes),
                counts: vec![1; retained.len()],
                retained,
                id: snapshot.ids[candidate.value as usize],
                place: place.map(|place| view.place(place)),
                entries: None,
                also: Vec::new(),
                shared: None,
                perhaps: Vec::new(),
                program: None,
                allocated: None,
                way: view.ways.to(view.analysis, &view.scripts, candidate.value),
                is: is.to_owned(),
                cure: cure.to_owned(),
                doubt: None,
            },
        ));
    }
    found
}

/// What there is to say of memory that is made ever larger.
const EXTENDED: (&str, &str) = (
    "Memory is made larger again and again, or copied to a larger one, and never smaller.",
    "Cut off what has been dealt with (subarray() and a copy of the rest), or bound it.",
);
