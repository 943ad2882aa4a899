//! The command and its report: the environment's switches, names and rights of logs, `leak run`,
//! names and lines of frames, options of the report.

use leak_tests::bytes::contains as bytes_contain;
use leak_tests::report::{Report, contains, functions};
use leak_tests::{Program, Run, compile};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

fn some(count: &str) -> Run {
    Run::program("leak_some").arg(count)
}

/// The text report of a log.
fn text(log: &Path, options: &[&str]) -> String {
    let run = Command::new(leak_tests::tools::leak())
        .arg("report")
        .arg(log)
        .args(options)
        .output()
        .expect("leak report");
    assert!(
        run.status.success(),
        "{options:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8_lossy(&run.stdout).into_owned()
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

#[test]
fn the_process_is_described() {
    let outcome = some("3").checked();
    let report = outcome.report();
    assert_eq!(report.number("process.pid"), u64::from(outcome.pid));
    assert_eq!(report.argv().len(), 2);
    assert_eq!(report.argv()[1], "3");
    assert!(
        report.0["process"]["exe"]
            .as_str()
            .is_some_and(|exe| exe.ends_with("/leak_some"))
    );
    let nanoseconds = report.number("process.duration_ns");
    assert!(
        (1_000..60_000_000_000).contains(&nanoseconds),
        "{nanoseconds}"
    );
}

#[test]
fn every_field_of_the_schema_is_there() {
    let report = some("3").checked().report();
    for path in [
        "schema",
        "process.pid",
        "process.duration_ns",
        "totals.allocations",
        "totals.frees",
        "totals.reallocations",
        "totals.allocated_bytes",
        "totals.live_blocks",
        "totals.live_bytes",
        "totals.peak_bytes",
        "totals.temporary",
        "loss.events_lost",
        "loss.unwinds_truncated",
        "loss.unmatched_frees",
        "loss.selfcheck.checked",
        "loss.selfcheck.disagreed",
    ] {
        report.number(path);
    }
    let site = report.sites_within("some_keep").next().expect("the site");
    for key in [
        "blocks",
        "bytes",
        "allocations",
        "allocated_bytes",
        "peak_bytes",
        "temporary",
    ] {
        assert!(site[key].is_u64(), "{key}: {site}");
    }
    let frames = site["frames"].as_array().expect("frames");
    let frame = frames
        .iter()
        .find(|frame| frame["function"] == "some_keep")
        .expect("the frame");
    for key in ["address", "module", "function", "file", "line", "inlined"] {
        assert!(!frame[key].is_null(), "{key}: {frame}");
    }
    assert!(
        frame["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("leak_some.c")),
        "{frame}"
    );
    assert!(
        frame["module"]
            .as_str()
            .is_some_and(|module| module.ends_with("leak_some")),
        "{frame}"
    );
}

#[test]
fn lines_are_those_of_the_calls() {
    let report = some("3").checked().report();
    let source =
        std::fs::read_to_string(compile::sources().join("leak_some.c")).expect("the source");
    let line_of = |part: &str| {
        1 + source
            .lines()
            .position(|line| line.contains(part))
            .expect("the line") as u64
    };
    let site = report.sites_within("some_keep").next().expect("the site");
    let line = |function: &str| {
        site["frames"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|frame| frame["function"] == function)
            .and_then(|f| f["line"].as_u64())
    };
    assert_eq!(
        line("some_keep"),
        Some(line_of("FRAME static void some_keep"))
    );
    assert_eq!(line("main"), Some(line_of("some_keep(count);")));
}

#[test]
fn frames_of_libleak_and_the_allocator_are_hidden() {
    let outcome = some("3").checked();
    let report = outcome.report();
    for site in report.sites() {
        assert!(!site["frames"].to_string().contains("libleak"), "{site}");
    }
    let site = report.sites_within("some_keep").next().expect("the site");
    assert_eq!(functions(site).first().copied(), Some("keep"));
    assert!(!text(outcome.log(), &[]).contains("libleak.so"));
}

#[test]
fn inlined_frames_are_shown_with_names_lines_and_source() {
    let outcome = Run::program("inlines").checked();
    let report = outcome.report();
    let source =
        std::fs::read_to_string(compile::sources().join("inlines.cc")).expect("the source");
    let line = 1 + source
        .lines()
        .position(|line| line.contains("THE LEAKING LINE"))
        .expect("the line");
    let site = report.sites_within("fill").next().expect("the site");
    assert_eq!(
        (site["blocks"].as_u64(), site["bytes"].as_u64()),
        (Some(17), Some(17_000))
    );
    let frames = site["frames"].as_array().expect("frames");
    let put = frames.iter().position(|frame| {
        frame["function"]
            .as_str()
            .is_some_and(|f| f.contains("put"))
    });
    let put = put.unwrap_or_else(|| panic!("no inlined frame in {:?}", functions(site)));
    assert_eq!(frames[put]["inlined"], true, "{site}");
    assert_eq!(frames[put]["line"].as_u64(), Some(line as u64));
    assert!(
        frames[put]["function"]
            .as_str()
            .is_some_and(|f| f.contains("Shelf<int>::put")),
        "{site}"
    );
    assert_eq!(frames[put + 1]["inlined"], false, "{site}");
    assert_eq!(
        frames[put + 1]["function"].as_str(),
        Some("store::fill(int)")
    );
    let text = text(outcome.log(), &[]);
    for part in [
        "store::fill(int)",
        "Shelf<int>::put",
        &format!("inlines.cc:{line}"),
        "THE LEAKING LINE",
        "Shelf<char>::lose",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn names_of_rust_are_demangled() {
    let outcome = Run::program("boxes").checked();
    let report = outcome.report();
    let names: Vec<&str> = report
        .sites_within("forget_boxes")
        .flat_map(functions)
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.contains("keeper::Shelf") && name.contains("forget_boxes")),
        "{names:?}"
    );
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("_ZN") || name.starts_with("_R")),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.contains("::h")
            && name.len() > 19
            && name[name.len() - 16..]
                .bytes()
                .all(|b| b.is_ascii_hexdigit())),
        "{names:?}"
    );
}

