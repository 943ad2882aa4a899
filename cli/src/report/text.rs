//! The report for people.

use std::io::{self, Write};
use std::path::PathBuf;

use heap::{Figures, Nanos};

use super::Subject;
use super::hiding;
use super::page::{Frame, Site, Sums};
use super::shorten;
use super::source::Sources;
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
/// Longest part of a stack that is recognised when it repeats itself, frames.
const MAX_CYCLE: usize = 8;

/// All but the sites.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The processes, the first one first.
    pub processes: Vec<ProcessLine>,
    /// Their sums.
    pub sums: Sums,
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

/// Prints the whole report.
pub fn print<'a>(
    out: &mut impl Write,
    page: &Page,
    sites: impl Iterator<Item = Site<'a>>,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    header(out, page, paint)?;
    let mut number = 0;
    for site in sites {
        if number == 0 {
            writeln!(out)?;
            writeln!(out, "{}", paint.strong(title(page)))?;
        }
        number += 1;
        writeln!(out)?;
        site_heading(out, number, &site, page, paint)?;
        stack(out, &site, page, sources, paint)?;
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
    };
    let by = match page.merge {
        Some(Merge::Function) => "by function",
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

fn header(out: &mut impl Write, page: &Page, paint: Paint) -> io::Result<()> {
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
    let line = |out: &mut dyn Write, name: &str, text: &dyn std::fmt::Display| {
        writeln!(out, "{}{text}", paint.faint(format!("{name:<12}")))
    };
    let blocks = counted(sums.live_blocks, "block");
    line(
        out,
        "not freed",
        &format_args!("{} in {blocks}", paint.amount(bytes(sums.live_bytes))),
    )?;
    let when = match page.peak_time {
        Some(time) => format!(", {} after the start", duration(time.0)),
        None => ", the sum of each process's own".to_owned(),
    };
    line(out, "peak", &format_args!("{}{when}", bytes(sums.peak_bytes)))?;
    let reallocations = match sums.reallocations {
        0 => String::new(),
        n => format!(", {}", counted(n, "reallocation")),
    };
    let allocations = counted(sums.allocations, "allocation");
    line(
        out,
        "allocated",
        &format_args!("{} in {allocations}{reallocations}", bytes(sums.allocated_bytes)),
    )?;
    let part = percent(sums.temporary, sums.allocations);
    line(
        out,
        "short-lived",
        &format_args!(
            "{} ({part}), freed before the thread's next allocation",
            counted(sums.temporary, "block")
        ),
    )?;
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
    writeln!(out, "{}", paint.faint("     pid   not freed        ran  program"))?;
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

fn site_heading(
    out: &mut impl Write,
    number: usize,
    site: &Site<'_>,
    page: &Page,
    paint: Paint,
) -> io::Result<()> {
    let figures = &site.figures;
    let made = figures.allocations + figures.reallocations;
    let mut text = vec![];
    match (page.subject, page.sort) {
        (Subject::Peak, _) | (Subject::End, Some(Sort::Peak)) => {
            let part = percent(figures.peak_bytes.0, page.sums.peak_bytes);
            let blocks = counted(figures.peak_blocks, "block");
            text.push(format!(
                "{} ({part}) in {blocks}",
                paint.amount(bytes(figures.peak_bytes.0))
            ));
            if figures.blocks > 0 {
                text.push(format!("{} not freed", bytes(figures.bytes.0)));
            }
        }
        (Subject::Temporary, _) | (Subject::End, Some(Sort::Temporary)) => {
            let part = percent(figures.temporary, made);
            text.push(format!(
                "{} ({part} of those made here)",
                paint.amount(counted(figures.temporary, "block"))
            ));
            text.push(format!("{} allocated in all", bytes(figures.allocated_bytes.0)));
        }
        (Subject::End, Some(Sort::Allocations | Sort::Allocated)) => {
            text.push(format!(
                "{} in {}",
                paint.amount(bytes(figures.allocated_bytes.0)),
                counted(made, "allocation")
            ));
            if figures.blocks > 0 {
                text.push(format!(
                    "{} in {} not freed",
                    bytes(figures.bytes.0),
                    counted(figures.blocks, "block")
                ));
            }
        }
        (Subject::End, _) => {
            let part = percent(figures.bytes.0, page.sums.live_bytes);
            let blocks = match figures.blocks {
                left if left < made => format!("{} of {} made here", count(left), counted(made, "block")),
                left => counted(left, "block"),
            };
            text.push(format!(
                "{} ({part}) in {blocks}",
                paint.amount(bytes(figures.bytes.0))
            ));
        }
    }
    if site.threads > 1 {
        text.push(counted(site.threads, "thread"));
    }
    if site.stacks > site.processes {
        text.push(counted(site.stacks, "stack"));
    }
    if site.processes > 1 {
        text.push(format!("{} processes", count(site.processes)));
    }
    writeln!(out, "{:>3}. {}", number, text.join(", "))
}

fn stack(
    out: &mut impl Write,
    site: &Site<'_>,
    page: &Page,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    let shown = match site.cut {
        None if !page.all_frames => hiding::inside_runtime(&site.frames),
        _ => site.frames.len(),
    };
    let lines = fold(&site.frames[..shown], page.all_frames);
    if lines.is_empty() && site.cut.is_none() {
        writeln!(out, "     {}", paint.faint("(no stack)"))?;
    }
    let mut at = 0;
    while at < lines.len() {
        let (cycle, times) = repeats(&lines[at..]);
        for line in &lines[at..at + cycle] {
            frame_line(out, line, page, sources, paint)?;
        }
        if times > 1 {
            let what = if cycle == 1 {
                "this frame".to_owned()
            } else {
                format!("these {cycle} frames")
            };
            writeln!(
                out,
                "     {}",
                paint.faint(format_args!("^ {what} {} times", count(times as u64)))
            )?;
        }
        at += cycle * times;
    }
    if let Some(why) = site.cut {
        writeln!(
            out,
            "     {}",
            paint.faint(format_args!("(the stack ends here: {why})"))
        )?;
    }
    Ok(())
}

/// A frame, and how many inside of it are not shown.
#[derive(Clone, Copy, Debug)]
struct Line<'s, 'a> {
    frame: &'s Frame<'a>,
    inside: usize,
}

/// Of neighbours inside of a standard library, the outermost: what the program called.
fn fold<'s, 'a>(frames: &'s [Frame<'a>], all: bool) -> Vec<Line<'s, 'a>> {
    let mut lines: Vec<Line<'s, 'a>> = Vec::with_capacity(frames.len());
    for frame in frames {
        let library = !all && hiding::is_standard(frame);
        match lines.last_mut() {
            Some(last) if library && hiding::is_standard(last.frame) => {
                *last = Line {
                    frame,
                    inside: last.inside + 1,
                };
            }
            _ => lines.push(Line { frame, inside: 0 }),
        }
    }
    lines
}

/// The length of what is next, and how many times it stands there in a row.
fn repeats(lines: &[Line<'_, '_>]) -> (usize, usize) {
    let same = |a: &Line<'_, '_>, b: &Line<'_, '_>| {
        let (a, b) = (a.frame, b.frame);
        (a.function, a.file, a.line, a.module) == (b.function, b.file, b.line, b.module)
            && (a.function.is_some() || a.offset == b.offset)
    };
    for cycle in 1..=MAX_CYCLE.min(lines.len() / 3) {
        let (first, rest) = lines.split_at(cycle);
        let times = rest
            .chunks_exact(cycle)
            .take_while(|next| first.iter().zip(*next).all(|(a, b)| same(a, b)))
            .count();
        // Two in a row are quicker read than counted.
        if times >= 2 {
            return (cycle, times + 1);
        }
    }
    (1, 1)
}

fn frame_line(
    out: &mut impl Write,
    line: &Line<'_, '_>,
    page: &Page,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    let (frame, inside) = (line.frame, line.inside);
    let module = frame.module_name();
    let mut place = match (frame.file, frame.line, module) {
        (Some(file), Some(line), _) => format!("{}:{line}", shorten::file(file, &page.here)),
        (Some(file), None, _) => shorten::file(file, &page.here).into_owned(),
        (None, _, Some(module)) if frame.function.is_some() => format!("({module})"),
        _ => String::new(),
    };
    if frame.inlined {
        place.push_str(" (inlined)");
    }
    if inside > 0 {
        place.push_str(&format!(" (+{inside} inside)"));
    }
    let merged = frame.address.is_none();
    match (frame.function, module) {
        (Some(function), _) => write!(out, "     {}", paint.function(shorten::function(function)))?,
        // A file or a module is all that a merged site has.
        (None, _) if merged && frame.file.is_some() => {
            return writeln!(out, "     {}", paint.function(place));
        }
        (None, Some(module)) if merged => write!(out, "     {}", paint.function(module))?,
        (None, None) if merged => write!(out, "     {}", paint.faint("(not known)"))?,
        (None, Some(module)) => write!(
            out,
            "     {}",
            paint.function(format_args!("{module}+{:#x}", frame.offset))
        )?,
        (None, None) => write!(
            out,
            "     {}",
            paint.function(format_args!(
                "{:#x} (in no file: made at run time?)",
                frame.address.unwrap_or_default()
            ))
        )?,
    }
    if !place.is_empty() {
        write!(out, "  {}", paint.faint(place))?;
    }
    writeln!(out)?;
    // Lines of a standard library's own code tell nobody anything.
    if let (Some(file), Some(line)) = (frame.file, frame.line)
        && !hiding::is_standard(frame)
        && let Some(source) = sources.line(file, line)
    {
        writeln!(out, "         {}", paint.faint(format_args!("{line}: {source}")))?;
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
        Subject::Temporary => {
            "Nothing to report: no block was freed before its thread's next allocation.".to_owned()
        }
        _ => "Nothing to report: no site has any of it.".to_owned(),
    }
}

fn footer(out: &mut impl Write, page: &Page, paint: Paint) -> io::Result<()> {
    let amount = |figures: &Figures| {
        let (size, blocks) = match page.subject {
            Subject::End => (figures.bytes.0, figures.blocks),
            Subject::Peak => (figures.peak_bytes.0, figures.peak_blocks),
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
mod tests {
    use super::*;
    use heap::Bytes;
    use std::path::Path;

    fn page() -> Page {
        Page {
            processes: vec![ProcessLine {
                command: "./app --serve".to_owned(),
                pid: 77,
                duration: Nanos(12_340_000_000),
                ending: "exit status 0".to_owned(),
                live_bytes: 3_000_000,
                ..ProcessLine::default()
            }],
            sums: Sums {
                allocations: 1_234_567,
                frees: 1_234_000,
                reallocations: 12,
                allocated_bytes: 345_600_000,
                live_blocks: 567,
                live_bytes: 3_000_000,
                peak_bytes: 9_000_000,
                temporary: 1_000,
            },
            peak_time: Some(Nanos(3_210_000_000)),
            all: Hidden {
                sites: 2,
                ..Hidden::default()
            },
            sort: Some(Sort::Bytes),
            merge: Some(Merge::Stack),
            here: "/home/me/app".into(),
            ..Page::default()
        }
    }

    fn frame<'a>(function: &'a str, place: Option<(&'a str, u32)>) -> Frame<'a> {
        Frame {
            address: Some(0x1000),
            module: Some(Path::new("/usr/bin/app")),
            function: Some(function),
            file: place.map(|(file, _)| file),
            line: place.map(|(_, line)| line),
            ..Frame::default()
        }
    }

    fn site(frames: Vec<Frame<'_>>) -> Site<'_> {
        let figures = Figures {
            blocks: 300,
            bytes: Bytes(2_000_000),
            allocations: 12_345,
            allocated_bytes: Bytes(9_000_000),
            peak_blocks: 400,
            peak_bytes: Bytes(3_000_000),
            temporary: 5,
            ..Figures::default()
        };
        Site {
            figures,
            threads: 2,
            stacks: 1,
            processes: 1,
            frames,
            cut: None,
        }
    }

    fn printed(page: &Page, sites: Vec<Site<'_>>) -> String {
        let mut out = Vec::new();
        print(
            &mut out,
            page,
            sites.into_iter(),
            &mut Sources::default(),
            Paint::PLAIN,
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_places_inlines_and_source_lines_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("cache.cc");
        std::fs::write(&source, "int a;\n\n    auto *p = new Entry[n];\n").unwrap();
        let source = source.to_str().unwrap();
        let frames = vec![
            Frame {
                inlined: true,
                ..frame("make<int>(int)", Some((source, 3)))
            },
            frame("handle", Some(("/home/me/app/src/handle.cc", 20))),
            frame("qsort", None),
            Frame {
                function: None,
                offset: 0x1234,
                ..frame("", None)
            },
            frame("main", Some(("/src/main.cc", 7))),
            frame("__libc_start_call_main", None),
        ];
        let page = Page {
            here: dir.path().to_owned(),
            ..page()
        };
        insta::assert_snapshot!(printed(&page, vec![site(frames)]));
    }

    #[test]
    fn recursion_is_told_once() {
        let mut frames = vec![frame("leaf", None)];
        for _ in 0..50 {
            frames.push(frame("even", Some(("/e.c", 1))));
            frames.push(frame("odd", Some(("/e.c", 9))));
        }
        frames.push(frame("main", None));
        let text = printed(&page(), vec![site(frames)]);
        insta::assert_snapshot!(text.split("made here").last().unwrap());
    }

    #[test]
    fn the_inside_of_standard_libraries_is_folded() {
        let std = |name| Frame {
            inlined: true,
            ..frame(name, Some(("/rustc/abc/library/alloc/src/vec/mod.rs", 5)))
        };
        let frames = || {
            let own = frame("app::f", Some(("/home/me/app/src/main.rs", 3)));
            vec![
                std("Vec::grow"),
                std("Vec::extend"),
                std("Iterator::collect"),
                own,
                std("Option::map"),
                frame("app::main", None),
            ]
        };
        let text = printed(&page(), vec![site(frames())]);
        insta::assert_snapshot!(text.split("made here").last().unwrap());
        let all = printed(
            &Page {
                all_frames: true,
                ..page()
            },
            vec![site(frames())],
        );
        assert!(all.contains("Vec::extend"), "{all}");
    }

    #[test]
    fn a_stack_that_was_cut_says_so_and_is_not_cut_further() {
        let mut cut = site(vec![frame("f", None), frame("main", None), frame("_start", None)]);
        cut.cut = Some("no unwind information there");
        let text = printed(&page(), vec![cut]);
        insta::assert_snapshot!(text.split("made here").last().unwrap());
    }

    #[test]
    fn merged_sites_show_what_they_were_merged_by() {
        let merged = |frame| Site {
            stacks: 40,
            ..site(vec![Frame {
                address: None,
                ..frame
            }])
        };
        let sites = vec![
            merged(Frame {
                line: None,
                ..frame("cache::make()", Some(("/src/cache.cc", 0)))
            }),
            merged(Frame {
                function: None,
                line: None,
                ..frame("", Some(("/src/cache.cc", 0)))
            }),
            merged(Frame {
                function: None,
                ..frame("", None)
            }),
            merged(Frame::default()),
        ];
        let page = Page {
            merge: Some(Merge::Function),
            ..page()
        };
        let text = printed(&page, sites);
        insta::assert_snapshot!(text.split("stack is whole").last().unwrap());
    }

    #[test]
    fn losses_come_before_the_sites() {
        let loss = vec![
            "./app has jemalloc linked in: ...".to_owned(),
            "7 events lost: ...".to_owned(),
        ];
        let page = Page { loss, ..page() };
        let text = printed(&page, vec![]);
        assert!(
            text.contains("lost        ./app has jemalloc linked in: ...\n            7 events lost: ...\n"),
            "{text}"
        );
    }

    #[test]
    fn many_processes_are_listed_by_what_they_left() {
        let line = page().processes.remove(0);
        let processes = (1..=13).map(|n| ProcessLine {
            pid: n,
            live_bytes: u64::from(n) << 10,
            ..line.clone()
        });
        let page = Page {
            processes: processes.collect(),
            peak_time: None,
            ..page()
        };
        insta::assert_snapshot!(printed(&page, vec![]).split("Nothing").next().unwrap());
    }
}
