//! From evidence to a verdict with its confidence.
//!
//! A site grows if its old blocks step up more often than chance allows, and if
//! they still do in the last quarter of the run. What does not grow is told apart
//! by when its survivors were born and how much was freed.

use super::evidence::{Ages, Evidence};
use super::plan::{PARTS, Plan};
use super::trend;
use crate::aggregate::Group;
use crate::profile::Profile;
use crate::units::{Bytes, Nanos};
use log_format::reader::Clock;

/// Part of false discoveries among the sites that are called growing, at most.
const LEVEL: f64 = 0.05;
/// Survivors born within one of so many parts of the run were made at once.
const AT_ONCE: u64 = 20;
/// The steps of a stretch count as one if at least one in so many of the survivors
/// may have been replaced in it without being seen.
const UNSEEN: u64 = 4;
/// Borders of a stretch that is not looked at so closely.
const SHORT: usize = 4;

/// What kind of site it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It grows to the end of the run, and nothing is known to point to its blocks.
    SteadyLeak,
    /// It grows to the end of the run, and its blocks are reachable, or it grew by
    /// reallocations.
    GrowingContainer,
    /// It grew early and stopped.
    WarmUp,
    /// All its blocks were made at about one time.
    OneOff,
    /// Its blocks are freed and made again.
    Cache,
    /// There is too little to tell growth from chance.
    Unclear,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 6] = [
        Verdict::SteadyLeak,
        Verdict::GrowingContainer,
        Verdict::WarmUp,
        Verdict::OneOff,
        Verdict::Cache,
        Verdict::Unclear,
    ];

    /// Whether it grows.
    pub fn grows(self) -> bool {
        matches!(self, Verdict::SteadyLeak | Verdict::GrowingContainer)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::SteadyLeak => "steady leak",
            Verdict::GrowingContainer => "growing container",
            Verdict::WarmUp => "warm-up",
            Verdict::OneOff => "one-off",
            Verdict::Cache => "cache",
            Verdict::Unclear => "unclear",
        }
    }
}

/// How a site grew.
#[derive(Clone, Debug)]
pub struct Growth {
    /// What it is.
    pub verdict: Verdict,
    /// How sure that is, 0 to 1. For growing sites 1 − `q`.
    pub confidence: f64,
    /// Whether most of its blocks are reachable; `None` if that is not known.
    pub reachable: Option<bool>,
    /// Whether most of its survivors were made by reallocations.
    pub by_realloc: bool,
    /// Sign test on the steps of its old blocks: probability of so many steps up to
    /// a level that it never fell below again, without a trend (of blocks or of
    /// bytes, the smaller one twice).
    pub p: f64,
    /// `p` adjusted for all sites tested (Benjamini and Hochberg).
    pub q: f64,
    /// Steps up, of so many steps up or down.
    pub steps_up: u32,
    /// Steps that could be seen and were not zero.
    pub steps: u32,
    /// Bytes a second that its old blocks grew by (Theil and Sen), after the warm-up.
    pub bytes_per_second: f64,
    /// The same for every 1,000 allocations of the whole process.
    pub bytes_per_1000_allocations: f64,
    /// Parts of the run, after the warm-up, in which survivors were born.
    pub parts_with_births: u32,
    /// Survivors born in the warm-up.
    pub warm_up_births: u64,
    /// When the first and the last survivor was born.
    pub births: (Nanos, Nanos),
    /// Survivors by age.
    pub ages: Ages,
    /// Blocks made, freed or not.
    pub made: u64,
    /// Blocks at the end.
    pub blocks: u64,
    /// Its live bytes at the borders of the parts, at most [`PARTS`] + 1 of them:
    /// those at which no block of its can be missing but ones of short lives.
    pub points: Vec<(Nanos, Bytes)>,
    /// Where the warm-up ends.
    pub warm_up: Nanos,
    /// Of several processes with this site, the number of the one it is about.
    pub process: usize,
}

