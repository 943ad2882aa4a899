//! The stack table: from NODES blocks, and after a kill from raw NODES extents.

use super::Log;
use super::blocks::Loader;
use crate::block::BlockKind;
use crate::error::DamageList;
use crate::layout::{ExtentKind, NODE_CHUNK, Node, PAGE, flag, node_kind};
use crate::nodes::decode_nodes;
use crate::varint::In;
use std::format;
use std::mem::size_of;
use std::vec::Vec;

/// Ids are dense, so a block that begins far beyond the nodes known so far is
/// damage, and must not make the table huge.
const MAX_GAP: usize = 1 << 20;
/// More nodes than any recorder makes.
const MAX_NODES: usize = 1 << 27;

fn plausible(first: u32, count: usize, known: usize) -> bool {
    let first = first as usize;
    first <= known.saturating_add(MAX_GAP) && first.saturating_add(count) <= MAX_NODES
}

/// Reads the whole table; entry 0 is the root. Missing nodes have kind 0.
pub(super) fn read(log: &Log, damage: &mut DamageList) -> Vec<Node> {
    let mut table = Vec::new();
    let mut loader = Loader::new();
    let mut raw = Vec::new();
    for block in log
        .blocks
        .iter()
        .filter(|b| b.kind == BlockKind::Nodes as u8)
    {
        let mut fail = |what: &str| {
            damage.add(format!(
                "block {} at {:#x}: {what}; its stacks are unknown",
                block.seq, block.offset
            ));
        };
        if let Err(what) = loader.load(&log.source, block, &mut raw) {
            fail(what);
            continue;
        }
        let mut input = In::new(&raw);
        let sane = match (input.u32(), input.u32()) {
            (Some(first), Some(count)) => plausible(first, count as usize, table.len()),
            _ => false,
        };
        if !sane || decode_nodes(&raw, &mut table).is_none() {
            fail("its stacks cannot be decoded");
        }
    }
    if !log.info.has(flag::NODES_IN_BLOCKS) {
        raw_extents(log, &mut table, damage);
    }
    while table
        .last()
        .is_some_and(|node| node.kind == node_kind::EMPTY)
    {
        table.pop();
    }
    table
}

fn raw_extents(log: &Log, table: &mut Vec<Node>, damage: &mut DamageList) {
    let mut extents: Vec<_> = log
        .extents
        .iter()
        .filter(|extent| extent.kind == ExtentKind::Nodes)
        .collect();
    extents.sort_by_key(|extent| extent.id);
    let mut buf = Vec::new();
    for extent in extents {
        let size = size_of::<Node>() as u64;
        let count = usize::try_from(extent.len.saturating_sub(PAGE) / size).unwrap_or(0);
        let first = extent
            .id
            .checked_mul(NODE_CHUNK)
            .filter(|&first| plausible(first, count, table.len()));
        let Some(first) = first else {
            damage.add(format!(
                "stack table at {:#x}: chunk {} is impossible; skipped",
                extent.offset, extent.id
            ));
            continue;
        };
        let bytes = count * size_of::<Node>();
        if log
            .source
            .read_exact(extent.offset + PAGE, bytes, &mut buf)
            .is_none()
        {
            damage.add(format!(
                "stack table at {:#x}: cannot be read",
                extent.offset
            ));
            continue;
        }
        let nodes = buf.chunks_exact(size_of::<Node>()).map(|bytes| Node {
            parent: super::source::u32_at(bytes, 0),
            kind: super::source::u32_at(bytes, 4),
            payload: super::source::u64_at(bytes, 8),
        });
        for (id, node) in (first as usize..).zip(nodes) {
            if node.kind == node_kind::EMPTY {
                continue;
            }
            if table.len() <= id {
                table.resize(id + 1, Node::default());
            }
            if let Some(slot) = table
                .get_mut(id)
                .filter(|slot| slot.kind == node_kind::EMPTY)
            {
                *slot = node;
            }
        }
    }
}
