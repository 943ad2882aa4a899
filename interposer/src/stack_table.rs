//! The stack tree: (parent, address) -> node, dense ids, in the log file.
//!
//! Nodes stand in one flat array: address space is reserved for all of them and
//! chunk after chunk of the file is mapped into it. A hash table of ids, private
//! to the process, finds them. Lookups take no lock; an insertion is a
//! compare-and-swap. Two threads that insert the same frame at one moment may
//! make two nodes of it: the reader merges by content, so nothing is lost. Of two only the one
//! in the table is handed out again.

use crate::collect::file::LogFile;
use crate::sys;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::layout::{ExtentKind, NODE_CHUNK, NODE_CHUNK_SHIFT, Node, PAGE, StopReason};

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
/// Ranges of addresses that were unmapped.
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

/// Addresses that were unmapped: nodes with smaller ids meant what was there.
struct Dead {
    start: AtomicU64,
    end: AtomicU64,
    /// Written last; 0: not yet.
    below: AtomicU32,
}

impl Dead {
    /// By how many bytes it is larger with another range.
    fn widened(&self, start: u64, end: u64) -> u64 {
        let (own_start, own_end) = (self.start.load(Relaxed), self.end.load(Relaxed));
        own_start.saturating_sub(start) + end.saturating_sub(own_end)
    }
}

