//! The page of one object: why it is kept, what it has, who points to it.

use std::io::{self, Write};
use std::path::Path;

use graph::Retainers;
use serde_json::{Value, json};
use v8heap::{Analysis, Scripts, Ways};

use super::tree::Trees;

const PAGE: &str = include_str!("why.html");

/// Nodes in the tree of retainers.
const NODES: usize = 400;

/// Writes the page of a node; `said` is what the JSON report says of it.
pub fn write(
    file: &Path,
    analysis: &Analysis,
    scripts: &Scripts,
    ways: &Ways,
    node: u32,
    mut said: Value,
    out: &mut impl Write,
) -> io::Result<()> {
    let retainers = Retainers::new(&analysis.snapshot.graph);
    let trees = Trees {
        analysis,
        scripts,
        ways,
        retainers: &retainers,
    };
    said["file"] = json!(file.display().to_string());
    said["tree"] = trees.of(node, NODES);
    super::render(PAGE, &said, out)
}
