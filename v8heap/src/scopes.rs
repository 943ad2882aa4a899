//! Variables of files: the scopes that live as long as the program does, so that a way that leads
//! through one may begin there.
//!
//! V8 keeps variables in contexts (those that some function uses) and, of ES modules, exported ones
//! in cells. A context says neither whose it is nor which file it is of: that follows from the
//! closures that see it, and from what it is linked to:
//!
//! ```text
//! closure ─context─> Context ─previous─> Context ─previous─> NativeContext
//!    └─shared─> script        └─scope_info─> ScopeInfo: names of the variables, of the function
//! SourceTextModule ─> exports: name, Cell, name, Cell, …      ─> Cells of its own
//! ```

use std::borrow::Cow;

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::scripts::Scripts;
use crate::snapshot::Snapshot;

/// The file of a scope: V8's number of the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) script: u32,
    /// Code of Node or Chrome itself.
    pub(crate) internal: bool,
}

/// An exported variable of an ES module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Export {
    /// The string's number of its name.
    pub(crate) name: u32,
    /// The scope of its module, if a function uses anything of it.
    pub(crate) scope: Option<Node>,
    pub(crate) file: Option<File>,
}

/// The scopes of files, and whose all others are.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    files: FxHashMap<Node, File>,
    exports: FxHashMap<Node, Export>,
}

impl Scopes {
    pub(crate) fn new(snapshot: &Snapshot, scripts: &Scripts) -> Scopes {
        let mut scopes = Scopes::default();
        let outermost = outermost(snapshot, scripts);
        let modules = common_js_files(snapshot);
        // How many there are of each: the scope of a file is there once.
        let mut of_info: FxHashMap<Node, u32> = FxHashMap::default();
        for scope in outermost.keys() {
            if let Some(info) = scope_info(snapshot, *scope) {
                *of_info.entry(info).or_default() += 1;
            }
        }
        for (&scope, &file) in &outermost {
            let once = scope_info(snapshot, scope).is_none_or(|info| of_info[&info] == 1);
            let name = scripts.name(file.script);
            if once || name.is_some_and(|name| modules.contains(name)) {
                scopes.files.insert(scope, file);
            }
        }
        scopes.read_exports(snapshot, scripts);
        scopes
    }

    /// The file whose outermost variables are in this context.
    pub(crate) fn file(&self, context: Node) -> Option<File> {
        self.files.get(&context).copied()
    }

    /// The exported variable whose value is in this cell.
    pub(crate) fn export(&self, cell: Node) -> Option<Export> {
        self.exports.get(&cell).copied()
    }

    /// The name of the function whose variables are in a context, if it is a function's and has one.
    ///
    /// A ScopeInfo has the names of the variables; then, of functions, the name and the one that V8 gave
    /// it for want of one, or nothing; then the scope around.
    pub(crate) fn function(&self, snapshot: &Snapshot, context: Node) -> Option<u32> {
        let info = scope_info(snapshot, context)?;
        let fields: Vec<(u32, Node)> = snapshot
            .graph
            .of(info)
            .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden)
            .map(|edge| (snapshot.edge_names[edge as usize], snapshot.graph.to(edge)))
            .collect();
        let is_string = |node: Node| snapshot.kinds[node as usize] == snapshot.kind.string;
        let around = fields.iter().position(|&(_, node)| !is_string(node))?;
        let (last, name) = fields[around.checked_sub(1)?];
        let text = |node: Node| snapshot.strings.raw(snapshot.names[node as usize]);
        let before = around.checked_sub(2).map(|before| text(fields[before].1));
        // A block has nothing between its variables and the scope around.
        let of_a_function = fields[around].0 > last + 1
            || before.is_some_and(|before| before.is_empty() || before == text(name));
        (of_a_function && !text(name).is_empty()).then(|| snapshot.names[name as usize])
    }

    /// Whether the variables in a context are the program's: V8's own functions have some without names.
    pub(crate) fn has_names(snapshot: &Snapshot, context: Node) -> bool {
        scope_info(snapshot, context).is_some_and(|info| {
            snapshot.graph.of(info).any(|edge| {
                let to = snapshot.graph.to(edge);
                snapshot.kinds[to as usize] == snapshot.kind.string
            })
        })
    }

    /// All contexts of files.
    pub(crate) fn contexts(&self) -> impl Iterator<Item = (Node, File)> + '_ {
        self.files.iter().map(|(&node, &file)| (node, file))
    }

    /// All cells of exported variables.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (Node, Export)> + '_ {
        self.exports.iter().map(|(&node, &export)| (node, export))
    }

    fn read_exports(&mut self, snapshot: &Snapshot, scripts: &Scripts) {
        let (Some(module), Some(cell)) = (
            snapshot.strings.find("system / SourceTextModule"),
            snapshot.strings.find("system / Cell"),
        ) else {
            return;
        };
        let modules = (0..snapshot.graph.nodes() as Node).filter(|&node| {
            snapshot.names[node as usize] == module
                && snapshot.kinds[node as usize] != snapshot.kind.string
        });
        for module in modules {
            // Its fields have numbers that differ from version to version: its code is followed by
            // the cells of its own exports, and the table of all exports comes first.
            let fields: Vec<Node> = snapshot
                .graph
                .of(module)
                .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden)
                .map(|edge| snapshot.graph.to(edge))
                .collect();
            let is_code = |&node: &Node| snapshot.name(node) == "Generator";
            let Some(code) = fields.iter().position(is_code) else {
                continue;
            };
            let internal = snapshot.edge_kind.internal;
            let scope = snapshot.follow(fields[code], internal, "context");
            let closure = snapshot.follow(fields[code], internal, "function");
            let file = scope.and_then(|scope| self.file(scope)).or_else(|| {
                let location = snapshot.location(closure?)?;
                Some(file_of(scripts, location.script))
            });
            let own: FxHashSet<Node> = fields
                .get(code + 1)
                .map(|&array| snapshot.graph.of(array))
                .into_iter()
                .flatten()
                .map(|edge| snapshot.graph.to(edge))
                .collect();
            let table = fields.first().map(|&table| numbered(snapshot, table));
            for pair in table.unwrap_or_default().windows(2) {
                let [(first, name), (second, value)] = *pair else {
                    continue;
                };
                let named = snapshot.kinds[name as usize] == snapshot.kind.string;
                if named
                    && second == first + 1
                    && snapshot.names[value as usize] == cell
                    && own.contains(&value)
                {
                    let name = snapshot.names[name as usize];
                    self.exports.insert(value, Export { name, scope, file });
                }
            }
        }
    }
}

