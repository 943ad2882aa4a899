//! Everything that grows, strongest evidence first, each told once: what an earlier finding reaches is
//! explained by it.

use graph::Node;

use super::families::Family;
use super::groups::Group;
use super::grown::{self, Grown};
use super::held::Held;
use super::program::program;
use super::rank::{COPIES, rank};
use super::reach::Claims;
use super::settling::{Turnover, slows, turnover};
use super::words::{Count, Pattern};
use super::{Also, Leak, View, bounds, containers, notes, shared, stacks};

/// What is to be said of containers that are emptied more slowly than they are filled.
const BACKLOG: (&str, &str) = (
    "More entries come than go: of those of the first snapshot hardly one is left.",
    "Find what takes them out and why it falls behind, and bound how many may wait.",
);
/// Why something may be no leak.
const STEADY: &str = "of the entries of the first snapshot hardly one is left";
const SLOW: &str = "it grows ever more slowly";
/// More families of containers are not described.
const MAX_FAMILIES: usize = 200;
/// As many other containers with the same objects are named.
const MAX_ALSO: usize = 4;

/// From this rank on, what comes one for one with something told is not told.
const COMPANIONS: u8 = 65;
/// Copies of strings are told if they are this part of what a finding keeps.
const COPIED_PART: u64 = 3;
/// Characters of a copied text that are shown.
const COPIED_TEXT: usize = 40;
/// Less is nothing to look at.
const MIN_GROWTH: u64 = 1024;

/// The rank of lists that something else explains.
const AFTER_ALL: u8 = 120;

/// Something that grows.
struct Suspect<'a> {
    /// Strong evidence is low.
    rank: u8,
    growth: u64,
    /// New objects that it is about.
    new: Vec<Node>,
    /// Containers, which claim what they keep alone.
    holders: Vec<Node>,
    what: What<'a>,
}

enum What<'a> {
    /// A container, and how near its place is.
    Container(Box<Leak>, u8),
    Group(Grown<'a>),
    Held(Held),
    Value(Box<Leak>),
}

impl Suspect<'_> {
    /// What is said of a container.
    fn said(&self) -> Option<&str> {
        match &self.what {
            What::Container(leak, _) => Some(&leak.what),
            _ => None,
        }
    }
}

/// All that grows.
#[derive(Default)]
pub(super) struct Suspects<'a> {
    all: Vec<Suspect<'a>>,
}

impl<'a> Suspects<'a> {
    /// Adds containers.
    pub(super) fn containers(&mut self, view: &View, mut all: Vec<Family>) {
        all.sort_by_key(|family| std::cmp::Reverse(growth(&family.retained)));
        all.truncate(MAX_FAMILIES);
        for family in all {
            let (mut leak, place) = containers::describe(view, &family);
            match turnover(view, &family) {
                Some(Turnover::Steady) => leak.doubt = Some(STEADY.to_owned()),
                Some(Turnover::Backlog) => {
                    (leak.is, leak.cure) = (BACKLOG.0.to_owned(), BACKLOG.1.to_owned());
                }
                None => leak.doubt = bounds::of(view, &family, place),
            }
            let distance = view.distance(place);
            let rank = match (leak.pattern, distance) {
                (Pattern::Detached, _) => 20,
                // All of the loader's own grow with these.
                (Pattern::Modules, _) if family.is_of_modules(view) => 13,
                // A pipe adds listeners as well.
                (Pattern::Streams, _) => 9,
                (_, 0) => 10,
                (_, 1) => 11,
                _ => 70,
            };
            self.all.push(Suspect {
                rank,
                growth: leak.growth(),
                new: family.new_entries(view),
                holders: family.holders(view),
                what: What::Container(Box::new(leak), distance),
            });
        }
    }

    /// Adds what is below old objects: lists are strong evidence, all else is none.
    pub(super) fn held(&mut self, view: &View, all: Vec<Held>) {
        for held in all {
            self.all.push(Suspect {
                rank: if held.is_list() { 15 } else { u8::MAX },
                growth: growth(&held.retained),
                // The others are looked at only if there is nothing else.
                new: match held.is_list() {
                    true => held.new_nodes(view),
                    false => Vec::new(),
                },
                holders: Vec::new(),
                what: What::Held(held),
            });
        }
    }

    /// Adds strings and memory that get longer.
    pub(super) fn values(&mut self, all: Vec<(Node, Leak)>) {
        for (node, leak) in all {
            self.all.push(Suspect {
                rank: 12,
                growth: leak.growth(),
                new: vec![node],
                holders: Vec::new(),
                what: What::Value(Box::new(leak)),
            });
        }
    }

    /// Adds groups.
    pub(super) fn groups(&mut self, view: &View, all: Vec<Grown<'a>>) {
        for grown in all {
            self.all.push(Suspect {
                rank: rank(view, &grown),
                growth: growth(&grown.retained),
                new: grown.new.clone(),
                holders: Vec::new(),
                what: What::Group(grown),
            });
        }
    }

