//! What the blocks of a site look like that were left, and what ends it.
//!
//! Each pattern asks for evidence that its twin without the fault cannot have: all of them for blocks that
//! nothing reachable leads to. Where there is none, nothing is said.

use crate::profile::Profile;
use crate::reach::SiteReach;
use crate::units::StackId;
use log_format::reach::Class;
use std::fmt;

/// Blocks that each thread may leave to be told as its own.
const PER_THREAD: u64 = 64;
/// An exception: at most one in so many blocks of a site.
const SELDOM: u64 = 4;

/// What a site looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Objects that count their references hold each other.
    CountedRing {
        /// Rings.
        rings: u64,
    },
    /// Threads that ended left blocks of their own.
    ThreadEnd {
        /// How many.
        threads: u64,
        /// Blocks that each left.
        each: u64,
    },
    /// Only the pointer to the block that was made last is left.
    Overwritten {
        /// Blocks whose pointer is gone.
        lost: u64,
    },
    /// Most blocks made there were freed, some were lost.
    SomeWays {
        /// Blocks that were lost.
        lost: u64,
        /// Blocks that were made.
        made: u64,
    },
}

impl Pattern {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Pattern::CountedRing { .. } => "reference_cycle",
            Pattern::ThreadEnd { .. } => "thread_end",
            Pattern::Overwritten { .. } => "overwritten_pointer",
            Pattern::SomeWays { .. } => "error_path",
        }
    }

    /// What ends it.
    pub fn advice(self) -> &'static str {
        match self {
            Pattern::CountedRing { .. } => {
                "make one reference of the cycle weak (std::weak_ptr, Weak), or break it where its owner ends"
            }
            Pattern::ThreadEnd { .. } => {
                "free it where the thread ends: a destructor for pthread_key_create, or a thread_local object that owns it"
            }
            Pattern::Overwritten { .. } => "free the old block before its pointer gets a new value",
            Pattern::SomeWays { .. } => {
                "look for ways out that skip the free: an early return, an exception, an error that is handled"
            }
        }
    }
}

impl fmt::Display for Pattern {
    /// In one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::CountedRing { rings: 1 } => {
                f.write_str("a cycle of reference-counted objects that only hold each other")
            }
            Pattern::CountedRing { rings } => write!(
                f,
                "{} cycles of reference-counted objects that only hold each other",
                Count(*rings)
            ),
            Pattern::ThreadEnd { threads, each: 1 } => {
                let threads = Count(*threads);
                write!(f, "each of {threads} threads left one block when it ended")
            }
            Pattern::ThreadEnd { threads, each } => write!(
                f,
                "each of {} threads left {} blocks when it ended",
                Count(*threads),
                Count(*each)
            ),
            Pattern::Overwritten { lost: 1 } => {
                f.write_str("a pointer was overwritten: only the block made last is still held")
            }
            Pattern::Overwritten { lost } => {
                write!(
                    f,
                    "a pointer was overwritten {} times: only the block made last is still held",
                    Count(*lost)
                )
            }
            Pattern::SomeWays { lost, made } => {
                let (lost, made) = (Count(*lost), Count(*made));
                write!(f, "{lost} of {made} blocks were lost, the others freed")
            }
        }
    }
}

/// A number with its thousands apart, as all of a report's are.
struct Count(u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            few @ ..1000 => write!(f, "{few}"),
            many => write!(f, "{},{:03}", Count(many / 1000), many % 1000),
        }
    }
}

/// Whether a function belongs to objects that count their references: shared_ptr of C++ and Boost, Rc and
/// Arc of Rust, GObject.
pub fn counts_references(function: &str) -> bool {
    const NAMES: &[&str] = &[
        "std::__shared_count<",
        "std::_Sp_counted_",
        "std::make_shared<",
        "std::shared_ptr<",
        "std::__shared_ptr<",
        "std::__1::shared_ptr<",
        "std::__1::make_shared",
        "boost::detail::shared_count",
        "boost::shared_ptr<",
        "boost::make_shared<",
        "alloc::rc::",
        "alloc::sync::Arc",
        "g_object_new",
        "g_type_create_instance",
    ];
    NAMES.iter().any(|name| function.contains(name))
}

/// The pattern of a site. `counted` tells whether any of some stacks has a function of reference-counted
/// objects.
pub fn pattern(
    profile: &Profile,
    stack: StackId,
    counted: impl Fn(&[StackId]) -> bool,
) -> Option<Pattern> {
    let site = profile.site(stack)?;
    let reach = profile.reach.site(stack)?;
    let mut members = vec![stack];
    members.extend(profile.reach.ring(stack));
    if reach.rings > 0 && counted(&members) {
        return Some(Pattern::CountedRing { rings: reach.rings });
    }
    let ended = |thread| profile.thread(thread).is_some_and(|thread| thread.ended);
    let threads = site
        .threads
        .iter()
        .all(|&thread| ended(thread))
        .then_some(site.threads.len() as u64);
    let (fresh, moved) = (site.figures.allocations, site.figures.reallocations);
    let found = by_figures(
        reach,
        site.figures.blocks,
        fresh.saturating_add(moved),
        threads,
    );
    // What `realloc` takes away is one block that grew: nobody freed it.
    found.filter(|pattern| moved <= fresh || !matches!(pattern, Pattern::SomeWays { .. }))
}

/// `threads`: those that made the blocks, if all of them have ended.
fn by_figures(reach: &SiteReach, left: u64, made: u64, threads: Option<u64>) -> Option<Pattern> {
    let blocks = |class| reach.classes.of(class).blocks;
    let direct = blocks(Class::Unreachable);
    let lost = direct + blocks(Class::Indirect);
    let held = blocks(Class::Reachable);
    if direct == 0 || lost + held != left {
        return None;
    }
    if let Some(threads) = threads.filter(|&threads| threads > 1)
        && held == 0
        && left.is_multiple_of(threads)
        && left / threads <= PER_THREAD
    {
        return Some(Pattern::ThreadEnd {
            threads,
            each: left / threads,
        });
    }
    if held == 1 && reach.last == Some(Class::Reachable) {
        return Some(Pattern::Overwritten { lost });
    }
    let freed = made.saturating_sub(left);
    (held == 0 && freed > 0 && lost.saturating_mul(SELDOM) <= made)
        .then_some(Pattern::SomeWays { lost, made })
}

#[cfg(test)]
mod tests {
    use super::{Count, Pattern};

    #[test]
    fn numbers_have_their_thousands_apart() {
        let shown = [0, 999, 1000, 400_000, 1_002_003].map(|n| Count(n).to_string());
        assert_eq!(shown, ["0", "999", "1,000", "400,000", "1,002,003"]);
        let pattern = Pattern::SomeWays {
            lost: 8000,
            made: 400_000,
        };
        assert!(pattern.to_string().starts_with("8,000 of 400,000 blocks"));
    }
}
