//! The log file: created once and kept open under a high number, for programs that
//! change their root, their user or the file's name. Programs also close and reuse
//! descriptors: before each use device and inode are compared, and if the number
//! means something else, the file is opened again by its name.
//!
//! Failure here never reaches the program: no room, no right, another root, a
//! file size limit: the caller gets `None` and recording ends.

use crate::sys::{self, Errno, Fd};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering::*};
use log_format::control::{self, Control};
use log_format::layout::*;

/// Longest path kept, bytes with the NUL.
pub const MAX_PATH: usize = 4096;

/// The open log. All-zero bytes mean none.
pub struct LogFile {
    header: AtomicPtr<Header>,
    end: AtomicU64,
    /// Where the last extent of a cut file begins.
    last: AtomicU64,
    path: UnsafeCell<[u8; MAX_PATH]>,
    path_len: AtomicU64,
    /// Device and inode.
    identity: [AtomicU64; 2],
    /// Gaps among the first extents that have no room on the disk yet, see
    /// [`LogFile::reserve_first`]: end of what is written, end of the gap.
    gaps: [[AtomicU64; 2]; FIRST_EXTENTS],
    /// How many of them.
    gap_count: AtomicU64,
    /// Held while gaps are filled: [`crate::arch::tls::own_address`] of the thread.
    filling: AtomicUsize,
}

