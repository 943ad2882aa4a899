//! Where the logs go: `-o`, `LEAK_LOG` or the default, as one absolute pattern, checked for
//! room and rights before the program starts.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::environment;
use crate::error::reason;

/// The buffers of a log's first threads need this much, bytes.
const LEAST_ROOM: u64 = 4 << 20;

/// File systems whose files are the kernel's words, not bytes on a disk.
const KERNELS_OWN: [libc::__fsword_t; 6] = [
    libc::PROC_SUPER_MAGIC,
    libc::SYSFS_MAGIC,
    libc::DEBUGFS_MAGIC,
    libc::TRACEFS_MAGIC,
    libc::CGROUP2_SUPER_MAGIC,
    libc::DEVPTS_SUPER_MAGIC,
];

/// An absolute path, in whose last part `%p` and `%e` stand for process id and program name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub PathBuf);

/// Why no log can be written. `Display` gives one line.
#[derive(Debug)]
pub enum Unwritable {
    /// The directory is not there and cannot be made, or is none.
    NoDirectory(PathBuf, std::io::Error),
    /// No right to make files there, or the file system is read-only.
    Refused(PathBuf, std::io::Error),
    /// No space left.
    Full(PathBuf),
    /// A name without letters.
    Empty,
    /// There is a file of this name, and it is no log.
    Taken(PathBuf),
    /// A device, or a place that keeps no files.
    NoFiles(PathBuf),
    /// No file may be as large as the smallest log; the limit, bytes.
    Limited(u64),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::NoDirectory(dir, error) => write!(
                f,
                "{}: not a directory to write logs to ({}); make it, or choose another with -o",
                dir.display(),
                reason(error)
            ),
            Unwritable::Refused(dir, error) => write!(
                f,
                "{}: no logs can be written there ({}); choose another directory with -o",
                dir.display(),
                reason(error)
            ),
            Unwritable::Full(dir) => write!(
                f,
                "{}: the disk is full (less than {} left); free some space, or choose another directory with -o",
                dir.display(),
                crate::figures::bytes(LEAST_ROOM)
            ),
            Unwritable::Limited(limit) => write!(
                f,
                "no file may be larger than {} here (RLIMIT_FSIZE), and a log needs {}; raise the limit (ulimit -f)",
                crate::figures::bytes(*limit),
                crate::figures::bytes(LEAST_ROOM)
            ),
            Unwritable::Empty => {
                write!(f, "-o: the name is empty; give a file name or a directory")
            }
            Unwritable::Taken(path) => write!(
                f,
                "{}: exists and is no leak log; choose another name with -o, or a directory (-o DIR/)",
                path.display()
            ),
            Unwritable::NoFiles(path) => write!(
                f,
                "{}: no place for a log, which must be a file on a disk; \
                 choose another name with -o, or a directory (-o DIR/)",
                path.display()
            ),
        }
    }
}

impl Pattern {
    /// The pattern that is asked for, its directory ready to be written to.
    pub fn prepare(asked: Option<&OsStr>) -> Result<Pattern, Unwritable> {
        let from_environment = std::env::var_os(environment::LOG).filter(|value| !value.is_empty());
        if asked.is_some_and(OsStr::is_empty) {
            return Err(Unwritable::Empty);
        }
        let limit = largest_file();
        if limit < LEAST_ROOM {
            return Err(Unwritable::Limited(limit));
        }
        let Some(asked) = asked.map(OsStr::to_owned).or(from_environment) else {
            return Pattern::default_place();
        };
        let pattern = absolute(&whole(&asked));
        keeps_files(&pattern)?;
        let dir = directory(&pattern);
        // The directory part may hold placeholders as well: then only the recorder knows it.
        if !dir.as_os_str().as_bytes().contains(&b'%') {
            if ends_in_slash(&asked) {
                std::fs::create_dir_all(dir)
                    .map_err(|error| Unwritable::NoDirectory(dir.to_owned(), error))?;
            }
            check(dir)?;
        }
        Ok(Pattern(pattern))
    }

