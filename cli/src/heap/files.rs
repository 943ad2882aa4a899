//! What files may be compared: each once, and such as can be read more than once.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::error::Error;

/// Refuses a file that is given twice, by whatever name, and pipes. What cannot be looked at is told of by who
/// reads it.
///
/// # Errors
/// [`Error::Twice`] and [`Error::Piped`].
pub fn check(files: &[PathBuf]) -> Result<(), Error> {
    let mut known = HashMap::new();
    for path in files {
        if path.as_os_str() == "-" {
            return Err(Error::Piped(path.clone()));
        }
        let Ok(of) = fs::metadata(path) else { continue };
        if of.is_dir() {
            continue;
        }
        if !of.is_file() {
            return Err(Error::Piped(path.clone()));
        }
        if let Some(first) = known.insert((of.dev(), of.ino()), path) {
            return Err(Error::Twice {
                path: path.clone(),
                first: first.clone(),
            });
        }
    }
    Ok(())
}
