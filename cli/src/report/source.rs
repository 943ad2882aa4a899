//! Lines of source files, read when first asked for.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Larger files are not source that people wrote.
const MAX_FILE: u64 = 8 << 20;
/// Longer lines are cut.
const MAX_LINE: usize = 100;

/// The files read so far.
#[derive(Debug, Default)]
pub struct Sources {
    sysroot: Option<PathBuf>,
    files: HashMap<String, Option<Vec<u8>>>,
}

impl Sources {
    /// Files below `sysroot` come first.
    pub fn new(sysroot: Option<PathBuf>) -> Sources {
        Sources {
            sysroot,
            files: HashMap::new(),
        }
    }

    /// A line without the blanks around it; `None` if there is no such file or line.
    pub fn line(&mut self, file: &str, line: u32) -> Option<String> {
        if !self.files.contains_key(file) {
            let read = self.read(Path::new(file));
            self.files.insert(file.to_owned(), read);
        }
        let text = self.files.get(file)?.as_ref()?;
        let line = text
            .split(|&byte| byte == b'\n')
            .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let line = String::from_utf8_lossy(line);
        // Control characters of a file are not for the terminal.
        let line: String = line
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if line.is_empty() {
            return None;
        }
        Some(match line.char_indices().nth(MAX_LINE) {
            Some((at, _)) => format!("{}...", &line[..at]),
            None => line,
        })
    }

    fn read(&self, file: &Path) -> Option<Vec<u8>> {
        // A relative path would be looked for wherever the reader happens to stand.
        let inside = file.strip_prefix("/").ok()?;
        let below = self.sysroot.iter().map(|root| root.join(inside));
        below.chain([file.to_owned()]).find_map(|path| {
            let about = fs::metadata(&path).ok()?;
            (about.is_file() && about.len() <= MAX_FILE).then(|| fs::read(&path).ok())?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_long_ones_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.c");
        fs::write(&path, format!("one\n\n\t two\t2 \n{}", "x".repeat(300))).unwrap();
        let mut sources = Sources::default();
        let path = path.to_str().unwrap();
        assert_eq!(sources.line(path, 1).unwrap(), "one");
        assert_eq!(sources.line(path, 2), None);
        assert_eq!(sources.line(path, 3).unwrap(), "two 2");
        assert_eq!(sources.line(path, 4).unwrap().len(), MAX_LINE + 3);
        assert_eq!(sources.line(path, 5), None);
        assert_eq!(sources.line(path, 0), None);
        assert_eq!(sources.line("a.c", 1), None);
        assert_eq!(sources.line("/dev/zero", 1), None);
    }
}
