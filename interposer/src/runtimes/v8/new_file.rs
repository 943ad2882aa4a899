//! A file that appears when all of it is there, however the process ends meanwhile.
//!
//! ```text
//! O_TMPFILE in the folder ─> written ─> linkat: has its name, unless that is taken by now
//! ```
//!
//! Until then it has no name, so a process that is killed leaves nothing. Where the file system or a
//! missing /proc forbids that, it is `NAME.partial` and is renamed; one that a killed process has left,
//! which nobody holds a lock on any more, is written anew.

use super::snapshot::Trouble;
use crate::digits::decimal;
use crate::global;
use crate::sys::{self, Errno, Fd};
use core::sync::atomic::Ordering::Relaxed;
use log_format::control::MAX_NAME;
use log_format::varint::Out;

/// How a snapshot's text begins.
pub const BEGIN: &[u8] = b"{\"snapshot\":{";
/// What the name has while it is written, where it must have one.
const ENDING: &[u8] = b".partial\0";

/// See the module.
pub struct NewFile {
    whole: Path,
    partial: Path,
    /// For writing.
    pub fd: Fd,
    /// Device and inode: programs close and reuse numbers.
    identity: Option<[u64; 2]>,
    /// Whether it is the partial one.
    pub is_named: bool,
}

/// A path with a NUL at its end.
struct Path {
    bytes: [u8; MAX_NAME + 16],
    len: usize,
}

impl Path {
    fn of(parts: [&[u8]; 2]) -> Result<Path, Trouble> {
        let mut bytes = [0; MAX_NAME + 16];
        let mut out = Out::new(&mut bytes);
        for part in parts {
            out.bytes(part);
        }
        match out.finish() {
            Some(len) => Ok(Path { bytes, len }),
            None => Err(Trouble::File(Errno(libc::ENAMETOOLONG))),
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl NewFile {
    /// Begins it, for an absolute path without a NUL at its end. It must not be there yet.
    pub fn begin(path: &[u8]) -> Result<NewFile, Trouble> {
        let whole = Path::of([path, b"\0"])?;
        let partial = Path::of([path, ENDING])?;
        if sys::file_type(whole.get()).is_some() {
            return Err(Trouble::File(Errno(libc::EEXIST)));
        }
        let (fd, is_named) = match nameless(path) {
            Some(fd) => (fd, false),
            None => (named(partial.get()).map_err(Trouble::File)?, true),
        };
        Ok(NewFile {
            whole,
            partial,
            fd,
            identity: sys::identity(fd),
            is_named,
        })
    }

    /// Gives it its name, if it was written well, or removes it; and closes it.
    pub fn end<T>(self, result: Result<T, Trouble>) -> Result<T, Trouble> {
        let result = result.and_then(|done| {
            self.appear().map_err(Trouble::File)?;
            Ok(done)
        });
        if result.is_err() && self.is_named {
            sys::unlink(self.partial.get());
        }
        if self.is_still_open() {
            sys::close(self.fd);
        }
        result
    }

    /// Closes it here: a copy of this process ends it.
    pub fn leave(self) {
        if self.is_still_open() {
            sys::close(self.fd);
        }
    }

    fn is_still_open(&self) -> bool {
        self.identity.is_some() && sys::identity(self.fd) == self.identity
    }

    /// Gives it its name.
    pub fn appear(&self) -> Result<(), Errno> {
        if self.is_named {
            return sys::rename_new(self.partial.get(), self.whole.get());
        }
        if !self.is_still_open() {
            return Err(Errno(libc::EBADF));
        }
        let mut own = [0; 32];
        sys::link(own_path(self.fd, &mut own), self.whole.get())
    }
}

/// Removes what a copy of this process has left that was killed in the middle.
pub fn remove_partial(path: &[u8]) {
    if let Ok(partial) = Path::of([path, ENDING]) {
        sys::unlink(partial.get());
    }
}

/// `/proc/self/fd/N`.
fn own_path(fd: Fd, buffer: &mut [u8; 32]) -> &[u8] {
    let mut out = Out::new(buffer);
    out.bytes(b"/proc/self/fd/");
    decimal(&mut out, fd.0.cast_unsigned());
    out.byte(0);
    let len = out.finish().unwrap_or(0);
    buffer.get(..len).unwrap_or(&[])
}

/// A file without a name in the folder of a path, if it can be given one later.
fn nameless(path: &[u8]) -> Option<Fd> {
    // Behind a filter of system calls nothing is tried that is not needed.
    if global::get().is_none_or(|global| global.filtered.load(Relaxed) != 0) {
        return None;
    }
    let end = path.iter().rposition(|&byte| byte == b'/')?;
    let folder = Path::of([path.get(..end.max(1))?, b"\0"]).ok()?;
    let fd = sys::open(folder.get(), libc::O_TMPFILE | libc::O_WRONLY, 0o600).ok()?;
    if sys::file_type(own_path(fd, &mut [0; 32])) == Some(libc::S_IFREG) {
        return Some(fd);
    }
    sys::close(fd);
    None
}

/// A file of a name: a new one, or what is left of one that nobody writes any more.
fn named(partial: &[u8]) -> Result<Fd, Errno> {
    let new = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let fd = match sys::open(partial, new, 0o600) {
        Err(Errno(libc::EEXIST)) if sys::file_type(partial) == Some(libc::S_IFREG) => {
            let fd = sys::open(partial, libc::O_RDWR | libc::O_NOFOLLOW, 0)?;
            if !is_left(fd) {
                sys::close(fd);
                return Err(Errno(libc::EEXIST));
            }
            fd
        }
        other => other?,
    };
    sys::lock_file(fd);
    Ok(fd)
}

/// Whether an open file is part of a snapshot that nobody writes any more; then it is empty now.
fn is_left(fd: Fd) -> bool {
    let mut begin = [0; BEGIN.len()];
    let len = sys::read(fd, &mut begin).unwrap_or(usize::MAX);
    (len == 0 || begin == BEGIN)
        && sys::lock_file(fd)
        && sys::ftruncate(fd, 0).is_ok()
        && sys::rewind(fd)
}
