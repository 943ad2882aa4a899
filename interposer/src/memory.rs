//! Samples of the process's memory, from `/proc/self`.
//!
//! Taken by whoever drains, after the drain, so that no thread and no timer is
//! needed; and at the start and the end. A drain needs a full ring, so a program
//! that allocates nothing is not sampled meanwhile.
//!
//! **Cost.** Each sample says when the next one may be taken: not before 4000
//! times what it took itself, and less often the longer the program runs, so
//! that their number stays bounded by the logarithm of the run. `statm` takes some
//! microseconds, `smaps` a further 10 ns for every resident page.
//!
//! **Descriptors.** The file is open only while it is read, and device and inode
//! are compared before it is closed: another thread may have closed all
//! descriptors and been given the same number.
//!
//! The allocator's own account stands beside the last listed sample ([`account`]).

use crate::account;
use crate::arch::clock;
use crate::collect::drain::Drain;
use crate::digits::number;
use crate::global::Global;
use crate::reach::own;
use crate::sys::{self, Fd};
use crate::thread;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use log_format::blob::{Blob, BlobKind};
use log_format::block::BlockKind;
use log_format::memory::{CLASSES, Class, Head, Mapping};
use log_format::varint::Out;

/// A sample costs at most one part in so many of the time to the next.
const COST: u64 = 4000;
/// A sample of `statm` at most every 256th part of the run, of `smaps` every 16th.
const SMALL_PART: u64 = 256;
/// See [`SMALL_PART`].
const LISTED_PART: u64 = 16;
/// No sample earlier after the start, ns.
const FIRST_SMALL: u64 = 20_000_000;
/// No listed sample earlier after the start, but at the end, ns.
const FIRST_LISTED: u64 = 200_000_000;
/// Heaps that never had so many bytes, of programs that ran shorter than
/// [`FIRST_SMALL`], are not worth a listed sample at the end.
const SMALL_HEAP: u64 = 256 << 10;

/// Text read at once, bytes. A line has at most a path and 100 bytes.
const TEXT: usize = 32 << 10;
/// Room for the listed mappings, bytes.
const LIST: usize = 48 << 10;
/// Longest encoded mapping, bytes.
const MAPPING: usize = 32;
/// Room for the whole block, bytes.
const BLOCK: usize = LIST + 512;

const PAGE: u64 = 4096;
/// The pages without access below the stack of a thread are no more than this, bytes.
const MAX_GUARD: u64 = 64 << 10;

/// When the next samples may be taken, `CLOCK_MONOTONIC` ns.
pub struct Budget {
    small: AtomicU64,
    listed: AtomicU64,
}

/// Resident and virtual size now; `None` without `/proc`.
pub fn head() -> Option<Head> {
    let mut text = [0u8; 128];
    let file = File::open(b"/proc/self/statm\0")?;
    let len = sys::read(file.fd, &mut text).unwrap_or(0);
    file.close();
    let mut words = text.get(..len)?.split(|&byte| byte == b' ');
    let mut pages = || number(words.next()?, 10);
    Some(Head {
        virtual_size: pages()? * PAGE,
        resident: pages()? * PAGE,
        at_end: false,
    })
}

/// Appends the sample that a log begins with.
pub fn at_start(global: &Global, time: u64, out: &mut Out<'_>) {
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    global.memory.small.store(now + FIRST_SMALL, Relaxed);
    global.memory.listed.store(now + FIRST_LISTED, Relaxed);
    let mut payload = [0u8; 64];
    let mut inner = Out::new(&mut payload);
    if let Some(head) = head() {
        head.encode(&mut inner);
        Blob {
            what: BlobKind::Memory as u8,
            time,
            thread: 0,
            payload: inner.written(),
        }
        .encode(out);
    }
}

/// Takes a sample after a drain, if it is time for one. The drain is held.
pub fn after_drain(global: &'static Global, drain: &mut Drain) {
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    let budget = &global.memory;
    if now < budget.small.load(Relaxed) || global.filtered.load(Relaxed) != 0 {
        return;
    }
    let listed = now >= budget.listed.load(Relaxed);
    if listed {
        append_listed(global, drain, false);
    } else {
        append_small(global, drain, false);
    }
    let cost = clock::clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(now);
    let ran = now.saturating_sub(
        global
            .file
            .header()
            .map_or(now, |header| header.start_ns.load(Relaxed)),
    );
    let next = |part: u64| now + (cost.saturating_mul(COST)).max(ran / part).max(FIRST_SMALL);
    budget.small.store(next(SMALL_PART), Relaxed);
    if listed {
        budget.listed.store(next(LISTED_PART), Relaxed);
    }
}

