//! Bounds of containers, as far as the program's text tells: a cache or a pool that still fills up grows like a
//! leak, but somewhere its size is compared with a limit.
//!
//! Read are the scripts' texts, not run: `cache.size > MAX` just before `cache.delete(`, `all.length < this.max`. A
//! limit whose value is known has to be above what the container has by now: else nobody keeps to it.

use graph::Node;

use super::View;
use super::families::Family;
use super::holders::holder;
use super::text::is_letter;
use super::words::Count;
use crate::Location;
use crate::snapshot::Snapshot;

/// What takes entries out of a container.
const TAKING: [&str; 6] = ["delete", "shift", "pop", "splice", "clear", "slice"];

/// Bytes of an element of an array, and words of the array itself and at the head of its elements.
const WORD: u64 = 8;
const HEAD: u64 = 4 + 2;

/// Methods that keep to a limit, by their names.
const EVICTING: [&str; 7] = [
    "evict", "Evict", "trim", "prune", "shrink", "purge", "expire",
];

/// As many characters after a comparison are looked at for what is done then.
const NEAR: usize = 240;
/// Longest body of a function that is looked at, bytes.
const BODY: usize = 2000;

/// How a doubt begins for what has a time to live.
pub(super) const BY_TIMER: &str = "its entries are taken out by a timer";

/// Shorter names are those of minified code, where each stands for many variables: a limit counts near the function that
/// adds, by so many bytes.
const MIN_NAME: usize = 3;
const AROUND: usize = 4000;

/// Why a container that grows may have an end, in a few words.
pub(super) fn of(view: &View, family: &Family, place: Option<Location>) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let &last = family.counts.last()?;
    let holder = holder(view, family.nodes[0]);
    // Many alike have a bound each.
    let [node] = family.nodes[..] else {
        return None;
    };
    if let Some(room) = spare(snapshot, node, last) {
        return Some(format!(
            "its room for {} entries was made at once",
            Count(room)
        ));
    }
    let name = holder.name.trim_start_matches('#');
    if name.is_empty() || holder.within {
        return None;
    }
    let owner = holder
        .from
        .map_or(String::new(), |from| snapshot.name(from).into_owned());
    let class = holder
        .from
        .and_then(|from| snapshot.location(from))
        .map(|location| location.script);
    let scripts = [class, place.map(|place| place.script)];
    // Whether the text is at hand, and says that something takes entries out.
    let (mut is_read, mut takes_out) = (false, false);
    for script in scripts.into_iter().flatten() {
        let Some(text) = view.sources.text(snapshot, &view.scripts, script) else {
            continue;
        };
        let text = match place.filter(|place| place.script == script && name.len() < MIN_NAME) {
            Some(place) => Text(around(&text, place)),
            None => Text(&text),
        };
        is_read = true;
        takes_out |= text.takes_out(name);
        match text.limit(name, &owner, last) {
            Some(Limit::Above(limit)) => {
                return Some(format!("its size is compared with a limit: {limit}"));
            }
            Some(Limit::Passed) => return None,
            None => {}
        }
        if let Some(timer) = text.timer(name) {
            return Some(format!("{BY_TIMER}: {timer}"));
        }
        if let Some(condition) = text.emptied_when(name) {
            return Some(format!("it is emptied when {condition}"));
        }
        if is_pool(name) && (text.calls(name, "pop") || text.calls(name, "shift")) {
            return Some("a pool, it seems: what is in it is taken out again".to_owned());
        }
    }
    // A limit that another list keeps to is none of this one.
    if is_read && !takes_out {
        return None;
    }
    let limit = owners_limit(view, holder.from?, node)?;
    Some(format!(
        "its owner has a limit ({limit}) and takes entries out"
    ))
}

/// What is around a place.
fn around(text: &str, place: Location) -> &str {
    let lines = place.line as usize;
    let begin = match lines.checked_sub(1) {
        Some(before) => text
            .match_indices('\n')
            .nth(before)
            .map_or(0, |(end, _)| end + 1),
        None => 0,
    };
    let len = text[begin..].find('\n').unwrap_or(text.len() - begin);
    let at = begin + (place.column as usize).min(len);
    let letter = |at: usize| (at..text.len()).find(|&at| text.is_char_boundary(at));
    let from = letter(at.saturating_sub(AROUND)).unwrap_or(text.len());
    &text[from..letter(at + AROUND).unwrap_or(text.len())]
}

