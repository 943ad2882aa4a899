//! Programs that make blocks in functions named after the class that those must be found to have
//! ([`CLASSES`]), in cases that the program lists when it is started without an argument.
//!
//! What relies on this: the tests of what can be reached at the end. If a block's class were
//! read too kindly, a leak that is not found would pass.

use crate::{Outcome, Report, Run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The classes that a block can have.
pub const CLASSES: [&str; 4] = ["unreachable", "indirect", "possible", "reachable"];

/// The class that a function is named after: `reachable`, `reachable_by<…>`, `x::reachable_by`.
fn class_of_function(name: &str) -> Option<&'static str> {
    let name = name.split(['(', '<']).next()?;
    let name = name.rsplit([':', ' ']).next()?;
    let stem = name.strip_suffix("_by").unwrap_or(name);
    CLASSES.into_iter().find(|&class| class == stem)
}

/// What a program said: how many blocks of each class it made; −1: some.
pub fn told(outcome: &Outcome) -> Vec<(&'static str, i64)> {
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    CLASSES
        .iter()
        .map(|&class| {
            let at = words.iter().position(|&word| word == class);
            let count = at
                .and_then(|at| words.get(at + 1))
                .and_then(|n| n.parse().ok());
            (
                class,
                count.unwrap_or_else(|| panic!("the program said {:?}", outcome.stdout)),
            )
        })
        .collect()
}

/// What is wrong with the classes in a report.
pub fn wrong(outcome: &Outcome, report: &Report) -> Vec<String> {
    let mut wrong = Vec::new();
    let leaks = &report.0["leaks"];
    let mut remarks = leaks["remarks"].as_array().into_iter().flatten();
    // Those that could not be stopped must have the same classes.
    let is_blind = |remark: &Value| {
        let text = remark.as_str().expect("text");
        text.contains("(ptrace is not allowed)")
    };
    if leaks["processes"] != 1 || remarks.any(|remark| !is_blind(remark)) {
        wrong.push(format!("leaks: {leaks}"));
    }
    let mut found = [0i64; 4];
    for site in report.0["sites"].as_array().into_iter().flatten() {
        let frames = site["frames"].as_array().into_iter().flatten();
        let Some(class) = frames
            .filter_map(|f| class_of_function(f["function"].as_str()?))
            .next()
        else {
            continue;
        };
        for (count, other) in found.iter_mut().zip(CLASSES) {
            let blocks = site["classes"][other]["blocks"].as_i64().unwrap_or(0);
            if other == class {
                *count += blocks;
            } else if blocks > 0 {
                wrong.push(format!(
                    "{blocks} of {class} are {other}, path {}",
                    site["path"]
                ));
            }
        }
    }
    for ((class, made), found) in told(outcome).into_iter().zip(found) {
        if made != found && !(made == -1 && found > 0) {
            wrong.push(format!("{made} {class} were made, {found} found"));
        }
    }
    wrong
}

/// The cases that a program knows.
pub fn cases(program: &Path) -> Vec<String> {
    let list = Run::executable(program).plain().stdout;
    list.split_whitespace().map(str::to_owned).collect()
}

/// Runs every case but those to skip, prepared as is said, a few at a time; panics with all that is wrong.
pub fn all_cases(programs: &[PathBuf], skip: &[&str], prepare: impl Fn(Run) -> Run + Sync) {
    let mut jobs: Vec<(PathBuf, String)> = Vec::new();
    for program in programs {
        let wanted = cases(program)
            .into_iter()
            .filter(|case| !skip.contains(&case.as_str()));
        jobs.extend(wanted.map(|case| (program.clone(), case)));
    }
    assert!(!jobs.is_empty(), "no cases");
    each(&jobs, |(program, case)| {
        let outcome = prepare(Run::executable(program).arg(case)).under_leak();
        let wrong = match outcome.status.success() {
            true => wrong(&outcome, &outcome.report_of_first()),
            false => vec![format!("{}: {}", outcome.status, outcome.stderr)],
        };
        let name = program.file_name().unwrap_or_default().display();
        (!wrong.is_empty()).then(|| format!("{name} {case}:\n    {}", wrong.join("\n    ")))
    });
}

/// Does all jobs, a few at a time; panics with all problems that there were.
pub fn each<T: Sync>(jobs: &[T], problem: impl Fn(&T) -> Option<String> + Sync) {
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(problem) = problem(job) {
                        problems.lock().expect("no panic").push(problem);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().expect("no panic");
    assert!(
        problems.is_empty(),
        "{} of {} cases:\n{}",
        problems.len(),
        jobs.len(),
        problems.join("\n")
    );
}
