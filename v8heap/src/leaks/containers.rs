//! Containers that have more entries in every snapshot.

use graph::Node;
use rustc_hash::FxHashMap;

use super::adders::{adders, loader};
use super::detached::{WINDOWS, is_detached, is_window};
use super::entries::{count, entries, first_key, is_map, is_set, room, rows};
use super::families::Family;
use super::holders::{emitter, holder};
use super::removers::remover;
use super::words::{Count, Pattern};
use super::written::iterating;
use super::{Leak, View, notes};
use crate::figures::Analysis;
use crate::functions::Wanted;
use crate::ids::Ids;
use crate::snapshot::Snapshot;

/// Fewer entries of a single container in the last snapshot are nothing to look at.
pub(super) const MIN_ENTRIES: u64 = 13;

/// Of the containers with fewer, those that may grow together, as many as this are looked at.
const MAX_SMALL: usize = 400_000;

/// A container of the last snapshot.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) node: Node,
    /// How many, or the room for them.
    pub(super) entries: u64,
    /// Whether there are numbers in it, of which only the room is known.
    pub(super) numbers: bool,
}

/// Less room for numbers is nothing to look at.
const MIN_ROOM: u64 = 128;

/// The containers worth a look.
pub(super) fn candidates(analysis: &Analysis) -> Vec<Candidate> {
    let snapshot = &analysis.snapshot;
    let lists = ["Map", "Set", "Array"].map(|name| snapshot.strings.find(name));
    let mut found = Vec::new();
    let mut small = Vec::new();
    for node in 0..snapshot.graph.nodes() as Node {
        let kind = snapshot.kinds[node as usize];
        if kind != snapshot.kind.object && kind != snapshot.kind.closure {
            continue;
        }
        let is_list = lists.contains(&Some(snapshot.names[node as usize]));
        // Most objects have few edges: what those are called need not be looked up.
        if !is_list && !has_many(snapshot, node) {
            continue;
        }
        let entries = count(snapshot, node);
        let found_here = |entries, numbers| Candidate {
            node,
            entries,
            numbers,
        };
        if entries >= MIN_ENTRIES {
            found.push(found_here(entries, false));
            continue;
        }
        let room = if is_list { room(snapshot, node) } else { 0 };
        if room >= MIN_ROOM {
            found.push(found_here(room, true));
        } else if is_list && entries > 0 && small.len() < MAX_SMALL {
            small.push(found_here(entries, false));
        }
    }
    if small.len() < MAX_SMALL {
        found.append(&mut small);
    }
    found
}

/// Whether an object, or the table of its properties, has many edges.
fn has_many(snapshot: &Snapshot, node: Node) -> bool {
    let many = |node| u64::from(snapshot.graph.degree(node)) >= MIN_ENTRIES;
    many(node)
        || snapshot.graph.of(node).any(|edge| {
            let to = snapshot.graph.to(edge);
            snapshot.kinds[to as usize] == snapshot.kind.array
                && snapshot.kind_of_edge(edge) == snapshot.edge_kind.internal
                && many(to)
        })
}

