//! Growth below one old object, whatever its form: linked lists, which no container counts, and what is left
//! when nothing else explains the growth.
//!
//! New nodes are charged to the nearest dominator that was there in the first snapshot.

use graph::{Edge, Node};
use rustc_hash::FxHashMap;

use super::reach;
use super::words::{Count, Pattern};
use super::{Leak, View, grows};
use crate::figures::Analysis;
use crate::functions::Wanted;
use crate::ids::Ids;
use crate::snapshot::Snapshot;

/// Fewer new objects below an old one are nothing to look at.
const MIN_BELOW: u32 = 20;
/// Fewer objects in a row are no list.
pub(super) const MIN_LINKS: u64 = 13;
/// As many properties of an object are tried as the beginning of a list.
const MAX_TRIED: usize = 64;

/// A list: how it is reached from its holder, and what its links are called.
#[derive(Debug, Clone)]
struct List {
    /// The property or variable that has the first one; `None` if the holder is the first one.
    first: Option<String>,
    link: String,
}

/// An old object with many new ones below.
#[derive(Debug)]
pub(super) struct Candidate {
    node: Node,
    pub(super) id: u32,
    list: Option<List>,
}

/// What is counted of a candidate in a snapshot: links of the list, objects below, retained bytes.
pub(super) type Figures = (u64, u64, u64);

/// One that grows.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) node: Node,
    list: Option<List>,
    pub(super) counts: Vec<u64>,
    pub(super) retained: Vec<u64>,
}

/// Whether a node is one that a program makes.
pub(super) fn is_object(snapshot: &Snapshot, node: Node) -> bool {
    let kind = snapshot.kinds[node as usize];
    let of = &snapshot.kind;
    (kind == of.object || kind == of.closure)
        && !snapshot
            .strings
            .raw(snapshot.names[node as usize])
            .starts_with(b"system /")
}

/// By node: the nearest dominator that is old, or itself.
fn owners(analysis: &Analysis, is_new: &[bool]) -> Vec<Node> {
    let dominators = &analysis.dominators;
    let mut owners: Vec<Node> = (0..analysis.snapshot.graph.nodes() as Node).collect();
    for &node in dominators.downwards() {
        if is_new[node as usize] {
            owners[node as usize] = owners[dominators.parent[node as usize] as usize];
        }
    }
    owners
}

/// The old objects with many new ones below, in the last snapshot.
pub(super) fn candidates(analysis: &Analysis, is_new: &[bool]) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let mut below = vec![0u32; snapshot.graph.nodes()];
    for (node, &owner) in (0..).zip(&owners(analysis, is_new)) {
        below[owner as usize] += u32::from(owner != node && is_object(snapshot, node));
    }
    // A tree grows at its branches; what is to be told is its top.
    let parents = &analysis.dominators.parent;
    for &node in analysis.dominators.downwards().iter().rev() {
        let above = parents[node as usize];
        if below[node as usize] > 0
            && above != node
            && snapshot.names[above as usize] == snapshot.names[node as usize]
            && is_object(snapshot, above)
            && is_object(snapshot, node)
        {
            below[above as usize] += std::mem::take(&mut below[node as usize]);
        }
    }
    let mut found: FxHashMap<Node, Candidate> = FxHashMap::default();
    for (node, &below) in (0..).zip(&below) {
        if below < MIN_BELOW {
            continue;
        }
        let Some(node) = visible(analysis, node) else {
            continue;
        };
        let (node, list) = list_at(analysis, node);
        found.entry(node).or_insert(Candidate {
            node,
            id: snapshot.ids[node as usize],
            list,
        });
    }
    found.into_values().collect()
}

