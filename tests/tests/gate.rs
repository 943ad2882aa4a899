//! The gate on real programs: what a program says through LeakSanitizer's interface, `leak run
//! --fail-on`, `leak check` with suppressions and baselines.

use leak_tests::Run;
use leak_tests::run::Outcome;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// The program that is written for LeakSanitizer.
fn checked(mode: &str) -> Outcome {
    Run::program("checked").arg(mode).under_leak()
}

fn leak_check(folder: &Path, args: &[&str]) -> Output {
    Command::new(leak_tests::tools::leak())
        .current_dir(folder)
        .arg("check")
        .args(args)
        .env_remove("LD_PRELOAD")
        .env_remove("LSAN_OPTIONS")
        .output()
        .expect("leak check")
}

/// The verdict on any block that was not freed, as JSON, and the exit status.
fn verdict(outcome: &Outcome) -> (Value, i32) {
    let log = outcome.log().to_string_lossy().into_owned();
    let run = leak_check(
        outcome.folder.path(),
        &[&log, "--fail-on", "any", "--format", "json"],
    );
    let words = String::from_utf8_lossy(&run.stderr);
    let value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {words}"));
    (value, run.status.code().expect("a status"))
}

/// Bytes of the leaks that count, and of what is ignored.
fn bytes(verdict: &Value) -> (u64, u64) {
    let of = |name: &str| verdict["check"][name]["bytes"].as_u64().expect("bytes");
    (of("counted"), of("ignored"))
}

#[test]
fn an_object_that_is_ignored_is_no_leak() {
    let (verdict, status) = verdict(&checked("ignore"));
    assert_eq!(bytes(&verdict), (128, 100), "{verdict}");
    // The program's own options name the status.
    assert_eq!(status, 7);
}

#[test]
fn what_a_thread_allocates_while_checking_is_disabled_is_no_leak() {
    assert_eq!(bytes(&verdict(&checked("disable")).0), (64, 300));
    assert_eq!(bytes(&verdict(&checked("nested")).0), (64, 200));
    // The other thread's block counts; the first one's does not, nor does the thread's control block.
    let (threads, _) = verdict(&checked("threads"));
    assert_eq!(threads["check"]["counted"]["bytes"], 64, "{threads}");
}

#[test]
fn a_block_at_the_place_of_an_ignored_one_is_a_leak() {
    assert_eq!(bytes(&verdict(&checked("freed")).0), (100, 0));
}

