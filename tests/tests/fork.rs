//! Processes that make processes: each has its own log, with its own leaks.

use leak_tests::report::Report;
use leak_tests::run::open_to_all;
use leak_tests::{Program, Run, root_or_skip};
use std::path::PathBuf;

fn some_child() -> PathBuf {
    Program::new("leak_some").build()
}

fn of_program<'a>(reports: &'a [Report], name: &'a str) -> impl Iterator<Item = &'a Report> {
    reports.iter().filter(move |report| {
        report.0["process"]["exe"]
            .as_str()
            .is_some_and(|exe| exe.rsplit('/').next() == Some(name))
    })
}

#[test]
fn a_child_s_leak_is_the_child_s_alone() {
    let outcome = Run::program("fork_child").checked();
    let parent = outcome.report_of_first();
    assert_eq!(parent.within("parent_keeps").blocks, 100);
    assert_eq!(parent.within("parent_keeps_later").blocks, 2);
    assert_eq!(parent.within("inherited").blocks, 0);
    assert_eq!(parent.within("child_keeps").allocations, 0);
    assert_eq!(parent.within("grandchild_keeps").allocations, 0);

    let others = outcome.reports_of_others();
    assert_eq!(
        others.len(),
        2,
        "the child that allocates nothing has no log: {:?}",
        outcome.logs
    );
    for (own, other, count, size) in [
        ("child_keeps", "grandchild_keeps", 7, 56),
        ("grandchild_keeps", "child_keeps", 3, 72),
    ] {
        let report = others.iter().find(|report| report.within(own).blocks > 0);
        let report = report.unwrap_or_else(|| panic!("no log with {own}"));
        assert_eq!(
            (report.within(own).blocks, report.within(own).bytes),
            (count, count * size)
        );
        for inherited in [other, "parent_keeps", "inherited"] {
            assert_eq!(
                report.within(inherited).blocks,
                0,
                "{inherited} in the log of {own}"
            );
        }
        assert_eq!(report.totals().live_blocks, count, "only its own blocks");
    }
}

#[test]
fn children_forked_from_a_storm_of_threads_end_and_are_recorded() {
    let outcome = Run::program("fork_storm").arg("40").seconds(120).checked();
    storm(&outcome.report_of_first(), &outcome.reports_of_others(), 40);
}

#[test]
fn children_forked_by_several_threads_at_once_end_and_are_recorded() {
    let outcome = Run::program("fork_storm")
        .args(["40", "threads"])
        .seconds(120)
        .checked();
    storm(&outcome.report_of_first(), &outcome.reports_of_others(), 40);
}

fn storm(parent: &Report, children: &[Report], count: usize) {
    assert_eq!(children.len(), count);
    for child in children {
        let kept = child.within("storm_child_keeps");
        assert_eq!((kept.blocks, kept.bytes), (3, 192));
        assert_eq!(
            child.within("churn").blocks,
            0,
            "what the other threads held is not the child's leak"
        );
    }
    assert_eq!(parent.within("storm_child_keeps").allocations, 0);
    assert_eq!(parent.within("churn").blocks, 0);
}

#[test]
fn a_prefork_server_s_workers_have_a_log_each() {
    let outcome = Run::program("prefork").arg("400").checked();
    let workers = outcome.reports_of_others();
    assert_eq!(workers.len(), 4);
    let leaked: u64 = workers
        .iter()
        .map(|worker| worker.within("worker_leaks").blocks)
        .sum();
    assert_eq!(leaked, 400);
    assert_eq!(outcome.report_of_first().within("worker_leaks").blocks, 0);
    assert!(
        workers
            .iter()
            .all(|worker| worker.within("serve").blocks == worker.within("worker_leaks").blocks)
    );
}

#[test]
fn a_thread_that_forks_goes_on_in_the_child_with_threads_of_its_own() {
    let outcome = Run::program("fork_in_thread").checked();
    assert_eq!(outcome.report_of_first().within("old_keeps").blocks, 4);
    let children = outcome.reports_of_others();
    assert_eq!(children.len(), 1);
    assert_eq!(children[0].within("new_keeps").blocks, 6);
    assert_eq!(children[0].within("old_keeps").blocks, 0);
}

#[test]
fn threads_that_begin_together_in_a_child_are_all_recorded() {
    for round in 0..40 {
        let outcome = Run::program("fork_in_thread").under_leak();
        let children = outcome.reports_of_others();
        assert_eq!(children.len(), 1, "round {round}");
        assert_eq!(children[0].within("new_keeps").blocks, 6, "round {round}");
        assert_eq!(
            children[0].within("of_child").allocations,
            2 * 50_002,
            "round {round}"
        );
    }
}

