//! Many modules at once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::files::FileSource;
use crate::module::{self, Answer};
use crate::problem::Problem;
use crate::request::{Detail, Module, Options, Request, Symbols};

/// Looks up the addresses of many modules, in parallel. The answers are in the order of the
/// requests. Each file is opened once, however many requests name it, and only while its
/// module is worked on.
///
/// `progress` is told the number of addresses done so far, repeats not counted; it may be
/// called from several threads at once, and the numbers may then come out of order.
///
/// # Errors
/// There are none for the whole: what goes wrong with a module is in its
/// [`Symbols::problem`], and the other modules are not touched by it.
pub fn symbolize(
    requests: &[Request],
    options: &Options,
    files: &dyn FileSource,
    progress: &(dyn Fn(usize) + Sync),
) -> Vec<Symbols> {
    let mut addresses: HashMap<&Module, Vec<u64>> = HashMap::new();
    for request in requests {
        let all = addresses.entry(&request.module).or_default();
        all.extend_from_slice(&request.addresses);
    }
    let mut modules: Vec<_> = addresses.into_iter().collect();
    for (_, addresses) in &mut modules {
        addresses.sort_unstable();
        addresses.dedup();
    }
    // The longest work first, or it would be waited for alone at the end.
    modules.sort_by_key(|(_, addresses)| std::cmp::Reverse(addresses.len()));

    let count = AtomicUsize::new(0);
    let done = |more| progress(count.fetch_add(more, Ordering::Relaxed) + more);
    let answers: HashMap<&Module, (Vec<u64>, Answer)> = modules
        .into_par_iter()
        .with_max_len(1)
        .map(|(module, addresses)| {
            let answer = guarded(module, &addresses, options, files, &done);
            (module, (addresses, answer))
        })
        .collect();

    requests
        .iter()
        .map(|request| match answers.get(&request.module) {
            Some((addresses, answer)) => pick(request, addresses, answer),
            None => Symbols::default(),
        })
        .collect()
}

/// The part of a module's answer that a request asked for.
fn pick(request: &Request, addresses: &[u64], answer: &Answer) -> Symbols {
    let frames_at = |address| {
        let at = addresses.binary_search(address).ok()?;
        answer.frames.get(at).cloned()
    };
    Symbols {
        frames: request
            .addresses
            .iter()
            .map(|address| frames_at(address).unwrap_or_default())
            .collect(),
        detail: answer.detail,
        problem: answer.problem.clone(),
    }
}

/// Modules that are worked on under [`guarded`].
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Whether a panic at this moment is one that [`symbolize`] turns into a [`Problem`]. A panic
/// hook need not tell of it.
pub fn handles_panics() -> bool {
    GUARDED.load(Ordering::Relaxed) > 0
}

/// A module whose files bring a library to panic costs its own frames only. The libraries are
/// written not to panic; but what they read is not of our making. (No help in a program that is
/// built to abort on panics.)
fn guarded(
    module: &Module,
    addresses: &[u64],
    options: &Options,
    files: &dyn FileSource,
    done: &(dyn Fn(usize) + Sync),
) -> Answer {
    let work = || module::symbolize(module, addresses, options, files, done);
    GUARDED.fetch_add(1, Ordering::Relaxed);
    let answer = catch_unwind(AssertUnwindSafe(work));
    GUARDED.fetch_sub(1, Ordering::Relaxed);
    answer.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Answer {
            frames: vec![Vec::new(); addresses.len()],
            detail: Detail::Nothing,
            problem: Some(Problem::Internal {
                path: module.path.clone(),
                what: what.lines().next().unwrap_or_default().to_owned(),
            }),
        }
    })
}
