//! Where the process's memory was: its resident bytes, split by what they hold.
//!
//! The recorder notes the resident bytes of every mapping; the log knows every
//! live block. Pages that hold live blocks are in use; resident pages of the same
//! mappings that hold none are freed and kept by the allocator; what is free in a
//! page that holds some is pinned by them. So every resident byte is counted once.
//!
//! ```text
//! mapping with blocks   |####|#  .|....|  # |....|     # live block, . freed and still resident
//!                        live  pinned kept
//! ```
//! Estimates: which pages of a mapping are resident is not known, only how many;
//! pages with live blocks are taken to be. What an allocator adds to a block is
//! taken to be what glibc's adds: 8 bytes, rounded up to 16, at least 32.

use crate::live::{Block, FastMap, Live};
use crate::mappings::{Mappings, Range};
use crate::profile::Module;
use crate::timeline::TIMELINE_POINTS;
use crate::units::{Bytes, Nanos, StackId};
use log_format::memory::{Account, Class};
use log_format::reader::{Clock, Facts, MemoryFact};

const PAGE: u64 = 4096;
/// A page that is free for at least so many bytes is as good as empty.
const SPARSE: u64 = PAGE / 2;
/// With fewer sparse pages nobody is looked for.
const FEW: usize = 16;
/// So many sites that pin pages are named, at most.
const CULPRITS: usize = 10;

/// The resident memory of a process.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Resident bytes over the run: at most [`TIMELINE_POINTS`] points, in order.
    pub resident: Vec<(Nanos, Bytes)>,
    /// The last sample that tells what is resident where.
    pub split: Option<Split>,
    /// What the allocator said of itself at the end; `None` if it keeps no account, or was not asked.
    pub account: Option<Account>,
}

/// What the resident bytes of a moment held; the fields from `live` to `other` add
/// up to `resident`.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// When.
    pub time: Nanos,
    /// Whether that was the end of the program. If not, blocks that were freed
    /// between then and the end are missing in `live`.
    pub at_end: bool,
    /// All resident bytes.
    pub resident: Bytes,
    /// Bytes of live blocks.
    pub live: Bytes,
    /// What the allocator adds to live blocks.
    pub overhead: Bytes,
    /// Free bytes in pages that live blocks keep resident.
    pub pinned: Bytes,
    /// Pages without a live block that the allocator keeps.
    pub kept: Bytes,
    /// Mappings that the program made itself.
    pub mapped: Bytes,
    /// Stacks of threads.
    pub stacks: Bytes,
    /// Programs, libraries and mapped files.
    pub files: Bytes,
    /// Shared memory.
    pub shared: Bytes,
    /// The recorder's own.
    pub recorder: Bytes,
    /// Anything else.
    pub other: Bytes,
    /// Bytes that are not resident but swapped out.
    pub swapped: Bytes,
    /// The sites whose blocks pin most, most first; only of pages that are at
    /// least half free.
    pub pinning: Vec<Pinning>,
}

/// A site whose blocks keep pages resident that are otherwise nearly empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pinning {
    /// The site.
    pub stack: StackId,
    /// Free bytes in these pages; pages that hold blocks of several sites are shared
    /// out by the bytes of each.
    pub bytes: Bytes,
    /// Its blocks in such pages.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub live: Bytes,
}

/// What live blocks take of a page.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    live: u32,
    taken: u32,
}

/// Sums over the pages of one mapping.
#[derive(Clone, Copy, Debug, Default)]
struct Pages {
    live: u64,
    taken: u64,
    touched: u64,
}

