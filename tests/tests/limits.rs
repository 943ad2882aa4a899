//! No room: limits of files, descriptors and address space, full and read-only disks, directories
//! without rights. The program must not notice; what the report then lacks, it must say.

use leak_tests::plenty::{all_or_said, assert_plenty};
use leak_tests::report::Report;
use leak_tests::run::{in_namespace, open_to_all};
use leak_tests::{Program, Run, root_or_skip};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_program_that_may_open_no_more_files_is_undisturbed() {
    all_or_said(
        &Run::program("plenty")
            .args(["200000", "nofile"])
            .undisturbed(),
        200_000,
    );
}

#[test]
fn a_program_whose_files_may_not_grow_gets_no_signal() {
    let outcome = Run::program("plenty")
        .args(["200000", "fsize"])
        .undisturbed();
    assert_eq!(outcome.status.code(), Some(0));
    all_or_said(&outcome, 200_000);
}

#[test]
fn a_program_started_with_a_file_size_limit_gets_no_signal() {
    for limit in [0, 100, 5000, 300_000, 3_000_000] {
        let outcome = Run::program("plenty")
            .arg("100000")
            .limit(libc::RLIMIT_FSIZE, limit)
            .undisturbed();
        assert_eq!(outcome.status.code(), Some(0), "limit {limit}");
        for log in &outcome.logs {
            let run = Command::new(leak_tests::tools::leak())
                .arg("report")
                .arg(log)
                .output()
                .expect("leak report");
            assert!(
                matches!(run.status.code(), Some(0 | 2)),
                "limit {limit}: {run:?}"
            );
        }
    }
}

#[test]
fn leak_run_starts_nothing_where_no_log_may_be_so_large() {
    let run = Run::program("plenty").arg("10");
    let outcome = run.limit(libc::RLIMIT_FSIZE, 10_240).by_leak_run(&[]);
    let told = outcome.stderr.as_str();
    assert_eq!(outcome.status.code(), Some(2), "{told}");
    assert_eq!((told.lines().count(), outcome.stdout.as_str()), (1, ""));
    assert!(told.contains("10.0 KiB here (RLIMIT_FSIZE)"), "{told}");
    assert!(outcome.logs.is_empty());
}

#[test]
fn a_program_with_little_address_space_is_undisturbed() {
    for mebibytes in [24, 48, 96, 200] {
        let outcome = Run::program("plenty")
            .arg("50000")
            .limit(libc::RLIMIT_AS, mebibytes << 20)
            .undisturbed();
        assert_eq!(outcome.status.code(), Some(0), "{mebibytes} MiB");
        all_or_said(&outcome, 50_000);
    }
}

#[test]
fn a_program_with_512_mebibytes_of_address_space_is_recorded() {
    let outcome = Run::program("plenty")
        .arg("50000")
        .limit(libc::RLIMIT_AS, 512 << 20)
        .checked();
    assert_plenty(&outcome.report(), 50_000);
}

#[test]
fn a_program_with_few_descriptors_is_undisturbed() {
    let outcome = Run::program("plenty")
        .arg("100000")
        .limit(libc::RLIMIT_NOFILE, 4)
        .undisturbed();
    all_or_said(&outcome, 100_000);
}

#[test]
fn a_full_disk_does_not_disturb_the_program() {
    if !root_or_skip("a small file system") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(folder.path().join("small")).expect("a directory");
    std::fs::create_dir(folder.path().join("saved")).expect("a directory");
    let program = Program::new("plenty").build();
    for size in ["0k", "4k", "16k", "64k", "256k", "1m", "2m", "4m", "64m"] {
        let size_option = if size == "0k" { "4k" } else { size };
        let fill = if size == "0k" {
            "head -c 4096 /dev/zero > small/fill || true;"
        } else {
            ""
        };
        let line = format!(
            "mount -t tmpfs -o size={size_option} none small; {fill} cd small; \
             LD_PRELOAD=$LIBLEAK TMPDIR=$PWD \"$1\" 300000; cp *.leak ../saved/{size}.leak 2>/dev/null || true"
        );
        let run = in_namespace(&line, &[&program], folder.path());
        let words = String::from_utf8_lossy(&run.stderr);
        assert_eq!(
            (run.status.code(), run.stdout.as_slice()),
            (Some(0), &b"300000 kept\n"[..]),
            "{size}: {words}"
        );
        assert_eq!(words, "", "{size}");
        let log = folder.path().join(format!("saved/{size}.leak"));
        if log.exists() {
            let report = Report::of_part(&log);
            if let Some(report) =
                report.filter(|report| report.within("plenty_keeps").blocks < 300_000)
            {
                let loss = &report.0["loss"];
                assert!(
                    !report.is_complete(),
                    "{size}: blocks are missing, and nothing says so: {loss}"
                );
            }
        }
    }
    assert!(
        folder.path().join("saved/64m.leak").exists(),
        "where there is room, there is a log"
    );
    assert_plenty(&Report::of(&folder.path().join("saved/64m.leak")), 300_000);
}

