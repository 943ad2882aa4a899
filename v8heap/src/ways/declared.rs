//! The variables that the text of a file declares, as far as lines that are not indented tell, and which of them a
//! register is.

/// What a variable is at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First<'a> {
    /// An object of a class.
    Object(&'a str),
    /// A function or a class of its own name.
    Function,
    /// A number, which may leave no trace on the stack.
    Number,
    /// What a call returns, or nothing.
    Unknown,
}

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    /// From 1.
    pub(super) line: usize,
    first: First<'a>,
}

impl Declared<'_> {
    /// Whether an object of a class, or a function of a name, may be its value.
    pub(super) fn may_be(&self, class: &str, is_function: bool) -> bool {
        match self.first {
            First::Object(wanted) => !is_function && class == wanted,
            First::Function => is_function && class == self.name,
            First::Number | First::Unknown => true,
        }
    }

    /// Whether it may have no register that shows: small integers do not, nor what is never used.
    fn may_be_missing(&self) -> bool {
        !matches!(self.first, First::Object(_))
    }
}

/// All of a text, in order; `None` if a line cannot be read.
pub(super) fn declared(text: &str) -> Option<Vec<Declared<'_>>> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line_of = |name, first| Declared {
            name,
            line: number + 1,
            first,
        };
        let function = [
            "class ",
            "function ",
            "function* ",
            "async function ",
            "async function* ",
        ]
        .iter()
        .find_map(|word| line.strip_prefix(word));
        if let Some(rest) = function {
            all.push(line_of(name(rest.trim_start())?, First::Function));
        }
        let variables = ["const ", "let ", "var "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        if let Some(rest) = variables {
            for (name, first) in declarators(rest)? {
                all.push(line_of(name, first));
            }
        }
    }
    Some(all)
}

/// The name that a text begins with.
fn name(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// `a = 1, {b, c: d} = f()`
fn declarators(mut rest: &str) -> Option<Vec<(&str, First<'_>)>> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start();
        let pattern = rest.starts_with(['{', '[']);
        let end = if pattern {
            let end = rest.find(['}', ']'])?;
            for part in rest[1..end]
                .split(',')
                .filter(|part| !part.trim().is_empty())
            {
                let part = part.rsplit(':').next()?.trim();
                all.push((name(part.trim_start_matches("..."))?, First::Unknown));
            }
            end + 1
        } else {
            let name = name(rest)?;
            all.push((name, First::Unknown));
            name.len()
        };
        rest = rest[end..].trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            let value = value.trim();
            if !pattern && let Some((_, first)) = all.last_mut() {
                *first = first_of(value);
            }
            rest = behind(value);
        }
        match rest.strip_prefix(',') {
            Some(next) if next.trim().is_empty() => return None,
            Some(next) => rest = next,
            None => return Some(all),
        }
    }
}

/// What a value is.
fn first_of(value: &str) -> First<'_> {
    // What comes behind it may make something else of it.
    let is_all =
        |end: char| value.trim_end_matches([';', ' ']).ends_with(end) || !value.contains(';');
    match value.strip_prefix("new ").map(name) {
        Some(Some(class)) if !value.contains(").") => First::Object(class),
        Some(_) => First::Unknown,
        None if value.starts_with('[') && is_all(']') => First::Object("Array"),
        None if value.starts_with('{') && is_all('}') => First::Object("Object"),
        None if value.starts_with(|c: char| c.is_ascii_digit()) => First::Number,
        None => First::Unknown,
    }
}

/// What is behind a value, from the comma on; nothing if the line ends in it.
fn behind(value: &str) -> &str {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => return &value[at..],
            (None, ';') if depth == 0 => return "",
            (None, _) => {}
        }
    }
    ""
}

/// Which of some variables a register is, if only one can be: variables have registers in their order, each one, but
/// those that may be missing. Behind the variables' there are other registers. `fits` says whether a register
/// may have a variable's value.
pub(super) fn place_of(
    names: &[Declared],
    registers: usize,
    wanted: usize,
    fits: impl Fn(&Declared, usize) -> bool,
) -> Option<usize> {
    let width = registers + 1;
    let at = |name: usize, register: usize| name * width + register;
    // Whether the first names may have just the first registers, and whether the rest of the names may have the next ones.
    let mut before = vec![false; (names.len() + 1) * width];
    let mut after = vec![false; (names.len() + 1) * width];
    before[at(0, 0)] = true;
    for (number, name) in names.iter().enumerate() {
        for register in 0..=registers {
            let skipped = name.may_be_missing() && before[at(number, register)];
            let taken =
                register > 0 && before[at(number, register - 1)] && fits(name, register - 1);
            before[at(number + 1, register)] = skipped || taken;
        }
    }
    for register in 0..=registers {
        after[at(names.len(), register)] = true;
    }
    for (number, name) in names.iter().enumerate().rev() {
        for register in 0..=registers {
            let skipped = name.may_be_missing() && after[at(number + 1, register)];
            let taken =
                register < registers && after[at(number + 1, register + 1)] && fits(name, register);
            after[at(number, register)] = skipped || taken;
        }
    }
    let mut all = (0..names.len()).filter(|&number| {
        before[at(number, wanted)]
            && fits(&names[number], wanted)
            && after[at(number + 1, wanted + 1)]
    });
    let found = all.next()?;
    all.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_line_by_line() {
        let text = "const {a, b: c} = require('x'), d = [1, 2];\n  const inner = [];\nlet n = 0, rooms = new Map();\n\
                    async function load(x) {\n}\nclass Room {}\nlet later;\nvar s = 'a, b', t = {x: 1};";
        let found: Vec<_> = declared(text)
            .expect("all")
            .into_iter()
            .map(|declared| (declared.name, declared.line, declared.first))
            .collect();
        assert_eq!(
            found,
            [
                ("a", 1, First::Unknown),
                ("c", 1, First::Unknown),
                ("d", 1, First::Object("Array")),
                ("n", 3, First::Number),
                ("rooms", 3, First::Object("Map")),
                ("load", 4, First::Function),
                ("Room", 6, First::Function),
                ("later", 7, First::Unknown),
                ("s", 8, First::Unknown),
                ("t", 8, First::Object("Object")),
            ]
        );
        assert_eq!(declared("const a = 1,\n  b = 2;"), None);
    }

    #[test]
    fn a_register_is_a_variable_only_if_it_can_be_no_other() {
        let names = declared("const a = f();\nconst all = [];\nlet n = 0;\nconst more = g();")
            .expect("all");
        let place = |registers: &[&str], wanted: usize| {
            let fits = |declared: &Declared, at: usize| declared.may_be(registers[at], false);
            let place = place_of(&names, registers.len(), wanted, fits)?;
            Some(names[place].name)
        };
        assert_eq!(place(&["Object", "Array", "Map"], 1), Some("all"));
        // `n` or `more`, or neither.
        assert_eq!(place(&["Object", "Array", "Map"], 2), None);
        // What f() returned, or `all` and f() a number.
        assert_eq!(place(&["Array", "Array"], 0), None);
        // `all` cannot be missing.
        assert_eq!(place(&["Object", "Map"], 1), None);
    }
}
