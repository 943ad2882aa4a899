//! A plain recorder: turns a run into windows and rings as the real one does,
//! with none of its speed. What it writes defines what the replay must read.

use super::model::{Model, STACKS, Step, THREADS};
use super::support::{self, LogFile};
use log_format::blob::BlobKind;
use log_format::block::{BlockKind, Codec};
use log_format::record::Record;
use log_format::window::{Event, EventKind, Head, Sum, Tail, Totals, lifetime_class};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What becomes of a block inside a window.
#[derive(Clone, Copy, Debug)]
struct Life {
    born_here: bool,
    serial: u64,
    by_realloc: bool,
    size: u64,
    stack: u32,
    time: u64,
}

#[derive(Default)]
pub struct Drain {
    file_blocks: Vec<Vec<u8>>,
    /// Truth so far; ids name blocks.
    model: Model,
    /// Blocks by the model's id.
    lives: HashMap<u64, Life>,
    next_serial: u64,
    /// Blocks in a reallocation that the log was told of.
    announced: HashSet<u64>,
    consumed: BTreeMap<u32, u64>,
}

/// A run as a log: windows end before the given step numbers (and at peaks and teardowns), the
/// rest stands in the rings.
pub fn write(steps: &[Step], mut cuts: Vec<usize>, codec: Codec, short: bool) -> LogFile {
    cuts.sort_unstable();
    let mut file = LogFile::new();
    let nodes: Vec<_> = (0..STACKS)
        .map(|n| support::node(n, 0x1000 + u64::from(n)))
        .collect();
    // Serials begin at 0 or 1.
    let mut drain = Drain {
        next_serial: steps.len() as u64 % 2,
        ..Drain::default()
    };
    drain
        .file_blocks
        .push(file.block(BlockKind::Nodes, Codec::Raw, &support::nodes(1, &nodes)));
    let mut from = 0;
    for cut in cuts.into_iter().map(|cut| cut.min(steps.len())) {
        while from < cut {
            from = drain.window(&steps[from..cut], from, &mut file, codec);
        }
    }
    let blocks = std::mem::take(&mut drain.file_blocks);
    file.data(&blocks);
    for thread in 1..=THREADS {
        let tail = drain.consumed.get(&thread).copied().unwrap_or(0);
        let mut records = Vec::new();
        if tail == 0 {
            let name = support::thread(thread, thread + 100, "t");
            records.extend(support::ring_blob(BlobKind::ThreadStart, 1, &name));
        }
        let mut last_time = None;
        for step in steps[from..].iter().filter(|step| step.thread == thread) {
            let full = support::record(&step.record, step.time, b"");
            match support::short_record(&step.record).filter(|_| short) {
                None => records.extend(full),
                Some(bytes) => {
                    let time = Record::Time { time: step.time };
                    if last_time != Some(step.time) {
                        records.extend(support::record(&time, 0, b""));
                    }
                    records.extend(bytes);
                }
            }
            last_time = Some(step.time);
        }
        file.ring(thread, 1 << 16, tail, &records);
    }
    file
}

