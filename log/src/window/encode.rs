//! Windows to bytes, as the interposer writes them.

use super::{COLUMNS, Event, HAS_PTR, HAS_SERIAL, HAS_SIZE, HAS_STACK, Head, MAKES, Sum, Tail};
use crate::varint::Out;

/// Encodes one window. The caller gives the buffers; nothing is allocated.
#[derive(Debug)]
pub struct Encoder<'a> {
    columns: [Out<'a>; COLUMNS],
    events: u64,
    time: u64,
    shift: u8,
    ptr: u64,
    serial: u64,
}

impl<'a> Encoder<'a> {
    /// Begins the events of a window with the given head (its `start`,
    /// `time_shift` and `first_serial` count). Each column takes at most 10
    /// bytes an event.
    pub fn new(head: &Head, columns: [&'a mut [u8]; COLUMNS]) -> Encoder<'a> {
        Encoder {
            columns: columns.map(Out::new),
            events: 0,
            time: head.start >> head.time_shift,
            shift: head.time_shift,
            ptr: 0,
            serial: head.first_serial,
        }
    }

    /// Serial that the next block made gets.
    pub fn next_serial(&self) -> u64 {
        self.serial
    }

    /// Appends an event; `serial` of those that make a block is ignored.
    pub fn event(&mut self, event: &Event) {
        let [kinds, times, threads, ptrs, sizes, stacks, serials] = &mut self.columns;
        let kind = event.kind;
        kinds.byte(kind as u8);
        let time = event.time >> self.shift;
        times.int(time.wrapping_sub(self.time) as i64);
        self.time = time;
        threads.uint(u64::from(event.thread));
        if kind.is(HAS_PTR) {
            ptrs.int(event.ptr.wrapping_sub(self.ptr) as i64);
            self.ptr = event.ptr;
        }
        if kind.is(HAS_SIZE) {
            sizes.uint(event.size);
        }
        if kind.is(HAS_STACK) {
            stacks.uint(u64::from(event.stack));
        }
        if kind.is(HAS_SERIAL) {
            serials.uint(self.serial.wrapping_sub(event.serial));
        }
        if kind.is(MAKES) {
            self.serial += 1;
        }
        self.events += 1;
    }

    /// Writes the whole window to `out`. `sums` are in ascending order of stack.
    /// Returns its length, `None` if any buffer was too small.
    pub fn finish(
        self,
        head: &Head,
        tails: &[Tail],
        sums: impl Iterator<Item = Sum> + Clone,
        blobs: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let mut out = Out::new(out);
        encode_head(head, &mut out);
        out.uint(tails.len() as u64);
        for tail in tails {
            out.uint(u64::from(tail.ring));
            out.uint(tail.tail);
            out.uint(u64::from(tail.thread));
            out.uint(tail.last_alloc);
        }
        encode_sums(sums, &mut out);
        out.uint(self.events);
        for column in &self.columns {
            let len = column.finish()?;
            out.uint(len as u64);
            out.bytes(column.written());
        }
        out.bytes(blobs);
        out.finish()
    }
}

fn encode_head(head: &Head, out: &mut Out<'_>) {
    let t = &head.totals;
    out.byte(head.time_shift);
    out.byte(u8::from(head.ends_at_peak));
    for value in [
        head.start,
        head.end.wrapping_sub(head.start),
        head.first_serial,
        t.allocations,
        t.frees,
        t.reallocations,
        t.allocated_bytes,
        t.temporary,
        t.unmatched_frees,
        t.missed_frees,
        head.live_blocks,
        head.live_bytes,
        head.max_live_bytes,
    ] {
        out.uint(value);
    }
}

/// Sums as columns: stack deltas, allocations, reallocations, bytes, temporary,
/// then for each sum a byte with a bit per non-zero lifetime class and the counts.
fn encode_sums(sums: impl Iterator<Item = Sum> + Clone, out: &mut Out<'_>) {
    out.uint(sums.clone().count() as u64);
    let mut last = 0u32;
    for sum in sums.clone() {
        out.uint(u64::from(sum.stack.wrapping_sub(last)));
        last = sum.stack;
    }
    for field in [
        |s: &Sum| s.allocations,
        |s: &Sum| s.reallocations,
        |s: &Sum| s.bytes,
        |s: &Sum| s.temporary,
    ] {
        for sum in sums.clone() {
            out.uint(field(&sum));
        }
    }
    for sum in sums {
        let mut mask = 0u8;
        for (class, &count) in sum.lifetimes.iter().enumerate() {
            mask |= u8::from(count != 0) << class;
        }
        out.byte(mask);
        for &count in sum.lifetimes.iter().filter(|&&count| count != 0) {
            out.uint(u64::from(count));
        }
    }
}
