//! Bad input of the command: one line on stderr that says what, where and what to do, exit
//! status 2; and damaged logs of every kind, which must never crash the reader.

use leak_tests::bytes::Random;
use leak_tests::report::Report;
use leak_tests::{Program, Run, root_or_skip};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn leak(arguments: &[&Path]) -> Output {
    Command::new(leak_tests::tools::leak())
        .args(arguments)
        .env("LEAK_LIB", leak_tests::tools::library())
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak")
}

/// Exit status 2 and one line that contains the words.
fn refused(run: &Output, words: &[&str]) {
    let line = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "one line, not: {line}");
    for word in words {
        assert!(
            line.to_lowercase().contains(&word.to_lowercase()),
            "{word:?} is not in {line:?}"
        );
    }
}

fn report(path: &Path) -> Output {
    leak(&[
        Path::new("report"),
        path,
        Path::new("--format"),
        Path::new("json"),
    ])
}

fn run(program: &Path) -> Output {
    leak(&[Path::new("run"), Path::new("--"), program])
}

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Scratch(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("rights");
        path
    }
}

#[test]
fn a_static_program_is_refused_with_the_reason() {
    refused(
        &run(&Program::new("leak_some")
            .flags(["-static", "-no-pie"])
            .build()),
        &["static"],
    );
}

#[test]
fn a_static_position_independent_program_is_refused_with_the_reason() {
    refused(
        &run(&Program::new("leak_some")
            .flags(["-static-pie", "-fPIE"])
            .build()),
        &["static"],
    );
}

#[test]
fn a_32_bit_program_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    // An ELF header is enough: it is refused before it could run.
    let mut header = vec![
        0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 1, 0, 0, 0,
    ];
    header.resize(200, 0);
    refused(&run(&scratch.file("old", &header, 0o755)), &["32", "old"]);
}

#[test]
fn a_program_of_another_machine_is_refused() {
    let scratch = Scratch::new();
    let mut header = vec![
        0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0xb7, 0, 1, 0, 0, 0,
    ];
    header.resize(200, 0);
    refused(&run(&scratch.file("foreign", &header, 0o755)), &["foreign"]);
}

#[test]
fn a_missing_program_is_refused() {
    refused(&run(Path::new("/no/such/program")), &["/no/such/program"]);
    refused(
        &run(Path::new("no-such-program-on-the-path")),
        &["no-such-program-on-the-path"],
    );
}

#[test]
fn a_file_that_is_not_executable_and_a_directory_are_refused() {
    let scratch = Scratch::new();
    refused(&run(&scratch.file("text", b"words\n", 0o644)), &["text"]);
    refused(&run(Path::new("/tmp")), &["/tmp"]);
}

#[test]
fn a_set_user_id_program_is_refused() {
    if !root_or_skip("a set-user-id program of another owner") {
        return;
    }
    let scratch = Scratch::new();
    let program = std::fs::read(Program::new("leak_some").build()).expect("the program");
    let path = scratch.file("sets_id", &program, 0o755);
    std::os::unix::fs::chown(&path, Some(65534), Some(65534)).expect("chown");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755)).expect("rights");
    refused(&run(&path), &["set-user-id", "sets_id"]);
}

#[test]
fn a_missing_library_is_refused() {
    let run = Command::new(leak_tests::tools::leak())
        .args(["run", "--", "/bin/true"])
        .env("LEAK_LIB", "/no/such/libleak.so")
        .output()
        .expect("leak");
    refused(&run, &["/no/such/libleak.so"]);
}

#[test]
fn what_is_not_a_log_is_refused() {
    let scratch = Scratch::new();
    refused(
        &report(&scratch.file("empty.leak", b"", 0o644)),
        &["empty.leak"],
    );
    refused(
        &report(&scratch.file(
            "text.leak",
            b"just some text\n".repeat(1000).as_slice(),
            0o644,
        )),
        &["text.leak", "log"],
    );
    refused(
        &report(&scratch.file("zeros.leak", &[0; 100_000], 0o644)),
        &["zeros.leak"],
    );
    refused(&report(&Program::new("leak_some").build()), &["leak_some"]);
    refused(
        &report(Path::new("/no/such/file.leak")),
        &["/no/such/file.leak"],
    );
    refused(&report(Path::new("/dev/null")), &["/dev/null"]);
    std::fs::create_dir(scratch.0.path().join("void")).expect("a directory");
    refused(&report(&scratch.0.path().join("void")), &["void"]);
}

#[test]
fn words_that_the_command_does_not_know_are_refused() {
    for words in [
        &["report"][..],
        &["run"],
        &["no-such-command"],
        &["report", "--no-such-option", "x"],
        &[],
    ] {
        let paths: Vec<&Path> = words.iter().map(Path::new).collect();
        let run = leak(&paths);
        assert_eq!(run.status.code(), Some(2), "{words:?}");
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{words:?}");
    }
}

