//! The result of a replay, as plain data.

use crate::codes::{Code, CodeMap};
use crate::growth::{Evidence, Record};
use crate::live::{FastMap, Live};
use crate::mappings::Mappings;
use crate::memory::Memory;
use crate::modules::ModuleMap;
use crate::nodes::Nodes;
use crate::patterns::BadFree;
use crate::reach::{Reach, Tally};
use crate::units::{Bytes, CodeId, ModuleId, Nanos, StackId, ThreadId};
use log_format::layout::{StopReason, node_kind, truncation};
use log_format::reach::Outcome;
use log_format::reader::{Clock, Damage};
use log_format::window::LIFETIMES;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

/// How a process ended, as far as its log knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The log has no end: the process was killed, crashed, or still runs.
    Killed,
    /// A signal ended it, as `leak run` saw.
    Signal {
        /// Its number.
        signal: u8,
    },
    /// It ended through `exit`, `_exit` or `quick_exit`.
    Exited {
        /// Exit status, 0 to 255.
        status: u8,
    },
    /// It replaced itself by another program, which has a log of its own.
    Exec,
    /// Recording ended before the program did.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

/// The process that wrote a log.
#[derive(Clone, Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// Path of the executable.
    pub exe: PathBuf,
    /// Working directory at the start.
    pub cwd: PathBuf,
    /// Arguments, the program's name first; cut if they were long.
    pub argv: Vec<OsString>,
    /// Path of the log of the process that forked this one, if any.
    pub parent_log: Option<PathBuf>,
    /// Random identity of the log.
    pub log_id: [u8; 16],
    /// Identity of the parent's log; zeros if none.
    pub parent_log_id: [u8; 16],
    /// Whether it was forked from a recorded process without `exec`: it may
    /// free blocks that its own log does not know.
    pub fork_child: bool,
    /// When recording began.
    pub started: SystemTime,
    /// From the start of recording to its end (or to the last event seen).
    pub duration: Nanos,
    /// How it ended.
    pub ending: Ending,
}

/// The whole run in numbers; exact whatever the log's windows cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blocks made by anything but a reallocation of an existing block.
    pub allocations: u64,
    /// Blocks freed (not: given to a reallocation).
    pub frees: u64,
    /// Successful reallocations of existing blocks.
    pub reallocations: u64,
    /// Bytes asked for by allocations and reallocations.
    pub allocated_bytes: Bytes,
    /// Blocks live at the end, less those that are ignored.
    pub live_blocks: u64,
    /// Bytes live at the end.
    pub live_bytes: Bytes,
    /// Most bytes live at any moment.
    pub peak_bytes: Bytes,
    /// The (first) moment of that.
    pub peak_time: Nanos,
    /// What was live when the program's runtime (Node) began to give everything back; `None` if that
    /// never happened.
    pub teardown: Option<Teardown>,
    /// Blocks freed before their thread's next allocation.
    pub temporary: u64,
    /// Mappings that exist at the end.
    pub mappings: u64,
    /// Their bytes.
    pub mapped_bytes: Bytes,
    /// Blocks live at the end that the program asked not to call leaks; not among `live_blocks`.
    pub ignored_blocks: u64,
    /// Their bytes; not among `live_bytes`.
    pub ignored_bytes: Bytes,
}

/// The moment before a runtime gives back what it holds, at a clean end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Teardown {
    /// When.
    pub time: Nanos,
    /// Bytes live then.
    pub live_bytes: Bytes,
    /// Blocks live then.
    pub live_blocks: u64,
}

/// What a program says to whoever checks it for leaks, through LeakSanitizer's interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Its suppressions (`__lsan_default_suppressions`), in LeakSanitizer's grammar.
    pub suppressions: String,
    /// Its options (`__lsan_default_options`).
    pub options: String,
    /// It is not to be checked (`__lsan_is_turned_off`).
    pub off: bool,
    /// When it asked whether it leaks, and the answers.
    pub asked: Vec<LeakCheck>,
}

/// The program asked while it ran whether it leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakCheck {
    /// When, since the start.
    pub time: Nanos,
    /// Where.
    pub stack: StackId,
    /// What was lost then, with what only that led to, and without what is ignored or
    /// suppressed; or why nobody knows.
    pub lost: Result<Tally, Outcome>,
    /// Blocks that were lost too, but are ignored or suppressed.
    pub set_aside: u64,
    /// The search at this moment stands for the one at the end.
    pub last: bool,
}

/// What the self-check of the unwinder found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfCheck {
    /// Captures compared with another unwinder's.
    pub checked: u64,
    /// Captures that differed.
    pub disagreed: u64,
    /// Captures that could not be compared: a frame had no unwind information.
    pub no_cfi: u64,
}

