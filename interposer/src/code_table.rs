//! What return addresses in code made at run time mean.
//!
//! A node of such a frame does not hold the address: isolates compile the same functions again
//! and again, each at addresses of its own, and V8 frees code without a word, so an address means
//! something else later. It holds the *code's number*: that of the node whose payload is a hash of
//! the name. Equal stacks of a thousand workers so are the same nodes.
//!
//! Addresses are looked up only where a node is needed, not on known steps or paths. No lookup takes a
//! lock; writers, which are the threads whose code it is, come one after the other.

use crate::stack_table::{StackTable, this_thread};
use crate::sys;
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use log_format::layout::node_kind;

/// log2 of the bytes that have one entry. Code begins at multiples of it in all versions of V8, so no entry
/// is two functions'.
const UNIT: u32 = 5;
/// log2 of the bytes of a page: V8's own.
const PAGE: u32 = 18;
/// Entries of a page.
const UNITS: usize = 1 << (PAGE - UNIT);
/// Pages of code at one time: 1 GiB.
const PAGES: usize = 4096;
/// Places that are tried for a page.
const TRIES: usize = 16;
/// Modules' code that the program has mapped once more.
const COPIES: usize = 64;
/// Looks for another writer's end before a wait: it has a few thousand words to write at most.
const SPINS: u32 = 1000;
/// Waits for it.
const MAX_WAITS: u32 = 100;
/// One of them, ns.
const WAIT_NS: u64 = 1_000_000;
/// Names that are told apart: some 100 MB of the log.
const MAX_NAMES: u32 = 1 << 20;
/// What stands for all later ones.
const LATER: &[u8] = b"(one of more than a million functions)";

/// See the module. All-zero bytes are an empty table.
pub struct CodeTable {
    /// Bounds of all that was ever put in: most addresses are outside.
    low: AtomicU64,
    high: AtomicU64,
    /// [`PAGES`] places, or null.
    places: AtomicPtr<Place>,
    /// The thread that writes, 0: none.
    writer: AtomicU32,
    /// That thread was waited for in vain.
    is_stuck: AtomicBool,
    /// Names so far.
    names: AtomicU32,
    copies: [Copy; COPIES],
}

/// Where a page of code is described.
struct Place {
    /// Number of the page + 1; 0: free.
    page: AtomicU64,
    /// The numbers of the code in it, by unit, 0: none. Kept when the place is free, for the next that needs
    /// one: all zeros.
    units: AtomicPtr<[AtomicU32; UNITS]>,
}

/// A range of a module's code at a second address.
struct Copy {
    start: AtomicU64,
    /// 0: there is none.
    end: AtomicU64,
    /// What to add to an address for that in the module.
    delta: AtomicU64,
}

/// What there was at some addresses before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing, or the same.
    Same,
    /// Other code.
    Other,
    /// There is no room to remember them.
    NoRoom,
}

impl CodeTable {
    /// Kind and payload of the node for a return address.
    #[inline(always)]
    pub fn meaning(&self, address: u64) -> (u32, u64) {
        if address <= self.low.load(Relaxed) || address > self.high.load(Acquire) {
            return (node_kind::NATIVE, address);
        }
        self.look_up(address)
    }

    #[inline(never)]
    fn look_up(&self, address: u64) -> (u32, u64) {
        let call = address - 1;
        match self.number(call) {
            0 => {}
            number => return (node_kind::CODE, u64::from(number)),
        }
        let module = self.copy(call).map(|copy| copy.delta.load(Relaxed));
        (node_kind::NATIVE, address.wrapping_add(module.unwrap_or(0)))
    }

    /// The number of the code at an address, 0 if there is none.
    pub fn number(&self, address: u64) -> u32 {
        let units = self.find(address >> PAGE).and_then(Place::units);
        units
            .and_then(|units| units.get(unit(address)))
            .map_or(0, |entry| entry.load(Relaxed))
    }

