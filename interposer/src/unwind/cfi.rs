//! Call frame information: what `.eh_frame` says about an address.
//!
//! The table is found through the loader's lock-free `_dl_find_object` (glibc
//! 2.35); gimli evaluates the row. What comes out is a [`Rule`] for the cache,
//! or, for frames that need more than sp and bp, a step computed each time.

use super::cache::{Kind, Rule};
use super::{Bounds, EXACT, Link, State, Step, plausible, registered};
use crate::arch::{DWARF_FP, DWARF_RA, DWARF_SP};
use crate::{modules, thread};
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Register, RegisterRule,
    UnwindContext, UnwindContextStorage, UnwindSection, UnwindTableRow,
};
use log_format::layout::truncation;

pub(super) type Bytes = EndianSlice<'static, LittleEndian>;

/// Fixed arrays instead of the heap.
pub(super) struct Fixed;

impl UnwindContextStorage<usize> for Fixed {
    type Rules = [(Register, RegisterRule<usize>); 32];
    type Stack = [UnwindTableRow<usize, Self>; 4];
}

/// Room for an evaluation: too large for the stack of a hook. Any bytes are
/// valid: it is written before it is read.
#[repr(C)]
pub struct Scratch {
    /// Whose ring learns of modules that are seen for the first time.
    pub thread: *mut crate::thread::ThreadState,
    /// Held by every evaluation, for tables that the program registered.
    pub reading: registered::Reading,
    context: core::mem::MaybeUninit<UnwindContext<usize, Fixed>>,
}

impl Scratch {
    fn context(&mut self) -> &mut UnwindContext<usize, Fixed> {
        self.context.write(UnwindContext::new_in())
    }
}

