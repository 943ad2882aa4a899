//! Functions whose text adds to a container: `this.rooms.set(key, …)`, `byId[id] = …`, `(groups[k] ||= []).push(…)`.
//!
//! Byte code tells which names a function uses, not what for; a constructor that makes a container names it as well as
//! the method that fills it. Where the script's text is at hand, it is looked at for what is done with the name.

use super::View;
use super::text::{closes, end_of_block, ends, is_letter, to_end_of_brackets};
use crate::functions::Wanted;
use crate::snapshot::Location;

/// A text that has a name more often is not looked at: the name says nothing.
const MAX_SITES: usize = 2_000;

/// Of a variable by which the only function is looked for that uses it: least letters, and most places.
const MIN_NAME: usize = 3;
const MAX_USES: usize = 32;

/// Functions that are called like this add to the first thing they are given.
const INSERTING: [&str; 5] = ["push", "append", "add", "insert", "assign"];

/// What a copy with more in it is made by.
const COPYING: [&str; 5] = ["...", ".concat(", "assign(", "new Map(", "new Set("];

/// The functions, innermost ones, whose text adds to what has a name, by some methods.
pub(super) fn writers(view: &View, wanted: Wanted) -> Vec<Location> {
    match wanted.name {
        Some(word) => {
            let scripts = view.functions.scripts_with(word, wanted.context);
            writers_in(view, scripts, wanted)
        }
        None => Vec::new(),
    }
}

/// Those of some scripts.
pub(super) fn writers_in(
    view: &View,
    scripts: impl IntoIterator<Item = u32>,
    wanted: Wanted,
) -> Vec<Location> {
    let snapshot = &view.analysis.snapshot;
    let Some(word) = wanted.name else {
        return Vec::new();
    };
    let name = snapshot.strings.get(word);
    around(view, scripts, |text| sites(text, &name, wanted.by))
}

/// The function of the program itself whose text loads modules by a name that is put together (`require(path)`), if it
/// is but one.
pub(super) fn loading(view: &View) -> Option<Location> {
    only_caller(view, &["require", "import"], |given| {
        !given.trim_start().starts_with(['\'', '"', ')'])
    })
}

/// The function of the program itself whose text calls `events.on()`, if it is but one: given are an emitter and the
/// name of an event.
pub(super) fn iterating(view: &View) -> Option<Location> {
    only_caller(view, &["on"], |given| {
        let second = given.split_once(',').map(|(_, second)| second.trim_start());
        !given.starts_with(['\'', '"', '`'])
            && second.is_some_and(|second| second.starts_with(['\'', '"', '`']))
    })
}

/// The function of the program itself whose text opens what is of a class of Node's, if it is but one.
pub(super) fn opening(view: &View, class: &str) -> Option<Location> {
    let (_, calls) = OPENING.iter().find(|(of, _)| *of == class)?;
    only_caller(view, calls, |_| true)
}

/// What opens objects of classes of Node's.
const OPENING: [(&str, &[&str]); 16] = [
    (
        "Socket",
        &[
            "createSocket",
            "createConnection",
            "connect",
            "new Socket",
            "new net.Socket",
        ],
    ),
    ("TLSSocket", &["connect"]),
    ("ClientHttp2Session", &["connect"]),
    ("MessagePort", &["new MessageChannel"]),
    ("BroadcastChannel", &["new BroadcastChannel"]),
    ("Worker", &["new Worker"]),
    ("ReadStream", &["createReadStream"]),
    ("WriteStream", &["createWriteStream"]),
    ("FileHandle", &["open"]),
    ("Gzip", &["createGzip"]),
    ("Gunzip", &["createGunzip"]),
    ("Deflate", &["createDeflate"]),
    ("Inflate", &["createInflate"]),
    ("ChildProcess", &["spawn", "fork", "exec", "execFile"]),
    ("Interface", &["createInterface"]),
    ("FSWatcher", &["watch"]),
];

