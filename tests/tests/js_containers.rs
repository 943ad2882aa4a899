//! Processes in name spaces of their own, and machines without a place to write: seen from outside as far as
//! that goes, else one clear line.

use leak_tests::node::{program, versions};
use leak_tests::waiting::{Waiting, assert_refused, objects};
use leak_tests::{root_or_skip, tools};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The only child of a process.
fn child_of(pid: &str) -> String {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.expect("a process").trim().to_owned()
}

fn leak(folder: &Path, arguments: &[&str]) -> Output {
    let run = Command::new(tools::leak())
        .current_dir(folder)
        .args(arguments)
        .output();
    run.expect("leak runs")
}

#[test]
fn a_process_in_a_container_is_asked_from_outside_and_its_file_is_found() {
    if !root_or_skip("a name space") {
        return;
    }
    let Some(node) = versions().pop() else { return };
    for way in [&[][..], &["--fork"]] {
        // Its directory is one that only it sees, and its process ids are its own.
        let line = "mount -t tmpfs none \"$PWD\"; cd \"$PWD\"; exec \"$0\" \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["/bin/sh", "-ec", line])
            .args([&node.path, &program("ask")])
            .arg("idle");
        let waiting = Waiting::start_by(&mut command, true);
        let pid = child_of(&waiting.pid());
        let arguments = [&["snapshot", &pid, "-o", "one.heapsnapshot"], way].concat();
        let run = leak(waiting.folder.path(), &arguments);
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{words}");
        let file = told
            .lines()
            .find_map(|line| line.strip_prefix("read it:  leak heap "));
        let file = PathBuf::from(file.expect("a line that names the file"));
        assert!(file.starts_with(format!("/proc/{pid}/root")), "{told}");
        assert_eq!(objects(&file, "Kept"), 1000);
        assert_eq!(waiting.files(), [""; 0]);
        // Its own id is another one, by which it is not to be found from here.
        let marked = leak(waiting.folder.path(), &["mark", &pid, "seen"]);
        assert!(marked.status.success());
        waiting.finish();
    }
}

#[test]
fn a_root_that_is_read_only_and_no_tmp_are_told_of_in_one_line() {
    if !root_or_skip("a mount") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let run = |arguments: &str| {
        let line = format!(
            "mkdir -p r; mount --rbind / r; mount -o remount,ro,bind r; mount -t tmpfs -o ro none r/tmp; \
             unset TMPDIR; exec chroot r \"$0\" {arguments}"
        );
        Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "/bin/sh",
                "-ec",
                &line,
            ])
            .arg(tools::leak())
            .current_dir(folder.path())
            .env("LEAK_LIB", tools::library())
            .output()
            .expect("unshare of util-linux")
    };
    let told = "read-only file system";
    assert_refused(&run("watch --rss 1G -- touch started"), told);
    assert_refused(&run("watch --snapshots 2 -- touch started"), told);
    assert_refused(&run("run -- touch started"), told);
}
