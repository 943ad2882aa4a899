//! Sites and wrong frees, with their frames.

use heap::patterns::Wrong;
use heap::{Class, Classes, Tally};
use serde::Serialize;
use serde::ser::Serializer;

use super::super::growth::JsonGrowth;
use super::super::names::Names;
use super::super::page::{self, Frame};
use super::super::reach::{Named, class_name};
use super::super::view::View;

#[derive(Clone, Copy, Serialize)]
pub(super) struct Amount {
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct ByClass {
    unreachable: Amount,
    indirect: Amount,
    possible: Amount,
    reachable: Amount,
}

/// A step of a chain of pointers.
#[derive(Serialize)]
pub(super) struct PathStep<'a> {
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
pub(super) struct Site<'a> {
    blocks: u64,
    bytes: u64,
    allocations: u64,
    reallocations: u64,
    allocated_bytes: u64,
    peak_blocks: u64,
    peak_bytes: u64,
    teardown_blocks: u64,
    teardown_bytes: u64,
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
pub(super) struct JsonPattern {
    kind: &'static str,
    description: String,
    advice: &'static str,
}

#[derive(Serialize)]
pub(super) struct BadFree<'a> {
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
pub(super) struct JsonFrame<'a> {
    address: Option<u64>,
    module: Option<String>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    inlined: bool,
    inlining: bool,
}

/// The sites are made one by one while they are written.
pub(super) struct Sites<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) names: &'a Names,
}

impl Serialize for Sites<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.view.sites(self.names).map(Site::from))
    }
}

/// Frees that were wrong.
pub(super) fn bad_frees<'a>(view: &'a View<'_>, names: &'a Names) -> Vec<BadFree<'a>> {
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
            teardown_blocks: figures.teardown_blocks,
            teardown_bytes: figures.teardown_bytes.0,
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

/// The classes' totals.
pub(super) fn by_class(classes: &Classes) -> ByClass {
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

impl<'a> From<&Frame<'a>> for JsonFrame<'a> {
    fn from(frame: &Frame<'a>) -> JsonFrame<'a> {
        JsonFrame {
            address: frame.address,
            module: frame.module.map(|path| path.to_string_lossy().into_owned()),
            function: frame.function,
            file: frame.file,
            line: frame.line,
            inlined: frame.inlined,
            inlining: frame.inlining,
        }
    }
}