/// A row reduced to what the walk uses.
#[derive(Clone, Copy)]
enum Place {
    Same,
    Offset(i64),
    Expression(&'static [u8]),
    ValueExpression(&'static [u8]),
    Undefined,
    Unknown,
}

#[derive(Clone, Copy)]
enum Cfa {
    Sp(i64),
    Bp(i64),
    Expression(&'static [u8]),
    Unknown,
}

pub(super) struct Row {
    cfa: Cfa,
    ra: Place,
    bp: Place,
    signal: bool,
}

/// Finds the rule for code that continues at `ra`. gimli moves whole rows over
/// the stack, so this is a deep path.
#[cold]
#[inline(never)]
pub fn find_rule(ra: u64, scratch: &mut Scratch) -> Rule {
    struct Job {
        ra: u64,
        scratch: *mut Scratch,
        rule: Rule,
    }
    unsafe extern "C" fn work(job: *mut u8) {
        // SAFETY: the job below.
        let job = unsafe { &mut *job.cast::<Job>() };
        // SAFETY: the caller's scratch, which waits.
        let scratch = unsafe { &mut *job.scratch };
        scratch.reading.begin();
        job.rule = make_rule(job.ra, scratch);
        scratch.reading.end();
    }
    let thread = scratch.thread;
    let mut job = Job {
        ra,
        scratch,
        rule: Rule::new(Kind::None, 0, 0),
    };
    // SAFETY: this thread's state; the job outlives the call.
    unsafe { thread::deep(thread, work, (&raw mut job).cast()) };
    job.rule
}

fn make_rule(ra: u64, scratch: &mut Scratch) -> Rule {
    let none = Rule::new(Kind::None, 0, 0);
    if let Some(global) = crate::global::get() {
        global
            .modules
            .first_sight(global, scratch.thread, (ra & !EXACT).wrapping_sub(1));
    }
    let Some(row) = row(ra, scratch) else {
        // A rule from here on only: a frame that is entered by a return to its first
        // instruction, as makecontext arranges. Nobody called it, so it is the last,
        // also where its rule does not say so (glibc 2.36).
        return if row_at(ra & !EXACT, scratch).is_some() || modules::in_loader(ra & !EXACT) {
            Rule::new(Kind::End, 0, 0)
        } else {
            Rule::new(Kind::FramePointer, 0, 0)
        };
    };
    if row.signal {
        return Rule::new(Kind::Slow, 0, 0);
    }
    match row.ra {
        Place::Undefined => return Rule::new(Kind::End, 0, 0),
        Place::Offset(-8) => {}
        _ => return Rule::new(Kind::Slow, 0, 0),
    }
    let bp = match row.bp {
        Place::Same | Place::Undefined => 0,
        Place::Offset(offset) if offset != 0 => offset,
        _ => return Rule::new(Kind::Slow, 0, 0),
    };
    match row.cfa {
        Cfa::Sp(offset) => Rule::new(Kind::Sp, offset, bp),
        Cfa::Bp(offset) => Rule::new(Kind::Bp, offset, bp),
        Cfa::Expression(_) => Rule::new(Kind::Slow, 0, 0),
        Cfa::Unknown => none,
    }
}

/// A step through a frame whose rule does not fit the cache.
///
/// # Safety
/// As [`super::step`].
#[cold]
#[inline(never)]
pub unsafe fn slow_step(state: &State, bounds: Bounds, scratch: &mut Scratch) -> Step {
    struct Job<'a> {
        state: &'a State,
        bounds: Bounds,
        scratch: *mut Scratch,
        step: Step,
    }
    unsafe extern "C" fn work(job: *mut u8) {
        // SAFETY: the job below; the state is the caller's.
        unsafe {
            let job = &mut *job.cast::<Job<'_>>();
            let scratch = &mut *job.scratch;
            scratch.reading.begin();
            job.step = evaluate_step(job.state, job.bounds, scratch);
            scratch.reading.end();
        }
    }
    let thread = scratch.thread;
    let mut job = Job {
        state,
        bounds,
        scratch,
        step: Step::End,
    };
    // SAFETY: this thread's state; the job outlives the call.
    unsafe { thread::deep(thread, work, (&raw mut job).cast()) };
    job.step
}

unsafe fn evaluate_step(state: &State, bounds: Bounds, scratch: &mut Scratch) -> Step {
    let broken = Step::Broken(truncation::NO_RULE);
    let Some(row) = row(state.ra, scratch) else {
        return broken;
    };
    // SAFETY: the row holds for this frame, so what it says to read is there.
    unsafe {
        let cfa = match row.cfa {
            Cfa::Sp(offset) => Some(state.sp.wrapping_add(offset as u64)),
            Cfa::Bp(offset) => Some(state.bp.wrapping_add(offset as u64)),
            Cfa::Expression(code) => evaluate(code, state, None),
            Cfa::Unknown => None,
        };
        let Some(cfa) = cfa else { return broken };
        // A signal frame may continue on another stack, also a lower one.
        if !row.signal && !plausible(state.sp, cfa, bounds) {
            return Step::Broken(truncation::OUT_OF_STACK);
        }
        let ra = match row.ra {
            Place::Undefined => return Step::End,
            place => load(place, cfa, state, 0),
        };
        let bp = match row.bp {
            Place::Undefined => Some(state.bp),
            place => load(place, cfa, state, state.bp),
        };
        let (Some(ra), Some(bp)) = (ra, bp) else {
            return broken;
        };
        if ra == 0 {
            return Step::SoftEnd;
        }
        let ra = if row.signal { ra | EXACT } else { ra };
        Step::Frame(State { sp: cfa, ra, bp }, Link::Barrier)
    }
}

unsafe fn load(place: Place, cfa: u64, state: &State, same: u64) -> Option<u64> {
    // SAFETY: the caller's row holds for this frame.
    unsafe {
        match place {
            Place::Same => Some(same),
            Place::Offset(offset) => Some(*(cfa.wrapping_add(offset as u64) as *const u64)),
            Place::Expression(code) => {
                evaluate(code, state, Some(cfa)).map(|at| *(at as *const u64))
            }
            Place::ValueExpression(code) => evaluate(code, state, Some(cfa)),
            Place::Undefined | Place::Unknown => None,
        }
    }
}

/// Evaluates the part of the DWARF expression language that unwind tables use;
/// `None` for anything else.
///
/// # Safety
/// The expression comes from the unwind table of the frame in `state`.
unsafe fn evaluate(code: &[u8], state: &State, initial: Option<u64>) -> Option<u64> {
    let mut stack = [0u64; 8];
    let mut depth = 0usize;
    let mut input = log_format::varint::In::new(code);
    let push = |stack: &mut [u64; 8], depth: &mut usize, value: u64| -> Option<()> {
        *stack.get_mut(*depth)? = value;
        *depth += 1;
        Some(())
    };
    if let Some(value) = initial {
        push(&mut stack, &mut depth, value)?;
    }
    fn pop(stack: &[u64; 8], depth: &mut usize) -> Option<u64> {
        *depth = depth.checked_sub(1)?;
        stack.get(*depth).copied()
    }
    while let Some(op) = input.byte() {
        let value = match op {
            0x06 => {
                let at = pop(&stack, &mut depth)?;
                // SAFETY: the caller's promise.
                unsafe { *(at as *const u64) }
            }
            0x08 => u64::from(input.byte()?),
            0x09 => input.byte()? as i8 as i64 as u64,
            0x0a => u64::from(u16::from_le_bytes(input.bytes(2)?.try_into().ok()?)),
            0x0b => i16::from_le_bytes(input.bytes(2)?.try_into().ok()?) as i64 as u64,
            0x0c => u64::from(u32::from_le_bytes(input.bytes(4)?.try_into().ok()?)),
            0x0d => i32::from_le_bytes(input.bytes(4)?.try_into().ok()?) as i64 as u64,
            0x0e | 0x0f => u64::from_le_bytes(input.bytes(8)?.try_into().ok()?),
            0x10 => input.uint()?,
            0x11 => signed(&mut input)? as u64,
            0x12 => {
                let value = pop(&stack, &mut depth)?;
                push(&mut stack, &mut depth, value)?;
                value
            }
            0x23 => pop(&stack, &mut depth)?.wrapping_add(input.uint()?),
            0x30..=0x4f => u64::from(op - 0x30),
            0x70..=0x8f => {
                let offset = signed(&mut input)? as u64;
                let base = match u16::from(op - 0x70) {
                    DWARF_SP => state.sp,
                    DWARF_FP => state.bp,
                    DWARF_RA => state.ra & !EXACT,
                    _ => return None,
                };
                base.wrapping_add(offset)
            }
            0x1a | 0x1c | 0x1e | 0x21 | 0x22 | 0x24 | 0x25 | 0x29..=0x2e => {
                let b = pop(&stack, &mut depth)?;
                let a = pop(&stack, &mut depth)?;
                match op {
                    0x1a => a & b,
                    0x1c => a.wrapping_sub(b),
                    0x1e => a.wrapping_mul(b),
                    0x21 => a | b,
                    0x22 => a.wrapping_add(b),
                    0x24 => a.checked_shl(u32::try_from(b).ok()?).unwrap_or(0),
                    0x25 => a.checked_shr(u32::try_from(b).ok()?).unwrap_or(0),
                    0x29 => u64::from(a == b),
                    0x2a => u64::from(a as i64 >= b as i64),
                    0x2b => u64::from(a as i64 > b as i64),
                    0x2c => u64::from(a as i64 <= b as i64),
                    0x2d => u64::from((a as i64) < b as i64),
                    _ => u64::from(a != b),
                }
            }
            _ => return None,
        };
        push(&mut stack, &mut depth, value)?;
    }
    pop(&stack, &mut depth)
}

/// A signed LEB128 number (not zigzag).
fn signed(input: &mut log_format::varint::In<'_>) -> Option<i64> {
    let (mut value, mut shift) = (0i64, 0u32);
    loop {
        let byte = input.byte()?;
        if shift > 63 {
            return None;
        }
        value |= i64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            if byte & 0x40 != 0 && shift < 64 {
                value |= -1i64 << shift;
            }
            return Some(value);
        }
    }
}

/// The row for the code that continues at `ra`; `None` if there is no unwind
/// information at all.
fn row(ra: u64, scratch: &mut Scratch) -> Option<Row> {
    // A return address may be the first byte after its function.
    row_at(
        if ra & EXACT != 0 {
            ra & !EXACT
        } else {
            ra.wrapping_sub(1)
        },
        scratch,
    )
}

/// The row for the instruction at `address`.
fn row_at(address: u64, scratch: &mut Scratch) -> Option<Row> {
    let Some(object) = modules::find_object(address) else {
        // SAFETY: `find_rule` and `slow_step` have begun the reading.
        return unsafe { registered::row(address, scratch.context(), reduce) };
    };
    // The table may stand in another segment than the code.
    let end = if (object.start..object.end).contains(&object.eh_frame_hdr) {
        object.end
    } else {
        modules::find_object(object.eh_frame_hdr)?.end
    };
    let header = slice(object.eh_frame_hdr, end)?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(object.eh_frame_hdr);
    let header = EhFrameHdr::new(header, LittleEndian)
        .parse(&bases, 8)
        .ok()?;
    let gimli::Pointer::Direct(eh_frame) = header.eh_frame_ptr() else {
        return None;
    };
    let frames = EhFrame::new(slice(eh_frame, end)?, LittleEndian);
    let bases = bases.set_eh_frame(eh_frame);
    let fde = header
        .table()?
        .fde_for_address(&frames, &bases, address, EhFrame::cie_from_offset)
        .ok()?;
    let row = fde
        .unwind_info_for_address(&frames, &bases, scratch.context(), address)
        .ok()?;
    Some(reduce(row, &frames, fde.is_signal_trampoline()))
}

/// Memory of a loaded module from `start` to `end`.
fn slice(start: u64, end: u64) -> Option<&'static [u8]> {
    let len = usize::try_from(end.checked_sub(start)?).ok()?;
    if start == 0 {
        return None;
    }
    // SAFETY: the loader says that the module is mapped there, and frames of it
    // are on the stack, so it stays.
    Some(unsafe { core::slice::from_raw_parts(start as *const u8, len) })
}

