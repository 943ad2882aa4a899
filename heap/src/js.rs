//! The heaps of a JavaScript engine, as the log tells them: memory usage over time, collections,
//! and what is live by stack, from sampled allocations.
//!
//! Sizes by stack are estimates: of `n` samples of a stack the error is about one part in √n.
//! Garbage counts as live until it is collected, so marks that follow a full collection
//! ([`Mark::collected`]) say more than others.

use crate::growth::Spans;
use crate::timeline::TIMELINE_POINTS;
use crate::trend::{Rule, Trend, trend};
use crate::units::{Bytes, Nanos, ThreadId};
use log_format::js::{COLLECTIONS, Collection as RawCollection, Usage as RawUsage, collection};
use log_format::reader::{Clock, Facts, IsolateFact, MarkFact};
use std::collections::BTreeMap;

/// Names of the kinds of collections, in the log's order.
pub const COLLECTION_NAMES: [&str; COLLECTIONS] =
    ["scavenge", "minor", "full", "incremental", "weak_callbacks"];

/// What the growth of an isolate and of its sites is judged by.
const RULE: Rule = Rule {
    window: 40,
    factor: 1.1,
};
/// Collections that are kept for a report.
const KEPT_COLLECTIONS: usize = TIMELINE_POINTS;
/// Frames outwards, at most: deeper ones are of a damaged log.
const MAX_DEPTH: usize = 1024;

/// An isolate: a heap and the thread that uses it.
#[derive(Clone, Debug)]
pub struct JsHeap {
    /// Its thread.
    pub thread: ThreadId,
    /// Most bytes that the heap may take.
    pub limit: Bytes,
    /// The engine inlined no calls.
    pub exact: bool,
    /// Names of its spaces.
    pub spaces: Vec<String>,
    /// First figures.
    pub first: Usage,
    /// Last figures.
    pub last: Usage,
    /// Most that each figure was.
    pub most: Usage,
    /// Figures over the run: at most [`TIMELINE_POINTS`], in order.
    pub usages: Vec<Usage>,
    /// How often there was each kind of collection, and how long the program stood still for it.
    pub collections: [(u64, Nanos); COLLECTIONS],
    /// Collections, in order; not all if there were many.
    pub told: Vec<Collection>,
    /// Bytes used after full collections: how they went over the run, if there were enough.
    pub trend: Option<Trend>,
    /// When and how what is live was sampled, in order.
    pub marks: Vec<Mark>,
    /// Live bytes by stack at the last mark, most bytes first; stacks that had some at an earlier one
    /// are there as well.
    pub sites: Vec<JsSite>,
    /// All frames, for whoever wants the tree.
    pub frames: BTreeMap<u64, JsFrame>,
}

/// Memory usage at a moment. Bytes, as in Node's `process.memoryUsage()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// When.
    pub time: Nanos,
    /// Resident memory of the process.
    pub rss: Option<Bytes>,
    /// Pages of the heap.
    pub heap_total: Bytes,
    /// Objects in them.
    pub heap_used: Bytes,
    /// Memory outside that the engine was told of.
    pub external: Bytes,
    /// That of array buffers.
    pub array_buffers: Option<Bytes>,
    /// What the engine itself has allocated.
    pub malloced: Bytes,
    /// Contexts that were detached and are not collected.
    pub detached_contexts: u64,
    /// Size and use of each space.
    pub spaces: Vec<(Bytes, Bytes)>,
}

/// A collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collection {
    /// Place in [`COLLECTION_NAMES`].
    pub kind: usize,
    /// When it began.
    pub time: Nanos,
    /// How long the program stood still.
    pub pause: Nanos,
    /// Bytes used before.
    pub before: Bytes,
    /// Bytes used afterwards.
    pub after: Bytes,
}

/// A moment at which live objects were counted by stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub time: Nanos,
    /// Bytes between two samples.
    pub interval: Bytes,
    /// All that was collectable had just been collected.
    pub collected: bool,
    /// The isolate's end.
    pub at_end: bool,
    /// Sum over the stacks.
    pub live: Bytes,
}

