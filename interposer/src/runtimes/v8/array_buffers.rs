//! Bytes of an isolate's array buffers, exactly, as Node itself counts them.
//!
//! Node's allocator of array buffers keeps the sum that `process.memoryUsage().arrayBuffers`
//! shows, but no function that is exported tells it. Where it stands in the allocator is found
//! by trying: a buffer is allocated and freed through the allocator's own functions, and the one
//! word of it that grows and shrinks by just that many bytes is the sum. If another thread
//! allocates meanwhile the words do not agree, and the next time is tried again.

use super::api::Isolate;
use super::isolate::State;
use super::optional::Optional;
use crate::originals;
use crate::symbols::Name;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Functions for it.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::GetArrayBufferAllocator`.
    allocator: unsafe extern "C" fn(*mut Isolate) -> *mut Allocator,
}

/// See [`Api`].
pub static API: Optional<Api, 1> = Optional::new(
    [Name::new("_ZN2v87Isolate23GetArrayBufferAllocatorEv")],
    "V8 in this program does not tell its allocator of array buffers: they have no figure of their own",
);

/// `v8::ArrayBuffer::Allocator`.
#[repr(C)]
struct Allocator {
    functions: *const Functions,
}

/// The beginning of its virtual functions.
#[repr(C)]
struct Functions {
    destructors: [*const c_void; 2],
    allocate: *const c_void,
    /// `AllocateUninitialized`.
    allocate_raw: unsafe extern "C" fn(*mut Allocator, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut Allocator, *mut c_void, usize),
}

/// Words of the allocator that are looked at, at most.
const WORDS: usize = 8;
/// Bytes that no sum is by chance.
const TRIAL: usize = 12_347;
/// So often it is tried.
const TRIES: u8 = 20;

/// Where the sum of an isolate is.
#[derive(Clone, Copy)]
pub struct Counter {
    word: *const AtomicU64,
    tried: u8,
}

impl Counter {
    /// Not looked for yet.
    pub const UNKNOWN: Counter = Counter {
        word: core::ptr::null(),
        tried: 0,
    };

    /// The sum now, bytes; `None` if it is not known.
    pub fn read(&mut self, state: &State) -> Option<u64> {
        if self.word.is_null() && self.tried < TRIES {
            self.tried += 1;
            // SAFETY: the isolate's thread.
            self.word = unsafe { find(state.isolate()) }.unwrap_or(core::ptr::null());
        }
        // SAFETY: a word of the allocator, which lives as long as its isolate.
        unsafe { self.word.as_ref() }.map(|word| word.load(Relaxed))
    }
}

/// # Safety
/// On the isolate's thread.
unsafe fn find(isolate: *mut Isolate) -> Option<*const AtomicU64> {
    let api = API.get()?;
    // SAFETY: the caller's promise; the words are within the allocator's block.
    unsafe {
        let allocator = (api.allocator)(isolate);
        let functions = allocator.as_ref()?.functions.as_ref()?;
        let first = allocator.cast::<AtomicU64>().cast_const();
        // Not a block of malloc: part of something else, of unknown size.
        let count = (size_of_block(allocator.cast())? / 8).min(WORDS);
        let words = || {
            core::array::from_fn::<u64, WORDS, _>(|n| {
                if n < count {
                    (*first.add(n)).load(Relaxed)
                } else {
                    0
                }
            })
        };
        let before = words();
        let block = (functions.allocate_raw)(allocator, TRIAL);
        if block.is_null() {
            return None;
        }
        let between = words();
        (functions.free)(allocator, block, TRIAL);
        let after = words();
        let mut found = None;
        for (n, ((before, between), after)) in before.iter().zip(between).zip(after).enumerate() {
            if between.wrapping_sub(*before) == TRIAL as u64 && after == *before {
                if found.is_some() {
                    return None;
                }
                found = Some(first.add(n));
            }
        }
        found
    }
}

/// Bytes of a block of the program's allocator.
unsafe fn size_of_block(block: *mut c_void) -> Option<usize> {
    let original = originals::MALLOC_USABLE_SIZE.load(Relaxed);
    if original.is_null() {
        return None;
    }
    // SAFETY: of this type; Node allocates its allocators by `new`.
    let size = unsafe {
        core::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> usize>(original)(
            block,
        )
    };
    (size >= size_of::<usize>()).then_some(size)
}
