//! One process, until it ends or nothing is left to be done.

use std::io;
use std::time::{Duration, Instant};

use super::LOOK;
use super::alert::Alerts;
use super::flags::WatchFlags;
use super::places::Places;
use super::process::Process;
use super::rules::AllRules;
use super::sample::Sampler;
use super::snapshots::Snapshots;
use crate::live::{self, Channel, Problem};

/// Time between two looks at which worker threads there are.
const LOOK_AT_WORKERS: Duration = Duration::from_secs(1);

/// After so long without figures of a heap, the process shows none.
const NO_HEAP: Duration = Duration::from_secs(10);

/// Watches a process. `alone`: it is the one that the user named.
pub fn follow(pid: i32, flags: &WatchFlags, places: &Places, alone: bool) -> Result<(), Problem> {
    let begin = Instant::now();
    let mut sampler = Sampler::new(pid);
    let mut rules = AllRules::new(flags);
    let mut alerts = Alerts::new(pid, flags, places);
    let mut snapshots = vec![Snapshots::new(pid, 0, flags, places, begin, alone)];
    let interval = Duration::from_nanos(flags.interval).max(Duration::from_millis(1));
    let (mut due, mut look) = (begin, begin);
    // A program that was started may be a shell that starts the one with the heap.
    let mut is_heap_awaited = alone && rules.want_heap();
    let mut result = Ok(());
    while live::is_alive(pid) && !live::interrupt::came() {
        let now = Instant::now();
        if now >= due && !rules.is_empty() {
            // Not `due + interval`: a machine that slept needs no samples of that time.
            due = now + interval;
            if let Some(sample) = sampler.sample(rules.want_heap(), interval) {
                is_heap_awaited &= sample.heap.is_none();
                if is_heap_awaited && now >= begin + NO_HEAP {
                    is_heap_awaited = false;
                    say_no_heap(pid);
                }
                for (isolate, alert) in rules.judge(&sample) {
                    alerts.raise(isolate, &alert, &sample);
                }
            }
        }
        alerts.look();
        for one in &mut snapshots {
            if let Err(problem) = one.go_on() {
                result = Err(problem);
            }
        }
        // Before the end as well: the main thread's series may be done before a worker has begun.
        let are_done = |all: &[Snapshots]| all.iter().all(Snapshots::are_done);
        if flags.workers && (now >= look || alone && are_done(&snapshots)) {
            look = now + LOOK_AT_WORKERS;
            add_workers(pid, &mut snapshots, |isolate| {
                Snapshots::new(pid, isolate, flags, places, Instant::now(), alone)
            });
        }
        if rules.is_empty() && are_done(&snapshots) && (alone || !flags.workers) {
            break;
        }
        let next = snapshots.iter().filter_map(Snapshots::due);
        let next = next.chain((!rules.is_empty()).then_some(due)).min();
        let next = next.unwrap_or(now + LOOK);
        std::thread::sleep(next.saturating_duration_since(Instant::now()).min(LOOK));
    }
    for one in &mut snapshots {
        one.finish(&mut io::stderr());
    }
    alerts.finish();
    result
}

/// Who has asked for alerts of a heap believes to be guarded.
fn say_no_heap(pid: i32) {
    tell!(
        "leak watch: {}: shows no JavaScript heap (it is not Node, does not answer, or was started with LEAK_JS=0): of \
         --heap-used, --heap-total and --external no alert can come so, and --growth is that of all its memory",
        Process::look(pid)
    );
}

/// Begins the series of workers that are new.
fn add_workers<'a>(pid: i32, all: &mut Vec<Snapshots<'a>>, new: impl Fn(u32) -> Snapshots<'a>) {
    // One that has ended may be followed by another of its number.
    all.retain(|one| one.isolate() == 0 || !one.has_ended());
    let there = Channel::open(pid).map(|channel| channel.isolates());
    for isolate in there.unwrap_or_default() {
        if all.iter().all(|one| one.isolate() != isolate) {
            all.push(new(isolate));
        }
    }
}
