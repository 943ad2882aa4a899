//! A verdict of the gate, for people and for programs.

mod json;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use heap::gate::{Amount, Finding, Policy, Status, Suppressions, Verdict};
use heap::{Class, Profile};

use super::page::{Frame, Site};
use crate::figures::{bytes, counted};
use crate::flags::CheckFormat;
use crate::paint::Paint;

/// What there is to say.
pub struct Page<'a> {
    /// File name of the program.
    pub program: &'a str,
    /// The processes, the first one first.
    pub profiles: &'a [Profile],
    /// What the check came to.
    pub verdict: &'a Verdict<'a>,
    /// What leaks were held against.
    pub suppressions: &'a Suppressions,
    /// What counts.
    pub policy: &'a Policy,
    /// Whether there was a baseline.
    pub with_baseline: bool,
    /// The sites that the leaks name.
    pub sites: &'a [Site<'a>],
    /// What the program asked not to count.
    pub ignored: Amount,
    /// What the record lacks, in lines.
    pub loss: Vec<String>,
    /// What else there is to know, in lines.
    pub notes: Vec<String>,
    /// How many leaks a text shows.
    pub top: Option<usize>,
    /// Where the reader stands.
    pub here: PathBuf,
}

impl Page<'_> {
    fn site(&self, finding: &Finding<'_>) -> Option<&Site<'_>> {
        self.sites.get(finding.leak.site)
    }

    /// The frames of a finding, from what called the allocator to `main`.
    fn frames(&self, finding: &Finding<'_>) -> &[Frame<'_>] {
        let own = finding.leak.own_frames().len();
        self.site(finding)
            .and_then(|site| site.frames.get(..own))
            .unwrap_or(&[])
    }

    /// The verdict in one sentence.
    fn sentence(&self) -> String {
        let counted_ = self.verdict.counted;
        let fail_on = self.policy.fail_on;
        let what = match counted_.leaks {
            0 => "nothing that counts was left".to_owned(),
            n => format!(
                "{}, {}",
                counted(
                    n,
                    if self.with_baseline {
                        "new leak"
                    } else {
                        "leak"
                    }
                ),
                amount(counted_.amount)
            ),
        };
        format!("{what} (fail on {fail_on})")
    }
}

/// Prints a verdict.
pub fn print(
    out: &mut dyn Write,
    format: CheckFormat,
    page: &Page<'_>,
    paint: Paint,
) -> io::Result<()> {
    match format {
        CheckFormat::Text => text::print(out, page, paint),
        CheckFormat::Json => json::print(out, page),
        CheckFormat::Sarif => sarif::print(out, page),
        CheckFormat::Junit => junit::print(out, page),
        CheckFormat::Markdown => markdown::print(out, page),
    }
}

/// `1.20 KiB in 3 blocks`.
fn amount(amount: Amount) -> String {
    format!(
        "{} in {}",
        bytes(amount.bytes),
        counted(amount.blocks, "block")
    )
}

/// What a class is called where one leak is described.
fn class_name(class: Option<Class>) -> &'static str {
    class.map_or("not freed", super::reach::class_name)
}

/// A leak in one line: what, and who allocated it.
fn title(finding: &Finding<'_>, page: &Page<'_>) -> String {
    let what = format!(
        "{} {}",
        amount(finding.leak.amount),
        class_name(finding.leak.class)
    );
    match blamed(page.frames(finding)) {
        Some(frame) => format!("{what}, allocated in {}", frame_name(frame)),
        None => what,
    }
}

/// The frame to blame: the innermost outside of standard libraries, of those with lines if there are any.
fn blamed<'s, 'a>(frames: &'s [Frame<'a>]) -> Option<&'s Frame<'a>> {
    let own = |frame: &&Frame<'a>| !super::hiding::is_standard(frame);
    let lines = frames
        .iter()
        .filter(own)
        .find(|frame| frame.file.is_some() && frame.line.is_some());
    lines.or_else(|| frames.iter().find(own)).or(frames.first())
}

/// A frame's function, or where it is.
fn frame_name(frame: &Frame<'_>) -> String {
    match (frame.function, frame.module_name()) {
        (Some(function), _) => super::shorten::function(function).into_owned(),
        (None, Some(module)) => format!("{module}+{:#x}", frame.offset),
        (None, None) => "code in no file".to_owned(),
    }
}

/// `file:line`, or the module, of a frame.
fn frame_place(frame: &Frame<'_>, here: &Path) -> String {
    match (frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{}:{line}", super::shorten::file(file, here)),
        (Some(file), None) => super::shorten::file(file, here).into_owned(),
        (None, _) => frame.module_name().unwrap_or_default().to_owned(),
    }
}

/// The name of a status, in files for programs.
fn status_name(status: Status) -> &'static str {
    match status {
        Status::Counts => "counts",
        Status::Known(_) => "known",
        Status::Suppressed(_) => "suppressed",
        Status::Spared => "spared",
    }
}
