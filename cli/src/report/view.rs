//! From profiles to the sites that are shown: merged, sorted, cut, and only then named.

mod merge;
mod place;

use std::collections::{HashMap, HashSet};

use heap::{
    Class, Figures, FrameKind, Group, Growth, Profile, RawFrame, SiteReach, StackId, Truncation,
};

use heap::patterns::{Pattern, counts_references};

use super::growth::{self, Verdicts};
use super::hiding;
use super::memory;
use super::names::{Mapped, Names, Place};
use super::page::{Frame, Site};
use super::reach::{Chains, Named};
use super::{Options, Subject};
use crate::flags::{Format, Merge, Sort};
use merge::Label;
use place::Ways;

/// The sites of some processes, in order, with what is needed to show each.
pub struct View<'p> {
    /// The processes.
    pub profiles: &'p [Profile],
    /// The sites to show.
    pub groups: Vec<Group<u32>>,
    /// How each of them grew; empty if that was not asked for.
    pub growths: Vec<Option<Growth>>,
    /// What all sites with blocks left are, shown or not, if that was asked for.
    pub verdicts: Verdicts,
    growing: (u64, u64),
    /// The sites that there are, shown or not, with something in them.
    pub all: Hidden,
    /// Those of them that are too small.
    pub small: Hidden,
    /// Those of them that come too late.
    pub late: Hidden,
    /// What the recorder's own heap snapshots left, which are no groups then.
    pub snapshots: Hidden,
    merge: Merge,
    mapped: Vec<Mapped>,
    labels: Vec<Label>,
    /// How each group by place is reached.
    ways: Vec<Ways>,
    /// What leads to a block of each group.
    paths: Vec<Vec<Named>>,
}

/// A number of sites and what they come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hidden {
    /// How many.
    pub sites: u64,
    /// Their sums.
    pub figures: Figures,
}

impl Hidden {
    fn add(&mut self, figures: &Figures) {
        self.sites += 1;
        self.figures.add(figures);
    }
}

