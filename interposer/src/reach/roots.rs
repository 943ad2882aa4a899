//! Where the search begins: what of the process's memory the program itself uses.
//!
//! Known ranges first: writable data of modules, threads' stacks and what lies behind
//! them, the program's own mappings. Of the rest of a mapping nothing counts if any
//! block lies in it (then it is the allocator's) or the allocator mapped it; else all of
//! it does. The recorder's own memory and the stacks of ended threads never do.

use super::array::List;
use super::known;
use super::maps::{Kind, Map, Maps};
use super::own;
use super::threads::{ALL, Thread};
use crate::bootstrap;
use log_format::reach::{Root, RootKind};

/// Most roots.
const MOST: usize = 128 << 10;
/// Below the stack pointer functions that call nothing keep variables, bytes (x86-64
/// ABI, 3.2.2).
const RED_ZONE: u64 = 128;
/// Largest part of a mapping that other processes may write into, bytes: what they
/// share is seldom this heap's business, and all of it would be read from disk.
const SHARED: u64 = 64 << 20;

/// A range whose use is known. Where ranges overlap the one of the lowest rank counts.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
    rank: Rank,
    kind: RootKind,
    tid: u32,
    allocator: bool,
}

/// What a range is known as, and what goes before what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The recorder's: nothing counts.
    Own,
    /// The live part of a stack, a root, or what lies behind a stack.
    Live,
    /// The dead part of a stack, or all of an ended thread's: nothing counts.
    Dead,
    /// Data of a module or of the recorder's that are the program's: a root.
    Data,
    /// The recorder's module.
    OwnModule,
    /// A mapping of the program's own: a root.
    Program,
    /// Memory that the allocator mapped: nothing counts.
    Allocator,
}

impl Rank {
    fn is_root(self) -> bool {
        matches!(self, Rank::Live | Rank::Data | Rank::Program)
    }
}

/// A thread's stack by its known bounds.
#[derive(Clone, Copy)]
struct Stack {
    low: u64,
    top: u64,
    tid: u32,
}

/// A root to be searched.
#[derive(Clone, Copy)]
pub struct Plan {
    /// As it stands in the log.
    pub root: Root,
    /// The allocator's variables are in it.
    pub allocator: bool,
    /// It may lie inside of blocks, and counts there too: a stack that the program allocated,
    /// or what it declared.
    pub inside: bool,
}

/// The thread that ends the process: what its registers and its stack hold when it
/// calls `exit`.
#[derive(Clone, Copy, Default)]
pub struct Leaver {
    /// Kernel's id.
    pub tid: u32,
    /// Stack pointer in the frame that called `exit`.
    pub sp: u64,
    /// Address in that function that `exit` would return to, 0 if not known.
    pub code: u64,
    /// Registers that a function preserves, as they were there.
    pub registers: [u64; 6],
    /// Its thread descriptor.
    pub descriptor: u64,
}

/// What is asked of the blocks.
pub trait Blocks {
    /// Start and end of the first block that ends after `address`.
    fn after(&self, address: u64) -> Option<(u64, u64)>;
}

/// What the plan is made of.
pub struct Scene<'a, B> {
    /// Mappings and modules.
    pub maps: &'a Maps,
    /// The live blocks.
    pub blocks: &'a B,
    /// The thread that ends the process.
    pub leaver: &'a Leaver,
    /// All others.
    pub threads: &'a [Thread],
    /// Mappings of the program's own: start and end.
    pub program: &'a [(u64, u64)],
    /// Id of the process, and of its main thread.
    pub pid: u32,
    /// Blocks may be held by memory whose blocks are not known (those that a fork child
    /// inherited): the rest of the allocator's memory counts too.
    pub careful: bool,
}

/// A plan in the making.
struct Planner<'a, B> {
    scene: &'a Scene<'a, B>,
    plans: List<Plan>,
    known: List<Range>,
    stacks: List<Stack>,
}