/// The object that a dominator of V8's own belongs to.
fn visible(analysis: &Analysis, node: Node) -> Option<Node> {
    let snapshot = &analysis.snapshot;
    let of = &snapshot.kind;
    let shown = |node: Node| {
        let kind = snapshot.kinds[node as usize];
        let context = snapshot.name(node) == "system / Context";
        is_object(snapshot, node) || context && kind == of.object
    };
    let parents = &analysis.dominators.parent;
    let mut node = node;
    for _ in 0..4 {
        if shown(node) {
            return Some(node);
        }
        let kind = snapshot.kinds[node as usize];
        if node == snapshot.root || kind == of.synthetic || kind == of.native {
            return None;
        }
        node = parents[node as usize];
    }
    None
}

/// The list that a node is in or has, and its holder: the first link, where that is old, else what has it.
fn list_at(analysis: &Analysis, node: Node) -> (Node, Option<List>) {
    let snapshot = &analysis.snapshot;
    let edges = |node: Node| {
        snapshot.graph.of(node).filter(move |&edge| {
            let kind = snapshot.kind_of_edge(edge);
            (kind == snapshot.edge_kind.property || kind == snapshot.edge_kind.context)
                && is_object(snapshot, snapshot.graph.to(edge))
        })
    };
    let begins = |start: Node| {
        edges(start)
            .take(MAX_TRIED)
            .filter(|&edge| {
                snapshot.names[snapshot.graph.to(edge) as usize] == snapshot.names[start as usize]
            })
            .map(|edge| snapshot.edge_name(edge).into_owned())
            .filter(|link| {
                !link.starts_with("_idle") && link != "__proto__" && link != "constructor"
            })
            .map(|link| (links(snapshot, start, &link), link))
            .max()
            .filter(|&(count, _)| count >= MIN_LINKS)
    };
    if is_object(snapshot, node)
        && let Some((_, link)) = begins(node)
    {
        // From an old link up to the first.
        let mut first = node;
        let parents = &analysis.dominators.parent;
        loop {
            let above = parents[first as usize];
            let linked = is_object(snapshot, above)
                && snapshot.names[above as usize] == snapshot.names[first as usize]
                && snapshot.follow(above, snapshot.edge_kind.property, &link) == Some(first);
            if !linked || above == first {
                break;
            }
            first = above;
        }
        return (first, Some(List { first: None, link }));
    }
    let best = edges(node)
        .take(MAX_TRIED)
        .filter_map(|edge| {
            let (count, link) = begins(snapshot.graph.to(edge))?;
            Some((count, snapshot.edge_name(edge).into_owned(), link))
        })
        .max();
    let list = best.map(|(_, first, link)| List {
        first: Some(first),
        link,
    });
    (node, list)
}

/// How many objects there are in a row, by one name.
fn links(snapshot: &Snapshot, start: Node, link: &str) -> u64 {
    chain(snapshot, start, link).count() as u64
}

pub(super) fn chain<'a>(
    snapshot: &'a Snapshot,
    start: Node,
    link: &'a str,
) -> impl Iterator<Item = Node> + 'a {
    let property = snapshot.edge_kind.property;
    let next = move |&node: &Node| {
        snapshot
            .follow(node, property, link)
            .filter(|&to| to != start && is_object(snapshot, to))
    };
    // A ring that does not come back to its start ends somewhere too.
    std::iter::successors(Some(start), next).take(snapshot.graph.nodes())
}

/// The links of a candidate's list.
fn list_nodes<'a>(
    snapshot: &'a Snapshot,
    node: Node,
    list: &'a List,
) -> Box<dyn Iterator<Item = Node> + 'a> {
    let kind = &snapshot.edge_kind;
    let first = match &list.first {
        None => Some(node),
        Some(name) => [kind.property, kind.context]
            .iter()
            .find_map(|&of| snapshot.follow(node, of, name))
            .filter(|&first| is_object(snapshot, first)),
    };
    match first {
        Some(first) => Box::new(chain(snapshot, first, &list.link)),
        None => Box::new(std::iter::empty()),
    }
}

