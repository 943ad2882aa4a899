//! Where functions and constructors stand, by node.

use std::ops::Deref;

use graph::Node;

use crate::snapshot::Location;

/// Nodes whose places one word knows.
const WORD: usize = 64;

/// The locations of a snapshot, sorted by node; one for a node at most.
#[derive(Debug, Default)]
pub struct Locations {
    all: Vec<(Node, Location)>,
    /// Of 64 nodes each: which have a location, and how many before them have.
    words: Vec<(u64, u32)>,
}

impl Locations {
    /// In the order of a file, where of two of one node the later one counts.
    pub(crate) fn of(mut all: Vec<(Node, Location)>) -> Locations {
        all.reverse();
        all.sort_by_key(|&(node, _)| node);
        all.dedup_by_key(|&mut (node, _)| node);
        let count = all.last().map_or(0, |&(last, _)| last as usize / WORD + 1);
        let mut words = vec![(0u64, 0u32); count];
        for &(node, _) in &all {
            words[node as usize / WORD].0 |= 1 << (node as usize % WORD);
        }
        let mut before = 0;
        for (bits, first) in &mut words {
            *first = before;
            before += bits.count_ones();
        }
        Locations { all, words }
    }

    /// That of a node.
    #[inline]
    pub fn get(&self, node: Node) -> Option<Location> {
        let &(bits, first) = self.words.get(node as usize / WORD)?;
        let bit = node as usize % WORD;
        let before = (bits & ((1 << bit) - 1)).count_ones();
        (bits >> bit & 1 == 1).then(|| self.all[(first + before) as usize].1)
    }
}

impl Deref for Locations {
    type Target = [(Node, Location)];

    fn deref(&self) -> &[(Node, Location)] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_one_of_a_node_counts() {
        let at = |line| Location {
            script: 1,
            line,
            column: 0,
        };
        let all = [(200, 1), (0, 2), (63, 3), (200, 4), (64, 5), (0, 6)];
        let locations = Locations::of(all.map(|(node, line)| (node, at(line))).to_vec());
        let lines = |node| locations.get(node).map(|location| location.line);
        let found = [0, 1, 62, 63, 64, 65, 199, 200, 201, 100_000].map(lines);
        let (some, none) = (Some, None);
        let expected = [some(6), none, none, some(3), some(5), none, none, some(4)];
        assert_eq!(found[..8], expected);
        assert_eq!((found[8], found[9], locations.len()), (None, None, 4));
    }
}
