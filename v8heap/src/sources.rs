//! The text of scripts, for what a snapshot does not say: the line where a variable is declared, limits of
//! containers.
//!
//! V8 writes the first 1,024 characters of a string. What is longer is read from the script's file,
//! if that is still there and begins with the same text.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use graph::Node;

use crate::scripts::Scripts;
use crate::snapshot::Snapshot;

/// Where V8 cuts strings, unless it is told otherwise.
const CUT: usize = 1024;
/// Larger files are not read.
const MOST: u64 = 8 << 20;

/// Files that are one script.
const EXTENSIONS: [&str; 8] = ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"];

/// The text of scripts that were asked for, by V8's number.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    texts: RefCell<FxHashMap<u32, Option<Arc<str>>>>,
    /// The script of a scope, by what has the names of its variables.
    of_scopes: RefCell<FxHashMap<Node, Option<u32>>>,
}

impl Sources {
    /// The line (from 1) on which a file's own variable is declared, if that is plain.
    pub(crate) fn line_of(
        &self,
        snapshot: &Snapshot,
        scripts: &Scripts,
        script: u32,
        variable: &str,
    ) -> Option<usize> {
        // The text of a script within a page begins somewhere in its file.
        let name = Path::new(scripts.name(script)?);
        let whole = name.extension().and_then(OsStr::to_str);
        whole.filter(|extension| EXTENSIONS.contains(extension))?;
        let text = self.text(snapshot, scripts, script)?;
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| declares(line, variable));
        let (line, _) = lines.next()?;
        lines.next().is_none().then_some(line + 1)
    }

    /// The script of a scope, which is looked for once.
    pub(crate) fn script_of_scope(
        &self,
        info: Node,
        find: impl FnOnce() -> Option<u32>,
    ) -> Option<u32> {
        *self.of_scopes.borrow_mut().entry(info).or_insert_with(find)
    }

    /// The whole text of a script, if it is at hand.
    pub(crate) fn text(
        &self,
        snapshot: &Snapshot,
        scripts: &Scripts,
        script: u32,
    ) -> Option<Arc<str>> {
        self.texts
            .borrow_mut()
            .entry(script)
            .or_insert_with(|| text(snapshot, scripts, script).map(Arc::from))
            .clone()
    }
}

/// The text of a script.
fn text(snapshot: &Snapshot, scripts: &Scripts, script: u32) -> Option<String> {
    let node = scripts.node(script)?;
    let source = snapshot.follow(node, snapshot.edge_kind.internal, "source")?;
    let start = snapshot.name(source);
    if start.chars().count() < CUT {
        return Some(start.into_owned());
    }
    let path = Path::new(scripts.name(script)?);
    let metadata = path.metadata().ok()?;
    if !path.is_absolute() || !metadata.is_file() || metadata.len() > MOST {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    text.starts_with(&*start).then_some(text)
}

/// Whether a line that is not indented declares a variable, a class or a function of this name.
fn declares(line: &str, name: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    if line.starts_with([' ', '\t']) {
        return false;
    }
    let mut word = words.next();
    while matches!(word, Some("export" | "default" | "async")) {
        word = words.next();
    }
    if !matches!(
        word,
        Some("const" | "let" | "var" | "class" | "function" | "function*")
    ) {
        return false;
    }
    let Some(rest) = words.next().and_then(|word| word.strip_prefix(name)) else {
        return false;
    };
    !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$'))
}

#[cfg(test)]
mod tests {
    use super::declares;

    #[test]
    fn declarations_of_a_file_are_told_from_uses_and_from_those_of_functions() {
        for line in [
            "const rooms = new Map();",
            "let rooms;",
            "export default class rooms {",
            "export const rooms=new Map()",
            "async function rooms(user) {",
        ] {
            assert!(declares(line, "rooms"), "{line}");
        }
        for line in [
            "rooms = new Map();",
            "  const rooms = new Map();",
            "const roomsOfUser = 1;",
            "// const rooms",
            "const { rooms } = require('./rooms');",
        ] {
            assert!(!declares(line, "rooms"), "{line}");
        }
    }
}