    /// Says that `len` bytes at `start` are the code with this number. Maps memory and sleeps for that only if it may.
    pub fn put(&self, start: u64, len: u64, number: u32, may_map: bool) -> Before {
        let Some(_turn) = self.turn(may_map) else {
            return Before::NoRoom;
        };
        let mut before = Before::Same;
        let end = start.saturating_add(len);
        let mut at = start;
        while at < end {
            let next = ((at >> PAGE) + 1) << PAGE;
            let Some(units) = self.make(at >> PAGE, may_map) else {
                return Before::NoRoom;
            };
            let (first, last) = (unit(at), unit(end.min(next) - 1));
            for entry in units.get(first..=last).unwrap_or(&[]) {
                let old = entry.load(Relaxed);
                if old != number {
                    entry.store(number, Relaxed);
                    if old != 0 {
                        before = Before::Other;
                    }
                }
            }
            at = next;
        }
        self.widen(start, end);
        before
    }

    /// Says that the module's code at `original` is at `start..end` too; false if there is no room
    /// for more of that.
    pub fn put_copy(&self, start: u64, end: u64, original: u64) -> bool {
        let free = self.copies.iter().find(|copy| {
            let mark = u64::MAX;
            copy.end.compare_exchange(0, mark, AcqRel, Relaxed).is_ok()
        });
        let Some(copy) = free else { return false };
        copy.delta.store(original.wrapping_sub(start), Relaxed);
        copy.start.store(start, Relaxed);
        copy.end.store(end, Release);
        self.widen(start, end);
        true
    }

    /// Whether an address is in such a copy.
    pub fn is_copied(&self, address: u64) -> bool {
        self.copy(address).is_some()
    }

    /// Forgets what was at `start..end`, which is being unmapped; the bounds of the code that was there.
    pub fn remove(&self, start: u64, end: u64, may_sleep: bool) -> Option<(u64, u64)> {
        if start >= self.high.load(Acquire) || end <= self.low.load(Relaxed) {
            return None;
        }
        for copy in &self.copies {
            let (from, to) = (copy.start.load(Relaxed), copy.end.load(Acquire));
            if to != 0 && from >= start && to <= end {
                copy.end.store(0, Release);
            }
        }
        // Without it nothing is lost but the room: a handler that has interrupted a writer, or one that does not
        // get on.
        let turn = self.turn(may_sleep);
        let mut bounds: Option<(u64, u64)> = None;
        // SAFETY: as in `find`.
        let places = unsafe { self.all() };
        let first = start >> PAGE;
        let last = end.saturating_sub(1) >> PAGE;
        let mut empty = |place: &Place, page: u64| {
            let (from, to) = ((page << PAGE).max(start), ((page + 1) << PAGE).min(end));
            let Some(units) = place.units() else { return };
            let mut any = false;
            for entry in units.get(unit(from)..=unit(to - 1)).unwrap_or(&[]) {
                if entry.load(Relaxed) != 0 {
                    any = true;
                    entry.store(0, Relaxed);
                }
            }
            if any {
                let (low, high) = bounds.unwrap_or((from, to));
                bounds = Some((low.min(from), high.max(to)));
            }
            let is_empty = || units.iter().all(|entry| entry.load(Relaxed) == 0);
            if any && turn.is_some() && is_empty() {
                place.page.store(0, Release);
            }
        };
        if last - first < PAGES as u64 / TRIES as u64 {
            for page in first..=last {
                if let Some(place) = self.find(page) {
                    empty(place, page);
                }
            }
        } else {
            for place in places {
                if let Some(page) = place.page.load(Acquire).checked_sub(1)
                    && (first..=last).contains(&page)
                {
                    empty(place, page);
                }
            }
        }
        bounds
    }

    fn copy(&self, address: u64) -> Option<&Copy> {
        self.copies.iter().find(|copy| {
            let end = copy.end.load(Acquire);
            address < end && end != u64::MAX && address >= copy.start.load(Relaxed)
        })
    }

    fn widen(&self, start: u64, end: u64) {
        // 0 stands for none.
        let low = |low: u64| (low == 0 || start < low).then_some(start);
        let _ = self.low.fetch_update(Relaxed, Relaxed, low);
        self.high.fetch_max(end, Release);
    }

    unsafe fn all(&self) -> &[Place] {
        let places = self.places.load(Acquire);
        if places.is_null() {
            return &[];
        }
        // SAFETY: a mapping of that size, never unmapped.
        unsafe { core::slice::from_raw_parts(places, PAGES) }
    }

