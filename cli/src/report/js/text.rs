//! The part for people.

use std::io::{self, Write};

use heap::js::{JsHeap, JsSite, Mark as HeapMark};
use heap::{COLLECTION_NAMES, Profile, Trend};
use log_format::js::collection;

use super::super::Options;
use super::super::shorten;
use super::super::source::Sources;
use super::super::stack;
use super::super::text::Page;
use super::super::view::View;
use super::place::{JsPlace, places};
use super::{function, path};
use crate::figures::{bytes, count, counted, duration, percent};
use crate::flags::Merge;
use crate::paint::Paint;

/// Frames of a stack that are shown.
const MAX_FRAMES: usize = 12;
/// Figures that rest on so many samples, or on fewer, are rough.
const FEW_SAMPLES: u64 = 4;
/// Sites below this part of the live bytes are not worth a place.
const SMALL: u64 = 200;

/// The heaps' figures, a line each; several heaps are told apart by their threads.
pub fn lines(profiles: &[Profile]) -> Vec<String> {
    let all: Vec<(&Profile, &JsHeap)> = heaps(profiles).collect();
    let name = |profile: &Profile, heap: &JsHeap| match all.len() {
        1 => String::new(),
        _ => format!("{}: ", owner(profiles.len(), profile, heap)),
    };
    let mut sorted = all.clone();
    sorted.sort_by_key(|(_, heap)| std::cmp::Reverse(heap.last.heap_used));
    let mut lines: Vec<String> = sorted
        .iter()
        .take(MAX_HEAPS)
        .map(|(profile, heap)| format!("{}{}", name(profile, heap), figures(heap)))
        .collect();
    if sorted.len() > MAX_HEAPS {
        lines.push(format!(
            "{} more",
            counted((sorted.len() - MAX_HEAPS) as u64, "heap")
        ));
    }
    lines
}

/// So many heaps have a line.
const MAX_HEAPS: usize = 4;

fn heaps(profiles: &[Profile]) -> impl Iterator<Item = (&Profile, &JsHeap)> {
    profiles
        .iter()
        .flat_map(|profile| profile.js_heaps.iter().map(move |heap| (profile, heap)))
}

/// Whose heap it is.
fn owner(processes: usize, profile: &Profile, heap: &JsHeap) -> String {
    let thread = match profile.thread(heap.thread) {
        Some(thread) if !thread.name.is_empty() => {
            format!("thread {} ({})", thread.tid, thread.name)
        }
        Some(thread) => format!("thread {}", thread.tid),
        None => format!("thread number {}", heap.thread.0),
    };
    match processes {
        1 => thread,
        _ => format!("process {}, {thread}", profile.process.pid),
    }
}

fn figures(heap: &JsHeap) -> String {
    let (first, last, most) = (&heap.first, &heap.last, &heap.most);
    let mut text = format!(
        "{} used of {} (at first {}, at most {}), {} external",
        bytes(last.heap_used.0),
        bytes(last.heap_total.0),
        bytes(first.heap_used.0),
        bytes(most.heap_used.0),
        bytes(last.external.0),
    );
    if let Some(buffers) = last.array_buffers {
        text += &format!(", {} of that array buffers", bytes(buffers.0));
    }
    let kinds = heap.collections.iter().zip(COLLECTION_NAMES);
    let full = usize::from(collection::FULL);
    let (small_count, small_pause) = kinds
        .clone()
        .take(full)
        .fold((0, 0), |(n, ns), (sum, _)| (n + sum.0, ns + sum.1.0));
    let (full_count, full_pause) = heap.collections[full];
    text += &format!(
        "; {} ({} pause), {} full ({})",
        counted(small_count, "small collection"),
        duration(small_pause),
        count(full_count),
        duration(full_pause.0)
    );
    if last.detached_contexts > 0 {
        text += &format!(", {}", counted(last.detached_contexts, "detached context"));
    }
    if let Some(trend) = &heap.trend {
        text += "; ";
        text += &match trend.grows {
            true => format!(
                "grows: after full collections {} became {}, {} (p {:.2})",
                bytes(trend.from.0),
                bytes(trend.to.0),
                rate(trend),
                trend.p
            ),
            false if trend.rises => format!(
                "after full collections {} became {}: {} are too few to tell growth from chance",
                bytes(trend.from.0),
                bytes(trend.to.0),
                trend.figures
            ),
            false => format!("does not grow over {} full collections", trend.figures),
        };
    }
    text
}

fn rate(trend: &Trend) -> String {
    format!("{}/s", bytes(trend.per_second.max(0.0) as u64))
}

/// Bytes live by stack, of all heaps together.
pub fn live(profiles: &[Profile]) -> u64 {
    heaps(profiles)
        .filter_map(|(_, heap)| heap.marks.last())
        .map(|mark| mark.live.0)
        .sum()
}