fn file_of(scripts: &Scripts, script: u32) -> File {
    File {
        script,
        internal: scripts.is_internal_script(script),
    }
}

/// The numbered references of a table, ascending.
fn numbered(snapshot: &Snapshot, table: Node) -> Vec<(u32, Node)> {
    let mut all: Vec<(u32, Node)> = snapshot
        .graph
        .of(table)
        .filter_map(|edge| {
            let number = snapshot.edge_name(edge).parse().ok()?;
            Some((number, snapshot.graph.to(edge)))
        })
        .collect();
    all.sort_unstable();
    all
}

/// What says the names of a context's variables.
pub(crate) fn scope_info(snapshot: &Snapshot, context: Node) -> Option<Node> {
    snapshot.follow(context, snapshot.edge_kind.internal, "scope_info")
}

/// The outermost scopes, with nothing but V8's own and other scripts' around them, by the files of
/// the functions that see them.
fn outermost(snapshot: &Snapshot, scripts: &Scripts) -> FxHashMap<Node, File> {
    let internal = snapshot.edge_kind.internal;
    let of_scripts = script_scopes(snapshot);
    let mut found = FxHashMap::default();
    let mut seen: FxHashSet<Node> = FxHashSet::default();
    for &(node, location) in snapshot.locations.iter() {
        if snapshot.kinds[node as usize] != snapshot.kind.closure {
            continue;
        }
        let mut scope = snapshot.follow(node, internal, "context");
        while let Some(at) = scope {
            if is_native(snapshot, at) || !seen.insert(at) {
                break;
            }
            let around = snapshot.follow(at, internal, "previous");
            if around
                .is_none_or(|around| is_native(snapshot, around) || of_scripts.contains(&around))
            {
                found.insert(at, file_of(scripts, location.script));
            }
            scope = around;
        }
    }
    found
}

/// The scopes of `let`, `const` and classes outside of all functions of scripts that are no modules.
fn script_scopes(snapshot: &Snapshot) -> FxHashSet<Node> {
    let Some(table) = snapshot.strings.find("script_context_table") else {
        return FxHashSet::default();
    };
    native_contexts(snapshot)
        .flat_map(|native| snapshot.graph.of(native))
        .filter(|&edge| snapshot.edge_names[edge as usize] == table)
        .flat_map(|edge| snapshot.graph.of(snapshot.graph.to(edge)))
        .map(|edge| snapshot.graph.to(edge))
        .filter(|&node| snapshot.name(node).starts_with("system / "))
        .collect()
}

/// Whether a node holds what is built into V8, of one global object.
fn is_native(snapshot: &Snapshot, node: Node) -> bool {
    snapshot
        .strings
        .raw(snapshot.names[node as usize])
        .starts_with(b"system / NativeContext")
        && snapshot.kinds[node as usize] != snapshot.kind.string
}

/// One for each global object.
pub(crate) fn native_contexts(snapshot: &Snapshot) -> impl Iterator<Item = Node> + '_ {
    (0..snapshot.graph.nodes() as Node).filter(|&node| is_native(snapshot, node))
}

/// The files of CommonJS modules.
fn common_js_files(snapshot: &Snapshot) -> FxHashSet<String> {
    (0..snapshot.graph.nodes() as Node)
        .filter_map(|node| common_js_file(snapshot, node))
        .collect()
}

/// The file of a CommonJS module.
pub(crate) fn common_js_file(snapshot: &Snapshot, node: Node) -> Option<String> {
    if snapshot.kinds[node as usize] != snapshot.kind.object
        || snapshot.strings.raw(snapshot.names[node as usize]) != b"Module"
    {
        return None;
    }
    let file = snapshot.follow(node, snapshot.edge_kind.property, "filename")?;
    snapshot.text(file).map(Cow::into_owned)
}
