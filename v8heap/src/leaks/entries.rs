//! What is in a container: elements of an array, entries of a Map or a Set, properties of an object
//! that is used as a map.

use graph::{Edge, Node};

use crate::snapshot::Snapshot;

/// What holds the entries of a node: itself, or the table behind it, and whether it is a table.
pub(super) fn rows(snapshot: &Snapshot, node: Node) -> (Node, bool) {
    let kind = snapshot.kinds[node as usize];
    if kind != snapshot.kind.object {
        return (node, false);
    }
    let Some(table) = snapshot.follow(node, snapshot.edge_kind.internal, "table") else {
        return (node, false);
    };
    // Of a class made from one, the table's size tells that it is one; WeakMaps have another kind.
    let named = matches!(
        snapshot.strings.raw(snapshot.names[node as usize]),
        b"Map" | b"Set"
    );
    let is_table = named || layout(snapshot, node, table).is_some();
    (if is_table { table } else { node }, is_table)
}

/// The buckets of the table behind a Map or a Set, and the words of an entry. V8's tables
/// (`OrderedHashMap`, `OrderedHashSet`) are map, length, three counts, B buckets (a power of two), and
/// 2 B entries: key, value (of a Map), next in the chain. The size may have moved from the table to
/// the Map.
fn layout(snapshot: &Snapshot, node: Node, table: Node) -> Option<(u64, u64)> {
    const HEADS: u64 = 4 + 2 + 3;
    let size = snapshot.sizes.get(node) + snapshot.sizes.get(table);
    let fits = |word: u64, entry: u64, own: u64| {
        let buckets = (size / word).checked_sub(HEADS + own)? / (1 + 2 * entry);
        let whole = size == word * (HEADS + own + (1 + 2 * entry) * buckets);
        (whole && buckets.is_power_of_two()).then_some((buckets, entry))
    };
    // Objects of a class made from one have room for properties of their own.
    let plain = matches!(
        snapshot.strings.raw(snapshot.names[node as usize]),
        b"Map" | b"Set"
    );
    let most = if plain { 0 } else { 12 };
    let forms = (0..=most).flat_map(|own| {
        [8, 4]
            .into_iter()
            .flat_map(move |word| [(word, 3, own), (word, 2, own)])
    });
    forms
        .into_iter()
        .find_map(|(word, entry, own)| fits(word, entry, own))
}

/// Whether a node is a Map, or of a class made from one.
pub(super) fn is_map(snapshot: &Snapshot, node: Node) -> bool {
    let (table, is_table) = rows(snapshot, node);
    match &*snapshot.name(node) {
        "Map" => true,
        "Set" => false,
        _ => is_table && layout(snapshot, node, table).is_some_and(|(_, entry)| entry == 3),
    }
}

/// Whether a node is a Set, or of a class made from one.
pub(super) fn is_set(snapshot: &Snapshot, node: Node) -> bool {
    rows(snapshot, node).1 && !is_map(snapshot, node)
}

/// The room for numbers in an array or a Set that has no other entries: they leave no edges, but need
/// room, in words.
pub(super) fn room(snapshot: &Snapshot, node: Node) -> u64 {
    let internal = snapshot.edge_kind.internal;
    let (table, is_table) = rows(snapshot, node);
    let store = match is_table {
        true => Some(table),
        false => snapshot.follow(node, internal, "elements"),
    };
    let Some(store) = store.filter(|&store| snapshot.graph.degree(store) <= 2) else {
        return 0;
    };
    match is_table {
        true => layout(snapshot, node, table).map_or(0, |(buckets, _)| 2 * buckets),
        // The size may have moved to the array.
        false => (snapshot.sizes.get(store) + snapshot.sizes.get(node)) / 8,
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
            of == kind.element
                || of == kind.property
                    && snapshot.strings.raw(snapshot.edge_names[edge as usize]) != b"__proto__"
        }
    })
}

/// Where the first key of a Map's table is, in threes: key, value, next in the chain. Entries are numbered
/// from after the table's length.
pub(super) fn first_key(snapshot: &Snapshot, map: Node) -> Option<u64> {
    let (table, is_table) = rows(snapshot, map);
    if !is_table {
        return None;
    }
    let (buckets, entry) = layout(snapshot, map, table)?;
    (entry == 3).then_some(3 + buckets)
}

/// The keys of an object that V8 keeps as a table: a value that is a small number leaves no edge, its key
/// does. Key, value and details lie in threes.
fn keys(snapshot: &Snapshot, node: Node) -> u64 {
    let internal = snapshot.edge_kind.internal;
    let Some(table) = snapshot.follow(node, internal, "properties") else {
        return 0;
    };
    let mut keys = [0u64; 3];
    for edge in snapshot.graph.of(table) {
        let to = snapshot.kinds[snapshot.graph.to(edge) as usize];
        let name = snapshot.strings.raw(snapshot.edge_names[edge as usize]);
        if snapshot.kind_of_edge(edge) == internal
            && (to == snapshot.kind.string)
            && let Some(place) = std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.parse::<usize>().ok())
        {
            keys[place % 3] += 1;
        }
    }
    keys.into_iter().max().unwrap_or_default()
}

/// Whether a node is one of V8's single values: undefined, null, true, false, the mark of a hole.
pub(super) fn is_oddball(snapshot: &Snapshot, node: Node) -> bool {
    snapshot.kinds[node as usize] == snapshot.kind.hidden
        && matches!(
            snapshot.strings.raw(snapshot.names[node as usize]),
            b"system / Oddball" | b"system / Hole"
        )
}

/// How many entries a container has.
pub(super) fn count(snapshot: &Snapshot, node: Node) -> u64 {
    if !rows(snapshot, node).1 {
        let seen = entries(snapshot, node).count() as u64;
        return seen.max(keys(snapshot, node));
    }
    // Keys and values lie side by side; numbers among them leave no edge. Where an entry was deleted, there is
    // V8's mark of a hole instead of its key, one of its oddballs.
    let mut places: Vec<(u64, bool)> = entries(snapshot, node)
        .filter_map(|edge| {
            let place = snapshot.edge_name(edge).parse().ok()?;
            Some((place, is_oddball(snapshot, snapshot.graph.to(edge))))
        })
        .collect();
    places.sort_unstable();
    if let Some(first) = first_key(snapshot, node) {
        let mut deleted = None;
        let mut seen = None;
        let mut count = 0;
        for (place, oddball) in places {
            let from_first = place.saturating_sub(first);
            let entry = from_first / 3;
            if oddball && from_first % 3 == 0 {
                deleted = Some(entry);
            }
            if deleted != Some(entry) && seen != Some(entry) {
                seen = Some(entry);
                count += 1;
            }
        }
        return count;
    }
    places.retain(|&(_, oddball)| !oddball);
    let places = places.into_iter().map(|(place, _)| place);
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
