//! Samples of the process's memory: payload of [`crate::blob::BlobKind::Memory`]; and the
//! allocator's own account: [`Account`].
//!
//! ```text
//! flags | resident | virtual | when bit 0: swapped, count, mappings …, then per class: count, resident
//! mapping: class | start − end of the one before | length | resident
//! ```
//! All numbers are LEB128. Mappings ascend; those without resident pages are left
//! out. Where there are too many to be listed, the rest stands summed by class.

use crate::varint::{In, Out};

/// The sample lists mappings.
const LISTED: u64 = 1;
/// The sample was taken as the program ended, after its last event.
const AT_END: u64 = 2;

/// What a mapping is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Private memory without a file.
    Anonymous = 0,
    /// The program break's: `[heap]`.
    Break = 1,
    /// The stack of a thread.
    Stack = 2,
    /// A file's, private or shared.
    File = 3,
    /// Shared memory: `memfd`, `shm`, shared anonymous.
    Shared = 4,
    /// The recorder's own: the log, its tables, its code.
    Recorder = 5,
    /// Anything else, such as the kernel's own pages.
    Other = 6,
}

/// Number of classes.
pub const CLASSES: usize = 7;

impl Class {
    /// The class for its stored number; unknown ones are [`Class::Other`].
    pub fn from_raw(raw: u8) -> Class {
        match raw {
            0 => Class::Anonymous,
            1 => Class::Break,
            2 => Class::Stack,
            3 => Class::File,
            4 => Class::Shared,
            5 => Class::Recorder,
            _ => Class::Other,
        }
    }
}

/// A mapping with resident pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What it is.
    pub class: Class,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Bytes of it that are in memory.
    pub resident: u64,
}

/// Begins a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Bytes in memory.
    pub resident: u64,
    /// Bytes of address space.
    pub virtual_size: u64,
    /// Whether it was taken as the program ended, after its last event.
    pub at_end: bool,
}

/// A sample, decoded.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The head.
    pub head: Head,
    /// Bytes swapped out; `None` if the sample has the head only.
    pub swapped: Option<u64>,
    count: u64,
    rest: In<'a>,
}

impl Head {
    /// Appends a sample that is only this.
    pub fn encode(&self, out: &mut Out<'_>) {
        self.begin(0, out);
    }

    /// Appends a sample that lists mappings: `mappings` are `count` encoded by
    /// [`Mapping::encode`]; `rest` are number and resident bytes of those that are
    /// not among them, by class.
    pub fn encode_listed(
        &self,
        swapped: u64,
        count: u64,
        mappings: &[u8],
        rest: &[(u64, u64); CLASSES],
        out: &mut Out<'_>,
    ) {
        self.begin(LISTED, out);
        out.uint(swapped);
        out.uint(count);
        out.bytes(mappings);
        for (number, resident) in rest {
            out.uint(*number);
            out.uint(*resident);
        }
    }

    fn begin(&self, flags: u64, out: &mut Out<'_>) {
        out.uint(flags | if self.at_end { AT_END } else { 0 });
        out.uint(self.resident);
        out.uint(self.virtual_size);
    }
}

impl Mapping {
    /// Appends a mapping; `end` is the end of the one before.
    pub fn encode(&self, end: u64, out: &mut Out<'_>) {
        out.byte(self.class as u8);
        out.uint(self.start.wrapping_sub(end));
        out.uint(self.len);
        out.uint(self.resident);
    }
}