/// What the log says of memory; `None` if it was never sampled. `is_allocators`
/// tells whether a mapping with that stack was made by an allocator.
pub(crate) fn memory(
    facts: &Facts,
    live: &Live,
    mappings: &Mappings,
    clock: &Clock,
    modules: &[Module],
    is_allocators: impl Fn(u32) -> bool,
) -> Option<Memory> {
    if facts.resident.is_empty() {
        return None;
    }
    // A JavaScript heap's figures have it as well, more often.
    let usages = facts.isolates.values().flat_map(|isolate| &isolate.usages);
    let of_heaps = usages.filter_map(|(time, usage)| Some((*time, usage.rss?)));
    let mut resident: Vec<(u64, u64)> = facts.resident.iter().copied().chain(of_heaps).collect();
    resident.sort_unstable();
    let every = resident.len().div_ceil(TIMELINE_POINTS - 1);
    let last = resident.len() - 1;
    let points = resident.iter().enumerate();
    let kept = points.filter(|(at, _)| at % every == 0 || *at == last);
    Some(Memory {
        resident: kept
            .map(|(_, &(time, bytes))| (Nanos(clock.to_ns(time)), Bytes(bytes)))
            .collect(),
        split: facts
            .memory
            .as_ref()
            .map(|fact| split(fact, live, mappings, clock, modules, is_allocators)),
        account: facts.allocator,
    })
}

fn split(
    fact: &MemoryFact,
    live: &Live,
    mappings: &Mappings,
    clock: &Clock,
    modules: &[Module],
    is_allocators: impl Fn(u32) -> bool,
) -> Split {
    let there = |block: &&Block| block.time <= fact.time;
    let (pages, whole) = pages(live.iter().map(|(_, block)| block).filter(there), fact);
    let mut of_mapping = whole;
    for (&page, used) in &pages {
        if let Some(at) = mapping_at(fact, page * PAGE) {
            let sum = &mut of_mapping[at];
            sum.live += u64::from(used.live);
            sum.taken += u64::from(used.taken).min(PAGE);
            sum.touched += PAGE;
        }
    }
    let made = programs_own(mappings, &pages, is_allocators);
    let mut split = Split {
        time: Nanos(clock.to_ns(fact.time)),
        at_end: fact.head.at_end,
        resident: Bytes(fact.head.resident),
        swapped: Bytes(fact.swapped),
        ..Split::default()
    };
    for (mapping, sum) in fact.mappings.iter().zip(&of_mapping) {
        let resident = mapping.resident;
        if sum.touched > 0 && !matches!(mapping.class, Class::Recorder | Class::File) {
            let share = resident.min(sum.touched) as f64 / sum.touched as f64;
            let [live, taken, touched] =
                [sum.live, sum.taken, sum.touched].map(|n| (n as f64 * share) as u64);
            split.live += Bytes(live.min(resident));
            split.overhead += Bytes(taken.saturating_sub(live));
            split.pinned += Bytes(touched.saturating_sub(taken.max(live)));
            let rest = resident.saturating_sub(touched.max(live));
            // The kernel makes one of a mapping of the program's and the allocator's beside it.
            let mapped = overlap(&made, mapping.start, mapping.len).min(rest);
            split.mapped += Bytes(mapped);
            split.kept += Bytes(rest - mapped);
            continue;
        }
        match mapping.class {
            Class::Break => split.kept += Bytes(resident),
            Class::Anonymous => {
                let mapped = overlap(&made, mapping.start, mapping.len).min(resident);
                let rest = Bytes(resident - mapped);
                split.mapped += Bytes(mapped);
                // What libc or an allocator maps for itself, no hook sees; what the
                // loader does, stands beside its file.
                let in_module = modules
                    .iter()
                    .any(|module| (module.start..module.end).contains(&mapping.start));
                let class = if in_module {
                    &mut split.files
                } else {
                    &mut split.kept
                };
                *class += rest;
            }
            class => *of_class(&mut split, class) += Bytes(resident),
        }
    }
    for (raw, &(_, resident)) in (0u8..).zip(&fact.rest) {
        *of_class(&mut split, Class::from_raw(raw)) += Bytes(resident);
    }
    let sum = split.sum();
    // Rounding of shares.
    split.other += Bytes(fact.head.resident.saturating_sub(sum.0));
    split.pinning = pinning(live.iter().map(|(_, block)| block).filter(there), &pages);
    split
}

