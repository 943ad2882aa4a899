//! The stacks of a log: all of them, or those of the sites that somebody wants to see.

use log_format::layout::Node;

/// Nodes by id.
#[derive(Debug)]
pub(crate) enum Nodes {
    /// The place is the id.
    All(Vec<Node>),
    /// Some, by ascending id.
    Some {
        /// Their ids.
        ids: Vec<u32>,
        /// The nodes.
        nodes: Vec<Node>,
    },
}

impl Nodes {
    /// The node with an id.
    #[inline]
    pub fn get(&self, id: u32) -> Option<Node> {
        match self {
            Nodes::All(nodes) => nodes.get(id as usize).copied(),
            Nodes::Some { ids, nodes } => nodes.get(ids.binary_search(&id).ok()?).copied(),
        }
    }

    /// Forgets all nodes but these and those outside of them.
    pub fn keep(&mut self, wanted: impl Iterator<Item = u32>) {
        let Nodes::All(all) = self else { return };
        let mut keep = vec![false; all.len()];
        for mut id in wanted {
            // Once a node is kept, all outside of it are; a parent is older, or it is damage.
            while let Some(mark) = keep.get_mut(id as usize).filter(|mark| !**mark) {
                *mark = true;
                let parent = all.get(id as usize).map_or(0, |node| node.parent);
                if parent >= id {
                    break;
                }
                id = parent;
            }
        }
        let count = keep.iter().filter(|kept| **kept).count();
        if count * 2 > all.len() {
            // Ids of their own would take what is saved.
            return;
        }
        let mut ids = Vec::with_capacity(count);
        let mut nodes = Vec::with_capacity(count);
        for ((id, node), _) in (0u32..)
            .zip(all.iter())
            .zip(&keep)
            .filter(|(_, kept)| **kept)
        {
            ids.push(id);
            nodes.push(*node);
        }
        *self = Nodes::Some { ids, nodes };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parent: u32, payload: u64) -> Node {
        Node {
            parent,
            kind: 0,
            payload,
        }
    }

    #[test]
    fn what_is_kept_has_its_ids_and_all_that_is_outside_of_it() {
        let all: Vec<Node> = [0, 0, 1, 2, 0, 4, 5, 6, 7, 8]
            .iter()
            .zip(100..)
            .map(|(&parent, payload)| node(parent, payload))
            .collect();
        let mut nodes = Nodes::All(all.clone());
        nodes.keep([3u32, 2, 99].into_iter());
        for id in 0..12 {
            let expected = [0, 1, 2, 3].contains(&id).then(|| all[id as usize]);
            assert_eq!(nodes.get(id), expected, "{id}");
        }
    }

    #[test]
    fn damaged_parents_end_a_stack() {
        let mut nodes = Nodes::All(
            (0..20)
                .map(|payload| node(19 - payload as u32, payload))
                .collect(),
        );
        nodes.keep([19u32, 12].into_iter());
        assert_eq!(nodes.get(12).map(|node| node.payload), Some(12));
        assert_eq!(nodes.get(3), None);
    }
}
