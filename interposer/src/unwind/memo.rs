//! Memoized unwinding: a capture repeats only what changed since the last one.
//!
//! Each thread keeps the frames of its last capture, outermost first. A new
//! capture walks from the inside until it meets a kept frame with the same
//! state (sp, ra, bp). What lies outwards is a function of that state and of the
//! words that the steps read; so it is enough to compare those words, frame by
//! frame from the inside out, and to walk on for real where one differs. By
//! induction the full walk would read the same words: exact, not a guess.
//!
//! The order matters: a slot is read only after the state that leads to it was
//! verified; otherwise a stack that is gone would be touched. And a slot belongs
//! to the *link* between two frames: when new inner frames are attached to a
//! kept one, the kept frame's link is rewritten.

use super::paths::{self, Paths};
use super::{Bounds, EXACT, Link, State, Step, cfi, step};
use crate::stack_table::StackTable;
use core::sync::atomic::Ordering::Relaxed;
use log_format::layout::{node_kind, truncation};

/// Frames that a new memo has room for.
pub const FRAMES: usize = 16 * 1024;
/// Most frames in a capture: a memo grows to this, 2 × 2 MiB, when a stack needs it. Each
/// capture compares them all, so more would cost more than 0.2 ms a capture.
/// Of a deeper stack the inner frames are kept and the outer ones cut, which counts.
const MAX_FRAMES: usize = 64 * 1024;

/// A kept frame, 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub(super) sp: u64,
    /// Return address, perhaps with [`EXACT`].
    ra: u64,
    bp: u64,
    /// Node of this frame.
    pub(super) node: u32,
    /// `sp − address` that bp was loaded from, [`KEPT`] or [`BARRIER`].
    pub(super) link: u32,
}

/// The frame pointer was carried over. As a distance: the return address itself,
/// which is compared anyway.
const KEPT: u32 = 8;
/// More than two words were read.
pub(super) const BARRIER: u32 = u32::MAX;

const _: () = assert!(core::mem::size_of::<Frame>() == 32);

impl Frame {
    #[inline(always)]
    pub(super) fn is(&self, sp: u64, ra: u64, bp: u64) -> bool {
        (self.sp ^ sp) | (self.ra ^ ra) | (self.bp ^ bp) == 0
    }

    /// Whether it is the same frame of the same stack, however it was reached.
    #[inline(always)]
    pub(super) fn is_same(&self, other: &Frame) -> bool {
        self.is(other.sp, other.ra, other.bp) && self.node == other.node
    }
}

/// A step that was made: from the frame (sp, ra, bp) outwards. It holds again if
/// memory holds the same two words, because they and the frame are all that its
/// rule looks at. One cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Known {
    sp: u64,
    ra: u64,
    bp: u64,
    next_ra: u64,
    next_bp: u64,
    /// Generation of kept stacks.
    generation: u64,
    /// Next sp − sp.
    size: u32,
    /// As [`Frame::link`] of the next frame; never a barrier.
    link: u32,
    /// Node of this frame, 0 if not known, when its outer frame has node `parent`.
    node: u32,
    parent: u32,
}

const _: () = assert!(core::mem::size_of::<Known>() == 64);

const KNOWN_BITS: u32 = 11;
/// Steps that a thread remembers: 64 KiB, touched as used.
pub const KNOWN: usize = 1 << KNOWN_BITS;

#[inline(always)]
fn place(sp: u64, ra: u64) -> usize {
    ((ra ^ (sp << 24)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KNOWN_BITS)) as usize
}

fn pack(sp: u64, link: Link) -> u32 {
    match link {
        Link::Kept => KEPT,
        Link::Loaded(slot) => match u32::try_from(sp.wrapping_sub(slot)) {
            Ok(distance) if distance != KEPT => distance,
            _ => BARRIER,
        },
        Link::Barrier => BARRIER,
    }
}

