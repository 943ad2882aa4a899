//! Surroundings and habits that broke other profilers: closed descriptors, no /proc, lost
//! rights, filters, limits, full disks. The program must not notice; what the report then lacks,
//! it must say.

use leak_tests::report::Report;
use leak_tests::run::open_to_all;
use leak_tests::{Outcome, Program, Run, root_or_skip};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `plenty` keeps.
fn kept_by_plenty(count: u64) -> (u64, u64) {
    (count, (0..count).map(|i| 1 + i % 64).sum())
}

fn assert_plenty(report: &Report, count: u64) {
    let kept = report.within("plenty_keeps");
    assert_eq!((kept.blocks, kept.bytes), kept_by_plenty(count));
    assert_eq!(report.within("brief").allocations, 3 * count);
}

/// Either all of it is there, or the report says that it is not.
fn all_or_said(outcome: &Outcome, count: u64) {
    for report in outcome.logs.iter().filter_map(|log| Report::of_part(log)) {
        if report.is_complete() {
            assert_plenty(&report, count);
        }
    }
}

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

/// A shell line in a mount namespace of its own, with `$RUN` set to preload libleak.
fn in_namespace(line: &str, arguments: &[&Path], folder: &Path) -> std::process::Output {
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-ec",
            line,
            "sh",
        ])
        .args(arguments)
        .env("LIBLEAK", leak_tests::tools::library())
        .current_dir(folder)
        .output()
        .expect("unshare of util-linux")
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
    let (program, library) = readable_copies();
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

#[test]
fn a_child_without_the_rights_to_its_log_s_place_writes_elsewhere_or_is_counted() {
    if !root_or_skip("another user") {
        return;
    }
    let closed = tempfile::tempdir().expect("a directory");
    let elsewhere = tempfile::tempdir().expect("a directory");
    open_to_all(elsewhere.path());
    let run = |how: &str| {
        Run::program("child_without_rights")
            .arg(how)
            .inside(closed.path())
            .env("LEAK_LOG", closed.path().join("%p.leak"))
            .env("TMPDIR", elsewhere.path())
            .under_leak()
    };
    // One child is written elsewhere, the other nowhere.
    let outcome = run("both");
    assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(0), "over\n"));
    let of = |folder: &Path| leak_tests::run::logs_in(folder);
    let (parents, children) = (of(closed.path()), of(elsewhere.path()));
    assert_eq!((parents.len(), children.len()), (1, 1));
    let child = Report::of(&children[0]);
    assert_eq!((child.within("child_keeps").blocks, child.within("child_keeps").bytes), (4, 224));
    let parent = Report::of(&parents[0]);
    assert_eq!(parent.within("parent_keeps").blocks, 3);
    assert_eq!(parent.number("loss.children_without_log"), 1);
    assert!(parent.0["loss"]["notes"].to_string().contains("a fork child could make no log"));
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
fn readable_copies() -> (PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory").keep();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("rights");
    let copy = |from: &Path| {
        let to = folder.join(from.file_name().expect("a name"));
        std::fs::copy(from, &to).expect("a copy");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).expect("rights");
        to
    };
    (
        copy(&Program::new("plenty").build()),
        copy(leak_tests::tools::library()),
    )
}

