//! One search, in this process or in its frozen copy.

use super::answer::{self, Answer, Question};
use super::array::List;
use super::maps::{Kind, Maps};
use super::memory::Own;
use super::roots::{self, Blocks, LEAVER_REGISTERS, Leaver, Plan, Scene};
use super::threads::Thread;
use crate::collect::live::Tables;
use crate::originals::MALLOC;
use core::sync::atomic::Ordering::Relaxed;
use log_format::reach::{self as form, Outcome, PART, ROOTS, Reached, Root, RootKind};
use log_format::varint::Out;
use reach::{Arrays, Block, From, Memory, Region, RootRule, Search, Stop, interior};

/// Regions of the index, at most; then gaps inside of them grow.
const REGIONS: usize = 4096;
/// Words of a stack that are looked at to find the function of a frame, for one root
/// word and for all.
const FRAME: usize = 4096;
const FRAMES: usize = 8 << 20;

/// What to search. All of it is readable in a copy of the process.
pub struct Job<'a> {
    /// The live blocks.
    pub live: Tables,
    /// The serial that comes next.
    pub next_serial: u64,
    /// The program's own mappings.
    pub program: &'a [(u64, u64)],
    /// The process's id (a copy has another).
    pub pid: u32,
    /// The thread that ends the process.
    pub leaver: Leaver,
    /// The others.
    pub threads: &'a [Thread],
    /// See [`Scene::careful`].
    pub careful: bool,
    /// When to give up: `CLOCK_MONOTONIC`, ns.
    pub deadline: u64,
    /// The program asked whether it leaks.
    pub question: Option<&'a Question>,
}

/// Blocks sorted by address.
struct Sorted<'s, 'm>(&'s Search<'m>);

impl Blocks for Sorted<'_, '_> {
    fn after(&self, address: u64) -> Option<(u64, u64)> {
        let block = self.0.block(self.0.first_after(address))?;
        Some((block.address(), block.end()))
    }
}

/// How a search went.
#[derive(Clone, Copy)]
pub struct Result {
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes searched.
    pub scanned: u64,
    /// What to say if the program asked.
    pub answer: Answer,
}

/// Searches, and gives the parts of the result to `emit`, which says whether to go on.
pub fn run(job: &Job<'_>, emit: &mut dyn FnMut(&[u8]) -> bool) -> Result {
    let mut result = Result {
        outcome: Outcome::Done,
        scanned: 0,
        answer: Answer::default(),
    };
    if let Err(outcome) = search(job, emit, &mut result) {
        result.outcome = outcome;
    }
    result
}

fn search(
    job: &Job<'_>,
    emit: &mut dyn FnMut(&[u8]) -> bool,
    result: &mut Result,
) -> core::result::Result<(), Outcome> {
    let count = job.live.len();
    if count == 0 {
        return Ok(());
    }
    let none = || Outcome::NoMemory;
    let mut blocks = List::<Block>::new(count).ok_or_else(none)?;
    job.live
        .each(|address, block| blocks.push(Block::new(address, block.size, block.serial)));
    let mut links = List::<(u32, u32)>::new(count).ok_or_else(none)?;
    let mut marks = List::<u8>::new(count).ok_or_else(none)?;
    let mut queue = List::<u32>::new(count).ok_or_else(none)?;
    let mut order = List::<u64>::new(count).ok_or_else(none)?;
    let mut regions = List::<Region>::new(REGIONS).ok_or_else(none)?;
    let mut table = List::<u32>::new(Arrays::table_len(count, REGIONS)).ok_or_else(none)?;
    // SAFETY: zero bytes are valid numbers and regions.
    let arrays = unsafe {
        Arrays {
            blocks: blocks.all_mut(),
            links: links.room(),
            marks: marks.room(),
            queue: queue.room(),
            order: order.room(),
            regions: regions.room(),
            table: table.room(),
        }
    };
    let mut search = Search::new(arrays).ok_or_else(none)?;
    let maps = Maps::read(MALLOC.load(Relaxed) as u64).ok_or(Outcome::NoMaps)?;
    let scene = Scene {
        maps: &maps,
        blocks: &Sorted(&search),
        leaver: &job.leaver,
        threads: job.threads,
        program: job.program,
        pid: job.pid,
        careful: job.careful,
    };
    let plans = roots::plan(&scene).ok_or_else(none)?;
    let memory = Own::new(&maps, job.deadline);
    let late = |_: Stop| Outcome::TooLong;
    mark(job, &mut search, &memory, &maps, plans.all()).map_err(late)?;
    result.scanned = search.scanned();
    if let Some(question) = job.question {
        result.answer = answer::answer(question, &search, &maps, &|block| {
            full_serial(block, job.next_serial)
        })?;
        if !question.keeps {
            return Ok(());
        }
    }
    let mut writer = Writer {
        job,
        search: &search,
        memory: &memory,
        maps: &maps,
        plans: plans.all(),
        looks: FRAMES,
    };
    writer.write(emit)
}

fn mark(
    job: &Job<'_>,
    search: &mut Search<'_>,
    memory: &Own<'_>,
    maps: &Maps,
    plans: &[Plan],
) -> core::result::Result<(), Stop> {
    for (number, plan) in (0u32..).zip(plans) {
        let (start, end) = (plan.root.start, plan.root.start + plan.root.len);
        let rule = RootRule {
            allocator: plan.allocator,
        };
        let mut scan = |from, to| {
            if plan.inside {
                search.root_inside(memory, number, start, from, to)
            } else {
                search.root(memory, number, start, from, to, rule)
            }
        };
        let large = end - start > super::present::WORTH
            && maps
                .at(start)
                .is_some_and(|map| map.kind != Kind::File || !map.shared);
        if !large {
            scan(start, end)?;
            continue;
        }
        // Untouched pages hold nothing, and reading them would cost memory.
        let mut stopped = Ok(());
        super::present::each(start, end, &mut |from, to| {
            if stopped.is_ok() {
                stopped = scan(from, to);
            }
        });
        stopped?;
    }
    let mut number = plans.len() as u32;
    for (place, value) in LEAVER_REGISTERS.into_iter().zip(job.leaver.registers) {
        search.value(memory, number, place, value);
    }
    for thread in job.threads {
        number += 1;
        for (place, value) in roots::values(thread) {
            search.value(memory, number, place, value);
        }
    }
    search.finish(memory)
}

