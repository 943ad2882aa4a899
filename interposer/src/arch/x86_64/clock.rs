//! The event clock: the time-stamp counter where it is invariant.

use crate::originals;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

static MONOTONIC: AtomicBool = AtomicBool::new(false);

/// Chooses the clock; returns whether it is the TSC.
pub fn init() -> bool {
    let invariant = is_invariant();
    MONOTONIC.store(!invariant, Relaxed);
    invariant
}

/// Leaf 8000_0007h, EDX bit 8: the counter runs at one rate in all states.
fn is_invariant() -> bool {
    const BIT: u32 = 1 << 8;
    // libc has asked the processor already; in a virtual machine each `cpuid` costs
    // a short program some 20 µs.
    if let Some(leaf) = originals::cpuid_leaf() {
        /// `CPUID_INDEX_80000007` of `<sys/platform/x86.h>`.
        const INDEX: u32 = 4;
        // SAFETY: the function has this type since glibc 2.33; it returns static
        // memory, zeros for an index that it does not know.
        return unsafe { leaf(INDEX).as_ref() }.is_some_and(|words| words[3] & BIT != 0);
    }
    let max = core::arch::x86_64::__cpuid(0x8000_0000).eax;
    max >= 0x8000_0007 && core::arch::x86_64::__cpuid(0x8000_0007).edx & BIT != 0
}

/// Nanoseconds of `CLOCK_MONOTONIC` or another clock (through the vDSO).
pub fn clock_ns(clock: i32) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is writable. glibc answers these clocks without errno.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// Now: after all that this thread has seen of others, and before what it does next is seen by them. So for the end of
/// an allocation, and for the start of a free, whose block another thread may just have handed over. Later stores
/// become visible in order after this: no fence is needed behind it.
#[inline(always)]
pub fn now() -> u64 {
    if MONOTONIC.load(Relaxed) {
        return clock_ns(libc::CLOCK_MONOTONIC);
    }
    let (low, high): (u32, u32);
    // SAFETY: rdtscp reads a counter; it waits for all earlier loads. `rdtsc` does not: 20 of 60 runs of four threads
    // that swap blocks had frees before their allocations (AMD Zen 4).
    unsafe {
        asm!("rdtscp", out("eax") low, out("edx") high, out("ecx") _, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Now, or a little earlier: a processor may read it before loads are done that stand before this. For a time that
/// nothing is ordered by.
#[inline(always)]
pub fn early() -> u64 {
    if MONOTONIC.load(Relaxed) {
        return clock_ns(libc::CLOCK_MONOTONIC);
    }
    let (low, high): (u32, u32);
    // SAFETY: rdtsc reads a counter.
    unsafe {
        asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}
