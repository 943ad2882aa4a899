//! The start of recording: settings, the log's name, header and first blocks.
//!
//! Happens at the first event of a process, which may come before this library's
//! own constructor, and again in every fork child that allocates.

mod name;

use crate::arch::{clock, tls};
use crate::collect::{self, file::MAX_PATH};
use crate::digits::leading;
use crate::global::{Global, Phase};
use crate::hooks::process::FORK_TICKS;
use crate::modules::c_bytes;
use crate::stack_table::StackTable;
use crate::unwind::cache;
use crate::{hooks, memory, originals, sys, thread};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use log_format::blob::{Blob, BlobKind, Process};
use log_format::block::BlockKind;
use log_format::layout::*;
use log_format::varint::Out;
use name::{create, executable};

unsafe extern "C" {
    static environ: *const *const libc::c_char;
    /// Where the kernel put argc; exported by the loader.
    static __libc_stack_end: *const u64;
}

/// What a fork child needs of its parent: path and identity of its log. Only the
/// forking thread writes it, the child reads its copy.
struct Parent {
    path: UnsafeCell<[u8; MAX_PATH]>,
    len: AtomicU64,
    id: [AtomicU64; 2],
}

// SAFETY: see the type; a race of two forking threads can at worst mix two equal paths.
unsafe impl Sync for Parent {}

static PARENT: Parent = Parent {
    path: UnsafeCell::new([0; MAX_PATH]),
    len: AtomicU64::new(0),
    id: [AtomicU64::new(0), AtomicU64::new(0)],
};
/// Header page of the parent's log, which a fork child shares.
static PARENTS_HEADER: AtomicPtr<Header> = AtomicPtr::new(core::ptr::null_mut());
/// Whether this image of the process has had a log: then a new one is a child's.
static BEGUN: AtomicBool = AtomicBool::new(false);
static VERBOSE: AtomicBool = AtomicBool::new(false);
static STACK_LIMIT: AtomicU64 = AtomicU64::new(8 << 20);

/// Where the part of the first DATA extent ends that has room from the start: what
/// a short program's blocks take.
const FIRST_DATA_HEAD: u64 = 4 * PAGE;

/// With less address space than this (`RLIMIT_AS`) nothing is recorded: a quarter
/// of it would not hold the recorder's reservations, bytes.
const MIN_ADDRESS_SPACE: u64 = 320 << 20;

/// Outer end of the main thread's stack, 0 if unknown.
pub fn main_stack_top() -> u64 {
    // SAFETY: set by the loader before anything of ours runs.
    unsafe { __libc_stack_end as u64 }
}

/// Most that the main thread's stack can take, bytes.
pub fn stack_limit() -> u64 {
    STACK_LIMIT.load(Relaxed)
}

/// Value of an environment variable; empty if unset. (`getenv` may be the
/// program's own.)
pub fn variable(name: &[u8]) -> &'static [u8] {
    // SAFETY: `environ` is null or a null-terminated array of C strings.
    unsafe {
        let mut entry = environ;
        if entry.is_null() {
            return &[];
        }
        while !(*entry).is_null() {
            let text = c_bytes(*entry);
            if let Some(value) = text
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(b"="))
            {
                return value;
            }
            entry = entry.add(1);
        }
        &[]
    }
}

