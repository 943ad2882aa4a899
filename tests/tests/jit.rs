//! Code that was made at run time: its names come from the map that compilers leave for perf.

use leak_tests::report::{Report, functions};
use leak_tests::run::Outcome;
use leak_tests::{Run, command_or_skip};
use std::path::{Path, PathBuf};

const SCRIPT: &str = "const kept = [];
function keepsBuffers(n) { for (let i = 0; i < n; i++) kept.push(Buffer.alloc(65536)); }
keepsBuffers(300);
console.log(kept.length);
";

/// Removes a file at the end.
struct Map(PathBuf);

impl Drop for Map {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether the script's allocations are below its function. (Which is several sites once its
/// code has been optimized.)
fn names_the_script(log: &Path) -> bool {
    let report = Report::of(log);
    let sites = report.sites().iter();
    let inside = sites.filter(|site| {
        functions(site)
            .iter()
            .any(|name| name.contains("keepsBuffers"))
    });
    let allocations = inside.filter_map(|site| site["allocations"].as_u64());
    allocations.sum::<u64>() >= 300
}

/// The script's run by a node that writes a perf map.
fn with_perf_map(node: PathBuf) -> Outcome {
    Run::executable(node)
        .args([
            "--perf-basic-prof",
            "--interpreted-frames-native-stack",
            "script.js",
        ])
        .file("script.js", SCRIPT)
        // Else the recorder has the names itself.
        .env("LEAK_JS", "0")
        .seconds(120)
        .under_leak()
}

#[test]
fn functions_of_node_have_the_names_of_its_perf_map() {
    let Some(node) = command_or_skip("node") else {
        return;
    };
    let outcome = with_perf_map(node);
    assert_eq!(outcome.stdout, "300\n");
    let name = format!("perf-{}.map", outcome.pid);
    let map = Map(Path::new("/tmp").join(&name));
    if !map.0.exists() {
        return eprintln!("skipped: this node writes no {}", map.0.display());
    }
    assert!(
        names_the_script(outcome.log()),
        "no names from {}",
        map.0.display()
    );

    let saved = outcome.folder.path().join(&name);
    std::fs::copy(&map.0, &saved).expect("a copy");
    drop(map);
    assert!(
        names_the_script(outcome.log()),
        "no names from the copy beside the log"
    );

    std::fs::remove_file(&saved).expect("removed");
    assert!(!names_the_script(outcome.log()), "names from nowhere");
}

#[test]
fn a_perf_map_that_is_older_than_the_process_is_not_used() {
    let Some(node) = command_or_skip("node") else {
        return;
    };
    let outcome = with_perf_map(node);
    let map = Map(Path::new("/tmp").join(format!("perf-{}.map", outcome.pid)));
    let Ok(file) = std::fs::File::options().write(true).open(&map.0) else {
        return eprintln!("skipped: this node writes no {}", map.0.display());
    };
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    file.set_modified(before).expect("an older file");
    assert!(!names_the_script(outcome.log()));
}
