//! The live set: blocks by serial number, in at most 100 bytes a block.
//!
//! Serials ascend, and blocks that are made together are often freed together:
//! so they stand in chunks of 64. A chunk in which most blocks are dead is
//! given up and the rest of it moves to hash tables.
//!
//! ```text
//! serial = chunk number | place:6
//! chunks: number -> { live: 64 bits, 64 × 32 bytes }     more than FEW live: ≤ 86 bytes each
//! sparse: 16 tables serial -> 32 bytes                   ≤ 94 bytes each, growing one at a time
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A live block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Address.
    pub ptr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Event clock when it was made.
    pub time: u64,
    /// Node id.
    pub stack: u32,
    /// Thread that made it.
    pub thread: u32,
}

/// Hash for keys that are themselves well spread or dense.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (mixed >> 64) as u64 ^ mixed as u64;
    }
}

pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

const CHUNK: u64 = 64;
/// A full chunk with no more live blocks than this is given up.
const FEW: u32 = 24;
const TABLES: u64 = 16;
/// Empty chunks kept for reuse.
const SPARE: usize = 64;

#[derive(Debug)]
struct Chunk {
    live: u64,
    blocks: [Block; CHUNK as usize],
}

impl Chunk {
    fn new() -> Box<Chunk> {
        Box::new(Chunk {
            live: 0,
            blocks: [Block::default(); CHUNK as usize],
        })
    }
}

/// The live blocks.
#[derive(Debug)]
pub(crate) struct Live {
    /// The chunk that serials are being handed out from.
    open: Box<Chunk>,
    open_number: u64,
    chunks: FastMap<u64, Box<Chunk>>,
    sparse: [FastMap<u64, Block>; TABLES as usize],
    #[allow(clippy::vec_box)] // they move between places as they are
    spare: Vec<Box<Chunk>>,
    len: u64,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            open: Chunk::new(),
            open_number: 0,
            chunks: FastMap::default(),
            sparse: Default::default(),
            spare: Vec::new(),
            len: 0,
        }
    }
}

impl Live {
    /// Live blocks.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Adds a block. Serials ascend, except in damaged logs; a serial that is
    /// taken already gives back the block that had it.
    #[inline]
    pub fn insert(&mut self, serial: u64, block: Block) -> Option<Block> {
        let number = serial / CHUNK;
        if number > self.open_number {
            self.close(number);
        }
        let old = if number == self.open_number {
            let place = (serial % CHUNK) as usize;
            let old = (self.open.live >> place & 1 != 0).then(|| self.open.blocks[place]);
            self.open.live |= 1 << place;
            self.open.blocks[place] = block;
            old
        } else {
            // A revived block, or a damaged log.
            let old = self.remove(serial);
            self.sparse[table(serial)].insert(serial, block);
            old
        };
        self.len += u64::from(old.is_none());
        old
    }

    /// Puts the open chunk away and opens another.
    fn close(&mut self, number: u64) {
        let fresh = self.spare.pop().unwrap_or_else(Chunk::new);
        let full = std::mem::replace(&mut self.open, fresh);
        let old_number = std::mem::replace(&mut self.open_number, number);
        if full.live.count_ones() <= FEW {
            self.scatter(old_number, full);
        } else {
            self.chunks.insert(old_number, full);
        }
    }

    /// Moves what lives in a chunk to the tables.
    fn scatter(&mut self, number: u64, mut chunk: Box<Chunk>) {
        while chunk.live != 0 {
            let place = u64::from(chunk.live.trailing_zeros());
            chunk.live &= chunk.live - 1;
            let serial = number * CHUNK + place;
            self.sparse[table(serial)].insert(serial, chunk.blocks[place as usize]);
        }
        if self.spare.len() < SPARE {
            self.spare.push(chunk);
        }
    }

    /// Takes a block out.
    #[inline]
    pub fn remove(&mut self, serial: u64) -> Option<Block> {
        let (number, place) = (serial / CHUNK, (serial % CHUNK) as usize);
        let block = if number == self.open_number {
            let block = (self.open.live >> place & 1 != 0).then(|| self.open.blocks[place])?;
            self.open.live &= !(1 << place);
            block
        } else if let Some(chunk) = self.chunks.get_mut(&number)
            && chunk.live >> place & 1 != 0
        {
            chunk.live &= !(1 << place);
            let block = chunk.blocks[place];
            if chunk.live.count_ones() <= FEW
                && let Some(chunk) = self.chunks.remove(&number)
            {
                self.scatter(number, chunk);
            }
            block
        } else {
            let sparse = &mut self.sparse[table(serial)];
            let block = sparse.remove(&serial)?;
            if sparse.capacity() > 1 << 12 && sparse.len() * 8 < sparse.capacity() {
                sparse.shrink_to(sparse.len() * 2);
            }
            block
        };
        self.len -= 1;
        Some(block)
    }

    /// The block with this serial.
    #[cfg(test)]
    pub fn get(&self, serial: u64) -> Option<&Block> {
        let (number, place) = (serial / CHUNK, (serial % CHUNK) as usize);
        let chunk = if number == self.open_number {
            Some(&self.open)
        } else {
            self.chunks.get(&number)
        };
        match chunk {
            Some(chunk) if chunk.live >> place & 1 != 0 => Some(&chunk.blocks[place]),
            _ => self.sparse[table(serial)].get(&serial),
        }
    }

    /// All live blocks with their serials, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Block)> + '_ {
        let open = std::iter::once((self.open_number, &self.open));
        let chunks = self.chunks.iter().map(|(&number, chunk)| (number, chunk));
        let dense = open.chain(chunks).flat_map(|(number, chunk)| {
            let blocks = (number * CHUNK..).zip(&chunk.blocks);
            blocks.filter(|(serial, _)| chunk.live >> (serial % CHUNK) & 1 != 0)
        });
        let sparse = self.sparse.iter().flatten();
        dense.chain(sparse.map(|(&serial, block)| (serial, block)))
    }
}

fn table(serial: u64) -> usize {
    // Not the bits that place the serial in its table.
    (serial / 7 % TABLES) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_live_set_agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..400, 1u64..90), 0..2000)) {
            let (mut live, mut model) = (Live::default(), BTreeMap::new());
            let mut next = 1;
            for (make, back, jump) in steps {
                if make {
                    let block = Block { ptr: next * 16, size: back, ..Block::default() };
                    prop_assert_eq!(live.insert(next, block), None);
                    model.insert(next, block);
                    next += if jump < 80 { 1 } else { jump };
                } else {
                    let serial = next.saturating_sub(back);
                    let gone = model.remove(&serial);
                    prop_assert_eq!(live.get(serial).copied(), gone);
                    prop_assert_eq!(live.remove(serial), gone);
                    if jump == 1 && let Some(block) = gone {
                        live.insert(serial, block);
                        model.insert(serial, block);
                    }
                }
                prop_assert_eq!(live.len(), model.len() as u64);
            }
            let mut all: Vec<_> = live.iter().map(|(serial, block)| (serial, *block)).collect();
            all.sort_by_key(|entry| entry.0);
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
