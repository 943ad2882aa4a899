//! What events mean, in the plainest form: every block in a map, everything
//! copied at every peak. And random runs to feed it.

use heap::{Bytes, Figures};
use log_format::blob::BlobKind;
use log_format::record::Record;
use log_format::window::lifetime_class;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A record with when and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub time: u64,
    pub thread: u32,
    pub record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    pub id: u64,
    pub ptr: u64,
    pub size: u64,
    pub stack: u32,
    pub thread: u32,
    pub time: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub live: BTreeMap<u64, Block>,
    /// Thread, old block, when.
    pub pending: Vec<(u32, Block, u64)>,
    pub last_alloc: BTreeMap<u32, u64>,
    pub sites: BTreeMap<u32, Figures>,
    pub allocations: u64,
    pub frees: u64,
    pub reallocations: u64,
    pub allocated_bytes: u64,
    pub temporary: u64,
    pub unmatched_frees: u64,
    pub missed_frees: u64,
    pub live_bytes: u64,
    pub peak_bytes: u64,
    pub peak_time: u64,
    /// Bytes and blocks live at the last teardown.
    pub teardown: Option<(u64, u64)>,
    next_id: u64,
}

impl Model {
    /// What a whole run comes to.
    pub fn of(steps: &[Step]) -> Model {
        let mut model = Model::default();
        steps.iter().for_each(|step| model.step(step));
        // Whoever began last had the address last.
        for (_, block, _) in std::mem::take(&mut model.pending).into_iter().rev() {
            if !model.live.contains_key(&block.ptr) {
                model.lives(block);
            }
        }
        model.note_peak(steps.last().map_or(0, |step| step.time));
        if model.teardown.is_none() {
            model.note_teardown();
            model.teardown = None;
        }
        model
    }

    fn site(&mut self, stack: u32) -> &mut Figures {
        self.sites.entry(stack).or_default()
    }

    fn note_peak(&mut self, time: u64) {
        if self.live_bytes > self.peak_bytes {
            self.peak_bytes = self.live_bytes;
            self.peak_time = time;
            for figures in self.sites.values_mut() {
                figures.peak_blocks = figures.blocks;
                figures.peak_bytes = figures.bytes;
            }
        }
    }

    fn note_teardown(&mut self) {
        self.teardown = Some((self.live_bytes, self.live.len() as u64));
        for figures in self.sites.values_mut() {
            figures.teardown_blocks = figures.blocks;
            figures.teardown_bytes = figures.bytes;
        }
    }

    /// Plays a step.
    pub fn step(&mut self, step: &Step) {
        let time = step.time;
        match step.record {
            Record::Alloc { ptr, size, stack } => self.make(step, ptr, size, stack, false),
            Record::Free { ptr } => match self.live.remove(&ptr) {
                Some(block) => {
                    self.frees += 1;
                    let temporary = self.last_alloc.get(&block.thread) == Some(&block.id);
                    self.temporary += u64::from(temporary);
                    self.site(block.stack).temporary += u64::from(temporary);
                    self.gone(&block);
                    self.ended(&block, time);
                }
                None => self.unmatched_frees += 1,
            },
            Record::ReallocBegin { old } => {
                if let Some(block) = self.live.remove(&old) {
                    self.gone(&block);
                    self.last_alloc.retain(|_, id| *id != block.id);
                    self.pending.push((step.thread, block, time));
                }
            }
            Record::ReallocEnd {
                old,
                new,
                size,
                stack,
                ok,
            } => {
                let is = |p: &(u32, Block, u64)| p.0 == step.thread && p.1.ptr == old;
                let pending = self
                    .pending
                    .iter()
                    .rposition(is)
                    .map(|place| self.pending.remove(place));
                match (ok, pending) {
                    (false, Some((_, block, _))) => self.lives(block),
                    (false, None) => {}
                    (true, pending) => {
                        if let Some((_, block, _)) = pending {
                            self.ended(&block, time);
                        }
                        self.unmatched_frees += u64::from(pending.is_none());
                        self.make(step, new, size, stack, pending.is_some());
                    }
                }
            }
            Record::Blob { .. } => self.note_teardown(),
            _ => {}
        }
        self.note_peak(time);
    }

