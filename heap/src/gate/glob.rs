//! Wild cards, as the two grammars of suppressions have them.

/// Whether a whole text fits a pattern: `*` stands for any text, `?` for any character.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    matches(pattern, text, true)
}

/// Whether a text has a place that fits a pattern of LeakSanitizer's: `*` stands for any text, `^` at the
/// start and `$` at the end hold the pattern to the text's own ends.
pub(crate) fn has(pattern: &str, text: &str) -> bool {
    let (from_start, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (to_end, pattern) = match pattern.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let star = |needed: bool| if needed { "*" } else { "" };
    matches(
        &format!("{}{pattern}{}", star(!from_start), star(!to_end)),
        text,
        false,
    )
}

/// Goes back to the last star only: a star before it has nothing to win.
fn matches(pattern: &str, text: &str, question: bool) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(&c) if c == text[place] || question && c == '?' => {
                at += 1;
                place += 1;
            }
            _ => match &mut star {
                Some((star, taken)) => {
                    *taken += 1;
                    (at, place) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, without cleverness.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| plainly(rest, &text[taken..])),
            Some((&c, rest)) => text
                .split_first()
                .is_some_and(|(&first, others)| (c == first || c == '?') && plainly(rest, others)),
        }
    }

    #[test]
    fn a_pattern_of_leak_sanitizers_is_found_anywhere_unless_anchored() {
        assert!(has("foo", "my_foo_bar"));
        assert!(has("foo*bar", "a foo and a bar here"));
        assert!(!has("foo*bar", "a bar and a foo"));
        assert!(has("^foo", "foobar") && !has("^foo", "a foo"));
        assert!(has("bar$", "foobar") && !has("bar$", "bars"));
        assert!(has("^foo$", "foo") && !has("^foo$", "foofoo"));
        assert!(has("lib*.so$", "/usr/lib/libx.so.1/libfoo.so"));
        // The sanitizer's own matcher stops at the first place; the last one counts here.
        assert!(has("ab$", "ab ab"));
        assert!(!has("a?c", "abc"));
    }

    #[test]
    fn a_pattern_of_valgrinds_means_the_whole_text() {
        assert!(fits("foo", "foo") && !fits("foo", "foobar"));
        assert!(fits("f?o*", "fooooo") && !fits("f?", "f"));
        assert!(fits("*/libc.so*", "/lib/libc.so.6"));
        assert!(fits("f(char*)", "f(char*)"));
    }

    proptest! {
        #[test]
        fn stars_mean_what_their_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), plainly(&p, &t));
        }
    }
}
