//! Node: its JavaScript heap over the run and by stack.

use leak_tests::node::{Node, program, versions};
use leak_tests::{Outcome, Report, Run, tools};
use serde_json::Value;
use std::process::Command;

/// One sample in so many bytes: enough of them for estimates to be close.
const SAMPLE: &str = "32768";

fn run(node: &Node, arguments: &[&str]) -> Run {
    Run::executable(&node.path)
        .env("LEAK_JS_SAMPLE", SAMPLE)
        .arg(program("heap"))
        .args(arguments)
}

/// The heaps of the only log.
fn heaps(outcome: &Outcome) -> Vec<Value> {
    assert_eq!(outcome.logs.len(), 1, "{:?}", outcome.logs);
    let report = Report::with_options(&outcome.logs[0], &["--top", "1"]);
    report.0["process"]["js_heaps"]
        .as_array()
        .expect("heaps")
        .clone()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// Bytes at the last mark in stacks with a function at the innermost place.
fn live_in(heap: &Value, function: &str, line: u64) -> u64 {
    let sites = heap["sites"].as_array().expect("sites");
    let here = sites.iter().filter(|site| {
        let inner = &site["frames"][0];
        inner["function"] == function && inner["line"] == line
    });
    here.map(|site| number(&site["bytes"])).sum()
}

fn has_ended(heap: &Value) -> bool {
    let marks = heap["marks"].as_array().expect("marks");
    marks.last().is_some_and(|mark| mark["at_end"] == true)
}

fn line_of(name: &str, text: &str) -> u64 {
    let source = std::fs::read_to_string(program(name)).expect("the program's source");
    let found = source.lines().position(|line| line.contains(text));
    found.expect("the line") as u64 + 1
}

#[test]
fn what_is_live_is_shown_by_the_javascript_that_made_it() {
    let line = line_of("heap", "function keepObjects");
    for node in versions() {
        let outcome = run(&node, &["end"]).under_leak();
        let heap = &heaps(&outcome)[0];
        assert!(has_ended(heap), "{}: {}", node.version, heap["marks"]);
        // 100 elements, a literal and two headers; strings are small.
        let least = 30_000 * 100 * 8;
        let live = live_in(heap, "keepObjects", line);
        assert!(
            live > least * 3 / 4 && live < least * 3 / 2,
            "{}: {live} bytes, not about {least}",
            node.version
        );
    }
}

#[test]
fn one_function_that_is_called_on_two_ways_is_one_place() {
    let line = line_of("inlined", "function objects");
    for node in versions() {
        let run = Run::executable(&node.path).arg("--allow-natives-syntax");
        let run = run.arg(program("inlined"));
        let outcome = run.by_leak_run(&["--js-exact", "-q"]);
        let listed = |options: &[&str]| {
            let text = leak_tests::report::text(outcome.log(), options);
            let (_, list) = text.split_once("JavaScript heap: ").expect("the list");
            let list = list.split("Live when JavaScript").next().unwrap_or(list);
            let ways = list
                .lines()
                .filter(|line| line.trim_start().starts_with("objects "));
            assert!(list.contains(&format!("inlined.js:{line} ")), "{list}");
            (ways.count(), list.to_owned())
        };
        let (places, list) = listed(&[]);
        assert_eq!(places, 1, "{}: {list}", node.version);
        assert!(list.contains(" other way"), "{}: {list}", node.version);
        let (stacks, list) = listed(&["--merge", "stack"]);
        assert!(stacks >= 2, "{}: {list}", node.version);
        assert!(
            list.contains("oneWay") && list.contains("otherWay"),
            "{list}"
        );
    }
}

#[test]
fn the_figures_are_those_of_the_process_itself() {
    for node in versions() {
        let outcome = run(&node, &["end"]).under_leak();
        let said: Value = serde_json::from_str(&outcome.stdout).expect("memory usage");
        let heap = &heaps(&outcome)[0];
        let (last, most) = (&heap["last"], &heap["most"]);
        assert_eq!(
            last["array_buffers"], said["arrayBuffers"],
            "{}",
            node.version
        );
        for (ours, theirs) in [
            ("heap_total", "heapTotal"),
            ("heap_used", "heapUsed"),
            ("external", "external"),
            ("rss", "rss"),
        ] {
            let (ours, theirs) = (number(&last[ours]), number(&said[theirs]));
            assert!(
                ours.abs_diff(theirs) < theirs / 5 + (4 << 20),
                "{}: {ours} and {theirs}: {last} {said}",
                node.version
            );
        }
        assert!(number(&most["heap_used"]) >= number(&last["heap_used"]));
        let spaces = last["spaces"].as_object().expect("spaces");
        let used: u64 = spaces.values().map(|space| number(&space["used"])).sum();
        assert_eq!(used, number(&last["heap_used"]), "{}: {last}", node.version);
        assert!(number(&heap["collections"]["scavenge"]["count"]) > 0);
    }
}

#[test]
fn every_way_to_end_is_seen() {
    for node in versions() {
        for (how, status, count) in [
            ("end", 0, 1),
            ("exit", 7, 1),
            ("throw", 1, 1),
            ("worker", 0, 2),
            ("worker-exit", 0, 2),
            ("worker-stopped", 0, 2),
        ] {
            let outcome = run(&node, &[how]).under_leak();
            let heaps = heaps(&outcome);
            assert_eq!(outcome.status.code(), Some(status), "{}", outcome.stderr);
            assert_eq!(heaps.len(), count, "{} {how}", node.version);
            for heap in &heaps {
                assert!(has_ended(heap), "{} {how}: {}", node.version, heap["marks"]);
            }
        }
    }
}

#[test]
fn a_heap_that_keeps_more_after_each_full_collection_grows_and_another_does_not() {
    for node in versions() {
        for (how, grows) in [("leaks", true), ("holds", false)] {
            let outcome = Run::executable(&node.path)
                .arg("--expose-gc")
                .arg(program("collected"))
                .arg(how)
                .under_leak();
            let heap = &heaps(&outcome)[0];
            assert!(number(&heap["collections"]["full"]["count"]) >= 12);
            assert_eq!(
                heap["growth"]["grows"], grows,
                "{} {how}: {} {}",
                node.version, heap["growth"], heap["collection_events"]
            );
        }
    }
}

/// All names of fields, with the place where they stand.
fn shape(value: &Value, place: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let kind = match inner {
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    _ => "more",
                };
                // The same at every depth of the tree.
                let place = place.replace("children.", "");
                found.insert(format!("{place}{name}: {kind}"));
                shape(inner, &format!("{place}{name}."), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, place, found)),
        _ => {}
    }
}

