//! The asker's side of [`log_format::control`].

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use log_format::control::{
    self, Control, Estimate, Failure, Kind, MAX_ISOLATES, MAX_NAME, State, flag,
};
use log_format::layout::HEADER_SIZE;
use memmap2::{MmapOptions, MmapRaw};

use super::{Found, Problem, find, interrupt, is_alive};

/// How often a wait looks whether the process is still there.
const LOOK: Duration = Duration::from_millis(100);

/// A process that can be asked.
#[derive(Debug)]
pub struct Channel {
    pid: i32,
    /// The end of its program's path.
    pub name: String,
    /// Its log.
    pub log: PathBuf,
    page: MmapRaw,
}

/// Memory of a process and an isolate, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Of the process, in memory.
    pub rss: u64,
    /// V8's heap, taken from the system.
    pub heap_total: u64,
    /// … used.
    pub heap_used: u64,
    /// … as much as it may become.
    pub heap_limit: u64,
    /// Outside of the heap, held by objects in it.
    pub external: u64,
    /// What can still be had of the machine's memory.
    pub available: u64,
    /// What a heap snapshot would cost.
    pub estimate: Estimate,
}

/// A heap snapshot that was written.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// How long the isolate's thread stood still.
    pub pause: Duration,
    /// Bytes of the file.
    pub written: u64,
    /// How long a copy of the process worked, and how many were made; without: it took it itself.
    pub copy: Option<(Duration, u32)>,
}

/// How a heap snapshot is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Even if memory may not suffice.
    pub force: bool,
    /// By a copy of the process.
    pub copy: bool,
}

impl Channel {
    /// Finds the process and the part of it that takes requests.
    ///
    /// # Errors
    /// See [`Problem`].
    pub fn open(pid: i32) -> Result<Channel, Problem> {
        let Found { name, log, file } = find(pid)?;
        let page = MmapOptions::new()
            .len(HEADER_SIZE as usize)
            .map_raw(&file)
            .map_err(|error| Problem::Unreachable(log.clone(), error))?;
        Ok(Channel {
            pid,
            name,
            log,
            page,
        })
    }

    /// Whether it takes requests.
    pub fn listens(&self) -> bool {
        self.control().listens.load(Acquire) == 1
    }

    fn control(&self) -> &Control {
        // SAFETY: the page is mapped as long as `self` lives, and all bytes are a valid value of
        // atomic words. If someone cuts the file meanwhile, this process ends by SIGBUS.
        unsafe { &*self.page.as_ptr().add(control::OFFSET).cast::<Control>() }
    }

    /// Numbers of the isolates that are there; 0 is the main thread's.
    pub fn isolates(&self) -> Vec<u32> {
        let there = self.control().isolates.load(Relaxed);
        (0..MAX_ISOLATES)
            .filter(|number| there >> number & 1 == 1)
            .collect()
    }

    /// Asks for the figures of now.
    pub fn figures(&self, isolate: u32, patience: Duration) -> Result<Figures, Problem> {
        self.ask(Kind::Usage, isolate, 0, b"", patience)?;
        let control = self.control();
        let usage = &control.usage;
        let heap_used = usage.heap_used.load(Relaxed);
        Ok(Figures {
            rss: usage.rss.load(Relaxed),
            heap_total: usage.heap_total.load(Relaxed),
            heap_used,
            heap_limit: usage.heap_limit.load(Relaxed),
            external: usage.external.load(Relaxed),
            available: control.available.load(Relaxed),
            estimate: Estimate::of_heap(heap_used, control.engine.load(Relaxed)),
        })
    }

    /// Asks for a heap snapshot in a new file.
    pub fn snapshot(
        &self,
        isolate: u32,
        path: &Path,
        way: Way,
        patience: Duration,
    ) -> Result<Taken, Problem> {
        let name = path.as_os_str().as_bytes();
        let too_long = || io::Error::from_raw_os_error(libc::ENAMETOOLONG);
        if name.len() > MAX_NAME {
            return Err(Problem::File(path.to_owned(), too_long()));
        }
        let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let flags = bit(way.force, flag::FORCE) | bit(way.copy, flag::COPY);
        let answer = self.ask(Kind::Snapshot, isolate, flags, name, patience);
        if let Err(Problem::File(_, error)) = answer {
            return Err(Problem::File(path.to_owned(), error));
        }
        answer?;
        let control = self.control();
        let copy_time = Duration::from_nanos(control.copy_ns.load(Relaxed));
        Ok(Taken {
            pause: Duration::from_nanos(control.pause_ns.load(Relaxed)),
            written: control.written.load(Relaxed),
            copy: way.copy.then(|| (copy_time, control.copies.load(Relaxed))),
        })
    }

