//! Whose a log is, by its header alone: cheap enough to ask of every file in a folder.

use log_format::error::Error;
use log_format::reader::Log;
use std::path::Path;

/// The process that wrote a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// Random identity of the log.
    pub log_id: [u8; 16],
    /// Identity of the log of the process that forked this one; zeros if none.
    pub parent_log_id: [u8; 16],
}

/// Reads a log's header.
///
/// # Errors
/// If the file cannot be read or is not a log of this version.
pub fn origin(path: &Path) -> Result<Origin, Error> {
    let info = Log::peek(path)?;
    Ok(Origin {
        pid: info.pid,
        ppid: info.ppid,
        log_id: info.log_id,
        parent_log_id: info.parent_log_id,
    })
}

/// Whether a file begins as logs do, of whatever version.
pub fn is_log(path: &Path) -> bool {
    Log::is_log(path)
}
