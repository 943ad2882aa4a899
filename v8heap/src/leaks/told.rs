//! A finding as it grows: what else has its objects or grows with them, copies of texts among them.

use graph::Node;

use super::words::Count;
use super::{Also, Leak, View, shared};

/// As many other containers with the same objects are named.
const MAX_ALSO: usize = 6;
/// Copies of strings are told if they are this part of what a finding keeps.
const COPIED_PART: u64 = 3;
/// Characters of a copied text that are shown.
const COPIED_TEXT: usize = 40;
/// A finding.
pub(super) struct Told {
    /// How near its place is to the user.
    pub(super) distance: u8,
    /// Bytes that have come.
    pub(super) growth: u64,
    /// The containers of the finding, if it is of containers, and of each that has the same objects.
    pub(super) holders: shared::Holders,
    pub(super) copies: Copies,
    pub(super) leak: Leak,
}

/// Strings of the same texts among what a finding keeps.
#[derive(Default)]
pub(super) struct Copies {
    texts: u64,
    strings: u64,
    bytes: u64,
    /// The text with the most bytes, and these.
    largest: (String, u64),
}

impl Copies {
    pub(super) fn add(&mut self, text: &str, strings: &[Node], view: &View) {
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
    pub(super) fn weight(&self) -> u64 {
        self.growth * [4, 3, 2][usize::from(self.distance)]
    }

    /// Whether its containers alone keep but a small part of what they reach.
    pub(super) fn is_held_elsewhere(&self) -> bool {
        let of_containers = self.holders.first().is_some_and(|nodes| !nodes.is_empty());
        of_containers && self.leak.growth() * 4 < self.growth
    }

    /// Adds timers that keep the same objects.
    pub(super) fn also_by_timers(&mut self, leak: Leak, timers: Vec<Node>) {
        const STOP: &str = " Stop their timers too (clearTimeout(), clearInterval()).";
        if !self.leak.cure.ends_with(STOP) {
            self.leak.cure += STOP;
        }
        self.also(leak, timers, true);
    }

    /// Copies of strings, if they are much of what is kept.
    pub(super) fn say_copies(&mut self) {
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

    /// Adds what holds the `same` objects, or else what grows one for one with it.
    pub(super) fn also(&mut self, leak: Leak, holders: Vec<Node>, same: bool) {
        if self.leak.also.len() < MAX_ALSO {
            self.leak.also.push(Also {
                what: leak.what,
                place: leak.place,
                perhaps: leak.perhaps,
                counts: leak.counts,
                retained: leak.retained,
                id: leak.id,
                same,
            });
            // Of what is no container itself, holders are not known.
            let is_container = |nodes: &Vec<Node>| !nodes.is_empty();
            if self.holders.first().is_some_and(is_container) {
                self.holders.extend(Some(holders).filter(is_container));
            }
        }
    }
}