/// A stack on which the self-check disagreed; return addresses, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disagreement {
    /// The recorder's frames.
    pub ours: Vec<u64>,
    /// The other unwinder's frames.
    pub theirs: Vec<u64>,
}

/// What the record lacks, and what of it may not be trusted.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// Events that could not be recorded.
    pub events_lost: u64,
    /// Captures whose stack ended before the outermost frame.
    pub unwinds_truncated: u64,
    /// Fork children that could make no log.
    pub children_without_log: u64,
    /// Frees of addresses that no recorded block had.
    pub unmatched_frees: u64,
    /// The same in a fork child, where such a block is the parent's.
    pub inherited_frees: u64,
    /// Blocks whose free was not seen: their address was handed out again.
    pub missed_frees: u64,
    /// The unwinder's self-check.
    pub selfcheck: SelfCheck,
    /// The first stacks on which it disagreed.
    pub disagreements: Vec<Disagreement>,
    /// What is broken in the file; each displays as one line.
    pub damage: Vec<Damage>,
    /// Remarks of the recorder.
    pub notes: Vec<String>,
    /// A library was loaded with `RTLD_DEEPBIND`: its calls bypass the hooks.
    pub deepbind: bool,
    /// A library before the recorder, or the program, defines `malloc`: its blocks
    /// bypass the hooks, unless it passes the calls on.
    pub other_malloc_first: bool,
    /// A system-call filter was installed while recording.
    pub filtered: bool,
    /// Whether the sites' peaks are those of the heap's peak. Not so only if
    /// the window that held the peak could not be cut there.
    pub peak_is_exact: bool,
    /// Events that name a block which is not there. Always 0 for an undamaged log.
    pub unknown_blocks: u64,
    /// Windows after which the recorder's own count of live blocks or bytes
    /// differs from the replayed one. Always 0 for an undamaged log.
    pub head_mismatches: u64,
}

/// The figures of a site, or of several merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Blocks live at the end, less those that are ignored.
    pub blocks: u64,
    /// Bytes live at the end.
    pub bytes: Bytes,
    /// Blocks made by an allocation.
    pub allocations: u64,
    /// Blocks made by a reallocation of an existing block.
    pub reallocations: u64,
    /// Bytes asked for by both.
    pub allocated_bytes: Bytes,
    /// Blocks live at the moment of the whole heap's peak.
    pub peak_blocks: u64,
    /// Bytes live at that moment.
    pub peak_bytes: Bytes,
    /// Blocks live when the program's runtime was torn down ([`Totals::teardown`]); if it was not,
    /// at the end.
    pub teardown_blocks: u64,
    /// Bytes live then.
    pub teardown_bytes: Bytes,
    /// Blocks freed before their thread's next allocation.
    pub temporary: u64,
    /// Ended blocks by lifetime: class `k` holds those below `4^(k + 6)` ticks
    /// of the log's clock ([`Clock`]), the last all longer ones.
    pub lifetimes: [u64; LIFETIMES],
    /// Blocks live at the end that the program asked not to call leaks.
    pub ignored_blocks: u64,
    /// Their bytes.
    pub ignored_bytes: Bytes,
}

impl Figures {
    /// Adds another site's figures. Wraps: a damaged log may name absurd counts.
    pub fn add(&mut self, other: &Figures) {
        let add = |mine: &mut u64, theirs: u64| *mine = mine.wrapping_add(theirs);
        add(&mut self.blocks, other.blocks);
        add(&mut self.allocations, other.allocations);
        add(&mut self.reallocations, other.reallocations);
        add(&mut self.peak_blocks, other.peak_blocks);
        add(&mut self.teardown_blocks, other.teardown_blocks);
        add(&mut self.temporary, other.temporary);
        for (mine, theirs) in self.lifetimes.iter_mut().zip(other.lifetimes) {
            add(mine, theirs);
        }
        add(&mut self.ignored_blocks, other.ignored_blocks);
        self.bytes += other.bytes;
        self.allocated_bytes += other.allocated_bytes;
        self.peak_bytes += other.peak_bytes;
        self.teardown_bytes += other.teardown_bytes;
        self.ignored_bytes += other.ignored_bytes;
    }
}

/// All blocks with one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// The stack.
    pub stack: StackId,
    /// Its figures.
    pub figures: Figures,
    /// Threads that made the live blocks, ascending.
    pub threads: Vec<ThreadId>,
}

