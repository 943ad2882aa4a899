//! The file itself, read by position.
//!
//! Not mapped: a mapped log that its program cuts at a clean end while we read
//! would end us with SIGBUS, and every page touched would count as our memory,
//! so that a large log would need as much memory as it has bytes.

use crate::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An open file.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    /// As given by the user.
    pub path: PathBuf,
    /// Length when it was opened, bytes.
    pub len: u64,
}

impl Source {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Source, Error> {
        let failed = |source| Error::Open {
            path: path.to_path_buf(),
            source,
        };
        // Asked first: opening a pipe would wait for a writer.
        let kind = std::fs::metadata(path).map_err(failed)?;
        if kind.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if !kind.is_file() {
            return Err(Error::NotALog {
                path: path.to_path_buf(),
            });
        }
        let file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        Ok(Source {
            file,
            path: path.to_path_buf(),
            len,
        })
    }

    /// Learns the present length.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(|source| Error::Open {
            path: self.path.clone(),
            source,
        })?;
        self.len = metadata.len();
        Ok(())
    }

    /// Fills `buf` from `offset`; returns the bytes read, fewer at the end of
    /// the file or where it cannot be read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        let mut done = 0usize;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }

    /// Replaces the content of `buf` by `len` bytes from `offset`; `None` if
    /// there are fewer.
    pub fn read_exact(&self, offset: u64, len: usize, buf: &mut std::vec::Vec<u8>) -> Option<()> {
        buf.clear();
        if offset.checked_add(len as u64)? > self.len {
            return None;
        }
        buf.resize(len, 0);
        (self.read_at(offset, buf) == len).then_some(())
    }
}

/// The little-endian word of 8 bytes at `at`; 0 past the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |word| u64::from_le_bytes(*word))
}

/// The little-endian word of 4 bytes at `at`; 0 past the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |word| u32::from_le_bytes(*word))
}