#[test]
fn an_unwritable_directory_does_not_disturb_the_program() {
    if !root_or_skip("another user") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("rights");
    let (_copies, program, library) = readable_copies();
    let run = |temporary: &Path| {
        Command::new(&program)
            .arg("1000")
            .env("LD_PRELOAD", &library)
            .env("TMPDIR", temporary)
            .current_dir(folder.path())
            .uid_and_gid(65534)
            .output()
            .expect("the program")
    };
    let nowhere = run(Path::new("/no/such/directory"));
    assert_eq!(
        (
            nowhere.status.code(),
            nowhere.stdout.as_slice(),
            nowhere.stderr.as_slice()
        ),
        (Some(0), &b"1000 kept\n"[..], &b""[..])
    );
    assert!(leak_tests::run::logs_in(folder.path()).is_empty());

    let elsewhere = tempfile::tempdir().expect("a directory");
    open_to_all(elsewhere.path());
    let there = run(elsewhere.path());
    assert_eq!(there.status.code(), Some(0));
    let logs = leak_tests::run::logs_in(elsewhere.path());
    assert_eq!(
        logs.len(),
        1,
        "the log goes to TMPDIR where the directory is not writable"
    );
    assert_plenty(&Report::of(&logs[0]), 1000);
}

trait UidAndGid {
    fn uid_and_gid(&mut self, id: u32) -> &mut Self;
}

impl UidAndGid for Command {
    fn uid_and_gid(&mut self, id: u32) -> &mut Self {
        use std::os::unix::process::CommandExt;
        self.uid(id).gid(id)
    }
}

/// Copies that every user may read, of the program and of libleak.
fn readable_copies() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("rights");
    let copy = |from: &Path| {
        let to = folder.path().join(from.file_name().expect("a name"));
        std::fs::copy(from, &to).expect("a copy");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).expect("rights");
        to
    };
    let program = copy(&Program::new("plenty").build());
    let library = copy(leak_tests::tools::library());
    (folder, program, library)
}

#[test]
fn a_log_that_cannot_be_made_does_not_disturb_the_program() {
    for pattern in [
        "/proc/leak.log",
        "/sys/leak.log",
        "/no/such/directory/log",
        "/dev/full",
        "/dev/full/",
        "",
    ] {
        let outcome = Run::program("plenty")
            .arg("20000")
            .env("LEAK_LOG", pattern)
            .undisturbed();
        assert_eq!(outcome.status.code(), Some(0), "{pattern:?}");
    }
}

#[test]
fn a_log_never_overwrites_a_file_that_is_not_a_log() {
    let run = Run::program("plenty")
        .arg("1000")
        .file("precious", "do not lose me\n")
        .env("LEAK_LOG", "precious");
    let outcome = run.under_leak();
    assert_eq!(outcome.stdout, "1000 kept\n");
    assert_eq!(outcome.folder.read("precious"), "do not lose me\n");
}

#[test]
fn a_read_only_file_system_does_not_disturb_the_program() {
    if !root_or_skip("a mount namespace") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let program = Program::new("plenty").build();
    let run = in_namespace(
        "mount --bind . .; mount -o remount,bind,ro .; cd \"$PWD\"; unset TMPDIR; \
         LD_PRELOAD=$LIBLEAK TMPDIR=$PWD exec \"$1\" 10000",
        &[&program],
        folder.path(),
    );
    assert_eq!(
        (
            run.status.code(),
            run.stdout.as_slice(),
            run.stderr.as_slice()
        ),
        (Some(0), &b"10000 kept\n"[..], &b""[..])
    );
}