#[test]
fn a_child_in_its_parent_s_memory_is_recorded_as_the_parent() {
    let outcome = Run::program("shared_memory_child").arg("50").checked();
    let report = outcome.report();
    assert_eq!(
        (
            report.within("guest_keeps").blocks,
            report.within("guest_keeps").bytes
        ),
        (100, 4800)
    );
    assert_eq!(report.within("host_keeps").blocks, 3);
    for freed in ["made_by_guest", "made_by_host"] {
        assert_eq!(
            (
                report.within(freed).allocations,
                report.within(freed).blocks
            ),
            (50, 0),
            "{freed}"
        );
    }
}

#[test]
fn programs_started_by_every_way_have_a_log_each() {
    for how in ["fork", "vfork", "spawn", "system", "popen", "shared"] {
        let run = Run::program("starts_children")
            .args([how, "5"])
            .arg(some_child())
            .arg("4");
        let outcome = run.checked();
        let reports = outcome.reports();
        let children: Vec<&Report> = of_program(&reports, "leak_some").collect();
        assert_eq!(children.len(), 5, "{how}: {:?}", outcome.logs);
        for child in children {
            assert_eq!(
                (
                    child.within("some_keep").blocks,
                    child.within("some_keep").bytes
                ),
                (4, 128),
                "{how}"
            );
        }
        let parent = outcome.report_of_first();
        assert_eq!(
            parent.within("starter_keeps").blocks,
            10,
            "{how}: what came after the children is there too"
        );
        assert_eq!(parent.within("by_vfork").blocks, 0, "{how}");
    }
}

#[test]
fn a_failing_exec_after_vfork_leaves_the_parent_recorded() {
    let outcome = Run::program("starts_children")
        .args(["failing", "5"])
        .arg(some_child())
        .checked();
    assert_eq!(outcome.report_of_first().within("starter_keeps").blocks, 10);
}

#[test]
fn a_daemon_is_recorded_where_it_was_started() {
    let outcome = Run::program("daemonises").checked();
    let daemon = outcome.reports_of_others();
    assert_eq!(daemon.len(), 1, "{:?}", outcome.logs);
    let kept = daemon[0].within("daemon_keeps");
    assert_eq!((kept.blocks, kept.bytes), (9, 576));
    assert_eq!(daemon[0].within("ancestor_keeps").blocks, 0);
    assert_eq!(outcome.report_of_first().within("ancestor_keeps").blocks, 4);
}

#[test]
fn a_shell_script_s_children_have_a_log_each() {
    let child = some_child();
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do {0} $i; done; ( {0} 11 ) | cat; exit 5",
        child.display()
    );
    let outcome = Run::executable("/bin/sh").args(["-c", &script]).checked();
    let reports = outcome.reports();
    let mut kept: Vec<u64> = of_program(&reports, "leak_some")
        .map(|r| r.within("some_keep").blocks)
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(of_program(&reports, "cat").count(), 1);
}

