//! A running process with libleak in it, asked through its log's first page.
//!
//! No ptrace and no signal: who may write the log may ask ([`log_format::control`]).

mod channel;
pub mod interrupt;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use log_format::layout::{HEADER_SIZE, MAGIC};

pub use channel::{Channel, Figures, Taken, Way};

use crate::error::reason;
use crate::figures::bytes;

/// Why a process cannot be asked, or does not do what it is asked for.
#[derive(Debug)]
pub enum Problem {
    /// There is no such process, or no more.
    Gone,
    /// The system does not let us look at it.
    NotOurs(io::Error),
    /// It runs without libleak.
    NotPreloaded,
    /// So does this Node, which can be asked in another way.
    PlainNode(i32),
    /// It records nothing.
    NoLog,
    /// Its log cannot be written to by us.
    Unreachable(PathBuf, io::Error),
    /// The name of its log is gone.
    Deleted(PathBuf),
    /// Its log has been cut.
    Cut(PathBuf),
    /// No thread of it takes requests.
    NotListening,
    /// Someone else asks it something.
    Asked(u32),
    /// It did not come to the request in time.
    Patience,
    /// The user waits no longer, or nobody does; whether the process is at it nevertheless.
    GivenUp(bool),
    /// There is no such isolate, or no more.
    NoIsolate,
    /// Its V8 lacks a function.
    NoFunction,
    /// Memory may not suffice: bytes needed, bytes there.
    NoMemory(u64, u64),
    /// The file that the process was to write.
    File(PathBuf, io::Error),
    /// V8 made none.
    Refused,
    /// No copy of it can be made.
    NoCopy(io::Error),
    /// V8's threads were at work each time that a copy was to be made.
    NotAtRest,
    /// So many copies were made, and none finished.
    CopyFailed(u32),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Gone => write!(f, "there is no such process"),
            Problem::NotOurs(error) => write!(
                f,
                "it may not be looked at ({}): it belongs to someone else; try as root",
                reason(error)
            ),
            Problem::NotPreloaded => write!(f, "it runs without libleak; start it with leak run"),
            Problem::PlainNode(pid) => write!(
                f,
                "this Node runs without libleak; leak snapshot --inspect {pid} takes a heap snapshot of it \
                 (or start it with leak run)"
            ),
            Problem::NoLog => write!(
                f,
                "it records nothing: its recording has ended, or was turned off"
            ),
            Problem::Unreachable(log, error) => write!(
                f,
                "its log {} cannot be written to ({}), which is the way to ask it; try as its owner or as root",
                log.display(),
                reason(error)
            ),
            Problem::Deleted(log) => write!(
                f,
                "its log {} was deleted, so it can no longer be asked; as root it can",
                log.display()
            ),
            Problem::Cut(log) => write!(
                f,
                "its log {} was cut or overwritten, so it can no longer be asked",
                log.display()
            ),
            Problem::NotListening => write!(
                f,
                "nothing in it takes requests: it has no Node, has not begun its program yet, runs with \
                 LEAK_JS=0, or is about to end; leak snapshot --native looks at its native blocks"
            ),
            Problem::Asked(pid) => write!(
                f,
                "process {pid} asks it something already; try again when that is done"
            ),
            Problem::Patience => write!(
                f,
                "it did not come to the request in time: its thread is in a long call outside of JavaScript \
                 (execSync), or stopped; try again, or wait longer with --timeout"
            ),
            Problem::GivenUp(false) => write!(f, "the request was taken back"),
            Problem::GivenUp(true) => write!(
                f,
                "it was at it already, and writes the snapshot to its end; nobody waits for that"
            ),
            Problem::NoIsolate => write!(f, "the thread that was to be asked has ended"),
            Problem::NoFunction => write!(f, "its V8 lacks a function for heap snapshots"),
            Problem::NoMemory(needed, there) => write!(
                f,
                "a heap snapshot may need {} of memory and {} can be had; free some, or use --force",
                bytes(*needed),
                bytes(*there)
            ),
            Problem::File(path, error) => write!(
                f,
                "it cannot write {} ({}); name another place (-o, or --dir of leak watch)",
                path.display(),
                reason(error)
            ),
            Problem::Refused => write!(f, "its V8 made no heap snapshot"),
            Problem::NoCopy(error) => write!(
                f,
                "no copy of it can be made ({}); take the snapshot without --fork",
                reason(error)
            ),
            Problem::NotAtRest => write!(
                f,
                "V8's threads in it were at work each time that a copy was to be made; try again, or without --fork"
            ),
            Problem::CopyFailed(copies) => write!(
                f,
                "{copies} copies of it were made and none finished; take the snapshot without --fork"
            ),
        }
    }
}

