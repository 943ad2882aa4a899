//! Which leaks are direct, and which are led to by others.

use super::{
    AHEAD_IN_ORDER, CLASS, FIRST, PLACE_BITS, POINTED, Pass, SEEN, Search, Stop, prefetch,
};
use crate::{Class, Memory};

impl Search<'_> {
    /// Direct leaks are the blocks that no other leak leads to, and of each ring with
    /// that quality its oldest. Those that no leak has a pointer to are found in one pass in
    /// the order of memory, and what they lead to in one breadth-first pass from all of them.
    /// What is left lies in rings, or behind them.
    pub(super) fn leaks<M: Memory>(&mut self, memory: &M) -> Result<(), Stop> {
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
}
