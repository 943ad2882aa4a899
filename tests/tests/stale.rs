//! Leaks that stale words hide from LeakSanitizer, which takes all of the stack above its handler
//! for live: every one of them is found.

use leak_tests::classes::{all_cases, cases, told};
use leak_tests::{Program, Run};

const LEVELS: [&str; 2] = ["-O0", "-O2"];

#[test]
fn leaks_whose_address_is_left_in_dead_frames_are_found() {
    let programs = LEVELS.map(|level| Program::new("reach_stale").flags([level]).build());
    all_cases(&programs, &[], |run| run);
}

#[test]
fn leak_sanitizer_misses_some_of_them() {
    let mut missed = 0;
    for level in LEVELS {
        let program = Program::new("reach_stale").flags([level, "-fsanitize=leak"]);
        let program = match program.try_build() {
            Ok(program) => program,
            Err(problem) => return eprintln!("skipped: no LeakSanitizer: {problem}"),
        };
        for case in cases(&program) {
            let outcome = Run::executable(&program).arg(&case).plain();
            if outcome
                .stderr
                .contains("LeakSanitizer has encountered a fatal error")
            {
                return eprintln!("skipped: LeakSanitizer cannot run here: {}", outcome.stderr);
            }
            let lost: i64 = told(&outcome)[..2].iter().map(|(_, count)| count).sum();
            let found = found(&outcome.stderr);
            eprintln!("{level} {case}: LeakSanitizer finds {found} of {lost}");
            missed += lost - found;
        }
    }
    assert!(missed > 0, "it finds them all by now");
}

/// Blocks in LeakSanitizer's summary: `… leaked in 3 allocation(s).`
fn found(stderr: &str) -> i64 {
    let summary = stderr
        .lines()
        .find(|line| line.starts_with("SUMMARY: LeakSanitizer"));
    let count = summary.and_then(|line| {
        line.split(" leaked in ")
            .nth(1)?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    count.unwrap_or(0)
}