/// The entries that an array has room for, if these are far more than it has: `push()` makes room for half as many more.
/// A ring is made so, and never has more.
fn spare(snapshot: &Snapshot, node: Node, count: u64) -> Option<u64> {
    if snapshot.name(node) != "Array" {
        return None;
    }
    let elements = snapshot.follow(node, snapshot.edge_kind.internal, "elements")?;
    // The size of the elements counts as the array's, if nothing else has them.
    let room = (snapshot.sizes.get(elements) + snapshot.sizes.get(node)) / WORD;
    (room > count.saturating_mul(3) + 64).then(|| room.saturating_sub(HEAD))
}

/// Whether a name is one of a place for what is not in use at the moment.
fn is_pool(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pool", "free", "idle", "spare", "available", "recycle"]
        .iter()
        .any(|word| name.starts_with(word) || name.ends_with(word))
}

/// Whether a name is one of a limit. Each EventEmitter has one for its listeners, which is none of what else it has.
fn is_limit(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name != "_maxlisteners"
        && ["max", "limit", "capacity", "bound", "most", "budget"]
            .iter()
            .any(|word| name.contains(word))
}

/// Where the text is not at hand: a property that is called a limit, of an object with the name of a cache or a
/// pool, whose methods take entries out. Small numbers leave no edge, but their names are in the hidden class.
fn owners_limit(view: &View, owner: Node, container: Node) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let internal = snapshot.edge_kind.internal;
    let class = snapshot.name(owner).to_ascii_lowercase();
    let is_cache = ["cache", "lru", "memo", "pool", "ring"]
        .iter()
        .any(|word| class.contains(word));
    if !is_cache || snapshot.kinds[owner as usize] != snapshot.kind.object {
        return None;
    }
    let methods = snapshot.follow(owner, snapshot.edge_kind.property, "__proto__")?;
    let takes = TAKING.iter().any(|word| {
        let word = snapshot.strings.find(word);
        word.is_some_and(|word| view.functions.class_names(snapshot, methods, word))
    });
    if !takes || snapshot.kinds[container as usize] != snapshot.kind.object {
        return None;
    }
    let shape = snapshot.follow(owner, internal, "map")?;
    let names = snapshot.follow(shape, internal, "descriptors")?;
    let mut edges = snapshot.graph.of(names);
    edges.find_map(|edge| {
        let to = snapshot.graph.to(edge);
        let is_text = snapshot.kinds[to as usize] == snapshot.kind.string;
        let name = snapshot.name(to);
        (is_text && is_limit(&name)).then(|| name.into_owned())
    })
}

/// What a container's size is compared with.
#[derive(Debug, PartialEq, Eq)]
enum Limit {
    /// It may keep to it, in the text's own words.
    Above(String),
    /// It has more already.
    Passed,
}

/// The text of a script.
struct Text<'a>(&'a str);

/// The first whole name of a text.
fn first_name(text: &str) -> &str {
    let end = text.bytes().position(|byte| !is_letter(byte));
    &text[..end.unwrap_or(text.len())]
}

/// The number that a text begins with: `5_000`, `1e3`.
fn number(text: &str) -> Option<u64> {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_alphanumeric() && byte != b'_' && byte != b'.');
    let digits = text[..end.unwrap_or(text.len())].replace('_', "");
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<f64>().ok()?;
    // Not `1 << 10` and `2 * 1024`, of which this is only a part.
    let rest = text[end.unwrap_or(text.len())..].trim_start();
    let is_all = !rest.starts_with(['*', '<', '+', '-', '/']);
    is_all.then_some(value as u64)
}

