//! Blocks that the program asked not to call leaks.
//!
//! Two ways to say so. Blocks made while a thread had leak checking disabled have a mark as the innermost
//! node of their stack. Of others the program names an address: that means the block there, if it was made
//! before it was named (a later one only has the same place).

use crate::live::{FastMap, Live};
use log_format::layout::{Node, node_kind};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    /// Blocks and bytes by stack.
    pub by_stack: FastMap<u32, (u64, u64)>,
    /// Serials of the blocks that were named by address.
    pub named: FastMap<u64, ()>,
    /// Stacks that have the mark, of those in `by_stack`.
    marked: FastMap<u32, ()>,
}

impl Ignored {
    /// Those of a live set. `addresses`: what was named, and when (event clock).
    pub fn find(addresses: &[(u64, u64)], nodes: &[Node], live: &Live) -> Ignored {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        let mut ignored = Ignored::default();
        let any_marked = nodes.iter().any(|node| node.kind == node_kind::IGNORED);
        if addresses.is_empty() && !any_marked {
            return ignored;
        }
        for (serial, block) in live.iter() {
            let first = addresses.partition_point(|&(address, _)| address < block.ptr);
            let end = block.ptr.saturating_add(block.size.max(1));
            let inside = addresses[first..]
                .iter()
                .take_while(|&&(address, _)| address < end);
            let named = inside.into_iter().any(|&(_, time)| time >= block.time);
            if named {
                ignored.named.insert(serial, ());
            }
            let marked = is_marked(nodes, block.stack);
            if marked {
                ignored.marked.insert(block.stack, ());
            }
            if named || marked {
                let (blocks, bytes) = ignored.by_stack.entry(block.stack).or_default();
                *blocks += 1;
                *bytes = bytes.wrapping_add(block.size);
            }
        }
        ignored
    }

    /// Whether a live block is one of them.
    pub fn has(&self, serial: u64, stack: u32) -> bool {
        self.named.contains_key(&serial) || self.marked.contains_key(&stack)
    }
}

/// Whether blocks with this stack were made while leak checking was disabled.
fn is_marked(nodes: &[Node], stack: u32) -> bool {
    nodes
        .get(stack as usize)
        .is_some_and(|node| node.kind == node_kind::IGNORED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Block;

    fn node(kind: u32) -> Node {
        Node {
            parent: 0,
            kind,
            payload: 0,
        }
    }

    #[test]
    fn a_block_is_ignored_by_its_stack_or_by_an_address_in_it() {
        let nodes = [
            node(node_kind::EMPTY),
            node(node_kind::NATIVE),
            node(node_kind::IGNORED),
        ];
        let mut live = Live::default();
        let block = |ptr, time, stack| Block {
            ptr,
            size: 16,
            time,
            stack,
            thread: 1,
        };
        live.insert(1, block(0x1000, 5, 1));
        live.insert(2, block(0x2000, 5, 2));
        live.insert(3, block(0x3000, 5, 1));
        live.insert(4, block(0x4000, 9, 1));
        // Inside of the third; before the fourth was made; behind the first.
        let ignored = Ignored::find(&[(0x3008, 6), (0x4000, 8), (0x1010, 6)], &nodes, &live);
        assert_eq!(ignored.named.keys().collect::<Vec<_>>(), [&3]);
        assert_eq!(ignored.by_stack.get(&1), Some(&(1, 16)));
        assert_eq!(ignored.by_stack.get(&2), Some(&(1, 16)));
    }
}
