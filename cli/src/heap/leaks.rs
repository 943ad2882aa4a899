//! `leak heap leaks`: what grows, with a name, a place and a cure.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use v8heap::leaks::{Leak, Leaks};
use v8heap::rules::Rules;
use v8heap::{Place, Step};

use crate::error::Error;
use crate::figures::{bytes, count};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::sampled::{Sites, Stacks};
use crate::heap::{built, files, page, read, shown, stacks};

pub fn leaks(
    files: &[PathBuf],
    rules: Option<&Path>,
    every: Option<Duration>,
    sites: Option<Sites>,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<(), Error> {
    files::check(files)?;
    v8heap::ids::are_comparable(files).map_err(Error::Snapshot)?;
    let rules = rules.map(read_rules).transpose()?;
    let sources = built::Sources::new(flags);
    let threads = usize::from(flags.threads);
    let found = v8heap::leaks::find(files, threads, rules.as_ref(), every, &|place| {
        sources.of(place)
    })
    .map_err(Error::Snapshot)?;
    let stacks = sites.map(|sites| sites.of(&found.all));
    let top = shown(flags, 10);
    let json = || json(files, &found, stacks.as_ref(), top);
    match (flags.format, files.last()) {
        (HeapFormat::Json, _) => writeln!(out, "{:#}", json()),
        (HeapFormat::Html, Some(last)) => {
            let last = read(last, flags)?;
            page::leaks(json(), found.all.len(), &last, out)
        }
        _ => text(files, &found, stacks.as_ref(), top, out).and_then(|()| idle(&found, out)),
    }
    .map_err(Error::Output)
}

/// The rules that hide nothing: misspelt, perhaps.
fn idle(found: &Leaks, out: &mut impl Write) -> io::Result<()> {
    let lines = found.idle_rules.iter().map(ToString::to_string);
    match &lines.collect::<Vec<_>>()[..] {
        [] => Ok(()),
        [line] => writeln!(
            out,
            "\nThe rule in line {line} hides nothing that was found."
        ),
        lines => writeln!(
            out,
            "\nThe rules in lines {} hide nothing that was found.",
            lines.join(", ")
        ),
    }
}

/// The rules of a file.
fn read_rules(path: &Path) -> Result<Rules, Error> {
    let wrong = |line, why| Error::Rules {
        path: path.to_owned(),
        line,
        why,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(None, error.to_string()))?;
    let rules =
        Rules::parse(&text).map_err(|fault| wrong(Some(fault.line), fault.why.to_string()))?;
    if rules.is_empty() {
        return Err(wrong(None, "no rule in it".to_owned()));
    }
    Ok(rules)
}

/// Bytes a minute.
fn rate(growth: u64, span: Option<Duration>) -> Option<u64> {
    span.map(|span| (growth as f64 * 60.0 / span.as_secs_f64()) as u64)
}

/// `.sessions [] .timer`: a way in one line, what is reached only where it says something.
pub fn way_text(way: &[Step]) -> String {
    let mut text = String::new();
    for step in way {
        let chain = if step.times > 1 {
            format!(" ({} links)", count(u64::from(step.times)))
        } else {
            String::new()
        };
        if !text.is_empty() {
            text.push_str(" → ");
        }
        text.push_str(&step.by);
        if !step.by.is_empty() && !step.what.is_empty() {
            text.push(' ');
        }
        text.push_str(&step.what);
        text.push_str(&chain);
    }
    text
}

/// The steps of a way.
pub fn way_json(way: &[Step]) -> Value {
    way.iter()
        .map(|step| json!({ "by": step.by, "what": step.what, "id": step.id, "times": step.times }))
        .collect()
}

fn places(all: &[Place]) -> Value {
    all.iter().map(ToString::to_string).collect()
}

fn entry(leak: &Leak, found: &Leaks) -> Value {
    json!({
        "pattern": leak.pattern.key(),
        "what": leak.what,
        "id": leak.id,
        "counts": leak.counts,
        "retained_bytes": leak.retained,
        "growth_bytes": leak.growth(),
        "growth_bytes_per_minute": rate(leak.growth(), found.span),
        "place": leak.place.as_ref().map(ToString::to_string),
        "perhaps": places(&leak.perhaps),
        "program": leak.program.as_ref().map(ToString::to_string),
        "allocated": leak.allocated.as_ref().map(|allocated| json!({
            "stack": stacks::json(&allocated.stack), "objects": allocated.objects, "of": allocated.of,
        })),
        "entries": leak.entries,
        "also": leak.also.iter().map(|also| json!({
            "what": also.what,
            "same_objects": also.same,
            "place": also.place.as_ref().map(ToString::to_string),
            "perhaps": places(&also.perhaps),
            "counts": also.counts,
            "retained_bytes": also.retained,
            "id": also.id,
        })).collect::<Vec<_>>(),
        "shared": leak.shared.map(|shared| json!({
            "holders": shared.holders,
            "retained_bytes": shared.retained,
            "new_bytes": shared.new,
        })),
        "way": way_json(&leak.way),
        "is": leak.is,
        "cure": leak.cure,
        "doubt": leak.doubt,
    })
}

fn json(files: &[PathBuf], found: &Leaks, stacks: Option<&Stacks>, top: usize) -> Value {
    json!({
        "version": 1,
        "files": files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "total_bytes": found.totals,
        "seconds": found.span.map(|span| span.as_secs_f64()),
        "leaks": found.all.iter().take(top).enumerate().map(|(number, leak)| {
            let mut entry = entry(leak, found);
            if let Some(stacks) = stacks {
                entry["sampled"] = stacks.of_json(number);
            }
            entry
        }).collect::<Vec<_>>(),
        "sampled": stacks.map(Stacks::json),
        "idle_rules": found.idle_rules,
        "slowing": found.slowing.iter().take(top).map(|leak| entry(leak, found)).collect::<Vec<_>>(),
        "growing_classes": found.unnamed.iter().take(top).map(|class| json!({
            "class": class.class, "counts": class.counts, "self_bytes": class.own,
        })).collect::<Vec<_>>(),
    })
}

fn series(values: &[u64], show: impl Fn(u64) -> String) -> String {
    values
        .iter()
        .map(|&value| show(value))
        .collect::<Vec<_>>()
        .join(" → ")
}

fn text(
    files: &[PathBuf],
    found: &Leaks,
    stacks: Option<&Stacks>,
    top: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{} snapshots: {}",
        files.len(),
        series(&found.totals, bytes)
    )?;
    if found.all.is_empty() && found.slowing.is_empty() {
        unnamed(found, top, out)?;
        return stacks.map_or(Ok(()), |stacks| stacks.others(out));
    }
    for (number, leak) in found.all.iter().take(top).enumerate() {
        one(number + 1, leak, found.span, out)?;
        if let Some(stacks) = stacks {
            stacks.of(number, out)?;
        }
    }
    if found.all.len() > top {
        writeln!(
            out,
            "\n{} more; --top 0 shows all",
            count((found.all.len() - top) as u64)
        )?;
    }
    slowing(found, top, out)?;
    stacks.map_or(Ok(()), |stacks| stacks.others(out))
}