/// Makes the plan; `None` if there is no memory.
pub fn plan<B: Blocks>(scene: &Scene<'_, B>) -> Option<List<Plan>> {
    let mut planner = Planner {
        scene,
        plans: List::new(MOST)?,
        known: List::new(MOST)?,
        stacks: List::new(known::STACKS)?,
    };
    // First, so that they are named in chains whatever else they lie in.
    known::regions().for_each(|(start, end)| planner.declared(start, end));
    let maps = scene.maps;
    for segment in maps.data.all() {
        planner.know(
            segment.start,
            segment.end,
            Rank::Data,
            RootKind::Data,
            0,
            segment.allocator,
        );
    }
    for (start, end) in own::all() {
        planner.know(start, end, Rank::Own, RootKind::Mapping, 0, false);
    }
    let (start, end) = bootstrap::used();
    planner.know(start, end, Rank::Data, RootKind::Mapping, 0, false);
    let here = own::note as *const () as u64;
    if let Some(&(start, end)) = maps
        .modules
        .all()
        .iter()
        .find(|module| (module.0..module.1).contains(&here))
    {
        planner.know(
            start,
            end.next_multiple_of(4096),
            Rank::OwnModule,
            RootKind::Data,
            0,
            false,
        );
    }
    known::stacks(&mut |low, top, tid| planner.stacks.push(Stack { low, top, tid }));
    planner.threads();
    for &(start, end) in scene.program {
        if scene
            .blocks
            .after(start)
            .is_none_or(|(from, _)| from >= end)
        {
            planner.know(start, end, Rank::Program, RootKind::Mapping, 0, false);
        }
    }
    if !scene.careful {
        for (start, end) in known::allocator() {
            planner.know(start, end, Rank::Allocator, RootKind::Mapping, 0, false);
        }
    }
    planner.rest()?;
    Some(planner.plans)
}

