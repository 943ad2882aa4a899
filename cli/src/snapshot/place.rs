//! Whether a snapshot may be written to a place, asked before the program stands still for it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// How a file begins that a snapshot may replace: another one.
pub const JAVASCRIPT: &[u8] = b"{\"snapshot\"";
/// The same of what can be reached.
pub const LOG: &[u8] = b"leaklog\n";

/// Refuses a folder, a place in a folder that is not there, and a file that begins otherwise.
///
/// # Errors
/// [`Error::Place`].
pub fn check(path: &Path, replaces: &[u8]) -> Result<(), Error> {
    let refused = |why: String, cure: &'static str| {
        Err(Error::Place {
            path: path.to_owned(),
            why,
            cure,
        })
    };
    if path.is_dir() {
        return refused("is a directory".to_owned(), "name a file in it");
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match fs::metadata(folder) {
        Err(error) => {
            let cure = match error.kind() {
                io::ErrorKind::NotFound => "make its folder first, or name another place",
                _ => "name another place",
            };
            return refused(crate::error::reason(&error), cure);
        }
        Ok(of) if !of.is_dir() => {
            return refused("not a directory".to_owned(), "name another place");
        }
        Ok(_) => {}
    }
    let Ok(there) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let mut head = vec![0; replaces.len()];
    let is_ours = there.is_file()
        && (there.len() == 0
            || File::open(path).is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
                && head == replaces);
    match is_ours {
        true => Ok(()),
        false => refused(
            "file exists, and is no such snapshot".to_owned(),
            "name another place, or remove it",
        ),
    }
}

/// Refuses the log that a process is writing.
///
/// # Errors
/// [`Error::Place`].
pub fn is_other(path: &Path, log: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let same = |a: &Path, b: &Path| -> io::Result<bool> {
        let (a, b) = (fs::metadata(a)?, fs::metadata(b)?);
        Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    match same(path, log) {
        Ok(true) => Err(Error::Place {
            path: PathBuf::from(path),
            why: "is the log that the process writes".to_owned(),
            cure: "name another place",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_snapshot_of_the_same_kind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let said = |name: &str, text: Option<&str>| {
            let path = folder.path().join(name);
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            check(&path, JAVASCRIPT).map_err(|error| error.to_string())
        };
        assert_eq!(said("new", None), Ok(()));
        assert_eq!(said("empty", Some("")), Ok(()));
        assert_eq!(said("older", Some("{\"snapshot\":{}}")), Ok(()));
        for (name, text, words) in [
            ("notes", Some("of mine"), "file exists, and is no such"),
            ("log", Some("leaklog\n"), "file exists, and is no such"),
            ("missing/one", None, "no such file or directory); make its"),
            ("notes/one", None, "not a directory); name another"),
            (".", None, "is a directory); name a file in it"),
        ] {
            let line = said(name, text).expect_err(name);
            assert!(line.contains(words), "{name}: {line}");
        }
        let path = folder.path().join("log");
        assert!(check(&path, LOG).is_ok());
        assert!(is_other(&path, &path).is_err());
        assert!(is_other(&folder.path().join("new"), &path).is_ok());
    }
}
