//! Tables of numbers: rows of a fixed number of decimal integers, parsed by several threads.
//!
//! A table is cut into pieces at commas. How many values each piece holds is counted first (that
//! is a fast search for one byte), so that each row knows its place and every piece is parsed
//! straight into the columns.
//!
//! Values are read a few thousand at a time into a buffer that stays in the cache: on x86-64 by
//! `blocks`, 64 bytes at once; elsewhere, and where a table is not written as V8 writes it, one by
//! one.

#[cfg(target_arch = "x86_64")]
mod blocks;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Fault;
use crate::threads::on_threads;

/// Most fields a row may have.
pub(crate) const MAX_FIELDS: usize = 16;

/// Values read ahead of their rows: 16 KB.
const AHEAD: usize = 2048;

/// A part of a table.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Its bytes; begins with a value.
    pub(crate) bytes: Range<usize>,
    /// The rows that begin in it.
    pub(crate) rows: Range<usize>,
    /// How many values of a row that began before it come first.
    skip: usize,
}

/// Where a table is, before it is known what its values mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extent {
    /// What is between its brackets.
    pub(crate) range: Range<usize>,
    /// Pieces of it, each of which begins with a value, and the commas in each.
    cuts: Vec<(Range<usize>, usize)>,
}

impl Extent {
    /// Of the table that begins at `start`, behind its bracket, cut into pieces of about `size`
    /// bytes. The end is the next `]`: it is looked for, and commas are counted, by several threads
    /// at once, of which some may look too far. `None` if there is no end.
    pub(crate) fn find(bytes: &[u8], start: usize, size: usize, threads: usize) -> Option<Extent> {
        let boundary = |piece: usize| {
            let nominal = start + piece * size;
            let rest = bytes.get(nominal..).unwrap_or_default();
            match memchr::memchr2(b',', b']', rest) {
                _ if piece == 0 => start,
                Some(at) => nominal + at + usize::from(rest[at] == b','),
                None => bytes.len(),
            }
        };
        // The first piece with the end in it.
        let last = AtomicUsize::new(usize::MAX);
        let found = Mutex::new(Vec::new());
        let pieces = (0..(bytes.len() - start).div_ceil(size))
            .take_while(|&piece| piece <= last.load(Ordering::Relaxed));
        // Nothing of this fails.
        let _ = on_threads(threads, pieces, |piece| {
            let (from, to) = (boundary(piece), boundary(piece + 1));
            let (commas, end) = count(&bytes[from..to.max(from)]);
            if end.is_some() {
                last.fetch_min(piece, Ordering::Relaxed);
            }
            let end = end.map(|end| from + end);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.push((piece, from..end.unwrap_or(to), commas, end));
            Ok(())
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable_by_key(|&(piece, ..)| piece);
        let end = found.iter().find_map(|&(.., end)| end)?;
        let range = start..end;
        found.retain(|(_, cut, ..)| cut.start < end && !cut.is_empty());
        if bytes[range.clone()].trim_ascii().is_empty() {
            found.clear();
        }
        let cuts = found.into_iter().map(|(_, cut, commas, _)| (cut, commas));
        Some(Extent {
            range,
            cuts: cuts.collect(),
        })
    }
}

/// The commas before the first `]`, and where that is.
fn count(bytes: &[u8]) -> (usize, Option<usize>) {
    // In steps that stay in the cache for the second look.
    const STEP: usize = 16 << 10;
    let mut commas = 0;
    for (number, step) in bytes.chunks(STEP).enumerate() {
        let end = memchr::memchr(b']', step);
        commas += memchr::memchr_iter(b',', &step[..end.unwrap_or(step.len())]).count();
        if let Some(end) = end {
            return (commas, Some(number * STEP + end));
        }
    }
    (commas, None)
}

/// The table `name` at `extent`, whose rows have `fields` values.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) extent: Extent,
    pub(crate) fields: usize,
}

impl Table {
    /// Its pieces with their rows, and the number of all rows.
    pub(crate) fn pieces(&self) -> Result<(Vec<Piece>, usize), Fault> {
        let cuts = &self.extent.cuts;
        let values = match cuts.len() {
            0 => 0,
            _ => cuts.iter().map(|(_, commas)| commas).sum::<usize>() + 1,
        };
        if !values.is_multiple_of(self.fields) {
            return Err(Fault::Contradiction {
                what: format!(
                    "{:?} has {values} values, which is no whole number of rows of {}",
                    self.name, self.fields
                ),
            });
        }
        let rows = values / self.fields;
        let mut before = 0usize;
        let mut pieces = cuts
            .iter()
            .map(|(bytes, count)| {
                let first = before.div_ceil(self.fields);
                let skip = first * self.fields - before;
                before += count;
                Piece {
                    bytes: bytes.clone(),
                    rows: first..before.div_ceil(self.fields).min(rows),
                    skip,
                }
            })
            .collect::<Vec<_>>();
        if let Some(last) = pieces.last_mut() {
            last.rows.end = rows;
        }
        Ok((pieces, rows))
    }

