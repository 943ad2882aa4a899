//! `leak snapshot --inspect`: heaps of processes that run without libleak, and of pages, over the DevTools
//! protocol; what goes wrong is one line and leaves no file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use leak_tests::{node, tools};
use serde_json::{Value, json};
use tungstenite::Message;

/// A process that ends with the test.
struct Running(Child, BufReader<ChildStdout>);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program and waits for its first line.
    fn start(command: &mut Command) -> Running {
        let mut child = command
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        Running(child, out)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Whether it still does its work: answers a line.
    fn echoes(&mut self) -> bool {
        let mut line = String::new();
        let asked = self.0.stdin.as_mut().expect("a pipe").write_all(b"you?\n");
        asked.is_ok() && self.1.read_line(&mut line).is_ok() && line == "you?\n"
    }
}

/// Node with 1,000 sessions, which answers its input.
fn sessions(node: &Path, flags: &[&str], then: &str) -> Running {
    let program = "class Session {} globalThis.all = []; \
        for (let i = 0; i < 1000; i++) all.push(new Session()); \
        process.stdin.pipe(process.stdout); \
        setImmediate(() => { require('fs').writeSync(1, 'ready\\n'); ";
    Running::start(
        Command::new(node)
            .args(flags)
            .arg("-e")
            .arg(format!("{program}{then} }})")),
    )
}

fn inspect(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(tools::leak())
        .current_dir(folder)
        .args(["snapshot", "--inspect"])
        .args(arguments)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak runs")
}

/// How many objects of a class a snapshot has.
fn count(file: &Path, query: &str) -> Value {
    let run = Command::new(tools::leak())
        .args(["heap", "query", "--format", "json"])
        .arg(file)
        .arg(query)
        .output()
        .expect("leak runs");
    let json: Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
    json["count"].clone()
}

fn said(run: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    )
}

/// Status 2, a last line with these words, no file left.
fn refused(run: &Output, folder: &Path, words: &[&str]) {
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{text}");
    assert!(run.stdout.is_empty(), "{}", said(run));
    let mut lines = text.lines().filter(|line| !line.contains(" of heap; "));
    let line = lines.next().expect("a line");
    assert_eq!(lines.next(), None, "{text}");
    for word in words {
        assert!(line.contains(word), "{word}: {line}");
    }
    let files = std::fs::read_dir(folder).expect("a directory").count();
    assert_eq!(files, 0, "{text}");
}

#[test]
fn a_node_started_without_us_is_seen_and_runs_on_with_its_inspector_closed() {
    for node in node::versions() {
        let folder = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let flag = format!("--inspect-port={port}");
        let mut program = sessions(&node.path, &[&flag], "");
        let pid = program.pid();
        for name in [
            format!("node.{pid}.heapsnapshot"),
            format!("node.{pid}.1.heapsnapshot"),
        ] {
            let run = inspect(folder.path(), &[&pid]);
            let text = said(&run);
            assert!(run.status.success(), "Node {}: {text}", node.version);
            assert!(text.contains("its inspector is closed again"), "{text}");
            assert!(
                text.contains("may need") && text.contains(&name),
                "Node {}: {text}",
                node.version
            );
            assert_eq!(
                count(&folder.path().join(name), "class == Session"),
                1000,
                "Node {}",
                node.version
            );
        }
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(program.echoes(), "Node {}", node.version);
        let files = std::fs::read_dir(folder.path()).expect("a directory");
        assert_eq!(files.count(), 2);
    }
}

