//! Sites by the place in a JavaScript program that made them. The ways to a function of the
//! program differ in what the event loop and packages put outside of it, and in what the compiler
//! inlined inside of it; the leak is one.

use std::collections::{HashMap, HashSet};

use heap::{Group, StackId};

use super::super::Options;
use super::super::hiding::{self, Script};
use super::super::names::{Names, Place};
use super::super::page::Frame;
use super::{Hidden, View, rank};
use crate::flags::Format;

/// What the recorder calls in V8 to take a heap snapshot; V8 keeps some of what that needs.
const SNAPSHOTS: [&str; 2] = [
    "v8::HeapProfiler::TakeHeapSnapshot",
    "v8::HeapSnapshot::Serialize",
];

/// How the sites of a place are reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// Distinct stacks that have any of what the report is about.
    stacks: u64,
    /// JavaScript frames, from the inner end of the first of them, that the others have as well
    /// outside of the place; `None` if that is all of each.
    common: Option<usize>,
}

impl View<'_> {
    /// One key for all stacks with the same innermost function of the program; the others have one each,
    /// as by stack.
    pub(super) fn by_place(
        &mut self,
        names: &mut Names,
        options: &Options,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Vec<Group<u32>> {
        let stacks = self.by_stack(names, progress);
        // Programs that read the report have every site.
        let snapshots = match options.format {
            Format::Text => self.snapshot_calls(names, progress),
            Format::Json => HashSet::new(),
        };
        let names = &*names;
        let mut numbers: HashMap<Result<Place, u32>, u32> = HashMap::new();
        // Of each site: its key, and which stack it is.
        let mut keys: HashMap<(usize, StackId), (u32, u32)> = HashMap::new();
        for group in &stacks {
            for &(profile, stack) in &group.sites {
                if self
                    .calls(profile, stack, names)
                    .any(|call| snapshots.contains(&call))
                {
                    continue;
                }
                let functions = self.functions(profile, stack, names);
                let place = home(&functions, names).map(|at| functions[at]);
                let next = numbers.len() as u32;
                let key = *numbers.entry(place.ok_or(group.key)).or_insert(next);
                keys.insert((profile, stack), (key, group.key));
            }
        }
        let mut figures = HashMap::new();
        let mut left_out = Hidden::default();
        let mut groups = heap::aggregate(self.profiles, |number, _, site| {
            let Some(&(key, stack)) = keys.get(&(number, site.stack)) else {
                if options.shows(&site.figures) {
                    left_out.add(&site.figures);
                }
                return None;
            };
            let rank = (options.shows(&site.figures), rank(&site.figures, options));
            figures.insert((number, site.stack), (rank, stack));
            Some(key)
        });
        self.snapshots = left_out;
        let none = Ways {
            stacks: 0,
            common: None,
        };
        self.ways = vec![none; numbers.len()];
        for group in &mut groups {
            // What the report is about decides which stack stands for the others.
            let of = |site: &(usize, StackId)| figures.get(site).map(|&(rank, _)| rank);
            group.sites.sort_by_key(|site| std::cmp::Reverse(of(site)));
            let present = group
                .sites
                .iter()
                .filter(|site| of(site).is_some_and(|(shows, _)| shows));
            let ways = self.ways_of(present, &figures, names);
            if let Some(slot) = self.ways.get_mut(group.key as usize) {
                *slot = ways;
            }
        }
        groups
    }

    /// What sites of one place have in common.
    fn ways_of<'s, R>(
        &self,
        sites: impl Iterator<Item = &'s (usize, StackId)>,
        stacks: &HashMap<(usize, StackId), (R, u32)>,
        names: &Names,
    ) -> Ways {
        let mut seen = HashSet::new();
        let mut first: Option<(usize, Vec<Place>)> = None;
        let mut common = usize::MAX;
        for site in sites {
            let Some((_, stack)) = stacks.get(site) else {
                continue;
            };
            if !seen.insert(*stack) {
                continue;
            }
            let mut functions = self.functions(site.0, site.1, names);
            let inside = home(&functions, names).unwrap_or(0);
            let outside = functions.split_off(inside);
            let Some((_, path)) = &first else {
                first = Some((inside, outside));
                continue;
            };
            let equal = path
                .iter()
                .zip(&outside)
                .take_while(|(a, b)| a == b)
                .count();
            if equal < path.len().max(outside.len()) {
                common = common.min(equal);
            }
        }
        Ways {
            stacks: seen.len() as u64,
            common: first
                .filter(|_| common != usize::MAX)
                .map(|(inside, _)| inside + common),
        }
    }

    /// What the recorder itself called to take heap snapshots.
    fn snapshot_calls(
        &self,
        names: &mut Names,
        progress: &(dyn Fn(usize) + Sync),
    ) -> HashSet<Place> {
        let mut calls = HashSet::new();
        for (number, profile) in self.profiles.iter().enumerate() {
            for site in profile.sites() {
                calls.extend(self.calls(number, site.stack, names));
            }
        }
        names.look_up(calls.iter().copied(), progress);
        calls.retain(|&call| {
            let mut functions = names
                .at(call)
                .iter()
                .filter_map(|frame| frame.function.as_deref());
            functions.any(|function| SNAPSHOTS.iter().any(|start| function.starts_with(start)))
        });
        calls
    }

    /// What the recorder called on a stack: Node, V8, or a function that it stands before.
    fn calls(&self, profile: usize, stack: StackId, names: &Names) -> impl Iterator<Item = Place> {
        let own = |place: Place| {
            names
                .module(place.module)
                .is_some_and(|known| hiding::is_own_path(&known.module.path))
        };
        let mut inner: Option<Place> = None;
        self.places(profile, stack).filter_map(move |place| {
            let inside = inner.replace(place)?;
            (own(place) && !own(inside)).then_some(inside)
        })
    }

    /// The JavaScript functions of a stack, innermost first.
    fn functions(&self, profile: usize, stack: StackId, names: &Names) -> Vec<Place> {
        self.places(profile, stack)
            .filter(|&place| script(place, names).is_some())
            .collect()
    }

    /// Stacks of a group by place beside the one that is shown.
    pub(super) fn other_ways(&self, key: u32) -> u64 {
        let ways = self.ways.get(key as usize);
        ways.map_or(0, |ways| ways.stacks.saturating_sub(1))
    }

    /// The frames of a stack as far as the others of its place have them.
    pub(super) fn to_place<'v>(
        &'v self,
        profile: usize,
        stack: StackId,
        key: u32,
        names: &'v Names,
    ) -> (Vec<Frame<'v>>, Option<&'static str>) {
        let (mut frames, cut) = self.stack(profile, stack, names);
        let common = self.ways.get(key as usize).and_then(|ways| ways.common);
        let Some(common) = common.filter(|&common| common > 0) else {
            return (frames, cut);
        };
        let scripts = frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| hiding::script(frame).is_some());
        match scripts.map(|(at, _)| at).nth(common - 1) {
            Some(last) => {
                frames.truncate(last + 1);
                (frames, None)
            }
            None => (frames, cut),
        }
    }
}

/// The file of a JavaScript function.
fn script(place: Place, names: &Names) -> Option<&str> {
    if names.path(place).is_some() {
        return None;
    }
    names.at(place).first()?.file.as_deref()
}

/// Which of a stack's JavaScript functions a user calls "where": the innermost one of the program,
/// or else of a package.
fn home(functions: &[Place], names: &Names) -> Option<usize> {
    let whose = |place: &Place| script(*place, names).map_or(Script::Node, Script::of);
    [Script::Own, Script::Package]
        .into_iter()
        .find_map(|wanted| functions.iter().position(|place| whose(place) == wanted))
}
