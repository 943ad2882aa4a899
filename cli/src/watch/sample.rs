//! What is known of a process's memory at a moment.

use std::fs;
use std::time::{Duration, Instant};

use heap::Nanos;

use crate::live::{Channel, Figures};

/// A sample; bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// After the first one was due.
    pub time: Nanos,
    /// In memory.
    pub rss: u64,
    /// JavaScript's heap; `None`: not Node, or busy with something else just now.
    pub heap: Option<Figures>,
}

/// Takes samples.
pub struct Sampler {
    pid: i32,
    begin: Instant,
    channel: Option<Channel>,
}

impl Sampler {
    pub fn new(pid: i32) -> Sampler {
        Sampler {
            pid,
            begin: Instant::now(),
            channel: None,
        }
    }

    /// A sample; asks for the heap if that is wanted, and waits for an answer at most so long.
    /// `None`: the process is gone.
    pub fn sample(&mut self, heap: bool, patience: Duration) -> Option<Sample> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        // SAFETY: no preconditions.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        if heap && self.channel.is_none() {
            self.channel = Channel::open(self.pid).ok();
        }
        // It may have become another program.
        self.channel = self.channel.take().filter(Channel::listens);
        let channel = self.channel.as_ref().filter(|_| heap);
        Some(Sample {
            time: Nanos(u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            rss: pages * page,
            heap: channel.and_then(|channel| channel.figures(0, patience).ok()),
        })
    }
}
