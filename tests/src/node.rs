//! The versions of Node that tests run: the machine's own, and those that
//! `scripts/heap-oracle` has fetched.

use std::path::PathBuf;

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
    let said = std::process::Command::new(&path)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = text
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()?;
    Some(Node { path, version })
}

/// A program of `tests/programs/node/`.
pub fn program(name: &str) -> PathBuf {
    crate::compile::sources()
        .join("node")
        .join(format!("{name}.js"))
}
