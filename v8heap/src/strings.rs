//! The string table: left in the file as it is written there, decoded when a string is asked for.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::Fault;
use crate::sections;
use crate::source::Source;

/// What V8 writes from the end of a string to the beginning of the next one.
const BETWEEN: &[u8] = b"\",\n\"";

/// For fewer searches all strings need not be read.
const FEW: u32 = 8;

/// All strings of a snapshot, by number.
#[derive(Debug, Default)]
pub struct Strings {
    source: Arc<Source>,
    /// Where each begins in the file, behind its quotation mark; and where one more would begin, written by V8.
    starts: Vec<u64>,
    /// Whether there is nothing between two strings but what V8 writes, [`BETWEEN`].
    is_plain: bool,
    /// Strings that are not in the file.
    added: Vec<Vec<u8>>,
    /// How often strings have been looked for.
    searches: AtomicU32,
    /// Bits by [`mark`]; made when many strings are looked for: most such are not in a file.
    marks: OnceLock<Vec<u64>>,
}

impl Strings {
    /// From the inside of the array; `range` goes on to the end of the file. `each` sees every
    /// string as it is written.
    pub(crate) fn parse(
        source: &Arc<Source>,
        range: Range<usize>,
        mut each: impl FnMut(u32, &[u8]),
    ) -> Result<Strings, Fault> {
        const PART: &str = "strings";
        let bytes = source.bytes();
        let cut = || Fault::CutShort {
            part: PART,
            byte: bytes.len() as u64,
        };
        let wrong = |at: usize, expected| Fault::Malformed {
            part: PART,
            byte: at as u64,
            expected,
        };
        let mut strings = Strings {
            source: source.clone(),
            is_plain: true,
            ..Strings::default()
        };
        let space = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            at
        };
        let mut at = space(range.start);
        if bytes.get(at) == Some(&b']') {
            sections::ends(bytes, at + 1)?;
            return Ok(strings);
        }
        loop {
            match bytes.get(at) {
                Some(b'"') => at += 1,
                Some(_) => return Err(wrong(at, "a string")),
                None => return Err(cut()),
            }
            let start = at;
            loop {
                let rest = bytes.get(at..).unwrap_or_default();
                at += memchr::memchr2(b'"', b'\\', rest).ok_or_else(cut)?;
                if bytes[at] == b'"' {
                    break;
                }
                at += 2;
            }
            each(strings.starts.len() as u32, &bytes[start..at]);
            strings.starts.push(start as u64);
            let end = at + 1;
            strings.is_plain &= bytes[at..].starts_with(BETWEEN) || bytes[at..].starts_with(b"\"]");
            at = space(end);
            match bytes.get(at) {
                Some(b',') => at = space(at + 1),
                Some(b']') => {
                    strings.starts.push((end - 1 + BETWEEN.len()) as u64);
                    break;
                }
                Some(_) => return Err(wrong(at, "a comma")),
                None => return Err(cut()),
            }
        }
        sections::ends(bytes, at + 1)?;
        Ok(strings)
    }

    /// Adds a string as it would be written in the file.
    pub(crate) fn add(&mut self, raw: Vec<u8>) -> u32 {
        self.added.push(raw);
        self.len() as u32 - 1
    }

    /// How many are in the file.
    fn in_file(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.in_file() + self.added.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A string as it is written in the file, with escapes. Two strings are equal if these are:
    /// V8 writes each string in one way only.
    #[inline]
    pub fn raw(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let Some(&[start, next]) = self.starts.get(number..number + 2) else {
            let added = number.checked_sub(self.in_file());
            return added
                .and_then(|added| self.added.get(added))
                .map_or(b"", Vec::as_slice);
        };
        let bytes = self.source.bytes();
        if self.is_plain {
            return &bytes[start as usize..next as usize - BETWEEN.len()];
        }
        // Before the next one's quotation mark there are only a comma and spaces, then this one's.
        let until_next = &bytes[start as usize..bytes.len().min(next as usize - 1)];
        match until_next.iter().rposition(|&byte| byte == b'"') {
            Some(end) => &until_next[..end],
            None => b"",
        }
    }

    /// A string.
    pub fn get(&self, number: u32) -> Cow<'_, str> {
        let raw = self.raw(number);
        if !raw.contains(&b'\\') {
            return String::from_utf8_lossy(raw);
        }
        Cow::Owned(unescape(raw))
    }

    /// Whether a string may be in the file, if that is plain.
    fn may_have(&self, text: &[u8]) -> bool {
        if self.searches.fetch_add(1, Ordering::Relaxed) < FEW {
            return true;
        }
        let marks = self.marks.get_or_init(|| {
            let mut marks = vec![0u64; self.in_file() / 4 + 1];
            let bits = marks.len() * 64;
            for number in 0..self.in_file() as u32 {
                let bit = mark(self.raw(number)) as usize % bits;
                marks[bit / 64] |= 1 << (bit % 64);
            }
            marks
        });
        let bit = mark(text) as usize % (marks.len() * 64);
        marks[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The number of a string that is written without escapes.
    pub fn find(&self, text: &str) -> Option<u32> {
        let written = [text.as_bytes(), b"\""].concat();
        let bytes = self.source.bytes();
        let is_it = |start: u64| bytes[start as usize..].starts_with(&written);
        let found = if self.is_plain && !self.may_have(text.as_bytes()) {
            None
        } else if self.is_plain {
            // Few are as long, and the others need not be looked at.
            let length = (text.len() + BETWEEN.len()) as u64;
            let mut pairs = self.starts.windows(2);
            pairs.position(|pair| pair[1] - pair[0] == length && is_it(pair[0]))
        } else {
            let mut starts = self.starts[..self.in_file()].iter();
            starts.position(|&start| is_it(start))
        };
        let found = found.or_else(|| {
            let added = self.added.iter().position(|raw| raw == text.as_bytes())?;
            Some(self.in_file() + added)
        });
        found.map(|number| number as u32)
    }
}

/// A number that strings of other lengths, beginnings or ends hardly share.
fn mark(text: &[u8]) -> u32 {
    let mixed = match (text.first_chunk(), text.last_chunk()) {
        (Some(&first), Some(&last)) => {
            u64::from_le_bytes(first) ^ u64::from_le_bytes(last).rotate_left(23)
        }
        // Fewer than eight.
        _ => text
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    let mixed = mixed ^ (text.len() as u64) << 57;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// Decodes the escapes of JSON; halves of surrogate pairs become U+FFFD.
fn unescape(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    let unit = |hex: &[u8]| {
        std::str::from_utf8(hex.get(..4)?)
            .ok()
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
    };
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let escape = rest.get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        let mut code = match escape {
            b'n' => 0x0a,
            b't' => 0x09,
            b'r' => 0x0d,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => {
                let code = unit(rest).unwrap_or(0xfffd);
                rest = rest.get(4..).unwrap_or_default();
                code
            }
            other => u32::from(other),
        };
        if (0xd800..0xdc00).contains(&code)
            && rest.starts_with(b"\\u")
            && let Some(low) = unit(&rest[2..]).filter(|low| (0xdc00..0xe000).contains(low))
        {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            rest = &rest[6..];
        }
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    text.extend_from_slice(rest);
    String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Strings, Fault> {
        let source = Arc::new(Source::Read(text.as_bytes().to_vec()));
        Strings::parse(&source, 0..text.len(), |_, _| {})
    }

    #[test]
    fn strings_are_decoded_as_json_says() {
        let mut strings = parse(
            "\"\",\n\"a\\\"b\\\\\", \"\\u00e9\\n\\/\" ,\"\\ud83d\\ude00\\ud83dx\",\"\u{e9}\"]}",
        )
        .expect("well formed");
        let all: Vec<_> = (0..5).map(|i| strings.get(i).into_owned()).collect();
        assert_eq!(
            all,
            ["", "a\"b\\", "\u{e9}\n/", "\u{1f600}\u{fffd}x", "\u{e9}"]
        );
        assert_eq!((strings.len(), strings.raw(99)), (5, &b""[..]));
        assert_eq!((strings.find("\u{e9}"), strings.find("a")), (Some(4), None));
        assert_eq!(strings.add(b"Detached \\n".to_vec()), 5);
        assert_eq!(
            (strings.get(4), strings.get(5)),
            ("\u{e9}".into(), "Detached \n".into())
        );
        // As V8 writes them, and more searches than are few.
        let text = "\"system / Map\",\n\"Map\",\n\"\",\n\"a\\\"b\",\n\"(GC roots)\"]}";
        let strings = parse(text).expect("well formed");
        assert!(strings.is_plain && strings.raw(4) == b"(GC roots)");
        for _ in 0..=FEW {
            let all = ["(GC roots)", "Map", "system / Map", "", "Set", "(GC root)"];
            let numbers = all.map(|text| strings.find(text));
            assert_eq!(numbers, [Some(4), Some(1), Some(0), Some(2), None, None]);
        }
        assert!(parse("]}").expect("none").is_empty());
    }

    #[test]
    fn a_table_without_an_end_is_cut_short() {
        for text in ["", "\"a", "\"a\"", "\"a\\\"", "\"a\",", "\"a\"]", "\"\\"] {
            assert!(matches!(parse(text), Err(Fault::CutShort { .. })), "{text}");
        }
        assert!(matches!(
            parse("7]}"),
            Err(Fault::Malformed { byte: 0, .. })
        ));
        assert!(matches!(
            parse("\"a\" 7]}"),
            Err(Fault::Malformed { byte: 4, .. })
        ));
    }
}
