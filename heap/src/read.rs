//! From a path to a [`Profile`].

mod parts;

use crate::growth::{Evidence, Plan, Record, Spans, Watch};
use crate::ignored::Ignored;
use crate::live::FastMap;
use crate::marks::marks;
use crate::memory;
use crate::modules::ModuleMap;
use crate::nodes::Nodes;
use crate::patterns::bad_frees;
use crate::profile::{Disagreement, Loss, Point, Profile, SelfCheck, Site, Teardown, Totals};
use crate::reach::Reach;
use crate::replay::Replay;
use crate::tail;
use crate::units::{Bytes, Nanos, StackId};
use log_format::error::{DamageList, Error};
use log_format::layout::{Node, flag};
use log_format::reader::{Facts, Info, Item, Log};
use log_format::window::Tail;
use parts::{checks, modules, process, sites, threads};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the log played.
    pub done: Bytes,
    /// Bytes of all its blocks.
    pub total: Bytes,
}

/// Called now and then with how far a log is played.
pub type OnProgress<'a> = &'a (dyn Fn(&Path, Progress) + Sync);

/// Where the warm-up of a run ends, which growth leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WarmUp {
    /// After the leading parts in which many more survivors were born than later.
    #[default]
    Detected,
    /// So long after the start of recording.
    Given(Nanos),
}

/// Whether a site is wanted.
pub type KeepSite<'a> = &'a (dyn Fn(&Site) -> bool + Sync);

/// What a replay should do besides.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Keep the live blocks one by one ([`Profile::live_blocks`]), up to 100
    /// bytes each.
    pub live_blocks: bool,
    /// Find out which sites grow ([`crate::judge`]): the log is played twice.
    pub growth: Option<WarmUp>,
    /// Sites for which this is false are forgotten as soon as their log is played, so that
    /// many logs fit into memory. The totals count them all the same.
    pub keep: Option<KeepSite<'a>>,
    /// Told how far each log is played.
    pub progress: Option<OnProgress<'a>>,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("live_blocks", &self.live_blocks)
            .field("growth", &self.growth)
            .field("keep", &self.keep.is_some())
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// Plays a log.
///
/// # Errors
/// If the file cannot be read or is not a log of this version. What is broken
/// inside a log is no error: it stands in [`Loss::damage`].
pub fn replay(path: &Path, options: &Options<'_>) -> Result<Profile, Error> {
    let mut log = Log::open(path)?;
    let mut profile = play_all(&mut log, path, options);
    // A program that still runs writes on, and its end moves everything.
    for _ in 0..MAX_TRIES {
        if !log.has_moved() {
            break;
        }
        log = Log::open_running(path)?;
        profile = play_all(&mut log, path, options);
    }
    Ok(profile)
}

/// Times that a log is read again because its program was writing.
const MAX_TRIES: u32 = 4;

/// Plays a log once, or twice if growth is asked for: the first time for the parts
/// of the run.
fn play_all(log: &mut Log, path: &Path, options: &Options<'_>) -> Profile {
    let Some(warm_up) = options.growth else {
        let (replay, nodes) = play(log, path, options, None);
        return profile_of(log, path, options, replay, nodes);
    };
    let (mut replay, _) = play(log, path, options, None);
    let info = log.info();
    let spans = Spans::of(&replay.facts.marks, &info.clock);
    replay.marks.without(&spans);
    let first = info.clock.to_ticks(0);
    let last = if info.end_ticks == 0 {
        replay.last_time
    } else {
        info.end_ticks.max(replay.last_time)
    };
    let warm = match warm_up {
        WarmUp::Given(span) => info.clock.to_ticks(span.0).min(last),
        WarmUp::Detected => {
            let live = replay.live.iter().map(|(_, block)| block);
            let births = live
                .filter(|block| !spans.made(block))
                .map(|block| block.time);
            Plan::new(&replay.marks, first, first, last).warm_up(births)
        }
    };
    let plan = Plan::new(&replay.marks, first, warm, last);
    drop(replay);
    let (replay, nodes) = play(log, path, options, Some((plan, spans)));
    profile_of(log, path, options, replay, nodes)
}