    /// Parses the rows of a piece, in order; a row is its values by field.
    pub(crate) fn parse<E: From<Fault>>(
        &self,
        bytes: &[u8],
        piece: &Piece,
        mut row: impl FnMut(&[u64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = Reader {
            bytes: &bytes[..self.extent.range.end],
            at: piece.bytes.start,
            part: self.name,
        };
        for _ in 0..piece.skip {
            reader.value()?;
        }
        let mut ahead = [0; AHEAD];
        let mut left = piece.rows.len() * self.fields;
        while left > 0 {
            let values = &mut ahead[..left.min(AHEAD / self.fields * self.fields)];
            reader.fill(values)?;
            for values in values.chunks_exact(self.fields) {
                row(values)?;
            }
            left -= values.len();
        }
        Ok(())
    }
}

struct Reader<'a> {
    /// Up to the end of the table; the whole file goes on behind it.
    bytes: &'a [u8],
    at: usize,
    part: &'static str,
}

impl Reader<'_> {
    /// The next values.
    fn fill(&mut self, values: &mut [u64]) -> Result<(), Fault> {
        #[cfg(target_arch = "x86_64")]
        let (done, at) = blocks::read(self.bytes, self.at, values);
        #[cfg(not(target_arch = "x86_64"))]
        let (done, at) = (0, self.at);
        self.at = at;
        for value in &mut values[done..] {
            *value = self.value()?;
        }
        Ok(())
    }

    /// The next value, and the comma behind it if there is one.
    #[inline(always)]
    fn value(&mut self) -> Result<u64, Fault> {
        // The usual case: up to seven digits and a comma within eight bytes. Behind the last field
        // of a row V8 breaks the line before the comma.
        if let Some(eight) = self.bytes.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes(eight.try_into().unwrap_or_default());
            let (length, value) = digits(word);
            if length == 8 {
                // Large tables have many such; few have more digits.
                return self.long_value(value);
            }
            if length != 0 {
                let end = self.at + length;
                let behind = (word >> (8 * length)) as u8;
                if behind == b',' {
                    self.at = end + 1;
                    return Ok(value);
                }
                if behind == b'\n' && self.bytes.get(end + 1) == Some(&b',') {
                    self.at = end + 2;
                    return Ok(value);
                }
            }
        }
        self.any_value()
    }

    #[cold]
    fn wrong(&self, expected: &'static str) -> Fault {
        Fault::Malformed {
            part: self.part,
            byte: self.at as u64,
            expected,
        }
    }

    /// A value of eight digits or more, of which the first eight are known.
    #[inline]
    fn long_value(&mut self, first: u64) -> Result<u64, Fault> {
        let mut value = first;
        let mut at = self.at + 8;
        while let Some(digit) = self.bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            // What may overflow is left to the other way.
            if at - self.at > 17 {
                return self.any_value();
            }
            value = value * 10 + u64::from(digit - b'0');
            at += 1;
        }
        let end = match self.bytes.get(at) {
            Some(b',') => at + 1,
            Some(b'\n') if self.bytes.get(at + 1) == Some(&b',') => at + 2,
            _ => return self.any_value(),
        };
        self.at = end;
        Ok(value)
    }

    #[inline(never)]
    fn any_value(&mut self) -> Result<u64, Fault> {
        self.space();
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| self.wrong("a smaller number"))?;
            self.at += 1;
        }
        if self.at == start {
            return Err(self.wrong("a number"));
        }
        self.space();
        match self.bytes.get(self.at) {
            None => {}
            Some(b',') => self.at += 1,
            Some(_) => return Err(self.wrong("a comma")),
        }
        Ok(value)
    }

    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
}

/// The value of eight digits (the first is the lowest byte), as numbers 0 to 9: pairs, fours and
/// eights are joined.
#[inline(always)]
fn joined(digits: u64) -> u64 {
    const FOURS: u64 = 0x0000_00FF_0000_00FF;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & FOURS).wrapping_mul(0x000F_4240_0000_0064);
    let rest = ((pairs >> 16) & FOURS).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(rest) >> 32
}

