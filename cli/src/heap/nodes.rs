//! `leak heap FILE --nodes`: the figures of every node, a line each, to compare and to script with.

use std::io::{self, Write};
use std::ops::Range;

use v8heap::Analysis;

/// Nodes whose lines a thread writes at a time.
const PIECE: usize = 1 << 16;
/// Bytes of the longest line: five numbers of 20 digits, a sign, and what is between them.
const LONGEST: usize = 128;

/// The digits of the numbers below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + value as u8 / 10, b'0' + value as u8 % 10];
        value += 1;
    }
    pairs
};

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

/// Millions of lines: formatting would take longer than computing. Each is written from its end.
fn lines(analysis: &Analysis, nodes: Range<usize>, text: &mut Vec<u8>) {
    let snapshot = &analysis.snapshot;
    let mut line = [0; LONGEST];
    text.clear();
    for node in nodes {
        let distance = i64::from(analysis.distances[node]);
        let mut at = LONGEST - 1;
        line[at] = b'\n';
        at = digits(&mut line, at, u64::from(analysis.dominators.parent[node]));
        at = byte(&mut line, at, b' ');
        at = digits(&mut line, at, distance.unsigned_abs());
        if distance < 0 {
            at = byte(&mut line, at, b'-');
        }
        at = byte(&mut line, at, b' ');
        at = digits(&mut line, at, analysis.retained[node]);
        at = byte(&mut line, at, b' ');
        at = digits(&mut line, at, snapshot.sizes.get(node as u32));
        at = byte(&mut line, at, b' ');
        at = digits(&mut line, at, u64::from(snapshot.ids[node]));
        text.extend_from_slice(&line[at..]);
    }
}

/// Writes a byte before `at`.
fn byte(line: &mut [u8; LONGEST], at: usize, with: u8) -> usize {
    line[at - 1] = with;
    at - 1
}

/// Writes a number before `at`.
fn digits(line: &mut [u8; LONGEST], mut at: usize, mut value: u64) -> usize {
    while value >= 100 {
        let pair = PAIRS[(value % 100) as usize];
        line[at - 2..at].copy_from_slice(&pair);
        at -= 2;
        value /= 100;
    }
    let [tens, ones] = PAIRS[value as usize];
    at = byte(line, at, ones);
    if tens == b'0' {
        at
    } else {
        byte(line, at, tens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_before_a_place() {
        for value in [0, 7, 10, 99, 100, 101, 999, 1000, 4_294_967_295, u64::MAX] {
            let mut line = [0; LONGEST];
            let at = digits(&mut line, LONGEST, value);
            assert_eq!(line[at..], *value.to_string().as_bytes());
        }
    }
}