/// A module that was loaded at some time of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Path as the loader knew it.
    pub path: PathBuf,
    /// GNU build-id, empty if it has none.
    pub build_id: Vec<u8>,
    /// Load bias: run-time address − address in the ELF file.
    pub bias: u64,
    /// First mapped address.
    pub start: u64,
    /// End of the last mapped address.
    pub end: u64,
    /// First stack that can mean it.
    pub first_node: u32,
    /// End of the stacks that can mean it, if it was unloaded.
    pub end_node: Option<u32>,
    /// When it was found loaded.
    pub loaded: Nanos,
    /// When it was found gone.
    pub unloaded: Option<Nanos>,
}

/// A thread of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Serial number in the log.
    pub id: ThreadId,
    /// The kernel's thread id.
    pub tid: u32,
    /// Last known name; empty if none.
    pub name: String,
    /// Whether it ended before the process.
    pub ended: bool,
}

/// A point of the time line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// When.
    pub time: Nanos,
    /// Bytes live then, apart from blocks that did not outlive their window.
    pub live_bytes: Bytes,
    /// Blocks live then, likewise.
    pub live_blocks: u64,
}

/// A block that was never freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// Address.
    pub ptr: u64,
    /// Bytes asked for.
    pub size: Bytes,
    /// Where it was made.
    pub stack: StackId,
    /// Who made it.
    pub thread: ThreadId,
    /// When.
    pub time: Nanos,
    /// Whether the program asked not to call it a leak.
    pub ignored: bool,
}

/// A mapping that was never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Length.
    pub len: Bytes,
    /// Where it was made.
    pub stack: StackId,
    /// Who made it.
    pub thread: ThreadId,
    /// When.
    pub time: Nanos,
}

/// Why a stack ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// No unwind information and no usable frame pointer.
    NoRule,
    /// The next frame would lie outside the stack.
    OutOfStack,
    /// More frames than a capture keeps.
    TooDeep,
    /// A reason this version does not know.
    Other(u64),
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Native code; the address is the run-time return address.
    Native,
    /// Not a frame: the stack ends here, though not at its outermost frame.
    Truncated(Truncation),
    /// Handed out and never written before a kill.
    Empty,
    /// A kind this version does not know; the address is its payload.
    Unknown(u32),
}

/// A frame before symbolization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Run-time return address, the call is at `address - 1`; or a number that stands for `code`.
    pub address: u64,
    /// The module that stood there at the time.
    pub module: Option<ModuleId>,
    /// The code made at run time that stood there, if the log has its name.
    pub code: Option<CodeId>,
    /// What it is.
    pub kind: FrameKind,
}

/// What one log says about its process.
#[derive(Debug)]
pub struct Profile {
    /// The log.
    pub path: PathBuf,
    /// Who.
    pub process: Process,
    /// The run in numbers.
    pub totals: Totals,
    /// What is missing.
    pub loss: Loss,
    /// What the program says to whoever checks it for leaks.
    pub checks: Checks,
    /// Frees that were wrong, in order, as far as they were checked.
    pub bad_frees: Vec<BadFree>,
    /// Modules, in order of their loading.
    pub modules: Vec<Module>,
    /// Code made at run time.
    pub codes: Vec<Code>,
    /// Threads, by serial number.
    pub threads: Vec<Thread>,
    /// Live bytes and blocks over time: at most [`crate::TIMELINE_POINTS`] points.
    pub timeline: Vec<Point>,
    /// Marks in it, by time.
    pub marks: Vec<crate::marks::Mark>,
    /// Where its memory was; `None` if it could not be sampled.
    pub memory: Option<Memory>,
    /// Heaps of a JavaScript engine in it.
    pub js_heaps: Vec<crate::js::JsHeap>,
    /// Event clock to nanoseconds.
    pub clock: Clock,
    /// What led to the blocks that were left.
    pub reach: Reach,
    pub(crate) sites: Vec<Site>,
    pub(crate) site_of: FastMap<u32, u32>,
    pub(crate) nodes: Nodes,
    pub(crate) module_map: ModuleMap,
    pub(crate) code_map: CodeMap,
    pub(crate) live: Live,
    /// Serials of blocks that the program named.
    pub(crate) ignored: FastMap<u64, ()>,
    pub(crate) mappings: Mappings,
    pub(crate) growth: Option<Record>,
}

impl Profile {
    /// All sites, most live bytes first; equal ones by stack.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The site of a stack.
    pub fn site(&self, stack: StackId) -> Option<&Site> {
        let number = *self.site_of.get(&stack.0)?;
        self.sites.get(number as usize)
    }

    /// What is known of how a site grew.
    pub(crate) fn evidence(&self, stack: StackId) -> Option<&Evidence> {
        let number = *self.site_of.get(&stack.0)?;
        self.growth
            .as_ref()?
            .evidence
            .get(number as usize)?
            .as_deref()
    }

