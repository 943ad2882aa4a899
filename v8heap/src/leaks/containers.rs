//! Containers that have more entries in every snapshot.

use graph::{Edge, Node};
use rustc_hash::FxHashMap;

use super::words::Pattern;
use super::{Leak, Measures, View, grows};
use crate::figures::Analysis;
use crate::snapshot::{Snapshot, detachedness};

/// Fewer entries in the last snapshot are nothing to look at.
const MIN_ENTRIES: u64 = 13;

/// A container of the last snapshot.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) node: Node,
    pub(super) entries: u64,
}

/// What holds the entries of a node: itself, or the table behind it.
fn rows(snapshot: &Snapshot, node: Node) -> (Node, bool) {
    let table = matches!(
        snapshot.strings.raw(snapshot.names[node as usize]),
        b"Map" | b"Set"
    )
    .then(|| snapshot.follow(node, snapshot.edge_kind.internal, "table"))
    .flatten();
    match table {
        Some(table) => (table, true),
        None => (node, false),
    }
}

/// The edges to the entries of a container: elements, properties, keys and values.
pub(super) fn entries(snapshot: &Snapshot, node: Node) -> impl Iterator<Item = Edge> + '_ {
    let (row, table) = rows(snapshot, node);
    let kind = &snapshot.edge_kind;
    snapshot.graph.of(row).filter(move |&edge| {
        let of = snapshot.kind_of_edge(edge);
        if table {
            of == kind.internal
                && snapshot
                    .strings
                    .raw(snapshot.edge_names[edge as usize])
                    .first()
                    .is_some_and(u8::is_ascii_digit)
        } else {
            of == kind.element || of == kind.property
        }
    })
}

/// Where the first key of a Map's table is, in threes: key, value, next in the chain. V8's table
/// (`OrderedHashMap`) is map, length, three counts, B buckets (a power of two), and 2 B entries, whose
/// numbers are counted from after the length. The size may have moved from the table to the Map.
pub(super) fn first_key(snapshot: &Snapshot, map: Node) -> Option<u64> {
    const HEADS: u64 = 4 + 2 + 3;
    let (table, _) = rows(snapshot, map);
    if table == map || snapshot.name(map) != "Map" {
        return None;
    }
    let size = snapshot.sizes.get(map) + snapshot.sizes.get(table);
    [8, 4].into_iter().find_map(|word| {
        let words = size / word;
        let buckets = words.checked_sub(HEADS)? / 7;
        let fits = size == word * (HEADS + 7 * buckets) && buckets.is_power_of_two();
        fits.then_some(3 + buckets)
    })
}

/// How many entries a container has.
pub(super) fn count(snapshot: &Snapshot, node: Node) -> u64 {
    if !rows(snapshot, node).1 {
        return entries(snapshot, node).count() as u64;
    }
    // Keys and values lie side by side; numbers among them leave no edge.
    let mut places: Vec<u64> = entries(snapshot, node)
        .filter_map(|edge| snapshot.edge_name(edge).parse().ok())
        .collect();
    places.sort_unstable();
    if let Some(first) = first_key(snapshot, node) {
        for place in &mut places {
            *place = place.saturating_sub(first) / 3;
        }
        places.dedup();
        return places.len() as u64;
    }
    let mut count = 0;
    let mut key = None;
    for place in places {
        if key.is_some_and(|key| key + 1 == place) {
            key = None;
        } else {
            count += 1;
            key = Some(place);
        }
    }
    count
}

/// The containers worth a look.
pub(super) fn candidates(analysis: &Analysis) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    // Their entries are in a table behind them.
    let tabled = ["Map", "Set"].map(|name| snapshot.strings.find(name));
    let mut found = Vec::new();
    for node in 0..snapshot.graph.nodes() as Node {
        let kind = snapshot.kinds[node as usize];
        if kind != snapshot.kind.object && kind != snapshot.kind.closure {
            continue;
        }
        // Most have few edges: what they are called need not be looked up.
        if u64::from(snapshot.graph.degree(node)) < MIN_ENTRIES
            && !tabled.contains(&Some(snapshot.names[node as usize]))
        {
            continue;
        }
        let (row, _) = rows(snapshot, node);
        if u64::from(snapshot.graph.degree(row)) < MIN_ENTRIES {
            continue;
        }
        let entries = count(snapshot, node);
        if entries >= MIN_ENTRIES {
            found.push(Candidate { node, entries });
        }
    }
    found
}

