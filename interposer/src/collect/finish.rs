//! The clean end: everything into blocks, the file cut to what they need.
//!
//! Rings and raw nodes are only needed while the program runs. At `exit`,
//! `_exit` and `exec` they are drained and written as blocks; the room they took
//! is filled with the blocks that stand last in the file, and the rest is cut. A
//! kill in the middle does no harm: a block that is being moved stands twice, and
//! the reader takes one.

use crate::arch::{clock, tls};
use crate::global::{self, Global, Phase};
use crate::thread::{self, ThreadState};
use crate::{memory, reach, start, sys};
use core::ffi::c_void;
use core::sync::atomic::{AtomicI32, Ordering::*};
use log_format::block::{BLOCK_HEADER, BlockHeader};
use log_format::layout::*;

unsafe extern "C" {
    fn on_exit(function: unsafe extern "C" fn(i32, *mut c_void), argument: *mut c_void) -> i32;
    fn at_quick_exit(function: unsafe extern "C" fn()) -> i32;
}

/// Arranges to be called when the program ends. Registered at the very start, so
/// called after everything that the program registered, destructors included.
pub fn watch_exit() {
    // SAFETY: the functions have the right types; libc keeps the first entries in
    // static memory.
    unsafe {
        on_exit(crate::arch::thunk::at_exit, core::ptr::null_mut());
        at_quick_exit(at_quick);
    }
}

/// The end of [`crate::arch::thunk::at_exit`].
///
/// # Safety
/// `slot` and `fp` are its.
pub unsafe extern "C" fn at_exit(status: i32, slot: *const u64, fp: u64) {
    crate::hooks::sanitizer::ask_whether_off();
    // SAFETY: the caller's; a state that belongs to this thread.
    unsafe { reach::leave::handler(slot, fp, own_state()) };
    finish(State::Exited, status);
}

unsafe extern "C" fn at_quick() {
    finish(State::Exited, QUICK_STATUS.load(Relaxed));
}

/// What `quick_exit` was called with: its handlers are not told.
pub static QUICK_STATUS: AtomicI32 = AtomicI32::new(0);

/// Ends the log; returns whether that was done (for `exec`: whether there is
/// something to take back if it fails).
pub fn finish(state: State, status: i32) -> bool {
    let Some(global) = global::get() else {
        return false;
    };
    let Some(header) = global.file.header() else {
        return false;
    };
    let phase = global.phase();
    // A vfork child shares our memory and must leave the parent's log alone.
    if !matches!(phase, Phase::Recording | Phase::Suspended)
        || global.filtered.load(Relaxed) != 0
        || header.pid.load(Relaxed) != sys::getpid()
    {
        return false;
    }
    if phase == Phase::Suspended {
        // The log is whole since an `exec` that failed.
        say_end(global, header, state, status);
        return true;
    }
    if state != State::Exec {
        return finish_now(global, state, status);
    }
    // What a handler of a signal does goes into the log before or, if the program is
    // not replaced, after.
    let mask = sys::block_signals();
    let done = finish_now(global, state, status);
    sys::restore_signals(&mask);
    done
}

fn say_end(global: &Global, header: &Header, state: State, status: i32) {
    header.end_ticks.store(clock::now(), Relaxed);
    header.exit_status.store(status as u32 & 0xff, Relaxed);
    global.file.calibrate(0);
    global.file.calibrate(1);
    header.state.store(state as u32, Release);
}

fn finish_now(global: &'static Global, state: State, status: i32) -> bool {
    let thread = own_state();
    // From a handler that interrupts our own drain: the rings are left to the reader.
    let me = if thread.is_null() { 1 } else { thread as usize };
    let mut tries = 0;
    while global
        .drain_owner
        .compare_exchange(0, me, Acquire, Relaxed)
        .is_err()
    {
        tries += 1;
        if tries > 200 || global.drain_owner.load(Relaxed) == me {
            return false;
        }
        let seen = global.drain_done.load(Relaxed);
        sys::futex_wait(&global.drain_done, seen, 10_000_000);
    }
    let mut work = Work {
        global,
        state,
        status,
        thread,
        ended: false,
    };
    let argument = (&raw mut work).cast();
    // SAFETY: this thread's state; the work outlives the call.
    unsafe {
        if thread.is_null() {
            run(argument);
        } else {
            thread::deep(thread, run, argument);
        }
    }
    if state == State::Exec && work.ended {
        super::resume::suspend(global);
    }
    super::unlock(global);
    true
}

