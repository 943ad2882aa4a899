//! The worked dump in `docs/design/log.md` is the file that this test writes, byte
//! for byte. When it fails, the page must be brought up to date (and
//! `layout::VERSION` with it, if the recorder's bytes changed).

mod support;

use log_format::blob::BlobKind;
use log_format::block::{BlockKind, Codec};
use log_format::layout::Header;
use log_format::record::Record;
use log_format::window::{Event, EventKind, Head, Sum, Tail, Totals};
use std::fmt::Write;
use std::mem::offset_of;
use support::{LogFile, blob, node};

/// Two nodes; a window in which three blocks of 32 bytes were made, one of which
/// survived and two were freed at once; and what was in the ring then.
fn sample() -> Vec<u8> {
    let mut file = LogFile::new();
    file.header_u64(offset_of!(Header, log_id), 0x1122_3344_5566_7788);
    file.header_u64(offset_of!(Header, node_count), 3);
    let thread = blob(
        BlobKind::ThreadStart,
        1000,
        1,
        &support::thread(1, 1234, "main"),
    );
    let meta = file.block(BlockKind::Meta, Codec::Raw, &thread);
    let nodes = support::nodes(1, &[node(0, 0x401136), node(1, 0x4011f0)]);
    let nodes = file.block(BlockKind::Nodes, Codec::Raw, &nodes);
    let head = Head {
        start: 2048,
        end: 5120,
        time_shift: 10,
        ends_at_peak: true,
        first_serial: 0,
        totals: Totals {
            allocations: 3,
            frees: 2,
            allocated_bytes: 96,
            temporary: 2,
            ..Totals::default()
        },
        live_blocks: 1,
        live_bytes: 32,
        max_live_bytes: 32,
    };
    let tail = Tail {
        ring: 0,
        tail: 128,
        thread: 1,
        last_alloc: 0x5000,
    };
    let sum = Sum {
        stack: 2,
        allocations: 2,
        reallocations: 0,
        bytes: 64,
        temporary: 2,
        lifetimes: [2, 0, 0, 0, 0, 0, 0, 0],
    };
    let event = Event {
        kind: EventKind::Alloc,
        thread: 1,
        stack: 2,
        time: 5120,
        ptr: 0x5000,
        size: 32,
        serial: 0,
    };
    let window = support::window(&head, &[tail], &[sum], &[event], b"");
    let window = file.block(BlockKind::Window, Codec::Raw, &window);
    file.data(&[meta, nodes, window]);
    let records = [
        support::record(&Record::Time { time: 6000 }, 0, b""),
        support::short_record(&Record::Free { ptr: 0x5000 }).unwrap(),
        support::record(
            &Record::Alloc {
                ptr: 0x6000,
                size: 48,
                stack: 2,
            },
            6100,
            b"",
        ),
    ];
    file.ring(0, 4096, 128, &records.concat());
    file.bytes().to_vec()
}

struct Dump<'a> {
    bytes: &'a [u8],
    at: usize,
    text: String,
}

impl Dump<'_> {
    fn title(&mut self, at: usize, title: &str) {
        self.at = at;
        writeln!(self.text, "\n{title}").unwrap();
    }

    fn line(&mut self, len: usize, meaning: &str) {
        let bytes = &self.bytes[self.at..self.at + len];
        let mut hex = String::new();
        for (place, byte) in bytes.iter().enumerate().take(8) {
            write!(hex, "{}{byte:02x}", if place == 0 { "" } else { " " }).unwrap();
        }
        if len > 8 {
            let zero = bytes[8..].iter().all(|&byte| byte == 0);
            write!(hex, " …{}", if zero { " zeros" } else { "" }).unwrap();
        }
        writeln!(self.text, "{:06x}  {hex:<33} {meaning}", self.at).unwrap();
        self.at += len;
    }

    fn lines(&mut self, lines: &[(usize, &str)]) {
        for &(len, meaning) in lines {
            self.line(len, meaning);
        }
    }

    fn extent(&mut self, at: usize, kind: &str, used: &str) {
        self.title(at, &format!("Extent: {kind}"));
        self.lines(&[
            (8, "magic \"leakext\\n\""),
            (4, kind),
            (4, "id"),
            (8, "length, bytes"),
            (8, used),
            (32, "reserved"),
        ]);
    }

    fn block(&mut self, kind: &str) {
        self.title(self.at, &format!("Block: {kind}"));
        self.lines(&[
            (4, "magic \"LKB1\""),
            (1, kind),
            (1, "codec: raw"),
            (2, "zero"),
            (8, "sequence number"),
        ]);
        self.lines(&[
            (4, "stored length"),
            (4, "decoded length"),
            (8, "checksum, xxh3-64"),
        ]);
    }
}

