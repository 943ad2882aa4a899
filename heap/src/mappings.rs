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
    /// By thread what its last unmapping took: the address given, and the ranges.
    taken: BTreeMap<u32, (u64, Vec<Range>)>,
}

impl Mappings {
    /// Adds a mapping; what it covers is replaced, as `mmap` does.
    pub fn map(&mut self, range: Range) {
        if range.start < range.end {
            self.unmap(range.start, range.end);
            self.by_start.insert(range.start, range);
        }
    }

    /// A thread unmaps `len` bytes; 0: its last unmapping, of the same address, failed.
    pub fn unmap_by(&mut self, thread: u32, start: u64, len: u64) {
        if len > 0 {
            let taken = self.unmap(start, start.saturating_add(len));
            self.taken.insert(thread, (start, taken));
        } else if let Some((address, taken)) = self.taken.remove(&thread)
            && address == start
        {
            for range in taken {
                self.put_back(range);
            }
        }
    }

    /// Adds a range again, but for what others have mapped there meanwhile.
    fn put_back(&mut self, range: Range) {
        let others: Vec<Range> = self
            .by_start
            .range(..range.end)
            .map(|(_, other)| *other)
            .filter(|other| other.end > range.start)
            .collect();
        let mut start = range.start;
        for other in others {
            if other.start > start {
                self.by_start.insert(
                    start,
                    Range {
                        start,
                        end: other.start,
                        ..range
                    },
                );
            }
            start = start.max(other.end);
        }
        if start < range.end {
            self.by_start.insert(start, Range { start, ..range });
        }
    }

    /// Removes a range of addresses, splitting the mappings at its ends; returns what
    /// was removed.
    pub fn unmap(&mut self, start: u64, end: u64) -> Vec<Range> {
        let mut taken = Vec::new();
        if start >= end {
            return taken;
        }
        if let Some((_, before)) = self.by_start.range_mut(..start).next_back()
            && before.end > start
        {
            let rest = Range {
                start: end,
                ..*before
            };
            taken.push(Range {
                start,
                end: before.end.min(end),
                ..*before
            });
            before.end = start;
            if rest.end > end {
                self.by_start.insert(end, rest);
            }
        }
        while let Some((&key, _)) = self.by_start.range(start..end).next() {
            if let Some(inside) = self.by_start.remove(&key) {
                taken.push(Range {
                    end: inside.end.min(end),
                    ..inside
                });
                if inside.end > end {
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
        taken
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

    #[test]
    fn an_unmapping_that_failed_leaves_everything_as_it_was() {
        let range = |start, end, stack| Range {
            start,
            end,
            stack,
            thread: 1,
            time: 0,
        };
        let all = |mappings: &Mappings| mappings.iter().copied().collect::<Vec<_>>();
        let mut mappings = Mappings::default();
        mappings.map(range(10, 20, 1));
        mappings.map(range(30, 40, 2));
        mappings.unmap_by(7, 15, 20);
        assert_eq!(all(&mappings), [range(10, 15, 1), range(35, 40, 2)]);
        // Another thread maps a part of it before the failure is told.
        mappings.map(range(31, 33, 3));
        mappings.unmap_by(8, 0, 5);
        mappings.unmap_by(7, 15, 0);
        let parts = [
            range(10, 15, 1),
            range(15, 20, 1),
            range(30, 31, 2),
            range(31, 33, 3),
            range(33, 35, 2),
            range(35, 40, 2),
        ];
        assert_eq!(all(&mappings), parts);
        // Told twice, or of another address: nothing more.
        mappings.unmap_by(7, 15, 0);
        mappings.unmap_by(8, 1, 0);
        assert_eq!(all(&mappings), parts);
    }

    proptest! {
        #[test]
        fn mappings_agree_with_a_page_array(steps in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 0..60)) {
            let (mut mappings, mut pages) = (Mappings::default(), [0u32; 96]);
            for (number, (map, start, len)) in (1u32..).zip(steps) {
                let end = start + len;
                let range = Range { start, end, stack: number, thread: 0, time: 0 };
                if map { mappings.map(range) } else { drop(mappings.unmap(start, end)) }
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
