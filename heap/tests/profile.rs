//! What a profile says besides the figures of blocks: frames, modules, threads,
//! endings, losses; and how profiles are found and merged.

#[path = "../../log/tests/support/mod.rs"]
mod support;

use heap::{
    Bytes, Ending, FrameKind, Nanos, Options, Profile, StackId, ThreadId, Truncation, aggregate,
    find_logs, replay,
};
use log_format::blob::BlobKind;
use log_format::block::{BlockKind, Codec};
use log_format::layout::{Header, Node, State, StopReason, flag, node_kind, truncation};
use log_format::record::Record;
use std::mem::offset_of;
use support::{LogFile, blob, node, record};

fn profile(file: &LogFile) -> Profile {
    replay(&file.save().path(), &Options::default()).unwrap()
}

fn alloc(ptr: u64, size: u64, stack: u32, time: u64) -> Vec<u8> {
    record(&Record::Alloc { ptr, size, stack }, time, b"")
}

fn free(ptr: u64, time: u64) -> Vec<u8> {
    record(&Record::Free { ptr }, time, b"")
}

fn start(serial: u32, name: &str) -> Vec<u8> {
    support::ring_blob(
        BlobKind::ThreadStart,
        1,
        &support::thread(serial, serial + 500, name),
    )
}

/// A log with these nodes and one ring.
fn file(nodes: &[Node], records: &[Vec<u8>]) -> LogFile {
    let mut file = LogFile::new();
    let block = file.block(BlockKind::Nodes, Codec::Raw, &support::nodes(1, nodes));
    file.data(&[block]);
    file.ring(
        0,
        1 << 14,
        0,
        &[start(1, "main"), records.concat()].concat(),
    );
    file
}

#[test]
fn what_lives_at_the_teardown_stands_beside_the_peak_and_the_end() {
    let teardown = support::ring_blob(BlobKind::Teardown, 30, b"");
    let records = [
        alloc(0x1000, 100, 1, 10),
        alloc(0x2000, 50, 2, 11),
        alloc(0x3000, 7, 2, 12),
        free(0x3000, 20),
        teardown,
        free(0x1000, 40),
        alloc(0x4000, 30, 2, 41),
    ];
    let profile = profile(&file(&[node(0, 0x400100), node(0, 0x400200)], &records));
    let teardown = profile.totals.teardown.unwrap();
    assert_eq!((teardown.live_bytes, teardown.live_blocks), (Bytes(150), 2));
    let of = |stack| {
        let site = profile.sites().iter().find(|site| site.stack == stack);
        let figures = site.unwrap().figures;
        let bytes = (figures.peak_bytes, figures.teardown_bytes, figures.bytes);
        (bytes, figures.teardown_blocks)
    };
    assert_eq!(of(StackId(1)), ((Bytes(100), Bytes(100), Bytes(0)), 1));
    assert_eq!(of(StackId(2)), ((Bytes(57), Bytes(50), Bytes(80)), 1));
}

#[test]
fn without_a_teardown_it_is_the_end() {
    let records = [
        alloc(0x1000, 100, 1, 10),
        alloc(0x2000, 50, 1, 11),
        free(0x1000, 20),
    ];
    let profile = profile(&file(&[node(0, 0x400100)], &records));
    assert_eq!(profile.totals.teardown, None);
    let figures = profile.sites()[0].figures;
    assert_eq!(
        (figures.teardown_blocks, figures.teardown_bytes),
        (1, Bytes(50))
    );
}

#[test]
fn frames_come_innermost_first_with_their_modules() {
    let truncated = Node {
        parent: 1,
        kind: node_kind::TRUNCATED,
        payload: truncation::OUT_OF_STACK,
    };
    let strange = Node {
        parent: 2,
        kind: 77,
        payload: 5,
    };
    let mut file = file(
        &[node(0, 0x400100), truncated, strange, node(3, 0x7000)],
        &[],
    );
    let modules = [
        blob(
            BlobKind::ModuleLoad,
            1,
            0,
            &support::module(0x400000, 0x400000, 0x500000, 1, "/bin/app"),
        ),
        blob(
            BlobKind::ModuleLoad,
            9,
            0,
            &support::module(0x6000, 0x6000, 0x7000, 1, "/lib/b.so"),
        ),
    ];
    let meta = file.block(BlockKind::Meta, Codec::Raw, &modules.concat());
    file.data(&[meta]);
    let profile = profile(&file);
    let frames: Vec<_> = profile
        .frames(StackId(4))
        .map(|f| (f.address, f.kind, f.module.map(|id| id.0)))
        .collect();
    assert_eq!(
        frames,
        [
            (0x7000, FrameKind::Native, Some(1)),
            (5, FrameKind::Unknown(77), None),
            (
                truncation::OUT_OF_STACK,
                FrameKind::Truncated(Truncation::OutOfStack),
                None
            ),
            (0x400100, FrameKind::Native, Some(0)),
        ]
    );
    assert_eq!(profile.frames(StackId(0)).count(), 0);
    assert_eq!(profile.frames(StackId(99)).count(), 0);
    let module = profile.module(heap::ModuleId(1));
    assert_eq!(
        (module.path.to_str(), module.build_id.len(), module.loaded),
        (Some("/lib/b.so"), 20, Nanos(9))
    );
}

