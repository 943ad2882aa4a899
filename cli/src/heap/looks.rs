//! `leak heap shapes`, `leak heap fanout`, `leak heap strings`: a snapshot from other sides.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use v8heap::string_use::{Parent, Sort, StringUse};
use v8heap::{Scripts, Ways, fanout, hidden_classes, what};

use crate::error::Error;
use crate::figures::{bytes, count};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::leaks::way_text;
use crate::heap::{read, shown};

/// Objects with fewer references are no collections.
const LEAST_REFERENCES: u64 = 10;

fn write_json(out: &mut impl Write, whole: &Value) -> Result<(), Error> {
    writeln!(out, "{whole:#}").map_err(Error::Output)
}

/// Says that there is more.
fn more(out: &mut impl Write, all: usize, shown: usize) -> io::Result<()> {
    match all.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(left) => writeln!(out, "\n{} more; --top 0 shows all", count(left as u64)),
    }
}

pub fn shapes_of(file: &Path, flags: &OutputFlags, out: &mut impl Write) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let scripts = Scripts::new(&analysis.snapshot);
    let mut rows = hidden_classes::shapes(&analysis);
    let all = rows.len();
    rows.truncate(shown(flags, 30));
    let place = |location: Option<v8heap::Location>| {
        location
            .filter(|&location| !scripts.is_internal(location))
            .map(|location| scripts.place(location))
    };
    if flags.format == HeapFormat::Json {
        let shapes: Vec<_> = rows
            .iter()
            .map(|shape| {
                json!({
                    "class": shape.class,
                    "place": place(shape.location),
                    "hidden_class_id": shape.hidden_class,
                    "properties": shape.properties,
                    "more_properties": shape.more_properties,
                    "count": shape.count,
                    "self_bytes": shape.own,
                    "retained_bytes": shape.retained,
                    "shapes_of_class": shape.of_class,
                    "example_id": shape.example,
                })
            })
            .collect();
        return write_json(
            out,
            &json!({ "version": 1, "count": all, "shapes": shapes }),
        );
    }
    let text = |out: &mut dyn Write| {
        writeln!(
            out,
            "{} shapes; of class: how many the class has\n",
            count(all as u64)
        )?;
        writeln!(
            out,
            "{:>10} {:>10} {:>10} {:>9}  shape",
            "retained", "self", "count", "of class"
        )?;
        for shape in &rows {
            let mut names = shape.properties.join(", ");
            let hidden = shape.more_properties;
            if names.chars().count() > 90 {
                names = names.chars().take(89).chain(['…']).collect();
            } else if hidden > 0 {
                names += &format!(", … {} more", count(hidden));
            }
            let place = place(shape.location).map_or(String::new(), |place| format!("  {place}"));
            writeln!(
                out,
                "{:>10} {:>10} {:>10} {:>9}  {} {{{names}}}{place}",
                bytes(shape.retained),
                bytes(shape.own),
                count(shape.count),
                count(shape.of_class),
                shape.class
            )?;
        }
        Ok(())
    };
    text(out)
        .and_then(|()| more(out, all, rows.len()))
        .map_err(Error::Output)
}

pub fn fanout_of(file: &Path, flags: &OutputFlags, out: &mut impl Write) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let snapshot = &analysis.snapshot;
    let scripts = Scripts::new(snapshot);
    let ways = Ways::new(&analysis, &scripts);
    let rows = fanout::fanout(&analysis, LEAST_REFERENCES, shown(flags, 20));
    let written = if flags.format == HeapFormat::Json {
        let objects: Vec<_> = rows
            .iter()
            .map(|fan| {
                json!({
                    "id": snapshot.ids[fan.node as usize],
                    "what": what(snapshot, &scripts, fan.node),
                    "references": fan.references,
                    "entries": fan.entries,
                    "self_bytes": snapshot.sizes.get(fan.node),
                    "retained_bytes": analysis.retained[fan.node as usize],
                    "way": way_text(&ways.to(&analysis, &scripts, fan.node)),
                })
            })
            .collect();
        return write_json(out, &json!({ "version": 1, "objects": objects }));
    } else {
        (|| {
            writeln!(
                out,
                "{:>11} {:>10} {:>10}  object",
                "references", "entries", "retained"
            )?;
            for fan in &rows {
                writeln!(
                    out,
                    "{:>11} {:>10} {:>10}  {}  @{}\n{:>35}kept by: {}",
                    count(fan.references),
                    count(fan.entries),
                    bytes(analysis.retained[fan.node as usize]),
                    what(snapshot, &scripts, fan.node),
                    snapshot.ids[fan.node as usize],
                    "",
                    way_text(&ways.to(&analysis, &scripts, fan.node))
                )?;
            }
            Ok(())
        })()
    };
    written.map_err(Error::Output)
}

pub fn strings_of(file: &Path, flags: &OutputFlags, out: &mut impl Write) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let snapshot = &analysis.snapshot;
    let mut found = StringUse::new(&analysis);
    let top = shown(flags, 15);
    found.beginnings.truncate(top);
    found.parents.truncate(top);
    let id = |parent: &Parent| snapshot.ids[parent.node as usize];
    if flags.format == HeapFormat::Json {
        let sorts = |sorts: &[Sort]| -> Vec<Value> {
            sorts
                .iter()
                .map(|sort| {
                    json!({ "name": sort.name, "count": sort.count, "self_bytes": sort.own, "largest_id": sort.largest })
                })
                .collect()
        };
        let parents: Vec<_> = found
            .parents
            .iter()
            .map(|parent| {
                json!({
                    "id": id(parent),
                    "text": snapshot.name(parent.node),
                    "self_bytes": parent.own,
                    "slices": parent.slices,
                    "by_slices_only": parent.by_slices_only,
                })
            })
            .collect();
        let whole = json!({
            "version": 1,
            "kept": sorts(&found.kept),
            "looks": sorts(&found.looks),
            "beginnings": sorts(&found.beginnings),
            "sliced": parents,
        });
        return write_json(out, &whole);
    }
    let table = |title: &str, sorts: &[Sort], quoted: bool, out: &mut dyn Write| {
        writeln!(out, "{:>10} {:>10}  {title}", "self", "count")?;
        for sort in sorts {
            let name = if quoted {
                format!("{:?}", sort.name)
            } else {
                sort.name.clone()
            };
            writeln!(
                out,
                "{:>10} {:>10}  {name}  (largest @{})",
                bytes(sort.own),
                count(sort.count),
                sort.largest
            )?;
        }
        writeln!(out)
    };
    let written = table("how they are kept", &found.kept, false, out)
        .and_then(|()| table("what they look like", &found.looks, false, out))
        .and_then(|()| table("how they begin", &found.beginnings, true, out))
        .and_then(|()| {
            writeln!(out, "{:>10} {:>10}  kept whole by slices", "self", "slices")?;
            for parent in &found.parents {
                let text: String = snapshot.name(parent.node).chars().take(50).collect();
                let only = if parent.by_slices_only {
                    ", by nothing else: copies of the slices would free it"
                } else {
                    ""
                };
                writeln!(
                    out,
                    "{:>10} {:>10}  {text:?} @{}{only}",
                    bytes(parent.own),
                    count(parent.slices),
                    id(parent)
                )?;
            }
            Ok(())
        });
    written.map_err(Error::Output)
}
