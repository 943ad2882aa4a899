//! Places in files whose text was compiled in memory (tsx, ts-node, hooks of `require`): V8 knows lines and columns of a
//! text that is nowhere. Where such a place cannot be one of the file, the function is looked for by its name.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::built::read;

/// `name() /path/file.ts:line:column`, with the name or without.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    let text = r#"(?:([A-Za-z_$][0-9A-Za-z_$]*)\(\) )?(/[^ \t\r\n:"'<>]+\.[cm]?[jt]sx?):([0-9]+):([0-9]+)"#;
    Regex::new(text).expect("a good expression")
});

/// The files that a text names.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Files whose places are right: source maps say them.
    right: BTreeSet<String>,
    texts: BTreeMap<String, Option<String>>,
    /// Files of which functions were found by their names.
    found: Vec<String>,
    /// Files of which places are left that are none of theirs.
    strange: Vec<String>,
}

impl Compiled {
    /// None so far; places in some files are right.
    pub fn but(right: BTreeSet<String>) -> Compiled {
        Compiled {
            right,
            ..Compiled::default()
        }
    }

    /// The text with places that cannot be those of the file said as those of the function of this name.
    pub fn places<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        PLACE.replace_all(text, |place: &Captures<'_>| {
            self.named(place).unwrap_or_else(|| place[0].to_owned())
        })
    }

    fn named(&mut self, place: &Captures<'_>) -> Option<String> {
        let file = &place[2];
        if self.right.contains(file) {
            return None;
        }
        let text = self
            .texts
            .entry(file.to_owned())
            .or_insert_with(|| String::from_utf8(read(Path::new(file))?).ok())
            .as_deref()?;
        let (line, column) = (place[3].parse().ok()?, place[4].parse().ok()?);
        let name = place.get(1).map(|name| name.as_str());
        // A script is as it is written, but for what hooks do to it; TypeScript is not unless its types are blanked.
        let is_script = Path::new(file)
            .extension()
            .is_some_and(|ending| ending.to_string_lossy().ends_with("js"));
        let fits = fits(text, line, column, name.filter(|_| !is_script));
        if fits {
            return None;
        }
        let note = |files: &mut Vec<String>| {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        };
        let found = name.and_then(|name| Some((name, only_declaration(text, name)?)));
        let Some((name, at)) = found else {
            note(&mut self.strange);
            return None;
        };
        note(&mut self.found);
        let line = text[..at].matches('\n').count() + 1;
        let column = at - text[..at].rfind('\n').map_or(0, |end| end + 1) + 1;
        Some(format!("{name}() {file}:{line}:{column}"))
    }

    /// What there is to say of the files, in lines.
    pub fn lines(&self) -> Vec<String> {
        let said = |files: &[String], words: &str| {
            (!files.is_empty()).then(|| format!("{}: {words}", files.join(", ")))
        };
        let found = said(
            &self.found,
            "compiled in memory: the places of functions are found by their names.",
        );
        let strange = said(
            &self.strange,
            "compiled in memory: where a function has no name, or shares it, line and column are those of a text that is no file.",
        );
        found.into_iter().chain(strange).collect()
    }
}

/// Whether a place, from 1, can be one of a text: it is there, and behind the function's name if that is given.
fn fits(text: &str, line: usize, column: usize, name: Option<&str>) -> bool {
    let Some(line) = line.checked_sub(1).and_then(|line| text.lines().nth(line)) else {
        return false;
    };
    // V8 counts UTF-16 units.
    let mut units = 0;
    let before = line.char_indices().find_map(|(at, letter)| {
        let here = units;
        units += letter.len_utf16();
        (here + 1 >= column).then(|| &line[..at])
    });
    let before = before.or((units + 1 >= column).then_some(line));
    match (before, name) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(name)) => before.contains(name),
    }
}

/// Where the parameters begin of the only function of a name that a text declares.
fn only_declaration(text: &str, name: &str) -> Option<usize> {
    let name = regex::escape(name);
    // function name(…), name(…) {, name = (…) =>, name = function, name: (…) =>, class name.
    let before = format!(r"(?:^|[^0-9A-Za-z_$.]){name}[ \t\r\n]*");
    let calls = format!(r"{before}(?:<[^()\n]*>)?[ \t\r\n]*(\()");
    let values = format!(
        r"{before}(?::[^=;\n]*)?[=:][ \t\r\n]*(?:async[ \t\r\n]*)?(\(|function[^0-9A-Za-z_$]|[0-9A-Za-z_$]+ *=>)"
    );
    let calls = Regex::new(&calls).ok()?;
    let values = Regex::new(&values).ok()?;
    let declared = calls
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|open| open.start())
        .filter(|&open| is_followed_by_body(text, open));
    let assigned = values
        .captures_iter(text)
        .filter_map(|found| found.get(1))
        .map(|open| open.start());
    let mut all: Vec<usize> = declared.chain(assigned).collect();
    all.sort_unstable();
    all.dedup();
    match all[..] {
        [only] => Some(only),
        _ => None,
    }
}

/// Whether a body follows the brackets that open at a place, perhaps behind a type.
fn is_followed_by_body(text: &str, open: usize) -> bool {
    let mut depth = 0;
    let close = text[open..].char_indices().find_map(|(at, letter)| {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (depth == 0).then_some(open + at + 1)
    });
    let Some(close) = close else { return false };
    let rest = text[close..].trim_start();
    match rest.strip_prefix(':') {
        // A type ends with the line's brace, not with a semicolon as of an overload.
        Some(kind) => kind
            .find(['{', ';', '}'])
            .is_some_and(|at| kind[at..].starts_with('{')),
        None => rest.starts_with('{'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
interface Session { id: number; open(): void }
export function open(id: number): Session {
  return close(id);
}
class Audit {
  note(text: string): void;
  note(text: string, at?: number) {
    if (this.full(text)) {}
  }
  static last = async (n: number) => n;
  twice() {}
}
const twice = (a) => a;
open(1);
";

    fn line_of(name: &str) -> Option<usize> {
        only_declaration(TEXT, name).map(|at| TEXT[..at].matches('\n').count() + 1)
    }

    #[test]
    fn a_function_is_found_by_its_name_if_there_is_one_of_it() {
        assert_eq!(line_of("open"), Some(2));
        assert_eq!(line_of("note"), Some(7));
        assert_eq!(line_of("last"), Some(10));
        for name in ["twice", "close", "full", "missing"] {
            assert_eq!(line_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_place_fits_a_text_that_has_it_behind_the_name() {
        assert!(fits(TEXT, 2, 21, Some("open")));
        assert!(fits(TEXT, 2, 21, None));
        assert!(fits("ä = (", 1, 5, None));
        for (line, column, name) in [
            (2, 900, None),
            (900, 1, None),
            (3, 4, Some("open")),
            (0, 1, None),
        ] {
            assert!(!fits(TEXT, line, column, name), "{line}:{column}");
        }
    }

    #[test]
    fn places_of_what_was_compiled_in_memory_are_said_by_name_or_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.ts");
        std::fs::write(&file, TEXT).unwrap();
        let file = file.display();
        let mut compiled = Compiled::default();
        let said = compiled
            .places(&format!("by open() {file}:2:1144, twice() {file}:2:900;"))
            .into_owned();
        assert_eq!(
            said,
            format!("by open() {file}:2:21, twice() {file}:2:900;")
        );
        assert_eq!(compiled.lines().len(), 2);
        let mut compiled = Compiled::default();
        let right = format!("by open() {file}:2:21 and /not/there.ts:1:900");
        assert_eq!(compiled.places(&right), right);
        assert!(compiled.lines().is_empty());
    }
}
