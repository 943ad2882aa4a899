//! Entry thunks: what an exported symbol is before it is Rust.
//!
//! A thunk passes on where its return address stands and the caller's rbp, so
//! that the unwinder begins at the app's own frame, and jumps: no frame of ours
//! lies between. (With `endbr64`, as indirect calls need it under CET.)

/// `pushed!("rdi", "rsi")`: pushes these registers in order and tells unwinders.
#[macro_export]
macro_rules! pushed {
    ($($register:literal),*) => {
        concat!($("push ", $register, "\n.cfi_adjust_cfa_offset 8\n"),*)
    };
}

/// `popped!("rsi", "rdi")`: the reverse of [`pushed!`].
#[macro_export]
macro_rules! popped {
    ($($register:literal),*) => {
        concat!($("pop ", $register, "\n.cfi_adjust_cfa_offset -8\n"),*)
    };
}

/// `thunk!(name(1) -> body)`: exports `name`, which has that many integer
/// arguments (0 to 4), and jumps to `body(args…, return_slot, caller_rbp)`.
#[macro_export]
macro_rules! thunk {
    ($name:ident(0) -> $body:path) => { $crate::thunk!(@emit $name, "rdi", "rsi", $body); };
    ($name:ident(1) -> $body:path) => { $crate::thunk!(@emit $name, "rsi", "rdx", $body); };
    ($name:ident(2) -> $body:path) => { $crate::thunk!(@emit $name, "rdx", "rcx", $body); };
    ($name:ident(3) -> $body:path) => { $crate::thunk!(@emit $name, "rcx", "r8", $body); };
    ($name:ident(4) -> $body:path) => { $crate::thunk!(@emit $name, "r8", "r9", $body); };
    (@emit $name:ident, $slot:literal, $fp:literal, $body:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                concat!("mov ", $slot, ", rsp"),
                concat!("mov ", $fp, ", rbp"),
                "jmp {body}",
                ".cfi_endproc",
                body = sym $body,
            )
        }
    };
}

/// `thunk_many!(name -> body)`: as [`thunk!`] for six arguments; the two extra
/// ones go on the stack.
#[macro_export]
macro_rules! thunk_many {
    ($name:ident -> $body:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                "mov rax, rsp",
                "sub rsp, 8",
                ".cfi_adjust_cfa_offset 8",
                "push rbp",
                ".cfi_adjust_cfa_offset 8",
                "push rax",
                ".cfi_adjust_cfa_offset 8",
                "call {body}",
                "add rsp, 24",
                ".cfi_adjust_cfa_offset -24",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            )
        }
    };
}

/// `thunk_before!(name -> before, slot)`: calls `before(arg0, arg1, arg2)` and
/// then continues in the original, whose address is in the static `slot`, with
/// every argument register and the stack as they were: right for variadic
/// functions and for those that look at their caller.
#[macro_export]
macro_rules! thunk_before {
    ($name:ident -> $before:path, $slot:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax"),
                "call {before}",
                $crate::popped!("rax", "r9", "r8", "rcx", "rdx", "rsi", "rdi"),
                "jmp qword ptr [rip + {slot}]",
                ".cfi_endproc",
                before = sym $before,
                slot = sym $slot,
            )
        }
    };
}

/// `thunk_unless!(name -> body, slot)`: as [`thunk_before!`], with `body(registers,
/// caller_rbp)`, where `registers` points at rax, r9, r8, rcx, rdx, rsi, rdi of the caller and
/// the return address. If it [answers][Answer], that is returned and the original not called.
#[macro_export]
macro_rules! thunk_unless {
    ($name:ident -> $body:path, $slot:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax"),
                "mov rdi, rsp",
                "mov rsi, rbp",
                "call {body}",
                "test rax, rax",
                "jne 2f",
                ".cfi_remember_state",
                $crate::popped!("rax", "r9", "r8", "rcx", "rdx", "rsi", "rdi"),
                "jmp qword ptr [rip + {slot}]",
                "2:", ".cfi_restore_state",
                "mov rax, rdx",
                "add rsp, 56", ".cfi_adjust_cfa_offset -56",
                "ret",
                ".cfi_endproc",
                body = sym $body,
                slot = sym $slot,
            )
        }
    };
}

