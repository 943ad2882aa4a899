//! What V8 tells of its code: names go into the log, once each, and the addresses into the table
//! of code ([`CodeTable`]), so that stacks hold the names' numbers.
//!
//! Code that ran before V8 was asked has nodes with addresses. For these, what is told of
//! existing code goes into the log with its range, and the range ends when the isolate's memory is
//! unmapped.

use super::api::{self, CodeEvent, Isolate, code_kind, event};
use super::isolate::State;
use super::optional::Optional;
use crate::code_table::Before;
use crate::global::{self, Global};
use crate::symbols::Name;
use crate::{modules, thread};
use core::sync::atomic::Ordering::*;
use log_format::blob::{self, BlobKind};
use log_format::varint::Out;

#[cfg(doc)]
use crate::code_table::CodeTable;

/// Longest name that is written, bytes; of a longer one the beginning and the end, where line and column stand.
const MAX_NAME: usize = 900;
const END: usize = 64;
const GAP: &[u8] = "…".as_bytes();

/// Functions for builtins of which an isolate has a copy of its own.
#[derive(Clone, Copy)]
pub struct Api {
    /// `internal::Isolate::embedded_blob_code`: where the isolate's are.
    own: unsafe extern "C" fn(*const Isolate) -> *const u8,
    /// `internal::Isolate::embedded_blob_code_size`.
    size: unsafe extern "C" fn(*const Isolate) -> u32,
    /// `internal::Isolate::CurrentEmbeddedBlobCode`: where the program's are.
    original: unsafe extern "C" fn() -> *const u8,
}

/// See [`Api`]. Later versions do not export them, and need none: see [`super::mapped_code`].
pub static API: Optional<Api, 3> = Optional::new(
    [
        Name::new("_ZNK2v88internal7Isolate18embedded_blob_codeEv"),
        Name::new("_ZNK2v88internal7Isolate23embedded_blob_code_sizeEv"),
        Name::new("_ZN2v88internal7Isolate23CurrentEmbeddedBlobCodeEv"),
    ],
    "",
);

/// Has V8 tell of an isolate's code, what there is and what it will make.
///
/// # Safety
/// At a safe point of this isolate, which is the thread's current one.
pub unsafe fn listen(global: &'static Global, api: &api::Api, state: &State) {
    // SAFETY: as below.
    unsafe { find_copy(global, state.isolate()) };
    state.tells_existing.store(true, Relaxed);
    // SAFETY: the caller's promise.
    unsafe { (api.set_code_handler)(state.isolate(), api::WITH_EXISTING_CODE, Some(on_event)) };
    state.tells_existing.store(false, Relaxed);
    // Known steps may hold nodes with addresses that have numbers now.
    crate::unwind::cache::forget_stacks(global);
}

/// An isolate whose code is far from the program's may have a copy of the builtins beside it, of which code
/// events do not tell: in Node 18 bytes, in later versions a mapping of the file, which is seen as it is made.
///
/// # Safety
/// On the isolate's thread.
unsafe fn find_copy(global: &Global, isolate: *const Isolate) {
    let Some(api) = API.get() else { return };
    // SAFETY: the caller's promise; the functions read words of the isolate and of static memory.
    let (own, size, original) = unsafe {
        (
            (api.own)(isolate) as u64,
            (api.size)(isolate),
            (api.original)() as u64,
        )
    };
    if own != original && own != 0 && original != 0 && !global.codes.is_copied(own) {
        let end = own.saturating_add(u64::from(size));
        global.codes.put_copy(own, end, original);
    }
}

