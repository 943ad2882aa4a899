//! Writing records into a thread's ring, and how exact their times must be.
//!
//! **Times.** Reading the clock can cost as much as the rest of a record, and most programs
//! have one thread that makes nearly all events. So the first thread of a process is
//! *coarse*: its records carry no time of their own, but count as made at its last reading. All others are
//! *precise*: each of their records carries its time, and they raise [`FOREIGN`] once it is published.
//! The coarse thread looks at that word before each record; if it is up, it takes it down and
//! then reads the clock. So for any two events of which one follows the other (the same address; a
//! pointer handed on), in whatever threads, the times ascend:
//!
//! * coarse before precise: a reading of the past is less than the precise one, which is of now;
//! * precise before coarse: the word was raised before the coarse thread could know of the first. Either it
//!   is still up, or it was taken down after the first was published, and the clock read after that.
//!
//! The second reading is also later than that of a drain which has missed the first: the drain reads its
//! clock before it looks for records ([`crate::collect`]). `log/tests/loom.rs` tries both.
//! Where several threads make many events the word goes to and fro; then all become precise
//! ([`super::be_precise`]; the drain sees who makes how many).

use super::{ThreadState, lost};
use crate::arch::{clock, stack};
use crate::global;
use core::sync::atomic::{AtomicU32, Ordering::*};
use log_format::blob::BlobKind;
use log_format::record::{self, kind};
use log_format::ring::Line;

/// Longest blob that may overshoot a ring of which not all has room, bytes.
const SMALL_BLOB: usize = 1024;
/// Most records per reading of the clock.
const MAX_TICKS: u32 = 16;
/// Records that come slower than this are each worth a reading, ticks.
const SLOW: u64 = 4096;

/// Up: a precise thread has published an event that the coarse one may depend on.
static FOREIGN: Line<AtomicU32> = Line(AtomicU32::new(0));

/// A precise thread's event is published: the coarse thread must read the clock before its
/// next record, if there is a coarse thread.
#[inline(always)]
pub fn tell_foreign() {
    if global::get().is_some_and(|global| global.precise.load(Relaxed) == 0) {
        FOREIGN.0.store(1, Release);
    }
}

/// The time of a coarse thread's record: exact to its last few records, and to all events
/// of others that it can know of.
///
/// # Safety
/// `thread` is this thread's state and has room.
#[inline(always)]
pub unsafe fn coarse_time(thread: *mut ThreadState) -> u64 {
    // SAFETY: by the caller's promise.
    unsafe {
        (*thread).ticks_left = (*thread).ticks_left.wrapping_sub(1);
        if (*thread).ticks_left == 0 || FOREIGN.0.load(Acquire) != 0 {
            read_clock(thread);
        }
        (*thread).now
    }
}

/// Reads the clock and writes it into the ring; adapts how often.
#[inline(never)]
unsafe fn read_clock(thread: *mut ThreadState) {
    // SAFETY: by the caller's promise.
    unsafe {
        let state = &mut *thread;
        let now = if FOREIGN.0.load(Relaxed) != 0 {
            FOREIGN.0.swap(0, SeqCst);
            // Waits for the swap.
            clock::now()
        } else {
            // It may be read before the last one, which waited for loads.
            clock::early().max(state.now)
        };
        // 0 in a child of a raw `clone` that returns into this: its state is wiped.
        let passed = now.wrapping_sub(state.now) / u64::from(state.ticks.max(1));
        state.ticks = if passed > SLOW {
            1
        } else {
            (state.ticks * 2).min(MAX_TICKS)
        };
        state.ticks_left = state.ticks;
        state.now = now;
        let position = state.producer.reserve(8, stack::pointer() as u64);
        write(thread, position, [record::word0(kind::TIME, now)]);
        publish(thread, position);
    }
}

/// Writes words of a record at its reserved position.
///
/// # Safety
/// The position was reserved for at least that many words.
#[inline(always)]
pub unsafe fn write<const N: usize>(thread: *const ThreadState, position: u64, words: [u64; N]) {
    // SAFETY: the mask keeps each word inside the ring.
    unsafe {
        for (index, word) in words.into_iter().enumerate() {
            let at = (position + index as u64 * 8) & (*thread).mask;
            *(*thread).data.add((at / 8) as usize) = word;
        }
    }
}

/// Ends the record at `position`.
///
/// # Safety
/// The position was reserved and written by this thread.
#[inline(always)]
pub unsafe fn publish(thread: *mut ThreadState, position: u64) {
    // SAFETY: by the caller's promise.
    unsafe {
        if !(*thread).producer.complete(&*(*thread).ring) {
            nested(thread, position);
        }
    }
}

/// A record inside another: a handler's, or the other writer was left by
/// `longjmp` and what it reserved must be filled.
#[cold]
unsafe fn nested(thread: *mut ThreadState, position: u64) {
    // SAFETY: as `publish`.
    unsafe {
        let state = &*thread;
        let sp = stack::pointer() as u64;
        if state.bounds(sp).top == 0 || !state.producer.is_abandoned(sp) {
            return;
        }
        let mut at = (*state.ring).head.0.load(Relaxed);
        while at < position {
            write(thread, at, [record::word0(kind::TIME, state.now)]);
            at += 8;
        }
        if let Some(global) = global::get() {
            lost(global);
        }
        state.producer.take_over(&*state.ring);
    }
}

/// Writes a blob into this thread's ring if there is room; returns whether.
///
/// # Safety
/// `thread` is this thread's state.
pub unsafe fn blob(thread: *mut ThreadState, what: BlobKind, payload: &[u8]) -> bool {
    // SAFETY: by the caller's promise.
    unsafe {
        let state = &*thread;
        if !state.producer.has_room() || payload.len() > record::MAX_BLOB {
            return false;
        }
        if payload.len() > SMALL_BLOB
            && global::get().is_none_or(|g| g.file.reserve_first().is_err())
        {
            return false;
        }
        let len = 16 + (payload.len() as u64).next_multiple_of(16);
        let first = u64::from(kind::BLOB) << 56 | (what as u64) << 48 | payload.len() as u64;
        let position = state.producer.reserve(len, stack::pointer() as u64);
        let now = clock::now();
        write(thread, position, [first, now]);
        // Times of later records of a coarse thread must not be less.
        (*thread).now = now;
        let (chunks, rest) = payload.as_chunks::<8>();
        let mut at = position + 16;
        for chunk in chunks {
            write(thread, at, [u64::from_le_bytes(*chunk)]);
            at += 8;
        }
        let mut last = [0u8; 8];
        if let Some(to) = last.get_mut(..rest.len()) {
            to.copy_from_slice(rest);
        }
        if at < position + len {
            write(thread, at, [u64::from_le_bytes(last)]);
        }
        publish(thread, position);
        if (*thread).precise.load(Relaxed) {
            tell_foreign();
        }
        true
    }
}
