//! What the processes of a watch share: how many of them snapshots are taken of, one at a time,
//! and what came of it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::flags::WatchFlags;
use super::process::Process;
use crate::figures::duration;

/// So many processes are named in a line.
pub const MOST_NAMED: usize = 5;
/// Series are begun so many times for each place: one that gives nothing to compare gives its place
/// back, and a program that crashes again and again must not fill the disk.
const TRIES: usize = 4;

/// See the module.
pub struct Places {
    free: AtomicUsize,
    tries: AtomicUsize,
    turn: Mutex<()>,
    /// Snapshots that were taken.
    taken: AtomicUsize,
    /// Whether it was told of one that it could not be taken.
    is_told: AtomicBool,
    /// Whether a Node ended before its first one.
    has_early: AtomicBool,
    /// Whether it was told that there are no more places.
    is_full_told: AtomicBool,
}

impl Places {
    pub fn new(flags: &WatchFlags) -> Places {
        let most = flags.processes as usize;
        Places {
            free: AtomicUsize::new(most),
            tries: AtomicUsize::new(most * TRIES),
            turn: Mutex::new(()),
            taken: AtomicUsize::new(0),
            is_told: AtomicBool::new(false),
            has_early: AtomicBool::new(false),
            is_full_told: AtomicBool::new(false),
        }
    }

    /// Takes a place for a series, if there is one.
    pub fn take(&self) -> bool {
        let less = |count: usize| count.checked_sub(1);
        let took = self.free.fetch_update(Relaxed, Relaxed, less).is_ok();
        if took && self.tries.fetch_update(Relaxed, Relaxed, less).is_err() {
            self.free.fetch_add(1, Relaxed);
            return false;
        }
        took
    }

    /// Gives it back: the series came to nothing.
    pub fn give_back(&self) {
        self.free.fetch_add(1, Relaxed);
    }

    /// Waits until no other snapshot is being taken: memory suffices for one.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a snapshot.
    pub fn count(&self) {
        self.taken.fetch_add(1, Relaxed);
    }

    /// Notes that a line has said why one could not be taken.
    pub fn note_told(&self) {
        self.is_told.store(true, Relaxed);
    }

    /// Notes that a Node ended before its first one.
    pub fn note_early(&self) {
        self.has_early.store(true, Relaxed);
    }

    /// Says once that there are no more places, and for whom the first was missing.
    pub fn say_full(&self, who: &str, most: u32) {
        if !self.is_full_told.swap(true, Relaxed) {
            tell!(
                "leak watch: {who}: no heap snapshots of it nor of others that come later: --processes {most} have \
                 theirs"
            );
        }
    }

    /// If snapshots were wanted and none came: why.
    pub fn say_if_nothing_came(&self, flags: &WatchFlags, left_out: &[Process]) {
        let is_known = self.taken.load(Relaxed) > 0 || self.is_told.load(Relaxed);
        if flags.snapshots.is_none() || is_known {
            return;
        }
        let names: Vec<String> = left_out.iter().map(Process::to_string).collect();
        let why = if self.has_early.load(Relaxed) {
            format!(
                "each Node that ran ended before its first one was due, after {}; see --every",
                duration(flags.every)
            )
        } else if names.is_empty() {
            "no Node that runs with libleak was there for more than a moment".to_owned()
        } else {
            format!(
                "of Node only {} ran, which {}; see --only",
                names.join(", "),
                match flags.only.is_empty() {
                    true => "is there to start others",
                    false => "is not what --only names",
                }
            )
        };
        tell!("leak watch: no heap snapshot was taken: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Command, Flags};
    use clap::Parser;

    #[test]
    fn places_that_came_to_nothing_are_given_again_a_few_times() {
        let words = ["leak", "watch", "--snapshots", "3", "--processes", "2", "7"];
        let Command::Watch(flags) = Flags::parse_from(words).command else {
            panic!("not watch")
        };
        let places = Places::new(&flags);
        assert_eq!([(); 3].map(|()| places.take()), [true, true, false]);
        let again = (0..100).filter(|_| {
            places.give_back();
            places.take()
        });
        assert_eq!(again.count(), 2 * (TRIES - 1));
    }
}
