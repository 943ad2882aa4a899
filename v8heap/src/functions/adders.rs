//! Which function most likely adds to a container: by the names in its code, the variables that it sees, whether it has
//! run often, and what its text says.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Function, Functions, MAX_CONTEXTS};
use crate::snapshot::Location;
use graph::Node;

/// What is known of a container, to find the function that adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// The string's number of the name it is held under.
    pub(crate) name: Option<u32>,
    /// The context, if it is a variable.
    pub(crate) context: Option<Node>,
    /// The script of the class that has it.
    pub(crate) script: Option<u32>,
    /// How often it was added to.
    pub(crate) added: u64,
    /// The methods that add to such a container; empty if any may.
    pub(crate) by: &'a [&'a str],
    /// Functions whose text adds to what has that name.
    pub(crate) written: &'a [Location],
    /// Of a string, what it is made of: constants of the function that puts it together.
    pub(crate) pieces: &'a [u32],
    /// Names of what was added: its class, its properties. Who adds it may be who makes it.
    pub(crate) made_of: &'a [u32],
}

impl Wanted<'_> {
    /// How much of what was added a function's code names.
    fn evidence(&self, function: &Function) -> i32 {
        let known = |name: &&u32| function.words.contains(name) || function.inner.contains(name);
        match (
            self.made_of.iter().filter(known).count(),
            self.made_of.len(),
        ) {
            (0, _) => 0,
            (named, all) if named == all => 2,
            _ => 1,
        }
    }

    fn has_piece(&self, words: &FxHashSet<u32>) -> bool {
        self.pieces.iter().any(|piece| words.contains(piece))
    }
}

/// What a function's text says counts this much: as V8's feedback does, nearly.
const WRITTEN: i32 = 8;

/// What was added this often was added by a function that V8 keeps feedback of.
const OFTEN: u64 = 60;

/// Of more functions that are as likely none is named.
const MAX_RIVALS: usize = 3;

impl Functions {
    /// The function that most likely adds to a container.
    pub(crate) fn adder(&self, wanted: Wanted) -> Option<(String, Location)> {
        self.adder_in(wanted, |_| true)
    }

    /// That one, or some of which nothing tells which it is.
    pub(crate) fn adders(&self, wanted: Wanted) -> Vec<(String, Location)> {
        self.adders_in(wanted, |_| true)
    }

    /// That one of the functions in some places.
    pub(crate) fn adder_in(
        &self,
        wanted: Wanted,
        is_wanted: impl Fn(Location) -> bool,
    ) -> Option<(String, Location)> {
        match self.adders_in(wanted, is_wanted) {
            mut one if one.len() == 1 => one.pop(),
            _ => None,
        }
    }

