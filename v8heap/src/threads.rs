//! Work for several threads.

use std::sync::{Mutex, PoisonError};

use crate::error::Fault;

/// Does all the work, with several threads; ends early if some of it fails.
pub(crate) fn on_threads<W: Send>(
    threads: usize,
    work: impl IntoIterator<Item = W, IntoIter: Send>,
    job: impl Fn(W) -> Result<(), Fault> + Sync,
) -> Result<(), Fault> {
    let queue = Mutex::new(work.into_iter());
    let failed = Mutex::new(None);
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(piece) = take() {
            if let Err(fault) = job(piece) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(fault);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}