/// This thread's state, or null.
fn own_state() -> *mut ThreadState {
    let word = tls::get();
    if word > thread::MAX_MARK {
        word as *mut ThreadState
    } else {
        core::ptr::null_mut()
    }
}

struct Work {
    global: &'static Global,
    state: State,
    status: i32,
    thread: *mut ThreadState,
    /// Nothing of the log is mapped for writing any more.
    ended: bool,
}

unsafe extern "C" fn run(work: *mut u8) {
    // SAFETY: `finish` gave it.
    let work = unsafe { &mut *work.cast::<Work>() };
    let global = work.global;
    let Some(header) = global.file.header() else {
        return;
    };
    // SAFETY: the drain is held.
    let drain = unsafe { &mut *global.drain.get() };
    drain.drain_all(global);
    if global.phase() == Phase::Recording {
        memory::at_end(global, drain, work.state == State::Exited);
    }
    if work.state == State::Exited {
        reach::at_exit(global, drain);
    }
    say_end(global, header, work.state, work.status);
    // Another program takes over only if `exec` succeeds; if other threads run
    // until then, their rings must stay.
    // One that has recorded nothing yet, or no more, may take a ring at any moment.
    let others = global.several.load(SeqCst) != 0
        || thread::all(global)
            .any(|state| thread::is_owned(state) && !core::ptr::eq(state, work.thread));
    if others && work.state == State::Exec {
        return;
    }
    if drain.append_nodes(global) {
        header.block_count.store(drain.block_count(), Relaxed);
        header.flags.fetch_or(flag::NODES_IN_BLOCKS, Release);
        global.set_phase(Phase::Dormant);
        // Threads that still run write into private pages from here on.
        let states = if others {
            thread::all(global).count()
        } else {
            0
        };
        for state in thread::all(global).take(states) {
            let base = (state.ring as usize - 64) as *mut u8;
            // SAFETY: a ring's extent; its events are in blocks.
            unsafe {
                if sys::replace_by_private(base, (state.mask + 1 + PAGE) as usize).is_err() {
                    return;
                }
            }
        }
        if others && global.stacks.detach_file().is_err() {
            return;
        }
        work.ended = match drain.first_extent() {
            // A short program: all its blocks stand at the start of the file.
            Some(extent) => cut_after(global, extent),
            None => compact(global),
        };
    }
    start::verbose_line(b"leak: finished ", global.file.path());
}

/// Where blocks can be put.
struct Hole {
    offset: u64,
    len: u64,
    used: u64,
}

/// Moves the last blocks into the first holes and cuts the file; returns whether it
/// is cut.
fn compact(global: &Global) -> bool {
    let Ok(opened) = global.file.open() else {
        return false;
    };
    let mut cut = false;
    let fd = opened.fd;
    let end = global.file.end();
    // SAFETY: no fixed place.
    if let Ok(base) = unsafe { sys::map_file(fd, 0, end as usize, core::ptr::null_mut()) } {
        // SAFETY: the file has `end` bytes, all mapped, and nobody else writes.
        unsafe {
            if let Some((last, end)) = fill_holes(base, end) {
                cut = cut_at(global, fd, last, end);
            }
        }
        // SAFETY: mapped above.
        unsafe { sys::unmap(base, end as usize) };
    }
    global.file.done(opened);
    cut
}

/// Cuts the file at `end`, behind its last extent, which begins at `last`.
fn cut_at(global: &Global, fd: sys::Fd, last: u64, end: u64) -> bool {
    let cut = sys::ftruncate(fd, end).is_ok();
    if cut {
        global.file.set_end(last, end);
    }
    cut
}

/// Cuts the file after the first extent's content.
fn cut_after(global: &Global, extent: &ExtentHeader) -> bool {
    let Ok(opened) = global.file.open() else {
        return false;
    };
    let len = shorten(extent);
    let cut = cut_at(global, opened.fd, HEADER_SIZE, HEADER_SIZE + len);
    global.file.done(opened);
    cut
}

