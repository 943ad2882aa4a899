//! Requests to a running recorder: a part of the log's first page that both sides map.
//!
//! ```text
//! asker (who may write the log)              recorder
//! claims `asker`, fills kind … name
//! state = ASKED, request += 1, wakes ───>   waits on `request`
//! waits on `state`                           state = RUNNING (nobody may cancel any more)
//!                       <─── wakes          answers, state = DONE or FAILED
//! reads the answer, clears `asker`
//! ```
//!
//! The words are futexes between processes (not private ones). An asker that has lost patience
//! sets the state from ASKED to IDLE; whoever comes late finds another state or another request
//! and does nothing. Neither side trusts the other: every value is checked where it is read.

use core::mem::size_of;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Where it stands in the log's first page, bytes.
pub const OFFSET: usize = 2048;
/// Longest name, bytes.
pub const MAX_NAME: usize = 1024;
/// Most isolates of V8 that can be told apart.
pub const MAX_ISOLATES: u32 = 64;

/// See the module. All-zero bytes: nobody listens.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    /// 1 while a thread of the recorder waits for requests.
    pub listens: AtomicU32,
    /// Number of the last request.
    pub request: AtomicU32,
    /// Process id of who asks; 0: nobody.
    pub asker: AtomicU32,
    /// [`Kind`].
    pub kind: AtomicU32,
    /// [`State`].
    pub state: AtomicU32,
    /// Which isolate, from 0, the main thread's.
    pub isolate: AtomicU32,
    /// Bit set of [`flag`] values.
    pub flags: AtomicU32,
    /// [`Failure`], when the state is [`State::Failed`].
    pub failure: AtomicU32,
    /// The system's error number that goes with it, or 0.
    pub errno: AtomicU32,
    /// Bytes of the name.
    pub name_len: AtomicU32,
    /// First number of V8's version.
    pub engine: AtomicU32,
    /// Answer: copies of the process that were made.
    pub copies: AtomicU32,
    /// Isolates that are there: bit n for number n.
    pub isolates: AtomicU64,
    /// Answer: how long the program stood, ns.
    pub pause_ns: AtomicU64,
    /// Answer: bytes of the file.
    pub written: AtomicU64,
    /// Answer: bytes of memory that would have been needed ([`Failure::NoMemory`]).
    pub needed: AtomicU64,
    /// Answer: bytes of memory that can be had.
    pub available: AtomicU64,
    /// The latest figures.
    pub usage: Usage,
    /// Snapshot: absolute path of the file; mark: its name.
    pub name: [AtomicU8; MAX_NAME],
    /// Answer: how long the copy of the process worked, ns.
    pub copy_ns: AtomicU64,
}

/// Memory of the process and of one isolate, bytes.
#[repr(C)]
#[derive(Debug)]
pub struct Usage {
    /// When, `CLOCK_MONOTONIC`, ns; 0: never.
    pub time_ns: AtomicU64,
    /// Of the process, in memory.
    pub rss: AtomicU64,
    /// V8's heap, taken from the system.
    pub heap_total: AtomicU64,
    /// … used.
    pub heap_used: AtomicU64,
    /// … as much as it may become.
    pub heap_limit: AtomicU64,
    /// Memory outside of the heap that JavaScript objects hold.
    pub external: AtomicU64,
}

/// Bits of [`Control::flags`].
pub mod flag {
    /// Take the snapshot even if memory may not suffice.
    pub const FORCE: u32 = 1;
    /// Let a copy of the process take it.
    pub const COPY: u32 = 2;
}

/// What is asked for ([`Control::kind`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nothing.
    None = 0,
    /// [`Usage`], and what a snapshot would need.
    Usage = 1,
    /// A heap snapshot.
    Snapshot = 2,
    /// A mark in the log.
    Mark = 3,
}

impl Kind {
    /// The kind for its stored number; unknown ones ask for nothing.
    pub fn from_raw(raw: u32) -> Kind {
        match raw {
            1 => Kind::Usage,
            2 => Kind::Snapshot,
            3 => Kind::Mark,
            _ => Kind::None,
        }
    }
}

/// How far a request is ([`Control::state`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// There is none.
    Idle = 0,
    /// Asked; may be taken back.
    Asked = 1,
    /// The recorder is at it.
    Running = 2,
    /// Answered.
    Done = 3,
    /// Answered: [`Control::failure`].
    Failed = 4,
}

impl State {
    /// The state for its stored number.
    pub fn from_raw(raw: u32) -> State {
        match raw {
            1 => State::Asked,
            2 => State::Running,
            3 => State::Done,
            4 => State::Failed,
            _ => State::Idle,
        }
    }
}

