//! Two words of initial-exec TLS: reached with one load and no call.
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
    ".size leak_tls,16",
    ".p2align 4",
    "leak_tls:",
    ".zero 16",
    ".popsection",
);

/// Word 0: the thread's state (or a mark, see [`crate::thread`]).
#[inline(always)]
pub fn get() -> usize {
    let value: usize;
    // SAFETY: the symbol is 16 bytes in this library's static TLS block.
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

/// Word 1: an address near the outer end of this thread's stack, 0 if unknown.
pub fn stack_top() -> usize {
    let value: usize;
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {v}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov {v}, qword ptr fs:[{v} + 8]",
            v = out(reg) value, options(nostack, readonly, preserves_flags));
    }
    value
}

/// Sets word 1.
pub fn set_stack_top(value: usize) {
    // SAFETY: as in `get`.
    unsafe {
        asm!("mov {t}, qword ptr [rip + leak_tls@GOTTPOFF]", "mov qword ptr fs:[{t} + 8], {v}",
            t = out(reg) _, v = in(reg) value, options(nostack, preserves_flags));
    }
}
