//! The process to look at: its libleak, its log, and its memory.

use std::fs;
use std::io;
use std::path::PathBuf;

use object::{Object, ObjectSymbol};

use super::Problem;

/// A process with libleak in it.
#[derive(Debug)]
pub struct Target {
    /// Its process id.
    pub pid: i32,
    /// The end of its program's path.
    pub name: String,
    /// Its log, as this process can open it.
    pub log: PathBuf,
    /// Run-time addresses of the two functions of the recorder.
    pub prepare: u64,
    /// See `prepare`.
    pub run: u64,
    /// Where libleak is.
    pub library: (u64, u64),
}

impl Target {
    /// Finds all that.
    pub fn find(pid: i32) -> Result<Target, Problem> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let maps = crate::live::text(&proc.join("maps")).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Gone,
            _ => Problem::NotOurs(error),
        })?;
        if maps.is_empty() {
            return Err(Problem::Gone);
        }
        // Name spaces and removed files: the kernel has the file at hand.
        let file_of = |line: &str| Some(proc.join("map_files").join(line.split(' ').next()?));
        let lines_of = |name: &str| {
            let named = move |line: &&str| {
                line.split_whitespace()
                    .nth(5)
                    .is_some_and(|path| path.ends_with(name))
            };
            maps.lines()
                .filter(move |line| named(line))
                .collect::<Vec<_>>()
        };
        let library = lines_of("/libleak.so");
        let first = library.first().ok_or(Problem::NotPreloaded)?;
        let bytes = file_of(first)
            .and_then(|path| fs::read(path).ok())
            .ok_or(Problem::NotPreloaded)?;
        let elf = object::File::parse(&*bytes).map_err(|_| Problem::NotPreloaded)?;
        let bounds = |line: &str| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some((
                u64::from_str_radix(start, 16).ok()?,
                u64::from_str_radix(end, 16).ok()?,
            ))
        };
        let (bias, _) = bounds(first).ok_or(Problem::NotPreloaded)?;
        let end = library
            .last()
            .and_then(|line| bounds(line))
            .map_or(bias, |(_, end)| end);
        let function = |name: &str| {
            let symbol = elf
                .dynamic_symbols()
                .find(|symbol| symbol.name() == Ok(name));
            symbol
                .map(|symbol| bias + symbol.address())
                .ok_or(Problem::OtherVersion)
        };
        let log = maps
            .lines()
            .filter(|line| line.contains(" rw-s 00000000 "))
            .filter_map(file_of)
            .find(|path| is_log_of(path, pid))
            .ok_or(Problem::NoLog)?;
        let name = crate::live::text(&proc.join("comm")).unwrap_or_default();
        Ok(Target {
            pid,
            name: name.trim().replace('/', "_"),
            log,
            prepare: function("leak_snapshot_prepare")?,
            run: function("leak_snapshot_run")?,
            library: (bias, end),
        })
    }

    /// Its threads.
    pub fn threads(&self) -> Vec<i32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid))
            .into_iter()
            .flatten()
            .flatten();
        tasks
            .filter_map(|task| task.file_name().to_str()?.parse().ok())
            .collect()
    }
}

/// Whether a file is the log of a process: magic, and the id 48 bytes in. In another
/// name space the process has another id there, so only zero is no id.
fn is_log_of(path: &PathBuf, pid: i32) -> bool {
    use std::os::unix::fs::FileExt;
    let mut head = [0u8; 52];
    let read = fs::File::open(path).and_then(|file| file.read_exact_at(&mut head, 0));
    let same_space = fs::read_link("/proc/self/ns/pid").ok()
        == fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let id = i32::from_le_bytes([head[48], head[49], head[50], head[51]]);
    read.is_ok() && head.starts_with(b"leaklog\n") && (!same_space || id == pid)
}

/// Reads a process's memory.
pub fn read(pid: i32, address: u64, to: &mut [u8]) -> io::Result<()> {
    transfer(pid, address, to.as_mut_ptr(), to.len(), false)
}

/// Writes into a process's memory.
pub fn write(pid: i32, address: u64, from: &[u8]) -> io::Result<()> {
    transfer(pid, address, from.as_ptr().cast_mut(), from.len(), true)
}

fn transfer(pid: i32, address: u64, here: *mut u8, len: usize, write: bool) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let local = libc::iovec {
            iov_base: here.wrapping_add(done).cast(),
            iov_len: len - done,
        };
        let remote = libc::iovec {
            iov_base: (address as usize + done) as *mut _,
            iov_len: len - done,
        };
        // SAFETY: the local buffer is the caller's slice; the kernel checks the other.
        let moved = unsafe {
            if write {
                libc::process_vm_writev(pid, &local, 1, &remote, 1, 0)
            } else {
                libc::process_vm_readv(pid, &local, 1, &remote, 1, 0)
            }
        };
        match moved {
            ..=0 => return Err(io::Error::last_os_error()),
            moved => done += moved as usize,
        }
    }
    Ok(())
}
