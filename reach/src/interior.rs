//! Pointers into the inside of a block that are the normal way to hold it.
//!
//! The same four that Valgrind knows (its manual, `--leak-check-heuristics`). It knows
//! which blocks `new[]` made, and we do not: so any count that divides the rest is
//! taken for one. Two more: just behind a block, an array of no elements; and the tables
//! of Rust's hash maps.

use crate::{Block, Memory};

/// Whether `word`, which points into `block` but not to its start, holds the whole
/// block all the same.
pub fn holds(memory: &impl Memory, block: Block, word: u64) -> bool {
    let offset = word - block.address();
    if is_empty_array(memory, block, word) {
        return true;
    }
    if offset == 0 || !offset.is_multiple_of(8) || !block.address().is_multiple_of(8) {
        return false;
    }
    match offset {
        8 => after_length(memory, block),
        24 if string(memory, block) => true,
        _ => base_class(memory, word, offset) || hash_table(memory, block, offset),
    }
}

/// The table of a `HashMap` of Rust (the crate hashbrown, with groups of 16): entries, and
/// from the pointer on a control byte for each of a power of two of them. 16 more repeat
/// the first ones, so that a group can be read from anywhere; between them and fewer than
/// 16 all are empty. At most seven of eight entries are full.
fn hash_table(memory: &impl Memory, block: Block, offset: u64) -> bool {
    const GROUP: u64 = 16;
    const EMPTY: u64 = !0;
    let entries = block.size().wrapping_sub(offset + GROUP);
    if entries < 4
        || !entries.is_power_of_two()
        || entries > offset
        || !offset.is_multiple_of(GROUP)
    {
        return false;
    }
    let control = |at: u64| memory.word(block.address() + offset + at);
    let (Some(first), Some(second)) = (control(0), control(8)) else {
        return false;
    };
    let repeats = match entries {
        4 => {
            let low = |word: u64| word & 0xffff_ffff;
            let repeated = control(GROUP).is_some_and(|last| low(last) == low(first));
            first | 0xffff_ffff == EMPTY && second == EMPTY && repeated
        }
        8 => second == EMPTY && control(GROUP) == Some(first),
        _ => control(entries) == Some(first) && control(entries + 8) == Some(second),
    };
    repeats && has_room(entries, control)
}

/// Whether the control bytes, as far as they are looked at, are those of a table: some
/// places not full, and these empty (255) or deleted (128).
fn has_room(entries: u64, control: impl Fn(u64) -> Option<u64>) -> bool {
    const LOOKED_AT: u64 = 512;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut room = false;
    for at in (0..entries.clamp(8, LOOKED_AT)).step_by(8) {
        let Some(word) = control(at) else {
            return false;
        };
        let free = word & HIGH;
        // Of a free place's other bits all are set or none.
        let rest = (free >> 7).wrapping_mul(0x7f);
        let set = word & rest;
        let whole = (0..8).all(|byte| matches!(set >> (byte * 8) & 0x7f, 0 | 0x7f));
        if !whole {
            return false;
        }
        room |= free != 0;
    }
    room
}

/// A length or a count of elements in the first word: behind it the rest of the block,
/// in bytes or as equal elements (`new T[n]` with destructors).
fn after_length(memory: &impl Memory, block: Block) -> bool {
    let Some(rest) = block.size().checked_sub(8).filter(|&rest| rest > 0) else {
        return false;
    };
    let Some(first) = memory.word(block.address()) else {
        return false;
    };
    first != 0 && first <= rest && rest % first == 0 || base_class(memory, block.address() + 8, 8)
}

/// `new T[0]` with destructors: the block is the count, and its pointer that of the
/// elements that are not there. Only where the count takes 8 bytes: the ends of larger
/// blocks are where allocators have the next one.
#[inline(always)]
pub(crate) fn is_empty_array(memory: &impl Memory, block: Block, word: u64) -> bool {
    word == block.end()
        && block.size() == 8
        && word.is_multiple_of(8)
        && memory.word(word - 8) == Some(0)
}

/// libstdc++'s shared `std::string`: length, capacity, owners, text, NUL.
fn string(memory: &impl Memory, block: Block) -> bool {
    let Some(room) = block.size().checked_sub(25) else {
        return false;
    };
    match (
        memory.word(block.address()),
        memory.word(block.address() + 8),
    ) {
        (Some(length), Some(capacity)) => capacity == room && length <= capacity,
        _ => false,
    }
}

/// A base class that is not the first one: it begins with the address of a virtual
/// table, two words before which stands how far it is to the whole object (Itanium
/// C++ ABI, 2.5.2).
fn base_class(memory: &impl Memory, word: u64, offset: u64) -> bool {
    table(memory, word).is_some_and(|(_, to_top)| to_top == offset.wrapping_neg())
}

/// The address of the virtual table that an object at `address` begins with, and how
/// far it is from there to the whole object.
fn table(memory: &impl Memory, address: u64) -> Option<(u64, u64)> {
    let table = memory.word(address)?;
    if table % 8 != 0
        || table < 4096
        || !memory.is_constant(table)
        || !memory.is_constant(table - 16)
    {
        return None;
    }
    Some((table, memory.word(table - 16)?))
}

/// The virtual table of a whole object at `address`; 0 if there is none.
pub fn virtual_table(memory: &impl Memory, address: u64) -> u64 {
    match table(memory, address) {
        Some((found, 0)) => found,
        _ => 0,
    }
}
