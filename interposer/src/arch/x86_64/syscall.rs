//! The `syscall` instruction.

use core::arch::asm;

/// System call with six arguments; the kernel's result, errors as −errno.
///
/// # Safety
/// As the call's own.
#[inline(always)]
pub unsafe fn syscall6(
    number: i64,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    let ret: isize;
    // SAFETY: the caller answers for the arguments; rcx and r11 are named as lost.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => ret, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    ret
}

/// See [`syscall6`].
///
/// # Safety
/// As the call's own.
pub unsafe fn syscall4(number: i64, a: usize, b: usize, c: usize, d: usize) -> isize {
    // SAFETY: as the caller's.
    unsafe { syscall6(number, a, b, c, d, 0, 0) }
}

/// See [`syscall6`].
///
/// # Safety
/// As the call's own.
pub unsafe fn syscall3(number: i64, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: as the caller's.
    unsafe { syscall6(number, a, b, c, 0, 0, 0) }
}

/// See [`syscall6`].
///
/// # Safety
/// As the call's own.
pub unsafe fn syscall2(number: i64, a: usize, b: usize) -> isize {
    // SAFETY: as the caller's.
    unsafe { syscall6(number, a, b, 0, 0, 0, 0) }
}
