//! What V8 tells of its code: ranges and names go into the log, and stacks whose addresses
//! have a new meaning get new nodes.
//!
//! V8 frees code without a word, so a range means what was last said of it. A range is
//! tied to the stacks by the count of nodes at the time: a node with a smaller number meant
//! the code that was there before. So that no old node is used for new code, a table of
//! *births* says, for each 64 bytes of code, how many nodes there were when the code there
//! was replaced.

use super::api::{CodeEvent, code_kind, event};
use crate::global::{self, Global};
use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use log_format::blob::{self, BlobKind};
use log_format::varint::Out;

/// log2 of the bytes that share a birth.
const UNIT: u32 = 6;
/// Births: 128 MiB of code, the most that one isolate has; others share them, which costs
/// nodes but no names. 16 MiB of address space, touched as used.
const UNITS: usize = 2 << 20;
/// Longest name that is written, bytes.
const MAX_NAME: usize = 900;

/// See the module. All-zero bytes: no table yet.
pub struct Births {
    /// Per unit: low half: nodes with smaller numbers are of other code; high half: a hash
    /// of what is there now, not 0.
    table: AtomicPtr<AtomicU64>,
}

impl Births {
    /// Nodes with smaller numbers than this meant other code at this return address.
    #[inline]
    pub fn first_node(&self, address: u64) -> u32 {
        let table = self.table.load(Acquire);
        if table.is_null() {
            return 0;
        }
        // SAFETY: the table has `UNITS` entries.
        unsafe { &*table.add(unit(address.wrapping_sub(1))) }.load(Relaxed) as u32
    }

    fn table(&self) -> Option<&[AtomicU64]> {
        let mut table = self.table.load(Acquire);
        if table.is_null() {
            let fresh = sys::map_private(UNITS * 8)?;
            match self
                .table
                .compare_exchange(core::ptr::null_mut(), fresh.cast(), AcqRel, Acquire)
            {
                Ok(_) => table = fresh.cast(),
                Err(other) => {
                    // SAFETY: nobody saw the loser's mapping.
                    unsafe { sys::unmap(fresh, UNITS * 8) };
                    table = other;
                }
            }
        }
        // SAFETY: a mapping of that size, never unmapped.
        Some(unsafe { core::slice::from_raw_parts(table, UNITS) })
    }
}

fn unit(address: u64) -> usize {
    (address >> UNIT) as usize % UNITS
}

/// What V8 calls.
///
/// # Safety
/// `told` is a valid event.
pub unsafe extern "C" fn on_event(told: *const CodeEvent) {
    // SAFETY: the caller's promise.
    let told = unsafe { &*told };
    if told.code_kind == code_kind::BYTECODE || !matches!(told.kind, event::ADDED | event::MOVED) {
        return;
    }
    let Some(global) = global::recording() else {
        return;
    };
    if told.kind == event::MOVED {
        moved(
            global,
            told.start,
            told.name_or_start as u64,
            told.len as u64,
        );
        return;
    }
    if told.len == 0 || told.name_or_start.is_null() {
        return;
    }
    // SAFETY: V8's string, which lives during the call.
    let name =
        unsafe { core::slice::from_raw_parts(told.name_or_start, told.name_len.min(MAX_NAME)) };
    added(global, told.start, told.len as u64, name);
}

fn added(global: &'static Global, start: u64, len: u64, name: &[u8]) {
    let hash = name
        .iter()
        .fold(start ^ len.rotate_left(32), |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    let Some(first_node) = settle(global, start, len, (hash >> 32) as u32 | 1) else {
        return;
    };
    say(BlobKind::CodeAdded, |out| {
        blob::Code {
            start,
            len,
            first_node,
            name,
        }
        .encode(out)
    });
}

fn moved(global: &'static Global, from: u64, to: u64, len: u64) {
    let hash = from.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ to;
    let Some(first_node) = settle(global, to, len, (hash >> 32) as u32 | 1) else {
        return;
    };
    say(BlobKind::CodeMoved, |out| {
        blob::CodeMove {
            from,
            to,
            first_node,
            len,
        }
        .encode(out)
    });
}

/// Marks a range as that of new code; the count of nodes now. `None`: it is known already,
/// as code is that each isolate tells of.
fn settle(global: &'static Global, start: u64, len: u64, hash: u32) -> Option<u32> {
    let first_node = global.stacks.count().max(1);
    let Some(table) = global.births.table() else {
        return Some(first_node);
    };
    let units = (start >> UNIT)..=(start.saturating_add(len.max(1) - 1) >> UNIT);
    let entry = |number: u64| table.get(number as usize % UNITS);
    let known =
        |number: u64| entry(number).is_some_and(|entry| (entry.load(Relaxed) >> 32) as u32 == hash);
    if known(*units.start()) && known(*units.end()) {
        return None;
    }
    let mut replaced = false;
    for number in units.take(UNITS) {
        let Some(entry) = entry(number) else { continue };
        let used = entry.load(Relaxed) != 0;
        replaced |= used;
        let birth = if used { first_node } else { 0 };
        entry.store(u64::from(birth) | u64::from(hash) << 32, Relaxed);
    }
    if replaced {
        global
            .stacks
            .widen_dead(start, start.saturating_add(len).saturating_add(1));
        crate::unwind::cache::forget_stacks(global);
    }
    Some(first_node)
}

/// Writes a blob of a code event into this thread's ring.
fn say(kind: BlobKind, encode: impl FnOnce(&mut Out<'_>)) {
    let mut buf = [0u8; MAX_NAME + 64];
    let mut out = Out::new(&mut buf);
    encode(&mut out);
    super::say(kind, &out);
}
