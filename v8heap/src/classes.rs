//! Classes: what DevTools calls the constructor of an object, and its summary and comparison.

use graph::Node;
use rustc_hash::FxHashMap;

use crate::figures::Analysis;
use crate::shapes::{Definition, Shapes};
use crate::snapshot::Location;

/// One class: a name, and for objects the place of the constructor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// `Map`, `(string)`, `{id, name}`, …
    pub name: String,
    /// Where the constructor stands; only objects that have one.
    pub location: Option<Location>,
}

impl Class {
    /// What DevTools identifies it by, the same in all snapshots of a process.
    pub fn key(&self) -> String {
        let Class { name, location } = self;
        match location {
            Some(Location {
                script,
                line,
                column,
            }) => format!("{script},{line},{column},{name}"),
            None => format!(",{name}"),
        }
    }
}

/// The classes of all nodes.
#[derive(Debug)]
pub struct Classes {
    /// Each class once.
    pub all: Vec<Class>,
    /// The class of each node.
    pub of: Vec<u32>,
    /// The definitions used for plain objects.
    pub definitions: Vec<Definition>,
}

/// The sums of a class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Nodes with a size.
    pub count: u64,
    /// The least distance of these.
    pub distance: i32,
    /// Bytes of the nodes themselves.
    pub own: u64,
    /// Bytes that would go with them, each counted once.
    pub retained: u64,
}

/// What came and went of a class between two snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Nodes that only the later one has.
    pub added: u64,
    /// Nodes that only the earlier one has.
    pub removed: u64,
    /// Bytes of the added.
    pub added_bytes: u64,
    /// Bytes of the removed.
    pub removed_bytes: u64,
}

impl Classes {
    /// The classes of a snapshot, with shapes of its own or those of another one.
    pub fn new(analysis: &Analysis, definitions: Option<&[Definition]>) -> Classes {
        let snapshot = &analysis.snapshot;
        let shapes = Shapes::new(snapshot);
        let definitions = match definitions {
            Some(definitions) => definitions.to_vec(),
            None => shapes.definitions(snapshot),
        };
        let matched = shapes.matched(snapshot, &definitions);
        let mut builder = Builder::default();
        let kind = &snapshot.kind;
        // By type for most; by name (a string's number) for objects and natives.
        let by_kind: Vec<u32> = (0..snapshot.node_types.len() as u8)
            .map(|number| {
                let name = match number {
                    _ if number == kind.hidden => "(system)".to_owned(),
                    _ if number == kind.code => "(compiled code)".to_owned(),
                    _ if number == kind.closure => "Function".to_owned(),
                    _ if number == kind.regexp => "RegExp".to_owned(),
                    _ => format!("({})", snapshot.node_types[usize::from(number)]),
                };
                builder.class(name, None)
            })
            .collect();
        let mut by_name: FxHashMap<u32, u32> = FxHashMap::default();
        let mut by_place: FxHashMap<(u32, Location), u32> = FxHashMap::default();
        let mut locations = snapshot.locations.iter().peekable();
        let mut of = Vec::with_capacity(snapshot.graph.nodes());
        let mut objects = shapes.objects.iter().peekable();
        let of_shape: Vec<u32> = definitions
            .iter()
            .map(|definition| builder.class(definition.name.clone(), None))
            .collect();
        for node in 0..snapshot.graph.nodes() as Node {
            let number = snapshot.kinds[node as usize];
            let location = locations.next_if(|&&(other, _)| other == node);
            let shape = objects
                .next_if(|&&(other, _)| other == node)
                .and_then(|&(_, group)| matched[group as usize]);
            if number != kind.object && number != kind.native {
                of.push(by_kind[usize::from(number)]);
                continue;
            }
            let name = snapshot.names[node as usize];
            let class = match shape {
                Some(shape) => of_shape[shape as usize],
                None => *by_name
                    .entry(name)
                    .or_insert_with(|| builder.class(shown(&snapshot.strings.get(name)), None)),
            };
            let class = match location {
                Some(&(_, location)) if number == kind.object => {
                    *by_place.entry((class, location)).or_insert_with(|| {
                        let name = builder.all[class as usize].name.clone();
                        builder.class(name, Some(location))
                    })
                }
                _ => class,
            };
            of.push(class);
        }
        Classes {
            all: builder.all,
            of,
            definitions,
        }
    }

    /// The summary: the sums of each class, in the order of the classes.
    pub fn sums(&self, analysis: &Analysis) -> Vec<Sums> {
        let mut sums = vec![Sums::default(); self.all.len()];
        let sizes = &analysis.snapshot.sizes;
        for (node, &class) in self.of.iter().enumerate() {
            let size = sizes.get(node as Node);
            if size == 0 {
                continue;
            }
            let sum = &mut sums[class as usize];
            let distance = analysis.distances[node];
            sum.distance = if sum.count == 0 {
                distance
            } else {
                sum.distance.min(distance)
            };
            sum.count += 1;
            sum.own += size;
        }
        let retained = retained_of_groups(analysis, &self.of, self.all.len());
        for (sum, retained) in sums.iter_mut().zip(retained) {
            sum.retained = retained;
        }
        sums
    }