fn profile_of(
    log: &mut Log,
    path: &Path,
    options: &Options<'_>,
    mut replay: Replay,
    nodes: Vec<Node>,
) -> Profile {
    let watch = replay.sites.watch.take();
    let facts = std::mem::take(&mut replay.facts);
    let ignored = Ignored::find(&facts.checks.ignored, &nodes, &replay.live);
    let reach = Reach::new(log.reach(), &replay.live, &ignored);
    let mut damage = log.damage().clone();
    damage.append(&replay.damage);
    let mut profile = assemble(path, log.info(), replay, &facts, ignored, damage);
    profile.nodes = Nodes::All(nodes);
    profile.reach = reach;
    profile.memory = memory::memory(
        &facts,
        &profile.live,
        &profile.mappings,
        &profile.clock,
        &profile.modules,
        |stack| is_allocators(&profile, StackId(stack)),
    );
    if let Some(wanted) = options.keep {
        // Those that pin pages are named whatever the report is about.
        let split = profile
            .memory
            .as_ref()
            .and_then(|memory| memory.split.as_ref());
        let pinning: Vec<StackId> = split
            .iter()
            .flat_map(|split| &split.pinning)
            .map(|site| site.stack)
            .collect();
        profile.keep_sites(&|site: &Site| wanted(site) || pinning.contains(&site.stack));
    }
    if let Some(watch) = watch {
        let (plan, mut found) =
            watch.finish(profile.live.iter().map(|(_, block)| block), &profile.clock);
        profile.growth = Some(record(plan, &mut found, &profile.sites));
    }
    if !options.live_blocks {
        profile.live = Default::default();
    }
    profile
}

fn record(plan: Plan, found: &mut FastMap<u32, Box<Evidence>>, sites: &[Site]) -> Record {
    let evidence = sites
        .iter()
        .map(|site| found.remove(&site.stack.0))
        .collect();
    Record { evidence, plan }
}

fn play(
    log: &mut Log,
    path: &Path,
    options: &Options<'_>,
    plan: Option<(Plan, Spans)>,
) -> (Replay, Vec<Node>) {
    let nodes = log.nodes();
    let mut replay = Replay::new(nodes.len(), DamageList::new(path));
    replay.sites.watch = plan.map(|(plan, spans)| Box::new(Watch::new(plan, spans, nodes.len())));
    let mut stream = log.stream();
    loop {
        if let Some(progress) = options.progress {
            let (done, total) = stream.progress();
            let (done, total) = (Bytes(done), Bytes(total));
            progress(path, Progress { done, total });
        }
        match stream.next() {
            Some(Item::Meta(blobs)) => blobs.for_each(|blob| replay.facts.add(&blob)),
            Some(Item::Window(window)) => replay.window(window),
            Some(Item::Lost) => {}
            None => break,
        }
    }
    let tails: Vec<Tail> = replay.tails.values().copied().collect();
    let events = log.tail(&tails, replay.last_time);
    if !events.is_empty() {
        tail::play(&mut replay, events);
    }
    replay.finish();
    (replay, nodes)
}

