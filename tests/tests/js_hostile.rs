//! Heap snapshots where something is in the way or goes wrong in the middle, taken by the process itself and
//! by a copy of it (`--fork`): one clear line, nothing half written, no process left, and a program that
//! has seen nothing.

use leak_tests::node::{Node, program, versions};
use leak_tests::refuse::{Refuse, refuse};
use leak_tests::run::open_to_all;
use leak_tests::waiting::{Waiting, assert_refused, objects};
use leak_tests::{root_or_skip, tools};
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// By the process itself, and by a copy.
const WAYS: [&[&str]; 2] = [&[], &["--fork"]];
/// Somebody who owns nothing.
const NOBODY: u32 = 65534;

fn newest() -> Option<Node> {
    versions().pop()
}

/// Polls for what must come.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "{what} never came"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Processes that are copies of another one's making, by their name; zombies too.
fn copies_of(pid: u32) -> Vec<i32> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|other| {
        let stat = fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        let parent = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1));
        stat.contains("(leak copy)") && parent == Some(pid.to_string().as_str())
    })
    .collect()
}

/// Whether a process has a file without a name open in a folder.
fn writes_nameless(pid: u32, folder: &Path) -> bool {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    links
        .filter_map(|link| fs::read_link(link.path()).ok())
        .any(|to| to.starts_with(folder) && to.to_string_lossy().ends_with(" (deleted)"))
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: a process of this test's.
    unsafe { libc::kill(pid, signal) };
}

