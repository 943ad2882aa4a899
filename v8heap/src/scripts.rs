//! File names: locations give V8's number of a script; the name is at the script, which functions
//! point to.

use graph::Node;
use rustc_hash::FxHashMap;

use crate::snapshot::{Location, Snapshot};

/// The names of scripts, by V8's number.
#[derive(Debug, Default)]
pub struct Scripts {
    names: FxHashMap<u32, String>,
}

impl Scripts {
    /// Of all scripts that a function with a location belongs to.
    pub fn new(snapshot: &Snapshot) -> Scripts {
        let mut names = FxHashMap::default();
        for &(node, location) in &snapshot.locations {
            if names.contains_key(&location.script) {
                continue;
            }
            if let Some(name) = script(snapshot, node) {
                names.insert(location.script, name);
            }
        }
        Scripts { names }
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

    /// Whether a location is in code of Node or Chrome itself.
    pub fn is_internal(&self, location: Location) -> bool {
        self.names
            .get(&location.script)
            .is_none_or(|name| name.starts_with("node:") || name.starts_with("extensions::"))
    }
}

/// The script of a function.
fn script(snapshot: &Snapshot, function: Node) -> Option<String> {
    let internal = snapshot.edge_kind.internal;
    let shared = snapshot.follow(function, internal, "shared")?;
    let script = ["script", "script_or_debug_info"]
        .iter()
        .find_map(|name| snapshot.follow(shared, internal, name))?;
    let name = snapshot.name(script);
    // V8 14 says what it is before its name.
    let name = name.strip_prefix("system / Script / ").unwrap_or(&name);
    let name = name.strip_prefix("file://").unwrap_or(name);
    (!name.is_empty() && !name.starts_with("system /")).then(|| name.to_owned())
}
