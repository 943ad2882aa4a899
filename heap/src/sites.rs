//! The figures of every stack while a log is replayed.
//!
//! **Peak.** A new peak of the heap must give every site its live bytes of that
//! moment, and a growing program has peaks all the time. So nothing is copied
//! then: the peak gets the next *epoch* number, and a site whose own number is
//! older writes down what it has before it changes for the first time after.
//! So it is with the *teardown*, the last moment before a runtime gives everything back.

use crate::growth::Watch;
use crate::live::{Block, FastMap};
use crate::profile::Figures;
use crate::units::Bytes;
use log_format::window::{LIFETIMES, Sum, lifetime_class};

#[derive(Debug)]
pub(crate) struct SiteState {
    /// Node id.
    pub stack: u32,
    epoch: u64,
    /// `peak_*` and `teardown_*` are true once `epoch` is the current one.
    pub figures: Figures,
}

/// Numbers of moments.
#[derive(Clone, Copy, Debug, Default)]
struct Epochs {
    /// The latest one, of whatever kind.
    now: u64,
    peak: u64,
    teardown: u64,
}

impl SiteState {
    /// Must come before every change of live blocks.
    #[inline]
    fn touch(&mut self, epochs: Epochs) {
        if self.epoch != epochs.now {
            self.write_down(epochs);
        }
    }

    fn write_down(&mut self, epochs: Epochs) {
        let figures = &mut self.figures;
        if self.epoch < epochs.peak {
            figures.peak_blocks = figures.blocks;
            figures.peak_bytes = figures.bytes;
        }
        if self.epoch < epochs.teardown {
            figures.teardown_blocks = figures.blocks;
            figures.teardown_bytes = figures.bytes;
        }
        self.epoch = epochs.now;
    }
}

/// No site yet.
const NONE: u32 = u32::MAX;

/// All sites.
#[derive(Debug)]
pub(crate) struct Sites {
    /// Site by node id.
    near: Vec<u32>,
    /// Site by node ids that are not in the table (damage).
    far: FastMap<u32, u32>,
    list: Vec<SiteState>,
    epochs: Epochs,
    /// Notes what growth needs, if that is asked for.
    pub watch: Option<Box<Watch>>,
}

impl Sites {
    /// For a table of `nodes` stacks.
    pub fn new(nodes: usize) -> Sites {
        Sites {
            near: vec![NONE; nodes],
            far: FastMap::default(),
            list: Vec::new(),
            epochs: Epochs::default(),
            watch: None,
        }
    }

    #[inline]
    fn at(&mut self, stack: u32) -> &mut SiteState {
        let slot = match self.near.get_mut(stack as usize) {
            Some(slot) => slot,
            None => self.far.entry(stack).or_insert(NONE),
        };
        if *slot == NONE {
            *slot = self.list.len() as u32;
            self.list.push(SiteState {
                stack,
                epoch: self.epochs.now,
                figures: Figures::default(),
            });
        }
        &mut self.list[*slot as usize]
    }

    /// Blocks that were born and died inside the window that begins and ends then.
    pub fn cancelled(&mut self, sum: &Sum, start: u64, end: u64) {
        if let Some(watch) = &mut self.watch {
            watch.cancelled(sum, start, end);
        }
        let mut lifetimes = [0; LIFETIMES];
        for (count, &given) in lifetimes.iter_mut().zip(&sum.lifetimes) {
            *count = u64::from(given);
        }
        self.at(sum.stack).figures.add(&Figures {
            allocations: sum.allocations,
            reallocations: sum.reallocations,
            allocated_bytes: Bytes(sum.bytes),
            temporary: sum.temporary,
            lifetimes,
            ..Figures::default()
        });
    }

    /// A window ended; what comes now comes after it, whatever its time says.
    pub fn window_ended(&mut self, time: u64) {
        if let Some(watch) = &mut self.watch {
            watch.window_ended(time);
        }
    }

    /// A block was made.
    #[inline]
    pub fn made(&mut self, block: &Block, by_realloc: bool) {
        if let Some(watch) = &mut self.watch {
            watch.time(block.time);
            watch.lives(block);
        }
        let figures = &mut self.there(block).figures;
        if by_realloc {
            figures.reallocations = figures.reallocations.wrapping_add(1);
        } else {
            figures.allocations = figures.allocations.wrapping_add(1);
        }
        figures.allocated_bytes += Bytes(block.size);
    }

    /// A block lives (again).
    #[inline]
    pub fn there(&mut self, block: &Block) -> &mut SiteState {
        let epochs = self.epochs;
        let site = self.at(block.stack);
        site.touch(epochs);
        site.figures.blocks += 1;
        site.figures.bytes += Bytes(block.size);
        site
    }

    /// A block is gone for good.
    #[inline]
    pub fn gone(&mut self, block: &Block) -> &mut SiteState {
        if let Some(watch) = &mut self.watch {
            watch.gone(block);
        }
        self.away(block)
    }

    /// A block lives no more, or is inside a `realloc`: a site's growth takes it for
    /// there until that is known ([`Sites::lifetime`]).
    #[inline]
    pub fn away(&mut self, block: &Block) -> &mut SiteState {
        let epochs = self.epochs;
        let site = self.at(block.stack);
        site.touch(epochs);
        site.figures.blocks -= 1;
        site.figures.bytes -= Bytes(block.size);
        site
    }

    /// A block was freed or given to a reallocation.
    #[inline]
    pub fn ended(&mut self, block: &Block, time: u64, temporary: bool) {
        if let Some(watch) = &mut self.watch {
            watch.time(time);
        }
        let figures = &mut self.gone(block).figures;
        figures.temporary = figures.temporary.wrapping_add(u64::from(temporary));
        lifetime(figures, block, time);
    }

    /// A block that was inside a `realloc` ended at `time`.
    pub fn lifetime(&mut self, block: &Block, time: u64) {
        if let Some(watch) = &mut self.watch {
            watch.time(time);
            watch.gone(block);
        }
        lifetime(&mut self.at(block.stack).figures, block, time);
    }

    /// What lives now is the heap's peak.
    pub fn peak(&mut self) {
        self.epochs.now += 1;
        self.epochs.peak = self.epochs.now;
    }

    /// What lives now is what the program held when its runtime was torn down.
    pub fn teardown(&mut self) {
        self.epochs.now += 1;
        self.epochs.teardown = self.epochs.now;
    }

    /// The sites, their moments written down. What never was torn down holds what it has.
    pub fn finish(mut self) -> Vec<SiteState> {
        if self.epochs.teardown == 0 {
            self.teardown();
        }
        for site in &mut self.list {
            site.touch(self.epochs);
        }
        self.list
    }
}

fn lifetime(figures: &mut Figures, block: &Block, time: u64) {
    let class = &mut figures.lifetimes[lifetime_class(time.saturating_sub(block.time))];
    *class = class.wrapping_add(1);
}