impl<B: Blocks> Planner<'_, B> {
    fn know(
        &mut self,
        start: u64,
        end: u64,
        rank: Rank,
        kind: RootKind,
        tid: u32,
        allocator: bool,
    ) {
        if start < end {
            self.known.push(Range {
                start,
                end,
                rank,
                kind,
                tid,
                allocator,
            });
        }
    }

    fn threads(&mut self) {
        let Scene {
            maps,
            blocks,
            leaver,
            threads,
            ..
        } = self.scene;
        self.stack(leaver.tid, leaver.sp, leaver.sp, false);
        for thread in threads.iter() {
            // Nothing is known of a blind thread's registers: what it put on its stack
            // earlier may tell.
            self.stack(
                thread.tid,
                thread.sp,
                thread.sp.saturating_sub(RED_ZONE),
                thread.known != ALL,
            );
        }
        // The main thread's variables and descriptor are in a mapping of the loader's, of
        // which the kernel makes one with its neighbours.
        let others = threads.iter().map(|thread| (thread.tid, thread.descriptor));
        for (tid, at) in core::iter::once((leaver.tid, leaver.descriptor)).chain(others) {
            if let Some(map) = maps.at(at).filter(|_| at != 0) {
                let start = at
                    .saturating_sub(maps.thread_local + TLS_SLACK)
                    .max(map.start);
                let end = (at + DESCRIPTOR).min(map.end);
                self.know(start, end, Rank::Live, RootKind::ThreadLocal, tid, false);
            }
        }
        // Ended threads' stacks are kept by libc for later ones.
        for number in 0..self.stacks.all().len() {
            let Some(Stack { low, top, tid }) = self.stacks.all().get(number).copied() else {
                break;
            };
            let lives = tid == leaver.tid || threads.iter().any(|thread| thread.tid == tid);
            if let Some(map) = maps.at(top - 1).filter(|_| !lives) {
                let end = stack_end(map, *blocks, top);
                self.know(
                    low.max(map.start),
                    end,
                    Rank::Dead,
                    RootKind::Stack,
                    0,
                    false,
                );
                // With the stack the next thread gets the vector of variables.
                let most = end.min(top + STACK_SLACK + maps.thread_local + DESCRIPTOR);
                if let Some(at) = descriptor(map, top, most) {
                    self.know(
                        at + 8,
                        at + 16,
                        Rank::Live,
                        RootKind::ThreadLocal,
                        tid,
                        false,
                    );
                }
            }
        }
    }

    /// What counts of a thread's stack. `sp` is 0 if it is not known; `from` is where
    /// the live part begins.
    fn stack(&mut self, tid: u32, sp: u64, from: u64, blind: bool) {
        let Scene { maps, blocks, .. } = self.scene;
        let own = self
            .stacks
            .all()
            .iter()
            .find(|stack| stack.tid == tid)
            .copied();
        let on_own = own.is_some_and(|stack| (stack.low..stack.top + STACK_SLACK).contains(&sp));
        let map = maps.at(sp).filter(|_| sp != 0);
        let on_main = map.is_some_and(|map| map.kind == Kind::Stack);
        if let Some(map) = map.filter(|_| !on_own && !on_main) {
            match blocks.after(sp).filter(|block| block.0 <= sp) {
                Some((start, end)) => self.inside(from.max(start), end, tid),
                None => self.know(
                    from,
                    stack_end(map, *blocks, sp),
                    Rank::Live,
                    RootKind::Stack,
                    tid,
                    false,
                ),
            }
        }
        if let Some(Stack { low, top, .. }) = own {
            let Some(map) = maps.at(top - 1) else { return };
            let low = low.max(map.start);
            let used = match on_own {
                true if blind => low,
                true => from.max(low),
                false => interrupted(maps, sp, low, top).unwrap_or(low),
            };
            if let Some((_, end)) = blocks.after(top - 1).filter(|block| block.0 < top) {
                self.inside(used, end, tid);
                return;
            }
            self.know(used, top, Rank::Live, RootKind::Stack, tid, false);
            self.know(
                top,
                stack_end(map, *blocks, top),
                Rank::Live,
                RootKind::ThreadLocal,
                tid,
                false,
            );
            self.know(low, used, Rank::Dead, RootKind::Stack, tid, false);
        } else if (on_main || tid == self.scene.pid)
            && let Some(map) = maps.maps.all().iter().find(|map| map.kind == Kind::Stack)
        {
            let used = match on_main {
                true if blind => map.start,
                true => from,
                false => interrupted(maps, sp, map.start, map.end).unwrap_or(map.start),
            };
            self.know(used, map.end, Rank::Live, RootKind::Stack, tid, false);
            self.know(map.start, used, Rank::Dead, RootKind::Stack, tid, false);
        }
    }

    /// What can be read of a root region that the program declared.
    fn declared(&mut self, start: u64, end: u64) {
        let maps = self.scene.maps.maps.all();
        let first = maps.partition_point(|map| map.end <= start);
        for map in maps.iter().skip(first).take_while(|map| map.start < end) {
            if map.read && map.kind != Kind::Other {
                let (from, to) = (start.max(map.start), end.min(map.end));
                self.whole(RootKind::Declared, from, to, 0);
            }
        }
    }

    /// The live part of a stack that the program allocated.
    fn inside(&mut self, start: u64, end: u64, tid: u32) {
        self.whole(RootKind::Stack, start, end, tid);
    }

    /// A root that counts with the blocks that it lies in.
    fn whole(&mut self, kind: RootKind, start: u64, end: u64, tid: u32) {
        let root = root(kind, start, end, tid);
        self.plans.push(Plan {
            root,
            allocator: false,
            inside: true,
        });
    }

    /// Adds what is known and what is left of the mappings.
    fn rest(&mut self) -> Option<()> {
        let Scene { maps, .. } = self.scene;
        let ranges = cut(self.known.all())?;
        let ranges = ranges.all();
        let mut next = 0;
        for map in maps.maps.all() {
            while ranges.get(next).is_some_and(|range| range.end <= map.start) {
                next += 1;
            }
            let inside = ranges.get(next..).unwrap_or(&[]);
            let inside = inside
                .get(..inside.partition_point(|range| range.start < map.end))
                .unwrap_or(&[]);
            let has_stack = inside.iter().any(|range| range.kind == RootKind::Stack);
            if !map.read || map.kind == Kind::Other {
                continue;
            }
            let rest_counts = self.rest_counts(map, has_stack);
            let mut at = map.start;
            for range in inside {
                let (start, end) = (range.start.max(at), range.end.min(map.end));
                if at < start && rest_counts {
                    self.plan(at, start, RootKind::Mapping, 0, false);
                }
                if start < end && range.rank.is_root() {
                    self.plan(start, end, range.kind, range.tid, range.allocator);
                }
                at = at.max(end);
            }
            if at < map.end && rest_counts {
                self.plan(at, map.end, RootKind::Mapping, 0, false);
            }
        }
        Some(())
    }

    fn plan(&mut self, start: u64, end: u64, kind: RootKind, tid: u32, allocator: bool) {
        let Scene {
            leaver, threads, ..
        } = self.scene;
        let (mut kind, mut tid) = (kind, tid);
        if kind == RootKind::Mapping {
            // The main thread's variables are in a mapping that the loader made.
            let descriptors = threads.iter().map(|thread| (thread.tid, thread.descriptor));
            let own = (leaver.tid, leaver.descriptor);
            if let Some(found) = core::iter::once(own)
                .chain(descriptors)
                .find(|(_, at)| (start..end).contains(at))
            {
                (kind, tid) = (RootKind::ThreadLocal, found.0);
            }
        }
        let root = root(kind, start, end, tid);
        self.plans.push(Plan {
            root,
            allocator,
            inside: false,
        });
    }

    /// Whether what is not known of a mapping is a root.
    fn rest_counts(&self, map: &Map, has_stack: bool) -> bool {
        let Scene {
            maps,
            blocks,
            careful,
            ..
        } = self.scene;
        let holds = blocks
            .after(map.start)
            .is_some_and(|(start, _)| start < map.end);
        match map.kind {
            Kind::Other | Kind::Stack => false,
            Kind::Heap => *careful,
            Kind::File if map.shared => map.write && !holds && map.end - map.start <= SHARED,
            Kind::File => map.write && !holds && !maps.in_module(map.start),
            Kind::Anonymous if has_stack || !map.write || maps.in_module(map.start) => false,
            Kind::Anonymous if holds => *careful,
            Kind::Anonymous => *careful || !is_arena(map),
        }
    }
}

