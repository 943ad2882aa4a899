//! A log made by hand: one process, one window, frames that no file names.

#![allow(dead_code)] // each test file uses its part

use std::mem::offset_of;
use std::path::Path;

use log_format::blob::{Blob, BlobKind, Module, Process, Thread};
use log_format::block::{BlockHeader, BlockKind, Codec};
use log_format::layout::{
    CLOCK_MONOTONIC, EXTENT_HEADER_SIZE, EXTENT_MAGIC, ExtentHeader, ExtentKind, HEADER_SIZE,
    Header, MAGIC, Node, PAGE, State, VERSION, flag, node_kind,
};
use log_format::nodes::encode_nodes;
use log_format::varint::Out;
use log_format::window::{COLUMNS, Encoder, Event, EventKind, Head, Sum, Totals};

/// Where the program's module begins.
pub const BASE: u64 = 0x40_0000;

/// What to put into a log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Process id.
    pub pid: u32,
    /// Parent's.
    pub ppid: u32,
    /// `CLOCK_REALTIME` at the start, ns.
    pub started: u64,
    /// How it ended.
    pub state: State,
    /// Exit status.
    pub exit_status: u32,
    /// Why recording ended early.
    pub stop_reason: u32,
    /// Version of the format.
    pub version: u32,
    /// Events lost.
    pub events_lost: u64,
    /// Arguments.
    pub argv: Vec<&'static str>,
    /// Build-id of the program.
    pub build_id: Vec<u8>,
    /// Path of the program.
    pub exe: String,
    /// Load bias of the program.
    pub bias: u64,
    /// Sites: stack (offsets of return addresses in the program, innermost first), and sizes of its blocks.
    pub sites: Vec<(Vec<u64>, Vec<u64>)>,
    /// Blocks made and freed inside the window, by site: count, bytes, temporary.
    pub freed: Vec<(u64, u64, u64)>,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            pid: 1234,
            ppid: 1000,
            started: 1_700_000_000_000_000_000,
            state: State::Exited,
            exit_status: 0,
            stop_reason: 0,
            version: VERSION,
            events_lost: 0,
            argv: vec!["./app", "--serve", "a b"],
            build_id: vec![0xab; 20],
            exe: "/no/such/app".to_owned(),
            bias: BASE,
            sites: vec![
                (vec![0x1010, 0x2020, 0x3030], vec![64, 64, 64]),
                (vec![0x1510, 0x2020, 0x3030], vec![100_000]),
                (vec![0x1810, 0x3030], vec![]),
            ],
            freed: vec![(0, 0, 0), (5, 500, 0), (1000, 32_000, 900)],
        }
    }
}

impl Log {
    /// The log as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut stacks = Vec::new();
        for (stack, _) in &self.sites {
            let mut parent = 0;
            for offset in stack.iter().rev() {
                let node = Node {
                    parent,
                    kind: node_kind::NATIVE,
                    payload: self.bias + offset,
                };
                parent = match nodes.iter().position(|other| *other == node) {
                    Some(at) => at as u32 + 1,
                    None => {
                        nodes.push(node);
                        nodes.len() as u32
                    }
                };
            }
            stacks.push(parent);
        }
        let mut data = Vec::new();
        block(&mut data, BlockKind::Meta, 0, &self.meta());
        let mut out = vec![0; 1 << 16];
        let len = encode_nodes(1, &nodes, &mut [0; 1024], &mut [0; 512], &mut out).expect("room");
        block(&mut data, BlockKind::Nodes, 1, &out[..len]);
        block(&mut data, BlockKind::Window, 2, &self.window(&stacks));

