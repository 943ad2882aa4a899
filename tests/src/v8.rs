//! Heap snapshots that are written by hand.

use std::fmt::Write as _;

/// A snapshot: nodes as (type, name, id, size, edges), edges as (type, name, to).
pub fn snapshot(
    nodes: &[(u32, u32, u32, u64, u32)],
    edges: &[(u32, u32, u32)],
    strings: &[&str],
) -> String {
    let mut text = format!(
        "{{\"snapshot\":{{\"meta\":{{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"detachedness\"],\
         \"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\"],\
         \"string\",\"number\",\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\
         \"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],\"string_or_number\",\"node\"]}},\
         \"node_count\":{},\"edge_count\":{}}},\n\"nodes\":[",
        nodes.len(),
        edges.len()
    );
    for (i, (kind, name, id, size, count)) in nodes.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        writeln!(text, "{comma}{kind},{name},{id},{size},{count},0").expect("a string");
    }
    text.push_str("],\n\"edges\":[");
    for (i, (kind, name, to)) in edges.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        writeln!(text, "{comma}{kind},{name},{}", to * 6).expect("a string");
    }
    let strings: Vec<String> = strings.iter().map(|text| format!("{text:?}")).collect();
    write!(
        text,
        "],\n\"locations\":[],\n\"strings\":[{}]}}",
        strings.join(",\n")
    )
    .expect("a string");
    text
}

/// A snapshot of a root that keeps so many `Point`s, which have the ids from 101 on.
pub fn with_points(count: u32) -> String {
    let mut nodes = vec![(9, 0, 1, 0, 1), (3, 1, 3, 16, count)];
    nodes.extend((0..count).map(|i| (3, 2, 101 + 2 * i, 24, 0)));
    let mut edges = vec![(1, 0, 1)];
    edges.extend((0..count).map(|i| (3, 3, 2 + i)));
    snapshot(&nodes, &edges, &["", "Object", "{x, y}", "part"])
}
