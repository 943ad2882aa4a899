//! The log file: created once and kept open under a high number, for programs that
//! change their root, their user or the file's name. Programs also close and reuse
//! descriptors: before each use device and inode are compared, and if the number
//! means something else, the file is opened again by its name.
//!
//! Failure here never reaches the program: no room, no right, another root, a
//! file size limit: the caller gets `None` and recording ends.

use crate::sys::{self, Errno, Fd};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering::*};
use log_format::layout::*;

/// Longest path kept, bytes with the NUL.
pub const MAX_PATH: usize = 4096;

/// The open log. All-zero bytes mean none.
pub struct LogFile {
    header: AtomicPtr<Header>,
    end: AtomicU64,
    path: UnsafeCell<[u8; MAX_PATH]>,
    path_len: AtomicU64,
    /// Device and inode.
    identity: [AtomicU64; 2],
}

/// The kept descriptor + 1, 0 if there is none. Not wiped at fork: the child closes
/// its copy when it begins a log of its own.
static KEPT: AtomicI32 = AtomicI32::new(0);

/// Device and inode of the log that [`KEPT`] is of.
static PARENTS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// An open descriptor of the log, to be given to [`LogFile::done`].
#[derive(Clone, Copy)]
pub struct Opened {
    /// The descriptor.
    pub fd: Fd,
    kept: bool,
}

impl LogFile {
    /// The mapped header page.
    #[inline(always)]
    pub fn header(&self) -> Option<&'static Header> {
        // SAFETY: set once to a mapping that stays.
        unsafe { self.header.load(Acquire).as_ref() }
    }

    /// Absolute path with the NUL; empty if there is no log.
    pub fn path(&self) -> &[u8] {
        let len = self.path_len.load(Acquire) as usize;
        // SAFETY: written before the length, then never again.
        unsafe { (*self.path.get()).get(..len) }.unwrap_or(&[])
    }

    /// End of the file so far, bytes.
    pub fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    /// Creates the file (never over an existing one) with room for `len` bytes,
    /// and maps its header and first DATA extent. `path` is absolute with the
    /// NUL. Returns the extent's mapping and the descriptor, which the caller
    /// closes: opening again for each of the first extents would cost a short
    /// program more than all the rest.
    ///
    /// Called by the one thread that starts the recorder.
    pub fn create(&self, path: &[u8], len: u64) -> Result<(*mut u8, Fd), Errno> {
        // SAFETY: single starter, see above; no reader before `path_len` is set.
        let own = unsafe { &mut *self.path.get() };
        own.get_mut(..path.len())
            .ok_or(Errno(libc::ENAMETOOLONG))?
            .copy_from_slice(path);
        let fd = sys::open(
            path,
            libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW,
            0o600,
        )?;
        let mapped = reserve(fd, 0, len)
            .and_then(|()| first_pages(fd, 0))
            // SAFETY: no fixed place.
            .and_then(|()| unsafe {
                sys::map_file(fd, 0, FIRST_DATA_END as usize, core::ptr::null_mut())
            });
        let base = match mapped {
            Ok(base) => base,
            Err(error) => {
                sys::close(fd);
                // An empty file helps nobody.
                // SAFETY: the path is NUL-terminated.
                unsafe {
                    crate::arch::syscall::syscall2(libc::SYS_unlink, path.as_ptr() as usize, 0)
                };
                return Err(error);
            }
        };
        self.path_len.store(path.len() as u64, Release);
        self.end.store(FIRST_DATA_END, Release);
        self.header.store(base.cast(), Release);
        // SAFETY: the header page is followed by the first extent.
        let extent = unsafe { base.add(HEADER_SIZE as usize) };
        format_extent(extent, ExtentKind::Data, 0, FIRST_DATA_END - HEADER_SIZE);
        Ok((extent, fd))
    }

    /// Keeps a new log's descriptor under a number that programs seldom use.
    pub fn keep(&self, fd: Fd) {
        let identity = sys::identity(fd).unwrap_or_default();
        // A fork child still has its parent's: close it, unless it was reused.
        let old = KEPT.swap(0, AcqRel);
        let parents = [PARENTS[0].load(Relaxed), PARENTS[1].load(Relaxed)];
        if old != 0 && sys::identity(Fd(old - 1)) == Some(parents) {
            sys::close(Fd(old - 1));
        }
        for ((slot, parent), value) in self.identity.iter().zip(&PARENTS).zip(identity) {
            slot.store(value, Relaxed);
            parent.store(value, Relaxed);
        }
        let least = (sys::rlimit(libc::RLIMIT_NOFILE) / 2).clamp(3, 512);
        if let Some(kept) = sys::duplicate(fd, least) {
            KEPT.store(kept.0 + 1, Release);
        }
        sys::close(fd);
    }

    fn is_ours(&self, fd: Fd) -> bool {
        let own = [
            self.identity[0].load(Relaxed),
            self.identity[1].load(Relaxed),
        ];
        sys::identity(fd) == Some(own)
    }

    /// A descriptor of the file: the kept one if it still is that.
    pub fn open(&self) -> Result<Opened, Errno> {
        let kept = KEPT.load(Acquire);
        if kept != 0 && self.is_ours(Fd(kept - 1)) {
            return Ok(Opened {
                fd: Fd(kept - 1),
                kept: true,
            });
        }
        let fd = sys::open(self.path(), libc::O_RDWR | libc::O_NOFOLLOW, 0)?;
        if self.is_ours(fd) {
            return Ok(Opened { fd, kept: false });
        }
        sys::close(fd);
        Err(Errno(libc::ESTALE))
    }

    /// Ends the use of a descriptor.
    pub fn done(&self, opened: Opened) {
        if !opened.kept {
            sys::close(opened.fd);
        }
    }

    /// Adds an extent of `len` bytes and maps it: whole, or (`at`) from its
    /// second page to the given place. Returns the mapping of the whole or of
    /// the header page.
    ///
    /// # Safety
    /// `at` is null or inside a reservation of `len − PAGE` bytes.
    pub unsafe fn extend(
        &self,
        kind: ExtentKind,
        id: u32,
        len: u64,
        at: *mut u8,
    ) -> Result<*mut u8, StopReason> {
        if crate::global::get().is_some_and(|g| g.filtered.load(Relaxed) != 0) {
            return Err(StopReason::Filtered);
        }
        let opened = self.open().map_err(|_| StopReason::Unreachable)?;
        let fd = opened.fd;
        let offset = self.end.fetch_add(len, AcqRel);
        let mapped = reserve(fd, offset, len)
            // SAFETY: the caller's.
            .and_then(|()| unsafe { map_extent(fd, offset, kind, id, len, at) });
        self.done(opened);
        mapped.map_err(|_| StopReason::NoSpace)
    }

    /// As [`LogFile::extend`], with room that [`LogFile::create`] has reserved.
    ///
    /// # Safety
    /// As `extend`.
    pub unsafe fn extend_first(
        &self,
        fd: Fd,
        kind: ExtentKind,
        len: u64,
        at: *mut u8,
    ) -> Result<*mut u8, StopReason> {
        let offset = self.end.fetch_add(len, AcqRel);
        // SAFETY: the caller's.
        unsafe { first_pages(fd, offset).and_then(|()| map_extent(fd, offset, kind, 0, len, at)) }
            .map_err(|_| StopReason::NoSpace)
    }

    /// Sets the end after the file was cut.
    pub fn set_end(&self, end: u64) {
        self.end.store(end, Release);
    }

    /// Writes a reading of both clocks where the reader looks for it.
    pub fn calibrate(&self, slot: usize) {
        if let Some(pair) = self.header().and_then(|h| h.calibration.get(slot & 1)) {
            let ns = crate::arch::clock::clock_ns(libc::CLOCK_MONOTONIC);
            pair.ticks.store(crate::arch::clock::before(), Relaxed);
            pair.ns.store(ns, Release);
        }
    }
}

