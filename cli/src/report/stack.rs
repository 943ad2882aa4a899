//! A stack as text: a line for each frame, and the source line under it.

use std::io::{self, Write};

use super::hiding;
use super::page::{Frame, Site};
use super::shorten;
use super::source::Sources;
use super::text::Page;
use crate::figures::count;
use crate::paint::Paint;

/// Longest part of a stack that is recognised when it repeats itself, frames.
const MAX_CYCLE: usize = 8;

/// A stack of more lines is shown without its middle: what allocated and what led there, and where
/// it began.
const MAX_HEIGHT: usize = 32;
/// Lines before the gap.
const INNER_HEIGHT: usize = 20;
/// Lines after it.
const OUTER_HEIGHT: usize = 6;

/// Prints the frames of a site, innermost first.
pub fn print(
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
    let parts = parts(&lines);
    let all: usize = parts.iter().map(Part::height).sum();
    let whole = page.all_frames || all <= MAX_HEIGHT;
    let (mut above, mut left_out) = (0, 0);
    for part in &parts {
        let below = all - above;
        above += part.height();
        if !whole && above > INNER_HEIGHT && below > OUTER_HEIGHT.max(part.height()) {
            left_out += part.lines.len() * part.times;
            continue;
        }
        if left_out > 0 {
            writeln!(
                out,
                "     {}",
                paint.faint(format_args!(
                    "(... {} more; --all-frames shows them)",
                    count(left_out as u64)
                ))
            )?;
            left_out = 0;
        }
        for line in part.lines {
            frame_line(out, line, page, sources, paint)?;
        }
        if part.times > 1 {
            let what = match part.lines.len() {
                1 => "this frame".to_owned(),
                cycle => format!("these {cycle} frames"),
            };
            writeln!(
                out,
                "     {}",
                paint.faint(format_args!("^ {what} {} times", count(part.times as u64)))
            )?;
        }
    }
    other_ways(out, site.other_ways, paint)?;
    if let Some(why) = site.cut {
        writeln!(
            out,
            "     {}",
            paint.faint(format_args!("(the stack ends here: {why})"))
        )?;
    }
    Ok(())
}

/// Says that a stack stands for others as well.
pub fn other_ways(out: &mut impl Write, others: u64, paint: Paint) -> io::Result<()> {
    if others == 0 {
        return Ok(());
    }
    let ways = if others == 1 { "way" } else { "ways" };
    let text = format!(
        "(and {} other {ways} here; --merge stack shows each)",
        count(others)
    );
    writeln!(out, "     {}", paint.faint(text))
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

/// Lines that stand there some times in a row.
#[derive(Debug)]
struct Part<'l, 's, 'a> {
    lines: &'l [Line<'s, 'a>],
    times: usize,
}

impl Part<'_, '_, '_> {
    /// Lines of text, without source lines.
    fn height(&self) -> usize {
        self.lines.len() + usize::from(self.times > 1)
    }
}

fn parts<'l, 's, 'a>(lines: &'l [Line<'s, 'a>]) -> Vec<Part<'l, 's, 'a>> {
    let mut parts = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let (cycle, times) = repeats(rest);
        parts.push(Part {
            lines: &rest[..cycle],
            times,
        });
        rest = &rest[cycle * times..];
    }
    parts
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
    if frame.inlining {
        place.push_str(" (optimized)");
    }
    if inside > 0 {
        let what = match (hiding::is_v8(frame), inside) {
            (true, 1) => "V8 frame",
            (true, _) => "V8 frames",
            _ => "inside",
        };
        place.push_str(&format!(" (+{inside} {what})"));
    }
    let place = place.trim_start();
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
        writeln!(
            out,
            "         {}",
            paint.faint(format_args!("{line}: {source}"))
        )?;
    }
    Ok(())
}
