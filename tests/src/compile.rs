//! Builds the programs of `tests/programs/`, each once per content and flags.
//!
//! The kind of a program is its suffix: `.c` (gcc), `.cc` (g++), `.rs` (rustc). A
//! line `flags: …` in the first comment adds compiler flags. C and C++ are built
//! with `-O1 -g` and without frame pointers, as distributions do; builtins and the
//! removal of unused allocations are off, so that each call in the source is a call
//! at run time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A program to build: its source's stem and flags beyond the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program {
    name: String,
    flags: Vec<String>,
}

impl Program {
    /// The program `name` of `tests/programs/`, without suffix.
    pub fn new(name: &str) -> Self {
        Program {
            name: name.to_owned(),
            flags: Vec::new(),
        }
    }

    /// More flags for its compiler, after the usual ones.
    pub fn flags<'a>(mut self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        self.flags.extend(flags.into_iter().map(str::to_owned));
        self
    }

    /// The built file. Panics with the compiler's words when it does not build.
    pub fn build(&self) -> PathBuf {
        self.try_build()
            .unwrap_or_else(|problem| panic!("{}: {problem}", self.name))
    }

    /// The built file, or what the compiler said: for flags that not every machine
    /// has (`-m32`).
    pub fn try_build(&self) -> Result<PathBuf, String> {
        type Slot = Arc<OnceLock<Result<PathBuf, String>>>;
        static BUILT: OnceLock<Mutex<HashMap<Program, Slot>>> = OnceLock::new();
        let slot = {
            let mut built = BUILT
                .get_or_init(Mutex::default)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(built.entry(self.clone()).or_default())
        };
        slot.get_or_init(|| self.compile()).clone()
    }

    fn compile(&self) -> Result<PathBuf, String> {
        let source = source(&self.name)?;
        let text =
            std::fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
        let mut flags: Vec<String> = usual_flags(&source);
        flags.extend(flags_of_header(&text));
        flags.extend(self.flags.iter().cloned());

        let mut hasher = DefaultHasher::new();
        (&text, &flags, source.extension()).hash(&mut hasher);
        for header in headers()? {
            header.hash(&mut hasher);
        }
        let folder = crate::tools::target()
            .join("test-programs")
            .join(format!("{:016x}", hasher.finish()));
        let suffix = if flags.iter().any(|flag| flag == "-shared") {
            ".so"
        } else {
            ""
        };
        let output = folder.join(format!("{}{suffix}", self.name));
        if output.exists() {
            return Ok(output);
        }
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;

        // Built under another name first: another test process may build the same.
        let unfinished = folder.join(format!("{}.{}", self.name, std::process::id()));
        let compiler = compiler(&source);
        let run = Command::new(compiler)
            .arg("-o")
            .arg(&unfinished)
            .arg(&source)
            .args(&flags)
            .env_remove("LD_PRELOAD")
            .current_dir(&folder)
            .output()
            .map_err(|e| format!("{compiler}: {e}"))?;
        if !run.status.success() {
            return Err(format!(
                "{compiler} {flags:?}: {}",
                String::from_utf8_lossy(&run.stderr)
            ));
        }
        std::fs::rename(&unfinished, &output).map_err(|e| format!("{}: {e}", output.display()))?;
        Ok(output)
    }
}

/// The folder of the sources.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

fn source(name: &str) -> Result<PathBuf, String> {
    ["c", "cc", "rs"]
        .iter()
        .map(|suffix| sources().join(format!("{name}.{suffix}")))
        .find(|path| path.exists())
        .ok_or_else(|| format!("no source of that name in {}", sources().display()))
}

fn headers() -> Result<Vec<String>, String> {
    let folder = sources();
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "h"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display())))
        .collect()
}

fn compiler(source: &Path) -> &'static str {
    match source.extension().and_then(|suffix| suffix.to_str()) {
        Some("cc") => "g++",
        Some("rs") => "rustc",
        _ => "gcc",
    }
}

fn usual_flags(source: &Path) -> Vec<String> {
    let flags: &[&str] = match compiler(source) {
        "rustc" => &["-g", "-Copt-level=1", "--edition=2024"],
        "g++" => &[
            "-O1",
            "-g",
            "-Wall",
            "-Wno-dangling-pointer",
            "-std=c++17",
            "-fno-builtin",
            "-fno-allocation-dce",
            "-pthread",
            "-ldl",
        ],
        _ => &[
            "-O1",
            "-g",
            "-Wall",
            "-Wno-dangling-pointer",
            "-D_GNU_SOURCE",
            "-fno-builtin",
            "-pthread",
            "-ldl",
        ],
    };
    flags.iter().map(|&flag| flag.to_owned()).collect()
}

fn flags_of_header(text: &str) -> Vec<String> {
    text.lines()
        .take(40)
        .find_map(|line| line.split_once("flags:"))
        .map(|(_, flags)| {
            flags
                .trim_end_matches("*/")
                .split_whitespace()
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}
