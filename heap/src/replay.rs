//! Plays a log's events: what happened to every block.
//!
//! Two sources, one state. Windows name blocks by serial and have their
//! cancelled pairs summed; their heads' totals count. The rings of a killed
//! program name blocks by address ([`crate::tail`]) and are counted here event
//! by event.
//!
//! A reallocation releases its old block when it begins: from then on another
//! thread may own the address. Until it is known how it ended, the block is
//! *pending*: not live, not dead. If the log ends first, it lives. (Windows tell
//! only of calls that were under way when they ended; the others are seen as a
//! block that ends, `ReleaseDone`, and one that begins.)

use crate::growth::Marks;
use crate::live::{Block, FastMap, Live};
use crate::mappings::{Mappings, Range};
use crate::sites::Sites;
use crate::timeline::Timeline;
use log_format::blob::BlobKind;
use log_format::error::DamageList;
use log_format::reader::{Facts, Window};
use log_format::window::{Event, EventKind, Head, Tail, Totals};
use std::collections::BTreeMap;

/// Events that are decoded before the first of them is played.
const BATCH: usize = 64;

/// Addresses kept of frees that match no block.
const MAX_UNMATCHED: usize = 4096;

fn is_made(event: &Event) -> bool {
    matches!(event.kind, EventKind::Alloc | EventKind::ReallocAlloc)
}

/// A block inside a `realloc` that has not come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub serial: u64,
    pub block: Block,
    /// When the call began, or the window ended that tells of it.
    pub time: u64,
}

/// The state of the heap and everything counted.
#[derive(Debug)]
pub(crate) struct Replay {
    pub sites: Sites,
    pub live: Live,
    pub live_bytes: u64,
    /// By thread; the call that began last, last.
    pub pending: FastMap<u32, Vec<Pending>>,
    pub totals: Totals,
    pub peak_bytes: u64,
    pub peak_time: u64,
    /// Bytes and blocks live when the runtime was torn down.
    pub teardown: Option<(u64, u64)>,
    pub mappings: Mappings,
    pub timeline: Timeline,
    pub marks: Marks,
    pub facts: Facts,
    /// Last known end of each ring.
    pub tails: BTreeMap<u32, Tail>,
    pub next_serial: u64,
    pub last_time: u64,
    /// Addresses of the first frees of what no block has.
    pub unmatched_frees: Vec<u64>,
    /// Events that name a block that is not there.
    pub unknown_blocks: u64,
    pub head_mismatches: u64,
    pub damage: DamageList,
}

impl Replay {
    /// For a log with a table of `nodes` stacks.
    pub fn new(nodes: usize, damage: DamageList) -> Replay {
        Replay {
            sites: Sites::new(nodes),
            live: Live::default(),
            live_bytes: 0,
            pending: FastMap::default(),
            totals: Totals::default(),
            peak_bytes: 0,
            peak_time: 0,
            teardown: None,
            mappings: Mappings::default(),
            timeline: Timeline::new(),
            marks: Marks::new(),
            facts: Facts::default(),
            tails: BTreeMap::new(),
            next_serial: 1,
            last_time: 0,
            unmatched_frees: Vec::new(),
            unknown_blocks: 0,
            head_mismatches: 0,
            damage,
        }
    }

