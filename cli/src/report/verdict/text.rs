//! A verdict for people.

use std::io::{self, Write};

use heap::gate::{Source, Status, Sum, Suppression};

use super::super::source::Sources;
use super::super::{growth, stack, text};
use super::{Page, amount, class_name};
use crate::figures::{count, counted};
use crate::paint::Paint;

/// Prints it.
pub fn print(mut out: &mut dyn Write, page: &Page<'_>, paint: Paint) -> io::Result<()> {
    let verdict = page.verdict;
    let word = if verdict.failed { "FAILED" } else { "passed" };
    let line = format!("leak check: {}: {word}: {}", page.program, page.sentence());
    match verdict.failed {
        true => writeln!(out, "{}", paint.warning(line))?,
        false => writeln!(out, "{}", paint.strong(line))?,
    }
    for loss in &page.loss {
        writeln!(out, "not to be relied on: {}", paint.warning(loss))?;
    }
    let looks = text::Page {
        here: page.here.clone(),
        ..text::Page::default()
    };
    let mut sources = Sources::default();
    let counting = verdict
        .findings
        .iter()
        .filter(|finding| finding.status == Status::Counts);
    let shown = page.top.unwrap_or(usize::MAX);
    for (number, finding) in counting.take(shown).enumerate() {
        let leak = &finding.leak;
        writeln!(out)?;
        writeln!(
            out,
            "{:>3}. {}, {}  {}",
            number + 1,
            paint.amount(amount(leak.amount)),
            class_name(leak.class),
            paint.faint(&finding.identity)
        )?;
        if let Some(site) = page.site(finding) {
            if let Some(growth) = site.growth.filter(|growth| growth.verdict.grows()) {
                writeln!(
                    out,
                    "     {}: {}",
                    growth::heading(growth),
                    growth::sentence(growth)
                )?;
            }
            if let Some(pattern) = site.pattern {
                writeln!(
                    out,
                    "     {}",
                    paint.strong(format_args!("{pattern}: {}", pattern.advice()))
                )?;
            }
            stack::print(&mut out, site, &looks, &mut sources, paint)?;
        }
    }
    let more = verdict.counted.leaks.saturating_sub(shown as u64);
    if more > 0 {
        writeln!(out, "\n{} more (--top 0 shows all).", counted(more, "leak"))?;
    }
    footer(out, page, paint)
}

fn footer(out: &mut dyn Write, page: &Page<'_>, paint: Paint) -> io::Result<()> {
    let verdict = page.verdict;
    let mut lines = Vec::new();
    let mut say = |sum: Sum, what: &str| {
        if sum.leaks > 0 {
            lines.push(format!(
                "{what}: {}, {}",
                counted(sum.leaks, "leak"),
                amount(sum.amount)
            ));
        }
    };
    say(verdict.known, "known to the baseline");
    say(verdict.spared, "of classes that do not count");
    say(verdict.suppressed, "suppressed");
    for one in page
        .suppressions
        .all()
        .iter()
        .filter(|one| one.hits.leaks > 0)
    {
        let sum = one.hits;
        lines.push(format!(
            "  {} × {}, {}",
            count(sum.leaks),
            describe(one),
            amount(sum.amount)
        ));
    }
    lines.extend(page.notes.iter().cloned());
    if page.ignored.blocks > 0 {
        lines.push(format!(
            "ignored, as the program asked: {}",
            amount(page.ignored)
        ));
    }
    let unused: Vec<_> = page.suppressions.unused().collect();
    if !unused.is_empty() {
        lines.push("suppressions that suppressed nothing:".to_owned());
        lines.extend(unused.into_iter().map(|one| format!("  {}", describe(one))));
    }
    if !lines.is_empty() {
        writeln!(out)?;
    }
    for line in lines {
        writeln!(out, "{}", paint.faint(line))?;
    }
    Ok(())
}

/// A suppression with its place, or the reason for it.
pub fn describe(one: &Suppression) -> String {
    match (&one.source, one.reason) {
        (Source::Builtin, Some(reason)) => format!("built in: {} ({reason})", one.name),
        (source, _) => format!("{source}:{}: {}", one.line, one.name),
    }
}