/// The figures of the candidates in a snapshot, in their order.
pub(super) fn measure(analysis: &Analysis, candidates: &[Candidate]) -> Vec<Option<Figures>> {
    let snapshot = &analysis.snapshot;
    let wanted: FxHashMap<u32, usize> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (candidate.id, at))
        .collect();
    let mut found = vec![None; candidates.len()];
    if wanted.is_empty() {
        return found;
    }
    let mut below: Vec<u64> = (0..snapshot.graph.nodes() as Node)
        .map(|node| u64::from(is_object(snapshot, node)))
        .collect();
    for &node in analysis.dominators.downwards().iter().rev() {
        let above = analysis.dominators.parent[node as usize];
        if above != node {
            below[above as usize] += below[node as usize];
        }
    }
    for (node, id) in Ids::of(wanted.keys().copied()).nodes(snapshot) {
        if let Some(&at) = wanted.get(&id) {
            let links = candidates[at]
                .list
                .as_ref()
                .map_or(0, |list| list_nodes(snapshot, node, list).count() as u64);
            found[at] = Some((
                links,
                below[node as usize],
                analysis.retained[node as usize],
            ));
        }
    }
    found
}

/// The candidates that grow: as lists, or else by what is below them. `figures` are those of each snapshot.
pub(super) fn grown(candidates: &[Candidate], figures: &[&[Option<Figures>]]) -> Vec<Held> {
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let all: Option<Vec<Figures>> = figures.iter().map(|figures| figures[at]).collect();
        let Some(all) = all else { continue };
        let retained: Vec<u64> = all.iter().map(|figures| figures.2).collect();
        let links: Vec<u64> = all.iter().map(|figures| figures.0).collect();
        let below: Vec<u64> = all.iter().map(|figures| figures.1).collect();
        let is_list = candidate.list.is_some() && grows(&links);
        let counts = if is_list { links } else { below };
        if grows(&counts) && retained.is_sorted() && retained.last() > retained.first() {
            found.push(Held {
                node: candidate.node,
                list: candidate.list.clone().filter(|_| is_list),
                counts,
                retained,
            });
        }
    }
    found
}

