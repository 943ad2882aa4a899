//! What is left in the rings of a program that was killed.

mod support;

use log_format::blob::BlobKind;
use log_format::reader::{Log, RingEvent};
use log_format::record::Record;
use log_format::window::Tail;
use support::{LogFile, record};

fn free(ptr: u64, time: u64) -> Vec<u8> {
    record(&Record::Free { ptr }, time, b"")
}

fn alloc(ptr: u64, time: u64) -> Vec<u8> {
    let alloc = Record::Alloc {
        ptr,
        size: 1,
        stack: 0,
    };
    record(&alloc, time, b"")
}

fn read(file: &LogFile, tails: &[Tail]) -> (Vec<RingEvent>, Vec<String>) {
    let saved = file.save();
    let all_of = |mut log: Log| {
        let mut events = log.tail(tails, 0);
        let mut all = Vec::new();
        while let Some(event) = events.next(|_| true) {
            all.push(event);
        }
        let damage = log
            .damage()
            .lines()
            .into_iter()
            .chain(events.damage().lines());
        assert!(!log.has_moved());
        (all, damage.map(|line| line.what).collect())
    };
    let ended = all_of(Log::open(&saved.path()).unwrap());
    let running = all_of(Log::open_running(&saved.path()).unwrap());
    assert_eq!(
        ended, running,
        "a file that rests reads the same either way"
    );
    ended
}

fn times(events: &[RingEvent]) -> Vec<u64> {
    events.iter().map(|event| event.time).collect()
}

#[test]
fn rings_are_merged_by_time() {
    let mut file = LogFile::new();
    file.ring(
        1,
        4096,
        0,
        &[alloc(16, 10), alloc(32, 30), free(16, 50)].concat(),
    );
    file.ring(2, 4096, 0, &[alloc(48, 20), free(48, 40)].concat());
    file.ring(3, 4096, 0, b"");
    let (events, damage) = read(&file, &[]);
    assert_eq!(times(&events), [10, 20, 30, 40, 50]);
    assert_eq!(damage, [] as [String; 0]);
}

#[test]
fn a_ring_that_wraps_is_read_across_its_end() {
    let records: Vec<Vec<u8>> = (0..100).map(|n| alloc(n * 16 + 16, n)).collect();
    for tail in [0u64, 16, 4080, 4096 * 5 + 4064] {
        let mut file = LogFile::new();
        file.ring(1, 4096, tail, &records.concat());
        assert_eq!(
            times(&read(&file, &[]).0),
            (0..100).collect::<Vec<_>>(),
            "from {tail}"
        );
    }
}

#[test]
fn what_a_window_took_is_not_taken_again() {
    let mut file = LogFile::new();
    file.ring(
        1,
        4096,
        0,
        &[free(16, 10), free(32, 20), free(48, 30)].concat(),
    );
    let tail = Tail {
        ring: 1,
        tail: 32,
        thread: 7,
        last_alloc: 0,
    };
    let (events, damage) = read(&file, &[tail]);
    assert_eq!(times(&events), [30]);
    assert_eq!(events[0].thread, 7);
    assert_eq!(damage, [] as [String; 0]);
}

#[test]
fn a_ring_changes_hands() {
    let mut file = LogFile::new();
    let name = support::thread(9, 4711, "worker");
    let start = support::ring_blob(BlobKind::ThreadStart, 20, &name);
    file.ring(1, 4096, 0, &[free(16, 10), start, free(32, 30)].concat());
    let (events, _) = read(&file, &[]);
    let threads: Vec<u32> = events.iter().map(|event| event.thread).collect();
    assert_eq!(threads, [0, 9, 9]);
    assert_eq!(events[1].payload, name);
}

#[test]
fn records_of_a_handler_that_overtook_the_interrupted_one_are_put_in_order() {
    let mut file = LogFile::new();
    file.ring(
        1,
        4096,
        0,
        &[free(16, 11), free(32, 12), free(48, 10), free(64, 13)].concat(),
    );
    assert_eq!(times(&read(&file, &[]).0), [10, 11, 12, 13]);
}

