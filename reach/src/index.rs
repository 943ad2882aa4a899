//! From any address to the block that holds it.
//!
//! Blocks lie in *regions*, runs without a large gap. Each region is cut into
//! granules of a power of two, so many as it has blocks or fewer; a table says for
//! each granule which block is the last to begin at or before its start. A look-up is
//! then two loads and a short walk. The table costs at most 8 bytes a block whatever
//! the blocks' sizes.

use crate::Block;

/// A run of blocks; the end of the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Region {
    start: u64,
    end: u64,
    /// First granule in the table.
    table: u32,
    /// log2 of a granule, bytes.
    shift: u32,
}

/// Smallest gap that ends a region, bytes, to begin with.
const GAP: u64 = 1 << 20;
/// Smallest granule: 64 bytes.
const MIN_SHIFT: u32 = 6;

/// The look-up table over sorted blocks.
#[derive(Debug)]
pub(crate) struct Index<'m> {
    regions: &'m [Region],
    table: &'m [u32],
    low: u64,
    span: u64,
}

impl<'m> Index<'m> {
    /// Entries that the table needs for so many blocks and regions.
    pub fn table_len(blocks: usize, regions: usize) -> usize {
        2 * blocks + 2 * regions
    }

    /// Builds the table. `blocks` are sorted by address and do not overlap.
    pub fn new(
        blocks: &[Block],
        regions: &'m mut [Region],
        table: &'m mut [u32],
    ) -> Option<Index<'m>> {
        let mut gap = GAP;
        let count = loop {
            match find_regions(blocks, gap, regions) {
                Some(count) => break count,
                None => gap = gap.checked_mul(4)?,
            }
        };
        let regions = regions.get_mut(..count)?;
        let mut next = 0u32;
        let mut at = 0usize;
        for region in regions.iter_mut() {
            let inside = blocks
                .get(at..)?
                .partition_point(|block| block.address() < region.end);
            let len = region.end - region.start;
            let mut shift = MIN_SHIFT;
            while (len >> shift) + 1 > inside as u64 * 2 {
                shift += 1;
            }
            (region.table, region.shift) = (next, shift);
            let granules = (len >> shift) as usize + 1;
            let entries = table.get_mut(next as usize..next as usize + granules)?;
            let mut block = at;
            for (number, entry) in entries.iter_mut().enumerate() {
                let start = region.start + ((number as u64) << shift);
                while block + 1 < at + inside && blocks.get(block + 1)?.address() <= start {
                    block += 1;
                }
                *entry = block as u32;
            }
            next += granules as u32;
            at += inside;
        }
        let low = blocks.first().map_or(0, |block| block.address());
        let high = blocks.last().map_or(0, |block| block.end());
        Some(Index {
            regions,
            table,
            low,
            span: high + 1 - low,
        })
    }

    /// Whether a word can point to a block, or just behind it, at all.
    #[inline(always)]
    pub fn can_hold(&self, word: u64) -> bool {
        word.wrapping_sub(self.low) < self.span
    }

    /// The region of an address; `guess` is tried first.
    #[inline(always)]
    fn region(&self, word: u64, guess: &mut usize) -> Option<Region> {
        if let Some(region) = self.regions.get(*guess)
            && word.wrapping_sub(region.start) < region.end - region.start
        {
            return Some(*region);
        }
        let at = self.regions.partition_point(|region| region.end <= word);
        let region = *self.regions.get(at)?;
        if word < region.start {
            return None;
        }
        *guess = at;
        Some(region)
    }

    /// Place of the word's granule in the table.
    #[inline(always)]
    pub fn granule(&self, word: u64, guess: &mut usize) -> Option<u32> {
        let region = self.region(word, guess)?;
        Some(region.table + ((word - region.start) >> region.shift) as u32)
    }

    /// The table's entry.
    #[inline(always)]
    pub fn entry(&self, granule: u32) -> usize {
        self.table
            .get(granule as usize)
            .map_or(0, |&block| block as usize)
    }

    /// Asks for the table's entry.
    #[inline(always)]
    pub fn prefetch(&self, granule: u32) {
        crate::search::prefetch(self.table.as_ptr().wrapping_add(granule as usize));
    }

    /// The block that begins last at or before a word of the granule, if any does.
    #[inline(always)]
    pub fn before(&self, blocks: &[Block], granule: u32, word: u64) -> Option<usize> {
        let mut at = self.entry(granule);
        let next = self
            .table
            .get(granule as usize + 1)
            .map_or(blocks.len() - 1, |&block| block as usize);
        if next > at + 8 {
            let inside = blocks.get(at..=next)?;
            at += inside
                .partition_point(|block| block.address() <= word)
                .saturating_sub(1);
        } else {
            while blocks
                .get(at + 1)
                .is_some_and(|block| block.address() <= word)
            {
                at += 1;
            }
        }
        (blocks.get(at)?.address() <= word).then_some(at)
    }
}

fn find_regions(blocks: &[Block], gap: u64, regions: &mut [Region]) -> Option<usize> {
    let mut count = 0;
    let mut open: Option<Region> = None;
    for block in blocks {
        match &mut open {
            Some(region) if block.address() - region.end.min(block.address()) < gap => {
                region.end = region.end.max(block.end() + 1);
            }
            _ => {
                if let Some(region) = open.take() {
                    *regions.get_mut(count)? = region;
                    count += 1;
                }
                open = Some(Region {
                    start: block.address(),
                    end: block.end() + 1,
                    table: 0,
                    shift: 0,
                });
            }
        }
    }
    if let Some(region) = open {
        *regions.get_mut(count)? = region;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_address_finds_its_block(
            layout in prop::collection::vec((0u64..100, prop_oneof![0u64..200, Just(5 << 20), Just(1 << 33)]), 1..80),
            probes in prop::collection::vec(any::<prop::sample::Index>(), 20),
            regions in 1usize..8,
        ) {
            let mut at = 0x10_0000;
            let mut blocks = Vec::new();
            for (serial, (size, gap)) in (1u64..).zip(layout) {
                at += gap & !7;
                blocks.push(Block::new(at, size, serial));
                at += size.max(1).next_multiple_of(16);
            }
            let mut regions = vec![Region::default(); regions];
            let mut table = vec![0; Index::table_len(blocks.len(), regions.len())];
            let index = Index::new(&blocks, &mut regions, &mut table).expect("it fits");
            let mut guess = 0;
            for probe in probes {
                let near = blocks[probe.index(blocks.len())];
                for word in [near.address() - 1, near.address(), near.address() + near.size() / 2, near.end() - 1, near.end()] {
                    let expected = blocks.iter().position(|b| b.address() <= word && word < b.end());
                    let before = index.granule(word, &mut guess).and_then(|granule| index.before(&blocks, granule, word));
                    let found = before.filter(|&at| word < blocks[at].end());
                    prop_assert_eq!(found, expected);
                    let ends = blocks.iter().rposition(|b| b.end() == word);
                    prop_assert!(ends.is_none() || expected.is_some() || before == ends);
                    prop_assert!(expected.or(ends).is_none() || index.can_hold(word));
                }
            }
        }
    }
}
