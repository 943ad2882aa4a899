//! Object graphs, whatever made them: nodes are ordinals from 0, edges are rows of `u32`.
//!
//! A heap snapshot of a runtime, or the blocks of a native heap and the words that point from one
//! to another, become a [`Graph`]; what an edge means is the runtime's business and comes in as
//! [`Rules`]. Here is only what follows from the shape:
//!
//! * [`dominators`]: who keeps a node alive alone, and with [`Dominators::retained`] how much;
//! * [`distances`]: how far a node is from where a person begins to look;
//! * [`Paths`]: the way to a node that costs a reader least;
//! * [`Retainers`]: the edges backwards.
//!
//! Everything is iterative: a list of a million links is a path of a million edges.
//! Sizes in the docs are for n nodes and m edges.

#![deny(missing_docs)]

mod distances;
mod dominators;
mod incoming;
mod link_eval;
mod paths;
mod prefetch;
mod retainers;
mod rows;

pub use distances::{UNREACHED, breadth_first};
pub use dominators::{Dominators, Rules, Use, dominators};
pub use incoming::Incoming;
pub use paths::{MAX_COST, Paths};
pub use retainers::Retainers;
pub use rows::Graph;

/// A node's ordinal: its place in the file or heap it came from.
pub type Node = u32;
/// An edge's ordinal.
pub type Edge = u32;
