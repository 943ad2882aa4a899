//! The reader on whole logs and on logs that are broken in one known way.

mod support;

use log_format::blob::BlobKind;
use log_format::block::{BlockKind, Codec};
use log_format::error::Error;
use log_format::layout::{ExtentKind, Header, Node, SeenEnd, State, flag};
use log_format::reader::{Facts, Item, Log};
use log_format::record::Record;
use log_format::seen::note_end;
use log_format::window::{Event, EventKind, Head, Sum, Tail};
use std::mem::offset_of;
use support::{LogFile, blob, node};

/// What a log yields, to compare.
#[derive(Debug, Default, PartialEq)]
struct Read {
    windows: Vec<(u64, Head, Vec<Sum>, Vec<Event>)>,
    tails: Vec<Tail>,
    facts: String,
    nodes: Vec<Node>,
    tail: Vec<(u32, u64, Record)>,
    damage: Vec<String>,
}

fn read(log: &mut Log) -> Read {
    let mut read = Read {
        nodes: log.nodes(),
        ..Read::default()
    };
    let mut facts = Facts::default();
    let mut stream = log.stream();
    while let Some(item) = stream.next() {
        match item {
            Item::Meta(blobs) => blobs.for_each(|blob| facts.add(&blob)),
            Item::Window(window) => {
                window.events.blobs().for_each(|blob| facts.add(&blob));
                let events = window.events.clone().collect();
                read.windows
                    .push((window.seq, window.head, window.sums.to_vec(), events));
                read.tails = window.tails.to_vec();
            }
            Item::Lost => {}
        }
    }
    let mut tail = log.tail(&read.tails, 0);
    while let Some(event) = tail.next(|_| true) {
        read.tail.push((event.thread, event.time, event.record));
    }
    read.facts = format!("{facts:?}");
    read.damage = log
        .damage()
        .lines()
        .iter()
        .map(|line| line.what.clone())
        .collect();
    read.damage
        .extend(tail.damage().lines().iter().map(|line| line.what.clone()));
    read
}

fn read_file(file: &LogFile) -> Read {
    read(&mut Log::open(&file.save().path()).unwrap())
}

/// A window that makes one block of `size` bytes.
fn window(number: u64, size: u64, codec: Codec, file: &mut LogFile) -> Vec<u8> {
    let head = Head {
        start: number * 100,
        end: number * 100 + 50,
        first_serial: number,
        ..Head::default()
    };
    let event = Event {
        kind: EventKind::Alloc,
        thread: 1,
        stack: 2,
        time: number * 100 + 1,
        ptr: 0x1000 * number,
        size,
        serial: number,
    };
    let tail = Tail {
        ring: 0,
        tail: 16 * number,
        thread: 1,
        last_alloc: number,
    };
    let sum = Sum {
        stack: 1,
        allocations: number,
        bytes: 8,
        ..Sum::default()
    };
    let content = support::window(&head, &[tail], &[sum], &[event], b"");
    file.block(BlockKind::Window, codec, &content)
}

fn meta(file: &mut LogFile) -> Vec<u8> {
    let blobs = [
        blob(
            BlobKind::Process,
            1,
            0,
            &support::process("/bin/app", &["app", "-x"]),
        ),
        blob(
            BlobKind::ModuleLoad,
            1,
            0,
            &support::module(0x400000, 0x400000, 0x500000, 1, "/bin/app"),
        ),
        blob(
            BlobKind::ThreadStart,
            2,
            1,
            &support::thread(1, 1234, "main"),
        ),
        blob(BlobKind::Note, 3, 1, b"a remark"),
    ];
    file.block(BlockKind::Meta, Codec::Raw, &blobs.concat())
}

const NODES: [Node; 2] = [
    Node {
        parent: 0,
        kind: 1,
        payload: 0x400100,
    },
    Node {
        parent: 1,
        kind: 1,
        payload: 0x400200,
    },
];

