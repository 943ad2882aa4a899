//! The report for programs. The schema is in `docs/report-schema.md`; a change there that is
//! more than a new field is a new number here.

use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use heap::patterns::Wrong;
use heap::{Class, Classes, Ending, Profile, StopReason, Tally};
use serde::Serialize;
use serde::ser::Serializer;
use serde_json::ser::Formatter;

use super::checks::JsonCheck;
use super::growth::{self, JsonGrowth};
use super::js::JsonJsHeap;
use super::loss::Loss;
use super::marks::JsonMark;
use super::memory::JsonMemory;
use super::names::Names;
use super::page::{self, Frame, Sums};
use super::reach::{self, Named, class_name};
use super::view::View;
use super::{Options, Subject};
use crate::flags::{Merge, Sort};

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
    stop_reason: Option<&'static str>,
    live_blocks: u64,
    live_bytes: u64,
    peak_bytes: u64,
    threads: Vec<Thread<'a>>,
    checks: Vec<JsonCheck>,
    memory: Option<JsonMemory>,
    js_heaps: Vec<JsonJsHeap>,
    marks: Vec<JsonMark<'a>>,
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

#[derive(Clone, Copy, Serialize)]
struct Amount {
    blocks: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Serialize)]
struct ByClass {
    unreachable: Amount,
    indirect: Amount,
    possible: Amount,
    reachable: Amount,
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

/// A step of a chain of pointers.
#[derive(Serialize)]
struct PathStep<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    module: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    object: Option<&'a str>,
    offset: Option<u64>,
    address: u64,
    size: u64,
    thread: Option<u32>,
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

#[derive(Serialize)]
struct Site<'a> {
    blocks: u64,
    bytes: u64,
    allocations: u64,
    reallocations: u64,
    allocated_bytes: u64,
    peak_blocks: u64,
    peak_bytes: u64,
    temporary: u64,
    ignored_blocks: u64,
    ignored_bytes: u64,
    threads: u64,
    stacks: u64,
    processes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<JsonGrowth>,
    class: Option<&'static str>,
    classes: Option<ByClass>,
    retained_blocks: u64,
    retained_bytes: u64,
    path: Vec<PathStep<'a>>,
    pattern: Option<JsonPattern>,
    cut: Option<&'static str>,
    frames: Vec<JsonFrame<'a>>,
}

#[derive(Serialize)]
struct JsonPattern {
    kind: &'static str,
    description: String,
    advice: &'static str,
}

#[derive(Serialize)]
struct BadFree<'a> {
    kind: &'static str,
    pid: u32,
    thread: u32,
    time_ns: u64,
    address: u64,
    size: Option<u64>,
    given_size: Option<u64>,
    made_by: Option<&'static str>,
    freed_by: &'static str,
    description: String,
    advice: &'static str,
    freed_here: Vec<JsonFrame<'a>>,
    freed_before: Vec<JsonFrame<'a>>,
    made: Vec<JsonFrame<'a>>,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    address: Option<u64>,
    module: Option<String>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    inlined: bool,
}

/// The sites are made one by one while they are written.
struct Sites<'a> {
    view: &'a View<'a>,
    names: &'a Names,
}

impl Serialize for Sites<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.view.sites(self.names).map(Site::from))
    }
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
            Subject::Temporary => "temporary",
            Subject::Growing => "growing",
        },
        merge: match options.merge {
            Merge::Stack => "stack",
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
            Ending::Killed => ("killed_or_running", None, None),
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
            stop_reason,
            live_blocks: profile.totals.live_blocks,
            live_bytes: profile.totals.live_bytes.0,
            peak_bytes: profile.totals.peak_bytes.0,
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

fn bad_frees<'a>(view: &'a View<'_>, names: &'a Names) -> Vec<BadFree<'a>> {
    let all = view
        .profiles
        .iter()
        .enumerate()
        .flat_map(|(number, profile)| {
            profile
                .bad_frees
                .iter()
                .map(move |free| (number, profile.process.pid, free))
        });
    all.map(|(number, pid, free)| {
        let frames = |stack| {
            view.stack(number, stack, names)
                .0
                .iter()
                .map(JsonFrame::from)
                .collect()
        };
        let known = free.wrong != Wrong::Unmatched;
        BadFree {
            kind: free.wrong.name(),
            pid,
            thread: free.thread.0,
            time_ns: free.time.0,
            address: free.ptr,
            size: known.then_some(free.size.0),
            given_size: match free.wrong {
                Wrong::Size { given } => Some(given.0),
                _ => None,
            },
            made_by: known.then(|| free.made_by.makes()),
            freed_by: free.freed_by.frees(),
            description: free.to_string(),
            advice: free.advice(),
            freed_here: frames(free.here),
            freed_before: frames(free.freed),
            made: frames(free.made),
        }
    })
    .collect()
}

impl<'a> From<page::Site<'a>> for Site<'a> {
    fn from(site: page::Site<'a>) -> Site<'a> {
        let figures = &site.figures;
        Site {
            blocks: figures.blocks,
            bytes: figures.bytes.0,
            allocations: figures.allocations,
            reallocations: figures.reallocations,
            allocated_bytes: figures.allocated_bytes.0,
            peak_blocks: figures.peak_blocks,
            peak_bytes: figures.peak_bytes.0,
            temporary: figures.temporary,
            ignored_blocks: figures.ignored_blocks,
            ignored_bytes: figures.ignored_bytes.0,
            threads: site.threads,
            stacks: site.stacks,
            processes: site.processes,
            growth: site.growth.map(JsonGrowth::from),
            class: site
                .reach
                .and_then(|reach| reach.classes.worst())
                .map(class_name),
            classes: site.reach.map(|reach| by_class(&reach.classes)),
            retained_blocks: site.reach.map_or(0, |reach| reach.retained.blocks),
            retained_bytes: site.reach.map_or(0, |reach| reach.retained.bytes.0),
            path: site.path.iter().map(PathStep::from).collect(),
            pattern: site.pattern.map(|pattern| JsonPattern {
                kind: pattern.name(),
                description: pattern.to_string(),
                advice: pattern.advice(),
            }),
            cut: site.cut,
            frames: site.frames.iter().map(JsonFrame::from).collect(),
        }
    }
}

impl<'a> From<&'a Named> for PathStep<'a> {
    fn from(step: &'a Named) -> PathStep<'a> {
        PathStep {
            kind: step.kind.name(),
            name: step.name.as_deref(),
            module: step.module.as_deref(),
            file: step.file.as_deref(),
            line: step.line,
            object: step.object.as_deref(),
            offset: step.offset,
            address: step.address,
            size: step.size,
            thread: step.thread.as_ref().map(|(tid, _)| *tid),
        }
    }
}

fn by_class(classes: &Classes) -> ByClass {
    let amount = |class| Amount::from(classes.of(class));
    ByClass {
        unreachable: amount(Class::Unreachable),
        indirect: amount(Class::Indirect),
        possible: amount(Class::Possible),
        reachable: amount(Class::Reachable),
    }
}

impl From<Tally> for Amount {
    fn from(tally: Tally) -> Amount {
        Amount {
            blocks: tally.blocks,
            bytes: tally.bytes.0,
        }
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

impl<'a> From<&Frame<'a>> for JsonFrame<'a> {
    fn from(frame: &Frame<'a>) -> JsonFrame<'a> {
        JsonFrame {
            address: frame.address,
            module: frame.module.map(|path| path.to_string_lossy().into_owned()),
            function: frame.function,
            file: frame.file,
            line: frame.line,
            inlined: frame.inlined,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
