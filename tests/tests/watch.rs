//! `leak watch`: snapshots that are compared, thresholds that alert.

use leak_tests::node::{Node, program, versions};
use leak_tests::tools;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn newest() -> Option<Node> {
    versions().pop()
}

fn watch(folder: &Path, arguments: &[&str]) -> Output {
    let run = Command::new(tools::leak())
        .current_dir(folder)
        .env("LEAK_LIB", tools::library())
        .arg("watch")
        .args(arguments)
        .output();
    run.expect("leak runs")
}

fn told(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// `leak watch` with these flags, for a program of Node's that ends with status 3 when its folder
/// has so many files whose names end so.
fn watch_until(
    node: &Node,
    script: &str,
    flags: &[&str],
    count: &str,
    ending: &str,
) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a directory");
    let (path, script) = (node.path.display().to_string(), program(script));
    let script = script.display().to_string();
    let words = [flags, &["--", &path, &script, count, ending]].concat();
    let run = watch(folder.path(), &words);
    assert_eq!(run.status.code(), Some(3), "{}", told(&run));
    (run, folder)
}

/// `leak watch` takes so many snapshots of a program that ends after the third with status 3.
fn snapshots_of_leaky(node: &Node, count: &str, every: &str) -> Output {
    let flags = ["--snapshots", count, "--every", every];
    watch_until(node, "leaky", &flags, "3", ".heapsnapshot").0
}

#[test]
fn three_snapshots_of_a_program_name_its_leak_and_its_status_is_passed_on() {
    for node in versions() {
        let run = snapshots_of_leaky(&node, "3", "800ms");
        let text = told(&run);
        assert!(
            text.contains("3 of 3: heap snapshot"),
            "{}: {text}",
            node.version
        );
        // What it costs is said before each.
        let costs = text.matches("the program will stand for about").count();
        assert_eq!(costs, 3, "{text}");
        assert!(text.contains("cache"), "{}: {text}", node.version);
        assert!(text.contains("leaky.js:10"), "{}: {text}", node.version);
    }
}

#[test]
fn a_program_that_ends_early_is_compared_as_far_as_it_came() {
    let Some(node) = newest() else { return };
    let run = snapshots_of_leaky(&node, "1000", "300ms");
    let text = told(&run);
    assert!(
        text.contains("of 1000 snapshots") && text.contains("leaky.js:10"),
        "{text}"
    );
}

#[test]
fn a_folder_in_which_nothing_can_be_made_is_told_before_the_program_starts() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    for (dir, words) in [
        ("missing", "no such file or directory"),
        ("file", "not a directory"),
    ] {
        let run = watch(
            folder.path(),
            &["--snapshots", "2", "--dir", dir, "--", "touch", "started"],
        );
        let text = told(&run);
        assert_eq!(
            (run.status.code(), text.lines().count()),
            (Some(2), 1),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
        assert!(!folder.path().join("started").exists(), "{text}");
    }
}

#[test]
fn growth_alerts_with_figures_for_a_command_and_a_snapshot() {
    let Some(node) = newest() else { return };
    let flags = [
        "--growth",
        "1.2",
        "--window",
        "6",
        "--interval",
        "150ms",
        "--snapshot-on-alert",
        "--on-alert",
        "echo $LEAK_ALERT $LEAK_LIMIT $LEAK_HEAP_USED $LEAK_SNAPSHOT >>alerts",
    ];
    let (run, folder) = watch_until(&node, "leaky", &flags, "1", "alerts");
    let text = told(&run);
    assert!(text.contains("the heap in use grew from"), "{text}");
    let alerts = std::fs::read_to_string(folder.path().join("alerts")).expect("an alert");
    let words: Vec<&str> = alerts
        .lines()
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    assert_eq!(words[..2], ["growth", "1.2"], "{alerts}");
    assert!(
        words[2].parse::<u64>().is_ok_and(|used| used > 1 << 20),
        "{alerts}"
    );
    assert!(Path::new(words[3]).is_file(), "{alerts}");
}

#[test]
fn a_command_that_takes_its_time_holds_up_nothing() {
    let Some(node) = newest() else { return };
    // It waits for what is to be done after the alert: at most 30 s.
    let command = "for n in $(seq 300); do ls | grep -q heapsnapshot$ && echo met >result && break; sleep 0.1; done";
    let limit = ["--rss", "1K", "--interval", "50ms"];
    let series = ["--snapshots", "2", "--every", "300ms"];
    let flags = [&limit[..], &series, &["--on-alert", command]].concat();
    let (run, folder) = watch_until(&node, "leaky", &flags, "1", "result");
    let result = std::fs::read_to_string(folder.path().join("result")).ok();
    assert_eq!(result.as_deref(), Some("met\n"), "{}", told(&run));
}

#[test]
fn each_figure_of_a_heap_has_a_limit_of_its_own() {
    let Some(node) = newest() else { return };
    for (limit, figure, words) in [
        (
            "--heap-used",
            "heap_used",
            "of the heap in use, above 1.00 KiB",
        ),
        ("--heap-total", "heap_total", "of heap, above 1.00 KiB"),
        (
            "--external",
            "external",
            "held outside of the heap, above 1.00 KiB",
        ),
    ] {
        let command = "echo $LEAK_ALERT $LEAK_LIMIT >alerts";
        let flags = [limit, "1K", "--interval", "50ms", "--on-alert", command];
        let (run, folder) = watch_until(&node, "leaky", &flags, "1", "alerts");
        let text = told(&run);
        assert!(text.contains(words), "{text}");
        let alerts = std::fs::read_to_string(folder.path().join("alerts")).expect("an alert");
        assert_eq!(alerts, format!("{figure} 1024\n"));
    }
}

