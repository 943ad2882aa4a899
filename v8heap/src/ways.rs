//! Why a node is kept, in words: the way from the roots, with what says nothing folded.

use graph::{Edge, Node, Paths};

use crate::figures::Analysis;
use crate::pairs::PAIR;
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;

/// One step of a way, from the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `.name`, `[3]`, `variable "name"`, …; of the first step what kind of root it is.
    pub by: String,
    /// What is reached: its class and, of functions, where they stand.
    pub what: String,
    /// Its id.
    pub id: u32,
    /// How many equal steps this one stands for: links of a chain.
    pub times: u32,
}

/// The cheapest ways to all nodes of a snapshot.
#[derive(Debug)]
pub struct Ways {
    paths: Paths,
}

impl Ways {
    /// Finds the ways: properties and elements are cheap; prototypes, constructors and V8's own are not.
    pub fn new(analysis: &Analysis) -> Ways {
        let snapshot = &analysis.snapshot;
        let kind = &snapshot.edge_kind;
        let named = |name| snapshot.strings.find(name).unwrap_or(u32::MAX);
        let dear = ["__proto__", "constructor", "prototype"].map(named);
        let plain = ["elements", "properties", "table", "backing_store"].map(named);
        let context = named("context");
        let previous = named("previous");
        let cost = |from: Node, edge: Edge| {
            let of = snapshot.edge_kinds[edge as usize];
            let name = snapshot.edge_names[edge as usize];
            Some(if of & PAIR != 0 {
                20
            } else if of == kind.weak {
                return None;
            } else if of == kind.property {
                if dear.contains(&name) { 30 } else { 2 }
            } else if of == kind.element {
                2
            } else if of == kind.context {
                3
            } else if of == kind.internal {
                match name {
                    _ if plain.contains(&name) => 1,
                    _ if name == context => 4,
                    _ if name == previous => 2,
                    // Entries of Maps and Sets are named by their number.
                    _ if snapshot.kinds[from as usize] == snapshot.kind.array => 2,
                    _ => 25,
                }
            } else if of == kind.shortcut {
                40
            } else {
                8
            })
        };
        let root = snapshot.root;
        let starts: Vec<(Node, u8)> = crate::figures::user_roots(snapshot)
            .map(|node| (node, 0))
            .chain([(root, 60)])
            .collect();
        Ways {
            paths: Paths::new(&snapshot.graph, &starts, cost),
        }
    }

    /// The nodes and edges of the way to a node.
    pub fn raw(&self, node: Node) -> Vec<(Node, Edge)> {
        self.paths.to(node)
    }

    /// The way to a node.
    pub fn to(&self, snapshot: &Snapshot, scripts: &Scripts, node: Node) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut way = self.paths.to(node);
        // How a module is found says nothing; that it is one does.
        if let Some(at) = way
            .iter()
            .rposition(|&(from, _)| file_of_module(snapshot, from).is_some())
        {
            way.drain(..at);
        }
        let start = way.first().map_or(node, |&(from, _)| from);
        steps.push(Step {
            by: String::new(),
            what: what(snapshot, scripts, start),
            id: snapshot.ids[start as usize],
            times: 1,
        });
        for (_, edge) in way {
            let to = snapshot.graph.to(edge);
            let Some(by) = by(snapshot, edge) else {
                continue;
            };
            // What has no name of its own is passed over: arrays behind objects, contexts.
            let inner = to != node
                && (snapshot.kinds[to as usize] == snapshot.kind.array
                    || snapshot.name(to).starts_with("system / "));
            let step = Step {
                by,
                what: if inner {
                    String::new()
                } else {
                    what(snapshot, scripts, to)
                },
                id: snapshot.ids[to as usize],
                times: 1,
            };
            match steps.last_mut() {
                Some(last)
                    if last.what == step.what && last.by == step.by && !step.what.is_empty() =>
                {
                    last.times += 1;
                    last.id = step.id;
                }
                _ => steps.push(step),
            }
        }
        // Chains of two kinds of links in turn are not told apart from this far; steps that say
        // nothing are.
        steps.retain(|step| !(step.by.is_empty() && step.what.is_empty()));
        steps
    }
}

/// How an edge is called, or `None` if it says nothing.
fn by(snapshot: &Snapshot, edge: Edge) -> Option<String> {
    let kind = snapshot.kind_of_edge(edge);
    let name = snapshot.edge_name(edge);
    let of = &snapshot.edge_kind;
    Some(if kind == of.property || kind == of.shortcut {
        if name.starts_with('<')
            || name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
        {
            format!(".{name}")
        } else {
            format!("[{name:?}]")
        }
    } else if kind == of.element {
        "[]".to_owned()
    } else if kind == of.context {
        format!("variable {name}")
    } else if kind == of.internal {
        match &*name {
            "elements" | "properties" | "table" | "context" | "previous" | "shared" => {
                String::new()
            }
            _ if name.contains(" pair in WeakMap ") => "entry of a WeakMap".to_owned(),
            _ if name.bytes().all(|byte| byte.is_ascii_digit()) => "entry".to_owned(),
            _ => format!("{{{name}}}"),
        }
    } else {
        String::new()
    })
}

/// The file of a CommonJS module.
fn file_of_module(snapshot: &Snapshot, node: Node) -> Option<String> {
    if snapshot.kinds[node as usize] != snapshot.kind.object || snapshot.name(node) != "Module" {
        return None;
    }
    let file = snapshot.follow(node, snapshot.edge_kind.property, "filename")?;
    (snapshot.kinds[file as usize] == snapshot.kind.string)
        .then(|| snapshot.name(file).into_owned())
}

/// What a node is, in a few words.
pub fn what(snapshot: &Snapshot, scripts: &Scripts, node: Node) -> String {
    let kind = snapshot.kinds[node as usize];
    let name = snapshot.name(node);
    if kind == snapshot.kind.closure {
        let place = snapshot
            .location(node)
            .map(|location| scripts.place(location));
        let called = if name.is_empty() {
            "function".to_owned()
        } else {
            format!("{name}()")
        };
        return match place {
            Some(place) => format!("{called} {place}"),
            None => called,
        };
    }
    if kind == snapshot.kind.string
        || kind == snapshot.kind.concatenated
        || kind == snapshot.kind.sliced
    {
        let text: String = name.chars().take(40).collect();
        let more = if text.len() < name.len() { "…" } else { "" };
        return format!("{text:?}{more}");
    }
    if let Some(file) = file_of_module(snapshot, node) {
        return format!("module {file}");
    }
    if name.is_empty() {
        return format!("({})", snapshot.node_types[usize::from(kind)]);
    }
    name.chars().take(80).collect()
}
