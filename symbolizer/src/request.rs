//! What is asked and what is answered: plain data, no behaviour.

use std::path::PathBuf;

use crate::problem::Problem;

/// A file that a process had mapped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Module {
    /// The path as the process saw it.
    pub path: PathBuf,
    /// The build-id that was in memory. A file with another build-id is refused. `None` means
    /// that the module had none, or that it is not known: then any file at the path is taken.
    pub build_id: Option<Vec<u8>>,
}

/// How to look for files and what to tell.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directories that are searched for debug files before `/usr/lib/debug`.
    pub debug_dirs: Vec<PathBuf>,
    /// A directory that stands for `/` of the machine the log comes from.
    pub sysroot: Option<PathBuf>,
    /// Whether inlined calls are told as frames of their own. On by default.
    pub inlines: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            debug_dirs: Vec::new(),
            sysroot: None,
            inlines: true,
        }
    }
}

/// Addresses of one module.
#[derive(Clone, Debug)]
pub struct Request {
    /// The module.
    pub module: Module,
    /// ELF virtual addresses: run-time address less the module's load bias. A return address
    /// must already be lessened by one, or the line told is the one after the call. In any
    /// order, repeats allowed.
    pub addresses: Vec<u64>,
}

/// One function at one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Demangled name.
    pub function: Option<String>,
    /// Path of the source file as the compiler recorded it.
    pub file: Option<String>,
    /// Line in that file, from 1.
    pub line: Option<u32>,
    /// Whether this function was inlined into the frame that follows.
    pub inlined: bool,
}

/// The best source of names that a module has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing usable was found.
    #[default]
    Nothing,
    /// Exported functions only (`.dynsym`): the other functions of the module have no name.
    Exports,
    /// All functions (`.symtab`), no files and lines.
    Functions,
    /// DWARF: files, lines and inlined calls.
    Lines,
}

/// The answer to one [`Request`].
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// One entry for each address of the request, in its order: the innermost inlined function
    /// first, the function that is really there last. Empty if nothing is known.
    pub frames: Vec<Vec<Frame>>,
    /// Where the names come from; tells whether debug information would help.
    pub detail: Detail,
    /// Why something is missing, if it is known. There may be frames all the same.
    pub problem: Option<Problem>,
}
