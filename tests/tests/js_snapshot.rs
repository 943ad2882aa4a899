//! Heap snapshots of an unchanged Node process, while it runs.

use leak_tests::node::{program, versions};
use leak_tests::waiting::{Waiting, assert_refused, heap, objects};
use leak_tests::{Outcome, Report, Run, tools};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn an_idle_process_and_one_in_an_endless_loop_write_their_heaps_and_run_on() {
    for node in versions() {
        for way in ["idle", "busy"] {
            let waiting = Waiting::start(&node, way);
            let file = waiting.snapshot("one.heapsnapshot");
            assert_eq!(objects(&file, "Kept"), 1000, "{} {way}", node.version);
            assert_eq!(waiting.files(), ["one.heapsnapshot"]);
            waiting.finish();
        }
    }
}

#[test]
fn it_is_the_snapshot_that_node_itself_would_write() {
    for node in versions() {
        let waiting = Waiting::start(&node, "idle");
        let ours = waiting.snapshot("one.heapsnapshot");
        let folder = waiting.finish();
        let theirs = folder.path().join("own.heapsnapshot");
        let source = format!(
            "process.argv.push('none'); require({:?}); require('v8').writeHeapSnapshot({:?})",
            program("ask"),
            theirs
        );
        let run = Command::new(&node.path).args(["-e", &source]).output();
        assert!(run.expect("it runs").status.success());
        let meta = |file: &Path| -> Value {
            let text = std::fs::read(file).expect("a snapshot");
            let whole: Value = serde_json::from_slice(&text).expect("JSON");
            whole["snapshot"]["meta"].clone()
        };
        assert_eq!(meta(&ours), meta(&theirs), "Node {}", node.version);
        assert_eq!(objects(&ours, "Kept"), objects(&theirs, "Kept"));
    }
}

#[test]
fn objects_keep_their_ids_from_snapshot_to_snapshot() {
    for node in versions() {
        let waiting = Waiting::start(&node, "idle");
        let files = ["one.heapsnapshot", "two.heapsnapshot"].map(|name| waiting.snapshot(name));
        let [one, two] = files.each_ref().map(|file| file.to_str().expect("a name"));
        let report = heap(&["diff", one, two]);
        let classes = report["steps"][0]["classes"].as_array().expect("classes");
        let changed = classes.iter().any(|class| class["name"] == "Kept");
        assert!(!changed, "{}: {report:#}", node.version);
        waiting.finish();
    }
}

/// A figure of `/proc/PID/status`, kB.
fn status(pid: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    figure.expect("a figure")
}

#[test]
fn most_of_the_memory_that_a_snapshot_needs_is_given_back_to_the_system() {
    for node in versions() {
        let mut command = Command::new(&node.path);
        // Names of the snapshot's stay while V8 samples the heap.
        command.env("LEAK_JS_SAMPLE", "0");
        command.arg(program("ask")).arg("many objects");
        let waiting = Waiting::start_by(&mut command, true);
        let before = status(&waiting.pid(), "VmRSS");
        waiting.snapshot("one.heapsnapshot");
        let after = status(&waiting.pid(), "VmRSS");
        let most = status(&waiting.pid(), "VmHWM");
        let (kept, needed) = (after.saturating_sub(before), most - before);
        assert!(needed > 100_000, "Node {}: {needed} kB", node.version);
        assert!(
            kept < needed / 2,
            "Node {}: {kept} of {needed} kB",
            node.version
        );
        waiting.finish();
    }
}

#[test]
fn a_process_whose_name_was_cut_within_a_letter_is_found() {
    for node in versions() {
        let waiting = Waiting::start_with(&node, &["--title=mein server äöü"], "idle", true);
        waiting.snapshot("one.heapsnapshot");
        waiting.finish();
    }
}

#[test]
fn a_node_whose_javascript_is_left_alone_gives_no_other_snapshot_unasked() {
    for node in versions() {
        let mut command = Command::new(&node.path);
        command.env("LEAK_JS", "0").arg(program("ask")).arg("idle");
        let waiting = Waiting::start_by(&mut command, true);
        waiting.refused("snapshot", &[], "LEAK_JS=0");
        assert!(waiting.files().is_empty(), "Node {}", node.version);
        let run = waiting.leak("snapshot", &["--native", "-o", "native.leak"]);
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "Node {}: {words}", node.version);
        waiting.finish();
    }
}

