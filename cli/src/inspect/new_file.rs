//! A file that appears when all of it is there, however this command ends meanwhile: without a name
//! until then, where the file system has such files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// See the module.
#[derive(Debug)]
pub struct NewFile {
    /// For reading and writing.
    pub file: File,
    /// Its name until then, if it has one; removed if it is not wanted.
    named: Option<TempPath>,
    folder: PathBuf,
}

impl NewFile {
    /// Begins a file in the folder of `path`.
    pub fn begin(path: &Path) -> io::Result<NewFile> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let nameless = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .mode(0o600)
            .open(folder);
        let (file, named) = match nameless {
            Ok(file) if own_path(&file).exists() => (file, None),
            _ => {
                let (file, path) = temporary(folder)?.into_parts();
                (file, Some(path))
            }
        };
        Ok(NewFile {
            file,
            named,
            folder: folder.to_owned(),
        })
    }

    /// Gives it its name; a file that has it already is replaced.
    pub fn appear(self, path: &Path) -> io::Result<()> {
        if let Some(named) = self.named {
            return named.persist(path).map_err(|error| error.error);
        }
        match link(&self.file, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let other = temporary(&self.folder)?.into_temp_path();
                fs::remove_file(&other)?;
                link(&self.file, &other)?;
                other.persist(path).map_err(|error| error.error)
            }
            other => other,
        }
    }
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".leak-").suffix(".partial");
    builder.tempfile_in(folder)
}

fn own_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn link(file: &File, to: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (from, to) = (name(&own_path(file))?, name(to)?);
    let here = libc::AT_FDCWD;
    // SAFETY: C strings.
    let linked = unsafe {
        libc::linkat(
            here,
            from.as_ptr(),
            here,
            to.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    match linked {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_not_seen_before_it_appears_and_then_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let count = || fs::read_dir(folder.path()).unwrap().count();
        for text in ["one", "two"] {
            let before = count();
            let mut new = NewFile::begin(&path).unwrap();
            new.file.write_all(text.as_bytes()).unwrap();
            assert_eq!(count(), before + usize::from(new.named.is_some()));
            new.appear(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(count(), 1);
        }
        drop(NewFile::begin(&path).unwrap());
        assert_eq!(count(), 1);
    }
}
