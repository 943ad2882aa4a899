//! Where `libleak.so` is, and by which name `LD_PRELOAD` can say so.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::elf;
use crate::environment;
use crate::error::{Error, reason};

/// File name of the recorder.
pub const NAME: &str = "libleak.so";

/// `LEAK_LIB`, else beside the command, else in `../lib` from there; by a name that the loader
/// understands.
pub fn find() -> Result<PathBuf, Error> {
    let places = match std::env::var_os(environment::LIBRARY).filter(|path| !path.is_empty()) {
        Some(path) => vec![std::path::absolute(&path).unwrap_or_else(|_| path.into())],
        None => beside(&std::env::current_exe().unwrap_or_default()),
    };
    let found = places.iter().find(|place| place.is_file()).cloned();
    let library = found.ok_or(Error::NoLibrary { places })?;
    check(&library)?;
    if is_plain(&library) {
        return Ok(library);
    }
    linked(&library).ok_or(Error::LibraryPath(library))
}

fn beside(command: &Path) -> Vec<PathBuf> {
    let Some(dir) = command.parent() else {
        return vec![PathBuf::from(NAME)];
    };
    let mut places = vec![dir.join(NAME)];
    if let Some(prefix) = dir.parent() {
        places.push(prefix.join("lib").join(NAME));
    }
    places
}

/// The loader complains of what it cannot preload, in each process, and runs the program without.
fn check(library: &Path) -> Result<(), Error> {
    let refused = |why: String| {
        Err(Error::NotALibrary {
            path: library.to_owned(),
            why,
        })
    };
    // SAFETY: a private, read-only map of a library file; it breaks (SIGBUS) only if the file
    // is truncated at this moment, as with every tool that maps libraries.
    let bytes = match File::open(library).and_then(|file| unsafe { Mmap::map(&file) }) {
        Ok(bytes) => bytes,
        Err(error) => return refused(reason(&error)),
    };
    match elf::facts(&bytes) {
        None => refused("not an ELF file".to_owned()),
        Some(facts) if facts.narrow => refused("32-bit".to_owned()),
        Some(facts) if !facts.native => refused("made for another kind of processor".to_owned()),
        Some(facts) if !facts.library => refused("not a shared library, or damaged".to_owned()),
        Some(_) => Ok(()),
    }
}

/// `ld.so(8)`: spaces and colons separate the entries of `LD_PRELOAD`, `$` begins a token.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    !bytes
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || matches!(byte, b':' | b'$'))
}

/// A link to the library in a place with a plain name. It stays there: programs that outlive
/// this command go on to preload it into their children. One for each library that was ever used so,
/// in a directory that others may read, for programs that change their user, but not write.
fn linked(library: &Path) -> Option<PathBuf> {
    let temporary = std::env::var_os("TMPDIR").map(PathBuf::from);
    let bases = temporary.into_iter().chain([PathBuf::from("/tmp")]);
    // SAFETY: no preconditions.
    let user = unsafe { libc::geteuid() };
    let mut hasher = DefaultHasher::new();
    library.hash(&mut hasher);
    for base in bases.filter(|base| base.is_absolute() && is_plain(base)) {
        let of_user = base.join(format!("leak-{user}"));
        let dir = of_user.join(format!("{:016x}", hasher.finish()));
        let link = dir.join(NAME);
        if own_directory(&of_user, user) && own_directory(&dir, user) && lead(&link, library) {
            return Some(link);
        }
    }
    None
}

/// Makes a directory, unless it is there; whether it is this user's alone to write to.
fn own_directory(dir: &Path, user: u32) -> bool {
    // What is there already is judged below.
    let _ = std::fs::DirBuilder::new().mode(0o755).create(dir);
    std::fs::symlink_metadata(dir)
        .is_ok_and(|about| about.is_dir() && about.uid() == user && about.mode() & 0o022 == 0)
}

/// Makes `link` lead to the library; another run may do the same at this moment.
fn lead(link: &Path, library: &Path) -> bool {
    let leads = || std::fs::read_link(link).is_ok_and(|target| target == library);
    if leads() {
        return true;
    }
    let fresh = link.with_extension(std::process::id().to_string());
    let made = symlink(library, &fresh).and_then(|()| std::fs::rename(&fresh, link));
    made.is_ok() && leads()
}