/// What a thread keeps between captures. All-zero bytes are an empty memo whose
/// arrays are missing.
#[repr(C)]
pub struct Memo {
    pub(super) frames: *mut Frame,
    fresh: *mut Frame,
    known: *mut Known,
    pub(super) paths: *mut Paths,
    pub(super) trial: paths::Trial,
    /// Frames that `frames` and `fresh` have room for each.
    pub(super) room: usize,
    pub(super) len: usize,
    /// How the outermost kept frame ended.
    pub(super) hard_end: bool,
    /// The outermost kept frame is where a stack was cut for its depth.
    cut: bool,
    /// Kept frames whose link is a barrier, at least.
    barriers: u32,
    pub(super) generation: u64,
}

impl Memo {
    /// An empty memo over two arrays of [`FRAMES`] frames, one of [`KNOWN`] steps and the
    /// known paths.
    pub fn new(
        frames: *mut Frame,
        fresh: *mut Frame,
        known: *mut Known,
        paths: *mut Paths,
    ) -> Memo {
        Memo {
            frames,
            fresh,
            known,
            paths,
            trial: paths::Trial::default(),
            room: FRAMES,
            len: 0,
            hard_end: false,
            cut: false,
            barriers: 0,
            generation: 0,
        }
    }

    /// Makes room for [`MAX_FRAMES`]; `fresh` of the fresh frames go along. False if
    /// there is no more to be had.
    #[cold]
    fn grow(&mut self, global: &crate::global::Global, fresh: usize) -> bool {
        if self.room >= MAX_FRAMES || global.filtered.load(Relaxed) != 0 {
            return false;
        }
        let array = MAX_FRAMES * core::mem::size_of::<Frame>();
        let Some(base) = crate::sys::map_private(2 * array) else {
            return false;
        };
        // SAFETY: the mapping is fresh; its halves are larger than what is copied. The
        // old arrays are a part of the thread's state and stay.
        unsafe {
            crate::sys::wipe_on_fork(base, 2 * array);
            let (to, to_fresh) = (base.cast::<Frame>(), base.add(array).cast::<Frame>());
            to.copy_from_nonoverlapping(self.frames, self.len);
            to_fresh.copy_from_nonoverlapping(self.fresh, fresh);
            (self.frames, self.fresh, self.room) = (to, to_fresh, MAX_FRAMES);
        }
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
        self.barriers = 0;
    }
}

/// How a walk ended.
enum Outcome {
    /// Kept frames `0..n` continue the fresh ones.
    Joined(usize),
    /// At the outermost frame.
    Ended { hard: bool },
    /// There is no room for more frames.
    TooDeep,
    /// Early.
    Broken(u64),
}

/// Whether memory still holds what the step to this frame read.
///
/// # Safety
/// The frame's link is no barrier and its two words can be read.
#[inline(always)]
pub(super) unsafe fn holds(outer: &Frame) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { unchanged(outer.sp, outer.ra, outer.bp, outer.link) }
}

/// Whether the step to (sp, ra, bp) over `link` would read the same words.
///
/// # Safety
/// As [`holds`].
#[inline(always)]
unsafe fn unchanged(sp: u64, ra: u64, bp: u64, link: u32) -> bool {
    // SAFETY: by the caller's promise.
    let (first, second) = unsafe {
        (
            *((sp - 8) as *const u64),
            *((sp - u64::from(link)) as *const u64),
        )
    };
    // No branch on the kind of link: it would be mispredicted.
    let expected = if link == KEPT { ra } else { bp };
    (first ^ ra) | (second ^ expected) == 0
}

