//! `leak heap`: heap snapshots of JavaScript.

mod ask;
mod assert;
mod built;
mod compiled;
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
    no_page(&flags.job)?;
    if flags.nodes
        && let Some(file) = &flags.file
    {
        let analysis = read(file, &flags.output)?;
        nodes::write(&analysis, flags.output.threads, &mut out).map_err(Error::Output)?;
        out.flush().map_err(Error::Output)?;
        return Ok(0);
    }
    let output = output_of(flags);
    let holds = match built::is_wanted(output) {
        false => job(flags, &mut out)?,
        true => {
            let mut said = Vec::new();
            let holds = job(flags, &mut said)?;
            built::write(&said, output.format, &mut out).map_err(Error::Output)?;
            holds
        }
    };
    out.flush().map_err(Error::Output)?;
    Ok(if holds { 0 } else { EXCEEDED })
}

/// The flags that all jobs have.
fn output_of(flags: &HeapFlags) -> &OutputFlags {
    match &flags.job {
        None => &flags.output,
        Some(
            HeapCommand::Diff { output, .. }
            | HeapCommand::Leaks { output, .. }
            | HeapCommand::Why { output, .. }
            | HeapCommand::Dups { output, .. }
            | HeapCommand::Shapes { output, .. }
            | HeapCommand::Fanout { output, .. }
            | HeapCommand::Strings { output, .. }
            | HeapCommand::Query { output, .. }
            | HeapCommand::Assert { output, .. },
        ) => output,
    }
}

/// Does one job; whether what it asserts holds.
fn job(flags: &HeapFlags, out: &mut impl Write) -> Result<bool, Error> {
    match &flags.job {
        Some(HeapCommand::Diff {
            files,
            unrelated,
            output,
        }) => match unrelated {
            true => diff::diff(files, true, output, out)?,
            false => diff::diff(&files::in_order(files), false, output, out)?,
        },
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
            let files = files::in_order(files);
            let sites = stacks.as_ref().map(|log| sampled::read(log, &files));
            let sites = sites.transpose()?;
            leaks::leaks(&files, rules.as_deref(), every, sites, output, out)?;
        }
        Some(HeapCommand::Why {
            file,
            id,
            ways,
            output,
        }) => why::why(file, *id, *ways, output, out)?,
        Some(HeapCommand::Dups { file, output }) => dups::dups(file, output, out)?,
        Some(HeapCommand::Shapes { file, output }) => looks::shapes_of(file, output, out)?,
        Some(HeapCommand::Fanout { file, output }) => looks::fanout_of(file, output, out)?,
        Some(HeapCommand::Strings { file, output }) => looks::strings_of(file, output, out)?,
        Some(HeapCommand::Query {
            file,
            expression,
            output,
        }) => ask::query(file, expression, output, out)?,
        Some(HeapCommand::Assert {
            file,
            max_retained,
            max_count,
            may_be_absent,
            output,
        }) => {
            let bounds = (&max_retained[..], &max_count[..]);
            return assert::assert(file, bounds, *may_be_absent, output, out);
        }
        None => {
            if let Some(file) = &flags.file {
                let analysis = read(file, &flags.output)?;
                table::write(file, &analysis, &flags.output, out).map_err(Error::Output)?;
            }
        }
    }
    Ok(true)
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
        no_source_maps: false,
    };
    // A log may have no stacks: of a program that samples by itself, or has just begun.
    let sites = log.and_then(|log| sampled::read(log, files).ok());
    let mut said = Vec::new();
    leaks::leaks(files, None, Some(every), sites, &output, &mut said)?;
    built::write(&said, output.format, out).map_err(Error::Output)
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