/// What may fill up to a bound.
fn slowing(found: &Leaks, top: usize, out: &mut impl Write) -> io::Result<()> {
    if found.slowing.is_empty() {
        return Ok(());
    }
    if found.all.is_empty() {
        writeln!(out, "\nNothing grows as a leak does.")?;
    }
    writeln!(
        out,
        "\nMay be no leak, but what fills up to a bound or is emptied in turn; a snapshot taken later tells:"
    )?;
    for leak in found.slowing.iter().take(top) {
        let place = by(leak.place.as_ref(), &leak.perhaps);
        let doubt = leak
            .doubt
            .as_ref()
            .map_or(String::new(), |doubt| format!(" ({doubt})"));
        writeln!(out, "   {}{}{place}{doubt}", counts(leak), leak.what)?;
    }
    Ok(())
}

/// What there is to say when no pattern fits.
fn unnamed(found: &Leaks, top: usize, out: &mut impl Write) -> io::Result<()> {
    if found.unnamed.is_empty() {
        return writeln!(out, "\nNothing grows as a leak does.");
    }
    writeln!(
        out,
        "\nNo container, listener, timer or the like grows in every snapshot. Of these classes there are more in each \
         (leak heap diff shows what came, leak heap why FILE @id what keeps it):\n"
    )?;
    for class in found.unnamed.iter().take(top) {
        writeln!(
            out,
            "   {}   {} of self size   {}",
            series(&class.counts, count),
            series(&class.own, bytes),
            class.class
        )?;
    }
    if found.unnamed.len() > top {
        let more = (found.unnamed.len() - top) as u64;
        writeln!(out, "\n{} more; --top 0 shows all", count(more))?;
    }
    Ok(())
}

