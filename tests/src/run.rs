//! Runs a program in a directory of its own, plainly or with libleak preloaded, and
//! keeps what it did.
//!
//! The time limit is the detector of deadlocks: a program that has not ended by then
//! is killed with its process group and the test fails with the output so far. Both
//! pipes are read to their end, so a program's daemons are waited for as well, as
//! long as they keep its stdout.

use crate::report::Report;
use crate::{Program, tools};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Unless a test says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(60);

type Preparation = Arc<dyn Fn() -> std::io::Result<()> + Send + Sync>;

/// What to run, and how. The same value can run plainly and under leak.
#[derive(Clone)]
pub struct Run {
    executable: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    preloaded: Vec<PathBuf>,
    input: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
    folder: Option<PathBuf>,
    time_limit: Duration,
    user: Option<u32>,
    preparation: Option<Preparation>,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
    /// The process id of the program that was started.
    pub pid: u32,
    /// The logs found in its directory, by name.
    pub logs: Vec<PathBuf>,
    /// The directory it ran in; removed with this value.
    pub folder: Folder,
}

/// A directory of one run: temporary, unless the test gave its own.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of a file that the program left there.
    pub fn read(&self, name: &str) -> String {
        let path = self.path.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Run {
    /// A program of `tests/programs/`.
    pub fn program(name: &str) -> Run {
        Run::executable(Program::new(name).build())
    }

    /// Any executable.
    pub fn executable(path: impl Into<PathBuf>) -> Run {
        Run {
            executable: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            preloaded: Vec::new(),
            input: Vec::new(),
            files: Vec::new(),
            folder: None,
            time_limit: TIME_LIMIT,
            user: None,
            preparation: None,
        }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Run {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Run {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.environment
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// A library preloaded in plain runs too, and after libleak in traced ones.
    pub fn behind(mut self, library: impl Into<PathBuf>) -> Run {
        self.preloaded.push(library.into());
        self
    }

    /// Its standard input; empty otherwise.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.input = input.into();
        self
    }

    /// A file to lay into its directory first.
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Run {
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// A directory to run in, instead of a temporary one.
    pub fn inside(mut self, folder: impl Into<PathBuf>) -> Run {
        self.folder = Some(folder.into());
        self
    }

    /// Another time limit.
    pub fn seconds(mut self, seconds: u64) -> Run {
        self.time_limit = Duration::from_secs(seconds);
        self
    }

    /// Another user and group id. The tests must run as root.
    pub fn user(mut self, id: u32) -> Run {
        self.user = Some(id);
        self
    }

    /// Something to do in the new process before the program is executed, such as
    /// setting a limit. It runs between fork and exec: system calls only.
    pub fn before_exec(
        mut self,
        action: impl Fn() -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Run {
        self.preparation = Some(Arc::new(action));
        self
    }

    /// A resource limit, soft and hard.
    pub fn limit(self, resource: libc::__rlimit_resource_t, value: u64) -> Run {
        self.before_exec(move || {
            let limit = libc::rlimit {
                rlim_cur: value,
                rlim_max: value,
            };
            // SAFETY: the pointer is to a live local; setrlimit only reads it.
            match unsafe { libc::setrlimit(resource, &limit) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    }

    /// Runs without libleak.
    pub fn plain(&self) -> Outcome {
        self.run(&self.preloaded, None)
    }

    /// Runs with libleak preloaded, in front of everything else.
    pub fn under_leak(&self) -> Outcome {
        let mut preloaded = vec![tools::library().to_path_buf()];
        preloaded.extend(self.preloaded.iter().cloned());
        self.run(&preloaded, None)
    }

    /// Runs by `leak run [options] -- program arguments`.
    pub fn by_leak_run(&self, options: &[&str]) -> Outcome {
        let mut words: Vec<OsString> = vec!["run".into()];
        words.extend(options.iter().map(OsString::from));
        words.push("--".into());
        words.push(self.executable.clone().into());
        words.extend(self.arguments.iter().cloned());
        self.run(&self.preloaded, Some((tools::leak(), words)))
    }

    /// Runs plainly and under leak; output, errors and exit status must be equal.
    pub fn undisturbed(&self) -> Outcome {
        let plain = self.plain();
        let traced = self.under_leak();
        traced.assert_same_as(&plain);
        traced
    }

    /// As [`Run::undisturbed`], and every log must be there, consistent and without
    /// loss. This is the usual way.
    pub fn checked(&self) -> Outcome {
        let traced = self.undisturbed();
        assert!(!traced.logs.is_empty(), "no log was written");
        for report in traced.reports() {
            report.assert_lossless();
            report.assert_consistent();
        }
        traced
    }

    /// The totals of this run without those of the same program with other
    /// arguments, usually "zero rounds".
    pub fn totals_beyond(&self, base: &Run) -> crate::Totals {
        self.checked().report().totals() - base.checked().report().totals()
    }

    /// Starts the program with libleak and leaves it running, for tests that kill it.
    /// Its stdout and stderr go to nowhere.
    pub fn spawn_under_leak(&self, folder: &Path) -> Child {
        let mut preloaded = vec![tools::library().to_path_buf()];
        preloaded.extend(self.preloaded.iter().cloned());
        let mut command = self.command(&preloaded, None);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        started(&mut command)
            .unwrap_or_else(|error| panic!("{}: {error}", self.executable.display()))
    }

    fn command(&self, preloaded: &[PathBuf], wrapper: Option<(&Path, Vec<OsString>)>) -> Command {
        let mut command = match wrapper {
            None => {
                let mut command = Command::new(&self.executable);
                command.args(&self.arguments);
                command
            }
            Some((wrapper, words)) => {
                let mut command = Command::new(wrapper);
                command.args(words).env("LEAK_LIB", tools::library());
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LEAK_") && name != "LEAK_LIB" {
                command.env_remove(name);
            }
        }
        command
            .env_remove("LD_PRELOAD")
            .env("LC_ALL", "C")
            .process_group(0);
        if !preloaded.is_empty() {
            let list: Vec<_> = preloaded
                .iter()
                .map(|path| path.to_string_lossy().into_owned())
                .collect();
            command.env("LD_PRELOAD", list.join(":"));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        if let Some(preparation) = self.preparation.clone() {
            // SAFETY: callers of `before_exec` promise system calls only.
            unsafe { command.pre_exec(move || preparation()) };
        }
        command
    }

    fn run(&self, preloaded: &[PathBuf], wrapper: Option<(&Path, Vec<OsString>)>) -> Outcome {
        let folder = self.folder();
        let mut command = self.command(preloaded, wrapper);
        command
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = started(&mut command)
            .unwrap_or_else(|error| panic!("{}: {error}", self.executable.display()));
        let pid = child.id();
        if let (Some(mut stdin), input) = (child.stdin.take(), self.input.clone()) {
            // A program may end without reading: not an error of the run.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || drop(done.send((child.wait(), text(&stdout), text(&stderr)))));
        let (status, stdout, stderr) = match ended.recv_timeout(self.time_limit) {
            Ok(end) => end,
            Err(_) => {
                // SAFETY: the group was made for this child and has not been waited for.
                unsafe { libc::kill(-pid.cast_signed(), libc::SIGKILL) };
                let so_far = ended.recv_timeout(Duration::from_secs(5));
                panic!(
                    "{} {:?} still ran after {:?} (LD_PRELOAD={preloaded:?}); so far: {so_far:?}",
                    self.executable.display(),
                    self.arguments,
                    self.time_limit
                );
            }
        };
        let status = status.unwrap_or_else(|error| panic!("wait: {error}"));
        let mut logs = logs_in(folder.path());
        logs.sort();
        Outcome {
            stdout,
            stderr,
            status,
            pid,
            logs,
            folder,
        }
    }

    fn folder(&self) -> Folder {
        let folder = match &self.folder {
            Some(path) => Folder {
                path: path.clone(),
                _temporary: None,
            },
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("leak-test.")
                    .tempdir()
                    .unwrap_or_else(|error| panic!("temporary directory: {error}"));
                if self.user.is_some() {
                    open_to_all(temporary.path());
                }
                Folder {
                    path: temporary.path().to_path_buf(),
                    _temporary: Some(temporary),
                }
            }
        };
        for (name, content) in &self.files {
            let path = folder.path().join(name);
            std::fs::write(&path, content)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        folder
    }
}

impl Outcome {
    /// Same output, errors and exit status as another run.
    pub fn assert_same_as(&self, other: &Outcome) {
        assert_eq!(
            (describe(self.status), &self.stdout, &self.stderr),
            (describe(other.status), &other.stdout, &other.stderr),
            "(status, stdout, stderr) differ: left with libleak, right without"
        );
    }

    /// The only log.
    pub fn log(&self) -> &Path {
        match self.logs.as_slice() {
            [log] => log,
            logs => panic!("expected one log, found {logs:?}; stderr: {}", self.stderr),
        }
    }

    /// The report of the only log.
    pub fn report(&self) -> Report {
        Report::of(self.log())
    }

    /// The reports of all logs.
    pub fn reports(&self) -> Vec<Report> {
        self.logs.iter().map(|log| Report::of(log)).collect()
    }

    /// The log of one process, by the pid that its report names.
    pub fn log_of(&self, pid: u32) -> PathBuf {
        let found = self
            .logs
            .iter()
            .find(|log| Report::of(log).0["process"]["pid"].as_u64() == Some(u64::from(pid)));
        found
            .cloned()
            .unwrap_or_else(|| panic!("no log of process {pid} in {:?}", self.logs))
    }

    /// The report of the process that was started, among those of its children.
    pub fn report_of_first(&self) -> Report {
        self.reports()
            .into_iter()
            .find(|report| report.0["process"]["pid"].as_u64() == Some(u64::from(self.pid)))
            .unwrap_or_else(|| panic!("no log of process {} in {:?}", self.pid, self.logs))
    }

    /// The reports of all processes but the one that was started.
    pub fn reports_of_others(&self) -> Vec<Report> {
        let mut reports = self.reports();
        reports.retain(|report| report.0["process"]["pid"].as_u64() != Some(u64::from(self.pid)));
        reports
    }
}

/// Starts a command. An executable that was written a moment ago may still be open for writing in
/// a process that another test has just forked; that passes by itself.
fn started(command: &mut Command) -> std::io::Result<Child> {
    loop {
        match command.spawn() {
            Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) => std::thread::yield_now(),
            other => return other,
        }
    }
}

/// All `*.leak` files below a directory.
pub fn logs_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(logs_in(&path));
        } else if path.extension().is_some_and(|suffix| suffix == "leak") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Lets every user write into a directory.
pub fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1777))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, signal) => format!("signal {signal:?}"),
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (done, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is kept.
            let _ = pipe.read_to_end(&mut all);
        }
        drop(done.send(all));
    });
    bytes
}

fn text(bytes: &mpsc::Receiver<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.recv().unwrap_or_default()).into_owned()
}

/// A shell line in a mount namespace of its own, with `$RUN` set to preload libleak.
pub fn in_namespace(line: &str, arguments: &[&Path], folder: &Path) -> std::process::Output {
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "/bin/sh",
            "-ec",
            line,
            "sh",
        ])
        .args(arguments)
        .env("LIBLEAK", tools::library())
        .current_dir(folder)
        .output()
        .expect("unshare of util-linux")
}