/// What a text begins with, to the end of the block that it begins in, if that is not far.
fn rest_of_block(text: &str) -> &str {
    let mut depth = 0;
    let end = text.char_indices().take(NEAR).find(|&(_, letter)| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        depth < 0
    });
    let far = || {
        text.char_indices()
            .nth(NEAR)
            .map_or(text.len(), |(at, _)| at)
    };
    &text[..end.map_or_else(far, |(at, _)| at)]
}

/// What stands between a bracket that a text begins with and the one that closes it.
fn balanced(text: &str, opens: char, closes: char) -> Option<&str> {
    let inside = text.strip_prefix(opens)?;
    let mut depth = 0;
    let end = inside.char_indices().take(BODY).find(|&(_, letter)| {
        depth += i32::from(letter == opens) - i32::from(letter == closes);
        depth < 0
    });
    end.map(|(at, _)| &inside[..at])
}

/// The statement that a text begins with: a block, or what comes before the next semicolon or the end of the block.
fn then(text: &str) -> &str {
    let text = text.trim_start();
    if let Some(block) = balanced(text, '{', '}') {
        return block;
    }
    let end = text.find([';', '\n', '}']);
    &text[..end.unwrap_or(text.len())]
}

/// What is done if a comparison is true, by what comes after its first half: `5) a();` or `5 && a();`.
fn statement(operand: &str) -> Option<&str> {
    let mut depth = 0;
    let mut letters = operand.char_indices().take(NEAR);
    let (at, letter) = letters.find(|&(_, letter)| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        depth < 0 || letter == ';' || letter == '&'
    })?;
    match letter {
        ')' => Some(then(&operand[at + 1..])),
        '&' => Some(then(operand[at..].trim_start_matches('&'))),
        _ => None,
    }
}

/// Whether letters that a function could have as its name are none.
fn is_word(name: &str) -> bool {
    matches!(
        name,
        "if" | "for" | "while" | "switch" | "function" | "catch" | "async" | "new"
    )
}

/// The functions and methods that a text calls. A constructor is none: what it makes anew is of another object.
fn called(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('(').filter_map(|(at, _)| {
        let name = text[..at].bytes().rev().take_while(|&byte| is_letter(byte));
        let name = &text[at - name.count()..at];
        let before = text[..at - name.len()].trim_end();
        let is_made = before.ends_with("new") && before.len() < at - name.len();
        (!name.is_empty() && !is_word(name) && !is_made).then_some(name)
    })
}

/// A piece of a text in one short line.
fn in_short(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() > 60 {
        words = words.chars().take(59).collect();
        words.push('…');
    }
    words
}

impl<'a> Text<'a> {
    /// What follows each whole occurrence of a name.
    fn after(&self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.0;
        text.match_indices(name).filter_map(move |(at, _)| {
            let end = at + name.len();
            let whole = !text[..at].bytes().next_back().is_some_and(is_letter)
                && !text[end..].bytes().next().is_some_and(is_letter);
            whole.then(|| &text[end..])
        })
    }

    /// Whether a method of what has a name is called.
    fn calls(&self, name: &'a str, method: &str) -> bool {
        self.after(name).any(|rest| {
            let rest = rest.trim_start().trim_start_matches('?');
            rest.strip_prefix('.')
                .and_then(|rest| rest.strip_prefix(method))
                .is_some_and(|rest| rest.starts_with('('))
        })
    }

    /// Whether entries are taken out of what has a name.
    fn takes_out(&self, name: &'a str) -> bool {
        TAKING.iter().any(|method| self.calls(name, method))
            || self.after(name).any(|rest| {
                let shortened = rest.strip_prefix(".length").map(str::trim_start);
                shortened.is_some_and(|rest| {
                    rest.starts_with('=') && !rest.starts_with("==") || rest.starts_with("--")
                })
            })
            || self.0.match_indices("delete ").any(|(at, word)| {
                let path = &self.0[at + word.len()..];
                let end = path.find('[').unwrap_or_default();
                path[..end].rsplit('.').next() == Some(name)
            })
    }