/// Who adds to it, if that is known, or who may.
fn by(place: Option<&Place>, perhaps: &[Place]) -> String {
    match (place, perhaps) {
        (Some(place), _) => format!(", by {place}"),
        (None, []) => String::new(),
        (None, all) => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!(", by one of {}", all.join(", "))
        }
    }
}

/// How many there were in each snapshot; of a single thing, nothing.
fn counts(leak: &Leak) -> String {
    match leak.counts.iter().all(|&of| of == 1) {
        true => String::new(),
        false => format!("{} in count, ", series(&leak.counts, count)),
    }
}

fn one(number: usize, leak: &Leak, span: Option<Duration>, out: &mut impl Write) -> io::Result<()> {
    let rate = rate(leak.growth(), span)
        .map(|rate| format!(", {} a minute", bytes(rate)))
        .or_else(|| {
            let steps = leak.retained.len().checked_sub(1).filter(|&of| of > 1)?;
            let each = bytes(leak.growth() / steps as u64);
            Some(format!(", {each} between snapshots"))
        })
        .unwrap_or_default();
    writeln!(
        out,
        "\n{number}. {}{}",
        leak.what,
        by(leak.place.as_ref(), &leak.perhaps)
    )?;
    writeln!(
        out,
        "   {}{} retained: +{}{rate}",
        counts(leak),
        series(&leak.retained, bytes),
        bytes(leak.growth())
    )?;
    if let Some(program) = &leak.program {
        writeln!(out, "   the program's part: {program}")?;
    }
    if let Some(entries) = &leak.entries {
        writeln!(out, "   {entries}")?;
    }
    if let Some(allocated) = &leak.allocated {
        writeln!(
            out,
            "   {} of {} allocated by: {}",
            count(allocated.objects),
            count(allocated.of),
            stacks::line(&allocated.stack)
        )?;
    }
    for also in &leak.also {
        let who = by(also.place.as_ref(), &also.perhaps);
        if also.same {
            writeln!(out, "   also in: {}{who}", also.what)?;
        } else {
            let retained = series(&also.retained, bytes);
            writeln!(
                out,
                "   grows with it: {}{who} ({retained} retained)",
                also.what
            )?;
        }
    }
    if let Some(shared) = leak.shared {
        let all = match shared.holders {
            2 => "both".to_owned(),
            many => format!("all {many}"),
        };
        writeln!(
            out,
            "   {all} together retain {}, {} of it new: {all} must let go",
            bytes(shared.retained),
            bytes(shared.new)
        )?;
    }
    writeln!(out, "   kept by: {}  @{}", way_text(&leak.way), leak.id)?;
    writeln!(out, "   {} {}", leak.is, leak.cure)
}
