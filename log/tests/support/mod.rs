//! Writes small logs, whole or broken in chosen ways, for the tests of whoever
//! reads logs. Plain and slow; what the recorder writes must look the same.

#![allow(dead_code)] // each test uses a part

use log_format::blob::{Blob, BlobKind, Module, Process, Thread};
use log_format::block::{BlockHeader, BlockKind, Codec};
use log_format::layout::{
    EXTENT_MAGIC, ExtentKind, HEADER_SIZE, Header, MAGIC, Node, PAGE, VERSION,
};
use log_format::nodes::encode_nodes;
use log_format::record::{Record, kind, word0};
use log_format::varint::Out;
use log_format::window::{COLUMNS, Encoder, Event, Head, Sum, Tail};
use std::mem::offset_of;
use std::path::PathBuf;

/// A log in the making: the header page and extents in the order they are added.
#[derive(Clone)]
pub struct LogFile {
    bytes: Vec<u8>,
    next_seq: u64,
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

impl LogFile {
    /// A header that says: process 1234, killed, one tick a nanosecond.
    pub fn new() -> LogFile {
        let mut file = LogFile {
            bytes: vec![0; HEADER_SIZE as usize],
            next_seq: 1,
        };
        put(&mut file.bytes, 0, &MAGIC);
        file.header_u32(offset_of!(Header, version), VERSION);
        file.header_u32(offset_of!(Header, header_size), HEADER_SIZE as u32);
        file.header_u32(offset_of!(Header, pid), 1234);
        file.header_u32(offset_of!(Header, ppid), 1);
        file.header_u32(offset_of!(Header, clock), 1);
        file
    }

    /// Sets a field of the header by its offset.
    pub fn header_u32(&mut self, at: usize, value: u32) {
        put(&mut self.bytes, at, &value.to_le_bytes());
    }

    /// Sets a field of the header by its offset.
    pub fn header_u64(&mut self, at: usize, value: u64) {
        put(&mut self.bytes, at, &value.to_le_bytes());
    }

    /// A block with the next number.
    pub fn block(&mut self, kind: BlockKind, codec: Codec, content: &[u8]) -> Vec<u8> {
        self.next_seq += 1;
        block(self.next_seq - 1, kind, codec, content)
    }

    /// Appends an extent of whole pages around `content`, which begins at byte
    /// 64; returns its offset.
    pub fn extent(&mut self, kind: ExtentKind, id: u32, used: u64, content: &[u8]) -> u64 {
        let offset = self.bytes.len() as u64;
        let len = (64 + content.len() as u64).next_multiple_of(PAGE);
        for word in [
            EXTENT_MAGIC,
            u64::from(id) << 32 | u64::from(kind as u32),
            len,
            used,
            0,
            0,
            0,
            0,
        ] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(content);
        self.bytes.resize((offset + len) as usize, 0);
        offset
    }

    /// Appends a DATA extent with these blocks.
    pub fn data(&mut self, blocks: &[Vec<u8>]) -> u64 {
        let content = blocks.concat();
        self.extent(ExtentKind::Data, 0, content.len() as u64, &content)
    }

    /// Appends a RING extent whose records stand at positions from `tail` on.
    pub fn ring(&mut self, id: u32, capacity: u64, tail: u64, records: &[u8]) -> u64 {
        assert!(records.len() as u64 <= capacity && capacity.is_power_of_two());
        let mut content = vec![0; (PAGE - 64 + capacity) as usize];
        put(
            &mut content,
            0,
            &(tail + records.len() as u64).to_le_bytes(),
        );
        put(&mut content, 64, &tail.to_le_bytes());
        put(&mut content, 128, &capacity.to_le_bytes());
        put(&mut content, 136, &id.to_le_bytes());
        for (position, &byte) in (tail..).zip(records) {
            content[(PAGE - 64 + position % capacity) as usize] = byte;
        }
        self.extent(ExtentKind::Ring, id, 0, &content)
    }

    /// Appends a raw NODES extent of one chunk.
    pub fn raw_nodes(&mut self, slot: u32, nodes: &[Node]) -> u64 {
        let mut content = vec![0; (PAGE - 64) as usize];
        for node in nodes {
            content.extend(node.parent.to_le_bytes());
            content.extend(node.kind.to_le_bytes());
            content.extend(node.payload.to_le_bytes());
        }
        content.resize((PAGE - 64) as usize + 65536, 0);
        self.extent(ExtentKind::Nodes, slot, 0, &content)
    }

    /// Appends zero pages.
    pub fn zeros(&mut self, pages: u64) {
        self.bytes
            .resize(self.bytes.len() + (pages * PAGE) as usize, 0);
    }

    /// The file so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file so far, to break it.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Writes the file to a new place that is removed with the value.
    pub fn save(&self) -> Saved {
        save(&self.bytes)
    }
}

/// A file that goes away.
pub struct Saved {
    folder: tempfile::TempDir,
}

impl Saved {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.log")
    }
}

pub fn save(bytes: &[u8]) -> Saved {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.log"), bytes).unwrap();
    Saved { folder }
}

