//! Where the parts of a snapshot are: the top level of its JSON.
//!
//! Tables of numbers are most of a file. They hold no strings and, but for the trace tree, no
//! arrays, so the end of one is the next `]`.

use std::ops::Range;

use crate::error::Fault;
use crate::numbers::Extent;

/// Bytes of a table that a thread takes at a time.
const PIECE: usize = 1 << 20;

/// The places of the parts, without their brackets; the header with its braces.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) header: Option<Range<usize>>,
    pub(crate) nodes: Option<Extent>,
    pub(crate) edges: Option<Extent>,
    pub(crate) locations: Option<Extent>,
    /// To the end of the file: where the strings end only their parser knows.
    pub(crate) strings: Option<Range<usize>>,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    part: &'static str,
    threads: usize,
}

impl Scanner<'_> {
    fn cut(&self) -> Fault {
        Fault::CutShort {
            part: self.part,
            byte: self.bytes.len() as u64,
        }
    }

    fn wrong(&self, expected: &'static str) -> Fault {
        Fault::Malformed {
            part: self.part,
            byte: self.at as u64,
            expected,
        }
    }

    fn peek(&mut self) -> Result<u8, Fault> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied().ok_or_else(|| self.cut())
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// A string: its content as written.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or_else(|| self.cut())?;
            self.at += found;
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok(start..self.at - 1);
            }
            self.at += 2;
        }
    }

    /// Any value: its place.
    fn value(&mut self) -> Result<Range<usize>, Fault> {
        let first = self.peek()?;
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    if depth == 0 {
                        return Err(self.wrong("a value"));
                    }
                    depth -= 1;
                    self.at += 1;
                }
                _ => {
                    // Numbers, words, commas, colons.
                    let rest = &self.bytes[self.at..];
                    let end = rest
                        .iter()
                        .position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
                        .ok_or_else(|| self.cut())?;
                    if depth == 0 {
                        let end = rest[..end]
                            .iter()
                            .position(|&byte| byte == b',')
                            .unwrap_or(end);
                        self.at += end;
                        return Ok(start..self.at);
                    }
                    self.at += end;
                }
            }
            if depth == 0 && matches!(first, b'"' | b'{' | b'[') {
                return Ok(start..self.at);
            }
        }
    }

    /// An array of numbers.
    fn numbers(&mut self) -> Result<Extent, Fault> {
        self.expect(b'[', "[")?;
        let extent =
            Extent::find(self.bytes, self.at, PIECE, self.threads).ok_or_else(|| self.cut())?;
        self.at = extent.range.end + 1;
        Ok(extent)
    }
}

impl Sections {
    /// Finds the parts. Reads the tables once, but does not look at the numbers.
    pub(crate) fn find(bytes: &[u8], threads: usize) -> Result<Sections, Fault> {
        let mut sections = Sections::default();
        let mut scanner = Scanner {
            bytes,
            at: 0,
            part: "snapshot",
            threads,
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Fault::Empty);
        }
        let begins = scanner.expect(b'{', "{").is_ok()
            && scanner.string().is_ok_and(|key| {
                matches!(&bytes[key], b"snapshot" | b"nodes" | b"edges" | b"strings")
            });
        if !begins {
            // A file cut within its first bytes looks like no snapshot either.
            let start = bytes.trim_ascii_start();
            return Err(if b"{\"snapshot\":".starts_with(start) {
                scanner.cut()
            } else {
                Fault::NotASnapshot
            });
        }
        scanner.at = 0;
        scanner.expect(b'{', "{")?;
        loop {
            let key = scanner.string()?;
            scanner.expect(b':', ":")?;
            match &bytes[key] {
                b"snapshot" => sections.header = Some(scanner.value()?),
                b"nodes" => {
                    scanner.part = "nodes";
                    sections.nodes = Some(scanner.numbers()?);
                }
                b"edges" => {
                    scanner.part = "edges";
                    sections.edges = Some(scanner.numbers()?);
                }
                b"locations" => {
                    scanner.part = "locations";
                    sections.locations = Some(scanner.numbers()?);
                }
                b"strings" => {
                    scanner.part = "strings";
                    scanner.expect(b'[', "[")?;
                    let start = scanner.at;
                    // V8 writes them last; what follows would have to be looked for.
                    sections.strings = Some(start..bytes.len());
                    return Ok(sections);
                }
                _ => {
                    scanner.part = "a part unknown to leak";
                    scanner.value()?;
                }
            }
            match scanner.peek()? {
                b',' => scanner.at += 1,
                b'}' => return Ok(sections),
                _ => return Err(scanner.wrong(", or }")),
            }
        }
    }
}
