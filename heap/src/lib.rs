//! What a log means: the live set, the peak, the time line, the loss account.
//!
//! [`replay()`] reads one log and gives one [`Profile`]; [`aggregate`] merges the
//! sites of one or many profiles by any key the caller makes out of frames
//! (after symbolization: function, file, module, whole stack). Nothing here
//! prints, and nothing here knows about symbols.
//!
//! ```no_run
//! # fn main() -> Result<(), heap::Error> {
//! let profile = heap::replay("app.1234.leak".as_ref(), &heap::Options::default())?;
//! println!("{} bytes live", profile.totals.live_bytes);
//! for site in profile.sites() {            // most live bytes first
//!     for frame in profile.frames(site.stack) {   // innermost first
//!         if let Some(id) = frame.module {
//!             let module = profile.module(id);
//!             let in_file = frame.address.wrapping_sub(1).wrapping_sub(module.bias);
//!             println!("{} {:#x}", module.path.display(), in_file);
//!         }
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! The whole surface:
//!
//! ```text
//! replay(&Path, &Options) -> Result<Profile, Error>
//! replay_all(&[PathBuf], &Options) -> Vec<Result<Profile, Error>>   // same order as the paths
//! find_logs(&Path) -> Result<Vec<PathBuf>, Error>                   // a file: itself; a folder: the logs in it
//! origin(&Path) -> Result<Origin, Error>                            // by the header alone
//! is_log(&Path) -> bool
//! aggregate(&[Profile], |profile_index, &Profile, &Site| Option<K>) -> Vec<Group<K>>  // None: leave the site out
//!
//! judge(&[Profile], &[Group<K>], |group number| Option<bool> /* reachable? */) -> Vec<Option<Growth>>  // with Options::growth
//!
//! Origin { pid, ppid: u32, log_id, parent_log_id: [u8; 16] }
//! Options { live_blocks: bool, growth: Option<WarmUp { Detected, Given(Nanos) }>,
//!           keep: Option<&(dyn Fn(&Site) -> bool + Sync)> /* KeepSite */,
//!           progress: Option<&(dyn Fn(&Path, Progress) + Sync)> /* OnProgress */ }   Default
//! Progress { done: Bytes, total: Bytes }                            // of this log's content
//!
//! gate: which of what was not freed counts against a run
//!
//! Profile { path: PathBuf, process: Process, totals: Totals, loss: Loss, checks: Checks,
//!           modules: Vec<Module>, threads: Vec<Thread>, timeline: Vec<Point>, clock: Clock }
//!   .sites() -> &[Site]                    .site(StackId) -> Option<&Site>
//!   .frames(StackId) -> impl Iterator<Item = RawFrame>   .frame(StackId) -> Option<(RawFrame, StackId /* outside of it */)>
//!   .module(ModuleId) -> &Module           .thread(ThreadId) -> Option<&Thread>
//!   .live_blocks() -> impl Iterator<Item = LiveBlock>   // only with Options::live_blocks
//!   .mappings() -> impl Iterator<Item = Mapping>
//!   .reach: Reach { search: Search, totals: Classes, unjudged: Tally }
//!     .is_known() -> bool    .site(StackId) -> Option<&SiteReach>    .path(StackId) -> Vec<Step>
//!
//! Process { pid, ppid: u32, exe, cwd: PathBuf, argv: Vec<OsString>, parent_log: Option<PathBuf>,
//!           log_id, parent_log_id: [u8; 16], fork_child: bool, started: SystemTime, duration: Nanos,
//!           ending: Ending }
//! Ending { Killed (or still running), Signal { signal: u8 }, Exited { status: u8 }, Exec, Stopped { reason: StopReason } }
//! Totals { allocations, frees, reallocations: u64, allocated_bytes: Bytes, live_blocks: u64,
//!          live_bytes: Bytes, peak_bytes: Bytes, peak_time: Nanos, temporary: u64,
//!          mappings: u64, mapped_bytes: Bytes, ignored_blocks: u64, ignored_bytes: Bytes }
//! Loss { events_lost, unwinds_truncated, unmatched_frees, inherited_frees, missed_frees: u64,
//!        selfcheck: SelfCheck { checked, disagreed, no_cfi }, disagreements: Vec<Disagreement>,
//!        damage: Vec<Damage /* Display: one line */>, notes: Vec<String>, deepbind, other_malloc_first, filtered: bool,
//!        peak_is_exact: bool, unknown_blocks, head_mismatches: u64 }
//! Site { stack: StackId, figures: Figures, threads: Vec<ThreadId> /* of its live blocks */ }
//! Figures { blocks, bytes: Bytes, allocations, reallocations, allocated_bytes: Bytes,
//!           peak_blocks, peak_bytes: Bytes, temporary, lifetimes: [u64; 8],
//!           ignored_blocks, ignored_bytes: Bytes }
//! Group<K> { key: K, figures: Figures, threads: u64, sites: Vec<(usize /* profile */, StackId)> }
//! RawFrame { address: u64 /* run-time return address */, module: Option<ModuleId>, code: Option<CodeId>, kind: FrameKind }
//! FrameKind { Native, Truncated(Truncation), Empty, Unknown(u32) }
//! Module { path: PathBuf, build_id: Vec<u8>, bias, start, end: u64, first_node: u32, end_node: Option<u32>,
//!          loaded: Nanos, unloaded: Option<Nanos> }
//! Code { start, end: u64, first_node: u32, name: String }             // made at run time
//! Thread { id: ThreadId, tid: u32, name: String, ended: bool }
//! Point { time: Nanos, live_bytes: Bytes, live_blocks: u64 }          // at most ~1000, in order
//! Checks { suppressions, options: String, off: bool, asked: Vec<Nanos>, unanswered: u64 }
//! LiveBlock { ptr: u64, size: Bytes, stack: StackId, thread: ThreadId, time: Nanos, ignored: bool }
//! Mapping { start, len, stack: StackId, thread: ThreadId, time: Nanos }
//! Bytes(pub u64), Nanos(pub u64), StackId(pub u32), ThreadId(pub u32), ModuleId(pub u32), CodeId(pub u32)
//! Error = log_format::error::Error      // Display: one line: what, where, what to do
//! ```
//! All public fields can be read; a profile is made by [`replay()`] only. Times ([`Nanos`]) count from the start of recording.
#![deny(missing_docs)]