/// A block with a given number, padded.
pub fn block(seq: u64, kind: BlockKind, codec: Codec, content: &[u8]) -> Vec<u8> {
    let stored = match codec {
        Codec::Raw => content.to_vec(),
        Codec::Zstd => zstd::bulk::compress(content, 3).unwrap(),
    };
    let header = BlockHeader::new(kind, codec, seq, content.len() as u32, &stored);
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(stored);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn encoded(size: usize, write: impl FnOnce(&mut Out<'_>)) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut out = Out::new(&mut bytes);
    write(&mut out);
    let len = out.finish().unwrap();
    bytes.truncate(len);
    bytes
}

/// A blob as it stands in META and WINDOW blocks.
pub fn blob(what: BlobKind, time: u64, thread: u32, payload: &[u8]) -> Vec<u8> {
    let what = what as u8;
    let blob = Blob {
        what,
        time,
        thread,
        payload,
    };
    encoded(payload.len() + 64, |out| blob.encode(out))
}

pub fn process(exe: &str, argv: &[&str]) -> Vec<u8> {
    let argv: Vec<u8> = argv
        .iter()
        .flat_map(|word| word.bytes().chain([0]))
        .collect();
    let process = Process {
        exe: exe.as_bytes(),
        cwd: b"/home",
        parent_log: b"",
        argv: &argv,
    };
    encoded(4096, |out| process.encode(out))
}

pub fn module(bias: u64, start: u64, end: u64, first_node: u32, path: &str) -> Vec<u8> {
    let module = Module {
        bias,
        start,
        end,
        first_node,
        build_id: &[0xab; 20],
        path: path.as_bytes(),
    };
    encoded(4096, |out| module.encode(out))
}

pub fn thread(serial: u32, tid: u32, name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    encoded(4096, |out| Thread { serial, tid, name }.encode(out))
}

/// A window's content.
pub fn window(
    head: &Head,
    tails: &[Tail],
    sums: &[Sum],
    events: &[Event],
    blobs: &[u8],
) -> Vec<u8> {
    let mut columns: Vec<Vec<u8>> = vec![vec![0; 10 * events.len()]; COLUMNS];
    let mut iter = columns.iter_mut();
    let columns = std::array::from_fn(|_| &mut iter.next().unwrap()[..]);
    let mut encoder = Encoder::new(head, columns);
    for event in events {
        encoder.event(event);
    }
    let mut out =
        vec![0; 1024 + tails.len() * 64 + sums.len() * 128 + events.len() * 70 + blobs.len()];
    let len = encoder
        .finish(head, tails, sums.iter().copied(), blobs, &mut out)
        .unwrap();
    out.truncate(len);
    out
}

/// The content of a NODES block.
pub fn nodes(first: u32, nodes: &[Node]) -> Vec<u8> {
    let mut out = vec![0; 64 + nodes.len() * 40];
    let mut hash = vec![0u32; (2 * nodes.len()).next_power_of_two()];
    let len = encode_nodes(first, nodes, &mut hash, &mut vec![0; nodes.len()], &mut out).unwrap();
    out.truncate(len);
    out
}

/// A native frame.
pub fn node(parent: u32, address: u64) -> Node {
    Node {
        parent,
        kind: log_format::layout::node_kind::NATIVE,
        payload: address,
    }
}

/// A record as it stands in a ring; `payload` is a blob's.
pub fn record(record: &Record, time: u64, payload: &[u8]) -> Vec<u8> {
    let words: Vec<u64> = match *record {
        Record::Free { ptr } => vec![word0(kind::FREE, ptr), time],
        Record::Alloc { ptr, size, stack } => {
            vec![word0(kind::ALLOC, ptr), time, size, u64::from(stack)]
        }
        Record::ReallocBegin { old } => vec![word0(kind::REALLOC_BEGIN, old), time],
        Record::ReallocEnd {
            old,
            new,
            size,
            stack,
            ok,
        } => vec![
            word0(kind::REALLOC_END, new),
            time,
            size,
            u64::from(stack) | u64::from(ok) << 32,
            old,
            0,
        ],
        Record::Map {
            address,
            len,
            stack,
            prot,
            flags,
        } => vec![
            word0(kind::MAP, address),
            time,
            len,
            u64::from(stack) | u64::from(prot) << 32,
            flags,
            0,
        ],
        Record::Unmap { address, len } => vec![word0(kind::UNMAP, address), time, len, 0],
        Record::Time { time } => return word0(kind::TIME, time).to_le_bytes().to_vec(),
        Record::Blob { what, len } => {
            assert_eq!(len, payload.len());
            vec![
                u64::from(kind::BLOB) << 56 | u64::from(what) << 48 | len as u64,
                time,
            ]
        }
    };
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    bytes
}

/// A record in its form without a time, where it has one.
pub fn short_record(record: &Record) -> Option<Vec<u8>> {
    let words = match *record {
        Record::Free { ptr } => vec![word0(kind::FREE_SHORT, ptr)],
        Record::Alloc { ptr, size, stack } => {
            let size = u64::from(u32::try_from(size).ok()?);
            vec![word0(kind::ALLOC_SHORT, ptr), size | u64::from(stack) << 32]
        }
        _ => return None,
    };
    Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

/// A blob as a ring record.
pub fn ring_blob(what: BlobKind, time: u64, payload: &[u8]) -> Vec<u8> {
    let what = what as u8;
    record(
        &Record::Blob {
            what,
            len: payload.len(),
        },
        time,
        payload,
    )
}
