//! Harness of the end-to-end tests.
//!
//! A test names a small program of `tests/programs/`, runs it plainly and under
//! `libleak.so`, compares what the program did, and asks the report for what it
//! allocated:
//!
//! ```ignore
//! let outcome = Run::program("family").args(["malloc", "300"]).checked();
//! assert_eq!(outcome.report().within("keep").blocks, 100);
//! ```
//!
//! * [`tools`] finds `libleak.so` and `leak`; it does not build them.
//! * [`compile`] builds a program once, into a cache keyed by its content.
//! * [`run`] runs it in a directory of its own, with a time limit.
//! * [`refuse`] has the kernel refuse system calls to it.
//! * [`classes`] runs the cases of programs that tell what can be reached.
//! * [`ready`] starts one that waits when it is ready; [`waiting`] one of Node's.
//! * [`v8`] writes heap snapshots by hand.
//! * [`group`] gives processes less memory than the machine has.
//! * [`report`] reads what `leak report --format json` says.
//!
//! What relies on this: every file in `tests/tests/`. If the harness compares too
//! little, a disturbed program passes; so the default way, [`Run::checked`],
//! compares output, errors and exit status, and the loss account of every log.

#![deny(missing_docs)]

pub mod bytes;
pub mod classes;
pub mod compile;
pub mod group;
pub mod node;
pub mod plenty;
pub mod ready;
pub mod refuse;
pub mod report;
pub mod run;
pub mod tools;
pub mod v8;
pub mod waiting;

pub use compile::{Program, sources};
pub use report::{Report, Sums, Totals};
pub use run::{Outcome, Run};

/// True when the tests run as root, which some conditions (mounts, other user
/// ids) need. Prints the reason for skipping otherwise.
pub fn root_or_skip(what: &str) -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: {what} needs root");
    }
    root
}

/// The path of a command on `PATH`, or `None` with the reason for skipping on
/// stderr. Wrappers of version managers are scripts that start many processes;
/// they are passed over in favour of a real executable.
pub fn command_or_skip(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .filter(|file| file.is_file())
        .find(|file| !file.components().any(|part| part.as_os_str() == "shims"));
    if found.is_none() {
        eprintln!("skipped: no {name} on this machine");
    }
    found
}

/// The first of the shared libraries that exists, or `None` with the reason.
pub fn library_or_skip(names: &[&str]) -> Option<std::path::PathBuf> {
    const FOLDERS: [&str; 5] = [
        "/usr/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
    ];
    let found = names
        .iter()
        .flat_map(|name| {
            FOLDERS
                .iter()
                .map(move |folder| std::path::Path::new(folder).join(name))
        })
        .find(|file| file.exists());
    if found.is_none() {
        eprintln!("skipped: none of {names:?} on this machine");
    }
    found
}
