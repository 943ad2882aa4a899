//! The bytes of a file: mapped. Tables are given back as soon as they have been parsed, so that they
//! and what is made of them are not in memory together; strings stay where they are. Pipes and the like are read as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use memmap2::{Advice, Mmap, UncheckedAdvice};

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Source {
    Mapped(Mmap),
    Read(Vec<u8>),
}

impl Default for Source {
    fn default() -> Source {
        Source::Read(Vec::new())
    }
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Source> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.len() > 0 {
            // SAFETY: the mapping is read only. A file that somebody cuts while it is mapped ends
            // the process by SIGBUS, as with every tool that maps its input; the design page says so.
            let map = unsafe { Mmap::map(&file)? };
            // Refused by some file systems; it is only advice.
            let _ = map.advise(Advice::Sequential);
            return Ok(Source::Mapped(map));
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(Source::Read(content))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Source::Mapped(map) => map,
            Source::Read(content) => content,
        }
    }

    /// A piece of a table has been parsed. What is given back is far behind it, where the other threads have
    /// been too, and much at a time, as every thread is interrupted for it.
    pub(crate) fn release_behind(&self, piece: &Range<usize>) {
        const BATCH: usize = 16 << 20;
        let batch = piece.end / BATCH;
        if piece.start / BATCH < batch {
            self.release(batch.saturating_sub(2) * BATCH..(batch - 1) * BATCH);
        }
    }

    /// These bytes are not needed soon.
    pub(crate) fn release(&self, range: Range<usize>) {
        const PAGE: usize = 4096;
        let Source::Mapped(map) = self else { return };
        let start = range.start.next_multiple_of(PAGE);
        let end = range.end / PAGE * PAGE;
        if start < end {
            // SAFETY: a private read-only mapping of a file: pages that are dropped are read from
            // the file again if they are touched again.
            let _ = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}