    /// Lists that only string together what is a leak of its own kind come after it.
    fn lists_give_way(&mut self) {
        let kinds: Vec<(Vec<u64>, u64)> = self
            .all
            .iter()
            .filter_map(|suspect| match &suspect.what {
                What::Group(grown) if grown.is_of_a_kind() => {
                    Some((grown.counts.clone(), suspect.growth))
                }
                _ => None,
            })
            .collect();
        for suspect in &mut self.all {
            if let What::Held(held) = &suspect.what
                && held.is_list()
                && kinds.iter().any(|(counts, growth)| {
                    growth * 2 > suspect.growth && grow_alike(counts, &held.counts)
                })
            {
                suspect.rank = AFTER_ALL;
            }
        }
    }

    /// The leaks among them, what weighs most first, and what may be none.
    pub(super) fn told_once(mut self, view: &View) -> (Vec<Leak>, Vec<Leak>) {
        self.lists_give_way();
        // Ids say nothing of two that are alike: V8 numbers objects as they lie in memory.
        self.all
            .sort_by(|a, b| (a.rank, b.growth, a.said()).cmp(&(b.rank, a.growth, b.said())));
        let mut claims = Claims::new(view);
        let mut told: Vec<Told> = Vec::new();
        for suspect in self.all {
            if suspect.rank == u8::MAX && !told.is_empty() {
                break;
            }
            if let Some(owner) = claims.owner(&suspect.new) {
                if let What::Group(Grown {
                    group: Group::Copies(text, _),
                    ..
                }) = &suspect.what
                    && let Some(first) = told.get_mut(owner as usize)
                {
                    first.copies.add(text, &suspect.new, view);
                }
                if let What::Container(leak, 0 | 1) = suspect.what
                    && let Some(first) = told.get_mut(owner as usize)
                {
                    first.also(*leak, Some(suspect.holders));
                }
                continue;
            }
            if suspect.is_explained_by_kind(&told) {
                continue;
            }
            let Some((mut leak, distance)) = suspect.describe(view) else {
                continue;
            };
            let goes_with = told
                .iter()
                .position(|first| grow_alike(&leak.counts, &first.leak.counts));
            // What grows in Node for no reason in sight is its own.
            if distance == 2 && (goes_with.is_some() || suspect.rank == u8::MAX) {
                continue;
            }
            // A pipe's own listeners.
            if leak.pattern == Pattern::Listeners
                && goes_with
                    .and_then(|at| told.get(at))
                    .is_some_and(|first| first.leak.pattern == Pattern::Streams)
            {
                continue;
            }
            // The sockets of an Agent, both ends of a connection.
            if leak.pattern == Pattern::Streams
                && let Some(first) = goes_with.and_then(|at| told.get_mut(at))
                && first.leak.pattern == Pattern::Streams
            {
                first.also(leak, None);
                continue;
            }
            if let Some(first) = goes_with.and_then(|at| told.get_mut(at))
                && steps(&leak.counts) == steps(&first.leak.counts)
            {
                // What comes one for one with what has been told.
                if suspect.rank >= COMPANIONS {
                    continue;
                }
                if first.leak.pattern == leak.pattern {
                    first.also(leak, None);
                    continue;
                }
            }
            if distance == 1 {
                leak.program = program(view, &leak, &suspect.new);
            }
            stacks::tell(view, &mut leak, &suspect.new, &suspect.holders);
            if leak.pattern != Pattern::AsyncContexts
                && let Some(store) = notes::store(view, &suspect.new)
            {
                let entries = leak.entries.map(|entries| format!("{entries}; "));
                leak.entries = Some(entries.unwrap_or_default() + &store);
            }
            let mut starts = suspect.holders.clone();
            starts.extend(suspect.new);
            let bytes = claims.claim(view, told.len() as u32, &starts);
            let growth = bytes.max(leak.growth());
            told.push(Told {
                distance,
                growth,
                holders: vec![suspect.holders],
                copies: Copies::default(),
                leak,
            });
        }
        for told in &mut told {
            told.say_copies();
        }
        let holders: Vec<_> = told
            .iter_mut()
            .map(|told| std::mem::take(&mut told.holders))
            .collect();
        for (told, shared) in told.iter_mut().zip(shared::together(view, &holders)) {
            told.leak.shared = shared;
            if let Some(shared) = shared {
                told.growth = shared.new;
            }
        }
        told.retain(|told| told.growth >= MIN_GROWTH);
        told.sort_by_key(|told| std::cmp::Reverse(told.weight()));
        let doubted = |mut told: Told| {
            let leak = &told.leak;
            let counted = leak.counts.first() != leak.counts.last();
            let grown = if counted {
                &leak.counts
            } else {
                &leak.retained
            };
            if leak.doubt.is_none() && slows(grown, view.times.as_deref()) {
                told.leak.doubt = Some(SLOW.to_owned());
            }
            told.leak
        };
        told.into_iter()
            .map(doubted)
            .partition(|leak| leak.doubt.is_none())
    }
}

