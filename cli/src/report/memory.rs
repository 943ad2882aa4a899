//! Where a process's memory was, in a sentence, and as JSON.

use heap::{Pinning, Profile, Split};
use log_format::memory::Account;
use serde::Serialize;

use super::names::Names;
use super::page::Frame;
use super::view::View;
use crate::figures::{bytes, counted, duration};

/// Parts of the resident memory below one of so many are not named in the sentence.
const SMALL: u64 = 100;
/// A later figure that differs by less than one of so many parts is not said.
const LATER: u64 = 10;
/// A site that pins less is not named, bytes.
const LEAST_PINNED: u64 = 64 << 10;

/// The sites of a process that pin pages worth naming, most first.
pub fn culprits(profile: &Profile) -> impl Iterator<Item = &Pinning> {
    let split = profile
        .memory
        .as_ref()
        .and_then(|memory| memory.split.as_ref());
    let all = split.into_iter().flat_map(|split| &split.pinning);
    all.filter(|site| site.bytes.0 >= LEAST_PINNED)
}

/// The sentence; `None` if memory was not sampled, or if there are several processes.
pub fn sentence(view: &View<'_>, names: &Names) -> Option<String> {
    let [profile] = view.profiles else {
        return None;
    };
    let memory = profile.memory.as_ref()?;
    let (_, first) = memory.resident.first()?;
    let (_, last) = memory.resident.last()?;
    let now = memory
        .split
        .as_ref()
        .map_or(last.0, |split| split.resident.0);
    let change = match now.checked_sub(first.0) {
        Some(more) => format!("grew by {} to {}", bytes(more), bytes(now)),
        None => format!("shrank by {} to {}", bytes(first.0 - now), bytes(now)),
    };
    let Some(split) = &memory.split else {
        return Some(format!("RSS {change}"));
    };
    let parts = parts(split, profile, view, names).join(", ");
    let when = match split.at_end {
        true => String::new(),
        false => format!(" ({} after the start)", duration(split.time.0)),
    };
    let account = memory.account.as_ref().map(account).unwrap_or_default();
    // Where a process was killed, its last figure is later than what says where it was.
    let (time, last) = memory.resident.last()?;
    let later = match !split.at_end && *time > split.time && last.0.abs_diff(now) > now / LATER {
        true => format!("; {} {} after the start", bytes(last.0), duration(time.0)),
        false => String::new(),
    };
    Some(format!("RSS {change}{when}: {parts}{account}{later}"))
}

/// The allocator's own words; they count what is not resident as well.
fn account(account: &Account) -> String {
    let mapped = match account.mapped {
        0 => String::new(),
        mapped => format!(", and {} mapped for large blocks", bytes(mapped)),
    };
    format!(
        "; the allocator counts {} in arenas, {} of that free{mapped}",
        bytes(account.arenas),
        bytes(account.free)
    )
}

fn parts(split: &Split, profile: &Profile, view: &View<'_>, names: &Names) -> Vec<String> {
    let growing = view.growing();
    let live = match growing {
        (0, _) => "in live blocks".to_owned(),
        (sites, sum) => format!(
            "in live blocks ({} of that at {} that {})",
            bytes(sum),
            counted(sites, "site"),
            if sites == 1 { "grows" } else { "grow" }
        ),
    };
    let pinned = match culprits(profile).next() {
        Some(site) => {
            let part = match bytes(site.bytes.0) {
                all if all == bytes(split.pinned.0) => String::new(),
                part => format!(", {part} of that"),
            };
            let blocks = counted(site.blocks, "small block");
            format!(
                "freed but pinned{part} by {blocks} of {}",
                name(view.blame(0, site.stack, names))
            )
        }
        None => "free beside live blocks".to_owned(),
    };
    let mut all = vec![
        (split.live.0, live),
        (split.overhead.0, "the allocator's overhead".to_owned()),
        (split.pinned.0, pinned),
        (split.kept.0, "freed and kept by the allocator".to_owned()),
        (split.mapped.0, "mapped by the program".to_owned()),
        (split.stacks.0, "stacks".to_owned()),
        (split.files.0, "programs and files".to_owned()),
        (split.shared.0, "shared memory".to_owned()),
        (split.recorder.0, "the recorder's own".to_owned()),
        (split.other.0, "elsewhere".to_owned()),
    ];
    all.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let named = all
        .iter()
        .take_while(|(size, _)| *size > split.resident.0 / SMALL)
        .count()
        .max(1);
    let rest: u64 = all[named..].iter().map(|(size, _)| size).sum();
    let mut words: Vec<String> = all[..named]
        .iter()
        .map(|(size, what)| format!("{} {what}", bytes(*size)))
        .collect();
    if rest > 0 {
        words.push(format!("{} of other kinds", bytes(rest)));
    }
    words
}