    /// The nodes of each class that have a size: (id, bytes), ascending.
    fn members(&self, analysis: &Analysis) -> Vec<Vec<(u32, u64)>> {
        let mut members = vec![Vec::new(); self.all.len()];
        for (node, &class) in self.of.iter().enumerate() {
            let size = analysis.snapshot.sizes.get(node as Node);
            if size != 0 {
                members[class as usize].push((analysis.snapshot.ids[node], size));
            }
        }
        for nodes in &mut members {
            nodes.sort_unstable();
        }
        members
    }
}

/// What the nodes of each group retain, without those that another node of the group dominates. `of`
/// is the group of each node; numbers of `groups` and more are none. Nodes without a size keep nothing
/// of their own.
pub(crate) fn retained_of_groups(analysis: &Analysis, of: &[u32], groups: usize) -> Vec<u64> {
    let children = Children::new(analysis);
    let mut sums = vec![0u64; groups];
    let mut open = vec![false; groups];
    // A node to visit, or (with the bit) one whose group ends here.
    const END: u32 = 1 << 31;
    let mut stack = vec![analysis.snapshot.root];
    while let Some(node) = stack.pop() {
        if node & END != 0 {
            open[of[(node & !END) as usize] as usize] = false;
            continue;
        }
        let group = of[node as usize] as usize;
        let below = children.of(node);
        if group < groups && !open[group] && analysis.snapshot.sizes.get(node) != 0 {
            sums[group] += analysis.retained[node as usize];
            if !below.is_empty() {
                open[group] = true;
                stack.push(node | END);
            }
        }
        stack.extend_from_slice(below);
    }
    sums
}

/// The comparison: what changed from one snapshot to a later one of the same process, by class.
/// Classes without a change are left out. `later_classes` are those of `later` with its own shapes.
pub fn compare(
    earlier: &Analysis,
    later: &Analysis,
    later_classes: &Classes,
) -> Vec<(Class, Change)> {
    let earlier_classes = Classes::new(earlier, Some(&later_classes.definitions));
    let before = earlier_classes.members(earlier);
    let after = later_classes.members(later);
    let mut numbers: FxHashMap<&Class, usize> = FxHashMap::default();
    for (number, class) in later_classes.all.iter().enumerate() {
        numbers.insert(class, number);
    }
    let mut changes = Vec::new();
    let mut seen = vec![false; after.len()];
    for (class, nodes) in earlier_classes.all.iter().zip(&before) {
        let other = numbers.get(class).copied();
        if let Some(number) = other {
            seen[number] = true;
        }
        let other = other.map_or(&[][..], |number| &after[number]);
        changes.push((class.clone(), change(nodes, other)));
    }
    for (number, class) in later_classes.all.iter().enumerate() {
        if !seen[number] {
            changes.push((class.clone(), change(&[], &after[number])));
        }
    }
    changes.retain(|(_, change)| *change != Change::default());
    changes
}

fn change(before: &[(u32, u64)], after: &[(u32, u64)]) -> Change {
    let mut change = Change::default();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return change,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        if order.is_le()
            && let Some(&(_, size)) = before.next()
            && order.is_lt()
        {
            change.removed += 1;
            change.removed_bytes += size;
        }
        if order.is_ge()
            && let Some(&(_, size)) = after.next()
            && order.is_gt()
        {
            change.added += 1;
            change.added_bytes += size;
        }
    }
}

/// `<div id="a">` is of class `<div>`.
fn shown(name: &str) -> String {
    let tag = name.strip_prefix("Detached ").unwrap_or(name);
    match tag.find(' ') {
        Some(space) if tag.starts_with('<') => {
            format!("{}>", &name[..name.len() - tag.len() + space])
        }
        _ => name.to_owned(),
    }
}

#[derive(Default)]
struct Builder {
    all: Vec<Class>,
    numbers: FxHashMap<Class, u32>,
}

impl Builder {
    fn class(&mut self, name: String, location: Option<Location>) -> u32 {
        let class = Class { name, location };
        let new = self.all.len() as u32;
        let number = *self.numbers.entry(class.clone()).or_insert(new);
        if number == new {
            self.all.push(class);
        }
        number
    }
}

/// What each node dominates immediately.
#[derive(Debug)]
pub struct Children {
    first: Vec<u32>,
    nodes: Vec<Node>,
}

impl Children {
    /// The dominator tree downwards.
    pub fn new(analysis: &Analysis) -> Children {
        let tree = &analysis.dominators;
        let mut first = vec![0u32; tree.parent.len() + 1];
        for &node in tree.downwards() {
            first[tree.parent[node as usize] as usize] += 1;
        }
        let mut end = 0;
        for count in &mut first {
            end += *count;
            *count = end;
        }
        let mut nodes = vec![0; tree.downwards().len()];
        for &node in tree.downwards().iter().rev() {
            let slot = &mut first[tree.parent[node as usize] as usize];
            *slot -= 1;
            nodes[*slot as usize] = node;
        }
        Children { first, nodes }
    }

    /// Those of a node.
    pub fn of(&self, node: Node) -> &[Node] {
        let row = self.first[node as usize] as usize..self.first[node as usize + 1] as usize;
        &self.nodes[row]
    }
}
