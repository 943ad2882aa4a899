//! Tables of numbers: rows of a fixed number of decimal integers, parsed by several threads.
//!
//! A table is cut into pieces at commas. How many values each piece holds is counted first (that
//! is a fast search for one byte), so that each row knows its place and every piece is parsed
//! straight into the columns.

use std::ops::Range;

use crate::error::Fault;

/// Most fields a row may have.
pub(crate) const MAX_FIELDS: usize = 16;

/// The values of one row, by field.
pub(crate) type Row = [u64; MAX_FIELDS];

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

/// The table `name` at `range`, whose rows have `fields` values.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) range: Range<usize>,
    pub(crate) fields: usize,
}

impl Table {
    /// Cuts the table into pieces of about `size` bytes: where they begin and end.
    pub(crate) fn cut(&self, bytes: &[u8], size: usize) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = self.range.start;
        while start < self.range.end {
            let nominal = (start + size).min(self.range.end);
            let end = memchr::memchr(b',', &bytes[nominal..self.range.end])
                .map_or(self.range.end, |comma| nominal + comma + 1);
            pieces.push(start..end);
            start = end;
        }
        if bytes[self.range.clone()].trim_ascii().is_empty() {
            pieces.clear();
        }
        pieces
    }

    /// Gives each piece its rows. `commas` are the numbers of commas in the pieces.
    pub(crate) fn pieces(
        &self,
        cuts: Vec<Range<usize>>,
        commas: &[usize],
    ) -> Result<(Vec<Piece>, usize), Fault> {
        let values = match cuts.len() {
            0 => 0,
            _ => commas.iter().sum::<usize>() + 1,
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
        let pieces = cuts
            .into_iter()
            .zip(commas)
            .map(|(bytes, &count)| {
                let first = before.div_ceil(self.fields);
                let skip = first * self.fields - before;
                before += count;
                Piece {
                    bytes,
                    rows: first..before.div_ceil(self.fields).min(rows),
                    skip,
                }
            })
            .collect::<Vec<_>>();
        let mut pieces = pieces;
        if let Some(last) = pieces.last_mut() {
            last.rows.end = rows;
        }
        Ok((pieces, rows))
    }

    /// Parses the rows of a piece, in order.
    pub(crate) fn parse<E: From<Fault>>(
        &self,
        bytes: &[u8],
        piece: &Piece,
        mut row: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reader = Reader {
            bytes: &bytes[..self.range.end],
            at: piece.bytes.start,
            part: self.name,
        };
        for _ in 0..piece.skip {
            reader.value()?;
        }
        let mut values: Row = [0; MAX_FIELDS];
        for _ in piece.rows.clone() {
            for value in &mut values[..self.fields] {
                *value = reader.value()?;
            }
            row(&values)?;
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
    // The digits go to the top, zeros come before them; then pairs, fours and eights are joined.
    let low = low << (64 - 8 * length);
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    const FOURS: u64 = 0x0000_00FF_0000_00FF;
    let high = (pairs & FOURS).wrapping_mul(0x000F_4240_0000_0064);
    let rest = ((pairs >> 16) & FOURS).wrapping_mul(0x0000_2710_0000_0001);
    (length, high.wrapping_add(rest) >> 32)
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
        let bytes = text.as_bytes();
        let table = Table {
            name: "nodes",
            range: 0..bytes.len(),
            fields,
        };
        let cuts = table.cut(bytes, size);
        let commas: Vec<usize> = cuts
            .iter()
            .map(|cut| memchr::memchr_iter(b',', &bytes[cut.clone()]).count())
            .collect();
        let (pieces, count) = table.pieces(cuts, &commas)?;
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
