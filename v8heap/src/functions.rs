//! The functions of the user's own code, and what their byte code names: which of them adds to a
//! container is not in a snapshot, but which of them call `push` and know its name is.

mod adders;

use graph::Node;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::scripts::Scripts;
use crate::snapshot::{Location, Snapshot};

pub(crate) use adders::Wanted;

/// Methods that add to a container.
const ADDING: [&str; 16] = [
    "push",
    "splice",
    "assign",
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

/// Methods that make something larger, of which a function that only adds need not be one.
const EXTENDING: [&str; 5] = ["concat", "copy", "grow", "resize", "transfer"];

/// One function of the source, however many closures of it there are.
#[derive(Debug)]
struct Function {
    location: Location,
    name: String,
    contexts: FxHashSet<Node>,
    /// These contexts and all around them: whose variables it can name.
    visible: FxHashSet<Node>,
    /// The strings in its byte code.
    words: FxHashSet<u32>,
    /// And in that of the functions inside of it, of which no closure may be left.
    inner: FxHashSet<u32>,
    /// The function it stands in, as far as that one's code is still there.
    outer: Option<usize>,
    /// Whether it has run often: V8 keeps feedback of such functions alone.
    hot: bool,
}

/// A few closures of a function tell which contexts it has; there may be a million.
const MAX_CONTEXTS: usize = 64;

/// All functions with a place in the user's own code.
#[derive(Debug)]
pub(crate) struct Functions {
    all: Vec<Function>,
    adding: FxHashMap<&'static str, u32>,
}

impl Functions {
    pub(crate) fn new(snapshot: &Snapshot, scripts: &Scripts) -> Functions {
        let internal = snapshot.edge_kind.internal;
        let mut by_shared: FxHashMap<Node, usize> = FxHashMap::default();
        let mut nested: Vec<(usize, Vec<Node>)> = Vec::new();
        let mut all: Vec<Function> = Vec::new();
        for &(node, location) in snapshot.locations.iter() {
            if snapshot.kinds[node as usize] != snapshot.kind.closure
                || scripts.is_internal(location)
            {
                continue;
            }
            let Some(shared) = snapshot.follow(node, internal, "shared") else {
                continue;
            };
            let at = *by_shared.entry(shared).or_insert_with(|| {
                let (words, inner, functions) = words(snapshot, shared);
                nested.push((all.len(), functions));
                all.push(Function {
                    location,
                    name: snapshot.name(node).into_owned(),
                    contexts: FxHashSet::default(),
                    visible: FxHashSet::default(),
                    words,
                    inner,
                    outer: None,
                    hot: false,
                });
                all.len() - 1
            });
            all[at].hot = all[at].hot || has_feedback(snapshot, node);
            let context = snapshot.follow(node, internal, "context");
            if all[at].contexts.len() < MAX_CONTEXTS {
                all[at].contexts.extend(context);
                let mut around = context;
                while let Some(scope) = around.filter(|&scope| all[at].visible.insert(scope)) {
                    around = snapshot.follow(scope, internal, "previous");
                }
            }
        }
        for (outer, functions) in nested {
            for shared in functions {
                let Some(&inner) = by_shared.get(&shared).filter(|&&inner| inner != outer) else {
                    continue;
                };
                // Of several around it, the one that begins last.
                let begins = |at: usize| (all[at].location.line, all[at].location.column);
                if all[inner]
                    .outer
                    .is_none_or(|known| begins(known) < begins(outer))
                {
                    all[inner].outer = Some(outer);
                }
            }
        }
        let adding = ADDING
            .iter()
            .chain(&EXTENDING)
            .filter_map(|word| Some((*word, snapshot.strings.find(word)?)))
            .collect();
        Functions { all, adding }
    }

    /// The scripts of functions whose code names a word, or that see the variables of a context.
    pub(crate) fn scripts_with(&self, name: u32, context: Option<Node>) -> FxHashSet<u32> {
        let names = |function: &&Function| match context {
            Some(context) => function.visible.contains(&context),
            None => function.words.contains(&name) || function.inner.contains(&name),
        };
        let named = self.all.iter().filter(names);
        named.map(|function| function.location.script).collect()
    }

    /// Where all of them are.
    pub(crate) fn places(&self) -> impl Iterator<Item = Location> {
        self.all.iter().map(|function| function.location)
    }

    /// Where the functions of a script are.
    pub(crate) fn in_script(&self, script: u32) -> Vec<Location> {
        self.places()
            .filter(|place| place.script == script)
            .collect()
    }

    /// Whether one function stands around another.
    fn is_around(&self, outer: &Function, inner: &Function) -> bool {
        std::iter::successors(inner.outer, |&at| self.all[at].outer)
            .take(self.all.len())
            .any(|at| self.all[at].location == outer.location)
    }

    /// Whether the code of the function that begins at a place names the function with some name.
    pub(crate) fn names(&self, place: Location, name: u32) -> bool {
        self.all
            .iter()
            .any(|function| function.location == place && function.words.contains(&name))
    }

    /// The same, or that of a function inside of it.
    pub(crate) fn names_within(&self, place: Location, name: u32) -> bool {
        self.all.iter().any(|function| {
            let words = [&function.words, &function.inner];
            function.location == place && words.iter().any(|words| words.contains(&name))
        })
    }

    /// Whether the code of any function, or of one inside of it, has a word.
    pub(crate) fn knows(&self, word: u32) -> bool {
        self.all
            .iter()
            .any(|function| function.words.contains(&word) || function.inner.contains(&word))
    }

    /// The method of an object's class that most likely adds to what only the class can name; of a class
    /// itself, the static one.
    pub(crate) fn method(&self, snapshot: &Snapshot, object: Node) -> Option<(String, Location)> {
        let property = snapshot.edge_kind.property;
        let class = match snapshot.kinds[object as usize] == snapshot.kind.closure {
            true => object,
            false => snapshot.follow(object, property, "__proto__")?,
        };
        let methods = self.methods(snapshot, class);
        let adds = |function: &&Function| {
            methods.contains(&function.location)
                && (self.adds(&function.words, &[]) || self.adds(&function.inner, &[]))
        };
        let found = self.all.iter().filter(adds).max_by_key(|found| found.hot)?;
        Some((found.name.clone(), found.location))
    }

    /// The function of a script whose code names a word, and of which more is known by its place and words; of
    /// several one that has run often. If there is no such one: the only one that names the word.
    pub(crate) fn naming(
        &self,
        script: u32,
        word: u32,
        is_wanted: impl Fn(Location, &FxHashSet<u32>) -> bool,
    ) -> Option<(String, Location)> {
        let of_script = self
            .all
            .iter()
            .filter(|function| function.location.script == script);
        let naming: Vec<&Function> = of_script
            .filter(|function| function.words.contains(&word))
            .collect();
        let wanted = naming
            .iter()
            .filter(|function| is_wanted(function.location, &function.words));
        let best = wanted
            .max_by_key(|function| function.hot)
            .or(match &naming[..] {
                [only] => Some(only),
                _ => None,
            })?;
        Some((best.name.clone(), best.location))
    }

    /// The places of a class's methods, given by what has them.
    pub(crate) fn methods(&self, snapshot: &Snapshot, methods: Node) -> FxHashSet<Location> {
        let edges = snapshot.graph.of(methods);
        edges
            .filter_map(|edge| snapshot.location(snapshot.graph.to(edge)))
            .collect()
    }

    /// Whether a method of a class, given by what has its methods, names a word.
    pub(crate) fn class_names(&self, snapshot: &Snapshot, methods: Node, word: u32) -> bool {
        let of_class = self.methods(snapshot, methods);
        self.all.iter().any(|function| {
            of_class.contains(&function.location)
                && (function.words.contains(&word) || function.inner.contains(&word))
        })
    }

    /// The function that begins at a place.
    pub(crate) fn at(&self, place: Location) -> Option<(String, Location)> {
        let function = self
            .all
            .iter()
            .find(|function| function.location == place)?;
        Some((function.name.clone(), function.location))
    }

    /// Whether a function's words are those of one that adds by some methods, or by any.
    fn adds(&self, words: &FxHashSet<u32>, by: &[&str]) -> bool {
        self.adding.iter().any(|(name, word)| {
            let wanted = match by {
                [] => ADDING.contains(name),
                _ => by.contains(name),
            };
            wanted && words.contains(word)
        })
    }

    /// The innermost function around a place: of a function's own place, the one whose code makes it; if that is
    /// gone, and of other places, by lines, the last that begins before it.
    pub(crate) fn around(&self, place: Location) -> Option<(String, Location)> {
        let function = self.innermost(place)?;
        Some((function.name.clone(), function.location))
    }

    /// The function around the one that begins at a place; of one that nothing is known to be around, that one.
    pub(crate) fn around_or_at(&self, place: Location) -> (String, Location) {
        let found = self.around(place).or_else(|| self.at(place));
        found.unwrap_or_else(|| (String::new(), place))
    }

    /// Whether that function's code names a word.
    pub(crate) fn around_names(&self, place: Location, word: Option<u32>) -> bool {
        let function = self.innermost(place);
        function.is_some_and(|function| word.is_some_and(|word| function.words.contains(&word)))
    }

    fn innermost(&self, place: Location) -> Option<&Function> {
        let outer = self
            .all
            .iter()
            .filter(|function| function.location == place)
            .find_map(|function| function.outer);
        if let Some(outer) = outer {
            return Some(&self.all[outer]);
        }
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

/// Whether a closure has run so often that V8 keeps feedback of it.
fn has_feedback(snapshot: &Snapshot, closure: Node) -> bool {
    let internal = snapshot.edge_kind.internal;
    snapshot
        .follow(closure, internal, "feedback_cell")
        .and_then(|cell| snapshot.follow(cell, internal, "value"))
        .is_some_and(|value| snapshot.name(value) == "system / FeedbackVector")
}

/// What lies between a function and the strings of its code, in one version of V8 or another.
const CODE: [&str; 8] = [
    "system / BytecodeArray",
    "(constant pool)",
    "system / InterpreterData",
    "system / BytecodeWrapper",
    "(code for ",
    "(instruction stream for ",
    // Of functions without a name.
    "(BASELINE code",
    "(BASELINE instruction stream",
];

/// The strings that a function's code names, those of the functions inside of it, and these functions: the
/// nearest first.
fn words(snapshot: &Snapshot, shared: Node) -> (FxHashSet<u32>, FxHashSet<u32>, Vec<Node>) {
    let mut own = FxHashSet::default();
    let mut inner = FxHashSet::default();
    let mut functions = Vec::new();
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
                    "function_data" | "trusted_function_data" | "interpreter_data"
                );
                if data || CODE.iter().any(|code| name.starts_with(code)) {
                    list.push((to, inside));
                } else if constants && is_function(snapshot, to) {
                    list.push((to, true));
                    functions.push(to);
                }
            }
        }
    }
    (own, inner, functions)
}

/// Whether a node is what V8 knows of a function, for all its closures.
fn is_function(snapshot: &Snapshot, node: Node) -> bool {
    let internal = snapshot.edge_kind.internal;
    snapshot
        .follow(node, internal, "name_or_scope_info")
        .is_some()
}
