//! `leak run` with the real recorder: status, streams, names of logs, the summary.

use leak_tests::Run;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

fn some(count: &str) -> Run {
    Run::program("leak_some").arg(count)
}

#[test]
fn leak_run_passes_the_exit_status_on() {
    for (how, status) in [("second", 7), ("return", 6), ("_exit", 6)] {
        let outcome = Run::program("endings").arg(how).by_leak_run(&[]);
        assert_eq!(
            outcome.status.code(),
            Some(status),
            "{how}: {}",
            outcome.stderr
        );
    }
    for (how, signal) in [
        ("term", libc::SIGTERM),
        ("segv", libc::SIGSEGV),
        ("abort", libc::SIGABRT),
        ("kill", libc::SIGKILL),
    ] {
        let status = Run::program("endings").arg(how).by_leak_run(&[]).status;
        assert!(
            status.code() == Some(128 + signal) || status.signal() == Some(signal),
            "{how}: {status}"
        );
    }
}

#[test]
fn the_log_of_a_killed_program_knows_the_signal_that_leak_run_saw() {
    for (how, signal, name) in [
        ("term", libc::SIGTERM, "SIGTERM"),
        ("segv", libc::SIGSEGV, "SIGSEGV"),
        ("kill", libc::SIGKILL, "SIGKILL"),
    ] {
        for options in [&[][..], &["-q"]] {
            let outcome = Run::program("endings").arg(how).by_leak_run(options);
            let report = outcome.report();
            assert_eq!(report.number("process.signal"), signal as u64, "{how}");
            let text = leak_tests::report::text(outcome.log(), &[]);
            assert!(text.contains(&format!("killed by {name}")), "{text}");
        }
    }
    // Without anybody who waited and wrote it down, nothing more is said than is known.
    let outcome = Run::program("endings").arg("kill").under_leak();
    assert_eq!(
        outcome.report().0["process"]["signal"],
        serde_json::Value::Null
    );
    let text = leak_tests::report::text(outcome.log(), &[]);
    assert!(text.contains("killed or still running"), "{text}");
}

#[test]
fn an_exit_that_the_recorder_could_not_see_is_known_by_leak_run() {
    let outcome = Run::program("endings").arg("syscall").by_leak_run(&[]);
    assert_eq!(outcome.report().number("process.exit_status"), 6);
}

#[test]
fn leak_run_prints_a_summary_on_stderr_only() {
    let outcome = some("40").by_leak_run(&[]);
    assert_eq!(outcome.stdout, "leaked 40\n");
    assert!(
        outcome.stderr.contains("40")
            || outcome.stderr.contains("1280")
            || outcome.stderr.contains("1.2"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.lines().count() >= 1);
    assert!(
        !outcome.stderr.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    assert_eq!(outcome.report().within("some_keep").blocks, 40);
}

#[test]
fn leak_run_names_the_log_as_asked() {
    let outcome = some("3").by_leak_run(&["-o", "mine.%p.leak"]);
    let name = outcome
        .log()
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert!(name.starts_with("mine.") && !name.contains('%'), "{name}");
}

#[test]
fn leak_run_passes_the_standard_input_on() {
    let outcome = Run::executable("/bin/cat")
        .input("through and through\n")
        .by_leak_run(&[]);
    assert_eq!(outcome.stdout, "through and through\n");
}

#[test]
fn leak_run_finds_a_program_on_the_path() {
    let run = Command::new(leak_tests::tools::leak())
        .args(["run", "-o", "/tmp/leak-test-true.%p.leak", "--", "true"])
        .env("LEAK_LIB", leak_tests::tools::library())
        .output()
        .expect("leak run");
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    for entry in std::fs::read_dir("/tmp").expect("/tmp").flatten() {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("leak-test-true.")
        {
            std::fs::remove_file(entry.path()).expect("removed");
        }
    }
}

#[test]
fn the_summary_is_about_this_run_alone() {
    let other = Run::program("leak_some").arg("3").checked();
    let log = std::fs::read(other.log()).expect("a log");
    let outcome = Run::executable("/bin/sh")
        .args([
            "-c",
            "cp saved other.1.leak; cp damaged other.2.leak; echo junk > junk.3.leak",
        ])
        .file("saved", log.clone())
        .file("damaged", &log[..log.len() - 100])
        .by_leak_run(&[]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/bin/sh -c"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("leak_some"), "{}", outcome.stderr);
    let said: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("leak: "))
        .collect();
    assert!(
        matches!(said[..], [line] if line.starts_with("leak: the whole report:") && !line.contains("other")),
        "{said:?}"
    );
}