/// Plays several logs, as many at a time as there are processors; the results
/// are in the order of the paths.
pub fn replay_all(paths: &[PathBuf], options: &Options<'_>) -> Vec<Result<Profile, Error>> {
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(paths.len());
    if workers <= 1 {
        return paths.iter().map(|path| replay(path, options)).collect();
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(paths.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(path) = paths.get(number) else {
                        break;
                    };
                    let result = replay(path, options);
                    if let Ok(mut results) = results.lock() {
                        results.push((number, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The logs that a path means: a file is itself, a folder the logs directly in
/// it, by name.
///
/// # Errors
/// If the path cannot be read, or is a folder without a log.
pub fn find_logs(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Open {
        path: path.to_path_buf(),
        source,
    };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if Log::is_log(&file) {
            logs.push(file);
        }
    }
    if logs.is_empty() {
        return Err(Error::NoLogs {
            path: path.to_path_buf(),
        });
    }
    logs.sort();
    Ok(logs)
}

/// Whether a stack begins in an allocator's library.
fn is_allocators(profile: &Profile, stack: StackId) -> bool {
    let module = profile.frames(stack).find_map(|frame| frame.module);
    let path = module.map(|id| profile.module(id).path.to_string_lossy());
    let name = path
        .as_deref()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    ["libjemalloc", "libtcmalloc", "libmimalloc"]
        .iter()
        .any(|known| name.starts_with(known))
}

fn assemble(
    path: &Path,
    info: &Info,
    mut replay: Replay,
    facts: &Facts,
    ignored: Ignored,
    mut damage: DamageList,
) -> Profile {
    let ns = |ticks| Nanos(info.clock.to_ns(ticks));
    let end = if info.end_ticks == 0 {
        replay.last_time
    } else {
        info.end_ticks
    };
    let modules = modules(facts, &info.clock);
    let (codes, code_map) = crate::codes::codes(&facts.codes, &facts.code_ranges);
    let live = std::mem::take(&mut replay.live);
    let timeline =
        replay
            .timeline
            .finish((end.max(replay.last_time), replay.live_bytes, live.len()));
    let timeline: Vec<Point> = timeline
        .into_iter()
        .map(|(time, bytes, blocks)| Point {
            time: ns(time),
            live_bytes: Bytes(bytes),
            live_blocks: blocks,
        })
        .collect();
    let ignored_sum = ignored
        .by_stack
        .values()
        .fold((0, 0), |sum: (u64, u64), more| {
            (sum.0.wrapping_add(more.0), sum.1.wrapping_add(more.1))
        });
    let sites = sites(replay.sites.finish(), &live, &ignored);
    let site_of = (0u32..)
        .zip(&sites)
        .map(|(number, site)| (site.stack.0, number))
        .collect();
    let peak: Bytes = sites.iter().map(|site| site.figures.peak_bytes).sum();
    // Without damage these never happen; with it they tell how much is wrong.
    if !damage.is_empty() {
        if replay.unknown_blocks > 0 {
            damage.add(format!(
                "events that name a block whose allocation is lost: {}",
                replay.unknown_blocks
            ));
        }
        if replay.head_mismatches > 0 {
            damage.add(format!(
                "windows after which other blocks live than the recorder had counted: {}",
                replay.head_mismatches
            ));
        }
    }
    if facts.broken > 0 {
        damage.add(format!(
            "remarks on the process that cannot be decoded: {}",
            facts.broken
        ));
    }
    let totals = replay.totals;
    let fork_child = info.has(flag::FORK_CHILD);
    let unmatched = totals.unmatched_frees;
    Profile {
        path: path.to_path_buf(),
        process: process(info, facts, ns(end)),
        totals: Totals {
            allocations: totals.allocations,
            frees: totals.frees,
            reallocations: totals.reallocations,
            allocated_bytes: Bytes(totals.allocated_bytes),
            live_blocks: live.len().wrapping_sub(ignored_sum.0),
            live_bytes: Bytes(replay.live_bytes.wrapping_sub(ignored_sum.1)),
            peak_bytes: Bytes(replay.peak_bytes),
            peak_time: ns(replay.peak_time),
            teardown: replay.teardown.map(|(bytes, blocks)| Teardown {
                time: ns(facts.teardown.unwrap_or_default()),
                live_bytes: Bytes(bytes),
                live_blocks: blocks,
            }),
            temporary: totals.temporary,
            mappings: replay.mappings.iter().count() as u64,
            mapped_bytes: replay.mappings.iter().map(|m| Bytes(m.end - m.start)).sum(),
            ignored_blocks: ignored_sum.0,
            ignored_bytes: Bytes(ignored_sum.1),
        },
        checks: checks(&facts.checks, &info.clock),
        bad_frees: bad_frees(
            &facts.bad_frees,
            if fork_child {
                &[]
            } else {
                &replay.unmatched_frees
            },
            &info.clock,
        ),
        loss: Loss {
            events_lost: info.events_lost,
            unwinds_truncated: info.unwinds_truncated,
            children_without_log: info.children_without_log,
            unmatched_frees: if fork_child { 0 } else { unmatched },
            inherited_frees: if fork_child { unmatched } else { 0 },
            missed_frees: totals.missed_frees,
            selfcheck: SelfCheck {
                checked: info.selfcheck_checked,
                disagreed: info.selfcheck_disagreed,
                no_cfi: info.selfcheck_no_cfi,
            },
            disagreements: facts
                .disagreements
                .iter()
                .map(|(ours, theirs)| Disagreement {
                    ours: ours.clone(),
                    theirs: theirs.clone(),
                })
                .collect(),
            damage: damage.lines(),
            notes: facts.notes.clone(),
            deepbind: info.has(flag::DEEPBIND),
            other_malloc_first: info.has(flag::OTHER_MALLOC_FIRST),
            filtered: info.has(flag::FILTERED),
            peak_is_exact: peak == Bytes(replay.peak_bytes),
            unknown_blocks: replay.unknown_blocks,
            head_mismatches: replay.head_mismatches,
        },
        code_map,
        codes,
        module_map: ModuleMap::new(&modules),
        modules,
        threads: threads(facts),
        js_heaps: crate::js::heaps(facts, &info.clock),
        marks: marks(&facts.marks, &timeline, ns),
        timeline,
        clock: info.clock,
        reach: Reach::default(),
        sites,
        site_of,
        nodes: Nodes::All(Vec::new()),
        live,
        ignored: ignored.named,
        mappings: replay.mappings,
        growth: None,
        memory: None,
    }
}
