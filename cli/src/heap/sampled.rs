//! `leak heap leaks --stacks LOG`: stacks that the log of the process has sampled, beside what grew in its
//! snapshots.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use heap::js::{JsFrame, JsHeap};
use heap::{Marked, Nanos, Profile};
use serde_json::{Value, json};
use v8heap::leaks::Leak;
use v8heap::leaks::sampled::{Link, Sampled, Site, assign};
use v8heap::stacks::Frame;

use crate::error::Error;
use crate::figures::{bytes, percent};
use crate::heap::stacks;

/// Stacks of a leak, and of none, in text.
const OF_LEAK: usize = 3;
const OTHERS: usize = 5;
/// Less growth than this many samples stand for is chance.
const SAMPLES: u64 = 2;

/// What a log has of the time between snapshots.
pub struct Sites {
    log: PathBuf,
    /// Bytes between two samples.
    interval: u64,
    /// The log says when the snapshots were taken, or they are of the time of its run.
    is_of_run: bool,
    all: Vec<Site>,
}

/// What a log says of leaks.
pub struct Stacks {
    log: PathBuf,
    interval: u64,
    is_of_run: bool,
    sampled: Sampled,
}

/// Reads the stacks of a log, or of the logs in a folder.
///
/// # Errors
/// If it cannot be read, or has none.
pub fn read(log: &Path, files: &[PathBuf]) -> Result<Sites, Error> {
    let options = heap::Options {
        keep: Some(&|_| false),
        ..heap::Options::default()
    };
    let logs = heap::find_logs(log).map_err(Error::Log)?;
    let (mut interval, mut is_of_run) = (0, false);
    let mut sites = Vec::new();
    for path in logs {
        let profile = heap::replay(&path, &options).map_err(Error::Log)?;
        is_of_run |= files.iter().all(|file| taken(&profile, file).is_some());
        for heap in &profile.js_heaps {
            let Some((before, after)) = marks(&profile, heap, files) else {
                continue;
            };
            interval = interval.max(heap.marks[after].interval.0);
            sites.extend(heap.sites.iter().map(|site| Site {
                stack: heap.stack(site).map(frame).collect(),
                before: match before == after {
                    true => 0,
                    false => site.by_mark[before].0,
                },
                after: site.by_mark[after].0,
            }));
        }
    }
    if interval == 0 {
        return Err(Error::NoStacks(log.to_owned()));
    }
    Ok(Sites {
        log: log.to_owned(),
        interval,
        is_of_run,
        all: sites,
    })
}

impl Sites {
    /// Which leaks they are of.
    pub fn of(self, leaks: &[Leak]) -> Stacks {
        Stacks {
            log: self.log,
            interval: self.interval,
            is_of_run: self.is_of_run,
            sampled: assign(leaks, self.all, self.interval.saturating_mul(SAMPLES)),
        }
    }
}

/// The marks at the first and at the last snapshot; of the whole run if it is not known when these were taken.
fn marks(profile: &Profile, heap: &JsHeap, files: &[PathBuf]) -> Option<(usize, usize)> {
    let whole = (Nanos(0), Nanos(u64::MAX));
    let (first, last) = (files.first()?, files.last()?);
    let (from, to) = match (taken(profile, first), taken(profile, last)) {
        (Some(from), Some(to)) if from < to => (from, to),
        _ => whole,
    };
    heap.marks_at(from, to)
}

/// When a snapshot was taken, from the start of the log: as the log says, or by the file's time.
fn taken(profile: &Profile, file: &Path) -> Option<Nanos> {
    let known = profile.marks.iter().find_map(|mark| match &mark.what {
        Marked::HeapSnapshot { path, .. } => {
            (path.file_name() == file.file_name()).then_some(mark.time)
        }
        Marked::Named(_) => None,
    });
    known.or_else(|| {
        let changed: SystemTime = file.metadata().ok()?.modified().ok()?;
        let since = changed.duration_since(profile.process.started).ok()?;
        let since = u64::try_from(since.as_nanos()).ok()?;
        (since <= profile.process.duration.0).then_some(Nanos(since))
    })
}

fn frame(frame: &JsFrame) -> Frame {
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    let file = frame.file.strip_prefix("file://").unwrap_or(&frame.file);
    Frame {
        function: frame.function.clone(),
        file: file.to_owned(),
        script: number(Some(frame.script)).unwrap_or_default(),
        place: number(frame.line).map(|line| (line, number(frame.column).unwrap_or(1))),
    }
}

impl Stacks {
    /// The stacks of a leak, by its number.
    pub fn of(&self, leak: usize, out: &mut impl Write) -> io::Result<()> {
        let sites = self.sampled.of_leaks.get(leak);
        for (link, site) in sites.into_iter().flatten().take(OF_LEAK) {
            let why = match link {
                Link::Function => "",
                Link::File => " (the same file, and as much)",
            };
            writeln!(
                out,
                "   sampled: {} of the growth of the JavaScript heap (+{}) by {}{why}",
                percent(site.growth(), self.sampled.growth).trim(),
                bytes(site.growth()),
                stacks::line(&site.stack)
            )?;
        }
        Ok(())
    }

    /// The stacks of no leak.
    pub fn others(&self, out: &mut impl Write) -> io::Result<()> {
        let all = &self.sampled.others;
        let is_of_any = self.sampled.of_leaks.iter().any(|sites| !sites.is_empty());
        if !self.is_of_run {
            writeln!(
                out,
                "\n{}: nothing in it says that these snapshots are of its process; its stacks are those of the whole run.",
                self.log.display()
            )?;
        }
        if all.is_empty() && !is_of_any {
            return writeln!(
                out,
                "\n{}: no stack that it has sampled holds more than before.",
                self.log.display()
            );
        }
        if all.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nStacks of JavaScript that hold more, and are of none of these (one sample in {}):",
            bytes(self.interval)
        )?;
        for site in all.iter().take(OTHERS) {
            writeln!(
                out,
                "   {} → {}  {}",
                bytes(site.before),
                bytes(site.after),
                stacks::line(&site.stack)
            )?;
        }
        Ok(())
    }

    /// The stacks of a leak, by its number.
    pub fn of_json(&self, leak: usize) -> Value {
        let sites = self.sampled.of_leaks.get(leak);
        let one = |(link, site): &(Link, Site)| {
            let mut one = site_json(site);
            one["link"] = json!(match link {
                Link::Function => "function",
                Link::File => "file",
            });
            one
        };
        sites.into_iter().flatten().map(one).collect()
    }

    /// What is said of all.
    pub fn json(&self) -> Value {
        json!({
            "log": self.log.display().to_string(),
            "is_of_run": self.is_of_run,
            "sample_bytes": self.interval,
            "growth_bytes": self.sampled.growth,
            "others": self.sampled.others.iter().map(site_json).collect::<Vec<_>>(),
        })
    }
}

fn site_json(site: &Site) -> Value {
    json!({
        "stack": stacks::json(&site.stack),
        "before_bytes": site.before,
        "after_bytes": site.after,
        "growth_bytes": site.growth(),
    })
}
