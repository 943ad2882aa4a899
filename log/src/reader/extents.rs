//! Finds the extents of a log.
//!
//! The chain is followed from page to page: an intact header names the next
//! one, zero pages (reserved, not yet begun) are skipped, and after a damaged
//! header every page is looked at until an intact one comes. Afterwards
//! [`second_look`] finds extents that a wrong length jumped over.

use super::source::{Source, u32_at, u64_at};
use crate::error::DamageList;
use crate::layout::{
    EXTENT_HEADER_SIZE, EXTENT_MAGIC, ExtentHeader, ExtentKind, HEADER_SIZE, PAGE,
};
use std::format;
use std::mem::offset_of;
use std::vec;
use std::vec::Vec;

/// An extent, its numbers checked against the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// What it holds.
    pub kind: ExtentKind,
    /// Ring id or chunk slot.
    pub id: u32,
    /// Length, cut at the end of the file.
    pub len: u64,
    /// Data: bytes of blocks, cut likewise.
    pub used: u64,
}

impl Extent {
    /// End of what is surely content.
    fn content_end(&self) -> u64 {
        match self.kind {
            ExtentKind::Data => self.offset + EXTENT_HEADER_SIZE + self.used,
            _ => self.offset + self.len,
        }
    }
}

/// What stands at the start of a page.
enum Page {
    Zero,
    Extent {
        kind: u32,
        id: u32,
        len: u64,
        used: u64,
    },
    Other,
}

fn look(header: &[u8]) -> Page {
    match u64_at(header, offset_of!(ExtentHeader, magic)) {
        EXTENT_MAGIC => Page::Extent {
            kind: u32_at(header, offset_of!(ExtentHeader, kind)),
            id: u32_at(header, offset_of!(ExtentHeader, id)),
            len: u64_at(header, offset_of!(ExtentHeader, len)),
            used: u64_at(header, offset_of!(ExtentHeader, used)),
        },
        // The magic is written last: whatever else stands there does not count.
        0 => Page::Zero,
        _ => Page::Other,
    }
}

/// Reads extent headers, many pages at a time where they follow each other.
struct Pages<'s> {
    source: &'s Source,
    buf: Vec<u8>,
    start: u64,
    filled: usize,
}

/// Bytes read ahead when pages are looked at one after the other.
const READ_AHEAD: usize = 1 << 18;

impl<'s> Pages<'s> {
    fn new(source: &'s Source) -> Pages<'s> {
        Pages {
            source,
            buf: vec![0; READ_AHEAD],
            start: 0,
            filled: 0,
        }
    }

    /// The first bytes of the page at `offset`; `jump` if the page before was
    /// not looked at. Short at the end of the file.
    fn head(&mut self, offset: u64, jump: bool) -> &[u8] {
        let size = EXTENT_HEADER_SIZE as usize;
        let inside = offset
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| at + size <= self.filled);
        let at = inside.unwrap_or_else(|| {
            let want = if jump { size } else { READ_AHEAD };
            self.filled = match self.buf.get_mut(..want) {
                Some(buf) => self.source.read_at(offset, buf),
                None => 0,
            };
            self.start = offset;
            0
        });
        self.buf
            .get(at..(at + size).min(self.filled))
            .unwrap_or(&[])
    }
}

/// The extent at `offset`, if its header is sound.
fn sound(source: &Source, offset: u64, page: &Page) -> Option<(Extent, u64)> {
    let Page::Extent {
        kind,
        id,
        len,
        used,
    } = *page
    else {
        return None;
    };
    if len < PAGE || !len.is_multiple_of(PAGE) || offset.checked_add(len).is_none() {
        return None;
    }
    let kind = ExtentKind::from_raw(kind)?;
    let cut = len.min(source.len.saturating_sub(offset));
    let extent = Extent {
        offset,
        kind,
        id,
        len: cut,
        used: used.min(cut.saturating_sub(EXTENT_HEADER_SIZE)),
    };
    Some((extent, used))
}

/// Follows the chain.
pub(crate) fn walk(source: &Source, damage: &mut DamageList) -> Vec<Extent> {
    let mut extents = Vec::new();
    let mut pages = Pages::new(source);
    let mut pos = HEADER_SIZE;
    let mut jump = true;
    let mut lost_from = None;
    while pos < source.len {
        let head = pages.head(pos, jump);
        let page = look(head);
        if let Some((extent, used)) = sound(source, pos, &page) {
            report_lost(damage, lost_from.take(), pos);
            let cut = match extent.kind {
                ExtentKind::Data => used > extent.used,
                ExtentKind::Free => false,
                _ => pos + extent.len > source.len || !extent.len.is_multiple_of(PAGE),
            };
            if cut {
                damage.add(format!(
                    "the file ends at {:#x}, within the extent at {pos:#x}; its end is lost",
                    source.len
                ));
            }
            extents.push(extent);
            pos += extent.len.next_multiple_of(PAGE);
            jump = true;
            continue;
        }
        if !matches!(page, Page::Zero) {
            lost_from.get_or_insert(pos);
        }
        pos += PAGE;
        jump = false;
    }
    report_lost(damage, lost_from, source.len);
    extents
}

fn report_lost(damage: &mut DamageList, from: Option<u64>, to: u64) {
    if let Some(from) = from {
        damage.add(format!(
            "extent at {from:#x}: header is damaged; skipped to {to:#x}"
        ));
    }
}

/// Looks at every page that is not known content and adds the extents found
/// there, but none that was superseded: a ring or a chunk that is known already.
/// (Blocks are told apart by their numbers.)
pub(crate) fn second_look(source: &Source, extents: &mut Vec<Extent>, damage: &mut DamageList) {
    let mut known: Vec<(u64, u64)> = extents
        .iter()
        .map(|e| (e.offset, e.content_end()))
        .collect();
    known.sort_unstable();
    let mut known = known.into_iter().peekable();
    let mut pages = Pages::new(source);
    let mut pos = HEADER_SIZE;
    let mut jump = true;
    while pos < source.len {
        while known.next_if(|&(_, end)| end <= pos).is_some() {}
        if let Some(&(start, end)) = known.peek()
            && start <= pos
        {
            pos = end.next_multiple_of(PAGE);
            jump = true;
            continue;
        }
        let page = look(pages.head(pos, jump));
        if let Some((extent, _)) = sound(source, pos, &page) {
            let same = |e: &Extent| e.kind == extent.kind && e.id == extent.id;
            if extent.kind == ExtentKind::Data || !extents.iter().any(same) {
                damage.add(format!(
                    "extent at {pos:#x}: hidden by a wrong length before it; read all the same"
                ));
                extents.push(extent);
            }
        }
        pos += PAGE;
        jump = false;
    }
    extents.sort_by_key(|extent| extent.offset);
}
