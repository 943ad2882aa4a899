//! Who takes entries out of a container: what its own code has for that is the best cure.
//!
//! Read in the text of the script that adds to it, as [`super::written`] reads it: a function that `subscribe()`
//! returns, or another one that names the container and removes (`off(type, listener)`).

use graph::Node;

use crate::snapshot::Location;

use super::View;
use super::holders::Holder;
use super::text::{closes, ends, is_letter, opened};
use super::written::{entry, functions_in, is_assigned, is_comment, of_names, sites_where};

/// As many places that take something out are looked at.
const MAX_SITES: usize = 16;

/// As many names of a container and what has it are looked for.
const NAMES: usize = 4;

/// What a function does that takes something out of somewhere.
const REMOVING: [&str; 9] = [
    ".delete(",
    ".splice(",
    ".filter(",
    "delete ",
    ".remove(",
    "removeListener(",
    "removeEventListener(",
    ".off(",
    "unsubscribe(",
];

/// Functions that are called so are there to be called by who has added something.
const NAMED: [&str; 20] = [
    "off",
    "un",
    "remove",
    "delete",
    "del",
    "destroy",
    "dispose",
    "eject",
    "release",
    "unsubscribe",
    "close",
    "leave",
    "end",
    "detach",
    "disconnect",
    "cancel",
    "drop",
    "evict",
    "forget",
    "stop",
];

/// Functions that are called so are known to return what ends it, whatever that names.
const SUBSCRIBING: [&str; 6] = [
    "subscribe",
    "on",
    "listen",
    "observe",
    "watch",
    "addlistener",
];

/// Functions that are called so look at entries or put them in: what they take out has been over for long.
const OTHERS: [&str; 24] = [
    "add", "all", "check", "each", "emit", "fetch", "filter", "find", "for", "get", "has", "init",
    "insert", "is", "load", "map", "next", "peek", "push", "put", "read", "set", "touch", "update",
];

/// How an entry is taken out again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remover {
    /// By the function that the one that adds it returns.
    Returned,
    /// By a method of what it returns.
    Method(String),
    /// By another function.
    Function(String),
}

impl Remover {
    /// What to do, by the name of the function that adds.
    pub(super) fn cure(&self, adder: &str) -> String {
        match self {
            Remover::Returned => format!(
                "Call the function that {adder}() returns, which takes the entry out, when what it was added for ends."
            ),
            Remover::Method(name) => format!(
                "Call {name}() of what {adder}() returns, which takes the entry out, when what it was added for ends."
            ),
            Remover::Function(name) => format!(
                "Call {name}(), which takes entries out, for each when what it stands for ends, or bound it."
            ),
        }
    }
}

/// How entries of a container are taken out, to which the function at `adder` adds.
pub(super) fn remover(
    view: &View,
    adder: &(String, Location),
    holder: &Holder,
    node: Node,
) -> Option<Remover> {
    let (called, place) = adder;
    let snapshot = &view.analysis.snapshot;
    let text = view.sources.text(snapshot, &view.scripts, place.script)?;
    let functions = functions_in(&text, view.functions.in_script(place.script));
    let (start, _) = functions.into_iter().find(|(_, at)| at == place)?;
    let range = (start, ends(&text, start)?);
    // Its own name may be a key, made at run time: then that of what has it is in the text.
    let way = view.ways.raw(view.analysis, node);
    let of_way = way.iter().rev().filter_map(|&(_, edge)| {
        let kind = snapshot.kind_of_edge(edge);
        let named = [snapshot.edge_kind.property, snapshot.edge_kind.context].contains(&kind);
        named.then(|| snapshot.edge_name(edge).into_owned())
    });
    let names = std::iter::once(holder.name.clone()).chain(of_way);
    names
        .take(NAMES)
        .find_map(|name| find(&text, called, range, &name))
}

