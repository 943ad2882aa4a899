//! The reader (post mortem).