#[test]
fn debug_information_of_every_kind_is_read() {
    let kinds: &[(&str, &[&str])] = &[
        ("dwarf 4", &["-gdwarf-4"]),
        ("dwarf 5", &["-gdwarf-5"]),
        ("compressed", &["-gz=zlib"]),
        ("position dependent", &["-no-pie"]),
        ("split", &["-gsplit-dwarf"]),
        ("split 4", &["-gsplit-dwarf", "-gdwarf-4"]),
    ];
    for (kind, flags) in kinds {
        let program = Program::new("inlines").flags(flags.iter().copied()).build();
        assert_inlines(&Run::executable(program).checked().report(), kind);
    }
}

fn assert_inlines(report: &Report, kind: &str) {
    let sums = report.within_all(&["put", "fill", "main"]);
    assert_eq!(
        (sums.sites, sums.blocks, sums.bytes),
        (1, 17, 17_000),
        "{kind}"
    );
    let site = report.sites_within("put").next().expect("the site");
    assert!(
        site["frames"].to_string().contains("inlines.cc"),
        "{kind}: no file in {site}"
    );
}

fn tool(name: &str, arguments: &[&str], folder: &Path) {
    let run = Command::new(name)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(
        run.status.success(),
        "{name} {arguments:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn separate_debug_files_are_found() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = folder.path().join("program");
    std::fs::copy(
        Program::new("inlines")
            .flags(["-Wl,--build-id=sha1"])
            .build(),
        &program,
    )
    .expect("a copy");
    tool(
        "objcopy",
        &["--only-keep-debug", "program", "program.debug"],
        folder.path(),
    );
    tool(
        "objcopy",
        &[
            "--strip-all",
            "--add-gnu-debuglink=program.debug",
            "program",
        ],
        folder.path(),
    );
    let outcome = Run::executable(&program).checked();
    assert_inlines(&outcome.report(), "beside, by debuglink");

    let sub = folder.path().join(".debug");
    std::fs::create_dir(&sub).expect("a directory");
    std::fs::rename(
        folder.path().join("program.debug"),
        sub.join("program.debug"),
    )
    .expect("rename");
    assert_inlines(&outcome.report(), ".debug, by debuglink");

    // By build-id below --debug-dir.
    let notes = Command::new("readelf")
        .args(["-n"])
        .arg(&program)
        .output()
        .expect("readelf");
    let notes = String::from_utf8_lossy(&notes.stdout).into_owned();
    let id = notes
        .split("Build ID: ")
        .nth(1)
        .expect("a build-id")
        .split_whitespace()
        .next()
        .expect("a build-id");
    let elsewhere = folder.path().join("elsewhere");
    let place = elsewhere.join(".build-id").join(&id[..2]);
    std::fs::create_dir_all(&place).expect("a directory");
    std::fs::rename(
        sub.join("program.debug"),
        place.join(format!("{}.debug", &id[2..])),
    )
    .expect("rename");
    let report = Report::with_options(
        outcome.log(),
        &["--debug-dir", &elsewhere.to_string_lossy()],
    );
    assert_inlines(&report, "--debug-dir, by build-id");

    // Not found at all: no names, but a report.
    let report = outcome.report();
    assert_eq!(report.within("fill").blocks, 0);
    let leaking = report
        .sites()
        .iter()
        .find(|site| site["bytes"].as_u64() == Some(17_000))
        .expect("the site without names");
    assert!(
        leaking["frames"].to_string().contains("program"),
        "the module is named: {leaking}"
    );
}

#[test]
fn supplementary_files_of_dwz_are_read() {
    if leak_tests::command_or_skip("dwz").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    for (name, flags) in [("one", ["-gdwarf-4", "-O1"]), ("two", ["-gdwarf-4", "-O2"])] {
        std::fs::copy(
            Program::new("inlines").flags(flags).build(),
            folder.path().join(name),
        )
        .expect("a copy");
    }
    tool("dwz", &["-m", "common.dwz", "one", "two"], folder.path());
    assert!(folder.path().join("common.dwz").is_file());
    for name in ["one", "two"] {
        assert_inlines(
            &Run::executable(folder.path().join(name)).checked().report(),
            name,
        );
    }
}

#[test]
fn a_program_without_debug_information_has_the_names_of_its_symbols() {
    let program = Program::new("leak_some").flags(["-g0"]).build();
    assert_eq!(
        Run::executable(program)
            .arg("5")
            .checked()
            .report()
            .within("some_keep")
            .blocks,
        5
    );
    let program = Program::new("leak_some").flags(["-g0", "-s"]).build();
    let report = Run::executable(program).arg("5").checked().report();
    assert!(
        report
            .sites()
            .iter()
            .any(|site| site["blocks"].as_u64() == Some(5))
    );
}

#[test]
fn a_log_is_read_where_the_program_is_no_longer() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = folder.path().join("gone");
    std::fs::copy(Program::new("leak_some").build(), &program).expect("a copy");
    let outcome = Run::executable(&program).arg("5").checked();
    assert_eq!(outcome.report().within("some_keep").blocks, 5);
    std::fs::remove_file(&program).expect("removed");
    let report = outcome.report();
    let site = report
        .sites()
        .iter()
        .find(|site| site["bytes"].as_u64() == Some(160))
        .expect("the site without names");
    assert!(
        site["frames"].to_string().contains("gone"),
        "the module is named: {site}"
    );
}