/// As [`remover`], in a text, where the function `called` that adds to it is in a range.
fn find(text: &str, called: &str, adder: (usize, usize), name: &str) -> Option<Remover> {
    let (start, end) = adder;
    let subscribes = SUBSCRIBING
        .iter()
        .any(|name| called.to_lowercase().starts_with(name));
    if !called.is_empty() && returns_remover(&text[start..end], (!subscribes).then_some(name)) {
        return Some(Remover::Returned);
    }
    let mut others: Vec<String> = Vec::new();
    let mut sites = sites_where(text, name, removes);
    sites.truncate(MAX_SITES);
    sites.sort_unstable();
    let around = opened(text, &sites);
    for (site, around) in sites.into_iter().zip(around) {
        let Some(of) = function_around(text, site, &around) else {
            continue;
        };
        if (start..end).contains(&site) {
            if of == called || of.is_empty() {
                continue;
            }
            // A function with a name, which is returned: by itself or in an object.
            let body = &text[start..end];
            return match () {
                () if called.is_empty() => None,
                () if has_words(body, &format!("return {of}")) => Some(Remover::Returned),
                () if body.contains("return {") => Some(Remover::Method(of.to_owned())),
                () => None,
            };
        }
        if !of.is_empty()
            && of != called
            && of != "constructor"
            && !others.iter().any(|known| known == of)
        {
            others.push(of.to_owned());
        }
    }
    let is_named = |of: &&String| {
        let lower = of.to_lowercase();
        NAMED.iter().any(|name| lower.starts_with(name))
    };
    let is_other = |of: &str| {
        OTHERS
            .iter()
            .any(|name| of.to_lowercase().starts_with(name))
    };
    let best = others.iter().find(is_named).or(match &others[..] {
        [only] if !is_other(only) => Some(only),
        _ => None,
    })?;
    Some(Remover::Function(best.clone()))
}

/// Whether a text has some words that no letter goes on.
fn has_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let next = text.as_bytes().get(at + words.len());
        next.is_none_or(|&byte| !is_letter(byte))
    })
}

/// Whether a function returns one that takes something out of somewhere, of what has a name if that is given.
fn returns_remover(body: &str, name: Option<&str>) -> bool {
    let removes = |text: &str| {
        REMOVING.iter().any(|how| text.contains(how)) && name.is_none_or(|name| text.contains(name))
    };
    // As it is when minified: one => (list.add(one), () => list.delete(one)).
    let expression = body
        .split_once("=>")
        .map_or("", |(_, body)| body.trim_start());
    if expression.starts_with('(')
        && let Some(at) = expression.rfind(",()=>").or(expression.rfind(", () =>"))
        && removes(&expression[at..])
    {
        return true;
    }
    body.match_indices("return").any(|(at, word)| {
        let rest = body[at + word.len()..].trim_start();
        let rest = rest.strip_prefix("async").unwrap_or(rest).trim_start();
        let parameters = match rest.strip_prefix("function") {
            Some(function) => function.find('(').map(|open| &function[open..]),
            None => Some(rest),
        };
        let Some(parameters) = parameters else {
            return false;
        };
        let end = ends(parameters, 0);
        end.is_some_and(|end| removes(&parameters[..end]))
    })
}

/// Whether what stands around a name takes something out of it.
fn removes(text: &str, at: usize, name: &str) -> bool {
    if is_comment(text, at) {
        return false;
    }
    let rest = &text[at + name.len()..];
    let after = entry(rest);
    let is_entry = after.len() < rest.len();
    let before = text[..of_names(text, at)].trim_end();
    if is_entry && before.ends_with("delete") {
        return true;
    }
    let nothing = |rest: &str| {
        let value = rest
            .trim_start()
            .strip_prefix('=')
            .unwrap_or("")
            .trim_start();
        ["null", "undefined", "void 0"]
            .iter()
            .any(|none| value.starts_with(none))
    };
    if is_entry && is_assigned(after) && nothing(after) {
        return true;
    }
    // list = list.filter(…)
    if is_assigned(rest) {
        let end = rest.find([';', '\n']).unwrap_or(rest.len());
        let value = &rest[..end];
        return value.contains(name) && value.contains(".filter(");
    }
    let Some(call) = after
        .trim_start_matches(['!', '?'])
        .trim_start()
        .strip_prefix('.')
    else {
        return false;
    };
    if ["delete(", "remove("]
        .iter()
        .any(|method| call.starts_with(method))
    {
        return true;
    }
    // splice(at, 0, one) adds.
    call.strip_prefix("splice").is_some_and(|given| {
        let end = closes(given, 0).unwrap_or(0);
        (1..=1).contains(&given[..end].matches(',').count())
    })
}

/// The name of the innermost function around a place that has one, by the brackets that it is in.
fn function_around<'t>(text: &'t str, site: usize, opened: &[usize]) -> Option<&'t str> {
    let mut end = site;
    for open in opened.iter().copied().rev().map(Some).chain([None]) {
        let begin = open.map_or(0, |open| open + 1);
        // An arrow function whose body is an expression.
        let inside = &text[begin..end];
        let statement = inside.rfind([';', '{', '}']).map_or(0, |at| at + 1);
        if let Some(arrow) = inside[statement..].find("=>")
            && let Some(name) = name_before(&text[..begin + statement + arrow])
        {
            return Some(name);
        }
        let open = open?;
        if text.as_bytes()[open] == b'{' {
            let header = text[..open].trim_end();
            let parameters = header.strip_suffix("=>");
            let name = parameters
                .or(header.ends_with(')').then_some(header))
                .and_then(name_before);
            if name.is_some() {
                return name;
            }
        }
        end = open;
    }
    None
}