    /// Sets a mark in its log.
    pub fn mark(&self, name: &str, patience: Duration) -> Result<(), Problem> {
        self.ask(Kind::Mark, 0, 0, name.as_bytes(), patience)
    }

    fn ask(
        &self,
        kind: Kind,
        isolate: u32,
        flags: u32,
        name: &[u8],
        patience: Duration,
    ) -> Result<(), Problem> {
        if !self.listens() {
            return Err(match is_alive(self.pid) {
                true => Problem::NotListening,
                false => Problem::Gone,
            });
        }
        let control = self.control();
        let _claim = Claim::take(control)?;
        control.kind.store(kind as u32, Relaxed);
        control.isolate.store(isolate, Relaxed);
        control.flags.store(flags, Relaxed);
        control.failure.store(0, Relaxed);
        control.errno.store(0, Relaxed);
        control.copies.store(0, Relaxed);
        control.set_name(name);
        control.state.store(State::Asked as u32, Release);
        control.request.fetch_add(1, AcqRel);
        wake(&control.request);
        self.wait(control, Instant::now() + patience)?;
        if control.state() == State::Done {
            return Ok(());
        }
        Err(match Failure::from_raw(control.failure.load(Relaxed)) {
            Failure::NoIsolate => Problem::NoIsolate,
            Failure::NoFunction => Problem::NoFunction,
            Failure::NoMemory => Problem::NoMemory(
                control.needed.load(Relaxed),
                control.available.load(Relaxed),
            ),
            Failure::File => {
                let errno = control.errno.load(Relaxed);
                let error = io::Error::from_raw_os_error(errno.cast_signed());
                Problem::File(Default::default(), error)
            }
            Failure::Refused | Failure::Unknown => Problem::Refused,
            Failure::NoCopy => {
                let errno = control.errno.load(Relaxed);
                Problem::NoCopy(io::Error::from_raw_os_error(errno.cast_signed()))
            }
            Failure::NotAtRest => Problem::NotAtRest,
            Failure::CopyFailed => Problem::CopyFailed(control.copies.load(Relaxed)),
        })
    }

    /// Waits for the answer; what has begun is waited for to its end.
    fn wait(&self, control: &Control, until: Instant) -> Result<(), Problem> {
        loop {
            let state = control.state();
            match state {
                State::Done | State::Failed => return Ok(()),
                State::Idle => return Err(Problem::Patience),
                State::Asked
                    if Instant::now() >= until && control.change(State::Asked, State::Idle) =>
                {
                    return Err(Problem::Patience);
                }
                _ if interrupt::came() => {
                    let is_back = control.change(State::Asked, State::Idle);
                    return Err(Problem::GivenUp(!is_back));
                }
                _ => {}
            }
            if !is_alive(self.pid) {
                return Err(Problem::Gone);
            }
            wait_for_change(&control.state, state as u32, LOOK);
        }
    }
}

/// Who asks: one at a time.
struct Claim<'a>(&'a Control);

impl Claim<'_> {
    fn take(control: &Control) -> Result<Claim<'_>, Problem> {
        let me = std::process::id();
        loop {
            let now = control.asker.load(Relaxed);
            // What someone has left who is no more may be taken over, unless the recorder is
            // still at it.
            let left = now == 0 || !is_alive(now.cast_signed());
            if !left || control.state() == State::Running {
                return Err(Problem::Asked(now));
            }
            if control
                .asker
                .compare_exchange(now, me, AcqRel, Relaxed)
                .is_ok()
            {
                return Ok(Claim(control));
            }
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // A recorder that is still at it must not be asked anything else.
        if self.0.state() != State::Running {
            self.0.asker.store(0, Release);
        }
    }
}

fn wake(word: &AtomicU32) {
    // SAFETY: a mapped word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

fn wait_for_change(word: &AtomicU32, seen: u32, time: Duration) {
    let time = libc::timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // SAFETY: a mapped word and a live time.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            seen,
            &time,
        )
    };
}
