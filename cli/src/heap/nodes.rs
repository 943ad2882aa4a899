//! `leak heap FILE --nodes`: the figures of every node, a line each, to compare and to script with.

use std::io::{self, Write};

use v8heap::Analysis;

pub fn write(analysis: &Analysis, out: &mut impl Write) -> io::Result<()> {
    let snapshot = &analysis.snapshot;
    // Millions of lines: formatting would take longer than computing.
    let mut digits = itoa::Buffer::new();
    for node in 0..snapshot.ids.len() {
        out.write_all(digits.format(snapshot.ids[node]).as_bytes())?;
        out.write_all(b" ")?;
        out.write_all(digits.format(snapshot.sizes.get(node as u32)).as_bytes())?;
        out.write_all(b" ")?;
        out.write_all(digits.format(analysis.retained[node]).as_bytes())?;
        out.write_all(b" ")?;
        out.write_all(digits.format(analysis.distances[node]).as_bytes())?;
        out.write_all(b" ")?;
        out.write_all(digits.format(analysis.dominators.parent[node]).as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
