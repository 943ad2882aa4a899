//! The contract between the recorder and the reader: how events stand in a
//! ring, how windows of them stand in the log file, how the file is laid out.
//!
//! Two users: `libleak.so` writes (without `std`: no allocation, no system
//! call, nothing that can panic), the `leak` command reads ([`reader`]).
//! `docs/design/log.md` describes the same bytes in prose with a worked dump.
//!
//! **If you change anything here that changes a byte in the file, bump
//! [`layout::VERSION`].**

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(feature = "std")]
pub mod append;
pub mod blob;
pub mod block;
pub mod control;
#[cfg(feature = "std")]
pub mod error;
pub mod js;
pub mod layout;
pub mod memory;
pub mod nodes;
pub mod reach;
#[cfg(feature = "std")]
pub mod reader;
pub mod record;
pub mod ring;
#[cfg(feature = "std")]
pub mod seen;
pub mod varint;
pub mod window;
