//! Frees that were wrong, in the report for people.

use std::io::{self, Write};

use heap::patterns::BadFree;
use heap::{Figures, StackId};

use super::names::{Names, Place};
use super::page::Site;
use super::source::Sources;
use super::stack;
use super::text::Page;
use super::view::View;
use crate::figures::counted;
use crate::paint::Paint;

/// So many are shown.
const MOST: usize = 20;

/// The places that need names.
pub fn places(view: &View<'_>) -> impl Iterator<Item = Place> {
    let numbered = view.profiles.iter().enumerate();
    let stacks = numbered.flat_map(|(number, profile)| {
        let frees = profile.bad_frees.iter();
        frees.flat_map(move |free| [free.here, free.freed, free.made].map(|stack| (number, stack)))
    });
    stacks.flat_map(|(number, stack)| view.places(number, stack))
}

/// Prints them, if there are any.
pub fn print(
    out: &mut impl Write,
    view: &View<'_>,
    names: &Names,
    page: &Page,
    sources: &mut Sources,
    paint: Paint,
) -> io::Result<()> {
    let numbered = view.profiles.iter().enumerate();
    let all: Vec<(usize, &BadFree)> = numbered
        .flat_map(|(number, profile)| profile.bad_frees.iter().map(move |free| (number, free)))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "{}", paint.strong("Wrong frees:"))?;
    for (place, &(number, free)) in all.iter().take(MOST).enumerate() {
        writeln!(out)?;
        writeln!(out, "{:>3}. {}", place + 1, paint.warning(free))?;
        writeln!(out, "     {}", free.advice())?;
        for (what, stack) in [
            ("freed here:", free.here),
            ("freed before:", free.freed),
            ("made here:", free.made),
        ] {
            if stack != StackId(0) {
                writeln!(out, "   {}", paint.faint(what))?;
                let (frames, cut) = view.stack(number, stack, names);
                let site = Site {
                    figures: Figures::default(),
                    growth: None,
                    threads: 1,
                    stacks: 1,
                    processes: 1,
                    frames,
                    other_ways: 0,
                    cut,
                    reach: None,
                    pattern: None,
                    path: &[],
                };
                stack::print(out, &site, page, sources, paint)?;
            }
        }
    }
    if all.len() > MOST {
        writeln!(
            out,
            "\n{} more (JSON has them all).",
            counted((all.len() - MOST) as u64, "wrong free")
        )?;
    }
    Ok(())
}