impl<'p> View<'p> {
    /// Merges, sorts, cuts, and finds the names of what is left.
    pub fn new(
        profiles: &'p [Profile],
        options: &Options,
        names: &mut Names,
        progress: &(dyn Fn(usize) + Sync),
    ) -> View<'p> {
        let mapped: Vec<Mapped> = profiles.iter().map(|profile| names.map(profile)).collect();
        let mut view = View {
            profiles,
            groups: Vec::new(),
            growths: Vec::new(),
            verdicts: Verdicts::default(),
            growing: (0, 0),
            all: Hidden::default(),
            small: Hidden::default(),
            late: Hidden::default(),
            snapshots: Hidden::default(),
            merge: options.merge,
            mapped,
            labels: Vec::new(),
            ways: Vec::new(),
            paths: Vec::new(),
        };
        match options.merge {
            _ if options.subject == Subject::Growing => {
                view.growing_groups(names, options, progress)
            }
            // Each stack is there once: no need to group a million of them to show ten.
            Merge::Stack
                if profiles.len() == 1
                    && options.kinds.is_none()
                    && !view.mapped.iter().any(Mapped::reloaded) =>
            {
                let mut sites: Vec<&heap::Site> =
                    profiles.iter().flat_map(Profile::sites).collect();
                sites.sort_by_key(|site| std::cmp::Reverse(rank(&site.figures, options)));
                for site in sites {
                    if view.takes(&site.figures, options) {
                        view.groups.push(alone(site));
                    }
                }
            }
            _ => {
                let mut groups = view.all_groups(names, options, progress);
                if let Some(kinds) = &options.kinds {
                    groups.retain_mut(|group| view.keep(group, kinds));
                }
                groups.sort_by_cached_key(|group| std::cmp::Reverse(rank(&group.figures, options)));
                for group in groups {
                    if view.takes(&group.figures, options) {
                        view.groups.push(group);
                    }
                }
            }
        }
        let wanted: Vec<Place> = match view.merge {
            Merge::Stack | Merge::Place => view
                .groups
                .iter()
                .filter_map(first_site)
                .flat_map(|(i, s)| {
                    let ring = profiles[i].reach.ring(s).iter().copied();
                    std::iter::once(s).chain(ring).map(move |stack| (i, stack))
                })
                .flat_map(|(i, s)| view.places(i, s))
                .collect(),
            _ => Vec::new(),
        };
        let pinning = profiles.iter().enumerate().flat_map(|(number, profile)| {
            memory::culprits(profile).map(move |site| (number, site.stack))
        });
        let pinned: Vec<Place> = pinning
            .flat_map(|(number, stack)| view.places(number, stack))
            .collect();
        names.look_up(wanted.into_iter().chain(pinned), progress);
        if matches!(
            options.subject,
            Subject::End | Subject::Teardown | Subject::Growing
        ) {
            view.find_paths(names, progress);
        }
        view
    }

    fn all_groups(
        &mut self,
        names: &mut Names,
        options: &Options,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Vec<Group<u32>> {
        match self.merge {
            Merge::Stack => self.by_stack(names, progress),
            Merge::Place => self.by_place(names, options, progress),
            _ => self.by_label(names, progress),
        }
    }

    /// Judges all sites; those that grow come first, and in text alone.
    fn growing_groups(
        &mut self,
        names: &mut Names,
        options: &Options,
        progress: &(dyn Fn(usize) + Sync),
    ) {
        let groups = self.all_groups(names, options, progress);
        let growths = self.judge(&groups);
        let mut groups: Vec<(Group<u32>, Option<Growth>)> =
            groups.into_iter().zip(growths).collect();
        groups.sort_by_cached_key(|(group, growth)| {
            std::cmp::Reverse((growth.as_ref().map(speed), rank(&group.figures, options)))
        });
        for (mut group, growth) in groups {
            let verdict = growth.as_ref().map(|growth| growth.verdict);
            if let Some(verdict) = verdict {
                growth::tally(&mut self.verdicts, verdict);
            }
            let grows = verdict.is_some_and(heap::Verdict::grows);
            if grows {
                self.growing = (self.growing.0 + 1, self.growing.1 + group.figures.bytes.0);
            }
            let wanted = options
                .kinds
                .as_ref()
                .is_none_or(|kinds| self.keep(&mut group, kinds));
            if wanted
                && (grows || options.format == Format::Json)
                && self.takes(&group.figures, options)
            {
                self.groups.push(group);
                self.growths.push(growth);
            }
        }
    }

    /// How groups grew.
    pub fn judge(&self, groups: &[Group<u32>]) -> Vec<Option<Growth>> {
        heap::judge(self.profiles, groups, |number| {
            let classes = self.reach(&groups[number])?.classes;
            let reachable = classes.of(Class::Reachable).blocks;
            let all: u64 = Class::ALL
                .iter()
                .map(|&class| classes.of(class).blocks)
                .sum();
            (all > 0).then_some(reachable * 2 > all)
        })
    }

    /// The sites that grow, if that was asked for, and their live bytes.
    pub fn growing(&self) -> (u64, u64) {
        self.growing
    }

    /// What a stack's blocks are to be called after: its innermost frame outside of allocators
    /// and standard libraries, among those that were looked up.
    pub fn blame<'v>(
        &'v self,
        profile: usize,
        stack: StackId,
        names: &'v Names,
    ) -> Option<Frame<'v>> {
        self.blamed(profile, stack, None, names)
    }

    /// Leaves only what is of the wanted classes in a group; whether there is any.
    fn keep(&self, group: &mut Group<u32>, kinds: &[Class]) -> bool {
        let reach = self.reach(group).unwrap_or_default();
        let mut kept = heap::Tally::default();
        kinds
            .iter()
            .for_each(|&class| kept.add(reach.classes.of(class)));
        (group.figures.blocks, group.figures.bytes) = (kept.blocks, kept.bytes);
        kept.blocks > 0
    }

    /// What is known of a group's blocks together.
    fn reach(&self, group: &Group<u32>) -> Option<SiteReach> {
        let sites = group
            .sites
            .iter()
            .filter_map(|&(profile, stack)| self.profiles[profile].reach.site(stack));
        sites.copied().reduce(|mut all, site| {
            all.add(&site);
            all
        })
    }

    /// The site of a group that stands for it: the first one of its worst class.
    fn sample(&self, group: &Group<u32>) -> Option<(usize, StackId)> {
        let worst = |&(profile, stack): &(usize, StackId)| {
            let site: &SiteReach = self.profiles[profile].reach.site(stack)?;
            site.classes.worst()
        };
        let known = group
            .sites
            .iter()
            .filter_map(|site| Some((worst(site)?, *site)));
        known.min_by_key(|(class, _)| *class).map(|(_, site)| site)
    }

    fn find_paths(&mut self, names: &mut Names, progress: &(dyn Fn(usize) + Sync)) {
        let chains = Chains::new(
            self.profiles,
            self.groups.iter().map(|group| self.sample(group)),
        );
        let mut wanted: Vec<Place> = chains
            .stacks()
            .flat_map(|(profile, stack)| self.places(profile, stack))
            .collect();
        wanted.extend(
            chains
                .codes()
                .filter_map(|(profile, code)| self.place(profile, code - 1)),
        );
        names.look_up(wanted.into_iter(), progress);
        let names = &*names;
        let blamed = |profile: usize, what: Result<StackId, u64>| {
            let frame = match what {
                Ok(stack) => self.blamed(profile, stack, None, names)?,
                Err(code) => {
                    let mut frames = Vec::new();
                    push(&mut frames, code, self.place(profile, code - 1)?, names);
                    *frames.last()?
                }
            };
            Some((
                frame.function.map(Into::into),
                frame.file.map(Into::into),
                frame.line,
            ))
        };
        self.paths = chains.named(
            self.profiles,
            names,
            |profile, address| self.place(profile, address),
            blamed,
        );
    }

    /// The place of an address in a process, at its end.
    fn place(&self, profile: usize, address: u64) -> Option<Place> {
        let module = self.profiles[profile].module_at(address)?;
        self.mapped[profile].place(&RawFrame {
            address: address + 1,
            code: None,
            module: Some(module),
            kind: FrameKind::Native,
        })
    }

    /// Whether the next site in order is shown; counts it either way.
    fn takes(&mut self, figures: &Figures, options: &Options) -> bool {
        if !options.shows(figures) {
            return false;
        }
        self.all.add(figures);
        if bytes(figures, options.subject) < options.min_bytes {
            self.small.add(figures);
        } else if options.top.is_some_and(|top| self.groups.len() >= top) {
            self.late.add(figures);
        } else {
            return true;
        }
        false
    }

    /// The sites, ready to be printed.
    pub fn sites<'v>(&'v self, names: &'v Names) -> impl Iterator<Item = Site<'v>> {
        self.groups.iter().enumerate().map(move |(number, group)| {
            let (frames, cut) = match (self.merge, first_site(group)) {
                (Merge::Stack, Some((profile, stack))) => self.stack(profile, stack, names),
                (Merge::Place, Some((profile, stack))) => {
                    self.to_place(profile, stack, group.key, names)
                }
                _ => (self.label(group.key), None),
            };
            let processes: HashSet<usize> =
                group.sites.iter().map(|(profile, _)| *profile).collect();
            Site {
                figures: group.figures,
                growth: self.growths.get(number).and_then(Option::as_ref),
                threads: group.threads,
                stacks: group.sites.len() as u64,
                processes: processes.len() as u64,
                frames,
                cut,
                other_ways: self.other_ways(group.key),
                reach: self.reach(group),
                pattern: self.pattern(group, names),
                path: self.paths.get(number).map_or(&[], Vec::as_slice),
            }
        })
    }

    /// What a site looks like; of several, the one with most bytes.
    fn pattern(&self, group: &Group<u32>, names: &Names) -> Option<Pattern> {
        let one_stack = match self.merge {
            Merge::Stack => true,
            Merge::Place => self.other_ways(group.key) == 0,
            _ => false,
        };
        let (profile, stack) = first_site(group).filter(|_| one_stack)?;
        heap::patterns::pattern(&self.profiles[profile], stack, |stacks| {
            stacks.iter().any(|&stack| {
                let (frames, _) = self.whole_stack(profile, stack, names);
                frames
                    .iter()
                    .any(|frame| frame.function.is_some_and(counts_references))
            })
        })
    }

    /// Modules whose names are on show, each once, with the number of frames.
    pub fn modules_shown(&self, names: &Names) -> Vec<u32> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for (profile, stack) in self.groups.iter().filter_map(first_site) {
            for place in self.places(profile, stack) {
                *counts.entry(place.module).or_default() += 1;
            }
        }
        counts.retain(|&module, _| {
            names
                .module(module)
                .is_some_and(|known| !hiding::is_own_path(&known.module.path))
        });
        let mut modules: Vec<_> = counts.into_iter().collect();
        modules.sort_by_key(|&(module, count)| (std::cmp::Reverse(count), module));
        modules.into_iter().map(|(module, _)| module).collect()
    }

    /// The main program of a process, in [`Names`].
    pub fn program(&self, profile: usize) -> Option<u32> {
        let exe = &self.profiles.get(profile)?.process.exe;
        let modules = &self.profiles.get(profile)?.modules;
        // The loader knows the program itself first, and sometimes by another path.
        let at = modules
            .iter()
            .position(|module| &module.path == exe)
            .unwrap_or(0);
        self.mapped.get(profile)?.modules().get(at).copied()
    }

    pub fn places(&self, profile: usize, stack: StackId) -> impl Iterator<Item = Place> {
        let mapped = &self.mapped[profile];
        self.profiles[profile]
            .frames(stack)
            .filter_map(|frame| mapped.place(&frame))
    }

    /// The named frames of a stack, and why it ends early if it does.
    pub fn stack<'v>(
        &'v self,
        profile: usize,
        stack: StackId,
        names: &'v Names,
    ) -> (Vec<Frame<'v>>, Option<&'static str>) {
        let (mut frames, cut) = self.whole_stack(profile, stack, names);
        let inner = frames
            .iter()
            .take_while(|frame| hiding::is_allocator(frame))
            .count();
        frames.drain(..inner.min(frames.len().saturating_sub(1)));
        (frames, cut)
    }

    /// The same with the allocator's frames.
    pub fn whole_stack<'v>(
        &'v self,
        profile: usize,
        stack: StackId,
        names: &'v Names,
    ) -> (Vec<Frame<'v>>, Option<&'static str>) {
        let mut frames = Vec::new();
        let mut cut = None;
        let mapped = &self.mapped[profile];
        for raw in self.profiles[profile].frames(stack) {
            match raw.kind {
                FrameKind::Native => {
                    if let Some(place) = mapped.place(&raw) {
                        push(&mut frames, raw.address, place, names);
                    }
                }
                FrameKind::Truncated(why) => cut = Some(truncation(why)),
                FrameKind::Empty => cut = Some("the program was killed while it was recorded"),
                FrameKind::Unknown(_) => frames.push(Frame {
                    address: Some(raw.address),
                    ..Frame::default()
                }),
            }
        }
        if frames.is_empty() && cut.is_none() && stack.0 != 0 {
            cut = Some("its frames are not in the log");
        }
        if frames.last().is_some_and(hiding::is_outermost) {
            cut = None;
        }
        frames.retain(|frame| !hiding::is_own(frame));
        (frames, cut)
    }
}