    /// Here, else in `$TMPDIR`, else in `/tmp`.
    fn default_place() -> Result<Pattern, Unwritable> {
        let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let temporary = std::env::var_os("TMPDIR")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from);
        let places = [Some(here), temporary, Some("/tmp".into())];
        let mut first = None;
        for dir in places.into_iter().flatten() {
            match check(&dir) {
                Ok(()) => return Ok(Pattern(absolute(&dir.join(environment::DEFAULT_PATTERN)))),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| Unwritable::Full("/tmp".into())))
    }

    /// The directory the logs are in.
    pub fn directory(&self) -> &Path {
        directory(&self.0)
    }

    /// Whether a file of that directory could be a log by this pattern. The recorder adds a
    /// number to a name that is taken, before a `.leak` at the end.
    pub fn matches(&self, name: &OsStr) -> bool {
        could_be(self.0.file_name().unwrap_or_default().as_bytes(), name)
    }

    /// Whether a file of that directory could be the log of one process.
    pub fn is_of(&self, pid: u32, name: &OsStr) -> bool {
        let mut with_pid = Vec::new();
        let mut rest = self.0.file_name().unwrap_or_default().as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            match (byte, behind.first()) {
                (b'%', Some(b'p')) => with_pid.extend(pid.to_string().bytes()),
                (b'%', Some(&other)) => with_pid.extend([byte, other]),
                _ => {
                    with_pid.push(byte);
                    rest = behind;
                    continue;
                }
            }
            rest = &behind[1..];
        }
        could_be(&with_pid, name)
    }
}

fn could_be(pattern: &[u8], name: &OsStr) -> bool {
    let (stem, end) = match pattern.strip_suffix(b".leak") {
        Some(stem) => (stem, &b".leak"[..]),
        None => (pattern, &b""[..]),
    };
    let numbered = [stem, b".%p", end].concat();
    glob(pattern, name.as_bytes()) || glob(&numbered, name.as_bytes())
}

/// How large a file of this process and of those that it starts may be, bytes.
fn largest_file() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure is writable; where it is not filled there is no limit.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    limit.rlim_cur
}

/// Refuses what is there and is no log, devices, and the kernel's own file systems. (The
/// recorder never writes over a file: it numbers names that are taken.)
fn keeps_files(pattern: &Path) -> Result<(), Unwritable> {
    let refused = || Err(Unwritable::NoFiles(pattern.to_owned()));
    match std::fs::metadata(pattern) {
        Ok(about) if !about.is_file() => return refused(),
        Ok(_) if !heap::is_log(pattern) => return Err(Unwritable::Taken(pattern.to_owned())),
        _ => {}
    }
    let dir = directory(pattern);
    // In memory, but its contents are the kernel's; /dev/shm is a file system of its own.
    let devices = dir.starts_with("/dev") && !dir.starts_with("/dev/shm");
    let name = CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
    let mut about = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: both pointers are to live values; it is read only after success.
    let kind = unsafe {
        match libc::statfs(name.as_ptr(), about.as_mut_ptr()) {
            0 => about.assume_init().f_type,
            _ => 0,
        }
    };
    if devices || KERNELS_OWN.contains(&kind) {
        return refused();
    }
    Ok(())
}

/// A directory means the default names in it.
fn whole(asked: &OsStr) -> PathBuf {
    let path = PathBuf::from(asked);
    if ends_in_slash(asked) || path.is_dir() {
        path.join(environment::DEFAULT_PATTERN)
    } else {
        path
    }
}

fn ends_in_slash(path: &OsStr) -> bool {
    path.as_bytes().ends_with(b"/")
}

