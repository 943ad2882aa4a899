//! `leak run`: where the logs may go, and what may stand for the recorder.

mod running;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use running::{PROGRAMS, leak, refusal, text};

fn root() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Runs with an output that must be refused.
fn refused_output(dir: &Path, output: &str) -> String {
    refusal(
        leak(dir)
            .args(["-o", output, "--"])
            .arg(PROGRAMS.path().join("plain")),
    )
}

#[test]
fn an_output_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("file"), "").expect("written");
    let with = |output: &str| {
        refusal(
            leak(dir.path())
                .args(["-o", output, "--"])
                .arg(PROGRAMS.path().join("plain")),
        )
    };
    assert!(with("missing/%p").contains("missing: not a directory"));
    assert!(with("file/").contains("file: not a directory"));
    assert!(with("file/%p.leak").contains("file: not a directory"));
    if !root() {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("mode");
        assert!(with("%p.leak").contains("permission denied"));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("mode");
    }
}

#[test]
fn an_output_without_a_name_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(refused_output(dir.path(), "").contains("-o: the name is empty"));
}

#[test]
fn devices_and_the_kernels_own_file_systems_are_no_place_for_logs() {
    let dir = tempfile::tempdir().expect("a directory");
    for output in [
        "/dev/null",
        "/dev/full",
        "/dev/leak-test",
        "/proc/leak-test",
        "/proc/self/leak-test",
        "/sys/leak-test",
        "/dev/",
        "/proc/",
    ] {
        let said = refused_output(dir.path(), output);
        assert!(said.contains("no place for a log"), "{output}: {said}");
    }
    assert!(!Path::new("/dev/leak-test").exists());
}

#[test]
fn a_file_that_is_no_log_is_neither_overwritten_nor_numbered_around() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("notes.txt"), "precious").expect("written");
    fs::write(dir.path().join("empty"), "").expect("written");
    for name in ["notes.txt", "empty"] {
        assert!(refused_output(dir.path(), name).contains("exists and is no leak log"));
    }
    assert_eq!(
        fs::read(dir.path().join("notes.txt")).expect("read"),
        b"precious"
    );
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2);
}

#[test]
fn a_missing_library_is_told_with_the_places() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = PROGRAMS.path().join("plain");
    assert!(
        refusal(leak(dir.path()).arg(&plain).env("LEAK_LIB", "/no/lib.so")).contains("/no/lib.so")
    );
    let said = refusal(
        leak(dir.path())
            .arg(&plain)
            .env("LEAK_LIB", "")
            .env("PATH", "/usr/bin"),
    );
    assert!(
        said.contains("libleak.so: not found") && said.contains("/lib/libleak.so"),
        "{said}"
    );
}

#[test]
fn what_is_no_shared_library_of_this_machine_is_not_preloaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lib.so");
    let with = |content: &[u8]| {
        fs::write(&file, content).expect("written");
        refusal(
            leak(dir.path())
                .arg(PROGRAMS.path().join("plain"))
                .env("LEAK_LIB", &file),
        )
    };
    let good = fs::read(PROGRAMS.path().join("libdummy.so")).expect("read");
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (content, why) in [
        (b"".to_vec(), "not an ELF file"),
        (b"#!/bin/sh\n".to_vec(), "not an ELF file"),
        (changed(4, 1), "32-bit"),
        (changed(18, 0xb7), "another kind of processor"),
        (good[..64].to_vec(), "not a shared library, or damaged"),
        (
            fs::read(PROGRAMS.path().join("plain")).expect("read"),
            "not a shared library",
        ),
    ] {
        let said = with(&content);
        assert!(
            said.contains("lib.so: cannot be preloaded")
                && said.contains(why)
                && said.contains("LEAK_LIB"),
            "{why}: {said}"
        );
    }
    if !root() {
        fs::write(&file, &good).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("mode");
        let said = refusal(
            leak(dir.path())
                .arg(PROGRAMS.path().join("plain"))
                .env("LEAK_LIB", &file),
        );
        assert!(said.contains("permission denied"), "{said}");
    }
}

#[test]
fn a_library_whose_path_the_loader_cannot_take_is_preloaded_by_a_link() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["a b", "c:d", "e$LIB"] {
        let library = dir.path().join(name).join("libleak.so");
        fs::create_dir(library.parent().expect("a folder")).expect("made");
        fs::copy(PROGRAMS.path().join("libdummy.so"), &library).expect("copied");
        let run = leak(dir.path())
            .env("LEAK_LIB", &library)
            .env("TMPDIR", dir.path())
            .args([
                "-q",
                "sh",
                "-c",
                "echo $LD_PRELOAD; grep -c libleak.so /proc/$$/maps",
            ])
            .output()
            .expect("runs");
        assert_eq!(text(&run.stderr), "", "{name}");
        let said = text(&run.stdout);
        let mut lines = said.lines();
        let link = Path::new(lines.next().expect("a line"));
        assert_eq!(fs::read_link(link).expect("a link"), library);
        assert_ne!(lines.next(), Some("0"), "{name}: not loaded");
        let of_user = fs::symlink_metadata(link.parent().expect("a folder")).expect("there");
        assert_eq!(of_user.mode() & 0o022, 0, "others may write there");
    }
}

#[test]
fn a_folder_that_others_may_write_to_holds_no_link() {
    let dir = tempfile::tempdir().expect("a directory");
    // SAFETY: no preconditions.
    let foreign = dir
        .path()
        .join(format!("leak-{}", unsafe { libc::geteuid() }));
    fs::create_dir(&foreign).expect("made");
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o777)).expect("mode");
    let library = dir.path().join("a b.so");
    fs::copy(PROGRAMS.path().join("libdummy.so"), &library).expect("copied");
    let run = leak(dir.path())
        .env("LEAK_LIB", &library)
        .env("TMPDIR", dir.path())
        .args(["-q", "sh", "-c", "echo $LD_PRELOAD"])
        .output()
        .expect("runs");
    assert_eq!(fs::read_dir(&foreign).expect("listed").count(), 0);
    // It is in /tmp instead.
    let said = text(&run.stdout);
    let link = Path::new(said.trim());
    assert_eq!(fs::read_link(link).expect("a link"), library);
    fs::remove_dir_all(link.parent().expect("a folder")).expect("removed");
}

#[test]
fn the_program_gets_the_library_first_and_an_absolute_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = leak(dir.path())
        .env("LD_PRELOAD", "libm.so.6")
        .args([
            "-q",
            "-o",
            "logs/",
            "--",
            "sh",
            "-c",
            "echo $LD_PRELOAD; echo $LEAK_LOG",
        ])
        .output()
        .expect("runs");
    let here = dir.path().canonicalize().expect("exists");
    let library = PROGRAMS.path().join("libdummy.so");
    let expected = format!(
        "{}:libm.so.6\n{}/logs/%e.%p.leak\n",
        library.display(),
        here.display()
    );
    assert_eq!(text(&run.stdout), expected);
    assert!(dir.path().join("logs").is_dir());

    let run = leak(dir.path())
        .env("LEAK_LOG", "x.%p")
        .args(["-q", "sh", "-c", "echo $LEAK_LOG"])
        .output()
        .expect("runs");
    assert_eq!(text(&run.stdout), format!("{}/x.%p\n", here.display()));
}
