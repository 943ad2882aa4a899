//! From the file to [`Stacks`].
//!
//! ```text
//! "trace_function_infos":[function_id,name,script_name,script_id,line,column, …],
//! "trace_tree":[id,function_info_index,count,size,[ children: the same again … ], …],
//! "samples":[timestamp_us,last_assigned_id, …]
//! ```
//! The tree is as deep as the program's calls are, in a hostile file as deep as the file is long: it
//! is read without recursion.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::{Function, Moment, NONE, Stacks};
use crate::error::Fault;
use crate::meta::StackFields;
use crate::numbers::MAX_FIELDS;

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Functions,
    Tree,
    Moments,
}

impl Part {
    /// By its key.
    pub(crate) fn of(key: &[u8]) -> Option<Part> {
        let all = [Part::Functions, Part::Tree, Part::Moments];
        all.into_iter().find(|part| part.name().as_bytes() == key)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Functions => "trace_function_infos",
            Part::Tree => "trace_tree",
            Part::Moments => "samples",
        }
    }
}

/// Where the parts are in the file, with their brackets.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    functions: Option<Range<usize>>,
    tree: Option<Range<usize>>,
    moments: Option<Range<usize>>,
}

impl Parts {
    pub(crate) fn add(&mut self, part: Part, range: Range<usize>) {
        let place = match part {
            Part::Functions => &mut self.functions,
            Part::Tree => &mut self.tree,
            Part::Moments => &mut self.moments,
        };
        *place = Some(range);
    }
}

/// Stacks as the file has them, before it is known which nodes they are of.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    stacks: Stacks,
    /// Rows by V8's number.
    rows: FxHashMap<u64, u32>,
}

impl Parsed {
    /// With the number of the stack of each node; `strings` is how many there are.
    pub(crate) fn attached(mut self, of_node: Vec<u32>, strings: usize) -> Result<Stacks, Fault> {
        let names = |function: &Function| [function.name, function.file];
        let highest = self.stacks.functions.iter().flat_map(names).max();
        if let Some(highest) = highest.filter(|&highest| highest as usize >= strings) {
            return Err(Fault::Contradiction {
                what: format!("the name of a function on a stack is string {highest} of {strings}"),
            });
        }
        self.stacks.attach(of_node, &self.rows);
        Ok(self.stacks)
    }
}

/// Reads the functions, the tree and the moments.
pub(crate) fn parse(bytes: &[u8], fields: &StackFields, parts: &Parts) -> Result<Parsed, Fault> {
    let mut parsed = Parsed::default();
    let stacks = &mut parsed.stacks;
    let narrow = |value: u64| value.min(u64::from(u32::MAX)) as u32;
    let reader = |part, range: &Option<Range<usize>>| {
        let range = range.clone()?;
        Some(Reader {
            bytes: &bytes[..range.end],
            at: range.start,
            part,
        })
    };
    if let Some(functions) = reader(Part::Functions, &parts.functions) {
        functions.rows(fields.functions, |row| {
            stacks.functions.push(Function {
                name: narrow(row[fields.name]),
                file: narrow(row[fields.file]),
                script: narrow(row[fields.script]),
                line: narrow(row[fields.line]),
                column: narrow(row[fields.column]),
            });
        })?;
    }
    if let (Some([time, last]), Some(moments)) =
        (fields.moment, reader(Part::Moments, &parts.moments))
    {
        moments.rows(fields.moments, |row| {
            stacks.moments.push(Moment {
                microseconds: row[time],
                last_id: row[last],
            });
        })?;
        // What is in no order says nothing.
        if !stacks.moments.is_sorted_by_key(|moment| moment.last_id)
            || !stacks
                .moments
                .is_sorted_by_key(|moment| moment.microseconds)
        {
            stacks.moments.clear();
        }
    }
    if let Some(reader) = reader(Part::Tree, &parts.tree) {
        Tree { reader, fields }.read(&mut parsed)?;
    }
    Ok(parsed)
}

/// A part that is being read.
struct Reader<'a> {
    /// Up to the end of the part.
    bytes: &'a [u8],
    at: usize,
    part: Part,
}

