//! Reachability: what still points to each live block, as found at one moment.
//!
//! Blocks of kind [`crate::block::BlockKind::Reach`], each a part that begins
//! with its number:
//!
//! ```text
//! 0 summary   outcome, time, threads, blind threads, ns, bytes scanned,  (uints)
//!             1 if the program asked for it before its end, else 0
//! 1 roots     count; per root: kind, tid, start, length                  (uints)
//! 2 blocks    count, then six columns of that many entries or fewer:
//!     serial    difference to the one before (uint)
//!     class     byte
//!     parent    not for unreachable ones: root number << 1 | 1, or
//!               zigzag(parent's serial − that of the parent before) << 1 (uint)
//!     word      place of the pointer in the parent, words, if there is a parent:
//!               difference to the one before (int)
//!     code      if the parent is a stack: the call that the frame is in,
//!               difference to the one before (int); 0 after it: not known
//!     table     0, or 1 + zigzag(virtual table − the one before)         (uint)
//! ```
//! Blocks come by ascending serial. Roots come before the blocks, the summary last:
//! without it the result is not whole and does not count.
//!
//! The parent of an unreachable block's dependant ([`Class::Indirect`]) is the block
//! that it was found through, so the chain of parents ends at the direct leak; that
//! of the others ends at a root, and is the shortest there is.

#[cfg(feature = "std")]
use crate::varint::In;
use crate::varint::Out;

/// What is known of a block's reachability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Nothing points to it: a direct leak.
    Unreachable = 1,
    /// Only unreachable blocks lead to it.
    Indirect = 2,
    /// Roots lead to it, but only through a pointer into the inside of some block.
    Possible = 3,
    /// A chain of pointers to the starts of blocks leads from a root to it.
    Reachable = 4,
}

impl Class {
    /// All, worst first.
    pub const ALL: [Class; 4] = [
        Class::Unreachable,
        Class::Indirect,
        Class::Possible,
        Class::Reachable,
    ];

    /// The class for its stored number.
    pub fn from_raw(raw: u8) -> Option<Class> {
        Class::ALL.into_iter().find(|&class| class as u8 == raw)
    }
}

/// Where a search begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// [`RootKind`] as its number.
    pub kind: u8,
    /// Kernel's id of the thread it belongs to, else 0.
    pub tid: u32,
    /// First address (of registers: 0).
    pub start: u64,
    /// Bytes.
    pub len: u64,
}

/// Kinds of roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RootKind {
    /// Writable data of a program or library.
    Data = 1,
    /// The live part of a thread's stack.
    Stack = 2,
    /// A thread's registers; the offset counts registers in the order of the DWARF
    /// numbers of the processor.
    Registers = 3,
    /// A thread's own variables and keys.
    ThreadLocal = 4,
    /// A mapping that is no allocator's.
    Mapping = 5,
    /// A range that the program named as a root, or a block it asked to ignore.
    Declared = 6,
}

impl RootKind {
    /// The kind for its stored number.
    pub fn from_raw(raw: u8) -> Option<RootKind> {
        Some(match raw {
            1 => RootKind::Data,
            2 => RootKind::Stack,
            3 => RootKind::Registers,
            4 => RootKind::ThreadLocal,
            5 => RootKind::Mapping,
            6 => RootKind::Declared,
            _ => return None,
        })
    }
}

/// How the search ended ([`Summary::outcome`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// Every live block has its class.
    Done = 0,
    /// It was turned off (`LEAK_REACH=0`).
    Off = 1,
    /// No copy of the process could be made.
    NoFork = 2,
    /// `/proc/self/maps` cannot be read.
    NoMaps = 3,
    /// No memory for it.
    NoMemory = 4,
    /// It took too long.
    TooLong = 5,
    /// The copy of the process ended before its work was done.
    Died = 6,
    /// A system-call filter is in force.
    Filtered = 7,
    /// The recorder was at work in the same thread, or in another for too long.
    Busy = 8,
    /// The log could not be read back for the stacks of what was lost.
    Unread = 9,
}

impl Outcome {
    /// The outcome for its stored number; unknown ones read as [`Outcome::Died`].
    pub fn from_raw(raw: u8) -> Outcome {
        match raw {
            0 => Outcome::Done,
            1 => Outcome::Off,
            2 => Outcome::NoFork,
            3 => Outcome::NoMaps,
            4 => Outcome::NoMemory,
            5 => Outcome::TooLong,
            7 => Outcome::Filtered,
            8 => Outcome::Busy,
            9 => Outcome::Unread,
            _ => Outcome::Died,
        }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whether there is a result.
    pub outcome: Outcome,
    /// Event clock.
    pub time: u64,
    /// Threads there were.
    pub threads: u32,
    /// Those of them whose registers could not be read: they were running.
    pub blind: u32,
    /// Nanoseconds it took.
    pub ns: u64,
    /// Bytes searched.
    pub scanned: u64,
    /// The program asked for it, and that none is made at its end.
    pub asked: bool,
}

/// What leads to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Nothing.
    None,
    /// A root.
    Root {
        /// Its number.
        root: u32,
        /// Place of the pointer in it, words.
        word: u32,
        /// If it is a stack: a return address into the function whose frame holds the
        /// pointer; 0 if not known.
        code: u64,
    },
    /// Another block.
    Block {
        /// Its serial.
        serial: u64,
        /// Place of the pointer in it, words.
        word: u32,
    },
}

