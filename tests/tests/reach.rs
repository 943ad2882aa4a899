//! What is reachable at the end: programs whose blocks are made by functions named after the class
//! that they must be found to have, in C, C++ and Rust, unoptimised and optimised.

use leak_tests::classes::{all_cases, wrong};
use leak_tests::refuse::{Refuse, refuse};
use leak_tests::{Program, Report, Run, library_or_skip};
use serde_json::Value;
use std::path::PathBuf;

/// A program unoptimised and optimised, with more flags.
fn built_with(name: &str, flags: &[&str]) -> [PathBuf; 2] {
    let levels: [&str; 2] = if name.ends_with("rust") {
        ["-Copt-level=0", "-Copt-level=2"]
    } else {
        ["-O0", "-O2"]
    };
    levels.map(|level| {
        let program = Program::new(name).flags([level]);
        program.flags(flags.iter().copied()).build()
    })
}

fn built(name: &str) -> [PathBuf; 2] {
    built_with(name, &[])
}

#[test]
fn c_programs() {
    all_cases(&built("reach_c"), &[], |run| run);
}

#[test]
fn shapes_of_data() {
    all_cases(&built("reach_shapes"), &[], |run| run);
}

#[test]
fn what_functions_of_libc_make() {
    all_cases(&built("reach_made"), &[], |run| run);
}

#[test]
fn programs_with_threads() {
    all_cases(&built("reach_threads"), &[], |run| run);
}

#[test]
fn libraries_loaded_and_closed() {
    let library = Program::new("reach_library").build();
    let flag = format!("-DLIBRARY=\"{}\"", library.display());
    all_cases(&built_with("reach_modules", &[&flag]), &[], |run| run);
}

#[test]
fn cxx_programs() {
    all_cases(&built("reach_cxx"), &[], |run| run);
}

#[test]
fn containers_and_owners_of_cxx() {
    all_cases(&built("reach_containers"), &[], |run| run);
}

#[test]
fn strings_of_old_and_coroutines() {
    all_cases(&built("reach_old_strings"), &[], |run| run);
    all_cases(&built("reach_coroutines"), &[], |run| run);
}

#[test]
fn rust_programs() {
    all_cases(&built("reach_rust"), &[], |run| run);
    all_cases(&built("reach_owners_rust"), &[], |run| run);
}

/// With another allocator: the same classes.
fn with_allocator(library: Option<PathBuf>, skip: &[&str]) {
    if let Some(library) = library {
        let programs: Vec<PathBuf> = ["reach_c", "reach_threads"]
            .iter()
            .map(|name| built(name)[1].clone())
            .collect();
        all_cases(&programs, skip, |run| run.behind(library.clone()));
    }
}

#[test]
fn the_classes_are_the_same_with_jemalloc() {
    // jemalloc keeps the gigabyte that an address lies in among its thread-local variables, and
    // that may be inside of a very large block.
    with_allocator(
        library_or_skip(&["libjemalloc.so.2"]),
        &["very_large_and_lost"],
    );
}

#[test]
fn the_classes_are_the_same_with_tcmalloc() {
    with_allocator(library_or_skip(&["libtcmalloc_minimal.so.4"]), &[]);
}

#[test]
fn the_classes_are_the_same_with_mimalloc() {
    with_allocator(
        library_or_skip(&["libmimalloc.so.2", "libmimalloc.so.2.0"]),
        &[],
    );
}

/// The value of a site's field, of the site that a function made.
fn site<'r>(report: &'r Report, function: &str) -> &'r Value {
    let sites = report.0["sites"].as_array().expect("sites");
    let made_by = |site: &&Value| site["frames"][0]["function"] == function;
    sites
        .iter()
        .find(made_by)
        .unwrap_or_else(|| panic!("no site of {function}"))
}

#[test]
fn a_direct_leak_drags_along_what_only_it_leads_to() {
    let program = Program::new("reach_c").build();
    let report = Run::executable(program)
        .arg("a_list_lost_at_the_head")
        .under_leak()
        .report();
    let direct = site(&report, "unreachable");
    assert_eq!(
        (&direct["class"], &direct["bytes"]),
        (&"unreachable".into(), &32.into())
    );
    assert_eq!(
        (&direct["retained_blocks"], &direct["retained_bytes"]),
        (&10.into(), &320.into())
    );
    let indirect = site(&report, "indirect");
    assert_eq!(
        (&indirect["class"], &indirect["retained_bytes"]),
        (&"indirect".into(), &0.into())
    );
    let path = indirect["path"].as_array().expect("a path");
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["unreachable", "indirect"],
        "from the direct leak to a block that it owns"
    );
    assert_eq!(
        (&path[0]["kind"], &path[0]["offset"]),
        (&"block".into(), &0.into())
    );
}

