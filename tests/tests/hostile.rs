//! Surroundings and habits that broke other profilers: closed descriptors, changed directories,
//! lost rights, namespaces, filters, no /proc. The program must not notice; what the report then lacks,
//! it must say.

use leak_tests::plenty::{all_or_said, assert_plenty};
use leak_tests::report::Report;
use leak_tests::run::in_namespace;
use leak_tests::{Outcome, Program, Run, root_or_skip};

#[test]
fn a_program_that_closes_all_descriptors_is_recorded() {
    assert_plenty(
        &Run::program("plenty")
            .args(["200000", "close"])
            .checked()
            .report(),
        200_000,
    );
}

#[test]
fn files_opened_onto_freed_numbers_stay_intact() {
    let report = Run::program("low_files").arg("20000").checked().report();
    let kept = report.within("between_files");
    assert_eq!((kept.blocks, kept.bytes), (20_000, 480_000));
}

#[test]
fn a_program_without_stdio_gets_its_numbers() {
    let run = Run::program("closed_stdio").before_exec(|| {
        for number in 0..3 {
            // SAFETY: closing these numbers between fork and exec touches nothing of ours.
            unsafe { libc::close(number) };
        }
        Ok(())
    });
    let outcome = run.checked();
    assert_eq!(outcome.status.code(), Some(0));
    for number in 0..3 {
        assert_eq!(outcome.folder.read(&format!("stdio{number}")), "line\n");
    }
    assert_eq!(outcome.report().within("quiet_keep").blocks, 12);
}

#[test]
fn a_program_that_changes_its_directory_is_recorded() {
    assert_plenty(
        &Run::program("plenty")
            .args(["100000", "chdir"])
            .checked()
            .report(),
        100_000,
    );
}

#[test]
fn a_program_whose_directory_is_renamed_is_recorded_or_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("a directory");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a directory");
    let run = Run::program("plenty")
        .args(["200000", "rename"])
        .inside(&inner);
    let outcome = run.under_leak();
    assert_eq!(
        (outcome.status.code(), outcome.stdout.as_str()),
        (Some(0), "200000 kept\n")
    );
    let logs = leak_tests::run::logs_in(folder.path());
    assert_eq!(logs.len(), 1, "{logs:?}");
    all_or_said(&Outcome { logs, ..outcome }, 200_000);
}

#[test]
fn a_program_that_clears_its_environment_is_recorded() {
    assert_plenty(
        &Run::program("plenty")
            .args(["100000", "environment"])
            .checked()
            .report(),
        100_000,
    );
}

#[test]
fn a_program_with_an_odd_umask_is_recorded() {
    assert_plenty(
        &Run::program("plenty")
            .args(["100000", "umask"])
            .checked()
            .report(),
        100_000,
    );
}

#[test]
fn a_threaded_program_may_drop_its_rights() {
    if !root_or_skip("setresuid") {
        return;
    }
    let outcome = Run::program("drops_rights").undisturbed();
    assert_eq!(outcome.stdout, "65534 65534 65534 65534 65534\n");
    let report = outcome.report();
    assert_eq!(report.within("privileged_keeps").blocks, 100);
    assert_eq!(report.number("loss.events_lost"), 0);
    assert_eq!(report.within("unprivileged_keeps").blocks, 50_000);
}

#[test]
fn a_program_of_one_thread_may_leave_its_user_namespace() {
    let report = Run::program("changes_world").arg("user").checked().report();
    assert_eq!(report.within("world_keeps").blocks, 50_000);
}

#[test]
fn a_program_of_one_thread_may_change_namespaces_and_ids() {
    if !root_or_skip("unshare") {
        return;
    }
    for how in ["mount", "ids", "dumpable"] {
        let report = Run::program("changes_world").arg(how).checked().report();
        assert_eq!(report.within("world_keeps").blocks, 50_000, "{how}");
    }
    let outcome = Run::program("changes_world").arg("pid").checked();
    assert_eq!(
        outcome.report_of_first().within("world_keeps").blocks,
        50_000
    );
    let others = outcome.reports_of_others();
    assert_eq!(others.len(), 1);
    assert_eq!(
        others[0].within("first_keeps").blocks,
        4,
        "process 1 of its namespace"
    );
}

#[test]
fn a_program_that_changes_its_root_is_recorded_or_says_what_is_missing() {
    if !root_or_skip("chroot") {
        return;
    }
    let outcome = Run::program("changes_world").arg("root").undisturbed();
    let report = Report::of_part(outcome.log()).expect("a report of what was before");
    if report.is_complete() {
        assert_eq!(report.within("world_keeps").blocks, 50_000);
    }
}

#[test]
fn a_program_behind_a_system_call_filter_survives() {
    let outcome = Run::program("filtered").arg("200000").undisturbed();
    assert_eq!(outcome.status.code(), Some(0));
    let report = Report::of_part(outcome.log()).expect("a report of what was before");
    assert_eq!(report.within("free_keeps").blocks, 100);
    if report.is_complete() {
        assert_eq!(report.within("filtered_keeps").blocks, 200_000);
    }
}

#[test]
fn a_program_in_strict_seccomp_survives() {
    let outcome = Run::program("filtered")
        .args(["1000", "strict"])
        .undisturbed();
    assert_eq!(outcome.status.code(), Some(0));
    let report = Report::of_part(outcome.log()).expect("a report of what was before");
    assert_eq!(report.within("free_keeps").blocks, 100);
}

#[test]
fn a_program_without_proc_is_recorded() {
    if !root_or_skip("a mount namespace") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let program = Program::new("plenty").build();
    let run = in_namespace(
        "mount -t tmpfs none /proc; LD_PRELOAD=$LIBLEAK exec \"$1\" 100000",
        &[&program],
        folder.path(),
    );
    assert_eq!(
        (
            run.status.code(),
            run.stdout.as_slice(),
            run.stderr.as_slice()
        ),
        (Some(0), &b"100000 kept\n"[..], &b""[..])
    );
    let logs = leak_tests::run::logs_in(folder.path());
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert_plenty(&Report::of(&logs[0]), 100_000);
}