impl Split {
    fn sum(&self) -> Bytes {
        let heap = self.live + self.overhead + self.pinned + self.kept;
        heap + self.mapped + self.stacks + self.files + self.shared + self.recorder + self.other
    }
}

fn of_class(split: &mut Split, class: Class) -> &mut Bytes {
    match class {
        Class::Stack => &mut split.stacks,
        Class::File => &mut split.files,
        Class::Shared => &mut split.shared,
        Class::Recorder => &mut split.recorder,
        Class::Anonymous | Class::Break | Class::Other => &mut split.other,
    }
}

fn mapping_at(fact: &MemoryFact, address: u64) -> Option<usize> {
    let at = fact
        .mappings
        .partition_point(|mapping| mapping.start <= address)
        .checked_sub(1)?;
    let mapping = &fact.mappings[at];
    (address - mapping.start < mapping.len).then_some(at)
}

/// What a block takes with what the allocator adds.
fn taken(block: &Block) -> u64 {
    (block.size.saturating_add(8)).next_multiple_of(16).max(32)
}

/// First and last page of a block, of those that it does not fill.
fn parts(block: &Block) -> impl Iterator<Item = (u64, u64, u64)> {
    let (start, size, taken) = (
        block.ptr,
        block.size.min(1 << 47),
        taken(block).min(1 << 47),
    );
    let (first, last) = (start / PAGE, (start + taken - 1) / PAGE);
    let part = move |page: u64| {
        let (low, high) = (start.max(page * PAGE), (page + 1) * PAGE);
        let within = |len: u64| high.min(start + len).saturating_sub(low);
        (page, within(size), within(taken))
    };
    std::iter::once(part(first)).chain((last != first).then(|| part(last)))
}

/// Pages that live blocks take part of; and per mapping what lies in pages that
/// one block fills.
fn pages<'b>(
    live: impl Iterator<Item = &'b Block>,
    fact: &MemoryFact,
) -> (FastMap<u64, Use>, Vec<Pages>) {
    let mut pages: FastMap<u64, Use> = FastMap::default();
    let mut whole = vec![Pages::default(); fact.mappings.len()];
    // Blocks made together lie together: most follow one in the same page.
    let (mut here, mut sum) = (u64::MAX, Use::default());
    let mut put = |page: u64, more: Use| {
        let used = pages.entry(page).or_default();
        used.live = used.live.saturating_add(more.live);
        used.taken = used.taken.saturating_add(more.taken);
    };
    for block in live.filter(|block| block.ptr < 1 << 47) {
        for (page, live, taken) in parts(block) {
            if page != here {
                put(std::mem::replace(&mut here, page), std::mem::take(&mut sum));
            }
            sum.live = sum.live.saturating_add(live as u32);
            sum.taken = sum.taken.saturating_add(taken as u32);
        }
        let inner = ((block.ptr + taken(block).min(1 << 47) - 1) / PAGE)
            .saturating_sub(block.ptr / PAGE + 1)
            * PAGE;
        if inner > 0
            && let Some(at) = mapping_at(fact, block.ptr)
        {
            let sum = &mut whole[at];
            // Without memory there may be no such block: damage.
            let inner = inner.min(fact.mappings[at].len);
            (sum.live, sum.taken, sum.touched) =
                (sum.live + inner, sum.taken + inner, sum.touched + inner);
        }
    }
    put(here, sum);
    pages.remove(&u64::MAX);
    (pages, whole)
}

