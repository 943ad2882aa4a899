//! The parts of a snapshot, in the order of the file: the top level of its JSON.
//!
//! Tables of numbers are most of a file. They hold no strings and, but for the trace tree, no
//! arrays, so the end of one is the next `]`. They come in pieces that are cut when they are asked for: who asks
//! has just seen the bytes, and parses them while they are still in the cache.

use std::ops::Range;

use crate::error::Fault;
use crate::foreign;
use crate::numbers::{Cutter, Piece};
use crate::stacks;

/// Bytes of a piece of a table: so much stays in a core's own cache.
const PIECE: usize = 512 << 10;

/// A part, or a piece of one.
#[derive(Debug)]
pub(crate) enum Part {
    /// With its braces.
    Header(Range<usize>),
    Nodes(Piece),
    Edges(Piece),
    /// All of them.
    Locations(Piece),
    /// What there is of allocation stacks, with its brackets.
    Stacks(stacks::Part, Range<usize>),
    /// Without the bracket; to the end of the file: where the strings end only their parser knows.
    Strings(Range<usize>),
}

/// Values in the rows of the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Widths {
    pub(crate) nodes: usize,
    pub(crate) edges: usize,
    pub(crate) locations: usize,
}

impl Default for Widths {
    /// If they are not known every value is a row.
    fn default() -> Widths {
        Widths {
            nodes: 1,
            edges: 1,
            locations: 1,
        }
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    part: &'static str,
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
}

/// Where the text begins: some editors write a mark for the order of bytes in front.
fn start(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if bytes.starts_with(MARK) {
        MARK.len()
    } else {
        0
    }
}

/// Whether it begins as a snapshot does.
pub(crate) fn begins(bytes: &[u8]) -> Result<(), Fault> {
    let start = start(bytes);
    let mut scanner = Scanner {
        bytes,
        at: start,
        part: "snapshot",
    };
    if bytes[start..].iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Empty);
    }
    let key = scanner
        .expect(b'{', "{")
        .and_then(|()| scanner.string())
        .map(|key| &bytes[key]);
    if let Ok(b"snapshot" | b"edges" | b"strings") = key {
        return Ok(());
    }
    if let Some(what) = foreign::what(&bytes[start..]) {
        return Err(Fault::Other { what });
    }
    if let Ok(b"nodes") = key {
        return Ok(());
    }
    // A file cut within its first bytes looks like no snapshot either.
    Err(
        match b"{\"snapshot\":".starts_with(bytes[start..].trim_ascii_start()) {
            true => scanner.cut(),
            false => Fault::NotASnapshot,
        },
    )
}

/// What is behind the strings: parts that mean nothing here, and the end of the file.
pub(crate) fn ends(bytes: &[u8], at: usize) -> Result<(), Fault> {
    let mut scanner = Scanner {
        bytes,
        at,
        part: "strings",
    };
    while scanner.peek()? == b',' {
        scanner.at += 1;
        scanner.string()?;
        scanner.expect(b':', ":")?;
        scanner.value()?;
    }
    scanner.expect(b'}', ", or }")?;
    match bytes[scanner.at..].iter().all(u8::is_ascii_whitespace) {
        true => Ok(()),
        false => Err(Fault::Behind {
            byte: scanner.at as u64,
        }),
    }
}

/// Makes a part of a piece.
type Kind = fn(Piece) -> Part;

/// The parts of a file as they come.
pub(crate) struct Parts<'a> {
    scanner: Scanner<'a>,
    widths: Widths,
    table: Option<(Kind, Cutter)>,
    /// What has to come next, a comma or a key.
    is_behind: bool,
    is_done: bool,
}

impl<'a> Parts<'a> {
    /// Of a file that looks like a snapshot.
    pub(crate) fn of(bytes: &'a [u8], widths: Widths) -> Result<Parts<'a>, Fault> {
        let mut scanner = Scanner {
            bytes,
            at: 0,
            part: "snapshot",
        };
        begins(bytes)?;
        scanner.at = start(bytes);
        scanner.expect(b'{', "{")?;
        Ok(Parts {
            scanner,
            widths,
            table: None,
            is_behind: false,
            is_done: false,
        })
    }

    /// The next part that means something here. Behind the strings nothing is looked at: V8 writes
    /// them last.
    pub(crate) fn next(&mut self) -> Result<Option<Part>, Fault> {
        let next = self.advance();
        // Another thread that asks must not find something else wrong behind it.
        self.is_done |= next.is_err();
        next
    }

    fn advance(&mut self) -> Result<Option<Part>, Fault> {
        while !self.is_done {
            if let Some((part, cutter)) = &mut self.table {
                let part = *part;
                match cutter.next(self.scanner.bytes)? {
                    Some(piece) => return Ok(Some(part(piece))),
                    None => {
                        self.scanner.at = cutter.end() + 1;
                        self.table = None;
                    }
                }
            }
            if let Some(part) = self.value()? {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// The next key and what is behind it, or the start of that if it is a table.
    fn value(&mut self) -> Result<Option<Part>, Fault> {
        let scanner = &mut self.scanner;
        if self.is_behind {
            match scanner.peek()? {
                b',' => scanner.at += 1,
                b'}' => {
                    self.is_done = true;
                    return Ok(None);
                }
                _ => return Err(scanner.wrong(", or }")),
            }
        }
        self.is_behind = true;
        let key = scanner.string()?;
        scanner.expect(b':', ":")?;
        let key = &scanner.bytes[key];
        let mut table = |name, part, width, size| {
            scanner.part = name;
            scanner.expect(b'[', "[")?;
            self.table = Some((part, Cutter::of(name, scanner.at, width, size)));
            Ok(None)
        };
        match key {
            b"snapshot" => Ok(Some(Part::Header(scanner.value()?))),
            b"nodes" => table("nodes", Part::Nodes, self.widths.nodes, PIECE),
            b"edges" => table("edges", Part::Edges, self.widths.edges, PIECE),
            b"locations" => table(
                "locations",
                Part::Locations,
                self.widths.locations,
                usize::MAX,
            ),
            b"strings" => {
                scanner.part = "strings";
                scanner.expect(b'[', "[")?;
                self.is_done = true;
                Ok(Some(Part::Strings(scanner.at..scanner.bytes.len())))
            }
            _ => {
                let part = stacks::Part::of(key);
                scanner.part = part.map_or("a part unknown to leak", stacks::Part::name);
                let range = scanner.value()?;
                Ok(part.map(|part| Part::Stacks(part, range)))
            }
        }
    }
}

/// Where the strings seem to begin, so that they can be read while the tables are: the last such key.
pub(crate) fn strings_near_end(bytes: &[u8]) -> Option<usize> {
    let mut brackets = memchr::memrchr_iter(b'[', bytes);
    let found = brackets.find(|&at| bytes[..at].ends_with(b"\"strings\":"))?;
    Some(found + 1)
}