#[test]
fn what_takes_a_snapshot_of_a_plain_node_is_said_and_what_is_not_ours_is_left() {
    let Some(node) = node::versions().pop() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let program = sessions(&node.path, &[], "");
    let pid = program.pid();
    let run = Command::new(tools::leak())
        .current_dir(folder.path())
        .args(["snapshot", &pid])
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak runs");
    refused(&run, folder.path(), &[&format!("--inspect {pid}")]);
    let directory = inspect(folder.path(), &[&pid, "-o", "."]);
    refused(&directory, folder.path(), &["name a file in it"]);
    let mine = folder.path().join("mine");
    std::fs::write(&mine, "notes").expect("a file");
    let run = inspect(folder.path(), &[&pid, "-o", "mine"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(said(&run).contains("file exists"), "{}", said(&run));
    assert_eq!(std::fs::read(&mine).expect("a file"), b"notes");
}

#[test]
fn a_busy_loop_is_no_hindrance() {
    for node in node::versions() {
        let folder = tempfile::tempdir().expect("a directory");
        let flag = format!("--inspect-port={}", free_port());
        let program = sessions(&node.path, &[&flag], "for (;;) {}");
        let run = inspect(folder.path(), &[&program.pid(), "-o", "busy.heapsnapshot"]);
        assert!(
            run.status.success(),
            "Node {}: {}",
            node.version,
            said(&run)
        );
        let file = folder.path().join("busy.heapsnapshot");
        assert_eq!(count(&file, "class == Session"), 1000);
    }
}

#[test]
fn an_inspector_that_was_open_is_used_and_left_open() {
    let Some(node) = node::versions().pop() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let program = sessions(&node.path, &[&format!("--inspect={port}")], "");
    let host = format!("127.0.0.1:{port}");
    for place in [&program.pid(), &host, &format!("http://{host}/")] {
        let run = inspect(folder.path(), &[place, "-o", "open.heapsnapshot"]);
        assert!(run.status.success(), "{place}: {}", said(&run));
        assert!(!said(&run).contains("closed again"));
        let file = folder.path().join("open.heapsnapshot");
        assert_eq!(count(&file, "class == Session"), 1000);
    }
    assert!(TcpStream::connect(host).is_ok());
}

#[test]
fn what_would_die_of_the_signal_does_not_get_it() {
    let folder = tempfile::tempdir().expect("a directory");
    // The shell stays: the last command would replace it.
    let mut other = Running::start(Command::new("sh").args(["-c", "echo ready; cat; :"]));
    let program = std::fs::read_link(format!("/proc/{}/exe", other.pid())).expect("a process");
    let run = inspect(folder.path(), &[&other.pid()]);
    let name = program.file_name().expect("a name").to_string_lossy();
    let is = format!("{name} is not Node");
    refused(&run, folder.path(), &[&is, "no signal"]);
    assert!(other.echoes());

    for node in node::versions() {
        let flags: &[&str] = match node.version {
            ..20 => continue,
            20 => &["--experimental-permission"],
            22 => &["--experimental-permission", "--disable-sigusr1"],
            _ => &["--permission"],
        };
        let mut deaf = sessions(&node.path, flags, "");
        let run = inspect(folder.path(), &[&deaf.pid()]);
        refused(&run, folder.path(), &["SIGUSR1 is not caught", "no signal"]);
        assert!(deaf.echoes(), "Node {}", node.version);
    }
}

#[test]
fn a_port_that_is_taken_is_said_before_any_signal() {
    let Some(node) = node::versions().pop() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let mut program = sessions(&node.path, &[&format!("--inspect-port={port}")], "");
    let run = inspect(folder.path(), &[&program.pid()]);
    refused(
        &run,
        folder.path(),
        &[&format!("port {port}"), "taken by another process"],
    );
    assert!(program.echoes());
}

/// An inspector that tells of a heap of so many bytes and sends so much of a snapshot, then goes.
fn fake(heap: u64, parts: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = [0; 14];
            if stream.peek(&mut head).unwrap_or(0) == 0 {
                continue;
            }
            if head.starts_with(b"GET /json/list") {
                let _ = stream.read(&mut [0; 4096]);
                let list = json!([{"title": "fake", "type": "node", "webSocketDebuggerUrl": format!("ws://127.0.0.1:{port}/x")}]);
                let text = list.to_string();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                continue;
            }
            let mut socket = tungstenite::accept(stream).expect("a handshake");
            while let Ok(Message::Text(text)) = socket.read() {
                let command: Value = serde_json::from_str(&text).expect("a command");
                if command["method"] == "HeapProfiler.takeHeapSnapshot" {
                    for part in parts {
                        let word = match *part {
                            "answer" => json!({"id": command["id"], "result": {}}),
                            part => {
                                json!({"method": "HeapProfiler.addHeapSnapshotChunk", "params": {"chunk": part}})
                            }
                        };
                        socket
                            .send(Message::text(word.to_string()))
                            .expect("it is sent");
                    }
                    break;
                }
                let word = json!({"id": command["id"], "result": {"usedSize": heap}});
                socket
                    .send(Message::text(word.to_string()))
                    .expect("it is sent");
            }
        }
    });
    port
}

