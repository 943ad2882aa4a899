//! Objects by shape: V8 gives objects with the same properties in the same order one hidden class
//! (`map` in a snapshot). A class with many shapes is slow to work with, and its hidden classes are
//! memory themselves.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::classes::retained_of_groups;
use crate::figures::Analysis;
use crate::snapshot::Location;

/// Most properties of a shape that are listed; objects used as maps have millions.
pub const MAX_PROPERTIES: usize = 32;

/// Some objects of one hidden class.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The name of their constructor.
    pub class: String,
    /// Where that stands.
    pub location: Option<Location>,
    /// The id of the hidden class.
    pub hidden_class: u32,
    /// The properties that at least one of them has, in the order they were found: at most
    /// [`MAX_PROPERTIES`]. Small whole numbers are not in a snapshot, and their properties neither.
    pub properties: Vec<String>,
    /// How many more there are.
    pub more_properties: u64,
    /// The objects.
    pub count: u64,
    /// Their own bytes.
    pub own: u64,
    /// What they retain, each byte counted once.
    pub retained: u64,
    /// How many shapes the class has.
    pub of_class: u64,
    /// The id of one of them.
    pub example: u32,
}

#[derive(Default)]
struct Group {
    first: Node,
    hidden_class: Node,
    count: u64,
    own: u64,
    properties: Vec<u32>,
    seen: FxHashSet<u32>,
}

/// The shapes of all objects that have a hidden class, what retains most first.
pub fn shapes(analysis: &Analysis) -> Vec<Shape> {
    let snapshot = &analysis.snapshot;
    let (internal, property) = (snapshot.edge_kind.internal, snapshot.edge_kind.property);
    let map = snapshot.strings.find("map");
    let proto = snapshot.strings.find("__proto__");
    let mut numbers: FxHashMap<(u32, Node), u32> = FxHashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut of = vec![u32::MAX; snapshot.graph.nodes()];
    for node in 0..snapshot.graph.nodes() as Node {
        if snapshot.kinds[node as usize] != snapshot.kind.object {
            continue;
        }
        let hidden_class = snapshot.graph.of(node).find(|&edge| {
            snapshot.kind_of_edge(edge) == internal
                && Some(snapshot.edge_names[edge as usize]) == map
        });
        let Some(hidden_class) = hidden_class.map(|edge| snapshot.graph.to(edge)) else {
            continue;
        };
        let key = (snapshot.names[node as usize], hidden_class);
        let number = *numbers.entry(key).or_insert_with(|| {
            groups.push(Group {
                first: node,
                hidden_class,
                ..Group::default()
            });
            groups.len() as u32 - 1
        });
        of[node as usize] = number;
        let group = &mut groups[number as usize];
        group.count += 1;
        group.own += snapshot.sizes.get(node);
        for edge in snapshot.graph.of(node) {
            let name = snapshot.edge_names[edge as usize];
            if snapshot.kind_of_edge(edge) == property
                && Some(name) != proto
                && group.seen.insert(name)
                && group.properties.len() < MAX_PROPERTIES
            {
                group.properties.push(name);
            }
        }
    }
    let retained = retained_of_groups(analysis, &of, groups.len());
    let mut of_class: FxHashMap<u32, u64> = FxHashMap::default();
    for &(name, _) in numbers.keys() {
        *of_class.entry(name).or_default() += 1;
    }
    let mut shapes: Vec<Shape> = groups
        .into_iter()
        .zip(retained)
        .map(|(group, retained)| Shape {
            class: snapshot.name(group.first).into_owned(),
            location: snapshot.location(group.first),
            hidden_class: snapshot.ids[group.hidden_class as usize],
            more_properties: (group.seen.len() - group.properties.len()) as u64,
            properties: group
                .properties
                .iter()
                .map(|&name| snapshot.strings.get(name).into_owned())
                .collect(),
            count: group.count,
            own: group.own,
            retained,
            of_class: of_class[&snapshot.names[group.first as usize]],
            example: snapshot.ids[group.first as usize],
        })
        .collect();
    shapes.sort_by_key(|shape| (std::cmp::Reverse(shape.retained), shape.hidden_class));
    shapes
}
