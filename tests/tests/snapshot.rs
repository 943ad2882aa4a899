//! `leak snapshot PID`: what a running process can reach.

use leak_tests::refuse::{Refuse, refuse};
use leak_tests::{Program, Report, ready, tools};
use std::io::{BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output};

/// The program, running with libleak, when it has said that it is ready.
fn start(folder: &std::path::Path, preload: bool) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new(Program::new("snapshot_me").build());
    ready::start(command.current_dir(folder), preload)
}

fn snapshot(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tools::leak());
    command.current_dir(folder).arg("snapshot").args(arguments);
    command.output().expect("leak runs")
}

/// Ends the program; it must end as it does without all this.
fn finish(mut child: Child, mut out: BufReader<std::process::ChildStdout>) {
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"x")
        .expect("it reads");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("it ends");
    assert_eq!(
        (rest.as_str(), child.wait().expect("it ends").code()),
        ("read 1\n", Some(7))
    );
}

#[test]
fn a_running_process_is_searched_and_runs_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let (child, out) = start(folder.path(), true);
    let pid = child.id().to_string();
    for name in ["first.leak", "second.leak"] {
        let run = snapshot(folder.path(), &[&pid, "-o", name]);
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        if words.contains("ptrace is restricted") {
            eprintln!("skipped: {words}");
            return finish(child, out);
        }
        assert!(run.status.success(), "{words}");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(text.contains("stopped for "), "{text}");
        let report = Report::of(&folder.path().join(name));
        let blocks = |function: &str, class: &str| -> i64 {
            let sites = report.0["sites"].as_array().expect("sites").iter();
            let made = sites.filter(|site| site["frames"][0]["function"] == function);
            made.filter_map(|site| site["classes"][class]["blocks"].as_i64())
                .sum()
        };
        for (function, class, count) in [
            ("lose", "unreachable", 5),
            ("main", "reachable", 100),
            ("hold", "reachable", 3),
        ] {
            assert_eq!(blocks(function, class), count, "{class} of {function}");
        }
    }
    finish(child, out);
}

#[test]
fn what_cannot_be_looked_at_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let (child, out) = start(folder.path(), false);
    let told = |pid: &str, what: &str| {
        let run = snapshot(folder.path(), &[pid]);
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(
            (run.status.code(), words.lines().count()),
            (Some(2), 1),
            "{words}"
        );
        assert!(words.contains(what), "{words}");
    };
    told(&child.id().to_string(), "it runs without libleak");
    finish(child, out);
    told("4194305", "there is no such process");
    told("many", "invalid value");
}

#[test]
fn where_nothing_may_be_traced_it_says_so_and_the_program_runs_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let (child, out) = start(folder.path(), true);
    let mut command = Command::new(tools::leak());
    command.current_dir(folder.path());
    command.arg("snapshot").arg(child.id().to_string());
    // SAFETY: the action makes system calls only.
    unsafe { command.pre_exec(refuse(Refuse::Tracing)) };
    let run = command.output().expect("leak runs");
    let words = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(
        (run.status.code(), words.lines().count()),
        (Some(2), 1),
        "{words}"
    );
    assert!(words.contains("ptrace"), "{words}");
    finish(child, out);
}
