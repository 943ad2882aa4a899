//! Whether a program can be traced by preloading, asked before it is started.
//!
//! The kernel and the loader do not complain about what they cannot preload: a static
//! program, a set-user-id one and a 32-bit one just run without the recorder, and the user
//! finds no log. So each of these is told beforehand. Rules: `execve(2)`, `ld.so(8)`,
//! `capabilities(7)`.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::elf;
use crate::error::reason;

/// Scripts that name scripts as their interpreters; the kernel follows as many.
const MAX_SCRIPTS: usize = 5;
/// Longest `#!` line the kernel reads, bytes.
const MAX_LINE: usize = 256;

/// Why a program cannot be traced. `Display` gives one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untraceable {
    /// The file that is the trouble.
    pub path: PathBuf,
    /// What the trouble is.
    pub why: Why,
}

/// What the trouble is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No such file.
    Missing,
    /// No such name on `PATH`.
    NotOnPath,
    /// It is a directory.
    Directory,
    /// No right to execute it.
    NotExecutable,
    /// Asking for it failed.
    System(String),
    /// Its `#!` line or its ELF header names a file that is not there.
    NoInterpreter {
        /// The script or program.
        of: PathBuf,
    },
    /// Not for this machine.
    Foreign,
    /// 32-bit.
    Narrow,
    /// No dynamic loader.
    Static,
    /// Linked with musl.
    Musl,
    /// AddressSanitizer or a relative replaces malloc already and insists on being first.
    Sanitizer(String),
    /// Set-user-id.
    SetUserId,
    /// Set-group-id.
    SetGroupId,
    /// File capabilities.
    Capabilities,
}

impl fmt::Display for Untraceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.why {
            Why::Missing => write!(
                f,
                "no such file; give the path of a program or a name on PATH"
            ),
            Why::NotOnPath => write!(
                f,
                "not found on PATH; give its path (./{} for one in this directory)",
                self.path.display()
            ),
            Why::Directory => write!(f, "a directory, not a program; name the program in it"),
            Why::NotExecutable => write!(
                f,
                "not executable; chmod +x it, or run its interpreter (leak run -- sh {})",
                self.path.display()
            ),
            Why::System(error) => write!(f, "cannot be opened ({error}); check path and rights"),
            Why::NoInterpreter { of } => write!(
                f,
                "no such file, but {} needs it to run; install it",
                of.display()
            ),
            Why::Foreign => write!(
                f,
                "made for another kind of processor, so libleak.so cannot be loaded into it; \
                 trace a build for {}",
                std::env::consts::ARCH
            ),
            Why::Narrow => write!(
                f,
                "a 32-bit program, and libleak.so is 64-bit, so it cannot be loaded into it; \
                 trace a 64-bit build"
            ),
            Why::Static => write!(
                f,
                "statically linked: there is no dynamic loader that could preload libleak.so; \
                 link it dynamically (without -static)"
            ),
            Why::Musl => write!(
                f,
                "linked with musl libc, which libleak.so does not support yet; \
                 trace a build for glibc"
            ),
            Why::Sanitizer(name) => write!(
                f,
                "linked with {name}, which replaces malloc itself and must be loaded first; \
                 trace a build without -fsanitize"
            ),
            Why::SetUserId => write!(
                f,
                "set-user-id, so the loader ignores LD_PRELOAD; trace a copy without that bit, \
                 or run leak as the file's owner"
            ),
            Why::SetGroupId => write!(
                f,
                "set-group-id, so the loader ignores LD_PRELOAD; trace a copy without that bit, \
                 or run leak with the file's group"
            ),
            Why::Capabilities => write!(
                f,
                "has file capabilities, so the loader ignores LD_PRELOAD; trace a copy (copies \
                 have none), or run leak as root"
            ),
        }
    }
}

/// The file that a command name means, as `execvp` looks for it, or why it cannot be traced.
pub fn find(name: &OsStr) -> Result<PathBuf, Untraceable> {
    let file = if name.as_bytes().contains(&b'/') {
        PathBuf::from(name)
    } else {
        on_path(name)?
    };
    check(&file, None, MAX_SCRIPTS)?;
    Ok(file)
}

fn on_path(name: &OsStr) -> Result<PathBuf, Untraceable> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut refused = None;
    for dir in std::env::split_paths(&path) {
        let dir = if dir.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            dir
        };
        let file = dir.join(name);
        match fs::metadata(&file) {
            Ok(about) if about.is_file() && executable(&file) => return Ok(file),
            Ok(about) if about.is_file() => refused = refused.or(Some(file)),
            _ => {}
        }
    }
    Err(match refused {
        Some(path) => Untraceable {
            path,
            why: Why::NotExecutable,
        },
        None => Untraceable {
            path: name.into(),
            why: Why::NotOnPath,
        },
    })
}