#[test]
fn workers_have_heaps_of_their_own() {
    for node in versions() {
        let waiting = Waiting::start(&node, "worker");
        let run = waiting.leak("snapshot", &["--workers", "-o", "all.heapsnapshot"]);
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{told}");
        let file = |name: &str| waiting.folder.path().join(name);
        let counts = [
            objects(&file("all.heapsnapshot"), "Kept"),
            objects(&file("all.worker1.heapsnapshot"), "InWorker"),
        ];
        assert_eq!(counts, [1000, 500], "Node {}", node.version);
        waiting.finish();
    }
}

#[test]
fn a_copy_takes_the_snapshot_while_the_program_runs_on() {
    for node in versions() {
        for way in ["idle", "busy", "worker"] {
            let waiting = Waiting::start(&node, way);
            let run = waiting.leak("snapshot", &["--fork", "-o", "one.heapsnapshot"]);
            let told = String::from_utf8_lossy(&run.stdout).into_owned();
            let words = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.success(), "{} {way}: {words}", node.version);
            assert!(told.contains("by a copy within"), "{told}");
            let file = waiting.folder.path().join("one.heapsnapshot");
            assert_eq!(objects(&file, "Kept"), 1000, "{} {way}", node.version);
            assert_eq!(waiting.files(), ["one.heapsnapshot"]);
            waiting.finish();
        }
    }
}

#[test]
fn what_a_copy_took_is_compared_with_earlier_snapshots_and_with_no_later_one() {
    for node in versions() {
        let waiting = Waiting::start(&node, "idle");
        let first = waiting.snapshot("first.heapsnapshot");
        let run = waiting.leak("snapshot", &["--fork", "-o", "copy.heapsnapshot"]);
        assert!(run.status.success(), "Node {}", node.version);
        let last = waiting.snapshot("last.heapsnapshot");
        let copy = waiting.folder.path().join("copy.heapsnapshot");
        let [first, copy, last] = [&first, &copy, &last].map(|file| file.to_str().expect("a name"));
        let report = heap(&["diff", first, copy]);
        let classes = report["steps"][0]["classes"].as_array().expect("classes");
        let changed = classes.iter().any(|class| class["name"] == "Kept");
        assert!(!changed, "{}: {report:#}", node.version);
        for job in ["diff", "leaks"] {
            let run = Command::new(tools::leak())
                .args(["heap", job, first, copy, last])
                .output();
            assert_refused(&run.expect("leak runs"), "it can only be the last one");
        }
        waiting.finish();
    }
}

#[test]
fn what_a_copy_cannot_write_is_told_in_one_line_and_leaves_nothing() {
    let Some(node) = versions().pop() else { return };
    let waiting = Waiting::start(&node, "idle");
    let ask = |words: &[&str], told: &str| {
        waiting.refused("snapshot", &[&["--fork"], words].concat(), told);
    };
    ask(&["-o", "missing/one"], "no such file or directory");
    std::fs::write(waiting.folder.path().join("there"), "mine").expect("a file");
    ask(&["-o", "there"], "file exists");
    waiting.limit_files();
    ask(&["-o", "large"], "file too large");
    assert_eq!(waiting.files(), ["there"]);
    waiting.finish();
}

#[test]
fn a_request_that_nobody_comes_to_is_taken_back() {
    for node in versions().into_iter().take(2) {
        let waiting = Waiting::start(&node, "blocked");
        waiting.refused(
            "snapshot",
            &["--timeout", "300ms"],
            "did not come to the request in time",
        );
        let folder = waiting.finish();
        let mut entries = std::fs::read_dir(folder.path()).expect("a directory");
        let late = entries.any(|entry| {
            let name = entry.expect("an entry").file_name();
            name.to_string_lossy().contains("heapsnapshot")
        });
        assert!(!late, "a snapshot that nobody waits for");
    }
}

#[test]
fn a_process_without_rights_to_files_is_asked_all_the_same() {
    for node in versions() {
        let flag = match node.version {
            ..20 => continue,
            20..24 => "--experimental-permission",
            _ => "--permission",
        };
        let flags = ["--no-warnings", flag, "--allow-fs-read=*"];
        let waiting = Waiting::start_with(&node, &flags, "idle", true);
        assert_eq!(objects(&waiting.snapshot("one.heapsnapshot"), "Kept"), 1000);
        waiting.finish();
    }
}

