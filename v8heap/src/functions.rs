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
    /// And in that of the functions inside of it, of which no closure may be left.
    inner: FxHashSet<u32>,
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
                let (words, inner) = words(snapshot, shared);
                all.push(Function {
                    location,
                    name: snapshot.name(node).into_owned(),
                    contexts: FxHashSet::default(),
                    words,
                    inner,
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
            let named_inside = named || name.is_some_and(|name| function.inner.contains(&name));
            let sees = context.is_some_and(|context| function.contexts.contains(&context));
            let adds = self.adds(&function.words);
            let adds_inside = adds || self.adds(&function.inner);
            match () {
                () if named && adds => 6,
                () if sees && adds => 5,
                () if named_inside && adds_inside => 4,
                () if sees && adds_inside => 3,
                () if named => 2,
                () if sees => 1,
                () => 0,
            }
        };
        let place = |function: &Function| (function.location.line, function.location.column);
        // Of two, one inside of the other, the inner one.
        let best = self
            .all
            .iter()
            .max_by_key(|function| (score(function), place(function)))?;
        (score(best) > 0).then(|| (best.name.clone(), best.location))
    }

    /// The method of an object's class that most likely adds to what only the class can name.
    pub(crate) fn method(&self, snapshot: &Snapshot, object: Node) -> Option<(String, Location)> {
        let property = snapshot.edge_kind.property;
        let class = snapshot.follow(object, property, "__proto__")?;
        let methods: FxHashSet<Location> = snapshot
            .graph
            .of(class)
            .filter_map(|edge| snapshot.location(snapshot.graph.to(edge)))
            .collect();
        let adds = |function: &&Function| {
            methods.contains(&function.location)
                && (self.adds(&function.words) || self.adds(&function.inner))
        };
        let found = self.all.iter().find(adds)?;
        Some((found.name.clone(), found.location))
    }

    fn adds(&self, words: &FxHashSet<u32>) -> bool {
        words.iter().any(|word| self.adding.contains(word))
    }

    /// The innermost function around a place, by lines: the last that begins before it.
    pub(crate) fn around(&self, place: Location) -> Option<(String, Location)> {
        let function = self.innermost(place)?;
        Some((function.name.clone(), function.location))
    }

    /// Whether that function's code names a word.
    pub(crate) fn around_names(&self, place: Location, word: Option<u32>) -> bool {
        let function = self.innermost(place);
        function.is_some_and(|function| word.is_some_and(|word| function.words.contains(&word)))
    }

    fn innermost(&self, place: Location) -> Option<&Function> {
        self.all
            .iter()
            .filter(|function| {
                function.location.script == place.script
                    && (function.location.line, function.location.column)
                        < (place.line, place.column)
            })
            .max_by_key(|function| (function.location.line, function.location.column))
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

/// The strings that a function's code names, and those of the functions inside of it.
fn words(snapshot: &Snapshot, shared: Node) -> (FxHashSet<u32>, FxHashSet<u32>) {
    let mut own = FxHashSet::default();
    let mut inner = FxHashSet::default();
    let mut list = vec![(shared, false)];
    let mut next = 0;
    while next < list.len() && next < 256 {
        let (node, inside) = list[next];
        next += 1;
        let constants = snapshot.name(node) == "(constant pool)";
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let kind = snapshot.kinds[to as usize];
            if kind == snapshot.kind.string {
                let words = if inside { &mut inner } else { &mut own };
                words.insert(snapshot.names[to as usize]);
            } else if kind == snapshot.kind.code && !list.iter().any(|&(known, _)| known == to) {
                let name = snapshot.name(to);
                let data = matches!(
                    &*snapshot.edge_name(edge),
                    "function_data" | "interpreter_data"
                );
                if data || CODE.iter().any(|code| name.starts_with(code)) {
                    list.push((to, inside));
                } else if constants && is_function(snapshot, to) {
                    list.push((to, true));
                }
            }
        }
    }
    (own, inner)
}

/// Whether a node is what V8 knows of a function, for all its closures.
fn is_function(snapshot: &Snapshot, node: Node) -> bool {
    let internal = snapshot.edge_kind.internal;
    snapshot
        .follow(node, internal, "name_or_scope_info")
        .is_some()
}
