//! The ring: one producer thread (and the signal handlers that interrupt it),
//! one consumer at a time, in pages shared with the log file.
//!
//! **Trust.** The consumer in the process trusts the producer, which is the
//! same library. The post-mortem reader trusts nothing: every length is checked
//! before use, and a head that is impossible makes the ring count as damaged.
//!
//! **Order.** Positions are byte counts that never wrap; `position % capacity`
//! is the place. The producer reserves by moving its *local* head, which lives
//! outside the ring, with one instruction that a signal cannot split; so a
//! handler that allocates inside a hook gets the next place. What is reserved
//! becomes visible when the outermost writer stores the local head to
//! [`RingHeader::head`] (release); at that moment everything before it was
//! written. Space comes back when the consumer stores [`RingHeader::tail`].

use crate::record;

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64};

/// Alignment that keeps the two ends of a ring out of each other's cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Line<T>(pub T);

/// The shared part of a ring, 64 bytes into its extent. Data follow one page
/// after the extent's start.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RingHeader {
    /// End of what may be read. Written by the producer.
    pub head: Line<AtomicU64>,
    /// Start of what is not yet in a block. Written by the consumer.
    pub tail: Line<AtomicU64>,
    /// Bytes of data, a power of two.
    pub capacity: AtomicU64,
    /// Id of the ring.
    pub id: AtomicU32,
}

/// Bytes at the end of a ring's room that a reservation may overshoot: nested
/// writers each check for room before the interrupted one has reserved.
pub const SLACK: u64 = 2 * record::MAX_RECORD;

/// Least bytes of stack that a signal takes: the red zone and the saved
/// registers (`struct rt_sigframe` without extended state).
const SIGNAL_FRAME: u64 = 128 + 440;
/// Farther apart than this, two stack pointers are not on one stack, bytes.
const NEAR: u64 = 64 << 20;

/// Whether what a thread began with its stack pointer at `began` was left by a
/// `longjmp` and will never end: no handler's frame fits between it and what runs
/// at `sp` on the same stack, which is known to be one.
pub fn was_left(began: u64, sp: u64) -> bool {
    let least = began.saturating_sub(SIGNAL_FRAME);
    sp >= least && sp - least < NEAR
}

/// The producer's end. Lives in the thread's state; only the owning thread and
/// signal handlers on it touch it.
#[derive(Debug)]
pub struct Producer {
    /// Next place to reserve.
    local_head: AtomicU64,
    /// Reservations may begin below this position.
    limit: AtomicU64,
    /// Writers between reservation and completion (nesting depth).
    writers: AtomicU32,
    /// Stack pointer of the outermost writer.
    outermost: AtomicU64,
}

impl Producer {
    /// Continues a ring at its published head; without room until
    /// [`Producer::refresh`].
    pub fn new(header: &RingHeader) -> Producer {
        Producer {
            local_head: AtomicU64::new(header.head.0.load(Relaxed)),
            limit: AtomicU64::new(0),
            writers: AtomicU32::new(0),
            outermost: AtomicU64::new(0),
        }
    }

    /// Learns how far the consumer has come and lets reservations begin until
    /// `room` bytes are in use (at most `capacity − SLACK`); returns whether
    /// there is room now.
    pub fn refresh(&self, header: &RingHeader, capacity: u64, room: u64) -> bool {
        let tail = header.tail.0.load(Acquire);
        self.limit
            .store(tail.wrapping_add(room.min(capacity - SLACK)), Relaxed);
        self.has_room()
    }

    /// Lets reservations begin below a position of a ring that was never full;
    /// returns whether there is room now.
    pub fn begin(&self, limit: u64) -> bool {
        self.limit.store(limit, Relaxed);
        self.has_room()
    }

    /// Position of the next record.
    pub fn position(&self) -> u64 {
        self.local_head.load(Relaxed)
    }

    /// Takes all room away: the owner asks why before its next record.
    pub fn close(&self) {
        self.limit.store(0, Relaxed);
    }

    /// Whether a record may be reserved.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.local_head.load(Relaxed) < self.limit.load(Relaxed)
    }

    /// Bytes reserved and not yet known to be consumed, at most.
    pub fn pending(&self, header: &RingHeader) -> u64 {
        self.local_head
            .load(Relaxed)
            .wrapping_sub(header.tail.0.load(Relaxed))
    }

    /// Begins a record of `len` bytes and returns its position. Each call is
    /// followed by one [`Producer::complete`]. `sp` is the stack pointer.
    #[inline(always)]
    pub fn reserve(&self, len: u64, sp: u64) -> u64 {
        if self.writers.load(Relaxed) == 0 {
            self.outermost.store(sp, Relaxed);
        }
        local_add_u32(&self.writers, 1);
        local_fetch_add(&self.local_head, len)
    }

    /// Ends a record. The outermost writer publishes all; true if this one did.
    #[inline(always)]
    pub fn complete(&self, header: &RingHeader) -> bool {
        let outermost = self.writers.load(Relaxed) == 1;
        local_add_u32(&self.writers, u32::MAX);
        if outermost {
            // A handler that comes between the load and the store publishes a
            // later head, which the store then takes back: look again.
            let mut end = self.local_head.load(Relaxed);
            loop {
                header.head.0.store(end, Release);
                let now = self.local_head.load(Relaxed);
                if now == end {
                    break;
                }
                end = now;
            }
        }
        outermost
    }

    /// After a `complete` that published nothing: whether the outermost writer
    /// [was left][was_left].
    pub fn is_abandoned(&self, sp: u64) -> bool {
        was_left(self.outermost.load(Relaxed), sp)
    }

    /// Makes this writer the outermost. Everything from the published head up to
    /// `position` may be half written: the caller has overwritten it.
    pub fn take_over(&self, header: &RingHeader) {
        self.writers.store(0, Relaxed);
        header.head.0.store(self.local_head.load(Relaxed), Release);
    }
}

/// `fetch_add` that is atomic towards signal handlers on the same thread only.
#[inline(always)]
fn local_fetch_add(cell: &AtomicU64, value: u64) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        let mut out = value;
        // SAFETY: `cell` is a valid, aligned u64; a single instruction reads and
        // writes it, which a signal cannot split.
        unsafe {
            core::arch::asm!("xadd [{cell}], {value}", cell = in(reg) cell.as_ptr(),
                value = inout(reg) out, options(nostack));
        }
        out
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    {
        cell.fetch_add(value, Relaxed)
    }
}

/// As [`local_fetch_add`], without the old value.
#[inline(always)]
fn local_add_u32(cell: &AtomicU32, value: u32) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: as in `local_fetch_add`.
    unsafe {
        core::arch::asm!("add dword ptr [{cell}], {value:e}", cell = in(reg) cell.as_ptr(),
            value = in(reg) value, options(nostack));
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    {
        cell.fetch_add(value, Relaxed);
    }
}

/// What the consumer may read now: positions `tail..head`. The head may stand
/// before the tail for the instant in which a producer corrects it.
pub fn readable(header: &RingHeader) -> (u64, u64) {
    let head = header.head.0.load(Acquire);
    let tail = header.tail.0.load(Relaxed);
    (tail, head.max(tail))
}

/// Gives room back. Everything before `tail` was copied.
pub fn release(header: &RingHeader, tail: u64) {
    header.tail.0.store(tail, Release);
}

const _: () = {
    assert!(core::mem::size_of::<Line<u64>>() == 64);
    #[cfg(not(loom))]
    assert!(core::mem::size_of::<RingHeader>() == 192);
};