/// Mappings in which no live block lies and that no allocator made.
fn programs_own(
    mappings: &Mappings,
    pages: &FastMap<u64, Use>,
    is_allocators: impl Fn(u32) -> bool,
) -> Vec<Range> {
    let mut all: Vec<(Range, bool)> = mappings
        .iter()
        .map(|range| (*range, is_allocators(range.stack)))
        .collect();
    if !all.is_empty() {
        for &page in pages.keys() {
            let at = all.partition_point(|(range, _)| range.start <= page * PAGE);
            if let Some((range, holds)) = at.checked_sub(1).and_then(|at| all.get_mut(at)) {
                *holds |= page * PAGE < range.end;
            }
        }
    }
    all.into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(range, _)| range)
        .collect()
}

/// Bytes of a mapping that ranges, ascending, cover.
fn overlap(ranges: &[Range], start: u64, len: u64) -> u64 {
    let end = start.saturating_add(len);
    let first = ranges.partition_point(|range| range.end <= start);
    let over = ranges[first..].iter().take_while(|range| range.start < end);
    over.map(|range| range.end.min(end).saturating_sub(range.start.max(start)))
        .sum()
}

/// The sites whose blocks keep sparse pages resident.
fn pinning<'b>(live: impl Iterator<Item = &'b Block>, pages: &FastMap<u64, Use>) -> Vec<Pinning> {
    let sparse = pages
        .values()
        .filter(|used| u64::from(used.taken) <= PAGE - SPARSE)
        .count();
    if sparse < FEW {
        return Vec::new();
    }
    let mut sites: FastMap<u32, (f64, u64, u64)> = FastMap::default();
    for block in live.filter(|block| block.ptr < 1 << 47) {
        let mut counted = false;
        for (page, _, taken) in parts(block) {
            let Some(used) = pages.get(&page) else {
                continue;
            };
            let all = u64::from(used.taken).max(1);
            let free = PAGE.saturating_sub(all);
            if free < SPARSE || taken == 0 {
                continue;
            }
            let site = sites.entry(block.stack).or_default();
            site.0 += free as f64 * taken as f64 / all as f64;
            if !std::mem::replace(&mut counted, true) {
                site.1 += 1;
                site.2 = site.2.saturating_add(block.size);
            }
        }
    }
    let mut list: Vec<Pinning> = sites
        .into_iter()
        .map(|(stack, (bytes, blocks, live))| Pinning {
            stack: StackId(stack),
            bytes: Bytes(bytes as u64),
            blocks,
            live: Bytes(live),
        })
        .collect();
    list.sort_by_key(|site| (std::cmp::Reverse(site.bytes), site.stack));
    list.truncate(CULPRITS);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_format::memory::{Head, Mapping};

    fn fact(mappings: &[(Class, u64, u64, u64)]) -> MemoryFact {
        let mappings: Vec<Mapping> = mappings
            .iter()
            .map(|&(class, start, pages, resident)| Mapping {
                class,
                start,
                len: pages * PAGE,
                resident: resident * PAGE,
            })
            .collect();
        let resident = mappings.iter().map(|mapping| mapping.resident).sum();
        MemoryFact {
            time: 100,
            head: Head {
                resident,
                virtual_size: resident,
                at_end: true,
            },
            mappings,
            ..MemoryFact::default()
        }
    }

    fn live(blocks: &[(u64, u64, u32)]) -> Live {
        let mut live = Live::default();
        for (serial, &(ptr, size, stack)) in (1..).zip(blocks) {
            live.insert(
                serial,
                Block {
                    ptr,
                    size,
                    stack,
                    time: 1,
                    thread: 1,
                },
            );
        }
        live
    }

    fn of(fact: &MemoryFact, blocks: &[(u64, u64, u32)], made: &[Range]) -> Split {
        let mut mappings = Mappings::default();
        made.iter().for_each(|range| mappings.map(*range));
        let split = split(
            fact,
            &live(blocks),
            &mappings,
            &Clock::new(0, 1, 1),
            &[module()],
            |stack| stack == 99,
        );
        assert_eq!(split.sum(), split.resident);
        split
    }

    fn module() -> Module {
        Module {
            path: "/bin/app".into(),
            build_id: Vec::new(),
            bias: 0,
            start: 7 * HEAP,
            end: 8 * HEAP,
            first_node: 0,
            end_node: None,
            loaded: Nanos(0),
            unloaded: None,
        }
    }

    const HEAP: u64 = 0x10_0000;

    #[test]
    fn a_small_block_pins_its_page_and_empty_pages_are_kept() {
        let fact = fact(&[(Class::Break, HEAP, 50, 48)]);
        let pairs = (0..20).map(|page| HEAP + page * 2 * PAGE + 16);
        let blocks: Vec<_> = pairs
            .flat_map(|ptr| [(ptr, 100, 7), (ptr + PAGE, 40, 8)])
            .collect();
        let split = of(&fact, &blocks, &[]);
        assert_eq!((split.live.0, split.overhead.0), (20 * 140, 20 * (12 + 8)));
        assert_eq!(split.pinned.0, 20 * (2 * PAGE - 160));
        assert_eq!(split.kept.0, 8 * PAGE);
        let pinning: Vec<_> = split
            .pinning
            .iter()
            .map(|p| (p.stack.0, p.bytes.0, p.blocks))
            .collect();
        assert_eq!(
            pinning,
            [(8, 20 * (PAGE - 48), 20), (7, 20 * (PAGE - 112), 20)]
        );
    }

    #[test]
    fn a_large_block_is_live_as_far_as_it_is_resident() {
        let fact = fact(&[(Class::Anonymous, HEAP, 100, 10)]);
        let split = of(&fact, &[(HEAP + 16, 99 * PAGE, 7)], &[]);
        assert!(
            split.live.0 > 9 * PAGE && split.pinned.0 < PAGE,
            "{split:?}"
        );
        assert_eq!(split.kept.0, 0);
        let resident = [(Class::Anonymous, HEAP, 100, 100)];
        let split = of(
            &super::tests::fact(&resident),
            &[(HEAP + 16, 99 * PAGE, 7)],
            &[],
        );
        assert_eq!(split.live.0, 99 * PAGE);
    }

    #[test]
    fn mappings_of_the_program_are_told_from_an_allocators() {
        let range = |start, pages, stack| Range {
            start,
            end: start + pages * PAGE,
            stack,
            thread: 1,
            time: 1,
        };
        let fact = fact(&[
            (Class::Anonymous, HEAP, 30, 30),
            (Class::Anonymous, 2 * HEAP, 5, 5),
        ]);
        // The program's, an allocator's with a block, an allocator's by its name.
        let made = [
            range(HEAP, 10, 1),
            range(HEAP + 10 * PAGE, 20, 2),
            range(2 * HEAP, 5, 99),
        ];
        let split = of(&fact, &[(HEAP + 12 * PAGE, 64, 7)], &made);
        assert_eq!(split.mapped.0, 10 * PAGE);
        assert_eq!(split.kept.0, 19 * PAGE + 5 * PAGE);
    }

    #[test]
    fn classes_without_blocks_are_what_they_are() {
        let fact = fact(&[
            (Class::File, HEAP, 4, 1),
            (Class::Stack, 2 * HEAP, 4, 2),
            (Class::Shared, 3 * HEAP, 4, 3),
            (Class::Recorder, 4 * HEAP, 4, 4),
            (Class::Other, 5 * HEAP, 8, 5),
            (Class::Break, 6 * HEAP, 8, 6),
            (Class::Anonymous, 7 * HEAP + PAGE, 8, 7),
            (Class::Anonymous, 9 * HEAP, 8, 8),
        ]);
        let split = of(&fact, &[], &[]);
        let pages = [
            split.files,
            split.stacks,
            split.shared,
            split.recorder,
            split.other,
            split.kept,
        ];
        assert_eq!(pages.map(|bytes| bytes.0 / PAGE), [8, 2, 3, 4, 5, 14]);
        assert!(split.pinning.is_empty());
    }
}