/// From the first whole word of a range on.
fn root(kind: RootKind, start: u64, end: u64, tid: u32) -> Root {
    let start = start.next_multiple_of(8);
    Root {
        kind: kind as u8,
        tid,
        start,
        len: end.saturating_sub(start),
    }
}

/// Bytes of a thread's descriptor, at most, and what may lie between it and the
/// variables before it.
const DESCRIPTOR: u64 = 4096;
const DESCRIPTOR_HEAD: u64 = 24;
const TLS_SLACK: u64 = 256;

/// What lies above the place that is known as a stack's top: libc's first frame, the
/// thread's variables and its descriptor, at least, bytes.
const STACK_SLACK: u64 = 2048;

/// Where the part of a mapping ends that a stack begins in: at the next block, for the
/// kernel makes one mapping of neighbours.
fn stack_end<B: Blocks>(map: &Map, blocks: &B, top: u64) -> u64 {
    match blocks.after(top) {
        Some((start, _)) if start < map.end && start > top => (start & !4095).max(top),
        _ => map.end,
    }
}

/// Where a thread's descriptor stands above its stack, if it does: it begins with its own
/// address, the vector of the thread's variables, its own address.
fn descriptor(map: &Map, top: u64, end: u64) -> Option<u64> {
    let end = end.min(map.end).saturating_sub(DESCRIPTOR_HEAD);
    let places = (top.next_multiple_of(16)..end).step_by(16);
    places.filter(|_| map.read).find(|&at| {
        // SAFETY: inside a readable mapping.
        unsafe { *(at as *const u64) == at && *((at + 16) as *const u64) == at }
    })
}

