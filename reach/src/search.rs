//! The search itself.

use crate::index::{Index, Region};
use crate::{Block, Class, Memory, interior};

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
/// Words that are being looked up at a time, so that their cache misses overlap: after
/// so many later ones the table's entry is read, and after so many the block's.
const RING: usize = 64;
const LOOK: usize = 16;
const LEAD: usize = 40;
/// An entry of the order: the block's serial, and its place in these low bits.
const PLACE_BITS: u32 = 29;
/// Blocks whose memory is asked for ahead of reading it, and whose entries still further ahead.
const AHEAD: usize = 8;
/// Blocks in the order of serials whose marks are asked for ahead.
const AHEAD_IN_ORDER: usize = 16;

/// What a pass does with a block that it is led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Reach,
    Possible,
    Point,
    Order,
    Leaks,
}

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

/// A word that may be a pointer.
#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    value: u64,
    /// Where it stands; 0 if not in memory.
    address: u64,
    parent: u32,
    /// Its place in the parent, words.
    word: u32,
    granule: u32,
}

/// Candidates in the order in which they were found.
#[derive(Debug)]
struct Waiting {
    items: [Candidate; RING],
    pushed: usize,
    looked: usize,
    done: usize,
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
        let waiting = Waiting {
            items: [Candidate::default(); RING],
            pushed: 0,
            looked: 0,
            done: 0,
        };
        Some(Search {
            blocks,
            links,
            marks,
            queue,
            order,
            waiting,
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
                // In parts, so that time is kept.
                let stop = stop.min(at + PATIENCE);
                self.range(memory, ROOT | root, origin, at, stop, Pass::Reach, rule);
                self.settle(memory, Pass::Reach, rule);
                self.patience(memory)?;
                at = stop;
                continue;
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
        let (mut at, end) = (start.next_multiple_of(8), end & !7);
        let rule = RootRule::default();
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

    /// Direct leaks are the blocks that no other leak leads to, and of each ring with
    /// that quality its oldest. Those that no leak has a pointer to are found in one pass in
    /// the order of memory, and what they lead to in one breadth-first pass from all of them.
    /// What is left lies in rings, or behind them.
    fn leaks<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
        for ((at, block), place) in (0u64..).zip(self.blocks).zip(self.order.iter_mut()) {
            *place = block.serial() << PLACE_BITS | at;
        }
        self.order.sort_unstable();
        self.push_all(|mark| mark & CLASS == 0);
        if self.tail == 0 {
            return Ok(());
        }
        self.drain(memory, Pass::Point)?;
        self.push_all(|mark| mark & (CLASS | POINTED) == 0);
        for mark in self.marks.iter_mut() {
            if *mark & (CLASS | POINTED) == 0 {
                *mark |= Class::Unreachable as u8;
            }
        }
        self.drain(memory, Pass::Leaks)?;
        if self.marks.iter().any(|mark| mark & CLASS == 0) {
            self.rings(memory)?;
        }
        Ok(())
    }

    /// Puts the blocks with such marks into the queue, in the order of their addresses.
    fn push_all(&mut self, wanted: impl Fn(u8) -> bool) {
        (self.head, self.tail) = (0, 0);
        for at in 0..self.marks.len() {
            if self.marks.get(at).is_some_and(|&mark| wanted(mark)) {
                self.push(at);
            }
        }
    }

    /// Leaks to each of which another leak has a pointer. First pass: from each unseen one,
    /// oldest first, to all that it leads to. The last one from which a search had to begin
    /// lies in a ring that nothing else leads to (whatever leads to it would have been seen
    /// from it or be before it, and then it would have been seen from there); so do, in turn,
    /// those before it that it did not lead to. Second pass: in that order.
    fn rings<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
        for turn in 0..self.order.len() {
            self.prefetch_mark(turn + AHEAD_IN_ORDER);
            let at = self.in_order(turn);
            if let Some(mark) = self.marks.get_mut(at)
                && *mark & (CLASS | SEEN) == 0
            {
                *mark |= FIRST | SEEN;
                self.push(at);
                self.drain(memory, Pass::Order)?;
            }
        }
        for turn in (0..self.order.len()).rev() {
            self.prefetch_mark(turn.wrapping_sub(AHEAD_IN_ORDER));
            let at = self.in_order(turn);
            if self
                .marks
                .get(at)
                .is_some_and(|mark| mark & CLASS == 0 && mark & FIRST != 0)
            {
                self.enter(at, Class::Unreachable as u8);
                self.direct = at;
                self.drain(memory, Pass::Leaks)?;
            }
        }
        Ok(())
    }

