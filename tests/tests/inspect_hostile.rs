//! `leak snapshot --inspect` where something goes wrong in the middle, or is unusual: one clear line, no file,
//! the program left as it was.

use leak_tests::node::{Node, versions};
use leak_tests::tools;
use leak_tests::waiting::{Waiting, assert_refused, objects};
use serde_json::{Value, json};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tungstenite::Message;

/// So many that a snapshot takes a while.
const MANY: u32 = 200_000;

fn newest() -> Option<Node> {
    versions().pop()
}

/// Node without libleak that has some objects of a class and so many others, waits, and answers its input.
fn kept(node: &Node, flag: &str, others: u32) -> Waiting {
    let source = format!(
        "class Kept {{}} globalThis.all = Array.from({{ length: 1000 }}, () => new Kept());
        globalThis.more = Array.from({{ length: {others} }}, (_, i) => ({{ i, text: `text ${{i}}` }}));
        process.stdin.pipe(process.stdout); console.log('ready')"
    );
    let mut command = Command::new(&node.path);
    command.args([flag, "-e", &source]).stderr(Stdio::null());
    Waiting::start_by(&mut command, false)
}

fn inspect(folder: &Path, arguments: &[&str]) -> Child {
    let child = Command::new(tools::leak())
        .current_dir(folder)
        .args(["snapshot", "--inspect"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    child.expect("leak starts")
}

/// Waits until a snapshot is being written.
fn is_under_way(leak: &Child, folder: &Path) {
    let begin = Instant::now();
    let writes = || {
        let links = fs::read_dir(format!("/proc/{}/fd", leak.id())).into_iter();
        let mut open = links
            .flatten()
            .flatten()
            .filter_map(|link| fs::read_link(link.path()).ok());
        open.any(|to| to.starts_with(folder))
    };
    while !writes() {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "no snapshot began"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Its last line; the one before says what it costs.
fn refused(mut run: Output, words: &str) {
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains(" of heap; "))
        .collect();
    run.stderr = lines.join("\n").into_bytes();
    assert_refused(&run, words);
}

#[test]
fn an_inspector_of_the_sixth_version_of_the_internet_protocol_is_spoken_to() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    for node in versions() {
        for flag in ["--inspect-port=[::1]:0", "--inspect=[::1]:0"] {
            let program = kept(&node, flag, 0);
            let flags = [&program.pid(), "-o", "one.heapsnapshot"];
            let run = inspect(program.folder.path(), &flags).wait_with_output();
            let run = run.expect("it ends");
            let told = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.success(), "Node {} {flag}: {told}", node.version);
            let file = program.folder.path().join("one.heapsnapshot");
            assert_eq!(objects(&file, "Kept"), 1000);
        }
    }
}

#[test]
fn encrypted_addresses_are_told_of() {
    let folder = tempfile::tempdir().expect("a directory");
    for address in ["wss://localhost:9229/x", "https://localhost:9229"] {
        let run = inspect(folder.path(), &[address]).wait_with_output();
        assert_refused(&run.expect("it ends"), "speaks TLS, which leak does not");
    }
}

#[test]
fn a_target_that_is_killed_in_the_middle_leaves_no_file() {
    let Some(node) = newest() else { return };
    let mut program = kept(&node, "--inspect=0", MANY);
    let leak = inspect(program.folder.path(), &[&program.pid()]);
    is_under_way(&leak, program.folder.path());
    program.child.kill().expect("it can be killed");
    program.child.wait().expect("it ends");
    let run = leak.wait_with_output().expect("it ends");
    refused(run, "before the snapshot was whole");
    assert_eq!(program.files(), [""; 0]);
}

#[test]
fn leak_that_is_killed_or_interrupted_leaves_no_file_and_closes_what_it_opened() {
    let Some(node) = newest() else { return };
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a port").port();
    let program = kept(&node, &format!("--inspect-port={port}"), MANY);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let leak = inspect(program.folder.path(), &[&program.pid()]);
        is_under_way(&leak, program.folder.path());
        // SAFETY: our own child.
        unsafe { libc::kill(leak.id().cast_signed(), signal) };
        let run = leak.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.signal(), Some(signal), "{told}");
        assert_eq!(program.files(), [""; 0]);
        if signal != libc::SIGKILL {
            assert!(told.contains("interrupted; nothing was written"), "{told}");
            let closed = TcpStream::connect(("127.0.0.1", port)).is_err();
            assert!(closed, "its inspector is still open: {told}");
        }
    }
    // What a killed one has left open is used again.
    let run = inspect(
        program.folder.path(),
        &[&program.pid(), "-o", "one.heapsnapshot"],
    );
    assert!(run.wait_with_output().expect("it ends").status.success());
    assert_eq!(program.files(), ["one.heapsnapshot"]);
}

/// An inspector that sends a snapshot of so many parts of a MiB as fast as it can.
fn torrent(parts: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        let chunk = |text: &str| {
            let event =
                json!({"method": "HeapProfiler.addHeapSnapshotChunk", "params": {"chunk": text}});
            Message::text(event.to_string())
        };
        while let Ok(Message::Text(text)) = socket.read() {
            let command: Value = serde_json::from_str(&text).expect("a command");
            if command["method"] == "HeapProfiler.takeHeapSnapshot" {
                socket.send(chunk("{\"snapshot\":\"")).expect("it is sent");
                let part = "x".repeat(1 << 20);
                for _ in 0..parts {
                    socket.send(chunk(&part)).expect("it is sent");
                }
                socket.send(chunk("\"}")).expect("it is sent");
            }
            let answer = json!({"id": command["id"], "result": {"usedSize": 1000}});
            if socket.send(Message::text(answer.to_string())).is_err() {
                return;
            }
        }
    });
    format!("ws://{address}/x")
}

#[test]
fn a_torrent_of_parts_goes_into_the_file_and_not_into_memory() {
    const MIB: u64 = 1 << 20;
    let folder = tempfile::tempdir().expect("a directory");
    let run = Command::new("/bin/sh")
        .current_dir(folder.path())
        .args(["-c", "ulimit -v 400000; exec \"$0\" \"$@\""])
        .arg(tools::leak())
        .args(["snapshot", "--inspect", &torrent(600), "-o", "one"])
        .output()
        .expect("leak runs");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{told}");
    let size = fs::metadata(folder.path().join("one"))
        .expect("a file")
        .len();
    assert_eq!(size, 600 * MIB + 15);
}
