//! Addresses to functions, files and lines, after the process is gone.
//!
//! Three levels:
//! - [`symbolize`] answers for many modules at once, from the files that a [`FileSource`]
//!   brings; [`LocalFiles`] is the disk.
//! - [`PerfMap`] names code that was compiled at run time.
//! - [`demangle`] makes a symbol's name readable.
//!
//! The crate knows nothing of leaks, and never panics on what files contain: a module that
//! cannot be read has a [`Problem`], and the others have their frames.
#![deny(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod data;
mod demangle;
mod dwarf;
mod elf;
mod files;
mod local;
mod module;
mod perf_map;
mod problem;
mod request;
mod scope;
mod symbolize;
mod symtab;
mod v8;

pub use data::{Variable, variables};
pub use demangle::demangle;
pub use files::{FileData, FileSource, Wanted};
pub use local::LocalFiles;
pub use perf_map::PerfMap;
pub use problem::Problem;
pub use request::{Detail, Frame, Module, Options, Request, Symbols};
pub use symbolize::{handles_panics, symbolize};
pub use v8::{NO_FILE, v8_code, v8_inlines};