fn size_below(node: &Value) -> u64 {
    let children = node["children"].as_array().expect("children");
    number(&node["selfSize"]) + children.iter().map(size_below).sum::<u64>()
}

#[test]
fn a_heapprofile_has_the_form_of_nodes_own() {
    let Some(node) = versions().pop() else { return };
    let own = Run::executable(&node.path)
        .args(["--heap-prof", "--heap-prof-name=own.heapprofile"])
        .arg(program("heap"))
        .arg("end")
        .plain();
    let outcome = run(&node, &["worker"]).under_leak();
    let written = outcome.folder.path().join("ours.heapprofile");
    let said = Command::new(tools::leak())
        .args(["report", "--top", "1", "--heapprofile"])
        .args([&written, &outcome.logs[0]])
        .output()
        .expect("leak report");
    assert!(said.status.success(), "{said:?}");
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("a profile");
    let own = read(&own.folder.read("own.heapprofile"));
    let ours = read(&std::fs::read_to_string(&written).expect("written"));
    let (mut expected, mut found) = Default::default();
    shape(&own, "", &mut expected);
    shape(&ours, "", &mut found);
    assert_eq!(found, expected);
    let samples = ours["samples"].as_array().expect("samples");
    let sampled: u64 = samples.iter().map(|sample| number(&sample["size"])).sum();
    assert_eq!(size_below(&ours["head"]), sampled);
    let live: u64 = heaps(&outcome)
        .iter()
        .flat_map(|heap| heap["sites"].as_array().cloned().unwrap_or_default())
        .map(|site| number(&site["bytes"]))
        .sum();
    assert_eq!(sampled, live, "both heaps are in it");
}

#[test]
fn a_program_that_samples_itself_is_left_to_it() {
    for node in versions().into_iter().filter(|node| node.version >= 20) {
        let outcome = Run::executable(&node.path)
            .args(["--heap-prof", "--heap-prof-name=own.heapprofile"])
            .arg(program("heap"))
            .arg("end")
            .under_leak();
        assert!(
            outcome
                .folder
                .read("own.heapprofile")
                .contains("keepObjects")
        );
        let heap = &heaps(&outcome)[0];
        assert_eq!(heap["marks"].as_array().map(Vec::len), Some(0));
        assert!(number(&heap["last"]["heap_used"]) > 1 << 20);
        let notes = outcome.report().0["loss"]["notes"].to_string();
        assert!(notes.contains("inspected"), "{notes}");
    }
}

#[test]
fn sampling_and_all_of_it_can_be_turned_off() {
    let Some(node) = versions().pop() else { return };
    let outcome = run(&node, &["end"]).env("LEAK_JS_SAMPLE", "0").under_leak();
    let heap = &heaps(&outcome)[0];
    assert_eq!(heap["sites"].as_array().map(Vec::len), Some(0));
    assert!(number(&heap["last"]["heap_used"]) > 1 << 20);
    let outcome = run(&node, &["end"]).env("LEAK_JS", "0").under_leak();
    assert_eq!(heaps(&outcome).len(), 0);
    let written = outcome.folder.path().join("none.heapprofile");
    let said = Command::new(tools::leak())
        .args(["report", "--top", "1", "--heapprofile"])
        .args([&written, &outcome.logs[0]])
        .output()
        .expect("leak report");
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(2), "{errors}");
    assert!(
        errors.lines().count() == 1 && errors.contains("no JavaScript heap by stack"),
        "{errors}"
    );
    assert!(!written.exists());
}

#[test]
fn without_a_compiler_the_heap_is_measured_as_well() {
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .arg("--jitless")
            .env("LEAK_JS_SAMPLE", SAMPLE)
            .arg(program("heap"))
            .arg("end")
            .under_leak();
        let heap = &heaps(&outcome)[0];
        let line = line_of("heap", "function keepObjects");
        assert!(has_ended(heap) && live_in(heap, "keepObjects", line) > 10_000_000);
    }
}