#[test]
fn what_is_ignored_has_its_own_figures_in_the_report() {
    let report = checked("ignore").report();
    let totals = &report.0["totals"];
    assert_eq!(
        (&totals["live_blocks"], &totals["ignored_blocks"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        (&totals["live_bytes"], &totals["ignored_bytes"]),
        (&128.into(), &100.into())
    );
}

#[test]
fn suppressions_that_the_program_brings_hold() {
    let (verdict, status) = verdict(&checked("agreed"));
    assert_eq!(
        (verdict["check"]["failed"].as_bool(), status),
        (Some(false), 0)
    );
    let named = verdict["suppressions"].as_array().expect("a list").iter();
    let hits: Vec<_> = named
        .filter(|one| one["reason"].is_null())
        .map(|one| {
            (
                one["name"].as_str().expect("a name"),
                one["leaks"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(hits, [("by_agreement", 1), ("of_nobody", 0)]);
}

#[test]
fn suppressions_that_no_one_exports_are_read_from_the_file() {
    for flags in [
        ["-O0", "-Wl,--no-export-dynamic"],
        ["-no-pie", "-Wl,--no-export-dynamic"],
    ] {
        let program = leak_tests::Program::new("checked").flags(flags).build();
        let outcome = Run::executable(program).arg("agreed").under_leak();
        let (verdict, status) = verdict(&outcome);
        assert_eq!(
            (verdict["check"]["suppressed"]["bytes"].as_u64(), status),
            (Some(100), 0),
            "{flags:?}"
        );
    }
}

#[test]
fn a_program_that_turns_checking_off_is_not_judged() {
    let (verdict, status) = verdict(&checked("off"));
    assert_eq!((bytes(&verdict).0, status), (0, 0));
    assert!(
        verdict["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("as it asked")),
        "{verdict}"
    );
}

#[test]
fn the_interface_does_no_harm() {
    for mode in [
        "ignore", "disable", "nested", "threads", "agreed", "off", "regions",
    ] {
        let outcome = checked(mode);
        assert_eq!(
            (outcome.stdout.as_str(), outcome.stderr.as_str()),
            ("", ""),
            "{mode}"
        );
        assert!(outcome.status.success(), "{mode}");
    }
    assert_eq!(
        Run::program("checked").arg("ignore").plain().stdout,
        "no sanitizer\n"
    );
}

#[test]
fn a_run_that_leaks_ends_with_the_status_that_was_asked_for() {
    let leaks = Run::program("leak_some").arg("3");
    let run = leaks.by_leak_run(&["--quiet", "--fail-on", "any", "--exit-code", "42"]);
    assert_eq!(run.status.code(), Some(42), "{}", run.stderr);
    assert!(run.stderr.contains("FAILED: "), "{}", run.stderr);
    let run = leaks.by_leak_run(&["--quiet", "--fail-on", "any:blocks=1000,bytes=1M"]);
    assert_eq!(run.status.code(), Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("passed: "), "{}", run.stderr);
}

#[test]
fn a_program_that_fails_by_itself_keeps_its_status() {
    let run = Run::executable("/bin/sh")
        .args(["-c", "exit 9"])
        .by_leak_run(&["--quiet", "--fail-on", "any"]);
    assert_eq!(run.status.code(), Some(9), "{}", run.stderr);
}

#[test]
fn a_baseline_lets_pass_what_was_there_and_nothing_else() {
    let outcome = Run::program("leak_some").arg("3").under_leak();
    let folder = outcome.folder.path();
    let log = outcome.log().to_string_lossy().into_owned();
    let check = |args: &[&str]| {
        leak_check(
            folder,
            &[&[log.as_str(), "--fail-on", "any"], args].concat(),
        )
    };
    assert_eq!(
        check(&["--write-baseline", "base.json"]).status.code(),
        Some(0)
    );
    assert_eq!(check(&["--baseline", "base.json"]).status.code(), Some(0));

    // A rebuild: other addresses, other lines of the log; more leaks at known places.
    let rebuilt = leak_tests::Program::new("leak_some").flags(["-O2"]).build();
    let again = Run::executable(&rebuilt).arg("5").under_leak();
    let again = again.log().to_string_lossy().into_owned();
    let known = leak_check(
        folder,
        &[&again, "--fail-on", "any", "--baseline", "base.json"],
    );
    assert_eq!(
        known.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&known.stdout)
    );

    let other = checked("agreed");
    let other = other.log().to_string_lossy().into_owned();
    let refused = leak_check(
        folder,
        &[&other, "--fail-on", "any", "--baseline", "base.json"],
    );
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(
        (refused.status.code(), words.lines().count()),
        (Some(2), 1),
        "{words}"
    );
    assert!(
        words.contains("base.json: the baseline of leak_some"),
        "{words}"
    );
}

#[test]
fn generated_suppressions_suppress_what_they_were_made_for() {
    let outcome = Run::program("leak_some").arg("3").under_leak();
    let folder = outcome.folder.path();
    let log = outcome.log().to_string_lossy().into_owned();
    for grammar in ["lsan", "valgrind"] {
        let option = format!("--gen-suppressions={grammar}");
        let made = leak_check(folder, &[&log, "--fail-on", "any", &option]);
        assert_eq!(made.status.code(), Some(23));
        std::fs::write(folder.join("own.supp"), &made.stdout).expect("written");
        let held = leak_check(
            folder,
            &[&log, "--fail-on", "any", "--suppressions", "own.supp"],
        );
        assert_eq!(
            held.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&held.stdout)
        );
    }
}

#[test]
fn only_blocks_that_nothing_leads_to_count_as_unreachable() {
    let overwrite = |args: &[&str]| {
        Run::program("patterns")
            .args(args)
            .by_leak_run(&["-q", "--fail-on", "unreachable"])
    };
    let wrong = overwrite(&["overwrite"]);
    assert_eq!(wrong.status.code(), Some(23), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("1.46 KiB in 5 blocks, unreachable"),
        "{}",
        wrong.stderr
    );
    // The last block is still held; the tables of ended threads are libc's business.
    for twin in ["overwrite", "thread"] {
        let right = overwrite(&[twin, "right"]);
        assert_eq!(right.status.code(), Some(0), "{}", right.stderr);
    }
}

#[test]
fn without_a_search_nothing_is_said_about_unreachable_blocks() {
    let run = Run::program("patterns")
        .arg("overwrite")
        .env("LEAK_REACH", "0")
        .by_leak_run(&["-q", "--fail-on", "unreachable"]);
    assert_eq!(
        (run.status.code(), run.stderr.lines().count()),
        (Some(2), 1),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--fail-on any"), "{}", run.stderr);
}

#[test]
fn a_site_that_kept_growing_counts_as_growing() {
    let judged = |run: Run| run.by_leak_run(&["-q", "--fail-on", "growing"]);
    let grows = judged(Run::program("grows").arg("x"));
    assert_eq!(grows.status.code(), Some(23), "{}", grows.stderr);
    assert!(
        grows
            .stderr
            .contains("FAILED: 1 leak, 812 KiB in 4,000 blocks"),
        "{}",
        grows.stderr
    );
    let steady = judged(Run::program("grows"));
    assert_eq!(steady.status.code(), Some(0), "{}", steady.stderr);
}
