//! The report for people.

mod site;
mod wrap;

use std::io::{self, Write};
use std::path::PathBuf;

use heap::{Class, Figures, Nanos};

use super::Subject;
use super::growth::{self, Verdicts};
use super::page::{Site, Sums};
use super::reach::{self, class_meaning, class_name};
use super::source::Sources;
use super::stack;
use super::view::Hidden;
use crate::figures::{bytes, count, counted, duration, percent};
use crate::flags::{Merge, Sort};
use crate::paint::Paint;

/// So many processes are listed.
const MAX_PROCESSES: usize = 10;
/// Longer command lines are cut, characters.
const MAX_COMMAND: usize = 240;
/// … in the list of processes.
const MAX_LISTED_COMMAND: usize = 60;

/// All but the sites.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The processes, the first one first.
    pub processes: Vec<ProcessLine>,
    /// Their sums.
    pub sums: Sums,
    /// What of it was reachable.
    pub reach: reach::Sums,
    /// What the program asked while it ran, and was told.
    pub checks: Option<String>,
    /// When the heap was largest, if it is one heap.
    pub peak_time: Option<Nanos>,
    /// The loss account; empty if nothing is lost.
    pub loss: Vec<String>,
    /// The self-check's count of compared stacks.
    pub checked: u64,
    /// Notes about names that are missing.
    pub hints: Vec<String>,
    /// What the sites are about.
    pub subject: Subject,
    /// What orders them.
    pub sort: Option<Sort>,
    /// What makes them.
    pub merge: Option<Merge>,
    /// All sites.
    pub all: Hidden,
    /// Those that are too small.
    pub small: Hidden,
    /// Those that come too late.
    pub late: Hidden,
    /// Those of the recorder's own heap snapshots, which are left out.
    pub snapshots: Hidden,
    /// Where the memory was, if that is known.
    pub memory: Option<String>,
    /// JavaScript heaps, a line each.
    pub js: Vec<String>,
    /// Marks in the time line.
    pub marks: Vec<String>,
    /// What the sites with blocks left are, if growth was asked for.
    pub verdicts: Verdicts,
    /// Whether no frames are left out.
    pub all_frames: bool,
    /// Where the reader stands.
    pub here: PathBuf,
}

/// One process.
#[derive(Clone, Debug, Default)]
pub struct ProcessLine {
    /// Program and arguments.
    pub command: String,
    /// Process id.
    pub pid: u32,
    /// Whose child it is by fork without exec.
    pub forked_from: Option<u32>,
    /// How long it ran.
    pub duration: Nanos,
    /// How it ended, in words.
    pub ending: String,
    /// Bytes not freed.
    pub live_bytes: u64,
}

/// Prints the sites, after the [header].
pub fn print<'a>(
    out: &mut impl Write,
    page: &Page,
    sites: impl Iterator<Item = Site<'a>>,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    let mut number = 0;
    for site in sites {
        if number == 0 {
            writeln!(out)?;
            writeln!(out, "{}", paint.strong(title(page)))?;
        }
        number += 1;
        writeln!(out)?;
        site::heading(out, number, &site, page, paint)?;
        if let Some(growth) = site.growth {
            writeln!(
                out,
                "     {}: {}",
                paint.strong(growth::heading(growth)),
                growth::sentence(growth)
            )?;
            writeln!(out, "     {}", paint.faint(growth::bars(growth)))?;
        }
        site::reached(out, &site, page, paint)?;
        if let Some(pattern) = site.pattern {
            writeln!(
                out,
                "     {}",
                paint.strong(format_args!("{pattern}: {}", pattern.advice()))
            )?;
        }
        stack::print(out, &site, page, sources, paint)?;
    }
    if number == 0 {
        writeln!(out)?;
        writeln!(out, "{}", empty(page))?;
    }
    footer(out, page, paint)
}

/// The title of the list of sites.
fn title(page: &Page) -> String {
    let what = match (page.subject, page.sort) {
        (Subject::Peak, _) | (Subject::End, Some(Sort::Peak)) => "Live at the peak",
        (Subject::Temporary, _) | (Subject::End, Some(Sort::Temporary)) => "Short-lived",
        (Subject::End, Some(Sort::Allocations | Sort::Allocated)) => "Allocated",
        (Subject::End, _) => "Not freed",
        (Subject::Teardown, _) => "Live when JavaScript had ended",
        (Subject::Growing, _) => "Growing",
    };
    let by = match page.merge {
        Some(Merge::Function) => "by function",
        Some(Merge::Place) => "by place in the program",
        Some(Merge::File) => "by file",
        Some(Merge::Module) => "by module",
        _ => "by stack",
    };
    let shown = page.all.sites - page.late.sites - page.small.sites;
    if shown == page.all.sites {
        format!("{what}, {by}:")
    } else {
        format!(
            "{what}, {by} (first {} of {}):",
            count(shown),
            count(page.all.sites)
        )
    }
}

