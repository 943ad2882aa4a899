//! Heap snapshots, as DevTools and `leak heap` read them: on request, at the end, near the heap's
//! limit. Always on the isolate's own thread, where V8 lets JavaScript call it.
//!
//! V8 makes the whole snapshot in memory and then writes it in pieces into our stream, which is a
//! file that gets its name when all of it is there ([`super::new_file`]), so there is never half a
//! snapshot. Before, memory is looked at: a process that is killed for want of it helps
//! nobody.

use super::api::Isolate;
use super::isolate::State as IsolateState;
use super::new_file::NewFile;
use super::optional::Optional;
use super::stream::Stream;
use super::{command, handles, note, room};
use crate::arch::clock;
use crate::global::{self, Global};
use crate::start;
use crate::symbols::Name;
use crate::sys::Errno;
use crate::thread;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};
use log_format::blob::{self, BlobKind};
use log_format::control::{Control, Estimate, Failure, MAX_NAME, flag};
use log_format::varint::Out;

/// Functions for what a heap is and holds.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::GetHeapProfiler`.
    profiler: unsafe extern "C" fn(*mut Isolate) -> *mut c_void,
    /// `HeapSnapshot::Serialize`.
    serialize: unsafe extern "C" fn(*mut c_void, *mut Stream, i32),
    /// `HeapSnapshot::Delete`.
    delete: unsafe extern "C" fn(*mut c_void),
    /// `Isolate::GetHeapStatistics`.
    statistics: unsafe extern "C" fn(*mut Isolate, *mut [usize; 32]),
}

/// See [`Api`].
pub static API: Optional<Api, 4> = Optional::new(
    [
        Name::new("_ZN2v87Isolate15GetHeapProfilerEv"),
        Name::new("_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE"),
        Name::new("_ZN2v812HeapSnapshot6DeleteEv"),
        Name::new("_ZN2v87Isolate17GetHeapStatisticsEPNS_14HeapStatisticsE"),
    ],
    "V8 in this program lacks a function for heap snapshots: none can be taken",
);

/// `HeapProfiler::TakeHeapSnapshot(control, resolver, hide internals, capture numbers)`.
type Take = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void, bool, bool) -> *mut c_void;
/// The later form, with `HeapSnapshotOptions`.
type TakeWith = unsafe extern "C" fn(*mut c_void, *const [usize; 8]) -> *mut c_void;

/// The first form.
pub static TAKE: Optional<Take, 1> = Optional::new(
    [Name::new(
        "_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_18ObjectNameResolverEbb",
    )],
    "",
);
/// The same in V8 14.
pub static TAKE_LATER: Optional<Take, 1> = Optional::new(
    [Name::new(
        "_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_19ContextNameResolverEbb",
    )],
    "",
);
/// The later form.
pub static TAKE_WITH: Optional<TakeWith, 1> = Optional::new(
    [Name::new(
        "_ZN2v812HeapProfiler16TakeHeapSnapshotERKNS0_19HeapSnapshotOptionsE",
    )],
    "",
);

type AtLimit = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;

/// Functions for the heap's limit.
#[derive(Clone, Copy)]
pub struct Limit {
    /// `Isolate::AddNearHeapLimitCallback`.
    add: unsafe extern "C" fn(*mut Isolate, AtLimit, *mut c_void),
    /// `Isolate::RemoveNearHeapLimitCallback`.
    remove: unsafe extern "C" fn(*mut Isolate, AtLimit, usize),
}

/// See [`Limit`].
pub static LIMIT: Optional<Limit, 2> = Optional::new(
    [
        Name::new("_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_"),
        Name::new("_ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm"),
    ],
    "",
);

/// What V8 says of an isolate's heap, bytes.
pub struct HeapFigures {
    /// Taken from the system.
    pub total: u64,
    /// Used.
    pub used: u64,
    /// The most that it may become.
    pub limit: u64,
    /// Outside of the heap, held by objects in it.
    pub external: u64,
}

/// `Isolate::GetHeapStatistics`.
///
/// # Safety
/// On the isolate's own thread.
pub unsafe fn statistics(isolate: *mut Isolate) -> Option<HeapFigures> {
    // `v8::HeapStatistics`, with room to spare.
    let mut words = [0usize; 32];
    // SAFETY: the function's type, and the caller's promise.
    unsafe { (API.get()?.statistics)(isolate, &mut words) };
    let [total, _, _, _, used, limit, _, external, ..] = words.map(|word| word as u64);
    Some(HeapFigures {
        total,
        used,
        limit,
        external,
    })
}

/// Why there is no snapshot.
pub enum Trouble {
    /// This V8 lacks a function.
    NoFunction,
    /// V8 made none.
    Refused,
    /// Bytes needed, bytes there.
    NoMemory(u64, u64),
    /// The file.
    File(Errno),
}

impl Trouble {
    /// As an answer to a request.
    pub fn answer(self, control: &Control) -> Failure {
        match self {
            Trouble::NoMemory(needed, there) => {
                control.needed.store(needed, Relaxed);
                control.available.store(there, Relaxed);
                Failure::NoMemory
            }
            Trouble::File(Errno(errno)) => {
                control.errno.store(errno as u32, Relaxed);
                Failure::File
            }
            Trouble::NoFunction => Failure::NoFunction,
            Trouble::Refused => Failure::Refused,
        }
    }
}

