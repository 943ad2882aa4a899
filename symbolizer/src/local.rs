//! Files of this machine: where distributions, compilers and users put them, and how they are
//! mapped.
//!
//! Places follow GDB's manual, "Debugging Information in Separate Files", and what Debian and
//! Fedora ship.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;

use crate::files::{FileData, FileSource, Wanted};
use crate::request::{Module, Options};

/// What the kernel appends to the path of a mapped file that was unlinked.
const DELETED: &[u8] = b" (deleted)";

/// Files on disk, found by [`Options::sysroot`] and [`Options::debug_dirs`].
#[derive(Clone, Debug)]
pub struct LocalFiles {
    sysroot: Option<PathBuf>,
    /// Given directories first, the system's last.
    debug_dirs: Vec<PathBuf>,
    /// The first of `debug_dirs` that was not given by the user.
    given: usize,
}

impl LocalFiles {
    /// Files as the options say; `/usr/lib/debug` (in the sysroot, if there is one) comes last.
    pub fn new(options: &Options) -> Self {
        let mut debug_dirs = options.debug_dirs.clone();
        let given = debug_dirs.len();
        let system = Path::new("/usr/lib/debug");
        debug_dirs.push(match &options.sysroot {
            Some(root) => under(root, system),
            None => system.to_owned(),
        });
        LocalFiles {
            sysroot: options.sysroot.clone(),
            debug_dirs,
            given,
        }
    }

    fn module(&self, module: &Module) -> Vec<PathBuf> {
        let mut places = Vec::new();
        let mut propose = |path: &Path| {
            if let Some(root) = &self.sysroot {
                places.push(under(root, path));
            }
            // Without a build-id nothing tells this machine's file from the sysroot's.
            if self.sysroot.is_none() || module.build_id.is_some() {
                places.push(path.to_owned());
            }
        };
        propose(&module.path);
        if let Some(path) = without_deleted(&module.path) {
            propose(&path);
        }
        places
    }

    fn debug_by_id(&self, module: &Path, id: &[u8]) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(name) = build_id_name(id) {
            for dir in &self.debug_dirs {
                places.push(dir.join(&name).with_extension("debug"));
                places.push(dir.join(&name));
            }
        }
        // A directory that the user named may simply hold the files.
        let path = without_deleted(module).unwrap_or_else(|| module.to_owned());
        if let Some(name) = path.file_name() {
            for dir in &self.debug_dirs[..self.given] {
                places.push(dir.join(append(name, ".debug")));
                places.push(dir.join(name));
            }
        }
        places
    }

    fn debug_by_link(&self, module: &Path, name: &OsStr) -> Vec<PathBuf> {
        // The name comes from a file: it must not lead elsewhere.
        let Some(name) = Path::new(name).file_name() else {
            return Vec::new();
        };
        let mut places = Vec::new();
        for dir in directories(module) {
            places.push(dir.join(name));
            places.push(dir.join(".debug").join(name));
            let inner = self
                .sysroot
                .as_ref()
                .and_then(|root| dir.strip_prefix(root).ok())
                .unwrap_or(&dir)
                .to_owned();
            for debug in &self.debug_dirs {
                places.push(under(debug, &inner).join(name));
            }
        }
        for debug in &self.debug_dirs {
            places.push(debug.join(name));
        }
        places
    }

    fn supplement(&self, of: &Path, name: &Path, id: &[u8]) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if name.is_absolute() {
            if let Some(root) = &self.sysroot {
                places.push(under(root, name));
            }
            places.push(name.to_owned());
        } else {
            places.extend(directories(of).map(|dir| dir.join(name)));
        }
        for dir in &self.debug_dirs {
            if let Some(file) = name.file_name() {
                places.push(dir.join(".dwz").join(file));
                places.push(dir.join(file));
            }
            if let Some(by_id) = build_id_name(id) {
                places.push(dir.join(by_id).with_extension("debug"));
            }
        }
        places
    }

    fn split(&self, module: &Path, dir: Option<&Path>, name: &Path) -> Vec<PathBuf> {
        let full = match dir {
            Some(dir) => dir.join(name),
            None => name.to_owned(),
        };
        let mut places = Vec::new();
        if full.is_absolute() {
            if let Some(root) = &self.sysroot {
                places.push(under(root, &full));
            }
            places.push(full);
        }
        // The build directory has moved: beside the program, then in the debug directories.
        let moved = directories(module).chain(self.debug_dirs.iter().cloned());
        for dir in moved {
            if name.is_relative() {
                places.push(dir.join(name));
            }
            if let Some(file) = name.file_name() {
                places.push(dir.join(file));
            }
        }
        places
    }

    fn split_package(&self, module: &Path) -> Vec<PathBuf> {
        let mut stems = vec![module.to_owned()];
        if let Ok(real) = fs::canonicalize(module) {
            stems.push(real);
        }
        if module.extension() == Some(OsStr::new("debug")) {
            stems.push(module.with_extension(""));
        }
        let mut places: Vec<_> = stems
            .iter()
            .map(|stem| PathBuf::from(append(stem.as_os_str(), ".dwp")))
            .collect();
        for dir in &self.debug_dirs {
            if let Some(name) = module.file_name() {
                places.push(dir.join(append(name, ".dwp")));
            }
        }
        places
    }
}

impl FileSource for LocalFiles {
    fn candidates(&self, wanted: &Wanted<'_>) -> Vec<PathBuf> {
        let mut places = match *wanted {
            Wanted::Module(module) => self.module(module),
            Wanted::DebugById { module, id } => self.debug_by_id(module, id),
            Wanted::DebugByLink { module, name } => self.debug_by_link(module, name),
            Wanted::Supplement { of, name, id } => self.supplement(of, name, id),
            Wanted::Split { module, dir, name } => self.split(module, dir, name),
            Wanted::SplitPackage { module } => self.split_package(module),
        };
        // Each place once, in order.
        let mut seen = std::collections::HashSet::new();
        places.retain(|place| seen.insert(place.clone()));
        places
    }

    fn open(&self, place: &Path) -> io::Result<FileData> {
        // Asked before it is opened: opening a pipe would wait for its other end.
        if !fs::metadata(place)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let file = File::open(place)?;
        // SAFETY: the map is read-only and private. What can break it is another process that
        // truncates the file meanwhile (SIGBUS); linkers and package managers replace files
        // by new ones instead, and each tool that maps ELF files lives with the same.
        let map = unsafe { Mmap::map(&file)? };
        Ok(FileData::new(map))
    }
}

/// `path` as seen from `root`; `..` cannot climb out of it.
fn under(root: &Path, path: &Path) -> PathBuf {
    let mut full = root.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => full.push(name),
            Component::ParentDir if full != root => {
                full.pop();
            }
            _ => {}
        }
    }
    full
}

/// The directory of a file as named and, where symbolic links differ, as it really is.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let named = file.parent().map(Path::to_owned);
    let real = fs::canonicalize(file)
        .ok()
        .and_then(|real| real.parent().map(Path::to_owned))
        .filter(|real| Some(real) != named.as_ref());
    named.into_iter().chain(real)
}

/// `.build-id/xx/yyyy`, without an extension.
fn build_id_name(id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = id.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let mut name = format!(".build-id/{first:02x}/");
    for byte in rest {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Some(name.into())
}

/// The path before the kernel's mark for unlinked files, if it is there.
pub(crate) fn without_deleted(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes().strip_suffix(DELETED)?;
    Some(OsString::from_vec(bytes.to_vec()).into())
}

fn append(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
