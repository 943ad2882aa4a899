//! Windows: a stretch of the merged event stream, with the pairs that were born
//! and died inside it summed per stack and the survivors one by one.
//!
//! A block of kind [`crate::block::BlockKind::Window`] decodes to
//!
//! ```text
//! head | tails | sums (columns) | events (columns) | blobs
//! ```
//!
//! All numbers are LEB128; columns carry their length in bytes first. Columns
//! rather than rows, because equal fields side by side compress.
//!
//! **Serials.** Every block that outlives its window gets the next serial
//! number, in the order of its event; a later event names it by that. So a
//! `free` costs one or two bytes, and a reader needs no map by address.

mod decode;
mod encode;

pub use decode::{Decoder, Events, decode};
pub use encode::Encoder;

/// Lifetime classes in [`Sum::lifetimes`].
pub const LIFETIMES: usize = 8;

/// Class of a lifetime: bucket `k` holds lifetimes below `4^(k + 6)` ticks, the
/// last all longer ones (at 2 GHz: 2 µs, 8 µs, 33 µs … 34 ms).
#[inline(always)]
pub fn lifetime_class(ticks: u64) -> usize {
    let bits = 64 - (ticks | 1).leading_zeros() as usize;
    (bits.saturating_sub(11) / 2).min(LIFETIMES - 1)
}

/// What happened in a window, cancelled pairs included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blocks made by anything but a reallocation of an existing block.
    pub allocations: u64,
    /// Blocks freed (not: given to a reallocation).
    pub frees: u64,
    /// Successful reallocations of existing blocks.
    pub reallocations: u64,
    /// Bytes asked for by both.
    pub allocated_bytes: u64,
    /// Blocks freed before their thread's next allocation.
    pub temporary: u64,
    /// Frees of addresses that no recorded block had.
    pub unmatched_frees: u64,
    /// Blocks whose free was not seen: their address was handed out again.
    pub missed_frees: u64,
}

/// Begins a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Event clock at the first event.
    pub start: u64,
    /// Event clock at the last event.
    pub end: u64,
    /// Event times are stored in units of `2^time_shift` ticks.
    pub time_shift: u8,
    /// The live bytes at the window's end are a new peak of the heap.
    pub ends_at_peak: bool,
    /// Serial of the first surviving block made here.
    pub first_serial: u64,
    /// Sums over the window.
    pub totals: Totals,
    /// Live blocks at the end.
    pub live_blocks: u64,
    /// Live bytes at the end.
    pub live_bytes: u64,
    /// Most live bytes at any moment inside.
    pub max_live_bytes: u64,
}

/// How far a ring is consumed after this window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Ring id.
    pub ring: u32,
    /// Position.
    pub tail: u64,
    /// Serial of the thread that owned the ring there.
    pub thread: u32,
    /// Address of the block that this thread made last, while it is neither freed
    /// nor reallocated; else 0.
    pub last_alloc: u64,
}

/// The blocks of one stack that were born and died inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Node id.
    pub stack: u32,
    /// Blocks made by an allocation.
    pub allocations: u64,
    /// Blocks made by a reallocation.
    pub reallocations: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Those freed before their thread's next allocation.
    pub temporary: u64,
    /// Blocks by [`lifetime_class`].
    pub lifetimes: [u32; LIFETIMES],
}

/// What an [`Event`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A block was made and outlived the window. Fields: ptr, size, stack.
    Alloc = 0,
    /// As `Alloc`, by a reallocation of an existing block.
    ReallocAlloc = 1,
    /// A block from an earlier window was freed. Field: serial.
    Free = 2,
    /// As `Free`, before its thread's next allocation.
    FreeTemporary = 3,
    /// The window ends while this block is given to a reallocation: it counts as
    /// gone. Field: serial. If neither `ReleaseDone` nor `Revive` follows
    /// before the log ends, the program ended inside the call and the block lives.
    Release = 4,
    /// The reallocation that released this block failed: it lives again. Field: serial.
    Revive = 5,
    /// A block's address was handed out again without a free. Field: serial.
    MissedFree = 6,
    /// A free of an address that no block has. Field: ptr.
    UnmatchedFree = 7,
    /// A mapping was made. Fields: ptr, size, stack.
    Map = 8,
    /// Addresses were unmapped. Fields: ptr, size. Size 0: the last one of this
    /// thread, which had this address, failed.
    Unmap = 9,
    /// A block from an earlier window was given to a reallocation that succeeded:
    /// it is gone (also if [`EventKind::Release`] said so before). Field: serial.
    ReleaseDone = 10,
}

