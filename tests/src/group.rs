//! Control groups with little memory, on machines that allow them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A group with a limit; gone when dropped.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// A group whose processes get no more than so many bytes; `None`, with the reason printed, where none
    /// can be made.
    pub fn new(bytes: u64) -> Option<Group> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("leak-test-{}-{number}", std::process::id());
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (root, limit) in [
            ("/sys/fs/cgroup", "memory.max"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ] {
            let folder = PathBuf::from(root).join(&name);
            // A folder of another file system gets no such files by itself.
            let made = fs::create_dir(&folder).and_then(|()| {
                let mut limit = OpenOptions::new().write(true).open(folder.join(limit))?;
                limit.write_all(bytes.to_string().as_bytes())
            });
            match made {
                Ok(()) => return Some(Group(folder)),
                Err(error) => {
                    let _ = fs::remove_dir(&folder);
                    last = error;
                }
            }
        }
        eprintln!("skipped: no control group with a limit of memory can be made ({last})");
        None
    }

    /// What a process takes from now on counts.
    pub fn add(&self, pid: u32) {
        let added = fs::write(self.0.join("cgroup.procs"), pid.to_string());
        added.expect("a process goes into a group");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended; the kernel may take a moment.
        for _ in 0..100 {
            match fs::remove_dir(&self.0) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}