#[test]
fn a_table_that_points_in_a_circle_ends_all_the_same() {
    let file = file(&[node(2, 1), node(1, 2)], &[]);
    // Written raw, because the encoding of blocks cannot even say it.
    let mut raw = LogFile::new();
    raw.raw_nodes(0, &[Node::default(), node(2, 1), node(1, 2)]);
    assert_eq!(profile(&raw).frames(StackId(2)).count(), 2);
    assert!(profile(&file).frames(StackId(2)).count() <= 2);
}

#[test]
fn the_end_of_the_process_is_told() {
    let mut file = file(&[], &[]);
    assert_eq!(profile(&file).process.ending, Ending::Killed);
    let mut end = |state: State| {
        file.header_u32(offset_of!(Header, state), state as u32);
        file.header_u32(offset_of!(Header, exit_status), 3);
        file.header_u32(offset_of!(Header, stop_reason), StopReason::Filtered as u32);
        file.header_u64(offset_of!(Header, end_ticks), 5_000_000);
        let process = profile(&file).process;
        (process.ending, process.duration)
    };
    assert_eq!(
        end(State::Exited),
        (Ending::Exited { status: 3 }, Nanos(5_000_000))
    );
    assert_eq!(end(State::Exec).0, Ending::Exec);
    let reason = StopReason::Filtered;
    assert_eq!(end(State::Stopped).0, Ending::Stopped { reason });
}

#[test]
fn threads_keep_their_last_name() {
    let name = support::ring_blob(BlobKind::ThreadName, 5, b"worker");
    let file = file(&[], &[name]);
    let profile = profile(&file);
    let thread = profile.thread(ThreadId(1)).unwrap();
    assert_eq!((thread.tid, thread.name.as_str()), (501, "worker"));
    assert!(profile.thread(ThreadId(2)).is_none());
}

#[test]
fn a_fork_child_may_free_what_its_parent_made() {
    let mut file = file(
        &[node(0, 1)],
        &[alloc(16, 8, 1, 10), free(16, 20), free(32, 30)],
    );
    assert_eq!(
        (
            profile(&file).loss.unmatched_frees,
            profile(&file).loss.inherited_frees
        ),
        (1, 0)
    );
    file.header_u64(offset_of!(Header, flags), flag::FORK_CHILD);
    let profile = profile(&file);
    assert_eq!(
        (profile.loss.unmatched_frees, profile.loss.inherited_frees),
        (0, 1)
    );
    assert_eq!(profile.totals.frees, 1);
    assert!(profile.process.fork_child);
}

#[test]
fn mappings_are_apart_from_blocks() {
    let map = Record::Map {
        address: 0x10000,
        len: 0x3000,
        stack: 1,
        prot: 3,
        flags: 0x22,
    };
    let unmap = Record::Unmap {
        address: 0x11000,
        len: 0x1000,
    };
    let records = [record(&map, 10, b""), record(&unmap, 20, b"")];
    let profile = profile(&file(&[node(0, 1)], &records));
    assert_eq!(
        (profile.totals.mappings, profile.totals.mapped_bytes),
        (2, Bytes(0x2000))
    );
    assert_eq!(profile.totals.live_blocks, 0);
    let starts: Vec<u64> = profile.mappings().map(|mapping| mapping.start).collect();
    assert_eq!(starts, [0x10000, 0x12000]);
}

#[test]
fn sites_of_several_processes_merge_by_any_key() {
    let nodes = [node(0, 0x10), node(0, 0x20), node(0, 0x30)];
    let one = file(
        &nodes,
        &[
            alloc(16, 100, 1, 10),
            alloc(32, 5, 2, 20),
            alloc(48, 1, 3, 30),
        ],
    );
    let two = file(
        &nodes,
        &[alloc(16, 7, 1, 10), alloc(32, 50, 2, 20), free(32, 30)],
    );
    let profiles = [profile(&one), profile(&two)];
    let groups = aggregate(&profiles, |_, profile, site| {
        let address = profile.frames(site.stack).next()?.address;
        (address != 0x30).then_some(address)
    });
    let keys: Vec<_> = groups
        .iter()
        .map(|group| (group.key, group.figures.bytes.0, group.threads))
        .collect();
    assert_eq!(keys, [(0x10, 107, 2), (0x20, 5, 1)]);
    assert_eq!(groups[0].sites, [(0, StackId(1)), (1, StackId(1))]);
    assert_eq!(groups[1].figures.allocations, 2);
    assert_eq!(groups[1].figures.temporary, 1);
    assert_eq!(groups[1].figures.peak_bytes, Bytes(55));
}

