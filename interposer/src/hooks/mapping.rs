//! Mappings and the break: recorded apart from blocks.
//!
//! What the allocator itself maps is not shown: those bytes are its blocks'.

use crate::originals::{self, *};
use crate::reach::known;
use crate::{call, events, thunk, thunk_many};
use core::sync::atomic::Ordering::Relaxed;

thunk_many!(mmap -> mmap_body);
thunk_many!(mmap64 -> mmap_body);
thunk_many!(mremap -> mremap_body);

const FAILED: usize = usize::MAX;

/// Whether the call comes from the allocator's own module (not libc's: its
/// allocator does not call through these symbols).
fn from_allocator(slot: *const u64) -> bool {
    // SAFETY: the thunk's slot holds the return address.
    let caller = unsafe { *slot };
    let module =
        |address: u64| crate::modules::find_object(address).map(|object| object.identity());
    let allocator = module(MALLOC.load(Relaxed) as u64);
    allocator.is_some()
        && module(caller) == allocator
        && module(MUNMAP.load(Relaxed) as u64) != allocator
}

unsafe extern "C" fn mmap_body(
    address: usize,
    len: usize,
    prot: i32,
    flags: i32,
    fd: i32,
    offset: i64,
    slot: *const u64,
    fp: u64,
) -> usize {
    // SAFETY: mmap's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            return early(
                libc::SYS_mmap,
                [
                    address,
                    len,
                    prot as usize,
                    flags as usize,
                    fd as usize,
                    offset as usize,
                ],
            );
        }
        let got = call!(
            MMAP as fn(usize, usize, i32, i32, i32, i64) -> usize,
            address,
            len,
            prot,
            flags,
            fd,
            offset
        );
        if got != FAILED && !from_allocator(slot) {
            events::map(got as u64, len, prot, flags, slot, fp);
            if prot & libc::PROT_EXEC != 0 && flags & libc::MAP_FIXED != 0 && fd >= 0 {
                crate::runtimes::v8::mapped_code(got as u64, len as u64, offset as u64);
            }
        } else if got != FAILED {
            known::note_allocator(got as u64, len);
        }
        got
    }
}

/// Before libc's function is known: the system call, with libc's errno.
#[cold]
unsafe fn early(number: i64, arg: [usize; 6]) -> usize {
    let [a, b, c, d, e, f] = arg;
    // SAFETY: the caller's.
    unsafe {
        let ret = crate::arch::syscall::syscall6(number, a, b, c, d, e, f);
        if (-4095..0).contains(&ret) {
            *libc::__errno_location() = -ret as i32;
            return FAILED;
        }
        ret as usize
    }
}

/// A range that is being released: recorded before the call, because another thread
/// may have it before the call returns.
struct Release {
    address: usize,
    recorded: bool,
}

impl Release {
    /// What the kernel surely refuses is not recorded.
    fn begin(address: usize, len: usize) -> Release {
        let is_possible = |end| end <= ADDRESSES;
        let recorded = len != 0
            && address.is_multiple_of(PAGE)
            && address.checked_add(len).is_some_and(is_possible);
        if recorded {
            events::unmap(address as u64, len);
            crate::runtimes::v8::code::unmapped(address as u64, len as u64);
        }
        Release { address, recorded }
    }

    fn failed(self) {
        if self.recorded {
            events::unmap(self.address as u64, 0);
        }
    }
}

const PAGE: usize = 4096;
/// No program has addresses above: five levels of page tables.
const ADDRESSES: usize = 1 << 56;

unsafe extern "C" fn mremap_body(
    old: usize,
    old_len: usize,
    len: usize,
    flags: i32,
    new: usize,
    _: usize,
    slot: *const u64,
    fp: u64,
) -> usize {
    // SAFETY: mremap's contract is the caller's; the fifth argument is ignored
    // unless a flag asks for it.
    unsafe {
        if !originals::resolved() {
            return early(
                libc::SYS_mremap,
                [old, old_len, len, flags as usize, new, 0],
            );
        }
        let call = || {
            call!(
                MREMAP as fn(usize, usize, usize, i32, usize) -> usize,
                old,
                old_len,
                len,
                flags,
                new
            )
        };
        if from_allocator(slot) {
            return call();
        }
        // With that flag the old range stays; with a length of 0 a shared one is doubled.
        let leaves = flags & libc::MREMAP_DONTUNMAP == 0 && old_len != 0;
        let release = leaves.then(|| Release::begin(old, old_len));
        let got = call();
        if got != FAILED {
            events::map(got as u64, len, 0, 0, slot, fp);
        } else if let Some(release) = release {
            release.failed();
        }
        got
    }
}

/// Hook; see the table.
///
/// # Safety
/// As `munmap`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(address: usize, len: usize) -> i32 {
    // SAFETY: munmap's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            return early(libc::SYS_munmap, [address, len, 0, 0, 0, 0]) as i32;
        }
        let release = Release::begin(address, len);
        let result = call!(MUNMAP as fn(usize, usize) -> i32, address, len);
        if result != 0 {
            release.failed();
        }
        result
    }
}

thunk!(sbrk(1) -> sbrk_body);
thunk!(brk(1) -> brk_body);

/// Where the break is.
unsafe fn current_break() -> usize {
    // SAFETY: libc's function changes nothing for 0.
    unsafe { call!(SBRK as fn(isize) -> usize, 0) }
}

unsafe extern "C" fn sbrk_body(increment: isize, slot: *const u64, fp: u64) -> usize {
    if !originals::resolved() {
        return FAILED;
    }
    // SAFETY: sbrk's contract is the caller's.
    unsafe {
        let call = || call!(SBRK as fn(isize) -> usize, increment);
        if increment == 0 || from_allocator(slot) {
            return call();
        }
        let old = current_break();
        move_break(old, old.wrapping_add_signed(increment), slot, fp, call)
    }
}

/// libc's own allocator does not come here: inside libc the break is moved without
/// these symbols.
unsafe extern "C" fn brk_body(end: usize, slot: *const u64, fp: u64) -> i32 {
    // SAFETY: brk's contract is the caller's.
    unsafe {
        if !originals::resolved() {
            *libc::__errno_location() = libc::ENOMEM;
            return -1;
        }
        let call = || call!(BRK as fn(usize) -> i32, end);
        if from_allocator(slot) {
            return call();
        }
        move_break(current_break(), end, slot, fp, call)
    }
}

/// Records what moving the break from `old` to `end` by `call` makes or removes. What
/// the call says is not enough: for an address below the heap it says that all went
/// well and does nothing.
unsafe fn move_break<T>(
    old: usize,
    end: usize,
    slot: *const u64,
    fp: u64,
    call: impl FnOnce() -> T,
) -> T {
    let removed = end < old;
    if removed {
        events::unmap(end as u64, old - end);
    }
    let result = call();
    // SAFETY: libc's function; the thunk's slot.
    unsafe {
        let now = current_break();
        if removed && now != end {
            events::unmap(end as u64, 0);
        } else if now > old && now == end {
            events::map(
                old as u64,
                end - old,
                libc::PROT_READ | libc::PROT_WRITE,
                0,
                slot,
                fp,
            );
        }
    }
    result
}
