//! What leads to the blocks that were left, in names.

use std::collections::HashMap;
use std::fmt::Write;

use heap::{Class, Classes, Outcome, Profile, RootKind, Search, StackId, Step, Summary, Tally};

use super::names::{Names, Place};
use crate::figures::{bytes, count, counted, duration};

/// What a step of a chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A variable of a program or library.
    Global,
    /// A thread's stack.
    Stack,
    /// A thread's registers.
    Registers,
    /// A thread's own variables.
    ThreadLocal,
    /// A mapping.
    Mapping,
    /// What the program itself named.
    Declared,
    /// A block.
    Block,
    /// Blocks that are not told one by one.
    Skipped,
}

impl Kind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Global => "global",
            Kind::Stack => "stack",
            Kind::Registers => "registers",
            Kind::ThreadLocal => "thread_local",
            Kind::Mapping => "mapping",
            Kind::Declared => "declared",
            Kind::Block => "block",
            Kind::Skipped => "skipped",
        }
    }
}

/// A step with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What it is.
    pub kind: Kind,
    /// A variable, the function whose frame it is, or the one that made the block.
    pub name: Option<String>,
    /// The module a variable is in, if it has no name.
    pub module: Option<String>,
    /// Where that is written.
    pub file: Option<String>,
    /// Line in the file.
    pub line: Option<u32>,
    /// The class of a C++ object.
    pub object: Option<String>,
    /// Where in it the pointer to the next step stands, bytes; for registers the number.
    pub offset: Option<u64>,
    /// Address of the block or of the root's word.
    pub address: u64,
    /// Bytes of a block; how many blocks are skipped.
    pub size: u64,
    /// Thread id and name.
    pub thread: Option<(u32, String)>,
}

impl Named {
    /// The step in text.
    pub fn text(&self, file: &dyn Fn(&str) -> String) -> String {
        let place = match (&self.file, self.line) {
            (Some(path), Some(line)) => format!(" ({}:{line})", file(path)),
            _ => String::new(),
        };
        let offset = match self.offset {
            Some(offset) => format!(" +{offset:#x}"),
            None => String::new(),
        };
        let name = self.name.as_deref();
        let thread = match &self.thread {
            Some((tid, name)) if name.is_empty() => format!("thread {tid}"),
            Some((tid, name)) => format!("thread {tid} ({name})"),
            None => "a thread".to_owned(),
        };
        match self.kind {
            Kind::Global => {
                let inside = if self.offset == Some(0) {
                    ""
                } else {
                    offset.as_str()
                };
                match (name, &self.module) {
                    (Some(name), _) => format!("{name}{place}{inside}"),
                    (None, Some(module)) => format!("data of {module}{offset}"),
                    (None, None) => format!("data at {:#x}", self.address),
                }
            }
            Kind::Stack => match name {
                Some(name) => format!("stack of {thread}, in {name}{place}"),
                None => format!("stack of {thread}"),
            },
            Kind::Registers => format!("registers of {thread}"),
            Kind::ThreadLocal => format!("thread-local data of {thread}"),
            Kind::Mapping => format!("mapping at {:#x}", self.address),
            Kind::Declared => match name {
                Some(name) => format!("declared root region, {name}{place}{offset}"),
                None => format!("declared root region at {:#x}", self.address),
            },
            Kind::Block => {
                let what = match &self.object {
                    Some(object) => format!("{object} of"),
                    None => "block of".to_owned(),
                };
                match name {
                    Some(name) => format!("{what} {name}{place}{offset}"),
                    None => format!("{what} {}{offset}", bytes(self.size)),
                }
            }
            Kind::Skipped => format!("… {} more …", counted(self.size, "block")),
        }
    }
}

/// The sums over some processes.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// By class, of the processes of which it is known.
    pub classes: Classes,
    /// Blocks that the search did not see.
    pub unjudged: Tally,
    /// Processes of which it is known.
    pub known: u64,
    /// Nanoseconds that the searches took, at the end of the processes.
    pub ns: u64,
    /// Bytes searched.
    pub scanned: u64,
    /// Why it is not known of others, or what is uncertain, each in a line.
    pub remarks: Vec<String>,
}

impl Sums {
    /// The sums of some processes.
    pub fn of(profiles: &[Profile]) -> Sums {
        let mut sums = Sums::default();
        for profile in profiles {
            let reach = &profile.reach;
            if reach.is_known() {
                sums.known += 1;
                sums.classes.add(&reach.totals);
                sums.unjudged.add(reach.unjudged);
            }
            if let Search::Made(summary) = reach.search {
                sums.ns += summary.ns;
                sums.scanned += summary.scanned;
            }
            let remarks = [remark(reach.search, profile), moment(profile)];
            let remarks = remarks.into_iter().flatten();
            sums.remarks.extend(remarks.map(|text| match profiles {
                [_] => text,
                _ => format!("process {}: {text}", profile.process.pid),
            }));
        }
        if sums.unjudged.blocks > 0 && sums.known > 0 {
            sums.remarks.push(format!(
                "{} made or freed while the search began, or later, have no class",
                counted(sums.unjudged.blocks, "block")
            ));
        }
        sums
    }
}