/// A log with several blocks, of a program that ended in order.
fn good_log() -> Vec<u8> {
    let outcome = Run::program("plenty").arg("100000").checked();
    std::fs::read(outcome.log()).expect("the log")
}

/// Whole (status 0), or with one line on stderr that names the file (status 2) and what could be
/// read of it as JSON, if anything could; never a crash.
fn survives(path: &Path, what: &str) -> Option<Report> {
    let run = report(path);
    let words = String::from_utf8_lossy(&run.stderr).into_owned();
    let code = run.status.code();
    assert!(
        matches!(code, Some(0 | 2)),
        "{what}: {}; {words}",
        run.status
    );
    if code == Some(2) {
        assert_eq!(words.lines().count(), 1, "{what}: one line, not: {words}");
        assert!(
            words.contains(&*path.file_name().expect("a name").to_string_lossy()),
            "{what}: {words}"
        );
    }
    if code == Some(2) && run.stdout.is_empty() {
        return None;
    }
    let value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{what}: {error}"));
    Some(Report(value))
}

#[test]
fn a_log_of_a_newer_version_is_refused_with_the_reason() {
    let mut log = good_log();
    // After the magic's 8 bytes stands the version, 4 bytes; see docs/design/log.md.
    log[8..12].copy_from_slice(&77u32.to_le_bytes());
    let path = Scratch::new();
    refused(
        &report(&path.file("newer.leak", &log, 0o644)),
        &["newer.leak", "version", "77"],
    );
}

#[test]
fn a_truncated_log_is_read_up_to_its_last_whole_block() {
    let log = good_log();
    let scratch = Scratch::new();
    let mut blocks_before = 0;
    let mut readable = 0;
    for sixteenth in 0..16 {
        let length = log.len() * sixteenth / 16;
        let path = scratch.file("cut.leak", &log[..length], 0o644);
        let what = format!("cut at {sixteenth}/16");
        if let Some(report) = survives(&path, &what) {
            readable += 1;
            let blocks = report.within("plenty_keeps").blocks;
            assert!(
                blocks >= blocks_before,
                "{what}: {blocks} blocks, {blocks_before} with less of the file"
            );
            assert!(blocks <= 100_000);
            blocks_before = blocks;
            if blocks < 100_000 {
                let run = leak(&[Path::new("report"), &path]);
                assert_eq!(
                    run.status.code(),
                    Some(2),
                    "{what}: the loss is in the exit status"
                );
            }
        }
    }
    assert!(readable >= 8, "only {readable} of 16 are readable");
}

#[test]
fn a_log_cut_at_any_byte_of_its_start_and_end_is_survived() {
    let log = good_log();
    let scratch = Scratch::new();
    let ends = (1..30)
        .chain((32..600).step_by(41))
        .chain(log.len().saturating_sub(25)..log.len());
    for length in ends.filter(|&length| length < log.len()) {
        survives(
            &scratch.file("cut.leak", &log[..length], 0o644),
            &format!("cut at byte {length}"),
        );
    }
}

#[test]
fn flipped_bits_are_noticed_or_harmless() {
    let log = good_log();
    let scratch = Scratch::new();
    let mut random = Random::new(17);
    for round in 0..120 {
        let mut damaged = log.clone();
        for _ in 0..1 + round % 5 {
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << random.below(8);
        }
        survives(
            &scratch.file("flipped.leak", &damaged, 0o644),
            &format!("flips of round {round}"),
        );
    }
}

#[test]
fn damaged_starts_are_noticed() {
    let log = good_log();
    let scratch = Scratch::new();
    let mut random = Random::new(23);
    for at in 0..160.min(log.len()) {
        let mut damaged = log.clone();
        damaged[at] = damaged[at].wrapping_add(1 + random.below(255) as u8);
        survives(
            &scratch.file("start.leak", &damaged, 0o644),
            &format!("byte {at} changed"),
        );
    }
}

#[test]
fn blocks_of_noise_and_zeros_are_survived() {
    let log = good_log();
    let scratch = Scratch::new();
    let mut random = Random::new(29);
    for round in 0..40u64 {
        let mut damaged = log.clone();
        let length = 1 + random.below(8192) as usize;
        let start = random.below(damaged.len() as u64) as usize;
        let end = (start + length).min(damaged.len());
        for byte in &mut damaged[start..end] {
            *byte = if round % 2 == 0 {
                0
            } else {
                random.next_number() as u8
            };
        }
        survives(
            &scratch.file("noise.leak", &damaged, 0o644),
            &format!("noise of round {round}"),
        );
    }
}

#[test]
fn a_log_and_other_bytes_after_it_is_survived() {
    let mut log = good_log();
    log.extend(b"something else".repeat(300));
    survives(
        &Scratch::new().file("more.leak", &log, 0o644),
        "bytes after the end",
    );
}