/// Entries and retained bytes of the candidates, whose ids are those of the last snapshot, in
/// another one.
pub(super) fn measure(
    analysis: &Analysis,
    wanted: &FxHashMap<u32, usize>,
) -> Vec<Option<(u64, u64)>> {
    let mut found = vec![None; wanted.len()];
    for (node, id) in analysis.snapshot.ids.iter().enumerate() {
        if let Some(&at) = wanted.get(id) {
            let entries = count(&analysis.snapshot, node as Node);
            found[at] = Some((entries, analysis.retained[node]));
        }
    }
    found
}

/// The leaks among the candidates, with their nodes.
pub(super) fn leaks(
    view: &View,
    candidates: &[Candidate],
    measures: &[Measures],
) -> Vec<(Node, Leak)> {
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let all: Option<Vec<(u64, u64)>> = measures
            .iter()
            .map(|measures| measures.containers[at])
            .collect();
        let Some(all) = all else { continue };
        let (counts, retained): (Vec<u64>, Vec<u64>) = all.into_iter().unzip();
        if grows(&counts) && retained.last() > retained.first() {
            found.push((
                candidate.node,
                describe(view, candidate.node, counts, retained),
            ));
        }
    }
    found
}

/// How a container is held.
struct Holder {
    /// `sessions`
    name: String,
    /// The string's number of that name.
    word: Option<u32>,
    /// `Cache.sessions`, `variable sessions`, …
    shown: String,
    /// What has it under that name.
    from: Option<Node>,
    /// The context, if it is a variable.
    context: Option<Node>,
    pattern: Option<Pattern>,
}

fn holder(view: &View, node: Node) -> Holder {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    let kind = &snapshot.edge_kind;
    let console = way
        .iter()
        .any(|&(_, edge)| snapshot.edge_name(edge).ends_with(" / DevTools console"));
    let named = way.iter().rposition(|&(_, edge)| {
        let of = snapshot.kind_of_edge(edge);
        of == kind.property || of == kind.context || of == kind.shortcut
    });
    // In an array or a Map that has the name.
    let within = named.is_some_and(|at| {
        way[at + 1..].iter().any(|&(_, edge)| {
            snapshot.kind_of_edge(edge) == kind.element
                || snapshot
                    .edge_name(edge)
                    .starts_with(|first: char| first.is_ascii_digit())
        })
    });
    let Some(&(from, edge)) = named.and_then(|at| way.get(at)) else {
        return exported(view, &way);
    };
    let name = snapshot.edge_name(edge).into_owned();
    let word = snapshot
        .has_string_name(edge)
        .then(|| snapshot.edge_names[edge as usize]);
    let class = snapshot.name(from);
    let is_global = class.starts_with("global") || class.starts_with("Window");
    let (shown, context, pattern) = if snapshot.kind_of_edge(edge) == kind.context {
        (format!("variable {name}"), Some(from), None)
    } else if snapshot.kinds[from as usize] == snapshot.kind.closure {
        (format!("static {class}.{name}"), None, None)
    } else if is_global {
        (format!("global {name}"), None, Some(Pattern::Global))
    } else if is_exports(view, &way, from) {
        (format!("exports.{name}"), None, None)
    } else {
        let shown = match view.ways.variable(snapshot, &way) {
            // The class of an object without one says nothing.
            Some((variable, _)) if class == "Object" => {
                let variable = snapshot.strings.get(variable);
                match way[1..].first() {
                    Some(&(object, _)) if object == from => format!("variable {variable}.{name}"),
                    _ => format!("{class}.{name} in variable {variable}"),
                }
            }
            _ => format!("{class}.{name}"),
        };
        (shown, None, None)
    };
    // All caches of the loader grow with the modules.
    let modules = match name.as_str() {
        "relativeResolveCache"
        | "_pathCache"
        | "realpathCache"
        | "statCache"
        | "cjsParseCache"
        | "packageJSONCache" => true,
        "_cache" | "cache" | "children" => entries(snapshot, node)
            .take(20)
            .any(|edge| snapshot.name(snapshot.graph.to(edge)) == "Module"),
        _ => false,
    };
    let pattern = if console {
        Some(Pattern::Console)
    } else if modules {
        Some(Pattern::Modules)
    } else {
        pattern
    };
    let shown = if within { format!("in {shown}") } else { shown };
    Holder {
        name,
        word,
        shown,
        from: Some(from),
        context,
        pattern,
    }
}

