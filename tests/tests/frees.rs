//! `leak run --check-frees`: wrong frees are found with their stacks, right ones are left in peace.

use leak_tests::Run;
use serde_json::Value;

const MODES: [&str; 8] = [
    "double", "array", "single", "malloc", "new", "size", "inside", "realloc",
];

fn wrong_frees(arguments: &[&str]) -> Vec<Value> {
    let outcome = Run::program("wrong_frees")
        .args(arguments)
        .env("LEAK_CHECK_FREES", "1")
        .under_leak();
    outcome.report().0["bad_frees"]
        .as_array()
        .expect("a list")
        .clone()
}

/// The only wrong free, its kind being as expected.
fn one(mode: &str, kind: &str) -> Value {
    match wrong_frees(&[mode]).as_slice() {
        [free] if free["kind"] == kind => free.clone(),
        other => panic!("{mode}: {other:?}"),
    }
}

fn innermost(free: &Value, stack: &str) -> String {
    free[stack][0]["function"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_double_free_has_all_three_stacks_though_the_allocator_ends_the_program() {
    let free = one("double", "double_free");
    let stacks = ["freed_here", "freed_before", "made"].map(|stack| innermost(&free, stack));
    assert_eq!(
        stacks,
        [
            "last_free(void*)",
            "first_free(void*)",
            "make(unsigned long)"
        ]
    );
}

#[test]
fn a_free_by_the_wrong_function_names_both_and_where_the_block_was_made() {
    for (mode, made_by, freed_by, made) in [
        ("array", "new[]", "delete", "make_array()"),
        ("single", "new", "delete[]", "make_single()"),
        ("malloc", "malloc", "delete", "make(unsigned long)"),
        ("new", "new[]", "free", "make_array()"),
        ("realloc", "new[]", "free", "make_array()"),
    ] {
        let free = one(mode, "wrong_family");
        assert_eq!(
            (&free["made_by"], &free["freed_by"]),
            (&made_by.into(), &freed_by.into()),
            "{mode}"
        );
        assert_eq!(innermost(&free, "made"), made, "{mode}");
    }
}

#[test]
fn a_sized_delete_of_another_size_is_told() {
    let free = one("size", "wrong_size");
    assert_eq!(
        (&free["size"], &free["given_size"]),
        (&104.into(), &4.into())
    );
}

#[test]
fn a_free_inside_of_a_block_is_told_with_its_stack() {
    assert_eq!(
        innermost(&one("inside", "unmatched_free"), "freed_here"),
        "last_free(void*)"
    );
}

#[test]
fn right_frees_are_left_in_peace() {
    for mode in MODES {
        assert_eq!(wrong_frees(&[mode, "right"]), Vec::<Value>::new(), "{mode}");
    }
}

#[test]
fn the_check_changes_nothing_that_a_program_does() {
    for mode in ["array", "single", "malloc", "new", "size", "realloc"] {
        Run::program("wrong_frees")
            .arg(mode)
            .env("LEAK_CHECK_FREES", "1")
            .undisturbed();
    }
}

#[test]
fn without_the_check_nothing_is_said_of_frees() {
    let report = Run::program("wrong_frees")
        .arg("array")
        .under_leak()
        .report();
    assert_eq!(report.0["bad_frees"], Value::Array(Vec::new()));
}
