//! Whatever way a run is cut into windows, and however much of it was still in
//! the rings, its profile is what the plain model says.

#[path = "model/drain.rs"]
mod drain;
mod model;
#[path = "../../log/tests/support/mod.rs"]
mod support;

use heap::{Options, Profile, StackId, ThreadId, replay};
use log_format::block::Codec;
use model::{Model, Step, THREADS, run};
use proptest::prelude::*;

fn check(profile: &Profile, steps: &[Step]) -> Result<(), TestCaseError> {
    let model = Model::of(steps);
    let totals = &profile.totals;
    prop_assert_eq!(&profile.loss.damage, &[]);
    prop_assert_eq!(profile.loss.unknown_blocks, 0);
    prop_assert_eq!(profile.loss.head_mismatches, 0);
    prop_assert_eq!(totals.allocations, model.allocations);
    prop_assert_eq!(totals.frees, model.frees);
    prop_assert_eq!(totals.reallocations, model.reallocations);
    prop_assert_eq!(totals.allocated_bytes.0, model.allocated_bytes);
    prop_assert_eq!(totals.temporary, model.temporary);
    prop_assert_eq!(profile.loss.unmatched_frees, model.unmatched_frees);
    prop_assert_eq!(profile.loss.missed_frees, model.missed_frees);
    prop_assert_eq!(totals.live_blocks, model.live.len() as u64);
    prop_assert_eq!(totals.live_bytes.0, model.live_bytes);
    prop_assert_eq!(totals.peak_bytes.0, model.peak_bytes);
    prop_assert!(profile.loss.peak_is_exact);
    let teardown = totals.teardown.map(|at| (at.live_bytes.0, at.live_blocks));
    prop_assert_eq!(teardown, model.teardown);
    if model.peak_bytes > 0 {
        prop_assert_eq!(totals.peak_time.0, model.peak_time);
    }
    prop_assert_eq!(profile.sites().len(), model.sites.len());
    for (&stack, figures) in &model.sites {
        let site = profile.site(StackId(stack)).unwrap();
        prop_assert_eq!(&site.figures, figures, "stack {}", stack);
        let mut threads: Vec<ThreadId> = model
            .live
            .values()
            .filter(|block| block.stack == stack)
            .map(|block| ThreadId(block.thread))
            .collect();
        threads.sort();
        threads.dedup();
        prop_assert_eq!(&site.threads, &threads);
    }
    let mut live: Vec<_> = profile
        .live_blocks()
        .map(|b| (b.ptr, b.size.0, b.stack.0, b.thread.0, b.time.0))
        .collect();
    live.sort_unstable();
    let expected: Vec<_> = model
        .live
        .values()
        .map(|b| (b.ptr, b.size, b.stack, b.thread, b.time))
        .collect();
    prop_assert_eq!(live, expected);
    let last = profile.timeline.last().unwrap();
    prop_assert_eq!(
        (last.live_bytes.0, last.live_blocks),
        (model.live_bytes, model.live.len() as u64)
    );
    Ok(())
}

fn profile(steps: &[Step], cuts: Vec<usize>, codec: Codec, short: bool) -> Profile {
    let file = drain::write(steps, cuts, codec, short);
    let options = Options {
        live_blocks: true,
        ..Options::default()
    };
    replay(&file.save().path(), &options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_is_all_in_rings(steps in run(300, THREADS)) {
        check(&profile(&steps, vec![], Codec::Raw, false), &steps)?;
    }

    #[test]
    fn a_run_that_is_all_in_windows(steps in run(300, THREADS), mut cuts in prop::collection::vec(0usize..300, 0..12)) {
        cuts.push(usize::MAX);
        check(&profile(&steps, cuts, Codec::Zstd, false), &steps)?;
    }

    #[test]
    fn a_run_cut_off_between_windows_and_rings(steps in run(300, THREADS), cuts in prop::collection::vec(0usize..200, 0..12)) {
        check(&profile(&steps, cuts, Codec::Raw, false), &steps)?;
    }

    #[test]
    fn a_run_of_one_thread_with_short_records(mut steps in run(300, 1), cuts in prop::collection::vec(0usize..200, 0..4)) {
        // One thread knows only every third time.
        for number in (0..steps.len()).filter(|number| number % 3 != 0) {
            steps[number].time = steps[number - 1].time;
        }
        check(&profile(&steps, cuts, Codec::Raw, true), &steps)?;
    }
}
