//! Model checks of the ring and of the drain's common instant, under loom:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p leak-log --test loom --release
//! ```
//!
//! Loom tries every interleaving and every value that a relaxed load may see. It
//! knows no signals; those are covered by the programs in `tests/`.
#![cfg(loom)]

use log_format::ring::{self, Producer, RingHeader};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU64, fence};
use loom::thread;

const WORDS: usize = 4;

struct Ring {
    header: RingHeader,
    words: [UnsafeCell<u64>; WORDS],
}

// SAFETY: the protocol under test says who touches which word when; loom checks it.
unsafe impl Sync for Ring {}
// SAFETY: as above.
unsafe impl Send for Ring {}

impl Ring {
    fn new() -> Arc<Ring> {
        Arc::new(Ring {
            header: RingHeader::default(),
            words: std::array::from_fn(|_| UnsafeCell::new(0)),
        })
    }

    fn put(&self, producer: &Producer, value: u64) {
        let position = producer.reserve(8, 0);
        let word = &self.words[position as usize / 8 % WORDS];
        // SAFETY: reserved by this thread.
        word.with_mut(|p| unsafe { *p = value });
        assert!(producer.complete(&self.header));
    }

    fn get(&self, position: u64) -> u64 {
        // SAFETY: below the published head.
        self.words[position as usize / 8 % WORDS].with(|p| unsafe { *p })
    }
}

#[test]
fn a_published_record_is_whole_and_in_order() {
    loom::model(|| {
        let ring = Ring::new();
        let consumer = {
            let ring = ring.clone();
            thread::spawn(move || {
                let (tail, head) = ring::readable(&ring.header);
                for position in (tail..head).step_by(8) {
                    assert_eq!(ring.get(position), position / 8 + 1);
                }
                ring::release(&ring.header, head);
            })
        };
        let producer = Producer::new(&ring.header);
        for value in 1..=3 {
            ring.put(&producer, value);
        }
        consumer.join().unwrap();
    });
}

#[test]
fn room_given_back_may_be_written_again() {
    loom::model(|| {
        let ring = Ring::new();
        let producer = Producer::new(&ring.header);
        ring.put(&producer, 1);
        ring.put(&producer, 2);
        ring.put(&producer, 3);
        ring.put(&producer, 4);
        let consumer = {
            let ring = ring.clone();
            thread::spawn(move || {
                let (tail, head) = ring::readable(&ring.header);
                let sum: u64 = (tail..head)
                    .step_by(8)
                    .map(|position| ring.get(position))
                    .sum();
                assert_eq!(sum, 10);
                ring::release(&ring.header, head);
            })
        };
        // As in the recorder: a word is written again only if the tail has passed.
        if ring.header.tail.0.load(Acquire) == 32 {
            ring.put(&producer, 5);
        }
        consumer.join().unwrap();
    });
}

/// The argument of the drain: it reads the clock, then the heads. If it takes B's
/// free of a block, it has A's allocation of it.
#[test]
fn a_free_is_never_drained_without_its_allocation() {
    loom::model(|| {
        // The clock: every reading is later than all before it, as a synchronised
        // time-stamp counter's is.
        let clock = Arc::new(AtomicU64::new(1));
        let handed_over = Arc::new(AtomicBool::new(false));
        let (a, b) = (Ring::new(), Ring::new());
        let allocating = {
            let (ring, clock, handed_over) = (a.clone(), clock.clone(), handed_over.clone());
            thread::spawn(move || {
                let producer = Producer::new(&ring.header);
                ring.put(&producer, clock.fetch_add(1, SeqCst));
                handed_over.store(true, Release);
            })
        };
        let freeing = {
            let (ring, clock, handed_over) = (b.clone(), clock.clone(), handed_over.clone());
            thread::spawn(move || {
                let producer = Producer::new(&ring.header);
                if handed_over.load(Acquire) {
                    ring.put(&producer, clock.fetch_add(1, SeqCst));
                }
            })
        };
        let until = clock.fetch_add(1, SeqCst);
        fence(SeqCst);
        let (_, a_head) = ring::readable(&a.header);
        let (_, b_head) = ring::readable(&b.header);
        let takes_free = b_head > 0 && b.get(0) <= until;
        if takes_free {
            assert!(a_head > 0, "the allocation is missing");
            assert!(a.get(0) < b.get(0));
        }
        allocating.join().unwrap();
        freeing.join().unwrap();
    });
}

