//! Plays what was still in the rings of a program that was killed.
//!
//! Ring records name blocks by address, so here, and only here, live blocks are
//! looked up by it: in a sorted array made once of the blocks the windows left,
//! and a map of what has changed since.

use crate::live::{Block, FastMap};
use crate::mappings::Range;
use crate::replay::Replay;
use log_format::blob::{Blob, BlobKind};
use log_format::reader::{RingEvent, TailEvents};
use log_format::record::Record;
use log_format::window::Tail;

/// Serial of the live block at an address.
struct ByAddress {
    base: Vec<(u64, u64)>,
    changed: FastMap<u64, Option<u64>>,
}

impl ByAddress {
    fn new(replay: &Replay) -> ByAddress {
        let mut base = Vec::with_capacity(usize::try_from(replay.live.len()).unwrap_or(0));
        base.extend(
            replay
                .live
                .iter()
                .map(|(serial, block)| (block.ptr, serial)),
        );
        base.sort_unstable();
        ByAddress {
            base,
            changed: FastMap::default(),
        }
    }

    fn get(&self, ptr: u64) -> Option<u64> {
        if let Some(&serial) = self.changed.get(&ptr) {
            return serial;
        }
        let place = self
            .base
            .partition_point(|entry| entry.0 <= ptr)
            .checked_sub(1)?;
        self.base
            .get(place)
            .filter(|entry| entry.0 == ptr)
            .map(|entry| entry.1)
    }

    fn set(&mut self, ptr: u64, serial: u64) {
        self.changed.insert(ptr, Some(serial));
    }

    fn take(&mut self, ptr: u64) -> Option<u64> {
        let serial = self.get(ptr)?;
        self.changed.insert(ptr, None);
        Some(serial)
    }
}

struct TailReplay<'r> {
    replay: &'r mut Replay,
    by_address: ByAddress,
    /// The block each thread made last, by serial, if nothing came after.
    last_alloc: FastMap<u32, u64>,
}

/// Plays all records.
pub(crate) fn play(replay: &mut Replay, mut events: TailEvents) {
    let by_address = ByAddress::new(replay);
    let last_of = |tail: &Tail| Some((tail.thread, by_address.get(tail.last_alloc)?));
    let last_alloc = replay.tails.values().filter_map(last_of).collect();
    let mut tail = TailReplay {
        replay,
        by_address,
        last_alloc,
    };
    while let Some(event) = events.next(|event| tail.fits(event)) {
        tail.event(&event);
    }
    tail.replay.damage.append(events.damage());
}

impl TailReplay<'_> {
    /// Whether a record makes sense now: of records with one time stamp from
    /// several rings, that one comes first.
    fn fits(&self, event: &RingEvent) -> bool {
        let there = |ptr| self.by_address.get(ptr).is_some();
        match event.record {
            Record::Free { ptr } => there(ptr),
            Record::ReallocBegin { old } => there(old),
            Record::Alloc { ptr, .. } => !there(ptr),
            Record::ReallocEnd { new, ok, .. } => !ok || !there(new),
            _ => true,
        }
    }

    fn event(&mut self, event: &RingEvent) {
        let (thread, time) = (event.thread, event.time);
        self.replay.last_time = self.replay.last_time.max(time);
        match event.record {
            Record::Alloc { ptr, size, stack } => {
                self.make(event, ptr, size, stack, false);
            }
            Record::Free { ptr } => match self.by_address.take(ptr) {
                Some(serial) => self.free(serial, time),
                None => self.unmatched(ptr),
            },
            Record::ReallocBegin { old } => {
                if let Some(serial) = self.by_address.take(old) {
                    self.last_alloc.retain(|_, last| *last != serial);
                    self.replay.release(thread, serial, time);
                }
            }
            Record::ReallocEnd {
                old,
                new,
                size,
                stack,
                ok,
            } => {
                let pending = self
                    .replay
                    .take_pending_where(thread, |p| p.block.ptr == old);
                match (ok, pending) {
                    (false, Some(pending)) => {
                        // Unless a new block at its place says otherwise.
                        if self.by_address.get(old).is_none() {
                            self.by_address.set(old, pending.serial);
                            self.replay.revive(pending);
                        }
                    }
                    (false, None) => {}
                    (true, Some(pending)) => {
                        self.replay.sites.lifetime(&pending.block, time);
                        if new == 0 {
                            self.replay.totals.frees += 1;
                        } else {
                            self.make(event, new, size, stack, true);
                        }
                    }
                    (true, None) if new == 0 => self.unmatched(old),
                    (true, None) => {
                        if old != 0 {
                            self.unmatched(old);
                        }
                        self.make(event, new, size, stack, false);
                    }
                }
            }
            Record::Map {
                address,
                len,
                stack,
                ..
            } => self.replay.mappings.map(Range {
                start: address,
                end: address.saturating_add(len),
                stack,
                thread,
                time,
            }),
            Record::Unmap { address, len } => self.replay.mappings.unmap_by(thread, address, len),
            // Its records have it already.
            Record::Time { .. } => {}
            Record::Blob { what, .. } => {
                self.replay.facts.add(&Blob {
                    what,
                    time,
                    thread,
                    payload: &event.payload,
                });
                if what == BlobKind::Teardown as u8 {
                    self.replay.note_teardown();
                }
            }
        }
        self.replay.note_peak(time);
        let (bytes, blocks) = (self.replay.live_bytes, self.replay.live.len());
        self.replay.timeline.event(time, bytes, blocks);
    }

    fn unmatched(&mut self, ptr: u64) {
        self.replay.unmatched(ptr);
        self.replay.totals.unmatched_frees = self.replay.totals.unmatched_frees.wrapping_add(1);
    }

    fn free(&mut self, serial: u64, time: u64) {
        let Some(block) = self.replay.live.remove(serial) else {
            return;
        };
        let temporary = self.last_alloc.get(&block.thread) == Some(&serial);
        let totals = &mut self.replay.totals;
        totals.frees = totals.frees.wrapping_add(1);
        totals.temporary = totals.temporary.wrapping_add(u64::from(temporary));
        self.replay.end(&block, time, temporary);
    }

    fn make(&mut self, event: &RingEvent, ptr: u64, size: u64, stack: u32, by_realloc: bool) {
        if let Some(old) = self.by_address.take(ptr) {
            self.replay.lose(old);
            self.replay.totals.missed_frees += 1;
        }
        let serial = self.replay.next_serial;
        let totals = &mut self.replay.totals;
        let made = if by_realloc {
            &mut totals.reallocations
        } else {
            &mut totals.allocations
        };
        *made = made.wrapping_add(1);
        totals.allocated_bytes = totals.allocated_bytes.wrapping_add(size);
        let block = Block {
            ptr,
            size,
            time: event.time,
            stack,
            thread: event.thread,
        };
        self.replay.make(serial, block, by_realloc);
        self.by_address.set(ptr, serial);
        self.last_alloc.insert(event.thread, serial);
    }
}
