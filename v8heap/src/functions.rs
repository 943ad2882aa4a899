//! The functions of the user's own code, and what their byte code names: which of them adds to a
//! container is not in a snapshot, but which of them call `push` and know its name is.

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::scripts::Scripts;
use crate::snapshot::{Location, Snapshot};

/// Methods that add to a container.
const ADDING: [&str; 14] = [
    "push",
    "set",
    "add",
    "unshift",
    "append",
    "enqueue",
    "on",
    "once",
    "addListener",
    "addEventListener",
    "prependListener",
    "then",
    "setTimeout",
    "setInterval",
];

/// One function of the source, however many closures of it there are.
#[derive(Debug)]
struct Function {
    location: Location,
    name: String,
    contexts: FxHashSet<Node>,
    /// The strings in its byte code.
    words: FxHashSet<u32>,
}

/// All functions with a place in the user's own code.
#[derive(Debug)]
pub(crate) struct Functions {
    all: Vec<Function>,
    adding: FxHashSet<u32>,
}

impl Functions {
    pub(crate) fn new(snapshot: &Snapshot, scripts: &Scripts) -> Functions {
        let internal = snapshot.edge_kind.internal;
        let mut by_shared: FxHashMap<Node, usize> = FxHashMap::default();
        let mut all: Vec<Function> = Vec::new();
        for &(node, location) in &snapshot.locations {
            if snapshot.kinds[node as usize] != snapshot.kind.closure
                || scripts.is_internal(location)
            {
                continue;
            }
            let Some(shared) = snapshot.follow(node, internal, "shared") else {
                continue;
            };
            let at = *by_shared.entry(shared).or_insert_with(|| {
                all.push(Function {
                    location,
                    name: snapshot.name(node).into_owned(),
                    contexts: FxHashSet::default(),
                    words: words(snapshot, shared),
                });
                all.len() - 1
            });
            let context = snapshot.follow(node, internal, "context");
            // A few closures tell; there may be a million.
            if all[at].contexts.len() < 64 {
                all[at].contexts.extend(context);
            }
        }
        let adding = ADDING
            .iter()
            .filter_map(|word| snapshot.strings.find(word))
            .collect();
        Functions { all, adding }
    }

    /// The function that most likely adds to what is held under this name, or in this context.
    /// `within` are functions inside of which the added ones stand.
    pub(crate) fn adder(
        &self,
        name: Option<u32>,
        context: Option<Node>,
    ) -> Option<(String, Location)> {
        let score = |function: &Function| {
            let named = name.is_some_and(|name| function.words.contains(&name));
            let sees = context.is_some_and(|context| function.contexts.contains(&context));
            let adds = function.words.iter().any(|word| self.adding.contains(word));
            match (named, sees, adds) {
                (true, _, true) => 6,
                (_, true, true) => 5,
                (true, _, false) => 3,
                (_, true, false) => 2,
                _ => 0,
            }
        };
        let best = self.all.iter().max_by_key(|function| score(function))?;
        (score(best) > 0).then(|| (best.name.clone(), best.location))
    }

    /// The innermost function around a place, by lines: the last that begins before it.
    pub(crate) fn around(&self, place: Location) -> Option<(String, Location)> {
        self.all
            .iter()
            .filter(|function| {
                function.location.script == place.script
                    && (function.location.line, function.location.column)
                        < (place.line, place.column)
            })
            .max_by_key(|function| (function.location.line, function.location.column))
            .map(|function| (function.name.clone(), function.location))
    }
}

/// What lies between a function and the strings of its code, in one version of V8 or another.
const CODE: [&str; 6] = [
    "system / BytecodeArray",
    "(constant pool)",
    "system / InterpreterData",
    "system / BytecodeWrapper",
    "(code for ",
    "(instruction stream for ",
];

/// The strings that a function's code names.
fn words(snapshot: &Snapshot, shared: Node) -> FxHashSet<u32> {
    let mut words = FxHashSet::default();
    let mut list = vec![shared];
    let mut next = 0;
    while next < list.len() && next < 64 {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let kind = snapshot.kinds[to as usize];
            if kind == snapshot.kind.string {
                words.insert(snapshot.names[to as usize]);
            } else if kind == snapshot.kind.code && !list.contains(&to) {
                let name = snapshot.name(to);
                let data = matches!(
                    &*snapshot.edge_name(edge),
                    "function_data" | "interpreter_data"
                );
                if data || CODE.iter().any(|code| name.starts_with(code)) {
                    list.push(to);
                }
            }
        }
    }
    words
}