#[test]
fn other_entries_of_ld_preload_stay_for_children() {
    let allocator = Program::new("reentrant_allocator").build();
    let run = Run::executable("/bin/sh")
        .args(["-c", "echo $LD_PRELOAD | tr : '\\n' | sed 's,.*/,,' | grep -v libleak; grep -c reentrant_allocator /proc/self/maps"])
        .behind(&allocator);
    let outcome = run.undisturbed();
    assert!(
        outcome.stdout.starts_with("reentrant_allocator.so\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn leak_run_puts_the_logs_of_the_process_tree_into_a_directory() {
    let run = Run::program("starts_children")
        .args(["spawn", "3"])
        .arg(some_child())
        .arg("6");
    let plain = run.plain();
    let outcome = run.by_leak_run(&["-o", "logs/"]);
    assert_eq!(
        (&outcome.stdout, outcome.status),
        (&plain.stdout, plain.status)
    );
    assert_eq!(outcome.logs.len(), 4, "{:?}", outcome.logs);
    let logs = outcome.folder.path().join("logs");
    assert!(
        outcome.logs.iter().all(|log| log.parent() == Some(&logs)),
        "{:?}",
        outcome.logs
    );

    // Merged by site; apart with --per-process.
    let merged = Report::of(&logs);
    assert_eq!(merged.within("some_keep").blocks, 18);
    assert_eq!(
        merged.within("some_keep").sites,
        1,
        "one site for three processes"
    );
    assert_eq!(merged.within("starter_keeps").blocks, 10);
    let apart = std::process::Command::new(leak_tests::tools::leak())
        .arg("report")
        .arg(&logs)
        .arg("--per-process")
        .output()
        .expect("leak report");
    assert!(apart.status.success());
    let times = String::from_utf8_lossy(&apart.stdout)
        .matches("some_keep")
        .count();
    assert!(
        times >= 3,
        "the site of each process stands for itself: {times}"
    );
}

#[test]
fn a_child_s_log_names_its_parent() {
    let outcome = Run::program("fork_child").checked();
    let parent = outcome.report_of_first();
    let children = outcome.reports_of_others();
    let log_id = |report: &Report| {
        report.0["process"]["log_id"]
            .as_str()
            .map(str::to_owned)
            .expect("an id")
    };
    let named = |child: &Report| {
        child.0["process"]["parent_log_id"]
            .as_str()
            .map(str::to_owned)
    };
    let of_parent = children
        .iter()
        .filter(|child| named(child) == Some(log_id(&parent)))
        .count();
    assert_eq!(of_parent, 1, "the child names its parent");
    let of_child = children
        .iter()
        .filter(|child| {
            children
                .iter()
                .any(|other| named(child) == Some(log_id(other)))
        })
        .count();
    assert_eq!(of_child, 1, "the grandchild names the child");
}

#[test]
fn handlers_of_fork_that_allocate_are_recorded_on_their_side() {
    let outcome = Run::program("fork_handlers").arg("5").checked();
    let parent = outcome.report_of_first();
    assert_eq!(parent.within("prepare_keeps").blocks, 5);
    assert_eq!(parent.within("parent_keeps").blocks, 5);
    assert_eq!(
        parent.within("child_keeps").allocations + parent.within("raw_keeps").allocations,
        0
    );
    let children = outcome.reports_of_others();
    assert_eq!(children.len(), 6);
    assert_eq!(
        children
            .iter()
            .filter(|child| child.within("child_keeps").blocks == 1)
            .count(),
        5
    );
    assert!(
        children
            .iter()
            .all(|child| child.within("prepare_keeps").blocks == 0)
    );
    let raw: Vec<_> = children
        .iter()
        .filter(|child| child.within("raw_keeps").blocks > 0)
        .collect();
    assert_eq!(raw.len(), 1, "a child made past libc has a log of its own");
    assert_eq!(raw[0].within("raw_keeps").blocks, 5);
}

#[test]
fn a_child_without_the_rights_to_its_log_s_place_writes_elsewhere_or_is_counted() {
    if !root_or_skip("another user") {
        return;
    }
    // The pattern names a file in the closed directory, then the directory itself.
    for pattern in ["%p.leak", ""] {
        let closed = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        open_to_all(elsewhere.path());
        // One child is written elsewhere, the other nowhere.
        let outcome = Run::program("child_without_rights")
            .arg("both")
            .inside(closed.path())
            .env("LEAK_LOG", closed.path().join(pattern))
            .env("TMPDIR", elsewhere.path())
            .under_leak();
        assert_eq!(
            (outcome.status.code(), outcome.stdout.as_str()),
            (Some(0), "over\n")
        );
        let parents = leak_tests::run::logs_in(closed.path());
        let children = leak_tests::run::logs_in(elsewhere.path());
        assert_eq!((parents.len(), children.len()), (1, 1), "{pattern:?}");
        let kept = Report::of(&children[0]).within("child_keeps");
        assert_eq!((kept.blocks, kept.bytes), (4, 224));
        let parent = Report::of(&parents[0]);
        assert_eq!(parent.within("parent_keeps").blocks, 3);
        assert_eq!(parent.number("loss.children_without_log"), 1);
        let notes = parent.0["loss"]["notes"].to_string();
        assert!(notes.contains("a fork child could make no log"), "{notes}");
    }
}

#[test]
fn a_child_that_returns_into_an_interrupted_hook_lives_and_is_counted() {
    for how in ["fork", "_Fork", "syscall"] {
        let run = Run::program("forks_in_handler")
            .args(["200", how])
            .behind(Program::new("reentrant_allocator").build());
        let outcome = run.undisturbed();
        let own = |log: &&std::path::PathBuf| Report::of(log).within("after_forks").blocks > 0;
        let logs = leak_tests::run::logs_in(outcome.folder.path());
        let parents: Vec<_> = logs.iter().filter(own).collect();
        assert_eq!(parents.len(), 1, "{logs:?}");
        let parent = Report::of(parents[0]);
        let kept = parent.within("after_forks");
        assert_eq!((kept.blocks, kept.bytes), (10, 560));
        assert_eq!(parent.within("churn").blocks, 0);
        // Every child has a log, or is counted as one that has none.
        let without = parent.number("loss.children_without_log");
        assert_eq!(without + logs.len() as u64, 201);
    }
}
