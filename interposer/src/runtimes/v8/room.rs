//! How much memory can still be had: what the machine has, within the limits of the control
//! group (version 2, or the memory controller of version 1).

use crate::digits::number;
use crate::memory::read_lines;
use log_format::varint::Out;

/// Longest line and path that is looked at, bytes.
const LINE: usize = 1024;

/// A limit from here on is none: version 1 says none by the largest number of whole pages.
const NONE: u64 = 1 << 60;

/// Bytes that this process can still take without pushing anything out of memory; `u64::MAX` if
/// the system does not say.
pub fn available() -> u64 {
    let machine = field(b"/proc/meminfo\0", b"MemAvailable:").map_or(u64::MAX, |kib| kib << 10);
    machine.min(group())
}

/// The files of a memory controller.
struct Controller {
    /// Where its groups are.
    root: &'static [u8],
    /// Limits, bytes or a word for none.
    limits: [&'static [u8]; 2],
    /// What is used.
    used: &'static [u8],
    /// What of that are pages of files that nobody uses, in the group's `memory.stat`.
    cached: &'static [u8],
}

/// Version 2, and the memory controller of version 1.
const CONTROLLERS: [Controller; 2] = [
    Controller {
        root: b"/sys/fs/cgroup",
        limits: [b"/memory.max\0", b"/memory.high\0"],
        used: b"/memory.current\0",
        cached: b"inactive_file ",
    },
    Controller {
        root: b"/sys/fs/cgroup/memory",
        limits: [b"/memory.limit_in_bytes\0", b"/memory.limit_in_bytes\0"],
        used: b"/memory.usage_in_bytes\0",
        cached: b"total_inactive_file ",
    },
];

/// The same, of the control groups that this process is in.
fn group() -> u64 {
    let [second, first] = &CONTROLLERS;
    of_groups(second, b"").min(of_groups(first, b"memory"))
}

/// The own group and all around it: each may have a limit. In a container the path may lead
/// nowhere, for the own group is the root that is seen.
fn of_groups(controller: &Controller, name: &[u8]) -> u64 {
    let mut path = [0u8; LINE];
    let mut len = 0;
    read_lines(b"/proc/self/cgroup\0", &mut [0u8; LINE], &mut |line| {
        if let Some(own) = own_path(line, name)
            && let Some(to) = path.get_mut(..own.len())
        {
            to.copy_from_slice(own);
            len = own.len();
        }
    });
    let mut least = u64::MAX;
    loop {
        let own = path.get(..len).unwrap_or(&[]);
        least = least.min(of_group(controller, own));
        match own.iter().rposition(|&byte| byte == b'/') {
            Some(end) => len = end,
            None => return least,
        }
    }
}

/// The path in a line `number:controllers:path` of `/proc/self/cgroup`, if it is of that controller.
fn own_path<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut parts = line.splitn(3, |&byte| byte == b':');
    let controllers = parts.nth(1)?;
    let path = parts.next()?;
    let is_it = controllers
        .split(|&byte| byte == b',')
        .any(|one| one == name);
    is_it.then_some(path)
}

fn of_group(controller: &Controller, own: &[u8]) -> u64 {
    let mut file = [0u8; LINE + 64];
    let mut read = |last: &[u8], each: &mut dyn FnMut(&[u8])| {
        let mut out = Out::new(&mut file);
        for part in [controller.root, own, last] {
            out.bytes(part);
        }
        read_lines(out.written(), &mut [0u8; LINE], each);
    };
    let (mut most, mut now, mut cached) = (None, None, 0);
    for limit in controller.limits {
        read(limit, &mut |line| {
            let limit = number(line, 10).filter(|&limit| limit < NONE);
            most = limit.into_iter().chain(most).min();
        });
    }
    let Some(most) = most else { return u64::MAX };
    read(controller.used, &mut |line| now = number(line, 10));
    read(b"/memory.stat\0", &mut |line| {
        if let Some(bytes) = line.strip_prefix(controller.cached) {
            cached = number(bytes, 10).unwrap_or(0);
        }
    });
    // Pages of files that nobody uses are given up first.
    most.saturating_sub(now.unwrap_or(0).saturating_sub(cached))
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
