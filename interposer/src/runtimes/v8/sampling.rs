//! The JavaScript heap by call stack: V8's sampling of allocations, for the whole run.
//!
//! V8 takes the stack of one allocation in so many bytes and forgets it when the object is
//! collected, so what it holds is what is live. It is read at *marks*: the first after a second,
//! the next after a sixteenth of the run each time, a second at least, so that their number grows
//! with the logarithm of the run; right after a full collection if there is one, else at the latest
//! when twice that time is over; right behind a heap snapshot that was asked for; and at the end. A
//! frame is written once, with its caller; a mark is a list of frames with what is live.
//!
//! There is one sampler in an isolate. If the program has begun it, ours is not; where the
//! program is started to be inspected, ours is off as well.
//!
//! V8 of Node 24 crashes if an isolate is disposed of with its sampler on. So it is begun only when
//! the isolate's end is watched, and ended there.

use super::api::Isolate;
use super::isolate::State as IsolateState;
use super::optional::{Optional, Subject};
use super::{handles, say, usage};
use crate::arch::clock;
use crate::global::{self, Global};
use crate::symbols::Name;
use crate::{start, sys};
use core::ffi::c_void;
use core::sync::atomic::Ordering::Relaxed;
use log_format::blob::BlobKind;
use log_format::js::{Frame, Live, live_flag};
use log_format::record::MAX_BLOB;
use log_format::varint::Out;

/// Bytes between two samples on average, unless `LEAK_JS_SAMPLE` says otherwise.
const INTERVAL: u64 = 1 << 20;
/// Least that can be asked for: more would cost more than it tells.
const LEAST_INTERVAL: u64 = 1 << 10;
/// Frames of a stack.
const DEPTH: i32 = 64;
/// The first mark, ns after the start.
const FIRST_MARK: u64 = 1_000_000_000;
/// A mark after this part of the run.
const PART: u64 = 16;
/// Longest name that is written, bytes.
const MAX_NAME: usize = 900;
/// Frames that wait to be visited, at most.
const WAITING: usize = 64 << 10;

/// Functions for it.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::GetHeapProfiler`.
    profiler: unsafe extern "C" fn(*mut Isolate) -> *mut Profiler,
    /// `HeapProfiler::StartSamplingHeapProfiler`.
    start: unsafe extern "C" fn(*mut Profiler, u64, i32, i32) -> bool,
    /// `HeapProfiler::GetAllocationProfile`.
    profile: unsafe extern "C" fn(*mut Profiler) -> *mut Profile,
    /// `HeapProfiler::StopSamplingHeapProfiler`.
    stop: unsafe extern "C" fn(*mut Profiler),
}

/// See [`Api`].
pub static API: Optional<Api, 4> = Optional::new(
    [
        Name::new("_ZN2v87Isolate15GetHeapProfilerEv"),
        Name::new("_ZN2v812HeapProfiler25StartSamplingHeapProfilerEmiNS0_13SamplingFlagsE"),
        Name::new("_ZN2v812HeapProfiler20GetAllocationProfileEv"),
        Name::new("_ZN2v812HeapProfiler24StopSamplingHeapProfilerEv"),
    ],
    "V8 in this program does not sample allocations: the JavaScript heap is not shown by stack",
);

/// `String::WriteUtf8`: buffer, its bytes, characters written, options.
type WriteOld =
    unsafe extern "C" fn(*const c_void, *mut Isolate, *mut u8, i32, *mut i32, i32) -> i32;
/// `String::WriteUtf8V2`: buffer, its bytes, flags, characters written.
type WriteNew =
    unsafe extern "C" fn(*const c_void, *mut Isolate, *mut u8, usize, i32, *mut usize) -> usize;

/// How strings are read, up to Node 22.
pub static STRINGS: Optional<WriteOld, 1> = Optional::new(
    [Name::new("_ZNK2v86String9WriteUtf8EPNS_7IsolateEPciPii")],
    "",
);
/// And from Node 24 on.
pub static STRINGS_V2: Optional<WriteNew, 1> = Optional::new(
    [Name::new("_ZNK2v86String11WriteUtf8V2EPNS_7IsolateEPcmiPm")],
    "",
);

