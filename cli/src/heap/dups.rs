//! `leak heap dups`: strings that are there more than once.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::error::Error;
use crate::figures::{bytes, count};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::{read, shown};

pub fn dups(file: &Path, flags: &OutputFlags, out: &mut impl Write) -> Result<(), Error> {
    let analysis = read(file, flags)?;
    let snapshot = &analysis.snapshot;
    // V8 writes the first 1,024 characters; the size tells longer ones apart.
    let mut groups: HashMap<(u32, u64), (u64, u32)> = HashMap::new();
    for (node, &name) in snapshot.names.iter().enumerate() {
        let size = snapshot.sizes.get(node as u32);
        if snapshot.kinds[node] == snapshot.kind.string && size > 0 {
            let group = groups
                .entry((name, size))
                .or_insert((0, snapshot.ids[node]));
            group.0 += 1;
        }
    }
    let mut rows: Vec<_> = groups
        .into_iter()
        .filter(|(_, (copies, _))| *copies > 1)
        .collect();
    let waste = |&((_, size), (copies, _)): &((u32, u64), (u64, u32))| size * (copies - 1);
    rows.sort_by_key(|row| (std::cmp::Reverse(waste(row)), row.0.0));
    let total: u64 = rows.iter().map(waste).sum();
    let all = rows.len();
    rows.truncate(shown(flags, 20));
    let written = if flags.format == HeapFormat::Json {
        let strings: Vec<_> = rows
            .iter()
            .map(|row| {
                let &((name, size), (copies, id)) = row;
                json!({ "text": snapshot.strings.get(name), "copies": copies, "self_bytes": size, "wasted_bytes": waste(row), "id": id })
            })
            .collect();
        writeln!(
            out,
            "{:#}",
            json!({ "version": 1, "wasted_bytes": total, "strings": strings })
        )
    } else {
        (|| {
            writeln!(
                out,
                "{} in further copies of {} strings\n",
                bytes(total),
                count(all as u64)
            )?;
            writeln!(
                out,
                "{:>10} {:>9}  {:>10}  text",
                "wasted", "copies", "each"
            )?;
            for row in &rows {
                let &((name, size), (copies, _)) = row;
                let text: String = snapshot.strings.get(name).chars().take(80).collect();
                writeln!(
                    out,
                    "{:>10} {:>9}  {:>10}  {text:?}",
                    bytes(waste(row)),
                    count(copies),
                    bytes(size)
                )?;
            }
            Ok(())
        })()
    };
    written.map_err(Error::Output)
}
