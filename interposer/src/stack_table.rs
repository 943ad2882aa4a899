//! The stack tree: (parent, address) -> node, dense ids, in the log file.
//!
//! Nodes stand in one flat array: address space is reserved for all of them and
//! chunk after chunk of the file is mapped into it. A hash table of ids, private
//! to the process, finds them. Lookups take no lock; an insertion is a
//! compare-and-swap. Two threads that insert the same frame at one moment may
//! make two nodes of it: the reader merges by content, so nothing is lost.

use crate::collect::file::LogFile;
use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::layout::{
    ExtentKind, NODE_CHUNK, NODE_CHUNK_SHIFT, Node, PAGE, StopReason, node_kind,
};

/// Most nodes: 16 M, 256 MiB of address space.
const MAX_NODES: u32 = 1 << 24;
/// With an address space limit (`RLIMIT_AS`) less is reserved: 1 M.
const FEW_NODES: u32 = 1 << 20;
/// First hash table, entries.
const FIRST_TABLE: u32 = 1 << 13;
/// Waits while another thread maps a chunk: reserving room in the file can take
/// as long as the disk does.
const MAX_WAITS: u32 = 5000;
/// One of them, ns.
const WAIT_NS: u64 = 1_000_000;
/// Waits while another thread doubles the hash table.
const MAX_REHASH_WAITS: u32 = 100;
/// Mapped ids that are left to the handlers that interrupt the thread that maps
/// the next chunk: they cannot wait for it.
const RESERVE: u32 = 1 << 10;
/// The same of the nodes that have room from the start.
const FIRST_AHEAD: u32 = 192;
/// Ranges of addresses whose modules are gone.
const MAX_DEAD: usize = 512;

/// All-zero bytes are an empty table that [`StackTable::init`] must open.
pub struct StackTable {
    nodes: AtomicPtr<Node>,
    max_nodes: AtomicU32,
    /// Next id.
    next: AtomicU32,
    /// Ids below this are mapped.
    mapped: AtomicU32,
    growing: AtomicU32,
    /// Address of the hash table (page-aligned) + log2 of its entries, so that
    /// both are read at once.
    table: AtomicU64,
    entries: AtomicU32,
    rehashing: AtomicU32,
    dead_low: AtomicU64,
    dead_high: AtomicU64,
    dead_count: AtomicU32,
    dead: [Dead; MAX_DEAD],
}

/// Addresses of a module that was unloaded: nodes with smaller ids meant it.
struct Dead {
    start: AtomicU64,
    end: AtomicU64,
    below: AtomicU32,
}

/// A number that other threads do not have at the same time, not 0.
fn this_thread() -> u32 {
    (crate::arch::tls::own_address() >> 4) as u32 | 1
}

