//! Where things stand in the file.
//!
//! ```text
//! 0        4096                    65536
//! | Header | DATA extent           | RING extent | NODES extent | DATA … |
//! ```
//!
//! The file is a header page and a chain of *extents*, each a whole number of
//! pages that begins with an [`ExtentHeader`] naming its length, so the next
//! one is found without a table. Extents are reserved with `fallocate` before
//! they are mapped; a reserved extent whose header was not yet written reads as
//! zero pages, which a reader skips page by page.
//!
//! While the program runs the file also holds what is still in flight: the
//! rings ([`ExtentKind::Ring`]) and the raw stack table
//! ([`ExtentKind::Nodes`]). A clean end turns both into blocks and cuts the
//! file; after a kill the reader takes them as they are.

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// First eight bytes of every log.
pub const MAGIC: [u8; 8] = *b"leaklog\n";
/// Version of everything in this crate. Readers refuse any other.
pub const VERSION: u32 = 2;
/// Unit of the file's layout, bytes.
pub const PAGE: u64 = 4096;
/// Size of the header page, bytes; the first extent begins here.
pub const HEADER_SIZE: u64 = PAGE;
/// End of the first DATA extent: what a short-lived program needs fits before it.
pub const FIRST_DATA_END: u64 = 64 * 1024;

/// How the run ended, as far as the log knows ([`Header::state`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Still running, or killed: what is in the rings counts.
    Running = 0,
    /// Ended through `exit`, `_exit` or `quick_exit`; [`Header::exit_status`] is known.
    Exited = 1,
    /// Replaced itself by another program with `exec`.
    Exec = 2,
    /// Recording ended before the program did; [`Header::stop_reason`] says why.
    Stopped = 3,
}

impl State {
    /// The state for its stored number; unknown numbers read as running.
    pub fn from_raw(raw: u32) -> State {
        match raw {
            1 => State::Exited,
            2 => State::Exec,
            3 => State::Stopped,
            _ => State::Running,
        }
    }
}

/// Why recording ended early ([`Header::stop_reason`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum StopReason {
    /// It did not.
    None = 0,
    /// No room on the disk, a file size limit, or no memory for a mapping.
    NoSpace = 1,
    /// The log could not be opened again (moved, deleted, no right, another root).
    Unreachable = 2,
    /// A system-call filter is in force and the space reserved before it is used up.
    Filtered = 3,
    /// The stack table is full.
    Stacks = 4,
    /// A thread left the recorder by `longjmp` while it wrote the log.
    Stuck = 5,
    /// The program's address space is limited too much to share it.
    AddressSpace = 6,
}

impl StopReason {
    /// The reason for its stored number.
    pub fn from_raw(raw: u32) -> StopReason {
        match raw {
            1 => StopReason::NoSpace,
            2 => StopReason::Unreachable,
            3 => StopReason::Filtered,
            4 => StopReason::Stacks,
            5 => StopReason::Stuck,
            6 => StopReason::AddressSpace,
            _ => StopReason::None,
        }
    }
}

/// [`Header::clock`]: event times are processor time-stamp-counter ticks.
pub const CLOCK_TSC: u32 = 0;
/// [`Header::clock`]: event times are `CLOCK_MONOTONIC` nanoseconds.
pub const CLOCK_MONOTONIC: u32 = 1;

/// A reading of the event clock and `CLOCK_MONOTONIC` at one moment.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Calibration {
    /// Event clock, ticks.
    pub ticks: AtomicU64,
    /// `CLOCK_MONOTONIC`, ns.
    pub ns: AtomicU64,
}

