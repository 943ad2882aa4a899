//! Reports of Node programs by place: one leak is one site, however the program came to it.

use leak_tests::node::{program, versions};
use leak_tests::report::{contains, text};
use leak_tests::{Report, Run};
use serde_json::Value;

/// How many buffers `keepUpload` keeps, and their size.
const UPLOADS: (u64, u64) = (400, 20_000);

/// Sum of a figure over sites.
fn sum<'a>(sites: impl Iterator<Item = &'a Value>, figure: &str) -> u64 {
    sites.map(|site| site[figure].as_u64().unwrap_or(0)).sum()
}

/// The entries of the list of native sites in a text, each with its lines.
fn entries(text: &str) -> Vec<String> {
    let list = text.split("JavaScript heap:").next().unwrap_or(text);
    let mut entries: Vec<String> = Vec::new();
    for line in list.lines() {
        let number = line.trim_start().split_once(". ").map(|(number, _)| number);
        if number.is_some_and(|number| number.parse::<u32>().is_ok()) && line.starts_with(' ') {
            entries.push(String::new());
        }
        if let Some(entry) = entries.last_mut() {
            entry.push_str(line);
            entry.push('\n');
        }
    }
    entries
}

#[test]
fn one_function_reached_by_many_ways_is_one_site_with_exact_sums() {
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .arg(program("places"))
            .under_leak();
        let log = outcome.log();
        let by_stack = Report::with_options(log, &["--merge", "stack"]);
        let by_place = Report::with_options(log, &["--merge", "place"]);
        let version = node.version;
        let whole = Report::with_options(log, &[]);
        assert_eq!(
            whole.sites().len(),
            by_stack.sites().len(),
            "{version}: JSON is by stack unless told otherwise"
        );

        let stacks: Vec<&Value> = by_stack.sites_within("keepUpload").collect();
        let places: Vec<&Value> = by_place.sites_within("keepUpload").collect();
        assert!(stacks.len() >= 4, "{version}: {} ways there", stacks.len());
        assert_eq!(places.len(), 1, "{version}");
        for figure in ["blocks", "bytes", "allocations", "allocated_bytes"] {
            assert_eq!(
                sum(stacks.iter().copied(), figure),
                sum(places.iter().copied(), figure),
                "{version}: {figure} of the place"
            );
            assert_eq!(
                sum(by_stack.sites().iter(), figure),
                sum(by_place.sites().iter(), figure),
                "{version}: {figure} of all"
            );
        }
        let (blocks, size) = UPLOADS;
        assert!(places[0]["blocks"].as_u64() >= Some(blocks), "{version}");
        assert!(
            places[0]["bytes"].as_u64() >= Some(blocks * size),
            "{version}"
        );
        // What only some of the ways have outside of the function is not said of all.
        for other in ["byHandler", "byPromise", "emit"] {
            assert!(!contains(places[0], other), "{version}: {other}");
        }
        assert!(!contains(places[0], "keepHeader"), "{version}");
    }
}

#[test]
fn the_text_of_a_node_program_has_a_leak_once_and_counts_the_ways() {
    let Some(node) = versions().pop() else {
        return;
    };
    let outcome = Run::executable(&node.path)
        .arg(program("places"))
        .under_leak();
    let log = outcome.log();
    let of = |options: &[&str], function: &str| -> Vec<String> {
        let all = entries(&text(log, options)).into_iter();
        all.filter(|entry| entry.contains(&format!(" {function}  ")))
            .collect()
    };
    let uploads = of(&["--top", "0"], "keepUpload");
    assert_eq!(uploads.len(), 1, "{uploads:?}");
    assert!(uploads[0].contains("other ways here"), "{}", uploads[0]);
    assert!(uploads[0].starts_with("  1. "), "{}", uploads[0]);
    assert!(uploads[0].contains(" V8 frames)"), "{}", uploads[0]);
    let internal = |text: &str| text.matches("v8::internal::").count();
    let all_frames = of(&["--top", "0", "--all-frames"], "keepUpload").concat();
    assert!(
        internal(&uploads[0]) < internal(&all_frames),
        "{all_frames}"
    );
    assert_eq!(of(&["--top", "0"], "keepHeader").len(), 1);
    let each = of(&["--top", "0", "--merge", "stack"], "keepUpload");
    assert!(each.len() >= 4, "{each:?}");
    assert!(each.iter().all(|entry| !entry.contains("other ways here")));
}

#[test]
fn what_a_heap_snapshot_of_leak_left_is_not_told_as_the_programs() {
    let Some(node) = versions().pop() else {
        return;
    };
    let run = Run::executable(&node.path).arg(program("exits"));
    let outcome = run.by_leak_run(&["-q", "--snapshot", "exit"]);
    let log = outcome.log();
    let at_end = ["--at", "end", "--top", "0"];
    let by_place = text(log, &at_end);
    assert!(
        by_place.contains("by heap snapshots left out"),
        "{by_place}"
    );
    let not_freed = by_place.lines().find(|line| line.starts_with("not freed"));
    assert!(
        not_freed.is_some_and(|line| line.ends_with(" of it by heap snapshots")),
        "{not_freed:?}"
    );
    let places = entries(&by_place);
    assert!(places.iter().all(|site| !site.contains("TakeHeapSnapshot")));
    assert!(places.iter().any(|site| site.contains(" keepBuffer  ")));
    let by_stack = text(
        log,
        &[&at_end[..], &["--merge", "stack", "--all-frames"]].concat(),
    );
    assert!(by_stack.contains("TakeHeapSnapshot"), "{by_stack}");
    assert!(!by_stack.contains("left out"), "{by_stack}");
    // A program that takes no snapshot has nothing to leave out.
    let plain = run.by_leak_run(&["-q"]);
    assert!(!text(plain.log(), &at_end).contains("left out"));
}

#[test]
fn a_program_without_javascript_is_told_by_stack() {
    let outcome = Run::program("leak_some").arg("3").under_leak();
    let said = text(outcome.log(), &[]);
    assert!(said.contains("by stack"), "{said}");
    let by_place = Report::with_options(outcome.log(), &["--merge", "place"]);
    let by_stack = Report::with_options(outcome.log(), &["--merge", "stack"]);
    assert_eq!(by_place.sites().len(), by_stack.sites().len());
    assert_eq!(by_place.everywhere(), by_stack.everywhere());
}

#[test]
fn what_functions_without_a_file_allocate_is_told_of_their_callers_in_one() {
    for node in versions() {
        let run = Run::executable(&node.path).arg(program("evals"));
        let outcome = run.under_leak();
        let by_place = Report::with_options(outcome.log(), &["--merge", "place"]);
        for (function, inner, size) in [
            ("small", "(anonymous)", 20_000),
            ("large", "evaluated", 30_000),
        ] {
            let sites: Vec<&Value> = by_place.sites_within(function).collect();
            let version = node.version;
            assert_eq!(sites.len(), 1, "{version} {function}: {sites:#?}");
            assert!(
                sites[0]["bytes"].as_u64() >= Some(100 * size),
                "{version}: {}",
                sites[0]
            );
            let frames = sites[0]["frames"].as_array().expect("frames");
            let is_eval = |frame: &&Value| frame["function"] == inner && frame["file"] == "(eval)";
            assert!(
                frames.iter().any(|frame| is_eval(&frame)),
                "{version}: {}",
                sites[0]
            );
        }
    }
}