/// Has ptr.
const HAS_PTR: u16 = 1 << 0 | 1 << 1 | 1 << 7 | 1 << 8 | 1 << 9;
/// Has size.
const HAS_SIZE: u16 = 1 << 0 | 1 << 1 | 1 << 8 | 1 << 9;
/// Has stack.
const HAS_STACK: u16 = 1 << 0 | 1 << 1 | 1 << 8;
/// Has serial.
const HAS_SERIAL: u16 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10;
/// Makes a block and so takes the next serial.
const MAKES: u16 = 1 << 0 | 1 << 1;

impl EventKind {
    /// The kind for its stored number.
    pub fn from_raw(raw: u8) -> Option<EventKind> {
        use EventKind::*;
        Some(match raw {
            0 => Alloc,
            1 => ReallocAlloc,
            2 => Free,
            3 => FreeTemporary,
            4 => Release,
            5 => Revive,
            6 => MissedFree,
            7 => UnmatchedFree,
            8 => Map,
            9 => Unmap,
            10 => ReleaseDone,
            _ => return None,
        })
    }

    fn is(self, set: u16) -> bool {
        set >> (self as u8) & 1 != 0
    }
}

/// One event of the stream. Which fields count depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// Serial of the thread.
    pub thread: u32,
    /// Node id.
    pub stack: u32,
    /// Event clock, ticks, rounded down to the window's unit.
    pub time: u64,
    /// Address.
    pub ptr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Serial of the block; for those that make a block, its own.
    pub serial: u64,
}

/// Columns of the events.
pub const COLUMNS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn event() -> impl Strategy<Value = Event> {
        (
            0u8..=10,
            any::<u32>(),
            any::<u32>(),
            0u64..1 << 40,
            any::<u64>(),
            any::<u64>(),
            any::<u32>(),
        )
            .prop_map(|(kind, thread, stack, time, ptr, size, serial)| Event {
                kind: EventKind::from_raw(kind).unwrap(),
                thread,
                stack,
                time,
                ptr,
                size,
                serial: u64::from(serial),
            })
    }

    fn sum() -> impl Strategy<Value = Sum> {
        (
            any::<u32>(),
            any::<u64>(),
            any::<u32>(),
            any::<[u32; LIFETIMES]>(),
        )
            .prop_map(|(stack, bytes, allocations, lifetimes)| Sum {
                stack,
                allocations: u64::from(allocations),
                reallocations: 3,
                bytes,
                temporary: 1,
                lifetimes,
            })
    }

    proptest! {
        #[test]
        fn a_window_comes_back_as_it_was(events in prop::collection::vec(event(), 0..200),
                                         mut sums in prop::collection::vec(sum(), 0..50),
                                         live in any::<u64>()) {
            sums.sort_by_key(|s| s.stack);
            let head = Head { start: 77, end: 99, time_shift: 4, ends_at_peak: true,
                first_serial: 1 << 33, live_bytes: live, ..Head::default() };
            let tails = [Tail { ring: 3, tail: 1 << 40, thread: 9, last_alloc: 5 }];
            let mut columns: Vec<Vec<u8>> = vec![vec![0; 10 * 200]; COLUMNS];
            let mut iter = columns.iter_mut();
            let columns = core::array::from_fn(|_| &mut iter.next().unwrap()[..]);
            let mut encoder = Encoder::new(&head, columns);
            let mut expected = Vec::new();
            for event in &events {
                let mut e = *event;
                e.time &= !15;
                if !e.kind.is(HAS_PTR) { e.ptr = 0; }
                if !e.kind.is(HAS_SIZE) { e.size = 0; }
                if !e.kind.is(HAS_STACK) { e.stack = 0; }
                if !e.kind.is(HAS_SERIAL) { e.serial = 0; }
                if e.kind.is(MAKES) { e.serial = encoder.next_serial(); }
                expected.push(e);
                encoder.event(event);
            }
            let mut out = vec![0; 1 << 16];
            let len = encoder.finish(&head, &tails, sums.iter().copied(), b"", &mut out).unwrap();
            let mut decoder = decode(&out[..len]).unwrap();
            prop_assert_eq!(decoder.head, head);
            let mut got = Vec::new();
            decoder.tails(|t| got.push(t)).unwrap();
            prop_assert_eq!(&got[..], &tails[..]);
            let mut got_sums = Vec::new();
            decoder.sums(|n| { got_sums.resize(n, Sum::default()); Some(&mut got_sums[..]) }).unwrap();
            prop_assert_eq!(got_sums, sums);
            let got: Vec<Event> = decoder.events().unwrap().collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn any_bytes_are_decoded_without_panic(bytes: Vec<u8>) {
            if let Some(mut decoder) = decode(&bytes) {
                let mut sums = Vec::new();
                if decoder.tails(|_| ()).is_some()
                    && decoder.sums(|n| { sums.resize(n, Sum::default()); Some(&mut sums[..]) }).is_some()
                    && let Some(events) = decoder.events()
                {
                    for blob in events.blobs().take(100) { let _ = blob; }
                    events.for_each(drop);
                }
            }
        }
    }
}
