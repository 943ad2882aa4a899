//! A Node that runs without us: whether it is one, and its inspector's port.
//!
//! SIGUSR1 opens Node's inspector, and ends a process that does not catch it. So it is sent only to a
//! program that has Node's entry in its symbols and the signal among those that it catches; the
//! process is held by a descriptor meanwhile, so that its id cannot become another's.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};

use super::problem::Problem;
use super::targets;
use crate::live::is_alive;

/// Node's own `node::Start(int, char**)`: in every build, also where it comes from a library.
const NODE_START: &str = "_ZN4node5StartEiPPc";
/// Where Node's inspector listens unless it is told otherwise.
const PORT: u16 = 9229;
/// How long a process may take to open it.
const OPENING: Duration = Duration::from_secs(10);

/// The inspector of a process.
#[derive(Debug)]
pub struct Inspector {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it was closed before.
    pub opened: bool,
    /// The program's name.
    pub name: String,
}

/// Finds the inspector of a process, and has it opened if it is a Node's that is closed.
pub fn inspector(pid: i32) -> Result<Inspector, Problem> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let held = hold(pid)?;
    if !is_alive(pid) {
        return Err(Problem::Gone);
    }
    let own = sockets(&proc)?;
    let name = name(&proc);
    enter_network(&proc)?;
    let words = words(&proc);
    let port = asked_port(&words);
    let found = |address, opened| {
        Ok(Inspector {
            address,
            opened,
            name: name.clone(),
        })
    };
    let before: Vec<SocketAddr> = listening(&proc)
        .into_iter()
        .filter(|(_, inode)| own.contains(inode))
        .map(|(address, _)| address)
        .collect();
    // Only where an inspector is likely: other servers of the program are not ours to ask.
    let likely = |address: &&SocketAddr| {
        address.port() == port || words.iter().any(|word| is_inspecting(word))
    };
    if let Some(&open) = before
        .iter()
        .filter(likely)
        .find(|&&address| targets::is_inspector(address))
    {
        return found(open, false);
    }
    if !is_node(&proc) {
        return Err(Problem::NotNode(name));
    }
    if !catches(&proc, libc::SIGUSR1) {
        return Err(Problem::Deaf);
    }
    if port != 0 && listening(&proc).iter().any(|(a, _)| a.port() == port) {
        return Err(Problem::PortTaken(port));
    }
    // SAFETY: pidfd_send_signal of a descriptor that we hold, without further information.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            held.as_raw_fd(),
            libc::SIGUSR1,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent != 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::ESRCH) => Problem::Gone,
            _ => Problem::NotOurs(error),
        });
    }
    let begin = Instant::now();
    while begin.elapsed() < OPENING {
        let own = sockets(&proc)?;
        let new = listening(&proc)
            .into_iter()
            .filter(|(address, inode)| own.contains(inode) && !before.contains(address))
            .map(|(address, _)| address)
            .find(|&address| targets::is_inspector(address));
        if let Some(address) = new {
            return found(address, true);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Problem::NotOpened(port))
}

/// A descriptor of the process.
fn hold(pid: i32) -> Result<OwnedFd, Problem> {
    // SAFETY: pidfd_open takes a number and returns a new descriptor or an error.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the descriptor is new and nobody else's.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(Problem::Gone),
    }
}

/// The name of its program; threads have other names.
fn name(proc: &std::path::Path) -> String {
    let program = fs::read_link(proc.join("exe")).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(" (deleted)").to_owned()
}

/// The inodes of a process's sockets.
fn sockets(proc: &std::path::Path) -> Result<HashSet<u64>, Problem> {
    let entries = fs::read_dir(proc.join("fd")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Gone,
        _ => Problem::NotOurs(error),
    })?;
    let inode = |path: PathBuf| {
        let link = fs::read_link(path).ok()?;
        link.to_str()?
            .strip_prefix("socket:[")?
            .strip_suffix(']')?
            .parse()
            .ok()
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| inode(entry.path()))
        .collect())
}

/// Goes into the network of a process, if it has another than ours.
fn enter_network(proc: &std::path::Path) -> Result<(), Problem> {
    let theirs = proc.join("ns/net");
    if fs::read_link(&theirs).ok() == fs::read_link("/proc/self/ns/net").ok() {
        return Ok(());
    }
    let network = File::open(&theirs).map_err(Problem::Elsewhere)?;
    // SAFETY: setns changes what this thread's new sockets belong to, no memory.
    match unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(Problem::Elsewhere(io::Error::last_os_error())),
    }
}

