//! Where a log lies, who may read it, and the environment's other switches.

use leak_tests::Run;
use leak_tests::bytes::contains as bytes_contain;
use std::os::unix::fs::PermissionsExt;

fn some(count: &str) -> Run {
    Run::program("leak_some").arg(count)
}

#[test]
fn the_log_lies_in_the_current_directory_under_program_and_pid() {
    let outcome = some("3").checked();
    let name = outcome
        .log()
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert_eq!(name, format!("leak_some.{}.leak", outcome.pid));
    assert_eq!(outcome.log().parent(), Some(outcome.folder.path()));
}

#[test]
fn leak_log_is_a_pattern_of_pid_and_program() {
    for (pattern, name) in [
        ("%e-%p-x.leak", "leak_some-PID-x.leak"),
        ("fixed.leak", "fixed.leak"),
        ("./%p.leak", "PID.leak"),
    ] {
        let outcome = some("3").env("LEAK_LOG", pattern).checked();
        let expected = name.replace("PID", &outcome.pid.to_string());
        assert!(
            outcome.folder.path().join(&expected).is_file(),
            "{pattern}: {:?}",
            outcome.logs
        );
    }
}

#[test]
fn a_log_may_lie_at_an_absolute_path() {
    let folder = tempfile::tempdir().expect("a directory");
    let pattern = folder.path().join("%e.%p.leak");
    let outcome = some("3").env("LEAK_LOG", &pattern).undisturbed();
    assert!(outcome.logs.is_empty());
    assert_eq!(leak_tests::run::logs_in(folder.path()).len(), 1);
}

#[test]
fn a_directory_as_leak_log_means_the_default_names_in_it() {
    for (given, made_before) in [
        ("logs/", true),
        ("logs", true),
        ("logs/", false),
        ("%e.d/", false),
    ] {
        let run = some("3");
        let folder = tempfile::tempdir().expect("a directory");
        let expected = folder.path().join(given.replace("%e", "leak_some"));
        if made_before {
            std::fs::create_dir(&expected).expect("made");
        }
        let outcome = run.env("LEAK_LOG", folder.path().join(given)).undisturbed();
        let logs = leak_tests::run::logs_in(&expected);
        let names: Vec<_> = logs.iter().filter_map(|log| log.file_name()).collect();
        assert_eq!(
            names,
            [format!("leak_some.{}.leak", outcome.pid).as_str()],
            "{given}"
        );
    }
    // Relative to the program's directory, and by leak run.
    let outcome = some("3").env("LEAK_LOG", "here/").under_leak();
    assert_eq!(
        leak_tests::run::logs_in(&outcome.folder.path().join("here")).len(),
        1
    );
    let outcome = some("3").env("LEAK_LOG", "there/").by_leak_run(&["-q"]);
    assert_eq!(
        leak_tests::run::logs_in(&outcome.folder.path().join("there")).len(),
        1
    );
}

#[test]
fn a_device_as_leak_log_means_no_log() {
    let run = some("3").env("LEAK_LOG", "/dev/null");
    run.undisturbed();
    let beside = std::fs::read_dir("/dev").expect("a directory").flatten();
    let left = beside.filter(|entry| entry.file_name().to_string_lossy().starts_with("null."));
    assert_eq!(left.count(), 0);
}

#[test]
fn only_the_owner_may_read_a_log() {
    let run = some("3").before_exec(|| {
        // SAFETY: umask cannot fail and touches no memory.
        unsafe { libc::umask(0) };
        Ok(())
    });
    let mode = std::fs::metadata(run.checked().log())
        .expect("the log")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn the_environment_is_never_in_the_log() {
    let outcome = Run::program("plenty")
        .arg("20000")
        .env("SECRET", "xyzzy-7f3a-secret")
        .env("TOKEN_OF_MINE", "plugh-secret-too")
        .checked();
    let log = std::fs::read(outcome.log()).expect("the log");
    let report = outcome.report().0.to_string();
    for word in ["xyzzy-7f3a-secret", "plugh-secret-too", "TOKEN_OF_MINE"] {
        assert!(
            !bytes_contain(&log, word.as_bytes()),
            "{word} is in the log"
        );
        assert!(!report.contains(word), "{word} is in the report");
    }
}

#[test]
fn leak_disable_writes_nothing() {
    let outcome = Run::program("plenty")
        .arg("20000")
        .env("LEAK_DISABLE", "1")
        .undisturbed();
    assert!(outcome.logs.is_empty(), "{:?}", outcome.logs);
    assert_eq!(
        std::fs::read_dir(outcome.folder.path())
            .expect("the directory")
            .count(),
        0
    );
}

#[test]
fn leak_verbose_prints_one_line_at_the_start_and_one_at_the_end() {
    let outcome = some("3").env("LEAK_VERBOSE", "1").under_leak();
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("leak")), "{lines:?}");
    assert_eq!(outcome.stdout, "leaked 3\n");
}