mod aggregate;
mod codes;
pub mod gate;
mod growth;
mod ignored;
pub mod js;
mod live;
mod mappings;
mod marks;
mod memory;
mod modules;
mod nodes;
mod origin;
pub mod patterns;
mod profile;
mod reach;
mod read;
mod replay;
mod sites;
mod tail;
mod timeline;
pub mod trend;
mod units;

pub use aggregate::{Group, aggregate};
pub use codes::Code;
pub use growth::{AGE_CLASSES, Ages, Growth, PARTS, Verdict, judge};
pub use js::{COLLECTION_NAMES, JsHeap};
pub use log_format::error::{Damage, Error};
pub use log_format::layout::StopReason;
pub use log_format::reach::{Class, Outcome, RootKind, Summary};
pub use log_format::reader::Clock;
pub use log_format::window::LIFETIMES;
pub use marks::{Cause, Mark, Marked};
pub use memory::{Memory, Pinning, Split};
pub use origin::{Origin, is_log, origin};
pub use profile::{
    Checks, Disagreement, Ending, Figures, FrameKind, LeakCheck, LiveBlock, Loss, Mapping, Module,
    Point, Process, Profile, RawFrame, SelfCheck, Site, Teardown, Thread, Totals, Truncation,
};
pub use reach::{Classes, Reach, Search, SiteReach, Step, Tally};
pub use read::{KeepSite, OnProgress, Options, Progress, WarmUp, find_logs, replay, replay_all};
pub use timeline::TIMELINE_POINTS;
pub use trend::{Rule, Trend, trend};
pub use units::{Bytes, CodeId, ModuleId, Nanos, StackId, ThreadId};
