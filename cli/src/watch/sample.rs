//! What is known of a process's memory at a moment.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use heap::Nanos;

use crate::live::{Channel, Figures};

/// How long the answer of a worker thread is waited for.
const FROM_WORKERS: Duration = Duration::from_millis(200);
/// A silent worker is left out of so many samples at most.
const MOST_LEFT_OUT: u32 = 63;

/// A sample; bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// After the first one was due.
    pub time: Nanos,
    /// In memory.
    pub rss: u64,
    /// JavaScript's heap; `None`: not Node, or busy with something else just now.
    pub heap: Option<Figures>,
    /// The heaps of worker threads that answered, by the isolate's number.
    pub workers: Vec<(u32, Figures)>,
}

impl Sample {
    /// The heap of an isolate; 0 is the main thread's.
    pub fn heap_of(&self, isolate: u32) -> Option<Figures> {
        match isolate {
            0 => self.heap,
            _ => {
                let worker = self.workers.iter().find(|(number, _)| *number == isolate);
                worker.map(|(_, figures)| *figures)
            }
        }
    }
}

/// Takes samples.
pub struct Sampler {
    pid: i32,
    begin: Instant,
    channel: Option<Channel>,
    /// Workers that did not answer, and how many samples they are left out of.
    silent: HashMap<u32, (u32, u32)>,
}

impl Sampler {
    pub fn new(pid: i32) -> Sampler {
        Sampler {
            pid,
            begin: Instant::now(),
            channel: None,
            silent: HashMap::new(),
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
        let workers = channel.map(|channel| workers(channel, &mut self.silent));
        Some(Sample {
            time: Nanos(u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            rss: pages * page,
            heap: channel.and_then(|channel| channel.figures(0, patience).ok()),
            workers: workers.unwrap_or_default(),
        })
    }
}

/// Asks the worker threads. One that waits in a call outside of JavaScript (`execSync`) does not grow:
/// it is asked again ever more seldom.
fn workers(channel: &Channel, silent: &mut HashMap<u32, (u32, u32)>) -> Vec<(u32, Figures)> {
    let there = channel.isolates();
    silent.retain(|isolate, _| there.contains(isolate));
    let mut answers = Vec::new();
    for isolate in there.into_iter().filter(|&isolate| isolate != 0) {
        if let Some((left, _)) = silent.get_mut(&isolate).filter(|(left, _)| *left > 0) {
            *left -= 1;
            continue;
        }
        match channel.figures(isolate, FROM_WORKERS) {
            Ok(figures) => {
                silent.remove(&isolate);
                answers.push((isolate, figures));
            }
            Err(_) => {
                let (_, before) = silent.get(&isolate).copied().unwrap_or_default();
                let next = (before * 2 + 1).min(MOST_LEFT_OUT);
                silent.insert(isolate, (next, next));
            }
        }
    }
    answers
}