/// The only function of the program itself whose text has calls by some names, given what is wanted.
fn only_caller(view: &View, names: &[&str], wanted: impl Fn(&str) -> bool) -> Option<Location> {
    only_around(view, |text| {
        let calls = names.iter().flat_map(|name| {
            whole(text, name).filter(|&at| {
                let rest = &text[at + name.len()..];
                let Some(given) = rest.strip_prefix('(') else {
                    return false;
                };
                // Not where a method of that name begins.
                let is_method =
                    closes(rest, 0).is_some_and(|end| rest[end..].trim_start().starts_with('{'));
                !is_method && wanted(given)
            })
        });
        calls.take(MAX_SITES).collect()
    })
}

/// The only function of the program itself whose text uses a variable: byte code does not have the names of all. A name
/// that is short, as of minified code, or often used says nothing.
pub(super) fn using(view: &View, variable: &str) -> Option<Location> {
    if variable.len() < MIN_NAME {
        return None;
    }
    only_around(view, |text| {
        let uses = whole(text, variable).filter(|&at| {
            let is_property = text[..at].trim_end().ends_with('.');
            !is_property && !is_comment(text, at)
        });
        let uses: Vec<usize> = uses.take(MAX_USES + 1).collect();
        match uses.len() {
            0..=MAX_USES => uses,
            _ => Vec::new(),
        }
    })
}

/// The only function of the program itself around what is found in the texts of its scripts.
fn only_around(view: &View, find: impl Fn(&str) -> Vec<usize>) -> Option<Location> {
    let is_own = |place: &Location| view.distance(Some(*place)) == 0;
    let mut own: Vec<u32> = view
        .functions
        .places()
        .filter(is_own)
        .map(|place| place.script)
        .collect();
    own.sort_unstable();
    own.dedup();
    // A bundle has packages as well.
    let mut found = around(view, own, find);
    found.retain(is_own);
    match found[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// The innermost functions of some scripts around what is found in their texts.
fn around(
    view: &View,
    scripts: impl IntoIterator<Item = u32>,
    find: impl Fn(&str) -> Vec<usize>,
) -> Vec<Location> {
    let snapshot = &view.analysis.snapshot;
    let mut found = Vec::new();
    for script in scripts {
        let Some(text) = view.sources.text(snapshot, &view.scripts, script) else {
            continue;
        };
        let sites = find(&text);
        if sites.is_empty() {
            continue;
        }
        let functions = functions_in(&text, view.functions.in_script(script));
        for site in sites {
            let before = functions.partition_point(|&(start, _)| start < site);
            let around = functions[..before]
                .iter()
                .rev()
                .find(|&&(start, _)| ends(&text, start).is_some_and(|end| end > site));
            if let Some(&(_, place)) = around
                && !found.contains(&place)
            {
                found.push(place);
            }
        }
    }
    found
}

/// Where functions begin in a text, in this order; none if their places do not fit it (of a script within a page,
/// whose lines are those of the page).
pub(super) fn functions_in(text: &str, places: Vec<Location>) -> Vec<(usize, Location)> {
    let mut lines = vec![0];
    lines.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    let offset = |place: &Location| {
        let line = *lines.get(place.line as usize)?;
        // V8 counts UTF-16 units.
        let mut column = 0;
        text[line..].char_indices().find_map(|(at, letter)| {
            let here = column;
            column += letter.len_utf16() as u32;
            (here >= place.column).then_some(line + at)
        })
    };
    let mut found: Vec<(usize, Location)> = places
        .into_iter()
        .filter_map(|place| Some((offset(&place)?, place)))
        .filter(|&(at, _)| ends(text, at).is_some())
        .collect();
    found.sort_by_key(|&(at, _)| at);
    found
}

/// Where a text adds to what has a name.
fn sites(text: &str, name: &str, by: &[&str]) -> Vec<usize> {
    sites_where(text, name, |text, at, name| adds(text, at, name, by))
}

/// Where something holds for what stands around a name, or around another name of the same.
pub(super) fn sites_where(
    text: &str,
    name: &str,
    holds: impl Fn(&str, usize, &str) -> bool,
) -> Vec<usize> {
    if name.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for at in whole(text, name).take(MAX_SITES) {
        if holds(text, at, name) {
            found.push(at);
        } else if let Some((alias, start)) = alias(text, at, name) {
            let end = end_of_block(text, start);
            let uses = whole(&text[..end], alias).skip_while(|&at| at < start);
            found.extend(uses.take(MAX_SITES).find(|&at| holds(text, at, alias)));
        }
    }
    found
}

/// Where a whole name stands in a text.
fn whole<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let is_letter_at = move |at: usize| bytes.get(at).copied().is_some_and(is_letter);
    text.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |&at| (at == 0 || !is_letter_at(at - 1)) && !is_letter_at(at + name.len()))
}

