//! Adds blocks to a log that nobody writes any more, such as a copy of a running
//! program's.

use crate::block::{BLOCK_HEADER, BlockHeader, BlockKind, Codec};
use crate::error::Error;
use crate::layout::{EXTENT_HEADER_SIZE, EXTENT_MAGIC, ExtentKind, PAGE};
use crate::reader::Log;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::vec;
use std::vec::Vec;

/// Appends one block for each of `contents`, in an extent of its own, after all others.
///
/// # Errors
/// If the file is no log, or cannot be written to.
pub fn append(path: &Path, kind: BlockKind, contents: &[Vec<u8>]) -> Result<(), Error> {
    let log = Log::open(path)?;
    let failed = |source: io::Error| Error::Open {
        path: path.to_path_buf(),
        source,
    };
    let mut extent = vec![0u8; EXTENT_HEADER_SIZE as usize];
    for (seq, raw) in (log.next_seq()..).zip(contents) {
        let packed = zstd::bulk::compress(raw, 3)
            .ok()
            .filter(|packed| packed.len() < raw.len());
        let (codec, stored) = match &packed {
            Some(packed) => (Codec::Zstd, packed),
            None => (Codec::Raw, raw),
        };
        let header = BlockHeader::new(kind, codec, seq, raw.len() as u32, stored);
        let end = extent.len() + BlockHeader::stride(stored.len() as u32) as usize;
        extent.extend_from_slice(&header.to_bytes());
        extent.extend_from_slice(stored);
        extent.resize(end, 0);
    }
    const { assert!(BLOCK_HEADER == 32) };
    let used = extent.len() as u64 - EXTENT_HEADER_SIZE;
    extent.resize(extent.len().next_multiple_of(PAGE as usize), 0);
    let header = [
        EXTENT_MAGIC,
        ExtentKind::Data as u64,
        extent.len() as u64,
        used,
    ];
    for (to, word) in extent.chunks_exact_mut(8).zip(header) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let end = file
        .metadata()
        .map_err(failed)?
        .len()
        .next_multiple_of(PAGE);
    file.write_all_at(&extent, end).map_err(failed)
}