    fn places(&self, page: u64) -> impl Iterator<Item = &Place> {
        let first = (page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        // SAFETY: see there.
        let all = unsafe { self.all() };
        (first..first + TRIES).filter_map(move |index| all.get(index % PAGES))
    }

    fn find(&self, page: u64) -> Option<&Place> {
        self.places(page)
            .find(|place| place.page.load(Acquire) == page + 1)
    }

    /// The entries of a page, which are made if need be. Only the writer does.
    fn make(&self, page: u64, may_map: bool) -> Option<&[AtomicU32; UNITS]> {
        if self.places.load(Acquire).is_null() {
            fresh(&self.places, PAGES * size_of::<Place>(), may_map)?;
        }
        if let Some(place) = self.find(page) {
            return place.units();
        }
        let is_free = |place: &&Place| place.page.load(Relaxed) == 0;
        let place = self.places(page).find(is_free)?;
        if place.units().is_none() {
            // SAFETY: see there.
            let mut all = unsafe { self.all() }.iter().filter(is_free);
            // Nobody looks anything up in a page that is unmapped.
            match all.find(|other| other.units().is_some()) {
                Some(other) => {
                    let units = other.units.swap(core::ptr::null_mut(), Relaxed);
                    place.units.store(units, Release);
                }
                None => fresh(&place.units, size_of::<[AtomicU32; UNITS]>(), may_map)?,
            }
        }
        place.page.store(page + 1, Release);
        place.units()
    }

    /// Waits until no other thread writes. `None`: it does not get on, or it is this thread itself, interrupted by
    /// the handler that asks.
    fn turn(&self, may_sleep: bool) -> Option<Turn<'_>> {
        let own = this_thread();
        // Once is enough to wait for one that never gets on.
        let waits = if self.is_stuck.load(Relaxed) || !may_sleep {
            0
        } else {
            MAX_WAITS
        };
        for wait in 0..=waits {
            for _ in 0..SPINS {
                match self.writer.compare_exchange(0, own, Acquire, Relaxed) {
                    Ok(_) => {
                        self.is_stuck.store(false, Relaxed);
                        return Some(Turn(&self.writer));
                    }
                    Err(other) if other == own => return None,
                    Err(_) => core::hint::spin_loop(),
                }
            }
            let writer = self.writer.load(Relaxed);
            if wait < waits && writer != 0 {
                sys::futex_wait(&self.writer, writer, WAIT_NS);
            }
        }
        self.is_stuck.store(true, Relaxed);
        None
    }

    /// The number of the code with this name, 0 if there is none to be had; to be said if it is new.
    pub fn number_of<'a>(&self, stacks: &StackTable, name: &'a [u8]) -> (u32, Option<&'a [u8]>) {
        let hash = |name: &[u8]| {
            name.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            })
        };
        let is_one_of_many = self.names.load(Relaxed) >= MAX_NAMES
            && !stacks.has(0, node_kind::CODE_NAME, hash(name));
        let name = if is_one_of_many { LATER } else { name };
        let known = stacks.count();
        let number = stacks.node(0, node_kind::CODE_NAME, hash(name));
        if number < known {
            return (number, None);
        }
        self.names.fetch_add(1, Relaxed);
        (number, Some(name))
    }
}

/// Gives the turn back when it is dropped.
struct Turn<'a>(&'a AtomicU32);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(0, Release);
    }
}

impl Place {
    fn units(&self) -> Option<&[AtomicU32; UNITS]> {
        // SAFETY: null or a mapping of that size, never unmapped.
        unsafe { self.units.load(Acquire).as_ref() }
    }
}

/// Sets a pointer that is null to a mapping of zeros.
fn fresh<T>(pointer: &AtomicPtr<T>, len: usize, may_map: bool) -> Option<()> {
    let fresh = may_map.then(|| sys::map_private(len)).flatten()?;
    if pointer
        .compare_exchange(core::ptr::null_mut(), fresh.cast(), AcqRel, Acquire)
        .is_err()
    {
        // SAFETY: nobody saw the loser's mapping.
        unsafe { sys::unmap(fresh, len) };
    }
    Some(())
}