/// What V8 calls.
///
/// # Safety
/// `told` is a valid event.
unsafe extern "C" fn on_event(told: *const CodeEvent) {
    // SAFETY: the caller's promise.
    let told = unsafe { &*told };
    if told.code_kind == code_kind::BYTECODE || !matches!(told.kind, event::ADDED | event::MOVED) {
        return;
    }
    let Some(global) = global::recording() else {
        return;
    };
    let len = told.len as u64;
    if told.kind == event::MOVED {
        let number = global.codes.number(told.start);
        put(global, told.name_or_start as u64, len, number);
        return;
    }
    // Builtins stand in a module, and have its symbols.
    let in_module =
        global.codes.is_copied(told.start) || modules::find_object(told.start).is_some();
    if len == 0 || told.name_or_start.is_null() || in_module {
        return;
    }
    // SAFETY: V8's string, which lives during the call.
    let name = unsafe { core::slice::from_raw_parts(told.name_or_start, told.name_len) };
    let (number, new) = number_here(global, name);
    if let Some(name) = new {
        let mut cut = [0; MAX_NAME];
        let name = in_short(name, &mut cut);
        say(BlobKind::CodeName, |out| {
            blob::CodeName { number, name }.encode(out)
        });
    }
    put(global, told.start, len, number);
    if is_existing(global) {
        say_range(global, told.start, len, number);
    }
}

/// The number of a name; none if this thread cannot say it: nobody else would.
fn number_here<'a>(global: &Global, name: &'a [u8]) -> (u32, Option<&'a [u8]>) {
    let thread = thread::ready();
    if thread.is_null() {
        return (0, None);
    }
    let number = global.codes.number_of(&global.stacks, name);
    thread::release_borrowed(thread);
    number
}

/// A name in [`MAX_NAME`] bytes.
fn in_short<'a>(name: &'a [u8], cut: &'a mut [u8; MAX_NAME]) -> &'a [u8] {
    if name.len() <= MAX_NAME {
        return name;
    }
    let (head, rest) = name.split_at(MAX_NAME - GAP.len() - END);
    let (_, tail) = rest.split_at(rest.len() - END);
    let bytes = head.iter().chain(GAP).chain(tail);
    for (to, byte) in cut.iter_mut().zip(bytes) {
        *to = *byte;
    }
    cut
}

fn put(global: &Global, start: u64, len: u64, number: u32) {
    let may_map = global.filtered.load(Relaxed) == 0;
    match global.codes.put(start, len, number, may_map) {
        Before::Same => {}
        Before::Other => crate::unwind::cache::forget_stacks(global),
        Before::NoRoom if !global.codes_left_out.swap(true, Relaxed) => {
            super::note(
                b"no room to remember where V8's code is: some JavaScript frames have no names",
            );
        }
        Before::NoRoom => {}
    }
}

/// Whether this thread's isolate tells what it had before it was asked.
fn is_existing(global: &Global) -> bool {
    let Some(api) = api::get() else { return false };
    // SAFETY: the function reads a thread-local variable.
    let isolate = unsafe { (api.current)() };
    let thread = thread::ready();
    if isolate.is_null() || thread.is_null() {
        return false;
    }
    // SAFETY: this thread's state.
    let serial = unsafe { (*thread).serial };
    let state = global.isolates.of(isolate, serial);
    thread::release_borrowed(thread);
    state.is_some_and(|state| state.tells_existing.load(Relaxed))
}

/// The program unmaps a range: what was code there means nothing any more.
pub fn unmapped(start: u64, len: u64) {
    let Some(global) = global::recording() else {
        return;
    };
    let end = start.saturating_add(len.next_multiple_of(4096));
    let may_sleep = global.filtered.load(Relaxed) == 0;
    let Some((low, high)) = global.codes.remove(start, end, may_sleep) else {
        return;
    };
    // All of it, which a runtime's workers have again and again.
    global.stacks.forget(start, end);
    crate::unwind::cache::forget_stacks(global);
    say_range(global, low, high - low, 0);
}

/// Has the reader know what an address means in nodes that hold it.
fn say_range(global: &Global, start: u64, len: u64, number: u32) {
    say(BlobKind::CodeRange, |out| {
        blob::CodeRange {
            start,
            len,
            first_node: global.stacks.count().max(1),
            number,
        }
        .encode(out)
    });
}

/// Writes a blob of a code event into this thread's ring.
fn say(kind: BlobKind, encode: impl FnOnce(&mut Out<'_>)) {
    let mut buf = [0u8; MAX_NAME + 64];
    let mut out = Out::new(&mut buf);
    encode(&mut out);
    super::say(kind, &out);
}
