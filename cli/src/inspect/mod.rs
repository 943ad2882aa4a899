//! `leak snapshot --inspect`: the heap of a Node that was started without us, or of a page in
//! Chromium, over the DevTools protocol.
//!
//! ```text
//! PID ── is it Node? ── SIGUSR1 ── its port ──┐
//! HOST:PORT ──────────────────────────────────┴─ /json/list ── target ──┐
//! ws://… ───────────────────────────────────────────────────────────────┴─ snapshot ── file
//! ```
//!
//! The file gets its name when it is whole. An inspector that was opened for this is closed again.

mod new_file;
mod problem;
mod process;
mod room;
mod session;
mod targets;

use std::fs;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::error::Error;
use crate::figures::{bytes, duration, parse_duration};
use crate::live::interrupt;
use crate::snapshot::{pause, place};
use new_file::NewFile;
use session::{Session, Written};
use targets::Address;

pub use problem::Problem;

/// Memory that V8 needs for a snapshot, in bytes for each byte of heap: 12 to 14 in Node 20 and 24 at 48 and
/// 170 MiB, most of it messages on their way.
const MEMORY: u64 = 14;
/// How long a snapshot stops the program, in ns of CPU for each byte of heap: least and most; 50 to 180 there, less for large
/// arrays and buffers.
const PAUSE: (u64, u64) = (20, 180);

/// Flags for processes that run without libleak.
#[derive(Debug, Args)]
pub struct InspectFlags {
    /// Take the JavaScript heap of a process that runs without libleak, or of a page, over the DevTools
    /// protocol: the process id of a Node, HOST:PORT or http://HOST:PORT of an inspector (node --inspect,
    /// chromium --remote-debugging-port), or the ws:// address of a target.
    ///
    /// A Node given by its id gets SIGUSR1, which opens its inspector, if it catches that signal; its inspector is
    /// closed again afterwards. The snapshot is a .heapsnapshot file, for leak heap.
    #[arg(long, value_name = "PID|ADDRESS", conflicts_with = "pid")]
    pub inspect: Option<String>,

    /// With --inspect: which target, by its number or a part of its title or address.
    #[arg(long, value_name = "N|TEXT", requires = "inspect")]
    pub target: Option<String>,

    /// With --inspect: take so many, one after the other in one session, so that leak heap leaks and diff can
    /// compare them: at its end V8 forgets how it has numbered objects.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "inspect", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,

    /// Time from the end of one to the next.
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "inspect", value_parser = parse_duration)]
    pub every: u64,

    /// Take a snapshot of JavaScript's heap even if the memory may not be enough.
    #[arg(long, conflicts_with = "native")]
    pub force: bool,
}

/// Whether a process is Node.
pub fn is_node(pid: i32) -> bool {
    process::is_node(&PathBuf::from(format!("/proc/{pid}")))
}

/// Takes the snapshots and says what they cost.
pub fn inspect(flags: &InspectFlags, output: Option<&Path>) -> Result<u8, Error> {
    let given = flags.inspect.as_deref().unwrap_or_default();
    let failed = |problem| Error::Inspect {
        what: given.to_owned(),
        problem,
    };
    if let Some(output) = output {
        for path in files(output, flags.count) {
            place::check(&path, place::JAVASCRIPT)?;
        }
    }
    let line = perform(given, flags, output).map_err(failed)?;
    writeln!(io::stdout(), "{line}").map_err(Error::Output)?;
    Ok(0)
}

/// The place of the target, and how to leave it.
struct Found {
    url: String,
    shown: String,
    /// The beginning of the file's name.
    name: String,
    /// The process, if it was given so.
    pid: Option<i32>,
    /// The inspector, if it was opened for this.
    opened: Option<(i32, SocketAddr)>,
}

fn perform(given: &str, flags: &InspectFlags, output: Option<&Path>) -> Result<String, Problem> {
    // An inspector that was opened is closed also if the user interrupts.
    interrupt::catch();
    let found = find(given, flags.target.as_deref())?;
    let mut session = Session::connect(&found.url)?;
    let taken = series(&mut session, &found, flags, output);
    let end = match found.opened {
        Some(opened) => close_inspector(session, opened),
        None => {
            session.close();
            String::new()
        }
    };
    taken.map(|line| line + &end)
}

fn find(given: &str, wanted: Option<&str>) -> Result<Found, Problem> {
    let (host, name, pid, opened) = match Address::parse(given)? {
        Address::Socket(url) => {
            return Ok(Found {
                name: file_name(&url),
                shown: url.clone(),
                url,
                pid: None,
                opened: None,
            });
        }
        Address::Http(host) => {
            let name = file_name(&host);
            (host, name, None, None)
        }
        Address::Process(pid) => {
            let inspector = process::inspector(pid)?;
            let name = format!("{}.{pid}", inspector.name);
            let address = inspector.address;
            (
                address.to_string(),
                name,
                Some(pid),
                inspector.opened.then_some((pid, address)),
            )
        }
    };
    let target = targets::choose(targets::targets(&host)?, wanted)?;
    let shown = target.shown();
    let url = target
        .web_socket_debugger_url
        .ok_or_else(|| Problem::Refused(format!("another debugger is attached to {shown}")))?;
    Ok(Found {
        url,
        shown,
        name,
        pid,
        opened,
    })
}

/// `127.0.0.1-9229` of an address.
fn file_name(address: &str) -> String {
    let host = address.strip_prefix("ws://").unwrap_or(address);
    let host = host.split('/').next().unwrap_or_default();
    host.trim_start_matches('[')
        .replace("]:", "-")
        .replace(':', "-")
}