    /// Those that most likely add to a container: one, or some that are as likely, if these are few.
    fn adders_in(
        &self,
        wanted: Wanted,
        is_wanted: impl Fn(Location) -> bool,
    ) -> Vec<(String, Location)> {
        let Wanted { name, context, .. } = wanted;
        let visible = |function: &Function| {
            context.is_some_and(|context| function.visible.contains(&context))
        };
        let written = |function: &Function| {
            wanted.written.contains(&function.location) && (context.is_none() || visible(function))
        };
        let named = |function: &Function| {
            name.is_some_and(|name| function.words.contains(&name)) || written(function)
        };
        let adds = |function: &Function| match wanted.pieces {
            [] => self.adds(&function.words, wanted.by) || written(function),
            _ => wanted.has_piece(&function.words),
        };
        let seeing: Vec<&Function> = self.all.iter().filter(|f| visible(f)).collect();
        // Byte code need not have the name of a variable (of `var`, and of parameters, it has none); but if
        // that of one function that adds has it, one without it does not use this variable.
        let has_name = seeing
            .iter()
            .any(|function| named(function) && adds(function));
        let last = last_begins(&seeing);
        let score = |function: &Function| {
            let (named, adds) = (named(function), adds(function));
            let named_inside = named || name.is_some_and(|name| function.inner.contains(&name));
            if !(visible(function) || may_use(function, &last)) || (has_name && !named_inside) {
                return 0;
            }
            let sees = context.is_some_and(|context| function.contexts.contains(&context));
            let adds_inside = adds || self.adds(&function.inner, wanted.by);
            match () {
                () if named && adds && visible(function) => 14,
                () if named && adds => 12,
                () if sees && adds => 10,
                () if named_inside && adds_inside => 8,
                () if sees && adds_inside => 6,
                () if named => 4,
                () if named_inside => 3,
                () if sees => 2,
                () => 0,
            }
        };
        let often = if wanted.added >= OFTEN { 10 } else { 3 };
        let likely = |function: &Function| {
            let score = score(function);
            let hot = if function.hot { often } else { 0 };
            let near = if wanted.script == Some(function.location.script) {
                3
            } else {
                0
            };
            let taking = if takes_away(&function.name) { 3 } else { 0 };
            let evidence = wanted.evidence(function);
            let written = if written(function) { WRITTEN } else { 0 };
            let sum = score + hot + near + written - taking + evidence;
            (score > 0).then_some((sum, function.hot))
        };
        let place = |function: &Function| (function.location.line, function.location.column);
        // Of two, one inside of the other, the inner one.
        let best = self
            .all
            .iter()
            .filter(|function| is_wanted(function.location))
            .max_by_key(|function| (likely(function), place(function)));
        let Some((best, chosen)) = best.and_then(|best| Some((best, likely(best)?))) else {
            return Vec::new();
        };
        // Of several that do not name the variable, none inside of another, any may be the one.
        let names_it = |name| best.words.contains(&name) || best.inner.contains(&name);
        let is_guess = context.is_some() && name.is_some_and(|name| !names_it(name));
        let rivals = self.all.iter().filter(|function| {
            is_wanted(function.location)
                && function.location != best.location
                && likely(function) == Some(chosen)
                && !self.is_around(function, best)
        });
        let mut found = vec![best];
        if is_guess {
            found.extend(rivals.take(MAX_RIVALS));
        }
        // No place is better than a wrong one.
        if found.len() > MAX_RIVALS {
            return Vec::new();
        }
        found.sort_by_key(|function| place(function));
        found
            .into_iter()
            .map(|function| (function.name.clone(), function.location))
            .collect()
    }

    /// Whether the code of one function names a container and a method that adds to it.
    pub(crate) fn names_and_adds(&self, wanted: Wanted) -> bool {
        self.all.iter().any(|function| {
            let words = &function.words;
            wanted.name.is_some_and(|name| words.contains(&name)) && self.adds(words, wanted.by)
        })
    }
}

/// Where the last of the functions begins that are known to see a variable, by script.
fn last_begins(seeing: &[&Function]) -> FxHashMap<u32, (u32, u32)> {
    let mut last = FxHashMap::default();
    for function in seeing {
        let at = function.location;
        let known = last.entry(at.script).or_insert((at.line, at.column));
        *known = (*known).max((at.line, at.column));
    }
    last
}

/// Whether a function that is not known to see a variable may use it all the same: it stands before one in the
/// same script that is, as the function does whose own variable it is, or has so many contexts that not all
/// were looked at. If none is known, any may.
fn may_use(function: &Function, seeing: &FxHashMap<u32, (u32, u32)>) -> bool {
    let at = function.location;
    seeing.is_empty()
        || seeing.get(&at.script).is_some_and(|&last| {
            (at.line, at.column) < last || function.contexts.len() >= MAX_CONTEXTS
        })
}

/// Whether a function is called like one that reads or takes away.
fn takes_away(name: &str) -> bool {
    const WORDS: [&str; 22] = [
        "get", "has", "is", "find", "peek", "remove", "delete", "clear", "undo", "off", "un",
        "release", "dispose", "destroy", "close", "evict", "finish", "pop", "reset", "shift",
        "dequeue", "unlink",
    ];
    WORDS.iter().any(|word| {
        let rest = name.strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
    }) || name.starts_with("unsub")
}
