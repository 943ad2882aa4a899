//! `leak check` on logs made by hand.

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::Log;
use serde_json::Value;

/// A directory with one log: 3 sites without names, of which two have blocks left.
fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    Log::default().write(&dir.path().join("a.leak"));
    dir
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn check(dir: &Path, args: &[&str]) -> Ran {
    let mut command = Command::cargo_bin("leak").expect("leak is built");
    command
        .env_remove("LSAN_OPTIONS")
        .current_dir(dir)
        .arg("check")
        .args(args);
    ran(&mut command)
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("leak runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        status: output.status.code().expect("a status"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Must be refused in one line, with status 2.
fn refused(dir: &Path, args: &[&str]) -> String {
    let ran = check(dir, args);
    assert_eq!(
        (ran.status, ran.stderr.lines().count()),
        (2, 1),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stdout, "");
    ran.stderr
}

#[test]
fn leaks_make_the_status_23_and_their_absence_0() {
    let dir = dir();
    let failed = check(dir.path(), &["a.leak", "--fail-on", "any"]);
    assert_eq!(failed.status, 23, "{}", failed.stderr);
    assert!(
        failed
            .stdout
            .starts_with("leak check: app: FAILED: 2 leaks, "),
        "{}",
        failed.stdout
    );
    let other = check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--exit-code", "5"],
    );
    assert_eq!(other.status, 5);
    fs::write(dir.path().join("s"), "leak:/no/such/app\n").expect("written");
    let passed = check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--suppressions", "s"],
    );
    assert_eq!(passed.status, 0, "{}", passed.stdout);
    assert!(
        passed.stdout.contains("2 × s:1: /no/such/app"),
        "{}",
        passed.stdout
    );
}

#[test]
fn a_limit_is_what_a_run_may_leave() {
    let dir = dir();
    assert_eq!(
        check(
            dir.path(),
            &["a.leak", "--fail-on", "any:blocks=4,bytes=1M"]
        )
        .status,
        0
    );
    assert_eq!(
        check(dir.path(), &["a.leak", "--fail-on", "any:blocks=3"]).status,
        23
    );
    assert_eq!(
        check(dir.path(), &["a.leak", "--fail-on", "any:bytes=100000"]).status,
        23
    );
}

#[test]
fn lsan_options_name_suppressions_and_the_status() {
    let dir = dir();
    let run = |options: &str| {
        let mut command = Command::cargo_bin("leak").expect("leak is built");
        let args = ["check", "a.leak", "--fail-on", "any"];
        ran(command
            .env("LSAN_OPTIONS", options)
            .current_dir(dir.path())
            .args(args))
    };
    assert_eq!(run("verbosity=1:exitcode=11").status, 11);
    fs::write(dir.path().join("s"), "leak:app$\n").expect("written");
    assert_eq!(run("suppressions=s").status, 0);
    let missing = run("suppressions=nowhere");
    assert_eq!(
        (missing.status, missing.stderr.as_str()),
        (
            2,
            "leak: nowhere: cannot be read (no such file or directory)\n"
        )
    );
}

#[test]
fn a_wrong_line_of_suppressions_is_named() {
    let dir = dir();
    fs::write(dir.path().join("s"), "# ours\nleak:a\nlaek:b\n").expect("written");
    let line = refused(dir.path(), &["a.leak", "--suppressions", "s"]);
    assert!(line.starts_with("leak: s:3: "), "{line}");
    fs::write(dir.path().join("v"), "{\n a\n Memcheck:Leak\n fnu:f\n}\n").expect("written");
    let line = refused(dir.path(), &["a.leak", "--suppressions", "v"]);
    assert!(line.starts_with("leak: v:4: "), "{line}");
}

#[test]
fn suppressions_that_suppress_nothing_are_named() {
    let dir = dir();
    fs::write(dir.path().join("s"), "leak:nothing_like_it\nleak:app\n").expect("written");
    let passed = check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--suppressions", "s"],
    );
    let (_, unused) = passed
        .stdout
        .split_once("suppressed nothing:\n")
        .expect("a list");
    assert_eq!(unused, "  s:1: nothing_like_it\n");
}

#[test]
fn without_classes_nothing_is_said_about_unreachable_blocks() {
    let line = refused(dir().path(), &["a.leak"]);
    assert!(
        line.contains("a.leak: ") && line.contains("--fail-on any"),
        "{line}"
    );
}

#[test]
fn logs_that_are_none_are_refused() {
    let dir = dir();
    fs::write(dir.path().join("b.leak"), "no log").expect("written");
    refused(dir.path(), &["b.leak"]);
    refused(dir.path(), &["missing.leak"]);
}

