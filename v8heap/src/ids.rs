//! Whether the ids of objects mean the same in several snapshots.
//!
//! V8 numbers the objects that a snapshot meets. A copy of a process that took one has taken its
//! numbers with it: later snapshots give them to other objects. `leak snapshot --fork` says so at
//! the beginning of the file.

use std::path::{Path, PathBuf};

use graph::Node;

use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::source;

/// Some ids: a bit for each up to the highest.
#[derive(Debug)]
pub(crate) struct Ids(Vec<u64>);

impl Ids {
    /// These.
    pub(crate) fn of(ids: impl Iterator<Item = u32> + Clone) -> Ids {
        let words = ids
            .clone()
            .max()
            .map_or(0, |highest| highest as usize / 64 + 1);
        let mut bits = vec![0u64; words];
        for id in ids {
            bits[id as usize / 64] |= 1 << (id % 64);
        }
        Ids(bits)
    }

    /// Whether it is one of them.
    #[inline]
    pub(crate) fn contain(&self, id: u32) -> bool {
        self.0
            .get(id as usize / 64)
            .is_some_and(|bits| bits >> (id % 64) & 1 == 1)
    }

    /// The nodes that have them, with their ids.
    pub(crate) fn nodes<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = (Node, u32)> + 'a {
        let all = (0..).zip(&snapshot.ids);
        all.map(|(node, &id)| (node, id))
            .filter(|&(_, id)| self.contain(id))
    }
}

/// How such a file begins.
const HEAD: &[u8] = b"{\"snapshot\":{\"leak_ids\":\"own\",";

/// Whether the objects that are new in a snapshot have numbers that later ones give to others. A
/// file that cannot be read has none.
pub fn are_own(path: &Path) -> bool {
    source::head(path, HEAD.len()).is_ok_and(|head| head == HEAD)
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

/// So many objects may be newer than all of a later snapshot: they have gone, and hardly anything has come.
const FEW: usize = 16;

/// The objects of a snapshot, by which the order of several is known: V8 numbers objects as it meets them, and never
/// gives a number twice.
#[derive(Debug)]
pub(crate) struct Objects<'f> {
    ids: Ids,
    newest: u32,
    file: &'f Path,
}

impl<'f> Objects<'f> {
    pub(crate) fn of(snapshot: &Snapshot, file: &'f Path) -> Objects<'f> {
        let all = snapshot.ids.iter().zip(&snapshot.kinds);
        let ids = all
            .filter(|(_, kind)| **kind == snapshot.kind.object)
            .map(|(&id, _)| id);
        Objects {
            newest: ids.clone().max().unwrap_or_default(),
            ids: Ids::of(ids),
            file,
        }
    }

    /// Refuses a later snapshot that knows none of the newest ids, if that is not because their objects have gone.
    pub(crate) fn are_before(&self, later: &Objects<'_>) -> Result<(), Error> {
        let newer = || {
            let ids = later.newest + 1..=self.newest;
            ids.filter(|&id| self.ids.contain(id)).take(FEW + 1).count()
        };
        let has_others = || {
            let words = later.ids.0.iter().zip(&self.ids.0);
            words.into_iter().any(|(later, own)| later & !own != 0)
        };
        match self.newest > later.newest && (newer() > FEW || has_others()) {
            true => Err(Error::Order {
                earlier: self.file.to_owned(),
                later: later.file.to_owned(),
            }),
            false => Ok(()),
        }
    }
}

/// Refuses two snapshots of which the second was taken first: V8 numbers objects as it meets them, and
/// never gives a number twice.
///
/// # Errors
/// [`Error::Order`].
pub fn are_in_order(
    earlier: &Snapshot,
    earlier_file: &Path,
    later: &Snapshot,
    later_file: &Path,
) -> Result<(), Error> {
    Objects::of(earlier, earlier_file).are_before(&Objects::of(later, later_file))
}

/// Refuses snapshots of two processes, or of two sessions of an inspector, at whose end V8 forgets the
/// numbers: it numbers what is there at the start alike in all, and objects that have come later are others.
///
/// # Errors
/// [`Error::Processes`].
pub fn are_of_one_process(
    first: &Snapshot,
    first_file: &Path,
    last: &Snapshot,
    last_file: &Path,
) -> Result<(), Error> {
    // V8's ids of objects are odd: one in eight is enough.
    let is_named = |snapshot: &Snapshot, node: Node| {
        let kind = snapshot.kinds[node as usize];
        (kind == snapshot.kind.object || kind == snapshot.kind.closure)
            && snapshot.ids[node as usize] % 16 == 1
    };
    let named = |snapshot: &Snapshot| {
        let nodes = (0..snapshot.graph.nodes() as Node).filter(|&node| is_named(snapshot, node));
        nodes
            .map(|node| (snapshot.ids[node as usize], node))
            .collect::<rustc_hash::FxHashMap<u32, Node>>()
    };
    let of_first = named(first);
    let (mut both, mut same) = (0u64, 0u64);
    for node in (0..last.graph.nodes() as Node).filter(|&node| is_named(last, node)) {
        if let Some(&other) = of_first.get(&last.ids[node as usize]) {
            both += 1;
            same += u64::from(first.name(other) == last.name(node));
        }
    }
    // A function may get its name late, a class its constructor.
    match both < 30 || same * 10 >= both * 9 {
        true => Ok(()),
        false => Err(Error::Processes {
            one: first_file.to_owned(),
            other: last_file.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(ids: &[u32]) -> Objects<'static> {
        Objects {
            ids: Ids::of(ids.iter().copied()),
            newest: ids.iter().copied().max().unwrap_or_default(),
            file: Path::new("a file"),
        }
    }

    #[test]
    fn the_later_of_two_has_the_newer_objects_unless_nothing_came() {
        let old = objects(&[1, 3, 5, 7]);
        assert!(old.are_before(&objects(&[1, 5, 9])).is_ok());
        assert!(objects(&[1, 5, 9]).are_before(&old).is_err());
        // Some have gone, and none has come.
        assert!(old.are_before(&objects(&[1, 3])).is_ok());
        assert!(old.are_before(&objects(&[1, 3, 4])).is_err());
        let many: Vec<u32> = (0..FEW as u32 + 5).collect();
        assert!(objects(&many).are_before(&objects(&[1, 3])).is_err());
    }
}
