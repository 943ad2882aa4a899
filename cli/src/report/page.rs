//! What a report says, apart from how it is printed: plain data for the printers.

use std::path::Path;

use heap::patterns::Pattern;
use heap::{Figures, Growth, Profile, SiteReach};

use super::reach::Named;

/// A frame, with what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Run-time return address; `None` in merged sites.
    pub address: Option<u64>,
    /// The address of the call in the module's file.
    pub offset: u64,
    /// The file it is in.
    pub module: Option<&'a Path>,
    /// Demangled name.
    pub function: Option<&'a str>,
    /// Source file.
    pub file: Option<&'a str>,
    /// Line in it.
    pub line: Option<u32>,
    /// Whether it was inlined into the next one.
    pub inlined: bool,
    /// Whether others that are not told may have been inlined into it, by V8.
    pub inlining: bool,
}

impl Frame<'_> {
    /// File name of the module.
    pub fn module_name(&self) -> Option<&str> {
        self.module?.file_name()?.to_str()
    }
}

/// One site, or several merged.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Its figures.
    pub figures: Figures,
    /// How it grew, if that was asked for and it has blocks left.
    pub growth: Option<&'a Growth>,
    /// Threads that made its live blocks.
    pub threads: u64,
    /// Distinct stacks in it.
    pub stacks: u64,
    /// Processes that have it.
    pub processes: u64,
    /// Innermost first, without the allocator's frames.
    pub frames: Vec<Frame<'a>>,
    /// Other stacks that have some of it, of which only the common part is in `frames`.
    pub other_ways: u64,
    /// Why there are no more frames, if they end early.
    pub cut: Option<&'static str>,
    /// What its blocks' classes are, if that is known.
    pub reach: Option<SiteReach>,
    /// What it looks like, where there is evidence.
    pub pattern: Option<Pattern>,
    /// What leads to one of its blocks.
    pub path: &'a [Named],
}

/// Sums over the processes of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// As in [`heap::Totals`].
    pub allocations: u64,
    /// As in [`heap::Totals`].
    pub frees: u64,
    /// As in [`heap::Totals`].
    pub reallocations: u64,
    /// Bytes.
    pub allocated_bytes: u64,
    /// As in [`heap::Totals`].
    pub live_blocks: u64,
    /// Bytes.
    pub live_bytes: u64,
    /// Bytes; the sum of each process's own peak.
    pub peak_bytes: u64,
    /// Bytes live when a runtime was torn down; of processes without one, at the end.
    pub teardown_bytes: u64,
    /// Bytes and blocks of those that had one, if any had.
    pub teardown: Option<(u64, u64)>,
    /// As in [`heap::Totals`].
    pub temporary: u64,
    /// As in [`heap::Totals`].
    pub ignored_blocks: u64,
    /// Bytes.
    pub ignored_bytes: u64,
}

impl Sums {
    /// The sums over some processes.
    pub fn of(profiles: &[Profile]) -> Sums {
        let mut sums = Sums::default();
        for totals in profiles.iter().map(|profile| &profile.totals) {
            sums.allocations += totals.allocations;
            sums.frees += totals.frees;
            sums.reallocations += totals.reallocations;
            sums.allocated_bytes += totals.allocated_bytes.0;
            sums.live_blocks += totals.live_blocks;
            sums.live_bytes += totals.live_bytes.0;
            sums.peak_bytes += totals.peak_bytes.0;
            match totals.teardown {
                None => sums.teardown_bytes += totals.live_bytes.0,
                Some(teardown) => {
                    let (bytes, blocks) = sums.teardown.unwrap_or_default();
                    let more = (teardown.live_bytes.0, teardown.live_blocks);
                    sums.teardown_bytes += more.0;
                    sums.teardown = Some((bytes + more.0, blocks + more.1));
                }
            }
            sums.temporary += totals.temporary;
            sums.ignored_blocks += totals.ignored_blocks;
            sums.ignored_bytes += totals.ignored_bytes.0;
        }
        sums
    }
}