/// `of` is the script or program that asks for this file.
fn check(path: &Path, of: Option<&Path>, scripts_left: usize) -> Result<(), Untraceable> {
    let because = |why| {
        Err(Untraceable {
            path: path.to_owned(),
            why,
        })
    };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return because(match of {
                Some(of) => Why::NoInterpreter { of: of.to_owned() },
                None => Why::Missing,
            });
        }
        Err(error) => return because(Why::System(reason(&error))),
    };
    if about.is_dir() {
        return because(Why::Directory);
    }
    if !executable(path) {
        return because(Why::NotExecutable);
    }
    // A program that may be executed but not read: nothing more to learn about it.
    let Ok(file) = File::open(path) else {
        return privileges(path, &about);
    };
    if let Some(interpreter) = interpreter(&file) {
        return match scripts_left.checked_sub(1) {
            Some(left) => check(&interpreter, Some(path), left),
            None => Ok(()),
        };
    }
    // SAFETY: a private, read-only map of a program file; it breaks (SIGBUS) only if the file
    // is truncated at this moment, as with every tool that maps programs.
    let Ok(map) = (unsafe { Mmap::map(&file) }) else {
        return Ok(());
    };
    if let Some(facts) = elf::facts(&map) {
        linkage(path, &facts)?;
    }
    privileges(path, &about)
}

fn linkage(path: &Path, facts: &elf::Facts) -> Result<(), Untraceable> {
    let because = |why| {
        Err(Untraceable {
            path: path.to_owned(),
            why,
        })
    };
    if facts.narrow {
        return because(Why::Narrow);
    }
    if !facts.native {
        return because(Why::Foreign);
    }
    match &facts.loader {
        // The loader itself, started as a program (ld.so ./app), does preload.
        None if facts
            .soname
            .as_ref()
            .is_some_and(|name| name.starts_with("ld-linux")) => {}
        None => return because(Why::Static),
        Some(loader) if loader.contains("ld-musl") => return because(Why::Musl),
        Some(loader) => {
            let loader = Path::new(loader);
            if !loader.exists() {
                let why = Why::NoInterpreter {
                    of: path.to_owned(),
                };
                return Err(Untraceable {
                    path: loader.to_owned(),
                    why,
                });
            }
        }
    }
    let sanitizers = ["libasan.so", "libtsan.so", "libhwasan.so", "libclang_rt."];
    let found = facts
        .needed
        .iter()
        .find(|needed| sanitizers.iter().any(|name| needed.starts_with(name)));
    match found {
        Some(name) => because(Why::Sanitizer(name.clone())),
        None => Ok(()),
    }
}

/// Whether the kernel would raise `AT_SECURE` for the file.
fn privileges(path: &Path, about: &fs::Metadata) -> Result<(), Untraceable> {
    let because = |why| {
        Err(Untraceable {
            path: path.to_owned(),
            why,
        })
    };
    let name = c_path(path);
    if no_new_privileges() || mounted_nosuid(&name) {
        return Ok(());
    }
    // SAFETY: no preconditions; these calls cannot fail.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    let mode = about.permissions().mode();
    if mode & libc::S_ISUID != 0 && about.uid() != user {
        return because(Why::SetUserId);
    }
    let group_bits = libc::S_ISGID | libc::S_IXGRP;
    if mode & group_bits == group_bits && about.gid() != group {
        return because(Why::SetGroupId);
    }
    if user != 0 && has_capabilities(&name) {
        return because(Why::Capabilities);
    }
    Ok(())
}

fn executable(path: &Path) -> bool {
    // SAFETY: the path is a NUL-terminated string that lives over the call.
    unsafe { libc::access(c_path(path).as_ptr(), libc::X_OK) == 0 }
}

fn no_new_privileges() -> bool {
    // SAFETY: reads one flag of this process.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

fn mounted_nosuid(path: &CString) -> bool {
    let mut about = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: both pointers are to live values; zeroes are a valid statvfs if it fails.
    let about = unsafe {
        libc::statvfs(path.as_ptr(), about.as_mut_ptr());
        about.assume_init()
    };
    about.f_flag & libc::ST_NOSUID != 0
}

fn has_capabilities(path: &CString) -> bool {
    // SAFETY: both strings are NUL-terminated; with length 0 nothing is written.
    unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            std::ptr::null_mut(),
            0,
        ) > 0
    }
}

/// The interpreter that a script's `#!` line names; for `env NAME`, the program it will find.
fn interpreter(file: &File) -> Option<PathBuf> {
    let mut start = Vec::with_capacity(MAX_LINE);
    file.take(MAX_LINE as u64).read_to_end(&mut start).ok()?;
    let line = start
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n')
        .next()?;
    let mut words = line
        .split(|&byte| byte == b' ' || byte == b'\t')
        .filter(|word| !word.is_empty());
    let interpreter = PathBuf::from(OsStr::from_bytes(words.next()?));
    if interpreter.file_name() == Some(OsStr::new("env"))
        && let Some(name) = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
        && let Ok(found) = on_path(OsStr::from_bytes(name))
    {
        return Some(found);
    }
    Some(interpreter)
}

fn c_path(path: &Path) -> CString {
    // A path with a NUL byte cannot come from arguments, the environment or a file system.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
