//! `leak report` on logs made by hand.

mod common;

use std::fs;

use assert_cmd::Command;
use common::Log;
use log_format::layout::State;
use serde_json::Value;

fn leak() -> Command {
    let mut command = Command::cargo_bin("leak").expect("leak is built");
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    command
}

/// Standard output of a report that goes well.
fn text(dir: &tempfile::TempDir, args: &[&str]) -> String {
    let run = leak()
        .current_dir(dir.path())
        .arg("report")
        .args(args)
        .assert()
        .success()
        .stderr("");
    String::from_utf8(run.get_output().stdout.clone()).expect("UTF-8")
}

fn json(dir: &tempfile::TempDir, args: &[&str]) -> Value {
    let args = [args, &["--format", "json"]].concat();
    serde_json::from_str(&text(dir, &args)).expect("JSON")
}

fn with(logs: &[(&str, &Log)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, log) in logs {
        log.write(&dir.path().join(name));
    }
    dir
}

#[test]
fn a_report_has_header_sites_and_hints() {
    let dir = with(&[("a.leak", &Log::default())]);
    insta::assert_snapshot!(text(&dir, &["a.leak"]));
}

#[test]
fn a_report_of_the_peak() {
    let dir = with(&[("a.leak", &Log::default())]);
    insta::assert_snapshot!(text(&dir, &["a.leak", "--peak", "--top", "1"]));
}

#[test]
fn a_report_of_short_lived_blocks() {
    let dir = with(&[("a.leak", &Log::default())]);
    insta::assert_snapshot!(text(&dir, &["a.leak", "--temporary"]));
}

#[test]
fn json_has_every_site_and_adds_up() {
    let dir = with(&[("a.leak", &Log::default())]);
    let report = json(&dir, &["a.leak"]);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["process"]["pid"], 1234);
    assert_eq!(
        report["process"]["argv"],
        serde_json::json!(["./app", "--serve", "a b"])
    );
    assert_eq!(report["process"]["exit_status"], 0);
    assert_eq!(report["process"]["duration_ns"], 12_500_000_000u64);
    assert!(report.get("processes").is_none());
    let sites = report["sites"].as_array().expect("sites");
    assert_eq!(sites.len(), 3);
    for key in ["allocations", "allocated_bytes", "temporary"] {
        let sum: u64 = sites
            .iter()
            .map(|site| site[key].as_u64().expect(key))
            .sum();
        assert_eq!(report["totals"][key], sum, "{key}");
    }
    let bytes: Vec<_> = sites
        .iter()
        .map(|site| site["bytes"].as_u64().expect("bytes"))
        .collect();
    assert_eq!(bytes, [100_000, 192, 0]);
    assert_eq!(report["totals"]["live_bytes"], 100_192);
    assert_eq!(report["totals"]["peak_bytes"], 100_192);
    let frame = &sites[1]["frames"][0];
    assert_eq!(frame["address"], common::BASE + 0x1010);
    assert_eq!(frame["module"], "/no/such/app");
    assert_eq!(frame["function"], Value::Null);
    assert_eq!(frame["inlined"], false);
    assert_eq!(report["loss"]["events_lost"], 0);
    assert_eq!(report["loss"]["selfcheck"]["checked"], 0);
}

#[test]
fn each_site_is_a_line_of_the_json() {
    let dir = with(&[("a.leak", &Log::default())]);
    let out = text(&dir, &["--format", "json", "a.leak"]);
    let sites: Vec<Value> = out
        .lines()
        .filter(|line| line.starts_with("{\"blocks\""))
        .map(|line| {
            let site = line.strip_suffix(',').or(line.strip_suffix("]}"));
            serde_json::from_str(site.expect("an end")).expect("a site")
        })
        .collect();
    assert_eq!(Value::Array(sites), json(&dir, &["a.leak"])["sites"]);
}

