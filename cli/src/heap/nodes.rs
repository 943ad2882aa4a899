//! `leak heap FILE --nodes`: the figures of every node, a line each, to compare and to script with.

use std::io::{self, Write};
use std::ops::Range;

use v8heap::Analysis;

/// Nodes whose lines a thread writes at a time.
const PIECE: usize = 1 << 16;

pub fn write(analysis: &Analysis, threads: u8, out: &mut impl Write) -> io::Result<()> {
    let nodes = analysis.snapshot.ids.len();
    let mut texts = vec![Vec::new(); usize::from(threads.max(1))];
    let mut next = 0;
    while next < nodes {
        std::thread::scope(|scope| {
            for text in &mut texts {
                let piece = next..nodes.min(next + PIECE);
                next = piece.end;
                scope.spawn(move || lines(analysis, piece, text));
            }
        });
        for text in &texts {
            out.write_all(text)?;
        }
    }
    Ok(())
}

/// Millions of lines: formatting would take longer than computing.
fn lines(analysis: &Analysis, nodes: Range<usize>, text: &mut Vec<u8>) {
    let snapshot = &analysis.snapshot;
    let mut digits = itoa::Buffer::new();
    text.clear();
    for node in nodes {
        text.extend_from_slice(digits.format(snapshot.ids[node]).as_bytes());
        text.push(b' ');
        text.extend_from_slice(digits.format(snapshot.sizes.get(node as u32)).as_bytes());
        text.push(b' ');
        text.extend_from_slice(digits.format(analysis.retained[node]).as_bytes());
        text.push(b' ');
        text.extend_from_slice(digits.format(analysis.distances[node]).as_bytes());
        text.push(b' ');
        text.extend_from_slice(digits.format(analysis.dominators.parent[node]).as_bytes());
        text.push(b'\n');
    }
}
