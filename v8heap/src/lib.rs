//! Heap snapshots of V8 (`.heapsnapshot`, from Node, Chrome, Electron).
//!
//! Three levels: [`load`] reads a file into columns, a [`Snapshot`]; [`Analysis`] computes what
//! Chrome DevTools shows of each node, equal to it; the rest says what it means.
//! The format has no specification: V8's `heap-snapshot-generator.cc` writes it, and what its
//! numbers mean to people is in DevTools' `heap_snapshot_worker`.

#![deny(missing_docs)]

mod blocks;
mod classes;
mod columns;
mod detached;
mod error;
pub mod fanout;
mod figures;
mod foreign;
mod functions;
pub mod hidden_classes;
pub mod ids;
pub mod leaks;
mod load;
mod locations;
mod meta;
mod numbers;
mod pairs;
mod place;
pub mod query;
pub mod rules;
mod scopes;
mod scripts;
mod sections;
mod shallow;
mod shapes;
mod snapshot;
mod source;
mod sources;
pub mod stacks;
pub mod string_use;
mod strings;
mod threads;
mod ways;

pub use classes::{Change, Children, Class, Classes, Sums, compare};
pub use error::{Error, Fault};
pub use figures::{Analysis, SYSTEM_DISTANCE};
pub use load::{load, load_bytes};
pub use locations::Locations;
pub use meta::{EdgeKinds, NodeKinds};
pub use place::Place;
pub use scripts::Scripts;
pub use shapes::Definition;
pub use snapshot::{Location, Sizes, Snapshot, detachedness};
pub use strings::Strings;
pub use ways::{Reference, Step, Ways, references, what};
