//! The recorder's tables of stacks and of code by themselves: their own tests, run on memory instead of a log's file.
//! (The recorder's library has no tests inside: its `malloc` would be the test runner's.)

#![allow(dead_code, reason = "the recorder uses all of it")]

use std::collections::HashSet;

#[path = "../../interposer/src/code_table.rs"]
mod code_table;
#[path = "../../interposer/src/stack_table.rs"]
mod stack_table;

/// What the tables need of the recorder.
mod arch {
    pub mod tls {
        pub fn own_address() -> usize {
            thread_local!(static OWN: u64 = const { 0 });
            OWN.with(|own| std::ptr::from_ref(own) as usize)
        }
    }
}

mod collect {
    pub mod file {
        use crate::sys::{self, Fd};
        use log_format::layout::{ExtentKind, PAGE, StopReason};

        pub struct LogFile;

        impl LogFile {
            pub fn header(&self) -> Option<&'static log_format::layout::Header> {
                None
            }

            pub fn reserve_first(&self) -> Result<(), StopReason> {
                Ok(())
            }

            pub unsafe fn extend(
                &self,
                _: ExtentKind,
                _: u32,
                len: u64,
                at: *mut u8,
            ) -> Result<*mut u8, StopReason> {
                // SAFETY: by the caller's promise.
                unsafe { sys::replace_by_private(at, (len - PAGE) as usize) }
                    .map_err(|_| StopReason::NoSpace)?;
                Ok(at)
            }

            pub unsafe fn extend_first(
                &self,
                _: Fd,
                kind: ExtentKind,
                len: u64,
                _: u64,
                at: *mut u8,
            ) -> Result<*mut u8, StopReason> {
                // SAFETY: by the caller's promise.
                unsafe { self.extend(kind, 0, len, at) }
            }
        }
    }
}

mod global {
    use crate::collect::file::LogFile;
    use log_format::layout::StopReason;
    use std::sync::atomic::AtomicU32;

    pub struct Global {
        pub file: LogFile,
        pub filtered: AtomicU32,
    }

    impl Global {
        pub fn stop(&self, reason: StopReason) {
            panic!("recording stops: {reason:?}");
        }
    }

    pub fn get() -> Option<&'static Global> {
        static GLOBAL: Global = Global {
            file: LogFile,
            filtered: AtomicU32::new(0),
        };
        Some(&GLOBAL)
    }
}

mod sys {
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[derive(Debug, Clone, Copy)]
    pub struct Fd(pub i32);
    #[derive(Debug)]
    pub struct Errno;

    fn map(at: *mut u8, len: usize, flags: i32) -> Option<*mut u8> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags;
        // SAFETY: a fresh mapping, or over one of the table's own.
        let got = unsafe { libc::mmap(at.cast(), len, access, flags, -1, 0) };
        (got != libc::MAP_FAILED).then_some(got.cast())
    }

    pub fn map_private(len: usize) -> Option<*mut u8> {
        map(null_mut(), len, 0)
    }

    pub fn map_touched(len: usize) -> Option<*mut u8> {
        map_private(len)
    }

    pub fn reserve(len: usize) -> Option<*mut u8> {
        map_private(len)
    }

    pub unsafe fn replace_by_private(at: *mut u8, len: usize) -> Result<(), Errno> {
        map(at, len, libc::MAP_FIXED).map(|_| ()).ok_or(Errno)
    }

    pub unsafe fn unmap(at: *mut u8, len: usize) {
        // SAFETY: by the caller's promise.
        unsafe { libc::munmap(at.cast(), len) };
    }

    /// Waits a little, if need be: nobody has to be woken.
    pub fn futex_wait(word: &AtomicU32, seen: u32, _: u64) {
        if word.load(Relaxed) == seen {
            std::thread::yield_now();
        }
    }

    pub fn futex_wake(_: &AtomicU32) {}
}

/// An empty table of stacks, which stays.
fn stacks() -> &'static stack_table::StackTable {
    // SAFETY: all-zero bytes are an empty table.
    let table: Box<stack_table::StackTable> = unsafe { Box::new(core::mem::zeroed()) };
    table
        .init(&collect::file::LogFile, sys::Fd(-1), false)
        .expect("memory");
    Box::leak(table)
}

/// Threads go through the same names together, so that two often make one at the same moment, while the table doubles.
#[test]
fn each_number_of_a_name_was_said_by_the_thread_that_made_it() {
    for _ in 0..30 {
        names_of_several_threads();
    }
}

fn names_of_several_threads() {
    const NAMES: u32 = 9_000;
    let stacks = stacks();
    // SAFETY: all-zero bytes are an empty table.
    let codes: Box<code_table::CodeTable> = unsafe { Box::new(core::mem::zeroed()) };
    let work = || {
        let (mut used, mut said) = (HashSet::new(), HashSet::new());
        for name in 0..NAMES {
            let text = format!("function {name}");
            let (number, new) = codes.number_of(stacks, text.as_bytes());
            assert_ne!(number, 0);
            used.insert((name, number));
            if let Some(words) = new {
                assert_eq!(words, text.as_bytes());
                said.insert((name, number));
            }
        }
        (used, said)
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|done| done.expect("a thread")).collect()
    });
    let said: HashSet<(u32, u32)> = all.iter().flat_map(|(_, said)| said).copied().collect();
    for (used, _) in &all {
        let unsaid: Vec<_> = used.difference(&said).collect();
        assert!(unsaid.is_empty(), "{unsaid:?}");
    }
}

#[test]
fn a_node_that_was_given_out_stays_what_it_is() {
    const NODES: u64 = 200_000;
    let stacks = stacks();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let made: Vec<u32> = (0..NODES)
                    .map(|payload| stacks.node(0, 1, payload))
                    .collect();
                for (payload, &id) in (0..NODES).zip(&made) {
                    let node = stacks.nodes()[id as usize];
                    assert_eq!((node.parent, node.kind, node.payload), (0, 1, payload));
                }
            });
        }
    });
}
