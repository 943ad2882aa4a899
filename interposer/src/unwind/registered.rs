//! Unwind tables that a program registers for code it made (`__register_frame`).
//!
//! A JIT names an `.eh_frame` section by its address; the section ends with a
//! zero length. Kept in a fixed table of ranges, read without a lock.

use super::cfi::{Bytes, Fixed, Row};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use gimli::{
    BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindContext, UnwindSection, UnwindTableRow,
};

const MAX: usize = 1024;
/// Longest section that is read, bytes.
const MAX_SECTION: usize = 16 << 20;

struct Section {
    start: AtomicU64,
    len: AtomicU64,
}

static SECTIONS: [Section; MAX] = [const {
    Section {
        start: AtomicU64::new(0),
        len: AtomicU64::new(0),
    }
}; MAX];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Notes a section that the program registers.
///
/// # Safety
/// `begin` points to a well-formed `.eh_frame` section or is null.
pub unsafe fn add(begin: *const u8) {
    if begin.is_null() {
        return;
    }
    let mut len = 0usize;
    while len < MAX_SECTION {
        // SAFETY: the section goes on until a zero length.
        let entry = unsafe { begin.add(len).cast::<u32>().read_unaligned() };
        len += 4;
        if entry == 0 || entry == u32::MAX {
            break;
        }
        len += entry as usize;
    }
    // A gap left by `remove` first.
    for section in SECTIONS.iter() {
        if section.start.load(Relaxed) == 0
            && section
                .start
                .compare_exchange(0, begin as u64, AcqRel, Relaxed)
                .is_ok()
        {
            section.len.store(len as u64, Release);
            COUNT.fetch_add(1, Release);
            return;
        }
    }
}

/// Forgets a section.
pub fn remove(begin: *const u8) {
    for section in SECTIONS.iter() {
        if !begin.is_null() && section.start.load(Relaxed) == begin as u64 {
            section.len.store(0, Release);
            section.start.store(0, Release);
            COUNT.fetch_sub(1, Release);
            return;
        }
    }
}

/// The reduced row for an address in registered code.
pub(super) fn row(
    address: u64,
    context: &mut UnwindContext<usize, Fixed>,
    reduce: fn(&UnwindTableRow<usize, Fixed>, &EhFrame<Bytes>, bool) -> Row,
) -> Option<Row> {
    if COUNT.load(Acquire) == 0 {
        return None;
    }
    for section in SECTIONS.iter() {
        let (start, len) = (section.start.load(Acquire), section.len.load(Acquire));
        if start == 0 || len == 0 {
            continue;
        }
        // SAFETY: registered by the program and not yet removed.
        let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, len as usize) };
        let frames = EhFrame::new(bytes, LittleEndian);
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