    fn prefetch_mark(&self, turn: usize) {
        prefetch(self.marks.as_ptr().wrapping_add(self.in_order(turn)));
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

    fn push(&mut self, at: usize) {
        // Each pass begins with an empty queue and takes each block once.
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        }
        if let Some(slot) = self.queue.get_mut(self.tail) {
            *slot = at as u32;
            self.tail += 1;
        }
    }

    fn enter(&mut self, at: usize, class: u8) {
        if let Some(mark) = self.marks.get_mut(at) {
            *mark = *mark & !CLASS | class;
            self.push(at);
        }
    }

    fn drain<M: Memory>(&mut self, memory: &M, pass: Pass) -> Result<(), Stop> {
        loop {
            if self.head == self.tail {
                self.settle(memory, pass, RootRule::default());
                if self.head == self.tail {
                    return Ok(());
                }
            }
            let at = self.queue.get(self.head).map_or(0, |&at| at as usize);
            if self.head + 2 * AHEAD < self.tail
                && let Some(&later) = self.queue.get(self.head + 2 * AHEAD)
            {
                prefetch(self.blocks.as_ptr().wrapping_add(later as usize));
            }
            if self.head + AHEAD < self.tail
                && let Some(&soon) = self.queue.get(self.head + AHEAD)
                && let Some(block) = self.blocks.get(soon as usize)
            {
                memory.prefetch(block.address());
            }
            self.head += 1;
            if let Some(block) = self.blocks.get(at).copied() {
                let (start, end) = (
                    block.address().next_multiple_of(8),
                    (block.address() + block.size()) & !7,
                );
                let mut from = start;
                while from < end {
                    let to = end.min(from + PATIENCE);
                    self.range(
                        memory,
                        at as u32,
                        block.address(),
                        from,
                        to,
                        pass,
                        RootRule::default(),
                    );
                    from = to;
                    self.patience(memory)?;
                }
            }
        }
    }

