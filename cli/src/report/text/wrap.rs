//! Sentences too long for a line, broken between their parts.

/// Columns of a line behind its name.
const WIDTH: usize = 84;

/// The lines of a sentence: it is broken behind a comma, a semicolon or a colon that stands outside of
/// parentheses, where it would become too wide. A part that is too wide itself stays whole.
pub fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.chars().count() > WIDTH {
        let Some(end) = last_break(rest) else {
            break;
        };
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    lines.push(rest);
    lines
}

/// Where the next line begins: behind the last break within the width, or else the first one at all.
fn last_break(text: &str) -> Option<usize> {
    let mut depth = 0u32;
    let mut found = None;
    let mut before = ' ';
    for (column, (at, c)) in text.char_indices().enumerate() {
        if found.is_some() && column > WIDTH {
            break;
        }
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && matches!(before, ',' | ';' | ':') => found = Some(at),
            _ => {}
        }
        before = c;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sentence_stays_one_line() {
        assert_eq!(lines("RSS grew: a, b"), ["RSS grew: a, b"]);
        assert_eq!(lines(""), [""]);
    }

    #[test]
    fn a_long_one_is_broken_between_its_parts_and_loses_nothing() {
        let parts: Vec<String> = (0..12)
            .map(|n| format!("{n} MiB of kind {n} (of that, {n} here)"))
            .collect();
        let text = parts.join(", ");
        let lines = lines(&text);
        assert!(lines.len() > 3);
        for line in &lines {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert_eq!(line.matches('(').count(), line.matches(')').count());
        }
        assert_eq!(lines.join(" "), text);
    }

    #[test]
    fn a_part_without_a_break_stays_whole() {
        let long = "x".repeat(WIDTH * 2);
        assert_eq!(lines(&long), [long.as_str()]);
        let two = format!("{long}, y");
        assert_eq!(lines(&two), [&format!("{long},"), "y"]);
    }
}