/// Whose moment the classes are of, if it is not the end.
fn moment(profile: &Profile) -> Option<String> {
    let last = profile.checks.asked.iter().find(|check| check.last)?;
    let asked = matches!(profile.reach.search, Search::Made(summary) if summary.asked);
    (asked && profile.reach.is_known()).then(|| {
        format!(
            "classes are of the moment of __lsan_do_leak_check, {} after the start: it stands for the check at \
             the end",
            duration(last.time.0)
        )
    })
}

/// What is to be said of a process's search, if anything.
fn remark(search: Search, profile: &Profile) -> Option<String> {
    match search {
        Search::None if profile.process.ending == heap::Ending::Killed => Some(
            "what was still reachable is not known: the process was killed or still runs"
                .to_owned(),
        ),
        Search::None if matches!(profile.process.ending, heap::Ending::Signal { .. }) => Some(
            "what was still reachable is not known: a signal ended the process before it could be searched"
                .to_owned(),
        ),
        Search::None => None,
        Search::Made(summary) => of_summary(&summary),
    }
}

fn of_summary(summary: &Summary) -> Option<String> {
    match summary.outcome {
        Outcome::Done if summary.blind > 0 => Some(format!(
            "the registers of {} of {} could not be read (ptrace is not allowed): what only they held counts as \
             unreachable",
            count(u64::from(summary.blind)),
            counted(u64::from(summary.threads), "thread")
        )),
        Outcome::Done | Outcome::Off => None,
        why => Some(format!(
            "what was still reachable is not known: {}",
            unknown(why)
        )),
    }
}

/// Why there is no result.
pub fn unknown(why: Outcome) -> &'static str {
    match why {
        Outcome::Done | Outcome::Off => "the search was turned off",
        Outcome::NoFork => "the process could not be copied (fork was refused)",
        Outcome::NoMaps => "/proc/self/maps could not be read",
        Outcome::NoMemory => "there was no memory for the search",
        Outcome::TooLong => "the search took longer than a minute",
        Outcome::Died => "the copy of the process was killed while it searched",
        Outcome::Filtered => "a system-call filter was in force",
        Outcome::Busy => "the recorder was at work in the same thread",
        Outcome::Unread => "the log could not be read back",
    }
}

/// A class in words.
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Unreachable => "unreachable",
        Class::Indirect => "indirect",
        Class::Possible => "possible",
        Class::Reachable => "reachable",
    }
}

/// What a class means, in few words.
pub fn class_meaning(class: Class) -> &'static str {
    match class {
        Class::Unreachable => "nothing points to it",
        Class::Indirect => "only unreachable blocks lead to it",
        Class::Possible => "only pointers to the inside of blocks lead to it",
        Class::Reachable => "the program could still have freed it",
    }
}

/// Chains that want names: each with the process's number.
pub struct Chains {
    steps: Vec<(usize, Vec<Step>)>,
}

impl Chains {
    /// The chain of one block of each of the given sites.
    pub fn new(
        profiles: &[Profile],
        sites: impl Iterator<Item = Option<(usize, StackId)>>,
    ) -> Chains {
        let chain = |site: Option<(usize, StackId)>| match site {
            Some((number, stack)) => {
                let steps = profiles
                    .get(number)
                    .map(|profile| profile.reach.path(stack));
                (number, steps.unwrap_or_default())
            }
            None => (0, Vec::new()),
        };
        Chains {
            steps: sites.map(chain).collect(),
        }
    }