fn words(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

impl Asking {
    /// `leak snapshot` in the background.
    fn start(waiting: &Waiting, flags: &[&str]) -> Asking {
        let child = Command::new(tools::leak())
            .current_dir(waiting.folder.path())
            .args(["snapshot", &waiting.pid(), "-o", "one.heapsnapshot"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Asking(child.expect("leak starts"))
    }

    fn end(self) -> Output {
        self.0.wait_with_output().expect("it ends")
    }
}

struct Asking(Child);

/// Waits until the snapshot is under way.
fn is_under_way(waiting: &Waiting, flags: &[&str]) {
    let pid = waiting.child.id();
    until("a snapshot", || match flags {
        [] => writes_nameless(pid, waiting.folder.path()).then_some(()),
        _ => (!copies_of(pid).is_empty()).then_some(()),
    });
}

#[test]
fn a_program_with_children_or_busy_workers_sees_nothing_of_a_copy() {
    for node in versions() {
        for way in ["parent", "busy workers"] {
            let waiting = Waiting::start(&node, way);
            let run = waiting.leak("snapshot", &["--fork", "-o", "one.heapsnapshot"]);
            assert!(
                run.status.success(),
                "{} {way}: {}",
                node.version,
                words(&run)
            );
            let file = waiting.folder.path().join("one.heapsnapshot");
            assert_eq!(objects(&file, "Kept"), 1000, "{} {way}", node.version);
            assert_eq!(copies_of(waiting.child.id()), [0; 0]);
            waiting.finish();
        }
    }
}

#[test]
fn a_thread_that_waits_in_atomics_answers() {
    for node in versions() {
        for way in WAYS {
            let waiting = Waiting::start(&node, "atomics");
            let run = waiting.leak("snapshot", &[way, &["-o", "one.heapsnapshot"]].concat());
            assert!(run.status.success(), "{}: {}", node.version, words(&run));
            let file = waiting.folder.path().join("one.heapsnapshot");
            assert_eq!(objects(&file, "Kept"), 1000);
            waiting.finish();
        }
    }
}

#[test]
fn a_thread_in_a_call_outside_of_javascript_and_a_stopped_process_are_told_of() {
    let Some(node) = newest() else { return };
    let late = "did not come to the request in time";
    for way in WAYS {
        let waiting = Waiting::start(&node, "blocked");
        waiting.refused("snapshot", &[way, &["--timeout", "300ms"]].concat(), late);
        assert_eq!(waiting.files(), [""; 0]);
        waiting.finish();
        let waiting = Waiting::start(&node, "idle");
        let pid = waiting.child.id().cast_signed();
        kill(pid, libc::SIGSTOP);
        waiting.refused(
            "snapshot",
            &[way, &["--timeout", "300ms"]].concat(),
            "or stopped",
        );
        kill(pid, libc::SIGCONT);
        let run = waiting.leak("snapshot", &[way, &["-o", "one.heapsnapshot"]].concat());
        assert!(run.status.success(), "{}", words(&run));
        assert_eq!(waiting.files(), ["one.heapsnapshot"]);
        waiting.finish();
    }
}

#[test]
fn a_full_disk_and_a_folder_that_is_read_only_leave_nothing() {
    if !root_or_skip("a mount") {
        return;
    }
    let Some(node) = newest() else { return };
    let line = "mkdir full fixed; mount -t tmpfs -o size=256k none full; \
        mount -t tmpfs -o ro none fixed";
    for way in WAYS {
        let waiting = Waiting::start_mounted(&node, line, "idle");
        for (file, told) in [
            ("full/one", "no space left on device"),
            ("fixed/one", "read-only file system"),
        ] {
            waiting.refused("snapshot", &[way, &["-o", file]].concat(), told);
        }
        let root = format!("/proc/{}/root", waiting.pid());
        let seen =
            Path::new(&root).join(waiting.folder.path().strip_prefix("/").expect("absolute"));
        assert_eq!(
            fs::read_dir(seen.join("full")).expect("a folder").count(),
            0
        );
        waiting.finish();
    }
}

#[test]
fn without_proc_a_killed_process_leaves_a_partial_file_that_the_next_one_takes_over() {
    if !root_or_skip("a mount") {
        return;
    }
    let Some(node) = newest() else { return };
    let mut waiting = Waiting::start_mounted(&node, "mount -t tmpfs none /proc", "idle");
    let asking = Asking::start(&waiting, &[]);
    let partial = waiting.folder.path().join("one.heapsnapshot.partial");
    until("a partial file", || partial.exists().then_some(()));
    kill(waiting.child.id().cast_signed(), libc::SIGKILL);
    assert_refused(&asking.end(), "there is no such process");
    waiting.child.wait().expect("it ends");
    assert_eq!(waiting.files(), ["one.heapsnapshot.partial"]);

    let next = Waiting::start_mounted(&node, "mount -t tmpfs none /proc", "idle");
    let file = waiting.folder.path().join("one.heapsnapshot");
    let name = file.to_str().expect("a name");
    let run = next.leak("snapshot", &["-o", name]);
    assert!(run.status.success(), "{}", words(&run));
    assert_eq!(objects(&file, "Kept"), 1000);
    assert_eq!(waiting.files(), ["one.heapsnapshot"]);
    // What is somebody's own stays.
    fs::write(next.folder.path().join("two.partial"), "mine").expect("a file");
    next.refused("snapshot", &["-o", "two"], "file exists");
    assert_eq!(next.files(), ["two.partial"]);
    next.finish();
}

#[test]
fn rights_that_lack_are_told_of() {
    if !root_or_skip("another user") {
        return;
    }
    let Some(node) = newest() else { return };
    let closed = tempfile::tempdir().expect("a directory");
    let file = closed.path().join("one");
    let mut command = Command::new(&node.path);
    command
        .arg(program("ask"))
        .arg("idle")
        .uid(NOBODY)
        .gid(NOBODY);
    let folder = tempfile::tempdir().expect("a directory");
    open_to_all(folder.path());
    let waiting = Waiting::start_in(folder, &mut command, true);
    for way in WAYS {
        let name = file.to_str().expect("a name");
        waiting.refused(
            "snapshot",
            &[way, &["-o", name]].concat(),
            "permission denied",
        );
    }
    // One more process than there may be; its user may say so.
    let limited = Command::new("prlimit")
        .args(["--pid", &waiting.pid(), "--nproc=1:1"])
        .uid(NOBODY)
        .gid(NOBODY)
        .status();
    assert!(limited.expect("prlimit of util-linux").success());
    waiting.refused(
        "snapshot",
        &["--fork"],
        "no copy of it can be made (resource temporarily unavailable)",
    );
    assert_eq!(waiting.files(), [""; 0]);
    waiting.finish();
    assert_eq!(fs::read_dir(closed.path()).expect("a folder").count(), 0);

    // It may not look at itself either after it has changed its user: not tried again and again.
    let mut command = Command::new(&node.path);
    command.arg("--require").arg(program("other_user"));
    command.arg(program("ask")).arg("idle");
    let folder = tempfile::tempdir().expect("a directory");
    open_to_all(folder.path());
    let waiting = Waiting::start_in(folder, &mut command, true);
    waiting.refused(
        "snapshot",
        &["--fork"],
        "no copy of it can be made (permission denied)",
    );
    waiting.finish();

    // The other way round: a process of root's.
    let waiting = Waiting::start(&node, "idle");
    for way in WAYS {
        let run = Command::new(tools::leak())
            .args(["snapshot", &waiting.pid()])
            .args(way)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output();
        match run {
            Ok(run) => assert_refused(&run, "it may not be looked at (permission denied)"),
            Err(error) => eprintln!("skipped: others may not run {:?} ({error})", tools::leak()),
        }
    }
    waiting.finish();
}

#[test]
fn a_filter_that_refuses_new_processes_refuses_the_copy() {
    let Some(node) = newest() else { return };
    let mut command = Command::new(&node.path);
    command.arg(program("ask")).arg("idle");
    // SAFETY: two system calls.
    unsafe { command.pre_exec(refuse(Refuse::Processes)) };
    let waiting = Waiting::start_by(&mut command, true);
    waiting.refused(
        "snapshot",
        &["--fork"],
        "no copy of it can be made (operation not permitted)",
    );
    assert_eq!(waiting.files(), [""; 0]);
    let run = waiting.leak("snapshot", &["-o", "one.heapsnapshot"]);
    assert!(run.status.success(), "{}", words(&run));
    waiting.finish();
}

#[test]
fn a_process_that_is_no_node_makes_no_copy() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut other = Command::new("sleep")
        .arg("1000")
        .current_dir(folder.path())
        .env("LD_PRELOAD", tools::library())
        .spawn()
        .expect("it starts");
    until("a log that has begun", || {
        let log = leak_tests::run::logs_in(folder.path()).pop()?;
        let begin = fs::read(log).ok()?;
        begin.first().filter(|&&byte| byte != 0).map(drop)
    });
    let run = Command::new(tools::leak())
        .args(["snapshot", "--fork", &other.id().to_string()])
        .output()
        .expect("leak runs");
    kill(other.id().cast_signed(), libc::SIGKILL);
    other.wait().expect("it ends");
    assert_refused(&run, "it has no Node");
}

#[test]
fn a_copy_that_is_killed_is_made_again_and_at_last_given_up() {
    let Some(node) = newest() else { return };
    let waiting = Waiting::start(&node, "idle");
    let pid = waiting.child.id();
    let asking = Asking::start(&waiting, &["--fork"]);
    let first = until("a copy", || copies_of(pid).pop());
    kill(first, libc::SIGKILL);
    let run = asking.end();
    assert!(run.status.success(), "{}", words(&run));
    assert_eq!(
        objects(&waiting.folder.path().join("one.heapsnapshot"), "Kept"),
        1000
    );
    fs::remove_file(waiting.folder.path().join("one.heapsnapshot")).expect("it is there");

    let mut asking = Asking::start(&waiting, &["--fork"]);
    until("an end", || {
        copies_of(pid)
            .into_iter()
            .for_each(|copy| kill(copy, libc::SIGKILL));
        asking.0.try_wait().expect("it can be waited for")
    });
    assert_refused(&asking.end(), "4 copies of it were made and none finished");
    assert_eq!(copies_of(pid), [0; 0]);
    assert_eq!(waiting.files(), [""; 0]);
    waiting.finish();
}

#[test]
fn a_process_that_is_killed_or_ends_in_the_middle_leaves_neither_file_nor_copy() {
    let Some(node) = newest() else { return };
    for way in WAYS {
        let mut waiting = Waiting::start(&node, "idle");
        let asking = Asking::start(&waiting, way);
        is_under_way(&waiting, way);
        let copies = copies_of(waiting.child.id());
        kill(waiting.child.id().cast_signed(), libc::SIGKILL);
        waiting.child.wait().expect("it ends");
        assert_refused(&asking.end(), "there is no such process");
        for copy in copies {
            until("the copy's end", || {
                (!Path::new(&format!("/proc/{copy}")).exists()).then_some(())
            });
        }
        assert_eq!(waiting.files(), [""; 0]);
    }
    // The copy of a worker thread's making as well.
    let mut waiting = Waiting::start(&node, "worker");
    let asking = Asking::start(&waiting, &["--fork", "--workers"]);
    let pid = waiting.child.id();
    let first = until("the main thread's copy", || copies_of(pid).pop());
    let copy = until("the worker's copy", || {
        copies_of(pid).into_iter().find(|&copy| copy != first)
    });
    kill(waiting.child.id().cast_signed(), libc::SIGKILL);
    waiting.child.wait().expect("it ends");
    assert_refused(&asking.end(), "there is no such process");
    until("the copy's end", || {
        (!Path::new(&format!("/proc/{copy}")).exists()).then_some(())
    });
    assert_eq!(waiting.files(), ["one.heapsnapshot"]);

    let waiting = Waiting::start(&node, "idle");
    let asking = Asking::start(&waiting, &["--fork"]);
    is_under_way(&waiting, &["--fork"]);
    let copies = copies_of(waiting.child.id());
    // It ends as without all this.
    let folder = waiting.finish();
    let run = asking.end();
    for copy in copies {
        until("the copy's end", || {
            (!Path::new(&format!("/proc/{copy}")).exists()).then_some(())
        });
    }
    let file = folder.path().join("one.heapsnapshot");
    // The copy may just have been done.
    match file.exists() {
        true => assert_eq!(objects(&file, "Kept"), 1000),
        false => assert_refused(&run, "there is no such process"),
    }
}

#[test]
fn leak_that_is_killed_or_interrupted_leaves_a_program_that_can_be_asked_again() {
    let Some(node) = newest() else { return };
    let waiting = Waiting::start(&node, "idle");
    for way in WAYS {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
            let asking = Asking::start(&waiting, way);
            is_under_way(&waiting, way);
            kill(asking.0.id().cast_signed(), signal);
            let run = asking.end();
            assert_eq!(run.status.signal(), Some(signal), "{}", words(&run));
            assert_eq!(
                words(&run).lines().count(),
                usize::from(signal != libc::SIGKILL)
            );
            // What was under way comes to its end; then it can be asked again.
            until("an answer", || {
                let run = waiting.leak("snapshot", &["-o", "two.heapsnapshot"]);
                run.status.success().then_some(())
            });
            for name in ["one.heapsnapshot", "two.heapsnapshot"] {
                let file = waiting.folder.path().join(name);
                assert_eq!(objects(&file, "Kept"), 1000, "{name}");
                fs::remove_file(file).expect("it is there");
            }
            assert_eq!(copies_of(waiting.child.id()), [0; 0]);
            assert_eq!(waiting.files(), [""; 0]);
        }
    }
    waiting.finish();
}

#[test]
fn a_request_that_is_interrupted_before_it_is_come_to_is_taken_back() {
    let Some(node) = newest() else { return };
    let waiting = Waiting::start(&node, "blocked");
    let log = fs::read(waiting.log()).expect("a log");
    drop(log);
    let asking = Asking::start(&waiting, &[]);
    let asker = log_format::control::OFFSET as u64 + 8;
    until("the request", || {
        use std::os::unix::fs::FileExt;
        let mut word = [0; 4];
        let log = fs::File::open(waiting.log()).ok()?;
        log.read_exact_at(&mut word, asker).ok()?;
        (u32::from_ne_bytes(word) == asking.0.id()).then_some(())
    });
    kill(asking.0.id().cast_signed(), libc::SIGINT);
    let run = asking.end();
    assert_eq!(run.status.signal(), Some(libc::SIGINT));
    assert!(
        words(&run).contains("the request was taken back"),
        "{}",
        words(&run)
    );
    let folder = waiting.finish();
    let late = fs::read_dir(folder.path()).expect("a folder").flatten();
    assert!(
        late.into_iter()
            .all(|entry| !entry.file_name().to_string_lossy().contains("heapsnapshot"))
    );
}

#[test]
fn a_process_whose_log_is_deleted_is_asked_where_the_kernel_leads_to_it() {
    let Some(node) = newest() else { return };
    for way in WAYS {
        let waiting = Waiting::start(&node, "idle");
        fs::remove_file(waiting.log()).expect("a log");
        let run = waiting.leak("snapshot", &[way, &["-o", "one.heapsnapshot"]].concat());
        match run.status.success() {
            true => assert_eq!(waiting.files(), ["one.heapsnapshot"]),
            false => assert_refused(&run, "was deleted"),
        }
        waiting.finish();
    }
}

#[test]
fn an_alert_lets_a_copy_take_the_snapshot() {
    for node in versions() {
        let waiting = Waiting::start(&node, "idle");
        let flags = [
            "--heap-used",
            "1K",
            "--interval",
            "50ms",
            "--snapshot-on-alert",
            "--fork",
        ];
        // The command ends the watch when the snapshot is there.
        let done = ["--on-alert", "kill -INT $PPID; echo $LEAK_SNAPSHOT >done"];
        let run = waiting.leak("watch", &[&flags[..], &done].concat());
        assert_eq!(run.status.signal(), Some(libc::SIGINT), "{}", words(&run));
        assert!(words(&run).contains("by a copy within"), "{}", words(&run));
        let name = fs::read_to_string(waiting.folder.path().join("done")).expect("an alert");
        assert_eq!(objects(Path::new(name.trim()), "Kept"), 1000);
        assert_eq!(copies_of(waiting.child.id()), [0; 0]);
        waiting.finish();
    }
}
