//! The window becomes a block: survivors get their serials and enter the live set.

use super::{Drain, Stage, TIME_SHIFT};
use crate::collect::live::Block;
use crate::global::Global;
use log_format::block::BlockKind;
use log_format::layout::StopReason;
use log_format::ring;
use log_format::window::{Encoder, Event, EventKind, Head, Tail};

impl Drain {
    /// Writes the window and makes it final.
    pub(super) fn commit(&mut self, global: &'static Global, raised: bool) {
        let survivors = self.scratch.survivors();
        let mut head = Head {
            start: self.start,
            end: self.end.max(self.start),
            time_shift: TIME_SHIFT,
            ends_at_peak: raised,
            first_serial: self.next_serial,
            totals: self.totals,
            live_blocks: self.live_blocks,
            live_bytes: self.live_bytes,
            max_live_bytes: self.max_live,
        };
        let mut encoder = Encoder::new(&head, self.scratch.columns());
        let mut listed = 0;
        let mut failed = false;
        for &number in survivors {
            let slot = *self.scratch.slot(number);
            self.encode_listed(&mut encoder, &mut listed, slot.order);
            let serial = encoder.next_serial();
            if slot.pending {
                self.settle(number, serial);
            } else {
                match self.live.insert(
                    slot.ptr,
                    Block {
                        size: slot.size,
                        serial,
                    },
                ) {
                    Ok(None) => {}
                    Ok(Some(stale)) => {
                        head.totals.missed_frees += 1;
                        self.live_blocks -= 1;
                        self.live_bytes = self.live_bytes.wrapping_sub(stale.size);
                        encoder.event(&Event {
                            kind: EventKind::MissedFree,
                            thread: slot.thread,
                            stack: 0,
                            time: slot.time,
                            ptr: 0,
                            size: 0,
                            serial: stale.full_serial(serial),
                        });
                    }
                    Err(()) => failed = true,
                }
            }
            encoder.event(&Event {
                kind: if slot.realloc {
                    EventKind::ReallocAlloc
                } else {
                    EventKind::Alloc
                },
                thread: slot.thread,
                stack: slot.stack,
                time: slot.time,
                ptr: slot.ptr,
                size: slot.size,
                serial: 0,
            });
        }
        self.encode_listed(&mut encoder, &mut listed, u32::MAX);
        self.announce_pending(&mut encoder);
        self.next_serial = encoder.next_serial();
        head.live_blocks = self.live_blocks;
        head.live_bytes = self.live_bytes;
        let sums = self.scratch.sorted_sums();
        let tails = self.tails();
        let out = self.scratch.out();
        let blobs = self.scratch.blobs();
        let encoded = encoder.finish(&head, tails, sums.iter().map(|s| s.sum()), blobs, out);
        let raw = encoded.and_then(|len| out.get(..len));
        if !raw.is_some_and(|raw| self.append(global, BlockKind::Window, raw)) {
            // The events stay in the rings, where the reader finds them.
            global.stop(StopReason::NoSpace);
            self.scratch.clear(true);
            return;
        }
        self.set_stage(Stage::Written);
        if raised {
            self.peak_bytes = self.max_live;
        }
        if failed {
            global.stop(StopReason::NoSpace);
        }
        self.give_room(global);
        self.scratch.clear(true);
    }

    /// The window is in the file: the rings' room can be used again.
    pub(super) fn give_room(&mut self, global: &'static Global) {
        for index in 0..self.ring_count {
            if let Some(ring) = self.ring_of(global, index) {
                // SAFETY: below `ring_count`.
                ring::release(ring.header, unsafe { (*self.rings.add(index)).position });
            }
        }
    }

    pub(super) fn encode_listed(
        &mut self,
        encoder: &mut Encoder<'_>,
        next: &mut usize,
        before: u32,
    ) {
        while let Some(listed) = self.scratch.listed().get(*next) {
            if listed.order == u32::MAX {
                *next += 1;
                continue;
            }
            if listed.order >= before {
                return;
            }
            let mut event = listed.event;
            self.mappings.note(&event);
            event.serial = Block {
                size: 0,
                serial: event.serial,
            }
            .full_serial(encoder.next_serial());
            encoder.event(&event);
            *next += 1;
        }
    }

    /// A block of this window that is being reallocated while the window ends is
    /// an older one from now on.
    pub(super) fn settle(&mut self, slot: u32, serial: u64) {
        let size = self.scratch.slot(slot).size;
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let ring = unsafe { &mut *self.rings.add(index) };
            let count = ring.pending_len as usize;
            for pending in ring.pending.iter_mut().take(count) {
                if pending.what == 1 && pending.slot == slot {
                    pending.what = 2;
                    pending.block = Block { size, serial };
                }
            }
        }
    }

    pub(super) fn announce_pending(&mut self, encoder: &mut Encoder<'_>) {
        for index in 0..self.ring_count {
            // SAFETY: below `ring_count`.
            let ring = unsafe { &mut *self.rings.add(index) };
            let (count, thread) = (ring.pending_len as usize, ring.thread);
            for pending in ring.pending.iter_mut().take(count) {
                if pending.what == 2 && !pending.announced {
                    pending.announced = true;
                    let serial = pending.block.full_serial(encoder.next_serial());
                    encoder.event(&Event {
                        kind: EventKind::Release,
                        thread,
                        stack: 0,
                        time: self.end,
                        ptr: 0,
                        size: 0,
                        serial,
                    });
                }
            }
        }
    }

    /// Tails of the rings that this window moved.
    pub(super) fn tails(&mut self) -> &'static [Tail] {
        let mut len = 0;
        for index in 0..self.ring_count {
            // SAFETY: all three arrays have `ring_count` places.
            unsafe {
                let before = (*self.saved.add(index)).position;
                let ring = &*self.rings.add(index);
                if ring.position != before {
                    let tail = Tail {
                        ring: index as u32,
                        tail: ring.position,
                        thread: ring.thread,
                        last_alloc: ring.last_alloc,
                    };
                    *self.tails.add(len) = tail;
                    len += 1;
                }
            }
        }
        // SAFETY: just written; stable until the next window.
        unsafe { core::slice::from_raw_parts(self.tails, len) }
    }
}
