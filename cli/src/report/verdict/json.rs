//! A verdict as JSON; the schema is in `docs/report-schema.md`.

use std::io::{self, Write};

use heap::gate::{Amount, Status, Sum};
use serde::Serialize;

use super::super::page::Frame;
use super::text::describe;
use super::{Page, status_name};

/// Version of the schema.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    check: Check<'a>,
    leaks: Vec<Leak<'a>>,
    suppressions: Vec<Suppression<'a>>,
    logs: Vec<String>,
    loss: &'a [String],
    notes: &'a [String],
}

#[derive(Serialize)]
struct Check<'a> {
    program: &'a str,
    failed: bool,
    fail_on: String,
    baseline: bool,
    counted: Sums,
    known: Sums,
    suppressed: Sums,
    spared: Sums,
    ignored: Blocks,
}

#[derive(Serialize)]
struct Sums {
    leaks: u64,
    blocks: u64,
    bytes: u64,
}

impl From<Sum> for Sums {
    fn from(sum: Sum) -> Sums {
        Sums {
            leaks: sum.leaks,
            blocks: sum.amount.blocks,
            bytes: sum.amount.bytes,
        }
    }
}

#[derive(Serialize)]
struct Blocks {
    blocks: u64,
    bytes: u64,
}

impl From<Amount> for Blocks {
    fn from(amount: Amount) -> Blocks {
        Blocks {
            blocks: amount.blocks,
            bytes: amount.bytes,
        }
    }
}

#[derive(Serialize)]
struct Leak<'a> {
    id: String,
    status: &'static str,
    class: Option<&'static str>,
    growing: bool,
    blocks: u64,
    bytes: u64,
    before: Option<Blocks>,
    suppression: Option<usize>,
    frames: Vec<JsonFrame<'a>>,
}

#[derive(Serialize)]
struct JsonFrame<'a> {
    module: Option<String>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    inlined: bool,
}

#[derive(Serialize)]
struct Suppression<'a> {
    name: &'a str,
    source: String,
    line: usize,
    reason: Option<&'static str>,
    leaks: u64,
    blocks: u64,
    bytes: u64,
    text: String,
}

/// Prints it.
pub fn print(out: &mut dyn Write, page: &Page<'_>) -> io::Result<()> {
    let verdict = page.verdict;
    let report = Report {
        schema: SCHEMA,
        check: Check {
            program: page.program,
            failed: verdict.failed,
            fail_on: page.policy.fail_on.to_string(),
            baseline: page.with_baseline,
            counted: verdict.counted.into(),
            known: verdict.known.into(),
            suppressed: verdict.suppressed.into(),
            spared: verdict.spared.into(),
            ignored: page.ignored.into(),
        },
        leaks: leaks(page),
        suppressions: page
            .suppressions
            .all()
            .iter()
            .map(|one| Suppression {
                name: &one.name,
                source: one.source.to_string(),
                line: one.line,
                reason: one.reason,
                leaks: one.hits.leaks,
                blocks: one.hits.amount.blocks,
                bytes: one.hits.amount.bytes,
                text: describe(one),
            })
            .collect(),
        logs: page
            .profiles
            .iter()
            .map(|profile| profile.path.display().to_string())
            .collect(),
        loss: &page.loss,
        notes: &page.notes,
    };
    serde_json::to_writer(&mut *out, &report)?;
    writeln!(out)
}

fn leaks<'a>(page: &'a Page<'_>) -> Vec<Leak<'a>> {
    let leaks = page.verdict.findings.iter().map(|finding| {
        let leak = &finding.leak;
        Leak {
            id: finding.identity.to_string(),
            status: status_name(finding.status),
            class: leak.class.map(super::super::reach::class_name),
            growing: leak.growing,
            blocks: leak.amount.blocks,
            bytes: leak.amount.bytes,
            before: match finding.status {
                Status::Known(before) => Some(before.into()),
                _ => None,
            },
            suppression: match finding.status {
                Status::Suppressed(place) => Some(place),
                _ => None,
            },
            frames: page
                .site(finding)
                .map_or_else(Vec::new, |site| site.frames.iter().map(frame).collect()),
        }
    });
    leaks.collect()
}

fn frame<'a>(frame: &Frame<'a>) -> JsonFrame<'a> {
    JsonFrame {
        module: frame.module.map(|path| path.display().to_string()),
        function: frame.function,
        file: frame.file,
        line: frame.line,
        inlined: frame.inlined,
    }
}
