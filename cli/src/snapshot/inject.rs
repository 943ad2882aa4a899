//! What this command and the recorder in the process say to each other: the same as
//! `interposer/src/reach/snapshot.rs`.

use super::stop::Stopped;

/// Bytes of a request before its threads.
pub const HEAD: usize = 64;
/// Bytes of a thread.
const THREAD: usize = 408;
/// All registers are known.
const ALL: u32 = 2;

/// The state of a search, from the copy's request.
pub struct State {
    /// It is done.
    pub done: bool,
    /// How it ended.
    pub outcome: u8,
    /// Bytes searched.
    pub scanned: u64,
    /// Where the parts are.
    pub parts: u64,
    /// Bytes of them.
    pub used: u64,
}

impl State {
    /// Decodes the head of a request.
    pub fn decode(head: &[u8; HEAD]) -> State {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        State {
            done: word(0) & 0xffff_ffff != 0,
            outcome: (word(0) >> 32) as u8,
            scanned: word(8),
            parts: word(16),
            used: word(24),
        }
    }
}

/// The threads as the recorder takes them: id, what is known, stack pointer, descriptor,
/// sixteen registers by DWARF number, vector registers.
pub fn encode(threads: &[Stopped]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(threads.len() * THREAD);
    for thread in threads {
        let r = &thread.registers;
        bytes.extend((thread.tid as u32).to_le_bytes());
        bytes.extend(ALL.to_le_bytes());
        let general = [
            r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
            r.r12, r.r13, r.r14, r.r15,
        ];
        let words = [r.rsp, r.fs_base]
            .into_iter()
            .chain(general)
            .chain(thread.vectors);
        words.for_each(|word| bytes.extend(word.to_le_bytes()));
    }
    debug_assert_eq!(bytes.len(), threads.len() * THREAD);
    bytes
}
