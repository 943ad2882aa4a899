//! `leak heap FILE --nodes`: the figures of every node, a line each, to compare and to script with.

use std::io::{self, Write};

use v8heap::Analysis;

pub fn write(analysis: &Analysis, out: &mut impl Write) -> io::Result<()> {
    let snapshot = &analysis.snapshot;
    for node in 0..snapshot.ids.len() {
        writeln!(
            out,
            "{} {} {} {} {}",
            snapshot.ids[node],
            snapshot.sizes.get(node as u32),
            analysis.retained[node],
            analysis.distances[node],
            analysis.dominators.parent[node]
        )?;
    }
    Ok(())
}