/// Growth of the sites of one process, kept in its profile.
#[derive(Debug)]
pub(crate) struct Record {
    /// By place in [`Profile::sites`]; `None` for sites without live blocks.
    pub evidence: Vec<Option<Box<Evidence>>>,
    /// The parts.
    pub plan: Plan,
}

/// One group in one process.
struct Candidate {
    group: usize,
    process: usize,
    evidence: Evidence,
    ups: u32,
    steps: u32,
    p: f64,
}

/// How groups of sites grew, in their order; `None` for those without live blocks,
/// and for all if the profiles were made without [`crate::Options::growth`].
///
/// `reachable` says of a group's number whether its blocks are reachable, if that
/// is known. Where a group has sites in several processes, each process is a test
/// of its own, and the group's growth is that of the most significant one.
pub fn judge<K>(
    profiles: &[Profile],
    groups: &[Group<K>],
    reachable: impl Fn(usize) -> Option<bool>,
) -> Vec<Option<Growth>> {
    let mut candidates = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let mut by_process: Vec<(usize, Evidence)> = Vec::new();
        for &(process, stack) in &group.sites {
            let Some(evidence) = profiles
                .get(process)
                .and_then(|profile| profile.evidence(stack))
            else {
                continue;
            };
            match by_process.iter_mut().find(|(known, _)| *known == process) {
                Some((_, sum)) => sum.add(evidence),
                None => by_process.push((process, evidence.clone())),
            }
        }
        candidates.extend(by_process.into_iter().filter_map(|(process, evidence)| {
            let plan = &profiles[process].growth.as_ref()?.plan;
            let by_realloc = by_realloc(group);
            let (ups, steps, p) = test(&evidence, plan, by_realloc);
            Some(Candidate {
                group: number,
                process,
                evidence,
                ups,
                steps,
                p,
            })
        }));
    }
    let p: Vec<f64> = candidates.iter().map(|candidate| candidate.p).collect();
    let least: Vec<f64> = candidates
        .iter()
        .map(|c| (2.0 * trend::sign_test(c.steps, c.steps)).min(1.0))
        .collect();
    let q = trend::adjust(&p, &least, LEVEL);
    let mut growths: Vec<Option<Growth>> = groups.iter().map(|_| None).collect();
    for (candidate, q) in candidates.into_iter().zip(q) {
        let number = candidate.group;
        let better = growths[number]
            .as_ref()
            .is_none_or(|known| (q, candidate.p) < (known.q, known.p));
        if better {
            growths[number] = growth(profiles, &groups[number], candidate, q, reachable(number));
        }
    }
    growths
}

fn by_realloc<K>(group: &Group<K>) -> bool {
    group.figures.reallocations > group.figures.allocations
}

/// Steps up, steps, and the p-value.
fn test(evidence: &Evidence, plan: &Plan, by_realloc: bool) -> (u32, u32, f64) {
    let count = |steps: &[i64]| {
        let ups = floor_steps(steps).iter().filter(|&&step| step > 0).count() as u32;
        (ups, steps.iter().filter(|&&step| step != 0).count() as u32)
    };
    // What a reallocation makes is young again, however old its content is.
    let bytes = if by_realloc {
        level_steps(evidence, plan)
    } else {
        joined(evidence, plan, &evidence.steps.bytes)
    };
    let blocks = if by_realloc {
        bytes.clone()
    } else {
        joined(evidence, plan, &evidence.steps.blocks)
    };
    let both = [count(&blocks), count(&bytes)]
        .map(|(ups, steps)| (ups, steps, trend::sign_test(ups, steps)));
    let (ups, steps, p) = if both[1].2 < both[0].2 {
        both[1]
    } else {
        both[0]
    };
    (ups, steps, (2.0 * p).min(1.0))
}

