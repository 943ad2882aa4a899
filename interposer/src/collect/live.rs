//! The live set: address -> size and serial, 16 bytes a block.
//!
//! The drain needs the size of what is freed to know the heap's peak exactly, and
//! the serial to name the block in the log. 64 small tables instead of a large
//! one, so that none takes long to grow.

use crate::sys;
use core::sync::atomic::{Ordering::SeqCst, compiler_fence};

const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
const FIRST_BITS: u32 = 5;

/// `address:48 | serial bits 19..35` and `size:45 | serial bits 0..19`; an
/// address of 0 means an empty place.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry(u64, u64);

const _: () = assert!(core::mem::size_of::<Entry>() == 16);

impl Entry {
    fn new(ptr: u64, block: Block) -> Entry {
        let high = block.serial >> 19 & 0xffff;
        Entry(
            ptr << 16 | high,
            block.size.min((1 << 45) - 1) << 19 | block.serial & 0x7_ffff,
        )
    }

    fn ptr(self) -> u64 {
        self.0 >> 16
    }

    fn block(self) -> Block {
        Block {
            size: self.1 >> 19,
            serial: (self.0 & 0xffff) << 19 | self.1 & 0x7_ffff,
        }
    }
}

/// What is known of a live block. The serial is kept modulo 2^35.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Bytes asked for.
    pub size: u64,
    /// Low 35 bits of the serial.
    pub serial: u64,
}

impl Block {
    /// The whole serial, given the next one to be handed out.
    pub fn full_serial(self, next: u64) -> u64 {
        next.wrapping_sub(next.wrapping_sub(self.serial) & ((1 << 35) - 1))
    }
}

#[derive(Clone, Copy)]
struct Shard {
    /// Address of the entries (64-aligned) + log2 of their number: one word, so that
    /// a drain that is left by `longjmp` cannot leave half of a new table.
    table: usize,
    len: usize,
}

/// All-zero bytes are an empty set.
pub struct Live {
    shards: [Shard; SHARDS],
    /// What [`Live::remove`] took out last.
    removed: Entry,
}

#[inline(always)]
fn hash(ptr: u64) -> u64 {
    (ptr >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Shard {
    fn of(entries: *mut Entry, bits: u32) -> Shard {
        Shard {
            table: entries as usize | bits as usize,
            len: 0,
        }
    }

    #[inline(always)]
    fn entries(&self) -> *mut Entry {
        (self.table & !63) as *mut Entry
    }

    #[inline(always)]
    fn bits(&self) -> u32 {
        (self.table & 63) as u32
    }

    #[inline(always)]
    fn slot(&self, hash: u64) -> usize {
        ((hash << SHARD_BITS) >> (64 - self.bits())) as usize
    }

    /// Place of `ptr`, or the empty place where it would stand.
    #[inline(always)]
    fn find(&self, ptr: u64, hash: u64) -> *mut Entry {
        let mask = (1usize << self.bits()) - 1;
        let mut slot = self.slot(hash);
        // SAFETY: the table has 2^bits places and at least one is empty.
        unsafe {
            loop {
                let entry = self.entries().add(slot);
                if (*entry).ptr() == ptr || (*entry).0 == 0 {
                    return entry;
                }
                slot = (slot + 1) & mask;
            }
        }
    }

    /// Room for more; false if there is no memory.
    fn grow(&mut self) -> bool {
        self.rebuild(self.bits() + 1)
    }

    /// Moves every entry into a fresh table of 2^`bits` places.
    fn rebuild(&mut self, bits: u32) -> bool {
        let Some(fresh) = sys::map_touched(16 << bits) else {
            return false;
        };
        let mut next = Shard::of(fresh.cast(), bits);
        for index in 0..1usize << self.bits() {
            // SAFETY: the old table has 2^bits places; nobody else uses it.
            unsafe {
                let entry = *self.entries().add(index);
                if entry.0 != 0 {
                    let place = next.find(entry.ptr(), hash(entry.ptr()));
                    next.len += usize::from((*place).0 == 0);
                    *place = entry;
                }
            }
        }
        let old = core::mem::replace(self, next);
        // The first tables share a mapping.
        if old.bits() > FIRST_BITS {
            // SAFETY: not used any more.
            unsafe { sys::unmap(old.entries().cast(), 16 << old.bits()) };
        }
        true
    }
}

/// Where the tables of a live set are. Good as long as nothing is added or removed, and
/// in a copy of the process, from which the set itself is wiped.
#[derive(Clone, Copy)]
pub struct Tables([Shard; SHARDS]);

impl Tables {
    /// Live blocks.
    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.len).sum()
    }

    /// Calls `each` with the address of each block and the block.
    pub fn each(&self, mut each: impl FnMut(u64, Block)) {
        for shard in self.0.iter().filter(|shard| shard.table != 0) {
            // SAFETY: the table has 2^bits places.
            let entries =
                unsafe { core::slice::from_raw_parts(shard.entries(), 1 << shard.bits()) };
            for entry in entries.iter().filter(|entry| entry.0 != 0) {
                each(entry.ptr(), entry.block());
            }
        }
    }
}