#[test]
fn a_target_that_goes_or_sends_nonsense_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let run = |port: u16, more: &[&str]| {
        let host = format!("127.0.0.1:{port}");
        let arguments: Vec<&str> = std::iter::once(&*host)
            .chain(more.iter().copied())
            .collect();
        inspect(folder.path(), &arguments)
    };
    let gone = run(fake(1000, &["{\"snapshot\":{\"meta\":"]), &[]);
    refused(&gone, folder.path(), &["before the snapshot was whole"]);
    let nonsense = run(fake(1000, &["hello", "answer"]), &[]);
    refused(&nonsense, folder.path(), &["no whole snapshot"]);
    let port = fake(1 << 50, &["{\"snapshot\":"]);
    refused(&run(port, &[]), folder.path(), &["14.0 PiB", "--force"]);
    refused(&run(port, &["--force"]), folder.path(), &["whole"]);
    refused(
        &run(fake(1000, &[]), &["-o", "no/such/folder.heapsnapshot"]),
        folder.path(),
        &["no/such/folder.heapsnapshot: cannot be written"],
    );
}

#[test]
fn places_where_no_inspector_is_are_said() {
    let folder = tempfile::tempdir().expect("a directory");
    let run = |place: &str| inspect(folder.path(), &[place]);
    refused(&run("app.js"), folder.path(), &["\"app.js\"", "HOST:PORT"]);
    refused(&run("2147483647"), folder.path(), &["no such process"]);
    // One that has ended and is not waited for yet.
    let mut ended = Command::new("true").spawn().expect("it starts");
    // SAFETY: our own child, which is left to be waited for.
    unsafe {
        let mut info = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT;
        libc::waitid(libc::P_PID, ended.id(), &mut info, flags);
    }
    refused(
        &run(&ended.id().to_string()),
        folder.path(),
        &["it has ended"],
    );
    ended.wait().expect("it ended");
    let nobody = format!("127.0.0.1:{}", free_port());
    refused(&run(&nobody), folder.path(), &["nobody answers"]);
    refused(
        &run(&format!("ws://{nobody}/x")),
        folder.path(),
        &["nobody answers"],
    );

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            if stream.read(&mut [0; 4096]).unwrap_or(0) > 0 {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        }
    });
    refused(&run(&server), folder.path(), &["no inspector"]);
    refused(
        &run(&format!("ws://{server}/x")),
        folder.path(),
        &["refuses"],
    );
}