/// Prints what is live by stack.
pub fn print(
    out: &mut impl Write,
    view: &View<'_>,
    options: &Options,
    page: &Page,
    sources: &mut Sources,
) -> io::Result<()> {
    let (profiles, paint) = (view.profiles, options.paint);
    let several = heaps(profiles).count() > 1;
    let live = |heap: &JsHeap| heap.marks.last().map_or(0, |mark| mark.live.0);
    let mut largest: Vec<(&Profile, &JsHeap)> =
        heaps(profiles).filter(|(_, heap)| live(heap) > 0).collect();
    largest.sort_by_key(|(_, heap)| std::cmp::Reverse(live(heap)));
    // Workers come and go, some programs make thousands.
    let smaller = largest.split_off(largest.len().min(MAX_HEAPS));
    for &(profile, heap) in &largest {
        let Some(mark) = heap.marks.last() else {
            continue;
        };
        let all = places(heap, options.merge, options.all_frames);
        let mut title = "JavaScript heap".to_owned();
        if several {
            title += &format!(" of {}", owner(profiles.len(), profile, heap));
        }
        let when = match mark.at_end {
            true => "at the end".to_owned(),
            false => format!("{} after the start", duration(mark.time.0)),
        };
        writeln!(out)?;
        writeln!(
            out,
            "{}",
            paint.strong(format_args!(
                "{title}: {} live {when} in {}",
                bytes(mark.live.0),
                counted(
                    all.len() as u64,
                    match options.merge {
                        Merge::Stack => "stack",
                        _ => "place",
                    }
                )
            ))
        )?;
        let garbage = match mark.collected {
            true => "",
            false => ", what is not collected yet included",
        };
        let mut about = vec![format!(
            "Estimated from one sample in {}{garbage}; places are where functions begin.",
            bytes(mark.interval.0)
        )];
        if !heap.exact {
            about.push(
                "What a function allocates that V8 inlined counts as its caller's (leak run --js-exact keeps them \
                 apart)."
                    .to_owned(),
            );
        }
        for line in about {
            writeln!(out, "{}", paint.faint(line))?;
        }
        let least = options.min_bytes.max(mark.live.0 / SMALL);
        let large = all.iter().take_while(|place| place.site.bytes.0 >= least);
        let shown = large.count().min(options.top.unwrap_or(usize::MAX));
        let (shown, rest) = all.split_at(shown);
        for (number, place) in shown.iter().enumerate() {
            writeln!(out)?;
            head(out, number + 1, heap, &place.site, mark, paint)?;
            frames(out, place, page, sources, paint)?;
        }
        if !rest.is_empty() {
            writeln!(
                out,
                "\n{}",
                paint.faint(format_args!(
                    "{} more of {} (JSON has them all).",
                    count(rest.len() as u64),
                    bytes(rest.iter().map(|place| place.site.bytes.0).sum())
                ))
            )?;
        }
    }
    if !smaller.is_empty() {
        writeln!(
            out,
            "\n{}",
            paint.faint(format_args!(
                "{} with {} live (JSON has them all).",
                counted(smaller.len() as u64, "smaller JavaScript heap"),
                bytes(smaller.iter().map(|(_, heap)| live(heap)).sum())
            ))
        )?;
    }
    Ok(())
}

fn head(
    out: &mut impl Write,
    number: usize,
    heap: &JsHeap,
    site: &JsSite,
    mark: &HeapMark,
    paint: Paint,
) -> io::Result<()> {
    let samples = match few_samples(site, mark.interval.0) {
        None => String::new(),
        Some(n) => format!(" (a rough figure, from {})", counted(n, "sample")),
    };
    let growth = match &site.trend {
        Some(trend) if trend.grows => format!(
            ", {}",
            paint.warning(format_args!(
                "grows by {} (over {} marks, p {:.2})",
                rate(trend),
                heap.marks.len().min(trend.figures),
                trend.p
            ))
        ),
        _ => String::new(),
    };
    writeln!(
        out,
        "{number:>3}. {} ({}) in about {}{samples}{growth}",
        paint.amount(bytes(site.bytes.0)),
        percent(site.bytes.0, mark.live.0),
        counted(site.objects, "object"),
    )
}

/// On how many samples a site's figures rest, if those are too few to trust them. An object larger than the
/// interval is hardly ever missed: of such ones the figures are nearly exact.
fn few_samples(site: &JsSite, interval: u64) -> Option<u64> {
    let samples = (site.bytes.0 + interval / 2) / interval.max(1);
    let samples = samples.max(1);
    (samples <= FEW_SAMPLES && site.objects > samples).then_some(samples)
}

fn frames(
    out: &mut impl Write,
    place: &JsPlace<'_>,
    page: &Page,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    let frames = &place.frames;
    if frames.is_empty() {
        // V8 samples objects that it makes itself before any function runs.
        return writeln!(out, "     {}", paint.faint("(no JavaScript on the stack)"));
    }
    let shown = match page.all_frames {
        true => frames.len(),
        false => frames.len().min(MAX_FRAMES),
    };
    for frame in &frames[..shown] {
        let file = path(frame);
        let mut place = shorten::file(file, &page.here).into_owned();
        if let Some(line) = frame.line.filter(|_| !place.is_empty()) {
            place += &format!(":{line}");
        }
        write!(
            out,
            "     {} {}",
            paint.function(function(frame)),
            paint.faint(&place)
        )?;
        let line = frame.line.and_then(|line| u32::try_from(line).ok());
        if let Some(text) = line.and_then(|line| sources.line(file, line)) {
            write!(
                out,
                "   {}",
                paint.faint(text.chars().take(60).collect::<String>())
            )?;
        }
        writeln!(out)?;
    }
    if shown < frames.len() {
        let more = frames.len() - shown;
        writeln!(
            out,
            "     {}",
            paint.faint(format_args!("(... {more} more; --all-frames shows them)"))
        )?;
    }
    stack::other_ways(out, place.others, paint)?;
    Ok(())
}
