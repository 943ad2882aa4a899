//! How much memory can still be had: what the machine has, within the limits of the control
//! group (version 2, or the memory controller of version 1).

use crate::digits::number;
use crate::memory::read_lines;
use log_format::varint::Out;

/// Longest line and path that is looked at, bytes.
const LINE: usize = 1024;

/// Bytes that this process can still take without pushing anything out of memory; `u64::MAX` if
/// the system does not say.
pub fn available() -> u64 {
    let machine = field(b"/proc/meminfo\0", b"MemAvailable:").map_or(u64::MAX, |kib| kib << 10);
    machine.min(group())
}

/// The same, of the control groups that this process is in.
fn group() -> u64 {
    let mut path = [0u8; LINE];
    let mut len = 0;
    let mut buffer = [0u8; LINE];
    read_lines(b"/proc/self/cgroup\0", &mut buffer, &mut |line| {
        let own = line.strip_prefix(b"0::");
        if let Some((own, to)) = own.and_then(|own| Some((own, path.get_mut(..own.len())?))) {
            to.copy_from_slice(own);
            len = own.len();
        }
    });
    let mut least = of_first_version();
    // The own group and all around it: each may have a limit.
    loop {
        let own = path.get(..len).unwrap_or(&[]);
        least = least.min(of_group(own));
        match own.iter().rposition(|&byte| byte == b'/') {
            Some(end) => len = end,
            None => return least,
        }
    }
}

fn of_group(own: &[u8]) -> u64 {
    let mut file = [0u8; LINE + 64];
    let mut name = |last: &[u8], each: &mut dyn FnMut(&[u8])| {
        let mut out = Out::new(&mut file);
        for part in [b"/sys/fs/cgroup", own, last, b"\0"] {
            out.bytes(part);
        }
        read_lines(out.written(), &mut [0u8; LINE], each)
    };
    let (mut most, mut now, mut cached) = (None, None, 0);
    name(b"/memory.max", &mut |line| most = number(line, 10));
    let Some(most) = most else { return u64::MAX };
    name(b"/memory.current", &mut |line| now = number(line, 10));
    name(b"/memory.stat", &mut |line| {
        if let Some(bytes) = line.strip_prefix(b"inactive_file") {
            cached = number(bytes, 10).unwrap_or(0);
        }
    });
    // Pages of files that nobody uses are given up first.
    most.saturating_sub(now.unwrap_or(0).saturating_sub(cached))
}

fn of_first_version() -> u64 {
    let bytes = |file: &[u8]| {
        let mut found = None;
        read_lines(file, &mut [0u8; LINE], &mut |line| found = number(line, 10));
        found
    };
    match (
        bytes(b"/sys/fs/cgroup/memory/memory.limit_in_bytes\0"),
        bytes(b"/sys/fs/cgroup/memory/memory.usage_in_bytes\0"),
    ) {
        (Some(most), Some(now)) => most.saturating_sub(now),
        _ => u64::MAX,
    }
}

/// The number behind a name at the beginning of a line; a unit after it is left out.
fn field(file: &[u8], name: &[u8]) -> Option<u64> {
    let mut found = None;
    read_lines(file, &mut [0u8; LINE], &mut |line| {
        if let Some(rest) = line.strip_prefix(name) {
            let digits = rest.strip_suffix(b"kB").unwrap_or(rest);
            found = number(digits, 10);
        }
    });
    found
}
