//! `leak heap query`.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use v8heap::query::{Query, Subject};
use v8heap::{Classes, Scripts, what};

use crate::error::Error;
use crate::figures::{bytes, counted};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::{read, shown};

pub fn query(
    file: &Path,
    text: &str,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<(), Error> {
    let query = Query::parse(text).map_err(|why| Error::Query {
        text: "the expression".to_owned(),
        why: why.to_string(),
    })?;
    let analysis = read(file, flags)?;
    let snapshot = &analysis.snapshot;
    let (classes, scripts) = (Classes::new(&analysis, None), Scripts::new(snapshot));
    let subject = Subject {
        analysis: &analysis,
        classes: &classes,
        scripts: &scripts,
    };
    let mut nodes: Vec<u32> = (0..snapshot.graph.nodes() as u32)
        .filter(|&node| query.matches(&subject, node))
        .collect();
    nodes.sort_by_key(|&node| (std::cmp::Reverse(analysis.retained[node as usize]), node));
    let all = nodes.len();
    let own: u64 = nodes.iter().map(|&node| snapshot.sizes.get(node)).sum();
    nodes.truncate(shown(flags, 30));
    let class = |node: u32| &classes.all[classes.of[node as usize] as usize].name;
    let written = if flags.format == HeapFormat::Json {
        let rows: Vec<_> = nodes
            .iter()
            .map(|&node| {
                json!({
                    "id": snapshot.ids[node as usize],
                    "class": class(node),
                    "what": what(snapshot, &scripts, node),
                    "place": scripts.place_of(snapshot, node),
                    "self_bytes": snapshot.sizes.get(node),
                    "retained_bytes": analysis.retained[node as usize],
                    "distance": analysis.distances[node as usize],
                })
            })
            .collect();
        writeln!(
            out,
            "{:#}",
            json!({ "version": 1, "count": all, "self_bytes": own, "nodes": rows })
        )
    } else {
        (|| {
            writeln!(
                out,
                "{}, {} themselves\n",
                counted(all as u64, "node"),
                bytes(own)
            )?;
            writeln!(
                out,
                "{:>10}  {:>10}  {:>10}  what",
                "retained", "self", "id"
            )?;
            for &node in &nodes {
                let id = format!("@{}", snapshot.ids[node as usize]);
                let (retained, own) = (analysis.retained[node as usize], snapshot.sizes.get(node));
                writeln!(
                    out,
                    "{:>10}  {:>10}  {id:>10}  {}",
                    bytes(retained),
                    bytes(own),
                    what(snapshot, &scripts, node)
                )?;
            }
            Ok(())
        })()
    };
    written.map_err(Error::Output)
}
