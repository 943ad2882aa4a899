//! Lists in mappings of their own: room for the most there can be, touched as used.

use crate::sys;
use core::mem::size_of;

/// A list of plain values. What does not fit is left out and counted.
pub struct List<T: Copy> {
    base: *mut T,
    len: usize,
    room: usize,
    /// Values that did not fit.
    pub lost: usize,
}

impl<T: Copy> List<T> {
    /// With room for `room` values; `None` if there is no memory.
    pub fn new(room: usize) -> Option<List<T>> {
        let base = sys::map_private(Self::bytes(room))?.cast();
        Some(List {
            base,
            len: 0,
            room,
            lost: 0,
        })
    }

    fn bytes(room: usize) -> usize {
        (room * size_of::<T>()).max(1).next_multiple_of(4096)
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) {
        if self.len == self.room {
            self.lost += 1;
            return;
        }
        // SAFETY: there is room.
        unsafe { self.base.add(self.len).write(value) };
        self.len += 1;
    }

    /// The values.
    pub fn all(&self) -> &[T] {
        // SAFETY: `len` of them were written.
        unsafe { core::slice::from_raw_parts(self.base, self.len) }
    }

    /// The values, to be changed.
    pub fn all_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.len) }
    }

    /// All the room as values; those never written are zero bytes.
    ///
    /// # Safety
    /// Zero bytes are a valid `T`.
    pub unsafe fn room(&mut self) -> &mut [T] {
        // SAFETY: mapped memory reads as zeros; by the caller's promise they are valid.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.room) }
    }

    /// Counts the first `len` values as there: they were written through [`List::room`].
    pub fn fill(&mut self, len: usize) {
        self.len = len.min(self.room);
    }

    /// Keeps the values for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        let list = self.all_mut();
        for at in 0..list.len() {
            if let Some(value) = list.get(at).copied().filter(&mut keep)
                && let Some(to) = list.get_mut(kept)
            {
                *to = value;
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Keeps the first values only.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl<T: Copy> Drop for List<T> {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the list any more.
        unsafe { sys::unmap(self.base.cast(), Self::bytes(self.room)) };
    }
}
