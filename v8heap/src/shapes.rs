//! Names for plain objects: `{id, name, …}`, by the properties that enough of them share.
//!
//! DevTools' rules: the properties of an object in their order are a candidate; candidates that
//! enough objects have become definitions; an object belongs to the definition with the most
//! properties that are all among its own.

use graph::Node;
use rustc_hash::FxHashMap;

use crate::snapshot::Snapshot;

/// Longest name, in UTF-16 units; the first property may go beyond.
const MAX_NAME: usize = 120;
/// A definition has at least one object in so many.
const PROPORTION: f64 = 1000.0;

/// The name and the properties of some plain objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// `{id, name}`
    pub name: String,
    properties: Vec<String>,
}

/// The plain objects of a snapshot, by their properties.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// The plain objects, and the group of each.
    pub(crate) objects: Vec<(Node, u32)>,
    /// The names of the properties of each group, in their order.
    groups: Vec<Box<[u32]>>,
}

impl Shapes {
    pub(crate) fn new(snapshot: &Snapshot) -> Shapes {
        let mut shapes = Shapes {
            objects: Vec::new(),
            groups: Vec::new(),
        };
        let plain = snapshot.strings.find("Object");
        let proto = snapshot.strings.find("__proto__");
        let property = snapshot.edge_kind.property;
        let mut numbers: FxHashMap<Box<[u32]>, u32> = FxHashMap::default();
        let mut names = Vec::new();
        for node in 0..snapshot.graph.nodes() as Node {
            if snapshot.kinds[node as usize] != snapshot.kind.object
                || Some(snapshot.names[node as usize]) != plain
            {
                continue;
            }
            names.clear();
            names.extend(
                snapshot
                    .graph
                    .of(node)
                    .filter(|&edge| snapshot.kind_of_edge(edge) == property)
                    .map(|edge| snapshot.edge_names[edge as usize])
                    .filter(|&name| Some(name) != proto),
            );
            let group = match numbers.get(&names[..]) {
                Some(&group) => group,
                None => {
                    let group = shapes.groups.len() as u32;
                    shapes.groups.push(names.clone().into());
                    numbers.insert(names.clone().into(), group);
                    group
                }
            };
            shapes.objects.push((node, group));
        }
        shapes
    }

    /// The definitions that follow from these objects, the most frequent first.
    pub(crate) fn definitions(&self, snapshot: &Snapshot) -> Vec<Definition> {
        let mut counts = vec![0u64; self.groups.len()];
        for &(_, group) in &self.objects {
            counts[group as usize] += 1;
        }
        // Groups that differ only behind the longest name are one candidate.
        let mut numbers: FxHashMap<&[u32], usize> = FxHashMap::default();
        let mut candidates: Vec<(&[u32], u64)> = Vec::new();
        let mut lengths: FxHashMap<u32, usize> = FxHashMap::default();
        for (group, &count) in self.groups.iter().zip(&counts) {
            let mut length = 1;
            let mut used = 0;
            for &name in group {
                let own = *lengths.entry(name).or_insert_with(|| {
                    formatted(&snapshot.strings.get(name))
                        .encode_utf16()
                        .count()
                });
                if length > 1 && length + own > MAX_NAME {
                    break;
                }
                length += own + if length > 1 { 2 } else { 0 };
                used += 1;
            }
            if used == 0 {
                continue;
            }
            let properties = &group[..used];
            let number = *numbers.entry(properties).or_insert_with(|| {
                candidates.push((properties, 0));
                candidates.len() - 1
            });
            candidates[number].1 += count;
        }
        candidates.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let enough = (self.objects.len() as f64 / PROPORTION).max(2.0);
        candidates
            .into_iter()
            .take_while(|&(_, count)| count as f64 >= enough)
            .map(|(properties, _)| {
                let properties: Vec<String> = properties
                    .iter()
                    .map(|&name| snapshot.strings.get(name).into_owned())
                    .collect();
                let texts: Vec<String> = properties.iter().map(|name| formatted(name)).collect();
                Definition {
                    name: format!("{{{}}}", texts.join(", ")),
                    properties,
                }
            })
            .collect()
    }

    /// The definition of each group.
    pub(crate) fn matched(
        &self,
        snapshot: &Snapshot,
        definitions: &[Definition],
    ) -> Vec<Option<u32>> {
        // Any total order of names does, as long as it is the same for both sides.
        let mut used: FxHashMap<String, u32> = FxHashMap::default();
        let mut seen: FxHashMap<u32, ()> = FxHashMap::default();
        for &name in self.groups.iter().flatten() {
            if seen.insert(name, ()).is_none() {
                used.insert(snapshot.strings.get(name).into_owned(), name);
            }
        }
        let mut tree = vec![Step::default()];
        for (number, definition) in definitions.iter().enumerate() {
            let names: Option<Vec<u32>> = definition
                .properties
                .iter()
                .map(|name| used.get(name).copied())
                .collect();
            // A property that no object has.
            let Some(mut names) = names else { continue };
            names.sort_unstable();
            let mut at = 0;
            for name in &names {
                at = match tree[at].next.get(name) {
                    Some(&next) => next,
                    None => {
                        let new = tree.len();
                        tree[at].next.insert(*name, new);
                        tree[at].greatest = tree[at].greatest.max(Some(*name));
                        tree.push(Step::default());
                        new
                    }
                };
            }
            tree[at].ends.get_or_insert((names.len(), number as u32));
        }
        self.groups.iter().map(|group| best(&tree, group)).collect()
    }
}

/// A set of properties that begins some definition's.
#[derive(Debug, Default)]
struct Step {
    next: FxHashMap<u32, usize>,
    greatest: Option<u32>,
    /// The definition that has no more: how many properties, and its number.
    ends: Option<(usize, u32)>,
}

fn best(tree: &[Step], group: &[u32]) -> Option<u32> {
    let mut names = group.to_vec();
    names.sort_unstable();
    let mut states = vec![0];
    let mut best: Option<(usize, u32)> = None;
    for name in names {
        let known = states.len();
        for at in 0..known {
            if let Some(&next) = tree[states[at]].next.get(&name) {
                if !states.contains(&next) {
                    states.push(next);
                }
                if let Some((count, number)) = tree[next].ends
                    && best.is_none_or(|(other, earlier)| {
                        count > other || count == other && number < earlier
                    })
                {
                    best = Some((count, number));
                }
            }
        }
        states.retain(|&state| tree[state].greatest >= Some(name));
    }
    best.map(|(_, number)| number)
}

/// The name of a property as it is shown.
pub(crate) fn formatted(name: &str) -> String {
    if name.contains([',', '\'', '"', '{', '}']) {
        serde_json::to_string(name).unwrap_or_default()
    } else {
        name.to_owned()
    }
}
