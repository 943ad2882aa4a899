//! Which pages of a large mapping were ever touched.

use crate::sys;

/// Smaller ranges are read as a whole, bytes.
pub const WORTH: u64 = 4 << 20;

/// Calls `each` with the runs of pages between `start` and `end` that are in memory or
/// swapped out; with all of it if the kernel does not say.
pub fn each(start: u64, end: u64, each: &mut dyn FnMut(u64, u64)) {
    let Ok(fd) = sys::open(b"/proc/self/pagemap\0", libc::O_RDONLY, 0) else {
        return each(start, end);
    };
    let mut words = [0u64; 512];
    let mut at = start & !4095;
    let mut run: Option<u64> = None;
    while at < end {
        let want = ((end - at).div_ceil(4096) as usize).min(words.len());
        let got = sys::pread(fd, words.get_mut(..want).unwrap_or(&mut []), at / 4096 * 8);
        let Some(got) = got.filter(|&got| got > 0) else {
            each(run.unwrap_or(at).max(start), end);
            sys::close(fd);
            return;
        };
        for word in words.iter().take(got) {
            match (word >> 62 != 0, run) {
                (true, None) => run = Some(at),
                (false, Some(from)) => {
                    each(from.max(start), at.min(end));
                    run = None;
                }
                _ => {}
            }
            at += 4096;
        }
    }
    if let Some(from) = run {
        each(from.max(start), end);
    }
    sys::close(fd);
}