impl Drain {
    /// Writes one window of these steps, or of the first of them up to a new
    /// peak or a teardown; returns the number of the step after it.
    fn window(&mut self, steps: &[Step], from: usize, file: &mut LogFile, codec: Codec) -> usize {
        let mut ahead = self.model.clone();
        let is_teardown = |step: &Step| matches!(step.record, Record::Blob { .. });
        let cut = steps.iter().position(is_teardown);
        let steps = &steps[..cut.map_or(steps.len(), |number| number + 1)];
        let (mut peak, mut peak_at) = (self.model.peak_bytes, None);
        for (number, step) in steps.iter().enumerate() {
            ahead.step(step);
            if ahead.live_bytes > peak {
                (peak, peak_at) = (ahead.live_bytes, Some(number));
            }
        }
        let steps = &steps[..peak_at.map_or(steps.len(), |number| number + 1)];
        let before = self.model.clone();
        let first_serial = self.next_serial;
        let (mut events, mut sums) = (Vec::new(), BTreeMap::<u32, Sum>::new());
        let mut max_live_bytes = 0;
        // First the truth, so that each step knows what will become of its block.
        let ended_here = self.ended_within(steps);
        for step in steps {
            self.step(step, &ended_here, &mut events, &mut sums);
            max_live_bytes = max_live_bytes.max(self.model.live_bytes);
            *self.consumed.entry(step.thread).or_default() +=
                support::record(&step.record, step.time, b"").len() as u64;
        }
        let end = steps[steps.len() - 1].time;
        for (thread, block, _) in self.model.pending.clone() {
            if self.announced.insert(block.id) {
                events.push(Event {
                    kind: EventKind::Release,
                    thread,
                    stack: 0,
                    time: end,
                    ptr: 0,
                    size: 0,
                    serial: self.lives[&block.id].serial,
                });
            }
        }
        for life in self.lives.values_mut() {
            life.born_here = false;
        }
        let now = &self.model;
        let head = Head {
            start: steps[0].time,
            end,
            time_shift: 0,
            ends_at_peak: peak_at.is_some(),
            first_serial,
            totals: Totals {
                allocations: now.allocations - before.allocations,
                frees: now.frees - before.frees,
                reallocations: now.reallocations - before.reallocations,
                allocated_bytes: now.allocated_bytes - before.allocated_bytes,
                temporary: now.temporary - before.temporary,
                unmatched_frees: now.unmatched_frees - before.unmatched_frees,
                missed_frees: now.missed_frees - before.missed_frees,
            },
            live_blocks: now.live.len() as u64,
            live_bytes: now.live_bytes,
            max_live_bytes,
        };
        let tails: Vec<Tail> = (1..=THREADS).map(|thread| self.tail(thread)).collect();
        let sums: Vec<Sum> = sums.into_values().collect();
        let name = support::thread(1, 101, "t");
        let mut blob = support::blob(BlobKind::ThreadStart, steps[0].time, 1, &name);
        for step in steps.iter().filter(|step| is_teardown(step)) {
            blob.extend(support::blob(
                BlobKind::Teardown,
                step.time,
                step.thread,
                b"",
            ));
        }
        let content = support::window(&head, &tails, &sums, &events, &blob);
        self.file_blocks
            .push(file.block(BlockKind::Window, codec, &content));
        from + steps.len()
    }

    fn tail(&self, thread: u32) -> Tail {
        let last = self.model.last_alloc.get(&thread);
        let last = self
            .model
            .live
            .values()
            .find(|block| Some(&block.id) == last);
        Tail {
            ring: thread,
            tail: self.consumed.get(&thread).copied().unwrap_or(0),
            thread,
            last_alloc: last.map_or(0, |block| block.ptr),
        }
    }

    /// Blocks made in these steps that are freed, or reallocated well, in them.
    fn ended_within(&self, steps: &[Step]) -> HashSet<u64> {
        let mut model = self.model.clone();
        let mut made = HashSet::new();
        let mut ended = HashSet::new();
        for step in steps {
            let before: BTreeMap<u64, u64> = model.live.values().map(|b| (b.ptr, b.id)).collect();
            let pending: Vec<u64> = model.pending.iter().map(|p| p.1.id).collect();
            model.step(step);
            if let Record::Free { ptr } = step.record
                && let Some(id) = before.get(&ptr)
            {
                ended.insert(*id);
            }
            let still: HashSet<u64> = model.pending.iter().map(|p| p.1.id).collect();
            for id in pending.iter().filter(|id| !still.contains(id)) {
                if !model.live.values().any(|block| block.id == *id) {
                    ended.insert(*id);
                }
            }
            for block in model
                .live
                .values()
                .filter(|block| !before.values().any(|id| *id == block.id))
            {
                if !pending.contains(&block.id) {
                    made.insert(block.id);
                }
            }
        }
        &made & &ended
    }