/// Makes a DATA extent as long as its content; returns that length.
fn shorten(extent: &ExtentHeader) -> u64 {
    let len = (EXTENT_HEADER_SIZE + extent.used.load(Relaxed)).next_multiple_of(PAGE);
    extent.len.store(len, Release);
    len
}

unsafe fn extent(base: *mut u8, offset: u64) -> &'static ExtentHeader {
    // SAFETY: the caller's offset is an extent's.
    unsafe { &*base.add(offset as usize).cast::<ExtentHeader>() }
}

/// Most extents that are looked at; a larger file keeps its holes.
const MAX_EXTENTS: usize = 4096;

/// Returns where the last extent that is left begins and where it ends.
unsafe fn fill_holes(base: *mut u8, end: u64) -> Option<(u64, u64)> {
    let len = MAX_EXTENTS * 8;
    let list = sys::map_private(len)?;
    // SAFETY: a fresh mapping; offsets come from the chain of extents.
    let cut = unsafe {
        let offsets = core::slice::from_raw_parts_mut(list.cast::<u64>(), MAX_EXTENTS);
        chain(base, end, offsets).and_then(|count| pack(base, offsets.get(..count).unwrap_or(&[])))
    };
    // SAFETY: not used any more.
    unsafe { sys::unmap(list, len) };
    cut
}

/// Offsets of all extents; `None` if the chain is not whole or too long.
unsafe fn chain(base: *mut u8, end: u64, offsets: &mut [u64]) -> Option<usize> {
    let mut offset = HEADER_SIZE;
    let mut count = 0;
    while offset < end {
        // SAFETY: inside the mapping.
        let header = unsafe { extent(base, offset) };
        if header.magic.load(Acquire) != EXTENT_MAGIC {
            return None;
        }
        *offsets.get_mut(count)? = offset;
        count += 1;
        offset += header.len.load(Relaxed);
    }
    Some(count)
}

/// Packs the blocks; returns as [`fill_holes`].
unsafe fn pack(base: *mut u8, offsets: &[u64]) -> Option<(u64, u64)> {
    // SAFETY: offsets are extents; blocks are copied between disjoint ones.
    unsafe {
        let is_data =
            |offset: u64| extent(base, offset).kind.load(Relaxed) == ExtentKind::Data as u32;
        let mut holes = offsets.iter().copied().filter(|&offset| !is_data(offset));
        let mut hole: Option<Hole> = None;
        let mut last = offsets.len();
        'extents: while let Some(&from) = last.checked_sub(1).and_then(|index| offsets.get(index)) {
            if hole.as_ref().is_some_and(|hole| from <= hole.offset) {
                break;
            }
            if !is_data(from) || extent(base, from).used.load(Relaxed) == 0 {
                // Not needed, unless it was made the place for later blocks.
                last -= 1;
                continue;
            }
            let used = extent(base, from).used.load(Relaxed);
            let mut at = 0;
            while at < used {
                let source = base.add((from + EXTENT_HEADER_SIZE + at) as usize);
                let bytes = core::slice::from_raw_parts(source, BLOCK_HEADER);
                let Some(block) = BlockHeader::from_bytes(bytes) else {
                    break 'extents;
                };
                let stride = BlockHeader::stride(block.len);
                loop {
                    let room = hole
                        .as_ref()
                        .map_or(0, |h| h.len - EXTENT_HEADER_SIZE - h.used);
                    if room >= stride {
                        break;
                    }
                    let Some(next) = holes.next().filter(|&next| next < from) else {
                        break 'extents;
                    };
                    let header = extent(base, next);
                    header.used.store(0, Relaxed);
                    header.kind.store(ExtentKind::Data as u32, Release);
                    hole = Some(Hole {
                        offset: next,
                        len: header.len.load(Relaxed),
                        used: 0,
                    });
                }
                if let Some(hole) = &mut hole {
                    let target = base.add((hole.offset + EXTENT_HEADER_SIZE + hole.used) as usize);
                    core::ptr::copy_nonoverlapping(source, target, stride as usize);
                    hole.used += stride;
                    extent(base, hole.offset).used.store(hole.used, Release);
                }
                at += stride;
            }
            last -= 1;
        }
        // What stands before `last` is kept; the last one kept is cut to its content.
        let &from = last.checked_sub(1).and_then(|index| offsets.get(index))?;
        Some((from, from + shorten(extent(base, from))))
    }
}
