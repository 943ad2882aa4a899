//! What is known of every address that was a block.
//!
//! An open hash table that never forgets an address, so it needs no lock: an entry is written by the thread
//! that makes or frees the block there, and a correct program does that one after the other. (A wrong one is
//! what this is for; at worst its fault is described by the wrong one of two stacks.) When there is no room
//! near its place an address is not tracked, and nothing is said about addresses that are not.
//!
//! ```text
//! | ptr:64 | size:64 | made:32 | freed:32 | pid:32 | state:8 made_by:8 freed_by:8 0:8 |
//! ```

use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// log2 of the places; reserved address space, touched as used.
const SHIFT: u32 = 23;
const PLACES: usize = 1 << SHIFT;
/// Places that are looked at for an address.
const REACH: usize = 32;

const LIVE: u32 = 1;
const FREED: u32 = 2;

/// See the module.
#[repr(C)]
pub struct Entry {
    ptr: AtomicU64,
    size: AtomicU64,
    made: AtomicU32,
    freed: AtomicU32,
    pid: AtomicU32,
    state: AtomicU32,
}

const _: () = assert!(core::mem::size_of::<Entry>() == 32);

/// What an entry said.
#[derive(Clone, Copy)]
pub struct Known {
    /// Whether the block is there; else it was freed.
    pub live: bool,
    /// Bytes asked for.
    pub size: u64,
    /// Where it was made, 0 if not known in this process's log.
    pub made: u32,
    /// Where it was freed.
    pub freed: u32,
    /// Family that made it.
    pub made_by: u8,
}

static TABLE: AtomicPtr<Entry> = AtomicPtr::new(core::ptr::null_mut());
/// An address found no place.
static FULL: AtomicBool = AtomicBool::new(false);

/// Maps the table; false if there is no memory.
pub fn map() -> bool {
    let Some(memory) = sys::map_private(PLACES * core::mem::size_of::<Entry>()) else {
        return false;
    };
    TABLE.store(memory.cast(), Release);
    true
}

/// Whether every block since the beginning has its place.
pub fn is_complete() -> bool {
    !FULL.load(Relaxed)
}

fn places(ptr: u64) -> impl Iterator<Item = &'static Entry> {
    let table = TABLE.load(Acquire);
    let first = ((ptr >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SHIFT)) as usize;
    // SAFETY: the table, if it is there, has that many entries and stays mapped.
    (0..if table.is_null() { 0 } else { REACH })
        .map(move |step| unsafe { &*table.add((first + step) % PLACES) })
}

/// A block was made. Tracks its address if there is a place.
pub fn made(ptr: u64, size: u64, by: u8, stack: u32, pid: u32) {
    for entry in places(ptr) {
        let there = entry.ptr.load(Relaxed);
        let ours = there == ptr
            || there == 0 && {
                let claimed = entry.ptr.compare_exchange(0, ptr, AcqRel, Relaxed);
                claimed.is_ok() || claimed == Err(ptr)
            };
        if ours {
            entry.size.store(size, Relaxed);
            entry.made.store(stack, Relaxed);
            entry.freed.store(0, Relaxed);
            entry.pid.store(pid, Relaxed);
            entry.state.store(LIVE | u32::from(by) << 8, Release);
            return;
        }
    }
    FULL.store(true, Relaxed);
}

/// A block is about to be freed; what was known of its address until now.
pub fn freed(ptr: u64, stack: u32, pid: u32) -> Option<Known> {
    let entry = find(ptr)?;
    let state = entry.state.load(Acquire);
    let same = entry.pid.load(Relaxed) == pid;
    let known = Known {
        live: state & 0xff == LIVE,
        size: entry.size.load(Relaxed),
        made: if same { entry.made.load(Relaxed) } else { 0 },
        freed: if same { entry.freed.load(Relaxed) } else { 0 },
        made_by: (state >> 8) as u8,
    };
    if known.live {
        entry.freed.store(stack, Relaxed);
        if !same {
            entry.made.store(0, Relaxed);
            entry.pid.store(pid, Relaxed);
        }
        entry.state.store(FREED | (state & 0xff00), Release);
    }
    Some(known)
}

/// The reallocation that was to free a block failed: it is still there.
pub fn revived(ptr: u64) {
    if let Some(entry) = find(ptr) {
        let state = entry.state.load(Acquire);
        entry.state.store(LIVE | (state & 0xff00), Release);
    }
}

fn find(ptr: u64) -> Option<&'static Entry> {
    for entry in places(ptr) {
        match entry.ptr.load(Acquire) {
            0 => return None,
            there if there == ptr => return Some(entry),
            _ => {}
        }
    }
    None
}
