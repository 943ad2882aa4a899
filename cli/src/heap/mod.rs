//! `leak heap`: heap snapshots of JavaScript.

mod ask;
mod assert;
mod diff;
mod dups;
mod files;
pub mod flags;
mod leaks;
mod looks;
mod nodes;
mod page;
mod sampled;
mod stacks;
mod table;
mod why;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use v8heap::{Analysis, Scripts};

use crate::error::Error;
use flags::{HeapCommand, HeapFlags, HeapFormat, OutputFlags};

/// A bound of `leak heap assert` does not hold.
const EXCEEDED: u8 = 1;

/// Rows of a page, if nothing else is asked for.
const IN_PAGES: usize = 200;

/// Does what the flags say.
pub fn heap(flags: &HeapFlags) -> Result<u8, Error> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let out_of = &mut out;
    no_page(&flags.job)?;
    match &flags.job {
        Some(HeapCommand::Diff {
            files,
            unrelated,
            output,
        }) => diff::diff(files, *unrelated, output, out_of)?,
        Some(HeapCommand::Leaks {
            files,
            rules,
            every,
            stacks,
            output,
        }) => {
            let every = every
                .map(Duration::from_nanos)
                .filter(|every| !every.is_zero());
            let sites = stacks.as_ref().map(|log| sampled::read(log, files));
            let sites = sites.transpose()?;
            leaks::leaks(files, rules.as_deref(), every, sites, output, out_of)?;
        }
        Some(HeapCommand::Why {
            file,
            id,
            ways,
            output,
        }) => why::why(file, *id, *ways, output, out_of)?,
        Some(HeapCommand::Dups { file, output }) => dups::dups(file, output, out_of)?,
        Some(HeapCommand::Shapes { file, output }) => looks::shapes_of(file, output, out_of)?,
        Some(HeapCommand::Fanout { file, output }) => looks::fanout_of(file, output, out_of)?,
        Some(HeapCommand::Strings { file, output }) => looks::strings_of(file, output, out_of)?,
        Some(HeapCommand::Query {
            file,
            expression,
            output,
        }) => ask::query(file, expression, output, out_of)?,
        Some(HeapCommand::Assert {
            file,
            max_retained,
            max_count,
            may_be_absent,
            output,
        }) => {
            let bounds = (&max_retained[..], &max_count[..]);
            if !assert::assert(file, bounds, *may_be_absent, output, out_of)? {
                out.flush().map_err(Error::Output)?;
                return Ok(EXCEEDED);
            }
        }
        None => {
            let Some(file) = &flags.file else {
                return Ok(0);
            };
            let analysis = read(file, &flags.output)?;
            if flags.nodes {
                nodes::write(&analysis, flags.output.threads, out_of)
            } else {
                table::write(file, &analysis, &flags.output, out_of)
            }
            .map_err(Error::Output)?;
        }
    }
    out.flush().map_err(Error::Output)?;
    Ok(0)
}

/// What grows in snapshots of one process, taken some time apart, as `leak heap leaks` says it; with the stacks of
/// its log if that has any.
pub fn what_grew(
    files: &[PathBuf],
    every: Duration,
    log: Option<&Path>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let output = OutputFlags {
        format: HeapFormat::Text,
        top: None,
        threads: 2,
    };
    // A log may have no stacks: of a program that samples by itself, or has just begun.
    let sites = log.and_then(|log| sampled::read(log, files).ok());
    leaks::leaks(files, None, Some(every), sites, &output, out)
}

/// Not all jobs have a page.
fn no_page(job: &Option<HeapCommand>) -> Result<(), Error> {
    let (name, output) = match job {
        Some(HeapCommand::Dups { output, .. }) => ("dups", output),
        Some(HeapCommand::Shapes { output, .. }) => ("shapes", output),
        Some(HeapCommand::Fanout { output, .. }) => ("fanout", output),
        Some(HeapCommand::Strings { output, .. }) => ("strings", output),
        Some(HeapCommand::Query { output, .. }) => ("query", output),
        Some(HeapCommand::Assert { output, .. }) => ("assert", output),
        Some(HeapCommand::Diff { .. } | HeapCommand::Leaks { .. } | HeapCommand::Why { .. })
        | None => return Ok(()),
    };
    match output.format {
        HeapFormat::Html => Err(Error::NoPage(name)),
        _ => Ok(()),
    }
}

fn read(file: &Path, flags: &OutputFlags) -> Result<Analysis, Error> {
    Analysis::of_file(file, usize::from(flags.threads)).map_err(Error::Snapshot)
}

/// How many of something to show.
fn shown(flags: &OutputFlags, in_text: usize) -> usize {
    match (flags.top, flags.format) {
        (Some(0), _) | (None, HeapFormat::Json) => usize::MAX,
        (Some(top), _) => top,
        (None, HeapFormat::Html) => IN_PAGES,
        (None, _) => in_text,
    }
}

/// The name of a class and where its constructor stands.
fn class_name(class: &v8heap::Class, scripts: &Scripts) -> String {
    match class.location {
        Some(location) if !scripts.is_internal(location) => {
            format!("{}  {}", class.name, scripts.place(location))
        }
        _ => class.name.clone(),
    }
}
