//! `leak heap`: heap snapshots of JavaScript.

mod diff;
pub mod flags;
mod nodes;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use v8heap::{Analysis, Scripts};

use crate::error::Error;
use flags::{HeapCommand, HeapFlags, HeapFormat, OutputFlags};

/// Does what the flags say.
pub fn heap(flags: &HeapFlags) -> Result<u8, Error> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match (&flags.job, &flags.file) {
        (Some(HeapCommand::Diff { files, output }), _) => diff::diff(files, output, &mut out)?,
        (None, Some(file)) => {
            let analysis = read(file, &flags.output)?;
            if flags.nodes {
                nodes::write(&analysis, &mut out)
            } else {
                table::write(file, &analysis, &flags.output, &mut out)
            }
            .map_err(Error::Output)?;
        }
        (None, None) => {}
    }
    out.flush().map_err(Error::Output)?;
    Ok(0)
}

fn read(file: &Path, flags: &OutputFlags) -> Result<Analysis, Error> {
    Analysis::of_file(file, usize::from(flags.threads)).map_err(Error::Snapshot)
}

/// How many of something to show.
fn shown(flags: &OutputFlags, in_text: usize) -> usize {
    match (flags.top, flags.format) {
        (Some(0), _) | (None, HeapFormat::Json) => usize::MAX,
        (Some(top), _) => top,
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