/// The first page of the file. Counters are updated in place while the program
/// runs, so they are true after a kill as well.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Header {
    /// [`MAGIC`], written last: a log without it was never begun.
    pub magic: AtomicU64,
    /// [`VERSION`].
    pub version: AtomicU32,
    /// [`HEADER_SIZE`].
    pub header_size: AtomicU32,
    /// Random identity of this log, 16 bytes.
    pub log_id: [AtomicU64; 2],
    /// Identity of the log of the process that forked this one; zero if none.
    pub parent_log_id: [AtomicU64; 2],
    /// Process id.
    pub pid: AtomicU32,
    /// Parent's process id.
    pub ppid: AtomicU32,
    /// [`CLOCK_TSC`] or [`CLOCK_MONOTONIC`].
    pub clock: AtomicU32,
    /// [`State`].
    pub state: AtomicU32,
    /// [`StopReason`].
    pub stop_reason: AtomicU32,
    /// Exit status (0 to 255) when `state` is [`State::Exited`].
    pub exit_status: AtomicU32,
    /// Event clock at the start of recording.
    pub start_ticks: AtomicU64,
    /// `CLOCK_MONOTONIC` at the start, ns.
    pub start_ns: AtomicU64,
    /// `CLOCK_REALTIME` at the start, ns since 1970.
    pub start_wall_ns: AtomicU64,
    /// Event clock when the parent called `fork`; zero if not a fork child.
    pub fork_ticks: AtomicU64,
    /// Two slots, written alternately; the later one that is complete counts.
    pub calibration: [Calibration; 2],
    /// Events that could not be recorded.
    pub events_lost: AtomicU64,
    /// Captures whose stack ended before the outermost frame.
    pub unwinds_truncated: AtomicU64,
    /// Captures that the self-check compared.
    pub selfcheck_checked: AtomicU64,
    /// … that differed from the other unwinder's.
    pub selfcheck_disagreed: AtomicU64,
    /// … not comparable: the other unwinder met a frame without unwind information.
    pub selfcheck_no_cfi: AtomicU64,
    /// Stack nodes handed out; ids are `1..node_count`.
    pub node_count: AtomicU64,
    /// Time of the end, event clock; zero while running.
    pub end_ticks: AtomicU64,
    /// Bit set of [`flag`] values.
    pub flags: AtomicU64,
    /// Blocks in the file after a clean end (so that a file cut between two of
    /// them is known); zero before.
    pub block_count: AtomicU64,
    /// Fork children that could make no log. Counted by themselves, through the page
    /// that they share with their parent.
    pub children_without_log: AtomicU64,
    /// The end that whoever waited for the process saw, written after it: [`SeenEnd::to_raw`]; zero if
    /// nobody wrote it.
    pub seen_end: AtomicU64,
}

/// How a process ended, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenEnd {
    /// With an exit status, without the recorder's knowing.
    Exited(u8),
    /// By a signal.
    Killed(u8),
}

impl SeenEnd {
    /// The stored number: 256 and the status, or 512 and the signal.
    pub fn to_raw(self) -> u64 {
        match self {
            SeenEnd::Exited(status) => 0x100 | u64::from(status),
            SeenEnd::Killed(signal) => 0x200 | u64::from(signal),
        }
    }

    /// The end for its stored number; `None` for none, and for what only a newer version knows.
    pub fn from_raw(raw: u64) -> Option<SeenEnd> {
        match raw >> 8 {
            1 => Some(SeenEnd::Exited(raw as u8)),
            2 => Some(SeenEnd::Killed(raw as u8)),
            _ => None,
        }
    }
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// The process is a fork child: blocks it frees may be its parent's.
    pub const FORK_CHILD: u64 = 1;
    /// The nodes of raw NODES extents are also in blocks (clean end).
    pub const NODES_IN_BLOCKS: u64 = 2;
    /// A library was loaded with `RTLD_DEEPBIND`: its calls bypass the hooks.
    pub const DEEPBIND: u64 = 4;
    /// A system-call filter was installed while recording.
    pub const FILTERED: u64 = 8;
    /// A module before the recorder defines `malloc`: its blocks bypass the hooks,
    /// unless it passes the calls on.
    pub const OTHER_MALLOC_FIRST: u64 = 16;
}

/// First eight bytes of every extent.
pub const EXTENT_MAGIC: u64 = u64::from_le_bytes(*b"leakext\n");

