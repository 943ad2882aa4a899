//! LeakSanitizer's suppressions: a line each, `leak:pattern`.
//!
//! A leak is suppressed if the pattern is found in the name of a function of its stack, in its source file or
//! in its module's path. Blank lines and lines that begin with `#` say nothing.

use super::NamedFrame;
use super::glob;

/// The patterns of a text with their lines, or the first wrong line and what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<(usize, String)>, (usize, String)> {
    let mut patterns = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix("leak:") {
            Some("") => return Err((number, "nothing after leak:; write leak:pattern".to_owned())),
            Some(pattern) => patterns.push((number, pattern.to_owned())),
            None => {
                return Err((
                    number,
                    format!("{line:?} is no suppression of leaks; write leak:pattern"),
                ));
            }
        }
    }
    Ok(patterns)
}

/// Whether a pattern suppresses a stack.
pub(crate) fn matches(pattern: &str, frames: &[NamedFrame<'_>]) -> bool {
    let has =
        |text: Option<&str>| text.is_some_and(|text| !text.is_empty() && glob::has(pattern, text));
    frames.iter().any(|frame| {
        has(frame.function)
            || has(frame.file)
            || has(frame.module.map(|path| path.to_string_lossy()).as_deref())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        let text = "# ours\n\n  leak:foo  \nleak:^bar$\n";
        assert_eq!(
            parse(text),
            Ok(vec![(3, "foo".to_owned()), (4, "^bar$".to_owned())])
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(parse("leak:a\nfoo\n").unwrap_err().0, 2);
        assert_eq!(parse("\n\nleak:\n").unwrap_err().0, 3);
        assert_eq!(parse("race:x").unwrap_err().0, 1);
    }

    #[test]
    fn function_file_and_module_are_looked_at() {
        let frame = NamedFrame {
            function: Some("ns::make(int)"),
            module: Some(Path::new("/usr/lib/libfoo.so.1")),
            file: Some("/src/foo/make.cc"),
            ..NamedFrame::default()
        };
        let stack = [NamedFrame::default(), frame];
        for pattern in ["ns::make", "^ns::*(int)$", "libfoo.so", "foo/make.cc$"] {
            assert!(matches(pattern, &stack), "{pattern}");
        }
        assert!(!matches("^make", &stack));
    }
}