/// What the body of [`thunk_unless!`] says: two registers.
#[repr(C)]
pub struct Answer {
    /// Whether the original is not to be called.
    pub instead: u64,
    /// Then the result.
    pub value: i64,
}

/// `thunk_first!(name -> before, slot)`: as [`thunk_before!`]; the first argument becomes what
/// `before(arg0, arg1, arg2)` returns.
#[macro_export]
macro_rules! thunk_first {
    ($name:ident -> $before:path, $slot:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rsi", "rdx", "rcx", "r8", "r9"),
                "call {before}",
                "mov rdi, rax",
                $crate::popped!("r9", "r8", "rcx", "rdx", "rsi"),
                "jmp qword ptr [rip + {slot}]",
                ".cfi_endproc",
                before = sym $before,
                slot = sym $slot,
            )
        }
    };
}

/// `thunk_list!(name -> body)`: for `int name(const char *, const char *, …)`; calls
/// `body(first, list)` with the arguments from the second on as they stand in
/// memory: the five of registers are put before those on the stack.
#[macro_export]
macro_rules! thunk_list {
    ($name:ident -> $body:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                "pop r11", ".cfi_adjust_cfa_offset -8", ".cfi_register 16, 11",
                $crate::pushed!("r9", "r8", "rcx", "rdx", "rsi"),
                "mov rsi, rsp",
                "push r11", ".cfi_adjust_cfa_offset 8", ".cfi_offset 16, -48",
                "call {body}",
                "pop r11", ".cfi_adjust_cfa_offset -8", ".cfi_register 16, 11",
                "add rsp, 40", ".cfi_adjust_cfa_offset -40",
                "push r11", ".cfi_adjust_cfa_offset 8", ".cfi_offset 16, -8",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            )
        }
    };
}

/// `thunk_or!(name -> body, slot)`: calls `body(arg0, arg1, arg2, return_slot,
/// caller_rbp)`; if it returns null, continues in the original as if the body
/// had never run (the original may throw: no frame of ours is in the way).
#[macro_export]
macro_rules! thunk_or {
    ($name:ident -> $body:path, $slot:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "rsi", "rdx"),
                "lea rcx, [rsp + 24]",
                "mov r8, rbp",
                "call {body}",
                $crate::popped!("rdx", "rsi", "rdi"),
                "test rax, rax",
                "je 2f",
                "ret",
                "2: jmp qword ptr [rip + {slot}]",
                ".cfi_endproc",
                body = sym $body,
                slot = sym $slot,
            )
        }
    };
}

/// First function of every thread: `prepare(item)` says what to run. Assembly,
/// because cancellation and `pthread_exit` unwind through it, and a Rust frame
/// would stop them.
///
/// # Safety
/// Called by `pthread_create` only.
#[unsafe(naked)]
pub unsafe extern "C" fn run_thread(item: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "call {prepare}",
        "mov rdi, rdx",
        "call rax",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
        prepare = sym crate::hooks::thread::prepare,
    )
}

/// Whether an address lies in [`run_thread`], which stands below every thread.
pub fn runs_thread(address: u64) -> bool {
    (address.wrapping_sub(run_thread as *const () as u64)) < 64
}

/// Runs in the place of the program's main function: sets flags for V8 and goes on there,
/// without a frame of ours on the stack.
///
/// # Safety
/// Called by `__libc_start_main` only, after the place of the program's own function is set.
#[unsafe(naked)]
pub unsafe extern "C" fn run_main() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "endbr64",
        crate::pushed!("rdi", "rsi", "rdx"),
        "call {before}",
        crate::popped!("rdx", "rsi", "rdi"),
        "jmp qword ptr [rip + {main}]",
        ".cfi_endproc",
        before = sym crate::runtimes::v8::main::set_flags,
        main = sym crate::runtimes::v8::main::MAIN,
    )
}

