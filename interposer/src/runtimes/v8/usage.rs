//! Memory usage of an isolate over time, and its collections.
//!
//! **Bounded.** A usage is written every 100 ms at first, and half as often each time that
//! [`PER_ROUND`] have been written: a run of a day leaves some 6,000. The first [`ALL_TOLD`]
//! collections are written each; then only the longest small and the last full one between two
//! usages. Usages count all of them.

use super::api::Isolate;
use super::isolate::State as IsolateState;
use super::optional::Optional;
use super::{array_buffers, say};
use crate::arch::clock;
use crate::global::Global;
use crate::memory;
use crate::symbols::Name;
use core::ffi::c_char;
use core::sync::atomic::Ordering::Relaxed;
use log_format::blob::BlobKind;
use log_format::js::{
    COLLECTIONS, Collection, Collections, Heap, MAX_SPACES, Space, Usage, collection,
};
use log_format::varint::Out;

/// First time between two usages, ns.
const INTERVAL: u64 = 100_000_000;
/// After so many the time doubles.
const PER_ROUND: u32 = 600;
/// See the module.
const ALL_TOLD: u32 = 1000;

/// `v8::HeapStatistics`, with room to spare.
#[repr(C)]
#[derive(Default)]
struct Statistics {
    total: usize,
    executable: usize,
    physical: usize,
    available: usize,
    used: usize,
    limit: usize,
    malloced: usize,
    external: usize,
    peak_malloced: usize,
    zaps_garbage: bool,
    contexts: usize,
    detached_contexts: usize,
    spare: [usize; 20],
}

/// `v8::HeapSpaceStatistics`, with room to spare.
#[repr(C)]
struct SpaceStatistics {
    name: *const c_char,
    size: usize,
    used: usize,
    spare: [usize; 8],
}

/// Functions for it.
#[derive(Clone, Copy)]
pub struct Api {
    /// `Isolate::GetHeapStatistics`.
    heap: unsafe extern "C" fn(*mut Isolate, *mut Statistics),
    /// `Isolate::NumberOfHeapSpaces`.
    spaces: unsafe extern "C" fn(*mut Isolate) -> usize,
    /// `Isolate::GetHeapSpaceStatistics`.
    space: unsafe extern "C" fn(*mut Isolate, *mut SpaceStatistics, usize) -> bool,
}

/// See [`Api`].
pub static API: Optional<Api, 3> = Optional::new(
    [
        Name::new("_ZN2v87Isolate17GetHeapStatisticsEPNS_14HeapStatisticsE"),
        Name::new("_ZN2v87Isolate18NumberOfHeapSpacesEv"),
        Name::new("_ZN2v87Isolate22GetHeapSpaceStatisticsEPNS_19HeapSpaceStatisticsEm"),
    ],
    "V8 in this program does not tell its memory usage: the JavaScript heap has no figures",
);

/// What an isolate's thread remembers.
pub struct State {
    /// The heap's limit and spaces have been told.
    told: bool,
    /// Usages written.
    count: u32,
    /// Time between two, ns.
    interval: u64,
    /// Of all collections so far.
    collections: [Collections; COLLECTIONS],
    /// Collections that go on, by kind: event clock, `CLOCK_MONOTONIC` ns, bytes used.
    begun: [(u64, u64, u64); COLLECTIONS],
    /// Collections written.
    told_collections: u32,
    /// Collections that may be written with the next usage: a small and a full one.
    held: [Option<Collection>; 2],
    /// Bytes used after the last full collection.
    after_full: u64,
    /// Bytes of array buffers.
    array_buffers: array_buffers::Counter,
}

impl State {
    /// For a new isolate.
    pub fn begin(&mut self) {
        *self = State {
            told: false,
            count: 0,
            interval: INTERVAL,
            collections: [Collections::default(); COLLECTIONS],
            begun: [(0, 0, 0); COLLECTIONS],
            told_collections: 0,
            held: [None; 2],
            after_full: 0,
            array_buffers: array_buffers::Counter::UNKNOWN,
        };
    }

    /// Full collections so far.
    pub fn full_collections(&self) -> u64 {
        self.collections
            .get(usize::from(collection::FULL))
            .map_or(0, |sum| sum.count)
    }

    /// Bytes used after the last one.
    pub fn after_full(&self) -> u64 {
        self.after_full
    }
}

/// What the isolate's thread remembers.
#[expect(
    clippy::mut_from_ref,
    reason = "only the isolate's thread calls this, and never within itself"
)]
fn own(state: &IsolateState) -> &mut State {
    // SAFETY: see the expectation: V8 calls on that thread, and no function here calls V8 while
    // it holds this, but such that call nobody.
    unsafe { &mut *state.usage.get() }
}

fn statistics(api: &Api, state: &IsolateState) -> Statistics {
    let mut found = Statistics::default();
    // SAFETY: the isolate's thread; the structure is larger than V8's.
    unsafe { (api.heap)(state.isolate(), &mut found) };
    found
}

