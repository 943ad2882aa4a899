//! Reads a log, also one that is cut off, damaged, or left behind by a kill.
//!
//! ```text
//! Log::open ── header, extents, index of the blocks (every checksum verified)
//!   ├─ nodes()   the stack table
//!   ├─ stream()  META blobs and windows, in order, one in memory at a time
//!   └─ tail()    what was still in the rings, merged by time
//! ```
//!
//! Nothing that a file contains makes the reader panic, loop, or allocate
//! without bound. What is broken is told by [`Log::damage`], a line each, and
//! everything else is read.
//!
//! Memory: the block index (32 bytes a block) and one window; never the file.

mod blocks;
mod extents;
mod facts;
mod info;
mod js;
mod nodes;
mod ring_view;
mod rings;
mod source;
mod stream;

pub use crate::error::{Damage, Error};
pub use facts::{CheckFacts, Facts, MemoryFact, ModuleFact, ProcessFact, ThreadFact, TimelineMark};
pub use info::{Clock, Info};
pub use js::{IsolateFact, JsFrameFact, MAX_TOLD, MarkFact};
pub use rings::{RingEvent, TailEvents};
pub use stream::{Item, Stream, Window};

use crate::block::BlockKind;
use crate::error::DamageList;
use crate::layout::{ExtentKind, Node};
use crate::reach::Part;
use crate::window::Tail;
use blocks::{BlockRef, Index};
use extents::Extent;
use ring_view::RingView;
use source::Source;
use std::format;
use std::path::Path;
use std::sync::Arc;
use std::vec::Vec;

/// An open log.
#[derive(Debug)]
pub struct Log {
    source: Arc<Source>,
    info: Info,
    extents: Vec<Extent>,
    rings: Vec<Arc<RingView>>,
    blocks: Vec<BlockRef>,
    damage: DamageList,
}

impl Log {
    /// Opens a log and indexes its blocks.
    ///
    /// # Errors
    /// If the file cannot be read or is no log of this version. Damage behind
    /// the header is no error: see [`Log::damage`].
    pub fn open(path: &Path) -> Result<Log, Error> {
        Log::open_with(path, false)
    }

    /// As [`Log::open`], for the log of a program that is running: what is in its
    /// rings is copied now, up to 1 MiB a thread, before the blocks are indexed.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_running(path: &Path) -> Result<Log, Error> {
        Log::open_with(path, true)
    }

    fn open_with(path: &Path, copy_rings: bool) -> Result<Log, Error> {
        let mut source = Source::open(path)?;
        let info = Info::read(&source)?;
        let mut damage = DamageList::new(path);
        let mut extents = extents::walk(&source, &mut damage);
        if copy_rings {
            extents::second_look(&source, &mut extents, &mut damage);
        }
        let mut rings = ring_view::look(&source, &extents, copy_rings);
        if copy_rings {
            // Again, because the program may have added extents and blocks.
            source.refresh()?;
            damage = DamageList::new(path);
            extents = extents::walk(&source, &mut damage);
        }
        // A wrong length can hide what comes after, without a gap to show for it.
        let known = extents.len();
        extents::second_look(&source, &mut extents, &mut damage);
        if extents.len() > known && !copy_rings {
            rings = ring_view::look(&source, &extents, false);
        }
        let mut index = Index::new(&source);
        for extent in extents.iter().filter(|e| e.kind == ExtentKind::Data) {
            index.extent(extent, &mut damage);
        }
        let blocks = index.finish();
        for (first, last) in blocks::gaps(&blocks, info.block_count) {
            damage.add(match last - first {
                0 => format!("block {first} is missing"),
                _ => format!("blocks {first} to {last} are missing"),
            });
        }
        Ok(Log {
            source: Arc::new(source),
            info,
            extents,
            rings: rings.into_iter().map(Arc::new).collect(),
            blocks,
            damage,
        })
    }

    /// Whether the file begins as a log does.
    pub fn is_log(path: &Path) -> bool {
        Source::open(path).is_ok_and(|source| {
            let mut magic = [0u8; 8];
            source.read_at(0, &mut magic) == 8 && magic == crate::layout::MAGIC
        })
    }

    /// Reads the header page and nothing else.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn peek(path: &Path) -> Result<Info, Error> {
        Info::read(&Source::open(path)?)
    }

    /// Whether the program has gone on writing since the log was opened, so that
    /// what was read may not belong together. Then [`Log::open_running`] helps;
    /// if that log has moved, the program has ended meanwhile: open it again.
    pub fn has_moved(&self) -> bool {
        let ended = Info::read(&self.source).is_ok_and(|now| now.state != self.info.state);
        let changed = |ring: &Arc<RingView>| ring.copy.is_none() && ring.changed(&self.source);
        ended || self.rings.iter().any(changed)
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Length of the file when it was opened, bytes.
    pub fn file_len(&self) -> u64 {
        self.source.len
    }

    /// The sequence number after that of the last block.
    pub fn next_seq(&self) -> u64 {
        self.blocks
            .last()
            .map_or(0, |block| block.seq.saturating_add(1))
    }

    /// What the header page says.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What was found broken so far. [`Log::nodes`], [`Log::stream`] and
    /// [`Log::tail`] may find more.
    pub fn damage(&self) -> &DamageList {
        &self.damage
    }

    /// As [`Log::damage`], to add what only the meaning of events reveals.
    pub fn damage_mut(&mut self) -> &mut DamageList {
        &mut self.damage
    }

    /// Reads the stack table; entry 0 is the root (no frame).
    pub fn nodes(&mut self) -> Vec<Node> {
        let mut damage = self.damage.clone();
        let nodes = nodes::read(self, &mut damage);
        self.damage = damage;
        nodes
    }

    /// The windows and blobs, in the log's order. Large logs are read and
    /// decompressed by a thread ahead of the caller.
    pub fn stream(&mut self) -> Stream<'_> {
        let wanted = |kind| kind == BlockKind::Meta as u8 || kind == BlockKind::Window as u8;
        let blocks = self
            .blocks
            .iter()
            .filter(|b| wanted(b.kind))
            .copied()
            .collect();
        Stream::new(Arc::clone(&self.source), blocks, &mut self.damage)
    }

    /// The parts of the last search for what is reachable, in order; empty if none
    /// was made. Broken parts are left out and noted as damage.
    pub fn reach(&mut self) -> Vec<Part> {
        let mut loader = blocks::Loader::new();
        let mut raw = Vec::new();
        let mut parts = Vec::new();
        for block in self
            .blocks
            .iter()
            .filter(|block| block.kind == BlockKind::Reach as u8)
        {
            let loaded = loader.load(&self.source, block, &mut raw);
            match loaded.and_then(|()| crate::reach::decode(&raw).ok_or("cannot be decoded")) {
                Ok(part) => {
                    // A later search replaces an earlier one.
                    if matches!(parts.last(), Some(Part::Summary(_))) {
                        parts.clear();
                    }
                    parts.push(part);
                }
                Err(what) => self.damage.add(format!(
                    "block {} at {:#x}: {what}; what is reachable is not known of its blocks",
                    block.seq, block.offset
                )),
            }
        }
        parts
    }

    /// What was still in the rings, merged by time. `since` is the end of the last
    /// window (records without a time happened after it). `tails` is the last
    /// [`Tail`] of each ring that any window had.
    pub fn tail(&mut self, tails: &[Tail], since: u64) -> TailEvents {
        TailEvents::new(&self.source, &self.rings, tails, since, &mut self.damage)
    }
}