/// Writes the two pages that every process touches. A fault on a page that is
/// not in memory reads ahead and costs a short program more than the write.
fn first_pages(fd: Fd, offset: u64) -> Result<(), Errno> {
    sys::pwrite(fd, &ZEROS, offset).map(|_| ())
}

static ZEROS: [u8; 2 * PAGE as usize] = [0; 2 * PAGE as usize];

/// Maps a reserved extent and writes its header.
///
/// # Safety
/// As [`LogFile::extend`].
unsafe fn map_extent(
    fd: Fd,
    offset: u64,
    kind: ExtentKind,
    id: u32,
    len: u64,
    at: *mut u8,
) -> Result<*mut u8, Errno> {
    let null = core::ptr::null_mut();
    // SAFETY: no fixed place but the caller's.
    let base = unsafe {
        if at.is_null() {
            sys::map_file(fd, offset, len as usize, null)?
        } else {
            let page = sys::map_file(fd, offset, PAGE as usize, null)?;
            sys::map_file(fd, offset + PAGE, (len - PAGE) as usize, at)?;
            page
        }
    };
    format_extent(base, kind, id, len);
    Ok(base)
}

/// Reserves room in the file without provoking SIGXFSZ.
fn reserve(fd: Fd, offset: u64, len: u64) -> Result<(), Errno> {
    // Asked each time: other processes may set it too.
    if offset.saturating_add(len) > sys::rlimit(libc::RLIMIT_FSIZE) {
        return Err(Errno(libc::EFBIG));
    }
    match sys::fallocate(fd, offset, len) {
        Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => write_zeros(fd, offset, len),
        other => other,
    }
}

/// For file systems without `fallocate`: written pages have room as well.
fn write_zeros(fd: Fd, offset: u64, len: u64) -> Result<(), Errno> {
    let mut at = offset;
    while at < offset + len {
        match sys::pwrite(fd, &ZEROS, at)? {
            0 => return Err(Errno(libc::ENOSPC)),
            n => at += n as u64,
        }
    }
    Ok(())
}

/// Writes an extent's header, the magic last.
pub fn format_extent(base: *mut u8, kind: ExtentKind, id: u32, len: u64) {
    // SAFETY: `base` is a mapped page of ours.
    let header = unsafe { &*base.cast::<ExtentHeader>() };
    header.kind.store(kind as u32, Relaxed);
    header.id.store(id, Relaxed);
    header.len.store(len, Relaxed);
    header.used.store(0, Relaxed);
    header.magic.store(EXTENT_MAGIC, Release);
}
