//! The log's blobs and windows in order, one in memory at a time.
//!
//! ```text
//!  decoder thread: read, decompress ──(2 buffers)──> caller: columns, events
//!         ^                                             │
//!         └────────────── empty buffers ────────────────┘
//! ```
//! The columns are taken apart by the caller: that costs less than handing over
//! events of 48 bytes, and keeps memory to the compact form.

use super::blocks::{BlockRef, Loader};
use super::source::Source;
use crate::blob::Blob;
use crate::block::BlockKind;
use crate::error::DamageList;
use crate::varint::In;
use crate::window::{self, Events, Head, Sum, Tail};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::format;
use std::sync::Arc;
use std::vec::Vec;

/// Logs with less content are read without a thread, bytes.
const THREAD_FROM: u64 = 1 << 20;
/// More sums than any window has.
const MAX_SUMS: usize = 1 << 21;
/// More ring ends than any window has.
const MAX_TAILS: usize = 1 << 20;

/// What comes next in a log.
#[allow(clippy::large_enum_variant)] // one exists at a time
#[derive(Debug)]
pub enum Item<'a> {
    /// A blob of a META block.
    Meta(Blobs<'a>),
    /// A window. Its own blobs: [`Events::blobs`].
    Window(Window<'a>),
    /// A window that cannot be decoded; noted as damage.
    Lost,
}

/// The blobs of a META block.
#[derive(Clone, Debug)]
pub struct Blobs<'a>(In<'a>);

impl<'a> Iterator for Blobs<'a> {
    type Item = Blob<'a>;

    fn next(&mut self) -> Option<Blob<'a>> {
        Blob::decode(&mut self.0)
    }
}

/// A decoded window.
#[derive(Debug)]
pub struct Window<'a> {
    /// Number of its block.
    pub seq: u64,
    /// Where its block stands in the file.
    pub offset: u64,
    /// The head.
    pub head: Head,
    /// How far each ring is consumed after it.
    pub tails: &'a [Tail],
    /// Cancelled pairs, by stack.
    pub sums: &'a [Sum],
    /// Survivors and what ended earlier ones; clone it to read them twice.
    pub events: Events<'a>,
}

type Loaded = (usize, Vec<u8>, Result<(), &'static str>);

enum Feed {
    Inline(Loader),
    Thread {
        full: Receiver<Loaded>,
        empty: Sender<Vec<u8>>,
    },
}

/// Iterator over the items of a log; lends each until the next is asked for.
pub struct Stream<'l> {
    source: Arc<Source>,
    blocks: Vec<BlockRef>,
    next: usize,
    done: u64,
    total: u64,
    feed: Feed,
    raw: Vec<u8>,
    tails: Vec<Tail>,
    sums: Vec<Sum>,
    damage: &'l mut DamageList,
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("blocks", &self.blocks.len())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<'l> Stream<'l> {
    pub(super) fn new(
        source: Arc<Source>,
        blocks: Vec<BlockRef>,
        damage: &'l mut DamageList,
    ) -> Self {
        let content: u64 = blocks.iter().map(|block| u64::from(block.raw_len)).sum();
        let threaded = (content >= THREAD_FROM)
            .then(|| start_decoder(&source, &blocks))
            .flatten();
        Stream {
            source,
            done: 0,
            total: blocks.iter().map(|block| u64::from(block.len)).sum(),
            blocks,
            next: 0,
            feed: threaded.unwrap_or_else(|| Feed::Inline(Loader::new())),
            raw: Vec::new(),
            tails: Vec::new(),
            sums: Vec::new(),
            damage,
        }
    }

    /// Stored bytes of the blocks taken so far, and of all.
    pub fn progress(&self) -> (u64, u64) {
        (self.done, self.total)
    }

    /// The damage found so far.
    pub fn damage_mut(&mut self) -> &mut DamageList {
        self.damage
    }

    /// Takes the next item.
    #[allow(clippy::should_implement_trait)] // it lends
    pub fn next(&mut self) -> Option<Item<'_>> {
        let block = self.load()?;
        if block.kind == BlockKind::Meta as u8 {
            return Some(Item::Meta(Blobs(In::new(&self.raw))));
        }
        Some(match parts(&self.raw, &mut self.tails, &mut self.sums) {
            Ok((head, events)) => Item::Window(Window {
                seq: block.seq,
                offset: block.offset,
                head,
                tails: &self.tails,
                sums: &self.sums,
                events,
            }),
            Err(part) => {
                self.damage.add(format!(
                    "block {} at {:#x}: its {part} cannot be decoded; its events are lost",
                    block.seq, block.offset
                ));
                Item::Lost
            }
        })
    }

    /// Brings the next block's content into `raw`.
    fn load(&mut self) -> Option<BlockRef> {
        loop {
            let block = *self.blocks.get(self.next)?;
            self.next += 1;
            self.done += u64::from(block.len);
            let result = match &mut self.feed {
                Feed::Inline(loader) => loader.load(&self.source, &block, &mut self.raw),
                Feed::Thread { full, empty } => {
                    let (_, buffer, result) = full.recv().ok()?;
                    let old = std::mem::replace(&mut self.raw, buffer);
                    // The thread may have ended already; then it needs none.
                    let _ = empty.send(old);
                    result
                }
            };
            match result {
                Ok(()) => return Some(block),
                Err(what) => self.damage.add(format!(
                    "block {} at {:#x}: {what}; its events are lost",
                    block.seq, block.offset
                )),
            }
        }
    }
}

/// Takes a window apart; on failure names the part.
fn parts<'a>(
    raw: &'a [u8],
    tails: &mut Vec<Tail>,
    sums: &mut Vec<Sum>,
) -> Result<(Head, Events<'a>), &'static str> {
    let mut decoder = window::decode(raw).ok_or("head")?;
    tails.clear();
    let each = |tail| {
        if tails.len() < MAX_TAILS {
            tails.push(tail);
        }
    };
    decoder.tails(each).ok_or("list of rings")?;
    decoder
        .sums(|count| {
            sums.clear();
            sums.resize(
                Some(count).filter(|&count| count <= MAX_SUMS)?,
                Sum::default(),
            );
            sums.get_mut(..)
        })
        .ok_or("list of sums")?;
    let head = decoder.head;
    Ok((head, decoder.events().ok_or("list of events")?))
}

fn start_decoder(source: &Arc<Source>, blocks: &[BlockRef]) -> Option<Feed> {
    let (to_caller, full) = bounded(1);
    let (empty, from_caller) = bounded::<Vec<u8>>(2);
    let source = Arc::clone(source);
    let blocks = blocks.to_vec();
    std::thread::Builder::new()
        .name("leak-decode".into())
        .spawn(move || {
            let mut loader = Loader::new();
            for (number, block) in blocks.iter().enumerate() {
                let mut buffer = from_caller.try_recv().unwrap_or_default();
                let result = loader.load(&source, block, &mut buffer);
                if to_caller.send((number, buffer, result)).is_err() {
                    return;
                }
            }
        })
        .ok()?;
    Some(Feed::Thread { full, empty })
}
