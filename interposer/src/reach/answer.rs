//! Does the program leak? The answer, in the copy of the process that has searched.
//!
//! A direct leak counts unless the program asked to ignore it, made it while checking was
//! disabled, or a suppression fits; what only leaks lead to goes with the leak that owns it. Which
//! stack a lost block has is read back from the log.

use super::array::List;
use super::maps::Maps;
use super::record::{self, Record};
use super::suppress::Judge;
use crate::sys;
use log_format::blob::BlobKind;
use log_format::reach::Outcome;
use log_format::varint::In;
use log_format::window::EventKind;
use reach::{Block, Class, From, Search};

/// Most addresses that the program asked to ignore.
const IGNORED: usize = 1 << 20;
/// Most bytes of suppressions.
const TEXT: usize = 1 << 20;

/// Longest path of a file of suppressions, bytes, with the NUL at its end.
pub const PATH: usize = 512;

/// What the program asked.
pub struct Question {
    /// The log.
    pub record: Record,
    /// The result is to be kept for the log.
    pub keeps: bool,
    /// A file of suppressions, ended by NUL bytes; all NUL if there is none.
    pub suppressions: [u8; PATH],
}

/// What is lost.
#[derive(Clone, Copy, Default)]
pub struct Answer {
    /// Blocks that count.
    pub lost: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks that are ignored or suppressed.
    pub set_aside: u64,
}

/// A direct leak.
#[derive(Clone, Copy)]
struct Leak {
    serial: u64,
    block: Block,
    stack: u32,
    /// When it was made; 0: not found in the log.
    time: u64,
    counts: bool,
}

// What becomes of a lost block.
const COUNTS: u8 = 1;
const ASIDE: u8 = 2;

/// Sums up what was lost.
pub fn answer(
    question: &Question,
    search: &Search<'_>,
    maps: &Maps,
    serial: &dyn core::ops::Fn(Block) -> u64,
) -> Result<Answer, Outcome> {
    let none = || Outcome::NoMemory;
    let mut leaks = List::<Leak>::new(search.len()).ok_or_else(none)?;
    for found in (0..search.len()).filter_map(|at| search.at(at)) {
        if found.class == Class::Unreachable {
            leaks.push(Leak {
                serial: serial(found.block),
                block: found.block,
                stack: 0,
                time: 0,
                counts: false,
            });
        }
    }
    if leaks.all().is_empty() {
        return Ok(Answer::default());
    }
    let leaks = leaks.all_mut();
    leaks.sort_unstable_by_key(|leak| leak.serial);
    let mut ignored = List::<(u64, u64)>::new(IGNORED).ok_or_else(none)?;
    let mut text = List::<u8>::new(TEXT).ok_or_else(none)?;
    read_back(&question.record, leaks, &mut ignored, &mut text).ok_or_else(none)?;
    // SAFETY: bytes.
    let (len, room) = (text.all().len(), unsafe { text.room() });
    if question.suppressions.first() != Some(&0)
        && let Some(rest) = room.get_mut(len..)
        && let Some((newline, rest)) = rest.split_first_mut()
    {
        *newline = b'\n';
        let read = sys::read_file(&question.suppressions, rest).unwrap_or(0);
        text.fill(len + 1 + read);
    }
    ignored.all_mut().sort_unstable();
    leaks.sort_unstable_by_key(|leak| leak.stack);
    let mut judge = Judge::new(maps, question.record.nodes, text.all()).ok_or_else(none)?;
    let mut last = (0, false);
    for leak in leaks.iter_mut().filter(|leak| leak.time != 0) {
        if last.0 != leak.stack {
            last = (leak.stack, judge.sets_aside(leak.stack));
        }
        leak.counts = !last.1 && !is_ignored(ignored.all(), leak);
    }
    sum(search, leaks)
}

/// Whether the program named an address in the block after it was made.
fn is_ignored(ignored: &[(u64, u64)], leak: &Leak) -> bool {
    let (start, end) = (leak.block.address(), leak.block.end());
    let first = ignored.partition_point(|&(address, _)| address < start);
    let inside = ignored.get(first..).unwrap_or(&[]).iter();
    inside
        .take_while(|&&(address, _)| address < end)
        .any(|&(_, time)| time >= leak.time)
}

/// Takes from the log where the leaks were made, and what the program said.
fn read_back(
    record: &Record,
    leaks: &mut [Leak],
    ignored: &mut List<(u64, u64)>,
    text: &mut List<u8>,
) -> Option<()> {
    record::windows(record, &mut |decoder| {
        let Some(mut events) = decoder.events() else {
            return;
        };
        for blob in events.blobs() {
            match BlobKind::from_raw(blob.what) {
                Some(BlobKind::Ignore) => {
                    if let Some(address) = In::new(blob.payload).uint() {
                        ignored.push((address, blob.time));
                    }
                }
                Some(BlobKind::Suppressions) => {
                    blob.payload.iter().for_each(|&byte| text.push(byte));
                }
                _ => {}
            }
        }
        for event in &mut events {
            if matches!(event.kind, EventKind::Alloc | EventKind::ReallocAlloc)
                && let Ok(at) = leaks.binary_search_by_key(&event.serial, |leak| leak.serial)
                && let Some(leak) = leaks.get_mut(at)
            {
                (leak.stack, leak.time) = (event.stack, event.time.max(1));
            }
        }
    })
}

/// Adds up the direct leaks and what they own.
fn sum(search: &Search<'_>, leaks: &[Leak]) -> Result<Answer, Outcome> {
    let mut fates = List::<u8>::new(search.len()).ok_or(Outcome::NoMemory)?;
    // SAFETY: bytes.
    let fates = unsafe { fates.room() };
    let mut answer = Answer::default();
    let mut add = |block: Block, fate: u8| {
        if fate == COUNTS {
            answer.lost += 1;
            answer.bytes += block.size();
        } else {
            answer.set_aside += 1;
        }
    };
    for leak in leaks {
        let fate = if leak.counts { COUNTS } else { ASIDE };
        let at = search.first_after(leak.block.address());
        if let Some(place) = fates.get_mut(at) {
            *place = fate;
        }
        add(leak.block, fate);
    }
    let owner = |at: usize| match search.at(at).map(|found| found.from) {
        Some(From::Block(owner, _)) => Some(owner),
        _ => None,
    };
    for first in 0..search.len() {
        let Some(found) = search.at(first).filter(|f| f.class == Class::Indirect) else {
            continue;
        };
        // Up to the first whose fate is known, then again to note it.
        let known = |at: usize, fates: &[u8]| fates.get(at).copied().filter(|&fate| fate != 0);
        let mut at = first;
        let fate = loop {
            match known(at, fates) {
                Some(fate) => break fate,
                None => match owner(at) {
                    Some(next) => at = next,
                    None => break ASIDE,
                },
            }
        };
        let mut at = Some(first);
        while let Some(here) = at.filter(|&here| known(here, fates).is_none()) {
            if let Some(place) = fates.get_mut(here) {
                *place = fate;
            }
            at = owner(here);
        }
        add(found.block, fate);
    }
    Ok(answer)
}
