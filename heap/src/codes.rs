//! Which code made at run time a frame was in.
//!
//! Nodes hold the code's number, or an address if they were made before anybody asked the runtime what
//! stands where.

use crate::live::FastMap;
use crate::units::CodeId;
use log_format::blob::CodeRange;
use std::collections::BTreeMap;

/// Code that a runtime compiled, perhaps many times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// As the runtime said it.
    pub name: String,
}

/// Code by number and by address.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    by_number: FastMap<u32, CodeId>,
    ranges: Vec<CodeRange>,
    /// Places in `ranges` by the page they touch, each in the order of their making.
    by_page: FastMap<u64, Vec<u32>>,
}

const PAGE_SHIFT: u32 = 18;
/// Longer ranges are damaged records, bytes.
const MAX_LEN: u64 = 1 << 30;
/// Pages of all ranges together; a damaged log may have any number.
const MAX_PAGES: u64 = 1 << 23;

/// The codes of a log, and how they are found.
pub(crate) fn codes(names: &BTreeMap<u32, Vec<u8>>, ranges: &[CodeRange]) -> (Vec<Code>, CodeMap) {
    let codes = names
        .values()
        .map(|name| Code {
            name: String::from_utf8_lossy(name).into_owned(),
        })
        .collect();
    let by_number = (0u32..)
        .zip(names.keys())
        .map(|(place, &number)| (number, CodeId(place)))
        .collect();
    let possible = |range: &&CodeRange| {
        range.len <= MAX_LEN && range.len > 0 && range.start.checked_add(range.len).is_some()
    };
    let pages =
        |range: &CodeRange| range.start >> PAGE_SHIFT..=(range.start + range.len - 1) >> PAGE_SHIFT;
    let mut room = MAX_PAGES;
    let fits = |range: &&CodeRange| {
        let pages = pages(range);
        let more = room.checked_sub(pages.end() - pages.start() + 1);
        room = more.unwrap_or(0);
        more.is_some()
    };
    let possible = ranges.iter().filter(possible);
    let ranges: Vec<CodeRange> = possible.take_while(fits).copied().collect();
    let mut by_page: FastMap<u64, Vec<u32>> = FastMap::default();
    for (place, range) in (0u32..).zip(&ranges) {
        for page in pages(range) {
            by_page.entry(page).or_default().push(place);
        }
    }
    let map = CodeMap {
        by_number,
        ranges,
        by_page,
    };
    (codes, map)
}

impl CodeMap {
    /// The code with a number, if the log has its name.
    pub fn numbered(&self, number: u64) -> Option<CodeId> {
        self.by_number.get(&u32::try_from(number).ok()?).copied()
    }

    /// The code in which the call before return address `address` stood when node `node` was
    /// made: the newest that was told before; failing that, or where that was gone, the first
    /// afterwards, which ran before anybody asked.
    pub fn find(&self, address: u64, node: u32) -> Option<CodeId> {
        let call = address.checked_sub(1)?;
        let mut first_after = 0;
        for &place in self.by_page.get(&(call >> PAGE_SHIFT))?.iter().rev() {
            let range = self.ranges.get(place as usize)?;
            if !(range.start..range.start + range.len).contains(&call) {
                continue;
            }
            if range.first_node <= node {
                let gone = range.number == 0;
                return self.numbered(u64::from(if gone { first_after } else { range.number }));
            }
            first_after = range.number;
        }
        self.numbered(u64::from(first_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ranges: &[(u64, u64, u32, u32)]) -> CodeMap {
        let names = (1..=9).map(|number| (number, vec![b'f'])).collect();
        let ranges: Vec<CodeRange> = ranges
            .iter()
            .map(|&(start, end, first_node, number)| CodeRange {
                start,
                len: end - start,
                first_node,
                number,
            })
            .collect();
        codes(&names, &ranges).1
    }

    fn found(map: &CodeMap, address: u64, node: u32) -> u32 {
        map.find(address, node).map_or(0, |id| id.0 + 1)
    }

    #[test]
    fn absurdly_many_ranges_are_left_out() {
        let all = vec![(1 << 40, (1 << 40) + (1 << 30), 1, 1); 100_000];
        let map = map(&all);
        assert_eq!(map.ranges.len() as u64, MAX_PAGES / (1 << 12));
        assert_eq!(found(&map, (1 << 40) + 5, 1), 1);
    }

    #[test]
    fn a_number_is_a_name() {
        let map = map(&[]);
        assert_eq!(map.numbered(3), Some(CodeId(2)));
        assert_eq!(map.numbered(10), None);
        assert_eq!(map.numbered(1 << 32 | 3), None);
    }

    #[test]
    fn an_address_that_was_given_back_means_what_is_told_next() {
        let map = map(&[
            (0x1000, 0x1400, 10, 1),
            (0x0, 0x80_0000, 50, 0),
            (0x1000, 0x1400, 70, 2),
        ]);
        assert_eq!(found(&map, 0x1250, 5), 1);
        assert_eq!(found(&map, 0x1250, 49), 1);
        assert_eq!(found(&map, 0x1250, 50), 2, "of the next isolate's start");
        assert_eq!(found(&map, 0x1250, 90), 2);
        assert_eq!(found(&map, 0x2250, 90), 0, "nothing was told there");
    }

    #[test]
    fn a_reused_address_means_the_code_of_the_time() {
        let map = map(&[
            (0x1000, 0x1400, 10, 1),
            (0x1200, 0x2100, 50, 2),
            (0x1000, 0x1100, 50, 3),
            (0x1200, 0x1300, 90, 4),
        ]);
        let find = |address, node| found(&map, address, node);
        assert_eq!(find(0x1250, 5), 1, "it ran before it was told of");
        assert_eq!(find(0x1250, 49), 1);
        assert_eq!(find(0x1250, 50), 2);
        assert_eq!(find(0x1250, 95), 4);
        assert_eq!(find(0x1350, 95), 2);
        assert_eq!(find(0x1080, 60), 3);
        assert_eq!(find(0x1180, 60), 1, "the rest of what was there before");
        assert_eq!(find(0x2080, 60), 2);
        assert_eq!(find(0x2100, 60), 2, "a call at the very end");
        assert_eq!(find(0x2101, 60), 0);
        assert_eq!(find(0, 60), 0);
    }
}