    /// The limit that the size of what has a name is compared with, in the text's own words, if it may be kept:
    /// entries are taken out then, or come only below it. It may be given to the constructor of the owner's class.
    fn limit(&self, name: &'a str, class: &'a str, count: u64) -> Option<Limit> {
        let mut all = self.after(name).filter_map(|rest| {
            // Of an object: Object.keys(name).length
            let rest = rest.strip_prefix(')').unwrap_or(rest);
            let rest = rest
                .strip_prefix(".size")
                .or_else(|| rest.strip_prefix(".length"))?
                .trim_start();
            let below = rest.starts_with('<');
            let equal = rest.strip_prefix("===").or_else(|| rest.strip_prefix("=="));
            let rest = equal.or_else(|| rest.strip_prefix(['<', '>']))?;
            let operand = rest.strip_prefix('=').unwrap_or(rest).trim_start();
            let value = number(operand);
            let path = operand
                .bytes()
                .position(|byte| !is_letter(byte) && !matches!(byte, b'.' | b'#' | b'?'));
            let path = operand[..path.unwrap_or(operand.len())].trim_end_matches(['.', '?']);
            let last = path
                .rsplit(['.', '#'])
                .next()
                .map(first_name)
                .unwrap_or_default();
            let value = value
                .or_else(|| self.value(last))
                .or_else(|| self.given(class));
            let then = statement(operand).unwrap_or_default();
            match value {
                Some(value) if value < 2 => return None,
                Some(value) if value < count => return Some(Limit::Passed),
                // Any other may be one, if all that is done then is to keep to it.
                None if !is_limit(last)
                    && (below
                        || matches!(last, "length" | "size")
                        || !Text(then).takes_out(name)) =>
                {
                    return None;
                }
                _ => {}
            }
            // What else takes entries out has nothing to do with the limit.
            let near = rest_of_block(operand);
            if !below
                && !Text(near).takes_out(name)
                && !EVICTING.iter().any(|word| near.contains(word))
                && !self.does(then, |text| {
                    text.takes_all_out(name) || text.takes_out(name)
                })
            {
                return None;
            }
            let is_number = path.starts_with(|first: char| first.is_ascii_digit());
            Some(Limit::Above(match value.filter(|_| !is_number) {
                Some(value) => format!("{path} = {value}"),
                None => path.to_owned(),
            }))
        });
        let first = all.next()?;
        if first != Limit::Passed {
            return Some(first);
        }
        Some(all.find(|limit| *limit != Limit::Passed).unwrap_or(first))
    }

