//! The loss account: what the record lacks, each in words that say what it means.

use heap::{Ending, Profile, SelfCheck, StopReason};

use crate::figures::{count, counted, percent};

/// The sums of some processes' loss, and what is to be said of each.
#[derive(Clone, Debug, Default)]
pub struct Loss {
    /// As in [`heap::Loss`].
    pub events_lost: u64,
    /// As in [`heap::Loss`].
    pub unwinds_truncated: u64,
    /// As in [`heap::Loss`].
    pub children_without_log: u64,
    /// As in [`heap::Loss`].
    pub unmatched_frees: u64,
    /// As in [`heap::Loss`].
    pub inherited_frees: u64,
    /// As in [`heap::Loss`].
    pub missed_frees: u64,
    /// As in [`heap::Loss`].
    pub selfcheck: SelfCheck,
    /// As in [`heap::Loss`].
    pub head_mismatches: u64,
    /// As in [`heap::Loss`].
    pub unknown_blocks: u64,
    /// Whether the figures at the peak are exact.
    pub peak_is_exact: bool,
    /// Damage of the logs, each in a line.
    pub damage: Vec<String>,
    /// Why recording ended before the program did, each in a line.
    pub stopped: Vec<String>,
    /// Allocators the hooks cannot see: program and allocator.
    pub unseen_allocators: Vec<(String, &'static str)>,
    /// Calls that bypass the hooks, and the recorder's own remarks.
    pub notes: Vec<String>,
    /// Captures, to compare the truncated ones with.
    captures: u64,
}

impl Loss {
    /// The account of some processes. `unseen` are allocators found in the programs.
    pub fn of(profiles: &[Profile], unseen: Vec<(String, &'static str)>) -> Loss {
        let mut all = Loss {
            unseen_allocators: unseen,
            peak_is_exact: true,
            ..Loss::default()
        };
        for profile in profiles {
            let loss = &profile.loss;
            all.events_lost += loss.events_lost;
            all.unwinds_truncated += loss.unwinds_truncated;
            all.unmatched_frees += loss.unmatched_frees;
            all.inherited_frees += loss.inherited_frees;
            all.missed_frees += loss.missed_frees;
            all.selfcheck.checked += loss.selfcheck.checked;
            all.selfcheck.disagreed += loss.selfcheck.disagreed;
            all.selfcheck.no_cfi += loss.selfcheck.no_cfi;
            all.head_mismatches += loss.head_mismatches;
            all.unknown_blocks += loss.unknown_blocks;
            all.peak_is_exact &= loss.peak_is_exact;
            all.damage
                .extend(loss.damage.iter().map(ToString::to_string));
            all.captures += profile.totals.allocations + profile.totals.reallocations;
            if let Ending::Stopped { reason } = profile.process.ending {
                all.stopped
                    .push(format!("process {}: {}", profile.process.pid, stop(reason)));
            }
            if loss.deepbind {
                all.note(format!(
                    "process {}: a library was loaded with RTLD_DEEPBIND: its calls of malloc may bypass the hooks",
                    profile.process.pid
                ));
            }
            // A program with an allocator of its own is named already.
            let exe = profile.process.exe.display().to_string();
            if loss.other_malloc_first
                && all
                    .unseen_allocators
                    .iter()
                    .all(|(program, _)| *program != exe)
            {
                all.note(format!(
                    "process {}: another malloc stands before libleak.so (a library that was preloaded before it?): \
                     what that hands out by itself is NOT in this report; put libleak.so first in LD_PRELOAD",
                    profile.process.pid
                ));
            }
            if loss.children_without_log > 0 {
                let children = match loss.children_without_log {
                    1 => "a fork child".to_owned(),
                    number => format!("{} fork children", count(number)),
                };
                all.note(format!(
                    "process {}: {children} could make no log: what happened there is in no report",
                    profile.process.pid
                ));
                all.children_without_log += loss.children_without_log;
            }
            for note in &loss.notes {
                all.note(note.clone());
            }
        }
        all
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The account in lines, the worst first; empty if nothing is missing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (program, allocator) in &self.unseen_allocators {
            lines.push(format!(
                "{program} has {allocator} linked in: what that hands out is NOT in this report"
            ));
        }
        lines.extend(
            self.stopped
                .iter()
                .map(|line| format!("{line}; what came later is missing")),
        );
        lines.extend(self.damage.iter().cloned());
        let mut say = |n: u64, line: String| {
            if n > 0 {
                lines.push(line);
            }
        };
        say(
            self.events_lost,
            format!(
                "{} lost: the figures are too small",
                counted(self.events_lost, "event")
            ),
        );
        say(
            self.unwinds_truncated,
            match self.captures {
                all if all >= self.unwinds_truncated => format!(
                    "{} of {} captured stacks ({}) cut short",
                    count(self.unwinds_truncated),
                    count(all),
                    percent(self.unwinds_truncated, all)
                ),
                _ => format!(
                    "{} cut short",
                    counted(self.unwinds_truncated, "captured stack")
                ),
            },
        );
        say(
            self.unmatched_frees,
            format!(
                "{} of blocks whose allocation was not seen",
                counted(self.unmatched_frees, "free")
            ),
        );
        say(
            self.missed_frees,
            format!(
                "{} freed unseen (the address was handed out again)",
                counted(self.missed_frees, "block")
            ),
        );
        say(
            self.selfcheck.disagreed,
            format!(
                "self-check: {} of {} compared stacks differ from the other unwinder's",
                count(self.selfcheck.disagreed),
                count(self.selfcheck.checked)
            ),
        );
        say(
            self.unknown_blocks,
            format!(
                "{} of blocks that the log does not have",
                counted(self.unknown_blocks, "event")
            ),
        );
        say(
            self.head_mismatches,
            format!(
                "{} of the log do not add up: please report this",
                counted(self.head_mismatches, "window")
            ),
        );
        if !self.peak_is_exact {
            lines.push("the sites' figures at the peak are of a moment near it".to_owned());
        }
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

fn stop(reason: StopReason) -> &'static str {
    match reason {
        StopReason::NoSpace => "recording stopped: no space left for the log",
        StopReason::Unreachable => "recording stopped: the log could not be opened again",
        StopReason::Filtered => "recording stopped: a system-call filter was in force",
        StopReason::Stacks => "recording stopped: the table of stacks is full",
        StopReason::Stuck => "recording stopped: a thread held the recorder up for too long",
        StopReason::AddressSpace => {
            "nothing recorded: the limit of the address space (ulimit -v) is below 320 MiB"
        }
        StopReason::None => "recording stopped",
    }
}
