//! V8 tells the kernel that its heap is not for forked processes (`MADV_DONTFORK`). For a copy
//! that is taken back, and done again afterwards.

use crate::arch::syscall::syscall3;
use crate::digits::number;
use crate::reach::array::List;
use crate::{memory, sys};

/// Most ranges.
const MOST: usize = 1 << 17;
/// Room for what is read at a time, bytes.
const BUFFER: usize = 128 << 10;

/// A range of addresses.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
}

/// What is kept from forked processes now.
pub struct Kept(List<Range>);

impl Kept {
    /// Reads the process's mappings; `None` if they cannot be read.
    pub fn read() -> Option<Kept> {
        let mut all = List::<Range>::new(MOST)?;
        let buffer = sys::map_private(BUFFER)?;
        let mut now = None;
        // SAFETY: our own mapping, used here only.
        let whole = unsafe {
            let bytes = core::slice::from_raw_parts_mut(buffer, BUFFER);
            let whole = memory::read_lines(b"/proc/self/smaps\0", bytes, &mut |line| {
                if let Some(flags) = line.strip_prefix(b"VmFlags:") {
                    if let Some(range) = now.filter(|_| has(flags, b"dc") && !has(flags, b"io")) {
                        add(&mut all, range);
                    }
                } else if !line.first().is_some_and(u8::is_ascii_uppercase) {
                    now = anonymous(line);
                }
            });
            sys::unmap(buffer, BUFFER);
            whole
        };
        (whole && all.lost == 0).then_some(Kept(all))
    }

    /// Gives them to forked processes, or no more.
    pub fn share(&self, share: bool) {
        let advice = match share {
            true => libc::MADV_DOFORK,
            false => libc::MADV_DONTFORK,
        };
        for range in self.0.all() {
            // SAFETY: changes only what a fork copies.
            unsafe {
                syscall3(
                    libc::SYS_madvise,
                    range.start,
                    range.end - range.start,
                    advice as usize,
                )
            };
        }
    }
}

/// Neighbours are one range.
fn add(all: &mut List<Range>, range: Range) {
    match all.all_mut().last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => all.push(range),
    }
}

fn has(flags: &[u8], flag: &[u8]) -> bool {
    flags.split(|&byte| byte == b' ').any(|word| word == flag)
}

/// The range of a mapping's first line, if it is private memory without a file.
fn anonymous(line: &[u8]) -> Option<Range> {
    let mut words = line.split(|&byte| byte == b' ');
    let (range, rights) = (words.next()?, words.next()?);
    let inode = words.nth(2)?;
    let dash = range.iter().position(|&byte| byte == b'-')?;
    let start = number(range.get(..dash)?, 16)? as usize;
    let end = number(range.get(dash + 1..)?, 16)? as usize;
    (rights.last() == Some(&b'p') && inode == b"0").then_some(Range { start, end })
}