impl Reader<'_> {
    fn wrong(&self, expected: &'static str) -> Fault {
        Fault::Malformed {
            part: self.part.name(),
            byte: self.at as u64,
            expected,
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        match self.peek() == Some(byte) {
            true => {
                self.at += 1;
                Ok(())
            }
            false => Err(self.wrong(expected)),
        }
    }

    fn number(&mut self) -> Result<u64, Fault> {
        self.peek();
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .ok_or_else(|| self.wrong("a smaller number"))?;
            self.at += 1;
        }
        match self.at == start {
            true => Err(self.wrong("a number")),
            false => Ok(value),
        }
    }

    /// A table of numbers without anything else.
    fn rows(mut self, fields: usize, mut each: impl FnMut(&[u64])) -> Result<(), Fault> {
        self.take(b'[', "[")?;
        let mut row = [0; MAX_FIELDS];
        let mut is_first = true;
        while !(is_first && self.peek() == Some(b']')) {
            for value in &mut row[..fields] {
                if !is_first {
                    self.take(b',', "a comma")?;
                }
                is_first = false;
                *value = self.number()?;
            }
            each(&row[..fields]);
            if self.peek() == Some(b']') {
                break;
            }
        }
        Ok(())
    }
}

/// The tree of calls.
struct Tree<'a> {
    reader: Reader<'a>,
    fields: &'a StackFields,
}

impl Tree<'_> {
    fn read(mut self, parsed: &mut Parsed) -> Result<(), Fault> {
        self.reader.take(b'[', "[")?;
        // Rows whose list of callees is being read.
        let mut open: Vec<u32> = Vec::new();
        // Whether a list has just been opened: it may be empty.
        let mut is_fresh = true;
        loop {
            if !is_fresh || self.reader.peek() != Some(b']') {
                let row = begin(parsed, open.last().copied().unwrap_or(NONE))?;
                for field in 0..self.fields.children {
                    self.field(parsed, row, field)?;
                    self.reader.take(b',', "a comma")?;
                }
                self.reader.take(b'[', "[")?;
                open.push(row);
                is_fresh = true;
                continue;
            }
            // Out of all lists that end here.
            while self.reader.peek() == Some(b']') {
                self.reader.at += 1;
                let Some(row) = open.pop() else {
                    return Ok(());
                };
                for field in self.fields.children + 1..self.fields.count {
                    self.reader.take(b',', "a comma")?;
                    self.field(parsed, row, field)?;
                }
            }
            self.reader.take(b',', ", or ]")?;
            is_fresh = false;
        }
    }

    /// Reads a field of a row.
    fn field(&mut self, parsed: &mut Parsed, row: u32, field: usize) -> Result<(), Fault> {
        let value = self.reader.number()?;
        let stacks = &mut parsed.stacks;
        let at = row as usize;
        if field == self.fields.id {
            if parsed.rows.insert(value, row).is_some() {
                return Err(Fault::Contradiction {
                    what: format!("stack {value} is there twice"),
                });
            }
        } else if field == self.fields.function {
            let known = stacks.functions.len();
            if value >= known as u64 {
                return Err(Fault::Contradiction {
                    what: format!(
                        "\"trace_tree\", byte {}: a stack is of function {value} of {known}",
                        self.reader.at
                    ),
                });
            }
            stacks.function_of[at] = value as u32;
        } else if field == self.fields.objects {
            stacks.objects[at] = value;
        } else if field == self.fields.bytes {
            stacks.bytes[at] = value;
        }
        Ok(())
    }
}

/// A new row.
fn begin(parsed: &mut Parsed, caller: u32) -> Result<u32, Fault> {
    let stacks = &mut parsed.stacks;
    let row = u32::try_from(stacks.callers.len())
        .ok()
        .filter(|&row| row < NONE - 1)
        .ok_or(Fault::TooLarge { what: "stacks" })?;
    stacks.callers.push(caller);
    stacks.function_of.push(0);
    stacks.objects.push(0);
    stacks.bytes.push(0);
    Ok(row)
}