/// A site of one process.
fn alone(site: &heap::Site) -> Group<u32> {
    Group {
        key: site.stack.0,
        figures: site.figures,
        threads: site.threads.len() as u64,
        sites: vec![(0, site.stack)],
    }
}

fn first_site(group: &Group<u32>) -> Option<(usize, StackId)> {
    group.sites.first().copied()
}

/// The frames at one address: several if calls were inlined, one without names if none is known.
fn push<'v>(frames: &mut Vec<Frame<'v>>, address: u64, place: Place, names: &'v Names) {
    let plain = Frame {
        address: Some(address),
        offset: place.at,
        module: names.path(place),
        inlining: names.is_inlining(place),
        ..Frame::default()
    };
    let found = names.at(place);
    if found.is_empty() {
        frames.push(plain);
    }
    frames.extend(found.iter().map(|frame| Frame {
        function: frame.function.as_deref(),
        file: frame.file.as_deref(),
        line: frame.line,
        inlined: frame.inlined,
        ..plain
    }));
}

fn truncation(why: Truncation) -> &'static str {
    match why {
        Truncation::NoRule => "no unwind information there",
        Truncation::OutOfStack => "the next frame would be outside of the stack",
        Truncation::TooDeep => "the stack is too deep",
        Truncation::Other(_) => "for a reason that a newer version knows",
    }
}