/// Prints what the report begins with.
pub fn header(out: &mut impl Write, page: &Page, paint: Paint) -> io::Result<()> {
    match page.processes.as_slice() {
        [] => {}
        [only] => {
            writeln!(out, "{}", paint.strong(cut(&only.command, MAX_COMMAND)))?;
            write!(out, "pid {}", only.pid)?;
            if let Some(parent) = only.forked_from {
                write!(out, ", forked from {parent}")?;
            }
            writeln!(out, ", ran {}, {}", duration(only.duration.0), only.ending)?;
        }
        many => processes(out, many, paint)?,
    }
    writeln!(out)?;
    let sums = &page.sums;
    let anything = sums.allocations + sums.reallocations > 0;
    let line = |out: &mut dyn Write, name: &str, text: &dyn std::fmt::Display| {
        writeln!(out, "{}{text}", paint.faint(format!("{name:<12}")))
    };
    if anything {
        let blocks = counted(sums.live_blocks, "block");
        let snapshots = match page.snapshots.figures.bytes.0 {
            0 => String::new(),
            left => format!(", {} of it by heap snapshots", bytes(left)),
        };
        line(
            out,
            "not freed",
            &format_args!(
                "{} in {blocks}{snapshots}",
                paint.amount(bytes(sums.live_bytes))
            ),
        )?;
        if page.reach.known > 0 && sums.live_blocks > 0 {
            for class in Class::ALL {
                let tally = page.reach.classes.of(class);
                let text = format!(
                    "{} in {}",
                    bytes(tally.bytes.0),
                    counted(tally.blocks, "block")
                );
                let text = format!("{text:<28}  {}", paint.faint(class_meaning(class)));
                line(out, class_name(class), &text)?;
            }
        }
        if let Some(teardown) = sums.teardown {
            let kept = format!(
                "{} in {}",
                paint.amount(bytes(teardown.0)),
                counted(teardown.1, "block")
            );
            line(
                out,
                "torn down",
                &format_args!(
                    "{kept}: what was live when JavaScript had ended, before Node freed it"
                ),
            )?;
        }
        let asked = page.subject == Subject::End && sums.live_blocks > 0;
        for remark in page.reach.remarks.iter().filter(|_| asked) {
            line(out, "", &paint.warning(remark))?;
        }
        if sums.ignored_blocks > 0 {
            let blocks = counted(sums.ignored_blocks, "block");
            let amount = bytes(sums.ignored_bytes);
            line(
                out,
                "ignored",
                &format_args!(
                    "{amount} in {blocks}: not freed, and the program asked not to count them"
                ),
            )?;
        }
        let when = match page.peak_time {
            Some(time) => format!(", {} after the start", duration(time.0)),
            None => ", the sum of each process's own".to_owned(),
        };
        line(
            out,
            "peak",
            &format_args!("{}{when}", bytes(sums.peak_bytes)),
        )?;
    }
    let reallocations = match sums.reallocations {
        0 => String::new(),
        n => format!(", {}", counted(n, "reallocation")),
    };
    let allocations = counted(sums.allocations, "allocation");
    line(
        out,
        "allocated",
        &format_args!(
            "{} in {allocations}{reallocations}",
            bytes(sums.allocated_bytes)
        ),
    )?;
    if anything {
        let part = percent(sums.temporary, sums.allocations);
        line(
            out,
            "short-lived",
            &format_args!(
                "{} ({part}), freed before the thread's next allocation",
                counted(sums.temporary, "block")
            ),
        )?;
    }
    if let Some(checks) = &page.checks {
        line(out, "checked", checks)?;
    }
    let memory = page.memory.iter().flat_map(|memory| wrap::lines(memory));
    for (number, part) in memory.enumerate() {
        line(out, if number == 0 { "memory" } else { "" }, &part)?;
    }
    let heaps = page.js.iter().flat_map(|heap| wrap::lines(heap));
    for (number, part) in heaps.enumerate() {
        line(out, if number == 0 { "JS heap" } else { "" }, &part)?;
    }
    for (number, mark) in page.marks.iter().enumerate() {
        line(out, if number == 0 { "marks" } else { "" }, mark)?;
    }
    match page.loss.split_first() {
        None => line(
            out,
            "lost",
            &"nothing: every event is in the record and every stack is whole",
        )?,
        Some((first, rest)) => {
            line(out, "lost", &paint.warning(first))?;
            for other in rest {
                line(out, "", &paint.warning(other))?;
            }
        }
    }
    if page.checked > 0 {
        line(
            out,
            "self-check",
            &format_args!("{} compared", counted(page.checked, "stack")),
        )?;
    }
    Ok(())
}

