//! The page of leaks: each with its growth, its place, its cure, and who points to it.

use std::io::{self, Write};

use graph::Retainers;
use serde_json::{Value, json};
use v8heap::{Analysis, Scripts, Ways};

use super::tree::Trees;

const PAGE: &str = include_str!("leaks.html");

/// Leaks with a tree of retainers, and nodes in each.
const TREES: usize = 50;
const NODES: usize = 60;

/// Writes the page; `said` is what the JSON report says, `all` how many leaks there are with those that are
/// not shown, `last` the last snapshot.
pub fn write(mut said: Value, all: usize, last: &Analysis, out: &mut impl Write) -> io::Result<()> {
    let scripts = Scripts::new(&last.snapshot);
    let ways = Ways::new(last, &scripts);
    let retainers = Retainers::new(&last.snapshot.graph);
    let trees = Trees {
        analysis: last,
        scripts: &scripts,
        ways: &ways,
        retainers: &retainers,
    };
    said["all"] = json!(all);
    if let Some(leaks) = said["leaks"].as_array_mut() {
        for leak in leaks.iter_mut().take(TREES) {
            let id = leak["id"].as_u64().and_then(|id| u32::try_from(id).ok());
            if let Some(node) = id.and_then(|id| last.snapshot.node_of_id(id)) {
                leak["tree"] = trees.of(node, NODES);
            }
        }
    }
    super::render(PAGE, &said, out)
}
