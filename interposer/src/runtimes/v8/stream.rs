//! The `v8::OutputStream` into which V8 writes a snapshot: a file.

use super::new_file::BEGIN;
use crate::sys::{self, Errno, Fd};
use core::ffi::c_void;

/// Its table of virtual functions and our state.
#[repr(C)]
pub struct Stream {
    functions: *const Functions,
    fd: Fd,
    /// Bytes written.
    pub written: u64,
    /// The most that the process may write into a file.
    limit: u64,
    /// Written behind [`BEGIN`].
    mark: &'static [u8],
    /// Why no more was written.
    pub error: Option<Errno>,
}

impl Stream {
    /// A stream into an open file. `mark` becomes the first part of the header's object.
    pub fn new(fd: Fd, mark: &'static [u8]) -> Stream {
        Stream {
            functions: &TABLE.functions,
            fd,
            written: 0,
            limit: sys::rlimit(libc::RLIMIT_FSIZE),
            mark,
            error: None,
        }
    }

    fn put(&mut self, data: &[u8]) {
        // A write past the limit would be a signal.
        let result = if self.written + data.len() as u64 > self.limit {
            Err(Errno(libc::EFBIG))
        } else {
            sys::write_all(self.fd, data)
        };
        self.written += data.len() as u64;
        self.error = self.error.or(result.err());
    }
}

/// Virtual functions in the order of `v8-profiler.h`: two destructors, `EndOfStream`,
/// `GetChunkSize`, `WriteAsciiChunk`, `WriteHeapStatsChunk`.
#[repr(C)]
struct Functions {
    destroy: [unsafe extern "C" fn(*mut Stream); 2],
    end: unsafe extern "C" fn(*mut Stream),
    chunk_size: unsafe extern "C" fn(*mut Stream) -> i32,
    write: unsafe extern "C" fn(*mut Stream, *const u8, i32) -> i32,
    write_figures: unsafe extern "C" fn(*mut Stream, *const c_void, i32) -> i32,
}

/// The table as C++ lays it out: offset and type information stand before the functions.
#[repr(C)]
struct Table {
    offset: usize,
    type_info: usize,
    functions: Functions,
}

static TABLE: Table = Table {
    offset: 0,
    type_info: 0,
    functions: Functions {
        destroy: [nothing, nothing],
        end: nothing,
        chunk_size,
        write,
        write_figures,
    },
};

/// Values of `OutputStream::WriteResult`.
const GO_ON: i32 = 0;
const ABORT: i32 = 1;
/// Bytes that V8 collects before it writes.
const CHUNK: i32 = 64 << 10;

unsafe extern "C" fn nothing(_: *mut Stream) {}

unsafe extern "C" fn chunk_size(_: *mut Stream) -> i32 {
    CHUNK
}

unsafe extern "C" fn write_figures(_: *mut Stream, _: *const c_void, _: i32) -> i32 {
    ABORT
}

unsafe extern "C" fn write(stream: *mut Stream, data: *const u8, len: i32) -> i32 {
    let len = usize::try_from(len).unwrap_or(0);
    // SAFETY: V8 passes our stream and its own buffer.
    let (stream, mut data) = unsafe { (&mut *stream, core::slice::from_raw_parts(data, len)) };
    if stream.written == 0 && !stream.mark.is_empty() {
        match data.strip_prefix(BEGIN) {
            Some(rest) => {
                stream.put(BEGIN);
                stream.put(stream.mark);
                data = rest;
            }
            None => stream.error = Some(Errno(libc::EPROTO)),
        }
    }
    stream.put(data);
    if stream.error.is_some() { ABORT } else { GO_ON }
}
