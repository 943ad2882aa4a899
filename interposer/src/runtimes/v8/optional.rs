//! Functions of V8 and Node that one subject needs and that a version may lack: then only that
//! subject is off, and the loss account says so.

use crate::symbols::{self, Definition, Module, Name};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::{size_of, transmute_copy};
use core::sync::atomic::{AtomicBool, Ordering::*};

/// A subject's functions: `T` is a structure of `N` function pointers, in the order of the names.
pub struct Optional<T, const N: usize> {
    names: [Name; N],
    lack: &'static [u8],
    definitions: UnsafeCell<[Option<Definition>; N]>,
    functions: UnsafeCell<Option<T>>,
    /// `functions` is set.
    known: AtomicBool,
}

// SAFETY: written before the program's main function by its only thread; `functions` is read
// after `known` says so.
unsafe impl<T: Copy + Send + Sync, const N: usize> Sync for Optional<T, N> {}

/// A subject, whatever its functions are.
pub trait Subject: Sync {
    /// Looks in a module for what has not been found yet.
    fn look(&self, module: &Module);
    /// After all modules: whether the subject has all its functions.
    fn settle(&self) -> bool;
    /// What to tell the reader if it has not; empty: another one may do as well.
    fn lack(&self) -> &'static [u8];
}

impl<T: Copy, const N: usize> Optional<T, N> {
    /// A subject with the line that says what is missing without it.
    pub const fn new(names: [Name; N], lack: &'static str) -> Optional<T, N> {
        assert!(size_of::<T>() == N * size_of::<usize>());
        Optional {
            names,
            lack: lack.as_bytes(),
            definitions: UnsafeCell::new([None; N]),
            functions: UnsafeCell::new(None),
            known: AtomicBool::new(false),
        }
    }

    /// The functions, if all are there.
    #[inline]
    pub fn get(&'static self) -> Option<&'static T> {
        if !self.known.load(Acquire) {
            return None;
        }
        // SAFETY: written before `known`, and not again.
        unsafe { (*self.functions.get()).as_ref() }
    }
}

impl<T: Copy + Send + Sync, const N: usize> Subject for Optional<T, N> {
    fn look(&self, module: &Module) {
        // SAFETY: only one thread, and only `find` calls this.
        let definitions = unsafe { &mut *self.definitions.get() };
        symbols::first(definitions, self.names.iter(), module);
    }

    fn settle(&self) -> bool {
        // SAFETY: as in `look`.
        let definitions = unsafe { *self.definitions.get() };
        if definitions.iter().any(Option::is_none) {
            return false;
        }
        let addresses: [*mut c_void; N] =
            definitions.map(|found| found.map_or(core::ptr::null_mut(), Definition::function));
        // SAFETY: functions of these types, as their names say; `T` is nothing but `N` of them.
        unsafe {
            *self.functions.get() = Some(transmute_copy::<[*mut c_void; N], T>(&addresses));
        }
        self.known.store(true, Release);
        true
    }

    fn lack(&self) -> &'static [u8] {
        self.lack
    }
}

/// Looks all subjects up in one walk over the modules.
///
/// # Safety
/// Called once, while the process has one thread.
pub unsafe fn find(subjects: &[&dyn Subject]) {
    symbols::walk(|module| {
        for subject in subjects {
            subject.look(module);
        }
    });
    for subject in subjects {
        if !subject.settle() && !subject.lack().is_empty() {
            super::note(subject.lack());
        }
    }
}
