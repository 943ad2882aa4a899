//! Heap snapshots where memory may not suffice: refused before, with figures, by each way to take one.

use leak_tests::group::Group;
use leak_tests::node::{Node, program, versions};
use leak_tests::run::{in_namespace, logs_in};
use leak_tests::waiting::Waiting;
use leak_tests::{Report, root_or_skip, tools};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// `/proc/meminfo` of a machine with little memory.
const POOR: &str = "printf 'MemTotal: 9 kB\\nMemAvailable: 50000 kB\\n' >poor; \
    mount --bind poor /proc/meminfo; rm -f poor";

fn newest() -> Option<Node> {
    versions().pop()
}

/// Each way to ask a process refuses in a line that says what can be had, and leaves nothing.
fn refuses(waiting: &Waiting, there: &str) {
    for flags in [&[][..], &["--fork"], &["--workers"]] {
        waiting.refused("snapshot", flags, "a heap snapshot may need ");
        waiting.refused("snapshot", flags, there);
    }
    let mut watch = Command::new(tools::leak())
        .current_dir(waiting.folder.path())
        .args([
            "watch",
            "--snapshots",
            "2",
            "--every",
            "50ms",
            &waiting.pid(),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .expect("leak starts");
    let told = BufReader::new(watch.stderr.take().expect("a pipe"));
    let refused = told
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("no heap snapshot: a heap snapshot may need"));
    assert!(refused.is_some_and(|line| line.contains(there)));
    // SAFETY: our own child.
    unsafe { libc::kill(watch.id().cast_signed(), libc::SIGINT) };
    assert_eq!(watch.wait().expect("it ends").signal(), Some(libc::SIGINT));
    assert_eq!(waiting.files(), [""; 0]);
}

#[test]
fn a_machine_without_memory_takes_no_snapshot_unless_forced() {
    if !root_or_skip("a mount") {
        return;
    }
    let Some(node) = newest() else { return };
    let waiting = Waiting::start_mounted(&node, POOR, "idle");
    refuses(&waiting, "and 48.8 MiB can be had");
    let forced = waiting.leak("snapshot", &["--force", "-o", "forced.heapsnapshot"]);
    assert!(forced.status.success());
    assert_eq!(waiting.files(), ["forced.heapsnapshot"]);
    waiting.finish();
}

#[test]
fn the_limit_of_a_control_group_counts_as_what_can_be_had() {
    let Some(node) = newest() else { return };
    let Some(group) = Group::new(60 << 20) else {
        return;
    };
    let waiting = Waiting::start(&node, "idle");
    group.add(waiting.child.id());
    let less = |run: std::process::Output| {
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        let there = told
            .split(" and ")
            .nth(1)
            .and_then(|rest| rest.split(" MiB can").next());
        let there: f64 = there
            .and_then(|figure| figure.parse().ok())
            .unwrap_or(f64::MAX);
        assert!(there <= 60.0, "{told}");
    };
    less(waiting.leak("snapshot", &[]));
    refuses(&waiting, "MiB can be had");
    waiting.finish();
}

#[test]
fn over_the_inspector_the_target_s_control_group_counts() {
    let Some(node) = newest() else { return };
    let Some(group) = Group::new(20 << 20) else {
        return;
    };
    let source = "console.log('ready'); process.stdin.resume()";
    let mut command = Command::new(&node.path);
    let waiting = Waiting::start_by(command.args(["--inspect-port=0", "-e", source]), false);
    group.add(waiting.child.id());
    let run = Command::new(tools::leak())
        .current_dir(waiting.folder.path())
        .args(["snapshot", "--inspect", &waiting.pid()])
        .output()
        .expect("leak runs");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(told.contains("are available; --force"), "{told}");
    assert_eq!(waiting.files(), [""; 0]);
}

#[test]
fn what_would_be_taken_by_itself_is_left_out_with_a_note_in_the_report() {
    if !root_or_skip("a mount") {
        return;
    }
    let Some(node) = newest() else { return };
    let cases = [
        ("exit", "exits", "exit.heapsnapshot"),
        ("limit", "fills", "limit.heapsnapshot"),
    ];
    for (word, way, ending) in cases {
        for (more, is_there) in [("", false), (",force", true)] {
            let folder = tempfile::tempdir().expect("a directory");
            let line = format!(
                "{POOR}; LD_PRELOAD=$LIBLEAK LEAK_SNAPSHOT={word}{more} \"$1\" --max-old-space-size=16 \"$2\" {way}"
            );
            in_namespace(&line, &[&node.path, &program("ends")], folder.path());
            let log = logs_in(folder.path()).pop().expect("a log");
            let written = log.with_extension(ending).is_file();
            assert_eq!(written, is_there, "{word}{more}");
            let notes = Report::of(&log).0["loss"]["notes"].to_string();
            let is_said = notes.contains("heap snapshot not taken: memory may not suffice");
            assert_eq!(is_said, !is_there, "{word}{more}: {notes}");
        }
    }
}