/// Whether glibc's allocator made the mapping as a further arena: its size's multiple,
/// beginning with the address of the arena's variables, which follow at once.
fn is_arena(map: &Map) -> bool {
    const ARENA: u64 = 64 << 20;
    // SAFETY: a readable mapping of whole pages.
    map.read
        && map.start.is_multiple_of(ARENA)
        && unsafe { *(map.start as *const u64) }.wrapping_sub(map.start) < 256
}

/// If a signal handler runs on the stack at `sp` (an alternate one): the stack pointer
/// of what it interrupted on the stack `low..top`. The kernel's frame begins with the
/// address of the two instructions that end it.
fn interrupted(maps: &Maps, sp: u64, low: u64, top: u64) -> Option<u64> {
    const RETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
    /// From the frame's start to the interrupted stack pointer: return address, flags,
    /// link, stack (3 words), fifteen registers before it.
    const SP_AT: u64 = 8 + 8 + 8 + 24 + 15 * 8;
    let map = maps.at(sp)?;
    let mut at = sp.next_multiple_of(8);
    let end = map.end.min(at + (1 << 20)).saturating_sub(SP_AT + 8);
    while at < end {
        // SAFETY: inside a readable mapping.
        let code = unsafe { *(at as *const u64) };
        if maps
            .at(code)
            .is_some_and(|map| map.execute && map.read && map.end - code >= 16)
        {
            // SAFETY: readable, as was just seen.
            let bytes = unsafe { &*(code as *const [u8; 9]) };
            // SAFETY: as above.
            let sp = unsafe { *((at + SP_AT) as *const u64) };
            if *bytes == RETURN && (low..top).contains(&sp) {
                return Some(sp.saturating_sub(RED_ZONE).max(low));
            }
        }
        at += 8;
    }
    None
}

/// Cuts ranges so that none overlap: of several at one place the one of the lowest
/// rank stays.
fn cut(known: &[Range]) -> Option<List<Range>> {
    let mut bounds = List::<u64>::new(2 * MOST)?;
    let mut sorted = List::<Range>::new(MOST)?;
    let mut out = List::<Range>::new(2 * MOST)?;
    for range in known {
        bounds.push(range.start);
        bounds.push(range.end);
        sorted.push(*range);
    }
    bounds.all_mut().sort_unstable();
    sorted.all_mut().sort_unstable_by_key(|range| range.start);
    // Those that are open at the place at hand: never many.
    let mut open = List::<Range>::new(MOST)?;
    let mut next = 0;
    for pair in bounds.all().windows(2) {
        let &[start, end] = pair else { continue };
        if start == end {
            continue;
        }
        while let Some(range) = sorted.all().get(next).filter(|range| range.start <= start) {
            open.push(*range);
            next += 1;
        }
        open.retain(|range| range.end > start);
        if let Some(best) = open.all().iter().min_by_key(|range| range.rank) {
            out.push(Range {
                start,
                end,
                ..*best
            });
        }
    }
    Some(out)
}

/// Registers of the leaving thread in the order of their DWARF numbers: rbx, rbp, r12
/// to r15.
pub const LEAVER_REGISTERS: [u32; 6] = [3, 6, 12, 13, 14, 15];

/// Words of a thread's registers that are values to take.
pub fn values(thread: &Thread) -> impl Iterator<Item = (u32, u64)> + '_ {
    (0u32..).zip(thread.registers.iter().copied())
}
