//! The name of a log: the settings' pattern, where it can be made.

use super::{FIRST_DATA_HEAD, PARENT, Room, variable};
use crate::digits::decimal;
use crate::global::Global;
use crate::modules::c_bytes;
use crate::sys;
use core::sync::atomic::Ordering::Relaxed;
use log_format::varint::Out;

/// Path of the executable, into `buf`.
pub fn executable(buf: &'static mut [u8]) -> &'static [u8] {
    let len = sys::readlink(b"/proc/self/exe\0", buf).unwrap_or(0);
    if len > 0 {
        return buf.get(..len).unwrap_or(&[]);
    }
    // No /proc: the name that exec was given.
    // SAFETY: the auxiliary vector's string, if any.
    let given = unsafe { c_bytes(libc::getauxval(libc::AT_EXECFN) as *const libc::c_char) };
    given.get(..given.len().min(buf.len())).unwrap_or(&[])
}

/// Names of logs unless `LEAK_LOG` says otherwise.
const DEFAULT_PATTERN: &[u8] = b"%e.%p.leak";

/// Creates the log where the settings say, or where it can.
pub fn create(
    global: &Global,
    room: &mut Room,
    child: bool,
    size: u64,
) -> Option<(*mut u8, sys::Fd)> {
    let cwd = room.cwd;
    let name = room.exe.rsplit(|&b| b == b'/').next().unwrap_or(b"program");
    let given = variable(b"LEAK_LOG");
    // A child that has changed its directory writes beside its parent.
    let len = PARENT.len.load(Relaxed) as usize;
    // SAFETY: written before the fork.
    let parent = unsafe { (*PARENT.path.get()).get(..len.saturating_sub(1)) }.unwrap_or(&[]);
    let beside = parent
        .iter()
        .rposition(|&b| b == b'/')
        .and_then(|at| parent.get(..at))
        .unwrap_or(&[]);
    let temporary = variable(b"TMPDIR");
    let absolute = given.first() == Some(&b'/');
    let dirs: [&[u8]; 4] = [
        if child && !beside.is_empty() {
            beside
        } else {
            cwd
        },
        cwd,
        if temporary.is_empty() {
            b"/tmp"
        } else {
            temporary
        },
        b"/tmp",
    ];
    // A child may have given up the rights to the place where its parent's log is.
    let file = given.rsplit(|&b| b == b'/').next().unwrap_or(given);
    let asked = absolute.then_some((b"".as_slice(), given));
    let others = dirs
        .iter()
        .skip(usize::from(absolute))
        .map(|&dir| (dir, if absolute { file } else { given }));
    let mut was_directory = false;
    'dirs: for (dir, given) in asked
        .into_iter()
        .chain(others.filter(|_| !absolute || child))
    {
        // A directory means the default names in it, also where it cannot be used.
        let given: &[u8] = if was_directory { b"" } else { given };
        let pattern = if given.is_empty() {
            DEFAULT_PATTERN
        } else {
            given
        };
        let mut inside = false;
        if !given.is_empty() {
            let Some(len) = expand(room.path, dir, given, false, name, 0) else {
                continue;
            };
            let there = room.path.get(..len).unwrap_or(&[]);
            let named_as_one = there.ends_with(b"/\0");
            match sys::file_type(there) {
                Some(libc::S_IFDIR) => inside = true,
                // A numbered name beside a device would fill memory, not a disk.
                Some(kind) if kind != libc::S_IFREG => continue,
                None if named_as_one && sys::make_directory(there) => inside = true,
                None if named_as_one => continue,
                _ => {}
            }
            was_directory = absolute && inside;
        }
        for attempt in 0..MAX_ATTEMPTS {
            // A pattern without %p: many processes want the same name.
            let number = if attempt < PLAIN_ATTEMPTS {
                attempt
            } else {
                sys::getpid() + (attempt - PLAIN_ATTEMPTS) * PID_LIMIT
            };
            let Some(len) = expand(room.path, dir, pattern, inside, name, number) else {
                continue 'dirs;
            };
            let path = room.path.get(..len).unwrap_or(&[]);
            match global.file.create(path, size, FIRST_DATA_HEAD) {
                Ok(created) => return Some(created),
                Err(sys::Errno(libc::EEXIST)) => continue,
                Err(_) => continue 'dirs,
            }
        }
    }
    None
}

/// Names that are tried, with 1, 2, … before the ending,
const PLAIN_ATTEMPTS: u32 = 16;
/// then with the process id, and for a pid that comes back with this much more.
const PID_LIMIT: u32 = 1 << 22;
/// All of them.
const MAX_ATTEMPTS: u32 = 64;

/// Writes `dir/pattern` with `%p`, `%e` and `%%` replaced, or (`inside`) the default
/// name in the directory of that name; and `.attempt` before a `.leak` ending if that is
/// not 0. Returns the length with the NUL.
fn expand(
    path: &mut [u8],
    dir: &[u8],
    pattern: &[u8],
    inside: bool,
    name: &[u8],
    attempt: u32,
) -> Option<usize> {
    let mut out = Out::new(path);
    if !dir.is_empty() {
        out.bytes(dir);
        out.byte(b'/');
    }
    let mut last = pattern;
    if inside {
        replaced(&mut out, pattern, name);
        out.byte(b'/');
        last = DEFAULT_PATTERN;
    }
    let (stem, suffix) = match last.strip_suffix(b".leak") {
        Some(stem) => (stem, b".leak".as_slice()),
        None => (last, b"".as_slice()),
    };
    replaced(&mut out, stem, name);
    if attempt > 0 {
        out.byte(b'.');
        decimal(&mut out, attempt);
    }
    out.bytes(suffix);
    out.byte(0);
    out.finish()
}

/// Writes a pattern with its placeholders replaced.
fn replaced(out: &mut Out<'_>, pattern: &[u8], name: &[u8]) {
    let mut rest = pattern.iter();
    while let Some(&byte) = rest.next() {
        match (byte, rest.as_slice().first()) {
            (b'%', Some(b'p')) => decimal(out, sys::getpid()),
            (b'%', Some(b'e')) => out.bytes(name),
            (b'%', Some(b'%')) => out.byte(b'%'),
            _ => {
                out.byte(byte);
                continue;
            }
        }
        rest.next();
    }
}