fn unit(address: u64) -> usize {
    (address >> UNIT) as usize % UNITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Box<CodeTable> {
        // SAFETY: all-zero bytes are an empty table.
        unsafe { Box::new(core::mem::zeroed()) }
    }

    const CODE: u64 = 0x7f00_0000_0000;

    #[test]
    fn the_call_before_a_return_address_tells_the_code() {
        let table = table();
        assert_eq!(table.put(CODE, 100, 7, true), Before::Same);
        assert_eq!(table.meaning(CODE + 1), (node_kind::CODE, 7));
        assert_eq!(table.meaning(CODE + 100), (node_kind::CODE, 7));
        assert_eq!(table.meaning(CODE), (node_kind::NATIVE, CODE));
        assert_eq!(table.meaning(CODE + 200), (node_kind::NATIVE, CODE + 200));
        assert_eq!(table.meaning(5), (node_kind::NATIVE, 5));
    }

    #[test]
    fn code_that_is_replaced_is_said_and_told_again_is_not() {
        let table = table();
        // Over the end of a page.
        let start = CODE + (1 << PAGE) - 64;
        assert_eq!(table.put(start, 4096, 7, true), Before::Same);
        assert_eq!(table.put(start, 4096, 7, true), Before::Same);
        assert_eq!(table.number(start + 4095), 7);
        assert_eq!(table.put(start + 1024, 64, 8, true), Before::Other);
        assert_eq!(table.number(start + 1024), 8);
        assert_eq!(table.number(start + 1088), 7);
    }

    #[test]
    fn what_is_unmapped_means_nothing_and_its_room_is_used_again() {
        let table = table();
        // Far more pages than there is room for, but never many at one time.
        for round in 0..3 * PAGES as u64 {
            let start = CODE + (round << PAGE);
            assert_eq!(table.put(start, 64, 7, true), Before::Same, "{round}");
            let bounds = table.remove(start, start + (1 << PAGE), true);
            assert_eq!(bounds, Some((start, start + (1 << PAGE))));
            assert_eq!(table.number(start), 0);
        }
        assert_eq!(table.remove(CODE, CODE + (64 << PAGE), true), None);
        table.put(CODE, 64, 7, true);
        table.put(CODE + 4096, 64, 8, true);
        assert_eq!(
            table.remove(CODE + 4096, CODE + 8192, true),
            Some((CODE + 4096, CODE + 8192))
        );
        assert_eq!(table.number(CODE), 7);
        assert_eq!(table.number(CODE + 4096), 0);
        // As V8 gives back its whole reservation.
        assert_eq!(
            table.remove(CODE - (300 << PAGE), CODE + (300 << PAGE), true),
            Some((CODE, CODE + (1 << PAGE)))
        );
        assert_eq!(table.number(CODE), 0);
    }

    #[test]
    fn what_is_unmapped_in_parts_gives_its_room_back_too() {
        let table = table();
        for round in 0..3 * PAGES as u64 {
            let start = CODE + (round << PAGE) + 4096;
            assert_eq!(table.put(start, 64, 7, true), Before::Same, "{round}");
            table.put(start + 8192, 64, 8, true);
            table.remove(start, start + 4096, true);
            assert_eq!(table.number(start + 8192), 8);
            table.remove(start + 8192, start + 12288, true);
            assert_eq!(table.number(start + 8192), 0);
        }
        // SAFETY: as everywhere here.
        let places = unsafe { table.all() };
        assert!(
            places
                .iter()
                .filter(|place| place.units().is_some())
                .count()
                <= 2
        );
    }

    #[test]
    fn without_room_nothing_is_said() {
        let table = table();
        assert_eq!(table.put(CODE, 64, 7, false), Before::NoRoom);
        assert_eq!(table.meaning(CODE + 1), (node_kind::NATIVE, CODE + 1));
        for copy in 0..COPIES as u64 {
            assert!(table.put_copy(CODE + copy * 4096, CODE + copy * 4096 + 4096, 0x40_0000));
        }
        assert!(!table.put_copy(CODE - 4096, CODE, 0x40_0000));
    }

    #[test]
    fn an_address_in_a_copy_of_a_module_s_code_is_the_module_s() {
        let table = table();
        assert!(table.put_copy(CODE, CODE + 8192, 0x40_0000));
        assert_eq!(table.meaning(CODE + 5), (node_kind::NATIVE, 0x40_0005));
        assert_eq!(table.meaning(CODE + 8192), (node_kind::NATIVE, 0x40_2000));
        assert!(table.is_copied(CODE) && !table.is_copied(CODE + 8192));
        table.remove(CODE, CODE + 8192, true);
        assert_eq!(table.meaning(CODE + 5), (node_kind::NATIVE, CODE + 5));
    }
}
