//! Blobs of the checks: leak checks that the program asked for, frees that are wrong.

#[cfg(doc)]
use super::BlobKind;
use crate::reach::Outcome;
use crate::varint::{In, Out};

/// Payload of [`BlobKind::RootRegion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRegion {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Whether it is one from now on, or no longer.
    pub begins: bool,
}

impl RootRegion {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.start);
        out.uint(self.len);
        out.byte(u8::from(self.begins));
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<RootRegion> {
        let mut input = In::new(payload);
        Some(RootRegion {
            start: input.uint()?,
            len: input.uint()?,
            begins: input.byte()? != 0,
        })
    }
}

/// Payload of [`BlobKind::LeakCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakCheck {
    /// Stack of the call.
    pub stack: u32,
    /// Blocks that were lost then, and those that only they pointed to, without what is set
    /// aside; `None`: nobody looked.
    pub lost: Option<u64>,
    /// Bytes of them.
    pub bytes: u64,
    /// Blocks that were lost too, but are ignored or suppressed.
    pub set_aside: u64,
    /// How the search went; why there is no answer if there is none.
    pub outcome: Outcome,
    /// The program asked for the check that comes instead of the one at its end.
    pub last: bool,
}

impl LeakCheck {
    /// Appends the stack, the number of lost blocks plus one or 0, their bytes, the blocks that
    /// are set aside (uints), the outcome and whether it is the last one (bytes).
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(u64::from(self.stack));
        out.uint(self.lost.map_or(0, |lost| lost.saturating_add(1)));
        out.uint(self.bytes);
        out.uint(self.set_aside);
        out.byte(self.outcome as u8);
        out.byte(u8::from(self.last));
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<LeakCheck> {
        let mut input = In::new(payload);
        Some(LeakCheck {
            stack: input.u32()?,
            lost: input.uint()?.checked_sub(1),
            // Earlier recorders' end here, and never have an answer.
            bytes: input.uint().unwrap_or(0),
            set_aside: input.uint().unwrap_or(0),
            outcome: input.byte().map_or(Outcome::Off, Outcome::from_raw),
            last: input.byte().unwrap_or(0) != 0,
        })
    }
}

/// What is wrong with a free: [`BadFree::what`].
pub mod bad_free {
    /// The block was freed before and not allocated again.
    pub const DOUBLE: u8 = 1;
    /// The function is of another family than the one that made the block.
    pub const FAMILY: u8 = 2;
    /// The size is not the block's.
    pub const SIZE: u8 = 3;
    /// No block is known at the address. It may be one from before the check began;
    /// only if the drain knows none either is this free wrong.
    pub const UNKNOWN: u8 = 4;
}

/// Families of functions that make and free blocks: [`BadFree::made_by`].
pub mod family {
    /// Not known.
    pub const UNKNOWN: u8 = 0;
    /// malloc and its kin, free.
    pub const MALLOC: u8 = 1;
    /// operator new, operator delete.
    pub const NEW: u8 = 2;
    /// operator new[], operator delete[].
    pub const NEW_ARRAY: u8 = 3;
}

/// Payload of [`BlobKind::BadFree`]. Stacks are node ids, 0 if not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadFree {
    /// [`bad_free`].
    pub what: u8,
    /// [`family`] of the function that made the block.
    pub made_by: u8,
    /// [`family`] of the function that was called to free it.
    pub freed_by: u8,
    /// Address.
    pub ptr: u64,
    /// Bytes asked for when it was made.
    pub size: u64,
    /// Size given to the free, plus one; 0: none.
    pub given: u64,
    /// Where it was made.
    pub made: u32,
    /// Where it was freed before.
    pub freed: u32,
    /// Where this free is.
    pub here: u32,
}

impl BadFree {
    /// Appends the fields in order: three bytes, then uints.
    pub fn encode(&self, out: &mut Out<'_>) {
        for byte in [self.what, self.made_by, self.freed_by] {
            out.byte(byte);
        }
        for value in [
            self.ptr,
            self.size,
            self.given,
            self.made.into(),
            self.freed.into(),
            self.here.into(),
        ] {
            out.uint(value);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<BadFree> {
        let mut input = In::new(payload);
        Some(BadFree {
            what: input.byte()?,
            made_by: input.byte()?,
            freed_by: input.byte()?,
            ptr: input.uint()?,
            size: input.uint()?,
            given: input.uint()?,
            made: input.u32()?,
            freed: input.u32()?,
            here: input.u32()?,
        })
    }
}
