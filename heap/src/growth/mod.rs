//! Which sites grow, from the log alone: how the live bytes of a site went over
//! the run, and whether that can be chance.
//!
//! ```text
//! pass 1: replay ──> marks (time, allocations), births of the survivors
//!                        │
//!                      Plan: warm-up, 40 parts of equal progress
//!                        │
//! pass 2: replay ──> Watch ──> Evidence of each site ──> judge() ──> Growth
//! ```
//! A second pass, because the parts must be known before the first block dies;
//! it costs a report the time of another replay, and only when asked for.
//!
//! What is tested are blocks that outlived a whole part (*old* blocks): blocks of
//! short lives only make noise. How the null hypothesis was chosen, and what was
//! rejected: `docs/design/growth.md`.

mod evidence;
mod plan;
mod spans;
mod trend;
mod verdict;
mod watch;

pub use evidence::{AGE_CLASSES, Ages};
pub use plan::PARTS;
pub use verdict::{Growth, Verdict, judge};

pub(crate) use evidence::Evidence;
pub(crate) use plan::{Marks, Plan};
pub(crate) use spans::Spans;
pub(crate) use trend::{sign_test, slope};
pub(crate) use verdict::Record;
pub(crate) use watch::Watch;