/// A log that a process has mapped.
#[derive(Debug)]
pub struct Found {
    /// The end of its program's path.
    pub name: String,
    /// Its log as it calls it.
    pub log: PathBuf,
    file: File,
}

/// Finds the log of a process and opens it.
///
/// # Errors
/// Where there is none that we can write to.
pub fn find(pid: i32) -> Result<Found, Problem> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let maps =
        text(&proc.join("maps")).map_err(|error| match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(libc::ESRCH)) => Problem::Gone,
            _ => Problem::NotOurs(error),
        })?;
    if maps.is_empty() {
        return Err(Problem::Gone);
    }
    if !maps.contains("/libleak.so") {
        return Err(Problem::NotPreloaded);
    }
    let mut problem = Problem::NoLog;
    for line in maps.lines().filter(|line| line.contains(" rw-s 00000000 ")) {
        let mut words = line.splitn(6, ' ').map(str::trim);
        let (Some(range), Some(inode), Some(path)) = (words.next(), words.nth(3), words.next())
        else {
            continue;
        };
        let deleted = path.ends_with(" (deleted)");
        let path = PathBuf::from(path.trim_end_matches(" (deleted)"));
        let inode: u64 = inode.parse().unwrap_or(0);
        // By its name as the process sees it; by the kernel's own link where we may use it, which
        // also leads to files without a name.
        let own = path.strip_prefix("/").unwrap_or(&path);
        let ways = [
            proc.join("root").join(own),
            proc.join("map_files").join(range),
        ];
        for way in ways {
            let opened = OpenOptions::new().read(true).write(true).open(&way);
            let file = match opened {
                Ok(file) => file,
                Err(_) if deleted => {
                    problem = Problem::Deleted(path.clone());
                    continue;
                }
                Err(error) => {
                    if matches!(problem, Problem::NoLog) {
                        problem = Problem::Unreachable(path.clone(), error);
                    }
                    continue;
                }
            };
            if file.metadata().is_ok_and(|meta| meta.ino() != inode) {
                continue;
            }
            match is_log_of(&file, pid) {
                Some(true) => {
                    // Node names its main thread, so not the thread's name.
                    let exe = fs::read_link(proc.join("exe")).unwrap_or_default();
                    let name = exe.file_name().unwrap_or_default().to_string_lossy();
                    return Ok(Found {
                        name: name.trim_end_matches(" (deleted)").to_owned(),
                        log: path,
                        file,
                    });
                }
                Some(false) => problem = Problem::NoLog,
                None => problem = Problem::Cut(path.clone()),
            }
        }
    }
    Err(problem)
}

/// Whether a file is the log of a process: magic, and the id 48 bytes in. In another name space the
/// process has another id there. `None`: it is too short for one.
fn is_log_of(file: &File, pid: i32) -> Option<bool> {
    let mut head = [0u8; 52];
    if file.metadata().is_ok_and(|meta| meta.len() < HEADER_SIZE) {
        return None;
    }
    file.read_exact_at(&mut head, 0).ok()?;
    if head.iter().all(|&byte| byte == 0) {
        return None;
    }
    let same_space = fs::read_link("/proc/self/ns/pid").ok()
        == fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let id = i32::from_le_bytes([head[48], head[49], head[50], head[51]]);
    Some(head.starts_with(&MAGIC) && (!same_space || id == pid))
}

/// A file that a process has written, by a name under which we see it: in a mount name space of its
/// own it may be elsewhere.
pub fn seen_from_here(pid: i32, path: &Path) -> PathBuf {
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let theirs = PathBuf::from(format!("/proc/{pid}/root"));
    let own = path.strip_prefix("/").unwrap_or(path);
    match space(&pid.to_string()) != space("self") && !path.exists() {
        true => theirs.join(own),
        false => path.to_owned(),
    }
}

/// Whether a process is there.
pub fn is_alive(pid: i32) -> bool {
    // Not `kill(pid, 0)`, which counts those that have ended and are not waited for yet.
    stat(pid).is_some_and(|stat| !stat.starts_with(['Z', 'X']))
}

/// A file of `/proc` as text. Names of processes and of what they have mapped are any bytes: the kernel cuts the former
/// after 15, also in the middle of a letter.
pub fn text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split(' ').nth(1)?.parse().ok()
}

/// What stands behind the name in `/proc/PID/stat`: state, parent, ….
fn stat(pid: i32) -> Option<String> {
    let stat = text(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    stat.rsplit(") ").next().map(str::to_owned)
}
