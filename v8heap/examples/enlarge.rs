//! Makes a larger snapshot of a smaller one, for measuring: all nodes but the root several times,
//! each copy with ids and edges of its own.
//!
//!     cargo run --release -p leak-v8heap --example enlarge -- IN COPIES OUT

use std::fs::File;
use std::io::{BufWriter, Write};

use v8heap::Snapshot;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, copies, output] = &arguments[..] else {
        eprintln!("usage: enlarge IN COPIES OUT");
        std::process::exit(2);
    };
    let snapshot = v8heap::load(input.as_ref(), 2).unwrap_or_else(|error| {
        eprintln!("enlarge: {error}");
        std::process::exit(2);
    });
    let copies: u64 = copies.parse().unwrap_or(2);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(output)?);
    write(&snapshot, copies, &mut out)?;
    out.flush()
}

fn write(snapshot: &Snapshot, copies: u64, out: &mut impl Write) -> std::io::Result<()> {
    assert_eq!(snapshot.root, 0, "the root is the first node");
    let nodes = snapshot.ids.len() as u64;
    let edges = snapshot.graph.edges() as u64;
    let most = u64::from(snapshot.ids.iter().copied().max().unwrap_or_default()) / 2 * 2 + 2;
    let types = |names: &[String]| serde_json::to_string(names).unwrap_or_default();
    write!(
        out,
        "{{\"snapshot\":{{\"meta\":{{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"detachedness\"],\
         \"node_types\":[{},\"string\",\"number\",\"number\",\"number\",\"number\"],\
         \"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\"edge_types\":[{},\"string_or_number\",\"node\"],\
         \"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]}},\"node_count\":{},\"edge_count\":{}}},\n\"nodes\":[",
        types(&snapshot.node_types),
        types(&snapshot.edge_types),
        (nodes - 1) * copies + 1,
        edges * copies,
    )?;
    let row = |out: &mut dyn Write, node: u64, copy: u64| {
        let at = node as usize;
        let degree =
            u64::from(snapshot.graph.degree(node as u32)) * if node == 0 { copies } else { 1 };
        let state = snapshot
            .detachedness
            .as_ref()
            .map_or(0, |states| states[at]);
        let id = u64::from(snapshot.ids[at]) + if node == 0 { 0 } else { copy * most };
        let comma = if node == 0 { "" } else { "," };
        writeln!(
            out,
            "{comma}{},{},{id},{},{degree},{state}",
            snapshot.kinds[at],
            snapshot.names[at],
            snapshot.sizes.get(node as u32),
        )
    };
    row(out, 0, 0)?;
    for copy in 0..copies {
        for node in 1..nodes {
            row(out, node, copy)?;
        }
    }
    out.write_all(b"],\n\"edges\":[")?;
    let mut first = true;
    let mut edge_rows = |out: &mut dyn Write, node: u64, copy: u64| -> std::io::Result<()> {
        for edge in snapshot.graph.of(node as u32) {
            let to = u64::from(snapshot.graph.to(edge));
            let to = if to == 0 { 0 } else { to + copy * (nodes - 1) };
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            let name = snapshot.edge_names[edge as usize];
            writeln!(
                out,
                "{comma}{},{name},{}",
                snapshot.kind_of_edge(edge),
                to * 6
            )?;
        }
        Ok(())
    };
    for copy in 0..copies {
        edge_rows(out, 0, copy)?;
    }
    for copy in 0..copies {
        for node in 1..nodes {
            edge_rows(out, node, copy)?;
        }
    }
    out.write_all(b"],\n\"locations\":[")?;
    let mut comma = "";
    for copy in 0..copies {
        for (node, place) in snapshot.locations.iter() {
            let value = (u64::from(*node) + copy * (nodes - 1)) * 6;
            writeln!(
                out,
                "{comma}{value},{},{},{}",
                place.script, place.line, place.column
            )?;
            comma = ",";
        }
    }
    out.write_all(b"],\n\"strings\":[")?;
    for number in 0..snapshot.strings.len() as u32 {
        let comma = if number == 0 { "" } else { ",\n" };
        write!(out, "{comma}\"")?;
        out.write_all(snapshot.strings.raw(number))?;
        out.write_all(b"\"")?;
    }
    out.write_all(b"]}\n")
}