#[test]
fn at_one_instant_the_record_that_fits_comes_first() {
    let mut file = LogFile::new();
    file.ring(1, 4096, 0, &alloc(16, 10));
    file.ring(2, 4096, 0, &free(16, 10));
    file.ring(3, 4096, 0, &free(32, 10));
    let saved = file.save();
    let mut log = Log::open(&saved.path()).unwrap();
    let mut events = log.tail(&[], 0);
    let first = events.next(|event| event.ring == 2).unwrap();
    assert_eq!(first.ring, 2);
    assert_eq!(
        events.next(|_| false).unwrap().ring,
        1,
        "if none fits, the first"
    );
    assert_eq!(events.next(|_| true).unwrap().ring, 3);
    assert!(events.next(|_| true).is_none());
}

#[test]
fn an_impossible_head_is_told_and_what_makes_sense_is_read() {
    let mut file = LogFile::new();
    let offset = file.ring(1, 4096, 0, &[free(16, 10), free(32, 20)].concat()) as usize;
    file.bytes_mut()[offset + 64 + 5] = 1;
    let (events, damage) = read(&file, &[]);
    assert_eq!(times(&events), [10, 20]);
    assert_eq!(damage.len(), 1);
    assert!(damage[0].contains("its head is impossible"), "{damage:?}");
}

#[test]
fn what_is_no_record_ends_the_ring() {
    let mut file = LogFile::new();
    let offset = file.ring(
        1,
        4096,
        0,
        &[free(16, 10), free(32, 20), free(48, 30)].concat(),
    ) as usize;
    file.bytes_mut()[offset + 4096 + 16 + 7] = 99;
    let (events, damage) = read(&file, &[]);
    assert_eq!(times(&events), [10]);
    assert_eq!(
        damage,
        ["ring 1: no record at position 0x10; the last 32 bytes are skipped"]
    );
}

#[test]
fn a_window_that_is_missing_is_told_by_the_tail() {
    let mut file = LogFile::new();
    file.ring(1, 4096, 160, &free(16, 10));
    let (events, damage) = read(&file, &[]);
    assert_eq!(events.len(), 1);
    assert!(
        damage[0].contains("the window with them is not in the log"),
        "{damage:?}"
    );
}

#[test]
fn a_ring_not_yet_begun_is_no_damage() {
    let mut file = LogFile::new();
    file.extent(log_format::layout::ExtentKind::Ring, 4, 0, &[0; 8000]);
    assert_eq!(read(&file, &[]), (vec![], vec![]));
}

#[test]
fn short_records_have_the_time_last_told() {
    let short = |record| support::short_record(&record).unwrap();
    let free = |ptr| short(Record::Free { ptr });
    let time = |time| record(&Record::Time { time }, 0, b"");
    let alloc = short(Record::Alloc {
        ptr: 48,
        size: 7,
        stack: 5,
    });
    let records = [free(16), time(50), free(32), alloc, time(60), free(48)];
    // An odd number of words, so that a record of two crosses the end.
    for tail in [0u64, 4096 - 24, 4096 - 32] {
        let mut file = LogFile::new();
        file.ring(1, 4096, tail, &records.concat());
        file.ring(2, 4096, 0, &self::free(64, 55));
        let saved = file.save();
        let mut log = Log::open(&saved.path()).unwrap();
        let mut events = log.tail(&[], 40);
        let mut all = Vec::new();
        while let Some(event) = events.next(|_| true) {
            all.push((event.time, event.record));
        }
        let expected = [
            (40, Record::Free { ptr: 16 }),
            (50, Record::Free { ptr: 32 }),
            (
                50,
                Record::Alloc {
                    ptr: 48,
                    size: 7,
                    stack: 5,
                },
            ),
            (55, Record::Free { ptr: 64 }),
            (60, Record::Free { ptr: 48 }),
        ];
        assert_eq!(all, expected, "from {tail}");
    }
}

#[test]
fn a_log_that_is_written_while_it_is_read_is_noticed() {
    let mut file = LogFile::new();
    let offset = file.ring(1, 4096, 0, &[free(16, 10), free(32, 20)].concat());
    let saved = file.save();
    let change = |at: u64, bytes: &[u8]| {
        let handle = std::fs::OpenOptions::new()
            .write(true)
            .open(saved.path())
            .unwrap();
        std::os::unix::fs::FileExt::write_all_at(&handle, bytes, at).unwrap();
    };
    let log = Log::open(&saved.path()).unwrap();
    let running = Log::open_running(&saved.path()).unwrap();
    change(offset + 64, &48u64.to_le_bytes());
    assert!(log.has_moved());
    assert!(!running.has_moved(), "its rings were copied");
    change(60, &[1]);
    assert!(running.has_moved(), "but now the program has ended");
}
