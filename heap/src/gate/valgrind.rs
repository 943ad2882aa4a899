//! Valgrind's suppressions, those of Memcheck's leaks.
//!
//! ```text
//! {
//!    a name
//!    Memcheck:Leak
//!    match-leak-kinds: definite,indirect      (may be missing: all kinds)
//!    fun:malloc                               (the stack, innermost first; ... stands for any frames)
//!    obj:*/libfoo.so*
//!    src:foo.c:12
//! }
//! ```
//!
//! Valgrind's stacks begin with the allocator, ours with what called it, so frames of an entry that name
//! one are passed over at its start. Its C++ names are mangled; a mangled name is made readable when the
//! entry is read, one with wild cards in it fits nothing.

use super::{Leak, NamedFrame, glob, mangled};
use log_format::reach::Class;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    /// In the order of [`Class::ALL`].
    pub kinds: [bool; 4],
    frames: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Any,
    Function(Vec<String>),
    Object(String),
    Source(String, Option<u32>),
}

/// Makes a mangled name readable; `None` if it is not mangled.
pub type Demangle<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The entries of leaks with their first lines, or the first wrong line and what is wrong with it.
/// Entries of other tools and kinds of errors are passed over.
pub(crate) fn parse(
    text: &str,
    demangle: Demangle<'_>,
) -> Result<Vec<(usize, Entry)>, (usize, String)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut entries = Vec::new();
    let mut last = 1;
    while let Some((first, line)) = lines.next() {
        if line != "{" {
            return Err((first, format!("{line:?} where an entry begins; write {{")));
        }
        let mut body = Vec::new();
        loop {
            match lines.next() {
                Some((_, "}")) => break,
                Some((number, "{")) => {
                    return Err((
                        number,
                        format!("an entry begins before that of line {first} ends; write }}"),
                    ));
                }
                Some((number, line)) => {
                    last = number;
                    body.push((number, line));
                }
                None => {
                    return Err((
                        last.max(first),
                        format!("the entry of line {first} does not end; write }}"),
                    ));
                }
            }
        }
        if let Some(entry) = entry(first, &body, demangle)? {
            entries.push((first, entry));
        }
    }
    Ok(entries)
}

fn entry(
    first: usize,
    body: &[(usize, &str)],
    demangle: Demangle<'_>,
) -> Result<Option<Entry>, (usize, String)> {
    let [(_, name), (at, tools), rest @ ..] = body else {
        return Err((
            first,
            "an entry needs a name and a line Memcheck:Leak".to_owned(),
        ));
    };
    let Some((tools, kind)) = tools.split_once(':') else {
        return Err((
            *at,
            format!("{tools:?} names no tool and kind; write Memcheck:Leak"),
        ));
    };
    if kind != "Leak" || !tools.split(',').any(|tool| tool.trim() == "Memcheck") {
        return Ok(None);
    }
    let mut entry = Entry {
        name: (*name).to_owned(),
        kinds: [true; 4],
        frames: Vec::new(),
    };
    for &(number, line) in rest {
        if let Some(given) = line.strip_prefix("match-leak-kinds:") {
            entry.kinds = kinds(given).map_err(|problem| (number, problem))?;
        } else {
            entry.frames.push(frame(line, demangle).ok_or_else(|| {
                (
                    number,
                    format!("{line:?} is no frame; write fun:name, obj:path, src:file:line or ..."),
                )
            })?);
        }
    }
    let named = entry.frames.iter().any(|frame| *frame != Line::Any);
    if !named {
        return Err((
            first,
            "an entry that names no frame would suppress everything".to_owned(),
        ));
    }
    Ok(Some(entry))
}

/// Place of a class in [`Class::ALL`].
pub(crate) fn place(class: Class) -> usize {
    class as usize - 1
}

fn kinds(given: &str) -> Result<[bool; 4], String> {
    let mut kinds = [false; 4];
    for kind in given.split(',').map(str::trim) {
        match kind {
            "all" => kinds = [true; 4],
            "none" => kinds = [false; 4],
            "definite" => kinds[place(Class::Unreachable)] = true,
            "indirect" => kinds[place(Class::Indirect)] = true,
            "possible" => kinds[place(Class::Possible)] = true,
            "reachable" => kinds[place(Class::Reachable)] = true,
            _ => {
                return Err(format!(
                    "{kind:?} is no kind; write definite, indirect, possible, reachable, all or none"
                ));
            }
        }
    }
    Ok(kinds)
}

