//! The queue of blocks, the words of each, and what the blocks are marked as that they lead to.

use super::{
    CLASS, INSIDE, LED_BACK, PATIENCE, POINTED, ROOT, RootRule, SEEN, Search, Stop, prefetch,
};
use crate::{Block, Class, Memory, interior};

/// Words that are being looked up at a time, so that their cache misses overlap: after
/// so many later ones the table's entry is read, and after so many the block's.
const RING: usize = 64;
const LOOK: usize = 16;
const LEAD: usize = 40;
/// Blocks whose memory is asked for ahead of reading it, and whose entries still further ahead.
const AHEAD: usize = 8;

/// What a pass does with a block that it is led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Reach,
    Possible,
    Point,
    Order,
    Leaks,
}

/// A word that may be a pointer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    pub value: u64,
    /// Where it stands; 0 if not in memory.
    pub address: u64,
    pub parent: u32,
    /// Its place in the parent, words.
    pub word: u32,
    pub granule: u32,
}

/// Candidates in the order in which they were found.
#[derive(Debug)]
pub(super) struct Waiting {
    items: [Candidate; RING],
    pushed: usize,
    looked: usize,
    done: usize,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting {
            items: [Candidate::default(); RING],
            pushed: 0,
            looked: 0,
            done: 0,
        }
    }
}

impl Search<'_> {
    pub(super) fn push(&mut self, at: usize) {
        // Each pass begins with an empty queue and takes each block once.
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        }
        if let Some(slot) = self.queue.get_mut(self.tail) {
            *slot = at as u32;
            self.tail += 1;
        }
    }

    pub(super) fn enter(&mut self, at: usize, class: u8) {
        if let Some(mark) = self.marks.get_mut(at) {
            *mark = *mark & !CLASS | class;
            self.push(at);
        }
    }

    pub(super) fn drain<M: Memory>(&mut self, memory: &M, pass: Pass) -> Result<(), Stop> {
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

    pub(super) fn patience<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
        if self.scanned - self.asked > PATIENCE {
            self.asked = self.scanned;
            if memory.is_late() {
                return Err(Stop::Late);
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn range<M: Memory>(
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
    pub(super) fn push_candidate<M: Memory>(
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
    pub(super) fn settle<M: Memory>(&mut self, memory: &M, pass: Pass, rule: RootRule) {
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