/// One block's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The block.
    pub serial: u64,
    /// Its class.
    pub class: Class,
    /// What leads to it.
    pub parent: Parent,
    /// Address of the virtual table that it begins with, 0 if none.
    pub table: u64,
    /// A direct leak that other leaks lead back to.
    pub ring: bool,
}

/// Stands by the class of a block of [`Reached::ring`].
const RING: u8 = 8;

/// Blocks per part, at most.
pub const PART: usize = 32 << 10;
/// Roots per part, at most.
pub const ROOTS: usize = 4 << 10;
/// Longest part, bytes.
pub const MAX_PART: usize = 16 + PART * (10 + 1 + 10 + 5 + 10 + 10);

const SUMMARY: u8 = 0;
const LIST_OF_ROOTS: u8 = 1;
const BLOCKS: u8 = 2;

fn zigzag(value: u64) -> u64 {
    let value = value as i64;
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(feature = "std")]
fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Writes the summary.
pub fn encode_summary(summary: &Summary, out: &mut Out<'_>) {
    out.byte(SUMMARY);
    out.byte(summary.outcome as u8);
    for value in [
        summary.time,
        u64::from(summary.threads),
        u64::from(summary.blind),
        summary.ns,
        summary.scanned,
        u64::from(summary.asked),
    ] {
        out.uint(value);
    }
}

/// Writes roots, [`ROOTS`] at most.
pub fn encode_roots(roots: &[Root], out: &mut Out<'_>) {
    out.byte(LIST_OF_ROOTS);
    out.uint(roots.len() as u64);
    for root in roots {
        out.byte(root.kind);
        out.uint(u64::from(root.tid));
        out.uint(root.start);
        out.uint(root.len);
    }
}

/// Writes `count` blocks, [`PART`] at most, by ascending serial. `block` is asked
/// several times for each, and must say the same each time.
pub fn encode_blocks(count: usize, mut block: impl FnMut(usize) -> Reached, out: &mut Out<'_>) {
    out.byte(BLOCKS);
    out.uint(count as u64);
    let mut last = 0u64;
    for at in 0..count {
        let serial = block(at).serial;
        out.uint(serial.wrapping_sub(last));
        last = serial;
    }
    for at in 0..count {
        let reached = block(at);
        out.byte(reached.class as u8 | if reached.ring { RING } else { 0 });
    }
    let mut last = 0u64;
    for at in 0..count {
        match block(at).parent {
            Parent::None => {}
            Parent::Root { root, .. } => out.uint(u64::from(root) << 1 | 1),
            Parent::Block { serial, .. } => {
                out.uint(zigzag(serial.wrapping_sub(last)) << 1);
                last = serial;
            }
        }
    }
    let mut last = 0u32;
    for at in 0..count {
        if let Parent::Root { word, .. } | Parent::Block { word, .. } = block(at).parent {
            out.int(i64::from(word) - i64::from(last));
            last = word;
        }
    }
    let mut last = 0u64;
    for at in 0..count {
        if let Parent::Root { code, .. } = block(at).parent {
            out.int(code.wrapping_sub(last) as i64);
            last = code;
        }
    }
    let mut last = 0u64;
    for at in 0..count {
        match block(at).table {
            0 => out.uint(0),
            table => {
                out.uint(1 + zigzag(table.wrapping_sub(last)));
                last = table;
            }
        }
    }
}

/// A part, as the reader takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg(feature = "std")]
pub enum Part {
    /// How it went.
    Summary(Summary),
    /// More roots.
    Roots(std::vec::Vec<Root>),
    /// More blocks.
    Blocks(std::vec::Vec<Reached>),
}

/// Decodes a part; `None` if it is broken.
#[cfg(feature = "std")]
pub fn decode(raw: &[u8]) -> Option<Part> {
    let mut input = In::new(raw);
    Some(match input.byte()? {
        SUMMARY => Part::Summary(decode_summary(&mut input)?),
        LIST_OF_ROOTS => {
            let count = usize::try_from(input.uint()?)
                .ok()
                .filter(|&count| count <= ROOTS)?;
            let mut roots = std::vec::Vec::with_capacity(count);
            for _ in 0..count {
                roots.push(Root {
                    kind: input.byte()?,
                    tid: input.u32()?,
                    start: input.uint()?,
                    len: input.uint()?,
                });
            }
            Part::Roots(roots)
        }
        BLOCKS => Part::Blocks(decode_blocks(&mut input)?),
        _ => return None,
    })
}