    /// The module with this id, which came out of this profile.
    ///
    /// # Panics
    /// If the id is another profile's.
    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0 as usize]
    }

    /// The module in which an address lies at the end of the run.
    pub fn module_at(&self, address: u64) -> Option<ModuleId> {
        self.module_map
            .find(&self.modules, address.checked_add(1)?, u32::MAX)
    }

    /// The thread with this serial number; `None` if the log does not name it.
    pub fn thread(&self, id: ThreadId) -> Option<&Thread> {
        let index = self
            .threads
            .binary_search_by_key(&id, |thread| thread.id)
            .ok()?;
        self.threads.get(index)
    }

    /// The frames of a stack, innermost first.
    pub fn frames(&self, stack: StackId) -> impl Iterator<Item = RawFrame> + '_ {
        // A mark is no frame.
        let marked = self
            .nodes
            .get(stack.0)
            .filter(|node| node.kind == node_kind::IGNORED);
        let mut stack = marked.map_or(stack, |node| {
            StackId(if node.parent < stack.0 {
                node.parent
            } else {
                0
            })
        });
        std::iter::from_fn(move || {
            let (frame, outer) = self.frame(stack)?;
            stack = outer;
            Some(frame)
        })
    }

    /// The innermost frame of a stack, and the stack outside of it. Stacks share their outer
    /// parts, and a stack is always younger than what is outside of it.
    pub fn frame(&self, stack: StackId) -> Option<(RawFrame, StackId)> {
        let id = stack.0;
        let node = self.nodes.get(id).filter(|_| id != 0)?;
        let module = (node.kind == node_kind::NATIVE)
            .then(|| self.module_map.find(&self.modules, node.payload, id))
            .flatten();
        let code = match node.kind {
            node_kind::CODE => self.code_map.numbered(node.payload),
            node_kind::NATIVE if module.is_none() => self.code_map.find(node.payload, id),
            _ => None,
        };
        let kind = match node.kind {
            node_kind::NATIVE | node_kind::CODE => FrameKind::Native,
            node_kind::EMPTY => FrameKind::Empty,
            node_kind::TRUNCATED => FrameKind::Truncated(match node.payload {
                truncation::NO_RULE => Truncation::NoRule,
                truncation::OUT_OF_STACK => Truncation::OutOfStack,
                truncation::TOO_DEEP => Truncation::TooDeep,
                other => Truncation::Other(other),
            }),
            other => FrameKind::Unknown(other),
        };
        // Anything else is damage and would loop.
        let outer = StackId(if node.parent < id { node.parent } else { 0 });
        let frame = RawFrame {
            address: node.payload,
            module,
            code,
            kind,
        };
        Some((frame, outer))
    }

    /// Forgets all sites but those that are wanted, and their stacks. The totals stay.
    pub(crate) fn keep_sites(&mut self, wanted: &dyn Fn(&Site) -> bool) {
        self.sites.retain(wanted);
        self.sites.shrink_to_fit();
        self.site_of = (0u32..)
            .zip(&self.sites)
            .map(|(number, site)| (site.stack.0, number))
            .collect();
        let frees = self
            .bad_frees
            .iter()
            .flat_map(|free| [free.here, free.freed, free.made]);
        let sites = self.sites.iter().map(|site| site.stack).chain(frees);
        self.nodes
            .keep(sites.map(|stack| stack.0).chain(self.reach.stacks()));
    }

    /// The blocks that were never freed, in no order. Empty unless
    /// [`crate::Options::live_blocks`] was set.
    pub fn live_blocks(&self) -> impl Iterator<Item = LiveBlock> + '_ {
        self.live.iter().map(|(serial, block)| LiveBlock {
            ptr: block.ptr,
            size: Bytes(block.size),
            stack: StackId(block.stack),
            thread: ThreadId(block.thread),
            time: Nanos(self.clock.to_ns(block.time)),
            ignored: self.ignored.contains_key(&serial)
                || self
                    .nodes
                    .get(block.stack)
                    .is_some_and(|node| node.kind == node_kind::IGNORED),
        })
    }

    /// The mappings that were never removed, by address.
    pub fn mappings(&self) -> impl Iterator<Item = Mapping> + '_ {
        self.mappings.iter().map(|mapping| Mapping {
            start: mapping.start,
            len: Bytes(mapping.end - mapping.start),
            stack: StackId(mapping.stack),
            thread: ThreadId(mapping.thread),
            time: Nanos(self.clock.to_ns(mapping.time)),
        })
    }
}
