//! Valgrind as oracle: on programs of its own kind, blocks and bytes of each class are the same.
//!
//! It runs with all its heuristics, and leaves what libc and libstdc++ keep, as the report does.
//! Cases in which the two differ by design are listed with the reason, and skipped.

use leak_tests::classes::{CLASSES, cases, each};
use leak_tests::{Outcome, Program, Run, command_or_skip};
use std::path::{Path, PathBuf};

/// How Valgrind calls the classes, in the order of [`CLASSES`].
const WORDS: [&str; 4] = [
    "definitely lost:",
    "indirectly lost:",
    "possibly lost:",
    "still reachable:",
];

/// Where the two differ, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "a_ring_entered_behind_its_oldest",
        "the first found of each ring is direct there, even if another leak leads to it",
    ),
    (
        "in_two_halves",
        "the whole address is left on the dead stack, which counts there",
    ),
];

/// Blocks and bytes of each class.
type Tallies = [(u64, u64); 4];

fn by_valgrind(valgrind: &Path, program: &Path, case: &str) -> Tallies {
    let options = [
        "--leak-check=full",
        "--show-leak-kinds=all",
        "--leak-check-heuristics=all",
        "--run-libc-freeres=no",
        "--run-cxx-freeres=no",
    ];
    let run = Run::executable(valgrind).args(options).arg(program);
    let outcome = run.arg(case).seconds(240).plain();
    summary(&outcome).unwrap_or_else(|| panic!("{case}: {}", outcome.stderr))
}

/// The numbers of `definitely lost: 1,234 bytes in 5 blocks` and so on.
fn summary(outcome: &Outcome) -> Option<Tallies> {
    if outcome.stderr.contains("All heap blocks were freed") {
        return Some(Tallies::default());
    }
    let mut tallies = Tallies::default();
    for (tally, word) in tallies.iter_mut().zip(WORDS) {
        let (_, after) = outcome.stderr.split_once(word)?;
        let plain = after.lines().next()?.replace(',', "");
        let mut numbers = plain.split(' ').filter_map(|word| word.parse().ok());
        let bytes = numbers.next()?;
        *tally = (numbers.next()?, bytes);
    }
    Some(tallies)
}

fn by_leak(program: &Path, case: &str) -> Tallies {
    let run = Run::executable(program).arg(case);
    let report = run.under_leak().report();
    CLASSES.map(|class| {
        let tally = &report.0["leaks"][class];
        let number = |what: &str| tally[what].as_u64().expect("a number");
        (number("blocks"), number("bytes"))
    })
}

fn compared(program: PathBuf, wanted: impl Fn(&str) -> bool) {
    let Some(valgrind) = command_or_skip("valgrind") else {
        return;
    };
    let mut jobs = cases(&program);
    jobs.retain(|case| wanted(case) && DIFFERENT.iter().all(|(other, _)| other != case));
    each(&jobs, |case| {
        let (expected, found) = (
            by_valgrind(&valgrind, &program, case),
            by_leak(&program, case),
        );
        (expected != found).then(|| {
            format!("{case}: {CLASSES:?} (blocks, bytes): Valgrind {expected:?}, here {found:?}")
        })
    });
}

#[test]
fn shapes_of_data_have_valgrinds_classes() {
    compared(Program::new("reach_shapes").flags(["-O0"]).build(), |_| {
        true
    });
}

#[test]
fn lists_rings_and_inside_pointers_have_valgrinds_classes() {
    const WORDS: [&str; 4] = ["list", "ring", "inside", "behind"];
    compared(Program::new("reach_c").flags(["-O0"]).build(), |case| {
        WORDS.iter().any(|word| case.contains(word))
    });
}

#[test]
fn what_valgrinds_heuristics_are_for_has_its_classes() {
    const WORDS: [&str; 4] = ["base", "array", "length", "own_each"];
    let wanted = |case: &str| WORDS.iter().any(|word| case.contains(word));
    compared(
        Program::new("reach_containers").flags(["-O0"]).build(),
        wanted,
    );
    compared(Program::new("reach_old_strings").build(), |_| true);
}