/// What holds a container that no property and no context names: a variable that an ES module exports.
fn exported(view: &View, way: &[(Node, Edge)]) -> Holder {
    let snapshot = &view.analysis.snapshot;
    let variable = view.ways.variable(snapshot, way);
    let name = variable.map(|(name, _)| snapshot.strings.get(name).into_owned());
    let within = if way.len() > 1 { "in " } else { "" };
    Holder {
        shown: name.as_ref().map_or(String::new(), |name| match &**name {
            "default" => format!("{within}default export"),
            name => format!("{within}variable {name}"),
        }),
        name: name.unwrap_or_default(),
        word: variable.map(|(name, _)| name),
        from: None,
        context: variable.and_then(|(_, scope)| scope),
        pattern: None,
    }
}

/// Whether an object is what a CommonJS module exports.
fn is_exports(view: &View, way: &[(Node, Edge)], object: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    way.iter().any(|&(from, edge)| {
        snapshot.graph.to(edge) == object
            && snapshot.edge_name(edge) == "exports"
            && (view.ways.is_file(from) || crate::scopes::common_js_file(snapshot, from).is_some())
    })
}

/// If a container is the list of an emitter's listeners: the event and the emitter.
fn emitter(view: &View, node: Node) -> Option<(String, Node)> {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    let properties: Vec<_> = way
        .iter()
        .rev()
        .filter(|&&(_, edge)| snapshot.kind_of_edge(edge) == snapshot.edge_kind.property)
        .take(2)
        .collect();
    let [&(_, event), &(emitter, events)] = properties[..] else {
        return None;
    };
    (snapshot.edge_name(events) == "_events")
        .then(|| (snapshot.edge_name(event).into_owned(), emitter))
}

/// The function of the user's behind a closure: itself, what was bound, or what `once` wraps.
fn bound(view: &View, closure: Node) -> Option<(String, crate::Location)> {
    let snapshot = &view.analysis.snapshot;
    let (internal, property) = (snapshot.edge_kind.internal, snapshot.edge_kind.property);
    let user = |node: Node| {
        let location = snapshot.location(node)?;
        (!view.scripts.is_internal(location)).then(|| (snapshot.name(node).into_owned(), location))
    };
    let inside = |edge, name| user(snapshot.follow(closure, edge, name)?);
    user(closure)
        .or_else(|| inside(internal, "bound_function"))
        .or_else(|| inside(property, "listener"))
}

/// Whether something is a DOM node outside of the document.
fn is_detached(snapshot: &Snapshot, node: Node) -> bool {
    let states = snapshot.detachedness.as_ref();
    states.is_some_and(|states| states[node as usize] & 3 == detachedness::DETACHED)
}

/// Whether many of a container's entries are one and the same.
fn repeated(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let mut all: Vec<Node> = entries(snapshot, node)
        .map(|edge| snapshot.graph.to(edge))
        .collect();
    let before = all.len();
    all.sort_unstable();
    all.dedup();
    all.len() * 2 < before
}

/// What most of the entries are, new ones first: how many and what, and one of them.
fn usual(view: &View, node: Node) -> Option<(String, Node)> {
    let snapshot = &view.analysis.snapshot;
    let mut counts: FxHashMap<(u8, u32, Option<crate::Location>), (u64, Node)> =
        FxHashMap::default();
    let mut all = 0u64;
    for edge in entries(snapshot, node) {
        let to = snapshot.graph.to(edge);
        let kind = snapshot.kinds[to as usize];
        let data = kind == snapshot.kind.string
            || kind == snapshot.kind.hidden
            || kind == snapshot.kind.number;
        if !view.is_new(to) || data && all > 0 {
            continue;
        }
        all += 1;
        let name = if data { 0 } else { snapshot.names[to as usize] };
        counts
            .entry((kind, name, snapshot.location(to)))
            .or_insert((0, to))
            .0 += 1;
    }
    let (_, (count, one)) = counts.into_iter().max_by_key(|&(_, (count, _))| count)?;
    let what = if snapshot.kinds[one as usize] == snapshot.kind.string {
        "strings".to_owned()
    } else {
        crate::ways::what(snapshot, &view.scripts, one)
    };
    Some((format!("{count} of {all} new entries: {what}"), one))
}

