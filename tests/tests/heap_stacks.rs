//! Snapshots that V8 took while it tracked allocations: where objects were allocated, and what that says of a
//! leak. `tests/heap/stacks/` has the programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::node;
use leak_tests::tools::heap;
use serde_json::Value;

const VERSIONS: [&str; 5] = ["18", "20", "22", "24", "26"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/stacks")
}

/// Three snapshots of a program; `None` where this Node is not.
fn tracked(program: &str, version: &str, out: &Path) -> Option<Vec<PathBuf>> {
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| out.join(format!("{program}-{version}-{number}.heapsnapshot")))
        .collect();
    let parts = [
        folder().join("run.js"),
        folder().join(format!("{program}.js")),
    ];
    let arguments: Vec<&Path> = parts.iter().chain(&outs).map(PathBuf::as_path).collect();
    node::run(version, &arguments).then_some(outs)
}

fn leak(arguments: &[&str], files: &[PathBuf]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&heap(&arguments, files)).expect("JSON")
}

/// `program.js:3:` of the line marked HERE.
fn marked(program: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{program}.js"))).expect("a program");
    let line = text.lines().position(|line| line.contains("// HERE"));
    format!("{program}.js:{}:", line.expect("a mark") + 1)
}

#[test]
fn who_adds_is_known_where_allocations_were_tracked() {
    let out = tempfile::tempdir().expect("a directory");
    let mut seen = 0;
    // V8 of Node 22 has lost the stacks of timers by then.
    let programs: [(&str, &[&str]); 4] = [
        ("helper", &VERSIONS),
        ("dictionary", &["20", "26"]),
        ("package", &["18", "22"]),
        ("timers", &["20", "24"]),
    ];
    for (program, versions) in programs {
        for version in versions {
            let Some(files) = tracked(program, version, out.path()) else {
                continue;
            };
            let found = leak(&["leaks"], &files);
            let first = &found["leaks"][0];
            let place = first["place"].as_str().unwrap_or_default();
            assert!(
                place.contains(&marked(program)),
                "{program} on Node {version}: {found:#}"
            );
            let allocated = &first["allocated"];
            let stack = allocated["stack"].as_array().expect("a stack");
            let own = stack.iter().filter(|frame| frame["near"] == "own");
            assert!(own.count() > 0, "{program} on Node {version}: {allocated}");
            let figure = |name: &str| allocated[name].as_u64().expect("a figure");
            assert!(figure("objects") <= figure("of") && figure("objects") >= 60);
            seen += 1;
        }
    }
    if seen > 0 {
        assert!(seen >= 4, "{seen}");
    }
}

#[test]
fn an_object_has_its_stack_and_the_time_it_was_made() {
    let out = tempfile::tempdir().expect("a directory");
    let Some(files) = tracked("helper", "26", out.path()) else {
        return;
    };
    let last = &files[2..];
    let jobs = leak(&["query", "class == Job && type == object"], last);
    let newest = jobs["nodes"].as_array().expect("nodes").iter();
    let newest = newest.filter_map(|node| node["id"].as_u64()).max();
    let id = newest.expect("a job").to_string();
    let why = leak(&["why", &id], last);
    let stack = why["allocated"]["stack"].as_array().expect("a stack");
    let functions: Vec<_> = stack.iter().map(|frame| &frame["function"]).collect();
    assert_eq!(functions[..1], ["step"], "{why:#}");
    let seconds = why["allocated"]["seconds"].as_array().expect("times");
    assert!(seconds[0].as_f64() < seconds[1].as_f64(), "{seconds:?}");
    let text = heap(&["why", &id], last);
    assert!(
        text.contains("allocated by, ") && text.contains("  step() "),
        "{text}"
    );
}

#[test]
fn what_functions_have_allocated_is_what_devtools_says() {
    let oracle = leak_tests::tools::target().join("heap-oracle");
    let worker = oracle.join("oracle.mjs");
    if !worker.exists() {
        eprintln!("skipped: nothing to compare with; run scripts/heap-oracle");
        return;
    }
    let out = tempfile::tempdir().expect("a directory");
    for version in ["18", "22", "26"] {
        let Some(files) = tracked("dictionary", version, out.path()) else {
            continue;
        };
        let run = Command::new(oracle.join("node_modules/node22/bin/node"))
            .arg(&worker)
            .arg("allocations")
            .arg(&files[2])
            .env_remove("LD_PRELOAD")
            .output()
            .expect("node");
        let expected: Value = serde_json::from_slice(&run.stdout).expect("JSON");
        let rows = |all: &Value, frame: &dyn Fn(&Value) -> String, figures: [&str; 4]| {
            let mut rows: Vec<String> = all
                .as_array()
                .expect("rows")
                .iter()
                .map(|row| format!("{} {:?}", frame(row), figures.map(|name| row[name].clone())))
                .collect();
            rows.sort();
            rows
        };
        let ours = heap(&["--format=json"], &files[2..]);
        let ours: Value = serde_json::from_str(&ours).expect("JSON");
        let ours = rows(
            &ours["allocation"]["functions"],
            &|row| {
                let frame = &row["stack"][0];
                let file = frame["file"].as_str().unwrap_or_default();
                let number = |name: &str| frame[name].as_u64().unwrap_or_default();
                let name = frame["function"].as_str().unwrap_or_default();
                format!("{name} {file} {} {}", number("line"), number("column"))
            },
            ["objects", "bytes", "live_objects", "live_bytes"],
        );
        let theirs = rows(
            &expected,
            &|row| {
                let file = row["file"].as_str().unwrap_or_default();
                let file = file.strip_prefix("file://").unwrap_or(file);
                let name = row["name"].as_str().unwrap_or_default();
                format!("{name} {file} {} {}", row["line"], row["column"])
            },
            ["count", "size", "liveCount", "liveSize"],
        );
        assert!(ours.len() > 3, "{ours:?}");
        assert_eq!(ours, theirs, "Node {version}");
    }
}

#[test]
fn stacks_that_are_damaged_are_said_in_one_line() {
    let out = tempfile::tempdir().expect("a directory");
    let Some(files) = tracked("helper", "26", out.path()) else {
        return;
    };
    let text = std::fs::read_to_string(&files[2]).expect("a snapshot");
    let tree = text.find("\"trace_tree\":").expect("a tree") + 13;
    let fault = |text: &str| {
        let file = out.path().join("damaged.heapsnapshot");
        std::fs::write(&file, text).expect("a file");
        let run = Command::new(leak_tests::tools::leak())
            .arg("heap")
            .arg(&file)
            .output()
            .expect("leak");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    assert!(fault(&text[..tree + 20]).contains("was cut short"));
    let of_no_function = format!("{}[1,99999999,0,0,[]]{}", &text[..tree], &text[tree..]);
    let of_no_function = of_no_function.replacen("]][", "]],\"more\":[", 1);
    assert!(fault(&of_no_function).contains("of function 99999999 of"));
}
