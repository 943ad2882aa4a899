//! The other threads: which there are, and where each one's stack pointer is.
//!
//! Registers come from [`super::stop`]. Where threads cannot be stopped (Yama's
//! ptrace_scope 2 and 3, a tracer that is there already) `/proc/self/task/<tid>/syscall`
//! still says where the stack pointer of a thread is that waits in the kernel, and the
//! arguments of its call: a process may always ask that of its own threads.

use super::array::List;
use crate::digits::number;
use crate::sys;

/// Registers of a thread: the sixteen general ones in the order of their DWARF
/// numbers, then two words of each vector register.
pub const REGISTERS: usize = 16 + 32;
/// Place of the stack pointer among them.
pub const SP_AT: usize = 7;

/// A thread.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Thread {
    /// Kernel's id.
    pub tid: u32,
    /// 0: nothing is known, or [`SP`], or [`ALL`].
    pub known: u32,
    /// Stack pointer.
    pub sp: u64,
    /// Where its thread descriptor is, if all is known.
    pub descriptor: u64,
    /// As far as they are known.
    pub registers: [u64; REGISTERS],
}

/// The stack pointer is known, and the registers of a system call's arguments; the others are 0.
pub const SP: u32 = 1;
/// All registers are known.
pub const ALL: u32 = 2;

/// Most threads.
pub const MOST: usize = 32 << 10;

/// All threads but this one; `None` without `/proc`.
pub fn list(list: &mut List<Thread>) -> Option<()> {
    let own = sys::gettid();
    sys::each_entry(b"/proc/self/task\0", &mut |name| {
        if let Some(tid) = number(name, 10)
            && tid as u32 != own
        {
            list.push(Thread {
                tid: tid as u32,
                known: 0,
                sp: 0,
                descriptor: 0,
                registers: [0; REGISTERS],
            });
        }
    })
}

/// Whether a thread has ended, though the kernel still lists it: the main one stays so
/// until the process ends.
pub fn has_ended(thread: &Thread) -> bool {
    let mut text = [0u8; 512];
    let Some(len) = read(thread.tid, b"/stat\0", &mut text) else {
        return true;
    };
    let line = text.get(..len).unwrap_or(&[]);
    // The state stands behind the name, which may hold anything.
    let state = line
        .iter()
        .rposition(|&byte| byte == b')')
        .and_then(|at| line.get(at + 2));
    matches!(state, Some(b'Z' | b'X' | b'x'))
}

/// Asks where a thread is: its stack pointer if it waits.
pub fn look(thread: &mut Thread) {
    let mut text = [0u8; 256];
    let Some(len) = read(thread.tid, b"/syscall\0", &mut text) else {
        return;
    };
    // "running", or number, six arguments, stack pointer, program counter; or -1 outside of a
    // call, and the last two.
    let text = text.get(..len).unwrap_or(&[]).trim_ascii_end();
    let value = |word: &[u8]| {
        word.strip_prefix(b"0x")
            .and_then(|digits| number(digits, 16))
    };
    let mut words = text.rsplit(|&byte| byte == b' ');
    if let (Some(_), Some(word)) = (words.next(), words.next())
        && let Some(sp) = value(word)
    {
        (thread.known, thread.sp) = (SP, sp);
        let arguments = text.split(|&byte| byte == b' ').skip(1);
        let count = words.count().saturating_sub(1);
        for (word, place) in arguments.take(count).zip(ARGUMENTS) {
            if let Some(to) = thread.registers.get_mut(place) {
                *to = value(word).unwrap_or(0);
            }
        }
    }
}

/// Places of a system call's arguments among the registers: rdi, rsi, rdx, r10, r8, r9.
const ARGUMENTS: [usize; 6] = [5, 4, 1, 10, 8, 9];

fn read(tid: u32, what: &[u8], to: &mut [u8]) -> Option<usize> {
    let mut path = [0u8; 64];
    let mut out = log_format::varint::Out::new(&mut path);
    out.bytes(b"/proc/self/task/");
    crate::digits::decimal(&mut out, tid);
    out.bytes(what);
    sys::read_file(out.written(), to)
}