#[cfg(feature = "std")]
fn decode_summary(input: &mut In<'_>) -> Option<Summary> {
    Some(Summary {
        outcome: Outcome::from_raw(input.byte()?),
        time: input.uint()?,
        threads: input.u32()?,
        blind: input.u32()?,
        ns: input.uint()?,
        scanned: input.uint()?,
        // Logs of earlier recorders end here.
        asked: input.uint().unwrap_or(0) != 0,
    })
}

#[cfg(feature = "std")]
fn decode_blocks(input: &mut In<'_>) -> Option<std::vec::Vec<Reached>> {
    let count = usize::try_from(input.uint()?)
        .ok()
        .filter(|&count| count <= PART)?;
    let mut blocks = std::vec::Vec::with_capacity(count);
    let mut serial = 0u64;
    for _ in 0..count {
        serial = serial.wrapping_add(input.uint()?);
        blocks.push(Reached {
            serial,
            class: Class::Unreachable,
            parent: Parent::None,
            table: 0,
            ring: false,
        });
    }
    for block in &mut blocks {
        let byte = input.byte()?;
        (block.class, block.ring) = (Class::from_raw(byte & !RING)?, byte & RING != 0);
    }
    let with_parent = |block: &&mut Reached| block.class != Class::Unreachable;
    let mut last = 0u64;
    for block in blocks.iter_mut().filter(with_parent) {
        let value = input.uint()?;
        block.parent = if value & 1 == 1 {
            Parent::Root {
                root: u32::try_from(value >> 1).ok()?,
                word: 0,
                code: 0,
            }
        } else {
            last = last.wrapping_add(unzigzag(value >> 1));
            Parent::Block {
                serial: last,
                word: 0,
            }
        };
    }
    let mut last = 0i64;
    for block in blocks.iter_mut().filter(with_parent) {
        last = last.checked_add(input.int()?)?;
        if let Parent::Root { word, .. } | Parent::Block { word, .. } = &mut block.parent {
            *word = u32::try_from(last).ok()?;
        }
    }
    let mut last = 0u64;
    for block in &mut blocks {
        if let Parent::Root { code, .. } = &mut block.parent {
            last = last.wrapping_add(input.int()? as u64);
            *code = last;
        }
    }
    let mut last = 0u64;
    for block in &mut blocks {
        if let Some(value) = input.uint()?.checked_sub(1) {
            last = last.wrapping_add(unzigzag(value));
            block.table = last;
        }
    }
    Some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn reached() -> impl Strategy<Value = Reached> {
        let parent = prop_oneof![
            (any::<u32>(), any::<u32>(), any::<u64>())
                .prop_map(|(root, word, code)| Parent::Root { root, word, code }),
            (0u64..1 << 40, any::<u32>()).prop_map(|(serial, word)| Parent::Block { serial, word }),
        ];
        (
            0u64..1 << 40,
            1u8..5,
            parent,
            prop_oneof![Just(0u64), any::<u64>()],
        )
            .prop_map(|(serial, class, parent, table)| {
                let class = Class::from_raw(class).unwrap_or(Class::Reachable);
                let parent = if class == Class::Unreachable {
                    Parent::None
                } else {
                    parent
                };
                let ring = class == Class::Unreachable && serial & 1 != 0;
                Reached {
                    serial,
                    class,
                    parent,
                    table: table >> 2,
                    ring,
                }
            })
    }

    proptest! {
        #[test]
        fn blocks_come_back(mut blocks in prop::collection::vec(reached(), 0..50)) {
            blocks.sort_by_key(|block| block.serial);
            let mut buf = vec![0u8; MAX_PART];
            let mut out = Out::new(&mut buf);
            encode_blocks(blocks.len(), |at| blocks[at], &mut out);
            prop_assert!(out.finish().is_some());
            prop_assert_eq!(decode(out.written()), Some(Part::Blocks(blocks)));
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes: Vec<u8>, kind in 0u8..3) {
            let mut raw = vec![kind];
            raw.extend(bytes);
            decode(&raw);
        }
    }

    #[test]
    fn roots_and_summaries_come_back() {
        let roots = [
            Root {
                kind: RootKind::Stack as u8,
                tid: 7,
                start: 0x7000,
                len: 4096,
            },
            Root::default(),
        ];
        let summary = Summary {
            outcome: Outcome::Done,
            time: 5,
            threads: 64,
            blind: 1,
            ns: 9,
            scanned: 1 << 40,
            asked: true,
        };
        let mut buf = [0u8; 128];
        let mut out = Out::new(&mut buf);
        encode_roots(&roots, &mut out);
        assert_eq!(decode(out.written()), Some(Part::Roots(roots.to_vec())));
        let mut out = Out::new(&mut buf);
        encode_summary(&summary, &mut out);
        assert_eq!(decode(out.written()), Some(Part::Summary(summary)));
    }
}