    fn patience<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
        if self.scanned - self.asked > PATIENCE {
            self.asked = self.scanned;
            if memory.is_late() {
                return Err(Stop::Late);
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn range<M: Memory>(
        &mut self,
        memory: &M,
        parent: u32,
        origin: u64,
        start: u64,
        end: u64,
        pass: Pass,
        rule: RootRule,
    ) {
        if start >= end {
            return;
        }
        self.scanned += end - start + 16;
        let mut guess = 0;
        let this = &mut *self;
        memory.words(start, end, |first, words| {
            for (number, &value) in (0u64..).zip(words) {
                // Most words are no pointers.
                if this.index.can_hold(value)
                    && let Some(granule) = this.index.granule(value, &mut guess)
                {
                    let address = first + number * 8;
                    let word = ((address - origin) / 8) as u32;
                    this.push_candidate(
                        memory,
                        Candidate {
                            value,
                            address,
                            parent,
                            word,
                            granule,
                        },
                        pass,
                        rule,
                    );
                }
            }
        });
    }

    #[inline(always)]
    fn push_candidate<M: Memory>(
        &mut self,
        memory: &M,
        candidate: Candidate,
        pass: Pass,
        rule: RootRule,
    ) {
        self.index.prefetch(candidate.granule);
        if let Some(slot) = self.waiting.items.get_mut(self.waiting.pushed % RING) {
            *slot = candidate;
        }
        self.waiting.pushed += 1;
        if self.waiting.pushed - self.waiting.looked > LOOK {
            self.look();
        }
        if self.waiting.pushed - self.waiting.done > LEAD {
            self.lead(memory, pass, rule);
        }
    }

    /// The table's entry should be there by now: asks for what it names.
    #[inline(always)]
    fn look(&mut self) {
        if let Some(candidate) = self.waiting.items.get(self.waiting.looked % RING) {
            let at = self.index.entry(candidate.granule);
            prefetch(self.blocks.as_ptr().wrapping_add(at));
            prefetch(self.marks.as_ptr().wrapping_add(at));
        }
        self.waiting.looked += 1;
    }

    #[inline(always)]
    fn lead<M: Memory>(&mut self, memory: &M, pass: Pass, rule: RootRule) {
        let candidate = self
            .waiting
            .items
            .get(self.waiting.done % RING)
            .copied()
            .unwrap_or_default();
        self.waiting.done += 1;
        let before = self
            .index
            .before(self.blocks, candidate.granule, candidate.value);
        if let Some(at) = before
            && let Some(&block) = self.blocks.get(at)
            && (candidate.value < block.end()
                || !rule.allocator && interior::is_empty_array(memory, block, candidate.value))
        {
            self.led(memory, candidate, at, pass, rule);
        }
    }

    /// Looks up all that wait.
    fn settle<M: Memory>(&mut self, memory: &M, pass: Pass, rule: RootRule) {
        while self.waiting.looked < self.waiting.pushed {
            self.look();
        }
        while self.waiting.done < self.waiting.pushed {
            self.lead(memory, pass, rule);
        }
    }

    /// A pointer to block `at` was found.
    #[inline(always)]
    fn led<M: Memory>(
        &mut self,
        memory: &M,
        edge: Candidate,
        at: usize,
        pass: Pass,
        rule: RootRule,
    ) {
        let value = edge.value;
        let Some(&mark) = self.marks.get(at) else {
            return;
        };
        if mark & CLASS != 0 {
            // A pointer of its own to itself makes no ring: empty lists have one.
            if at == self.direct
                && edge.parent as usize != at
                && let Some(mark) = self.marks.get_mut(at)
            {
                *mark |= LED_BACK;
            }
            return;
        }
        match pass {
            Pass::Reach => {
                let Some(&block) = self.blocks.get(at) else {
                    return;
                };
                if value == block.address()
                    || interior::holds(memory, block, value)
                    || is_thread_vector(memory, edge, block)
                {
                    self.link(at, edge);
                    self.enter(at, Class::Reachable as u8);
                } else if mark & INSIDE == 0 && !(rule.allocator && value + 8 >= block.end()) {
                    self.link(at, edge);
                    if let Some(mark) = self.marks.get_mut(at) {
                        *mark |= INSIDE;
                    }
                }
            }
            Pass::Possible => {
                self.link(at, edge);
                self.enter(at, Class::Possible as u8);
            }
            Pass::Point => {
                if edge.parent as usize != at
                    && let Some(mark) = self.marks.get_mut(at)
                {
                    *mark |= POINTED;
                }
            }
            Pass::Order => {
                if mark & SEEN == 0 {
                    if let Some(mark) = self.marks.get_mut(at) {
                        *mark |= SEEN;
                    }
                    self.push(at);
                }
            }
            Pass::Leaks => {
                self.link(at, edge);
                self.enter(at, Class::Indirect as u8);
            }
        }
    }

    fn link(&mut self, at: usize, edge: Candidate) {
        if let Some(link) = self.links.get_mut(at) {
            *link = (edge.parent, edge.word);
        }
    }
}

/// The place in an entry of the order.
fn place(entry: u64) -> usize {
    (entry & ((1 << PLACE_BITS) - 1)) as usize
}

/// Whether the pointer is the one of a thread's descriptor to the vector of the
/// thread's variables, which glibc holds by its second entry (16 bytes each). The
/// descriptor begins with its own address, the vector's, its own address.
fn is_thread_vector(memory: &impl Memory, edge: Candidate, block: Block) -> bool {
    let descriptor = edge.address.wrapping_sub(8);
    let is_own = |address: u64| memory.word(address) == Some(descriptor);
    edge.parent & ROOT != 0
        && edge.address != 0
        && edge.value - block.address() == 16
        && is_own(descriptor)
        && is_own(descriptor + 16)
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
