//! Eight words of initial-exec TLS: reached with one load and no call.
//!
//! `thread_local!` would do for the value but not for the model: in a shared
//! library it may go through `__tls_get_addr`, which can call malloc. A preloaded
//! library is there at the start, so initial-exec always fits.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss.leak_tls,\"awT\",@nobits",
    ".hidden leak_tls",
    ".globl leak_tls",
    ".type leak_tls,@object",
    ".size leak_tls,64",
    ".p2align 4",
    "leak_tls:",
    ".zero 64",
    ".popsection",
);

/// Word 0: the thread's state (or a mark, see [`crate::thread`]).
#[inline(always)]
pub fn get() -> usize {
    let value: usize;
    // SAFETY: the symbol is 64 bytes in this library's static TLS block.
    unsafe {
        asm!("mov {v}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov {v}, qword ptr fs:[{v}]",
            v = out(reg) value, options(nostack, readonly, preserves_flags));
    }
    value
}

/// Sets word 0.
#[inline(always)]
pub fn set(value: usize) {
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {t}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov qword ptr fs:[{t}], {v}",
            t = out(reg) _, v = in(reg) value, options(nostack, preserves_flags));
    }
}

/// Sets word 0 to `new` if it is `old`, with one instruction that a signal cannot
/// split; returns whether.
pub fn replace(old: usize, new: usize) -> bool {
    let seen: usize;
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {t}, qword ptr [rip + leak_tls@GOTTPOFF]", "cmpxchg qword ptr fs:[{t}], {n}",
            t = out(reg) _, n = in(reg) new, inlateout("rax") old => seen, options(nostack));
    }
    seen == old
}

/// Address of this thread's words: no two threads have the same.
pub fn own_address() -> usize {
    let address: usize;
    // SAFETY: as in `get`; the first word at fs is its own address.
    unsafe {
        asm!("mov {a}, qword ptr fs:[0]", a = out(reg) address, options(nostack, readonly, preserves_flags));
    }
    address
}

/// Words 1 and 2: outer and inner end of the part of this thread's stack that is
/// known, 0 if none is.
pub fn stack() -> (usize, usize) {
    let (top, low): (usize, usize);
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {l}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov {v}, qword ptr fs:[{l} + 8]",
            "mov {l}, qword ptr fs:[{l} + 16]",
            v = out(reg) top, l = out(reg) low, options(nostack, readonly, preserves_flags));
    }
    (top, low)
}

/// Sets words 1 and 2.
pub fn set_stack(top: usize, low: usize) {
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {t}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov qword ptr fs:[{t} + 8], {v}",
            "mov qword ptr fs:[{t} + 16], {l}",
            t = out(reg) _, v = in(reg) top, l = in(reg) low, options(nostack, preserves_flags));
    }
}

/// Word 3: how often this thread has disabled leak checking without enabling it again.
pub fn unchecked() -> usize {
    let value: usize;
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {v}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov {v}, qword ptr fs:[{v} + 24]",
            v = out(reg) value, options(nostack, readonly, preserves_flags));
    }
    value
}

/// Sets word 3.
pub fn set_unchecked(value: usize) {
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {t}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov qword ptr fs:[{t} + 24], {v}",
            t = out(reg) _, v = in(reg) value, options(nostack, preserves_flags));
    }
}

/// Words 4 to 7, for [`crate::check`].
pub fn spare() -> *mut [u64; 4] {
    let address: usize;
    // SAFETY: as in `get`; the first word at fs is its own address.
    unsafe {
        asm!("mov {a}, qword ptr [rip + leak_tls@GOTTPOFF]", "add {a}, qword ptr fs:[0]",
            a = out(reg) address, options(nostack, readonly));
    }
    (address + 32) as *mut [u64; 4]
}