/// Takes all of them; what there is to say of the last one, the others have been told of.
fn series(
    session: &mut Session,
    found: &Found,
    flags: &InspectFlags,
    output: Option<&Path>,
) -> Result<String, Problem> {
    if flags.count == 1 {
        return take(session, found, flags.force, output).map(|(line, _)| line);
    }
    let mut due = Instant::now();
    let mut files = Vec::new();
    for number in 1..=flags.count {
        while Instant::now() < due && !interrupt::came() {
            let left = due.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        if interrupt::came() {
            break;
        }
        let output = output.map(|path| numbered(path, number));
        let (line, file) = take(session, found, flags.force, output.as_deref())?;
        tell!("leak: {number} of {}: {line}", flags.count);
        files.push(file.display().to_string());
        // Not from its beginning: the program is to work between two of them.
        due = Instant::now() + Duration::from_nanos(flags.every);
    }
    Ok(match files.len() {
        0 | 1 => "no two snapshots to compare".to_owned(),
        _ => format!("what grew:  leak heap leaks {}", files.join(" ")),
    })
}

/// The files of a series, or the one.
fn files(output: &Path, count: u32) -> Vec<PathBuf> {
    match count {
        1 => vec![output.to_owned()],
        _ => (1..=count).map(|number| numbered(output, number)).collect(),
    }
}

/// `NAME.2.heapsnapshot` of `NAME.heapsnapshot`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let ending = path
        .extension()
        .map_or("heapsnapshot".into(), |ending| ending.to_string_lossy());
    path.with_extension(format!("{number}.{ending}"))
}

/// Takes a snapshot into its file; what there is to say of it, and the file.
fn take(
    session: &mut Session,
    found: &Found,
    force: bool,
    output: Option<&Path>,
) -> Result<(String, PathBuf), Problem> {
    let usage = session.ask("Runtime.getHeapUsage", json!({}), |_, _| Ok(()))?;
    let used = usage["usedSize"].as_f64().unwrap_or_default() as u64;
    let is_near = ["ws://127.", "ws://localhost", "ws://[::1]"]
        .iter()
        .any(|near| found.url.starts_with(near));
    let needs = used.saturating_mul(MEMORY);
    tell!(
        "leak: {} uses {} of heap; a snapshot stops it for {} and may need {} of memory",
        found.shown,
        bytes(used),
        pause::words(PAUSE.0.saturating_mul(used), PAUSE.1.saturating_mul(used)),
        bytes(needs)
    );
    if let Some(has) = room::available(found.pid).filter(|&has| is_near && !force && has < needs) {
        return Err(Problem::Memory { needs, has });
    }
    let output = match output {
        Some(path) => path.to_owned(),
        None => unused(&found.name),
    };
    let failed = |error| Problem::Write(output.clone(), error);
    let file = NewFile::begin(&output).map_err(failed)?;
    session.ask("HeapProfiler.enable", json!({}), |_, _| Ok(()))?;
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % of the heap") {
        bar.set_style(style);
    }
    let mut writer = BufWriter::with_capacity(1 << 20, &file.file);
    let written = session.heap_snapshot(&mut writer, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let pause = match written {
        Err(Written::Problem(problem)) => return Err(problem),
        Err(Written::File(error)) => return Err(failed(error)),
        Ok(pause) => pause,
    };
    let flushed = writer.into_inner();
    flushed.map_err(|error| failed(error.into_error()))?;
    let size = file.file.metadata().map_err(failed)?.len();
    if !is_whole(&file.file).map_err(failed)? {
        return Err(Problem::NotWhole);
    }
    file.appear(&output).map_err(failed)?;
    let file = output.display();
    let line = format!(
        "heap of {}: {} in {}, during which it stood still; written to {file}\n\
         look at it:  leak heap {file}",
        found.shown,
        bytes(size),
        duration(pause.as_nanos() as u64),
    );
    Ok((line, output))
}

/// Whether a file begins and ends as a snapshot does.
fn is_whole(mut file: &fs::File) -> io::Result<bool> {
    const HEAD: &[u8] = b"{\"snapshot\"";
    let mut head = [0; HEAD.len()];
    let mut tail = [0; 16];
    let size = file.metadata()?.len();
    if size < 64 {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::End(-(tail.len() as i64)))?;
    file.read_exact(&mut tail)?;
    Ok(head == *HEAD && tail.trim_ascii_end().ends_with(b"}"))
}

/// A name in this directory that no file has.
fn unused(name: &str) -> PathBuf {
    let plain = PathBuf::from(format!("{name}.heapsnapshot"));
    std::iter::once(plain)
        .chain((1u32..).map(|number| PathBuf::from(format!("{name}.{number}.heapsnapshot"))))
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_default()
}

/// Has Node close the inspector that was opened for us, and says whether it did.
///
/// Not in the command itself: Node 24 has crashed when an inspector was closed by its own client, with
/// messages still on their way. A timer closes it when we have gone; a busy program's timers never fire.
fn close_inspector(mut session: Session, (pid, address): (i32, SocketAddr)) -> String {
    const CLOSE: &str = "{ const inspector = require('inspector'); require('timers').setTimeout(() => { \
        try { inspector.close() } catch {} }, 100).unref() }";
    let sent = session.ask(
        "Runtime.evaluate",
        json!({"expression": CLOSE, "includeCommandLineAPI": true}),
        |_, _| Ok(()),
    );
    session.close();
    let begin = Instant::now();
    while sent.is_ok() && begin.elapsed() < Duration::from_secs(3) {
        if !process::listens(pid, address) {
            return "\nits inspector is closed again".to_owned();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    format!("\nits inspector stays open on {address} until it ends: it did not come to close it")
}