fn expression(
    expression: &gimli::UnwindExpression<usize>,
    frames: &EhFrame<Bytes>,
) -> Option<&'static [u8]> {
    Some(expression.get(frames).ok()?.0.slice())
}

/// Reduces a row to what the walk uses.
fn reduce(row: &UnwindTableRow<usize, Fixed>, frames: &EhFrame<Bytes>, signal: bool) -> Row {
    let place = |register: u16| match row.register(Register(register)) {
        // Not named: the caller's is unchanged; for the return address, unknown.
        None if register == DWARF_RA => Place::Unknown,
        None => Place::Same,
        Some(rule) => match rule {
            RegisterRule::Undefined => Place::Undefined,
            RegisterRule::SameValue => Place::Same,
            RegisterRule::Offset(offset) => Place::Offset(offset),
            RegisterRule::Expression(e) => {
                expression(&e, frames).map_or(Place::Unknown, Place::Expression)
            }
            RegisterRule::ValExpression(e) => {
                expression(&e, frames).map_or(Place::Unknown, Place::ValueExpression)
            }
            _ => Place::Unknown,
        },
    };
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => match register.0 {
            DWARF_SP => Cfa::Sp(*offset),
            DWARF_FP => Cfa::Bp(*offset),
            _ => Cfa::Unknown,
        },
        CfaRule::Expression(e) => expression(e, frames).map_or(Cfa::Unknown, Cfa::Expression),
    };
    Row {
        cfa,
        ra: place(DWARF_RA),
        bp: place(DWARF_FP),
        signal,
    }
}
