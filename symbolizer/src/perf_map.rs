//! Names of code that was compiled at run time: `/tmp/perf-PID.map`.
//!
//! One line for each function, `START SIZE name` with hexadecimal numbers, appended as code is
//! made (Linux, `tools/perf/Documentation/jit-interface.txt`). Code moves and is freed without
//! a word, so where ranges overlap the newest line wins.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Functions by address.
#[derive(Clone, Debug, Default)]
pub struct PerfMap {
    /// The file; names are parts of it.
    text: String,
    /// Sorted by start, without overlaps.
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    start: u64,
    end: u64,
    /// Where the name is in `text`.
    name: (usize, usize),
}

impl PerfMap {
    /// Reads a file.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn load(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::parse(&fs::read(path)?))
    }

    /// Reads the bytes of a file. Lines that are not understood, such as a last one that was
    /// cut off, are skipped.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut entries = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            entries.extend(entry(line, offset));
            offset += line.len();
        }

        // From the newest to the oldest, each takes what is still free. `taken` holds the
        // union of what was taken (start to end), so that each step costs what it takes away.
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        let mut ranges = Vec::with_capacity(entries.len());
        for entry in entries.into_iter().rev() {
            take(entry, &mut taken, &mut ranges);
        }
        ranges.sort_unstable_by_key(|range| range.start);
        PerfMap { text, ranges }
    }

    /// The name of the function at a run-time address.
    pub fn lookup(&self, address: u64) -> Option<&str> {
        let behind = self.ranges.partition_point(|range| range.start <= address);
        let range = self.ranges.get(behind.checked_sub(1)?)?;
        if address >= range.end {
            return None;
        }
        self.text.get(range.name.0..range.name.1)
    }

    /// Whether there is no function in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// One line, which is at `offset` in the file.
fn entry(line: &str, offset: usize) -> Option<Range> {
    let mut rest = line;
    let mut number = || {
        let (word, behind) = rest.trim_start().split_once(' ')?;
        rest = behind;
        let digits = word.strip_prefix("0x").unwrap_or(word);
        u64::from_str_radix(digits, 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = rest.trim();
    if size == 0 || name.is_empty() {
        return None;
    }
    // Both are parts of one string.
    let at = offset + (name.as_ptr() as usize - line.as_ptr() as usize);
    Some(Range {
        start,
        end: start.checked_add(size)?,
        name: (at, at + name.len()),
    })
}

/// Gives `entry` the parts of its range that are free, and marks the whole as taken.
fn take(entry: Range, taken: &mut BTreeMap<u64, u64>, ranges: &mut Vec<Range>) {
    let (mut first, mut last) = (entry.start, entry.end);
    let mut free = entry.start;
    // The one that starts before may reach into the entry.
    if let Some((&start, &end)) = taken.range(..=entry.start).next_back()
        && end >= entry.start
    {
        first = start;
        last = last.max(end);
        free = free.max(end);
    }
    let inside: Vec<(u64, u64)> = taken
        .range(entry.start..=entry.end)
        .map(|(&start, &end)| (start, end))
        .collect();
    for (start, end) in inside {
        if free < start {
            ranges.push(Range {
                start: free,
                end: start,
                ..entry
            });
        }
        free = free.max(end);
        last = last.max(end);
        taken.remove(&start);
    }
    if free < entry.end {
        ranges.push(Range {
            start: free,
            ..entry
        });
    }
    taken.insert(first, last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_overlapping_ranges_wins() {
        let map =
            PerfMap::parse(b"1000 100 old big one\n1010 10 inner\n1080 100 tail\n1010 4 newest\n");
        assert_eq!(map.lookup(0x0fff), None);
        assert_eq!(map.lookup(0x1000), Some("old big one"));
        assert_eq!(map.lookup(0x1010), Some("newest"));
        assert_eq!(map.lookup(0x1014), Some("inner"));
        assert_eq!(map.lookup(0x1020), Some("old big one"));
        assert_eq!(map.lookup(0x1080), Some("tail"));
        assert_eq!(map.lookup(0x117f), Some("tail"));
        assert_eq!(map.lookup(0x1180), None);
    }

    #[test]
    fn a_newer_range_hides_all_older_ones_under_it() {
        let map = PerfMap::parse(b"10 10 a\n20 10 b\n30 10 c\n18 20 over\n");
        assert_eq!(map.lookup(0x17), Some("a"));
        assert_eq!(map.lookup(0x18), Some("over"));
        assert_eq!(map.lookup(0x37), Some("over"));
        assert_eq!(map.lookup(0x38), Some("c"));
    }

    #[test]
    fn broken_lines_are_skipped() {
        let map = PerfMap::parse(
            b"\n\nxyz 10 bad\n1000\n1000 10\n1000 0 empty\nffffffffffffffff 10 wraps\n\xff\xfe 1 b\n2000 10 good\n3000 1",
        );
        assert_eq!(map.lookup(0x1000), None);
        assert_eq!(map.lookup(0x2001), Some("good"));
        assert_eq!(map.lookup(0x3000), None);
    }

    #[test]
    fn each_address_agrees_with_reading_the_file_backwards() {
        // A small generator is enough to get all kinds of overlap.
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let entries: Vec<(u64, u64)> = (0..20).map(|_| (random(60), 1 + random(20))).collect();
            let text: String = entries
                .iter()
                .enumerate()
                .map(|(i, (start, size))| format!("{start:x} {size:x} f{i}\n"))
                .collect();
            let map = PerfMap::parse(text.as_bytes());
            for address in 0..90 {
                let newest = entries
                    .iter()
                    .rposition(|(start, size)| (*start..start + size).contains(&address))
                    .map(|i| format!("f{i}"));
                assert_eq!(
                    map.lookup(address),
                    newest.as_deref(),
                    "{address:x} in\n{text}"
                );
            }
        }
    }
}