#[test]
fn names_never_come_from_another_build_of_the_program() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = folder.path().join("program");
    std::fs::copy(
        Program::new("leak_some")
            .flags(["-Wl,--build-id=sha1"])
            .build(),
        &program,
    )
    .expect("a copy");
    let outcome = Run::executable(&program).arg("5").checked();
    std::fs::remove_file(&program).expect("removed");
    std::fs::copy(
        Program::new("frames")
            .flags(["-Wl,--build-id=sha1"])
            .build(),
        &program,
    )
    .expect("a copy");
    let report = outcome.report();
    let site = report
        .sites()
        .iter()
        .find(|site| site["bytes"].as_u64() == Some(160))
        .expect("the site");
    for name in [
        "of_alloca",
        "of_array",
        "of_aligned",
        "of_all",
        "main",
        "keep",
    ] {
        assert!(
            !contains(site, name),
            "{name} is a name of the other program: {site}"
        );
    }
}

#[test]
fn a_bad_module_does_not_spoil_the_names_of_others() {
    let folder = tempfile::tempdir().expect("a directory");
    let library = folder.path().join("library.so");
    std::fs::copy(Program::new("plugin_a").build(), &library).expect("a copy");
    let outcome = Run::program("uses_library").arg(&library).checked();
    std::fs::write(&library, b"\x7fELF\x02\x01\x01 no longer a library").expect("damage");
    let report = outcome.report();
    assert_eq!(report.within_but("main", "dlopen").blocks, 20 + 20);
    assert_eq!(report.within("bound_keeps").blocks, 20);
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
fn options_of_the_report_choose_and_order() {
    let outcome = Run::program("peak").arg("plain").checked();
    let log = outcome.log();
    assert_eq!(Report::with_options(log, &["--top", "1"]).sites().len(), 1);
    let large = Report::with_options(log, &["--min-bytes", "50000"]);
    assert!(
        large
            .sites()
            .iter()
            .all(|site| site["bytes"].as_u64() >= Some(50_000))
            && !large.sites().is_empty()
    );

    let at_peak = Report::with_options(log, &["--peak"]);
    assert!(
        contains(&at_peak.sites()[0], "crest"),
        "the largest at the peak comes first"
    );
    let temporary = Run::program("temporary").arg("500").checked();
    let by_temporary = Report::with_options(temporary.log(), &["--temporary"]);
    assert_eq!(by_temporary.sites()[0]["temporary"].as_u64(), Some(500));

    for way in ["function", "file", "module", "stack"] {
        let merged = Report::with_options(log, &["--merge", way]);
        assert_eq!(
            merged.everywhere().bytes,
            outcome.report().everywhere().bytes,
            "{way}"
        );
        assert!(
            merged.sites().len() <= outcome.report().sites().len(),
            "{way}"
        );
        assert!(!text(log, &["--merge", way]).is_empty());
    }
    assert!(
        Report::with_options(log, &["--merge", "module"])
            .sites()
            .len()
            <= 3
    );
}

#[test]
fn reports_of_several_logs_are_merged_by_site() {
    let folder = tempfile::tempdir().expect("a directory");
    for count in ["3", "5", "9"] {
        some(count)
            .env("LEAK_LOG", folder.path().join(format!("{count}.leak")))
            .undisturbed();
    }
    let merged = Report::of(folder.path());
    let sums = merged.within("some_keep");
    assert_eq!((sums.sites, sums.blocks, sums.bytes), (1, 17, 17 * 32));
    let run = Command::new(leak_tests::tools::leak())
        .arg("report")
        .args(["3.leak", "9.leak"])
        .args(["--format", "json"])
        .current_dir(folder.path())
        .output()
        .expect("leak report");
    let two = Report(serde_json::from_slice(&run.stdout).expect("JSON"));
    assert_eq!(two.within("some_keep").blocks, 12);
}

#[test]
fn a_report_says_what_a_reader_wants_first() {
    let outcome = Run::program("inlines").checked();
    let text = text(outcome.log(), &[]);
    assert!(
        !text.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    let head: String = text
        .lines()
        .take(12)
        .collect::<Vec<_>>()
        .join("\n")
        .to_lowercase();
    for word in ["inlines", "peak", "lost"] {
        assert!(head.contains(word), "{word:?} is not in the head: {head}");
    }
    let fill = text.find("store::fill").expect("the large site");
    let lose = text.find("lose").expect("the small site");
    assert!(fill < lose, "sorted by unfreed bytes");
}

#[test]
fn a_terminal_gets_colour() {
    if leak_tests::command_or_skip("script").is_none() {
        return;
    }
    let outcome = Run::program("inlines").checked();
    let line = format!(
        "{} report {}",
        leak_tests::tools::leak().display(),
        outcome.log().display()
    );
    let run = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .output()
        .expect("script of util-linux");
    assert!(
        String::from_utf8_lossy(&run.stdout).contains("\u{1b}["),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
}

#[test]
fn help_names_every_variable_of_the_environment() {
    let run = Command::new(leak_tests::tools::leak())
        .args(["run", "--help"])
        .output()
        .expect("leak run --help");
    assert!(run.status.success());
    let help = String::from_utf8_lossy(&run.stdout).into_owned();
    for name in [
        "LEAK_LOG",
        "LEAK_SELFCHECK",
        "LEAK_DISABLE",
        "LEAK_VERBOSE",
        "%p",
        "%e",
    ] {
        assert!(help.contains(name), "{name} is not in the help");
    }
}
