//! What tests of `leak run` share: small programs, and a library that does nothing in place of
//! the recorder.

#![allow(dead_code)] // each test file uses its part

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Small programs, compiled once.
pub static PROGRAMS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("main.c"), "int main(void) { return 0; }\n").expect("written");
    assert!(
        compile(dir.path(), "libdummy.so", &["-shared"]),
        "a C compiler is needed"
    );
    assert!(compile(dir.path(), "plain", &[]));
    dir
});

pub fn compile(dir: &Path, name: &str, flags: &[&str]) -> bool {
    let done = Command::new("cc")
        .current_dir(dir)
        .args(flags)
        .args(["-o", name, "main.c"])
        .output();
    done.is_ok_and(|done| done.status.success())
}

/// A program made with further flags, in a directory of the test's own; `None` if the compiler
/// has not what it takes.
pub fn program(dir: &tempfile::TempDir, flags: &[&str]) -> Option<PathBuf> {
    fs::write(dir.path().join("main.c"), "int main(void) { return 0; }\n").expect("written");
    let made = compile(dir.path(), "program", flags);
    if !made {
        eprintln!("skipped: cc {flags:?} does not work here");
    }
    made.then(|| dir.path().join("program"))
}

pub fn leak(dir: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("leak"));
    command
        .current_dir(dir)
        .arg("run")
        .env("LEAK_LIB", PROGRAMS.path().join("libdummy.so"));
    for name in ["LD_PRELOAD", "LEAK_LOG", "LEAK_DISABLE", "TMPDIR"] {
        command.env_remove(name);
    }
    // Whoever runs the tests may ignore signals (`nohup`, a shell's `&`), and what is ignored
    // stays so.
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs, which must be refused: nothing on stdout, one line on stderr, status 2.
pub fn refusal(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("leak starts");
    let stderr = text(&stderr);
    assert_eq!(
        (status.code(), text(&stdout), stderr.lines().count()),
        (Some(2), String::new(), 1),
        "{stderr}"
    );
    assert!(stderr.starts_with("leak: "), "{stderr}");
    stderr
}
