//! What can go wrong with one module, each in a line: what, where and what to do.

use std::fmt;
use std::path::PathBuf;

/// Why the frames of a module are missing or poor. `Display` gives one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The module's file cannot be opened.
    Missing {
        /// The module as the process saw it.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file at the path is not the one that was running.
    Changed {
        /// The file that was found and refused.
        path: PathBuf,
        /// Build-id of the run.
        expected: Vec<u8>,
        /// Build-id of the file, if it has one.
        found: Option<Vec<u8>>,
    },
    /// The file was deleted during the run, and no build-id tells whether its successor is equal.
    Deleted {
        /// The module as the process saw it.
        path: PathBuf,
    },
    /// The file, or a part of it, cannot be read.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file is no 64-bit little-endian ELF file.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A separate debug file is there but belongs to another build.
    WrongDebugFile {
        /// The debug file that was refused.
        path: PathBuf,
        /// The module it was wanted for.
        module: PathBuf,
    },
    /// The supplementary file (made by dwz) that the debug information refers to is missing.
    NoSupplement {
        /// The file that refers to it.
        path: PathBuf,
        /// Its name there.
        name: PathBuf,
    },
    /// A split DWARF file is missing.
    NoSplit {
        /// The module.
        path: PathBuf,
        /// Where the compiler put the file.
        name: PathBuf,
    },
    /// This crate or a library failed on the module.
    Internal {
        /// The module.
        path: PathBuf,
        /// What it said.
        what: String,
    },
}

impl Problem {
    /// The file that the problem is about.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Problem::Missing { path, .. }
            | Problem::Changed { path, .. }
            | Problem::Deleted { path }
            | Problem::Damaged { path, .. }
            | Problem::Foreign { path }
            | Problem::WrongDebugFile { path, .. }
            | Problem::NoSupplement { path, .. }
            | Problem::NoSplit { path, .. }
            | Problem::Internal { path, .. } => path,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            Problem::Missing { why, .. } => write!(
                f,
                "{path}: cannot be opened ({why}): its frames have no names; bring the file, \
                 or give its root with --sysroot or its debug file with --debug-dir"
            ),
            Problem::Changed {
                expected, found, ..
            } => {
                write!(f, "{path}: changed since the run (build-id ")?;
                match found {
                    Some(found) => write!(f, "{}", Hex(found))?,
                    None => write!(f, "none")?,
                }
                write!(
                    f,
                    ", the run had {}): not used; bring back the old file with --sysroot, \
                     or its debug file with --debug-dir",
                    Hex(expected)
                )
            }
            Problem::Deleted { .. } => write!(
                f,
                "{path}: was deleted during the run and has no build-id to know its successor by: \
                 not used; link it with --build-id and run again"
            ),
            Problem::Damaged { what, .. } => write!(
                f,
                "{path}: {what}: that part is not used; build or install the file again"
            ),
            Problem::Foreign { .. } => write!(
                f,
                "{path}: not a 64-bit little-endian ELF file: its frames have no names"
            ),
            Problem::WrongDebugFile { module, .. } => write!(
                f,
                "{path}: not the debug file of {} (build-id or checksum differs): not used; \
                 install the one of the same version",
                module.display()
            ),
            Problem::NoSupplement { name, .. } => write!(
                f,
                "{path}: refers to {}, which is missing: some functions have no name; \
                 install it beside its debug file or give --debug-dir",
                name.display()
            ),
            Problem::NoSplit { name, .. } => write!(
                f,
                "{path}: its split debug information {} is missing: no lines for that part; \
                 keep the build directory, or make a .dwp file beside the program with dwp",
                name.display()
            ),
            Problem::Internal { what, .. } => write!(
                f,
                "{path}: the symbolizer failed on it ({what}): its frames have no names; \
                 please report this"
            ),
        }
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