/// The bytes that `--min-bytes` is about.
fn bytes(figures: &Figures, subject: Subject) -> u64 {
    match subject {
        Subject::End | Subject::Growing => figures.bytes.0,
        Subject::Peak => figures.peak_bytes.0,
        Subject::Teardown => figures.teardown_bytes.0,
        Subject::Temporary => figures.allocated_bytes.0,
    }
}

/// More is first; equal ones by bytes, then by allocations.
fn rank(figures: &Figures, options: &Options) -> (u64, u64, u64) {
    let first = match (options.sort, options.subject) {
        (Sort::Bytes, Subject::Peak) | (Sort::Peak, _) => figures.peak_bytes.0,
        (Sort::Blocks, Subject::Peak) => figures.peak_blocks,
        (Sort::Bytes, Subject::Teardown) => figures.teardown_bytes.0,
        (Sort::Blocks, Subject::Teardown) => figures.teardown_blocks,
        (Sort::Bytes, _) => figures.bytes.0,
        (Sort::Blocks, _) => figures.blocks,
        (Sort::Allocations, _) => figures.allocations,
        (Sort::Temporary, _) => figures.temporary,
        (Sort::Allocated, _) => figures.allocated_bytes.0,
    };
    (first, figures.bytes.0, figures.allocations)
}

/// Growing sites first, the fastest one in front.
fn speed(growth: &Growth) -> (bool, u64) {
    let grows = growth.verdict.grows();
    (
        grows,
        if grows {
            growth.bytes_per_second.max(0.0) as u64
        } else {
            0
        },
    )
}