/// Meta, two windows, nodes, two more windows in a second extent, then a ring.
fn sample() -> LogFile {
    let mut file = LogFile::new();
    let mut blocks = vec![meta(&mut file)];
    blocks.push(window(1, 10, Codec::Raw, &mut file));
    blocks.push(window(2, 20, Codec::Zstd, &mut file));
    blocks.push(file.block(BlockKind::Nodes, Codec::Raw, &support::nodes(1, &NODES)));
    file.data(&blocks);
    let blocks = [
        window(3, 30, Codec::Zstd, &mut file),
        window(4, 40, Codec::Raw, &mut file),
    ];
    file.data(&blocks);
    let records = [
        support::record(&Record::Free { ptr: 0x1000 }, 900, b""),
        support::record(
            &Record::Alloc {
                ptr: 0x7000,
                size: 70,
                stack: 2,
            },
            910,
            b"",
        ),
    ];
    file.ring(0, 4096, 64, &records.concat());
    file
}

fn sizes(read: &Read) -> Vec<u64> {
    read.windows.iter().map(|window| window.3[0].size).collect()
}

#[test]
fn a_whole_log_comes_back() {
    let read = read_file(&sample());
    assert_eq!(read.damage, [] as [String; 0]);
    assert_eq!(sizes(&read), [10, 20, 30, 40]);
    assert_eq!(read.nodes, [Node::default(), NODES[0], NODES[1]]);
    assert_eq!(read.tail[0], (1, 900, Record::Free { ptr: 0x1000 }));
    assert_eq!(read.tail.len(), 2);
    for words in ["/bin/app", "tid: 1234", "a remark"] {
        let found =
            read.facts.contains(words) || read.facts.contains(&format!("{:?}", words.as_bytes()));
        assert!(found, "{words} in {}", read.facts);
    }
}

#[test]
fn the_header_is_told() {
    let mut file = sample();
    file.header_u32(offset_of!(Header, state), State::Exited as u32);
    file.header_u32(offset_of!(Header, exit_status), 3);
    file.header_u64(offset_of!(Header, events_lost), 5);
    file.header_u64(offset_of!(Header, flags), flag::FORK_CHILD);
    let saved = file.save();
    let log = Log::open(&saved.path()).unwrap();
    let info = log.info();
    assert_eq!(
        (info.pid, info.state, info.exit_status, info.events_lost),
        (1234, State::Exited, 3, 5)
    );
    assert!(info.has(flag::FORK_CHILD) && !info.has(flag::DEEPBIND));
}

#[test]
fn the_end_of_a_killed_process_can_be_added_to_its_own_log_only() {
    let mut file = sample();
    file.header_u32(offset_of!(Header, state), State::Running as u32);
    let saved = file.save();
    let seen = || Log::peek(&saved.path()).unwrap().seen_end;
    assert_eq!(seen(), None);
    note_end(&saved.path(), 1235, SeenEnd::Killed(9)).unwrap();
    assert_eq!(seen(), None, "the log is of process 1234");
    for end in [
        SeenEnd::Killed(15),
        SeenEnd::Exited(0),
        SeenEnd::Exited(255),
    ] {
        note_end(&saved.path(), 1234, end).unwrap();
        assert_eq!(seen(), Some(end));
    }
    let mut ended = sample();
    ended.header_u32(offset_of!(Header, state), State::Exited as u32);
    let saved = ended.save();
    note_end(&saved.path(), 1234, SeenEnd::Killed(9)).unwrap();
    assert_eq!(
        Log::peek(&saved.path()).unwrap().seen_end,
        None,
        "it said so itself"
    );
}

