//! The rings of a log as they were when it was opened.
//!
//! A log may be read while its program runs: drains then move records from rings
//! to windows and threads write over them. So rings are looked at *before* the
//! blocks are indexed: whatever a ring has lost since stands in a window that is
//! indexed after, and what no window has is still in the copy.
//!
//! **Common instant.** Rings are not seen at one moment. So all heads are read
//! twice: events up to the latest one that the first look saw happened before the
//! second look began, which therefore saw everything up to that time, in every
//! ring. Later events are left out.

use super::extents::Extent;
use super::source::{Source, u32_at, u64_at};
use crate::layout::{EXTENT_HEADER_SIZE, ExtentKind, PAGE};
use crate::ring::RingHeader;
use std::mem::{offset_of, size_of};
use std::vec::Vec;

/// A ring's header and perhaps its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RingView {
    /// The extent.
    pub offset: u64,
    /// Bytes of the extent that are in the file.
    pub len: u64,
    /// Id by the extent.
    pub extent_id: u32,
    /// Id by the ring.
    pub id: u32,
    /// End of its records.
    pub head: u64,
    /// The same, at the first look.
    pub first_head: u64,
    /// Start of its records.
    pub tail: u64,
    /// Bytes of data.
    pub capacity: u64,
    /// The bytes of its data, if the program may still be writing.
    pub copy: Option<Vec<u8>>,
}

/// `head`, `tail`, `capacity`, `id`.
fn header(source: &Source, offset: u64) -> (u64, u64, u64, u32) {
    let mut bytes = [0u8; size_of::<RingHeader>()];
    source.read_at(offset + EXTENT_HEADER_SIZE, &mut bytes);
    (
        u64_at(&bytes, offset_of!(RingHeader, head)),
        u64_at(&bytes, offset_of!(RingHeader, tail)),
        u64_at(&bytes, offset_of!(RingHeader, capacity)),
        u32_at(&bytes, offset_of!(RingHeader, id)),
    )
}

/// Looks at all rings; with `copy`, takes their content as well.
pub(crate) fn look(source: &Source, extents: &[Extent], copy: bool) -> Vec<RingView> {
    let rings = extents
        .iter()
        .filter(|extent| extent.kind == ExtentKind::Ring);
    let mut views: Vec<RingView> = rings
        .map(|extent| {
            let (head, tail, capacity, id) = header(source, extent.offset);
            RingView {
                offset: extent.offset,
                len: extent.len,
                extent_id: extent.id,
                id,
                head,
                first_head: head,
                tail,
                capacity,
                copy: None,
            }
        })
        .collect();
    if copy {
        for view in &mut views {
            view.head = header(source, view.offset).0;
        }
        for view in &mut views {
            let want = view.capacity.min(view.len.saturating_sub(PAGE));
            let mut bytes = std::vec![0; usize::try_from(want).unwrap_or(0)];
            let got = source.read_at(view.offset + PAGE, &mut bytes);
            bytes.truncate(got);
            view.copy = Some(bytes);
        }
    }
    views
}

impl RingView {
    /// Whether the ring is another one by now.
    pub fn changed(&self, source: &Source) -> bool {
        header(source, self.offset) != (self.head, self.tail, self.capacity, self.id)
    }

    /// Reads data from a place in the ring; returns the bytes read.
    pub fn read(&self, source: &Source, place: u64, buf: &mut [u8]) -> usize {
        let Some(copy) = &self.copy else {
            return source.read_at(self.offset + PAGE + place, buf);
        };
        let from = usize::try_from(place)
            .ok()
            .and_then(|place| copy.get(place..))
            .unwrap_or(&[]);
        let len = from.len().min(buf.len());
        if let (Some(target), Some(from)) = (buf.get_mut(..len), from.get(..len)) {
            target.copy_from_slice(from);
        }
        len
    }
}