        let mut file = self.header(nodes.len() as u64 + 1);
        let extent = (EXTENT_HEADER_SIZE + data.len() as u64).next_multiple_of(PAGE);
        let at = file.len();
        file.resize(at + extent as usize, 0);
        put(
            &mut file,
            at + offset_of!(ExtentHeader, magic),
            &EXTENT_MAGIC.to_le_bytes(),
        );
        put(
            &mut file,
            at + offset_of!(ExtentHeader, kind),
            &(ExtentKind::Data as u32).to_le_bytes(),
        );
        put(
            &mut file,
            at + offset_of!(ExtentHeader, len),
            &extent.to_le_bytes(),
        );
        put(
            &mut file,
            at + offset_of!(ExtentHeader, used),
            &(data.len() as u64).to_le_bytes(),
        );
        put(&mut file, at + EXTENT_HEADER_SIZE as usize, &data);
        file
    }

    /// Writes it.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, self.bytes()).expect("a log is written");
    }

    fn header(&self, node_count: u64) -> Vec<u8> {
        let mut page = vec![0; HEADER_SIZE as usize];
        let second = 1_000_000_000u64;
        put(&mut page, 0, &MAGIC);
        for (at, value) in [
            (offset_of!(Header, version), self.version),
            (offset_of!(Header, header_size), HEADER_SIZE as u32),
            (offset_of!(Header, pid), self.pid),
            (offset_of!(Header, ppid), self.ppid),
            (offset_of!(Header, clock), CLOCK_MONOTONIC),
            (offset_of!(Header, state), self.state as u32),
            (offset_of!(Header, stop_reason), self.stop_reason),
            (offset_of!(Header, exit_status), self.exit_status),
        ] {
            put(&mut page, at, &value.to_le_bytes());
        }
        for (at, value) in [
            (offset_of!(Header, log_id), u64::from(self.pid)),
            (offset_of!(Header, start_ticks), second),
            (offset_of!(Header, start_ns), second),
            (offset_of!(Header, start_wall_ns), self.started),
            (offset_of!(Header, events_lost), self.events_lost),
            (offset_of!(Header, node_count), node_count),
            (
                offset_of!(Header, end_ticks),
                if self.state == State::Running {
                    0
                } else {
                    13 * second + second / 2
                },
            ),
            (offset_of!(Header, flags), flag::NODES_IN_BLOCKS),
        ] {
            put(&mut page, at, &value.to_le_bytes());
        }
        page
    }

    fn meta(&self) -> Vec<u8> {
        let mut argv = Vec::new();
        for word in &self.argv {
            argv.extend(word.as_bytes());
            argv.push(0);
        }
        let process = Process {
            exe: self.exe.as_bytes(),
            cwd: b"/home/me",
            parent_log: b"",
            argv: &argv,
        };
        let module = Module {
            bias: self.bias,
            start: self.bias,
            end: self.bias + 0x10_0000,
            first_node: 0,
            build_id: &self.build_id,
            path: self.exe.as_bytes(),
        };
        let thread = Thread {
            serial: 1,
            tid: self.pid,
            name: b"app",
        };
        let mut all = vec![0; 1 << 16];
        let mut len = 0;
        let mut blob = |what: BlobKind, encode: &dyn Fn(&mut Out<'_>)| {
            let mut payload = vec![0; 1 << 14];
            let mut out = Out::new(&mut payload);
            encode(&mut out);
            let size = out.finish().expect("room");
            let mut out = Out::new(&mut all[len..]);
            Blob {
                what: what as u8,
                time: 1_000_000_000,
                thread: 1,
                payload: &payload[..size],
            }
            .encode(&mut out);
            len += out.finish().expect("room");
        };
        blob(BlobKind::Process, &|out| process.encode(out));
        blob(BlobKind::ModuleLoad, &|out| module.encode(out));
        blob(BlobKind::ThreadStart, &|out| thread.encode(out));
        all.truncate(len);
        all
    }

    fn window(&self, stacks: &[u32]) -> Vec<u8> {
        let mut events = Vec::new();
        let mut totals = Totals::default();
        let mut time = 1_500_000_000;
        let mut live = 0;
        for ((_, sizes), &stack) in self.sites.iter().zip(stacks) {
            for &size in sizes {
                time += 1000;
                let ptr = 0x7000_0000 + time;
                events.push(Event {
                    kind: EventKind::Alloc,
                    thread: 1,
                    stack,
                    time,
                    ptr,
                    size,
                    serial: 0,
                });
                totals.allocations += 1;
                totals.allocated_bytes += size;
                live += size;
            }
        }
        let mut sums = Vec::new();
        for (&(count, bytes, temporary), &stack) in self.freed.iter().zip(stacks) {
            if count > 0 {
                let lifetimes = [u32::try_from(count).expect("few"), 0, 0, 0, 0, 0, 0, 0];
                sums.push(Sum {
                    stack,
                    allocations: count,
                    reallocations: 0,
                    bytes,
                    temporary,
                    lifetimes,
                });
                totals.allocations += count;
                totals.frees += count;
                totals.allocated_bytes += bytes;
                totals.temporary += temporary;
            }
        }
        sums.sort_by_key(|sum| sum.stack);
        let head = Head {
            start: 1_500_000_000,
            end: time,
            time_shift: 0,
            ends_at_peak: true,
            first_serial: 1,
            totals,
            live_blocks: events.len() as u64,
            live_bytes: live,
            max_live_bytes: live,
        };
        let mut columns: Vec<Vec<u8>> = vec![vec![0; 1 << 12]; COLUMNS];
        let mut columns = columns.iter_mut();
        let columns = std::array::from_fn(|_| &mut columns.next().expect("enough columns")[..]);
        let mut encoder = Encoder::new(&head, columns);
        for event in &events {
            encoder.event(event);
        }
        let mut out = vec![0; 1 << 16];
        let len = encoder
            .finish(&head, &[], sums.iter().copied(), b"", &mut out)
            .expect("room");
        out.truncate(len);
        out
    }
}

fn block(data: &mut Vec<u8>, kind: BlockKind, seq: u64, content: &[u8]) {
    let header = BlockHeader::new(kind, Codec::Raw, seq, content.len() as u32, content);
    data.extend(header.to_bytes());
    data.extend(content);
    data.resize(data.len().next_multiple_of(8), 0);
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}
