//! Where files come from, apart from what is done with them.
//!
//! The rest of the crate says what it wants; a [`FileSource`] says where that may be and opens
//! it. The disk ([`LocalFiles`](crate::LocalFiles)), a symbol server and a test drive the same
//! code. What a source hands over is checked here (build-id, checksum), so a source may
//! propose files freely.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::request::Module;

/// A file that is needed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Wanted<'a> {
    /// The module itself.
    Module(&'a Module),
    /// The separate debug file of the program or library with this build-id.
    DebugById {
        /// The module it is for.
        module: &'a Path,
        /// The build-id.
        id: &'a [u8],
    },
    /// The separate debug file that `.gnu_debuglink` names.
    DebugByLink {
        /// The module, as opened.
        module: &'a Path,
        /// A file name without directories.
        name: &'a OsStr,
    },
    /// The supplementary file (dwz) that `.gnu_debugaltlink` names.
    Supplement {
        /// The file that refers to it, as opened.
        of: &'a Path,
        /// A path, absolute or relative to the directory of `of`.
        name: &'a Path,
        /// Its build-id.
        id: &'a [u8],
    },
    /// A split DWARF file (`.dwo`).
    Split {
        /// The module, as opened.
        module: &'a Path,
        /// The directory the compiler ran in.
        dir: Option<&'a Path>,
        /// A path, absolute or relative to `dir`.
        name: &'a Path,
    },
    /// A package of split DWARF files (`.dwp`).
    SplitPackage {
        /// The module, or its debug file, as opened.
        module: &'a Path,
    },
}

/// A place to get files from.
pub trait FileSource: Sync {
    /// Where the file may be, the best place first. The places need not exist. They are paths
    /// to this source only; a symbol server may give URLs.
    fn candidates(&self, wanted: &Wanted<'_>) -> Vec<PathBuf>;

    /// The bytes of the file at a place that [`candidates`](Self::candidates) gave.
    ///
    /// # Errors
    /// `NotFound` passes in silence to the next place; others may be told to the user.
    fn open(&self, place: &Path) -> io::Result<FileData>;
}

/// The bytes of a file: owned, mapped or shared.
#[derive(Clone)]
pub struct FileData(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl FileData {
    /// Wraps anything that holds bytes which do not change.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        FileData(Arc::new(bytes))
    }
}

impl Deref for FileData {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for FileData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileData({} bytes)", self.len())
    }
}