fn frame(line: &str, demangle: Demangle<'_>) -> Option<Line> {
    if line == "..." {
        return Some(Line::Any);
    }
    let (kind, pattern) = line.split_once(':')?;
    let pattern = pattern.trim();
    if pattern.is_empty() {
        return None;
    }
    Some(match kind {
        "fun" => Line::Function(match mangled::readable(pattern) {
            Some(patterns) => patterns,
            None => vec![demangle(pattern).unwrap_or_else(|| pattern.to_owned())],
        }),
        "obj" => Line::Object(pattern.to_owned()),
        "src" => match pattern.rsplit_once(':') {
            Some((file, line)) => Line::Source(file.to_owned(), Some(line.parse().ok()?)),
            None => Line::Source(pattern.to_owned(), None),
        },
        _ => return None,
    })
}

impl Entry {
    /// Whether the entry suppresses a leak. One whose class is not known fits every kind.
    pub fn matches(&self, leak: &Leak<'_>) -> bool {
        if leak.class.is_some_and(|class| !self.kinds[place(class)]) {
            return false;
        }
        let start = self
            .frames
            .iter()
            .take_while(|line| line.is_allocator())
            .count();
        let frames = self.frames.get(start..).unwrap_or(&[]);
        // Either side may know more of the allocator's own frames than the other.
        fits(frames, leak.called()) || fits(&self.frames, &leak.frames)
    }
}

