//! Known paths: the way from a call site to what is common with the last capture, in one piece.
//!
//! A program that serves requests or runs an event loop allocates at places far apart, so
//! each capture has some fresh frames; but they are mostly the same few ways again and again. A path
//! is such a way: the frames that a walk found, innermost first, up to and with the kept frame
//! at which it joined. It is followed by comparing the words that its steps read, all at once
//! and without a look at rules, steps or nodes. By induction the walk would read the same.
//!
//! As for the memo: exact, since a frame, the words and the rules determine the next frame,
//! and kept paths are forgotten with the rules. All words lie between the stack pointer and the
//! end of a stack that is known to be there, so they may be read before the state that leads
//! to them is verified.

use super::memo::{BARRIER, Frame, Memo, holds, verify};
use super::{Bounds, State};
use core::sync::atomic::{Ordering::SeqCst, compiler_fence};

/// Frames of a path at most, the kept one included.
const FRAMES: usize = 23;
/// Fewer fresh frames than this are walked as fast as a path is followed.
const LEAST: usize = 3;
/// Walks of a trial: then paths must have paid, or are left alone for a while.
const TRIAL: u32 = 1024;
/// Of them, how many must have been spared by a path.
const ENOUGH: u32 = TRIAL / 4;
/// log2 of the trials that paths are left alone for after one in vain. Each further one
/// doubles it.
const PAUSE: u32 = 4;
/// Trials in vain that double it.
const DOUBLINGS: u32 = 2;

/// A path, 12 cache lines. All-zero bytes: none.
#[repr(C, align(64))]
struct Path {
    /// Generation of kept stacks + 1; 0: there is no path.
    generation: u64,
    /// Place of the kept frame in the memo.
    join: u32,
    /// Frames before it.
    fresh: u32,
    unused: [u64; 2],
    /// Innermost first; the kept frame is `frames[fresh]`, with the link of this way.
    frames: [Frame; FRAMES],
}

const _: () = assert!(core::mem::size_of::<Path>() == 768);

/// What is looked at first: a program with ever new stacks touches no more.
#[repr(C)]
#[derive(Clone, Copy)]
struct Tag {
    /// A hash of where the path begins.
    check: u32,
    /// Node of the last capture that came here in vain: if it comes again, its path is kept.
    candidate: u32,
}

const BITS: u32 = 8;
const PATHS: usize = 1 << BITS;

/// Paths that a thread remembers, 194 KiB, touched as used. All-zero bytes: none.
#[repr(C)]
pub struct Paths {
    tags: [Tag; PATHS],
    paths: [Path; PATHS],
}

/// How well paths do. All-zero bytes: a trial begins.
#[derive(Default)]
pub struct Trial {
    walks: u32,
    hits: u32,
    /// Walks that paths are left alone for.
    pause: u32,
    /// Trials in vain, one after another.
    vain: u32,
}

impl Trial {
    /// Counts a walk; whether paths are used for it.
    #[inline(always)]
    pub fn next(&mut self) -> bool {
        if self.pause != 0 {
            self.pause -= 1;
            return false;
        }
        self.walks += 1;
        if self.walks == TRIAL {
            if self.hits < ENOUGH {
                self.pause = TRIAL << (PAUSE + self.vain.min(DOUBLINGS));
                self.vain += 1;
            } else {
                self.vain = 0;
            }
            (self.walks, self.hits) = (0, 0);
        }
        true
    }

    /// Whether a path of so many fresh frames may be worth keeping.
    #[inline(always)]
    pub fn takes(&self, fresh: usize) -> bool {
        self.pause == 0 && (LEAST..FRAMES).contains(&fresh)
    }
}

/// Where the path from a state is, and its check. Most code keeps frame pointers, so the
/// caller's return address tells ways apart that begin alike; where it does not, any word does
/// no harm.
#[inline(always)]
unsafe fn place(first: &State, bounds: Bounds) -> (usize, u32) {
    let inside =
        first.bp >= first.sp && first.bp & 7 == 0 && first.bp < bounds.top.saturating_sub(16);
    let outer = if inside {
        // SAFETY: between the stack pointer and the known end of the stack.
        unsafe { *((first.bp + 8) as *const u64) }
    } else {
        0
    };
    let hash =
        (first.ra ^ (first.sp << 24) ^ outer.rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> (64 - BITS)) as usize, (hash >> 16) as u32)
}

/// Follows the known path from a call site and puts its frames into the memo; the node of the
/// innermost one, if there is a path and it still holds.
///
/// # Safety
/// `first` is the state of a live frame of this thread on a known stack; the memo is this
/// thread's and whole up to the outermost frame.
#[inline(never)]
pub unsafe fn follow(memo: &mut Memo, first: &State, bounds: Bounds) -> Option<u32> {
    // SAFETY: `place` is below PATHS and `fresh` below FRAMES; the kept frame and those put on
    // it have room. See the module for the words.
    unsafe {
        let (place, check) = place(first, bounds);
        let table = memo.paths;
        if (*(&raw const (*table).tags).cast::<Tag>().add(place)).check != check {
            return None;
        }
        let path = &*(&raw const (*table).paths).cast::<Path>().add(place);
        let (join, fresh) = (path.join as usize, path.fresh as usize);
        let [innermost, ..] = &path.frames;
        if path.generation != memo.generation + 1
            || !innermost.is(first.sp, first.ra, first.bp)
            || join >= memo.len
            || join + fresh >= memo.room
        {
            return None;
        }
        let frames = path.frames.as_ptr();
        let outer = &*frames.add(fresh);
        let kept = memo.frames.add(join);
        if !(*kept).is_same(outer) || outer.sp > bounds.top {
            return None;
        }
        let mut all = true;
        for index in 1..=fresh {
            all &= holds(&*frames.add(index));
        }
        if !all || verify(memo, join, bounds) != 0 {
            return None;
        }
        memo.trial.hits += 1;
        (*kept).link = outer.link;
        let mut to = kept;
        for index in (0..fresh).rev() {
            to = to.add(1);
            *to = *frames.add(index);
        }
        memo.len = join + fresh + 1;
        Some(innermost.node)
    }
}

/// After a walk that made `fresh` frames and then met a kept one: remembers the path, if it was
/// the last one in vain too.
///
/// # Safety
/// As [`follow`]; the memo holds the capture that began with `first`, and [`Trial::takes`]
/// `fresh`.
#[inline(never)]
pub unsafe fn keep(memo: &mut Memo, first: &State, bounds: Bounds, fresh: usize) {
    // SAFETY: `place` is below PATHS; the memo has more than `fresh` frames.
    unsafe {
        let (place, check) = place(first, bounds);
        let table = memo.paths;
        let tag = &mut *(&raw mut (*table).tags).cast::<Tag>().add(place);
        let innermost = memo.frames.add(memo.len - 1);
        if tag.candidate != (*innermost).node {
            tag.candidate = (*innermost).node;
            return;
        }
        let path = &mut *(&raw mut (*table).paths).cast::<Path>().add(place);
        // A handler may leave this by longjmp at any point.
        path.generation = 0;
        compiler_fence(SeqCst);
        for (index, frame) in path.frames.iter_mut().take(fresh + 1).enumerate() {
            *frame = *innermost.sub(index);
            if frame.link == BARRIER && index > 0 {
                return;
            }
        }
        (path.join, path.fresh) = ((memo.len - 1 - fresh) as u32, fresh as u32);
        tag.check = check;
        compiler_fence(SeqCst);
        path.generation = memo.generation + 1;
    }
}
