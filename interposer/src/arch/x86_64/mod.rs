//! x86-64, System V ABI.

pub mod clock;
pub mod process;
pub mod stack;
pub mod syscall;
#[macro_use]
pub mod thunk;
pub mod tls;

/// DWARF number of the stack pointer.
pub const DWARF_SP: u16 = 7;
/// DWARF number of the frame pointer.
pub const DWARF_FP: u16 = 6;
/// DWARF number of the return address column.
pub const DWARF_RA: u16 = 16;