impl<'a> Sample<'a> {
    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Sample<'a>> {
        let mut input = In::new(payload);
        let flags = input.uint()?;
        let head = Head {
            resident: input.uint()?,
            virtual_size: input.uint()?,
            at_end: flags & AT_END != 0,
        };
        let (swapped, count) = match flags & LISTED {
            0 => (None, 0),
            _ => (Some(input.uint()?), input.uint()?),
        };
        Some(Sample {
            head,
            swapped,
            count,
            rest: input,
        })
    }

    /// Calls `each` for the mappings, and returns number and resident bytes, by
    /// class, of those that are not listed. `None` if the payload ends early.
    pub fn mappings(mut self, mut each: impl FnMut(Mapping)) -> Option<[(u64, u64); CLASSES]> {
        let mut end = 0u64;
        for _ in 0..self.count {
            let mapping = Mapping {
                class: Class::from_raw(self.rest.byte()?),
                start: end.wrapping_add(self.rest.uint()?),
                len: self.rest.uint()?,
                resident: self.rest.uint()?,
            };
            end = mapping.start.wrapping_add(mapping.len);
            each(mapping);
        }
        let mut rest = [(0, 0); CLASSES];
        if self.swapped.is_some() {
            for (number, resident) in &mut rest {
                (*number, *resident) = (self.rest.uint()?, self.rest.uint()?);
            }
        }
        Some(rest)
    }
}

/// What the allocator says of itself (`mallinfo2`): payload of [`crate::blob::BlobKind::Allocator`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Bytes of its arenas.
    pub arenas: u64,
    /// Of these, in use.
    pub used: u64,
    /// Of these, free.
    pub free: u64,
    /// Of the free ones, at the top, where they could be given back.
    pub top: u64,
    /// Bytes that it has mapped for large blocks.
    pub mapped: u64,
}

impl Account {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        for field in [self.arenas, self.used, self.free, self.top, self.mapped] {
            out.uint(field);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<Account> {
        let mut input = In::new(payload);
        Some(Account {
            arenas: input.uint()?,
            used: input.uint()?,
            free: input.uint()?,
            top: input.uint()?,
            mapped: input.uint()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn listed(mappings: &[Mapping]) -> Vec<u8> {
        let (mut inner, mut outer) = ([0u8; 256], [0u8; 512]);
        let mut list = Out::new(&mut inner);
        let mut end = 0;
        for mapping in mappings {
            mapping.encode(end, &mut list);
            end = mapping.start + mapping.len;
        }
        let head = Head {
            resident: 70_000,
            virtual_size: 1 << 40,
            at_end: true,
        };
        let mut out = Out::new(&mut outer);
        let rest = core::array::from_fn(|class| (class as u64, 4096 * class as u64));
        head.encode_listed(5, mappings.len() as u64, list.written(), &rest, &mut out);
        out.written().to_vec()
    }

    #[test]
    fn a_sample_comes_back_as_it_was() {
        let mapping = |class, start, resident| Mapping {
            class,
            start,
            len: 8192,
            resident,
        };
        let given = [
            mapping(Class::File, 0x40_0000, 4096),
            mapping(Class::Stack, 0x7fff_ffff_0000, 8192),
        ];
        let payload = listed(&given);
        let sample = Sample::decode(&payload).unwrap();
        assert_eq!(
            (sample.swapped, sample.head.resident, sample.head.at_end),
            (Some(5), 70_000, true)
        );
        let mut found = Vec::new();
        let rest = sample.mappings(|mapping| found.push(mapping)).unwrap();
        assert_eq!(found, given);
        assert_eq!(rest[3], (3, 3 * 4096));
        for len in 0..payload.len() {
            let cut = Sample::decode(&payload[..len]).and_then(|sample| sample.mappings(|_| {}));
            assert_eq!(cut, None, "{len}");
        }
    }

    #[test]
    fn a_short_sample_has_no_mappings() {
        let mut buffer = [0u8; 32];
        let mut out = Out::new(&mut buffer);
        let head = Head {
            resident: 4096,
            virtual_size: 8192,
            at_end: false,
        };
        head.encode(&mut out);
        let sample = Sample::decode(out.written()).unwrap();
        assert_eq!((sample.head, sample.swapped), (head, None));
        assert_eq!(sample.mappings(|_| {}), Some([(0, 0); CLASSES]));
    }
}
