//! What is said of a site before its stack.

use std::io::{self, Write};

use heap::{Bytes, Class};

use super::Page;
use crate::figures::{bytes, count, counted, percent};
use crate::flags::{Merge, Sort};
use crate::paint::Paint;
use crate::report::Subject;
use crate::report::page::Site;
use crate::report::reach::{self, class_name};
use crate::report::shorten;

/// Its figures, in one line.
pub fn heading(
    out: &mut impl Write,
    number: usize,
    site: &Site<'_>,
    page: &Page,
    paint: Paint,
) -> io::Result<()> {
    let figures = &site.figures;
    let made = figures.allocations + figures.reallocations;
    let live_at = |live: Bytes, blocks, all| {
        let part = percent(live.0, all);
        let blocks = counted(blocks, "block");
        let live = paint.amount(bytes(live.0));
        let not_freed =
            (figures.blocks > 0).then(|| format!("{} not freed", bytes(figures.bytes.0)));
        Vec::from_iter(
            [format!("{live} ({part}) in {blocks}")]
                .into_iter()
                .chain(not_freed),
        )
    };
    let mut text = vec![];
    match (page.subject, page.sort) {
        (Subject::Peak, _) | (Subject::End, Some(Sort::Peak)) => {
            let (bytes, blocks) = (figures.peak_bytes, figures.peak_blocks);
            text = live_at(bytes, blocks, page.sums.peak_bytes);
        }
        (Subject::Teardown, _) => {
            let (bytes, blocks) = (figures.teardown_bytes, figures.teardown_blocks);
            text = live_at(bytes, blocks, page.sums.teardown_bytes);
        }
        (Subject::Temporary, _) | (Subject::End, Some(Sort::Temporary)) => {
            let part = percent(figures.temporary, made);
            text.push(format!(
                "{} ({part} of those made here)",
                paint.amount(counted(figures.temporary, "block"))
            ));
            text.push(format!(
                "{} allocated in all",
                bytes(figures.allocated_bytes.0)
            ));
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
        (Subject::End | Subject::Growing, _) => {
            let part = percent(figures.bytes.0, page.sums.live_bytes);
            let blocks = match figures.blocks {
                left if left < made => {
                    format!("{} of {} made here", count(left), counted(made, "block"))
                }
                left => counted(left, "block"),
            };
            text.push(format!(
                "{} ({part}) in {blocks}",
                paint.amount(bytes(figures.bytes.0))
            ));
        }
    }
    // One thread of each process is no news.
    if site.threads > site.processes {
        text.push(counted(site.threads, "thread"));
    }
    // Of one stack there are as many as its library had loads; that is no news either. Of a place
    // the other ways are told under the stack.
    let merged = !matches!(page.merge, Some(Merge::Stack | Merge::Place));
    if site.stacks > site.processes && merged {
        text.push(counted(site.stacks, "stack"));
    }
    if site.processes > 1 {
        text.push(format!("{} processes", count(site.processes)));
    }
    writeln!(out, "{:>3}. {}", number, text.join(", "))
}

/// The classes of a site's blocks, and what leads to one of them.
pub fn reached(out: &mut impl Write, site: &Site<'_>, page: &Page, paint: Paint) -> io::Result<()> {
    let Some((reach, worst)) = site
        .reach
        .and_then(|reach| Some((reach, reach.classes.worst()?)))
    else {
        return Ok(());
    };
    if !matches!(page.subject, Subject::End | Subject::Teardown) {
        return Ok(());
    }
    let present = Class::ALL
        .into_iter()
        .filter(|&class| reach.classes.of(class).blocks > 0);
    let mut text: Vec<String> = match present.clone().count() {
        1 => vec![class_name(worst).to_owned()],
        _ => present
            .map(|class| {
                format!(
                    "{} {}",
                    count(reach.classes.of(class).blocks),
                    class_name(class)
                )
            })
            .collect(),
    };
    if reach.retained.blocks > reach.classes.of(Class::Unreachable).blocks {
        text.push(format!(
            "with all that only they lead to {} in {}",
            bytes(reach.retained.bytes.0),
            counted(reach.retained.blocks, "block")
        ));
    }
    writeln!(out, "     {}", text.join(", "))?;
    if !site.path.is_empty() {
        let by = if worst == Class::Indirect {
            "owned by"
        } else {
            "held by"
        };
        let file = |path: &str| shorten::file(path, &page.here).into_owned();
        writeln!(
            out,
            "     {}",
            paint.faint(format_args!("{by} {}", reach::chain(site.path, &file)))
        )?;
    }
    Ok(())
}
