//! Bytes to windows. The bytes may be anything.

use super::{
    COLUMNS, Event, EventKind, HAS_PTR, HAS_SERIAL, HAS_SIZE, HAS_STACK, Head, MAKES, Sum, Tail,
    Totals,
};
use crate::varint::In;

/// A window, decoded far enough to be read; events are decoded one by one.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    /// The head.
    pub head: Head,
    rest: In<'a>,
}

/// Reads a window's head; the parts must then be taken in order:
/// [`Decoder::tails`], [`Decoder::sums`], [`Decoder::events`].
pub fn decode(payload: &[u8]) -> Option<Decoder<'_>> {
    let mut input = In::new(payload);
    let time_shift = input.byte()?;
    let ends_at_peak = input.byte()? & 1 != 0;
    if time_shift > 40 {
        return None;
    }
    let start = input.uint()?;
    let end = start.wrapping_add(input.uint()?);
    let first_serial = input.uint()?;
    let totals = Totals {
        allocations: input.uint()?,
        frees: input.uint()?,
        reallocations: input.uint()?,
        allocated_bytes: input.uint()?,
        temporary: input.uint()?,
        unmatched_frees: input.uint()?,
        missed_frees: input.uint()?,
    };
    let head = Head {
        start,
        end,
        time_shift,
        ends_at_peak,
        first_serial,
        totals,
        live_blocks: input.uint()?,
        live_bytes: input.uint()?,
        max_live_bytes: input.uint()?,
    };
    Some(Decoder { head, rest: input })
}

impl<'a> Decoder<'a> {
    /// Calls `each` for every ring's tail.
    pub fn tails(&mut self, mut each: impl FnMut(Tail)) -> Option<()> {
        for _ in 0..self.rest.uint()? {
            each(Tail {
                ring: self.rest.u32()?,
                tail: self.rest.uint()?,
                thread: self.rest.u32()?,
                last_alloc: self.rest.uint()?,
            });
        }
        Some(())
    }

    /// The sums, through `make_room(count)` that gives the place to put them;
    /// it may refuse a count it finds absurd.
    pub fn sums<'s>(
        &mut self,
        make_room: impl FnOnce(usize) -> Option<&'s mut [Sum]>,
    ) -> Option<()> {
        let count = usize::try_from(self.rest.uint()?).ok()?;
        // Six bytes a sum at least: a count beyond that is damage.
        if count > self.rest.rest().len() / 6 {
            return None;
        }
        let sums = make_room(count)?;
        let input = &mut self.rest;
        let mut stack = 0u32;
        for sum in sums.iter_mut() {
            stack = stack.wrapping_add(input.u32()?);
            sum.stack = stack;
        }
        for sum in sums.iter_mut() {
            sum.allocations = input.uint()?;
        }
        for sum in sums.iter_mut() {
            sum.reallocations = input.uint()?;
        }
        for sum in sums.iter_mut() {
            sum.bytes = input.uint()?;
        }
        for sum in sums.iter_mut() {
            sum.temporary = input.uint()?;
        }
        for sum in sums.iter_mut() {
            let mask = input.byte()?;
            for (class, slot) in sum.lifetimes.iter_mut().enumerate() {
                *slot = if mask >> class & 1 != 0 {
                    input.u32()?
                } else {
                    0
                };
            }
        }
        Some(())
    }

    /// The events; afterwards [`Events::blobs`].
    pub fn events(mut self) -> Option<Events<'a>> {
        let count = self.rest.uint()?;
        let mut columns = [In::new(&[]); COLUMNS];
        for column in &mut columns {
            let len = usize::try_from(self.rest.uint()?).ok()?;
            *column = In::new(self.rest.bytes(len)?);
        }
        Some(Events {
            columns,
            left: count,
            time: self.head.start >> self.head.time_shift,
            shift: self.head.time_shift,
            ptr: 0,
            serial: self.head.first_serial,
            blobs: self.rest,
            damaged: false,
        })
    }
}

/// Iterator over a window's events.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    columns: [In<'a>; COLUMNS],
    left: u64,
    time: u64,
    shift: u8,
    ptr: u64,
    serial: u64,
    blobs: In<'a>,
    damaged: bool,
}

impl<'a> Events<'a> {
    /// Whether the iteration ended before the announced number of events.
    pub fn damaged(&self) -> bool {
        self.damaged
    }

    /// The blobs of the window.
    pub fn blobs(&self) -> impl Iterator<Item = crate::blob::Blob<'a>> + use<'a> {
        let mut input = self.blobs;
        core::iter::from_fn(move || crate::blob::Blob::decode(&mut input))
    }

    #[inline]
    fn take(&mut self) -> Option<Event> {
        let [kinds, times, threads, ptrs, sizes, stacks, serials] = &mut self.columns;
        let kind = EventKind::from_raw(kinds.byte()?)?;
        self.time = self.time.wrapping_add(times.int()? as u64);
        let mut event = Event {
            kind,
            thread: threads.u32()?,
            stack: 0,
            time: self.time << self.shift,
            ptr: 0,
            size: 0,
            serial: 0,
        };
        if kind.is(HAS_PTR) {
            self.ptr = self.ptr.wrapping_add(ptrs.int()? as u64);
            event.ptr = self.ptr;
        }
        if kind.is(HAS_SIZE) {
            event.size = sizes.uint()?;
        }
        if kind.is(HAS_STACK) {
            event.stack = stacks.u32()?;
        }
        if kind.is(HAS_SERIAL) {
            event.serial = self.serial.wrapping_sub(serials.uint()?);
        }
        if kind.is(MAKES) {
            event.serial = self.serial;
            self.serial = self.serial.wrapping_add(1);
        }
        Some(event)
    }
}

impl Iterator for Events<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let event = self.take();
        if event.is_none() {
            self.left = 0;
            self.damaged = true;
        }
        event
    }
}