/// Takes the last sample. `listed`: the process ends and no other program takes
/// its place. The drain is held.
pub fn at_end(global: &'static Global, drain: &mut Drain, listed: bool) {
    let ran = global.file.header().map_or(0, |header| {
        clock::clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(header.start_ns.load(Relaxed))
    });
    if listed && (ran >= FIRST_SMALL || drain.peak_bytes() >= SMALL_HEAP) {
        append_listed(global, drain, true);
        append_account(global, drain);
    } else {
        append_small(global, drain, true);
    }
}

fn append_small(global: &'static Global, drain: &mut Drain, at_end: bool) {
    let (mut payload, mut block) = ([0u8; 64], [0u8; 128]);
    let mut inner = Out::new(&mut payload);
    if let Some(head) = head() {
        Head { at_end, ..head }.encode(&mut inner);
        append(global, drain, BlobKind::Memory, inner.written(), &mut block);
    }
}

/// Behind a system-call filter nothing is asked: it may not let a copy be made.
fn append_account(global: &'static Global, drain: &mut Drain) {
    if global.filtered.load(Relaxed) != 0 {
        return;
    }
    if let Some(account) = account::ask() {
        let (mut payload, mut block) = ([0u8; 64], [0u8; 128]);
        let mut inner = Out::new(&mut payload);
        account.encode(&mut inner);
        append(
            global,
            drain,
            BlobKind::Allocator,
            inner.written(),
            &mut block,
        );
    }
}

fn append(
    global: &'static Global,
    drain: &mut Drain,
    what: BlobKind,
    payload: &[u8],
    block: &mut [u8],
) {
    let mut out = Out::new(block);
    Blob {
        what: what as u8,
        time: clock::early(),
        thread: 0,
        payload,
    }
    .encode(&mut out);
    if out.finish().is_some() {
        drain.append(global, BlockKind::Meta, out.written());
    }
}

fn append_listed(global: &'static Global, drain: &mut Drain, at_end: bool) {
    const ROOM: usize = TEXT + LIST + 2 * BLOCK;
    let Some(buffer) = sys::map_private(ROOM) else {
        return;
    };
    // SAFETY: a fresh mapping.
    let room = unsafe { core::slice::from_raw_parts_mut(buffer, ROOM) };
    let (text, room) = room.split_at_mut(TEXT);
    let (list, room) = room.split_at_mut(LIST);
    let (payload, block) = room.split_at_mut(BLOCK);
    let mut survey = Survey {
        global,
        head: Head {
            at_end,
            ..Head::default()
        },
        swapped: 0,
        guard_end: 0,
        open: None,
        list: Out::new(list),
        room: LIST / MAPPING,
        count: 0,
        end: 0,
        rest: [(0, 0); CLASSES],
    };
    if read_lines(b"/proc/self/smaps\0", text, &mut |line| survey.line(line)) {
        survey.close_mapping();
        let mut out = Out::new(payload);
        survey.head.encode_listed(
            survey.swapped,
            survey.count,
            survey.list.written(),
            &survey.rest,
            &mut out,
        );
        if out.finish().is_some() {
            append(global, drain, BlobKind::Memory, out.written(), block);
        }
    }
    // SAFETY: nothing refers to it any more.
    unsafe { sys::unmap(buffer, ROOM) };
}

/// The mappings while they are read.
struct Survey<'a> {
    global: &'static Global,
    head: Head,
    swapped: u64,
    /// End of the last mapping if that was without access and small: below a stack
    /// stands one.
    guard_end: u64,
    open: Option<Mapping>,
    list: Out<'a>,
    /// Mappings that can still be listed.
    room: usize,
    count: u64,
    /// End of the last one listed.
    end: u64,
    rest: [(u64, u64); CLASSES],
}