/// Why a request failed ([`Control::failure`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// Not known.
    Unknown = 0,
    /// There is no such isolate, or no more.
    NoIsolate = 1,
    /// This V8 lacks a function for it.
    NoFunction = 2,
    /// Memory may not suffice: [`Control::needed`], [`Control::available`].
    NoMemory = 3,
    /// The file cannot be made or written: [`Control::errno`].
    File = 4,
    /// V8 made none.
    Refused = 5,
    /// No copy of the process can be made: [`Control::errno`].
    NoCopy = 6,
    /// Threads of V8's were at work each time that a copy was to be made.
    NotAtRest = 7,
    /// No copy of the process finished: [`Control::copies`].
    CopyFailed = 8,
}

impl Failure {
    /// The failure for its stored number.
    pub fn from_raw(raw: u32) -> Failure {
        match raw {
            1 => Failure::NoIsolate,
            2 => Failure::NoFunction,
            3 => Failure::NoMemory,
            4 => Failure::File,
            5 => Failure::Refused,
            6 => Failure::NoCopy,
            7 => Failure::NotAtRest,
            8 => Failure::CopyFailed,
            _ => Failure::Unknown,
        }
    }
}

impl Control {
    /// The current state.
    pub fn state(&self) -> State {
        State::from_raw(self.state.load(Ordering::Acquire))
    }

    /// Goes from one state to another; false if it is a third.
    pub fn change(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Stores the name, cut to [`MAX_NAME`].
    pub fn set_name(&self, name: &[u8]) {
        let len = name.len().min(MAX_NAME);
        for (to, from) in self.name.iter().zip(name) {
            to.store(*from, Ordering::Relaxed);
        }
        self.name_len.store(len as u32, Ordering::Relaxed);
    }

    /// Copies the name; its length.
    pub fn name(&self, to: &mut [u8; MAX_NAME]) -> usize {
        for (to, from) in to.iter_mut().zip(&self.name) {
            *to = from.load(Ordering::Relaxed);
        }
        (self.name_len.load(Ordering::Relaxed) as usize).min(MAX_NAME)
    }
}

/// Bytes that a snapshot of a heap needs besides, and how long the program stands for it:
/// `docs/design/node_snapshots.md` has the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Bytes.
    pub memory: u64,
    /// Nanoseconds of CPU, if the heap is one of buffers and numbers.
    pub least_pause_ns: u64,
    /// Nanoseconds of CPU, if it is one of small objects.
    pub pause_ns: u64,
}

impl Estimate {
    /// For a heap with so many bytes in use, by the first number of V8's version.
    pub fn of_heap(used: u64, engine: u32) -> Estimate {
        let (least, most) = match engine {
            ..11 => NS_PER_BYTE_BEFORE_11,
            11 | 12 => NS_PER_BYTE_BEFORE_13,
            _ => NS_PER_BYTE,
        };
        let pause = |per_byte: u64| used.saturating_mul(per_byte).saturating_add(PAUSE_LEAST_NS);
        Estimate {
            memory: used
                .saturating_mul(MEMORY_PER_BYTE)
                .saturating_add(MEMORY_LEAST),
            least_pause_ns: pause(least),
            pause_ns: pause(most),
        }
    }

    /// Memory if it is taken from so many bytes by this process, or by a copy of it, which gets
    /// pages of its own for the heap that it marks.
    pub fn memory_of(&self, used: u64, copied: bool) -> u64 {
        let own = if copied { used } else { 0 };
        self.memory.saturating_add(own)
    }
}

/// Memory that V8 takes for each byte of its heap while it makes a snapshot, bytes.
const MEMORY_PER_BYTE: u64 = 22;
/// … and in any case.
const MEMORY_LEAST: u64 = 32 << 20;
/// CPU time for each byte of the heap, ns: least, of large arrays and buffers, and most, of small objects.
const NS_PER_BYTE: (u64, u64) = (7, 60);
/// … in Node 20 and 22.
const NS_PER_BYTE_BEFORE_13: (u64, u64) = (8, 100);
/// … in Node 18, which looks for equal numbers one by one: longer still if there are very many.
const NS_PER_BYTE_BEFORE_11: (u64, u64) = (13, 700);
/// Pause in any case, ns.
const PAUSE_LEAST_NS: u64 = 100_000_000;

const _: () = {
    assert!(size_of::<crate::layout::Header>() <= OFFSET);
    assert!(OFFSET + size_of::<Control>() <= crate::layout::HEADER_SIZE as usize);
    assert!(OFFSET.is_multiple_of(8));
    assert!(core::mem::offset_of!(Control, isolates) == 48);
    assert!(core::mem::offset_of!(Control, usage) == 88);
    assert!(core::mem::offset_of!(Control, name) == 136);
};