#[test]
fn the_path_names_the_variable_and_its_line_and_the_offset_in_each_block() {
    let program = Program::new("reach_c").build();
    let source =
        std::fs::read_to_string(leak_tests::sources().join("reach_c.c")).expect("the source");
    let line = 1 + source
        .lines()
        .position(|line| line == "void *global;")
        .expect("the variable");
    let run = Run::executable(program).arg("a_branch_cut_off");
    let report = run.under_leak().report();
    let path = site(&report, "reachable")["path"].clone();
    assert_eq!(
        (&path[0]["kind"], &path[0]["name"]),
        (&"global".into(), &"global".into())
    );
    assert_eq!(path[0]["line"], line);
    assert!(
        path[0]["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("reach_c.c"))
    );
    let report = Run::executable(Program::new("reach_threads").build()).arg("a_thread_that_waits");
    let report = report.under_leak().report();
    let sites = report.0["sites"].as_array().expect("sites");
    let of_size = |bytes: u64| {
        sites
            .iter()
            .find(|site| site["bytes"] == bytes)
            .expect("a site")["path"][0]
            .clone()
    };
    assert_eq!(of_size(20)["kind"], "stack");
    assert_eq!(of_size(20)["name"], "blocked");
    assert_eq!(of_size(30)["kind"], "thread_local");
    assert_eq!(
        (&of_size(60)["kind"], &of_size(60)["offset"]),
        (&"registers".into(), &3.into())
    );
}

#[test]
fn an_object_in_a_path_has_its_class() {
    let report = Run::executable(Program::new("reach_cxx").build()).arg("held_by_the_second_base");
    let report = report.under_leak().report();
    let sites = report.0["sites"].as_array().expect("sites");
    let objects = sites
        .iter()
        .flat_map(|site| site["path"].as_array().into_iter().flatten());
    let names: Vec<&str> = objects.filter_map(|step| step["object"].as_str()).collect();
    assert!(names.contains(&"Both"), "{names:?}");
}

#[test]
fn only_the_kinds_that_are_asked_for_are_shown() {
    let outcome = Run::executable(Program::new("reach_c").build())
        .arg("a_list_kept_from_its_middle")
        .under_leak();
    let report = Report::with_options(outcome.log(), &["--kind", "unreachable,indirect"]);
    let sites = report.0["sites"].as_array().expect("sites");
    let sum: i64 = sites
        .iter()
        .filter_map(|site| site["blocks"].as_i64())
        .sum();
    assert_eq!(sum, 3);
    assert!(
        sites
            .iter()
            .all(|site| site["class"] == "unreachable" || site["class"] == "indirect")
    );
}

/// As under a security module, or in a container that allows no `ptrace`: stack pointers and system
/// calls' arguments come from `/proc`; what another register alone holds is not known.
#[test]
fn classes_are_the_same_where_nothing_may_be_traced() {
    let refused = |run: Run| run.before_exec(refuse(Refuse::Tracing));
    let held_by_a_register_alone = [
        "a_thread_that_waits",
        "a_thread_that_spins",
        "sixty_four_that_wait_one_that_spins_one_in_a_handler",
        "fork_without_exec",
        "stacks_that_the_program_gave",
    ];
    all_cases(&built("reach_threads"), &held_by_a_register_alone, refused);
}

#[test]
fn without_the_right_to_trace_classes_are_the_same() {
    if !leak_tests::root_or_skip("giving up a capability") {
        return;
    }
    let dropped = |run: Run| {
        run.before_exec(|| {
            const SYS_PTRACE: libc::c_ulong = 19;
            // SAFETY: touches no memory.
            match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, SYS_PTRACE, 0, 0, 0) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    all_cases(&built("reach_threads"), &[], dropped);
}

#[test]
fn where_no_process_may_be_made_the_report_says_so_and_the_rest_stands() {
    let run = Run::program("reach_threads").arg("a_thread_that_waits");
    let run = run.before_exec(refuse(Refuse::Processes)).under_leak();
    let report = run.report();
    let remarks = report.0["leaks"]["remarks"].to_string();
    assert!(remarks.contains("fork was refused"), "{remarks}");
    assert!(report.0["leaks"]["processes"] == 0, "{}", report.0["leaks"]);
    assert!(report.totals().live_blocks > 0);
    assert_eq!(report.0["process"]["ending"], "exited");
}

/// `LEAK_TEST_RUNS` is how often; `LEAK_TEST_RUNS=100 cargo test --release --test reach sixty_four`.
#[test]
fn sixty_four_waiting_threads_one_spinning_one_in_a_handler_every_time() {
    let runs = std::env::var("LEAK_TEST_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(5);
    let [_, program] = built("reach_threads");
    for number in 0..runs {
        let run =
            Run::executable(&program).arg("sixty_four_that_wait_one_that_spins_one_in_a_handler");
        let outcome = run.under_leak();
        assert_eq!(
            wrong(&outcome, &outcome.report_of_first()),
            Vec::<String>::new(),
            "run {number}"
        );
    }
}

#[test]
fn what_libc_keeps_of_ended_threads_for_later_ones_is_no_leak() {
    let run = Run::executable(Program::new("reach_threads").build());
    let outcome = run.arg("thread_local_of_an_ended_thread").under_leak();
    let leaks = &outcome.report().0["leaks"];
    assert_eq!(
        leaks["unreachable"],
        serde_json::json!({"blocks": 1, "bytes": 100}),
        "{leaks}"
    );
}

#[test]
fn it_can_be_turned_off() {
    let run = Run::executable(Program::new("reach_c").build()).arg("lost_at_once");
    let report = run.env("LEAK_REACH", "0").under_leak().report();
    assert_eq!(report.0["leaks"], Value::Null);
    assert_eq!(site(&report, "unreachable")["class"], Value::Null);
}

#[test]
fn the_program_runs_as_without_it() {
    for case in [
        "a_thread_that_waits",
        "another_thread_ends_the_process",
        "fork_without_exec",
    ] {
        Run::executable(Program::new("reach_threads").build())
            .arg(case)
            .undisturbed();
    }
}