/// A stack of JavaScript with live objects.
#[derive(Clone, Debug, PartialEq)]
pub struct JsSite {
    /// Number of its innermost frame, in [`JsHeap::frames`].
    pub frame: u64,
    /// Objects at the last mark, estimated.
    pub objects: u64,
    /// Their bytes, estimated.
    pub bytes: Bytes,
    /// Bytes at each mark, in the order of [`JsHeap::marks`].
    pub by_mark: Vec<Bytes>,
    /// How they went over the marks, if there are enough.
    pub trend: Option<Trend>,
}

/// A function on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsFrame {
    /// Its caller's number; 0: none.
    pub parent: u64,
    /// Name, empty if it has none.
    pub function: String,
    /// Path or URL of the script, empty if not known.
    pub file: String,
    /// Line where the function begins, from 1.
    pub line: Option<u64>,
    /// Column, from 1.
    pub column: Option<u64>,
    /// Number of the script.
    pub script: u64,
}

impl JsHeap {
    /// The frames of a site, innermost first, without the root.
    pub fn stack(&self, site: &JsSite) -> impl Iterator<Item = &JsFrame> {
        let mut next = site.frame;
        std::iter::from_fn(move || {
            let frame = self.frames.get(&next).filter(|frame| frame.parent != 0)?;
            next = frame.parent;
            Some(frame)
        })
        .take(MAX_DEPTH)
    }

    /// Some sites as one: the frame is that of the first, the figures are sums.
    ///
    /// `None` without sites.
    pub fn merged(&self, sites: &[&JsSite]) -> Option<JsSite> {
        let (first, others) = sites.split_first()?;
        let mut sum = JsSite::clone(first);
        for other in others {
            sum.objects = sum.objects.saturating_add(other.objects);
            sum.bytes += other.bytes;
            for (sum, &bytes) in sum.by_mark.iter_mut().zip(&other.by_mark) {
                *sum += bytes;
            }
        }
        if !others.is_empty() {
            sum.trend = over_marks(&self.marks, &sum.by_mark);
        }
        Some(sum)
    }

    /// The marks that stand for two moments: of each the first one from then on, or else the last one; and not the
    /// same one twice if there is an earlier one. `None` if there are none.
    pub fn marks_at(&self, from: Nanos, to: Nanos) -> Option<(usize, usize)> {
        let at = |time| self.marks.partition_point(|mark| mark.time < time);
        let last = self.marks.len().checked_sub(1)?;
        let to = at(to).min(last);
        let from = at(from).min(to);
        Some((
            if from == to {
                from.saturating_sub(1)
            } else {
                from
            },
            to,
        ))
    }
}

/// The isolates of a log, in the order of their threads.
pub(crate) fn heaps(facts: &Facts, clock: &Clock) -> Vec<JsHeap> {
    let spans = Spans::of(&facts.marks, clock);
    let all = facts.isolates.iter();
    all.filter_map(|(&thread, fact)| heap(ThreadId(thread), fact, clock, &spans))
        .collect()
}

fn heap(thread: ThreadId, fact: &IsolateFact, clock: &Clock, spans: &Spans) -> Option<JsHeap> {
    let usages: Vec<Usage> = fact
        .usages
        .iter()
        .map(|(time, raw)| usage(*time, raw, clock))
        .collect();
    let (first, last) = (usages.first()?.clone(), usages.last()?.clone());
    let last_raw = &fact.usages.last()?.1;
    let most = usages.iter().fold(Usage::default(), largest);
    let mut told: Vec<Collection> = fact
        .collections
        .iter()
        .map(|raw| collected(raw, clock))
        .collect();
    told.sort_by_key(|one| one.time);
    let mut full: Vec<(Option<usize>, Nanos, Bytes)> = told
        .iter()
        .filter(|one| one.kind == usize::from(collection::FULL))
        .map(|one| {
            let snapshot = spans.at(thread.0, clock.to_ticks(one.time.0));
            (snapshot, one.time, one.after)
        })
        .collect();
    // V8 collects several times for a snapshot: that is one figure, the last.
    full.reverse();
    full.dedup_by(|earlier, later| earlier.0.is_some() && earlier.0 == later.0);
    full.reverse();
    let full = full.into_iter().map(|(_, time, left)| (time, left));
    let full: Vec<(Nanos, Bytes)> = full.collect();
    let whole: Vec<&MarkFact> = fact.marks.iter().filter(|mark| mark.whole).collect();
    let marks: Vec<Mark> = whole.iter().map(|mark| mark_of(mark, clock)).collect();
    Some(JsHeap {
        thread,
        limit: Bytes(fact.limit),
        exact: fact.exact,
        spaces: fact
            .spaces
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
        first,
        last,
        most,
        usages: thinned(usages, TIMELINE_POINTS),
        collections: last_raw
            .collections
            .map(|sum| (sum.count, Nanos(sum.pause_ns))),
        trend: trend(&thinned(full, RULE.window), RULE),
        told: thinned(told, KEPT_COLLECTIONS),
        sites: sites(&whole, &marks),
        marks,
        frames: frames(fact),
    })
}

