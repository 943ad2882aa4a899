//! Copies of the process and helpers beside it, made without libc: its `fork` runs the
//! program's handlers and takes locks.

use super::syscall::syscall6;
use core::arch::naked_asm;

/// A copy of the process that consists of this thread; 0 in the copy, its id here.
/// When it ends, nobody gets a signal, and only a wait with `__WALL` sees it.
///
/// # Safety
/// The copy must not return into the program.
pub unsafe fn copy() -> isize {
    // SAFETY: as the caller promises; no flags, no new stack.
    unsafe { syscall6(libc::SYS_clone, 0, 0, 0, 0, 0, 0) }
}

/// A process that shares this one's memory and runs `function(argument)` on the stack
/// that ends at `top`; its id, errors as −errno. It ends when the function returns.
///
/// # Safety
/// `top` is the 16-aligned end of a writable stack that nobody else uses. The function
/// touches no thread-local variable: they are this thread's.
#[unsafe(naked)]
pub unsafe extern "C" fn helper(
    argument: *mut u8,
    function: unsafe extern "C" fn(*mut u8),
    top: *mut u8,
) -> isize {
    naked_asm!(
        ".cfi_startproc",
        "mov r8, rdi",
        "mov r9, rsi",
        // CLONE_VM; its stack; SYS_clone.
        "mov edi, 0x100",
        "mov rsi, rdx",
        "xor edx, edx",
        "xor r10d, r10d",
        "push r8",
        ".cfi_adjust_cfa_offset 8",
        "push r9",
        ".cfi_adjust_cfa_offset 8",
        "xor r8d, r8d",
        // Function and argument, where the new process can pop them.
        "pop r9",
        ".cfi_adjust_cfa_offset -8",
        "mov qword ptr [rsi - 16], r9",
        "pop r9",
        ".cfi_adjust_cfa_offset -8",
        "mov qword ptr [rsi - 8], r9",
        "sub rsi, 16",
        "mov eax, 56",
        "syscall",
        "test rax, rax",
        "je 2f",
        "ret",
        "2:",
        "xor ebp, ebp",
        "pop rax",
        "pop rdi",
        "call rax",
        "xor edi, edi",
        "mov eax, 60",
        "syscall",
        "ud2",
        ".cfi_endproc",
    )
}
