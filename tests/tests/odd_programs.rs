//! Programs that hooks reach in part or not at all, and children that cannot be preloaded. They
//! must run as ever; what the report then lacks, it must say.

use leak_tests::report::Report;
use leak_tests::{Program, Run, root_or_skip};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

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
