//! Names of code as V8 tells them.
//!
//! A script's function is `JS:` or `Script:`, a mark for the compiler that made it, and
//! `NAME FILE:LINE:COLUMN` (in Node 18 without the column); the place is where the function begins. What is not a function of a
//! script (builtins, regular expressions, handlers of the interpreter) has a kind before a colon.

use crate::request::Frame;

/// What code of scripts begins with.
const KINDS: &[&str] = &["JS:", "Function:", "LazyCompile:", "Script:", "Eval:"];

/// Marks of V8's compilers: interpreter, baseline, the middle ones, optimizing.
const TIERS: &[char] = &['~', '^', '+', '\'', '*'];

/// Marks of those that inline calls.
const INLINING: &[char] = &['+', '*'];

/// Stands for the file of a function that `eval` or `new Function` made: the line is that of its text.
pub const NO_FILE: &str = "(eval)";

/// What V8's name of a piece of code says.
pub fn v8_code(name: &str) -> Frame {
    for kind in KINDS {
        if let Some(rest) = name.strip_prefix(kind) {
            let script = *kind == "Script:";
            return function(unmarked(rest), script);
        }
    }
    let function = match name.split_once(':') {
        Some(("RegExp", pattern)) => format!("RegExp /{pattern}/"),
        Some(("Builtin" | "Stub", builtin)) => format!("Builtins_{builtin}"),
        _ => name.to_owned(),
    };
    Frame {
        function: Some(function),
        ..Frame::default()
    }
}

/// Whether V8's name of a piece of code says that a compiler made it which inlines calls, of which V8 says nothing.
pub fn v8_inlines(name: &str) -> bool {
    let marked = KINDS.iter().find_map(|kind| name.strip_prefix(kind));
    marked.is_some_and(|text| text.strip_prefix('o').unwrap_or(text).starts_with(INLINING))
}

/// Without the mark of the compiler, before which V8 14 puts an `o` if the code was entered in the
/// middle of a loop.
fn unmarked(text: &str) -> &str {
    let loops = text
        .strip_prefix('o')
        .filter(|rest| rest.starts_with(TIERS));
    loops.unwrap_or(text).trim_start_matches(TIERS)
}

/// `NAME FILE:LINE:COLUMN`, of which the name or all behind it may be missing.
fn function(text: &str, script: bool) -> Frame {
    // File names may have blanks, function names of methods as well (`get size`): the file is
    // what begins as one, else what follows the first blank.
    let start = [" file://", " node:", " /", " evalmachine."]
        .iter()
        .filter_map(|start| text.find(start))
        .min();
    let (name, place) = match start.or_else(|| text.find(' ')) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => (text, ""),
    };
    // A script's name is its file's: there is no other.
    let (name, place) = if script && place.is_empty() {
        ("", name)
    } else {
        (name, place)
    };
    let name = match name {
        "" if script => "(top level)",
        "" => "(anonymous)",
        name => name,
    };
    let number = |text: &'_ str| {
        let (rest, number) = text.rsplit_once(':')?;
        Some((rest.len(), number.parse::<u32>().ok()?))
    };
    // Node 18 has no columns.
    let (file, line) = match number(place) {
        Some((len, last)) => match number(&place[..len]) {
            Some((shorter, line)) => (&place[..shorter], Some(line)),
            None => (&place[..len], Some(last)),
        },
        None => (place, None),
    };
    let file = match (file.strip_prefix("file://").unwrap_or(file), line) {
        ("", Some(1..)) => NO_FILE,
        (file, _) => file,
    };
    Frame {
        function: Some(name.to_owned()),
        file: Some(file.to_owned()).filter(|file| !file.is_empty()),
        line,
        inlined: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str) -> (String, String, u32) {
        let frame = v8_code(name);
        (
            frame.function.unwrap_or_default(),
            frame.file.unwrap_or_default(),
            frame.line.unwrap_or_default(),
        )
    }

    fn is(name: &str, function: &str, file: &str, line: u32) {
        assert_eq!(
            parts(name),
            (function.to_owned(), file.to_owned(), line),
            "{name}"
        );
    }

    #[test]
    fn functions_of_all_compilers_have_name_file_and_line() {
        for mark in ["~", "^", "+", "*", "+'", "~'", "o+", "o*'"] {
            is(
                &format!("JS:{mark}leak /app/a.js:3:14"),
                "leak",
                "/app/a.js",
                3,
            );
        }
        is("JS:~leak file:///app/a.mjs:3:14", "leak", "/app/a.mjs", 3);
        is(
            "JS:~ /app/my dir/a.js:1:1",
            "(anonymous)",
            "/app/my dir/a.js",
            1,
        );
        is(
            "JS:*get size node:internal/x:7:2",
            "get size",
            "node:internal/x",
            7,
        );
        is("JS:~open /app/a.js:3:14", "open", "/app/a.js", 3);
        is("JS:open /app/a.js:3:14", "open", "/app/a.js", 3);
        is("Script:~ /app/a.js:1:1", "(top level)", "/app/a.js", 1);
        is("JS:~run [eval]:1:5", "run", "[eval]", 1);
        is("JS:~run :3:5", "run", "(eval)", 3);
        is("JS:~ :3:5", "(anonymous)", "(eval)", 3);
        is(
            "LazyCompile:~kill node:internal/process/per_thread:209",
            "kill",
            "node:internal/process/per_thread",
            209,
        );
    }

    #[test]
    fn the_optimizing_compilers_inline() {
        for mark in ["+", "*", "+'", "*'", "o+", "o*'"] {
            assert!(v8_inlines(&format!("JS:{mark}a /app/a.js:3:14")), "{mark}");
        }
        for name in [
            "JS:~a /a.js:1:1",
            "JS:^a /a.js:1:1",
            "JS:old /a.js:1:1",
            "RegExp:*",
            "Builtin:*",
        ] {
            assert!(!v8_inlines(name), "{name}");
        }
    }

    #[test]
    fn other_code_keeps_its_name() {
        is("Builtin:ArrayMap", "Builtins_ArrayMap", "", 0);
        is("RegExp:^a:b$", "RegExp /^a:b$/", "", 0);
        is("WasmToJS", "WasmToJS", "", 0);
        is("", "", "", 0);
        is("JS:~", "(anonymous)", "", 0);
    }
}