/// `NO_NULL_TERMINATION | REPLACE_INVALID_UTF8`.
const WRITE_OLD: i32 = 2 | 8;
/// `kReplaceInvalidUtf8`.
const WRITE_NEW: i32 = 2;

/// `v8::HeapProfiler`, opaque.
enum Profiler {}

/// `v8::AllocationProfile`.
#[repr(C)]
struct Profile {
    functions: *const ProfileFunctions,
}

#[repr(C)]
struct ProfileFunctions {
    root: unsafe extern "C" fn(*mut Profile) -> *const Node,
    samples: *const c_void,
    destroy: *const c_void,
    delete: unsafe extern "C" fn(*mut Profile),
}

/// `v8::AllocationProfile::Node`.
#[repr(C)]
struct Node {
    name: *const c_void,
    file: *const c_void,
    script: i32,
    start: i32,
    line: i32,
    column: i32,
    id: u32,
    children: Vector<*const Node>,
    allocations: Vector<Allocation>,
}

/// `v8::AllocationProfile::Allocation`.
#[repr(C)]
struct Allocation {
    size: usize,
    count: u32,
}

/// `std::vector` of libstdc++.
#[repr(C)]
struct Vector<T> {
    begin: *const T,
    end: *const T,
    room: *const T,
}

impl<T> Vector<T> {
    /// # Safety
    /// A valid vector, for the life of the slice.
    unsafe fn items(&self) -> &[T] {
        if self.begin.is_null() {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe {
            let len = self.end.offset_from_unsigned(self.begin);
            core::slice::from_raw_parts(self.begin, len)
        }
    }
}

/// What an isolate's thread remembers.
pub struct State {
    /// Bytes between samples; 0: not sampled.
    interval: u64,
    /// When it began, `CLOCK_MONOTONIC` ns.
    began: u64,
    /// The next mark, if there was a full collection since the last one.
    due: u64,
    /// The next mark in any case.
    overdue: u64,
    /// Full collections at the last mark.
    full: u64,
    /// The highest number of a frame that was written: V8 numbers them as they come, never twice.
    told: u32,
}

impl State {
    /// For a new isolate.
    pub fn begin(&mut self) {
        *self = State {
            interval: 0,
            began: 0,
            due: u64::MAX,
            overdue: u64::MAX,
            full: 0,
            told: 0,
        };
    }
}

/// What the isolate's thread remembers.
#[expect(
    clippy::mut_from_ref,
    reason = "only the isolate's thread calls this, and never within itself"
)]
fn own(state: &IsolateState) -> &mut State {
    // SAFETY: see the expectation.
    unsafe { &mut *state.sampling.get() }
}

/// Begins sampling.
///
/// # Safety
/// On the isolate's thread, at rest, when its end is watched.
pub unsafe fn start(state: &'static IsolateState) {
    let Some(api) = API.get() else { return };
    let interval = interval();
    if interval == 0 {
        return;
    }
    if STRINGS.get().is_none() && STRINGS_V2.get().is_none() {
        super::note(API.lack());
        return;
    }
    if super::main::is_inspected() {
        super::note(
            b"the program is started to be inspected: the JavaScript heap is not shown by stack",
        );
        return;
    }
    // SAFETY: the caller's promise.
    let begun = unsafe {
        let profiler = (api.profiler)(state.isolate());
        !profiler.is_null() && (api.start)(profiler, interval, DEPTH, 0)
    };
    if !begun {
        super::note(b"the program samples its JavaScript heap itself: it is not shown by stack");
        return;
    }
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    let own = own(state);
    own.interval = interval;
    own.began = now;
    own.due = now + FIRST_MARK;
    own.overdue = now + 2 * FIRST_MARK;
}