    /// The stacks in them, whose frames must have names before [`Chains::named`].
    pub fn stacks(&self) -> impl Iterator<Item = (usize, StackId)> + '_ {
        self.steps.iter().flat_map(|(number, steps)| {
            steps.iter().filter_map(move |step| match step {
                Step::Block { stack, .. } => Some((*number, *stack)),
                _ => None,
            })
        })
    }

    /// The functions in whose frames chains begin.
    pub fn codes(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.steps
            .iter()
            .filter_map(|(number, steps)| match steps.first() {
                Some(Step::Root {
                    code,
                    kind: Some(RootKind::Stack),
                    ..
                }) if *code != 0 => Some((*number, *code)),
                _ => None,
            })
    }

    /// Addresses of variables and virtual tables.
    fn data(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.steps.iter().flat_map(|(number, steps)| {
            steps.iter().filter_map(move |step| match step {
                Step::Root {
                    address,
                    kind: Some(RootKind::Data | RootKind::Declared),
                    ..
                } => Some((*number, *address)),
                Step::Block { table, .. } if *table != 0 => Some((*number, *table)),
                _ => None,
            })
        })
    }

    /// The chains with names. `place` finds an address's place in a process, `blamed`
    /// what a stack or an address is called.
    pub fn named(
        &self,
        profiles: &[Profile],
        names: &Names,
        place: impl Fn(usize, u64) -> Option<Place>,
        blamed: impl Fn(
            usize,
            Result<StackId, u64>,
        ) -> Option<(Option<String>, Option<String>, Option<u32>)>,
    ) -> Vec<Vec<Named>> {
        let mut wanted: HashMap<u32, Vec<u64>> = HashMap::new();
        for (number, address) in self.data() {
            if let Some(place) = place(number, address) {
                wanted.entry(place.module).or_default().push(place.at);
            }
        }
        let variables: HashMap<Place, symbolizer::Variable> = wanted
            .into_iter()
            .flat_map(|(module, at)| {
                let found = names.variables(module, &at);
                let named = at.into_iter().zip(found);
                named.filter_map(move |(at, found)| Some((Place { module, at }, found?)))
            })
            .collect();
        let variable = |number: usize, address: u64| {
            let place = place(number, address)?;
            Some((place, variables.get(&place)))
        };
        let named = self.steps.iter().map(|(number, steps)| {
            let step = |step: &Step| named(*number, step, profiles, names, &variable, &blamed);
            steps.iter().map(step).collect()
        });
        named.collect()
    }
}

/// The class whose virtual table a variable is, by either way to write that.
fn class_of_table(name: &str) -> Option<&str> {
    let braced = name
        .strip_prefix("{vtable(")
        .and_then(|rest| rest.strip_suffix(")}"));
    braced.or_else(|| name.strip_prefix("vtable for "))
}

type Blame = (Option<String>, Option<String>, Option<u32>);

fn named<'v>(
    number: usize,
    step: &Step,
    profiles: &[Profile],
    names: &Names,
    variable: &impl Fn(usize, u64) -> Option<(Place, Option<&'v symbolizer::Variable>)>,
    blamed: &impl Fn(usize, Result<StackId, u64>) -> Option<Blame>,
) -> Named {
    let mut named = Named {
        kind: Kind::Skipped,
        name: None,
        module: None,
        file: None,
        line: None,
        object: None,
        offset: None,
        address: 0,
        size: 0,
        thread: None,
    };
    match *step {
        Step::Skipped(blocks) => named.size = blocks,
        Step::Block {
            stack,
            ptr,
            size,
            table,
            offset,
        } => {
            (named.kind, named.address, named.size, named.offset) =
                (Kind::Block, ptr, size.0, offset);
            (named.name, named.file, named.line) = blamed(number, Ok(stack)).unwrap_or_default();
            let table = variable(number, table).and_then(|(_, found)| found);
            named.object = table
                .and_then(|found| class_of_table(&found.name))
                .map(str::to_owned);
        }
        Step::Root {
            kind,
            tid,
            address,
            code,
        } => {
            named.address = address;
            named.kind = match kind {
                Some(RootKind::Data) => Kind::Global,
                Some(RootKind::Stack) => Kind::Stack,
                Some(RootKind::Registers) => Kind::Registers,
                Some(RootKind::ThreadLocal) => Kind::ThreadLocal,
                Some(RootKind::Declared) => Kind::Declared,
                Some(RootKind::Mapping) | None => Kind::Mapping,
            };
            if tid != 0 {
                let threads = profiles
                    .get(number)
                    .map_or(&[][..], |profile| &profile.threads);
                let known = threads.iter().rev().find(|thread| thread.tid == tid);
                named.thread = Some((
                    tid,
                    known.map_or_else(String::new, |thread| thread.name.clone()),
                ));
            }
            match named.kind {
                Kind::Global | Kind::Declared => {
                    if let Some((place, found)) = variable(number, address) {
                        let module = names.path(place).and_then(|path| path.file_name());
                        named.module = module.map(|name| name.to_string_lossy().into_owned());
                        named.offset = Some(found.map_or(place.at, |found| found.offset));
                        if let Some(found) = found {
                            named.name = Some(found.name.clone());
                            (named.file, named.line) = (found.file.clone(), found.line);
                        }
                    }
                }
                Kind::Stack if code != 0 => {
                    (named.name, named.file, named.line) =
                        blamed(number, Err(code)).unwrap_or_default();
                }
                Kind::Registers => named.offset = Some(address),
                _ => {}
            }
        }
    }
    named
}

/// A chain in text.
pub fn chain(steps: &[Named], file: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    for (number, step) in steps.iter().enumerate() {
        if number > 0 {
            text.push_str(" → ");
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", step.text(file));
    }
    text
}