fn directory(pattern: &Path) -> &Path {
    pattern.parent().unwrap_or(Path::new("/"))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn check(dir: &Path) -> Result<(), Unwritable> {
    let place = || dir.to_owned();
    let about = std::fs::metadata(dir).map_err(|error| Unwritable::NoDirectory(place(), error))?;
    if !about.is_dir() {
        let error = std::io::ErrorKind::NotADirectory.into();
        return Err(Unwritable::NoDirectory(place(), error));
    }
    let name = CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: the name is NUL-terminated and lives over the call.
    if unsafe { libc::access(name.as_ptr(), libc::W_OK | libc::X_OK) } != 0 {
        return Err(Unwritable::Refused(
            place(),
            std::io::Error::last_os_error(),
        ));
    }
    let mut space = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are to live values; it is read only after success.
    let room = unsafe {
        match libc::statvfs(name.as_ptr(), space.as_mut_ptr()) {
            0 => {
                let space = space.assume_init();
                // Some file systems count no blocks at all.
                if space.f_blocks == 0 {
                    u64::MAX
                } else {
                    space.f_bavail.saturating_mul(space.f_frsize)
                }
            }
            _ => u64::MAX,
        }
    };
    // Some file systems count no blocks at all.
    if room < LEAST_ROOM {
        return Err(Unwritable::Full(place()));
    }
    Ok(())
}

/// Whether `name` is what the pattern can become.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'%', b'p', rest @ ..] => {
            let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (1..=digits)
                .rev()
                .any(|len| name.get(len..).is_some_and(|name| glob(rest, name)))
        }
        [b'%', b'e', rest @ ..] => (0..=name.len())
            .rev()
            .any(|len| name.get(len..).is_some_and(|name| glob(rest, name))),
        [b'%', b'%', rest @ ..] => name.strip_prefix(b"%").is_some_and(|name| glob(rest, name)),
        [byte, rest @ ..] => name
            .split_first()
            .is_some_and(|(first, name)| first == byte && glob(rest, name)),
    }
}

impl From<Pattern> for OsString {
    fn from(pattern: Pattern) -> OsString {
        OsString::from_vec(pattern.0.into_os_string().into_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_the_recorder_makes_of_it() {
        let pattern = Pattern("/x/%e.%p.leak".into());
        for name in ["app.12.leak", "a.b.1.leak", "app.12.1.leak"] {
            assert!(pattern.matches(OsStr::new(name)), "{name}");
        }
        for name in [
            "app.leak",
            "app.x.leak",
            "12.leak",
            "app.12.log",
            "app.12.leak.gz",
        ] {
            assert!(!pattern.matches(OsStr::new(name)), "{name}");
        }
        assert!(Pattern("/x/%p.leak".into()).matches(OsStr::new("12.3.leak")));
        assert!(Pattern("/x/log".into()).matches(OsStr::new("log.3")));
        assert!(!Pattern("/x/log".into()).matches(OsStr::new("logs")));
        assert!(Pattern("/x/100%%-%p".into()).matches(OsStr::new("100%-7")));
    }

    #[test]
    fn a_log_without_content_is_known_by_the_process_id_in_its_name() {
        let of = |pattern: &str, name: &str| Pattern(pattern.into()).is_of(12, OsStr::new(name));
        assert!(of("/x/%e.%p.leak", "app.12.leak") && of("/x/%e.%p.leak", "app.12.1.leak"));
        assert!(!of("/x/%e.%p.leak", "app.13.leak") && !of("/x/%e.%p.leak", "app.112.leak"));
        assert!(of("/x/%%p-%p", "%p-12") && !of("/x/%%p-%p", "%12-12"));
        assert!(of("/x/log", "log"));
    }

    #[test]
    fn a_directory_means_the_default_names_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut asked = dir.path().join("new").into_os_string();
        asked.push("/");
        let pattern = Pattern::prepare(Some(&asked)).unwrap();
        assert_eq!(pattern.0, dir.path().join("new/%e.%p.leak"));
        assert!(dir.path().join("new").is_dir());
    }
}
