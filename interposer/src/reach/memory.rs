//! The process's own memory, read directly: it stands still while it is searched.
//!
//! But for mappings of files. Behind the end of a file that was cut the kernel has no
//! page and sends `SIGBUS` to whoever reads there, so those are read through the kernel,
//! which then says that it cannot. Modules are believed to be whole.

use super::array::List;
use super::maps::{Kind, Maps};
use crate::arch::clock;
use crate::arch::syscall::syscall6;
use crate::sys;
use core::cell::{Cell, RefCell};
use reach::Memory;

/// Words read through the kernel at a time.
const CHUNK: usize = 8192;
const PAGE: u64 = 4096;

/// Reads where the mappings say that it can be read.
pub struct Own<'a> {
    maps: &'a Maps,
    /// The mapping used last.
    last: Cell<(u64, u64)>,
    deadline: u64,
    /// Room for what is read through the kernel, made when it is needed.
    chunk: RefCell<Option<List<u64>>>,
}

impl<'a> Own<'a> {
    /// `deadline`: `CLOCK_MONOTONIC`, ns.
    pub fn new(maps: &'a Maps, deadline: u64) -> Own<'a> {
        Own {
            maps,
            last: Cell::new((0, 0)),
            deadline,
            chunk: RefCell::new(None),
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
        if !map.read || map.kind == Kind::Other || self.may_be_cut(address) {
            return None;
        }
        self.last.set((map.start, map.end));
        Some(map.end)
    }

    fn may_be_cut(&self, address: u64) -> bool {
        let map = self.maps.at(address);
        map.is_some_and(|map| map.kind == Kind::File) && !self.maps.in_module(address)
    }

    /// What there is from `at` to `end` or less far, read through the kernel; where to go
    /// on.
    #[cold]
    fn through_kernel(&self, at: u64, end: u64, each: &mut impl FnMut(u64, &[u64])) -> u64 {
        let next_page = (at | (PAGE - 1)) + 1;
        let map = self.maps.at(at).filter(|map| map.read);
        let Some(map) = map.filter(|_| self.may_be_cut(at)) else {
            return next_page;
        };
        let Ok(mut chunk) = self.chunk.try_borrow_mut() else {
            return next_page;
        };
        if chunk.is_none() {
            *chunk = List::new(CHUNK);
        }
        // SAFETY: zero bytes are numbers.
        let Some(words) = chunk.as_mut().map(|chunk| unsafe { chunk.room() }) else {
            return next_page;
        };
        let end = end.min(map.end);
        // All of it, or as far as its first page.
        for to in [end.min(at + CHUNK as u64 * 8), end.min(next_page)] {
            let words = words.get_mut(..((to - at) / 8) as usize);
            if let Some(words) = words
                && copied(at, words)
            {
                each(at, words);
                return to;
            }
        }
        next_page
    }
}

/// Copies this process's memory; `false` if any of it is not there.
fn copied(at: u64, to: &mut [u64]) -> bool {
    let len = size_of_val(to);
    let local = [to.as_mut_ptr() as usize, len];
    let remote = [at as usize, len];
    // SAFETY: the slice is writable; what cannot be read is refused.
    let got = unsafe {
        syscall6(
            libc::SYS_process_vm_readv,
            sys::getpid() as usize,
            local.as_ptr() as usize,
            1,
            remote.as_ptr() as usize,
            1,
            0,
        )
    };
    if got != -(libc::EPERM as isize) && got != -(libc::ENOSYS as isize) {
        return got == len as isize;
    }
    // Some containers forbid that call.
    let Ok(fd) = sys::open(b"/proc/self/mem\0", libc::O_RDONLY, 0) else {
        return false;
    };
    let got = sys::pread(fd, to, at);
    sys::close(fd);
    got == Some(to.len())
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
                None => at = self.through_kernel(at, end, &mut each),
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