impl Survey<'_> {
    /// A line of `smaps`: the head of a mapping, or a field of the last one.
    fn line(&mut self, line: &[u8]) {
        match line.first() {
            Some(b'A'..=b'Z') => {
                let kilobytes = || {
                    let digits = line.iter().position(u8::is_ascii_digit)?;
                    number(line.get(digits..)?.split(|&b| b == b' ').next()?, 10)
                };
                if line.starts_with(b"Rss:") {
                    let bytes = kilobytes().unwrap_or(0) * 1024;
                    if let Some(open) = &mut self.open {
                        open.resident = bytes;
                    }
                } else if line.starts_with(b"Swap:") {
                    self.swapped += kilobytes().unwrap_or(0) * 1024;
                }
            }
            Some(_) => {
                self.close_mapping();
                self.open = self.mapping(line);
            }
            None => {}
        }
    }

    /// `start-end perms offset device inode   path`
    fn mapping(&mut self, line: &[u8]) -> Option<Mapping> {
        let mut words = line.splitn(6, |&byte| byte == b' ');
        let mut range = words.next()?.split(|&byte| byte == b'-');
        let (start, end) = (number(range.next()?, 16)?, number(range.next()?, 16)?);
        let len = end.saturating_sub(start);
        let rights = words.next()?;
        let shared = rights.get(3) == Some(&b's');
        let is_guarded = start == self.guard_end;
        self.guard_end = if rights.starts_with(b"---") && len <= MAX_GUARD {
            end
        } else {
            0
        };
        let inode = number(words.nth(2)?, 10)?;
        let path = words.next().unwrap_or(b"").trim_ascii_start();
        let class = match path {
            _ if inode != 0 && self.global.file.is_inode(inode) => Class::Recorder,
            b"[heap]" => Class::Break,
            b"" if self.is_own(start, end) => Class::Recorder,
            b"" if shared => Class::Shared,
            b"" if is_guarded || self.is_stack(start, end) => Class::Stack,
            b"" => Class::Anonymous,
            _ if path.starts_with(b"[stack") => Class::Stack,
            _ if path.starts_with(b"[anon:") => Class::Anonymous,
            _ if path.starts_with(b"[") => Class::Other,
            _ if path.ends_with(b"/libleak.so") => Class::Recorder,
            _ if SHARED.iter().any(|name| path.starts_with(name)) => Class::Shared,
            _ => Class::File,
        };
        Some(Mapping {
            class,
            start,
            len,
            resident: 0,
        })
    }

    /// Whether most of it was mapped by the recorder.
    fn is_own(&self, start: u64, end: u64) -> bool {
        own::all()
            .map(|(from, to)| end.min(to).saturating_sub(start.max(from)))
            .sum::<u64>()
            > end.saturating_sub(start) / 2
    }

    fn is_stack(&self, start: u64, end: u64) -> bool {
        let tops = thread::all(self.global)
            .filter(|state| thread::is_owned(state))
            .map(|state| state.stack_top);
        tops.into_iter().any(|top| top > start && top <= end)
    }

    /// The mapping read last is complete.
    fn close_mapping(&mut self) {
        let Some(mapping) = self.open.take() else {
            return;
        };
        self.head.virtual_size += mapping.len;
        self.head.resident += mapping.resident;
        if mapping.resident == 0 {
            return;
        }
        if self.room > 0 {
            mapping.encode(self.end, &mut self.list);
            self.end = mapping.start.wrapping_add(mapping.len);
            self.room -= 1;
            self.count += 1;
        } else if let Some((number, resident)) = self.rest.get_mut(mapping.class as usize) {
            *number += 1;
            *resident += mapping.resident;
        }
    }
}

/// Paths of memory that no file on a disk holds.
const SHARED: [&[u8]; 5] = [
    b"/memfd:",
    b"/dev/shm/",
    b"/dev/zero",
    b"/SYSV",
    b"/anon_hugepage",
];

/// An open file of `/proc`.
struct File {
    fd: Fd,
    identity: Option<[u64; 2]>,
}

impl File {
    fn open(path: &[u8]) -> Option<File> {
        let fd = sys::open(path, libc::O_RDONLY, 0).ok()?;
        Some(File {
            fd,
            identity: sys::identity(fd),
        })
    }

    fn is_still_open(&self) -> bool {
        self.identity.is_some() && sys::identity(self.fd) == self.identity
    }

    fn close(self) {
        if self.is_still_open() {
            sys::close(self.fd);
        }
    }
}

/// Calls `each` for every line of a file; false if it could not be read to its end.
pub fn read_lines(path: &[u8], buffer: &mut [u8], each: &mut dyn FnMut(&[u8])) -> bool {
    let Some(file) = File::open(path) else {
        return false;
    };
    let mut len = 0;
    let done = loop {
        let Some(free) = buffer.get_mut(len..).filter(|free| !free.is_empty()) else {
            break false;
        };
        match sys::read(file.fd, free) {
            Ok(0) => break true,
            Ok(more) => len += more,
            Err(_) => break false,
        }
        let mut from = 0;
        while let Some(line) = buffer.get(from..len).and_then(|text| {
            let end = text.iter().position(|&byte| byte == b'\n')?;
            text.get(..end)
        }) {
            each(line);
            from += line.len() + 1;
        }
        buffer.copy_within(from..len, 0);
        len -= from;
        if !file.is_still_open() {
            break false;
        }
    };
    file.close();
    done
}
