//! Which nodes have no more than one edge that leads to them.

use crate::Node;

/// Counts of edges to each node, up to two: 2 bits a node.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    /// Of 64 nodes each: whether there is an edge, and whether there are two or more.
    words: Vec<[u64; 2]>,
}

impl Incoming {
    /// No edges to so many nodes.
    pub fn new(nodes: usize) -> Incoming {
        Incoming {
            words: vec![[0; 2]; nodes.div_ceil(64)],
        }
    }

    /// Counts an edge.
    #[inline]
    pub fn see(&mut self, to: Node) {
        let [one, more] = &mut self.words[to as usize / 64];
        let bit = 1 << (to % 64);
        *more |= *one & bit;
        *one |= bit;
    }

    /// Counts the edges that another has counted of as many nodes.
    pub fn add(&mut self, other: &Incoming) {
        for ([one, more], [other_one, other_more]) in self.words.iter_mut().zip(&other.words) {
            *more |= other_more | *one & other_one;
            *one |= other_one;
        }
    }

    /// Whether two edges or more lead to a node.
    #[inline]
    pub fn are_several(&self, node: Node) -> bool {
        self.words[node as usize / 64][1] >> (node % 64) & 1 == 1
    }
}
