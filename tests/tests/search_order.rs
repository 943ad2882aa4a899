//! Where the hooks stand among other modules: behind them is whatever allocator the program would
//! have without leak, however many libraries lie between, and what stands before them the report says.

use leak_tests::{Outcome, Program, Run, tools};
use std::process::Command;

fn text_report(outcome: &Outcome) -> String {
    let run = Command::new(tools::leak())
        .arg("report")
        .arg(outcome.log())
        .output()
        .expect("leak report");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Preloaded in this order.
fn preloaded(run: Run, libraries: &[&str]) -> Outcome {
    run.env("LD_PRELOAD", libraries.join(":")).plain()
}

#[test]
fn libc_is_found_behind_three_hundred_libraries() {
    let library = Program::new("bare_library").build();
    let folder = tempfile::tempdir().expect("a directory");
    let mut run = Run::program("leak_some").arg("30");
    for number in 0..300 {
        let copy = folder.path().join(format!("{number}.so"));
        std::fs::copy(&library, &copy).expect("a copy");
        run = run.behind(copy);
    }
    let few = Run::program("leak_some")
        .arg("30")
        .checked()
        .report()
        .totals();
    assert_eq!(run.checked().report().totals(), few);
}

#[test]
fn an_allocator_is_found_by_either_kind_of_hash_table() {
    for style in ["-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"] {
        let pool = Program::new("pool").flags([style]).build();
        let outcome = Run::program("asks_pool").behind(pool).checked();
        assert_eq!(outcome.stdout, "50 of the pool\n", "{style}");
        let kept = outcome.report().within("pooled_keeps");
        assert_eq!((kept.blocks, kept.bytes), (50, 50 * 48), "{style}");
        let notes = &outcome.report().0["loss"]["notes"];
        assert_eq!(notes.as_array().map(Vec::len), Some(0), "{notes}");
    }
}

#[test]
fn an_allocator_preloaded_before_leak_is_told_of() {
    let pool = Program::new("pool").build();
    let libleak = tools::library().to_string_lossy();
    let outcome = preloaded(
        Run::program("asks_pool"),
        &[&pool.to_string_lossy(), &libleak],
    );
    assert_eq!(outcome.stdout, "50 of the pool\n");
    assert_eq!(outcome.report().within("pooled_keeps").blocks, 0);
    let said = "another malloc stands before libleak.so";
    let notes = outcome.report().0["loss"]["notes"].to_string();
    assert!(notes.contains(said), "{notes}");
    let text = text_report(&outcome);
    assert!(text.contains(said), "{text}");
}

#[test]
fn with_libc_preloaded_before_leak_the_program_runs_and_the_report_says_what_it_lacks() {
    let libleak = tools::library().to_string_lossy();
    let run = Run::program("operators").args(["100", "calm"]);
    let outcome = preloaded(run.clone(), &["libc.so.6", &libleak]);
    outcome.assert_same_as(&run.plain());
    let text = text_report(&outcome);
    assert!(
        text.contains("another malloc stands before libleak.so"),
        "{text}"
    );
}

#[test]
fn new_in_a_cxx_library_that_a_c_program_loads_is_malloc_until_memory_ends() {
    let run = Run::program("loads_cxx")
        .arg(Program::new("cxx_plugin").build())
        .arg("200");
    let outcome = run.checked();
    assert_eq!(outcome.stdout, "2 2 2 1 1, handled 5\n");
    let report = outcome.report();
    for (function, blocks, size) in [
        ("cxx_plugin_keeps", 200, 40),
        ("cxx_plugin_keeps_wide", 200, 64),
        ("constructed", 1, 16),
    ] {
        let sums = report.within(function);
        assert_eq!(
            (sums.blocks, sums.bytes),
            (blocks, blocks * size),
            "{function}"
        );
    }
    let passed = report.within("cxx_plugin_passes");
    assert_eq!((passed.allocations, passed.blocks), (600, 0));
}
