//! What the search for reachable blocks takes from the drain.

use super::Drain;
use crate::collect::live::Tables;

impl Drain {
    /// The live set.
    pub fn live(&self) -> Tables {
        self.live.tables()
    }

    /// The serial that comes next.
    pub fn next_serial(&self) -> u64 {
        self.next_serial
    }

    /// Bytes in live blocks.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The program's own mappings: start and end. Good until the next window.
    pub fn program(&self) -> &'static [(u64, u64)] {
        let all = self.mappings.all();
        // SAFETY: the list's memory stays mapped.
        unsafe { core::slice::from_raw_parts(all.as_ptr(), all.len()) }
    }
}