/// The steps of the floor: the level that a site never falls below again. Not the
/// steps of the level itself: a heap that fills in ten steps and is emptied in one
/// would go up ten times in eleven.
fn floor_steps(steps: &[i64]) -> Vec<i64> {
    let mut level = 0i64;
    let mut floors: Vec<i64> = std::iter::once(0)
        .chain(steps.iter().map(|&step| {
            level = level.wrapping_add(step);
            level
        }))
        .collect();
    for at in (0..floors.len() - 1).rev() {
        floors[at] = floors[at].min(floors[at + 1]);
    }
    floors
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect()
}

/// The steps after the first border, with those of a stretch joined to one if
/// blocks that came and went inside of it were not seen.
fn joined(evidence: &Evidence, plan: &Plan, steps: &[i64; PARTS + 1]) -> Vec<i64> {
    let mut result = Vec::with_capacity(PARTS);
    let mut open: i64 = 0;
    // At the first two borders only blocks of the warm-up are old.
    for (at, step) in steps.iter().enumerate().skip(2) {
        open = open.wrapping_add(*step);
        if !is_blurred(evidence, plan, at) {
            result.push(std::mem::take(&mut open));
        }
    }
    result
}

fn level_steps(evidence: &Evidence, plan: &Plan) -> Vec<i64> {
    // Inside of a window even the old block may be missing.
    let known = (0..=PARTS).filter(|&at| plan.inside[at].is_none());
    let levels: Vec<i64> = known
        .filter_map(|at| Some(evidence.levels.get(at)?.0.cast_signed()))
        .collect();
    levels
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect()
}

fn is_blurred(evidence: &Evidence, plan: &Plan, border: usize) -> bool {
    let Some(stretch) = plan.inside[border] else {
        return false;
    };
    let same = (0..=PARTS).filter(|&at| plan.inside[at] == Some(stretch));
    // In a short stretch, blocks that outlive it come and soon go: as many steps
    // down as up. After the last one nothing goes.
    if same.count() <= SHORT
        && plan.inside[border + 1..PARTS]
            .iter()
            .any(|&other| other != Some(stretch))
    {
        return false;
    }
    let unseen = unseen(evidence, plan, border);
    unseen > 0 && unseen.saturating_mul(UNSEEN) >= evidence.survivors()
}

/// Blocks that came and went in the stretch that a border lies in, and may have been
/// there at the border.
fn unseen(evidence: &Evidence, plan: &Plan, border: usize) -> u64 {
    let Some(stretch) = plan.inside[border] else {
        return 0;
    };
    let same = (0..=PARTS).filter(|&at| plan.inside[at] == Some(stretch));
    same.map(|at| evidence.steps.unseen[at]).sum()
}

fn growth<K>(
    profiles: &[Profile],
    group: &Group<K>,
    candidate: Candidate,
    q: f64,
    reachable: Option<bool>,
) -> Option<Growth> {
    let Candidate {
        process,
        evidence,
        ups,
        steps,
        p,
        ..
    } = candidate;
    let profile = &profiles[process];
    let plan = &profile.growth.as_ref()?.plan;
    let sites = group.sites.iter().filter(|(number, _)| *number == process);
    let figures = sites.filter_map(|&(_, stack)| Some(profile.site(stack)?.figures));
    let made = figures
        .map(|figures| figures.allocations.wrapping_add(figures.reallocations))
        .sum();
    let blocks = evidence.survivors();
    let by_realloc = by_realloc(group);
    let ns = |ticks| Nanos(profile.clock.to_ns(ticks));
    let slope = slope(&evidence, plan, &profile.clock, by_realloc);
    let span = profile
        .clock
        .to_ns(plan.borders[PARTS])
        .saturating_sub(profile.clock.to_ns(plan.borders[0])) as f64
        / 1e9;
    let (verdict, confidence) = match verdict(&evidence, plan, made, by_realloc, q <= LEVEL) {
        (Verdict::SteadyLeak, _) if by_realloc || reachable == Some(true) => {
            (Verdict::GrowingContainer, 1.0 - q)
        }
        (Verdict::SteadyLeak, _) => (Verdict::SteadyLeak, 1.0 - q),
        (Verdict::Unclear, _) => (Verdict::Unclear, p),
        other => other,
    };
    let (first, last) = evidence.births?;
    Some(Growth {
        verdict,
        confidence,
        reachable,
        by_realloc,
        p,
        q,
        steps_up: ups,
        steps,
        bytes_per_second: slope,
        bytes_per_1000_allocations: slope * span * 1000.0 / plan.made.max(1) as f64,
        parts_with_births: evidence.born.iter().filter(|&&count| count > 0).count() as u32,
        warm_up_births: evidence.warm_born,
        births: (ns(first), ns(last)),
        ages: evidence.ages,
        made,
        blocks,
        points: (0..=PARTS)
            .filter(|&at| unseen(&evidence, plan, at) == 0)
            .filter_map(|at| Some((ns(plan.borders[at]), *evidence.levels.get(at)?)))
            .collect(),
        warm_up: ns(plan.borders[0]),
        process,
    })
}