/// The start of a long text.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

fn processes(out: &mut impl Write, many: &[ProcessLine], paint: Paint) -> io::Result<()> {
    let first = many
        .first()
        .map_or_else(String::new, |process| cut(&process.command, MAX_COMMAND));
    writeln!(
        out,
        "{}",
        paint.strong(format_args!(
            "{} processes, the first of them: {first}",
            many.len()
        ))
    )?;
    writeln!(out)?;
    let mut order: Vec<&ProcessLine> = many.iter().collect();
    order.sort_by_key(|process| std::cmp::Reverse(process.live_bytes));
    writeln!(
        out,
        "{}",
        paint.faint("     pid   not freed        ran  program")
    )?;
    for process in order.iter().take(MAX_PROCESSES) {
        let command = cut(&process.command, MAX_LISTED_COMMAND);
        writeln!(
            out,
            "{:>8}  {:>10} {:>10}  {command} {}",
            process.pid,
            bytes(process.live_bytes),
            duration(process.duration.0),
            paint.faint(format_args!("({})", process.ending)),
        )?;
    }
    if let Some(rest) = order.get(MAX_PROCESSES..).filter(|rest| !rest.is_empty()) {
        let sum = rest.iter().map(|process| process.live_bytes).sum();
        let others = match rest.len() {
            1 => "1 other process".to_owned(),
            n => format!("{} other processes", count(n as u64)),
        };
        writeln!(out, "          {:>10}             {others}", bytes(sum))?;
    }
    Ok(())
}

/// Why there are no sites.
fn empty(page: &Page) -> String {
    let sums = &page.sums;
    if page.small.sites > 0 {
        return format!(
            "All {} are smaller than --min-bytes: {} in {} together.",
            counted(page.small.sites, "site"),
            bytes(page.small.figures.bytes.0),
            counted(page.small.figures.blocks, "block")
        );
    }
    if sums.allocations + sums.reallocations == 0 && !page.loss.is_empty() {
        return "Nothing to report: no allocation was recorded; what was lost is told above."
            .to_owned();
    }
    if sums.allocations + sums.reallocations == 0 {
        return "Nothing to report: the program made no allocation that was recorded. That is so if it ended \
                before its first one, or if it has an allocator of its own that no hook sees."
            .to_owned();
    }
    match page.subject {
        Subject::End if sums.live_blocks == 0 => {
            format!(
                "Nothing to report: all {} were freed.",
                counted(sums.allocations, "block")
            )
        }
        Subject::Growing => {
            "Nothing grows: no site has more steps up than chance allows (at most 5 % false discoveries).".to_owned()
        }
        Subject::Temporary => {
            "Nothing to report: no block was freed before its thread's next allocation.".to_owned()
        }
        _ => "Nothing to report: no site has any of it.".to_owned(),
    }
}

fn footer(out: &mut impl Write, page: &Page, paint: Paint) -> io::Result<()> {
    let amount = |figures: &Figures| {
        let (size, blocks) = match page.subject {
            Subject::End | Subject::Growing => (figures.bytes.0, figures.blocks),
            Subject::Peak => (figures.peak_bytes.0, figures.peak_blocks),
            Subject::Teardown => (figures.teardown_bytes.0, figures.teardown_blocks),
            Subject::Temporary => (figures.allocated_bytes.0, figures.temporary),
        };
        format!("{} in {}", bytes(size), counted(blocks, "block"))
    };
    let shown = page.all.sites > page.small.sites + page.late.sites;
    let mut lines = Vec::new();
    if page.late.sites > 0 {
        lines.push(format!(
            "{} more with {} (--top 0 shows all).",
            counted(page.late.sites, "site"),
            amount(&page.late.figures),
        ));
    }
    if page.small.sites > 0 && shown {
        lines.push(format!(
            "{} below --min-bytes with {}.",
            counted(page.small.sites, "site"),
            amount(&page.small.figures)
        ));
    }
    if page.snapshots.sites > 0 {
        lines.push(format!(
            "{} by heap snapshots left out (--merge stack shows them).",
            amount(&page.snapshots.figures)
        ));
    }
    lines.extend(growth::others(&page.verdicts));
    lines.extend(page.hints.iter().cloned());
    if !lines.is_empty() {
        writeln!(out)?;
    }
    for line in lines {
        writeln!(out, "{}", paint.faint(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
