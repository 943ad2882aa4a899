//! The processes of a run: each makes a log of its own, in the folder that they all know.
//!
//! ```text
//! folder has changed ─> new files ─> header: is it of this run? ─> its process listens ─> a Node
//! ```
//!
//! A file is looked at once, and its process until it is known what it is, so that hundreds of
//! children that come and go cost a few system calls each.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use log_format::control;

use crate::live;
use crate::run::Pattern;

/// How long it may take until a process is known for a Node, or a log is begun.
const GRACE: Duration = Duration::from_secs(30);
/// The times of folders are coarser than the system's clock.
const CLOCK_SLACK: Duration = Duration::from_secs(2);
/// Most parents that are looked at.
const GENERATIONS: usize = 64;

/// See the module.
pub struct Tree<'a> {
    pattern: &'a Pattern,
    /// The process that was started.
    first: u32,
    began: SystemTime,
    /// The folder's time when it was read last.
    read: Option<SystemTime>,
    seen: HashSet<OsString>,
    /// Without a header yet.
    unread: Vec<(PathBuf, Instant)>,
    pids: HashSet<u32>,
    logs: HashSet<[u8; 16]>,
    /// Processes that may become a Node.
    pending: Vec<Pending>,
}

struct Pending {
    pid: u32,
    log: PathBuf,
    since: Instant,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A process of the run, or an old one that runs another program now.
    Process(i32),
    /// One of them takes requests: a Node.
    Node(i32),
}

impl<'a> Tree<'a> {
    /// The processes that descend from `first` and write their logs by a pattern.
    pub fn new(first: i32, pattern: &'a Pattern) -> Tree<'a> {
        let now = SystemTime::now();
        let first = first.cast_unsigned();
        Tree {
            pattern,
            first,
            began: now.checked_sub(CLOCK_SLACK).unwrap_or(now),
            read: None,
            seen: HashSet::new(),
            unread: Vec::new(),
            pids: HashSet::from([first]),
            logs: HashSet::new(),
            pending: Vec::new(),
        }
    }

    /// What is new.
    pub fn look(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        self.read_folder();
        self.read_headers(&mut found);
        let now = Instant::now();
        self.pending.retain(|one| {
            let pid = one.pid.cast_signed();
            if listens(&one.log) {
                if live::is_alive(pid) {
                    found.push(Found::Node(pid));
                }
                return false;
            }
            now - one.since < GRACE && live::is_alive(pid)
        });
        found
    }

    /// Notes new files, if there can be any.
    fn read_folder(&mut self) {
        let folder = self.pattern.directory();
        let changed = fs::metadata(folder).and_then(|about| about.modified()).ok();
        if changed.is_some() && changed == self.read {
            return;
        }
        // More may come within the same tick of its clock.
        let is_old = changed.and_then(|time| SystemTime::now().duration_since(time).ok());
        self.read = changed.filter(|_| is_old.is_some_and(|age| age > CLOCK_SLACK));
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if self.seen.contains(&name) || !self.pattern.matches(&name) {
                continue;
            }
            self.seen.insert(name);
            let is_new = entry.metadata().is_ok_and(|about| {
                about.is_file() && about.modified().is_ok_and(|time| time >= self.began)
            });
            if is_new {
                self.unread.push((entry.path(), Instant::now()));
            }
        }
    }

    /// Of the new logs, takes those of this run.
    fn read_headers(&mut self, found: &mut Vec<Found>) {
        let mut others = Vec::new();
        self.unread
            .retain(|(path, since)| match heap::origin(path) {
                Ok(origin) => {
                    others.push((path.clone(), origin));
                    false
                }
                Err(_) => since.elapsed() < GRACE,
            });
        // A child's may come before its parent's.
        loop {
            let before = others.len();
            for (path, origin) in std::mem::take(&mut others) {
                let is_ours = self.pids.contains(&origin.pid)
                    || self.pids.contains(&origin.ppid)
                    || self.logs.contains(&origin.parent_log_id)
                    || descends(origin.pid, self.first);
                if !is_ours {
                    others.push((path, origin));
                    continue;
                }
                self.pids.insert(origin.pid);
                self.logs.insert(origin.log_id);
                found.push(Found::Process(origin.pid.cast_signed()));
                self.pending.push(Pending {
                    pid: origin.pid,
                    log: path,
                    since: Instant::now(),
                });
            }
            if others.is_empty() || others.len() == before {
                break;
            }
        }
    }
}

/// Whether the recorder that writes a log takes requests ([`control::Control::listens`]).
fn listens(log: &PathBuf) -> bool {
    let mut word = [0u8; 4];
    let read =
        File::open(log).and_then(|file| file.read_exact_at(&mut word, control::OFFSET as u64));
    read.is_ok() && u32::from_ne_bytes(word) == 1
}

/// Whether a process is a child of another, or a child's child.
pub fn descends(pid: u32, from: u32) -> bool {
    let mut at = pid;
    for _ in 0..GENERATIONS {
        match live::parent(at.cast_signed()) {
            Some(parent) if parent.cast_unsigned() == from => return true,
            Some(parent @ 2..) => at = parent.cast_unsigned(),
            _ => return false,
        }
    }
    false
}