/// Bytes a second.
fn slope(evidence: &Evidence, plan: &Plan, clock: &Clock, by_realloc: bool) -> f64 {
    let mut level = 0i64;
    let points = (0..=PARTS).filter_map(|at| {
        level = level.wrapping_add(evidence.steps.bytes[at]);
        let bytes = if by_realloc {
            evidence.levels.get(at)?.0.cast_signed()
        } else {
            level
        };
        // Nothing is old at the first border after the warm-up's.
        let counts = if by_realloc {
            plan.inside[at].is_none()
        } else {
            at != 1 && !is_blurred(evidence, plan, at)
        };
        counts.then_some((clock.to_ns(plan.borders[at]) as f64 / 1e9, bytes as f64))
    });
    trend::slope(&points.collect::<Vec<_>>())
}

/// What it is but for what is known besides, and how sure that is; of growth and of
/// its absence the test says that.
fn verdict(
    evidence: &Evidence,
    plan: &Plan,
    made: u64,
    by_realloc: bool,
    significant: bool,
) -> (Verdict, f64) {
    let steps = if by_realloc {
        level_steps(evidence, plan)
    } else {
        joined(evidence, plan, &evidence.steps.bytes)
    };
    let floor = floor_steps(&steps);
    if significant
        && floor[floor.len() - floor.len() / 4..]
            .iter()
            .any(|&step| step > 0)
    {
        return (Verdict::SteadyLeak, 0.0);
    }
    let survivors = evidence.survivors();
    let freed = made.saturating_sub(survivors);
    // What was not seen for so many parts will not come in the next one: rule of
    // succession (Laplace).
    let unlike = |parts: usize| (parts as f64 + 1.0) / (parts as f64 + 2.0);
    let last = evidence.born.iter().rposition(|&count| count > 0);
    let quiet = last.map_or(PARTS, |last| PARTS - 1 - last);
    let turnover = freed as f64 / (freed + survivors).max(1) as f64;
    let span = evidence.births.map_or(0, |(first, last)| last - first);
    let at_once = span <= plan.length() / AT_ONCE;
    if quiet >= PARTS / 4 {
        let kind = if at_once {
            Verdict::OneOff
        } else {
            Verdict::WarmUp
        };
        return (kind, unlike(quiet));
    }
    if freed >= survivors {
        return (Verdict::Cache, turnover);
    }
    if at_once {
        return (Verdict::OneOff, unlike(quiet));
    }
    let half: i64 = floor[floor.len() / 2..].iter().sum();
    let all: i64 = evidence.steps.bytes.iter().sum();
    if half <= all / 20 && all > 0 {
        return (Verdict::WarmUp, unlike(PARTS / 2));
    }
    (Verdict::Unclear, 0.0)
}
