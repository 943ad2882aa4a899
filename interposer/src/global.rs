//! The process's recorder: one mapping that the kernel wipes in a fork child.
//!
//! Everything that belongs to one log hangs on [`Global`]. In a child made by
//! `fork` (or a raw `clone` without shared memory) the mapping reads as zeros,
//! which is [`Phase::None`]: the child's first event begins a log of its own,
//! whoever held which lock in the parent. Only what must survive a fork, such as
//! the addresses of the original functions, is in statics.

use crate::collect::drain::Drain;
use crate::collect::file::LogFile;
use crate::memory::Budget;
use crate::modules::Modules;
use crate::stack_table::StackTable;
use crate::sys;
use crate::thread::ThreadState;
use core::cell::UnsafeCell;
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// What the recorder does. One type for the policy: exact now; sampled and
/// bounded recording would be further phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    /// Nothing begun; the next event begins it.
    None = 0,
    /// A thread is setting up.
    Starting = 1,
    /// Every event is recorded.
    Recording = 2,
    /// The log is whole and the program was to be replaced by `exec`; an event means
    /// that this has failed, and goes on with the log.
    Suspended = 4,
    /// Recording was refused or has ended; hooks only pass on.
    Dormant = 3,
}

/// Most threads at one time.
pub const MAX_THREADS: usize = 16 * 1024;

/// See the module. All-zero bytes are a valid value.
#[repr(C)]
pub struct Global {
    phase: AtomicU32,
    /// Held by the thread that drains: its state's address; 0 if nobody.
    pub drain_owner: AtomicUsize,
    /// Bumped when a drain ends; waiters for room sleep on it.
    pub drain_done: AtomicU32,
    /// Number + 1 of the drain that stood still for too long.
    pub stuck: AtomicU32,
    /// A system-call filter is in force: nothing but what is mapped may be used.
    pub filtered: AtomicU32,
    /// Threads that got no ring.
    pub ring_failures: AtomicU32,
    /// There is, or was, a second thread.
    pub several: AtomicU32,
    /// Every thread's records carry exact times, see [`crate::thread::be_precise`].
    pub precise: AtomicU32,
    /// Last thread serial given.
    pub threads: AtomicU32,
    /// States made so far: `states[..state_count]` are set (or being set).
    pub state_count: AtomicUsize,
    /// Rule cache generation, see [`crate::unwind::cache`].
    pub rules_generation: AtomicU64,
    /// Generation of kept stacks: bumped with the rules', and when code is replaced.
    pub stacks_generation: AtomicU64,
    /// Rule cache: its address + 64 − log2 of its entries.
    pub rules: AtomicPtr<u64>,
    /// Addresses that its first, small form did not have.
    pub rules_missed: AtomicU32,
    /// Every n-th capture is checked; 0: none.
    pub selfcheck_every: AtomicU64,
    /// The file.
    pub file: LogFile,
    /// Stack nodes.
    pub stacks: StackTable,
    /// Code made at run time.
    pub codes: crate::code_table::CodeTable,
    /// Some of it has no place there.
    pub codes_left_out: AtomicBool,
    /// Isolates of V8.
    pub isolates: crate::runtimes::v8::isolate::Isolates,
    /// Some of them have no place there.
    pub isolates_left_out: AtomicBool,
    /// Isolates of V8 that can be asked for something.
    pub asked: crate::runtimes::v8::command::Asked,
    /// When memory may be sampled again.
    pub memory: Budget,
    /// Modules seen.
    pub modules: Modules,
    /// Used by the drain's owner only.
    pub drain: UnsafeCell<Drain>,
    /// All thread states, in use or free.
    pub states: [AtomicPtr<ThreadState>; MAX_THREADS],
}

// SAFETY: everything but `drain` is atomic; `drain` is touched by the owner only.
unsafe impl Sync for Global {}

static GLOBAL: AtomicPtr<Global> = AtomicPtr::new(core::ptr::null_mut());

/// The recorder, if its mapping exists.
#[inline(always)]
pub fn get() -> Option<&'static Global> {
    // SAFETY: once set, the mapping stays for the life of the process.
    unsafe { GLOBAL.load(Acquire).as_ref() }
}

/// The recorder while it records.
#[inline(always)]
pub fn recording() -> Option<&'static Global> {
    get().filter(|g| g.phase() == Phase::Recording)
}

/// The recorder, its mapping made if need be; `None` if there is no memory.
pub fn get_or_map() -> Option<&'static Global> {
    if let Some(global) = get() {
        return Some(global);
    }
    let len = size_of::<Global>().next_multiple_of(4096);
    let fresh = sys::map_private(len)?;
    // SAFETY: our own fresh mapping.
    unsafe { sys::wipe_on_fork(fresh, len) };
    match GLOBAL.compare_exchange(core::ptr::null_mut(), fresh.cast(), AcqRel, Acquire) {
        Ok(_) => get(),
        Err(_) => {
            // SAFETY: nobody saw the loser's mapping.
            unsafe { sys::unmap(fresh, len) };
            get()
        }
    }
}

impl Global {
    /// Current phase.
    #[inline(always)]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Acquire) {
            0 => Phase::None,
            1 => Phase::Starting,
            2 => Phase::Recording,
            4 => Phase::Suspended,
            _ => Phase::Dormant,
        }
    }

    /// For waiting until the phase changes.
    pub fn phase_word(&self) -> &AtomicU32 {
        &self.phase
    }

    /// Changes the phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Release);
    }

    /// Claims the start, or the going on; true for exactly one caller.
    pub fn claim_start(&self, from: Phase) -> bool {
        self.phase
            .compare_exchange(from as u32, Phase::Starting as u32, AcqRel, Acquire)
            .is_ok()
    }

    /// Forgets everything, as the kernel does in a fork child: the next event
    /// begins a new log. What was mapped stays mapped.
    pub fn reset(&'static self) {
        let this: *const Global = self;
        // SAFETY: all-zero bytes are a valid value; no other thread records (the
        // caller knows) and all fields are interior mutable.
        unsafe { core::ptr::write_bytes(this.cast_mut(), 0, 1) };
    }

    /// Ends recording for good and says why in the log.
    pub fn stop(&self, reason: log_format::layout::StopReason) {
        if let Some(header) = self.file.header()
            && self.phase() != Phase::Dormant
        {
            header.stop_reason.store(reason as u32, Relaxed);
            header
                .state
                .store(log_format::layout::State::Stopped as u32, Relaxed);
        }
        self.set_phase(Phase::Dormant);
        for state in crate::thread::all(self) {
            state.producer.close();
        }
    }
}
