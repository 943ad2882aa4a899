//! What leads to the blocks that were left: the recorder's search, by site.
//!
//! The log has for every block its class and what led to it ([`log_format::reach`]).
//! Here that is joined with the blocks: sums by site, what each direct leak drags
//! along, and for each site one block's chain of pointers.

use crate::ignored::Ignored;
use crate::live::{FastMap, Live};
use crate::units::{Bytes, StackId};
use log_format::reach::{Class, Outcome, Parent, Part, Reached, Root, RootKind, Summary};

/// A number of blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Blocks.
    pub blocks: u64,
    /// Bytes asked for.
    pub bytes: Bytes,
}

impl Tally {
    /// Adds some more.
    pub fn add(&mut self, other: Tally) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
    }

    fn block(size: u64) -> Tally {
        Tally {
            blocks: 1,
            bytes: Bytes(size),
        }
    }
}

/// Blocks and bytes of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes([Tally; 4]);

impl Classes {
    /// What there is of a class.
    pub fn of(&self, class: Class) -> Tally {
        self.0[class as usize - 1]
    }

    /// The worst class that there is any of.
    pub fn worst(&self) -> Option<Class> {
        Class::ALL
            .into_iter()
            .find(|&class| self.of(class).blocks > 0)
    }

    /// Adds another site's or process's.
    pub fn add(&mut self, other: &Classes) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.add(theirs);
        }
    }
}

/// What is known of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteReach {
    /// Its blocks by class.
    pub classes: Classes,
    /// Its direct leaks with everything that only they lead to. What several lead to
    /// counts for one of them.
    pub retained: Tally,
    /// Its direct leaks that other leaks lead back to.
    pub rings: u64,
    /// Class of the block that was made last.
    pub(crate) last: Option<Class>,
    /// The block whose chain is shown: one of the worst class, with a shortest chain.
    sample: Option<u32>,
}

impl SiteReach {
    /// Adds another site's.
    pub fn add(&mut self, other: &SiteReach) {
        self.classes.add(&other.classes);
        self.retained.add(other.retained);
        self.rings += other.rings;
    }
}

/// A step of a chain of pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Where it begins.
    Root {
        /// What kind of place that is; `None` if this version does not know it.
        kind: Option<RootKind>,
        /// Kernel's id of the thread it belongs to, else 0.
        tid: u32,
        /// Where the pointer stands; for a register its number.
        address: u64,
        /// If it is a stack: a return address into the function whose frame it is in; 0
        /// if not known.
        code: u64,
    },
    /// A block.
    Block {
        /// Where it was made.
        stack: StackId,
        /// Address.
        ptr: u64,
        /// Bytes asked for.
        size: Bytes,
        /// Address of its virtual table, 0 if it has none.
        table: u64,
        /// Where in it the pointer to the next step stands, bytes; `None` in the last.
        offset: Option<u64>,
    },
    /// So many blocks that are not told one by one.
    Skipped(u64),
}

/// Stacks kept of what a ring leads to.
const RING_MEMBERS: usize = 16;

/// Most blocks of a chain that are told one by one.
const TOLD: usize = 12;

/// Whether, and how, the search was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// There is nothing in the log: the process did not come to its end, or recording
    /// ended before.
    None,
    /// It was tried.
    Made(Summary),
}

/// See the module.
#[derive(Debug)]
pub struct Reach {
    /// How it went.
    pub search: Search,
    /// All blocks by class.
    pub totals: Classes,
    /// Live blocks without a class: made or freed while the search began.
    pub unjudged: Tally,
    sites: FastMap<u32, SiteReach>,
    /// Stacks of what the direct leaks in rings lead to, by theirs.
    rings: FastMap<u32, Vec<StackId>>,
    roots: Vec<Root>,
    table: Table,
    /// The blocks that stand in samples' chains.
    blocks: FastMap<u32, crate::live::Block>,
}

/// The result for every block, by ascending serial.
#[derive(Debug, Default)]
struct Table {
    serials: Vec<u64>,
    classes: Vec<Class>,
    parents: Vec<u32>,
    words: Vec<u32>,
    tables: Vec<u64>,
    /// By block, for those that a stack leads to.
    codes: FastMap<u32, u64>,
    /// Direct leaks that other leaks lead back to, by block.
    rings: FastMap<u32, ()>,
    /// Serials of parents, until all blocks are known.
    unresolved: Vec<(u32, u64)>,
}

/// A parent that is a root.
const ROOT: u32 = 1 << 31;
/// No parent.
const NONE: u32 = u32::MAX;

impl Default for Reach {
    fn default() -> Reach {
        Reach {
            search: Search::None,
            totals: Classes::default(),
            unjudged: Tally::default(),
            sites: FastMap::default(),
            rings: FastMap::default(),
            roots: Vec::new(),
            table: Table::default(),
            blocks: FastMap::default(),
        }
    }
}

