//! What a fault looks like, and what ends it, where the log has the evidence.

mod frees;

pub use frees::{BadFree, Family, Wrong};
pub(crate) use frees::bad_frees;
