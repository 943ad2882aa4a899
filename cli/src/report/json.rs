//! The report for programs. The schema is in `docs/report-schema.md`; a change there that is
//! more than a new field is a new number here.

mod site;

use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use heap::{Ending, Profile, StopReason};
use serde::Serialize;
use serde_json::ser::Formatter;

use super::checks::JsonCheck;
use super::growth;
use super::js::JsonJsHeap;
use super::loss::Loss;
use super::marks::JsonMark;
use super::memory::JsonMemory;
use super::names::Names;
use super::page::Sums;
use super::reach;
use super::view::View;
use super::{Options, Subject};
use crate::flags::{Merge, Sort};
use site::{Amount, BadFree, ByClass, Sites, bad_frees, by_class};

/// Version of the schema.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    subject: &'static str,
    merge: &'static str,
    sort: &'static str,
    process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    processes: Vec<Process<'a>>,
    totals: Totals,
    leaks: Option<Leaks>,
    loss: LossAccount<'a>,
    modules: Vec<Module>,
    bad_frees: Vec<BadFree<'a>>,
    sites: Sites<'a>,
}

#[derive(Clone, Serialize)]
struct Process<'a> {
    pid: u32,
    ppid: u32,
    exe: String,
    cwd: String,
    argv: Vec<String>,
    log: String,
    log_id: String,
    parent_log_id: Option<String>,
    fork_child: bool,
    started_unix_ns: u64,
    duration_ns: u64,
    ending: &'static str,
    exit_status: Option<u8>,
    signal: Option<u8>,
    stop_reason: Option<&'static str>,
    live_blocks: u64,
    live_bytes: u64,
    peak_bytes: u64,
    teardown: Option<JsonTeardown>,
    threads: Vec<Thread<'a>>,
    checks: Vec<JsonCheck>,
    memory: Option<JsonMemory>,
    js_heaps: Vec<JsonJsHeap>,
    marks: Vec<JsonMark<'a>>,
}

#[derive(Clone, Serialize)]
struct JsonTeardown {
    time_ns: u64,
    live_blocks: u64,
    live_bytes: u64,
}

#[derive(Clone, Serialize)]
struct Thread<'a> {
    id: u32,
    tid: u32,
    name: &'a str,
}

#[derive(Serialize)]
struct Totals {
    allocations: u64,
    frees: u64,
    reallocations: u64,
    allocated_bytes: u64,
    live_blocks: u64,
    live_bytes: u64,
    peak_bytes: u64,
    peak_time_ns: Option<u64>,
    temporary: u64,
    mappings: u64,
    mapped_bytes: u64,
    ignored_blocks: u64,
    ignored_bytes: u64,
    sites: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize)]
struct Leaks {
    #[serde(flatten)]
    classes: ByClass,
    not_judged: Amount,
    processes: u64,
    search_ns: u64,
    searched_bytes: u64,
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct LossAccount<'a> {
    events_lost: u64,
    unwinds_truncated: u64,
    children_without_log: u64,
    unmatched_frees: u64,
    inherited_frees: u64,
    missed_frees: u64,
    selfcheck: SelfCheck<'a>,
    unseen_allocators: Vec<Unseen<'a>>,
    stopped: &'a [String],
    damage: &'a [String],
    notes: &'a [String],
    peak_is_exact: bool,
    unknown_blocks: u64,
    window_mismatches: u64,
}

#[derive(Serialize)]
struct SelfCheck<'a> {
    checked: u64,
    disagreed: u64,
    no_unwind_information: u64,
    disagreements: Vec<Disagreement<'a>>,
}

#[derive(Serialize)]
struct Disagreement<'a> {
    ours: &'a [u64],
    theirs: &'a [u64],
}

#[derive(Serialize)]
struct Unseen<'a> {
    program: &'a str,
    allocator: &'a str,
}

#[derive(Serialize)]
struct Module {
    path: String,
    build_id: Option<String>,
    names: &'static str,
    problem: Option<String>,
}

