//! Pointers into the inside of a block that are the normal way to hold it.
//!
//! The same four that Valgrind knows (its manual, `--leak-check-heuristics`). It knows
//! which blocks `new[]` made, and we do not: so any count that divides the rest is
//! taken for one. And a fifth, just behind a block: an array of no elements.

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
        _ => base_class(memory, word, offset),
    }
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