    fn make(&mut self, step: &Step, ptr: u64, size: u64, stack: u32, by_realloc: bool) {
        if let Some(old) = self.live.remove(&ptr) {
            self.missed_frees += 1;
            self.gone(&old);
        }
        self.next_id += 1;
        let block = Block {
            id: self.next_id,
            ptr,
            size,
            stack,
            thread: step.thread,
            time: step.time,
        };
        self.allocations += u64::from(!by_realloc);
        self.reallocations += u64::from(by_realloc);
        self.allocated_bytes += size;
        let site = self.site(stack);
        site.allocations += u64::from(!by_realloc);
        site.reallocations += u64::from(by_realloc);
        site.allocated_bytes += Bytes(size);
        site.blocks += 1;
        site.bytes += Bytes(size);
        self.live_bytes += size;
        self.live.insert(ptr, block);
        self.last_alloc.insert(step.thread, block.id);
    }

    fn gone(&mut self, block: &Block) {
        let site = self.site(block.stack);
        site.blocks -= 1;
        site.bytes -= Bytes(block.size);
        self.live_bytes -= block.size;
    }

    fn ended(&mut self, block: &Block, time: u64) {
        self.site(block.stack).lifetimes[lifetime_class(time - block.time)] += 1;
    }

    fn lives(&mut self, block: Block) {
        let site = self.site(block.stack);
        site.blocks += 1;
        site.bytes += Bytes(block.size);
        self.live_bytes += block.size;
        self.live.insert(block.ptr, block);
    }
}

/// Said by any thread.
const TEARDOWN: Record = Record::Blob {
    what: BlobKind::Teardown as u8,
    len: 0,
};

pub const THREADS: u32 = 3;
pub const STACKS: u32 = 6;
const PLACES: u64 = 24;

/// Random runs: few addresses, so that they are reused; reallocations that end
/// well or not or never, with other threads' events between; frees of nothing; teardowns.
pub fn run(max: usize, threads: u32) -> impl Strategy<Value = Vec<Step>> {
    let choice = (0u8..17, any::<u16>(), 0u64..200, 1..=threads, 1u64..3000);
    prop::collection::vec(choice, 0..max).prop_map(|choices| {
        let mut model = Model::default();
        let mut calls: Vec<(u32, u64)> = Vec::new();
        let mut steps = Vec::new();
        let mut time = 1000;
        for (what, pick, size, thread, wait) in choices {
            time += wait;
            let pick = u64::from(pick);
            let stack = (pick % u64::from(STACKS)) as u32 + 1;
            let empty: Vec<u64> = (1..=PLACES)
                .map(|n| n * 16)
                .filter(|ptr| !model.live.contains_key(ptr))
                .collect();
            let empty_ptr = empty.get(pick as usize % empty.len().max(1)).copied();
            let live_ptr = model
                .live
                .keys()
                .nth(pick as usize % model.live.len().max(1))
                .copied();
            let call = calls.iter().rposition(|call| call.0 == thread);
            let record = match what {
                0..=4 => empty_ptr.map(|ptr| Record::Alloc { ptr, size, stack }),
                5 if pick % 8 == 0 => live_ptr.map(|ptr| Record::Alloc { ptr, size, stack }),
                5..=8 => live_ptr.map(|ptr| Record::Free { ptr }),
                9 if pick % 4 == 0 => empty_ptr.map(|ptr| Record::Free { ptr }),
                10 if pick % 4 == 0 => empty_ptr.map(|old| Record::ReallocBegin { old }),
                9..=12 => live_ptr.map(|old| Record::ReallocBegin { old }),
                16 => (pick % 8 == 0).then_some(TEARDOWN),
                _ => call.and_then(|place| {
                    let old = calls[place].1;
                    let fails = size < 40;
                    if fails && model.live.contains_key(&old) {
                        return None;
                    }
                    let new = if fails { 0 } else { empty_ptr? };
                    calls.remove(place);
                    Some(Record::ReallocEnd {
                        old,
                        new,
                        size,
                        stack,
                        ok: !fails,
                    })
                }),
            };
            let Some(record) = record else { continue };
            if let Record::ReallocBegin { old } = record {
                // The same old block twice in one thread would be ambiguous.
                if calls.iter().any(|&(_, ptr)| ptr == old) {
                    continue;
                }
                calls.push((thread, old));
            }
            let step = Step {
                time,
                thread,
                record,
            };
            model.step(&step);
            steps.push(step);
        }
        steps
    })
}
