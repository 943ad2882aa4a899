//! Names and lines of frames: from every kind of debug information, from none, and never from
//! another build.

use leak_tests::bytes::Random;
use leak_tests::report::{Report, contains, functions, text};
use leak_tests::{Program, Run, compile};
use std::path::Path;
use std::process::Command;

fn some(count: &str) -> Run {
    Run::program("leak_some").arg(count)
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
fn noise_in_a_modules_debug_information_does_not_spoil_the_names_of_others() {
    let folder = tempfile::tempdir().expect("a directory");
    let library = folder.path().join("library.so");
    std::fs::copy(Program::new("plugin_a").build(), &library).expect("a copy");
    let good = std::fs::read(&library).expect("the library");
    let outcome = Run::program("uses_library").arg(&library).checked();
    // Behind the loaded part, which has the build-id: debug sections, symbols, section headers.
    let begin = good
        .windows(4)
        .rposition(|bytes| bytes == b"GCC:")
        .expect("its .comment");
    let mut random = Random::new(11);
    for round in 0..40 {
        let mut bad = good.clone();
        for _ in 0..1 << (round % 10) {
            let at = begin + random.below((good.len() - begin) as u64) as usize;
            bad[at] = random.below(256) as u8;
        }
        if round % 4 == 3 {
            bad.truncate(begin + random.below((good.len() - begin) as u64) as usize);
        }
        std::fs::write(&library, bad).expect("damage");
        let report = outcome.report();
        assert_eq!(
            report.within_but("main", "dlopen").blocks,
            20 + 20,
            "round {round}"
        );
        assert_eq!(report.within("bound_keeps").blocks, 20, "round {round}");
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