/// DATA, NODES, RING.
const FIRST_EXTENTS: usize = 3;
/// So much of the first ring is given room by writing it, step by step, bytes.
const MOST_WRITTEN: u64 = 64 << 10;
/// Waits for another thread that fills the gaps, 1 ms each.
const MAX_WAITS: u32 = 5000;

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

    /// Where requests arrive: in the header's page.
    #[inline(always)]
    pub fn control(&self) -> Option<&'static Control> {
        let header = core::ptr::from_ref(self.header()?).cast::<u8>();
        // SAFETY: the page is mapped as a whole, and all bytes are a valid value.
        Some(unsafe { &*header.add(control::OFFSET).cast::<Control>() })
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

    /// Creates the file (never over an existing one), `len` bytes long, and maps
    /// its header and first DATA extent, of which the first `head` bytes have
    /// room. `path` is absolute with the NUL. Returns the extent's mapping and the
    /// descriptor, which the caller closes: opening again for each of the first
    /// extents would cost a short program more than all the rest.
    ///
    /// Called by the one thread that starts the recorder.
    pub fn create(&self, path: &[u8], len: u64, head: u64) -> Result<(*mut u8, Fd), Errno> {
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
        let mapped = may_grow(len)
            .and_then(|()| sys::ftruncate(fd, len))
            .and_then(|()| write_zeros(fd, 0, head))
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
        for (slot, value) in self
            .identity
            .iter()
            .zip(sys::identity(fd).unwrap_or_default())
        {
            slot.store(value, Relaxed);
        }
        self.path_len.store(path.len() as u64, Release);
        self.end.store(FIRST_DATA_END, Release);
        self.header.store(base.cast(), Release);
        // SAFETY: the header page is followed by the first extent.
        let extent = unsafe { base.add(HEADER_SIZE as usize) };
        format_extent(extent, ExtentKind::Data, 0, FIRST_DATA_END - HEADER_SIZE);
        self.gap(head, FIRST_DATA_END);
        Ok((extent, fd))
    }

    /// Notes that a range has no room on the disk.
    fn gap(&self, start: u64, end: u64) {
        let count = self.gap_count.load(Relaxed);
        if let Some([from, to]) = self.gaps.get(count as usize) {
            from.store(start, Relaxed);
            to.store(end, Relaxed);
            self.gap_count.store(count + 1, Release);
        }
    }

    /// Whether all of the first extents may be written to.
    pub fn is_reserved(&self) -> bool {
        self.gap_count.load(Acquire) == 0
    }

    /// Gives the first extents the rest of their room. A short program never needs
    /// it, and taking it and giving it back is what costs such a program most: on a
    /// disk that is told of freed blocks at once, 80 µs.
    pub fn reserve_first(&self) -> Result<(), StopReason> {
        let own = crate::arch::tls::own_address();
        let mut waits = 0;
        while !self.is_reserved() {
            if self
                .filling
                .compare_exchange(0, own, Acquire, Relaxed)
                .is_ok()
            {
                let result = self.fill_gaps();
                self.filling.store(0, Release);
                return result;
            }
            waits += 1;
            if waits > MAX_WAITS || self.is_filling() {
                return Err(StopReason::NoSpace);
            }
            sys::sleep(1_000_000);
        }
        Ok(())
    }

    /// Whether this thread is at it: then a handler of a signal asks.
    pub fn is_filling(&self) -> bool {
        self.filling.load(Relaxed) == crate::arch::tls::own_address()
    }

    fn fill_gaps(&self) -> Result<(), StopReason> {
        self.not_filtered()?;
        let opened = self.open().map_err(|_| StopReason::Unreachable)?;
        let result = self
            .gaps
            .iter()
            .take(self.gap_count.load(Relaxed) as usize)
            .try_for_each(|[from, to]| {
                let (from, to) = (from.load(Relaxed), to.load(Relaxed));
                reserve(opened.fd, from, to - from)
            });
        self.done(opened);
        result.map_err(|_| StopReason::NoSpace)?;
        self.gap_count.store(0, Release);
        Ok(())
    }

    /// Bytes of the first ring's data that have room while not all of it has.
    pub fn ring_room(&self) -> u64 {
        let [from, to] = &self.gaps[FIRST_EXTENTS - 1];
        let start = to
            .load(Relaxed)
            .wrapping_sub(crate::thread::FIRST_EXTENT - PAGE);
        from.load(Relaxed).wrapping_sub(start)
    }

    /// Doubles that. `Ok(false)`: it is time for [`LogFile::reserve_first`].
    pub fn widen_ring(&self) -> Result<bool, StopReason> {
        let room = self.ring_room();
        let own = crate::arch::tls::own_address();
        if room >= MOST_WRITTEN
            || self
                .filling
                .compare_exchange(0, own, Acquire, Relaxed)
                .is_err()
        {
            return Ok(false);
        }
        let result = self.not_filtered().and_then(|()| {
            let opened = self.open().map_err(|_| StopReason::Unreachable)?;
            let from = &self.gaps[FIRST_EXTENTS - 1][0];
            let at = from.load(Relaxed);
            let written = may_grow(at + room).and_then(|()| write_zeros(opened.fd, at, room));
            self.done(opened);
            written
                .map(|()| from.store(at + room, Relaxed))
                .map_err(|_| StopReason::NoSpace)
        });
        self.filling.store(0, Release);
        result.map(|()| true)
    }

    fn not_filtered(&self) -> Result<(), StopReason> {
        let filtered = crate::global::get().is_some_and(|g| g.filtered.load(Relaxed) != 0);
        if filtered {
            Err(StopReason::Filtered)
        } else {
            Ok(())
        }
    }

    /// Keeps a new log's descriptor under a number that programs seldom use.
    pub fn keep(&self, fd: Fd) {
        // A fork child still has its parent's: close it, unless it was reused.
        let old = KEPT.swap(0, AcqRel);
        let parents = [PARENTS[0].load(Relaxed), PARENTS[1].load(Relaxed)];
        if old != 0 && sys::identity(Fd(old - 1)) == Some(parents) {
            sys::close(Fd(old - 1));
        }
        for (parent, own) in PARENTS.iter().zip(&self.identity) {
            parent.store(own.load(Relaxed), Relaxed);
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

    /// Whether an inode's number is the log's.
    pub fn is_inode(&self, inode: u64) -> bool {
        self.identity[1].load(Relaxed) == inode
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
    /// second page to the given place. Returns the mapping.
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
        self.not_filtered()?;
        // The end of the program fills these extents with blocks of later ones.
        self.reserve_first()?;
        let opened = self.open().map_err(|_| StopReason::Unreachable)?;
        let fd = opened.fd;
        let offset = self.end.fetch_add(len, AcqRel);
        let mapped = reserve(fd, offset, len)
            // SAFETY: the caller's.
            .and_then(|()| unsafe { map_extent(fd, offset, kind, id, len, at) });
        self.done(opened);
        mapped.map_err(|_| StopReason::NoSpace)
    }

    /// As [`LogFile::extend`], inside what [`LogFile::create`] has made the file's
    /// length. Only the first `head` bytes have room.
    ///
    /// # Safety
    /// As `extend`.
    pub unsafe fn extend_first(
        &self,
        fd: Fd,
        kind: ExtentKind,
        len: u64,
        head: u64,
        at: *mut u8,
    ) -> Result<*mut u8, StopReason> {
        let offset = self.end.fetch_add(len, AcqRel);
        // SAFETY: the caller's.
        let mapped = unsafe {
            write_zeros(fd, offset, head).and_then(|()| map_extent(fd, offset, kind, 0, len, at))
        };
        self.gap(offset + head, offset + len);
        mapped.map_err(|_| StopReason::NoSpace)
    }

    /// The file was cut at `end`, behind the extent that begins at `last`.
    pub fn set_end(&self, last: u64, end: u64) {
        self.last.store(last, Relaxed);
        self.end.store(end, Release);
    }

    /// Makes the last extent of a cut file longer by `len` bytes and maps it; returns
    /// it and its length.
    pub fn lengthen_last(&self, len: u64) -> Result<(*mut u8, u64), StopReason> {
        self.not_filtered()?;
        // All that is left of the first extents has room.
        self.gap_count.store(0, Release);
        let opened = self.open().map_err(|_| StopReason::Unreachable)?;
        let (last, end) = (self.last.load(Relaxed), self.end.load(Relaxed));
        let whole = end - last + len;
        let mapped = reserve(opened.fd, end, len)
            // SAFETY: no fixed place.
            .and_then(|()| unsafe {
                sys::map_file(opened.fd, last, whole as usize, core::ptr::null_mut())
            });
        self.done(opened);
        let base = mapped.map_err(|_| StopReason::NoSpace)?;
        // SAFETY: a mapped extent.
        unsafe { (*base.cast::<ExtentHeader>()).len.store(whole, Release) };
        self.end.store(end + len, Release);
        Ok((base, whole))
    }

    /// Writes a reading of both clocks where the reader looks for it.
    pub fn calibrate(&self, slot: usize) {
        if let Some(pair) = self.header().and_then(|h| h.calibration.get(slot & 1)) {
            let ns = crate::arch::clock::clock_ns(libc::CLOCK_MONOTONIC);
            pair.ticks.store(crate::arch::clock::early(), Relaxed);
            pair.ns.store(ns, Release);
        }
    }
}

static ZEROS: [u8; 8 * PAGE as usize] = [0; 8 * PAGE as usize];

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
    if at.is_null() {
        // SAFETY: no fixed place.
        let base = unsafe { sys::map_file(fd, offset, len as usize, at)? };
        format_extent(base, kind, id, len);
        return Ok(base);
    }
    // SAFETY: the caller's.
    let base = unsafe { sys::map_file(fd, offset + PAGE, (len - PAGE) as usize, at)? };
    let mut header = ExtentHeader::default();
    format_extent((&raw mut header).cast(), kind, id, len);
    // SAFETY: a header is plain words without padding.
    let bytes = unsafe {
        core::slice::from_raw_parts(
            (&raw const header).cast::<u8>(),
            EXTENT_HEADER_SIZE as usize,
        )
    };
    sys::pwrite(fd, bytes, offset)?;
    Ok(base)
}

