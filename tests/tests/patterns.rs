//! What leaks look like: each pattern is told where it is, and not of its twin without the fault.

use leak_tests::Run;
use serde_json::Value;

/// The sites with blocks left that were made by the program's own functions.
fn sites(arguments: &[&str]) -> Vec<Value> {
    let report = Run::program("patterns")
        .args(arguments)
        .under_leak()
        .report();
    let sites = report.0["sites"].as_array().expect("sites").iter();
    sites
        .filter(|site| site["blocks"].as_u64() > Some(0))
        .cloned()
        .collect()
}

/// Kinds and sentences of the patterns that are told.
fn patterns(arguments: &[&str]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sites = sites(arguments);
    let told = sites
        .iter()
        .map(|site| &site["pattern"])
        .filter(|pattern| !pattern.is_null());
    told.map(|pattern| (text(&pattern["kind"]), text(&pattern["description"])))
        .collect()
}

fn one(mode: &str, kind: &str, words: &str) {
    match patterns(&[mode]).as_slice() {
        [(found, description)] => {
            assert_eq!(found, kind, "{mode}");
            assert!(description.contains(words), "{mode}: {description}");
        }
        other => panic!("{mode}: {other:?}"),
    }
    assert_eq!(patterns(&[mode, "right"]), [], "{mode}");
}

#[test]
fn shared_pointers_that_hold_each_other_are_a_cycle() {
    one(
        "cycle",
        "reference_cycle",
        "a cycle of reference-counted objects",
    );
}

#[test]
fn a_lost_list_whose_nodes_point_back_is_no_cycle_of_references() {
    assert!(
        sites(&["list"])
            .iter()
            .any(|site| site["class"] == "unreachable")
    );
    assert_eq!(patterns(&["list"]), []);
}

#[test]
fn what_every_ended_thread_left_is_its_own() {
    one("thread", "thread_end", "each of 4 threads left one block");
}

#[test]
fn a_pointer_that_holds_only_the_last_block_was_overwritten() {
    one("overwrite", "overwritten_pointer", "overwritten 5 times");
}

#[test]
fn the_few_lost_among_many_freed_went_another_way() {
    one("error", "error_path", "4 of 100 blocks were lost");
}

#[test]
fn an_array_that_grew_and_was_lost_is_not_one_of_many_that_were_freed() {
    assert!(
        sites(&["grow"])
            .iter()
            .any(|site| site["class"] == "unreachable")
    );
    assert_eq!(patterns(&["grow"]), []);
}