/// A snapshot that was written.
pub struct Taken {
    /// How long the program stood, ns.
    pub pause_ns: u64,
    /// Bytes of the file.
    pub written: u64,
    /// Bytes of the heap in use before.
    pub used: u64,
}

/// Looks whether there is memory for a snapshot; bytes of the heap in use. A copy of the process
/// also gets pages of its own for what it writes to: all of the heap, which it marks.
///
/// # Safety
/// On the isolate's own thread.
pub unsafe fn look_at_memory(
    isolate: *mut Isolate,
    copied: bool,
    force: bool,
) -> Result<u64, Trouble> {
    // SAFETY: the caller's.
    let used = unsafe { statistics(isolate) }.map_or(0, |heap| heap.used);
    let needed = Estimate::of_heap(used, 0).memory_of(used, copied);
    let there = room::available();
    if !force && needed > there {
        return Err(Trouble::NoMemory(needed, there));
    }
    Ok(used)
}

/// Takes a snapshot into a new file.
///
/// # Safety
/// On the isolate's own thread, where V8 may collect.
unsafe fn take(isolate: *mut Isolate, path: &[u8], force: bool) -> Result<Taken, Trouble> {
    let api = API.get().ok_or(Trouble::NoFunction)?;
    // SAFETY: the caller's.
    let used = unsafe { look_at_memory(isolate, false, force) }?;
    let file = NewFile::begin(path)?;
    let begin = clock::clock_ns(libc::CLOCK_MONOTONIC);
    // SAFETY: the caller's.
    let result = unsafe { write_to(api, isolate, Stream::new(file.fd, b"")) };
    // What V8 needed is hundreds of bytes for each object, all freed again; a few names that it keeps lie between,
    // so glibc alone would keep the rest of it for good.
    // SAFETY: a function of libc's, called outside of it and of the hooks.
    unsafe { libc::malloc_trim(0) };
    let pause_ns = clock::clock_ns(libc::CLOCK_MONOTONIC) - begin;
    file.end(result.map(|written| Taken {
        pause_ns,
        written,
        used,
    }))
}

/// Takes and writes; the bytes written.
///
/// # Safety
/// As [`take`].
pub unsafe fn write_to(
    api: &Api,
    isolate: *mut Isolate,
    mut stream: Stream,
) -> Result<u64, Trouble> {
    // SAFETY: the caller's promise; null means no progress and no names; the options are larger
    // than V8's and zeros are its defaults.
    unsafe {
        let profiler = (api.profiler)(isolate);
        let none = core::ptr::null_mut();
        let snapshot = match (TAKE.get().or(TAKE_LATER.get()), TAKE_WITH.get()) {
            (Some(take), _) => take(profiler, none, none, true, false),
            (None, Some(take)) => take(profiler, &[0; 8]),
            (None, None) => return Err(Trouble::NoFunction),
        };
        if snapshot.is_null() {
            return Err(Trouble::Refused);
        }
        // `kJSON`.
        (api.serialize)(snapshot, &mut stream, 0);
        (api.delete)(snapshot);
        match stream.error {
            Some(error) => Err(Trouble::File(error)),
            None => Ok(stream.written),
        }
    }
}

/// Answers a request.
///
/// # Safety
/// As [`take`].
pub unsafe fn on_request(
    control: &Control,
    isolate: *mut Isolate,
    number: u32,
) -> Result<(), Failure> {
    let mut name = [0u8; MAX_NAME];
    let len = control.name(&mut name);
    let path = name.get(..len).unwrap_or(&[]);
    let force = control.flags.load(Relaxed) & flag::FORCE != 0;
    // SAFETY: the caller's.
    match unsafe { take(isolate, path, force) } {
        Ok(taken) => {
            control.pause_ns.store(taken.pause_ns, Relaxed);
            control.written.store(taken.written, Relaxed);
            say(blob::cause::REQUEST, number, path, &taken);
            Ok(())
        }
        Err(trouble) => Err(trouble.answer(control)),
    }
}

/// Writes a taken snapshot into the log.
pub fn say(cause: u8, isolate: u32, path: &[u8], taken: &Taken) {
    let mut buf = [0u8; MAX_NAME + 64];
    let mut out = Out::new(&mut buf);
    blob::HeapSnapshot {
        cause,
        isolate,
        pause_ns: taken.pause_ns,
        heap_used: taken.used,
        path,
    }
    .encode(&mut out);
    let thread = thread::ready();
    if !thread.is_null() {
        // SAFETY: this thread's own state.
        unsafe { thread::blob(thread, BlobKind::HeapSnapshot, out.written()) };
        thread::release_borrowed(thread);
    }
}

/// Whether `LEAK_SNAPSHOT`, a list with commas, has a word.
fn is_asked_for(word: &[u8]) -> bool {
    start::variable(b"LEAK_SNAPSHOT")
        .split(|&byte| byte == b',')
        .any(|part| part == word)
}