#[test]
fn what_cannot_be_done_is_told_in_one_line_and_leaves_nothing() {
    let Some(node) = versions().pop() else { return };
    let waiting = Waiting::start(&node, "idle");
    let missing = ["-o", "missing/one.heapsnapshot"];
    waiting.refused("snapshot", &missing, "no such file or directory");
    std::fs::write(waiting.folder.path().join("there"), "mine").expect("a file");
    waiting.refused("snapshot", &["-o", "there"], "file exists");
    waiting.refused("snapshot", &["--timeout", "soon"], "is no span of time");
    waiting.refused("mark", &[""], "a mark needs a name");
    // Someone else asks: this test.
    let log = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(waiting.log())
        .expect("a log");
    let asker = |pid: u32| {
        use std::os::unix::fs::FileExt;
        let place = log_format::control::OFFSET as u64 + 8;
        log.write_all_at(&pid.to_le_bytes(), place).expect("room");
    };
    asker(std::process::id());
    waiting.refused("snapshot", &[], "asks it something already");
    // One that is no more does not count.
    asker(4_194_305);
    assert!(waiting.leak("mark", &["after"]).status.success());
    waiting.limit_files();
    waiting.refused("snapshot", &["-o", "large"], "file too large");
    assert_eq!(waiting.files(), ["there"]);
    waiting.finish();
}

#[test]
fn a_process_that_cannot_be_asked_is_told_in_one_line() {
    let Some(node) = versions().pop() else { return };
    let plain = Waiting::start_with(&node, &[], "idle", false);
    plain.refused(
        "snapshot",
        &[],
        "runs without libleak; leak snapshot --inspect",
    );
    plain.refused("mark", &[], "it runs without libleak");
    plain.finish();
    let run = |arguments: &[&str]| {
        let run = Command::new(tools::leak()).args(arguments).output();
        run.expect("leak runs")
    };
    assert_refused(&run(&["mark", "4194305"]), "there is no such process");
    assert_refused(&run(&["snapshot", "4194305"]), "there is no such process");
}

#[test]
fn marks_and_snapshots_stand_in_the_report() {
    let Some(node) = versions().pop() else { return };
    let waiting = Waiting::start(&node, "idle");
    assert!(waiting.leak("mark", &["before the load"]).status.success());
    waiting.snapshot("one.heapsnapshot");
    let log = waiting.log();
    let _folder = waiting.finish();
    let report = Report::of(&log);
    let marks = report.0["process"]["marks"].as_array().expect("marks");
    assert_eq!(marks.len(), 2, "{marks:?}");
    assert_eq!(marks[0]["name"], "before the load");
    let path = marks[1]["heap_snapshot"]["path"].as_str().expect("a path");
    assert!(path.ends_with("/one.heapsnapshot"), "{path}");
    assert!(marks[0]["time_ns"].as_u64() <= marks[1]["time_ns"].as_u64());
    let text = leak_tests::report::text(&log, &[]);
    assert!(text.contains("before the load"), "{text}");
}

/// What `LEAK_SNAPSHOT` left beside the log of a program.
fn beside_log(outcome: &Outcome, ending: &str) -> Option<PathBuf> {
    let file = outcome.log().with_extension(ending);
    file.is_file().then_some(file)
}

#[test]
fn at_the_end_the_heap_is_written_beside_the_log() {
    for (number, node) in versions().iter().rev().enumerate() {
        let ways = [("exits", 7), ("returns", 0), ("throws", 1)];
        // One way is enough to see whether an older version is like the newest.
        for (way, status) in ways.into_iter().take(if number == 0 { 3 } else { 1 }) {
            let run = Run::executable(&node.path).arg(program("ends")).arg(way);
            let outcome = run.env("LEAK_SNAPSHOT", "exit").under_leak();
            assert_eq!(outcome.status.code(), Some(status), "{}", outcome.stderr);
            let file = beside_log(&outcome, "exit.heapsnapshot");
            let file = file.unwrap_or_else(|| panic!("{} {way}: no file", node.version));
            assert_eq!(objects(&file, "Kept"), 1000, "{} {way}", node.version);
            let report = outcome.report();
            assert_eq!(
                report.0["process"]["marks"][0]["heap_snapshot"]["cause"],
                "exit"
            );
        }
    }
}

#[test]
fn near_its_limit_the_heap_is_written_before_the_program_dies_of_it() {
    let all = versions();
    // The oldest and the newest: this takes V8 seconds.
    for node in all
        .first()
        .into_iter()
        .chain(all.get(1..).and_then(<[_]>::last))
    {
        let run = Run::executable(&node.path)
            .arg("--max-old-space-size=16")
            .arg(program("ends"))
            .arg("fills");
        let outcome = run.env("LEAK_SNAPSHOT", "limit").under_leak();
        assert!(outcome.stderr.contains("heap"), "{}", outcome.stderr);
        let file = beside_log(&outcome, "limit.heapsnapshot");
        let file = file.unwrap_or_else(|| panic!("{}: no file", node.version));
        assert!(objects(&file, "Kept") > 10_000, "Node {}", node.version);
    }
}
