//! Ends without notice: what was recorded before is in the log.

use leak_tests::bytes::Random;
use leak_tests::report::Report;
use leak_tests::{Program, Run};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

const KINDS: usize = 8;

/// One kind's numbers, summed over the threads, as the program wrote them.
#[derive(Default, Clone, Copy, Debug)]
struct Confirmed {
    begun_allocations: u64,
    done_allocations: u64,
    begun_frees: u64,
    done_frees: u64,
}

fn confirmed(file: &std::fs::File) -> [Confirmed; KINDS] {
    let mut page = [0u8; 4096];
    file.read_exact_at(&mut page, 0).expect("the shared page");
    let word = |index: usize| {
        page[8 * index..8 * index + 8]
            .iter()
            .rev()
            .fold(0, |sum, &b| sum << 8 | u64::from(b))
    };
    let mut kinds = [Confirmed::default(); KINDS];
    for thread in 0..4 {
        for (kind, sums) in kinds.iter_mut().enumerate() {
            let at = (thread * KINDS + kind) * 4;
            sums.begun_allocations += word(at);
            sums.done_allocations += word(at + 1);
            sums.begun_frees += word(at + 2);
            sums.done_frees += word(at + 3);
        }
    }
    kinds
}

fn done(file: &std::fs::File) -> u64 {
    confirmed(file)
        .iter()
        .map(|kind| kind.done_allocations)
        .sum()
}

fn kill_at(instants: std::ops::Range<u64>, threads: &str, most: u64) {
    let run = Run::program("confirm");
    for instant in instants {
        let mut random = Random::new(instant);
        let folder = tempfile::tempdir().expect("a directory");
        let page = folder.path().join("page");
        std::fs::write(&page, [0u8; 4096]).expect("the shared page");
        let file = std::fs::File::open(&page).expect("the shared page");
        let mut child = run
            .clone()
            .arg(&page)
            .arg(threads)
            .spawn_under_leak(folder.path());
        let target = 1 + random.below(most);
        while done(&file) < target {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("instant {instant}: ended by itself with {status}");
            }
            std::hint::spin_loop();
        }
        for _ in 0..random.below(3000) {
            std::hint::spin_loop();
        }
        child.kill().expect("kill");
        let status = child.wait().expect("wait");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        assert_confirmed(instant, folder.path(), &confirmed(&file));
    }
}

fn assert_confirmed(instant: u64, folder: &Path, kinds: &[Confirmed; KINDS]) {
    let logs = leak_tests::run::logs_in(folder);
    assert_eq!(logs.len(), 1, "instant {instant}: {logs:?}");
    let report = Report::of(&logs[0]);
    assert_eq!(report.number("loss.events_lost"), 0, "instant {instant}");
    assert_eq!(
        report.number("loss.unmatched_frees"),
        0,
        "instant {instant}"
    );
    for (kind, confirmed) in kinds.iter().enumerate() {
        let sums = report.within(&format!("made_{kind}"));
        let between = |name: &str, least: u64, found: u64, most: u64| {
            assert!(
                (least..=most).contains(&found),
                "instant {instant}, made_{kind}: {found} {name}, expected {least} to {most} of {confirmed:?}"
            );
        };
        between(
            "allocations",
            confirmed.done_allocations,
            sums.allocations,
            confirmed.begun_allocations,
        );
        let least = confirmed
            .done_allocations
            .saturating_sub(confirmed.begun_frees);
        between(
            "live blocks",
            least,
            sums.blocks,
            confirmed.begun_allocations - confirmed.done_frees,
        );
        assert_eq!(
            sums.bytes,
            sums.blocks * (16 + 8 * kind as u64),
            "instant {instant}, made_{kind}"
        );
    }
}

#[test]
fn a_killed_program_s_confirmed_blocks_are_in_the_log_at_100_instants() {
    kill_at(0..100, "1", 300_000);
}

#[test]
fn a_killed_threaded_program_s_confirmed_blocks_are_in_the_log_at_50_instants() {
    kill_at(1000..1050, "3", 300_000);
}

#[test]
fn a_program_killed_in_its_first_moments_leaves_a_log_at_50_instants() {
    kill_at(2000..2050, "2", 500);
}

#[test]
fn every_way_to_end_leaves_a_whole_log() {
    for how in [
        "return",
        "abort",
        "segv",
        "term",
        "kill",
        "bus",
        "ill",
        "fpe",
        "pipe",
        "_exit",
        "_Exit",
        "quick_exit",
        "syscall",
        "thread",
    ] {
        let outcome = Run::program("endings").arg(how).checked();
        let words = outcome.report().within("last_words");
        assert_eq!(
            (words.blocks, words.bytes, words.temporary),
            (10, 640, 3),
            "{how}"
        );
    }
}

#[test]
fn a_program_that_execs_leaves_a_log_of_each_image() {
    let outcome = Run::program("endings").arg("exec").checked();
    assert_eq!(outcome.logs.len(), 2, "{:?}", outcome.logs);
    let mut arguments = Vec::new();
    for report in outcome.reports() {
        assert_eq!(
            report.within("last_words").blocks,
            10,
            "{:?}",
            report.argv()
        );
        arguments.extend(report.argv().last().cloned());
    }
    arguments.sort();
    assert_eq!(arguments, ["exec", "second"]);
}

#[test]
fn a_threaded_program_that_execs_leaves_the_log_of_its_threads() {
    let outcome = Run::program("exit_among_threads").arg("exec").undisturbed();
    let report = outcome
        .reports()
        .into_iter()
        .find(|report| report.argv().last().is_some_and(|word| word == "exec"))
        .expect("the log of the first image");
    assert_eq!(report.number("loss.events_lost"), 0);
    assert_eq!(report.within("sure_keep").blocks, 100);
}

#[test]
fn the_log_of_a_running_program_can_be_read() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(Program::new("waits").build())
        .env("LD_PRELOAD", leak_tests::tools::library())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut words = [0; 6];
    child
        .stdout
        .as_mut()
        .expect("its output")
        .read_exact(&mut words)
        .expect("its output");
    assert_eq!(&words, b"ready\n");
    let report = || Report::of(&leak_tests::run::logs_in(folder.path())[0]);
    let running = report();
    assert_eq!(
        (
            running.within("early_keeps").blocks,
            running.within("late_keeps").blocks
        ),
        (10, 0)
    );
    drop(child.stdin.take());
    assert!(child.wait().expect("its end").success());
    let ended = report();
    assert_eq!(
        (
            ended.within("early_keeps").blocks,
            ended.within("late_keeps").blocks
        ),
        (10, 5)
    );
}
