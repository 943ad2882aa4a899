//! What each event does to the window at hand: blocks open and close, older ones
//! leave the live set, reallocations wait for their second record.

use super::{Drain, MAX_PENDING, Pending, Ring, RingState};
use crate::collect::live::Block;
use crate::collect::scratch::{Listed, Slot};
use log_format::blob::{Blob, BlobKind, Thread};
use log_format::record::{MAX_BLOB, Record};
use log_format::window::{Event, EventKind};

impl Drain {
    #[inline(always)]
    pub(super) fn event(&mut self, index: u32, ring: &mut RingState, record: &Record, time: u64) {
        match *record {
            Record::Alloc { ptr, size, stack } => {
                self.totals.allocations += 1;
                self.made(index, ring, ptr, size, stack, time, false);
            }
            Record::Free { ptr } => self.freed(ring, ptr, time),
            Record::ReallocBegin { old } => self.realloc_begin(ring, old),
            Record::ReallocEnd {
                old,
                new,
                size,
                stack,
                ok,
            } => {
                let pending = take_pending(ring, old);
                if ok {
                    self.realloc_done(ring, pending, time);
                    let known = pending.what == 1 || pending.what == 2;
                    if known {
                        self.totals.reallocations += 1;
                    } else {
                        self.totals.allocations += 1;
                    }
                    self.made(index, ring, new, size, stack, time, known);
                } else {
                    self.realloc_failed(ring, pending, time);
                }
            }
            Record::Map {
                address,
                len,
                stack,
                ..
            } => {
                self.list(EventKind::Map, ring.thread, time, address, len, stack);
            }
            Record::Unmap { address, len } => {
                self.list(EventKind::Unmap, ring.thread, time, address, len, 0)
            }
            Record::Blob { .. } | Record::Time { .. } => {}
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn made(
        &mut self,
        index: u32,
        ring: &mut RingState,
        ptr: u64,
        size: u64,
        stack: u32,
        time: u64,
        realloc: bool,
    ) {
        let (mut place, stale) = self.scratch.find(ptr);
        if let Some(stale) = stale {
            // Its free was not seen.
            self.totals.missed_frees += 1;
            self.live_bytes -= self.scratch.slot(stale).size;
            self.live_blocks -= 1;
            self.scratch.cancel(stale, time, false);
            self.scratch.unlink(place);
            self.scratch.close(stale);
            (place, _) = self.scratch.find(ptr);
        }
        self.totals.allocated_bytes = self.totals.allocated_bytes.wrapping_add(size);
        self.live_blocks += 1;
        self.live_bytes = self.live_bytes.wrapping_add(size);
        self.note_peak();
        ring.last_alloc = ptr;
        let order = self.order;
        let thread = ring.thread;
        let slot = self.scratch.open(Slot {
            ptr,
            size,
            time,
            order,
            stack,
            thread,
            ring: index,
            open: true,
            realloc,
            pending: false,
        });
        self.scratch.link(place, slot);
    }

    #[inline(always)]
    pub(super) fn freed(&mut self, ring: &mut RingState, ptr: u64, time: u64) {
        if let (place, Some(slot)) = self.scratch.find(ptr) {
            let (owner, size) = {
                let s = self.scratch.slot(slot);
                (s.ring, s.size)
            };
            // SAFETY: the ring of an open slot is below `ring_count`. It may be the
            // one behind `ring`: fields are read through one pointer at a time.
            let last = unsafe { &raw mut (*self.rings.add(owner as usize)).last_alloc };
            // SAFETY: as above.
            let temporary = unsafe { *last } == ptr;
            if temporary {
                // SAFETY: as above.
                unsafe { *last = 0 };
                self.totals.temporary += 1;
            }
            self.totals.frees += 1;
            self.live_blocks -= 1;
            self.live_bytes -= size;
            self.scratch.cancel(slot, time, temporary);
            self.scratch.unlink(place);
            self.scratch.close(slot);
        } else {
            self.freed_older(ring, ptr, time);
        }
    }

    pub(super) fn freed_older(&mut self, ring: &mut RingState, ptr: u64, time: u64) {
        let Some(block) = self.live.remove(ptr) else {
            self.totals.unmatched_frees += 1;
            self.list(EventKind::UnmatchedFree, ring.thread, time, ptr, 0, 0);
            return;
        };
        let temporary = self.forget_last(ptr);
        self.totals.frees += 1;
        self.totals.temporary += u64::from(temporary);
        self.live_blocks -= 1;
        self.live_bytes = self.live_bytes.wrapping_sub(block.size);
        let kind = if temporary {
            EventKind::FreeTemporary
        } else {
            EventKind::Free
        };
        self.list_block(kind, ring.thread, time, ptr, block);
    }

    /// If an older block is some thread's last allocation: it is no longer.
    pub(super) fn forget_last(&mut self, ptr: u64) -> bool {
        if self.lasts_shift != 0 {
            let mask = (1usize << (64 - self.lasts_shift)) - 1;
            let mut at = self.place_of_last(ptr);
            // SAFETY: the table is at most half full of numbers of rings.
            unsafe {
                while *self.lasts.add(at) != 0 {
                    let last =
                        &raw mut (*self.rings.add(*self.lasts.add(at) as usize - 1)).last_alloc;
                    if *last == ptr {
                        *last = 0;
                        return true;
                    }
                    at = (at + 1) & mask;
                }
            }
            return false;
        }
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let last = unsafe { &mut (*self.rings.add(index)).last_alloc };
            if *last == ptr {
                *last = 0;
                return true;
            }
        }
        false
    }

    #[inline(always)]
    pub(super) fn note_peak(&mut self) {
        if self.live_bytes > self.max_live {
            self.max_live = self.live_bytes;
            self.max_at = self.order;
        }
    }

    pub(super) fn realloc_begin(&mut self, ring: &mut RingState, old: u64) {
        let mut pending = Pending {
            old,
            what: 3,
            slot: 0,
            block: Block { size: 0, serial: 0 },
            announced: false,
        };
        if let (place, Some(slot)) = self.scratch.find(old) {
            self.scratch.unlink(place);
            let open = self.scratch.slot(slot);
            open.pending = true;
            pending.what = 1;
            pending.slot = slot;
            pending.block.size = open.size;
            let owner = open.ring as usize;
            // SAFETY: the ring of an open slot is below `ring_count`; fields are read
            // through one pointer at a time.
            unsafe {
                let last = &raw mut (*self.rings.add(owner)).last_alloc;
                if *last == old {
                    *last = 0;
                }
            }
        } else if let Some(block) = self.live.remove(old) {
            pending.what = 2;
            pending.block = block;
            self.forget_last(old);
            // Only for taking the pass back; nothing is written for it.
            self.scratch.list(Listed {
                order: u32::MAX,
                event: Event {
                    kind: EventKind::ReleaseDone,
                    thread: 0,
                    stack: 0,
                    time: 0,
                    ptr: 0,
                    size: 0,
                    serial: block.serial,
                },
                ptr: old,
                size: block.size,
            });
        }
        if pending.what != 3 {
            self.live_blocks -= 1;
            self.live_bytes = self.live_bytes.wrapping_sub(pending.block.size);
        }
        if ring.pending_len as usize == MAX_PENDING {
            // The oldest was left by a longjmp.
            ring.pending.copy_within(1.., 0);
            ring.pending_len -= 1;
        }
        if let Some(place) = ring.pending.get_mut(ring.pending_len as usize) {
            *place = pending;
            ring.pending_len += 1;
        }
    }

    pub(super) fn realloc_done(&mut self, ring: &mut RingState, pending: Pending, time: u64) {
        match pending.what {
            1 => {
                self.scratch.cancel(pending.slot, time, false);
                self.scratch.close(pending.slot);
            }
            2 => self.list_block(EventKind::ReleaseDone, ring.thread, time, 0, pending.block),
            _ => {
                self.totals.unmatched_frees += 1;
                self.list(
                    EventKind::UnmatchedFree,
                    ring.thread,
                    time,
                    pending.old,
                    0,
                    0,
                );
            }
        }
    }

    pub(super) fn realloc_failed(&mut self, ring: &mut RingState, pending: Pending, time: u64) {
        match pending.what {
            1 => {
                let slot = self.scratch.slot(pending.slot);
                slot.pending = false;
                let ptr = slot.ptr;
                let (place, _) = self.scratch.find(ptr);
                self.scratch.link(place, pending.slot);
            }
            2 => {
                let _ = self.live.insert(pending.old, pending.block);
                if pending.announced {
                    self.list_block(EventKind::Revive, ring.thread, time, 0, pending.block);
                }
            }
            _ => return,
        }
        self.live_blocks += 1;
        self.live_bytes = self.live_bytes.wrapping_add(pending.block.size);
        self.note_peak();
    }

    pub(super) fn list(
        &mut self,
        kind: EventKind,
        thread: u32,
        time: u64,
        ptr: u64,
        size: u64,
        stack: u32,
    ) {
        let event = Event {
            kind,
            thread,
            stack,
            time,
            ptr,
            size,
            serial: 0,
        };
        self.scratch.list(Listed {
            order: self.order,
            event,
            ptr: 0,
            size: 0,
        });
    }

    pub(super) fn list_block(
        &mut self,
        kind: EventKind,
        thread: u32,
        time: u64,
        ptr: u64,
        block: Block,
    ) {
        let event = Event {
            kind,
            thread,
            stack: 0,
            time,
            ptr: 0,
            size: 0,
            serial: block.serial,
        };
        self.scratch.list(Listed {
            order: self.order,
            event,
            ptr,
            size: block.size,
        });
    }

    #[cold]
    pub(super) fn blob(
        &mut self,
        ring: &mut RingState,
        what: u8,
        time: u64,
        len: usize,
        source: &Ring,
    ) {
        let mut payload = [0u8; 512];
        let small = len <= payload.len();
        let bytes: &mut [u8] = if small {
            &mut payload
        } else {
            // Larger ones are rare: the window's output is free until the end.
            self.scratch.out()
        };
        let Some(bytes) = bytes.get_mut(..len.min(MAX_BLOB)) else {
            return;
        };
        for (index, byte) in bytes.iter_mut().enumerate() {
            let at = ring.position + 16 + index as u64;
            *byte = (source.word(at & !7) >> (at % 8 * 8)) as u8;
        }
        if what == BlobKind::ThreadStart as u8
            && let Some(thread) = Thread::decode(bytes)
        {
            ring.thread = thread.serial;
            ring.last_alloc = 0;
        }
        self.scratch.blob(&Blob {
            what,
            time,
            thread: ring.thread,
            payload: bytes,
        });
    }
}

fn take_pending(ring: &mut RingState, old: u64) -> Pending {
    let count = ring.pending_len as usize;
    let list = ring.pending.get_mut(..count).unwrap_or(&mut []);
    if let Some(at) = list.iter().rposition(|pending| pending.old == old) {
        let found = list.get(at).copied();
        list.copy_within(at + 1.., at);
        ring.pending_len -= 1;
        if let Some(found) = found {
            return found;
        }
    }
    Pending {
        old,
        what: 3,
        slot: 0,
        block: Block { size: 0, serial: 0 },
        announced: false,
    }
}