/// Notes this log as the one that fork children name as their parent's. (Not at
/// `fork`: libc itself forks without calling it.)
fn remember_as_parent(global: &Global) {
    let path = global.file.path();
    // SAFETY: see `Parent`.
    if let Some(to) = unsafe { (*PARENT.path.get()).get_mut(..path.len()) } {
        to.copy_from_slice(path);
    }
    PARENT.len.store(path.len() as u64, Relaxed);
    if let Some(header) = global.file.header() {
        PARENTS_HEADER.store(core::ptr::from_ref(header).cast_mut(), Relaxed);
        for (to, from) in PARENT.id.iter().zip(&header.log_id) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
}

/// Begins recording, unless another thread is at it. The phase says what came of it.
#[cold]
pub fn begin(global: &'static Global) {
    if !originals::resolved() {
        return;
    }
    // A handler that left by longjmp would leave the start for ever half done.
    let signals = sys::block_signals();
    if global.claim_start(Phase::None) {
        begin_claimed(global);
    }
    sys::restore_signals(&signals);
}

fn begin_claimed(global: &'static Global) {
    // SAFETY: this thread's errno.
    let errno = unsafe { *libc::__errno_location() };
    let mark = tls::get();
    tls::set(thread::BUSY);
    let phase = if try_begin(global) {
        Phase::Recording
    } else {
        Phase::Dormant
    };
    global.set_phase(phase);
    sys::futex_wake(global.phase_word());
    tls::set(mark);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Waits while another thread begins the log. Not for ever: it may need the
/// loader's lock, which this thread may hold.
pub fn wait(global: &'static Global) {
    for _ in 0..20 {
        if global.phase() != Phase::Starting {
            return;
        }
        sys::futex_wait(global.phase_word(), Phase::Starting as u32, 10_000_000);
    }
}

fn try_begin(global: &'static Global) -> bool {
    let disabled = variable(b"LEAK_DISABLE");
    if !disabled.is_empty() && disabled != b"0" {
        return false;
    }
    let again = BEGUN.swap(true, Relaxed);
    VERBOSE.store(variable(b"LEAK_VERBOSE") == b"1", Relaxed);
    let tsc = clock::init();
    STACK_LIMIT.store(sys::rlimit(libc::RLIMIT_STACK).min(1 << 30), Relaxed);
    let address_space = sys::rlimit(libc::RLIMIT_AS);
    if !cache::init(global) {
        return false;
    }
    global
        .selfcheck_every
        .store(leading(variable(b"LEAK_SELFCHECK")), Relaxed);
    // SAFETY: no thread drains before the phase is set.
    let drain = unsafe { &mut *global.drain.get() };
    let Some(mut room) = Room::map() else {
        return false;
    };
    let len = FIRST_DATA_END + StackTable::FIRST_EXTENT + thread::FIRST_EXTENT;
    match create(global, &mut room, again, len) {
        Some((extent, fd)) => {
            drain.set_data(extent, FIRST_DATA_HEAD - HEADER_SIZE);
            let begun = begin_log(global, drain, &mut room, fd, tsc, again, address_space);
            global.file.keep(fd);
            begun
        }
        None => {
            verbose_line(b"leak: no log can be written here; not recording\n", &[]);
            // SAFETY: the page of a parent's log, which is never unmapped, whatever
            // has become of the parent and of the file's name.
            if let Some(header) = unsafe { PARENTS_HEADER.load(Relaxed).as_ref() }.filter(|_| again)
            {
                header.children_without_log.fetch_add(1, Relaxed);
            }
            false
        }
    }
}

/// What the start works with. Not on the stack: the program's may be small.
struct Room {
    /// Path of the executable.
    exe: &'static [u8],
    /// Working directory.
    cwd: &'static [u8],
    path: &'static mut [u8],
    blobs: &'static mut [u8],
    scratch: &'static mut [u8],
}

impl Room {
    const BLOBS: usize = 128 << 10;
    const LEN: usize = 3 * MAX_PATH + 2 * Room::BLOBS;

    /// The same memory for every log of the process: giving it back costs a short
    /// program more than the few pages that were touched.
    fn map() -> Option<Room> {
        static BASE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
        let mut base = BASE.load(Relaxed);
        if base.is_null() {
            base = sys::map_private(Room::LEN)?;
            BASE.store(base, Relaxed);
        }
        // SAFETY: only the one thread that begins a log comes here; the parts do not
        // overlap.
        let part =
            |at: usize, len: usize| unsafe { core::slice::from_raw_parts_mut(base.add(at), len) };
        let exe = executable(part(0, MAX_PATH));
        let cwd = part(MAX_PATH, MAX_PATH);
        let cwd_len = sys::getcwd(cwd).unwrap_or(0).saturating_sub(1);
        Some(Room {
            exe,
            cwd: cwd.get(..cwd_len).unwrap_or(&[]),
            path: part(2 * MAX_PATH, MAX_PATH),
            blobs: part(3 * MAX_PATH, Room::BLOBS),
            scratch: part(3 * MAX_PATH + Room::BLOBS, Room::BLOBS),
        })
    }
}

/// Fills the new file with what a log begins with.
fn begin_log(
    global: &'static Global,
    drain: &mut collect::drain::Drain,
    room: &mut Room,
    fd: sys::Fd,
    tsc: bool,
    again: bool,
    address_space: u64,
) -> bool {
    let Some(header) = global.file.header() else {
        return false;
    };
    fill(header, tsc, again);
    // A log that says why there is nothing in it.
    let mut end = |reason: StopReason| {
        first_blocks(global, drain, room, again);
        header.magic.store(u64::from_le_bytes(MAGIC), Release);
        global.stop(reason);
        false
    };
    if address_space < MIN_ADDRESS_SPACE {
        // What we would reserve is the program's.
        return end(StopReason::AddressSpace);
    }
    if let Err(reason) = global
        .stacks
        .init(&global.file, fd, address_space != u64::MAX)
    {
        return end(reason);
    }
    // SAFETY: no fixed place; then a fresh extent.
    let first = unsafe {
        let head = thread::FIRST_HEAD;
        match global.file.extend_first(
            fd,
            ExtentKind::Ring,
            thread::FIRST_EXTENT,
            head,
            core::ptr::null_mut(),
        ) {
            Ok(extent) => thread::make_first(global, extent),
            Err(_) => false,
        }
    };
    if !first {
        return end(StopReason::NoSpace);
    }
    first_blocks(global, drain, room, again);
    remember_as_parent(global);
    if !again {
        hooks::thread::init();
        collect::finish::watch_exit();
    }
    // Enough time has passed to know how long a tick is, roughly; each drain says it better.
    global.file.calibrate(0);
    // The magic last: before it the file is no log.
    header.magic.store(u64::from_le_bytes(MAGIC), Release);
    verbose_line(b"leak: recording to ", global.file.path());
    true
}

/// With `LEAK_VERBOSE=1`: one line to stderr.
pub fn verbose_line(text: &[u8], path: &[u8]) {
    if VERBOSE.load(Relaxed) {
        let mut line = [0u8; 512];
        let mut out = Out::new(&mut line);
        out.bytes(text);
        if let Some((_, path)) = path.split_last() {
            out.bytes(path.get(..path.len().min(400)).unwrap_or(&[]));
            out.byte(b'\n');
        }
        sys::stderr(out.written());
    }
}

fn fill(header: &Header, tsc: bool, child: bool) {
    header.version.store(VERSION, Relaxed);
    header.header_size.store(HEADER_SIZE as u32, Relaxed);
    for (slot, value) in header.log_id.iter().zip(sys::random()) {
        slot.store(value, Relaxed);
    }
    header.pid.store(sys::getpid(), Relaxed);
    header.ppid.store(sys::getppid(), Relaxed);
    header
        .clock
        .store(if tsc { CLOCK_TSC } else { CLOCK_MONOTONIC }, Relaxed);
    header
        .start_wall_ns
        .store(clock::clock_ns(libc::CLOCK_REALTIME), Relaxed);
    header
        .start_ns
        .store(clock::clock_ns(libc::CLOCK_MONOTONIC), Relaxed);
    header.start_ticks.store(clock::early(), Relaxed);
    if originals::other_malloc_first() {
        header.flags.fetch_or(flag::OTHER_MALLOC_FIRST, Relaxed);
    }
    if child {
        header.flags.fetch_or(flag::FORK_CHILD, Relaxed);
        header.fork_ticks.store(FORK_TICKS.load(Relaxed), Relaxed);
        for (to, from) in header.parent_log_id.iter().zip(&PARENT.id) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
}

/// Process and modules: one META block.
fn first_blocks(global: &Global, drain: &mut collect::drain::Drain, room: &mut Room, child: bool) {
    let mut out = Out::new(room.blobs);
    let time = clock::early();
    let exe = room.exe;
    let len = if child {
        PARENT.len.load(Relaxed) as usize
    } else {
        0
    };
    let process = Process {
        exe,
        cwd: room.cwd,
        // SAFETY: written before the fork.
        parent_log: unsafe { (*PARENT.path.get()).get(..len.saturating_sub(1)) }.unwrap_or(&[]),
        argv: arguments(),
    };
    let mut payload = Out::new(room.scratch);
    process.encode(&mut payload);
    Blob {
        what: BlobKind::Process as u8,
        time,
        thread: 0,
        payload: payload.written(),
    }
    .encode(&mut out);
    global.modules.scan(global, exe, &mut |payload| {
        Blob {
            what: BlobKind::ModuleLoad as u8,
            time,
            thread: 0,
            payload,
        }
        .encode(&mut out);
    });
    memory::at_start(global, time, &mut out);
    drain.append(global, BlockKind::Meta, out.written());
}

/// The arguments as they stand on the initial stack, NUL after each, at most 16 KiB.
fn arguments() -> &'static [u8] {
    // SAFETY: the loader points at argc, argv follows, its strings are contiguous
    // unless the program moved them; only what is contiguous is taken.
    unsafe {
        let stack = __libc_stack_end;
        if stack.is_null() {
            return &[];
        }
        let count = *stack as usize;
        let argv = stack.add(1).cast::<*const libc::c_char>();
        let Some(last) = count.checked_sub(1).filter(|_| count < 1 << 20) else {
            return &[];
        };
        let (first, last) = (*argv, *argv.add(last));
        if first.is_null() || last.is_null() || last < first {
            return &[];
        }
        let len = (last as usize - first as usize).saturating_add(c_bytes(last).len() + 1);
        core::slice::from_raw_parts(first.cast(), len.min(16 << 10))
    }
}
