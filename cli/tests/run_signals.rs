//! `leak run`: signals. A user or a supervisor knows only the process of `leak`; a terminal
//! reaches both.

mod running;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use running::leak;

/// Counts what arrives; `end` ends it.
const COUNTING: &str = "for s in INT QUIT TERM HUP USR1 USR2; do trap \"echo $s >> got\" $s; done
trap 'exit 7' ALRM; echo ready > ready; while :; do sleep 0.02; done";

fn wait_for(dir: &Path, what: &str, is: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while !fs::read_to_string(dir.join(what)).is_ok_and(|text| is(&text)) {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} does not come"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
}

#[test]
fn a_signal_to_leak_alone_reaches_the_program_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = leak(dir.path())
        .args(["-q", "sh", "-c", &format!("echo $$ > pid; {COUNTING}")])
        .spawn()
        .expect("runs");
    wait_for(dir.path(), "ready", |text| text.ends_with('\n'));
    let mut expected = String::new();
    for (signal, name) in [
        (libc::SIGINT, "INT"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGTERM, "TERM"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
    ] {
        send(&child, signal);
        expected += &format!("{name}\n");
        wait_for(dir.path(), "got", |text| text == expected);
    }
    let pid: i32 = fs::read_to_string(dir.path().join("pid"))
        .expect("written")
        .trim()
        .parse()
        .expect("a number");
    // SAFETY: the program ends by this signal and not before.
    unsafe { libc::kill(pid, libc::SIGALRM) };
    assert_eq!(child.wait().expect("ends").code(), Some(7));
    assert_eq!(
        fs::read_to_string(dir.path().join("got")).expect("read"),
        expected
    );
}

#[test]
fn a_program_that_a_passed_signal_ended_has_its_summary_and_its_status() {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut child = leak(dir.path())
            .args(["sh", "-c", "echo ready > ready; exec sleep 60"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("runs");
        wait_for(dir.path(), "ready", |text| text.ends_with('\n'));
        send(&child, signal);
        let mut said = String::new();
        let stderr = child.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut said).expect("read");
        // A shell shows it as 128 + signal.
        assert_eq!(child.wait().expect("ends").signal(), Some(signal));
        assert!(
            said.contains("leak: no log was written"),
            "no summary: {said}"
        );
    }
}

#[test]
fn a_key_of_the_terminal_reaches_the_program_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut keys, terminal) = terminal();
    let number = terminal.as_raw_fd();
    let mut command = leak(dir.path());
    command
        .args(["-q", "sh", "-c", COUNTING])
        .stdin(terminal.try_clone().expect("open"));
    // SAFETY: system calls only: a session of its own, with the terminal in control of it.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 || libc::ioctl(number, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn().expect("runs");
    wait_for(dir.path(), "ready", |text| text.ends_with('\n'));
    // ^C, then ^\; a second INT would come before the QUIT.
    keys.write_all(b"\x03").expect("typed");
    wait_for(dir.path(), "got", |text| text.contains("INT"));
    keys.write_all(b"\x1c").expect("typed");
    wait_for(dir.path(), "got", |text| text.contains("QUIT"));
    send(&child, libc::SIGUSR1);
    wait_for(dir.path(), "got", |text| text.contains("USR1"));
    let got = fs::read_to_string(dir.path().join("got")).expect("read");
    assert_eq!(got, "INT\nQUIT\nUSR1\n");
    // SAFETY: the session is the test's own, and its leader has not been waited for.
    unsafe { libc::kill(-child.id().cast_signed(), libc::SIGKILL) };
    child.wait().expect("ends");
}

/// A terminal: what the user types on, and what the program has.
fn terminal() -> (fs::File, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: both numbers are written, and belong to nobody else afterwards.
    unsafe {
        let (name, null) = (std::ptr::null_mut(), std::ptr::null());
        let made = libc::openpty(&mut master, &mut slave, name, null, std::ptr::null());
        assert_eq!(made, 0);
        (fs::File::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}