fn usage(time: u64, raw: &RawUsage, clock: &Clock) -> Usage {
    let spaces = raw.spaces.iter().take(raw.space_count);
    Usage {
        time: Nanos(clock.to_ns(time)),
        rss: raw.rss.map(Bytes),
        heap_total: Bytes(raw.heap_total),
        heap_used: Bytes(raw.heap_used),
        external: Bytes(raw.external),
        array_buffers: raw.array_buffers.map(Bytes),
        malloced: Bytes(raw.malloced),
        detached_contexts: raw.detached_contexts,
        spaces: spaces
            .map(|space| (Bytes(space.size), Bytes(space.used)))
            .collect(),
    }
}

fn largest(mut most: Usage, next: &Usage) -> Usage {
    most.time = next.time;
    most.rss = most.rss.max(next.rss);
    most.heap_total = most.heap_total.max(next.heap_total);
    most.heap_used = most.heap_used.max(next.heap_used);
    most.external = most.external.max(next.external);
    most.array_buffers = most.array_buffers.max(next.array_buffers);
    most.malloced = most.malloced.max(next.malloced);
    most.detached_contexts = most.detached_contexts.max(next.detached_contexts);
    most.spaces.resize(
        next.spaces.len().max(most.spaces.len()),
        (Bytes(0), Bytes(0)),
    );
    for (most, next) in most.spaces.iter_mut().zip(&next.spaces) {
        *most = (most.0.max(next.0), most.1.max(next.1));
    }
    most
}

fn collected(raw: &RawCollection, clock: &Clock) -> Collection {
    Collection {
        kind: usize::from(raw.kind).min(COLLECTIONS - 1),
        time: Nanos(clock.to_ns(raw.start)),
        pause: Nanos(raw.pause_ns),
        before: Bytes(raw.before),
        after: Bytes(raw.after),
    }
}

fn mark_of(fact: &MarkFact, clock: &Clock) -> Mark {
    Mark {
        time: Nanos(clock.to_ns(fact.time)),
        interval: Bytes(fact.interval),
        collected: fact.collected,
        at_end: fact.at_end,
        live: fact.live.iter().map(|&(_, _, bytes)| Bytes(bytes)).sum(),
    }
}

fn sites(facts: &[&MarkFact], marks: &[Mark]) -> Vec<JsSite> {
    let mut by_frame: BTreeMap<u64, JsSite> = BTreeMap::new();
    for (number, fact) in facts.iter().enumerate() {
        for &(frame, objects, bytes) in &fact.live {
            let site = by_frame.entry(frame).or_insert_with(|| JsSite {
                frame,
                objects: 0,
                bytes: Bytes(0),
                by_mark: vec![Bytes(0); marks.len()],
                trend: None,
            });
            site.by_mark[number] += Bytes(bytes);
            if number + 1 == facts.len() {
                site.objects = site.objects.saturating_add(objects);
                site.bytes += Bytes(bytes);
            }
        }
    }
    let mut sites: Vec<JsSite> = by_frame.into_values().collect();
    for site in &mut sites {
        site.trend = over_marks(marks, &site.by_mark);
    }
    sites.sort_by_key(|site| (std::cmp::Reverse(site.bytes), site.frame));
    sites
}

