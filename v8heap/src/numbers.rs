//! Tables of numbers: rows of a fixed number of decimal integers, parsed by several threads.
//!
//! A table is cut into pieces of whole rows. How many rows a piece holds is counted first (that is a fast
//! search for one byte), so that each row knows its place and every piece is parsed straight into the
//! columns.
//!
//! Values are read a few thousand at a time into a buffer that stays in the cache: on x86-64 by
//! `blocks`, 64 bytes at once; elsewhere, and where a table is not written as V8 writes it, one by
//! one.

#[cfg(target_arch = "x86_64")]
mod blocks;

use std::ops::Range;

use crate::error::Fault;

/// Most fields a row may have.
pub(crate) const MAX_FIELDS: usize = 16;

/// Values read ahead of their rows: 16 KB.
const AHEAD: usize = 2048;

/// Whole rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Begins with a value, and ends behind a comma or where the table does.
    pub(crate) bytes: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// Cuts a table into pieces, one after the other, so that every row knows its place.
#[derive(Debug)]
pub(crate) struct Cutter {
    name: &'static str,
    fields: usize,
    /// About so many bytes are a piece.
    size: usize,
    start: usize,
    /// Where the next piece begins.
    at: usize,
    rows: usize,
    /// Where the table ends, once that is known.
    end: Option<usize>,
}

impl Cutter {
    /// Of the table that begins at `start`, behind its bracket, and whose rows have `fields` values.
    pub(crate) fn of(name: &'static str, start: usize, fields: usize, size: usize) -> Cutter {
        Cutter {
            name,
            fields,
            size,
            start,
            at: start,
            rows: 0,
            end: None,
        }
    }

    /// Where the `]` is, when all pieces have been cut.
    pub(crate) fn end(&self) -> usize {
        self.end.unwrap_or(self.at)
    }

    /// The next piece; of an empty table one without rows.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Fault> {
        if self.end.is_some() {
            return Ok(None);
        }
        let nominal = bytes.len().min(self.at.saturating_add(self.size));
        let (mut commas, mut end) = count(&bytes[self.at..nominal]);
        let mut to = nominal;
        // To the end of the row.
        let mut more = self.fields - commas % self.fields;
        while end.is_none() && more > 0 {
            let found = memchr::memchr2(b',', b']', &bytes[to..]);
            let Some(found) = found.map(|found| to + found) else {
                return Err(Fault::CutShort {
                    part: self.name,
                    byte: bytes.len() as u64,
                });
            };
            match bytes[found] {
                b',' => (commas, more) = (commas + 1, more - 1),
                _ => end = Some(found - self.at),
            }
            to = found + 1;
        }
        let mut values = commas;
        if let Some(end) = end {
            to = self.at + end;
            self.end = Some(to);
            let is_empty = bytes[self.start..to].trim_ascii_start().is_empty();
            values += usize::from(!is_empty);
        }
        if !values.is_multiple_of(self.fields) {
            return Err(Fault::Contradiction {
                what: format!(
                    "{:?} has {} values, which is no whole number of rows of {}",
                    self.name,
                    self.rows * self.fields + values,
                    self.fields
                ),
            });
        }
        let first = self.rows;
        self.rows += values / self.fields;
        let piece = Piece {
            bytes: self.at..to,
            rows: first..self.rows,
        };
        self.at = to;
        Ok(Some(piece))
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

/// Reads a piece of the table `part`, whose rows have `fields` values: a few hundred rows at a time, in order.
pub(crate) fn parse(
    bytes: &[u8],
    (part, fields): (&'static str, usize),
    piece: &Piece,
    mut rows: impl FnMut(&[u64]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut reader = Reader {
        bytes: &bytes[..piece.bytes.end],
        at: piece.bytes.start,
        part,
    };
    let mut ahead = [0; AHEAD];
    let mut left = piece.rows.len() * fields;
    while left > 0 {
        let values = &mut ahead[..left.min(AHEAD / fields * fields)];
        reader.fill(values)?;
        rows(values)?;
        left -= values.len();
    }
    Ok(())
}

struct Reader<'a> {
    /// Up to the end of the piece; the whole file goes on behind it.
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
        let mut cutter = Cutter::of("nodes", 0, fields, size);
        let mut rows = Vec::new();
        while let Some(piece) = cutter.next(bytes)? {
            assert_eq!(piece.rows.start, rows.len());
            parse(bytes, ("nodes", fields), &piece, |values| {
                rows.extend(values.chunks_exact(fields).map(<[u64]>::to_vec));
                Ok(())
            })?;
            assert_eq!(piece.rows.end, rows.len());
        }
        assert_eq!(cutter.end(), text.len() - 7);
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
        // Of up to 19 digits, and of up to eight.
        let all = ["", " ", "\n", "\t\n "].map(|odd| [(odd, 0), (odd, 36)]);
        for (odd, least) in all.concat() {
            let mut number = || (random() << 31 | random()) >> (least + random() % (62 - least));
            let rows: Vec<Vec<u64>> = (0..3000)
                .map(|_| (0..3).map(|_| number()).collect())
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
