//! Threads: blocks freed by another one, threads by the hundred thousand, allocations while
//! threads and the process end.

use leak_tests::{Program, Run};

#[test]
fn a_block_freed_by_another_thread_is_not_a_leak() {
    let report = Run::program("cross_free")
        .args(["2", "50000"])
        .checked()
        .report();
    let given = report.within("give");
    assert_eq!(
        (given.allocations, given.blocks, given.bytes),
        (100_000, 100, 4800)
    );
}

#[test]
fn addresses_that_come_back_in_another_thread_are_kept_apart() {
    let report = Run::program("swap_blocks")
        .args(["4", "200000"])
        .checked()
        .report();
    assert_eq!(report.within("body").blocks, 0);
    assert_eq!(report.within_all(&["swap_in", "main"]).blocks, 1);
    // What glibc keeps of the threads' stacks for the next ones is not the program's.
    assert_eq!(report.within_but("main", "pthread_create").blocks, 1);
}

/// The main thread alone makes most of the events: its records have no times of their own.
#[test]
fn addresses_that_come_back_in_a_thread_that_does_little_are_kept_apart() {
    for share in ["1", "8", "40", "300"] {
        let report = Run::program("swap_blocks")
            .args(["3", "20000", share])
            .checked()
            .report();
        assert_eq!(report.within("body").blocks, 0, "{share}");
        assert_eq!(report.within_all(&["swap_in", "main"]).blocks, 1, "{share}");
        assert_eq!(report.number("loss.unmatched_frees"), 0, "{share}");
        assert_eq!(report.number("loss.missed_frees"), 0, "{share}");
    }
}

#[test]
fn sixteen_threads_on_few_cores_are_kept_apart_too() {
    let report = Run::program("swap_blocks")
        .args(["16", "30000"])
        .checked()
        .report();
    assert_eq!(report.within("body").blocks, 0);
}

#[test]
fn a_hundred_thousand_short_threads_are_recorded() {
    let report = Run::program("many_threads")
        .arg("100000")
        .seconds(180)
        .checked()
        .report();
    let kept = report.within("thread_keep");
    assert_eq!((kept.blocks, kept.bytes), (1000, 56_000));
    assert_eq!(report.within("brief").allocations, 500_000);
    assert_eq!(report.within("brief").blocks, 0);
}

#[test]
fn allocations_in_destructors_of_threads_are_recorded() {
    let report = Run::program("thread_ends").arg("200").checked().report();
    let of = |function: &str| {
        (
            report.within(function).blocks,
            report.within(function).bytes,
        )
    };
    assert_eq!(of("in_destructor"), (200, 4800));
    assert_eq!(of("in_key"), (600, 24_000));
    assert_eq!(
        report.within("body").blocks,
        0,
        "what the threads held is freed by their ends"
    );
}

#[test]
fn allocations_before_and_after_main_are_recorded() {
    let report = Run::program("after_main").checked().report();
    for (function, size) in [
        ("at_exit_keep", 16),
        ("of_static_keep", 24),
        ("of_local_static_keep", 32),
        ("destroyed_keep", 40),
        ("constructed_keep", 48),
        ("of_initialiser_keep", 56),
    ] {
        let sums = report.within(function);
        assert_eq!((sums.blocks, sums.bytes), (10, 10 * size), "{function}");
    }
    assert_eq!(report.totals().live_blocks - report.everywhere().blocks, 0);
}

#[test]
fn a_process_may_end_among_allocating_threads() {
    for how in ["main", "other", "quick", "last"] {
        let outcome = Run::program("exit_among_threads").arg(how).undisturbed();
        let report = outcome.report();
        assert_eq!(report.number("loss.events_lost"), 0, "{how}");
        assert_eq!(report.number("loss.unmatched_frees"), 0, "{how}");
        let sure = report.within("sure_keep");
        assert_eq!((sure.blocks, sure.bytes), (100, 8800), "{how}");
        assert!(
            report.within("brief").blocks <= 4,
            "{how}: at most one in flight per thread"
        );
    }
}

#[test]
fn a_process_may_end_among_allocating_threads_many_times() {
    for round in 0..40 {
        let how = ["main", "other", "quick", "last"][round % 4];
        let outcome = Run::program("exit_among_threads").arg(how).under_leak();
        assert_eq!(
            outcome.status.code(),
            Some(if how == "last" { 0 } else { 5 }),
            "{how}, round {round}"
        );
        assert_eq!(
            outcome.report().within("sure_keep").blocks,
            100,
            "{how}, round {round}"
        );
    }
}

#[test]
fn a_site_says_how_many_threads_it_had() {
    let report = Run::program("thread_names").checked().report();
    assert_eq!(report.within("named_keep").blocks, 6);
    let common: Vec<_> = report.sites_within("common_keep").collect();
    assert_eq!(common.len(), 1, "one stack for three threads");
    assert_eq!(common[0]["blocks"].as_u64(), Some(3));
    assert_eq!(common[0]["threads"].as_u64(), Some(3), "{}", common[0]);
}

#[test]
fn names_of_threads_are_in_the_log() {
    let outcome = Run::program("thread_names").checked();
    let text = outcome.report().0.to_string();
    for name in ["alpha", "beta", "gamma"] {
        assert!(text.contains(name), "{name} is not in the report");
    }
}

#[test]
fn names_that_others_gave_or_that_came_early_are_in_the_log() {
    let report = Run::program("threads_named").checked().report();
    let threads = report.0["process"]["threads"].as_array().expect("threads");
    let mut names: Vec<&str> = threads
        .iter()
        .filter_map(|thread| thread["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["chief", "early", "later"]);
    // A thread without a name of its own has the program's.
    let report = Run::program("plenty").arg("10").checked().report();
    assert_eq!(report.0["process"]["threads"][0]["name"], "plenty");
}

#[test]
fn threads_on_the_smallest_stacks_survive() {
    let report = Run::program("small_stacks")
        .arg("100000")
        .checked()
        .report();
    let tight = report.within("tight_keep");
    assert_eq!((tight.blocks, tight.bytes), (80, 9600));
    assert_eq!(report.within("body").blocks, 80);
}

#[test]
fn the_loader_s_lock_and_leak_s_never_wait_for_each_other() {
    let run = Run::program("iterates")
        .arg(Program::new("plugin_a").build())
        .arg("1500");
    let report = run.checked().report();
    for (function, size) in [
        ("callback_keeps", 72),
        ("catch_keeps", 40),
        ("plugin_a_keep", 24),
        ("plugin_a_constructed", 8),
    ] {
        let sums = report.within(function);
        assert_eq!((sums.blocks, sums.bytes), (1500, 1500 * size), "{function}");
    }
    assert_eq!(report.within("churn").blocks, 0);
}

#[test]
fn stacks_that_threads_add_to_the_table_at_once_are_whole() {
    for round in 0..3 {
        let report = Run::program("depths").arg("4").checked().report();
        let mut blocks = 0;
        for site in report.sites_within("down") {
            let number = |field: &str| site[field].as_u64().expect("a count");
            let frames = leak_tests::report::functions(site)
                .iter()
                .filter(|name| **name == "down")
                .count();
            let asked = number("allocated_bytes") / number("allocations") / 16;
            assert_eq!(frames as u64, asked, "round {round}: {site}");
            blocks += number("allocations");
        }
        assert_eq!(blocks, 4 * 2000, "round {round}");
    }
}