    /// Whether something is true of a statement or of a function that it calls.
    fn does(&self, statement: &'a str, is: impl Fn(&Text<'a>) -> bool) -> bool {
        is(&Text(statement))
            || called(statement).any(|function| self.bodies(function).any(|body| is(&Text(body))))
    }

    /// Whether all entries are taken out of what has a name: it is emptied, or made anew.
    fn takes_all_out(&self, name: &'a str) -> bool {
        let is_emptied = ["clear()", "splice(0)", "length = 0", "length=0"];
        let is_new = ["[]", "new ", "{}", "Object.create("];
        self.0.match_indices(name).any(|(at, _)| {
            let (before, rest) = (&self.0[..at], &self.0[at + name.len()..]);
            let is_part = before.bytes().next_back().is_some_and(is_letter);
            let is_declared = ["let", "const", "var"].iter().any(|word| {
                let before = before.strip_suffix(char::is_whitespace);
                before.is_some_and(|before| before.trim_end().ends_with(word))
            });
            if is_part || is_declared {
                return false;
            }
            if let Some(method) = rest.strip_prefix('.') {
                return is_emptied.iter().any(|way| method.starts_with(way));
            }
            let value = rest.trim_start().strip_prefix('=').map(str::trim_start);
            value.is_some_and(|value| is_new.iter().any(|new| value.starts_with(new)))
        })
    }

    /// The timer, in the text's own words, that takes entries out of what has a name: after a while, or all that
    /// have expired.
    fn timer(&self, name: &'a str) -> Option<String> {
        let sets = ["setTimeout(", "setInterval("];
        let mut calls = sets.iter().flat_map(|set| self.0.match_indices(set));
        calls.find_map(|(at, set)| {
            let inside = balanced(&self.0[at + set.len() - 1..], '(', ')')?;
            let takes = |text: &'a str| {
                let text = Text(text);
                text.calls(name, "delete") || text.takes_all_out(name)
            };
            // `setInterval(sweep, …)`, `setInterval(() => this.sweep(), …)`
            let given = first_name(inside.trim_start().trim_start_matches("this."));
            let given = (!given.is_empty() && !is_word(given)).then_some(given);
            let mut functions = called(inside).chain(given);
            let sweeps =
                takes(inside) || functions.any(|function| self.bodies(function).any(takes));
            sweeps.then(|| in_short(&self.0[at..at + set.len() + inside.len() + 1]))
        })
    }

    /// The condition under which all is taken out of what has a name: some figure has come above another.
    fn emptied_when(&self, name: &'a str) -> Option<String> {
        let mut all = self.0.match_indices("if").filter_map(|(at, word)| {
            let rest = &self.0[at + word.len()..];
            let condition = balanced(rest.trim_start(), '(', ')')?;
            let (_, limit) = condition.split_once('>')?;
            let limit = limit.trim_start_matches('=').trim_start();
            let is_plain = !condition.contains("=>") && number(limit).is_none_or(|limit| limit > 1);
            let then = then(&rest[rest.find(condition)? + condition.len() + 1..]);
            (is_plain && self.does(then, |text| text.takes_all_out(name)))
                .then(|| in_short(condition))
        });
        all.next()
    }

    /// The bodies of the functions and methods of a name.
    fn bodies(&self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.after(name).filter_map(|rest| {
            let rest = rest.trim_start();
            // A property or a variable that is one.
            let value = rest.strip_prefix(['=', ':']).map(|value| {
                let value = value.trim_start();
                let value = value.strip_prefix("async").map_or(value, str::trim_start);
                value
                    .strip_prefix("function")
                    .map_or(value, str::trim_start)
            });
            let rest = value.unwrap_or(rest);
            let parameters = balanced(rest, '(', ')')?;
            let rest = rest[parameters.len() + 2..].trim_start();
            match rest.strip_prefix("=>") {
                Some(body) => Some(then(body)),
                None => balanced(rest, '{', '}'),
            }
        })
    }

    /// The number that objects of a class are made with, if it is but one.
    fn given(&self, class: &'a str) -> Option<u64> {
        if class.is_empty() {
            return None;
        }
        let mut found = self.0.match_indices("new ").filter_map(|(at, new)| {
            let rest = self.0[at + new.len()..].strip_prefix(class)?;
            number(rest.strip_prefix('(')?)
        });
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// The number that a name is given, if it is but one.
    fn value(&self, name: &'a str) -> Option<u64> {
        if name.is_empty() {
            return None;
        }
        let mut given = self.after(name).filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix([':', '='])?;
            number(rest.trim_start())
        });
        let first = given.next()?;
        given.all(|other| other == first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Text};

    #[test]
    fn a_limit_that_is_kept_to_is_found() {
        for (text, said) in [
            (
                "if (cache.size > 500) cache.delete(cache.keys().next().value);",
                "500",
            ),
            (
                "const MAX = 5_000;\nif (cache.size >= MAX) cache.delete(first);",
                "MAX = 5000",
            ),
            (
                "if(this.cache.size>=this.max)this.cache.delete(k)} new LRU({max:5000})",
                "this.max = 5000",
            ),
            (
                "if (this.cache.length < this.limit) this.cache.push(x);",
                "this.limit",
            ),
            (
                "if (this.cache.length < this.limit) this.cache.push(x); } new LRU(400)",
                "this.limit = 400",
            ),
            (
                "while (cache.length > maxEntries) cache.shift();",
                "maxEntries",
            ),
            (
                "if (Object.keys(cache).length > 400) delete cache[oldest];",
                "400",
            ),
        ] {
            let found = Text(text).limit("cache", "LRU", 300);
            assert_eq!(found, Some(Limit::Above(said.to_owned())));
        }
    }

    #[test]
    fn what_a_batch_is_written_by_is_found() {
        for text in [
            "if (cache.length >= 1000) { const all = cache; cache = []; write(all); }",
            "if (cache.length >= 1000) await flush(); } async function flush() { const all = cache.splice(0); }",
            "if (this.cache.length === this.most) this.flush(); } flush() { this.cache = []; }",
            "while (cache.length > config.keep) cache.shift();",
            "cache.length > keep && cache.shift();",
        ] {
            let found = Text(text).limit("cache", "", 300);
            assert!(matches!(found, Some(Limit::Above(_))), "{text}");
        }
        for text in [
            "if (cache.length > other.length) cache.shift();",
            "if (cache.length > n) warn(); } function warn() {} function take() { cache.shift(); }",
            "if (cache.length >= 1000) flush(); } function flush() { other = []; }",
            "let cache = []; if (cache.length >= 1000) warn();",
        ] {
            assert_eq!(Text(text).limit("cache", "", 300), None, "{text}");
        }
    }

    #[test]
    fn what_a_timer_or_another_figure_ends_is_found() {
        let timed = |text| Text(text).timer("cache");
        for text in [
            "setTimeout(() => cache.delete(key), 60e3)",
            "setInterval(sweep, 60e3); function sweep() { for (const [k, v] of cache) if (v.old) cache.delete(k); }",
            "setInterval(() => this.sweep(), 1000); } sweep() { this.cache.clear(); }",
        ] {
            assert!(timed(text).is_some(), "{text}");
        }
        for text in [
            "setTimeout(() => other.delete(key), 60e3)",
            "setInterval(() => work(cache.shift()), 10)",
            "setInterval(report, 1000); function sweep() { cache.clear(); }",
            "setTimeout(function () { if (!done) fail(); }, 1); (function () { cache = new Map(); })()",
            "setTimeout(() => start(new Job(1)), 1); function Job(id) { this.cache = []; }",
        ] {
            assert_eq!(timed(text), None, "{text}");
        }
        let when = |text| Text(text).emptied_when("cache");
        assert_eq!(
            when("if (this.bytes > this.limit) this.flush(); } flush() { this.cache = []; }")
                .as_deref(),
            Some("this.bytes > this.limit")
        );
        for text in [
            "if (bytes > limit) warn(); } flush() { cache = []; }",
            "if (bytes > 0) cache = [];",
            "if (list.some(x => x.old)) cache = [];",
        ] {
            assert_eq!(when(text), None, "{text}");
        }
    }

    #[test]
    fn of_minified_code_what_is_near_a_place_counts() {
        let text = format!("first\n{}mid{}", "ä".repeat(20_000), "b".repeat(20_000));
        let place = |line, column| super::Location {
            script: 1,
            line,
            column,
        };
        let near = super::around(&text, place(1, 40_000));
        assert!(near.contains("mid") && near.len() < 9_000, "{}", near.len());
        assert!(!super::around(&text, place(1, 5)).contains("mid"));
        assert!(super::around(&text, place(1, 900_000)).ends_with('b'));
        assert!(super::around(&text, place(0, 2)).starts_with("first\nä"));
        assert_eq!(super::around("", place(7, 2)), "");
    }

    #[test]
    fn what_is_no_limit_or_not_kept_to_is_none() {
        for text in [
            "while (cache.length > 0) work(cache.shift());",
            "if (cache.size > 1000) console.warn('large');",
            "if (cache.size > this.limit) { warn(); } } take(n) { return cache.delete(n) }",
            "if (other.size > 500) other.delete(key);",
            "for (let i = 0; i < cache.length; i++) cache.pop();",
            "if (mycache.size > 500) mycache.delete(key);",
        ] {
            assert_eq!(Text(text).limit("cache", "LRU", 300), None, "{text}");
        }
        for text in [
            "if (cache.size > 200) cache.delete(key);",
            "if (cache.size > this.limit) { const k = 1; cache.delete(n) } } new LRU(200)",
        ] {
            let found = Text(text).limit("cache", "LRU", 300);
            assert_eq!(found, Some(Limit::Passed), "{text}");
        }
    }
}