fn dump() -> String {
    let bytes = sample();
    let mut dump = Dump {
        bytes: &bytes,
        at: 0,
        text: String::new(),
    };
    dump.title(0, "Header");
    dump.lines(&[
        (8, "magic \"leaklog\\n\""),
        (4, "version"),
        (4, "header size"),
        (16, "log id"),
        (16, "parent's log id: none"),
        (4, "pid 1234"),
        (4, "parent's pid"),
        (4, "clock: 1 = CLOCK_MONOTONIC, 0 = time-stamp counter"),
        (4, "state: 0 = running or killed"),
        (4, "stop reason"),
        (4, "exit status"),
        (8, "event clock at the start"),
        (8, "CLOCK_MONOTONIC then, ns"),
        (8, "CLOCK_REALTIME then, ns"),
        (8, "event clock at the fork"),
        (32, "calibration: 2 × (ticks, ns)"),
        (8, "events lost"),
        (8, "unwinds cut short"),
        (24, "self-check: checked, disagreed, not comparable"),
        (8, "node count: ids 1 and 2"),
        (8, "event clock at the end"),
        (8, "flags"),
        (8, "blocks after a clean end; zeros to the end of the page"),
    ]);
    dump.extent(4096, "1 = DATA", "bytes of blocks");
    dump.block("1 = META");
    dump.lines(&[
        (1, "blob: 4 = ThreadStart"),
        (2, "time 1000"),
        (1, "thread 1"),
        (1, "7 bytes"),
        (1, "serial 1"),
        (2, "tid 1234"),
        (4, "name \"main\""),
        (4, "padding to a multiple of 8"),
    ]);
    dump.block("3 = NODES");
    dump.lines(&[
        (1, "first id"),
        (1, "count"),
        (2, "node 1: native, parent 1 − 1 = 0"),
        (2, "node 2: native, parent 2 − 1 = 1"),
        (1, "distinct payloads"),
        (4, "0x401136, zigzag"),
        (2, "+ 0xba = 0x4011f0"),
        (2, "payload of each node, by number"),
        (1, "padding"),
    ]);
    dump.block("2 = WINDOW");
    dump.lines(&[
        (1, "times are in units of 2^10 ticks"),
        (1, "ends at a peak of the heap"),
        (2, "start 2048"),
        (2, "+ 3072: end 5120"),
        (1, "first serial"),
        (1, "allocations"),
        (1, "frees"),
        (1, "reallocations"),
        (1, "allocated bytes 96"),
        (1, "temporary"),
        (1, "unmatched frees"),
        (1, "missed frees"),
        (1, "live blocks at the end"),
        (1, "live bytes 32"),
        (1, "most live bytes 32"),
        (1, "rings that moved: 1"),
        (1, "ring 0"),
        (2, "is consumed to position 128"),
        (1, "by thread 1"),
        (3, "whose last block is at 0x5000"),
        (1, "sums: 1"),
        (1, "stack 2"),
        (1, "allocations"),
        (1, "reallocations"),
        (1, "bytes 64"),
        (1, "temporary"),
        (1, "lifetime classes that occur: class 0"),
        (1, "blocks in it"),
        (1, "events: 1"),
        (2, "column kinds, 1 byte: Alloc"),
        (2, "column times: + 3 units (from 2)"),
        (2, "column threads: 1"),
        (4, "column addresses: + 0x5000, zigzag"),
        (2, "column sizes: 32"),
        (2, "column stacks: 2"),
        (1, "column serials: empty; the block's own is 0"),
    ]);
    let stop = dump.at.next_multiple_of(8);
    dump.line(stop - dump.at, "padding");
    assert_eq!(&bytes[dump.at..dump.at + 8], [0; 8], "the blocks end here");
    dump.extent(8192, "2 = RING", "unused");
    dump.title(8192 + 64, "Ring header");
    dump.lines(&[
        (64, "head 176"),
        (64, "tail 128"),
        (8, "capacity 4096"),
        (4, "ring 0"),
    ]);
    dump.title(8192 + 4096 + 128, "Records, from tail to head");
    dump.lines(&[
        (8, "8 = TIME 6000"),
        (8, "9 = FREE' 0x5000"),
        (8, "2 = ALLOC 0x6000"),
        (8, "time 6100"),
        (8, "size 48"),
        (8, "stack 2"),
    ]);
    dump.text
}

#[test]
fn the_worked_dump_in_the_design_page_is_true() {
    let page = include_str!("../../docs/design/log.md");
    let dump = dump();
    assert!(
        page.contains(dump.trim_start()),
        "put this into docs/design/log.md:\n{dump}"
    );
}
