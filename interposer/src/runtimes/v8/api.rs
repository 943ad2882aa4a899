//! V8's interface, by the names that the program exports. Layouts are those of `v8-*.h`, equal
//! in Node 18 to 26.

use crate::symbols::{self, Name};
use core::ffi::{c_char, c_void};
use core::sync::atomic::{AtomicU32, Ordering::*};

/// `v8::Isolate`, opaque.
pub enum Isolate {}

/// `kJitCodeEventEnumExisting`.
pub const WITH_EXISTING_CODE: i32 = 1;

/// `v8::JitCodeEvent`.
#[repr(C)]
pub struct CodeEvent {
    /// [`event`].
    pub kind: i32,
    /// [`code_kind`].
    pub code_kind: i32,
    /// First byte of the code.
    pub start: u64,
    /// Bytes.
    pub len: usize,
    script: *const c_void,
    user_data: *const c_void,
    wasm_source: *const c_void,
    /// Added: the name; moved: the new start.
    pub name_or_start: *const u8,
    /// Bytes of the name.
    pub name_len: usize,
}

/// Values of [`CodeEvent::kind`]; those not listed are of no interest.
pub mod event {
    /// There is new code.
    pub const ADDED: i32 = 0;
    /// Code is elsewhere now.
    pub const MOVED: i32 = 1;
}

/// Values of [`CodeEvent::code_kind`].
pub mod code_kind {
    /// Not machine code, but an array in the heap.
    pub const BYTECODE: i32 = 0;
}

/// `v8::RegisterState`, with room to spare.
#[repr(C)]
pub struct Registers {
    pc: usize,
    sp: usize,
    fp: usize,
    rest: [usize; 13],
}

impl Registers {
    /// A place in code without JavaScript frames that must be found.
    pub fn at(pc: usize, sp: usize) -> Registers {
        Registers {
            pc,
            sp,
            fp: sp,
            rest: [0; 13],
        }
    }
}

/// `v8::SampleInfo`, with room to spare.
#[repr(C)]
#[derive(Default)]
pub struct Sample {
    frames: usize,
    external_callback: usize,
    context: usize,
    embedder_context: usize,
    /// `StateTag`; the high half of the word is something else since Node 20.
    pub state: u16,
    rest: [u16; 3],
    spare: [usize; 11],
}

type CodeHandler = unsafe extern "C" fn(*const CodeEvent);

/// The functions that are used.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::TryGetCurrent`.
    pub current: unsafe extern "C" fn() -> *mut Isolate,
    /// `Isolate::InContext`.
    pub in_context: unsafe extern "C" fn(*mut Isolate) -> bool,
    /// `Isolate::GetStackSample`.
    pub stack_sample:
        unsafe extern "C" fn(*mut Isolate, *const Registers, *mut usize, usize, *mut Sample),
    /// `Isolate::SetJitCodeEventHandler`.
    pub set_code_handler: unsafe extern "C" fn(*mut Isolate, i32, Option<CodeHandler>),
    /// `V8::SetFlagsFromString`.
    pub set_flags: unsafe extern "C" fn(*const c_char),
    /// `V8::GetVersion`.
    pub version: unsafe extern "C" fn() -> *const c_char,
}

const NAMES: [Name; 6] = [
    Name::new("_ZN2v87Isolate13TryGetCurrentEv"),
    Name::new("_ZN2v87Isolate9InContextEv"),
    Name::new("_ZN2v87Isolate14GetStackSampleERKNS_13RegisterStateEPPvmPNS_10SampleInfoE"),
    Name::new(
        "_ZN2v87Isolate22SetJitCodeEventHandlerENS_19JitCodeEventOptionsEPFvPKNS_12JitCodeEventEE",
    ),
    Name::new("_ZN2v82V818SetFlagsFromStringEPKc"),
    Name::new("_ZN2v82V810GetVersionEv"),
];

/// 1: in [`FOUND`].
static STATE: AtomicU32 = AtomicU32::new(0);
static FOUND: Found = Found(core::cell::UnsafeCell::new(None));

struct Found(core::cell::UnsafeCell<Option<Api>>);

// SAFETY: written once, before the program's main function, and read after `STATE` says so.
unsafe impl Sync for Found {}

/// How much of [`Api`] the program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// No V8.
    None,
    /// V8, but another version's interface.
    Part,
    /// All.
    Whole,
}

/// Looks V8 up.
///
/// # Safety
/// Called once, while the process has one thread.
pub unsafe fn find() -> Presence {
    let found = symbols::find(NAMES, |_| true);
    if found.iter().any(|address| address.is_null()) {
        return if found.iter().all(|address| address.is_null()) {
            Presence::None
        } else {
            Presence::Part
        };
    }
    // SAFETY: functions of these types, as their names say; pointers and functions have one
    // size and `Api` is nothing but functions.
    unsafe {
        *FOUND.0.get() = Some(core::mem::transmute_copy::<[*mut c_void; NAMES.len()], Api>(&found));
    }
    STATE.store(1, Release);
    Presence::Whole
}

const _: () = assert!(size_of::<Api>() == NAMES.len() * size_of::<usize>());

/// V8's functions, if the program has them.
#[inline(always)]
pub fn get() -> Option<&'static Api> {
    if STATE.load(Acquire) == 0 {
        return None;
    }
    // SAFETY: written before the state.
    unsafe { (*FOUND.0.get()).as_ref() }
}
