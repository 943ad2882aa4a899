//! File names: locations give V8's number of a script; the name is at the script, which functions
//! point to.

use graph::Node;
use rustc_hash::FxHashMap;

use crate::snapshot::{Location, Snapshot};

/// The names of scripts, by V8's number.
#[derive(Debug, Default)]
pub struct Scripts {
    names: FxHashMap<u32, String>,
    nodes: FxHashMap<u32, Node>,
}

impl Scripts {
    /// Of all scripts that a function with a location belongs to.
    pub fn new(snapshot: &Snapshot) -> Scripts {
        let mut names = FxHashMap::default();
        let mut nodes = FxHashMap::default();
        for &(node, location) in snapshot.locations.iter() {
            if names.contains_key(&location.script) {
                continue;
            }
            if let Some((script, name)) = script(snapshot, node) {
                names.insert(location.script, name);
                nodes.insert(location.script, script);
            }
        }
        Scripts { names, nodes }
    }

    /// `/app/server.js:41:7`, lines and columns from 1; the number where the name is not known.
    pub fn place(&self, location: Location) -> String {
        let (line, column) = (location.line + 1, location.column + 1);
        match self.names.get(&location.script) {
            Some(name) => format!("{name}:{line}:{column}"),
            None => format!("script {}:{line}:{column}", location.script),
        }
    }

    /// Where a function, or the constructor of an object, stands.
    pub fn place_of(&self, snapshot: &Snapshot, node: Node) -> Option<String> {
        snapshot.location(node).map(|location| self.place(location))
    }

    /// The name of a script, by V8's number.
    pub(crate) fn name(&self, script: u32) -> Option<&str> {
        self.names.get(&script).map(String::as_str)
    }

    /// What V8 knows of a script.
    pub(crate) fn node(&self, script: u32) -> Option<Node> {
        self.nodes.get(&script).copied()
    }

    /// Whether a location is in code of Node or Chrome itself.
    pub fn is_internal(&self, location: Location) -> bool {
        self.is_internal_script(location.script)
    }

    pub(crate) fn is_internal_script(&self, script: u32) -> bool {
        self.name(script).is_none_or(is_internal)
    }
}

/// Whether a script with some name is one of Node or Chrome itself.
fn is_internal(name: &str) -> bool {
    name.starts_with("node:") || name.starts_with("extensions::")
}

/// Whether a function is one of Node or Chrome itself.
pub(crate) fn is_of_node(snapshot: &Snapshot, function: Node) -> bool {
    script(snapshot, function).is_none_or(|(_, name)| is_internal(&name))
}

/// The script of a function, and its name.
fn script(snapshot: &Snapshot, function: Node) -> Option<(Node, String)> {
    let internal = snapshot.edge_kind.internal;
    let shared = snapshot.follow(function, internal, "shared")?;
    let script = ["script", "script_or_debug_info"]
        .iter()
        .find_map(|name| snapshot.follow(shared, internal, name))?;
    let name = snapshot.name(script);
    // V8 14 says what it is before its name.
    let name = name.strip_prefix("system / Script / ").unwrap_or(&name);
    let name = name.strip_prefix("file://").unwrap_or(name);
    (!name.is_empty() && !name.starts_with("system /")).then(|| (script, name.to_owned()))
}