#[test]
fn a_log_that_cannot_be_made_does_not_disturb_the_program() {
    for pattern in [
        "/proc/leak.log",
        "/sys/leak.log",
        "/no/such/directory/log",
        "/dev/full",
        "/",
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

#[test]
fn a_32_bit_child_of_a_traced_program_runs() {
    let child = match Program::new("tiny32").try_build() {
        Ok(child) => child,
        Err(problem) => {
            return eprintln!(
                "skipped: no 32-bit programs here: {}",
                problem.lines().next().unwrap_or("")
            );
        }
    };
    if Run::executable(&child).plain().status.code() != Some(32) {
        return eprintln!("skipped: the kernel runs no 32-bit programs");
    }
    for how in ["fork", "spawn"] {
        let outcome = Run::program("starts_children")
            .args([how, "2"])
            .arg(&child)
            .undisturbed();
        assert_eq!(outcome.stdout.matches("32 bits").count(), 2);
        assert_eq!(outcome.report_of_first().within("starter_keeps").blocks, 10);
    }
}

#[test]
fn a_set_user_id_child_of_a_traced_program_runs() {
    if !root_or_skip("a set-user-id program of another owner") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
        .expect("rights");
    let child = folder.path().join("sets_id");
    std::fs::copy(Program::new("leak_some").build(), &child).expect("a copy");
    std::os::unix::fs::chown(&child, Some(65534), Some(65534)).expect("chown");
    std::fs::set_permissions(&child, std::fs::Permissions::from_mode(0o4755)).expect("rights");
    let outcome = Run::program("starts_children")
        .args(["spawn", "2"])
        .arg(&child)
        .arg("3")
        .checked();
    assert_eq!(outcome.stdout.matches("leaked 3").count(), 2);
    assert_eq!(
        outcome.logs.len(),
        1,
        "the loader drops the preloading there"
    );
}

#[test]
fn a_static_child_of_a_traced_program_runs() {
    for flags in [["-static", "-no-pie"], ["-static-pie", "-fPIE"]] {
        let child = Program::new("leak_some").flags(flags).build();
        let outcome = Run::program("starts_children")
            .args(["spawn", "2"])
            .arg(&child)
            .arg("3")
            .checked();
        assert_eq!(outcome.logs.len(), 1, "{flags:?}");
        assert_eq!(outcome.report().within("starter_keeps").blocks, 10);
    }
}

#[test]
fn a_program_with_its_own_malloc_runs_and_the_report_says_what_it_cannot_see() {
    let outcome = Run::program("own_malloc").arg("1000").undisturbed();
    for log in &outcome.logs {
        let run = Command::new(leak_tests::tools::leak())
            .arg("report")
            .arg(log)
            .output()
            .expect("leak report");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(text.contains("own_malloc"), "{text}");
        let unseen = &Report::of(log).0["loss"]["unseen_allocators"];
        assert!(
            unseen.to_string().contains("own_malloc"),
            "the program is named: {unseen}"
        );
    }
    assert_eq!(outcome.logs.len(), 1, "an empty report needs its reason");
}

#[test]
fn a_library_bound_past_the_hooks_works_and_the_report_says_so() {
    let run = Run::program("deep_bind").arg(Program::new("plugin_a").build());
    let outcome = run.undisturbed();
    assert_eq!(outcome.report().within("bound_keeps").blocks, 20);
    let text = Command::new(leak_tests::tools::leak())
        .arg("report")
        .arg(outcome.log())
        .output()
        .expect("leak report");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("plugin_a"),
        "the library whose calls are not seen is named: {text}"
    );
}

#[test]
fn a_library_in_a_namespace_of_its_own_works() {
    let run = Run::program("uses_library")
        .arg(Program::new("plugin_a").build())
        .arg("namespace");
    let report = run.checked().report();
    assert_eq!(report.within("bound_keeps").blocks, 20);
}

#[test]
fn a_program_with_damaged_section_headers_is_recorded() {
    let original = std::fs::read(Program::new("plenty").build()).expect("the program");
    let word = |at: usize| {
        original[at..at + 8]
            .iter()
            .rev()
            .fold(0usize, |sum, &b| sum << 8 | usize::from(b))
    };
    let headers = word(0x28); // e_shoff
    let mut wild_table = original.clone();
    wild_table[headers..].fill(0xff);
    let mut wild_offset = original.clone();
    wild_offset[0x28..0x30].fill(0xfe);
    let mut wild_count = original.clone();
    wild_count[0x3c..0x40].fill(0xff);
    for (name, bytes) in [
        ("table", wild_table),
        ("offset", wild_offset),
        ("count", wild_count),
    ] {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("damaged");
        std::fs::write(&path, bytes).expect("the program");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("rights");
        let report = Run::executable(&path).arg("20000").checked().report();
        let totals = report.totals();
        assert!(
            totals.live_blocks >= 20_000 && totals.allocations >= 80_000,
            "{name}: {totals:?}"
        );
        assert!(
            report.sites()[0]["frames"]
                .as_array()
                .is_some_and(|frames| frames.len() > 2),
            "{name}"
        );
    }
}

#[test]
fn a_program_that_drops_the_preload_for_its_children_is_obeyed() {
    let child = Program::new("leak_some").build();
    let line = format!("unset LD_PRELOAD; {} 3", child.display());
    let outcome = Run::executable("/bin/sh").args(["-c", &line]).undisturbed();
    let named = |report: &Report| {
        report.0["process"]["exe"]
            .as_str()
            .is_some_and(|exe| exe.ends_with("leak_some"))
    };
    assert!(!outcome.reports().iter().any(named));
}
