//! Signals: handlers that allocate, at any instant and on little stack, and the program's own
//! signals, which stay its own.

use leak_tests::{Outcome, Program, Run};

/// ticks, blocks of the handler, blocks of the churn, its reallocations: as the program counted.
fn counts(outcome: &Outcome) -> Vec<u64> {
    outcome
        .folder
        .read("counts")
        .split_whitespace()
        .map(|word| word.parse().expect("a count"))
        .collect()
}

fn ticking(threads: &str, ticks: &str) {
    let run = Run::program("timer")
        .args([threads, ticks])
        .behind(Program::new("reentrant_allocator").build())
        .seconds(120);
    let outcome = run.checked();
    let counted = counts(&outcome);
    let report = outcome.report();
    let threads: u64 = threads.parse().expect("a number");
    let handler = report.within("on_tick");
    assert_eq!(
        handler.allocations, counted[1],
        "every block of the handler is recorded"
    );
    assert_eq!(
        (handler.blocks, handler.bytes),
        (100 * threads, 2400 * threads),
        "no false leak in the handler"
    );
    let churn = report.within("leaf");
    assert_eq!(
        churn.blocks,
        report.within_all(&["leaf", "on_tick"]).blocks,
        "no false leak in the churn"
    );
    assert_eq!(report.within("tick_block").allocations, counted[1]);
    let churned = report.within_but("leaf", "on_tick").allocations;
    assert_eq!(
        churned, counted[2],
        "every block of the churn is under its function"
    );
    let beyond = report.everywhere().allocations - handler.allocations - counted[2];
    assert!(
        beyond < 100,
        "{beyond} allocations that the program did not make"
    );
}

#[test]
fn a_timer_that_allocates_a_thousand_times_a_second_loses_nothing() {
    ticking("1", "2000");
}

#[test]
fn timers_in_several_threads_lose_nothing() {
    // The beginnings of threads are the delicate part: many short runs.
    for _ in 0..8 {
        ticking("4", "150");
    }
}

#[test]
fn a_handler_on_an_alternate_stack_may_make_the_first_allocation_of_all() {
    alternate("first", 300);
}

#[test]
fn a_handler_on_an_alternate_stack_may_allocate_until_the_buffers_drain() {
    alternate("later", 120_000);
}

fn alternate(mode: &str, signals: u64) {
    let report = Run::program("alternate_stack")
        .args([mode, &signals.to_string()])
        .checked()
        .report();
    // One in ten of each third, in both threads.
    let kept = 2 * signals / 30;
    for (function, size) in [("alt_one", 16), ("alt_two", 24), ("alt_three", 40)] {
        let sums = report.within(function);
        assert_eq!(
            (sums.blocks, sums.bytes),
            (kept, kept * size),
            "{function}, {mode}"
        );
    }
}

#[test]
fn the_program_s_signals_stay_its_own() {
    let report = Run::program("signals_of_app").checked().report();
    let kept = report.within("keep");
    assert_eq!((kept.blocks, kept.bytes), (5, 520));
}

#[test]
fn jumps_out_of_the_middle_of_an_allocation_leave_the_record_whole() {
    for (mode, jumps) in [("timer", 300), ("overflow", 60)] {
        let run = Run::program("jumps_out")
            .args([mode, &jumps.to_string()])
            .behind(Program::new("reentrant_allocator").build());
        let outcome = run.undisturbed();
        let report = outcome.report();
        // What a jump leaves in the middle may be missing, if it is said.
        assert!(report.number("loss.events_lost") <= jumps, "{mode}");
        let after = report.within("after_keeps");
        assert_eq!((after.blocks, after.bytes), (1000, 88_000), "{mode}");
        assert_eq!(report.within("quiet_churn").blocks, 0, "{mode}");
        assert_eq!(report.within("quiet_churn").allocations, 100_000, "{mode}");
        let lost = report.within("brief").blocks;
        assert!(lost <= jumps, "{mode}: {lost} blocks for {jumps} jumps");
    }
}