#[test]
fn alerts_of_one_moment_share_a_snapshot_and_later_ones_wait_for_the_rest_to_be_over() {
    let Some(node) = newest() else { return };
    let flags = [
        "--heap-used",
        "1K",
        "--heap-total",
        "1K",
        "--growth",
        "1.05",
        "--window",
        "6",
        "--interval",
        "50ms",
        "--snapshot-on-alert",
        "--on-alert",
        "echo $LEAK_ALERT $LEAK_SNAPSHOT >>all; test $LEAK_ALERT != growth || cp all alerts",
    ];
    let (run, folder) = watch_until(&node, "leaky", &flags, "1", "alerts");
    let text = told(&run);
    let alerts = std::fs::read_to_string(folder.path().join("alerts")).expect("an alert");
    let words: Vec<Vec<&str>> = alerts
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!((words[0][0], words[1][0]), ("heap_used", "heap_total"));
    assert!(Path::new(words[0][1]).is_file(), "{alerts}");
    assert_eq!(words[0][1], words[1][1], "{alerts}");
    let growth = words.iter().find(|words| words[0] == "growth");
    assert_eq!(growth, Some(&vec!["growth"]), "{alerts}");
    assert_eq!(
        text.matches("heap snapshot: stood for").count(),
        1,
        "{text}"
    );
    assert!(
        text.contains("no heap snapshot: the last one was"),
        "{text}"
    );
    assert!(text.contains("(--rest 10 min"), "{text}");
}

#[test]
fn any_program_is_watched_by_what_it_has_in_memory() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut child = Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("it starts");
    let pid = child.id().to_string();
    let ending = format!("kill {pid}");
    let run = watch(
        folder.path(),
        &[
            "--rss",
            "100K",
            "--interval",
            "10ms",
            "--on-alert",
            &ending,
            &pid,
        ],
    );
    child.wait().expect("it ends");
    let text = told(&run);
    assert_eq!(
        (run.status.code(), text.lines().count()),
        (Some(0), 1),
        "{text}"
    );
    assert!(text.contains("in memory, above 100 KiB"), "{text}");
    let run = watch(folder.path(), &["--rss", "1T", "--", "sh", "-c", "exit 5"]);
    assert_eq!((run.status.code(), told(&run).as_str()), (Some(5), ""));
}

#[test]
fn who_asks_for_alerts_of_a_heap_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut program = Command::new("cat")
        .env("LD_PRELOAD", tools::library())
        .env("LEAK_LOG", folder.path().join("cat.leak"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat runs");
    // Its log is there when it has echoed a line.
    let mut input = program.stdin.take().expect("a pipe");
    input.write_all(b"line\n").expect("a line");
    let mut output = BufReader::new(program.stdout.take().expect("a pipe"));
    output.read_line(&mut String::new()).expect("a line");
    let mut run = Command::new(tools::leak())
        .args(["watch", "--heap-used", "1MB", &program.id().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("leak runs");
    let mut lines = BufReader::new(run.stderr.take().expect("a pipe")).lines();
    let is_it = |line: &String| line.contains("cat: shows no JavaScript heap");
    assert!(lines.any(|line| is_it(&line.expect("a line"))));
    drop(input);
    program.wait().expect("it ends");
    run.wait().expect("it ends with it");
}

#[test]
fn what_cannot_be_watched_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let refused = |arguments: &[&str], words: &str| {
        let run = watch(folder.path(), arguments);
        let text = told(&run);
        assert_eq!(
            (run.status.code(), text.lines().count()),
            (Some(2), 1),
            "{text}"
        );
        assert!(text.contains(words), "{text}");
    };
    let own = std::process::id().to_string();
    refused(&["--", "true"], "--snapshots");
    refused(&["--rss", "5X", &own], "is no size");
    refused(&["--growth", "0.5", &own], "is no factor of growth");
    refused(
        &["--snapshots", "3", "--every", "soon", &own],
        "is no span of time",
    );
    refused(&["--rss", "5M", "4194305"], "there is no such process");
    refused(&["--snapshots", "3", &own], "it runs without libleak");
    refused(
        &["--rss", "5M", "--", "./no-such-program"],
        "no-such-program",
    );
    assert_eq!(
        std::fs::read_dir(folder.path())
            .expect("a directory")
            .count(),
        0
    );
}

#[test]
fn a_disk_that_is_full_is_told_of_once_and_the_program_runs_on() {
    if !leak_tests::root_or_skip("a mount") {
        return;
    }
    let Some(node) = newest() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let line = "mkdir small; mount -t tmpfs -o size=256k none small; export LEAK_LIB=$LIBLEAK; \
        exec \"$1\" watch --snapshots 2 --every 50ms --dir small -- \
        \"$2\" -e 'setTimeout(() => process.exit(3), 2000)'";
    let arguments = [tools::leak(), &node.path];
    let run = leak_tests::run::in_namespace(line, &arguments, folder.path());
    let text = told(&run);
    assert_eq!(run.status.code(), Some(3), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let [costs, why] = lines[..] else {
        panic!("{text}")
    };
    assert!(costs.contains("the program will stand"), "{text}");
    assert!(
        why.contains("no space left on device") && why.contains("--dir"),
        "{text}"
    );
}