/// Whether the file may be `len` bytes long without provoking SIGXFSZ. Asked each
/// time: other processes may set the limit too.
fn may_grow(len: u64) -> Result<(), Errno> {
    if len > sys::rlimit(libc::RLIMIT_FSIZE) {
        Err(Errno(libc::EFBIG))
    } else {
        Ok(())
    }
}

/// Reserves room in the file.
fn reserve(fd: Fd, offset: u64, len: u64) -> Result<(), Errno> {
    may_grow(offset.saturating_add(len))?;
    match sys::fallocate(fd, offset, len) {
        Err(Errno(libc::EOPNOTSUPP | libc::ENOSYS)) => write_zeros(fd, offset, len),
        other => other,
    }
}

/// Written pages have room as well: for file systems without `fallocate`, and for
/// the pages that every process touches. (A fault on a page that is not in memory
/// reads ahead and costs a short program more than the write.)
fn write_zeros(fd: Fd, offset: u64, len: u64) -> Result<(), Errno> {
    let (mut at, end) = (offset, offset + len);
    while at < end {
        let part = ZEROS
            .get(..(end - at).min(ZEROS.len() as u64) as usize)
            .unwrap_or(&ZEROS);
        match sys::pwrite(fd, part, at)? {
            0 => return Err(Errno(libc::ENOSPC)),
            n => at += n as u64,
        }
    }
    Ok(())
}

/// Writes an extent's header, the magic last.
pub fn format_extent(base: *mut u8, kind: ExtentKind, id: u32, len: u64) {
    // SAFETY: `base` is room of ours for a header.
    let header = unsafe { &*base.cast::<ExtentHeader>() };
    header.kind.store(kind as u32, Relaxed);
    header.id.store(id, Relaxed);
    header.len.store(len, Relaxed);
    header.used.store(0, Relaxed);
    header.magic.store(EXTENT_MAGIC, Release);
}