/// A finding.
struct Told {
    /// How near its place is to the user.
    distance: u8,
    /// Bytes that have come.
    growth: u64,
    /// The containers of the finding, if it is of containers, and of each that has the same objects.
    holders: shared::Holders,
    copies: Copies,
    leak: Leak,
}

/// Strings of the same texts among what a finding keeps.
#[derive(Default)]
struct Copies {
    texts: u64,
    strings: u64,
    bytes: u64,
    /// The text with the most bytes, and these.
    largest: (String, u64),
}

impl Copies {
    fn add(&mut self, text: &str, strings: &[Node], view: &View) {
        let sizes = strings
            .iter()
            .map(|&node| view.analysis.snapshot.sizes.get(node));
        let bytes = sizes.sum();
        self.texts += 1;
        self.strings += strings.len() as u64;
        self.bytes += bytes;
        if bytes > self.largest.1 {
            self.largest = (text.chars().take(COPIED_TEXT).collect(), bytes);
        }
    }
}

impl Told {
    /// What a program's own line adds to is more likely meant than what Node keeps.
    fn weight(&self) -> u64 {
        self.growth * [4, 3, 2][usize::from(self.distance)]
    }

    /// Copies of strings, if they are much of what is kept.
    fn say_copies(&mut self) {
        let Copies {
            texts,
            strings,
            bytes,
            largest,
        } = &self.copies;
        if *bytes * COPIED_PART < self.growth || *bytes == 0 {
            return;
        }
        let texts = if *texts == 1 {
            "one text".to_owned()
        } else {
            format!("{} texts", Count(*texts))
        };
        let part = 100 * *bytes / self.growth.max(*bytes);
        let copies = format!(
            "{part} % of the growth are {} copies of {texts}, such as {:?}",
            Count(*strings),
            largest.0
        );
        let entries = self.leak.entries.take();
        let entries = entries.map(|entries| format!("{entries}; "));
        self.leak.entries = Some(entries.unwrap_or_default() + &copies);
        self.leak.cure += " Keep each text once (a Map from text to itself, with a bound).";
    }

    /// Adds what holds the same objects, or else what grows one for one with it.
    fn also(&mut self, leak: Leak, holders: Option<Vec<Node>>) {
        if self.leak.also.len() < MAX_ALSO {
            self.leak.also.push(Also {
                what: leak.what,
                place: leak.place,
                perhaps: leak.perhaps,
                counts: leak.counts,
                retained: leak.retained,
                id: leak.id,
                same: holders.is_some(),
            });
            // Of what is no container itself, holders are not known.
            let is_container = |nodes: &Vec<Node>| !nodes.is_empty();
            if self.holders.first().is_some_and(is_container) {
                self.holders.extend(holders.filter(is_container));
            }
        }
    }
}

impl Suspect<'_> {
    /// Whether findings by kind make this one needless: the sources of modules, the list of such objects.
    fn is_explained_by_kind(&self, told: &[Told]) -> bool {
        match &self.what {
            // Each module brings its source.
            What::Group(_) if self.rank == COPIES => told
                .iter()
                .any(|first| first.leak.pattern == Pattern::Modules),
            What::Held(held) if self.rank == AFTER_ALL => told
                .iter()
                .any(|first| grow_alike(&held.counts, &first.leak.counts)),
            _ => false,
        }
    }

    /// What there is to say of it, and how near its place is to the user.
    fn describe(&self, view: &View) -> Option<(Leak, u8)> {
        let (leak, place) = match &self.what {
            What::Container(leak, distance) => return Some((Leak::clone(leak), *distance)),
            What::Value(leak) => return Some((Leak::clone(leak), 0)),
            What::Group(grown) => grown::describe(view, grown)?,
            What::Held(held) if self.new.is_empty() => {
                held.describe(view, &held.new_nodes(view))?
            }
            What::Held(held) => held.describe(view, &self.new)?,
        };
        Some((leak, view.distance(place)))
    }
}

/// What has come from each snapshot to the next.
fn steps(counts: &[u64]) -> Vec<u64> {
    counts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect()
}

/// Whether counts grow in every step as others do, or by a few times as much.
fn grow_alike(counts: &[u64], others: &[u64]) -> bool {
    let (steps, others) = (steps(counts), steps(others));
    (1..=4).any(|times| {
        let mut pairs = steps.iter().zip(&others);
        pairs.all(|(&step, &other)| step.abs_diff(other * times) * 20 <= step)
    })
}

/// From the first to the last snapshot.
fn growth(retained: &[u64]) -> u64 {
    let (first, last) = (retained.first(), retained.last());
    last.copied()
        .unwrap_or_default()
        .saturating_sub(first.copied().unwrap_or_default())
}
