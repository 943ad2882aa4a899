//! What growth needs of every site, noted while a log is replayed.
//!
//! Per site, whatever the number of events: its bytes at each border of a part,
//! and the *steps* of its old blocks. A block is old at a border if it was born
//! before the part that ends there; so it counts from two borders after its birth
//! to the border before its death, and two additions say so:
//!
//! ```text
//! border    0     1     2     3     4     5
//!           |  *--|-----|-----|-----|--+  |        * born, + freed
//! steps                 +1          :     -1
//! ```

use super::evidence::Evidence;
use super::plan::{PARTS, Plan};
use super::spans::Spans;
use crate::live::{Block, FastMap};
use crate::units::Bytes;
use log_format::reader::Clock;
use log_format::window::Sum;

/// Steps of a site's old blocks, and what may be missing of them.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    /// Change of the number of old blocks at each border.
    pub blocks: [i64; PARTS + 1],
    /// Change of their bytes.
    pub bytes: [i64; PARTS + 1],
    /// By border, the last of its stretch: blocks that were born and died inside a
    /// window and may have been old at a border in it.
    pub unseen: [u64; PARTS + 1],
}

impl Default for Steps {
    fn default() -> Steps {
        Steps {
            blocks: [0; PARTS + 1],
            bytes: [0; PARTS + 1],
            unseen: [0; PARTS + 1],
        }
    }
}

#[derive(Debug, Default)]
struct SiteWatch {
    bytes: u64,
    /// Bytes at the borders passed so far; none before the first change.
    levels: Vec<u64>,
    steps: Option<Box<Steps>>,
}

/// No site yet.
const NONE: u32 = u32::MAX;

/// All sites.
#[derive(Debug)]
pub(crate) struct Watch {
    plan: Plan,
    /// What was made for these counts nowhere.
    spans: Spans,
    /// Site by node id.
    near: Vec<u32>,
    far: FastMap<u32, u32>,
    list: Vec<(u32, SiteWatch)>,
    /// Shortest part, ticks.
    shortest: u64,
    now: u64,
    /// Borders passed.
    passed: usize,
}

impl Watch {
    pub fn new(plan: Plan, spans: Spans, nodes: usize) -> Watch {
        let parts = plan.borders.windows(2).map(|pair| pair[1] - pair[0]);
        Watch {
            shortest: parts.min().unwrap_or(0),
            plan,
            spans,
            near: vec![NONE; nodes],
            far: FastMap::default(),
            list: Vec::new(),
            now: 0,
            passed: 0,
        }
    }

    fn at(&mut self, stack: u32) -> &mut SiteWatch {
        let slot = match self.near.get_mut(stack as usize) {
            Some(slot) => slot,
            None => self.far.entry(stack).or_insert(NONE),
        };
        if *slot == NONE {
            *slot = self.list.len() as u32;
            self.list.push((stack, SiteWatch::default()));
        }
        &mut self.list[*slot as usize].1
    }

    /// It is this late.
    #[inline]
    pub fn time(&mut self, now: u64) {
        if now > self.now {
            self.now = now;
            while self
                .plan
                .borders
                .get(self.passed)
                .is_some_and(|&border| border < now)
            {
                self.passed += 1;
            }
        }
    }

    /// A window ended then. An event whose record had to wait for the drain has a time
    /// before the end of the window that the drain wrote, but is not in it.
    pub fn window_ended(&mut self, end: u64) {
        self.time(end);
        while self
            .plan
            .borders
            .get(self.passed)
            .is_some_and(|&border| border <= end)
        {
            self.passed += 1;
        }
    }

    /// A block was made.
    pub fn lives(&mut self, block: &Block) {
        if self.spans.made(block) {
            return;
        }
        let passed = self.passed;
        let site = self.at(block.stack);
        let bytes = site.bytes;
        site.levels.resize(passed.max(site.levels.len()), bytes);
        site.bytes = bytes.wrapping_add(block.size);
    }

    /// A block is gone for good.
    pub fn gone(&mut self, block: &Block) {
        if self.spans.made(block) {
            return;
        }
        self.died(block);
        let passed = self.passed;
        let site = self.at(block.stack);
        let bytes = site.bytes;
        site.levels.resize(passed.max(site.levels.len()), bytes);
        site.bytes = bytes.wrapping_sub(block.size);
    }

    /// The steps of a block that died now.
    fn died(&mut self, block: &Block) {
        let (from, to) = (self.old_from(block.time), self.passed);
        if from < to {
            let size = block.size.cast_signed();
            let steps = self.at(block.stack).steps.get_or_insert_default();
            steps.blocks[from] += 1;
            steps.bytes[from] = steps.bytes[from].wrapping_add(size);
            if to <= PARTS {
                steps.blocks[to] -= 1;
                steps.bytes[to] = steps.bytes[to].wrapping_sub(size);
            }
        }
    }

    /// The border at which a block is old. What was born in the warm-up is old
    /// from the start: it is not what grew.
    fn old_from(&self, born: u64) -> usize {
        self.plan.part(born).map_or(0, |part| part + 2)
    }

    /// Blocks that were born and died inside the window that begins and ends then.
    pub fn cancelled(&mut self, sum: &Sum, start: u64, end: u64) {
        let inner = self.plan.borders.partition_point(|&border| border < end);
        let Some(last) = inner
            .checked_sub(1)
            .filter(|&at| self.plan.inside[at].is_some())
        else {
            return;
        };
        if self.plan.borders[last] < start {
            return;
        }
        // Class k is below 4^(k + 6) ticks.
        let shortest = self.shortest;
        let classes = sum.lifetimes.iter().zip(6u32..);
        let long = classes.filter(|&(_, power)| power == 13 || 4u64.pow(power) > shortest);
        let count: u64 = long.map(|(&count, _)| u64::from(count)).sum();
        if count > 0 {
            let stretch = self.plan.inside[last];
            let last = (last..PARTS)
                .take_while(|&at| self.plan.inside[at] == stretch)
                .last();
            let steps = self.at(sum.stack).steps.get_or_insert_default();
            let unseen = &mut steps.unseen[last.unwrap_or(PARTS)];
            *unseen = unseen.saturating_add(count);
        }
    }

    /// The run is over: the evidence of every site that has live blocks.
    pub fn finish<'b>(
        mut self,
        live: impl Iterator<Item = &'b Block>,
        clock: &Clock,
    ) -> (Plan, FastMap<u32, Box<Evidence>>) {
        self.time(u64::MAX);
        let plan = self.plan.clone();
        let end = clock.to_ns(plan.borders[PARTS]);
        let mut found: FastMap<u32, Box<Evidence>> = FastMap::default();
        for block in live {
            if self.spans.made(block) {
                continue;
            }
            let from = self.old_from(block.time);
            if from <= PARTS {
                let steps = self.at(block.stack).steps.get_or_insert_default();
                steps.blocks[from] += 1;
                steps.bytes[from] = steps.bytes[from].wrapping_add(block.size.cast_signed());
            }
            let age = end.saturating_sub(clock.to_ns(block.time));
            found
                .entry(block.stack)
                .or_default()
                .survivor(block.time, age, &plan);
        }
        for (stack, mut site) in self.list {
            if let Some(evidence) = found.get_mut(&stack) {
                site.levels.resize(PARTS + 1, site.bytes);
                evidence.levels = site.levels.into_iter().map(Bytes).collect();
                evidence.steps = site.steps.map(|steps| *steps).unwrap_or_default();
            }
        }
        (plan, found)
    }
}
