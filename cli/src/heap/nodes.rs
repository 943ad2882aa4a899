//! `leak heap FILE --nodes`: the figures of every node, a line each, to compare and to script with.

use std::io::{self, Write};
use std::ops::Range;

use v8heap::Analysis;

/// Nodes whose lines a thread writes at a time.
const PIECE: usize = 1 << 17;
/// Bytes of the longest line: five numbers of 20 digits, a sign, and what is between them.
const LONGEST: usize = 128;
/// Digits that are made at once.
const EIGHT: u64 = 100_000_000;

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
    let mut line = [0; LONGEST];
    text.clear();
    for node in nodes {
        let distance = i64::from(analysis.distances[node]);
        let mut at = number(&mut line, 0, u64::from(snapshot.ids[node]), b' ');
        at = number(&mut line, at, snapshot.sizes.get(node as u32), b' ');
        at = number(&mut line, at, analysis.retained[node], b' ');
        if distance < 0 {
            line[at] = b'-';
            at += 1;
        }
        at = number(&mut line, at, distance.unsigned_abs(), b' ');
        let dominator = analysis.dominators.parent[node];
        at = number(&mut line, at, u64::from(dominator), b'\n');
        text.extend_from_slice(&line[..at]);
    }
}

/// Writes a number and what comes behind it; where the next one begins.
#[inline(always)]
fn number(line: &mut [u8; LONGEST], mut at: usize, value: u64, behind: u8) -> usize {
    let mut eight = |at: usize, digits: u64| {
        line[at..at + 8].copy_from_slice(&digits.to_le_bytes());
    };
    if value < EIGHT {
        let digits = eight_digits(value);
        // The zeros before it are the lowest bytes; a number has one digit at least.
        let zeros = (digits | 1 << 56).trailing_zeros() / 8;
        eight(at, (digits | ASCII) >> (8 * zeros));
        at += 8 - zeros as usize;
    } else {
        at = number_of_many(&mut eight, at, value);
    }
    line[at] = behind;
    at + 1
}

/// A number of nine digits or more.
#[cold]
fn number_of_many(eight: &mut impl FnMut(usize, u64), mut at: usize, value: u64) -> usize {
    let mut groups = [value / EIGHT / EIGHT, value / EIGHT % EIGHT, value % EIGHT].into_iter();
    let first = groups.find(|&group| group > 0).unwrap_or_default();
    let digits = eight_digits(first);
    let zeros = digits.trailing_zeros() / 8;
    eight(at, (digits | ASCII) >> (8 * zeros));
    at += 8 - zeros as usize;
    for group in groups {
        eight(at, eight_digits(group) | ASCII);
        at += 8;
    }
    at
}

const ASCII: u64 = u64::from_ne_bytes([b'0'; 8]);

/// The digits of a number below 10^8 as numbers 0 to 9, the first one in the lowest byte: halves, quarters
/// and digits are parted, all at once.
fn eight_digits(value: u64) -> u64 {
    // Two numbers below 10^4: `x * 10486 >> 20` is `x / 100` for these.
    let halves = value / 10_000 | (value % 10_000) << 32;
    let hundreds = (halves * 10_486 >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    // Four below 100: `x * 103 >> 10` is `x / 10`.
    let tens = (quarters * 103 >> 10) & 0x000f_000f_000f_000f;
    tens | (quarters - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_shown() {
        let powers = (0..20).map(|power| 10u64.pow(power));
        let near = powers.flat_map(|power| [power - 1, power, power + 1, power / 2 * 3]);
        let all = near.chain((0..64).map(|bit| u64::MAX >> bit));
        for value in all.chain(0..20_000).chain((0..EIGHT).step_by(9_973)) {
            let mut line = [0; LONGEST];
            let at = number(&mut line, 3, value, b'|');
            assert_eq!(line[3..at], *format!("{value}|").as_bytes());
        }
    }
}