#[test]
fn a_baseline_is_written_read_and_refused() {
    let dir = dir();
    let path = dir.path();
    assert_eq!(
        check(
            path,
            &["a.leak", "--fail-on", "any", "--write-baseline", "b.json"]
        )
        .status,
        0
    );
    let known = check(
        path,
        &["a.leak", "--fail-on", "any", "--baseline", "b.json"],
    );
    assert_eq!(known.status, 0);
    assert!(
        known.stdout.contains("known to the baseline: 2 leaks"),
        "{}",
        known.stdout
    );
    let mut other = Log {
        exe: "/no/such/other".to_owned(),
        ..Log::default()
    };
    other.sites.truncate(1);
    other.freed.truncate(1);
    other.write(&path.join("o.leak"));
    let line = refused(
        path,
        &["o.leak", "--fail-on", "any", "--baseline", "b.json"],
    );
    assert!(
        line.contains("b.json: the baseline of app, but the log is of other"),
        "{line}"
    );
    fs::write(path.join("x.json"), "[]").expect("written");
    let line = refused(path, &["a.leak", "--baseline", "x.json"]);
    assert!(line.contains("x.json: no baseline"), "{line}");
    let failed = check(
        path,
        &[
            "a.leak",
            "--fail-on",
            "any",
            "--write-baseline",
            "no/dir/b.json",
        ],
    );
    assert_eq!(failed.status, 2);
    assert!(
        failed.stderr.contains("no/dir/b.json: cannot be written"),
        "{}",
        failed.stderr
    );
}

#[test]
fn json_has_every_leak_with_its_status() {
    let dir = dir();
    let ran = check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--format", "json"],
    );
    let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["schema"], 1);
    assert_eq!(value["check"]["failed"], true);
    assert_eq!(value["check"]["counted"]["bytes"], 100_192);
    let leaks = value["leaks"].as_array().expect("leaks");
    assert_eq!(leaks.len(), 2);
    assert!(
        leaks
            .iter()
            .all(|leak| leak["status"] == "counts" && leak["class"].is_null())
    );
    assert_eq!(leaks[0]["bytes"], 100_000);
}

#[test]
fn sarif_has_rules_results_and_fingerprints() {
    let dir = dir();
    check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--write-baseline", "b.json"],
    );
    let ran = check(
        dir.path(),
        &[
            "a.leak",
            "--fail-on",
            "any",
            "--baseline",
            "b.json",
            "--format",
            "sarif",
        ],
    );
    assert_eq!(ran.status, 0);
    let value: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["version"], "2.1.0");
    let run = &value["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[rule]["id"], result["ruleId"]);
        assert_eq!(result["baselineState"], "unchanged");
        let print = result["partialFingerprints"]["leakSite/v1"]
            .as_str()
            .expect("a fingerprint");
        assert_eq!(print.len(), 16);
        assert!(
            result["stacks"][0]["frames"]
                .as_array()
                .is_some_and(|frames| frames.len() >= 2)
        );
    }
}

#[test]
fn junit_is_xml_with_a_failure_for_each_leak() {
    let dir = dir();
    check(
        dir.path(),
        &["a.leak", "--fail-on", "any", "--write", "junit=out.xml"],
    );
    let text = fs::read_to_string(dir.path().join("out.xml")).expect("written");
    let xml = roxmltree::Document::parse(&text).expect("XML");
    let suite = xml
        .descendants()
        .find(|node| node.has_tag_name("testsuite"))
        .expect("a suite");
    let count = |name: &str| {
        suite
            .descendants()
            .filter(|node| node.has_tag_name(name))
            .count()
            .to_string()
    };
    assert_eq!(suite.attribute("tests"), Some(count("testcase").as_str()));
    assert_eq!(suite.attribute("failures"), Some(count("failure").as_str()));
    assert_eq!(count("failure"), "3");
}

#[test]
fn markdown_has_a_table_of_the_leaks() {
    let ran = check(
        dir().path(),
        &["a.leak", "--fail-on", "any", "--format", "markdown"],
    );
    assert!(
        ran.stdout.starts_with("### :x: leak check: `app`\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("\n| 1 | 100000 | 1 | not freed | `app+0x150f` |"),
        "{}",
        ran.stdout
    );
    assert_eq!(ran.stdout.matches("<details>").count(), 2);
}

#[test]
fn what_cannot_be_understood_on_the_command_line_is_refused() {
    let dir = dir();
    for args in [
        ["--fail-on", "lost"],
        ["--fail-on", "any:bytes=x"],
        ["--write", "sarif"],
        ["--write", "pdf=x"],
    ] {
        let ran = check(dir.path(), &[&["a.leak"], &args[..]].concat());
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
}