/// Captures the stack of its caller, which may be this library's own: reports leave
/// such frames out.
///
/// # Safety
/// `thread` is this thread's state.
#[unsafe(naked)]
pub unsafe extern "C" fn capture_here(thread: *mut crate::thread::ThreadState) -> u32 {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "mov rsi, rsp",
        "mov rdx, rbp",
        "jmp {body}",
        ".cfi_endproc",
        body = sym capture_from,
    )
}

unsafe extern "C" fn capture_from(
    thread: *mut crate::thread::ThreadState,
    slot: *const u64,
    fp: u64,
) -> u32 {
    // SAFETY: `capture_here` passes on where its return address stands.
    unsafe { crate::unwind::capture(thread, slot, fp) }
}

/// `thunk_found!(name -> find)`: jumps to the function whose address
/// `find(arg0, arg1, arg2)` returns, with these arguments as they were.
#[macro_export]
macro_rules! thunk_found {
    ($name:ident -> $find:path) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "rsi", "rdx"),
                "call {find}",
                $crate::popped!("rdx", "rsi", "rdi"),
                "jmp rax",
                ".cfi_endproc",
                find = sym $find,
            )
        }
    };
}

/// `thunk_else!(name -> body, find)`: calls `body(arg0, arg1, arg2, return_slot,
/// caller_rbp)`; if it returns null, jumps to the function whose address `find()`
/// returns, with these arguments as they were.
#[macro_export]
macro_rules! thunk_else {
    ($name:ident -> $body:path, $find:path) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "rsi", "rdx"),
                "lea rcx, [rsp + 24]",
                "mov r8, rbp",
                "call {body}",
                "test rax, rax",
                "je 2f",
                "add rsp, 24", ".cfi_adjust_cfa_offset -24",
                "ret",
                "2:", ".cfi_adjust_cfa_offset 24",
                "call {find}",
                $crate::popped!("rdx", "rsi", "rdi"),
                "jmp rax",
                ".cfi_endproc",
                body = sym $body,
                find = sym $find,
            )
        }
    };
}

/// `thunk_leaving!(name -> before, slot)`: as [`thunk_before!`] for functions that do
/// not return: calls `before(arg0, registers)`, where `registers` points at rbx, rbp,
/// r12 to r15 of the caller, arg0 and the return address.
#[macro_export]
macro_rules! thunk_leaving {
    ($name:ident -> $before:path, $slot:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rdi", "r15", "r14", "r13", "r12", "rbp", "rbx"),
                "mov rsi, rsp",
                "call {before}",
                "add rsp, 48", ".cfi_adjust_cfa_offset -48",
                $crate::popped!("rdi"),
                "jmp qword ptr [rip + {slot}]",
                ".cfi_endproc",
                before = sym $before,
                slot = sym $slot,
            )
        }
    };
}

/// `thunk_registers!(name -> body)`: calls `body(registers)` for a function without
/// arguments, where `registers` points at rbx, rbp, r12 to r15 of the caller, a word of no
/// meaning and the return address.
#[macro_export]
macro_rules! thunk_registers {
    ($name:ident -> $body:path) => {
        /// Hook; see the table.
        ///
        /// # Safety
        /// As the function it replaces.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                "endbr64",
                $crate::pushed!("rax", "r15", "r14", "r13", "r12", "rbp", "rbx"),
                "mov rdi, rsp",
                "call {body}",
                "add rsp, 56", ".cfi_adjust_cfa_offset -56",
                "ret",
                ".cfi_endproc",
                body = sym $body,
            )
        }
    };
}

/// Called by libc at the end of the process: passes on where it was called from.
///
/// # Safety
/// As a function given to `on_exit`.
#[unsafe(naked)]
pub unsafe extern "C" fn at_exit(status: i32, argument: *mut core::ffi::c_void) {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "mov rsi, rsp",
        "mov rdx, rbp",
        "jmp {body}",
        ".cfi_endproc",
        body = sym crate::collect::finish::at_exit,
    )
}
