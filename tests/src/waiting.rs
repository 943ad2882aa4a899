//! Programs of Node's that wait while they are asked for their heaps.

use crate::node::{Node, program};
use crate::{ready, tools};
use serde_json::Value;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output};

/// A program of Node's that waits.
pub struct Waiting {
    /// The program.
    pub child: Child,
    out: BufReader<ChildStdout>,
    /// Its working directory.
    pub folder: tempfile::TempDir,
}

impl Waiting {
    /// Starts `ask.js`, which has said that it is ready.
    pub fn start(node: &Node, way: &str) -> Waiting {
        Waiting::start_with(node, &[], way, true)
    }

    /// The same with flags for Node, and with libleak or without.
    pub fn start_with(node: &Node, flags: &[&str], way: &str, preload: bool) -> Waiting {
        let mut command = Command::new(&node.path);
        command.args(flags).arg(program("ask")).arg(way);
        Waiting::start_by(&mut command, preload)
    }

    /// Starts it by a command, which becomes it.
    pub fn start_by(command: &mut Command, preload: bool) -> Waiting {
        let folder = tempfile::tempdir().expect("a directory");
        Waiting::start_in(folder, command, preload)
    }

    /// The same in a directory that is there already.
    pub fn start_in(folder: tempfile::TempDir, command: &mut Command, preload: bool) -> Waiting {
        let (child, out) = ready::start(command.current_dir(folder.path()), preload);
        Waiting { child, out, folder }
    }

    /// Starts it in a name space of its own for mounts, after a shell line that makes some.
    pub fn start_mounted(node: &Node, line: &str, way: &str) -> Waiting {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "/bin/sh", "-ec"])
            .arg(format!("{line}; exec \"$0\" \"$@\""))
            .arg(&node.path)
            .arg(program("ask"))
            .arg(way);
        Waiting::start_by(&mut command, true)
    }

    /// Its process id.
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// A job of leak's about it, such as `snapshot`.
    pub fn leak(&self, job: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(tools::leak());
        command.current_dir(self.folder.path()).arg(job);
        let run = command.arg(self.pid()).args(arguments).output();
        run.expect("leak runs")
    }

    /// The job fails, with one line that has these words.
    pub fn refused(&self, job: &str, arguments: &[&str], words: &str) {
        assert_refused(&self.leak(job, arguments), words);
    }

    /// Takes a snapshot into a file.
    pub fn snapshot(&self, name: &str) -> PathBuf {
        let run = self.leak("snapshot", &["-o", name]);
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{words}");
        for part in [
            "in use: the program will stand for about",
            "stood for ",
            "read it:  leak heap",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        self.folder.path().join(name)
    }

    /// What is in the program's directory besides its log.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("a directory");
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.ends_with(".leak"))
            .collect()
    }

    /// No file of the program's may become larger than 1 MiB.
    pub fn limit_files(&self) {
        let limit = libc::rlimit {
            rlim_cur: 1 << 20,
            rlim_max: 1 << 20,
        };
        let pid = self.child.id().cast_signed();
        let before = std::ptr::null_mut();
        // SAFETY: a live limit.
        let limited = unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, before) };
        assert_eq!(limited, 0);
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        crate::run::logs_in(self.folder.path()).remove(0)
    }

    /// Ends the program; it must have seen nothing, and end as without all this.
    pub fn finish(mut self) -> tempfile::TempDir {
        let mut input = self.child.stdin.take().expect("a pipe");
        input.write_all(b"x\n").expect("it reads");
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("it ends");
        let status = self.child.wait().expect("it ends");
        assert_eq!((rest.as_str(), status.code()), ("seen: nothing\n", Some(7)));
        self.folder
    }
}

/// Status 2, and one line that has these words.
pub fn assert_refused(run: &Output, words: &str) {
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(
        (run.status.code(), told.lines().count()),
        (Some(2), 1),
        "{told}"
    );
    assert!(told.contains(words), "{told}");
}

/// What `leak heap` says, as JSON.
pub fn heap(arguments: &[&str]) -> Value {
    let run = Command::new(tools::leak())
        .args(["heap"])
        .args(arguments)
        .args(["--format", "json"])
        .output()
        .expect("leak runs");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{told}");
    serde_json::from_slice(&run.stdout).expect("JSON")
}

/// Objects of a class in a snapshot.
pub fn objects(file: &Path, class: &str) -> u64 {
    let report = heap(&[file.to_str().expect("a name")]);
    let classes = report["classes"].as_array().expect("classes");
    let named = classes.iter().filter(|one| one["name"] == class);
    named.filter_map(|one| one["count"].as_u64()).sum()
}
