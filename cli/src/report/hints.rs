//! What stands below the sites: which names are missing on show or stand for more than one function, why, and what
//! helps.

use std::path::Path;

use symbolizer::Detail;

use super::names::Names;
use super::page::{Frame, Site};
use super::view::View;
use super::{Options, hiding};

/// Modules without lines that are named, at most.
const MAX_MODULES: usize = 4;

/// The lines.
pub fn lines(view: &View<'_>, names: &Names, options: &Options) -> Vec<String> {
    // Those with most frames first.
    let mut without_lines: Vec<(&Path, usize)> = Vec::new();
    let mut inlining = false;
    for site in view.sites(names) {
        let frames = shown(&site, options);
        inlining |= frames.iter().any(|frame| frame.inlining);
        let frames = frames
            .iter()
            .filter(|frame| frame.file.is_none() && frame.address.is_some());
        for module in frames.filter_map(|frame| frame.module) {
            match without_lines.iter_mut().find(|(path, _)| *path == module) {
                Some((_, count)) => *count += 1,
                None => without_lines.push((module, 1)),
            }
        }
    }
    without_lines.sort_by_key(|&(_, count)| std::cmp::Reverse(count));

    let mut hints = Vec::new();
    let mut plain = Vec::new();
    for known in without_lines
        .iter()
        .filter_map(|(path, _)| names.by_path(path))
    {
        if let Some(problem) = &known.problem {
            hints.push(problem.to_string());
        } else if known.detail.is_some_and(|detail| detail < Detail::Lines)
            && let Some(name) = known.module.path.file_name()
        {
            plain.push(name.to_string_lossy());
        }
    }
    hints.truncate(MAX_MODULES);
    if !plain.is_empty() {
        let more = if plain.len() > MAX_MODULES {
            " and others"
        } else {
            ""
        };
        plain.truncate(MAX_MODULES);
        hints.push(format!(
            "No file names and lines for {}{more}: no debug information found (compile with -g, or install its \
             debug package).",
            plain.join(", ")
        ));
    }
    if inlining {
        hints.push(
            "(optimized): V8 may have inlined other functions into this one; what those allocate counts as its own \
             (leak run --js-exact keeps them apart)."
                .to_owned(),
        );
    }
    hints
}

/// The frames of a site that a text has.
fn shown<'s, 'a>(site: &'s Site<'a>, options: &Options) -> &'s [Frame<'a>] {
    if options.all_frames {
        &site.frames
    } else {
        &site.frames[..hiding::inside_runtime(&site.frames)]
    }
}