/// How figures went over the marks.
fn over_marks(marks: &[Mark], by_mark: &[Bytes]) -> Option<Trend> {
    let figures = marks.iter().zip(by_mark);
    let figures: Vec<_> = figures.map(|(mark, &bytes)| (mark.time, bytes)).collect();
    // Marks of before it began say nothing of how it went.
    let began = figures.iter().position(|(_, bytes)| bytes.0 > 0);
    trend(&figures[began.unwrap_or(0).saturating_sub(1)..], RULE)
}

fn frames(fact: &IsolateFact) -> BTreeMap<u64, JsFrame> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let known = |number: u64| (number != 0).then_some(number);
    fact.frames
        .iter()
        .map(|(&id, frame)| {
            let frame = JsFrame {
                // Callers are told first and have smaller numbers; anything else would be a ring.
                parent: frame.parent.min(id.saturating_sub(1)),
                function: text(&frame.function),
                file: text(&frame.file),
                line: known(frame.line),
                column: known(frame.column),
                script: frame.script,
            };
            (id, frame)
        })
        .collect()
}

/// At most so many items, evenly spread, the last among them.
fn thinned<T>(items: Vec<T>, most: usize) -> Vec<T> {
    let len = items.len();
    let every = len.div_ceil(most.max(1)).max(1);
    let kept = items.into_iter().enumerate();
    kept.filter(|(number, _)| (len - 1 - number).is_multiple_of(every))
        .map(|(_, item)| item)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_format::reader::JsFrameFact;
    use log_format::reader::TimelineMark;

    fn usage_at(time: u64, used: u64, full: u64) -> (u64, RawUsage) {
        let mut raw = RawUsage {
            heap_used: used,
            rss: Some(10 * used),
            ..RawUsage::default()
        };
        raw.collections[2].count = full;
        (time, raw)
    }

    fn mark(time: u64, live: &[(u64, u64, u64)]) -> MarkFact {
        MarkFact {
            time,
            whole: true,
            live: live.to_vec(),
            ..MarkFact::default()
        }
    }

    fn only(fact: IsolateFact) -> JsHeap {
        let mut facts = Facts::default();
        facts.isolates.insert(3, fact);
        heaps(&facts, &Clock::new(0, 1, 1)).remove(0)
    }

    #[test]
    fn first_last_and_most_are_those_of_all_usages_also_of_thinned_ones() {
        let usages = (0..5000).map(|n| usage_at(n, if n == 777 { 1 << 30 } else { n }, n));
        let heap = only(IsolateFact {
            usages: usages.collect(),
            ..IsolateFact::default()
        });
        assert_eq!(heap.thread, ThreadId(3));
        assert_eq!(
            (
                heap.first.heap_used,
                heap.last.heap_used,
                heap.most.heap_used
            ),
            (Bytes(0), Bytes(4999), Bytes(1 << 30))
        );
        assert!(heap.usages.len() <= TIMELINE_POINTS && heap.usages.len() > 500);
        assert_eq!(heap.usages.last(), Some(&heap.last));
        assert_eq!(heap.collections[2].0, 4999);
        assert_eq!(heap.most.rss, Some(Bytes(10 << 30)));
    }

    #[test]
    fn sites_are_those_of_the_last_mark_and_what_they_were_at_the_others() {
        let mut frames = BTreeMap::new();
        for (id, parent, name) in [(1, 0, ""), (2, 1, "main"), (5, 2, "keep"), (6, 6, "ring")] {
            let frame = JsFrameFact {
                parent,
                function: name.as_bytes().to_vec(),
                ..JsFrameFact::default()
            };
            frames.insert(id, frame);
        }
        let mut cut = mark(9, &[(5, 1, 1)]);
        cut.whole = false;
        let heap = only(IsolateFact {
            usages: vec![usage_at(1, 1, 0)],
            frames,
            marks: vec![
                mark(1, &[(5, 1, 100), (2, 3, 30)]),
                mark(2, &[(5, 4, 400)]),
                cut,
            ],
            ..IsolateFact::default()
        });
        assert_eq!(heap.marks.len(), 2, "one that was cut off does not count");
        let site = &heap.sites[0];
        assert_eq!((site.frame, site.objects, site.bytes), (5, 4, Bytes(400)));
        assert_eq!(site.by_mark, [Bytes(100), Bytes(400)]);
        assert_eq!(heap.sites[1].by_mark, [Bytes(30), Bytes(0)]);
        let names: Vec<_> = heap.stack(site).map(|frame| &frame.function).collect();
        assert_eq!(names, ["keep", "main"]);
        let ring = JsSite {
            frame: 6,
            ..site.clone()
        };
        assert!(
            heap.stack(&ring).count() <= 3,
            "a damaged log has no endless stack"
        );
    }

    #[test]
    fn sites_that_grow_in_turn_grow_as_one() {
        // Each has long stretches without a step; their sum rises at each mark.
        let at = |n: u64| [(5, 1, n.div_ceil(2) * 1000), (6, 1, n / 2 * 1000)];
        let heap = only(IsolateFact {
            usages: vec![usage_at(1, 1, 0)],
            marks: (0..20).map(|n: u64| mark(n, &at(n))).collect(),
            ..IsolateFact::default()
        });
        let sites: Vec<&JsSite> = heap.sites.iter().collect();
        let sum = heap.merged(&sites).unwrap();
        assert_eq!((sum.objects, sum.bytes, sum.frame), (2, Bytes(19_000), 5));
        assert_eq!(sum.by_mark[7], Bytes(7000));
        let found = sum.trend.unwrap();
        assert!(found.grows && found.ups == found.steps, "{found:?}");
        assert_eq!(heap.merged(&[]), None);
    }

    #[test]
    fn a_site_that_begins_late_is_judged_from_there() {
        let marks = (0..20).map(|n: u64| mark(n, &[(5, 1, n.saturating_sub(12) * 1000)]));
        let heap = only(IsolateFact {
            usages: vec![usage_at(1, 1, 0)],
            marks: marks.collect(),
            ..IsolateFact::default()
        });
        let found = heap.sites[0].trend.unwrap();
        assert!(found.grows && found.figures == 8, "{found:?}");
    }

    #[test]
    fn what_is_left_after_full_collections_is_judged() {
        let leak = |n: u64| RawCollection {
            kind: collection::FULL,
            start: n * 1_000_000_000,
            after: 1_000_000 + n * 100_000,
            ..RawCollection::default()
        };
        let heap = only(IsolateFact {
            usages: vec![usage_at(1, 1, 0)],
            collections: (0..200).map(leak).collect(),
            ..IsolateFact::default()
        });
        let found = heap.trend.unwrap();
        assert!(found.grows && found.factor > 3.0, "{found:?}");
    }

    #[test]
    fn the_collections_of_a_snapshot_are_one_figure() {
        let full = |n: u64, after| RawCollection {
            kind: collection::FULL,
            start: n * 1_000_000_000,
            after,
            ..RawCollection::default()
        };
        // Six figures that grow; at the third and the fifth of them V8 collects four times.
        let mut collections = Vec::new();
        for n in 0..6 {
            let times = if n == 2 || n == 4 { 4 } else { 1 };
            collections.extend((0..times).map(|more| full(n * 10 + more, 1_000_000 * (n + 1))));
        }
        let mut facts = Facts::default();
        let taken = |end: u64| {
            let what = TimelineMark::HeapSnapshot {
                cause: 1,
                isolate: 0,
                thread: 3,
                pause_ns: 5_000_000_000,
                heap_used: 0,
                path: Vec::new(),
            };
            (end * 1_000_000_000, what)
        };
        facts.marks = vec![taken(24), taken(44)];
        facts.isolates.insert(
            3,
            IsolateFact {
                usages: vec![usage_at(1, 1, 0)],
                collections,
                ..IsolateFact::default()
            },
        );
        let found = heaps(&facts, &Clock::new(0, 1, 1)).remove(0).trend.unwrap();
        assert!(found.figures == 6 && found.grows, "{found:?}");
    }
}