/// Words before brackets that begin no function.
const BLOCKS: [&str; 6] = ["if", "for", "while", "switch", "catch", "with"];

/// The name of a function of which a text goes up to its parameters: `off(type)`, `off = (type)`, `off: function (type)`.
fn name_before(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let before = match text.strip_suffix(')') {
        Some(inside) => {
            let mut depth = 1;
            let open = inside.bytes().rposition(|byte| {
                depth += match byte {
                    b')' => 1,
                    b'(' => -1,
                    _ => 0,
                };
                depth == 0
            })?;
            &inside[..open]
        }
        // One parameter without brackets.
        None => text.trim_end_matches(|c: char| c.is_alphanumeric() || "_$".contains(c)),
    };
    let mut before = before.trim_end();
    loop {
        match last_word(before) {
            (shorter, "async" | "function") => before = shorter.trim_end(),
            (_, word) if BLOCKS.contains(&word) || word == "return" => return None,
            (_, "") => break,
            (_, name) => return Some(name),
        }
    }
    // What it is assigned to.
    let owner = before.strip_suffix('=').or(before.strip_suffix(':'))?;
    let (_, name) = last_word(owner.trim_end());
    (!name.is_empty()).then_some(name)
}

/// A text without its last word, and the word.
fn last_word(text: &str) -> (&str, &str) {
    let start = text
        .bytes()
        .rposition(|byte| !is_letter(byte))
        .map_or(0, |at| at + 1);
    text.split_at(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How entries of `items` are taken out, in a text whose function that adds has its parameters at `|`.
    fn found(text: &str) -> Option<Remover> {
        let start = text.find('|').expect("a mark");
        let text = text.replacen('|', "", 1);
        find(
            &text,
            "add",
            (start, ends(&text, start).expect("a function")),
            "items",
        )
    }

    #[test]
    fn what_the_function_that_adds_returns_is_called_to_take_it_out() {
        for text in [
            "const add = |(one) => { items.add(one); return () => items.delete(one); };",
            "function add|(one) { items.push(one); return function undo() { items.splice(items.indexOf(one), 1); }; }",
            "function add|(one) { items.push(one); return async () => { items = items.filter(x => x !== one); }; }",
            "add=|one=>(items.add(one),()=>items.delete(one))",
            "function add|(one) { items.add(one); const undo = () => { items.delete(one); }; return undo; }",
        ] {
            assert_eq!(found(text), Some(Remover::Returned), "{text}");
        }
        let text =
            "add|(one) { this.items.add(one); return { dispose: () => this.items.delete(one) }; }";
        assert_eq!(found(text), Some(Remover::Method("dispose".into())));
    }

    #[test]
    fn another_function_that_takes_entries_out_is_named() {
        for text in [
            "add|(k, v) { this.items.set(k, v); } remove(k) { this.items.delete(k); }",
            "on = { add: function |(k) { items.push(k) }, remove: function (k) { if (k) { items.splice(items.indexOf(k) >>> 0, 1) } } }",
            "function add|(k) { items[k] = 1 } const remove = async (k) => { await x; delete items[k]; };",
            "function add|(k) { items[k] = 1 } const remove = k => delete items[k];",
            "add|(k, v) { items.get(k).push(v) } remove(k, v) { const list = items.get(k); if (list) list.splice(list.indexOf(v), 1); }",
            "use(){} add|(k) { this.items.push(k) } remove(i) { if (this.items[i]) { this.items[i] = null; } }",
            "add|(k) { this.items.push(k) } remove(k) { this.items = this.items.filter(x => x !== k); }",
            "add|(k) { items.add(k) } remove(k) { k.then(() => { items.delete(k); }); } tidy() { items.delete(1) }",
        ] {
            assert_eq!(
                found(text),
                Some(Remover::Function("remove".into())),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_is_said_where_nothing_is_taken_out_or_not_by_one_name() {
        for text in [
            "add|(k) { items.add(k) } size() { return items.size }",
            "add|(k) { items.add(k); if (items.size > 10) items.delete(first()); }",
            "add|(k) { items.add(k) } one(k) { items.delete(k) } two(k) { items.delete(k) }",
            "add|(k) { items.splice(0, 0, k) } empty() { items = []; }",
            "add|(k) { items.add(k) } // remove(k) { items.delete(k) }",
            "add|(k) { items.add(k) } other(k) { myitems.delete(k) }",
            "items.delete(1); function add|(k) { items.add(k) }",
            "add|(k) { items.add(k) } getOne(k) { if (k.old) items.delete(k) }",
            "add|(k) { items.add(k); return () => others.delete(k); }",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
