//! Where the process's memory was: the split of its resident bytes.

use leak_tests::report::Report;
use leak_tests::{Program, Run};
use serde_json::Value;
use std::process::Command;

/// Of `memory MODE`.
fn split(run: &Run) -> Value {
    let outcome = run.checked();
    let report = outcome.report();
    let memory = &report.0["process"]["memory"];
    let split = memory["split"].clone();
    let figure = |name: &str| {
        split[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {memory}"))
    };
    let parts = [
        "live", "overhead", "pinned", "kept", "mapped", "stacks", "files", "shared", "recorder",
        "other",
    ];
    let sum: u64 = parts.map(figure).iter().sum();
    assert_eq!(sum, figure("rss"), "{memory}");
    assert_eq!(split["at_end"], true, "{memory}");
    assert!(
        memory["rss_first"].as_u64() < memory["rss_last"].as_u64(),
        "{memory}"
    );
    split
}

fn of(mode: &str) -> Value {
    split(&Run::program("memory").arg(mode))
}

/// Within a tenth of so many MB.
fn is_about(split: &Value, part: &str, mb: u64) {
    let bytes = split[part].as_u64().expect("a figure");
    let expected = mb * 1_000_000;
    assert!(
        bytes.abs_diff(expected) <= expected / 10,
        "{part} is {bytes}, not about {expected}: {split}"
    );
}

#[test]
fn small_blocks_that_keep_empty_pages_are_named() {
    let split = of("pinned");
    is_about(&split, "pinned", 80);
    assert!(split["live"].as_u64() < Some(2_000_000), "{split}");
    let culprit = &split["pinning"][0];
    assert!(
        culprit["site"].as_str().expect("a name").contains("anchor"),
        "{split}"
    );
    assert_eq!(culprit["blocks"], 20000, "{split}");
}

#[test]
fn memory_that_is_freed_and_not_given_back_is_the_allocators() {
    let split = of("kept");
    is_about(&split, "kept", 80);
    assert!(split["pinned"].as_u64() < Some(1_000_000), "{split}");
    assert_eq!(
        split["pinning"].as_array().map(Vec::len),
        Some(0),
        "{split}"
    );
}

#[test]
fn blocks_that_are_left_are_live_and_pin_nothing() {
    let split = of("held");
    is_about(&split, "live", 80);
    assert!(split["pinned"].as_u64() < Some(1_000_000), "{split}");
}

#[test]
fn the_allocators_own_account_stands_beside_it() {
    let report = Run::program("memory").arg("kept").checked().report();
    let account = &report.0["process"]["memory"]["allocator"];
    let figure = |name: &str| account[name].as_u64().expect("a figure");
    assert_eq!(figure("used") + figure("free"), figure("arenas"));
    assert!(figure("free") > 70_000_000, "{account}");
}

#[test]
fn an_allocator_that_does_not_give_its_account_costs_nothing_else() {
    for how in ["never", "crash"] {
        let outcome = Run::program("memory")
            .arg("held")
            .env("ACCOUNT", how)
            .behind(Program::new("stuck_account").build())
            .undisturbed();
        let report = Report::of(outcome.log());
        let memory = &report.0["process"]["memory"];
        assert!(memory["allocator"].is_null(), "{memory}");
        assert!(memory["split"]["live"].as_u64() > Some(70_000_000));
    }
}

#[test]
fn mappings_of_the_program_and_of_files_are_told_apart() {
    let split = of("mapped");
    is_about(&split, "mapped", 60);
    is_about(&split, "files", 32);
}

#[test]
fn stacks_of_threads_are_stacks() {
    is_about(&of("stacks"), "stacks", 17);
}

#[test]
fn other_allocators_keep_what_is_freed_too() {
    for names in [
        &["libjemalloc.so.2"][..],
        &["libmimalloc.so.2", "libmimalloc.so.2.0"],
        &["libtcmalloc.so.4"],
    ] {
        if let Some(library) = leak_tests::library_or_skip(names) {
            let split = split(&Run::program("memory").arg("kept").behind(library));
            is_about(&split, "kept", 84);
        }
    }
}

#[test]
fn the_report_begins_with_a_sentence_on_the_memory() {
    let outcome = Run::program("memory").arg("pinned").checked();
    let run = Command::new(leak_tests::tools::leak())
        .arg("report")
        .arg(outcome.log())
        .output()
        .expect("leak report");
    let text = String::from_utf8_lossy(&run.stdout);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("memory"));
    let first = lines.next().unwrap_or_else(|| panic!("{text}"));
    // What it is too long for goes on below, as far as that is indented.
    let more = lines.take_while(|line| line.starts_with(' '));
    let line = more.fold(first.to_owned(), |all, line| all + " " + line.trim_start());
    for line in text.lines().filter(|line| line.starts_with("memory")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(line.contains("RSS grew by"), "{line}");
    assert!(
        line.contains("freed but pinned by 20,000 small blocks of anchor (memory.c:"),
        "{line}"
    );
}

#[test]
fn a_program_without_proc_is_recorded_all_the_same() {
    if !leak_tests::root_or_skip("a mount namespace") {
        return;
    }
    let run = Run::program("memory").arg("held").before_exec(|| {
        // SAFETY: system calls on constant strings, between fork and exec.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let none = std::ptr::null();
            libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_PRIVATE,
                none.cast(),
            );
            libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH);
        }
        Ok(())
    });
    let outcome = run.under_leak();
    let report = Report::of(outcome.log());
    report.assert_lossless();
    assert_eq!(report.0["process"]["memory"], Value::Null);
}
