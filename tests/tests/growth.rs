//! Which sites grow: `leak report --growing`.

use leak_tests::Run;
use leak_tests::report::{Report, contains};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn growing(log: &Path) -> Report {
    Report::with_options(log, &["--growing"])
}

/// Verdict and more of the sites whose stack has that function.
fn growths(report: &Report, function: &str) -> Vec<Value> {
    let sites = report.0["sites"].as_array().expect("sites").iter();
    sites
        .filter(|site| contains(site, function))
        .filter_map(|site| site.get("growth").cloned())
        .collect()
}

fn verdict(kind: &str) -> Value {
    let outcome = Run::program("growth_kinds").arg(kind).checked();
    let function = if kind == "realloc" { "longer" } else { "site" };
    let found = growths(&growing(outcome.log()), function);
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    let growth = found[0].clone();
    let confidence = growth["confidence"].as_f64().expect("a number");
    assert!((0.0..=1.0).contains(&confidence), "{kind}: {growth}");
    growth
}

fn is(kind: &str, expected: &str) -> Value {
    let growth = verdict(kind);
    assert_eq!(growth["verdict"], expected, "{kind}: {growth}");
    growth
}

#[test]
fn a_site_that_keeps_a_block_now_and_then_leaks_steadily() {
    let growth = is("leak", "steady leak");
    assert!(growth["confidence"].as_f64() > Some(0.99), "{growth}");
    assert!(growth["bytes_per_second"].as_f64() > Some(0.0), "{growth}");
    // 100 bytes in every 2000 rounds of one allocation each.
    let per_1000 = growth["bytes_per_1000_allocations"]
        .as_f64()
        .expect("a number");
    assert!((30.0..=70.0).contains(&per_1000), "{growth}");
    assert_eq!(growth["reachable"], false, "{growth}");
}

#[test]
fn a_site_that_grows_and_is_reachable_is_a_growing_container() {
    let growth = is("keep", "growing container");
    assert_eq!(growth["reachable"], true, "{growth}");
}

#[test]
fn growth_that_ended_long_ago_is_a_warm_up() {
    is("pauses", "warm-up");
    is("warm", "warm-up");
}

#[test]
fn blocks_made_at_once_are_a_one_off() {
    is("once", "one-off");
}

#[test]
fn a_block_that_grows_by_reallocation_is_a_growing_container() {
    is("realloc", "growing container");
}

#[test]
fn what_turns_over_is_a_cache() {
    is("cache", "cache");
}

#[test]
fn a_heap_that_fills_and_is_emptied_again_does_not_grow() {
    is("sawtooth", "cache");
}

#[test]
fn a_level_that_goes_up_and_down_by_chance_does_not_grow() {
    is("walk", "cache");
}

/// Growing sites, and how many of them are of forget().
fn grown(seed: u32, leaks: &str) -> (u64, usize) {
    let outcome = Run::program("growth")
        .args([&seed.to_string(), leaks, "1000000"])
        .checked();
    let report = growing(outcome.log());
    let all = report.0["totals"]["verdicts"]["steady leak"]
        .as_u64()
        .expect("a count");
    let forgotten = growths(&report, "forget");
    let leaking = forgotten
        .iter()
        .filter(|growth| growth["verdict"] == "steady leak");
    (all, leaking.count())
}

#[test]
fn of_two_thousand_steady_sites_and_three_leaks_the_three_grow() {
    for seed in [11, 12, 13] {
        assert_eq!(grown(seed, "apart"), (3, 3), "seed {seed}");
    }
}

#[test]
fn of_two_thousand_steady_sites_none_grows() {
    for seed in [11, 12, 13] {
        assert_eq!(grown(seed, "none"), (0, 0), "seed {seed}");
    }
}

#[test]
fn the_text_shows_growing_sites_only_and_counts_the_others() {
    let outcome = Run::program("growth_kinds").arg("leak").checked();
    let run = Command::new(leak_tests::tools::leak())
        .args(["report", "--growing"])
        .arg(outcome.log())
        .output()
        .expect("leak report");
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(text.contains("Growing, by stack:"), "{text}");
    assert_eq!(text.matches("steady leak (confidence").count(), 1, "{text}");
    assert!(!text.contains("  2. "), "{text}");
}

#[test]
fn growth_before_the_given_warm_up_does_not_count() {
    let outcome = Run::program("growth_kinds").arg("leak").checked();
    let report = Report::with_options(outcome.log(), &["--growing", "--warm-up", "10h"]);
    assert_eq!(report.0["totals"]["verdicts"]["steady leak"], 0);
    let found = growths(&report, "site");
    assert_eq!(found[0]["warm_up_births"], 500, "{found:?}");
}

#[test]
fn a_leak_is_seen_in_the_log_of_a_killed_program_too() {
    let outcome = Run::program("growth_kinds")
        .args(["leak", "killed"])
        .under_leak();
    let found = growths(&growing(outcome.log()), "site");
    assert_eq!(found[0]["verdict"], "steady leak", "{found:?}");
    assert_eq!(found[0]["reachable"], Value::Null, "{found:?}");
    let sentence = found[0]["sentence"].as_str().expect("text");
    assert!(sentence.contains("is not known"), "{sentence}");
}

#[test]
fn a_span_that_is_none_is_refused() {
    for (options, word) in [
        (&["--growing", "--warm-up", "soon"][..], "no span of time"),
        (&["--warm-up", "3s"], "--growing"),
        (&["--growing", "--peak"], "--peak"),
    ] {
        let run = Command::new(leak_tests::tools::leak())
            .args(["report", "any.leak"])
            .args(options)
            .output()
            .expect("leak report");
        assert_eq!(run.status.code(), Some(2), "{options:?}");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains(word), "{options:?}: {said}");
    }
}
