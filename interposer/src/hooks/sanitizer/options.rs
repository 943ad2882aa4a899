//! LeakSanitizer's options as far as they matter while the program runs: `detect_leaks`,
//! `exitcode` and `suppressions`, of the program (`__lsan_default_options`) and, before these, of
//! `LSAN_OPTIONS`.

use crate::reach::answer::PATH;
use crate::start;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// LeakSanitizer's own exit code.
const EXIT_CODE: u8 = 23;

static DETECTS: AtomicBool = AtomicBool::new(true);
static EXIT: AtomicU32 = AtomicU32::new(EXIT_CODE as u32);

/// Takes the program's own options.
pub fn take(text: &[u8]) {
    if let Some(detects) = value(text, b"detect_leaks") {
        DETECTS.store(is_yes(detects), Relaxed);
    }
    if let Some(code) = value(text, b"exitcode").and_then(number) {
        EXIT.store(u32::from(code), Relaxed);
    }
}

/// Whether leaks are looked for at all.
pub fn detects() -> bool {
    given(b"detect_leaks").map_or(DETECTS.load(Relaxed), is_yes)
}

/// The status with which a leaking program ends; 0: it goes on.
pub fn exit_code() -> u8 {
    given(b"exitcode")
        .and_then(number)
        .unwrap_or(EXIT.load(Relaxed) as u8)
}

/// Path of the file of suppressions, filled up with NUL bytes.
pub fn suppressions() -> [u8; PATH] {
    let mut path = [0u8; PATH];
    if let Some(given) = given(b"suppressions")
        && let Some(to) = path.get_mut(..given.len()).filter(|to| to.len() < PATH)
    {
        to.copy_from_slice(given);
    }
    path
}

fn given(name: &[u8]) -> Option<&'static [u8]> {
    value(start::variable(b"LSAN_OPTIONS"), name)
}

/// The last value that a text gives to a name: `name=value`, separated by blanks, colons or
/// commas; values may stand in quotes.
fn value<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = text;
    let mut found = None;
    while !rest.is_empty() {
        let is_end = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b':' | b',');
        let end = |text: &[u8]| text.iter().position(is_end).unwrap_or(text.len());
        let key = rest.iter().position(|&byte| byte == b'=');
        let Some(key) = key.filter(|&key| key < end(rest)) else {
            rest = rest.get(end(rest) + 1..).unwrap_or(&[]);
            continue;
        };
        let (key, after) = (rest.get(..key)?, rest.get(key + 1..)?);
        let quote = after
            .first()
            .copied()
            .filter(|byte| matches!(byte, b'"' | b'\''));
        let (from, to) = match quote {
            Some(quote) => {
                let inner = after.get(1..)?;
                let len = inner.iter().position(|&byte| byte == quote);
                (1, 1 + len.unwrap_or(inner.len()))
            }
            None => (0, end(after)),
        };
        if key == name {
            found = after.get(from..to);
        }
        rest = after.get(to + 1..).unwrap_or(&[]);
    }
    found
}

fn is_yes(text: &[u8]) -> bool {
    !matches!(text, b"0" | b"no" | b"false")
}

fn number(text: &[u8]) -> Option<u8> {
    core::str::from_utf8(text).ok()?.parse().ok()
}
