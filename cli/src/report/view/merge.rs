//! What sites of several stacks or processes have in common: the keys that they are merged by.

use std::collections::{HashMap, HashSet};

use heap::{Group, StackId};

use super::super::hiding;
use super::super::names::{Mapped, Names, Place};
use super::super::page::Frame;
use super::{View, push};
use crate::flags::Merge;

/// How many inner frames are named first when only what allocated is asked for.
const INNER: usize = 4;

/// What sites are merged by, if not by their stacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Label {
    module: Option<std::path::PathBuf>,
    function: Option<String>,
    file: Option<String>,
}

impl View<'_> {
    /// One key for equal stacks of different processes, and of one that loaded a module several
    /// times. The same build has the same addresses in the same modules; where the builds of a
    /// module differ, names decide.
    pub(super) fn by_stack(
        &self,
        names: &mut Names,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Vec<Group<u32>> {
        let rebuilt = self.rebuilt(names);
        if !rebuilt.is_empty() {
            let places: HashSet<Place> = self
                .all_sites()
                .flat_map(|(profile, stack)| self.places(profile, stack))
                .filter(|place| rebuilt.contains(&place.module))
                .collect();
            names.look_up(places.into_iter(), progress);
        }
        let mut tree = Tree::default();
        let mut named: HashMap<String, u64> = HashMap::new();
        // Of the profile at hand; they come one after the other.
        let mut keys: HashMap<StackId, u32> = HashMap::new();
        let mut at_hand = 0;
        let mut path = Vec::new();
        heap::aggregate(self.profiles, |number, profile, site| {
            if number != at_hand {
                at_hand = number;
                keys.clear();
            }
            // From the inside to a part that is known already, and back.
            let mut stack = site.stack;
            let mut key = 0;
            while let Some((raw, outer)) = profile.frame(stack) {
                if let Some(&known) = keys.get(&stack) {
                    key = known;
                    break;
                }
                path.push((stack, raw));
                stack = outer;
            }
            for (stack, raw) in path.drain(..).rev() {
                let place = match self.mapped[number].place(&raw) {
                    Some(place) if rebuilt.contains(&place.module) => {
                        let next = named.len() as u64;
                        let name = *named.entry(identity(place, names)).or_insert(next);
                        (Place::NOWHERE - 1, name)
                    }
                    Some(place) => (place.module, place.at),
                    None => (Place::NOWHERE - 2, raw.address),
                };
                key = tree.key(key, place);
                keys.insert(stack, key);
            }
            Some(key)
        })
    }

    /// Modules of which the processes had different builds.
    fn rebuilt(&self, names: &Names) -> HashSet<u32> {
        let mut by_name: HashMap<&std::ffi::OsStr, HashSet<u32>> = HashMap::new();
        for &number in self.mapped.iter().flat_map(Mapped::modules) {
            if let Some(name) = names
                .module(number)
                .and_then(|known| known.module.path.file_name())
            {
                by_name.entry(name).or_default().insert(number);
            }
        }
        by_name
            .into_values()
            .filter(|numbers| numbers.len() > 1)
            .flatten()
            .collect()
    }

    fn all_sites(&self) -> impl Iterator<Item = (usize, StackId)> {
        let numbered = self.profiles.iter().enumerate();
        numbered.flat_map(|(number, profile)| {
            profile.sites().iter().map(move |site| (number, site.stack))
        })
    }

    /// One key for all stacks of the same allocating function, file or module.
    pub(super) fn by_label(
        &mut self,
        names: &mut Names,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Vec<Group<u32>> {
        // Most stacks need few frames until the allocator's end; only the others need all.
        let inner: HashSet<Place> = self
            .all_sites()
            .flat_map(|(profile, stack)| self.places(profile, stack).take(INNER))
            .collect();
        names.look_up(inner.into_iter(), progress);
        let deep: HashSet<Place> = self
            .all_sites()
            .filter(|&(profile, stack)| self.blamed(profile, stack, Some(INNER), names).is_none())
            .flat_map(|(profile, stack)| self.places(profile, stack))
            .collect();
        names.look_up(deep.into_iter(), progress);

        let mut numbers: HashMap<Label, u32> = HashMap::new();
        let groups = heap::aggregate(self.profiles, |number, _, site| {
            let frame = self
                .blamed(number, site.stack, None, names)
                .unwrap_or_default();
            let label = Label {
                module: frame.module.map(Into::into),
                function: frame
                    .function
                    .filter(|_| self.merge == Merge::Function)
                    .map(Into::into),
                file: frame
                    .file
                    .filter(|_| self.merge != Merge::Module)
                    .map(Into::into),
            };
            let next = numbers.len() as u32;
            Some(*numbers.entry(label).or_insert(next))
        });
        let mut labels: Vec<_> = numbers.into_iter().collect();
        labels.sort_by_key(|(_, number)| *number);
        self.labels = labels.into_iter().map(|(label, _)| label).collect();
        groups
    }

    /// The innermost frame that is neither the allocator's nor inside of a standard library; with
    /// a limit, none beyond it.
    pub(super) fn blamed<'v>(
        &'v self,
        profile: usize,
        stack: StackId,
        limit: Option<usize>,
        names: &'v Names,
    ) -> Option<Frame<'v>> {
        let mut frames = Vec::new();
        for (raw, place) in self.profiles[profile]
            .frames(stack)
            .filter_map(|raw| Some((raw, self.mapped[profile].place(&raw)?)))
            .take(limit.unwrap_or(usize::MAX))
        {
            push(&mut frames, raw.address, place, names);
            if let Some(own) = frames
                .iter()
                .find(|frame| !hiding::is_allocator(frame) && !hiding::is_standard(frame))
            {
                return Some(*own);
            }
        }
        let library = frames.iter().find(|frame| !hiding::is_allocator(frame));
        library
            .or(frames.last())
            .filter(|_| limit.is_none())
            .copied()
    }

    pub(super) fn label(&self, key: u32) -> Vec<Frame<'_>> {
        let label = self.labels.get(key as usize);
        label
            .map(|label| Frame {
                module: label.module.as_deref(),
                function: label.function.as_deref(),
                file: label.file.as_deref(),
                ..Frame::default()
            })
            .into_iter()
            .collect()
    }
}

/// What a place is called, whatever the build.
fn identity(place: Place, names: &Names) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let module = names
        .path(place)
        .and_then(|path| path.file_name())
        .unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", module.display());
    let found = names.at(place);
    for frame in found {
        let _ = write!(
            text,
            "\0{:?}\0{:?}\0{:?}",
            frame.function, frame.file, frame.line
        );
    }
    if found.iter().all(|frame| frame.function.is_none()) {
        let _ = write!(text, "\0{:x}\0{}", place.at, place.module);
    }
    text
}

/// Equal paths get equal keys. Paths share their outer parts, as stacks do.
#[derive(Debug, Default)]
struct Tree {
    nodes: HashMap<(u32, u32, u64), u32>,
}

impl Tree {
    /// The key of a path that is one frame longer than another's.
    fn key(&mut self, outer: u32, (module, at): (u32, u64)) -> u32 {
        let next = self.nodes.len() as u32 + 1;
        *self.nodes.entry((outer, module, at)).or_insert(next)
    }
}