/// The variable that is declared as another name of what stands at a place, or of an entry of it
/// (`const list = this.items;`), and where its declaration ends.
fn alias<'a>(text: &'a str, at: usize, name: &str) -> Option<(&'a str, usize)> {
    let before = &text[..of_names(text, at)];
    let declared = before.trim_end().strip_suffix('=')?.trim_end();
    let start = declared.bytes().rposition(|byte| !is_letter(byte))? + 1;
    let alias = &declared[start..];
    let word = declared[..start].trim_end();
    let is_declared = ["const", "let", "var"]
        .iter()
        .any(|kind| word.ends_with(kind));
    let rest = entry(&text[at + name.len()..]);
    let is_all = rest.starts_with('\n') || rest.trim_start().starts_with([';', ',']);
    (is_declared && is_all && !alias.is_empty()).then(|| (alias, text.len() - rest.len()))
}

/// Whether what stands around a name adds to it.
fn adds(text: &str, at: usize, name: &str, by: &[&str]) -> bool {
    if is_comment(text, at) {
        return false;
    }
    let rest = &text[at + name.len()..];
    let before = &text[..of_names(text, at)];
    // push(this.items, …), items.push.call(list, …), Object.assign(map, …)
    if let Some(call) = before.strip_suffix('(')
        && rest.trim_start().starts_with(',')
    {
        let call = call
            .strip_suffix(".call")
            .or(call.strip_suffix(".apply"))
            .unwrap_or(call);
        let start = call.bytes().rposition(|byte| !is_letter(byte));
        let method = &call[start.map_or(0, |at| at + 1)..];
        if by.contains(&method) || INSERTING.contains(&method) {
            return true;
        }
    }
    let after = entry(rest);
    let is_entry = after.len() < rest.len();
    let indexed = by.contains(&"assign") || by.contains(&"push");
    if is_entry && indexed && is_assigned(after) {
        return true;
    }
    if calls(after, by) {
        return true;
    }
    // list = list.concat(x), {...state, list: [...state.list, x]}
    let is_given = is_assigned(rest) || rest.trim_start().starts_with(':');
    by.contains(&"concat") && is_given && {
        let end = rest.find([';', '\n']).unwrap_or(rest.len());
        let value = &rest[..end];
        value.contains(name) && COPYING.iter().any(|how| value.contains(how))
    }
}

/// Whether a place is in a comment, by its line.
pub(super) fn is_comment(text: &str, at: usize) -> bool {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[line..at].trim_start();
    line.starts_with("//") || line.starts_with('*') || line.starts_with("/*")
}

/// Where the names begin of which the last one stands at a place: `this.a.b`.
pub(super) fn of_names(text: &str, at: usize) -> usize {
    text[..at]
        .trim_end_matches(|c: char| c.is_alphanumeric() || "_$.#?".contains(c))
        .len()
}

