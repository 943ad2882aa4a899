//! Adds to the log of a process that was killed how it ended: it could not say so itself.

use crate::error::Error;
use crate::layout::{Header, SeenEnd, State};
use crate::reader::Log;
use std::fs::OpenOptions;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writes down how process `pid` ended, who is gone. A log of another process, or of one that
/// told its end itself, stays as it is.
///
/// # Errors
/// If the file is no log, or cannot be written to.
pub fn note_end(path: &Path, pid: u32, end: SeenEnd) -> Result<(), Error> {
    let info = Log::peek(path)?;
    if info.pid != pid || info.state != State::Running {
        return Ok(());
    }
    let failed = |source| Error::Open {
        path: path.to_path_buf(),
        source,
    };
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.write_all_at(
        &end.to_raw().to_le_bytes(),
        offset_of!(Header, seen_end) as u64,
    )
    .map_err(failed)
}