    /// Plays one window.
    pub fn window(&mut self, mut window: Window<'_>) {
        let head = window.head;
        for tail in window.tails {
            self.tails.insert(tail.ring, *tail);
        }
        let mut torn_down = false;
        for blob in window.events.blobs() {
            self.facts.add(&blob);
            torn_down |= blob.what == BlobKind::Teardown as u8;
        }
        let mut seen = Totals::default();
        for sum in window.sums {
            self.sites.cancelled(sum, head.start, head.end);
            seen.allocations = seen.allocations.wrapping_add(sum.allocations);
            seen.reallocations = seen.reallocations.wrapping_add(sum.reallocations);
            seen.allocated_bytes = seen.allocated_bytes.wrapping_add(sum.bytes);
        }
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            batch.clear();
            batch.extend(window.events.by_ref().take(BATCH));
            if batch.is_empty() {
                break;
            }
            let ends = batch.iter().filter(|event| !is_made(event));
            self.live.warm(ends.map(|event| event.serial));
            for event in &batch {
                match event.kind {
                    EventKind::Alloc => seen.allocations = seen.allocations.wrapping_add(1),
                    EventKind::ReallocAlloc => {
                        seen.reallocations = seen.reallocations.wrapping_add(1)
                    }
                    _ => {}
                }
                if is_made(event) {
                    seen.allocated_bytes = seen.allocated_bytes.wrapping_add(event.size);
                }
                self.event(event);
            }
        }
        if window.events.damaged() {
            self.damage.add(format!(
                "block {} at {:#x}: its events cannot be decoded to the end",
                window.seq, window.offset
            ));
        }
        add_totals(&mut self.totals, &head.totals);
        let made = head
            .totals
            .allocations
            .wrapping_add(head.totals.reallocations);
        self.marks.window(head.end, made);
        self.sites.window_ended(head.end);
        self.last_time = self.last_time.max(head.end);
        self.timeline
            .event(head.end, self.live_bytes, self.live.len());
        self.peak_of_window(&head);
        if torn_down {
            self.note_teardown();
        }
        let same = seen.allocations == head.totals.allocations
            && seen.reallocations == head.totals.reallocations
            && seen.allocated_bytes == head.totals.allocated_bytes
            && self.live.len() == head.live_blocks
            && self.live_bytes == head.live_bytes;
        if !same {
            self.head_mismatches += 1;
        }
    }

    /// Windows that set a peak end at it, so the sites have their peak's figures now.
    fn peak_of_window(&mut self, head: &Head) {
        if head.max_live_bytes > self.peak_bytes {
            self.peak_bytes = head.max_live_bytes;
            self.peak_time = head.end;
            self.sites.peak();
        }
    }

    /// Plays one event of a window.
    #[inline]
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Alloc | EventKind::ReallocAlloc => {
                let by_realloc = event.kind == EventKind::ReallocAlloc;
                let block = Block {
                    ptr: event.ptr,
                    size: event.size,
                    time: event.time,
                    stack: event.stack,
                    thread: event.thread,
                };
                self.make(event.serial, block, by_realloc);
            }
            EventKind::Free | EventKind::FreeTemporary => {
                let temporary = event.kind == EventKind::FreeTemporary;
                match self.live.remove(event.serial) {
                    Some(block) => self.end(&block, event.time, temporary),
                    None => self.unknown_blocks += 1,
                }
            }
            EventKind::Release => {
                if !self.release(event.thread, event.serial, event.time) {
                    self.unknown_blocks += 1;
                }
            }
            EventKind::Revive => match self.take_pending(event.thread, event.serial) {
                Some(pending) => self.revive(pending),
                None => self.unknown_blocks += 1,
            },
            EventKind::ReleaseDone => {
                if let Some(pending) = self.take_pending(event.thread, event.serial) {
                    self.sites.lifetime(&pending.block, event.time);
                } else if let Some(block) = self.live.remove(event.serial) {
                    self.end(&block, event.time, false);
                } else {
                    self.unknown_blocks += 1;
                }
            }
            EventKind::MissedFree => {
                if self.lose(event.serial).is_none() {
                    self.unknown_blocks += 1;
                }
            }
            EventKind::UnmatchedFree => self.unmatched(event.ptr),
            EventKind::Map => self.mappings.map(Range {
                start: event.ptr,
                end: event.ptr.saturating_add(event.size),
                stack: event.stack,
                thread: event.thread,
                time: event.time,
            }),
            EventKind::Unmap => self.mappings.unmap_by(event.thread, event.ptr, event.size),
        }
        self.timeline
            .event(event.time, self.live_bytes, self.live.len());
    }

    /// A free of what no block has.
    pub fn unmatched(&mut self, ptr: u64) {
        if self.unmatched_frees.len() < MAX_UNMATCHED {
            self.unmatched_frees.push(ptr);
        }
    }

    /// A block was made.
    #[inline]
    pub fn make(&mut self, serial: u64, block: Block, by_realloc: bool) {
        self.sites.made(&block, by_realloc);
        self.live_bytes = self.live_bytes.wrapping_add(block.size);
        self.next_serial = self.next_serial.max(serial.saturating_add(1));
        if let Some(old) = self.live.insert(serial, block) {
            self.unknown_blocks += 1;
            self.sites.gone(&old);
            self.live_bytes = self.live_bytes.wrapping_sub(old.size);
        }
    }

    /// A block, already taken out of the live set, has ended.
    #[inline]
    pub fn end(&mut self, block: &Block, time: u64, temporary: bool) {
        self.sites.ended(block, time, temporary);
        self.live_bytes = self.live_bytes.wrapping_sub(block.size);
    }

    /// A block is gone unseen.
    pub fn lose(&mut self, serial: u64) -> Option<Block> {
        let block = self.live.remove(serial)?;
        self.sites.gone(&block);
        self.live_bytes = self.live_bytes.wrapping_sub(block.size);
        Some(block)
    }

    /// A `realloc` of a block begins; false if the block is not there.
    pub fn release(&mut self, thread: u32, serial: u64, time: u64) -> bool {
        let Some(block) = self.live.remove(serial) else {
            return false;
        };
        self.sites.away(&block);
        self.live_bytes = self.live_bytes.wrapping_sub(block.size);
        let pending = Pending {
            serial,
            block,
            time,
        };
        self.pending.entry(thread).or_default().push(pending);
        true
    }

    /// Takes a pending block by its serial.
    fn take_pending(&mut self, thread: u32, serial: u64) -> Option<Pending> {
        self.take_pending_where(thread, |pending| pending.serial == serial)
    }

    /// Takes the latest pending block of a thread for which `is` holds.
    pub fn take_pending_where(
        &mut self,
        thread: u32,
        is: impl Fn(&Pending) -> bool,
    ) -> Option<Pending> {
        let list = self.pending.get_mut(&thread)?;
        let place = list.iter().rposition(is)?;
        let pending = list.remove(place);
        if list.is_empty() {
            self.pending.remove(&thread);
        }
        Some(pending)
    }

    /// A pending block lives again: its `realloc` failed.
    pub fn revive(&mut self, pending: Pending) {
        self.sites.there(&pending.block);
        self.live_bytes = self.live_bytes.wrapping_add(pending.block.size);
        if let Some(old) = self.live.insert(pending.serial, pending.block) {
            self.unknown_blocks += 1;
            self.sites.gone(&old);
            self.live_bytes = self.live_bytes.wrapping_sub(old.size);
        }
    }

    /// Whether more lives than ever before; if so, notes it.
    #[inline]
    pub fn note_peak(&mut self, time: u64) {
        if self.live_bytes > self.peak_bytes {
            self.peak_bytes = self.live_bytes;
            self.peak_time = time;
            self.sites.peak();
        }
    }

    /// The runtime begins to give back what it holds.
    pub fn note_teardown(&mut self) {
        self.teardown = Some((self.live_bytes, self.live.len()));
        self.sites.teardown();
    }

    /// The log is over: blocks inside a `realloc` live, unless their address was
    /// handed out again.
    pub fn finish(&mut self) {
        let mut pending: Vec<Pending> = self.pending.drain().flat_map(|(_, list)| list).collect();
        if !pending.is_empty() {
            pending.sort_by_key(|pending| pending.time);
            let mut free: FastMap<u64, bool> =
                pending.iter().map(|p| (p.block.ptr, true)).collect();
            for (_, block) in self.live.iter() {
                if let Some(free) = free.get_mut(&block.ptr) {
                    *free = false;
                }
            }
            // Of two at one address the first has ended for the second to begin.
            for pending in pending.into_iter().rev() {
                if free.insert(pending.block.ptr, false) == Some(true) {
                    self.revive(pending);
                }
            }
        }
        self.note_peak(self.last_time);
        self.marks.finish(
            self.totals
                .allocations
                .wrapping_add(self.totals.reallocations),
        );
    }
}

fn add_totals(sum: &mut Totals, more: &Totals) {
    let add = |mine: &mut u64, theirs: u64| *mine = mine.wrapping_add(theirs);
    add(&mut sum.allocations, more.allocations);
    add(&mut sum.frees, more.frees);
    add(&mut sum.reallocations, more.reallocations);
    add(&mut sum.allocated_bytes, more.allocated_bytes);
    add(&mut sum.temporary, more.temporary);
    add(&mut sum.unmatched_frees, more.unmatched_frees);
    add(&mut sum.missed_frees, more.missed_frees);
}
