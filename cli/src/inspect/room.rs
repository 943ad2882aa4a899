//! How much memory a process can still take: what the machine has, and what the limits of its control
//! groups leave (version 2, and the memory controller of version 1).

use std::fs;
use std::path::{Path, PathBuf};

/// A limit from here on is none: version 1 says none by the largest number of whole pages.
const NONE: u64 = 1 << 60;

/// Where the groups of a version are, and their files.
struct Controller {
    name: &'static str,
    root: &'static str,
    limits: &'static [&'static str],
    used: &'static str,
    cached: &'static str,
}

const CONTROLLERS: [Controller; 2] = [
    Controller {
        name: "",
        root: "/sys/fs/cgroup",
        limits: &["memory.max", "memory.high"],
        used: "memory.current",
        cached: "inactive_file ",
    },
    Controller {
        name: "memory",
        root: "/sys/fs/cgroup/memory",
        limits: &["memory.limit_in_bytes"],
        used: "memory.usage_in_bytes",
        cached: "total_inactive_file ",
    },
];

/// Bytes that can be had; those of a process's groups, if there is one. `None`: the system does not say.
pub fn available(pid: Option<i32>) -> Option<u64> {
    let groups = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok());
    let of_group = groups.and_then(|lines| {
        let left = CONTROLLERS
            .iter()
            .filter_map(|controller| least(controller, Path::new(controller.root), &lines));
        left.min()
    });
    machine().into_iter().chain(of_group).min()
}

fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// What the tightest of the groups leaves: the own one and all around it.
fn least(controller: &Controller, root: &Path, lines: &str) -> Option<u64> {
    let own = lines.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let is_it = parts.next()?.split(',').any(|one| one == controller.name);
        parts.next().filter(|_| is_it)
    })?;
    let own = PathBuf::from(own.trim_start_matches('/'));
    own.ancestors()
        .filter_map(|group| left(controller, &root.join(group)))
        .min()
}

fn left(controller: &Controller, group: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    let limits = controller.limits.iter().filter_map(|limit| number(limit));
    let most = limits.filter(|&limit| limit < NONE).min()?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    // Pages of files that nobody uses are given up first.
    let cached: u64 = stat
        .lines()
        .find_map(|line| line.strip_prefix(controller.cached)?.parse().ok())
        .unwrap_or(0);
    let used = number(controller.used).unwrap_or(0).saturating_sub(cached);
    Some(most.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group with these files.
    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        let folder = root.join(path);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_of_all_groups_around_counts_without_pages_of_files() {
        let root = tempfile::tempdir().unwrap();
        let [second, first] = &CONTROLLERS;
        let lines = "4:cpu,memory:/a/b\n0::/a/b\n";
        assert_eq!(least(second, root.path(), lines), None);
        group(
            root.path(),
            "a",
            &[
                ("memory.max", "1000\n"),
                ("memory.high", "max\n"),
                ("memory.current", "900\n"),
                ("memory.stat", "anon 1\ninactive_file 300\n"),
            ],
        );
        assert_eq!(least(second, root.path(), lines), Some(400));
        group(
            root.path(),
            "a/b",
            &[
                ("memory.max", "max\n"),
                ("memory.high", "500\n"),
                ("memory.current", "450\n"),
            ],
        );
        assert_eq!(least(second, root.path(), lines), Some(50));
        // The first version, in a container: the path leads nowhere, the root is the own group.
        let inside = tempfile::tempdir().unwrap();
        let files = [
            ("memory.limit_in_bytes", "700\n"),
            ("memory.usage_in_bytes", "200\n"),
        ];
        group(inside.path(), "", &files);
        assert_eq!(least(first, inside.path(), lines), Some(500));
        let none = [("memory.limit_in_bytes", "9223372036854771712\n")];
        group(inside.path(), "", &none);
        assert_eq!(least(first, inside.path(), lines), None);
    }
}