/// Writes one report.
pub fn print(
    out: &mut impl Write,
    view: &View<'_>,
    loss: &Loss,
    names: &Names,
    options: &Options,
) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Lines::default());
    report(view, loss, names, options)
        .serialize(&mut serializer)
        .map_err(io::Error::from)
}

/// Compact, but for a line break before each element of the report's own arrays: a site is a
/// line, which `grep`, `diff` and a pager can work with.
#[derive(Default)]
struct Lines {
    depth: u32,
}

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(b"}")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(match (first, self.depth) {
            (true, 1) => b"\n",
            (false, 1) => b",\n",
            (true, _) => b"",
            (false, _) => b",",
        })
    }
}

fn report<'a>(
    view: &'a View<'a>,
    loss: &'a Loss,
    names: &'a Names,
    options: &Options,
) -> Report<'a> {
    let mut processes: Vec<Process<'a>> = view.profiles.iter().map(Process::from).collect();
    for (number, process) in processes.iter_mut().enumerate() {
        process.memory = JsonMemory::of(view, number, names);
    }
    let first = processes.first().cloned();
    if processes.len() == 1 {
        processes.clear();
    }
    Report {
        schema: SCHEMA,
        subject: match options.subject {
            Subject::End => "end",
            Subject::Peak => "peak",
            Subject::Teardown => "teardown",
            Subject::Temporary => "temporary",
            Subject::Growing => "growing",
        },
        merge: match options.merge {
            Merge::Stack => "stack",
            Merge::Place => "place",
            Merge::Function => "function",
            Merge::File => "file",
            Merge::Module => "module",
        },
        sort: match options.sort {
            Sort::Bytes => "bytes",
            Sort::Blocks => "blocks",
            Sort::Allocations => "allocations",
            Sort::Temporary => "temporary",
            Sort::Peak => "peak",
            Sort::Allocated => "allocated",
        },
        process: first,
        processes,
        totals: totals(
            view,
            (options.subject == Subject::Growing).then(|| growth::counts(&view.verdicts)),
        ),
        leaks: leaks(view),
        loss: account(view.profiles, loss),
        modules: modules(view, names),
        bad_frees: bad_frees(view, names),
        sites: Sites { view, names },
    }
}

fn totals(view: &View<'_>, verdicts: Option<serde_json::Map<String, serde_json::Value>>) -> Totals {
    let sums = Sums::of(view.profiles);
    let only = match view.profiles {
        [only] => Some(only),
        _ => None,
    };
    Totals {
        allocations: sums.allocations,
        frees: sums.frees,
        reallocations: sums.reallocations,
        allocated_bytes: sums.allocated_bytes,
        live_blocks: sums.live_blocks,
        live_bytes: sums.live_bytes,
        peak_bytes: sums.peak_bytes,
        peak_time_ns: only.map(|profile| profile.totals.peak_time.0),
        temporary: sums.temporary,
        mappings: view
            .profiles
            .iter()
            .map(|profile| profile.totals.mappings)
            .sum(),
        mapped_bytes: view
            .profiles
            .iter()
            .map(|profile| profile.totals.mapped_bytes.0)
            .sum(),
        ignored_blocks: sums.ignored_blocks,
        ignored_bytes: sums.ignored_bytes,
        sites: view.all.sites,
        verdicts,
    }
}

fn account<'a>(profiles: &'a [Profile], loss: &'a Loss) -> LossAccount<'a> {
    let disagreements = profiles
        .iter()
        .flat_map(|profile| &profile.loss.disagreements);
    LossAccount {
        events_lost: loss.events_lost,
        unwinds_truncated: loss.unwinds_truncated,
        children_without_log: loss.children_without_log,
        unmatched_frees: loss.unmatched_frees,
        inherited_frees: loss.inherited_frees,
        missed_frees: loss.missed_frees,
        selfcheck: SelfCheck {
            checked: loss.selfcheck.checked,
            disagreed: loss.selfcheck.disagreed,
            no_unwind_information: loss.selfcheck.no_cfi,
            disagreements: disagreements
                .map(|d| Disagreement {
                    ours: &d.ours,
                    theirs: &d.theirs,
                })
                .collect(),
        },
        unseen_allocators: loss
            .unseen_allocators
            .iter()
            .map(|(program, allocator)| Unseen { program, allocator })
            .collect(),
        stopped: &loss.stopped,
        damage: &loss.damage,
        notes: &loss.notes,
        peak_is_exact: loss.peak_is_exact,
        unknown_blocks: loss.unknown_blocks,
        window_mismatches: loss.head_mismatches,
    }
}

