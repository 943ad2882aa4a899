//! `libleak.so`: preloaded into a program, it records every allocation.
//!
//! Rules of this crate: it never panics, aborts, prints unasked, allocates
//! through the program's malloc, changes errno, takes a signal, keeps a
//! descriptor, or holds a lock while it calls what it does not own. What it
//! cannot record it counts as lost.
//!
//! The way of an event: [`hooks`] → [`events`] → [`unwind`] (the stack) →
//! ring → [`collect`] (windows) → file. `docs/design/interposer.md` explains.
//!
//! The crate uses `core` only: nothing of `std` is called (it would allocate or
//! read the environment); it is linked because cargo unifies the features of
//! shared dependencies, and dropped again by the linker.

#![deny(missing_docs)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[macro_use]
mod account;
mod arch;
mod bootstrap;
mod check;
mod code_table;
mod collect;
mod digits;
mod events;
mod global;
mod hooks;
mod memory;
mod modules;
mod originals;
mod quarantine;
mod reach;
mod runtimes;
mod stack_table;
mod start;
mod symbols;
mod sys;
mod thread;
mod unwind;

/// Runs when the loader has relocated the library: begins the log even of a
/// program that never allocates.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    thread::ready();
    check::begin();
    hooks::sanitizer::ask_program();
}
