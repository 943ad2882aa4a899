//! The live set: blocks by serial number, in at most 100 bytes a block.
//!
//! Serials ascend, and blocks that are made together are often freed together:
//! so they stand in chunks of 64, and 512 chunks in a page. A chunk in which
//! most blocks are dead is given up, and so is a page in which most chunks are;
//! what lives there moves to hash tables.
//!
//! ```text
//! serial = page | chunk:9 | place:6
//! pages:  page -> 512 × { live: 64 bits, -> 64 × 32 bytes }   ≤ 106 bytes a block, mostly 33
//! sparse: 16 tables serial -> 32 bytes                        ≤ 94 bytes, growing one at a time
//! ```
//! The live bits stand apart from the blocks because a page's bits stay in the
//! cache: to free a block costs one cache miss. Figures: `docs/design/heap.md`.

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
const PAGE: u64 = 512;
/// A full chunk with no more live blocks than this is given up.
const FEW: u32 = 24;
/// A full page with fewer chunks than this is given up.
const FEW_CHUNKS: u32 = 16;
const TABLES: u64 = 16;
/// Empty chunks kept for reuse.
const SPARE: usize = 64;

type Chunk = [Block; CHUNK as usize];

#[derive(Debug)]
struct Page {
    live: [u64; PAGE as usize],
    chunks: [Option<Box<Chunk>>; PAGE as usize],
    /// Chunks that are there.
    count: u32,
}

impl Page {
    fn new() -> Box<Page> {
        Box::new(Page {
            live: [0; PAGE as usize],
            chunks: [const { None }; PAGE as usize],
            count: 0,
        })
    }

    #[inline]
    fn get(&self, serial: u64) -> Option<&Block> {
        let (chunk, place) = (chunk_of(serial), place_of(serial));
        if self.live[chunk] >> place & 1 == 0 {
            return None;
        }
        Some(&self.chunks[chunk].as_ref()?[place])
    }
}

/// Place of the serial's chunk in its page.
fn chunk_of(serial: u64) -> usize {
    (serial / CHUNK % PAGE) as usize
}

/// Place of the serial in its chunk.
fn place_of(serial: u64) -> usize {
    (serial % CHUNK) as usize
}

/// The live blocks.
#[derive(Debug)]
pub(crate) struct Live {
    /// The page that serials are being handed out from.
    open: Box<Page>,
    open_number: u64,
    /// Greatest serial so far.
    newest: u64,
    pages: FastMap<u64, Box<Page>>,
    sparse: [FastMap<u64, Block>; TABLES as usize],
    #[allow(clippy::vec_box)] // they move between places as they are
    spare: Vec<Box<Chunk>>,
    len: u64,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            open: Page::new(),
            open_number: 0,
            newest: 0,
            pages: FastMap::default(),
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

    /// Adds a block. Serials ascend, except in damaged logs and for blocks that
    /// live again; a serial that is taken gives back the block that had it.
    #[inline]
    pub fn insert(&mut self, serial: u64, block: Block) -> Option<Block> {
        let old = if serial >= self.newest {
            if serial / CHUNK != self.newest / CHUNK {
                self.advance(serial);
            }
            let old = self.open.get(serial).copied();
            self.newest = serial;
            let (chunk, place) = (chunk_of(serial), place_of(serial));
            let slot = self.open.chunks[chunk].get_or_insert_with(|| {
                self.open.count += 1;
                self.spare
                    .pop()
                    .unwrap_or_else(|| Box::new([Block::default(); CHUNK as usize]))
            });
            slot[place] = block;
            self.open.live[chunk] |= 1 << place;
            old
        } else {
            let old = self.remove(serial);
            self.len += u64::from(old.is_some());
            self.sparse[table(serial)].insert(serial, block);
            old
        };
        self.len += u64::from(old.is_none());
        old
    }

    /// The chunk of the newest serial is full, perhaps its page too.
    fn advance(&mut self, serial: u64) {
        let chunk = chunk_of(self.newest);
        if self.open.live[chunk].count_ones() <= FEW {
            scatter(
                &mut self.open,
                self.open_number,
                chunk,
                &mut self.sparse,
                &mut self.spare,
            );
        }
        let number = serial / CHUNK / PAGE;
        if number != self.open_number {
            let mut page = std::mem::replace(&mut self.open, Page::new());
            let old = std::mem::replace(&mut self.open_number, number);
            if page.count < FEW_CHUNKS {
                self.give_up(&mut page, old);
            } else {
                self.pages.insert(old, page);
            }
        }
    }

