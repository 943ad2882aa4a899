//! Indexes the blocks of DATA extents and loads them.
//!
//! Every checksum is verified when the log is opened, so that what is lost is
//! known before anything is counted. A block that does not verify is skipped by
//! looking, 8 bytes at a time, for the next place where one does.

use super::extents::Extent;
use super::source::Source;
use crate::block::{BLOCK_HEADER, BLOCK_MAGIC, BlockHeader, Codec, MAX_RAW};
use crate::error::DamageList;
use crate::layout::EXTENT_HEADER_SIZE;
use std::format;
use std::vec;
use std::vec::Vec;

/// A block whose checksum was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRef {
    /// Position in the log's order.
    pub seq: u64,
    /// Where its header stands.
    pub offset: u64,
    /// [`crate::block::BlockKind`] as its number.
    pub kind: u8,
    /// [`Codec`] as its number.
    pub codec: u8,
    /// Stored bytes.
    pub len: u32,
    /// Bytes after decoding.
    pub raw_len: u32,
}

/// Why there is no block at a place.
enum Bad {
    NoHeader,
    Absurd { seq: u64 },
    Checksum { seq: u64 },
}

/// Collects blocks over all extents.
pub(crate) struct Index<'s> {
    source: &'s Source,
    /// Found so far.
    pub blocks: Vec<BlockRef>,
    buf: Vec<u8>,
    /// Bytes that may still be hashed while searching. Candidates that overlap
    /// could otherwise make the search quadratic.
    search_budget: u64,
}

impl<'s> Index<'s> {
    pub fn new(source: &'s Source) -> Index<'s> {
        Index {
            source,
            blocks: Vec::new(),
            buf: Vec::new(),
            search_budget: source.len.saturating_mul(8),
        }
    }

    /// Adds the blocks of one extent.
    pub fn extent(&mut self, extent: &Extent, damage: &mut DamageList) {
        let mut pos = extent.offset + EXTENT_HEADER_SIZE;
        let end = pos + extent.used;
        while pos < end {
            match self.block(pos, end) {
                Ok(block) => {
                    pos += BlockHeader::stride(block.len);
                    self.blocks.push(block);
                }
                Err(bad) => {
                    let next = self.search(pos + 8, end);
                    let name = match bad {
                        Bad::NoHeader => format!("at {pos:#x}: no block where one should begin"),
                        Bad::Absurd { seq } => {
                            format!("block {seq} at {pos:#x}: header is damaged")
                        }
                        Bad::Checksum { seq } => {
                            format!("block {seq} at {pos:#x}: checksum differs")
                        }
                    };
                    let read = self.blocks.len();
                    damage.add(match next {
                        Some(next) => format!("{name}; skipped to the next block at {next:#x}"),
                        None => format!(
                            "{name}; read {read} blocks, the rest of this extent is skipped"
                        ),
                    });
                    match next {
                        Some(next) => pos = next,
                        None => return,
                    }
                }
            }
        }
    }

    /// The block at `pos`, which must end before `end`.
    fn block(&mut self, pos: u64, end: u64) -> Result<BlockRef, Bad> {
        let mut head = [0u8; BLOCK_HEADER];
        self.source.read_at(pos, &mut head);
        let header = BlockHeader::from_bytes(&head).ok_or(Bad::NoHeader)?;
        let seq = header.seq;
        let content = pos + BLOCK_HEADER as u64;
        let fits = content + u64::from(header.len) <= end;
        let raw_fits = header.raw_len as usize <= MAX_RAW
            && (header.codec != Codec::Raw as u8 || header.raw_len == header.len);
        if !fits || !raw_fits {
            return Err(Bad::Absurd { seq });
        }
        let Index { source, buf, .. } = self;
        source
            .read_exact(content, header.len as usize, buf)
            .ok_or(Bad::Absurd { seq })?;
        if !header.matches(buf) {
            return Err(Bad::Checksum { seq });
        }
        Ok(BlockRef {
            seq,
            offset: pos,
            kind: header.kind,
            codec: header.codec,
            len: header.len,
            raw_len: header.raw_len,
        })
    }

    /// The next place from `pos` on at which a sound block begins.
    fn search(&mut self, mut pos: u64, end: u64) -> Option<u64> {
        let mut page = vec![0u8; 1 << 16];
        while pos + BLOCK_HEADER as u64 <= end {
            let want = usize::try_from(end - pos)
                .unwrap_or(usize::MAX)
                .min(page.len());
            let got = self.source.read_at(pos, page.get_mut(..want)?) & !7;
            if got == 0 {
                return None;
            }
            let words = page.get(..got)?.chunks_exact(8);
            for (place, word) in (pos..).step_by(8).zip(words) {
                if word.starts_with(&BLOCK_MAGIC.to_le_bytes()) {
                    let before = self.buf.len();
                    if self.block(place, end).is_ok() {
                        return Some(place);
                    }
                    let hashed = self.buf.len().max(before) as u64;
                    self.search_budget = self.search_budget.checked_sub(hashed)?;
                }
            }
            pos += got as u64;
        }
        None
    }

    /// The blocks in order, each once.
    pub fn finish(mut self) -> Vec<BlockRef> {
        // Stable: of two copies the one that stands first is taken.
        self.blocks.sort_by_key(|block| block.seq);
        self.blocks.dedup_by_key(|block| block.seq);
        self.blocks
    }
}

/// Runs of missing sequence numbers, as inclusive ranges. They begin at 0, and
/// after a clean end there are `count`; without one the first may be anything up
/// to 1, and who knows what came after the last.
pub(crate) fn gaps(blocks: &[BlockRef], count: u64) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut next = if count == 0 { 1 } else { 0 };
    for block in blocks {
        if block.seq > next {
            gaps.push((next, block.seq - 1));
        }
        next = block.seq.saturating_add(1);
    }
    if next < count {
        gaps.push((next, count - 1));
    }
    gaps
}

/// Reads and decompresses blocks.
pub(crate) struct Loader {
    stored: Vec<u8>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Loader {
    pub fn new() -> Loader {
        Loader {
            stored: Vec::new(),
            zstd: None,
        }
    }

    /// Puts the content of a block into `raw`; on failure says what is wrong.
    pub fn load(
        &mut self,
        source: &Source,
        block: &BlockRef,
        raw: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let at = block.offset + BLOCK_HEADER as u64;
        let (len, raw_len) = (block.len as usize, block.raw_len as usize);
        if block.codec == Codec::Raw as u8 {
            return source
                .read_exact(at, len, raw)
                .ok_or("cannot be read any more");
        }
        if block.codec != Codec::Zstd as u8 {
            return Err("is compressed in a way this version does not know");
        }
        source
            .read_exact(at, len, &mut self.stored)
            .ok_or("cannot be read any more")?;
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Decompressor::new().ok();
        }
        let zstd = self.zstd.as_mut().ok_or("no memory to decompress it")?;
        raw.clear();
        raw.reserve_exact(raw_len);
        match zstd.decompress_to_buffer(&self.stored, raw) {
            Ok(got) if got == raw_len => Ok(()),
            Ok(_) => Err("has another length than its header says"),
            Err(_) => Err("does not decompress"),
        }
    }
}