/// What follows the entries that are asked for: `[key]`, `.get(key)`, and what is put around it.
pub(super) fn entry(rest: &str) -> &str {
    let mut rest = rest;
    loop {
        let next = rest.trim_start_matches(['!', '?', ')']);
        let opened = match next.as_bytes() {
            [b'[', ..] => next,
            _ => match next.strip_prefix(".get").or(next.strip_prefix("..get")) {
                Some(call) if call.starts_with('(') => call,
                _ => return rest,
            },
        };
        let Some(end) = closes(opened, 0) else {
            return rest;
        };
        rest = &opened[end..];
    }
}

/// Whether something is assigned to what stands before.
pub(super) fn is_assigned(rest: &str) -> bool {
    let rest = rest.trim_start();
    let rest = ["||", "??", "&&"]
        .iter()
        .find_map(|operator| rest.strip_prefix(operator))
        .unwrap_or(rest);
    rest.starts_with('=') && !rest.starts_with("==") && !rest.starts_with("=>")
}

/// Whether one of some methods of what stands before is called.
fn calls(rest: &str, by: &[&str]) -> bool {
    let rest = to_end_of_brackets(rest).trim_start_matches(['!', '?']);
    let Some(call) = rest.trim_start().strip_prefix('.') else {
        return false;
    };
    by.iter().any(|method| {
        call.strip_prefix(method).is_some_and(|rest| {
            let rest = rest
                .strip_prefix(".call")
                .or(rest.strip_prefix(".apply"))
                .unwrap_or(rest);
            let rest = rest.strip_prefix("?.").unwrap_or(rest);
            // splice(at, 1) takes away.
            let commas = || {
                let end = closes(rest, 0).unwrap_or(rest.len());
                rest[..end].matches(',').count()
            };
            rest.starts_with('(') && (*method != "splice" || commas() > 1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::sites;

    const PUSH: &[&str] = &["push", "unshift", "splice"];

    #[test]
    fn what_adds_to_a_name_is_told_from_what_reads_it() {
        for (text, by) in [
            ("this.items.push(x)", PUSH),
            ("items?.push(x)", PUSH),
            ("items[items.length] = x", PUSH),
            ("(items[k] ||= []).push(v)", PUSH),
            ("items[a[0]].push(v)", PUSH),
            ("this.items.get(k).push(v)", PUSH),
            ("push(this.items, x)", PUSH),
            ("Array.prototype.push.apply(self.items, more)", PUSH),
            ("items[id]={id}", &["assign"]),
            ("Object.assign(items, more)", &["assign"]),
            ("sorted.add(items, x, compare)", PUSH),
            ("items.splice(i, 0, x)", PUSH),
            ("items.set(k, v)", &["set"]),
            ("items = items.concat(x)", &["concat"]),
            ("items = [...items, x]", &["concat"]),
            ("{...state, items: [...state.items, x]}", &["concat"]),
            ("const list = this.items;\n list.push(x)", PUSH),
            ("let list = items[key]\n if (list) { list.push(x); }", PUSH),
            ("const all = items.get(k); all.push(x)", PUSH),
        ] {
            assert!(!sites(text, "items", by).is_empty(), "{text}");
        }
        for (text, by) in [
            ("this.items = [];", PUSH),
            ("items.map(f).push(x)", PUSH),
            ("myitems.push(x)", PUSH),
            ("f();\n  // items.push(x)", PUSH),
            ("items.splice(i, 1)", PUSH),
            ("if (items[k] == x) {}", &["assign"]),
            ("items[k] => 1", &["assign"]),
            ("return items[id]", &["assign"]),
            ("items.get(k)", &["set"]),
            ("items = []", &["concat"]),
            ("items = reduce(items, x)", &["concat"]),
            ("{ const list = items; } list.push(x)", PUSH),
            ("const list = items.map(f); list.push(x)", PUSH),
            ("const n = items.length; n.push(x)", PUSH),
        ] {
            assert!(sites(text, "items", by).is_empty(), "{text}");
        }
    }
}
