//! What files may be compared, and in which order: each once, and such as can be read more than once.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// Files with the names that `leak` gives, in the order of their numbers (`NAME.PID.heapsnapshot`, `NAME.PID.1.heapsnapshot`,
/// …): a shell puts those with a number first, and 10 before 2. Others as they are.
pub fn in_order(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = files.to_vec();
    let series = |path: &Path| numbered(path).map(|(stem, _)| path.with_file_name(stem));
    let first = files.first().and_then(|path| series(path));
    if first.is_some() && files.iter().all(|path| series(path) == first) {
        files.sort_by_key(|path| numbered(path).map(|(_, number)| number));
    }
    files
}

/// What stands before the number in such a name, and the number.
fn numbered(path: &Path) -> Option<(&str, u32)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".heapsnapshot")?;
    match stem.rsplit_once('.')? {
        (rest, last) if is_number(last) && is_series(rest) => Some((rest, last.parse().ok()?)),
        _ if is_series(stem) => Some((stem, 0)),
        _ => None,
    }
}

/// Whether it is `NAME.PID` or `NAME.PID.workerN`.
fn is_series(stem: &str) -> bool {
    let process = match stem.rsplit_once('.') {
        Some((rest, last)) if last.strip_prefix("worker").is_some_and(is_number) => rest,
        _ => stem,
    };
    process
        .rsplit_once('.')
        .is_some_and(|(_, pid)| is_number(pid))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(names: &[&str]) -> Vec<String> {
        let files: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        let names = in_order(&files);
        names
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn a_series_is_in_the_order_of_its_numbers_however_a_shell_lists_it() {
        for (listed, right) in [
            (
                [
                    "a/node.7.1.heapsnapshot",
                    "a/node.7.10.heapsnapshot",
                    "a/node.7.2.heapsnapshot",
                    "a/node.7.heapsnapshot",
                ],
                [
                    "a/node.7.heapsnapshot",
                    "a/node.7.1.heapsnapshot",
                    "a/node.7.2.heapsnapshot",
                    "a/node.7.10.heapsnapshot",
                ],
            ),
            (
                [
                    "x.7.worker2.1.heapsnapshot",
                    "x.7.worker2.2.heapsnapshot",
                    "x.7.worker2.3.heapsnapshot",
                    "x.7.worker2.heapsnapshot",
                ],
                [
                    "x.7.worker2.heapsnapshot",
                    "x.7.worker2.1.heapsnapshot",
                    "x.7.worker2.2.heapsnapshot",
                    "x.7.worker2.3.heapsnapshot",
                ],
            ),
        ] {
            assert_eq!(ordered(&listed), right);
        }
    }

    #[test]
    fn files_that_are_no_series_stay_as_they_are_given() {
        for names in [
            ["b.heapsnapshot", "a.heapsnapshot"],
            ["node.7.heapsnapshot", "node.6.heapsnapshot"],
            ["b/node.7.1.heapsnapshot", "a/node.7.heapsnapshot"],
            ["node.7.1.json", "node.7.json"],
            ["node.7.worker2.heapsnapshot", "node.7.1.heapsnapshot"],
        ] {
            assert_eq!(ordered(&names), names);
        }
    }
}
