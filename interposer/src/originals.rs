//! The functions behind the hooks: the next ones in the program's search order,
//! so that the user's allocator stays the allocator.
//!
//! Resolved once, all together. Whoever allocates meanwhile gets memory of the
//! bootstrap arena.

use crate::modules::DlFindObject;
use crate::symbols::{self, Definition, Name, Place};
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};

/// Address of an original; null: there is none.
pub type Slot = AtomicPtr<c_void>;

/// 0: not begun, 1: some thread is at it, 2: done, 3: there is no allocator to be found,
/// and [`resolved`] stays false.
static RESOLVED: AtomicU32 = AtomicU32::new(0);
/// See [`other_malloc_first`].
static OTHER_FIRST: AtomicBool = AtomicBool::new(false);

macro_rules! originals {
    ($( $slot:ident = $name:literal ),* $(,)?) => {
        $( #[doc = concat!("`", $name, "`")] pub static $slot: Slot = Slot::new(core::ptr::null_mut()); )*
        const COUNT: usize = [$( $name ),*].len();
        static SLOTS: [&Slot; COUNT] = [$( &$slot ),*];
        static NAMES: [Name; COUNT] = [$( Name::new($name) ),*];
    };
}

// The table of hooks: name of the original, and in `hooks/` what stands before it.
originals! {
    MALLOC = "malloc", CALLOC = "calloc", REALLOC = "realloc", FREE = "free",
    REALLOCARRAY = "reallocarray", POSIX_MEMALIGN = "posix_memalign",
    ALIGNED_ALLOC = "aligned_alloc", MEMALIGN = "memalign", VALLOC = "valloc", PVALLOC = "pvalloc",
    MALLOC_USABLE_SIZE = "malloc_usable_size", MALLINFO = "mallinfo2",
    FREE_SIZED = "free_sized", FREE_ALIGNED_SIZED = "free_aligned_sized", CFREE = "cfree",
    NEW = "_Znwm", NEW_NOTHROW = "_ZnwmRKSt9nothrow_t",
    NEW_ARRAY = "_Znam", NEW_ARRAY_NOTHROW = "_ZnamRKSt9nothrow_t",
    NEW_ALIGNED = "_ZnwmSt11align_val_t", NEW_ALIGNED_NOTHROW = "_ZnwmSt11align_val_tRKSt9nothrow_t",
    NEW_ARRAY_ALIGNED = "_ZnamSt11align_val_t",
    NEW_ARRAY_ALIGNED_NOTHROW = "_ZnamSt11align_val_tRKSt9nothrow_t",
    DELETE = "_ZdlPv", DELETE_ARRAY = "_ZdaPv", DELETE_SIZED = "_ZdlPvm", DELETE_ARRAY_SIZED = "_ZdaPvm",
    DELETE_NOTHROW = "_ZdlPvRKSt9nothrow_t", DELETE_ARRAY_NOTHROW = "_ZdaPvRKSt9nothrow_t",
    DELETE_ALIGNED = "_ZdlPvSt11align_val_t", DELETE_ARRAY_ALIGNED = "_ZdaPvSt11align_val_t",
    DELETE_SIZED_ALIGNED = "_ZdlPvmSt11align_val_t", DELETE_ARRAY_SIZED_ALIGNED = "_ZdaPvmSt11align_val_t",
    DELETE_ALIGNED_NOTHROW = "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    DELETE_ARRAY_ALIGNED_NOTHROW = "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    MMAP = "mmap", MUNMAP = "munmap", MREMAP = "mremap", SBRK = "sbrk", BRK = "brk",
    DLOPEN = "dlopen", DLMOPEN = "dlmopen", DLCLOSE = "dlclose",
    PTHREAD_CREATE = "pthread_create", PTHREAD_SETNAME = "pthread_setname_np",
    FORK = "fork", FORK_NOW = "_Fork",
    EXECVE = "execve", EXECV = "execv", EXECVP = "execvp", EXECVPE = "execvpe",
    FEXECVE = "fexecve", EXECVEAT = "execveat",
    EXIT_NOW = "_exit", EXIT_NOW_C99 = "_Exit",
    REGISTER_FRAME = "__register_frame", DEREGISTER_FRAME = "__deregister_frame",
    EXIT = "exit", QUICK_EXIT = "quick_exit", PRCTL = "prctl", SYSCALL = "syscall",
    START_MAIN = "__libc_start_main", GETCWD = "getcwd", GETEGID = "getegid",
    EPOLL_WAIT = "epoll_wait", EPOLL_PWAIT = "epoll_pwait",
    FIND_OBJECT = "_dl_find_object", CPUID_LEAF = "__x86_get_cpuid_feature_leaf",
    LSAN_DISABLE = "__lsan_disable", LSAN_ENABLE = "__lsan_enable", LSAN_IGNORE = "__lsan_ignore_object",
    LSAN_REGISTER = "__lsan_register_root_region", LSAN_UNREGISTER = "__lsan_unregister_root_region",
    LSAN_CHECK = "__lsan_do_leak_check", LSAN_CHECK_RECOVERABLE = "__lsan_do_recoverable_leak_check",
}

/// The forms of operator new.
pub static NEWS: [&Slot; 8] = [
    &NEW,
    &NEW_NOTHROW,
    &NEW_ARRAY,
    &NEW_ARRAY_NOTHROW,
    &NEW_ALIGNED,
    &NEW_ALIGNED_NOTHROW,
    &NEW_ARRAY_ALIGNED,
    &NEW_ARRAY_ALIGNED_NOTHROW,
];

/// The forms of operator delete.
pub static DELETES: [&Slot; 12] = [
    &DELETE,
    &DELETE_ARRAY,
    &DELETE_SIZED,
    &DELETE_ARRAY_SIZED,
    &DELETE_NOTHROW,
    &DELETE_ARRAY_NOTHROW,
    &DELETE_ALIGNED,
    &DELETE_ARRAY_ALIGNED,
    &DELETE_SIZED_ALIGNED,
    &DELETE_ARRAY_SIZED_ALIGNED,
    &DELETE_ALIGNED_NOTHROW,
    &DELETE_ARRAY_ALIGNED_NOTHROW,
];

/// Resolves all originals; false while another thread (or this one, further out)
/// is at it.
#[inline(always)]
pub fn resolved() -> bool {
    RESOLVED.load(Acquire) == 2 || resolve()
}

#[cold]
#[inline(never)]
fn resolve() -> bool {
    if RESOLVED.compare_exchange(0, 1, AcqRel, Acquire).is_err() {
        return RESOLVED.load(Acquire) == 2;
    }
    let mut found = [None; COUNT];
    let mut other_first = false;
    let malloc = const { Name::new("malloc") };
    symbols::walk(|module| match module.place {
        Place::Before => other_first |= module.find(&malloc).is_some(),
        Place::Behind => symbols::first(&mut found, NAMES.iter(), module),
    });
    store(&found);
    if !complete() {
        // libc itself stands before us. Then hardly a hook is reached, but what we call
        // must be there.
        symbols::walk(|module| symbols::first(&mut found, NAMES.iter(), module));
        store(&found);
    }
    OTHER_FIRST.store(other_first, Relaxed);
    RESOLVED.store(if complete() { 2 } else { 3 }, Release);
    complete()
}

fn store(found: &[Option<Definition>; COUNT]) {
    for (slot, definition) in SLOTS.iter().zip(found) {
        if let Some(definition) = definition {
            slot.store(definition.function(), Relaxed);
        }
    }
}

/// Whether the functions are there that the hooks call without looking.
fn complete() -> bool {
    [&MALLOC, &CALLOC, &REALLOC, &FREE, &POSIX_MEMALIGN]
        .iter()
        .all(|slot| !slot.load(Relaxed).is_null())
}

/// Whether a module before this library defines malloc, so that calls go there and
/// reach a hook only if it passes them on.
pub fn other_malloc_first() -> bool {
    OTHER_FIRST.load(Relaxed)
}

/// `_dl_find_object`, if libc has it.
pub fn dl_find_object() -> Option<unsafe extern "C" fn(*mut u8, *mut DlFindObject) -> i32> {
    let found = FIND_OBJECT.load(Relaxed);
    // SAFETY: the function has this type since glibc 2.35.
    (!found.is_null()).then(|| unsafe { core::mem::transmute(found) })
}

/// `__x86_get_cpuid_feature_leaf`, if libc has it: what libc knows of a leaf, as
/// eax, ebx, ecx, edx.
pub fn cpuid_leaf() -> Option<unsafe extern "C" fn(u32) -> *const [u32; 4]> {
    let found = CPUID_LEAF.load(Relaxed);
    // SAFETY: the function has this type since glibc 2.33.
    (!found.is_null()).then(|| unsafe { core::mem::transmute(found) })
}

/// Calls an original: `call!(SLOT as fn(args…) -> ret, args…)`; the caller has
/// checked that it is there.
#[macro_export]
macro_rules! call {
    ($slot:ident as fn($($arg:ty),*) -> $ret:ty, $($value:expr),*) => {{
        let function = $crate::originals::$slot.load(core::sync::atomic::Ordering::Relaxed);
        core::mem::transmute::<*mut core::ffi::c_void, unsafe extern "C" fn($($arg),*) -> $ret>(function)($($value),*)
    }};
}

/// Whether the originals in two slots stand in one module.
pub fn same_module(a: &Slot, b: &Slot) -> bool {
    let find = |slot: &Slot| {
        crate::modules::find_object(slot.load(Relaxed) as u64).map(|object| object.identity())
    };
    matches!((find(a), find(b)), (Some(x), Some(y)) if x == y)
}
