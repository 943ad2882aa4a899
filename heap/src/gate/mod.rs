//! The gate: which blocks that were not freed count against a run.
//!
//! A [`Leak`] is a site with blocks left, its frames named by the caller (nothing here knows symbols).
//! [`Suppressions`] take away those that someone has decided to live with, a [`Baseline`] those that were
//! there before, and a [`Policy`] says what of the rest makes a run fail. `docs/design/gate.md` tells why
//! each is as it is.

mod baseline;
mod builtin;
mod error;
mod glob;
mod identity;
mod lsan;
mod lsan_options;
mod mangled;
mod policy;
mod suppressions;
mod valgrind;
mod verdict;

pub use baseline::{Baseline, Known};
pub use error::GateError;
pub use identity::Identity;
pub use lsan_options::LsanOptions;
pub use policy::{Amount, FailOn, Policy, What};
pub use suppressions::{Demangle, Grammar, Hits, Source, Suppression, Suppressions, generate};
pub use verdict::{Finding, Status, Sum, Verdict, judge};

use log_format::reach::Class;
use std::path::Path;

/// A frame with its names, as far as there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamedFrame<'a> {
    /// Demangled name.
    pub function: Option<&'a str>,
    /// Path of the program or library.
    pub module: Option<&'a Path>,
    /// Source file.
    pub file: Option<&'a str>,
    /// Line in it.
    pub line: Option<u32>,
    /// Whether it was inlined into the next frame.
    pub inlined: bool,
    /// Address of the call in the module's file.
    pub offset: u64,
}

/// Blocks of one site that were not freed, and are of one class.
#[derive(Clone, Debug)]
pub struct Leak<'a> {
    /// What the caller knows it by.
    pub site: usize,
    /// What leads to them; `None` if the log does not say.
    pub class: Option<Class>,
    /// Whether their site kept growing; false if nobody looked.
    pub growing: bool,
    /// How many they are.
    pub amount: Amount,
    /// The whole stack, innermost first, less libleak's own frames.
    pub frames: Vec<NamedFrame<'a>>,
    /// How many of the inner frames are an allocator's, or what languages put around it.
    pub allocator: usize,
    /// How many of the frames, from the inner end, are not those of the runtime that calls `main`.
    pub inside: usize,
}

impl<'a> Leak<'a> {
    /// The frames from what called the allocator outwards to `main`.
    pub fn own_frames(&self) -> &[NamedFrame<'a>] {
        let end = self.inside.max(self.allocator);
        self.frames.get(self.allocator..end).unwrap_or(&[])
    }

    /// The frames from what called the allocator outwards.
    pub fn called(&self) -> &[NamedFrame<'a>] {
        self.frames.get(self.allocator..).unwrap_or(&[])
    }
}