    fn step(
        &mut self,
        step: &Step,
        ended_here: &HashSet<u64>,
        events: &mut Vec<Event>,
        sums: &mut BTreeMap<u32, Sum>,
    ) {
        let before = self.model.clone();
        self.model.step(step);
        let event = |kind, serial| Event {
            kind,
            thread: step.thread,
            stack: 0,
            time: step.time,
            ptr: 0,
            size: 0,
            serial,
        };
        let at = |ptr: u64| before.live.get(&ptr).map(|block| block.id);
        match step.record {
            Record::Free { ptr } => match at(ptr) {
                None => events.push(Event {
                    ptr,
                    ..event(EventKind::UnmatchedFree, 0)
                }),
                Some(id) => {
                    let life = self.lives[&id];
                    let temporary = self.model.temporary > before.temporary;
                    if ended_here.contains(&id) {
                        sum(sums, &life, step.time, temporary);
                    } else {
                        let kind = if temporary {
                            EventKind::FreeTemporary
                        } else {
                            EventKind::Free
                        };
                        events.push(event(kind, life.serial));
                    }
                }
            },
            // Told at the window's end if it is still under way then.
            Record::ReallocBegin { .. } => {}
            Record::ReallocEnd { old, new, ok, .. } => {
                let is =
                    |p: &&(u32, super::model::Block, u64)| p.0 == step.thread && p.1.ptr == old;
                let pending = before.pending.iter().rev().find(is).copied();
                if ok {
                    self.made(new, step, pending.is_some(), at(new), ended_here, events);
                }
                let Some((_, block, _)) = pending else {
                    return;
                };
                let life = self.lives[&block.id];
                let hidden = ended_here.contains(&block.id);
                let announced = self.announced.remove(&block.id);
                match (ok, hidden) {
                    (true, true) => sum(sums, &life, step.time, false),
                    (true, false) => events.push(event(EventKind::ReleaseDone, life.serial)),
                    (false, _) if announced => events.push(event(EventKind::Revive, life.serial)),
                    (false, _) => {}
                }
            }
            Record::Alloc { ptr, .. } => self.made(ptr, step, false, at(ptr), ended_here, events),
            _ => {}
        }
    }

    fn made(
        &mut self,
        ptr: u64,
        step: &Step,
        by_realloc: bool,
        overwritten: Option<u64>,
        ended_here: &HashSet<u64>,
        events: &mut Vec<Event>,
    ) {
        let block = self.model.live[&ptr];
        let blank = Event {
            kind: EventKind::MissedFree,
            thread: step.thread,
            stack: 0,
            time: step.time,
            ptr: 0,
            size: 0,
            serial: 0,
        };
        if let Some(id) = overwritten {
            let serial = self.lives[&id].serial;
            events.push(Event { serial, ..blank });
        }
        let mut life = Life {
            born_here: true,
            serial: 0,
            by_realloc,
            size: block.size,
            stack: block.stack,
            time: block.time,
        };
        if !ended_here.contains(&block.id) {
            life.serial = self.next_serial;
            self.next_serial += 1;
            events.push(Event {
                kind: if by_realloc {
                    EventKind::ReallocAlloc
                } else {
                    EventKind::Alloc
                },
                ptr,
                size: life.size,
                stack: life.stack,
                serial: life.serial,
                ..blank
            });
        }
        self.lives.insert(block.id, life);
    }
}

fn sum(sums: &mut BTreeMap<u32, Sum>, life: &Life, ended: u64, temporary: bool) {
    assert!(life.born_here);
    let sum = sums.entry(life.stack).or_insert(Sum {
        stack: life.stack,
        ..Sum::default()
    });
    sum.allocations += u64::from(!life.by_realloc);
    sum.reallocations += u64::from(life.by_realloc);
    sum.bytes += life.size;
    sum.temporary += u64::from(temporary);
    sum.lifetimes[lifetime_class(ended - life.time)] += 1;
}
