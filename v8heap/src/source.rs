//! The bytes of a file: mapped. Tables are given back as soon as they have been parsed, so that they
//! and what is made of them are not in memory together; strings stay where they are. What is packed (gzip, zstd), pipes
//! and the like are read as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use memmap2::{Advice, Mmap, UncheckedAdvice};

use crate::error::{Error, Fault};
use crate::foreign::HEAD;
use crate::sections;

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

/// Why there are no bytes.
enum Trouble {
    System(io::Error),
    Content(Fault),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::System(error)
    }
}

/// How a file is packed.
#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(head: &[u8]) -> Option<Packing> {
        if head.starts_with(b"\x1f\x8b") {
            return Some(Packing::Gzip);
        }
        head.starts_with(b"\x28\xb5\x2f\xfd")
            .then_some(Packing::Zstd)
    }

    fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }

    fn unpacked<'a>(self, packed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(zstd::Decoder::new(packed)?),
        })
    }
}

impl Source {
    /// Opens a file, or standard input if it is called `-`.
    pub(crate) fn open(path: &Path) -> Result<Source, Error> {
        let opened = if path == "-" {
            streamed(io::stdin().lock())
        } else {
            of_file(path)
        };
        opened.map_err(|trouble| {
            let path = path.to_owned();
            match trouble {
                Trouble::System(error) => Error::Read { path, error },
                Trouble::Content(fault) => Error::Content { path, fault },
            }
        })
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

/// The first bytes of a file's content, fewer if it has no more; nothing is taken out of a pipe.
pub(crate) fn head(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut head = Vec::new();
    (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    if let Some(packing) = Packing::of(&head) {
        let packed = std::mem::take(&mut head);
        let whole = packing.unpacked(packed.as_slice().chain(file))?;
        whole.take(bytes as u64).read_to_end(&mut head)?;
    }
    head.truncate(bytes);
    Ok(head)
}

fn of_file(path: &Path) -> Result<Source, Trouble> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(Trouble::Content(Fault::Folder));
    }
    if kind.is_socket() {
        return Err(Trouble::Content(Fault::NotAFile));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return streamed(file);
    }
    // SAFETY: the mapping is read only. A file that somebody cuts while it is mapped ends
    // the process by SIGBUS, as with every tool that maps its input; the design page says so.
    let map = unsafe { Mmap::map(&file)? };
    // Refused by some file systems; it is only advice.
    let _ = map.advise(Advice::Sequential);
    match Packing::of(&map) {
        Some(packing) => unpacked(packing, &map[..]),
        None => Ok(Source::Mapped(map)),
    }
}

/// What comes from a pipe or a device, which may be packed.
fn streamed(mut from: impl Read) -> Result<Source, Trouble> {
    let mut head = Vec::new();
    (&mut from).take(HEAD as u64).read_to_end(&mut head)?;
    let begin = head.clone();
    match Packing::of(&begin) {
        Some(packing) => unpacked(packing, begin.as_slice().chain(from)),
        None => whole(head, from),
    }
}

fn unpacked(packing: Packing, packed: impl Read) -> Result<Source, Trouble> {
    let broken = |error: io::Error| match error.kind() {
        // Of what is read from, not of what it means.
        io::ErrorKind::OutOfMemory => Trouble::System(error),
        _ => Trouble::Content(Fault::Packed {
            by: packing.name(),
            why: error.to_string(),
        }),
    };
    let mut plain = packing.unpacked(packed).map_err(broken)?;
    let mut head = Vec::new();
    (&mut plain)
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(broken)?;
    whole(head, plain).map_err(|trouble| match trouble {
        Trouble::System(error) => broken(error),
        content => content,
    })
}

/// Reads what is behind the first bytes, if these look like a snapshot: some devices have no end. What is made of
/// it needs memory, too.
fn whole(mut head: Vec<u8>, rest: impl Read) -> Result<Source, Trouble> {
    if head.len() == HEAD {
        sections::begins(&head).map_err(Trouble::Content)?;
        let most = memory() as u64 / 2;
        rest.take(most).read_to_end(&mut head)?;
        if head.len() as u64 >= most {
            return Err(Trouble::Content(Fault::Endless));
        }
    }
    Ok(Source::Read(head))
}

/// Bytes of memory that the machine has.
fn memory() -> usize {
    // SAFETY: no pointers; -1 if it is not known.
    let (pages, page) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    match (usize::try_from(pages), usize::try_from(page)) {
        (Ok(pages), Ok(page)) => pages.saturating_mul(page),
        _ => usize::MAX,
    }
}
