//! `leak heap` against Chrome DevTools' own snapshot worker, run headless, on the snapshots that
//! `scripts/heap-oracle` made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where `scripts/heap-oracle` puts things; `None` with the reason for skipping.
fn oracle_or_skip() -> Option<PathBuf> {
    let folder = leak_tests::tools::target().join("heap-oracle");
    let there = folder.join("oracle.mjs").exists() && folder.join("snapshots").is_dir();
    if !there {
        eprintln!("skipped: nothing to compare with; run scripts/heap-oracle");
    }
    there.then_some(folder)
}

fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("snapshots")).expect("a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|suffix| suffix == "heapsnapshot")
        })
        .collect();
    files.sort();
    files
}

fn output(command: &mut Command) -> Vec<u8> {
    let run = command
        .env_remove("LD_PRELOAD")
        .output()
        .expect("a program");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{command:?}: {errors}");
    run.stdout
}

fn leak(arguments: &[&str], files: &[&Path]) -> Vec<u8> {
    output(
        Command::new(leak_tests::tools::leak())
            .arg("heap")
            .args(arguments)
            .args(files),
    )
}

/// What DevTools says; kept beside the snapshot, because that is most of the time.
fn devtools(folder: &Path, job: &str, files: &[&Path]) -> Vec<u8> {
    let last = files.last().expect("a file");
    let kept = last.with_extension(format!("{job}.expected"));
    let newer = |path: &Path| {
        let changed = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
        changed(&kept) > changed(path)
    };
    if newer(last) && newer(&folder.join("oracle.mjs")) {
        return std::fs::read(&kept).expect("a file");
    }
    let node = folder.join("node_modules/node22/bin/node");
    let text = output(
        Command::new(node)
            .arg(folder.join("oracle.mjs"))
            .arg(job)
            .args(files),
    );
    std::fs::write(&kept, &text).expect("a file");
    text
}

#[test]
fn every_node_has_the_figures_that_devtools_gives_it() {
    let Some(folder) = oracle_or_skip() else {
        return;
    };
    let files = snapshots(&folder);
    assert!(files.len() >= 12, "only {} snapshots", files.len());
    for file in files {
        let expected = devtools(&folder, "nodes", &[&file]);
        for threads in ["1", "2"] {
            let found = leak(&["--threads", threads, "--nodes"], &[&file]);
            let (mut a, mut b) = (
                found.split(|&byte| byte == b'\n'),
                expected.split(|&byte| byte == b'\n'),
            );
            for line in 1.. {
                match (a.next(), b.next()) {
                    (None, None) => break,
                    (a, b) => assert_eq!(
                        a.map(String::from_utf8_lossy),
                        b.map(String::from_utf8_lossy),
                        "{}, line {line}",
                        file.display()
                    ),
                }
            }
        }
    }
}

fn classes(json: &Value, fields: [&str; 5]) -> BTreeMap<String, Vec<String>> {
    let row = |class: &Value| {
        fields
            .iter()
            .map(|field| class[field].to_string())
            .collect()
    };
    match json {
        Value::Array(all) => all
            .iter()
            .map(|class| (class["key"].as_str().expect("a key").to_owned(), row(class)))
            .collect(),
        Value::Object(all) => all
            .iter()
            .map(|(key, class)| (key.clone(), row(class)))
            .collect(),
        other => panic!("no classes: {other}"),
    }
}

#[test]
fn the_table_of_classes_is_devtools_summary() {
    let Some(folder) = oracle_or_skip() else {
        return;
    };
    for file in snapshots(&folder) {
        let found: Value =
            serde_json::from_slice(&leak(&["--format", "json"], &[&file])).expect("JSON");
        let expected: Value =
            serde_json::from_slice(&devtools(&folder, "classes", &[&file])).expect("JSON");
        assert_eq!(
            classes(
                &found["classes"],
                ["name", "count", "distance", "self_bytes", "retained_bytes"]
            ),
            classes(&expected, ["name", "count", "distance", "self", "retained"]),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_diff_is_devtools_comparison() {
    let Some(folder) = oracle_or_skip() else {
        return;
    };
    let pairs: Vec<[PathBuf; 2]> = [
        ["shapes-node24", "shapes-node26"],
        ["detached-page", "detached-page-2"],
        ["weakmaps-node18", "weakmaps-node22"],
    ]
    .map(|pair| pair.map(|name| folder.join(format!("snapshots/{name}.heapsnapshot"))))
    .into_iter()
    .filter(|pair| pair.iter().all(|file| file.exists()))
    .collect();
    assert!(!pairs.is_empty(), "no pair of snapshots");
    for [before, after] in &pairs {
        let found: Value = serde_json::from_slice(&leak(
            &["diff", "--unrelated", "--format", "json"],
            &[before, after],
        ))
        .expect("JSON");
        let expected: Value =
            serde_json::from_slice(&devtools(&folder, "diff", &[before, after])).expect("JSON");
        assert_eq!(
            classes(
                &found["steps"][0]["classes"],
                ["name", "added", "removed", "added_bytes", "removed_bytes"]
            ),
            classes(
                &expected,
                [
                    "name",
                    "addedCount",
                    "removedCount",
                    "addedSize",
                    "removedSize"
                ]
            ),
            "{}",
            after.display()
        );
    }
}
