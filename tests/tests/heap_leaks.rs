//! `leak heap leaks` on small programs that each have one leak, or its clean twin: the leak is named
//! with its kind and line, and no clean program is accused. `tests/heap/leaks/run.js` says how they run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Version of Node by program, in turn.
const VERSIONS: [&str; 5] = ["18", "20", "22", "24", "26"];

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name != "run.js"))
        .collect();
    files.sort();
    files
}

/// Three snapshots of a program, or `None` with the reason for skipping.
fn snapshots(program: &Path, version: &str, folder: &Path) -> Option<Vec<PathBuf>> {
    let node = leak_tests::tools::target()
        .join(format!("heap-oracle/node_modules/node{version}/bin/node"));
    if !node.exists() {
        eprintln!("skipped: no Node {version}; run scripts/heap-oracle");
        return None;
    }
    let name = program.file_stem().expect("a name").to_string_lossy();
    let outs: Vec<PathBuf> = (0..3)
        .map(|i| folder.join(format!("{name}-{i}.heapsnapshot")))
        .collect();
    let run = Command::new(node)
        .arg(program.with_file_name("run.js"))
        .arg(program)
        .args(&outs)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("node");
    assert!(
        run.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    Some(outs)
}

fn leaks(files: &[PathBuf]) -> Vec<Value> {
    let run = Command::new(leak_tests::tools::leak())
        .args(["heap", "leaks", "--format", "json"])
        .args(files)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let json: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    json["leaks"].as_array().expect("leaks").clone()
}

#[test]
fn every_leak_is_named_with_its_line_and_no_clean_twin_is_accused() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut wrong = Vec::new();
    for (number, program) in programs().iter().enumerate() {
        let version = VERSIONS[number % VERSIONS.len()];
        let Some(files) = snapshots(program, version, folder.path()) else {
            return;
        };
        let found = leaks(&files);
        let text = std::fs::read_to_string(program).expect("a program");
        let name = program.file_name().expect("a name").to_string_lossy();
        let said = || {
            let lines = found
                .iter()
                .map(|leak| format!("{} {} {}", leak["pattern"], leak["what"], leak["place"]));
            format!("{name} on Node {version}: {:?}", lines.collect::<Vec<_>>())
        };
        let Some(pattern) = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("// leak: "))
        else {
            if !found.is_empty() {
                wrong.push(said());
            }
            continue;
        };
        let Some(first) = found.first() else {
            wrong.push(said());
            continue;
        };
        let line = text
            .lines()
            .position(|line| line.contains("// HERE"))
            .map(|at| format!("{name}:{}:", at + 1));
        let place = first["place"].as_str().unwrap_or_default();
        if first["pattern"] != pattern || line.is_some_and(|line| !place.contains(&line)) {
            wrong.push(said());
        }
        // Each of the three has its figures, and they grow.
        for field in ["counts", "retained_bytes"] {
            let values: Vec<u64> = first[field]
                .as_array()
                .expect("figures")
                .iter()
                .filter_map(Value::as_u64)
                .collect();
            assert!(
                values.len() == 3 && values.is_sorted(),
                "{}: {field} {values:?}",
                said()
            );
        }
        assert!(
            first["way"].as_array().is_some_and(|way| !way.is_empty()),
            "{}",
            said()
        );
        for file in files {
            std::fs::remove_file(file).expect("a file");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn questions_are_answered_and_bounds_are_checked() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/map.js");
    let Some(files) = snapshots(&program, "22", folder.path()) else {
        return;
    };
    let file = files[2].to_str().expect("a name");
    let leak = |arguments: &[&str]| {
        let run = Command::new(leak_tests::tools::leak())
            .arg("heap")
            .args(arguments)
            .output()
            .expect("leak");
        let json = serde_json::from_slice::<Value>(&run.stdout).unwrap_or_default();
        (
            run.status.code(),
            json,
            String::from_utf8_lossy(&run.stderr).into_owned(),
        )
    };
    let query = |text: &str| leak(&["query", file, text, "--format", "json"]);
    let (_, all, _) = query("class == Session");
    assert_eq!(all["count"], 400);
    let id = all["nodes"][0]["id"].to_string();
    assert_eq!(
        query(&format!(
            "id == @{id} && has('user') && place ~ 'map.js' && !detached"
        ))
        .1["count"],
        1
    );
    assert_eq!(query("class == Session && retained < 10").1["count"], 0);
    let (status, _, error) = query("class = ");
    assert_eq!((status, error.lines().count()), (Some(2), 1), "{error}");

    let (status, why, _) = leak(&["why", file, &format!("@{id}"), "--format", "json"]);
    assert_eq!(status, Some(0));
    assert!(
        why["way"].to_string().contains("variable sessions"),
        "{why}"
    );
    let (status, _, error) = leak(&["why", file, "@4294967295"]);
    assert_eq!((status, error.lines().count()), (Some(2), 1), "{error}");

    let assert = |most: &str, count: &str| {
        leak(&["assert", file, "--max-retained", most, "--max-count", count]).0
    };
    assert_eq!(assert("Session=1MB", "Session=400"), Some(0));
    assert_eq!(assert("Session=1K", "Session=400"), Some(1));
    assert_eq!(assert("Session=1MB", "Session=399"), Some(1));
    assert_eq!(assert("Session", "Session=399"), Some(2));

    let (_, dups, _) = leak(&["dups", file, "--format", "json"]);
    assert!(dups["wasted_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
}

#[test]
fn the_page_shows_itself_in_a_browser_without_a_network() {
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/map.js");
    let Some(files) = snapshots(&program, "22", folder.path()) else {
        return;
    };
    let page = |arguments: &[&str], files: &[PathBuf]| {
        let run = Command::new(leak_tests::tools::leak())
            .arg("heap")
            .args(arguments)
            .args(files)
            .output()
            .expect("leak");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let path = folder.path().join("page.html");
        std::fs::write(&path, &run.stdout).expect("a file");
        for address in ["src=", "href=", "url(", "@import", "fetch("] {
            let text = String::from_utf8_lossy(&run.stdout).into_owned();
            let template = text
                .split("type=\"application/json\">")
                .next()
                .expect("a head");
            assert!(!template.contains(address), "{address}");
        }
        let run = Command::new(&chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--dump-dom",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .arg(format!("file://{}", path.display()))
            .env_remove("LD_PRELOAD")
            .output()
            .expect("chromium");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let one = page(&["--format", "html"], &files[2..]);
    assert!(one.contains("<td>Session <small>"), "no class");
    assert!(one.matches("background: rgb(").count() > 10, "no treemap");
    assert!(one.matches("<details>").count() > 10, "no ways");
    let diff = page(&["diff", "--format", "html"], &files);
    assert!(diff.contains("<th>grown</th>"), "no deltas");
    assert!(diff.contains("class=\"more\">"), "nothing has grown");
}