/// What an extent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExtentKind {
    /// Blocks, back to back from byte 64; `used` bytes of them are valid.
    Data = 1,
    /// One ring: [`crate::ring::RingHeader`] at byte 64, data from byte 4096.
    Ring = 2,
    /// Raw stack nodes from byte 4096 of the extent; `id` is the number of its
    /// first chunk, so its first node has id `id << NODE_CHUNK_SHIFT`.
    Nodes = 3,
    /// Nothing any more.
    Free = 4,
}

impl ExtentKind {
    /// The kind for its stored number.
    pub fn from_raw(raw: u32) -> Option<ExtentKind> {
        match raw {
            1 => Some(ExtentKind::Data),
            2 => Some(ExtentKind::Ring),
            3 => Some(ExtentKind::Nodes),
            4 => Some(ExtentKind::Free),
            _ => None,
        }
    }
}

/// Size of [`ExtentHeader`]; an extent's content begins here.
pub const EXTENT_HEADER_SIZE: u64 = 64;

/// Begins every extent.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ExtentHeader {
    /// [`EXTENT_MAGIC`], written last.
    pub magic: AtomicU64,
    /// [`ExtentKind`].
    pub kind: AtomicU32,
    /// Ring id, or the slot of a node chunk, else 0.
    pub id: AtomicU32,
    /// Whole length with this header, bytes, a multiple of [`PAGE`].
    pub len: AtomicU64,
    /// Data: bytes of blocks that are complete. Published after their content.
    pub used: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 4],
}

/// A node of the stack tree: a frame and the path outwards from it.
///
/// Ids are dense from 1; 0 is the root (no frame). A node that was reserved but
/// not written before a kill has kind 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Id of the next outer frame; 0 if this is the outermost.
    pub parent: u32,
    /// [`node_kind`].
    pub kind: u32,
    /// Native: the run-time return address.
    pub payload: u64,
}

/// What [`Node::payload`] means. A reader that does not know a kind shows the
/// frame as unknown and keeps the rest of the stack.
pub mod node_kind {
    /// Reserved, never written; or not used, since another thread had made the same.
    pub const EMPTY: u32 = 0;
    /// Return address in native code.
    pub const NATIVE: u32 = 1;
    /// The walk ended here before the outermost frame; payload: why
    /// ([`super::truncation`]).
    pub const TRUNCATED: u32 = 2;
    /// A call in code made at run time; payload: the code's number, [`crate::blob::CodeName::number`].
    pub const CODE: u32 = 3;
    /// No frame: code made at run time has this node's id as its number; payload: a hash of its name.
    pub const CODE_NAME: u32 = 4;
    /// No frame, and only innermost: the program asked that blocks of this stack are
    /// not called leaks.
    pub const IGNORED: u32 = 32;
}

/// Why a walk ended early: payload of a [`node_kind::TRUNCATED`] node.
pub mod truncation {
    /// No unwind information and no usable frame pointer.
    pub const NO_RULE: u64 = 1;
    /// The next frame would lie outside the stack.
    pub const OUT_OF_STACK: u64 = 2;
    /// More frames than a capture keeps.
    pub const TOO_DEEP: u64 = 3;
}

/// log2 of the nodes in one chunk of the raw stack table.
pub const NODE_CHUNK_SHIFT: u32 = 12;
/// Nodes in one chunk of 64 KiB. A NODES extent is its header's page and whole
/// chunks, so that the recorder can map the chunks of all extents as one array.
pub const NODE_CHUNK: u32 = 1 << NODE_CHUNK_SHIFT;

const _: () = {
    assert!(size_of::<Header>() <= HEADER_SIZE as usize);
    assert!(size_of::<ExtentHeader>() == EXTENT_HEADER_SIZE as usize);
    assert!(size_of::<Node>() == 16);
    assert!(offset_of!(Header, log_id) == 16);
    assert!(offset_of!(Header, pid) == 48);
    assert!(offset_of!(Header, start_ticks) == 72);
    assert!(offset_of!(Header, calibration) == 104);
    assert!(offset_of!(Header, events_lost) == 136);
    assert!(offset_of!(Header, flags) == 192);
    assert!(offset_of!(Header, children_without_log) == 208);
    assert!(offset_of!(Header, seen_end) == 216);
};