#[test]
fn sites_that_nobody_wants_are_forgotten_with_their_stacks() {
    // 1 <- 2 <- 3, and 4 <- 5 to 10, which nothing is left of.
    let nodes =
        [0, 1, 2, 0, 4, 5, 6, 7, 8, 9].map(|parent| node(parent, 0x10 * u64::from(parent) + 1));
    let records = [alloc(16, 100, 3, 10), alloc(32, 5, 10, 20), free(32, 30)];
    let saved = file(&nodes, &records).save();
    let whole = replay(&saved.path(), &Options::default()).unwrap();
    let wanted = |site: &heap::Site| site.figures.blocks > 0;
    let options = Options {
        keep: Some(&wanted),
        ..Options::default()
    };
    let less = replay(&saved.path(), &options).unwrap();
    assert_eq!((whole.sites().len(), less.sites().len()), (2, 1));
    assert_eq!(less.sites()[0], whole.sites()[0]);
    assert_eq!(less.site(StackId(3)), whole.site(StackId(3)));
    assert_eq!(less.site(StackId(10)), None);
    assert_eq!(less.totals, whole.totals);
    let frames = |profile: &Profile, stack| profile.frames(StackId(stack)).collect::<Vec<_>>();
    assert_eq!(frames(&less, 3), frames(&whole, 3));
    assert_eq!((frames(&whole, 10).len(), frames(&less, 10).len()), (7, 0));
}

#[test]
fn the_header_alone_tells_whose_a_log_is() {
    let saved = file(&[], &[]).save();
    let origin = heap::origin(&saved.path()).unwrap();
    let process = replay(&saved.path(), &Options::default()).unwrap().process;
    assert_eq!(
        (origin.pid, origin.ppid, origin.log_id, origin.parent_log_id),
        (
            process.pid,
            process.ppid,
            process.log_id,
            process.parent_log_id
        )
    );
    assert!(heap::is_log(&saved.path()));
    let other = saved.path().with_extension("txt");
    std::fs::write(&other, "leaklog, but not quite").unwrap();
    assert!(heap::origin(&other).is_err() && !heap::is_log(&other));
}

#[test]
fn a_folder_means_the_logs_in_it() {
    let saved = file(&[], &[]).save();
    let folder = saved.path().parent().unwrap().to_path_buf();
    assert_eq!(find_logs(&saved.path()).unwrap(), [saved.path()]);
    std::fs::write(folder.join("notes.txt"), "leaklog, but not quite").unwrap();
    std::fs::copy(saved.path(), folder.join("a.leak")).unwrap();
    assert_eq!(
        find_logs(&folder).unwrap(),
        [folder.join("a.leak"), saved.path()]
    );
    let all = heap::replay_all(
        &[
            folder.join("a.leak"),
            folder.join("notes.txt"),
            saved.path(),
        ],
        &Options::default(),
    );
    assert_eq!(
        all.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true]
    );
    let empty = tempfile::tempdir().unwrap();
    assert!(
        find_logs(empty.path())
            .unwrap_err()
            .to_string()
            .ends_with("no leak log in this folder")
    );
}

#[test]
fn a_lost_window_is_told_and_the_rest_counts() {
    use log_format::window::{Event, EventKind, Head};
    let mut file = LogFile::new();
    let event = |kind, serial| Event {
        kind,
        thread: 1,
        stack: 1,
        time: 10,
        ptr: 16,
        size: 8,
        serial,
    };
    let window = |first_serial, live: u64, events: &[Event]| {
        let head = Head {
            first_serial,
            live_blocks: live,
            live_bytes: live * 8,
            ..Head::default()
        };
        support::window(&head, &[], &[], events, b"")
    };
    let lost = window(0, 1, &[event(EventKind::Alloc, 0)]);
    let kept = window(
        1,
        1,
        &[event(EventKind::Alloc, 1), event(EventKind::Free, 0)],
    );
    file.block(BlockKind::Window, Codec::Raw, &lost);
    let kept = file.block(BlockKind::Window, Codec::Raw, &kept);
    file.data(&[kept]);
    let profile = profile(&file);
    let damage: Vec<_> = profile
        .loss
        .damage
        .iter()
        .map(|line| line.what.as_str())
        .collect();
    assert_eq!(
        damage,
        [
            "block 1 is missing",
            "events that name a block whose allocation is lost: 1",
            "windows after which other blocks live than the recorder had counted: 1"
        ]
    );
    assert_eq!(profile.totals.live_blocks, 1);
}