/// What `LEAK_JS_SAMPLE` says, bytes; 0: no sampling.
fn interval() -> u64 {
    let text = start::variable(b"LEAK_JS_SAMPLE");
    if text.is_empty() {
        return INTERVAL;
    }
    match crate::digits::number(text, 10) {
        Some(0) => 0,
        Some(bytes) => bytes.max(LEAST_INTERVAL),
        None => {
            super::note(b"LEAK_JS_SAMPLE is no number of bytes: it is taken as not set");
            INTERVAL
        }
    }
}

/// Whether a mark is to be made.
pub fn is_due(state: &IsolateState, now: u64) -> bool {
    let own = own(state);
    // SAFETY: this isolate's thread, as `own`.
    let full = unsafe { &*state.usage.get() }.full_collections();
    now >= own.overdue || now >= own.due && full > own.full
}

/// Makes the last mark and ends sampling.
pub fn at_end(_: &'static Global, state: &'static IsolateState) {
    let Some(api) = API.get() else { return };
    if own(state).interval == 0 {
        return;
    }
    let place = state.handles.load(Relaxed);
    // SAFETY: the isolate's thread, at rest; a handle scope is opened.
    let done =
        unsafe { handles::within(state.isolate(), place, || write(state, live_flag::AT_END)) };
    if !done {
        super::note(b"V8 in this program opens no handle scope for leak: the last mark of the JavaScript heap by stack is missing");
    }
    if core::mem::take(&mut own(state).interval) != 0 {
        // SAFETY: the isolate's thread.
        unsafe { (api.stop)((api.profiler)(state.isolate())) };
    }
}

/// Makes a mark for a heap snapshot that was just taken: what could be collected has been, and what grew between
/// two snapshots is what grew between their marks.
///
/// # Safety
/// On the isolate's thread, at rest.
pub unsafe fn at_snapshot(state: &'static IsolateState) {
    if API.get().is_none() || own(state).interval == 0 {
        return;
    }
    let place = state.handles.load(Relaxed);
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    // Where no scope can be opened, the next mark comes in its time.
    // SAFETY: the caller's promise; a handle scope is opened.
    let _ = unsafe { handles::within(state.isolate(), place, || mark(state, now)) };
}

/// Makes a mark.
///
/// # Safety
/// On the isolate's thread, at rest, with a handle scope open.
pub unsafe fn mark(state: &'static IsolateState, now: u64) {
    // SAFETY: the caller's promise.
    unsafe { write(state, 0) };
    let own = own(state);
    let part = (now.saturating_sub(own.began) / PART).max(FIRST_MARK);
    own.due = now.saturating_add(part);
    own.overdue = now.saturating_add(2 * part);
}

/// # Safety
/// As [`mark`].
unsafe fn write(state: &'static IsolateState, flags: u8) {
    let Some(api) = API.get() else { return };
    if own(state).interval == 0 {
        return;
    }
    // Under a filter of system calls nothing may be mapped.
    if global::get().is_none_or(|global| global.filtered.load(Relaxed) != 0) {
        return;
    }
    let Some(room) = sys::map_private(size_of::<Room>()) else {
        return;
    };
    // SAFETY: the caller's promise; zeros are a valid room; the profile is V8's until it is deleted.
    unsafe {
        let profile = (api.profile)((api.profiler)(state.isolate()));
        if profile.is_null() {
            own(state).interval = 0;
            super::note(
                b"the program has ended the sampling of its JavaScript heap: the marks end there",
            );
        } else {
            let functions = &*(*profile).functions;
            let root = (functions.root)(profile);
            if !root.is_null() {
                tell(
                    state,
                    &*root,
                    flags | collected(state),
                    &mut *room.cast::<Room>(),
                );
            }
            (functions.delete)(profile);
        }
        sys::unmap(room, size_of::<Room>());
    }
}

