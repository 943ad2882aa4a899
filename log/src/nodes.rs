//! Stack nodes in blocks of kind [`crate::block::BlockKind::Nodes`].

use crate::layout::Node;
#[cfg(feature = "std")]
use crate::varint::In;
use crate::varint::Out;
#[cfg(feature = "std")]
use std::vec::Vec;

/// Encodes the nodes with ids `first..first + nodes.len()`: count, first id,
/// then per node kind and `id − parent`, then the distinct payloads in order of
/// first use as deltas, then per node its payload's number.
///
/// `hash` is scratch of a power of two of at least `2 × nodes.len()` entries,
/// `order` of at least `nodes.len()`; contents do not matter.
pub fn encode_nodes(
    first: u32,
    nodes: &[Node],
    hash: &mut [u32],
    order: &mut [u32],
    out: &mut [u8],
) -> Option<usize> {
    let mut out = Out::new(out);
    out.uint(u64::from(first));
    out.uint(nodes.len() as u64);
    for (id, node) in (first..).zip(nodes) {
        out.uint(u64::from(node.kind));
        out.uint(u64::from(id.wrapping_sub(node.parent)));
    }
    hash.fill(u32::MAX);
    let mask = hash.len().checked_sub(1)?;
    let mut distinct = 0u32;
    for (index, node) in nodes.iter().enumerate() {
        let mut slot = (node.payload.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        let number = loop {
            let entry = hash.get_mut(slot)?;
            if *entry == u32::MAX {
                *entry = index as u32;
                distinct += 1;
                break distinct - 1;
            }
            let seen = *entry as usize;
            if nodes.get(seen)?.payload == node.payload {
                break *order.get(seen)?;
            }
            slot = (slot + 1) & mask;
        };
        *order.get_mut(index)? = number;
    }
    let order = order.get(..nodes.len())?;
    out.uint(u64::from(distinct));
    let (mut new, mut last) = (0u32, 0u64);
    for (&number, node) in order.iter().zip(nodes) {
        if number == new {
            out.int(node.payload.wrapping_sub(last) as i64);
            last = node.payload;
            new += 1;
        }
    }
    for &number in order {
        out.uint(u64::from(number));
    }
    out.finish()
}

/// Decodes what [`encode_nodes`] wrote into `table`, which grows as needed.
#[cfg(feature = "std")]
pub fn decode_nodes(payload: &[u8], table: &mut Vec<Node>) -> Option<()> {
    let mut input = In::new(payload);
    let first = input.u32()?;
    let count = input.u32()?;
    // Three bytes a node at least.
    if count as usize > payload.len() / 3 {
        return None;
    }
    let (from, to) = (first as usize, first as usize + count as usize);
    let mut nodes = Vec::with_capacity(count as usize);
    for id in first..first.checked_add(count)? {
        let kind = input.u32()?;
        let parent = id.checked_sub(input.u32()?)?;
        nodes.push(Node {
            parent,
            kind,
            payload: 0,
        });
    }
    let distinct = input.u32()?;
    if distinct > count {
        return None;
    }
    let mut payloads = Vec::with_capacity(distinct as usize);
    let mut last = 0u64;
    for _ in 0..distinct {
        last = last.wrapping_add(input.int()? as u64);
        payloads.push(last);
    }
    for node in &mut nodes {
        node.payload = *payloads.get(input.u32()? as usize)?;
    }
    if table.len() < to {
        table.resize(to, Node::default());
    }
    table.get_mut(from..to)?.copy_from_slice(&nodes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(bytes: Vec<u8>) {
            decode_nodes(&bytes, &mut Vec::new());
        }

        #[test]
        fn nodes_come_back_as_they_were(payloads in prop::collection::vec(0u64..40, 1..300)) {
            let nodes: Vec<Node> = payloads.iter().enumerate()
                .map(|(i, &p)| Node { parent: (i as u32) / 2, kind: 1, payload: p << 33 }).collect();
            let mut out = vec![0; 1 << 16];
            let len = encode_nodes(1, &nodes, &mut vec![0; 1024], &mut vec![0; 512], &mut out).unwrap();
            let mut table = Vec::new();
            decode_nodes(&out[..len], &mut table).unwrap();
            prop_assert_eq!(&table[1..], &nodes[..]);
        }
    }
}
