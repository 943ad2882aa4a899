//! Whether the ids of objects mean the same in several snapshots.
//!
//! V8 numbers the objects that a snapshot meets. A copy of a process that took one has taken its
//! numbers with it: later snapshots give them to other objects. `leak snapshot --fork` says so at
//! the beginning of the file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// How such a file begins.
const HEAD: &[u8] = b"{\"snapshot\":{\"leak_ids\":\"own\",";

/// Whether the objects that are new in a snapshot have numbers that later ones give to others. A
/// file that cannot be read has none.
pub fn are_own(path: &Path) -> bool {
    let mut head = [0; HEAD.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == HEAD
}

/// Refuses snapshots, in the order in which they were taken, of which any but the last has ids of
/// its own.
///
/// # Errors
/// [`Error::OwnIds`].
pub fn are_comparable(files: &[PathBuf]) -> Result<(), Error> {
    let earlier = files.split_last().map_or(files, |(_, earlier)| earlier);
    match earlier.iter().find(|file| are_own(file)) {
        Some(file) => Err(Error::OwnIds { path: file.clone() }),
        None => Ok(()),
    }
}
