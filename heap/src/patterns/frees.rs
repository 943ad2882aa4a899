//! Frees that were wrong: of a block that was freed before, by the wrong function, with the wrong size, of
//! what is no block.

use crate::units::{Bytes, Nanos, StackId, ThreadId};
use log_format::blob::{self, bad_free, family};
use log_format::reader::Clock;
use std::fmt;

/// Functions that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Not known.
    Unknown,
    /// malloc and its kin, freed by free or realloc.
    Malloc,
    /// operator new and operator delete.
    New,
    /// operator new[] and operator delete[].
    NewArray,
}

impl Family {
    fn from_raw(raw: u8) -> Family {
        match raw {
            family::MALLOC => Family::Malloc,
            family::NEW => Family::New,
            family::NEW_ARRAY => Family::NewArray,
            _ => Family::Unknown,
        }
    }

    /// What makes blocks.
    pub fn makes(self) -> &'static str {
        match self {
            Family::Unknown => "a function that is not known",
            Family::Malloc => "malloc",
            Family::New => "new",
            Family::NewArray => "new[]",
        }
    }

    /// What frees them.
    pub fn frees(self) -> &'static str {
        match self {
            Family::Unknown => "a function that is not known",
            Family::Malloc => "free",
            Family::New => "delete",
            Family::NewArray => "delete[]",
        }
    }
}

/// What is wrong with a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The block was freed before.
    Double,
    /// The function belongs to another family.
    Family,
    /// The size is not the block's.
    Size {
        /// The size that was given.
        given: Bytes,
    },
    /// There is no block at the address.
    Unmatched,
}

impl Wrong {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Wrong::Double => "double_free",
            Wrong::Family => "wrong_family",
            Wrong::Size { .. } => "wrong_size",
            Wrong::Unmatched => "unmatched_free",
        }
    }
}

/// A free that was wrong. Only recorded if the frees were checked (`LEAK_CHECK_FREES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFree {
    /// What is wrong.
    pub wrong: Wrong,
    /// Address.
    pub ptr: u64,
    /// Bytes asked for when the block was made.
    pub size: Bytes,
    /// What made it.
    pub made_by: Family,
    /// What was called to free it.
    pub freed_by: Family,
    /// Where it was made; 0 if not known.
    pub made: StackId,
    /// Where it was freed before; 0 if it was not.
    pub freed: StackId,
    /// Where this free is.
    pub here: StackId,
    /// Whose it is.
    pub thread: ThreadId,
    /// When.
    pub time: Nanos,
}

impl BadFree {
    /// What ends it.
    pub fn advice(&self) -> &'static str {
        match (self.wrong, self.made_by, self.freed_by) {
            (Wrong::Double, ..) => {
                "give the block one owner: set the pointer to null where it is freed first, or let a smart pointer own it"
            }
            (Wrong::Family, Family::New | Family::NewArray, Family::Malloc) => {
                "no destructor runs: free it by delete or delete[], as it was made"
            }
            (Wrong::Family, Family::NewArray, _) => {
                "only one destructor runs: free arrays by delete[]"
            }
            (Wrong::Family, Family::New, _) => {
                "destructors run for an array that is none: free single objects by delete"
            }
            (Wrong::Family, ..) => "a destructor runs on what no constructor made: free it by free",
            (Wrong::Size { .. }, ..) => {
                "the object is deleted as one of another type: give the base class a virtual destructor, or delete it by its own type"
            }
            (Wrong::Unmatched, ..) => {
                "free only what an allocation returned: not an address inside of a block, on the stack, or of a static"
            }
        }
    }
}

impl fmt::Display for BadFree {
    /// In one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ptr, size) = (self.ptr, self.size.0);
        let (makes, frees) = (self.made_by.makes(), self.freed_by.frees());
        match self.wrong {
            Wrong::Double => write!(
                f,
                "double free: a block of {size} bytes at {ptr:#x} was freed before"
            ),
            Wrong::Family => write!(
                f,
                "wrong function: a block of {size} bytes, made by {makes}, was freed by {frees}"
            ),
            Wrong::Size { given } => {
                write!(
                    f,
                    "wrong size: a block of {size} bytes was freed by {frees} as one of {} bytes",
                    given.0
                )
            }
            Wrong::Unmatched => write!(f, "unmatched free: there is no block at {ptr:#x}"),
        }
    }
}

/// Makes them of what a log says. Where the recorder did not know the address, it counts what the log knows:
/// `unmatched` are the addresses of frees that match no block.
pub(crate) fn bad_frees(
    facts: &[(u64, u32, blob::BadFree)],
    unmatched: &[u64],
    clock: &Clock,
) -> Vec<BadFree> {
    let frees = facts.iter().filter_map(|(time, thread, bad)| {
        let wrong = match bad.what {
            bad_free::DOUBLE => Wrong::Double,
            bad_free::FAMILY => Wrong::Family,
            bad_free::SIZE => Wrong::Size {
                given: Bytes(bad.given.checked_sub(1)?),
            },
            bad_free::UNKNOWN if unmatched.contains(&bad.ptr) => Wrong::Unmatched,
            _ => return None,
        };
        Some(BadFree {
            wrong,
            ptr: bad.ptr,
            size: Bytes(bad.size),
            made_by: Family::from_raw(bad.made_by),
            freed_by: Family::from_raw(bad.freed_by),
            made: StackId(bad.made),
            freed: StackId(bad.freed),
            here: StackId(bad.here),
            thread: ThreadId(*thread),
            time: Nanos(clock.to_ns(*time)),
        })
    });
    frees.collect()
}