/// Compares the links outwards from the verified frame `from`; returns the
/// outermost frame that is verified.
#[inline(always)]
pub(super) unsafe fn verify(memo: &Memo, from: usize, bounds: Bounds) -> usize {
    let frames = memo.frames;
    let mut index = from;
    // SAFETY: frame `index` is verified, so the frame outwards of it lies where
    // its state says unless one of the two words differs, which ends the loop.
    // In the first loop, words are read before that is known; all lie between the
    // current frame and the end of a stack that is known to be there.
    unsafe {
        if bounds.top != 0 && memo.barriers == 0 && (*frames).sp <= bounds.top {
            while index >= 4 {
                let all = holds(&*frames.add(index - 1))
                    & holds(&*frames.add(index - 2))
                    & holds(&*frames.add(index - 3))
                    & holds(&*frames.add(index - 4));
                if !all {
                    break;
                }
                index -= 4;
            }
        }
        while index > 0 {
            let outer = &*frames.add(index - 1);
            if outer.link == BARRIER || !holds(outer) {
                break;
            }
            index -= 1;
        }
    }
    index
}

/// Walks until a kept frame from where all outwards still holds, and keeps what it found; the
/// node of the innermost frame.
///
/// # Safety
/// `first` is the state of a live frame of this thread; the memo is this thread's.
#[inline(never)]
pub(super) unsafe fn walk(
    global: &'static crate::global::Global,
    bounds: Bounds,
    memo: &mut Memo,
    scratch: &mut cfi::Scratch,
    first: State,
) -> u32 {
    let (mut frames, mut fresh, known) = (memo.frames, memo.fresh, memo.known);
    let generation = memo.generation;
    let mut fresh_len = 0usize;
    let mut kept = memo.len;
    // Scalars: a struct in memory would be written in parts and read whole.
    let State {
        mut sp,
        mut ra,
        mut bp,
    } = first;
    let mut link = KEPT;
    // SAFETY: indices stay below the memo's room and KNOWN; states come from verified steps.
    let outcome = unsafe {
        'walk: loop {
            while kept > 0 && (*frames.add(kept - 1)).sp < sp {
                kept -= 1;
            }
            if fresh_len == memo.room {
                if !memo.grow(global, fresh_len) {
                    break Outcome::TooDeep;
                }
                (frames, fresh) = (memo.frames, memo.fresh);
            }
            if kept > 0 && (*frames.add(kept - 1)).is(sp, ra, bp) {
                let top = kept - 1;
                if fresh_len > 0 {
                    (*frames.add(top)).link = link;
                    memo.barriers = memo.barriers.saturating_add(u32::from(link == BARRIER));
                }
                let reached = verify(memo, top, bounds);
                if reached == 0 && (memo.hard_end || memo.cut) {
                    if kept + fresh_len <= memo.room {
                        break Outcome::Joined(kept);
                    }
                    if memo.grow(global, fresh_len) {
                        (frames, fresh) = (memo.frames, memo.fresh);
                        break Outcome::Joined(kept);
                    }
                    // The inner half of the room; the outer frames are given up.
                    for index in (0..kept).rev() {
                        if fresh_len >= memo.room / 2 {
                            break;
                        }
                        *fresh.add(fresh_len) = *frames.add(index);
                        fresh_len += 1;
                    }
                    break Outcome::TooDeep;
                }
                // Frames `reached..=top` hold; what is outwards must be walked.
                let mut index = top;
                loop {
                    if fresh_len == memo.room {
                        if !memo.grow(global, fresh_len) {
                            break 'walk Outcome::TooDeep;
                        }
                        (frames, fresh) = (memo.frames, memo.fresh);
                    }
                    *fresh.add(fresh_len) = *frames.add(index);
                    fresh_len += 1;
                    if index == reached {
                        break;
                    }
                    index -= 1;
                }
                kept = reached;
                Frame { sp, ra, bp, .. } = *frames.add(reached);
            } else {
                *fresh.add(fresh_len) = Frame {
                    sp,
                    ra,
                    bp,
                    node: 0,
                    link,
                };
                fresh_len += 1;
            }
            let step_known = &mut *known.add(place(sp, ra));
            if (step_known.sp ^ sp)
                | (step_known.ra ^ ra)
                | (step_known.bp ^ bp)
                | (step_known.generation ^ generation)
                == 0
            {
                let next = sp + u64::from(step_known.size);
                if unchanged(
                    next,
                    step_known.next_ra,
                    step_known.next_bp,
                    step_known.link,
                ) {
                    (sp, ra, bp, link) = (
                        next,
                        step_known.next_ra,
                        step_known.next_bp,
                        step_known.link,
                    );
                    continue;
                }
            }
            match step(&State { sp, ra, bp }, bounds, scratch) {
                Step::Frame(next, how) => {
                    let next_link = pack(next.sp, how);
                    if let (Ok(size), true) = (
                        u32::try_from(next.sp.wrapping_sub(sp)),
                        next_link != BARRIER,
                    ) {
                        *step_known = Known {
                            sp,
                            ra,
                            bp,
                            generation,
                            size,
                            link: next_link,
                            next_ra: next.ra,
                            next_bp: next.bp,
                            node: 0,
                            parent: 0,
                        };
                    }
                    (sp, ra, bp, link) = (next.sp, next.ra, next.bp, next_link);
                }
                Step::End => break Outcome::Ended { hard: true },
                Step::SoftEnd => break Outcome::Ended { hard: false },
                Step::Broken(why) => break Outcome::Broken(why),
            }
        }
    };
    let stacks = &global.stacks;
    let mut len = 0;
    let mut node = 0;
    let joined = matches!(outcome, Outcome::Joined(_));
    if !joined {
        memo.barriers = 0;
        memo.cut = false;
    }
    match outcome {
        Outcome::Joined(count) => {
            len = count;
            if memo.cut {
                truncated_at(global, 0);
            }
            if let Some(top) = count.checked_sub(1) {
                // SAFETY: a kept frame.
                node = unsafe { (*frames.add(top)).node };
            }
        }
        Outcome::Ended { hard } => memo.hard_end = hard,
        // What is kept serves the next captures, up to the whole room again: to walk so
        // far each time would cost milliseconds.
        Outcome::TooDeep => {
            (memo.hard_end, memo.cut) = (false, true);
            fresh_len = fresh_len.min(memo.room / 2);
            node = truncated(global, stacks, truncation::TOO_DEEP);
        }
        Outcome::Broken(why) => {
            memo.hard_end = false;
            node = truncated(global, stacks, why);
        }
    }
    let mut barriers = 0;
    for index in (0..fresh_len).rev() {
        // SAFETY: what was joined and the fresh frames have room together.
        unsafe {
            let frame = &*fresh.add(index);
            let parent = node;
            let step_known = &mut *known.add(place(frame.sp, frame.ra));
            let same = (step_known.sp ^ frame.sp)
                | (step_known.ra ^ frame.ra)
                | (step_known.generation ^ generation)
                == 0;
            if same && step_known.parent == parent && step_known.node != 0 {
                node = step_known.node;
            } else {
                let (kind, payload) = global.codes.meaning(frame.ra & !EXACT);
                node = stacks.node(parent, kind, payload);
                if node == 0 {
                    // No node to be had: this stack is cut here, and not kept.
                    memo.clear();
                    return truncated_at(global, parent);
                }
                if same {
                    (step_known.node, step_known.parent) = (node, parent);
                }
            }
            barriers += u32::from(frame.link == BARRIER);
            *frames.add(len) = Frame { node, ..*frame };
            len += 1;
        }
    }
    memo.barriers = memo.barriers.saturating_add(barriers);
    memo.len = len;
    if joined && memo.hard_end && bounds.top != 0 && memo.trial.takes(fresh_len) {
        // SAFETY: the memo holds this capture.
        unsafe { paths::keep(memo, &first, bounds, fresh_len) };
    }
    node
}

#[cold]
pub(super) fn truncated(global: &crate::global::Global, stacks: &StackTable, why: u64) -> u32 {
    truncated_at(global, stacks.node(0, node_kind::TRUNCATED, why))
}

/// Counts a stack that lost its inner frames for want of nodes.
#[cold]
fn truncated_at(global: &crate::global::Global, node: u32) -> u32 {
    if let Some(header) = global.file.header() {
        header.unwinds_truncated.fetch_add(1, Relaxed);
    }
    node
}