#[inline(always)]
fn hash(parent: u32, payload: u64) -> u64 {
    // The multiplication spreads to the high bits, which the tables use.
    (payload ^ u64::from(parent).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl StackTable {
    /// Bytes of the first chunk's extent.
    pub const FIRST_EXTENT: u64 = NODE_CHUNK as u64 * 16 + PAGE;
    /// Bytes of it that have room from the start: a short program has few frames.
    const FIRST_HEAD: u64 = 4 * PAGE;
    /// Nodes that fit there.
    const FIRST_NODES: u32 = ((StackTable::FIRST_HEAD - PAGE) / 16) as u32;

    /// Reserves the address space and maps the first chunk.
    pub fn init(&self, file: &LogFile, fd: sys::Fd, limited: bool) -> Result<(), StopReason> {
        let max = if limited { FEW_NODES } else { MAX_NODES };
        let base = sys::reserve(max as usize * 16).ok_or(StopReason::NoSpace)?;
        let table = sys::map_touched(FIRST_TABLE as usize * 4).ok_or(StopReason::NoSpace)?;
        self.nodes.store(base.cast(), Release);
        self.max_nodes.store(max, Relaxed);
        self.next.store(1, Relaxed);
        self.table.store(
            table as u64 | u64::from(FIRST_TABLE.trailing_zeros()),
            Release,
        );
        // SAFETY: the start of the reservation.
        unsafe {
            let head = StackTable::FIRST_HEAD;
            file.extend_first(fd, ExtentKind::Nodes, StackTable::FIRST_EXTENT, head, base)?;
        }
        self.mapped.store(StackTable::FIRST_NODES, Release);
        Ok(())
    }

    /// Nodes handed out, the root included.
    pub fn count(&self) -> u32 {
        self.next.load(Relaxed).min(self.mapped.load(Acquire))
    }

    /// The nodes, by id.
    pub fn nodes(&self) -> &[Node] {
        let base = self.nodes.load(Acquire);
        if base.is_null() {
            return &[];
        }
        // SAFETY: ids below `mapped` are mapped.
        unsafe { core::slice::from_raw_parts(base, self.count() as usize) }
    }

    /// Maps the next chunks. Only one thread does; others use what is there.
    fn grow(&self, file: &LogFile) -> Result<(), StopReason> {
        if self
            .growing
            .compare_exchange(0, this_thread(), Acquire, Relaxed)
            .is_err()
        {
            return Ok(());
        }
        let mapped = self.mapped.load(Relaxed);
        // Grow by a half, so that short programs reserve little.
        let chunks = (mapped >> NODE_CHUNK_SHIFT).div_ceil(2).clamp(1, 16);
        let in_first = mapped < NODE_CHUNK;
        let result = if in_first {
            file.reserve_first()
        } else if mapped + chunks * NODE_CHUNK > self.max_nodes.load(Relaxed) {
            Err(StopReason::Stacks)
        } else {
            let len = u64::from(chunks * NODE_CHUNK) * 16 + PAGE;
            // SAFETY: inside the reservation, beyond everything mapped.
            unsafe {
                let at = self.nodes.load(Relaxed).add(mapped as usize);
                file.extend(
                    ExtentKind::Nodes,
                    mapped >> NODE_CHUNK_SHIFT,
                    len,
                    at.cast(),
                )
                .map(|_| ())
            }
        };
        if result.is_ok() {
            self.mapped.store(
                if in_first {
                    NODE_CHUNK
                } else {
                    mapped + chunks * NODE_CHUNK
                },
                Release,
            );
        }
        self.growing.store(0, Release);
        sys::futex_wake(&self.growing);
        result
    }

    /// Maps all that a program behind a system-call filter may need.
    pub fn prepare(&self, file: &LogFile) {
        for _ in 0..8 {
            let _ = self.grow(file);
        }
    }

    /// Goes on after the nodes so far were put into blocks and their pages cut off:
    /// they are not found again (equal ones are made anew), their ids stay theirs.
    pub fn resume(&self, file: &LogFile) -> Result<(), StopReason> {
        let base = self.nodes.load(Acquire);
        let chunk = self.next.load(Relaxed) >> NODE_CHUNK_SHIFT;
        let first = chunk * NODE_CHUNK;
        if first + NODE_CHUNK > self.max_nodes.load(Relaxed) {
            return Err(StopReason::Stacks);
        }
        let (table, bits) = self.table();
        // SAFETY: our own region and table; no other thread records.
        unsafe {
            if first > 0 {
                sys::replace_by_private(base.cast(), first as usize * 16)
                    .map_err(|_| StopReason::NoSpace)?;
            }
            let len = u64::from(NODE_CHUNK) * 16 + PAGE;
            file.extend(
                ExtentKind::Nodes,
                chunk,
                len,
                base.add(first as usize).cast(),
            )?;
            table.write_bytes(0, 1 << bits);
        }
        self.entries.store(0, Relaxed);
        self.mapped.store(first + NODE_CHUNK, Release);
        Ok(())
    }

    /// Puts private pages in the place of the file's: the nodes are in blocks and
    /// the file is about to be cut. Threads that still run see an empty table.
    pub fn detach_file(&self) -> Result<(), sys::Errno> {
        let len = self.mapped.load(Acquire) as usize * 16;
        // SAFETY: our own region; recording has ended.
        unsafe { sys::replace_by_private(self.nodes.load(Acquire).cast(), len) }
    }

    /// The node for this frame; makes it if it is new. 0 if there is none to be had.
    #[inline]
    pub fn node(&self, parent: u32, kind: u32, payload: u64) -> u32 {
        let wanted = Node {
            parent,
            kind,
            payload,
        };
        let hash = hash(parent, payload);
        let (table, bits) = self.table();
        let mask = (1u32 << bits) - 1;
        let nodes = self.nodes.load(Relaxed);
        let mut slot = (hash >> (64 - bits)) as u32;
        for _ in 0..=mask {
            // SAFETY: the table has `mask + 1` entries and stays mapped.
            let entry = unsafe { &*table.add(slot as usize).cast::<AtomicU32>() };
            let id = entry.load(Acquire);
            if id == 0 {
                return self.insert(wanted, table, bits, slot);
            }
            // SAFETY: an id in the table is mapped and written.
            let node = unsafe { &*nodes.add(id as usize) };
            if node.payload == payload
                && node.parent == parent
                && node.kind == kind
                && !self.is_dead(id, payload)
            {
                return id;
            }
            slot = (slot + 1) & mask;
        }
        // Full to the last place: `insert` sees to it.
        self.insert(wanted, table, bits, slot)
    }

    #[inline(always)]
    fn table(&self) -> (*mut u32, u32) {
        let word = self.table.load(Acquire);
        ((word & !4095) as *mut u32, (word & 4095) as u32)
    }

    #[cold]
    #[inline(never)]
    fn insert(&self, node: Node, table: *mut u32, bits: u32, slot: u32) -> u32 {
        let Some(global) = crate::global::get() else {
            return 0;
        };
        // Nearly full: the thread that doubles the table has not got on for long.
        let crowded = self.entries.load(Relaxed) > (1 << bits) / 8 * 7;
        if crowded && self.wait_for_rehash(table, global.filtered.load(Relaxed) == 0) {
            return self.node(node.parent, node.kind, node.payload);
        }
        let Some(id) = self.take_id(&global.file) else {
            return 0;
        };
        // SAFETY: the id is ours alone and mapped.
        unsafe {
            self.nodes.load(Relaxed).add(id as usize).write(node);
        }
        if let Some(header) = global.file.header() {
            header
                .node_count
                .store(u64::from(self.next.load(Relaxed)), Release);
        }
        if crowded {
            // Found by nobody, and made again until there is a table with room.
            return id;
        }
        match self.publish(id, table, bits, slot) {
            // Another thread made the same node at the same moment; ours is not used, nor found in a larger
            // table, where it would come first: who has been given a number for a name has said that one.
            Some(other) => {
                // SAFETY: as above; others read it whole, or as one that they do not look for.
                unsafe {
                    let own = self.nodes.load(Relaxed).add(id as usize);
                    (&raw mut (*own).kind).write_volatile(node_kind::EMPTY);
                }
                other
            }
            None => {
                if self.entries.fetch_add(1, Relaxed) + 1 > 1 << (bits - 1) {
                    self.rehash();
                }
                id
            }
        }
    }

    /// Puts a written node into a table from `slot` on, unless an equal one is
    /// there: then that one's id.
    fn publish(&self, id: u32, table: *mut u32, bits: u32, mut slot: u32) -> Option<u32> {
        let mask = (1u32 << bits) - 1;
        let nodes = self.nodes.load(Relaxed);
        // SAFETY: ids in the table and ours are written; slots are masked.
        unsafe {
            let own = *nodes.add(id as usize);
            for _ in 0..=mask {
                let entry = &*table.add(slot as usize).cast::<AtomicU32>();
                match entry.compare_exchange(0, id, AcqRel, Acquire) {
                    Ok(_) => return None,
                    Err(seen) if seen == id => return None,
                    Err(seen)
                        if *nodes.add(seen as usize) == own && !self.is_dead(seen, own.payload) =>
                    {
                        return Some(seen);
                    }
                    Err(_) => slot = (slot + 1) & mask,
                }
            }
        }
        None
    }

    /// The next id, mapped. `None`: the table is full (recording ends), or the
    /// thread that maps the next chunk does not get on.
    fn take_id(&self, file: &LogFile) -> Option<u32> {
        let mut id = self.next.load(Relaxed);
        let mut waits = 0u32;
        loop {
            let mapped = self.mapped.load(Acquire);
            // Ahead of need, so that others seldom wait.
            let ahead = if mapped < NODE_CHUNK {
                FIRST_AHEAD
            } else {
                (NODE_CHUNK / 2).max(mapped / 8)
            };
            if id + ahead > mapped
                && let Err(reason) = self.grow(file)
                && id >= mapped
            {
                crate::global::get()?.stop(reason);
                return None;
            }
            let grower = self.growing.load(Acquire);
            let own = grower == 0 || grower == this_thread();
            let patient = !own && waits <= MAX_WAITS;
            if id + if patient { RESERVE } else { 0 } >= self.mapped.load(Acquire) {
                waits += 1;
                // Of the thread itself, which a handler interrupted: no use.
                if waits > MAX_WAITS || grower == this_thread() {
                    return None;
                }
                if grower != 0 {
                    sys::futex_wait(&self.growing, grower, WAIT_NS);
                }
                id = self.next.load(Relaxed);
                continue;
            }
            match self
                .next
                .compare_exchange_weak(id, id + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(id),
                Err(seen) => id = seen,
            }
        }
    }

    /// Waits until the table is another than `old`; false if that takes long or
    /// this thread itself is at it, interrupted by the handler that asks.
    fn wait_for_rehash(&self, old: *mut u32, may_sleep: bool) -> bool {
        let mut waits = 0;
        while self.table().0 == old {
            let at_it = self.rehashing.load(Acquire);
            if at_it == 0 || at_it == this_thread() || waits == MAX_REHASH_WAITS || !may_sleep {
                return false;
            }
            sys::futex_wait(&self.rehashing, at_it, WAIT_NS);
            waits += 1;
        }
        true
    }

    /// Doubles the table. Insertions of others meanwhile may be missed and made
    /// again later; the old table stays mapped for its readers.
    #[cold]
    fn rehash(&self) {
        if self
            .rehashing
            .compare_exchange(0, this_thread(), Acquire, Relaxed)
            .is_err()
        {
            return;
        }
        let old_bits = self.table().1;
        // Else another thread has just done it.
        let needed = self.entries.load(Relaxed) > 1 << (old_bits - 1);
        // There may be more nodes than entries.
        let bits = (old_bits + 1).max(self.count().ilog2() + 2);
        if needed && let Some(fresh) = sys::map_touched(4 << bits) {
            let fresh = fresh.cast::<u32>();
            let mask = (1u32 << bits) - 1;
            let mut entries = 0;
            let known = self.nodes();
            for (id, node) in known.iter().enumerate().skip(1) {
                if node.kind == node_kind::EMPTY || self.is_dead(id as u32, node.payload) {
                    continue;
                }
                let mut slot = (hash(node.parent, node.payload) >> (64 - bits)) as u32;
                // SAFETY: the fresh table has twice as many places as there are nodes.
                unsafe {
                    while *fresh.add(slot as usize) != 0 {
                        slot = (slot + 1) & mask;
                    }
                    *fresh.add(slot as usize) = id as u32;
                }
                entries += 1;
            }
            self.table.store(fresh as u64 | u64::from(bits), Release);
            self.entries.store(entries, Relaxed);
            // Those that others put into the old table meanwhile.
            for (id, node) in self.nodes().iter().enumerate().skip(known.len()) {
                if node.kind != node_kind::EMPTY {
                    let slot = (hash(node.parent, node.payload) >> (64 - bits)) as u32;
                    self.publish(id as u32, fresh, bits, slot);
                }
            }
        }
        self.rehashing.store(0, Release);
        if crate::global::get().is_some_and(|global| global.filtered.load(Relaxed) == 0) {
            sys::futex_wake(&self.rehashing);
        }
    }

    /// Says that addresses in `start..end` mean something else from now on.
    pub fn forget(&self, start: u64, end: u64) {
        let index = self.dead_count.load(Relaxed) as usize;
        // A runtime's workers come and go at the same addresses.
        let known = self
            .dead
            .iter()
            .take(index)
            .find(|dead| dead.start.load(Relaxed) == start && dead.end.load(Relaxed) == end);
        if let Some(known) = known {
            known.below.fetch_max(self.next.load(Relaxed), Relaxed);
            return;
        }
        let slot = index.min(MAX_DEAD - 1);
        let Some(dead) = self.dead.get(slot) else {
            return;
        };
        // The last entry stands for all that did not fit.
        let merge = index >= MAX_DEAD;
        dead.start.store(
            if merge {
                dead.start.load(Relaxed).min(start)
            } else {
                start
            },
            Relaxed,
        );
        dead.end.store(
            if merge {
                dead.end.load(Relaxed).max(end)
            } else {
                end
            },
            Relaxed,
        );
        dead.below.store(self.next.load(Relaxed), Relaxed);
        if !merge {
            self.dead_count.store(index as u32 + 1, Release);
        }
        self.widen_dead(start, end);
    }

    /// Has nodes with addresses in `start..end` checked for whether they are of what is there now.
    fn widen_dead(&self, start: u64, end: u64) {
        // 0 stands for none.
        let low = |low: u64| (low == 0 || start < low).then_some(start);
        let _ = self.dead_low.fetch_update(Relaxed, Relaxed, low);
        self.dead_high.fetch_max(end, Release);
    }

    #[inline(always)]
    fn is_dead(&self, id: u32, payload: u64) -> bool {
        payload < self.dead_high.load(Relaxed)
            && payload >= self.dead_low.load(Relaxed)
            && self.is_dead_slow(id, payload)
    }

    #[cold]
    fn is_dead_slow(&self, id: u32, payload: u64) -> bool {
        let count = self.dead_count.load(Acquire) as usize;
        self.dead.iter().take(count).any(|dead| {
            id < dead.below.load(Relaxed)
                && (dead.start.load(Relaxed)..dead.end.load(Relaxed)).contains(&payload)
        })
    }
}
