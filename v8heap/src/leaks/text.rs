//! Just enough of the syntax of JavaScript to find where something ends that has begun.

/// A letter of a name.
pub(super) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Where the function ends whose parameters begin at a place; `None` if none do.
pub(super) fn ends(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let parameters = match *bytes.get(start)? {
        b'(' => closes(text, start)?,
        byte if is_letter(byte) => {
            // One parameter without brackets.
            let rest = &text[start..];
            let arrow = rest.find("=>").filter(|&at| at < 200)?;
            let plain = |byte: u8| is_letter(byte) || byte == b' ';
            rest[..arrow].bytes().all(plain).then_some(start + arrow)?
        }
        _ => return None,
    };
    let body = skip_blank(text, parameters);
    let rest = &text[body..];
    let (arrow, body) = match rest.strip_prefix("=>") {
        Some(_) => (true, skip_blank(text, body + 2)),
        None => (false, body),
    };
    match bytes.get(body)? {
        b'{' => closes(text, body),
        _ if arrow => Some(end_of_expression(text, body)),
        _ => None,
    }
}

/// Where the brackets end that begin at a place, behind the last one.
pub(super) fn closes(text: &str, start: usize) -> Option<usize> {
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {
                at = past(text, at);
                continue;
            }
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Of each of some places, in ascending order: where the brackets open that it is in, the outermost first. One pass: texts
/// may be large.
pub(super) fn opened(text: &str, places: &[usize]) -> Vec<Vec<usize>> {
    let mut found = Vec::with_capacity(places.len());
    let mut open = Vec::new();
    let mut at = 0;
    for &place in places {
        while at < place {
            match text.as_bytes()[at] {
                b'(' | b'[' | b'{' => open.push(at),
                b')' | b']' | b'}' => {
                    open.pop();
                }
                _ => {
                    at = past(text, at);
                    continue;
                }
            }
            at += 1;
        }
        found.push(open.clone());
    }
    found
}

/// Where the expression ends that begins at a place.
fn end_of_expression(text: &str, start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => return at,
            b')' | b']' | b'}' => depth -= 1,
            b',' | b';' if depth == 0 => return at,
            _ => {
                at = past(text, at);
                continue;
            }
        }
        at += 1;
    }
    at
}

/// Where the block ends that a place is in.
pub(super) fn end_of_block(text: &str, start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'{' => depth += 1,
            b'}' if depth == 0 => return at,
            b'}' => depth -= 1,
            _ => {
                at = past(text, at);
                continue;
            }
        }
        at += 1;
    }
    at
}

/// Of what stands within brackets before its end (`items || []).push`), what follows them.
pub(super) fn to_end_of_brackets(rest: &str) -> &str {
    let near = rest.char_indices().nth(40).map_or(rest.len(), |(at, _)| at);
    let operators = ["||", "??"];
    let trimmed = rest.trim_start();
    if !operators.iter().any(|of| trimmed.starts_with(of)) {
        return rest;
    }
    match rest[..near].find(')') {
        Some(at) => &rest[at + 1..],
        None => rest,
    }
}

/// The place behind a string, a comment, a regular expression, or one character.
fn past(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let rest = &text[at..];
    match bytes[at] {
        quote @ (b'"' | b'\'' | b'`') => past_quoted(bytes, at, quote),
        b'/' if rest.starts_with("//") => rest.find('\n').map_or(text.len(), |end| at + end),
        b'/' if rest.starts_with("/*") => rest.find("*/").map_or(text.len(), |end| at + end + 2),
        b'/' if begins_expression(&text[..at]) => past_pattern(bytes, at),
        _ => {
            at + 1
                + rest
                    .bytes()
                    .skip(1)
                    .take_while(|byte| byte & 0xc0 == 0x80)
                    .count()
        }
    }
}

/// The place behind a string.
fn past_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        at += 1 + usize::from(byte == b'\\');
        if byte == quote || byte == b'\n' && quote != b'`' {
            break;
        }
    }
    on_letter(bytes, at)
}

/// The place behind a regular expression.
fn past_pattern(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    let mut class = false;
    while let Some(&byte) = bytes.get(at) {
        at += 1 + usize::from(byte == b'\\');
        match byte {
            b'[' => class = true,
            b']' => class = false,
            b'/' if !class => break,
            b'\n' => break,
            _ => {}
        }
    }
    on_letter(bytes, at)
}

/// A place, or the next one where a letter begins or the text ends.
fn on_letter(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
        at += 1;
    }
    at.min(bytes.len())
}

/// Whether an expression begins behind a text, so that a `/` there divides nothing.
fn begins_expression(before: &str) -> bool {
    let before = before.trim_end();
    let word = before.bytes().rposition(|byte| !is_letter(byte));
    let word = &before[word.map_or(0, |at| at + 1)..];
    before.ends_with(|c| "(,=:[!&|?{};+-*%<>~^".contains(c))
        || before.is_empty()
        || matches!(word, "return" | "typeof" | "case" | "in" | "of")
}

fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let next = at + rest.len() - rest.trim_start().len();
        let is_comment = text[next..].starts_with("//") || text[next..].starts_with("/*");
        if !is_comment {
            return next;
        }
        at = past(text, next);
    }
}

#[cfg(test)]
mod tests {
    use super::{closes, ends};

    /// The text of the function whose parameters begin at `|`.
    fn function(text: &str) -> Option<String> {
        let start = text.find('|')?;
        let text = text.replacen('|', "", 1);
        ends(&text, start).map(|end| text[start..end].to_owned())
    }

    #[test]
    fn functions_end_with_their_bodies() {
        for (text, found) in [
            ("function f|(a) { return '}' } more", "(a) { return '}' }"),
            (
                "f|(a = {b: 1}) /* { */ { if (a) {} } }",
                "(a = {b: 1}) /* { */ { if (a) {} }",
            ),
            ("all.map(|x => x[1], 2)", "x => x[1]"),
            ("|(a) => { // }\n a }; b", "(a) => { // }\n a }"),
            ("|() => /[/}]\\/}/.test(x); b", "() => /[/}]\\/}/.test(x)"),
            ("|() { return `${a}}` } b", "() { return `${a}}` }"),
            ("|() { return a / b } c / d }", "() { return a / b }"),
            ("|(ä) { 'ä}' } b", "(ä) { 'ä}' }"),
        ] {
            assert_eq!(function(text).as_deref(), Some(found), "{text}");
        }
    }

    #[test]
    fn what_does_not_end_has_no_end() {
        for text in [
            "|(a",
            "|(a) { b",
            "|<p>",
            "|class A {}",
            "|a.b => c",
            "|'",
            "|",
        ] {
            assert_eq!(function(text), None, "{text}");
        }
        assert_eq!(closes("{'\\", 0), None);
        assert_eq!(closes("(/\\", 0), None);
    }
}
