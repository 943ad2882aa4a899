//! The program's own mappings: what it mapped and has not unmapped, each by itself.
//!
//! So many are kept; of programs with more the rest is not known, which only matters
//! where they lie side by side with the allocator's.

use crate::sys;
use log_format::window::{Event, EventKind};

/// Most mappings: to insert one moves the others, so there is a limit to what that may
/// cost.
const MOST: usize = 4096;

/// Ranges by address; none overlap. All-zero bytes: none.
pub struct Ranges {
    base: *mut (u64, u64),
    len: usize,
}

impl Ranges {
    /// All: start and end.
    pub fn all(&self) -> &[(u64, u64)] {
        if self.base.is_null() {
            return &[];
        }
        // SAFETY: `len` of them were written.
        unsafe { core::slice::from_raw_parts(self.base, self.len) }
    }

    /// Takes in a mapping that was made or removed; other events are nothing to it.
    pub fn note(&mut self, event: &Event) {
        let (start, end) = (
            event.ptr,
            event.ptr.saturating_add(event.size).next_multiple_of(4096),
        );
        match event.kind {
            EventKind::Map => {
                self.remove(start, end);
                self.insert(start, end);
            }
            EventKind::Unmap => self.remove(start, end),
            _ => {}
        }
    }

    fn insert(&mut self, start: u64, end: u64) {
        if self.base.is_null() {
            let Some(base) = sys::map_private(MOST * 16) else {
                return;
            };
            self.base = base.cast();
        }
        if start >= end || self.len >= MOST {
            return;
        }
        let at = self.all().partition_point(|range| range.0 < start);
        // SAFETY: room for one more, as was just seen.
        unsafe {
            core::ptr::copy(self.base.add(at), self.base.add(at + 1), self.len - at);
            *self.base.add(at) = (start, end);
        }
        self.len += 1;
    }

    fn remove(&mut self, start: u64, end: u64) {
        let first = self.all().partition_point(|range| range.1 <= start);
        let last = self.all().partition_point(|range| range.0 < end);
        if first >= last || start >= end {
            return;
        }
        let before = self
            .all()
            .get(first)
            .filter(|range| range.0 < start)
            .map(|range| (range.0, start));
        let after = self
            .all()
            .get(last - 1)
            .filter(|range| range.1 > end)
            .map(|range| (end, range.1));
        // SAFETY: inside the list.
        unsafe { core::ptr::copy(self.base.add(last), self.base.add(first), self.len - last) };
        self.len -= last - first;
        for (start, end) in before.into_iter().chain(after) {
            self.insert(start, end);
        }
    }
}
