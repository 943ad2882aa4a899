//! What a fault looks like, and what ends it, where the log has the evidence.

mod frees;
mod leaks;

pub(crate) use frees::bad_frees;
pub use frees::{BadFree, Family, Wrong};
pub use leaks::{Pattern, counts_references, pattern};
