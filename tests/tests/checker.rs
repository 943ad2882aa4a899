//! What a program is told that asks LeakSanitizer's interface while it runs whether it leaks.

use leak_tests::Run;
use leak_tests::run::Outcome;
use serde_json::Value;

fn asks(mode: &str) -> Run {
    Run::program("asks_checker").arg(mode)
}

/// The questions in the report.
fn checks(outcome: &Outcome) -> Vec<Value> {
    let report = outcome.report();
    let checks = &report.0["process"]["checks"];
    checks.as_array().expect("checks").clone()
}

#[test]
fn a_program_that_asks_is_told_whether_it_leaks_at_that_moment() {
    let outcome = asks("states").under_leak();
    assert_eq!(
        outcome.stdout,
        "held 0\nignored 0\nsuppressed 0\ndisabled 0\nlost 1\n"
    );
    assert_eq!(
        (outcome.stderr.as_str(), outcome.status.code()),
        ("", Some(0))
    );
    let lost: Vec<_> = checks(&outcome)
        .iter()
        .map(|check| {
            let of = |name: &str| check[name].as_u64();
            (of("lost_blocks"), of("lost_bytes"), of("set_aside_blocks"))
        })
        .collect();
    let none = |aside| (Some(0), Some(0), Some(aside));
    assert_eq!(
        lost,
        [
            none(0),
            none(1),
            none(2),
            none(4),
            (Some(2), Some(88), Some(4))
        ]
    );
}

#[test]
fn a_leaking_program_ends_at_its_leak_check_with_the_exit_code_of_the_sanitizer() {
    let outcome = asks("ends").under_leak();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.status.code()),
        ("", Some(23))
    );
    let log = outcome.log().to_string_lossy().into_owned();
    assert_eq!(
        outcome.stderr,
        format!(
            "leak: __lsan_do_leak_check: 88 bytes lost in 2 blocks, exit status 23; see: leak report {log}\n"
        )
    );
    let report = outcome.report();
    assert_eq!(report.0["leaks"]["unreachable"]["bytes"], 64);
    assert_eq!(report.0["leaks"]["indirect"]["bytes"], 24);
    assert_eq!(report.0["process"]["exit_status"], 23);
}

#[test]
fn the_options_of_the_sanitizer_hold_while_the_program_runs() {
    let ends = |options: &str| {
        let run = asks("ends").env("LSAN_OPTIONS", options).under_leak();
        (run.status.code(), run.stdout)
    };
    assert_eq!(ends("verbosity=1:exitcode=7"), (Some(7), String::new()));
    assert_eq!(ends("exitcode=0"), (Some(0), "went on\n".to_owned()));
    assert_eq!(ends("detect_leaks=0"), (Some(0), "went on\n".to_owned()));
}

#[test]
fn a_file_of_suppressions_holds_while_the_program_runs() {
    for (line, status) in [
        ("leak:lose", 0),
        ("leak:^lo*e$", 0),
        ("leak:^ose", 23),
        ("leak:asks_checker", 0),
        ("leak:libc.so", 0),
        ("leak:nobody", 23),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.supp");
        std::fs::write(&path, format!("# known\n{line}\n")).expect("written");
        let options = format!("suppressions={}", path.display());
        let run = asks("ends").env("LSAN_OPTIONS", &options).under_leak();
        assert_eq!(run.status.code(), Some(status), "{line}");
    }
}

#[test]
fn names_of_cxx_functions_may_be_suppressed_by_their_plain_parts() {
    let answer = |mode: &str, pattern: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("own.supp");
        std::fs::write(&path, format!("leak:{pattern}\n")).expect("written");
        let options = format!("suppressions={}", path.display());
        let run = Run::program("asks_in_cxx").arg(mode);
        run.env("LSAN_OPTIONS", &options).under_leak().stdout
    };
    assert_eq!(answer("member", "shop::Till::lose"), "0\n");
    assert_eq!(answer("plain", "^shop::lose$"), "0\n");
    assert_eq!(answer("plain", "shop::Till"), "1\n");
}

#[test]
fn after_the_last_check_nothing_is_judged() {
    let outcome = asks("after").under_leak();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.status.code()),
        ("went on\n", Some(0))
    );
    let leaks = &outcome.report().0["leaks"];
    assert_eq!(leaks["unreachable"]["blocks"], 0, "{leaks}");
    // One made before and held then; two made later.
    assert_eq!(leaks["reachable"]["blocks"], 1, "{leaks}");
    assert_eq!(leaks["not_judged"]["blocks"], 2, "{leaks}");
    assert_eq!(checks(&outcome).len(), 1);
}

#[test]
fn a_root_region_holds_blocks_until_it_is_taken_back() {
    let end = |back: &str| {
        let report = asks("region").arg(back).under_leak().report();
        let sites = report.0["sites"].as_array().expect("sites").iter();
        let mut made = sites.filter(|site| site["frames"][0]["function"] == "in_region");
        let site = made.next().expect("its site");
        (site["class"].clone(), site["path"][0]["kind"].clone())
    };
    for back in ["0", "1"] {
        assert_eq!(end(back), ("reachable".into(), "declared".into()));
    }
    assert_eq!(end("2"), ("indirect".into(), "block".into()));
}

#[test]
fn several_threads_may_ask_at_once() {
    let outcome = asks("threads").under_leak();
    assert_eq!(outcome.stdout, "answers 9\n", "{}", outcome.stderr);
    assert!(
        checks(&outcome)
            .iter()
            .all(|check| check["lost_bytes"] == 88)
    );
}

#[test]
fn tables_of_ended_threads_are_no_leaks() {
    assert_eq!(asks("ended").under_leak().stdout, "ended 0\n");
}

#[test]
fn a_signal_handler_may_ask() {
    assert_eq!(asks("handler").under_leak().stdout, "handler 1\n");
}

#[test]
fn a_fork_child_is_told_of_its_own_leaks_only() {
    assert_eq!(asks("child").under_leak().stdout, "child 1\nparent 0\n");
}

#[test]
fn where_no_search_can_be_made_the_answer_is_no_and_the_report_says_why() {
    let filtered = asks("filtered").under_leak();
    assert_eq!(filtered.stdout, "filtered 0\n");
    let checks = checks(&filtered);
    assert!(checks[0]["lost_blocks"].is_null());
    assert_eq!(checks[0]["not_known"], "a system-call filter was in force");
    let off = asks("states").env("LEAK_REACH", "0").under_leak();
    assert!(off.stdout.ends_with("lost 0\n"), "{}", off.stdout);
}
