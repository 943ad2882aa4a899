//! The search itself.

use crate::index::{Index, Region};
use crate::{Block, Class, Memory};
use follow::{Candidate, Pass, Waiting};

mod follow;
mod leaks;

/// Memory to work in. All arrays but `regions` and `table` are as long as `blocks`.
#[derive(Debug)]
pub struct Arrays<'m> {
    /// The live blocks, in any order; no two at one address.
    pub blocks: &'m mut [Block],
    /// Zeroed.
    pub links: &'m mut [(u32, u32)],
    /// Zeroed.
    pub marks: &'m mut [u8],
    /// Any content.
    pub queue: &'m mut [u32],
    /// Any content.
    pub order: &'m mut [u64],
    /// Any content; a few hundred.
    pub regions: &'m mut [Region],
    /// Any content; [`Arrays::table_len`].
    pub table: &'m mut [u32],
}

impl Arrays<'_> {
    /// Length of `table` for so many blocks and regions.
    pub fn table_len(blocks: usize, regions: usize) -> usize {
        Index::table_len(blocks, regions)
    }
}

/// Why a search did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// [`Memory::is_late`] said so.
    Late,
}

/// What else is known of a root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootRule {
    /// The allocator's own variables are among it: chunks that follow a block begin
    /// within its last word, so pointers there mean the next one.
    pub allocator: bool,
}

/// What led to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Nothing: a direct leak.
    Nothing,
    /// A root, and the place in it, words.
    Root(u32, u32),
    /// A block, and the place in it, words.
    Block(usize, u32),
}

/// One block's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The block.
    pub block: Block,
    /// Its class.
    pub class: Class,
    /// What led to it; blocks by their place in address order ([`Search::block`]).
    pub from: From,
    /// A direct leak that other leaks lead back to.
    pub ring: bool,
}

// A mark: the class in the low bits, and flags.
const CLASS: u8 = 7;
/// Something points to its inside.
const INSIDE: u8 = 8;
/// First pass over leaks in rings: seen.
const SEEN: u8 = 16;
/// First pass over leaks in rings: nothing before led to it.
const FIRST: u8 = 32;
/// A direct leak that other leaks lead back to.
const LED_BACK: u8 = 64;
/// A leak that another leak has a pointer to.
const POINTED: u8 = 128;

/// In a link: the parent is a root.
const ROOT: u32 = 1 << 31;
/// A search asks whether it is late after so many bytes.
const PATIENCE: u64 = 16 << 20;
/// An entry of the order: the block's serial, and its place in these low bits.
const PLACE_BITS: u32 = 29;
/// Blocks in the order of serials whose marks are asked for ahead.
const AHEAD_IN_ORDER: usize = 16;

/// A search in progress.
#[derive(Debug)]
pub struct Search<'m> {
    blocks: &'m [Block],
    links: &'m mut [(u32, u32)],
    marks: &'m mut [u8],
    queue: &'m mut [u32],
    order: &'m mut [u64],
    waiting: Waiting,
    index: Index<'m>,
    head: usize,
    tail: usize,
    scanned: u64,
    asked: u64,
    /// The direct leak whose search is under way.
    direct: usize,
}

