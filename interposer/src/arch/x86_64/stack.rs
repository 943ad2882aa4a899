//! Running a rare, deep path on a stack of our own.

use core::arch::naked_asm;

/// Current stack pointer, about.
#[inline(always)]
pub fn pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags))
    };
    sp
}

/// Calls `function(argument)` with the stack pointer at `top`.
///
/// # Safety
/// `top` is the 16-aligned end of a writable stack that nobody else uses.
#[unsafe(naked)]
pub unsafe extern "C" fn call_on(
    argument: *mut u8,
    function: unsafe extern "C" fn(*mut u8),
    top: *mut u8,
) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}