/// Says once if `LEAK_SNAPSHOT` has another word than those that mean something.
fn say_what_is_not_known() {
    static SAID: AtomicBool = AtomicBool::new(false);
    const WORDS: [&[u8]; 4] = [b"exit", b"limit", b"force", b""];
    let mut words = start::variable(b"LEAK_SNAPSHOT").split(|&byte| byte == b',');
    if words.any(|word| !WORDS.contains(&word)) && !SAID.swap(true, Relaxed) {
        note(b"LEAK_SNAPSHOT has a word other than exit, limit and force, which means nothing");
    }
}

/// Snapshots that were taken by themselves; they number the files.
static OWN: AtomicU32 = AtomicU32::new(0);

/// Takes a snapshot beside the log: `NAME.exit.heapsnapshot`, `NAME.limit.heapsnapshot`, and from
/// the second on with a number.
unsafe fn take_beside_log(isolate: *mut Isolate, cause: u8, word: &[u8]) {
    let Some(global) = global::recording() else {
        return;
    };
    let log = global.file.path();
    let log = log.strip_suffix(b"\0").unwrap_or(log);
    let stem = log.strip_suffix(b".leak").unwrap_or(log);
    let mut path = [0u8; MAX_NAME];
    let mut out = Out::new(&mut path);
    out.bytes(stem);
    out.byte(b'.');
    out.bytes(word);
    let number = OWN.fetch_add(1, Relaxed);
    if number > 0 {
        out.byte(b'.');
        crate::digits::decimal(&mut out, number);
    }
    out.bytes(b".heapsnapshot");
    let Some(path) = out.finish().and_then(|len| path.get(..len)) else {
        note(b"heap snapshot not taken: the log's path is too long");
        return;
    };
    // SAFETY: the caller's.
    match unsafe { take(isolate, path, is_asked_for(b"force")) } {
        Ok(taken) => say(cause, 0, path, &taken),
        Err(trouble) => note(match trouble {
                Trouble::NoMemory(..) => {
                    b"heap snapshot not taken: memory may not suffice; LEAK_SNAPSHOT=...,force takes it all the same"
                }
                Trouble::File(_) => b"heap snapshot not taken: its file cannot be written beside the log",
                Trouble::NoFunction => b"heap snapshot not taken: this V8 lacks a function for it",
                Trouble::Refused => b"heap snapshot not taken: V8 made none",
        }),
    }
}

/// With `LEAK_SNAPSHOT=limit`: arranges for a snapshot when the heap is nearly as large as it may
/// become.
///
/// # Safety
/// On the isolate's own thread.
pub unsafe fn watch_limit(isolate: *mut Isolate) {
    say_what_is_not_known();
    if !is_asked_for(b"limit") {
        return;
    }
    match LIMIT.get() {
        // SAFETY: the caller's.
        Some(api) => unsafe { (api.add)(isolate, near_limit, isolate.cast()) },
        None => note(b"V8 in this program does not tell of its heap's limit: no snapshot near it"),
    }
}

/// With `LEAK_SNAPSHOT=exit`: the main thread's heap as it is at the end. See [`super::end`].
pub fn at_end(_: &'static Global, state: &'static IsolateState) {
    if !is_asked_for(b"exit") || !command::is_first(state) {
        return;
    }
    let isolate = state.isolate();
    let place = state.handles.load(Relaxed);
    // SAFETY: the isolate's thread, at rest; a handle scope is opened.
    let done = unsafe {
        handles::within(isolate, place, || {
            take_beside_log(isolate, blob::cause::EXIT, b"exit");
        })
    };
    if !done {
        note(b"V8 in this program opens no handle scope for leak: no heap snapshot at the end");
    }
}

/// What the limit is raised by so that a snapshot can be taken, bytes. (V8 collects all garbage
/// first, which also moves what is young.)
const HEADROOM: usize = 64 << 20;
/// The isolate that takes its snapshot at this moment.
static AT_LIMIT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// In a copy of the process: no snapshot near the limit.
pub fn ignore_limit(isolate: *mut Isolate) {
    AT_LIMIT.store(isolate.cast(), Relaxed);
}

/// Called by V8 when the heap is nearly full; returns its new limit.
unsafe extern "C" fn near_limit(isolate: *mut c_void, current: usize, _initial: usize) -> usize {
    let raised = current.saturating_add(HEADROOM);
    if AT_LIMIT
        .compare_exchange(core::ptr::null_mut(), isolate, AcqRel, Relaxed)
        .is_err()
    {
        // Called again by the collection that the snapshot begins with, or by another isolate.
        return raised;
    }
    // SAFETY: this thread's errno; V8 lets its callback collect, and remove itself, so that the
    // program's own one is heard next.
    unsafe {
        let errno = *libc::__errno_location();
        take_beside_log(isolate.cast(), blob::cause::LIMIT, b"limit");
        if let Some(api) = LIMIT.get() {
            (api.remove)(isolate.cast(), near_limit, 0);
        }
        *libc::__errno_location() = errno;
    }
    AT_LIMIT.store(core::ptr::null_mut(), Release);
    raised
}