impl Live {
    /// The tables as they are now.
    pub fn tables(&self) -> Tables {
        Tables(self.shards)
    }

    #[inline(always)]
    fn shard(&mut self, hash: u64) -> &mut Shard {
        let index = (hash >> (64 - SHARD_BITS)) as usize;
        // SAFETY: the index has SHARD_BITS bits.
        unsafe { self.shards.get_unchecked_mut(index) }
    }

    /// Adds a block; returns the one that stood there. `Err` if memory ran out.
    pub fn insert(&mut self, ptr: u64, block: Block) -> Result<Option<Block>, ()> {
        let hash = hash(ptr);
        if self.shard(hash).table == 0 && !self.begin() {
            return Err(());
        }
        let shard = self.shard(hash);
        // At most 7/8 full.
        if shard.len * 8 >= 7 << shard.bits() && !shard.grow() {
            return Err(());
        }
        let place = shard.find(ptr, hash);
        // SAFETY: a place in the table.
        unsafe {
            let old = *place;
            *place = Entry::new(ptr, block);
            if old.0 == 0 {
                shard.len += 1;
                return Ok(None);
            }
            Ok(Some(old.block()))
        }
    }

    /// Gives every shard its first table.
    #[cold]
    fn begin(&mut self) -> bool {
        // One mapping for all: short programs touch few pages.
        let Some(fresh) = sys::map_touched((SHARDS * 16) << FIRST_BITS) else {
            return false;
        };
        for (index, shard) in self.shards.iter_mut().enumerate() {
            // SAFETY: inside the mapping.
            *shard = Shard::of(
                unsafe { fresh.cast::<Entry>().add(index << FIRST_BITS) },
                FIRST_BITS,
            );
        }
        true
    }

    /// Takes a block out.
    pub fn remove(&mut self, ptr: u64) -> Option<Block> {
        let hash_value = hash(ptr);
        let shard = self.shard(hash_value);
        if shard.table == 0 {
            return None;
        }
        let (entries, mask) = (shard.entries(), (1usize << shard.bits()) - 1);
        // SAFETY: indices are masked; the table has an empty place.
        unsafe {
            let place = shard.find(ptr, hash_value);
            let found = *place;
            if found.0 == 0 {
                return None;
            }
            self.removed = found;
            compiler_fence(SeqCst);
            let shard = self.shard(hash_value);
            let mut hole = place.offset_from(entries) as usize;
            let mut next = (hole + 1) & mask;
            // Close the gap, so that searches need no marks for removed places.
            loop {
                let entry = *entries.add(next);
                if entry.0 == 0 {
                    break;
                }
                let home = shard.slot(hash(entry.ptr()));
                if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                    *entries.add(hole) = entry;
                    hole = next;
                }
                next = (next + 1) & mask;
            }
            (*entries.add(hole)).0 = 0;
            shard.len -= 1;
            Some(found.block())
        }
    }

    /// What was removed so far is final.
    pub fn settle(&mut self) {
        self.removed = Entry(0, 0);
    }

    /// After a `longjmp` out of the middle of anything here, and after everything
    /// else that was removed since [`Live::settle`] has been put back: entries that
    /// stand twice become one, and the block taken out last is there again.
    pub fn mend(&mut self) {
        for shard in &mut self.shards {
            if shard.table != 0 {
                shard.rebuild(shard.bits());
            }
        }
        let last = self.removed;
        if last.0 != 0 {
            let _ = self.insert(last.ptr(), last.block());
        }
    }
}
