//! The versions of Node that tests run: the machine's own, and those that
//! `scripts/heap-oracle` has fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Node to run.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its executable.
    pub path: PathBuf,
    /// First number of its version.
    pub version: u32,
}

/// All that are on this machine, by version; says which of 18 to 26 are not, and why not.
pub fn versions() -> Vec<Node> {
    let fetched = crate::tools::target().join("heap-oracle/node_modules");
    let mut found: Vec<Node> = [18, 20, 22, 24, 26]
        .into_iter()
        .map(|version| Node {
            path: fetched.join(format!("node{version}/bin/node")),
            version,
        })
        .filter(|node| {
            let there = node.path.is_file();
            if !there {
                eprintln!(
                    "skipped: Node {} is not there (scripts/heap-oracle fetches it)",
                    node.version
                );
            }
            there
        })
        .collect();
    if let Some(own) = crate::command_or_skip("node").and_then(own)
        && found.iter().all(|node| node.version != own.version)
    {
        found.push(own);
    }
    found
}

/// The machine's Node.
fn own(path: PathBuf) -> Option<Node> {
    let said = Command::new(&path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = text
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()?;
    Some(Node { path, version })
}

/// Runs one of the fetched versions to its end; `false` if it is not there.
pub fn run(version: &str, arguments: &[&Path]) -> bool {
    let node =
        crate::tools::target().join(format!("heap-oracle/node_modules/node{version}/bin/node"));
    if !node.exists() {
        eprintln!("skipped: no Node {version}; run scripts/heap-oracle");
        return false;
    }
    let run = Command::new(node)
        .args(arguments)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("node");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "Node {version} {arguments:?}: {said}");
    true
}

/// Three heap snapshots in `folder` of a program as `tests/heap/leaks/run.js` runs it; `None` where this Node is not.
pub fn three_snapshots(program: &Path, version: &str, folder: &Path) -> Option<Vec<PathBuf>> {
    let name = program.file_stem()?.to_string_lossy();
    let outs: Vec<PathBuf> = (0..3)
        .map(|i| folder.join(format!("{name}-{i}.heapsnapshot")))
        .collect();
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/run.js");
    let arguments = [&runner, program];
    let arguments = arguments
        .into_iter()
        .chain(outs.iter().map(PathBuf::as_path));
    run(version, &arguments.collect::<Vec<_>>()).then_some(outs)
}

/// A program of `tests/programs/node/`.
pub fn program(name: &str) -> PathBuf {
    crate::compile::sources()
        .join("node")
        .join(format!("{name}.js"))
}
