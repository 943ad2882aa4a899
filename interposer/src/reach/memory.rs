//! The process's own memory, read directly: it stands still while it is searched.

use super::maps::{Kind, Maps};
use crate::arch::clock;
use core::cell::Cell;
use reach::Memory;

/// Reads where the mappings say that it can be read.
pub struct Own<'a> {
    maps: &'a Maps,
    /// The mapping used last.
    last: Cell<(u64, u64)>,
    deadline: u64,
}

impl<'a> Own<'a> {
    /// `deadline`: `CLOCK_MONOTONIC`, ns.
    pub fn new(maps: &'a Maps, deadline: u64) -> Own<'a> {
        Own {
            maps,
            last: Cell::new((0, 0)),
            deadline,
        }
    }

    /// End of what can be read from `address` on, which is in the same mapping.
    #[inline(always)]
    fn readable_to(&self, address: u64) -> Option<u64> {
        let (start, end) = self.last.get();
        if start <= address && address < end {
            return Some(end);
        }
        self.look(address)
    }

    #[cold]
    fn look(&self, address: u64) -> Option<u64> {
        let map = self.maps.at(address)?;
        if !map.read || map.kind == Kind::Other {
            return None;
        }
        self.last.set((map.start, map.end));
        Some(map.end)
    }
}

impl Memory for Own<'_> {
    #[inline(always)]
    fn words(&self, start: u64, end: u64, mut each: impl FnMut(u64, &[u64])) {
        let mut at = start;
        while at < end {
            match self.readable_to(at) {
                Some(to) => {
                    let to = to.min(end);
                    // SAFETY: readable, aligned, and nobody writes: the process is
                    // frozen or this is its only thread.
                    each(at, unsafe {
                        core::slice::from_raw_parts(at as *const u64, ((to - at) / 8) as usize)
                    });
                    at = to;
                }
                None => at = (at | 4095) + 1,
            }
        }
    }

    fn word(&self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(8) || self.readable_to(address)? - address < 8 {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { *(address as *const u64) })
    }

    fn is_constant(&self, address: u64) -> bool {
        self.maps.in_module(address)
            && self
                .maps
                .at(address)
                .is_some_and(|map| map.read && !map.execute)
    }

    #[inline(always)]
    fn prefetch(&self, address: u64) {
        // SAFETY: a prefetch reads nothing.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
                address as *const i8,
            );
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
                (address + 64) as *const i8,
            );
        }
    }

    fn is_late(&self) -> bool {
        clock::clock_ns(libc::CLOCK_MONOTONIC) > self.deadline
    }
}