impl Held {
    /// A list, by its first link and the name by which the others follow.
    pub(super) fn of_list(node: Node, link: String, counts: Vec<u64>, retained: Vec<u64>) -> Held {
        Held {
            node,
            list: Some(List { first: None, link }),
            counts,
            retained,
        }
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// The new objects, in their order: the links of a list, or all that are below.
    pub(super) fn new_nodes(&self, view: &View) -> Vec<Node> {
        let snapshot = &view.analysis.snapshot;
        match &self.list {
            Some(list) => list_nodes(snapshot, self.node, list)
                .filter(|&node| view.is_new(node))
                .collect(),
            None => {
                let dominators = &view.analysis.dominators;
                let mut is_below = vec![false; snapshot.graph.nodes()];
                let mut below = Vec::new();
                for &node in dominators.downwards() {
                    let above = dominators.parent[node as usize];
                    is_below[node as usize] = node == self.node || is_below[above as usize];
                    if is_below[node as usize] && view.is_new(node) && is_object(snapshot, node) {
                        below.push(node);
                    }
                }
                below.sort_unstable();
                below
            }
        }
    }

    /// What there is to say of it.
    pub(super) fn describe(
        &self,
        view: &View,
        new: &[Node],
    ) -> Option<(Leak, Option<crate::Location>)> {
        let snapshot = &view.analysis.snapshot;
        let newest = new
            .iter()
            .copied()
            .max_by_key(|&node| snapshot.ids[node as usize])?;
        let last = self.counts.last().copied().unwrap_or_default();
        let added = last - self.counts.first().copied().unwrap_or_default().min(last);
        let last = Count(last);
        let link = self.list.as_ref().map(|list| list.link.as_str());
        let way = view.ways.raw(view.analysis, self.node);
        let kind = &snapshot.edge_kind;
        let edges = snapshot.graph.of(self.node);
        // What has the first link by a name, or else what has the old object.
        let named = match self.list.as_ref().and_then(|list| list.first.as_ref()) {
            Some(first) => edges
                .filter(|&edge| snapshot.has_string_name(edge))
                .find(|&edge| snapshot.edge_name(edge) == **first)
                .map(|edge| (self.node, edge)),
            None => way
                .iter()
                .rev()
                .find(|&&(_, edge)| {
                    let of = snapshot.kind_of_edge(edge);
                    of == kind.property || of == kind.context
                })
                .copied(),
        };
        let wanted = named.map_or(Wanted::default(), |(from, edge)| Wanted {
            name: Some(snapshot.edge_names[edge as usize]),
            context: (snapshot.kind_of_edge(edge) == kind.context).then_some(from),
            script: snapshot.location(from).map(|location| location.script),
            added,
            ..Wanted::default()
        });
        let shown = named.map_or(String::new(), |(from, edge)| {
            let name = snapshot.edge_name(edge);
            match snapshot.kind_of_edge(edge) == kind.context {
                true => format!(" variable {name}"),
                false => format!(" {}.{name}", snapshot.name(from)),
            }
        });
        let class = |node: Node| crate::ways::what(snapshot, &view.scripts, node);
        let (pattern, what) = match link {
            Some(link)
                if is_async_context(snapshot, &way)
                    || is_async_context(snapshot, &view.ways.raw(view.analysis, newest)) =>
            {
                (
                    Pattern::AsyncContexts,
                    format!(
                        "{last} contexts of AsyncLocalStorage, each with the one before by .{link}"
                    ),
                )
            }
            Some(link) => (
                Pattern::List,
                format!(
                    "linked list{shown} has {last} links: {} by .{link}",
                    class(newest)
                ),
            ),
            None => (
                Pattern::Objects,
                format!("{last} objects below{shown} {}", class(self.node)),
            ),
        };
        // Where objects of the links' class are made.
        let made = snapshot
            .location(newest)
            .filter(|&location| !view.scripts.is_internal(location))
            .map(|location| view.place((format!("new {}", snapshot.name(newest)), location)));
        // What nothing has by a name is put together by a function that names what links it.
        let linking = || {
            view.functions.adder(Wanted {
                name: Some(snapshot.strings.find(link?)?),
                added,
                ..Wanted::default()
            })
        };
        let by_name = || view.functions.adder(wanted);
        let place = match pattern {
            // What is on the way to a context says nothing of who enters it.
            Pattern::AsyncContexts => linking().or_else(by_name),
            _ => by_name().or_else(linking),
        };
        let place = place.or_else(|| {
            let place =
                reach::function_near(view, newest, |place| !view.scripts.is_internal(place))?;
            view.functions.around(place)
        });
        let (is, cure) = match pattern {
            Pattern::AsyncContexts => CONTEXTS,
            _ => pattern.sentences(),
        };
        let leak = Leak {
            pattern,
            what,
            counts: self.counts.clone(),
            retained: self.retained.clone(),
            id: snapshot.ids[newest as usize],
            place: place.clone().map(|place| view.place(place)),
            entries: made.map(|made| format!("{} new objects: {made}", new.len())),
            also: Vec::new(),
            shared: None,
            perhaps: Vec::new(),
            program: None,
            allocated: None,
            way: view.ways.to(view.analysis, &view.scripts, newest),
            is: is.to_owned(),
            cure: cure.to_owned(),
            doubt: None,
        };
        Some((leak, place.map(|(_, location)| location)))
    }
}

/// What there is to say of contexts that keep the ones before them.
const CONTEXTS: (&str, &str) = (
    "Each store given to AsyncLocalStorage keeps the one that was current, and so all before it.",
    "Keep of the outer store only what is needed (an id), or begin long chains of work outside: AsyncLocalStorage.exit().",
);

/// Whether a way leads through the store of an AsyncLocalStorage.
fn is_async_context(snapshot: &Snapshot, way: &[(Node, Edge)]) -> bool {
    way.iter().any(|&(from, edge)| {
        snapshot.edge_name(edge) == "<symbol kResourceStore>"
            || snapshot.name(from) == "AsyncContextFrame"
    })
}