impl Reach {
    /// Whether every block has its class.
    pub fn is_known(&self) -> bool {
        matches!(self.search, Search::Made(summary) if summary.outcome == Outcome::Done)
    }

    /// What is known of a site's blocks.
    pub fn site(&self, stack: StackId) -> Option<&SiteReach> {
        self.sites.get(&stack.0)
    }

    /// The chain that leads to one block of a site: from a root, or, for an indirect
    /// leak, from the direct one. Empty for direct leaks.
    pub fn path(&self, stack: StackId) -> Vec<Step> {
        let Some(sample) = self.sites.get(&stack.0).and_then(|site| site.sample) else {
            return Vec::new();
        };
        let chain = self.table.chain(sample);
        if chain.len() < 2 && self.table.root(sample).is_none() {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let first = chain.last().copied().unwrap_or(sample);
        if let Some(root) = self.table.root(first) {
            let word = self.table.words[first as usize];
            let found = self.roots.get(root as usize).copied().unwrap_or_default();
            let kind = RootKind::from_raw(found.kind);
            steps.push(Step::Root {
                kind,
                tid: found.tid,
                address: match kind {
                    Some(RootKind::Registers) => u64::from(word),
                    _ => found.start.wrapping_add(u64::from(word) * 8),
                },
                code: self.table.codes.get(&first).copied().unwrap_or(0),
            });
        }
        let told = told(chain.len());
        for (place, &at) in chain.iter().rev().enumerate() {
            if place == told.0 && told.1 > told.0 {
                steps.push(Step::Skipped((told.1 - told.0) as u64));
            }
            if place >= told.0 && place < told.1 {
                continue;
            }
            let Some(block) = self.blocks.get(&at) else {
                continue;
            };
            // The next one knows where in this one the pointer stands.
            let next = chain
                .len()
                .checked_sub(place + 2)
                .and_then(|next| chain.get(next));
            steps.push(Step::Block {
                stack: StackId(block.stack),
                ptr: block.ptr,
                size: Bytes(block.size),
                table: self.table.tables[at as usize],
                offset: next.map(|&next| u64::from(self.table.words[next as usize]) * 8),
            });
        }
        steps
    }

    /// Stacks of the blocks that stand in chains and rings.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = u32> + '_ {
        let chains = self.blocks.values().map(|block| block.stack);
        chains.chain(self.rings.values().flatten().map(|stack| stack.0))
    }

    /// Stacks of what a site's direct leaks lead to that other leaks lead back to; a few at most.
    pub fn ring(&self, stack: StackId) -> &[StackId] {
        self.rings.get(&stack.0).map_or(&[], Vec::as_slice)
    }

    /// Joins the recorder's result with the live blocks.
    pub(crate) fn new(parts: Vec<Part>, live: &Live, ignored: &Ignored) -> Reach {
        let mut reach = Reach::default();
        let mut table = Table::default();
        for part in parts {
            // A later search takes the place of an earlier one.
            if reach.search != Search::None {
                (reach, table) = (Reach::default(), Table::default());
            }
            match part {
                Part::Summary(summary) => reach.search = Search::Made(summary),
                Part::Roots(roots) => reach.roots.extend(roots),
                Part::Blocks(blocks) => blocks.into_iter().for_each(|block| table.push(block)),
            }
        }
        if !reach.is_known() {
            return reach;
        }
        table.resolve();
        let owners = table.ends();
        let depths = table.depths();
        for at in 0..table.serials.len() as u32 {
            let serial = table.serials[at as usize];
            let Some(block) = live.get(serial) else {
                continue;
            };
            if ignored.has(serial, block.stack) {
                continue;
            }
            let owner = table.serials.get(owners[at as usize] as usize);
            let owner = owner.and_then(|&serial| Some((serial, live.get(serial)?)));
            let class = match table.classes[at as usize] {
                // What an ignored block leads to is the program's business as well.
                Class::Indirect
                    if owner.is_some_and(|(serial, block)| ignored.has(serial, block.stack)) =>
                {
                    table.classes[at as usize] = Class::Reachable;
                    Class::Reachable
                }
                class => class,
            };
            let tally = Tally::block(block.size);
            let site = reach.sites.entry(block.stack).or_default();
            reach.totals.0[class as usize - 1].add(tally);
            site.classes.0[class as usize - 1].add(tally);
            site.last = Some(class);
            site.rings += u64::from(table.rings.contains_key(&at));
            let better = site.sample.is_none_or(|sample| {
                let rank = |at: u32| (table.classes[at as usize], depths[at as usize]);
                rank(at) < rank(sample)
            });
            if better {
                site.sample = Some(at);
            }
            if matches!(class, Class::Unreachable | Class::Indirect)
                && let Some((_, owner)) = owner
            {
                if table.rings.contains_key(&owners[at as usize]) {
                    let members = reach.rings.entry(owner.stack).or_default();
                    if members.len() < RING_MEMBERS && !members.contains(&StackId(block.stack)) {
                        members.push(StackId(block.stack));
                    }
                }
                reach
                    .sites
                    .entry(owner.stack)
                    .or_default()
                    .retained
                    .add(tally);
            }
        }
        for (serial, block) in live.iter() {
            if table.find(serial).is_none() && !ignored.has(serial, block.stack) {
                reach.unjudged.add(Tally::block(block.size));
            }
        }
        for sample in reach.sites.values().filter_map(|site| site.sample) {
            let chain = table.chain(sample);
            let told = told(chain.len());
            for (place, &at) in chain.iter().rev().enumerate() {
                if (place < told.0 || place >= told.1)
                    && let Some(block) = live.get(table.serials[at as usize])
                {
                    reach.blocks.insert(at, *block);
                }
            }
        }
        reach.table = table;
        reach
    }
}