    /// Takes a block out.
    #[inline]
    pub fn remove(&mut self, serial: u64) -> Option<Block> {
        let number = serial / CHUNK / PAGE;
        let is_open = number == self.open_number;
        let page = if is_open {
            Some(&mut self.open)
        } else {
            self.pages.get_mut(&number)
        };
        if let Some(page) = page
            && let Some(&block) = page.get(serial)
        {
            let chunk = chunk_of(serial);
            page.live[chunk] &= !(1 << place_of(serial));
            // The newest chunk is still being filled.
            if page.live[chunk].count_ones() <= FEW && serial / CHUNK != self.newest / CHUNK {
                scatter(page, number, chunk, &mut self.sparse, &mut self.spare);
                if page.count < FEW_CHUNKS
                    && !is_open
                    && let Some(mut page) = self.pages.remove(&number)
                {
                    self.give_up(&mut page, number);
                }
            }
            self.len -= 1;
            return Some(block);
        }
        let sparse = &mut self.sparse[table(serial)];
        let block = sparse.remove(&serial)?;
        if sparse.capacity() > 1 << 12 && sparse.len() * 8 < sparse.capacity() {
            sparse.shrink_to(sparse.len() * 2);
        }
        self.len -= 1;
        Some(block)
    }

    /// Moves what lives in a page to the tables.
    fn give_up(&mut self, page: &mut Page, number: u64) {
        for chunk in 0..PAGE as usize {
            scatter(page, number, chunk, &mut self.sparse, &mut self.spare);
        }
    }

    /// Brings blocks that are about to be removed into the cache, all at a time:
    /// in a large heap each is a cache miss, and these do not wait for each other.
    pub fn warm(&self, serials: impl Iterator<Item = u64>) {
        let sum = serials.fold(0, |sum, serial| {
            sum ^ self.get(serial).map_or(0, |block| block.stack)
        });
        std::hint::black_box(sum);
    }

    /// The block with this serial.
    #[inline]
    pub fn get(&self, serial: u64) -> Option<&Block> {
        let number = serial / CHUNK / PAGE;
        let is_open = number == self.open_number;
        let page = if is_open {
            Some(&self.open)
        } else {
            self.pages.get(&number)
        };
        page.and_then(|page| page.get(serial))
            .or_else(|| self.sparse[table(serial)].get(&serial))
    }

    /// All live blocks with their serials, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Block)> + '_ {
        let open = std::iter::once((self.open_number, &self.open));
        let pages = open.chain(self.pages.iter().map(|(&number, page)| (number, page)));
        let chunks = pages.flat_map(|(number, page)| {
            let chunks = (number * PAGE..).zip(page.chunks.iter().zip(&page.live));
            chunks.filter_map(|(number, (chunk, &live))| Some((number, chunk.as_ref()?, live)))
        });
        let dense = chunks.flat_map(|(number, chunk, live)| {
            let blocks = (number * CHUNK..).zip(chunk.iter());
            blocks.filter(move |&(serial, _)| live >> place_of(serial) & 1 != 0)
        });
        let sparse = self.sparse.iter().flatten();
        dense.chain(sparse.map(|(&serial, block)| (serial, block)))
    }
}

/// Moves what lives in a chunk to the tables.
#[allow(clippy::vec_box)] // see `Live::spare`
fn scatter(
    page: &mut Page,
    number: u64,
    chunk: usize,
    sparse: &mut [FastMap<u64, Block>; TABLES as usize],
    spare: &mut Vec<Box<Chunk>>,
) {
    let Some(blocks) = page.chunks[chunk].take() else {
        return;
    };
    page.count -= 1;
    let mut live = std::mem::take(&mut page.live[chunk]);
    while live != 0 {
        let place = live.trailing_zeros();
        live &= live - 1;
        let serial = (number * PAGE + chunk as u64) * CHUNK + u64::from(place);
        sparse[table(serial)].insert(serial, blocks[place as usize]);
    }
    if spare.len() < SPARE {
        spare.push(blocks);
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
        fn the_live_set_agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), 0u64..2000, 1u64..90), 0..3000)) {
            let (mut live, mut model) = (Live::default(), BTreeMap::new());
            let mut next = 1;
            for (make, back, jump) in steps {
                if make {
                    let block = Block { ptr: next * 16, size: back, ..Block::default() };
                    prop_assert_eq!(live.insert(next, block), None);
                    model.insert(next, block);
                    next += match jump { 88 => 40_000, 80.. => jump, _ => 1 };
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
