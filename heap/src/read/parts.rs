//! Parts of a profile, from what a log says.

use crate::ignored::Ignored;
use crate::profile::{Checks, Ending, LeakCheck, Module, Process, Site, Thread};
use crate::reach::Tally;
use crate::units::{Bytes, Nanos, StackId, ThreadId};
use log_format::layout::{SeenEnd, State, flag};
use log_format::reader::{CheckFacts, Clock, Facts, Info};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

pub fn process(info: &Info, facts: &Facts, duration: Nanos) -> Process {
    let fact = facts.process.clone().unwrap_or_default();
    Process {
        pid: info.pid,
        ppid: info.ppid,
        exe: path_of(&fact.exe),
        cwd: path_of(&fact.cwd),
        argv: fact.argv.into_iter().map(OsString::from_vec).collect(),
        parent_log: Some(path_of(&fact.parent_log)).filter(|path| !path.as_os_str().is_empty()),
        log_id: info.log_id,
        parent_log_id: info.parent_log_id,
        fork_child: info.has(flag::FORK_CHILD),
        started: SystemTime::UNIX_EPOCH + Duration::from_nanos(info.start_wall_ns),
        duration,
        ending: match info.state {
            State::Running => match info.seen_end {
                None => Ending::Killed,
                Some(SeenEnd::Killed(signal)) => Ending::Signal { signal },
                Some(SeenEnd::Exited(status)) => Ending::Exited { status },
            },
            State::Exited => Ending::Exited {
                status: info.exit_status as u8,
            },
            State::Exec => Ending::Exec,
            State::Stopped => Ending::Stopped {
                reason: info.stop_reason,
            },
        },
    }
}

pub fn modules(facts: &Facts, clock: &Clock) -> Vec<Module> {
    let modules = facts.modules.iter().map(|fact| Module {
        path: path_of(&fact.path),
        build_id: fact.build_id.clone(),
        bias: fact.bias,
        start: fact.start,
        end: fact.end,
        first_node: fact.first_node,
        end_node: fact.end_node,
        loaded: Nanos(clock.to_ns(fact.loaded)),
        unloaded: fact.unloaded.map(|ticks| Nanos(clock.to_ns(ticks))),
    });
    modules.collect()
}

pub fn threads(facts: &Facts) -> Vec<Thread> {
    let threads = facts.threads.iter().map(|(&serial, fact)| Thread {
        id: ThreadId(serial),
        tid: fact.tid,
        name: String::from_utf8_lossy(&fact.name).into_owned(),
        ended: fact.ended,
    });
    threads.collect()
}

pub fn checks(facts: &CheckFacts, clock: &Clock) -> Checks {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Checks {
        suppressions: text(&facts.suppressions),
        options: text(&facts.options),
        off: facts.off,
        asked: facts
            .asked
            .iter()
            .map(|&(time, check)| LeakCheck {
                time: Nanos(clock.to_ns(time)),
                stack: StackId(check.stack),
                lost: match check.lost {
                    Some(blocks) => Ok(Tally {
                        blocks,
                        bytes: Bytes(check.bytes),
                    }),
                    None => Err(check.outcome),
                },
                set_aside: check.set_aside,
                last: check.last,
            })
            .collect(),
    }
}

/// The sites in the order of a report, with the threads of their live blocks.
pub fn sites(
    states: Vec<crate::sites::SiteState>,
    live: &crate::live::Live,
    ignored: &Ignored,
) -> Vec<Site> {
    let mut sites: Vec<Site> = states
        .into_iter()
        .map(|state| {
            let mut figures = state.figures;
            if let Some(&(blocks, bytes)) = ignored.by_stack.get(&state.stack) {
                (figures.ignored_blocks, figures.ignored_bytes) = (blocks, Bytes(bytes));
                figures.blocks = figures.blocks.wrapping_sub(blocks);
                figures.bytes = Bytes(figures.bytes.0.wrapping_sub(bytes));
            }
            Site {
                stack: StackId(state.stack),
                figures,
                threads: Vec::new(),
            }
        })
        .collect();
    sites.sort_by_key(|site| (std::cmp::Reverse(site.figures.bytes), site.stack));
    let number_of: crate::live::FastMap<u32, u32> = (0u32..)
        .zip(&sites)
        .map(|(number, site)| (site.stack.0, number))
        .collect();
    for (serial, block) in live.iter() {
        if ignored.named.contains_key(&serial) {
            continue;
        }
        let Some(&number) = number_of.get(&block.stack) else {
            continue;
        };
        let threads = &mut sites[number as usize].threads;
        let thread = ThreadId(block.thread);
        if threads.last() != Some(&thread) {
            // Bounded by twice the distinct threads, not by the blocks.
            if threads.len() == threads.capacity() {
                distinct(threads);
            }
            threads.push(thread);
        }
    }
    for site in &mut sites {
        distinct(&mut site.threads);
        site.threads.shrink_to_fit();
    }
    sites
}

fn distinct(threads: &mut Vec<ThreadId>) {
    threads.sort_unstable();
    threads.dedup();
    threads.reserve(threads.len());
}
