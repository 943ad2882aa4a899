//! `leak heap leaks --stacks LOG`: what the log of the process has sampled, beside what its snapshots tell.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::Command;

use leak_tests::node::{program, versions};
use leak_tests::{ready, run, tools};
use serde_json::Value;

#[test]
fn the_sampled_stack_of_a_leak_is_said_beside_it() {
    // That the mark is made on all versions the tests of snapshots show.
    for node in versions()
        .into_iter()
        .filter(|node| [18, 22, 26].contains(&node.version))
    {
        let folder = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(&node.path);
        command
            .arg(program("sampled"))
            .env("LEAK_JS_SAMPLE", "16384")
            .current_dir(folder.path());
        let (mut child, mut out) = ready::start(&mut command, true);
        let mut input = child.stdin.take().expect("a pipe");
        let mut files: Vec<PathBuf> = Vec::new();
        for number in 0..3 {
            input.write_all(b"more\n").expect("it reads");
            let mut line = String::new();
            out.read_line(&mut line).expect("it answers");
            assert_eq!(line, "ready\n", "Node {}", node.version);
            let file = folder.path().join(format!("{number}.heapsnapshot"));
            let taken = Command::new(tools::leak())
                .arg("snapshot")
                .arg(child.id().to_string())
                .arg("-o")
                .arg(&file)
                .output()
                .expect("leak runs");
            let words = String::from_utf8_lossy(&taken.stderr).into_owned();
            assert!(taken.status.success(), "{words}");
            files.push(file);
        }
        // The log is read while the process runs, as leak watch does.
        let log = run::logs_in(folder.path()).remove(0);
        let leaks = |files: &[PathBuf], format: &str| {
            let told = Command::new(tools::leak())
                .args(["heap", "leaks", "--format", format, "--stacks"])
                .arg(&log)
                .args(files)
                .output()
                .expect("leak runs");
            let words = String::from_utf8_lossy(&told.stderr).into_owned();
            assert!(told.status.success(), "{words}");
            String::from_utf8_lossy(&told.stdout).into_owned()
        };
        let found: Value = serde_json::from_str(&leaks(&files, "json")).expect("JSON");
        let first = &found["leaks"][0];
        let what = first["what"].as_str().unwrap_or_default();
        assert!(what.contains("sessions"), "{found:#}");
        let sampled = first["sampled"].as_array().expect("stacks");
        let others = found["sampled"]["others"].as_array().expect("stacks");
        let functions = |site: &Value| -> Vec<String> {
            let frames = site["stack"].as_array().expect("frames");
            let name = |frame: &Value| frame["function"].as_str().unwrap_or_default().to_owned();
            frames.iter().map(name).collect()
        };
        let all: Vec<_> = sampled.iter().chain(others).map(functions).collect();
        let growth: u64 = sampled
            .iter()
            .filter(|site| functions(site).contains(&"open".to_owned()))
            .filter_map(|site| site["growth_bytes"].as_u64())
            .sum();
        // 800 sessions have come since the first snapshot.
        let retained = first["growth_bytes"].as_u64().unwrap_or(0);
        let whole = found["sampled"]["growth_bytes"].as_u64().unwrap_or(0);
        assert!(
            growth > retained * 3 / 5 && growth < retained * 3 / 2 && growth * 10 > whole * 7,
            "Node {}: {growth} of {whole}, {retained} retained: {all:?}",
            node.version
        );
        if node.version == 22 {
            let text = leaks(&files, "text");
            assert!(
                text.contains("   sampled: ") && text.contains(" by open() "),
                "{text}"
            );
            // As if they were of another process: of another name, and a later time.
            let strange = "nothing in it says that these snapshots are of its process";
            assert!(!text.contains(strange), "{text}");
            let copies = files.iter().map(|file| {
                let copy = file.with_extension("copy.heapsnapshot");
                std::fs::copy(file, &copy).expect("a copy");
                let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_secs(86400);
                let opened = std::fs::File::options().write(true).open(&copy);
                opened
                    .and_then(|file| file.set_modified(tomorrow))
                    .expect("a time");
                copy
            });
            let text = leaks(&copies.collect::<Vec<_>>(), "text");
            assert!(text.contains(strange), "{text}");
        }
        drop(input);
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn a_log_without_such_stacks_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let native = leak_tests::Run::program("depths").under_leak();
    let file = folder.path().join("no.heapsnapshot");
    for (log, words) in [
        (
            native.log().to_owned(),
            "has no sampled stacks of JavaScript",
        ),
        (folder.path().join("none.leak"), "none.leak"),
    ] {
        let run = Command::new(tools::leak())
            .args(["heap", "leaks", "--stacks"])
            .arg(&log)
            .args([&file, &file])
            .output()
            .expect("leak runs");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(words), "{said}");
    }
}