#[test]
fn a_log_cut_at_any_byte_yields_a_prefix() {
    let whole = read_file(&sample());
    let file = sample();
    let saved = file.save();
    let handle = std::fs::OpenOptions::new()
        .write(true)
        .open(saved.path())
        .unwrap();
    let ring_pages = 2 * 4096;
    for len in (0..file.bytes().len() as u64).rev() {
        handle.set_len(len).unwrap();
        match Log::open(&saved.path()) {
            Err(error) => assert!(len < 4096, "{error}"),
            Ok(mut log) => {
                let part = read(&mut log);
                assert_eq!(
                    part.windows,
                    whole.windows[..part.windows.len()],
                    "cut at {len}"
                );
                if part.windows.len() < 4 {
                    assert!(len < file.bytes().len() as u64 - ring_pages);
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_loses_no_more_than_what_it_hits() {
    let whole = read_file(&sample());
    let file = sample();
    let content = |at: usize| file.bytes()[at] != 0 || at % 4096 < 256;
    for at in (4096..file.bytes().len()).filter(|&at| content(at)) {
        let mut broken = file.clone();
        broken.bytes_mut()[at] ^= 1 << (at % 8);
        let part = read_file(&broken);
        let lost = whole
            .windows
            .iter()
            .filter(|window| !part.windows.contains(window))
            .count();
        assert_eq!(part.windows.len() + lost, 4, "flipped at {at:#x}");
        assert!(
            lost <= 1 || at < 2 * 4096 + 64,
            "{lost} windows lost by a bit at {at:#x}"
        );
        assert!(
            lost == 0 || !part.damage.is_empty(),
            "nothing said of a bit at {at:#x}"
        );
    }
}

#[test]
fn blocks_after_a_damaged_one_are_found() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=4)
        .map(|n| window(n, n * 10, Codec::Raw, &mut file))
        .collect();
    let offset = file.data(&blocks) as usize;
    file.bytes_mut()[offset + 64 + blocks[0].len() + 40] ^= 1;
    let read = read_file(&file);
    assert_eq!(sizes(&read), [10, 30, 40]);
    let at = offset + 64 + blocks[0].len();
    let next = at + blocks[1].len();
    assert_eq!(
        read.damage,
        [
            format!("block 2 at {at:#x}: checksum differs; skipped to the next block at {next:#x}"),
            "block 2 is missing".into()
        ]
    );
}

#[test]
fn an_extent_behind_a_damaged_header_is_found() {
    let mut file = LogFile::new();
    let first = [window(1, 10, Codec::Raw, &mut file)];
    let second = [window(2, 20, Codec::Raw, &mut file)];
    let third = [window(3, 30, Codec::Raw, &mut file)];
    file.data(&first);
    let hit = file.data(&second) as usize;
    file.data(&third);
    file.bytes_mut()[hit + 17] ^= 0x01; // its length is no longer whole pages
    let read = read_file(&file);
    assert_eq!(sizes(&read), [10, 30]);
    assert!(
        read.damage[0].contains("header is damaged"),
        "{:?}",
        read.damage
    );
}

#[test]
fn an_extent_jumped_over_by_a_wrong_length_is_found() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=3)
        .map(|n| [window(n, n * 10, Codec::Raw, &mut file)])
        .collect();
    let first = file.data(&blocks[0]) as usize;
    file.data(&blocks[1]);
    file.data(&blocks[2]);
    file.bytes_mut()[first + 17] = 0x20; // 0x2000: two pages for one
    let read = read_file(&file);
    assert_eq!(sizes(&read), [10, 20, 30]);
}

#[test]
fn extents_may_stand_in_any_order_with_zero_pages_between() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=3)
        .map(|n| [window(n, n * 10, Codec::Zstd, &mut file)])
        .collect();
    file.data(&blocks[2]);
    file.zeros(3);
    file.data(&blocks[0]);
    file.extent(ExtentKind::Free, 0, 0, &[0xff; 9000]);
    file.zeros(100);
    file.data(&blocks[1]);
    let read = read_file(&file);
    assert_eq!(sizes(&read), [10, 20, 30]);
    assert_eq!(read.damage, [] as [String; 0]);
}

#[test]
fn a_block_that_stands_twice_counts_once() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=2)
        .map(|n| window(n, n * 10, Codec::Raw, &mut file))
        .collect();
    file.data(&blocks);
    file.data(&blocks[1..]);
    let read = read_file(&file);
    assert_eq!(sizes(&read), [10, 20]);
    assert_eq!(read.damage, [] as [String; 0]);
}