/// A block's whole serial, given the next one to be handed out.
fn full_serial(block: Block, next: u64) -> u64 {
    crate::collect::live::Block {
        size: 0,
        serial: block.serial(),
    }
    .full_serial(next)
}

/// Turns the result into parts.
struct Writer<'a, 'm> {
    job: &'a Job<'a>,
    search: &'a Search<'m>,
    memory: &'a Own<'a>,
    maps: &'a Maps,
    plans: &'a [Plan],
    looks: usize,
}

impl Writer<'_, '_> {
    fn write(&mut self, emit: &mut dyn FnMut(&[u8]) -> bool) -> core::result::Result<(), Outcome> {
        let mut buffer = List::<u8>::new(form::MAX_PART).ok_or(Outcome::NoMemory)?;
        // SAFETY: bytes.
        let buffer = unsafe { buffer.room() };
        let mut say = |out: &Out<'_>| {
            if out.finish().is_some() && emit(out.written()) {
                Ok(())
            } else {
                Err(Outcome::NoMemory)
            }
        };
        let mut roots = List::<Root>::new(ROOTS).ok_or(Outcome::NoMemory)?;
        for part in self.plans.chunks(ROOTS) {
            roots.truncate(0);
            part.iter().for_each(|plan| roots.push(plan.root));
            let mut out = Out::new(buffer);
            form::encode_roots(roots.all(), &mut out);
            say(&out)?;
        }
        let tids = core::iter::once(self.job.leaver.tid)
            .chain(self.job.threads.iter().map(|thread| thread.tid));
        roots.truncate(0);
        let mut left = 1 + self.job.threads.len();
        for tid in tids {
            roots.push(Root {
                kind: RootKind::Registers as u8,
                tid,
                start: 0,
                len: 0,
            });
            left -= 1;
            if roots.all().len() == ROOTS || left == 0 {
                let mut out = Out::new(buffer);
                form::encode_roots(roots.all(), &mut out);
                say(&out)?;
                roots.truncate(0);
            }
        }
        let mut part = List::<Reached>::new(PART).ok_or(Outcome::NoMemory)?;
        let mut turn = 0;
        while turn < self.search.len() {
            part.truncate(0);
            while part.all().len() < PART && turn < self.search.len() {
                self.search.prefetch_found(self.memory, turn);
                if let Some(reached) = self.reached(turn) {
                    part.push(reached);
                }
                turn += 1;
            }
            let list = part.all();
            let blank = Reached {
                serial: 0,
                class: form::Class::Reachable,
                parent: form::Parent::None,
                table: 0,
                ring: false,
            };
            let mut out = Out::new(buffer);
            form::encode_blocks(
                list.len(),
                |at| list.get(at).copied().unwrap_or(blank),
                &mut out,
            );
            say(&out)?;
        }
        Ok(())
    }

    fn serial(&self, block: Block) -> u64 {
        full_serial(block, self.job.next_serial)
    }

    fn reached(&mut self, turn: usize) -> Option<Reached> {
        let found = self.search.found(turn)?;
        let parent = match found.from {
            From::Nothing => form::Parent::None,
            From::Block(at, word) => form::Parent::Block {
                serial: self.serial(self.search.block(at)?),
                word,
            },
            From::Root(root, word) => form::Parent::Root {
                root,
                word,
                code: self.code(root, word),
            },
        };
        let block = found.block;
        let table = if block.size() >= 8 {
            interior::virtual_table(self.memory, block.address())
        } else {
            0
        };
        Some(Reached {
            serial: self.serial(block),
            class: found.class,
            parent,
            table,
            ring: found.ring,
        })
    }

    /// A return address into the function whose frame holds a word of a stack: the
    /// next one inwards, which its last call put there.
    fn code(&mut self, root: u32, word: u32) -> u64 {
        let Some(plan) = self
            .plans
            .get(root as usize)
            .filter(|plan| plan.root.kind == RootKind::Stack as u8)
        else {
            return 0;
        };
        let mut at = plan.root.start.next_multiple_of(8) + u64::from(word) * 8;
        for _ in 0..FRAME {
            if at <= plan.root.start || self.looks == 0 {
                break;
            }
            self.looks -= 1;
            at -= 8;
            if let Some(code) = self.memory.word(at).filter(|&code| self.is_return(code)) {
                return code;
            }
        }
        if plan.root.tid == self.job.leaver.tid {
            self.job.leaver.code
        } else {
            0
        }
    }

    /// Whether a call stands before the address.
    fn is_return(&self, code: u64) -> bool {
        if code < 4096
            || !self
                .maps
                .at(code)
                .is_some_and(|map| map.execute && map.read && code - map.start >= 8)
        {
            return false;
        }
        // SAFETY: eight readable bytes before it.
        let before = unsafe { *((code - 8) as *const [u8; 8]) };
        let indirect = |back: usize| matches!(before.get(8 - back..), Some([0xff, modrm, ..]) if modrm >> 3 & 7 == 2);
        before.get(3) == Some(&0xe8) || [2, 3, 4, 6, 7].into_iter().any(indirect)
    }
}
