//! An `exec` that fails: the same log goes on, and everything is in it.

use leak_tests::{Outcome, Run};

fn fails(way: &str, count: &str) -> Run {
    Run::program("exec_fails").args([way, count]).seconds(120)
}

fn assert_whole(outcome: &Outcome, between: u64) {
    let report = outcome.report();
    let of = |function: &str| {
        let sums = report.within(function);
        (sums.blocks, sums.bytes)
    };
    assert_eq!(of("between"), (between, between * 40));
    assert_eq!(of("after_all"), (5, 120));
}

#[test]
fn a_program_goes_on_in_one_log_after_a_thousand_failing_execs() {
    for way in ["missing", "search", "refused", "format", "list"] {
        let outcome = fails(way, "1000").checked();
        assert!(
            outcome.stdout.contains("grown by less than 16 MiB"),
            "{way}"
        );
        assert_eq!(outcome.logs.len(), 1, "{way}: {:?}", outcome.logs);
        assert_whole(&outcome, 1000);
        let len = std::fs::metadata(outcome.log()).expect("a log").len();
        assert!(len < 1 << 20, "{way}: a log of {len} bytes");
    }
}

#[test]
fn failing_execs_without_an_event_between_them_leave_the_log_as_it_is() {
    let outcome = fails("silent", "1000").checked();
    assert_whole(&outcome, 0);
}

#[test]
fn an_exec_that_fails_beside_other_threads_leaves_the_log_running() {
    let outcome = fails("threads", "100").checked();
    assert_whole(&outcome, 100);
    assert_eq!(outcome.report().within("beside").blocks, 200);

    let outcome = fails("killed", "20").under_leak();
    assert_eq!(outcome.stdout, "killed\n");
    assert_whole(&outcome, 20);
    let report = outcome.report();
    assert_eq!(report.within("beside").blocks, 40);
    assert_eq!(report.0["process"]["ending"], "killed_or_running");
}

#[test]
fn a_program_that_ends_right_after_a_failing_exec_has_its_status_in_the_log() {
    let outcome = fails("late", "3").checked();
    let report = outcome.report();
    assert_eq!(report.within("between").blocks, 3);
    assert_eq!(report.0["process"]["ending"], "exited");
    assert_eq!(report.0["process"]["exit_status"], 3);
}

#[test]
fn an_exec_that_succeeds_after_failing_ones_gets_its_arguments_and_environment() {
    let outcome = fails("succeed", "20").checked();
    assert!(
        outcome.stdout.ends_with("6 1 2 3 4 5 6 yes\n"),
        "{}",
        outcome.stdout
    );
    assert_whole(&outcome, 20);
    assert_eq!(outcome.report().0["process"]["ending"], "exec");
}