/// How many of the eight bytes (the first is the lowest) are digits before the first that is none,
/// and their value. If all eight are digits the value is that of all eight.
#[inline(always)]
fn digits(word: u64) -> (usize, u64) {
    // Digits become 0 to 9; adding 0x76 carries anything above into the high bit.
    let low = word ^ 0x3030_3030_3030_3030;
    let others = (low.wrapping_add(0x7676_7676_7676_7676) | low) & 0x8080_8080_8080_8080;
    let length = others.trailing_zeros() as usize / 8;
    if length == 0 {
        return (0, 0);
    }
    // The digits go to the top, zeros come before them.
    (length, joined(low << (64 - 8 * length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_end_where_something_else_begins() {
        for (text, length, value) in [
            ("0,000000", 1, 0),
            ("12345,78", 5, 12345),
            ("1234567\n", 7, 1_234_567),
            ("12345678", 8, 12_345_678),
            ("99\u{ff}9\u{80}9", 2, 99),
            (",1234567", 0, 0),
            ("9:999999", 1, 9),
            ("8/888888", 1, 8),
        ] {
            let eight = text.as_bytes()[..8].try_into().expect("eight bytes");
            let (found, number) = digits(u64::from_le_bytes(eight));
            assert_eq!((found, number), (length, value), "{text:?}");
        }
    }

    fn table(text: &str, fields: usize, size: usize) -> Result<Vec<Vec<u64>>, Fault> {
        let text = format!("{text}]1,[2],");
        let bytes = text.as_bytes();
        let table = Table {
            name: "nodes",
            extent: Extent::find(bytes, 0, size, 2).expect("an end"),
            fields,
        };
        assert_eq!(table.extent.range.end, text.len() - 7);
        let (pieces, count) = table.pieces()?;
        let mut rows = Vec::new();
        for piece in &pieces {
            assert_eq!(piece.rows.start, rows.len());
            table.parse::<Fault>(bytes, piece, |row| {
                rows.push(row[..fields].to_vec());
                Ok(())
            })?;
        }
        assert_eq!(rows.len(), count);
        Ok(rows)
    }

    #[test]
    fn pieces_of_any_size_give_the_same_rows() {
        let text =
            "1,22,333\n,4444,55555,4294967296\n, 7 ,8\t,9\n,10,123456789,18446744073709551615";
        let whole = table(text, 3, 1000).expect("well formed");
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1], [4444, 55555, 1 << 32]);
        assert_eq!(whole[3], [10, 123_456_789, u64::MAX]);
        for size in 1..text.len() {
            assert_eq!(table(text, 3, size).as_ref(), Ok(&whole), "{size}");
        }
        assert_eq!(table(" \n", 3, 10), Ok(Vec::new()));
    }

    #[test]
    fn long_tables_are_read_as_short_ones_wherever_they_are_odd() {
        // Numbers of all lengths in no order, and now and then what V8 does not write.
        let mut state = 7u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for odd in ["", " ", "\n", "\t\n "] {
            let rows: Vec<Vec<u64>> = (0..3000)
                .map(|_| {
                    (0..3)
                        .map(|_| (random() << 31 | random()) >> (random() % 62))
                        .collect()
                })
                .collect();
            let mut text = String::new();
            for (number, row) in rows.iter().enumerate() {
                let [a, b, c] = row[..] else { unreachable!() };
                let between = if number % 97 == 0 { odd } else { "" };
                text += &format!("{a}{between},{between}{b},{c}\n,");
            }
            text.pop();
            for size in [100, 4096, 1 << 20] {
                assert!(
                    table(&text, 3, size).as_ref() == Ok(&rows),
                    "{odd:?} {size}"
                );
            }
            // A wrong byte anywhere is found.
            for wrong in ["x", "1,", "\n", "\u{2}", "\u{e9}"] {
                let mut at = random() as usize % (text.len() - 70);
                at += text[at..].find(',').expect("a comma") + 1;
                let text = format!("{}{wrong}{},{}", &text[..at], &text[at..], "1,1");
                let said = table(&text, 3, 1 << 20);
                let comma = wrong == "1," || wrong == "\n";
                assert!(
                    said.is_err() || comma && said.as_ref() != Ok(&rows),
                    "{wrong:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_is_said_with_its_place() {
        for (text, byte) in [
            ("1,,3", 2),
            ("1,2,", 4),
            ("1,-2,3", 2),
            ("1,2 3,4", 4),
            ("1,2.5,3", 3),
            ("1,18446744073709551616,3", 21),
        ] {
            match table(text, 3, 100) {
                Err(Fault::Malformed { byte: at, .. }) => assert_eq!(at, byte, "{text}"),
                Err(Fault::Contradiction { .. }) => assert_eq!(text, "1,2,"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(
            table("1,2,3,4", 3, 100),
            Err(Fault::Contradiction { .. })
        ));
    }
}