#[test]
fn missing_blocks_are_named() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=6)
        .map(|n| window(n, n * 10, Codec::Raw, &mut file))
        .collect();
    file.data(&[blocks[0].clone(), blocks[2].clone(), blocks[5].clone()]);
    assert_eq!(
        read_file(&file).damage,
        ["block 2 is missing", "blocks 4 to 5 are missing"]
    );
}

#[test]
fn after_a_clean_end_blocks_missing_at_either_end_are_named_too() {
    let mut file = LogFile::new();
    let blocks: Vec<_> = (1..=2)
        .map(|n| window(n, n * 10, Codec::Raw, &mut file))
        .collect();
    file.data(&blocks);
    file.header_u64(offset_of!(Header, block_count), 5);
    assert_eq!(
        read_file(&file).damage,
        ["block 0 is missing", "blocks 3 to 4 are missing"]
    );
}

#[test]
fn raw_nodes_count_after_a_kill_and_not_after_a_clean_end() {
    let mut file = LogFile::new();
    file.raw_nodes(0, &[Node::default(), NODES[0], NODES[1]]);
    file.raw_nodes(1, &[node(1, 0x77)]);
    let read = read_file(&file);
    assert_eq!(read.nodes.len(), 4097);
    assert_eq!(read.nodes[2], NODES[1]);
    assert_eq!(read.nodes[4096], node(1, 0x77));
    file.header_u64(offset_of!(Header, flags), flag::NODES_IN_BLOCKS);
    assert_eq!(read_file(&file).nodes.len(), 0);
}

#[test]
fn an_impossible_chunk_does_not_fill_the_memory() {
    let mut file = LogFile::new();
    file.raw_nodes(0xf_ffff, &[node(0, 1)]);
    let read = read_file(&file);
    assert_eq!(read.nodes.len(), 0);
    assert_eq!(read.damage.len(), 1);
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let missing = Log::open("/nonexistent/app.log".as_ref())
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("/nonexistent/app.log: cannot be read: No such file"),
        "{missing}"
    );
    let of = |bytes: &[u8]| {
        let saved = support::save(bytes);
        let error = Log::open(&saved.path()).unwrap_err();
        let text = error.to_string();
        (error, text.split_once("app.log: ").unwrap().1.to_string())
    };
    assert!(matches!(of(b"").0, Error::NotALog { .. }));
    assert!(matches!(of(b"heaptrack\n").0, Error::NotALog { .. }));
    assert!(matches!(of(&[0; 100]).0, Error::NotALog { .. }));
    assert!(matches!(of(&[0; 4096]).0, Error::NotBegun { .. }));
    assert!(matches!(of(&[0x55; 5000]).0, Error::NotALog { .. }));
    let cut = of(&sample().bytes()[..100]).1;
    assert_eq!(
        cut,
        "the file ends after 100 bytes, within the header of 4096; nothing can be read"
    );
    let mut newer = sample();
    newer.header_u32(offset_of!(Header, version), 7);
    assert!(of(newer.bytes()).1.contains("version 7 is newer"));
    let folder = Log::open(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(folder.contains("is a directory"), "{folder}");
}

#[test]
fn a_big_log_is_read_through_the_decoder_thread() {
    let mut file = LogFile::new();
    let note = vec![b'x'; 8000];
    let note = blob(BlobKind::Note, 1, 1, &note);
    let mut blocks = Vec::new();
    for number in 1..=200 {
        blocks.push(window(number, number, Codec::Zstd, &mut file));
        blocks.push(file.block(BlockKind::Meta, Codec::Zstd, &note));
    }
    file.data(&blocks);
    let read = read_file(&file);
    assert_eq!(sizes(&read), (1..=200).collect::<Vec<_>>());
    assert_eq!(read.damage, [] as [String; 0]);
}
