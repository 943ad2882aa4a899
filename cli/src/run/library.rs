//! Where `libleak.so` is.

use std::path::{Path, PathBuf};

use crate::environment;
use crate::error::Error;

/// File name of the recorder.
pub const NAME: &str = "libleak.so";

/// `LEAK_LIB`, else beside the command, else in `../lib` from there.
pub fn find() -> Result<PathBuf, Error> {
    let places = match std::env::var_os(environment::LIBRARY).filter(|path| !path.is_empty()) {
        Some(path) => vec![std::path::absolute(&path).unwrap_or_else(|_| path.into())],
        None => beside(&std::env::current_exe().unwrap_or_default()),
    };
    let found = places.iter().find(|place| place.is_file()).cloned();
    let library = found.ok_or(Error::NoLibrary { places })?;
    let bytes = library.as_os_str().as_encoded_bytes();
    if bytes
        .iter()
        .any(|byte| byte.is_ascii_whitespace() || *byte == b':')
    {
        return Err(Error::LibraryPath(library));
    }
    Ok(library)
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
