//! Which live blocks can still be reached: a conservative search from roots.
//!
//! The caller gives the live blocks, memory to work in (about 40 bytes a block, all
//! of it given at once), a way to read the program's memory ([`Memory`]) and the
//! roots one after the other. Works in the frozen copy of a process (`core` only: no
//! allocation, no system call) and from outside on a copy of its memory.
//!
//! ```text
//! Search::new(arrays)      sorts the blocks, builds the index address -> block
//!   .root(…) .value(…)     every word of a root that points to a block's start marks it
//!   .finish(…)             breadth first from there; then what is possible; then the leaks
//!   .each(…)               the result, by serial
//! ```
//!
//! **Classes.** A chain of pointers to starts of blocks from a root: reachable. A chain
//! with a pointer into the inside of a block: possible, unless one of the heuristics of
//! [`interior`] explains it. The rest are leaks. Among them an edge from a leak to
//! another makes that one indirect; of leaks that point to each other in a ring to
//! which nothing else points, the oldest is the direct one.
//!
//! **Parents.** The search is breadth first, so the chain of parents of a reachable
//! block is a shortest one.

#![cfg_attr(not(test), no_std)]
#![deny(missing_docs)]

mod block;
mod index;
pub mod interior;
mod search;

pub use block::Block;
pub use index::Region;
pub use log_format::reach::Class;
pub use search::{Arrays, Found, From, RootRule, Search, Stop};

/// Reads the program's memory.
pub trait Memory {
    /// Calls `each` with the readable words from `start` up to `end` (both multiples
    /// of 8): the address of the first and the words. What cannot be read is left out.
    fn words(&self, start: u64, end: u64, each: impl FnMut(u64, &[u64]));

    /// The word at an address (a multiple of 8).
    fn word(&self, address: u64) -> Option<u64>;

    /// Whether constant data of the program or a library stands there: the places of
    /// virtual tables.
    fn is_constant(&self, address: u64) -> bool;

    /// Asks for memory that will be read soon.
    fn prefetch(&self, address: u64);

    /// Whether the search has taken too long. Asked now and then.
    fn is_late(&self) -> bool;
}
