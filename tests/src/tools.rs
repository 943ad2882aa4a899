//! Where the two products under test are.
//!
//! Order: `LEAK_TEST_LIB` and `LEAK_TEST_BIN`; then `release/libleak.so` and `command/leak`
//! beside the running test's own profile folder; then those in `target/` of the workspace.
//! Nothing is built here (`scripts/build` does), so that a test never measures a stale mix of
//! profiles unasked.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `libleak.so`.
pub fn library() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| find("LEAK_TEST_LIB", "release/libleak.so"))
}

/// The command `leak`.
pub fn leak() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| find("LEAK_TEST_BIN", "command/leak"))
}

/// `target/` of this build: the programs' cache lives there.
pub fn target() -> PathBuf {
    // .../target/<profile>/deps/<test>-<hash>
    let own = std::env::current_exe().unwrap_or_else(|error| panic!("own path: {error}"));
    match own.ancestors().nth(3) {
        Some(target) => target.to_path_buf(),
        None => panic!("{}: not in a target folder", own.display()),
    }
}

fn find(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "{variable}={}: no such file",
            path.display()
        );
        return path.canonicalize().unwrap_or(path);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target")
        .join(name);
    let beside = target().join(name);
    for candidate in [&beside, &workspace] {
        if let Ok(path) = candidate.canonicalize() {
            return path;
        }
    }
    panic!(
        "{name} is neither at {} nor at {}: build it first (scripts/build), or set {variable}",
        beside.display(),
        workspace.display()
    );
}

/// What `leak heap` prints of some files; panics if it fails. The job, such as `leaks`, is the first argument.
pub fn heap(arguments: &[&str], files: &[PathBuf]) -> String {
    let (job, rest) = arguments.split_first().expect("a job");
    let run = Command::new(leak())
        .args(["heap", job])
        .args(files)
        .args(rest)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "leak heap {arguments:?}: {said}");
    String::from_utf8(run.stdout).expect("text")
}
