//! Work for several threads.

use std::sync::{Mutex, PoisonError};

use crate::error::Fault;

/// Does all the work, with several threads, each of which keeps something of its own meanwhile, and
/// returns that; ends early if some of it fails.
pub(crate) fn on_threads<W: Send, S: Default + Send>(
    threads: usize,
    work: impl IntoIterator<Item = W, IntoIter: Send>,
    job: impl Fn(&mut S, W) -> Result<(), Fault> + Sync,
) -> Result<Vec<S>, Fault> {
    let queue = Mutex::new(work.into_iter());
    let failed = Mutex::new(None);
    let kept = Mutex::new(Vec::new());
    // One that has failed leaves nothing in the queue for the others.
    let is_failed = || lock(&failed).is_some();
    let take = || lock(&queue).next().filter(|_| !is_failed());
    let run = || {
        let mut own = S::default();
        while let Some(piece) = take() {
            if let Err(fault) = job(&mut own, piece) {
                lock(&failed).get_or_insert(fault);
                return;
            }
        }
        lock(&kept).push(own);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(fault) => Err(fault),
        None => Ok(kept.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Does one thing, and meanwhile another if there may be two threads.
pub(crate) fn join<A, B: Send>(
    threads: usize,
    one: impl FnOnce() -> A,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads < 2 {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        match other.join() {
            Ok(other) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