/// A number that other threads do not have at the same time, not 0.
pub fn this_thread() -> u32 {
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
        match self.look_up(&wanted) {
            Ok(id) => id,
            Err((table, bits, slot)) => self.insert(wanted, table, bits, slot),
        }
    }

    /// Whether there is a node for this frame.
    pub fn has(&self, parent: u32, kind: u32, payload: u64) -> bool {
        let wanted = Node {
            parent,
            kind,
            payload,
        };
        self.look_up(&wanted).is_ok()
    }

    /// The node, or else the table and log2 of its entries, and the slot that was free.
    #[inline(always)]
    fn look_up(&self, wanted: &Node) -> Result<u32, (*mut u32, u32, u32)> {
        let hash = hash(wanted.parent, wanted.payload);
        let (table, bits) = self.table();
        let mask = (1u32 << bits) - 1;
        let nodes = self.nodes.load(Relaxed);
        let mut slot = (hash >> (64 - bits)) as u32;
        for _ in 0..=mask {
            // SAFETY: the table has `mask + 1` entries and stays mapped.
            let entry = unsafe { &*table.add(slot as usize).cast::<AtomicU32>() };
            let id = entry.load(Acquire);
            if id == 0 {
                break;
            }
            // SAFETY: an id in the table is mapped and written.
            let node = unsafe { &*nodes.add(id as usize) };
            if node == wanted && !self.is_dead(id, wanted.payload) {
                return Ok(id);
            }
            slot = (slot + 1) & mask;
        }
        // Full to the last place: `insert` sees to it.
        Err((table, bits, slot))
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
        // Another thread may have made the same node at the same moment; then ours is not used.
        if let Some(other) = self.publish(id, table, bits, slot) {
            return other;
        }
        if self.entries.fetch_add(1, Relaxed) + 1 > 1 << (bits - 1) {
            self.rehash();
        }
        id
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
        let (old, old_bits) = self.table();
        // Else another thread has just done it.
        let needed = self.entries.load(Relaxed) > 1 << (old_bits - 1);
        let bits = old_bits + 1;
        if needed && let Some(fresh) = sys::map_touched(4 << bits) {
            let fresh = fresh.cast::<u32>();
            let mask = (1u32 << bits) - 1;
            let nodes = self.nodes.load(Relaxed);
            let place = |node: Node| (hash(node.parent, node.payload) >> (64 - bits)) as u32;
            // What is in the old table, not all nodes: of two for one frame only one is there.
            // SAFETY: the old table has so many entries and stays mapped.
            let entries = || {
                (0..1usize << old_bits)
                    .map(|slot| unsafe { (*old.add(slot).cast::<AtomicU32>()).load(Acquire) })
            };
            let known = self.count();
            let mut count = 0;
            for id in entries().filter(|&id| id != 0) {
                // SAFETY: an id in the table is mapped and written; the fresh table has twice as many places
                // as the old one.
                unsafe {
                    let node = *nodes.add(id as usize);
                    if self.is_dead(id, node.payload) {
                        continue;
                    }
                    let mut slot = place(node);
                    while *fresh.add(slot as usize) != 0 {
                        slot = (slot + 1) & mask;
                    }
                    *fresh.add(slot as usize) = id;
                }
                count += 1;
            }
            self.table.store(fresh as u64 | u64::from(bits), Release);
            self.entries.store(count, Relaxed);
            // Those that others put into the old table meanwhile.
            for id in entries().filter(|&id| id >= known) {
                // SAFETY: as above.
                let node = unsafe { *nodes.add(id as usize) };
                self.publish(id, fresh, bits, place(node));
            }
        }
        self.rehashing.store(0, Release);
        if crate::global::get().is_some_and(|global| global.filtered.load(Relaxed) == 0) {
            sys::futex_wake(&self.rehashing);
        }
    }

    /// Says that addresses in `start..end` mean something else from now on. Several threads may at one time.
    pub fn forget(&self, start: u64, end: u64) {
        let below = self.next.load(Relaxed);
        // A runtime's workers come and go at the same addresses.
        let known = self
            .dead()
            .find(|dead| dead.start.load(Relaxed) == start && dead.end.load(Relaxed) == end);
        if let Some(known) = known {
            known.below.fetch_max(below, Release);
        } else if let Some(free) = self
            .dead_count
            .fetch_update(Relaxed, Relaxed, |count| {
                ((count as usize) < MAX_DEAD).then_some(count + 1)
            })
            .ok()
            .and_then(|index| self.dead.get(index as usize))
        {
            free.start.store(start, Relaxed);
            free.end.store(end, Relaxed);
            free.below.store(below, Release);
        } else if let Some(nearest) = self.dead().min_by_key(|dead| dead.widened(start, end)) {
            // Nodes of the addresses between the two are made anew: no harm.
            nearest.start.fetch_min(start, Relaxed);
            nearest.end.fetch_max(end, Relaxed);
            nearest.below.fetch_max(below, Release);
        }
        self.widen_dead(start, end);
    }

    /// The ranges that are there.
    fn dead(&self) -> impl Iterator<Item = &Dead> {
        let count = self.dead_count.load(Relaxed) as usize;
        let is_written = |dead: &&Dead| dead.below.load(Acquire) != 0;
        self.dead.iter().take(count).filter(is_written)
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
        self.dead().any(|dead| {
            id < dead.below.load(Relaxed)
                && (dead.start.load(Relaxed)..dead.end.load(Relaxed)).contains(&payload)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Box<StackTable> {
        // SAFETY: all-zero bytes are an empty table.
        let table: Box<StackTable> = unsafe { Box::new(core::mem::zeroed()) };
        table.next.store(100, Relaxed);
        table
    }

    const CODE: u64 = 0x7f00_0000_0000;

    #[test]
    fn threads_that_forget_at_one_time_forget_all() {
        let table = table();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for n in 0..MAX_DEAD as u64 / 4 {
                        let start = CODE + (n * 4 + thread) * 0x2000;
                        table.forget(start, start + 0x1000);
                    }
                });
            }
        });
        for n in 0..MAX_DEAD as u64 {
            let start = CODE + n * 0x2000;
            assert!(
                table.is_dead(99, start) && !table.is_dead(100, start),
                "{n}"
            );
            assert!(!table.is_dead(99, start + 0x1000), "{n}");
        }
    }

    #[test]
    fn what_does_not_fit_goes_to_the_nearest_range() {
        let table = table();
        for n in 0..=MAX_DEAD as u64 {
            table.forget(CODE + (n << 32), CODE + (n << 32) + 0x1000);
        }
        let last = CODE + ((MAX_DEAD as u64) << 32);
        assert!(table.is_dead(99, last) && table.is_dead(99, last - 0x1000));
        // Between others nothing is lost.
        assert!(!table.is_dead(99, CODE + 0x2000));
        table.forget(CODE + 0x3000, CODE + 0x4000);
        assert!(table.is_dead(99, CODE + 0x2000) && table.is_dead(99, CODE + 0x3fff));
        assert!(!table.is_dead(99, CODE + (1 << 32) + 0x2000));
    }
}