/// Entries and retained bytes of the candidates, by their ids in the last snapshot, in another one.
pub(super) fn measure(
    analysis: &Analysis,
    candidates: &[Candidate],
    wanted: &FxHashMap<u32, usize>,
) -> Vec<Option<(u64, u64)>> {
    let snapshot = &analysis.snapshot;
    let mut found = vec![None; wanted.len()];
    for (node, id) in Ids::of(wanted.keys().copied()).nodes(snapshot) {
        if let Some(&at) = wanted.get(&id) {
            let entries = match candidates[at].numbers {
                true => room(snapshot, node),
                false => count(snapshot, node),
            };
            found[at] = Some((entries, analysis.retained[node as usize]));
        }
    }
    found
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

/// What most of the new entries are: how many and what, and one of them.
fn usual(view: &View, nodes: &[Node]) -> Option<(String, Node)> {
    let snapshot = &view.analysis.snapshot;
    let is_text = |kind: u8| {
        let of = &snapshot.kind;
        kind == of.string || kind == of.concatenated || kind == of.sliced
    };
    let is_data = |node: Node| {
        let kind = snapshot.kinds[node as usize];
        is_text(kind) || kind == snapshot.kind.hidden || kind == snapshot.kind.number
    };
    let (mut keys, mut new) = (Vec::new(), Vec::new());
    for &node in nodes {
        let first = match is_map(snapshot, node) {
            true => first_key(snapshot, node),
            false => None,
        };
        for edge in entries(snapshot, node) {
            let to = snapshot.graph.to(edge);
            let place = || snapshot.edge_name(edge).parse::<u64>().ok();
            let is_key = first.is_some_and(|first| {
                place().is_some_and(|place| place.saturating_sub(first) % 3 == 0)
            });
            if view.is_new(to) {
                if is_key { &mut keys } else { &mut new }.push(to);
            }
        }
    }
    // Values say more than keys, and what is no object says nothing if there are objects.
    if new.iter().all(|&node| is_data(node)) && !keys.is_empty() {
        new = keys;
    }
    if !new.iter().all(|&node| is_data(node)) {
        new.retain(|&node| !is_data(node));
    }
    let most = |key: &dyn Fn(Node) -> (u8, u32, Option<crate::Location>)| {
        let mut counts: FxHashMap<_, (usize, Node)> = FxHashMap::default();
        for &node in &new {
            counts.entry(key(node)).or_insert((0, node)).0 += 1;
        }
        counts
            .into_values()
            .max_by_key(|&(count, node)| (count, node))
    };
    let all = Count(new.len() as u64);
    let by_place = most(&|node| {
        let kind = snapshot.kinds[node as usize];
        match is_text(kind) {
            true => (snapshot.kind.string, 0, None),
            false => (kind, snapshot.names[node as usize], snapshot.location(node)),
        }
    });
    let (count, one) = by_place?;
    let kind = snapshot.kinds[one as usize];
    if is_text(kind) {
        return Some((
            format!("{} of {all} new entries: strings", Count(count as u64)),
            one,
        ));
    }
    // Each a function of its own.
    if count * 2 < new.len()
        && let Some((count, one)) = most(&|node| (snapshot.kinds[node as usize], 0, None))
        && snapshot.kinds[one as usize] == snapshot.kind.closure
    {
        return Some((
            format!("{} of {all} new entries: functions", Count(count as u64)),
            one,
        ));
    }
    let what = crate::ways::what(snapshot, &view.scripts, one);
    Some((
        format!("{} of {all} new entries: {what}", Count(count as u64)),
        one,
    ))
}

/// Whether a Map's keys are objects that nothing else keeps.
fn only_keys(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    if !is_map(snapshot, node) {
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
    let name = name.to_ascii_lowercase().replace("memory", "");
    ["cache", "memo", "lru"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether a class is that of the global object.
fn is_global(class: &str) -> bool {
    let first = class.split_whitespace().next();
    matches!(first, Some("global" | "Window"))
}

/// Of the global object itself.
const GLOBALS: (&str, &str) = (
    "New properties are added to the global object, which lives as long as the process.",
    "Declare variables (strict mode refuses those that are not), and keep what belongs to somebody in a Map that is bounded.",
);

/// What the console keeps of each label.
const LABELS: (&str, &str) = (
    "console.time() and console.count() keep an entry for each new label.",
    "Call console.timeEnd() or countReset() with the same label, and use a fixed set of labels.",
);

/// What waits in a stream.
struct Waits {
    what: &'static str,
    is: &'static str,
    cure: &'static str,
}

const WRITES: Waits = Waits {
    what: "wait to be written to a stream",
    is: "More is written to a stream than it takes.",
    cure: "When write() returns false wait for 'drain', or use pipeline() or pipe(), which do; give up on one that no longer takes anything: destroy() it.",
};
const READS: Waits = Waits {
    what: "wait to be read from a stream",
    is: "A stream gets more than is read from it.",
    cure: "Read it, resume() it or destroy() it; what fills it by push() has to wait when that returns false.",
};

/// What there is to say of one container, or of several that are held alike.
pub(super) fn describe(view: &View, family: &Family) -> (Leak, Option<crate::Location>) {
    let snapshot = &view.analysis.snapshot;
    let node = family.nodes[0];
    let class = snapshot.name(node).into_owned();
    let usual = usual(view, &family.nodes);
    let one = usual.as_ref().map(|(_, one)| *one);
    let function = one
        .filter(|&one| snapshot.kinds[one as usize] == snapshot.kind.closure)
        .and_then(|one| bound(view, one));
    let last = family.counts.last().copied().unwrap_or_default();
    let added = last - family.counts.first().copied().unwrap_or_default().min(last);
    let last = Count(last);
    let near = || {
        // A loop waits in the function itself, what calls back is made in the one around it.
        let is_inside = notes::is_iterating(view, one?);
        match notes::waiting(view, one?) {
            Some(place) if is_inside => view.functions.at(place),
            Some(place) => Some(view.functions.around_or_at(place)),
            None if is_inside => view.functions.at(iterating(view)?),
            None => None,
        }
    };
    let holder = holder(view, node);
    let mut cache = false;
    let mut waits = None;
    let mut perhaps = Vec::new();
    let mut taken_out = None;
    // The listener stands where it is added, if it is no function with a place of its own.
    let from = || {
        function.as_ref().map_or(String::new(), |(_, location)| {
            format!(" from {}", view.scripts.place(*location))
        })
    };
    let (pattern, what, place) = if let Some((event, owner)) = emitter(view, node) {
        let of = snapshot.name(owner);
        // A function that is added again and again, or bound, is not made where it is added.
        let place =
            if one.is_some_and(|one| snapshot.location(one).is_some()) && !repeated(view, node) {
                let around = function
                    .as_ref()
                    .and_then(|(_, location)| view.functions.around(*location));
                around.or(function.clone()).or_else(near)
            } else {
                let wanted = Wanted {
                    name: snapshot.strings.find(&event),
                    added,
                    ..Wanted::default()
                };
                // Where the event's name is put together, who names the method that is bound.
                let by_method = || {
                    let (method, _) = function.as_ref()?;
                    let wanted = Wanted {
                        name: Some(snapshot.strings.find(method)?),
                        by: &["on", "once", "addListener", "prependListener"],
                        ..wanted
                    };
                    view.functions
                        .names_and_adds(wanted)
                        .then(|| view.functions.adder(wanted))?
                };
                let adder = view.functions.adder(wanted).or_else(by_method);
                adder.or(function.clone())
            };
        let events = family.nodes.iter().skip(1).take(4);
        let others: String = events
            .filter_map(|&node| Some(format!(", '{}'", emitter(view, node)?.0)))
            .collect();
        (
            Pattern::Listeners,
            format!(
                "emitter '{event}'{others} of {of} has {last} listeners{}",
                from()
            ),
            place,
        )
    } else if holder.name == "_events" && !holder.within && class == "Object" {
        let of = holder
            .from
            .map(|from| snapshot.name(from))
            .unwrap_or_default();
        let event =
            newest_name(view, node).map_or(String::new(), |event| format!(", such as '{event}'"));
        let around = function
            .as_ref()
            .and_then(|(_, location)| view.functions.around(*location));
        (
            Pattern::Listeners,
            format!(
                "emitter {of} has listeners of {last} events{event}{}",
                from()
            ),
            around.or(function.clone()),
        )
    } else {
        let detached = one.is_some_and(|one| is_detached(snapshot, one));
        let known = if detached {
            Some(Pattern::Detached)
        } else {
            holder.pattern
        };
        let piped = holder.name == "pipes"
            && holder
                .from
                .is_some_and(|from| snapshot.name(from) == "ReadableState");
        let owner = holder.from.map(|from| snapshot.name(from));
        waits = match (owner.as_deref(), holder.name.trim_start_matches('_')) {
            _ if holder.within => None,
            (Some("WritableState"), "buffered" | "<symbol kBufferedValue>") => Some(&WRITES),
            (Some("ReadableState"), "buffer") => Some(&READS),
            _ => None,
        };
        let pattern = known.unwrap_or(match class.as_str() {
            _ if piped || waits.is_some() => Pattern::Streams,
            _ if is_map(snapshot, node) && only_keys(view, node) => Pattern::StrongKeys,
            _ if is_map(snapshot, node) => Pattern::Map,
            _ if is_set(snapshot, node) => Pattern::Set,
            "Array" => Pattern::Array,
            class if is_global(class) => Pattern::Global,
            // Libraries keep who waits in elements of the promise itself.
            "Promise" => Pattern::Promises,
            _ => Pattern::Object,
        });
        // `utils.cache._data` is one as well.
        let words = holder.shown.rsplit([' ', '.']);
        cache = words.take(2).any(is_cache);
        let constructor = one.and_then(|one| {
            let location = snapshot.location(one)?;
            (!view.scripts.is_internal(location))
                .then(|| (format!("new {}", snapshot.name(one)), location))
        });
        let around = function
            .as_ref()
            .and_then(|(_, location)| view.functions.around(*location));
        let place = match pattern {
            Pattern::Modules => loader(view),
            _ if piped => view.functions.adder(Wanted {
                name: snapshot.strings.find("pipe"),
                added,
                ..Wanted::default()
            }),
            Pattern::Performance => ["mark", "measure", "fetch"].iter().find_map(|word| {
                view.functions.adder(Wanted {
                    name: Some(snapshot.strings.find(word)?),
                    added,
                    ..Wanted::default()
                })
            }),
            _ => {
                let mut found = adders(view, &holder, node, added, family.renewed, one);
                let best = found.first().cloned();
                if let [adder] = &found[..] {
                    taken_out = remover(view, adder, &holder, node).map(|how| how.cure(&adder.0));
                }
                match found.len() {
                    1 => found.clear(),
                    _ => perhaps = found,
                }
                best
            }
        };
        let place = place
            .or(around)
            .or(function.clone())
            .or(constructor)
            .or_else(|| near().filter(|_| pattern != Pattern::Modules));
        let what = match (pattern, family.nodes.len()) {
            (Pattern::Promises, _) => {
                format!(
                    "{class} {} is not settled, and more and more wait for it",
                    holder.shown
                )
            }
            (Pattern::Performance, _) => {
                format!("{last} entries of performance ({})", holder.name)
            }
            _ if piped => format!("a stream is piped into {last} others ({})", holder.shown),
            (_, 1) if waits.is_some() => {
                let what = waits.map_or("", |waits| waits.what);
                format!("{last} chunks {what} ({})", holder.shown)
            }
            (_, 1) if family.numbers => {
                format!("{class} {} has room for {last} numbers", holder.shown)
            }
            (_, 1) if is_global(&class) => format!("the global object has {last} properties"),
            (_, 1) => format!("{class} {} has {last} entries", holder.shown),
            (_, many) => format!(
                "{many} × {class} {} have {last} entries together",
                holder.shown
            ),
        };
        (pattern, what, place)
    };
    let (is, mut cure) = pattern.sentences();
    if cache && matches!(pattern, Pattern::Map | Pattern::Object | Pattern::Array) {
        cure = "It is called a cache: give it a bound (drop the least recently used entry beyond N) or entries a time to live.";
    }
    let is_plain = matches!(
        pattern,
        Pattern::Map | Pattern::Set | Pattern::Array | Pattern::Object | Pattern::Global
    );
    let mut is = if family.renewed { RENEWED } else { is };
    let of_objects = one.is_some_and(|one| snapshot.kinds[one as usize] == snapshot.kind.object);
    if pattern == Pattern::Set && of_objects && holder.pattern.is_none() {
        cure = "Delete members when they end, bound it, or make it a WeakSet if it need not be walked through.";
    }
    if let Some(taken_out) = taken_out.as_deref().filter(|_| is_plain && !cache) {
        cure = taken_out;
    }
    if holder
        .from
        .is_some_and(|from| snapshot.name(from) == "console")
    {
        (is, cure) = LABELS;
    }
    if is_global(&class) {
        (is, cure) = GLOBALS;
    }
    if let Some(waits) = waits {
        (is, cure) = (waits.is, waits.cure);
    }
    if one.is_some_and(|one| is_window(&snapshot.name(one))) {
        (is, cure) = WINDOWS;
    }
    // A stream's chunks are whole.
    let (is, cure) = match waits {
        Some(_) => (is.to_owned(), cure.to_owned()),
        None => notes::of_entries(view, one, &family.new_entries(view), is, cure),
    };
    let leak = Leak {
        pattern,
        what,
        counts: family.counts.clone(),
        retained: family.retained.clone(),
        id: snapshot.ids[node as usize],
        place: place
            .clone()
            .filter(|_| perhaps.is_empty())
            .map(|place| view.place(place)),
        perhaps: perhaps.into_iter().map(|place| view.place(place)).collect(),
        entries: usual.map(|(text, _)| text),
        also: Vec::new(),
        shared: None,
        program: None,
        allocated: None,
        way: view.ways.to(view.analysis, &view.scripts, node),
        is,
        cure,
        doubt: None,
    };
    (leak, place.map(|(_, location)| location))
}

/// What there is to say of a container that is another one after each change.
const RENEWED: &str =
    "It is copied at every change, and each copy has more entries than the one before.";

/// The name of the property that holds the newest object.
fn newest_name(view: &View, node: Node) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let newest = entries(snapshot, node)
        .filter(|&edge| snapshot.has_string_name(edge) && snapshot.edge_name(edge) != "__proto__")
        .max_by_key(|&edge| snapshot.ids[snapshot.graph.to(edge) as usize])?;
    Some(snapshot.edge_name(newest).into_owned())
}