/// All TCP sockets that listen in the network of a process, with their inodes.
fn listening(proc: &std::path::Path) -> Vec<(SocketAddr, u64)> {
    ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|name| fs::read_to_string(proc.join(name)).ok())
        .flat_map(|text| text.lines().filter_map(listener).collect::<Vec<_>>())
        .collect()
}

/// Whether somebody in the network of a process listens on an address.
pub fn listens(pid: i32, address: SocketAddr) -> bool {
    listening(&PathBuf::from(format!("/proc/{pid}")))
        .iter()
        .any(|(other, _)| *other == address)
}

/// A line of /proc/net/tcp or tcp6 (proc_pid_net(5)): `sl local remote st … inode`.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits in the machine's own order.
    let words: Vec<u8> = (0..address.len() / 8)
        .map_while(|word| u32::from_str_radix(address.get(word * 8..word * 8 + 8)?, 16).ok())
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match words.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(words).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(words).ok()?),
        _ => return None,
    };
    let ip = match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Some((SocketAddr::new(ip, port), fields.get(9)?.parse().ok()?))
}

/// The words of its command line and of its NODE_OPTIONS.
fn words(proc: &std::path::Path) -> Vec<String> {
    let text = |name| {
        let bytes = fs::read(proc.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let options = text("environ")
        .split('\0')
        .find_map(|one| one.strip_prefix("NODE_OPTIONS=").map(str::to_owned))
        .unwrap_or_default();
    let words = options.split_whitespace().map(str::to_owned);
    words
        .chain(text("cmdline").split('\0').map(str::to_owned))
        .collect()
}

/// Whether a word may have opened an inspector: Node's or Chromium's.
fn is_inspecting(word: &str) -> bool {
    word.starts_with("--inspect") || word.starts_with("--remote-debugging-port")
}

/// The port that its inspector would use, by its command line; 0 is any.
fn asked_port(words: &[String]) -> u16 {
    let mut port = PORT;
    for (at, word) in words.iter().enumerate() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let takes_next = matches!(name, "--inspect-port" | "--debug-port");
        let value = value.or(if takes_next {
            words.get(at + 1).map(String::as_str)
        } else {
            None
        });
        if !name.starts_with("--inspect") && name != "--debug-port" {
            continue;
        }
        let number = value.and_then(|value| value.rsplit(':').next()?.parse().ok());
        port = number.unwrap_or(port);
    }
    port
}

/// Whether its program is a Node.
pub fn is_node(proc: &std::path::Path) -> bool {
    let symbols = || {
        let file = File::open(proc.join("exe")).ok()?;
        // SAFETY: the map is read only; a running program's file cannot be written to (ETXTBSY).
        let bytes = unsafe { memmap2::Mmap::map(&file) }.ok()?;
        let elf = object::File::parse(&*bytes).ok()?;
        Some(
            elf.dynamic_symbols()
                .any(|symbol| symbol.name() == Ok(NODE_START)),
        )
    };
    symbols() == Some(true)
}

/// Whether it has a handler for a signal.
fn catches(proc: &std::path::Path, signal: i32) -> bool {
    let status = crate::live::text(&proc.join("status")).unwrap_or_default();
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_from_both_tables() {
        let four = "   0: 0100007F:240D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
        assert_eq!(
            listener(four),
            Some((SocketAddr::from(([127, 0, 0, 1], 9229)), 4711))
        );
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12 1 0";
        assert_eq!(
            listener(six),
            Some((SocketAddr::from((Ipv6Addr::LOCALHOST, 80)), 12))
        );
        let connected = four.replace(" 0A ", " 01 ");
        assert_eq!(listener(&connected), None);
        assert_eq!(listener("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn the_port_is_that_of_the_command_line() {
        let port = |words: &[&str]| {
            asked_port(
                &words
                    .iter()
                    .map(|&word| word.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(port(&["node", "app.js"]), 9229);
        assert_eq!(port(&["node", "--inspect=0.0.0.0:9300", "app.js"]), 9300);
        assert_eq!(port(&["node", "--inspect-port", "0", "app.js"]), 0);
        assert_eq!(port(&["node", "--inspect-brk=[::1]:7", "app.js"]), 7);
    }
}