/// Whether a stack begins with what the lines say. Between two `...` the first place that fits is as good
/// as any: what is left of the stack is longest then.
fn fits(lines: &[Line], stack: &[NamedFrame<'_>]) -> bool {
    let mut parts = lines.split(|line| *line == Line::Any);
    let here = |part: &[Line], stack: &[NamedFrame<'_>]| {
        part.len() <= stack.len() && part.iter().zip(stack).all(|(line, frame)| line.is(frame))
    };
    let first = parts.next().unwrap_or(&[]);
    if !here(first, stack) {
        return false;
    }
    let mut rest = &stack[first.len()..];
    parts.all(
        |part| match (0..=rest.len()).find(|&skipped| here(part, &rest[skipped..])) {
            Some(skipped) => {
                rest = &rest[skipped + part.len()..];
                true
            }
            None => false,
        },
    )
}

impl Line {
    fn is(&self, frame: &NamedFrame<'_>) -> bool {
        match self {
            Line::Any => false,
            Line::Function(patterns) => frame
                .function
                .is_some_and(|name| patterns.iter().any(|pattern| named(pattern, name))),
            Line::Object(pattern) => frame
                .module
                .is_some_and(|path| glob::fits(pattern, &path.to_string_lossy())),
            Line::Source(pattern, line) => {
                let base =
                    |file: &str| glob::fits(pattern, file.rsplit('/').next().unwrap_or(file));
                frame
                    .file
                    .is_some_and(|file| glob::fits(pattern, file) || base(file))
                    && line.is_none_or(|line| frame.line == Some(line))
            }
        }
    }

    /// Whether this frame is the allocator's own, which our stacks do not have.
    fn is_allocator(&self) -> bool {
        const NAMES: &[&str] = &[
            "malloc",
            "calloc",
            "realloc",
            "reallocarray",
            "memalign",
            "aligned_alloc",
            "posix_memalign",
            "valloc",
            "pvalloc",
            "*alloc",
            "malloc*",
            "calloc*",
            "realloc*",
        ];
        match self {
            Line::Function(patterns) => patterns.iter().any(|name| {
                NAMES.contains(&name.as_str())
                    || name.starts_with("operator new")
                    || name.starts_with("_Zn")
            }),
            _ => false,
        }
    }
}

/// Whether a function has a name: with its parameters, or, if the pattern has none, without them.
fn named(pattern: &str, name: &str) -> bool {
    glob::fits(pattern, name)
        || !pattern.contains('(')
            && name
                .split_once('(')
                .is_some_and(|(bare, _)| glob::fits(pattern, bare))
}

#[cfg(test)]
mod tests {
    use super::super::Amount;
    use super::*;
    use std::path::Path;

    const NONE: Demangle<'static> = &|_| None;

    fn leak(class: Option<Class>, functions: &[&'static str]) -> Leak<'static> {
        let frames: Vec<_> = functions
            .iter()
            .map(|function| NamedFrame {
                function: Some(function),
                module: Some(Path::new("/usr/lib/libfoo.so.1")),
                file: Some("/src/foo.c"),
                line: Some(12),
                ..NamedFrame::default()
            })
            .collect();
        Leak {
            site: 0,
            class,
            growing: false,
            amount: Amount::default(),
            inside: frames.len(),
            frames,
            allocator: 0,
        }
    }

    fn one(frames: &str) -> Entry {
        let text = format!("{{\n name\n Memcheck:Leak\n {frames}\n}}\n");
        parse(&text, NONE).unwrap().remove(0).1
    }

    #[test]
    fn an_entry_fits_the_inner_end_of_a_stack() {
        let stack = leak(None, &["inner", "outer", "main"]);
        assert!(one("fun:inner").matches(&stack));
        assert!(one("fun:malloc\nfun:inner\nfun:outer").matches(&stack));
        assert!(!one("fun:outer").matches(&stack));
        assert!(one("...\nfun:outer").matches(&stack));
        assert!(one("fun:inner\n...\nfun:main").matches(&stack));
        assert!(one("fun:in*\nobj:*/libfoo.so*").matches(&stack));
        assert!(one("src:foo.c:12").matches(&stack));
        assert!(!one("src:foo.c:13").matches(&stack));
        assert!(!one("fun:inner\nfun:outer\nfun:main\nfun:_start").matches(&stack));
    }

    #[test]
    fn kinds_are_looked_at_where_they_are_known() {
        let entry = one("match-leak-kinds: reachable, possible\nfun:f");
        assert!(entry.matches(&leak(Some(Class::Reachable), &["f"])));
        assert!(entry.matches(&leak(Some(Class::Possible), &["f"])));
        assert!(!entry.matches(&leak(Some(Class::Unreachable), &["f"])));
        assert!(entry.matches(&leak(None, &["f"])));
    }

    #[test]
    fn mangled_names_are_made_readable() {
        let text = "{\nx\nMemcheck:Leak\nfun:_Znwm\nfun:_ZN1a1bEi\n}";
        let demangle = |name: &str| (name == "_ZN1a1bEi").then(|| "a::b(int)".to_owned());
        let entry = parse(text, &demangle).unwrap().remove(0).1;
        assert!(entry.matches(&leak(None, &["a::b(int)", "main"])));
        assert!(one("fun:a::b").matches(&leak(None, &["a::b(int)"])));
        assert!(one("fun:_Znw*\nfun:_ZN1a1b*").matches(&leak(None, &["a::b(int)"])));
        assert!(!one("fun:_ZN1a1b*").matches(&leak(None, &["a::bc(int)"])));
    }

    #[test]
    fn entries_of_other_tools_are_passed_over() {
        let text = "{\n a\n Memcheck:Cond\n fun:f\n}\n{\n b\n Helgrind:Race\n fun:f\n}\n{\nc\nDrd,Memcheck:Leak\nfun:g\n}\n";
        let entries = parse(text, NONE).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].0, entries[0].1.name.as_str()), (11, "c"));
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, line, word) in [
            ("fun:f\n", 1, "write {"),
            ("# c\n{\n a\n", 3, "does not end"),
            ("{\n a\n Memcheck:Leak\n fnu:f\n}", 4, "no frame"),
            (
                "{\n a\n Memcheck:Leak\n match-leak-kinds: lost\n fun:f\n}",
                4,
                "no kind",
            ),
            ("{\n a\n Leak\n fun:f\n}", 3, "Memcheck:Leak"),
            ("{\n a\n Memcheck:Leak\n ...\n}", 1, "everything"),
            ("{\n a\n}", 1, "needs a name"),
            ("{\n a\n{\n", 3, "begins before"),
            ("{\n a\n Memcheck:Leak\n src:a.c:x\n}", 4, "no frame"),
        ] {
            let (at, problem) = parse(text, NONE).unwrap_err();
            assert!(
                at == line && problem.contains(word),
                "{text}: {at}: {problem}"
            );
        }
    }
}