/// Whether a Map's keys are objects that nothing else keeps.
fn only_keys(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    if snapshot.name(node) != "Map" {
        return false;
    }
    let (row, _) = rows(snapshot, node);
    let mut keys = 0u32;
    let mut alone = 0u32;
    let mut before: Option<u64> = None;
    let first = first_key(snapshot, node);
    for edge in entries(snapshot, node) {
        let Ok(place) = snapshot.edge_name(edge).parse::<u64>() else {
            continue;
        };
        if first.is_some_and(|first| place.saturating_sub(first) % 3 != 0) {
            continue;
        }
        if first.is_none() && before.is_some_and(|before| before + 1 == place) {
            before = None;
            continue;
        }
        before = Some(place);
        let key = snapshot.graph.to(edge);
        if snapshot.kinds[key as usize] == snapshot.kind.object {
            keys += 1;
            let above = view.analysis.dominators.parent[key as usize];
            alone += u32::from(above == row || above == node);
        }
    }
    keys > 0 && alone * 2 > keys && u64::from(keys) * 2 > count(snapshot, node)
}

/// Whether a container is called something that ought to forget.
fn is_cache(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["cache", "memo", "lru"]
        .iter()
        .any(|word| name.contains(word))
}

fn describe(view: &View, node: Node, counts: Vec<u64>, retained: Vec<u64>) -> Leak {
    let snapshot = &view.analysis.snapshot;
    let class = snapshot.name(node).into_owned();
    let usual = usual(view, node);
    let one = usual.as_ref().map(|(_, one)| *one);
    let function = one
        .filter(|&one| snapshot.kinds[one as usize] == snapshot.kind.closure)
        .and_then(|one| bound(view, one));
    let last = counts.last().copied().unwrap_or_default();
    let mut cache = false;
    let (pattern, what, place) = if let Some((event, emitter)) = emitter(view, node) {
        let of = snapshot.name(emitter);
        // The listener stands where it is added, if it is no function with a place of its own.
        let from = function.as_ref().map_or(String::new(), |(_, location)| {
            format!(" from {}", view.scripts.place(*location))
        });
        // A function that is added again and again, or bound, is not made where it is added.
        let place =
            if one.is_some_and(|one| snapshot.location(one).is_some()) && !repeated(view, node) {
                let around = function
                    .as_ref()
                    .and_then(|(_, location)| view.functions.around(*location));
                around.or(function)
            } else {
                let word = snapshot.strings.find(&event);
                view.functions.adder(word, None).or(function)
            };
        (
            Pattern::Listeners,
            format!("emitter '{event}' of {of} has {last} listeners{from}"),
            place,
        )
    } else {
        let holder = holder(view, node);
        let detached = one.is_some_and(|one| is_detached(snapshot, one));
        let usual = if detached {
            Some(Pattern::Detached)
        } else {
            holder.pattern
        };
        let pattern = usual.unwrap_or(match class.as_str() {
            "Map" if only_keys(view, node) => Pattern::StrongKeys,
            "Map" => Pattern::Map,
            "Set" => Pattern::Set,
            "Array" => Pattern::Array,
            _ => Pattern::Object,
        });
        cache = is_cache(&holder.name);
        let constructor = one.and_then(|one| {
            let location = snapshot.location(one)?;
            (!view.scripts.is_internal(location))
                .then(|| (format!("new {}", snapshot.name(one)), location))
        });
        let adder = view.functions.adder(
            holder.word.filter(|_| !holder.name.is_empty()),
            holder.context,
        );
        // Byte code need not have the strings of private names, and all of the class see them.
        let method = holder
            .from
            .filter(|_| holder.name.starts_with('#'))
            .and_then(|from| view.functions.method(snapshot, from));
        let adder = method.or(adder);
        let around = function
            .as_ref()
            .and_then(|(_, location)| view.functions.around(*location));
        let place = adder.or(around).or(function).or(constructor);
        (
            pattern,
            format!("{class} {} has {last} entries", holder.shown),
            place,
        )
    };
    let (is, mut cure) = pattern.sentences();
    if cache && matches!(pattern, Pattern::Map | Pattern::Object | Pattern::Array) {
        cure = "It is called a cache: give it a bound (drop the least recently used entry beyond N) or entries a time to live.";
    }
    Leak {
        pattern,
        what,
        counts,
        retained,
        id: snapshot.ids[node as usize],
        place: place.map(|place| view.place(place)),
        entries: usual.map(|(text, _)| text),
        way: view.ways.to(view.analysis, &view.scripts, node),
        is: is.to_owned(),
        cure: cure.to_owned(),
    }
}