fn modules(view: &View<'_>, names: &Names) -> Vec<Module> {
    let known = view
        .modules_shown(names)
        .into_iter()
        .filter_map(|number| names.module(number));
    known
        .map(|known| Module {
            path: known.module.path.to_string_lossy().into_owned(),
            build_id: known.module.build_id.as_deref().map(hex),
            names: match known.detail {
                Some(symbolizer::Detail::Lines) => "lines",
                Some(symbolizer::Detail::Functions) => "functions",
                Some(symbolizer::Detail::Exports) => "exports",
                Some(symbolizer::Detail::Nothing) | None => "none",
            },
            problem: known.problem.as_ref().map(ToString::to_string),
        })
        .collect()
}

impl<'a> From<&'a Profile> for Process<'a> {
    fn from(profile: &'a Profile) -> Process<'a> {
        let process = &profile.process;
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        let (ending, exit_status, stop_reason) = match process.ending {
            Ending::Killed | Ending::Signal { .. } => ("killed_or_running", None, None),
            Ending::Exited { status } => ("exited", Some(status), None),
            Ending::Exec => ("exec", None, None),
            Ending::Stopped { reason } => ("recording_stopped", None, Some(stop(reason))),
        };
        Process {
            pid: process.pid,
            ppid: process.ppid,
            exe: text(&process.exe),
            cwd: text(&process.cwd),
            argv: process
                .argv
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            log: text(&profile.path),
            log_id: hex(&process.log_id),
            parent_log_id: process
                .parent_log_id
                .iter()
                .any(|&byte| byte != 0)
                .then(|| hex(&process.parent_log_id)),
            fork_child: process.fork_child,
            started_unix_ns: process
                .started
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            duration_ns: process.duration.0,
            ending,
            exit_status,
            signal: match process.ending {
                Ending::Signal { signal } => Some(signal),
                _ => None,
            },
            stop_reason,
            live_blocks: profile.totals.live_blocks,
            live_bytes: profile.totals.live_bytes.0,
            peak_bytes: profile.totals.peak_bytes.0,
            teardown: profile.totals.teardown.map(|teardown| JsonTeardown {
                time_ns: teardown.time.0,
                live_blocks: teardown.live_blocks,
                live_bytes: teardown.live_bytes.0,
            }),
            memory: None,
            js_heaps: profile.js_heaps.iter().map(JsonJsHeap::from).collect(),
            checks: profile.checks.asked.iter().map(JsonCheck::from).collect(),
            marks: JsonMark::all(profile),
            threads: profile
                .threads
                .iter()
                .map(|thread| Thread {
                    id: thread.id.0,
                    tid: thread.tid,
                    name: &thread.name,
                })
                .collect(),
        }
    }
}

fn stop(reason: StopReason) -> &'static str {
    match reason {
        StopReason::None => "not_known",
        StopReason::NoSpace => "no_space",
        StopReason::Unreachable => "log_unreachable",
        StopReason::Filtered => "system_call_filter",
        StopReason::Stacks => "stack_table_full",
        StopReason::Stuck => "lock_held_too_long",
        StopReason::AddressSpace => "address_space_limit",
    }
}

/// `None` if it is known of no process.
fn leaks(view: &View<'_>) -> Option<Leaks> {
    let sums = reach::Sums::of(view.profiles);
    (sums.known > 0 || !sums.remarks.is_empty()).then(|| Leaks {
        classes: by_class(&sums.classes),
        not_judged: sums.unjudged.into(),
        processes: sums.known,
        search_ns: sums.ns,
        searched_bytes: sums.scanned,
        remarks: sums.remarks,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