#[test]
fn a_page_in_chromium_is_chosen_and_its_detached_nodes_are_there() {
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/pages");
    let page = |name: &str| format!("file://{}", pages.join(name).display());
    let mut child = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(page("detached.html"))
        .env_remove("LD_PRELOAD")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chromium");
    let errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let running = Running(child, out);
    let mut lines = errors.lines().map_while(Result::ok);
    let address = lines
        .by_ref()
        .find_map(|line| Some(line.split("listening on ws://").nth(1)?.to_owned()))
        .expect("an address");
    let drained = std::thread::spawn(move || lines.for_each(drop));
    let host = address.split('/').next().expect("a host").to_owned();
    let mut stream = TcpStream::connect(&host).expect("a connection");
    let second = page("frames.html");
    write!(
        stream,
        "PUT /json/new?{second} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .expect("it is sent");
    stream.read_exact(&mut [0; 16]).expect("an answer");
    let out = folder.path().join("page.heapsnapshot");
    let take = |target: &str| {
        let file = out.to_str().expect("a name");
        inspect(folder.path(), &[&host, "--target", target, "-o", file])
    };
    // The pages load while we ask.
    let run = (0..100)
        .map(|_| {
            std::thread::yield_now();
            take("detached.html")
        })
        .find(|run| {
            let nodes = count(&out, "detached").as_u64();
            run.status.success() && nodes.is_some_and(|nodes| nodes >= 200)
        })
        .expect("the page is there");
    assert!(said(&run).contains("heap of page"));
    assert!(
        count(&out, "detached")
            .as_u64()
            .is_some_and(|nodes| nodes >= 200)
    );

    let several = inspect(folder.path(), &[&host]);
    assert_eq!(several.status.code(), Some(2));
    assert!(said(&several).contains("--target"), "{}", said(&several));
    let none = take("nothing has this name");
    assert!(
        said(&none).contains("is not one of the targets"),
        "{}",
        said(&none)
    );
    // The browser's own process tells of the same targets.
    let pid = running.pid();
    let run = inspect(folder.path(), &[&pid, "--target", "frames.html", "-o", "f"]);
    assert!(run.status.success(), "{}", said(&run));
    drop(running);
    let _ = drained.join();
}

/// A port that nobody has now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A Node without libleak whose `cache` has as many entries as the square of the time says, so that it grows ever
/// faster, however far from each other snapshots are taken.
fn growing(node: &Path) -> Running {
    let then = "const cache = globalThis.cache = new Map(); class Entry {} \
        setInterval(() => { for (const now = performance.now(); cache.size < now * now / 1000;) \
            cache.set(cache.size, new Entry()); }, 5);";
    sessions(node, &[], then)
}

#[test]
fn a_series_in_one_session_names_the_leak_and_snapshots_of_two_sessions_are_not_compared() {
    for node in node::versions() {
        let folder = tempfile::tempdir().expect("a directory");
        let other = growing(&node.path);
        let series = ["--count", "3", "--every", "500ms", "-o", "one.heapsnapshot"];
        let run = inspect(folder.path(), &[&[&*other.pid()], &series[..]].concat());
        let text = said(&run);
        assert!(run.status.success(), "Node {}: {text}", node.version);
        let files = [
            "one.1.heapsnapshot",
            "one.2.heapsnapshot",
            "one.3.heapsnapshot",
        ];
        let next = format!("leak heap leaks {}", files.join(" "));
        assert!(text.contains(&next), "Node {}: {text}", node.version);

        let leak = |words: &[&str]| {
            let mut command = Command::new(tools::leak());
            let run = command.current_dir(folder.path()).arg("heap").args(words);
            run.output().expect("leak runs")
        };
        let found = said(&leak(&[&["leaks"], &files[..]].concat()));
        assert!(
            found.contains("1. Map ") && found.contains("cache has"),
            "Node {}: {found}",
            node.version
        );

        let again = inspect(folder.path(), &[&other.pid(), "-o", "two.heapsnapshot"]);
        assert!(again.status.success(), "{}", said(&again));
        for job in ["diff", "leaks"] {
            let run = leak(&[job, files[0], "two.heapsnapshot"]);
            let text = said(&run);
            assert_eq!(
                run.status.code(),
                Some(2),
                "Node {} {job}: {text}",
                node.version
            );
            assert!(
                text.contains("an inspector was closed in between"),
                "{text}"
            );
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
}