/// Bytes that objects take now, those that are not collected yet included; 0 if not known.
pub fn used(state: &IsolateState) -> u64 {
    API.get()
        .map_or(0, |api| statistics(api, state).used as u64)
}

/// Writes a usage; returns when the next one may be written, `CLOCK_MONOTONIC` ns.
pub fn sample(global: &'static Global, state: &'static IsolateState, now: u64) -> u64 {
    let Some(api) = API.get() else {
        return u64::MAX;
    };
    write(global, api, state, false);
    let own = own(state);
    own.count = own.count.saturating_add(1);
    if own.count.is_multiple_of(PER_ROUND) {
        own.interval = own.interval.saturating_mul(2);
    }
    now.saturating_add(own.interval)
}

/// Writes the last usage.
pub fn at_end(global: &'static Global, state: &'static IsolateState) {
    if let Some(api) = API.get() {
        write(global, api, state, true);
    }
}

fn write(global: &'static Global, api: &Api, state: &IsolateState, at_end: bool) {
    let found = statistics(api, state);
    let mut usage = Usage {
        heap_total: found.total as u64,
        heap_used: found.used as u64,
        external: found.external as u64,
        malloced: found.malloced as u64,
        contexts: found.contexts as u64,
        detached_contexts: found.detached_contexts as u64,
        at_end,
        ..Usage::default()
    };
    if global.filtered.load(Relaxed) == 0 {
        usage.rss = memory::head().map(|head| head.resident);
    }
    let mut names: [&[u8]; MAX_SPACES] = [&[]; MAX_SPACES];
    // SAFETY: the isolate's thread.
    usage.space_count = unsafe { (api.spaces)(state.isolate()) }.min(MAX_SPACES);
    let spaces = usage.spaces.iter_mut().zip(&mut names);
    for (number, (space, name)) in spaces.enumerate().take(usage.space_count) {
        let mut found = SpaceStatistics {
            name: core::ptr::null(),
            size: 0,
            used: 0,
            spare: [0; 8],
        };
        // SAFETY: as above; names are constants of V8's.
        unsafe {
            (api.space)(state.isolate(), &mut found, number);
            *name = crate::modules::c_bytes(found.name);
        }
        *space = Space {
            size: found.size as u64,
            used: found.used as u64,
        };
    }
    let own = own(state);
    usage.collections = own.collections;
    usage.array_buffers = own.array_buffers.read(state);
    let mut buf = [0u8; 1024];
    if !own.told {
        own.told = true;
        let names = names.get(..usage.space_count).unwrap_or(&[]);
        let mut out = Out::new(&mut buf);
        let exact = super::main::is_exact();
        Heap::encode(found.limit as u64, names.iter().copied(), exact, &mut out);
        say(BlobKind::JsHeap, &out);
    }
    for held in &mut own.held {
        if let Some(collection) = held.take() {
            tell(&collection);
        }
    }
    let mut out = Out::new(&mut buf);
    usage.encode(&mut out);
    say(BlobKind::JsUsage, &out);
}

fn tell(collection: &Collection) {
    let mut buf = [0u8; 64];
    let mut out = Out::new(&mut buf);
    collection.encode(&mut out);
    say(BlobKind::JsCollection, &out);
}

/// Before a collection; `kind` is a bit of `GCType`.
pub fn collection_begins(state: &IsolateState, kind: i32) {
    let used = used(state);
    if let Some(begun) = own(state).begun.get_mut(kind.trailing_zeros() as usize) {
        *begun = (clock::early(), clock::clock_ns(libc::CLOCK_MONOTONIC), used);
    }
}

/// After a collection.
pub fn collection_ends(state: &IsolateState, kind: i32) {
    let now = clock::clock_ns(libc::CLOCK_MONOTONIC);
    let after = used(state);
    let own = own(state);
    let number = kind.trailing_zeros() as usize;
    let (Some(begun), Some(sum)) = (own.begun.get_mut(number), own.collections.get_mut(number))
    else {
        return;
    };
    let (start, began, before) = core::mem::take(begun);
    if start == 0 {
        return;
    }
    let done = Collection {
        kind: number as u8,
        start,
        pause_ns: now.saturating_sub(began),
        before,
        after,
    };
    sum.count += 1;
    sum.pause_ns = sum.pause_ns.saturating_add(done.pause_ns);
    let full = done.kind == collection::FULL;
    if full {
        own.after_full = after;
    }
    if !full && done.kind != collection::SCAVENGE && done.kind != collection::MINOR {
        return;
    }
    if own.told_collections < ALL_TOLD {
        own.told_collections += 1;
        tell(&done);
    } else if let Some(held) = own.held.get_mut(usize::from(full))
        && held.is_none_or(|known| full || known.pause_ns < done.pause_ns)
    {
        *held = Some(done);
    }
}
