//! Unwind tables that a program registers for code it made (`__register_frame`).
//!
//! A JIT names an `.eh_frame` section by its address; the section ends with a
//! zero length. Another thread may take it away at any time, so captures read a
//! copy, in a fixed table without a lock. A copy that is taken out of the table is
//! unmapped when no thread is reading any; nobody waits for that: what cannot be
//! unmapped now is tried again with the next section that comes or goes.

use super::cfi::{Bytes, Fixed, Row};
use crate::global::{self, Phase};
use crate::{sys, thread};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::*, fence};
use gimli::{
    BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindContext, UnwindSection, UnwindTableRow,
};

const MAX: usize = 1024;
/// Longest section that is copied, bytes; of a longer one the first entries are.
const MAX_SECTION: usize = 16 << 20;
/// Most memory for all copies, bytes.
const MAX_COPIES: usize = 32 << 20;

/// [`Section::start`] of a free place.
const FREE: u64 = 0;
/// A thread is filling or emptying the place.
const BUSY: u64 = 1;
/// Taken out, its copy not yet unmapped.
const RETIRED: u64 = 2;

struct Section {
    /// Where the program has it, or one of the above.
    start: AtomicU64,
    copy: AtomicPtr<u8>,
    /// Bytes of the copy.
    len: AtomicUsize,
}

static SECTIONS: [Section; MAX] = [const {
    Section {
        start: AtomicU64::new(FREE),
        copy: AtomicPtr::new(core::ptr::null_mut()),
        len: AtomicUsize::new(0),
    }
}; MAX];
/// Places with a copy.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Bytes of all copies.
static COPIED: AtomicUsize = AtomicUsize::new(0);

/// Whether an evaluation may hold what it found in a copy. All-zero bytes: no.
///
/// One for each level of capture, so that a signal handler's evaluation does not end
/// that of the code it interrupted. Where an evaluation is left by a jump it stays set
/// until the next one of that level: copies are kept for longer, nothing else.
#[repr(transparent)]
pub struct Reading(AtomicBool);

impl Reading {
    /// Before the table is looked into.
    pub fn begin(&self) {
        self.0.store(true, Relaxed);
        // Against the fence in `reclaim`: it sees this, or we see no place that it empties.
        fence(SeqCst);
    }

    /// After the last use of what was found.
    pub fn end(&self) {
        self.0.store(false, Release);
    }
}

/// Whether any thread may be reading a copy.
fn are_read() -> bool {
    global::get().is_some_and(|global| {
        thread::all(global).any(|state| {
            state
                .captures
                .iter()
                .any(|capture| capture.scratch.reading.0.load(Acquire))
        })
    })
}

/// Unmaps the copies that were taken out, unless one may be in use.
fn reclaim() {
    // A filter of system calls may punish a munmap.
    let allowed = global::get().is_none_or(|global| global.filtered.load(Relaxed) == 0);
    if USED.load(Relaxed) == 0 || !allowed {
        return;
    }
    for section in &SECTIONS {
        if section.start.load(Relaxed) != RETIRED
            || section
                .start
                .compare_exchange(RETIRED, BUSY, AcqRel, Relaxed)
                .is_err()
        {
            continue;
        }
        fence(SeqCst);
        if are_read() {
            section.start.store(RETIRED, Release);
            return;
        }
        let (copy, len) = (section.copy.load(Relaxed), section.len.load(Relaxed));
        // SAFETY: no reader had begun when the place was out of the table already.
        unsafe { sys::unmap(copy, len) };
        COPIED.fetch_sub(len, Relaxed);
        section.start.store(FREE, Release);
        USED.fetch_sub(1, Relaxed);
    }
}

/// Length of a section, bytes, without its end mark; at most [`MAX_SECTION`].
///
/// # Safety
/// As [`add`].
unsafe fn length(begin: *const u8) -> usize {
    let mut len = 0usize;
    loop {
        // SAFETY: the section goes on until a zero length.
        let entry = unsafe { begin.add(len).cast::<u32>().read_unaligned() };
        let next = len + 4 + entry as usize;
        if entry == 0 || entry == u32::MAX || next > MAX_SECTION {
            return len;
        }
        len = next;
    }
}

/// Notes a section that the program registers.
///
/// # Safety
/// `begin` points to a well-formed `.eh_frame` section or is null.
pub unsafe fn add(begin: *const u8) {
    reclaim();
    let refused =
        global::get().is_some_and(|g| g.phase() == Phase::Dormant || g.filtered.load(Relaxed) != 0);
    if begin.is_null() || refused {
        return;
    }
    // SAFETY: by the caller's promise.
    let len = unsafe { length(begin) };
    if len == 0 {
        return;
    }
    if COPIED.fetch_add(len, Relaxed) + len > MAX_COPIES {
        COPIED.fetch_sub(len, Relaxed);
        return;
    }
    let place = SECTIONS.iter().find(|section| {
        section.start.load(Relaxed) == FREE
            && section
                .start
                .compare_exchange(FREE, BUSY, AcqRel, Relaxed)
                .is_ok()
    });
    let copy = place.and_then(|_| sys::map_private(len));
    if let (Some(section), Some(copy)) = (place, copy) {
        // SAFETY: the mapping is fresh; the section has that many bytes.
        unsafe { copy.copy_from_nonoverlapping(begin, len) };
        section.copy.store(copy, Relaxed);
        section.len.store(len, Relaxed);
        USED.fetch_add(1, Relaxed);
        section.start.store(begin as u64, Release);
        return;
    }
    COPIED.fetch_sub(len, Relaxed);
    if let Some(section) = place {
        section.start.store(FREE, Release);
    }
}

/// Forgets a section.
pub fn remove(begin: *const u8) {
    if begin.is_null() || USED.load(Acquire) == 0 {
        return;
    }
    for section in &SECTIONS {
        let start = begin as u64;
        if section.start.load(Relaxed) == start
            && section
                .start
                .compare_exchange(start, RETIRED, AcqRel, Relaxed)
                .is_ok()
        {
            break;
        }
    }
    reclaim();
}

/// The reduced row for an address in registered code.
///
/// # Safety
/// The caller's [`Reading`] has begun, and goes on while the row is used.
pub(super) unsafe fn row(
    address: u64,
    context: &mut UnwindContext<usize, Fixed>,
    reduce: fn(&UnwindTableRow<usize, Fixed>, &EhFrame<Bytes>, bool) -> Row,
) -> Option<Row> {
    if USED.load(Acquire) == 0 {
        return None;
    }
    for section in &SECTIONS {
        let start = section.start.load(Acquire);
        if matches!(start, FREE | BUSY | RETIRED) {
            continue;
        }
        let (copy, len) = (section.copy.load(Relaxed), section.len.load(Relaxed));
        // SAFETY: a copy that was in the table after the reading began stays.
        let bytes = unsafe { core::slice::from_raw_parts(copy, len) };
        let frames = EhFrame::new(bytes, LittleEndian);
        // What is relative to a place in the section is so to the program's.
        let bases = BaseAddresses::default().set_eh_frame(start);
        let mut entries = frames.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            let CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else {
                continue;
            };
            if fde.contains(address) {
                let row = fde
                    .unwind_info_for_address(&frames, &bases, context, address)
                    .ok()?;
                return Some(reduce(row, &frames, fde.is_signal_trampoline()));
            }
        }
    }
    None
}
