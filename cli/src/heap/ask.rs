//! `leak heap query` and `leak heap assert`.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use v8heap::query::{Query, Subject};
use v8heap::{Classes, Scripts, what};

use crate::error::Error;
use crate::figures::{bytes, count, counted, parse_bytes};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::{read, shown};

pub fn query(
    file: &Path,
    text: &str,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<(), Error> {
    let query = Query::parse(text).map_err(|why| Error::Query {
        text: text.to_owned(),
        why,
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

/// A bound of a class: its name, and what may not be exceeded.
fn bound(text: &str) -> Result<(&str, u64), Error> {
    let wrong = |why: String| Error::Query {
        text: text.to_owned(),
        why,
    };
    let (class, most) = text
        .rsplit_once('=')
        .ok_or_else(|| wrong("CLASS=MOST expected, like Session=1MB".to_owned()))?;
    Ok((class, parse_bytes(most).map_err(wrong)?))
}

/// Whether all bounds hold; those that do not are told.
pub fn assert(
    file: &Path,
    max_retained: &[String],
    max_count: &[String],
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let bounds = |texts: &'_ [String]| -> Result<Vec<(String, u64)>, Error> {
        texts
            .iter()
            .map(|text| bound(text).map(|(class, most)| (class.to_owned(), most)))
            .collect()
    };
    let (retained, counts) = (bounds(max_retained)?, bounds(max_count)?);
    let analysis = read(file, flags)?;
    let classes = Classes::new(&analysis, None);
    let sums = classes.sums(&analysis);
    let of = |name: &str| {
        let rows = classes
            .all
            .iter()
            .zip(&sums)
            .filter(|(class, _)| class.name == name);
        rows.fold((0, 0), |(count, retained), (_, sums)| {
            (count + sums.count, retained + sums.retained)
        })
    };
    let mut rows = Vec::new();
    for (class, most) in &retained {
        rows.push((class, "retained", of(class).1, *most));
    }
    for (class, most) in &counts {
        rows.push((class, "count", of(class).0, *most));
    }
    let well = rows.iter().all(|&(_, _, found, most)| found <= most);
    let written = if flags.format == HeapFormat::Json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(class, what, found, most)| json!({ "class": class, "what": what, "found": found, "most": most, "holds": found <= most }))
            .collect();
        writeln!(
            out,
            "{:#}",
            json!({ "version": 1, "holds": well, "bounds": rows })
        )
    } else {
        rows.iter().try_for_each(|&(class, what, found, most)| {
            let show = |n| if what == "count" { count(n) } else { bytes(n) };
            let word = if found <= most { "holds" } else { "EXCEEDED" };
            // A name that is misspelt would hold for ever.
            let none = if of(class).0 == 0 {
                " (there is none)"
            } else {
                ""
            };
            writeln!(
                out,
                "{word:>8}  {class}: {what} {} of at most {}{none}",
                show(found),
                show(most)
            )
        })
    };
    written.map_err(Error::Output)?;
    Ok(well)
}