/// [`live_flag::COLLECTED`], if that is so.
fn collected(state: &IsolateState) -> u8 {
    // SAFETY: this isolate's thread.
    let known = unsafe { &*state.usage.get() };
    let full = known.full_collections();
    let after = known.after_full();
    let own = own(state);
    let fresh = full > own.full && usage::used(state) <= after + (after / 20).max(1 << 20);
    own.full = full;
    if fresh { live_flag::COLLECTED } else { 0 }
}

/// What a mark works with. Not on the stack: the program's may be small.
struct Room {
    waiting: [(*const Node, u32); WAITING],
    piece: [u8; MAX_BLOB],
    frame: [u8; 3 * MAX_NAME],
    name: [u8; MAX_NAME],
    file: [u8; MAX_NAME],
}

unsafe fn tell(state: &IsolateState, root: &Node, flags: u8, room: &mut Room) {
    let interval = own(state).interval;
    let told = own(state).told;
    let mut highest = told;
    let mut piece = Out::new(&mut room.piece);
    Live::begin(flags | live_flag::FIRST, interval, &mut piece);
    let mut waiting = 0;
    if let Some(first) = room.waiting.first_mut() {
        *first = (root, 0);
        waiting = 1;
    }
    while waiting > 0 {
        waiting -= 1;
        let Some(&(node, parent)) = room.waiting.get(waiting) else {
            break;
        };
        // SAFETY: nodes and their vectors live as long as the profile.
        let (node, children, allocations) = unsafe {
            (
                &*node,
                (*node).children.items(),
                (*node).allocations.items(),
            )
        };
        if node.id > told {
            highest = highest.max(node.id);
            let mut out = Out::new(&mut room.frame);
            let number = |value: i32| u64::try_from(value).unwrap_or(0);
            // SAFETY: handles of the profile's.
            let (function, file) = unsafe {
                (
                    text(state, node.name, &mut room.name),
                    text(state, node.file, &mut room.file),
                )
            };
            Frame {
                id: node.id.into(),
                parent: parent.into(),
                line: number(node.line),
                column: number(node.column),
                script: number(node.script),
                function,
                file,
            }
            .encode(&mut out);
            say(BlobKind::JsFrame, &out);
        }
        let (objects, bytes) = allocations
            .iter()
            .fold((0u64, 0u64), |(objects, bytes), known| {
                let count = u64::from(known.count);
                (objects + count, bytes + count * known.size as u64)
            });
        if objects > 0 {
            if piece.written().len() + Live::MAX_ENTRY > MAX_BLOB {
                say(BlobKind::JsLive, &piece);
                piece = Out::new(&mut room.piece);
                Live::begin(flags, interval, &mut piece);
            }
            Live::entry(node.id.into(), objects, bytes, &mut piece);
        }
        for &child in children {
            if let Some(place) = room.waiting.get_mut(waiting) {
                *place = (child, node.id);
                waiting += 1;
            }
        }
    }
    own(state).told = highest;
    let mut last = [0u8; 16];
    say(BlobKind::JsLive, &piece);
    let mut out = Out::new(&mut last);
    Live::begin(flags | live_flag::LAST, interval, &mut out);
    say(BlobKind::JsLive, &out);
}

/// The text behind a handle, cut if it is long.
///
/// # Safety
/// `handle` is one of a string, or null.
unsafe fn text<'b>(state: &IsolateState, handle: *const c_void, buf: &'b mut [u8]) -> &'b [u8] {
    if handle.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    let len = unsafe {
        if let Some(write) = STRINGS_V2.get() {
            write(
                handle,
                state.isolate(),
                buf.as_mut_ptr(),
                buf.len(),
                WRITE_NEW,
                core::ptr::null_mut(),
            )
        } else if let Some(write) = STRINGS.get() {
            let len = write(
                handle,
                state.isolate(),
                buf.as_mut_ptr(),
                buf.len() as i32,
                core::ptr::null_mut(),
                WRITE_OLD,
            );
            usize::try_from(len).unwrap_or(0)
        } else {
            0
        }
    };
    buf.get(..len).unwrap_or(&[])
}
