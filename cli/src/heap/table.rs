//! `leak heap FILE`: the table of classes, DevTools' summary.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use v8heap::{Analysis, Class, Classes, Scripts, Sums};

use crate::figures::{bytes, count, counted, percent};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::{class_name, page, shown, stacks};

pub fn write(
    file: &Path,
    analysis: &Analysis,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> io::Result<()> {
    let classes = Classes::new(analysis, None);
    let sums = classes.sums(analysis);
    let mut rows: Vec<(&Class, Sums)> = classes
        .all
        .iter()
        .zip(sums)
        .filter(|(_, sums)| sums.count > 0)
        .collect();
    rows.sort_by(|(a, x), (b, y)| {
        y.retained
            .cmp(&x.retained)
            .then_with(|| a.name.cmp(&b.name))
    });
    let all = rows.len();
    rows.truncate(shown(flags, 30));
    let scripts = Scripts::new(&analysis.snapshot);
    match flags.format {
        HeapFormat::Json => json(file, analysis, &rows, &scripts, out),
        HeapFormat::Html => {
            let files = [file.to_owned()];
            page::snapshot(&files, analysis, &classes, &HashMap::new(), out)
        }
        HeapFormat::Text => {
            text(file, analysis, &rows, all, &scripts, out)?;
            stacks::sums(&analysis.snapshot, shown(flags, 10), out)
        }
    }
}

fn json(
    file: &Path,
    analysis: &Analysis,
    rows: &[(&Class, Sums)],
    scripts: &Scripts,
    out: &mut impl Write,
) -> io::Result<()> {
    let classes: Vec<_> = rows
        .iter()
        .map(|(class, sums)| {
            json!({
                "key": class.key(),
                "name": class.name,
                "place": class.location.map(|location| scripts.place(location)),
                "count": sums.count,
                "distance": sums.distance,
                "self_bytes": sums.own,
                "retained_bytes": sums.retained,
            })
        })
        .collect();
    let whole = json!({
        "version": 1,
        "file": file.display().to_string(),
        "nodes": analysis.snapshot.graph.nodes(),
        "edges": analysis.snapshot.graph.edges(),
        "total_bytes": analysis.total(),
        "classes": classes,
        "allocation": stacks::sums_json(&analysis.snapshot),
    });
    writeln!(out, "{whole:#}")
}

fn text(
    file: &Path,
    analysis: &Analysis,
    rows: &[(&Class, Sums)],
    all: usize,
    scripts: &Scripts,
    out: &mut impl Write,
) -> io::Result<()> {
    let graph = &analysis.snapshot.graph;
    let total = analysis.total();
    writeln!(
        out,
        "{}\n{}, {}, {}\n",
        file.display(),
        bytes(total),
        counted(graph.nodes() as u64, "node"),
        counted(graph.edges() as u64, "edge"),
    )?;
    writeln!(
        out,
        "{:>10} {:>7}  {:>10} {:>11} {:>8}  class",
        "retained", "", "self", "count", "distance"
    )?;
    for (class, sums) in rows {
        writeln!(
            out,
            "{:>10} {:>7}  {:>10} {:>11} {:>8}  {}",
            bytes(sums.retained),
            percent(sums.retained, total),
            bytes(sums.own),
            count(sums.count),
            distance(sums.distance),
            class_name(class, scripts)
        )?;
    }
    if all > rows.len() {
        writeln!(
            out,
            "\n{} more; --top 0 shows all",
            count((all - rows.len()) as u64)
        )?;
    }
    Ok(())
}

/// What is reached only from V8's own has no distance that says anything.
fn distance(distance: i32) -> String {
    match distance {
        0..v8heap::SYSTEM_DISTANCE => distance.to_string(),
        _ => "-".to_owned(),
    }
}