impl<'m> Search<'m> {
    /// Sorts the blocks and builds the index; `None` if there are no blocks, too many
    /// (2^29), or the arrays' lengths do not fit.
    pub fn new(arrays: Arrays<'m>) -> Option<Search<'m>> {
        let Arrays {
            blocks,
            links,
            marks,
            queue,
            order,
            regions,
            table,
        } = arrays;
        let count = blocks.len();
        let fits = [links.len(), marks.len(), queue.len(), order.len()]
            .iter()
            .all(|&len| len == count);
        if !fits || count == 0 || count >= 1 << PLACE_BITS {
            return None;
        }
        blocks.sort_unstable_by_key(|block| block.address());
        let blocks: &[Block] = blocks;
        let index = Index::new(blocks, regions, table)?;
        Some(Search {
            blocks,
            links,
            marks,
            queue,
            order,
            waiting: Waiting::default(),
            index,
            head: 0,
            tail: 0,
            scanned: 0,
            asked: 0,
            direct: usize::MAX,
        })
    }

    /// Bytes searched so far.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// The block at a place in address order.
    pub fn block(&self, at: usize) -> Option<Block> {
        self.blocks.get(at).copied()
    }

    /// The place of the first block that ends after `address`.
    pub fn first_after(&self, address: u64) -> usize {
        self.blocks.partition_point(|block| block.end() <= address)
    }

    /// Takes a value held by root `root` at place `word`, such as a register.
    pub fn value<M: Memory>(&mut self, memory: &M, root: u32, word: u32, value: u64) {
        if self.index.can_hold(value)
            && let Some(granule) = self.index.granule(value, &mut 0)
        {
            let candidate = Candidate {
                value,
                address: 0,
                parent: ROOT | root,
                word,
                granule,
            };
            self.push_candidate(memory, candidate, Pass::Reach, RootRule::default());
            self.settle(memory, Pass::Reach, RootRule::default());
        }
    }

    /// Searches the words of a root from `start` to `end`. Places are counted from
    /// `origin`. Blocks that lie in it are left out: they are searched if something
    /// leads to them.
    pub fn root<M: Memory>(
        &mut self,
        memory: &M,
        root: u32,
        origin: u64,
        start: u64,
        end: u64,
        rule: RootRule,
    ) -> Result<(), Stop> {
        let mut at = start.next_multiple_of(8);
        let end = end & !7;
        let mut next = self.first_after(at);
        while at < end {
            // Up to the next block inside.
            let block = self.blocks.get(next).filter(|block| block.address() < end);
            let stop = block.map_or(end, |block| block.address() & !7);
            if at < stop {
                self.span(memory, root, origin, at, stop, rule)?;
                at = stop;
            }
            if let Some(block) = block {
                at = at.max(block.end().next_multiple_of(8));
                next += 1;
            }
        }
        Ok(())
    }

    /// As [`Search::root`] for a range that counts with the blocks it lies in: the live part
    /// of a stack that the program made in one, or what it declared.
    pub fn root_inside<M: Memory>(
        &mut self,
        memory: &M,
        root: u32,
        origin: u64,
        start: u64,
        end: u64,
    ) -> Result<(), Stop> {
        let (start, end) = (start.next_multiple_of(8), end & !7);
        self.span(memory, root, origin, start, end, RootRule::default())
    }

    /// The words of a root, whatever lies there; in parts, so that time is kept.
    fn span<M: Memory>(
        &mut self,
        memory: &M,
        root: u32,
        origin: u64,
        mut at: u64,
        end: u64,
        rule: RootRule,
    ) -> Result<(), Stop> {
        while at < end {
            let to = end.min(at + PATIENCE);
            self.range(memory, ROOT | root, origin, at, to, Pass::Reach, rule);
            self.settle(memory, Pass::Reach, rule);
            self.patience(memory)?;
            at = to;
        }
        Ok(())
    }

    /// After all roots: follows everything, then judges what was not reached.
    pub fn finish<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
        self.drain(memory, Pass::Reach)?;
        for at in 0..self.blocks.len() {
            if self
                .marks
                .get(at)
                .is_some_and(|mark| mark & CLASS == 0 && mark & INSIDE != 0)
            {
                self.enter(at, Class::Possible as u8);
            }
        }
        self.drain(memory, Pass::Possible)?;
        self.leaks(memory)
    }

    /// Asks for what [`Search::found`] needs for a place, and for the block's first word.
    pub fn prefetch_found<M: Memory>(&self, memory: &M, turn: usize) {
        let at = self.in_order(turn + AHEAD_IN_ORDER);
        prefetch(self.marks.as_ptr().wrapping_add(at));
        prefetch(self.links.as_ptr().wrapping_add(at));
        prefetch(self.blocks.as_ptr().wrapping_add(at));
        let near = self.in_order(turn + AHEAD_IN_ORDER / 2);
        if let Some(block) = self.blocks.get(near) {
            memory.prefetch(block.address());
        }
    }

    fn in_order(&self, turn: usize) -> usize {
        self.order.get(turn).map_or(0, |&entry| place(entry))
    }

    /// The results by ascending serial, from the given place on; after
    /// [`Search::finish`].
    pub fn found(&self, turn: usize) -> Option<Found> {
        self.at(place(*self.order.get(turn)?))
    }

    /// The result for the block at a place in address order; after [`Search::finish`].
    pub fn at(&self, at: usize) -> Option<Found> {
        let (block, mark, link) = (
            *self.blocks.get(at)?,
            *self.marks.get(at)?,
            *self.links.get(at)?,
        );
        let class = Class::from_raw(mark & CLASS)?;
        let from = match link {
            _ if class == Class::Unreachable => From::Nothing,
            (parent, word) if parent & ROOT != 0 => From::Root(parent & !ROOT, word),
            (parent, word) => From::Block(parent as usize, word),
        };
        Some(Found {
            block,
            class,
            from,
            ring: mark & LED_BACK != 0,
        })
    }

    /// Blocks there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Never: a search has blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// The place in an entry of the order.
fn place(entry: u64) -> usize {
    (entry & ((1 << PLACE_BITS) - 1)) as usize
}

#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