#[test]
fn top_and_min_bytes_cut() {
    let dir = with(&[("a.leak", &Log::default())]);
    assert_eq!(
        json(&dir, &["a.leak", "--top", "1"])["sites"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        json(&dir, &["a.leak", "--min-bytes", "1K"])["sites"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert!(text(&dir, &["a.leak", "--top", "1"]).contains("1 site more with 192 B in 3 blocks"));
    assert!(
        text(&dir, &["a.leak", "--min-bytes", "1G"])
            .contains("All 2 sites are smaller than --min-bytes")
    );
}

#[test]
fn sites_can_be_sorted_by_anything() {
    let dir = with(&[("a.leak", &Log::default())]);
    for (by, key, first) in [
        ("blocks", "blocks", 3),
        ("allocations", "allocations", 1000),
        ("temporary", "temporary", 900),
        ("peak", "peak_bytes", 100_000),
        ("allocated", "allocated_bytes", 100_500),
    ] {
        let report = json(&dir, &["a.leak", "--sort", by]);
        assert_eq!(report["sites"][0][key], first, "{by}");
    }
}

#[test]
fn equal_stacks_of_several_processes_are_one_site() {
    let first = Log::default();
    let moved = Log {
        pid: 1235,
        ppid: 1234,
        bias: 0x7f00_0000_0000,
        started: first.started + 5,
        ..Log::default()
    };
    let dir = with(&[("b.leak", &first), ("a.leak", &moved)]);
    let report = json(&dir, &["."]);
    assert_eq!(report["process"]["pid"], 1234, "the one that began first");
    assert_eq!(report["processes"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["sites"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["sites"][0]["bytes"], 200_000);
    assert_eq!(report["sites"][0]["processes"], 2);
    assert_eq!(report["totals"]["live_bytes"], 200_384);
    insta::assert_snapshot!(text(&dir, &["."]));
}

#[test]
fn processes_can_have_a_report_each() {
    let other = Log {
        pid: 1235,
        ..Log::default()
    };
    let dir = with(&[("a.leak", &Log::default()), ("b.leak", &other)]);
    let report = json(&dir, &[".", "--per-process"]);
    let pids: Vec<_> = report["reports"]
        .as_array()
        .expect("reports")
        .iter()
        .map(|r| &r["process"]["pid"])
        .collect();
    assert_eq!(pids, [1234, 1235]);
    let text = text(&dir, &[".", "--per-process"]);
    assert!(
        text.contains("pid 1234") && text.contains("pid 1235"),
        "{text}"
    );
}

#[test]
fn stacks_without_names_merge_by_module() {
    let dir = with(&[("a.leak", &Log::default())]);
    let report = json(&dir, &["a.leak", "--merge", "module"]);
    let sites = report["sites"].as_array().expect("sites");
    assert_eq!(sites.len(), 1);
    assert_eq!(sites[0]["bytes"], 100_192);
    assert_eq!(sites[0]["stacks"], 3);
    assert_eq!(sites[0]["frames"][0]["module"], "/no/such/app");
    assert_eq!(sites[0]["frames"][0]["address"], Value::Null);
    for by in ["function", "file", "module"] {
        assert!(
            text(&dir, &["a.leak", "--merge", by]).contains("app"),
            "{by}"
        );
    }
}

#[test]
fn a_killed_program_is_no_damage() {
    let dir = with(&[(
        "a.leak",
        &Log {
            state: State::Running,
            ..Log::default()
        },
    )]);
    assert!(text(&dir, &["a.leak"]).contains("killed or still running"));
    assert_eq!(
        json(&dir, &["a.leak"])["process"]["ending"],
        "killed_or_running"
    );
}

#[test]
fn a_recording_that_ended_early_says_why() {
    let dir = with(&[(
        "a.leak",
        &Log {
            state: State::Stopped,
            stop_reason: 1,
            events_lost: 7,
            ..Log::default()
        },
    )]);
    let text = text(&dir, &["a.leak"]);
    assert!(text.contains("no space left for the log"), "{text}");
    assert!(text.contains("7 events lost"), "{text}");
}

#[test]
fn an_empty_report_says_why_it_is_empty() {
    let none = Log {
        sites: vec![],
        freed: vec![],
        ..Log::default()
    };
    let all_freed = Log {
        sites: vec![(vec![0x1010], vec![])],
        freed: vec![(3, 30, 0)],
        ..Log::default()
    };
    let dir = with(&[("none.leak", &none), ("freed.leak", &all_freed)]);
    assert!(text(&dir, &["none.leak"]).contains("no allocation that was recorded"));
    assert!(text(&dir, &["freed.leak"]).contains("all 3 blocks were freed"));
}

#[test]
fn colours_come_when_asked_for() {
    let dir = with(&[("a.leak", &Log::default())]);
    assert!(!text(&dir, &["a.leak"]).contains('\x1b'));
    assert!(text(&dir, &["a.leak", "--color", "always"]).contains('\x1b'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = with(&[("a.leak", &Log::default())]);
    let leak = assert_cmd::cargo::cargo_bin("leak");
    let script = format!(
        "'{}' report a.leak --format json | true; echo ${{PIPESTATUS[0]}}",
        leak.display()
    );
    let run = Command::new("bash")
        .current_dir(dir.path())
        .args(["-c", &script])
        .assert()
        .success();
    run.stdout("0\n").stderr("");
}

const SOURCE: &str = "\
#include <stdlib.h>
void *je_malloc(size_t n) { return malloc(n); }
void *operator_new(size_t n) { return malloc(n); }
void *keep(void) {
    return je_malloc(1);
}
int main(void) {
    return keep() == 0;
}
";

/// A log of a program that is really there: `keep` called by `main`, with an allocator of its
/// own inside.
fn log_of_a_program(dir: &tempfile::TempDir) -> Log {
    fs::write(dir.path().join("keep.c"), SOURCE).expect("written");
    let flags = ["-g", "-O0", "-Wl,--build-id=none", "-o", "keep"];
    let made = std::process::Command::new("cc")
        .current_dir(dir.path())
        .args(flags)
        .arg("keep.c")
        .status();
    assert!(made.expect("a C compiler is needed").success());
    let symbols = std::process::Command::new("nm")
        .current_dir(dir.path())
        .arg("keep")
        .output()
        .expect("nm");
    let symbols = String::from_utf8(symbols.stdout).expect("UTF-8");
    let inside = |name: &str| {
        let line = symbols
            .lines()
            .find(|line| line.ends_with(&format!(" T {name}")))
            .expect(name);
        // One past the function's first address: the call is said to be before that.
        u64::from_str_radix(line.split(' ').next().expect("an address"), 16).expect("hexadecimal")
            + 1
    };
    Log {
        exe: dir.path().join("keep").to_str().expect("UTF-8").to_owned(),
        argv: vec!["./keep"],
        build_id: vec![],
        sites: vec![(
            vec![inside("je_malloc"), inside("keep"), inside("main")],
            vec![1],
        )],
        freed: vec![],
        ..Log::default()
    }
}

#[test]
fn names_lines_and_source_come_from_the_program() {
    let dir = with(&[]);
    log_of_a_program(&dir).write(&dir.path().join("a.leak"));
    let text = text(&dir, &["a.leak"]);
    let site = "     keep  keep.c:4\n         4: void *keep(void) {\n     main  keep.c:7\n";
    assert!(text.contains(site), "{text}");
    let report = json(&dir, &["a.leak"]);
    let frames = report["sites"][0]["frames"].as_array().expect("frames");
    assert_eq!(
        frames.len(),
        2,
        "the allocator's frame is not shown: {frames:?}"
    );
    assert_eq!(frames[0]["function"], "keep");
    assert_eq!(frames[0]["line"], 4);
    assert!(
        frames[0]["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("/keep.c"))
    );
    assert_eq!(report["modules"][0]["names"], "lines");
    for (by, key, end) in [
        ("function", "function", "keep"),
        ("file", "file", "/keep.c"),
        ("module", "module", "/keep"),
    ] {
        let report = json(&dir, &["a.leak", "--merge", by]);
        let found = &report["sites"][0]["frames"][0][key];
        assert!(
            found.as_str().is_some_and(|name| name.ends_with(end)),
            "{by}: {found}"
        );
    }
}

#[test]
fn an_allocator_inside_the_program_is_told_loudly() {
    let dir = with(&[]);
    log_of_a_program(&dir).write(&dir.path().join("a.leak"));
    let text = text(&dir, &["a.leak"]);
    assert!(
        text.contains("keep has jemalloc linked in: what that hands out is NOT in this report"),
        "{text}"
    );
    assert_eq!(
        json(&dir, &["a.leak"])["loss"]["unseen_allocators"][0]["allocator"],
        "jemalloc"
    );
}

#[test]
fn another_build_of_the_program_gives_no_names() {
    let dir = with(&[]);
    Log {
        build_id: vec![1, 2, 3, 4],
        ..log_of_a_program(&dir)
    }
    .write(&dir.path().join("a.leak"));
    let text = text(&dir, &["a.leak"]);
    assert!(!text.contains("keep.c"), "{text}");
    assert!(text.contains("keep: changed since the run"), "{text}");
}

#[test]
fn stacks_of_rebuilt_programs_are_equal_if_their_names_are() {
    let dir = with(&[]);
    let old = log_of_a_program(&dir);
    fs::create_dir(dir.path().join("new")).expect("made");
    fs::copy(dir.path().join("keep"), dir.path().join("new/keep")).expect("copied");
    let exe = dir
        .path()
        .join("new/keep")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let new = Log {
        exe,
        pid: 2,
        ..old.clone()
    };
    old.write(&dir.path().join("old.leak"));
    new.write(&dir.path().join("new.leak"));
    let report = json(&dir, &["old.leak", "new.leak"]);
    let sites = report["sites"].as_array().expect("sites");
    assert_eq!((sites.len(), &sites[0]["blocks"]), (1, &Value::from(2)));
}

// Bad input: one line, status 2.

fn refused(dir: &tempfile::TempDir, args: &[&str]) -> String {
    let run = leak()
        .current_dir(dir.path())
        .arg("report")
        .args(args)
        .assert()
        .code(2)
        .stdout("");
    let text = String::from_utf8(run.get_output().stderr.clone()).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("leak: "), "{text}");
    text
}

#[test]
fn a_missing_log_is_refused() {
    let dir = with(&[]);
    assert!(refused(&dir, &["gone.leak"]).contains("gone.leak: "));
}

#[test]
fn what_is_no_log_is_refused() {
    let dir = with(&[]);
    fs::write(dir.path().join("text"), "hello, world\n".repeat(1000)).expect("written");
    fs::write(dir.path().join("empty"), "").expect("written");
    assert!(refused(&dir, &["text"]).contains("text: not a leak log"));
    assert!(refused(&dir, &["empty"]).contains("empty: not a leak log"));
    fs::write(dir.path().join("heap"), "{\"snapshot\":{}}").expect("written");
    assert!(refused(&dir, &["heap"]).contains("give it to leak heap"));
}

#[test]
fn a_directory_without_logs_is_refused() {
    let dir = with(&[]);
    assert!(refused(&dir, &["."]).contains("no leak log"));
}

#[test]
fn a_log_of_a_newer_version_is_refused() {
    let dir = with(&[(
        "new.leak",
        &Log {
            version: 99,
            ..Log::default()
        },
    )]);
    assert!(refused(&dir, &["new.leak"]).contains("newer"));
}

#[test]
fn a_log_that_ends_in_its_header_is_refused() {
    let dir = with(&[]);
    fs::write(dir.path().join("cut.leak"), &Log::default().bytes()[..1000]).expect("written");
    assert!(refused(&dir, &["cut.leak"]).contains("cut.leak: "));
}

#[test]
fn a_damaged_log_is_reported_as_far_as_it_goes() {
    let mut bytes = Log::default().bytes();
    // The last block, which is the window, differs from its checksum.
    let last = bytes.iter().rposition(|&byte| byte != 0).expect("content");
    bytes[last] ^= 1;
    let dir = with(&[(
        "good.leak",
        &Log {
            pid: 7,
            ..Log::default()
        },
    )]);
    fs::write(dir.path().join("bad.leak"), bytes).expect("written");
    let run = leak()
        .current_dir(dir.path())
        .args(["report", "bad.leak"])
        .assert()
        .code(2);
    let (out, err) = (&run.get_output().stdout, &run.get_output().stderr);
    let (out, err) = (String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    assert!(
        out.contains("./app --serve 'a b'") && out.contains("checksum"),
        "{out}"
    );
    assert!(
        err.starts_with("leak: bad.leak: ") && err.lines().count() == 1,
        "{err}"
    );

    // Beside others, it does not keep them from being reported.
    let run = leak()
        .current_dir(dir.path())
        .args(["report", ".", "--format", "json"])
        .assert()
        .code(2);
    let report: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(report["totals"]["live_bytes"], 100_192);
    assert_eq!(report["loss"]["damage"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_truncated_log_is_reported_as_far_as_it_goes() {
    let bytes = Log::default().bytes();
    let dir = with(&[]);
    fs::write(dir.path().join("cut.leak"), &bytes[..4096 + 300]).expect("written");
    let run = leak()
        .current_dir(dir.path())
        .args(["report", "cut.leak"])
        .assert()
        .code(2);
    let err = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(
        err.starts_with("leak: cut.leak: ") && err.lines().count() == 1,
        "{err}"
    );
    assert!(String::from_utf8_lossy(&run.get_output().stdout).contains("lost"));
}

#[test]
fn wrong_flags_are_refused() {
    for args in [
        &["report"][..],
        &["report", "--top", "x", "a"],
        &["report", "--min-bytes", "1X", "a"],
        &["report", "--peak", "--temporary", "a"],
        &["report", "--merge", "line", "a"],
        &["nothing"],
    ] {
        leak().args(args).assert().code(2).stdout("");
    }
}
