//! `leak heap why`: what keeps one object.

use std::io::{self, Write};
use std::path::Path;

use graph::Retainers;
use serde_json::json;
use v8heap::{Analysis, Scripts, Ways, what};

use crate::error::Error;
use crate::figures::{bytes, counted};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::leaks::way_text;
use crate::heap::{read, shown};

pub fn why(file: &Path, id: u32, flags: &OutputFlags, out: &mut impl Write) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let node = analysis
        .snapshot
        .node_of_id(id)
        .ok_or_else(|| Error::NoSuchObject {
            file: file.to_owned(),
            id,
        })?;
    explain(&analysis, node, flags, out).map_err(Error::Output)
}

fn explain(
    analysis: &Analysis,
    node: u32,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> io::Result<()> {
    let snapshot = &analysis.snapshot;
    let scripts = Scripts::new(snapshot);
    let way = Ways::new(analysis, &scripts).to(analysis, &scripts, node);
    let retainers = Retainers::new(&snapshot.graph);
    let mut dominators = Vec::new();
    let mut at = node;
    while at != snapshot.root {
        at = analysis.dominators.parent[at as usize];
        dominators.push(at);
    }
    let top = shown(flags, 10);
    let named = |node: u32| {
        format!(
            "{} @{}",
            what(snapshot, &scripts, node),
            snapshot.ids[node as usize]
        )
    };
    let direct: Vec<(u32, u32)> = retainers
        .of(node)
        .filter(|&(_, edge)| snapshot.kind_of_edge(edge) != snapshot.edge_kind.weak)
        .collect();
    if flags.format == HeapFormat::Json {
        let whole = json!({
            "version": 1,
            "id": snapshot.ids[node as usize],
            "what": what(snapshot, &scripts, node),
            "place": scripts.place_of(snapshot, node),
            "self_bytes": snapshot.sizes.get(node),
            "retained_bytes": analysis.retained[node as usize],
            "distance": analysis.distances[node as usize],
            "way": way.iter().map(|step| json!({
                "by": step.by, "what": step.what, "id": step.id, "times": step.times,
            })).collect::<Vec<_>>(),
            "dominators": dominators.iter().take(1000).map(|&node| json!({
                "id": snapshot.ids[node as usize], "what": what(snapshot, &scripts, node),
                "retained_bytes": analysis.retained[node as usize],
            })).collect::<Vec<_>>(),
            "retainers": direct.iter().take(top).map(|&(from, edge)| json!({
                "id": snapshot.ids[from as usize], "what": what(snapshot, &scripts, from),
                "edge": snapshot.edge_name(edge), "type": snapshot.edge_types[usize::from(snapshot.kind_of_edge(edge))],
            })).collect::<Vec<_>>(),
        });
        return writeln!(out, "{whole:#}");
    }
    writeln!(
        out,
        "{}\nself {}, retained {}\n\nkept by: {}",
        named(node),
        bytes(snapshot.sizes.get(node)),
        bytes(analysis.retained[node as usize]),
        way_text(&way)
    )?;
    writeln!(out, "\nwhat would free it, if it went:")?;
    for &above in dominators.iter().take(top) {
        writeln!(
            out,
            "  {:>10}  {}",
            bytes(analysis.retained[above as usize]),
            named(above)
        )?;
    }
    writeln!(out, "\n{}:", counted(direct.len() as u64, "retainer"))?;
    for &(from, edge) in direct.iter().take(top) {
        let kind = &snapshot.edge_types[usize::from(snapshot.kind_of_edge(edge))];
        writeln!(
            out,
            "  {kind} {}  of {}",
            snapshot.edge_name(edge),
            named(from)
        )?;
    }
    Ok(())
}
