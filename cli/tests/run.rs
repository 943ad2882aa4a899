//! `leak run`: which programs it refuses, and what it passes on. The recorder itself is tested
//! elsewhere; here a library that does nothing stands for it.

mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use running::{PROGRAMS, leak, program, refusal, text};

fn refused(program: &Path) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let said = refusal(leak(dir.path()).arg("--").arg(program));
    assert!(
        fs::read_dir(dir.path()).expect("listed").next().is_none(),
        "a file was left behind"
    );
    said
}

fn script(dir: &tempfile::TempDir, content: &str) -> PathBuf {
    let path = dir.path().join("script");
    fs::write(&path, content).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

fn root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn a_missing_program_is_refused() {
    assert!(refused(Path::new("./no-such-program")).contains("no such file"));
    assert!(refused(Path::new("no-such-program-anywhere")).contains("not found on PATH"));
}

#[test]
fn what_cannot_be_executed_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("data");
    fs::write(&path, "data").expect("written");
    assert!(refused(&path).contains("not executable"));
    assert!(refused(dir.path()).contains("a directory"));
}

#[test]
fn a_static_program_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for flags in [&["-static"], &["-static-pie"]] {
        if let Some(program) = program(&dir, flags) {
            assert!(refused(&program).contains("statically linked"));
        }
    }
}

#[test]
fn a_program_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = program(&dir, &[]).expect("cc works");
    let elf = fs::read(&program).expect("read");
    let with = |at: usize, byte: u8| {
        let mut elf = elf.clone();
        elf[at] = byte;
        fs::write(&program, elf).expect("written");
        refused(&program)
    };
    assert!(with(4, 1).contains("32-bit"));
    assert!(with(18, 0xf3).contains("another kind of processor"));
}

#[test]
fn a_program_for_musl_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let program =
        program(&dir, &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]).expect("cc works");
    assert!(refused(&program).contains("musl"));
}

#[test]
fn a_program_without_its_loader_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = program(&dir, &["-Wl,--dynamic-linker=/no/such/ld.so"]).expect("cc works");
    assert!(refused(&program).contains("/no/such/ld.so: no such file"));
}

#[test]
fn a_program_with_a_sanitizer_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    if let Some(program) = program(&dir, &["-fsanitize=address"])
        && !text(&fs::read(&program).expect("read")).contains("__asan_version_mismatch_check_v8@")
    {
        assert!(refused(&program).contains("libasan"));
    }
}

#[test]
fn a_set_user_id_program_is_refused_unless_it_changes_nothing() {
    if !root() {
        return eprintln!("skipped: needs root");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let program = program(&dir, &[]).expect("cc works");
    let set = |user, group, mode| {
        std::os::unix::fs::chown(&program, Some(user), Some(group)).expect("owned");
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).expect("mode");
    };
    set(65534, 0, 0o4755);
    assert!(refused(&program).contains("set-user-id"));
    set(0, 65534, 0o2755);
    assert!(refused(&program).contains("set-group-id"));
    set(0, 0, 0o6755);
    assert!(
        leak(dir.path())
            .arg("-q")
            .arg(&program)
            .status()
            .expect("runs")
            .success()
    );
}

#[test]
fn a_scripts_interpreter_is_what_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(
        refused(&script(&dir, "#!/no/such/interpreter\n"))
            .contains("/no/such/interpreter: no such file")
    );
    if let Some(program) = program(&dir, &["-static"]) {
        let line = format!("#! {} -x\n", program.display());
        assert!(refused(&script(&dir, &line)).contains("statically linked"));
    }
    let good = script(&dir, "#!/usr/bin/env sh\nexit 5\n");
    assert_eq!(
        leak(dir.path())
            .arg("-q")
            .arg(good)
            .status()
            .expect("runs")
            .code(),
        Some(5)
    );
    assert!(refused(&script(&dir, "exit 5\n")).contains("without a #! line"));
}

#[test]
fn the_programs_end_is_passed_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let end = |script: &str| {
        leak(dir.path())
            .args(["-q", "sh", "-c", script])
            .status()
            .expect("runs")
    };
    assert_eq!(end("exit 0").code(), Some(0));
    assert_eq!(end("exit 3").code(), Some(3));
    assert_eq!(end("exit 255").code(), Some(255));
    assert_eq!(end("kill -KILL $$").signal(), Some(libc::SIGKILL));
    assert_eq!(end("kill -SEGV $$").signal(), Some(libc::SIGSEGV));
}

#[test]
fn arguments_and_standard_streams_are_the_programs() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = leak(dir.path())
        .args([
            "-q",
            "--",
            "sh",
            "-c",
            "echo \"$0 $1\"; cat; echo done >&2",
            "-o",
            "--top",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"input\n")
        .expect("written");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("-o --top\ninput\n".to_owned(), "done\n".to_owned())
    );
}

#[test]
fn a_run_without_a_log_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = leak(dir.path())
        .arg("--")
        .arg(PROGRAMS.path().join("plain"))
        .output()
        .expect("runs");
    assert!(run.status.success());
    assert!(
        text(&run.stderr).contains("no log was written"),
        "{}",
        text(&run.stderr)
    );
}

#[test]
fn help_names_every_variable() {
    let help = Command::new(assert_cmd::cargo::cargo_bin("leak"))
        .args(["run", "--help"])
        .output()
        .expect("runs");
    for name in [
        "LEAK_LOG",
        "LEAK_SELFCHECK",
        "LEAK_DISABLE",
        "LEAK_VERBOSE",
        "LEAK_LIB",
    ] {
        assert!(text(&help.stdout).contains(name), "{name}");
    }
}

#[test]
fn man_pages_and_completions_are_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = Command::new(assert_cmd::cargo::cargo_bin("leak"))
        .arg("generate")
        .arg(dir.path())
        .status();
    assert!(made.expect("runs").success());
    let page = fs::read_to_string(dir.path().join("man/man1/leak-run.1")).expect("a page");
    assert!(page.contains("LEAK_SELFCHECK"));
    for file in [
        "man/man1/leak.1",
        "man/man1/leak-report.1",
        "bash-completion/completions/leak",
        "zsh/site-functions/_leak",
        "fish/vendor_completions.d/leak.fish",
    ] {
        let text = fs::read_to_string(dir.path().join(file)).expect(file);
        assert!(
            text.contains("report") && !text.contains("generate"),
            "{file}"
        );
    }
}
