//! `leak heap diff`: DevTools' comparison, over two snapshots or more.
//!
//! Only two snapshots are in memory at a time.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use v8heap::{Analysis, Change, Class, Classes, Scripts, compare};

use crate::error::Error;
use crate::figures::{bytes, count};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::{class_name, files, page, read, shown};

/// The changes of one step, by class.
struct Step {
    changes: HashMap<Class, Change>,
}

pub fn diff(
    files: &[PathBuf],
    unrelated: bool,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<(), Error> {
    files::check(files)?;
    v8heap::ids::are_comparable(files).map_err(Error::Snapshot)?;
    let mut steps = Vec::new();
    let mut scripts = Scripts::default();
    let mut earlier: Option<Analysis> = None;
    let mut last_classes = None;
    for file in files {
        // Of the earlier one only sizes are compared.
        if let Some(earlier) = &mut earlier {
            earlier.keep_sizes();
        }
        let later = read(file, flags)?;
        let classes = Classes::new(&later, None);
        if let Some(earlier) = &earlier {
            let before = &files[steps.len()];
            if !unrelated {
                let (earlier, later) = (&earlier.snapshot, &later.snapshot);
                v8heap::ids::are_in_order(earlier, before, later, file)
                    .and_then(|()| v8heap::ids::are_of_one_process(earlier, before, later, file))
                    .map_err(Error::Snapshot)?;
            }
            let changes = compare(earlier, &later, &classes).into_iter().collect();
            steps.push(Step { changes });
        }
        scripts = Scripts::new(&later.snapshot);
        earlier = Some(later);
        last_classes = Some(classes);
    }
    // All classes, by growth over all steps.
    let mut growth: HashMap<&Class, i128> = HashMap::new();
    for step in &steps {
        for (class, change) in &step.changes {
            *growth.entry(class).or_default() +=
                i128::from(change.added_bytes) - i128::from(change.removed_bytes);
        }
    }
    let mut rows: Vec<(&Class, i128)> = growth.into_iter().collect();
    rows.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.key().cmp(&b.key())));
    let all = rows.len();
    rows.truncate(shown(flags, 30));
    match flags.format {
        HeapFormat::Html => match (&earlier, &last_classes) {
            (Some(last), Some(classes)) => {
                page::snapshot(files, last, classes, &all_steps(&steps), out)
            }
            _ => Ok(()),
        },
        HeapFormat::Json => json(files, &steps, &rows, &scripts, out),
        HeapFormat::Text => text(files, &steps, &rows, all, &scripts, out),
    }
    .map_err(Error::Output)
}

/// The changes of all steps together.
fn all_steps(steps: &[Step]) -> HashMap<Class, Change> {
    let mut sums: HashMap<Class, Change> = HashMap::new();
    for (class, change) in steps.iter().flat_map(|step| &step.changes) {
        let sum = sums.entry(class.clone()).or_default();
        sum.added += change.added;
        sum.removed += change.removed;
        sum.added_bytes += change.added_bytes;
        sum.removed_bytes += change.removed_bytes;
    }
    sums
}

fn json(
    files: &[PathBuf],
    steps: &[Step],
    rows: &[(&Class, i128)],
    scripts: &Scripts,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let steps: Vec<_> = steps
        .iter()
        .zip(files.windows(2))
        .map(|(step, files)| {
            let classes: Vec<_> = rows
                .iter()
                .filter_map(|(class, _)| {
                    let change = step.changes.get(class)?;
                    Some(json!({
                        "key": class.key(),
                        "name": class.name,
                        "place": class.location.map(|location| scripts.place(location)),
                        "added": change.added,
                        "removed": change.removed,
                        "added_bytes": change.added_bytes,
                        "removed_bytes": change.removed_bytes,
                    }))
                })
                .collect();
            json!({
                "from": files[0].display().to_string(),
                "to": files[1].display().to_string(),
                "classes": classes,
            })
        })
        .collect();
    writeln!(out, "{:#}", json!({ "version": 1, "steps": steps }))
}

fn text(
    files: &[PathBuf],
    steps: &[Step],
    rows: &[(&Class, i128)],
    all: usize,
    scripts: &Scripts,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    writeln!(out, "{}\n", names.join(" -> "))?;
    if all == 0 {
        return writeln!(
            out,
            "Nothing came and nothing went: the same objects in all."
        );
    }
    for _ in steps {
        write!(out, "{:>9} {:>9} {:>11}  ", "new", "gone", "bytes")?;
    }
    writeln!(out, "class")?;
    for (class, _) in rows {
        for step in steps {
            let change = step.changes.get(class).copied().unwrap_or_default();
            let grown = i128::from(change.added_bytes) - i128::from(change.removed_bytes);
            write!(
                out,
                "{:>9} {:>9} {:>11}  ",
                count(change.added),
                count(change.removed),
                signed(grown)
            )?;
        }
        writeln!(out, "{}", class_name(class, scripts))?;
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

/// Bytes with their sign.
fn signed(grown: i128) -> String {
    let sign = match grown {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!(
        "{sign}{}",
        bytes(grown.unsigned_abs().min(u128::from(u64::MAX)) as u64)
    )
}
