//! Blocks: the checksummed units of a DATA extent.
//!
//! ```text
//! 0       4     5      6      8     16    20       24         32
//! | magic | kind | codec | 0 | seq | len | raw len | checksum | len bytes …
//! ```
//! Padded with zeros to a multiple of 8. Blocks are read in order of `seq`,
//! wherever they stand; two with the same `seq` are the same block (one was
//! being moved when the program was killed).

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// First four bytes of a block.
pub const BLOCK_MAGIC: u32 = u32::from_le_bytes(*b"LKB1");
/// Size of a block's header, bytes.
pub const BLOCK_HEADER: usize = 32;
/// No block's content is larger than this when decoded, bytes.
pub const MAX_RAW: usize = 64 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    /// Blobs ([`crate::blob`]).
    Meta = 1,
    /// One window of events ([`crate::window`]).
    Window = 2,
    /// Stack nodes ([`crate::nodes::encode_nodes`]).
    Nodes = 3,
    /// A part of a search for what is still reachable ([`crate::reach`]).
    Reach = 4,
}

/// How the content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
}

/// A block's header, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// What it holds; unknown kinds are kept as their number and skipped.
    pub kind: u8,
    /// [`Codec`] as its number.
    pub codec: u8,
    /// Position in the log's order.
    pub seq: u64,
    /// Stored bytes after the header.
    pub len: u32,
    /// Bytes after decoding.
    pub raw_len: u32,
    /// xxh3-64 of the stored bytes, seeded with the other fields.
    pub checksum: u64,
}

impl BlockHeader {
    /// The header for stored content.
    pub fn new(
        kind: BlockKind,
        codec: Codec,
        seq: u64,
        raw_len: u32,
        stored: &[u8],
    ) -> BlockHeader {
        let mut header = BlockHeader {
            kind: kind as u8,
            codec: codec as u8,
            seq,
            len: stored.len() as u32,
            raw_len,
            checksum: 0,
        };
        header.checksum = header.sum(stored);
        header
    }

    fn sum(&self, stored: &[u8]) -> u64 {
        let seed = self.seq
            ^ (u64::from(self.kind) << 56)
            ^ (u64::from(self.codec) << 48)
            ^ u64::from(self.raw_len).rotate_left(16);
        xxh3_64_with_seed(stored, seed)
    }

    /// Whether `stored` is the content that this header was made for.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.len as usize == stored.len() && self.checksum == self.sum(stored)
    }

    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0u8; BLOCK_HEADER];
        let mut out = crate::varint::Out::new(&mut bytes);
        out.bytes(&BLOCK_MAGIC.to_le_bytes());
        out.bytes(&[self.kind, self.codec, 0, 0]);
        out.bytes(&self.seq.to_le_bytes());
        out.bytes(&self.len.to_le_bytes());
        out.bytes(&self.raw_len.to_le_bytes());
        out.bytes(&self.checksum.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`; `None` if there is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<BlockHeader> {
        let mut input = crate::varint::In::new(bytes);
        let mut word = |len: usize| -> Option<u64> {
            let mut value = [0u8; 8];
            value.get_mut(..len)?.copy_from_slice(input.bytes(len)?);
            Some(u64::from_le_bytes(value))
        };
        if word(4)? as u32 != BLOCK_MAGIC {
            return None;
        }
        let kind = word(1)? as u8;
        let codec = word(1)? as u8;
        word(2)?;
        Some(BlockHeader {
            kind,
            codec,
            seq: word(8)?,
            len: word(4)? as u32,
            raw_len: word(4)? as u32,
            checksum: word(8)?,
        })
    }

    /// Room the block takes in its extent, bytes.
    pub fn stride(len: u32) -> u64 {
        (BLOCK_HEADER as u64 + u64::from(len)).next_multiple_of(8)
    }
}