/// Of a chain of so many blocks: the places that are not told.
fn told(len: usize) -> (usize, usize) {
    if len <= TOLD {
        (len, len)
    } else {
        (TOLD / 2, len - TOLD / 2)
    }
}

impl Table {
    fn push(&mut self, block: Reached) {
        // Anything else is damage.
        if self
            .serials
            .last()
            .is_some_and(|&last| last >= block.serial)
            || self.serials.len() >= ROOT as usize
        {
            return;
        }
        let at = self.serials.len() as u32;
        if block.ring {
            self.rings.insert(at, ());
        }
        self.serials.push(block.serial);
        self.classes.push(block.class);
        self.tables.push(block.table);
        let (parent, word) = match block.parent {
            Parent::None => (NONE, 0),
            Parent::Root { root, word, code } => {
                if code != 0 {
                    self.codes.insert(at, code);
                }
                ((root & !ROOT) | ROOT, word)
            }
            Parent::Block { serial, word } => {
                self.unresolved.push((at, serial));
                (NONE, word)
            }
        };
        self.parents.push(parent);
        self.words.push(word);
    }

    fn find(&self, serial: u64) -> Option<u32> {
        self.serials.binary_search(&serial).ok().map(|at| at as u32)
    }

    fn resolve(&mut self) {
        // Blocks that are made together are often held by the same one.
        let mut last = (u64::MAX, NONE);
        for (at, serial) in std::mem::take(&mut self.unresolved) {
            if last.0 != serial {
                last = (serial, self.find(serial).unwrap_or(NONE));
            }
            self.parents[at as usize] = last.1;
        }
    }

    fn root(&self, at: u32) -> Option<u32> {
        let parent = *self.parents.get(at as usize)?;
        (parent != NONE && parent & ROOT != 0).then_some(parent & !ROOT)
    }

    fn parent(&self, at: u32) -> Option<u32> {
        let parent = *self.parents.get(at as usize)?;
        (parent & ROOT == 0 && (parent as usize) < self.parents.len()).then_some(parent)
    }

    /// A block and what leads to it, outwards.
    fn chain(&self, at: u32) -> Vec<u32> {
        let mut chain = vec![at];
        let mut at = at;
        while let Some(parent) = self.parent(at) {
            // A ring is damage.
            if chain.len() > self.parents.len() {
                break;
            }
            chain.push(parent);
            at = parent;
        }
        chain
    }

    /// The block at which each chain ends.
    fn ends(&self) -> Vec<u32> {
        self.fold(|at| at, |end| end)
    }

    /// Blocks in each chain.
    fn depths(&self) -> Vec<u32> {
        self.fold(|_| 0, |depth| depth.saturating_add(1))
    }

    /// A value for each block out of its parent's; chains may be long.
    fn fold(&self, first: impl Fn(u32) -> u32, next: impl Fn(u32) -> u32) -> Vec<u32> {
        let mut values = vec![NONE; self.parents.len()];
        let mut waiting = Vec::new();
        for start in 0..self.parents.len() as u32 {
            let mut at = start;
            let mut value = loop {
                if values[at as usize] != NONE {
                    break values[at as usize];
                }
                match self.parent(at) {
                    // A ring is damage.
                    Some(parent) if waiting.len() <= self.parents.len() => {
                        waiting.push(at);
                        at = parent;
                    }
                    _ => {
                        values[at as usize] = first(at);
                        break values[at as usize];
                    }
                }
            };
            while let Some(at) = waiting.pop() {
                value = next(value);
                values[at as usize] = value;
            }
        }
        values
    }
}
