//! Sites by the place in a JavaScript program that made them. The ways to a function of the
//! program differ in what the event loop and packages put outside of it, and in what the compiler
//! inlined inside of it; the leak is one.

use std::collections::HashMap;

use heap::{Group, StackId};

use super::super::Options;
use super::super::hiding::{self, Script};
use super::super::names::{Names, Place};
use super::super::page::Frame;
use super::{View, rank};

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
        let names = &*names;
        let mut numbers: HashMap<Result<Place, u32>, u32> = HashMap::new();
        // Of each site: its key, and which stack it is.
        let mut keys: HashMap<(usize, StackId), (u32, u32)> = HashMap::new();
        for group in &stacks {
            for &(profile, stack) in &group.sites {
                let functions = self.functions(profile, stack, names);
                let place = home(&functions, names).map(|at| functions[at]);
                let next = numbers.len() as u32;
                let key = *numbers.entry(place.ok_or(group.key)).or_insert(next);
                keys.insert((profile, stack), (key, group.key));
            }
        }
        let mut figures = HashMap::new();
        let mut groups = heap::aggregate(self.profiles, |number, _, site| {
            let &(key, stack) = keys.get(&(number, site.stack))?;
            let rank = (options.shows(&site.figures), rank(&site.figures, options));
            figures.insert((number, site.stack), (rank, stack));
            Some(key)
        });
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
        let mut seen = std::collections::HashSet::new();
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
