//! `leak watch` of programs that start the one that matters: through npm, a shell, a cluster; and of
//! worker threads.

use leak_tests::node::{Node, program, versions};
use leak_tests::{ready, tools};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn newest() -> Option<Node> {
    versions().pop()
}

fn watch(folder: &Path, arguments: &[&str], program: &[&str]) -> (Output, String) {
    let run = Command::new(tools::leak())
        .current_dir(folder)
        .env("LEAK_LIB", tools::library())
        .env("HOME", folder)
        .env("npm_config_update_notifier", "false")
        .arg("watch")
        .args(arguments)
        .arg("--")
        .args(program)
        .output()
        .expect("leak runs");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    (run, told)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The processes that lines are about, without their ids.
fn named(told: &str) -> BTreeSet<&str> {
    let lines = told.lines();
    let about = lines.filter_map(|line| line.strip_prefix("leak watch: ")?.split_once(": "));
    about
        .filter_map(|(who, _)| Some(who.split_once(' ')?.1))
        .collect()
}

const TWO_SNAPSHOTS: [&str; 4] = ["--snapshots", "2", "--every", "300ms"];

#[test]
fn what_npm_starts_is_watched_and_npm_is_not() {
    let (Some(node), Some(npm)) = (newest(), leak_tests::command_or_skip("npm")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let start = format!(
        "{} {} 2 .heapsnapshot",
        text(&node.path),
        text(&program("leaky"))
    );
    let package = serde_json::json!({"name": "x", "version": "1.0.0", "scripts": {"start": start}});
    std::fs::write(folder.path().join("package.json"), package.to_string()).expect("a file");
    let flags = [&TWO_SNAPSHOTS[..], &["--heap-used", "1K"]].concat();
    let (run, told) = watch(folder.path(), &flags, &[&text(&npm), "start"]);
    assert_eq!(run.status.code(), Some(3), "{told}");
    assert_eq!(named(&told), ["node leaky.js"].into(), "{told}");
    assert!(told.contains("what grew"), "{told}");
    assert!(told.contains("leaky.js:10"), "{told}");
}

#[test]
fn what_a_parent_starts_that_waits_in_a_call_is_watched_all_the_same() {
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let path = text(&node.path);
    let parent = folder.path().join("parent.js");
    let source = "const { spawnSync } = require('child_process');
        process.exit(spawnSync(process.execPath, process.argv.slice(2), { stdio: 'inherit' }).status);";
    std::fs::write(&parent, source).expect("a file");
    let script = text(&program("leaky"));
    // The parent may give one before it comes to its call, and none in it.
    let words = [&path, "parent.js", &script, "1", ".1.heapsnapshot"];
    let (run, told) = watch(folder.path(), &TWO_SNAPSHOTS, &words);
    assert_eq!(run.status.code(), Some(3), "{told}");
    assert!(told.contains("leaky.js:10"), "{told}");
    // A shell between them, and one that goes on afterwards.
    let folder = tempfile::tempdir().expect("a directory");
    let line = "\"$0\" \"$1\" 2 .heapsnapshot; exit 5";
    let words = ["sh", "-c", line, &path, &script];
    let (run, told) = watch(folder.path(), &TWO_SNAPSHOTS, &words);
    assert_eq!(run.status.code(), Some(5), "{told}");
    assert!(told.contains("leaky.js:10"), "{told}");
}

#[test]
fn who_names_a_process_that_starts_others_is_told_which() {
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let script = folder.path().join("nodemon.js");
    let source = "require('child_process').spawn(process.execPath,
        ['-e', \"process.stdin.resume(); console.log('ready')\"], { stdio: 'inherit' });";
    std::fs::write(&script, source).expect("a file");
    let mut command = Command::new(&node.path);
    let (mut child, _out) = ready::start(command.arg(&script).current_dir(folder.path()), true);
    let mut leak = Command::new(tools::leak())
        .args(["watch", "--rss", "1T", &child.id().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("leak starts");
    let mut line = String::new();
    let mut told = BufReader::new(leak.stderr.take().expect("a pipe"));
    told.read_line(&mut line).expect("a line");
    drop(child.stdin.take());
    child.wait().expect("it ends");
    assert!(leak.wait().expect("it ends").success());
    assert!(
        line.contains("nodemon.js is there to start others"),
        "{line}"
    );
    assert!(line.trim_end().ends_with(" node -e"), "{line}");
}

#[test]
fn each_worker_of_a_cluster_is_watched_also_those_that_come_later() {
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let command = "echo $LEAK_PID $LEAK_ALERT $LEAK_NAME >>alerts";
    let flags = [
        "--heap-used",
        "1K",
        "--interval",
        "50ms",
        "--on-alert",
        command,
    ];
    let words = [&text(&node.path), &text(&program("clustered"))];
    let (run, told) = watch(folder.path(), &flags, &words.map(String::as_str));
    assert_eq!(run.status.code(), Some(4), "{told}");
    let alerts = std::fs::read_to_string(folder.path().join("alerts")).expect("alerts");
    let pids: BTreeSet<&str> = alerts
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(pids.len(), 4, "primary and three workers: {alerts}");
    let rest = "heap_used node clustered.js";
    assert!(alerts.lines().all(|line| line.ends_with(rest)), "{alerts}");
}

#[test]
fn a_process_for_which_there_is_no_place_is_told_of() {
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let parent = folder.path().join("parent.js");
    // Both wait for two snapshots; the second is there before the first gets one.
    let source = "const { spawn } = require('child_process');
        const children = [1, 2].map(() => spawn(process.execPath, process.argv.slice(2), { stdio: 'inherit' }));
        children[1].on('exit', (status) => process.exitCode = status);";
    std::fs::write(&parent, source).expect("a file");
    let flags = ["--snapshots", "2", "--every", "1s", "--processes", "1"];
    let flags = [&flags[..], &["--only", "leaky"]].concat();
    let (path, script) = (text(&node.path), text(&program("leaky")));
    let words = [&path, "parent.js", &script, "2", ".heapsnapshot"];
    let (run, told) = watch(folder.path(), &flags, &words);
    assert_eq!(run.status.code(), Some(3), "{told}");
    let lines = told.lines().filter(|line| line.contains("--processes 1"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{told}");
    assert!(
        lines[0].contains("node leaky.js: no heap snapshots of it"),
        "{told}"
    );
}

#[test]
fn only_what_is_named_is_watched_of_any_program() {
    let folder = tempfile::tempdir().expect("a directory");
    let flags = [
        "--rss",
        "1K",
        "--interval",
        "10ms",
        "--on-alert",
        "kill $LEAK_PID",
    ];
    let flags = [&flags[..], &["--only", "tail"]].concat();
    let (run, told) = watch(
        folder.path(),
        &flags,
        &["sh", "-c", "tail -f /dev/null; exit 5"],
    );
    assert_eq!(run.status.code(), Some(5), "{told}");
    assert_eq!(named(&told), ["tail"].into(), "{told}");
}

#[test]
fn why_no_snapshot_came_is_said_in_one_line() {
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let path = text(&node.path);
    let line = |program: &[&str], flags: &[&str]| {
        let flags = [&["--snapshots", "2", "--every", "1h"], flags].concat();
        let (run, told) = watch(folder.path(), &flags, program);
        assert_eq!(run.status.code(), Some(0), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        told
    };
    assert!(line(&["true"], &[]).contains("no Node that runs with libleak was there"));
    // Long enough to be seen: until its input ends.
    let until_seen = "setTimeout(() => {}, 1000)";
    let told = line(&[&path, "-e", until_seen], &[]);
    assert!(
        told.contains("ended before its first one was due"),
        "{told}"
    );
    let told = line(&[&path, "-e", until_seen], &["--only", "server"]);
    assert!(
        told.contains("node -e ran, which is not what --only names"),
        "{told}"
    );
    std::fs::write(folder.path().join("nodemon.js"), until_seen).expect("a file");
    let told = line(&[&path, "nodemon.js"], &[]);
    assert!(
        told.contains("node nodemon.js ran, which is there to start others"),
        "{told}"
    );
}

#[test]
fn a_worker_thread_that_grows_is_named_with_how_to_see_its_heap() {
    for node in versions() {
        let (path, script) = (text(&node.path), text(&program("worker_grows")));
        let run = |flags: &[&str], count: &str, ending: &str| {
            let folder = tempfile::tempdir().expect("a directory");
            let words = [&path, &script, count, ending];
            let (run, told) = watch(folder.path(), flags, &words);
            assert_eq!(run.status.code(), Some(3), "Node {}: {told}", node.version);
            told
        };
        let command = "echo $LEAK_WORKER >>alerts.$LEAK_WORKER";
        let alerting = [
            "--heap-used",
            "20M",
            "--interval",
            "50ms",
            "--on-alert",
            command,
        ];
        let told = run(&alerting, "1", "alerts.1");
        assert!(told.contains("node worker_grows.js, worker 1: 2"), "{told}");
        assert!(told.contains("leak snapshot --workers "), "{told}");
        // What takes V8 long is done for one version.
        if node.version != 26 {
            continue;
        }
        let told = run(&TWO_SNAPSHOTS, "2", ".heapsnapshot");
        assert!(
            told.contains("the heap of its worker thread 1 grew from"),
            "{told}"
        );
        let told = run(
            &[&TWO_SNAPSHOTS[..], &["--workers"]].concat(),
            "1",
            "worker1.1.heapsnapshot",
        );
        assert!(
            told.contains("worker_grows.js, worker 1: what grew"),
            "{told}"
        );
        assert!(told.contains("Map variable cache has "), "{told}");
        assert!(told.contains("worker_grows.js:18:15"), "{told}");
    }
}