fn name(frame: Option<Frame<'_>>) -> String {
    let Some(frame) = frame else {
        return "a site without a stack".to_owned();
    };
    let module = frame.module_name().unwrap_or("?");
    match (frame.function, frame.file, frame.line) {
        (Some(function), Some(file), Some(line)) => {
            format!(
                "{function} ({}:{line})",
                file.rsplit('/').next().unwrap_or(file)
            )
        }
        (Some(function), ..) => format!("{function} ({module})"),
        _ => format!("{module}+{:#x}", frame.offset),
    }
}

/// `memory` of a process in JSON.
#[derive(Clone, Serialize)]
pub struct JsonMemory {
    rss_first: u64,
    rss_last: u64,
    rss_most: u64,
    rss: Vec<[u64; 2]>,
    split: Option<JsonSplit>,
    allocator: Option<JsonAccount>,
}

#[derive(Clone, Serialize)]
struct JsonAccount {
    arenas: u64,
    used: u64,
    free: u64,
    top: u64,
    mapped: u64,
}

#[derive(Clone, Serialize)]
struct JsonSplit {
    time_ns: u64,
    at_end: bool,
    rss: u64,
    live: u64,
    overhead: u64,
    pinned: u64,
    kept: u64,
    mapped: u64,
    stacks: u64,
    files: u64,
    shared: u64,
    recorder: u64,
    other: u64,
    swapped: u64,
    pinning: Vec<JsonPinning>,
}

#[derive(Clone, Serialize)]
struct JsonPinning {
    bytes: u64,
    blocks: u64,
    live_bytes: u64,
    site: String,
}

impl JsonMemory {
    /// Of a process of the report, by its number.
    pub fn of(view: &View<'_>, process: usize, names: &Names) -> Option<JsonMemory> {
        let profile = view.profiles.get(process)?;
        let memory = profile.memory.as_ref()?;
        let split = memory.split.as_ref().map(|split| JsonSplit {
            time_ns: split.time.0,
            at_end: split.at_end,
            rss: split.resident.0,
            live: split.live.0,
            overhead: split.overhead.0,
            pinned: split.pinned.0,
            kept: split.kept.0,
            mapped: split.mapped.0,
            stacks: split.stacks.0,
            files: split.files.0,
            shared: split.shared.0,
            recorder: split.recorder.0,
            other: split.other.0,
            swapped: split.swapped.0,
            pinning: culprits(profile)
                .map(|site| JsonPinning {
                    bytes: site.bytes.0,
                    blocks: site.blocks,
                    live_bytes: site.live.0,
                    site: name(view.blame(process, site.stack, names)),
                })
                .collect(),
        });
        Some(JsonMemory {
            rss_first: memory.resident.first()?.1.0,
            rss_last: memory.resident.last()?.1.0,
            rss_most: memory.resident.iter().map(|(_, size)| size.0).max()?,
            rss: memory
                .resident
                .iter()
                .map(|(time, size)| [time.0, size.0])
                .collect(),
            split,
            allocator: memory.account.map(|account| JsonAccount {
                arenas: account.arenas,
                used: account.used,
                free: account.free,
                top: account.top,
                mapped: account.mapped,
            }),
        })
    }
}