/// A coarse thread frees a block of a precise one. It has read the clock for an event before
/// (perhaps when the precise one had told of its own already), and reads it again only if the word
/// is up. Its free is later than the allocation, and a drain that has it has the allocation too.
#[test]
fn a_coarse_free_is_never_drained_without_its_allocation() {
    loom::model(|| {
        let clock = Arc::new(AtomicU64::new(1));
        let foreign = Arc::new(AtomicBool::new(false));
        let handed_over = Arc::new(AtomicBool::new(false));
        let (precise, coarse) = (Ring::new(), Ring::new());
        let allocating = {
            let (ring, clock, foreign, handed_over) = (
                precise.clone(),
                clock.clone(),
                foreign.clone(),
                handed_over.clone(),
            );
            thread::spawn(move || {
                let producer = Producer::new(&ring.header);
                ring.put(&producer, clock.fetch_add(1, SeqCst));
                foreign.store(true, Release);
                handed_over.store(true, Release);
            })
        };
        let freeing = {
            let (ring, clock) = (coarse.clone(), clock.clone());
            thread::spawn(move || {
                let read = |now: u64| {
                    if foreign.load(Acquire) {
                        foreign.swap(false, SeqCst);
                        clock.fetch_add(1, SeqCst)
                    } else {
                        now
                    }
                };
                // What it did before, at which it may have taken the word down.
                let now = read(0);
                if handed_over.load(Acquire) {
                    let producer = Producer::new(&ring.header);
                    ring.put(&producer, read(now));
                }
            })
        };
        let until = clock.fetch_add(1, SeqCst);
        fence(SeqCst);
        let (_, precise_head) = ring::readable(&precise.header);
        let (_, coarse_head) = ring::readable(&coarse.header);
        let takes_free = coarse_head > 0 && coarse.get(0) <= until;
        if takes_free {
            assert!(precise_head > 0, "the allocation is missing");
            assert!(precise.get(0) < coarse.get(0), "the order is lost");
        }
        allocating.join().unwrap();
        freeing.join().unwrap();
    });
}

/// The other way round: a coarse thread's allocation, whose time is a reading of the past.
#[test]
fn a_free_is_never_drained_without_its_coarse_allocation() {
    loom::model(|| {
        let clock = Arc::new(AtomicU64::new(1));
        let handed_over = Arc::new(AtomicBool::new(false));
        let (coarse, precise) = (Ring::new(), Ring::new());
        let allocating = {
            let (ring, clock, handed_over) = (coarse.clone(), clock.clone(), handed_over.clone());
            thread::spawn(move || {
                let producer = Producer::new(&ring.header);
                let now = clock.fetch_add(1, SeqCst);
                ring.put(&producer, now);
                ring.put(&producer, now);
                handed_over.store(true, Release);
            })
        };
        let freeing = {
            let (ring, clock) = (precise.clone(), clock.clone());
            thread::spawn(move || {
                let producer = Producer::new(&ring.header);
                if handed_over.load(Acquire) {
                    ring.put(&producer, clock.fetch_add(1, SeqCst));
                }
            })
        };
        let until = clock.fetch_add(1, SeqCst);
        fence(SeqCst);
        let (_, precise_head) = ring::readable(&precise.header);
        let (_, coarse_head) = ring::readable(&coarse.header);
        if precise_head > 0 && precise.get(0) <= until {
            assert_eq!(coarse_head, 16, "an allocation is missing");
            assert!(coarse.get(8) < precise.get(0), "the order is lost");
        }
        allocating.join().unwrap();
        freeing.join().unwrap();
    });
}
