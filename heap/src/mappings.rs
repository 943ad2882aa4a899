//! Live mappings: ranges of addresses, apart from blocks.

use std::collections::BTreeMap;

/// A mapped range and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// First address.
    pub start: u64,
    /// End.
    pub end: u64,
    /// Node id.
    pub stack: u32,
    /// Thread.
    pub thread: u32,
    /// Event clock.
    pub time: u64,
}

/// All live mappings; ranges never overlap.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    by_start: BTreeMap<u64, Range>,
}

impl Mappings {
    /// Adds a mapping; what it covers is replaced, as `mmap` does.
    pub fn map(&mut self, range: Range) {
        if range.start < range.end {
            self.unmap(range.start, range.end);
            self.by_start.insert(range.start, range);
        }
    }

    /// Removes a range of addresses, splitting the mappings at its ends.
    pub fn unmap(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if let Some((_, before)) = self.by_start.range_mut(..start).next_back()
            && before.end > start
        {
            let rest = Range {
                start: end,
                ..*before
            };
            before.end = start;
            if rest.end > end {
                self.by_start.insert(end, rest);
            }
        }
        while let Some((&key, _)) = self.by_start.range(start..end).next() {
            if let Some(inside) = self.by_start.remove(&key)
                && inside.end > end
            {
                self.by_start.insert(
                    end,
                    Range {
                        start: end,
                        ..inside
                    },
                );
            }
        }
    }

    /// All, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Range> + '_ {
        self.by_start.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mappings_agree_with_a_page_array(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 0..60)) {
            let (mut mappings, mut pages) = (Mappings::default(), [0u32; 96]);
            for (number, (map, start, len)) in (1u32..).zip(steps) {
                let end = start + len;
                let range = Range { start, end, stack: number, thread: 0, time: 0 };
                if map { mappings.map(range) } else { mappings.unmap(start, end) }
                pages[start as usize..end as usize].fill(if map { number } else { 0 });
            }
            let mut got = [0u32; 96];
            for range in mappings.iter() {
                prop_assert!(range.start < range.end);
                for page in range.start..range.end {
                    prop_assert_eq!(std::mem::replace(&mut got[page as usize], range.stack), 0);
                }
            }
            prop_assert_eq!(got, pages);
        }
    }
}
