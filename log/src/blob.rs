//! Blobs: the rare records, in rings and in META and WINDOW blocks.

mod checks;
mod runtime;

use crate::varint::{In, Out};
pub use checks::{BadFree, LeakCheck, RootRegion, bad_free, family};
pub use runtime::{CodeName, CodeRange, HeapSnapshot, cause};

/// What a blob says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlobKind {
    /// The process: [`Process`].
    Process = 1,
    /// A module was found loaded: [`Module`].
    ModuleLoad = 2,
    /// A module is gone: its load bias, then the node count.
    ModuleUnload = 3,
    /// The ring now belongs to this thread: [`Thread`].
    ThreadStart = 4,
    /// The thread's name changed: bytes of the name.
    ThreadName = 5,
    /// A stack on which the self-check disagreed: [`Disagreement`].
    Disagreement = 6,
    /// A remark for the reader's loss account: text.
    Note = 7,
    /// The thread ended.
    ThreadEnd = 8,
    /// Another thread's name changed: [`Thread`] without the kernel's id.
    OtherName = 9,
    /// A number stands for code made at run time: [`CodeName`].
    CodeName = 16,
    /// What addresses of code made at run time mean in nodes that hold them: [`CodeRange`].
    CodeRange = 17,
    /// Suppressions that the program brings: a piece of their text, in order.
    Suppressions = 32,
    /// Options for leak checking that the program brings: a piece of their text, in order.
    CheckOptions = 33,
    /// A block is not to be called a leak: an address in it (uint).
    Ignore = 34,
    /// Memory that may point to blocks, or does no longer: [`RootRegion`].
    RootRegion = 35,
    /// The program asked whether it leaks: [`LeakCheck`].
    LeakCheck = 36,
    /// The program says that it is not to be checked for leaks.
    ChecksOff = 37,
    /// A free that was wrong: [`BadFree`].
    BadFree = 38,
    /// Where the process's memory was: [`crate::memory`].
    Memory = 10,
    /// What the allocator said of itself at the end: [`crate::memory::Account`].
    Allocator = 11,
    /// An isolate of a JavaScript engine begins: [`crate::js::Heap`].
    JsHeap = 48,
    /// Its memory usage: [`crate::js::Usage`].
    JsUsage = 49,
    /// A collection of its garbage: [`crate::js::Collection`].
    JsCollection = 50,
    /// Where its sampled allocations come from: [`crate::js::Frame`].
    JsFrame = 51,
    /// How many of them are live: [`crate::js::Live`].
    JsLive = 52,
    /// A heap snapshot of JavaScript was written: [`HeapSnapshot`].
    HeapSnapshot = 56,
    /// A mark set from outside: its name.
    Mark = 57,
    /// The program's runtime (Node) is about to give back what it holds, at a clean end; no
    /// payload. The window ends here.
    Teardown = 58,
}

impl BlobKind {
    /// The kind for its stored number.
    pub fn from_raw(raw: u8) -> Option<BlobKind> {
        Some(match raw {
            1 => BlobKind::Process,
            2 => BlobKind::ModuleLoad,
            3 => BlobKind::ModuleUnload,
            4 => BlobKind::ThreadStart,
            5 => BlobKind::ThreadName,
            6 => BlobKind::Disagreement,
            7 => BlobKind::Note,
            8 => BlobKind::ThreadEnd,
            9 => BlobKind::OtherName,
            16 => BlobKind::CodeName,
            17 => BlobKind::CodeRange,
            32 => BlobKind::Suppressions,
            33 => BlobKind::CheckOptions,
            34 => BlobKind::Ignore,
            35 => BlobKind::RootRegion,
            36 => BlobKind::LeakCheck,
            37 => BlobKind::ChecksOff,
            38 => BlobKind::BadFree,
            10 => BlobKind::Memory,
            11 => BlobKind::Allocator,
            48 => BlobKind::JsHeap,
            49 => BlobKind::JsUsage,
            50 => BlobKind::JsCollection,
            51 => BlobKind::JsFrame,
            52 => BlobKind::JsLive,
            56 => BlobKind::HeapSnapshot,
            57 => BlobKind::Mark,
            58 => BlobKind::Teardown,
            _ => return None,
        })
    }
}

/// A blob with where and when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob<'a> {
    /// [`BlobKind`] as its number.
    pub what: u8,
    /// Event clock.
    pub time: u64,
    /// Serial number of the thread.
    pub thread: u32,
    /// By kind.
    pub payload: &'a [u8],
}

impl<'a> Blob<'a> {
    /// Appends the blob: what, time, thread, length, payload.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.byte(self.what);
        out.uint(self.time);
        out.uint(u64::from(self.thread));
        out.uint(self.payload.len() as u64);
        out.bytes(self.payload);
    }

    /// Takes the next blob.
    pub fn decode(input: &mut In<'a>) -> Option<Blob<'a>> {
        let what = input.byte()?;
        let time = input.uint()?;
        let thread = input.u32()?;
        let len = usize::try_from(input.uint()?).ok()?;
        Some(Blob {
            what,
            time,
            thread,
            payload: input.bytes(len)?,
        })
    }
}

/// Payload of [`BlobKind::Process`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    /// Path of the executable.
    pub exe: &'a [u8],
    /// Working directory at the start.
    pub cwd: &'a [u8],
    /// Path of the parent's log, empty if not a fork child.
    pub parent_log: &'a [u8],
    /// Arguments, each ended by a NUL byte; cut if they were long.
    pub argv: &'a [u8],
}

impl<'a> Process<'a> {
    /// Appends the four fields, each with its length.
    pub fn encode(&self, out: &mut Out<'_>) {
        for field in [self.exe, self.cwd, self.parent_log, self.argv] {
            out.uint(field.len() as u64);
            out.bytes(field);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Process<'a>> {
        let mut input = In::new(payload);
        let mut field = || {
            let len = usize::try_from(input.uint()?).ok()?;
            input.bytes(len)
        };
        Some(Process {
            exe: field()?,
            cwd: field()?,
            parent_log: field()?,
            argv: field()?,
        })
    }
}

/// Payload of [`BlobKind::ModuleLoad`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// Load bias: run-time address − address in the ELF file.
    pub bias: u64,
    /// First mapped address.
    pub start: u64,
    /// End of the last mapped address.
    pub end: u64,
    /// Stack nodes handed out before; a node with a smaller id meant another module.
    pub first_node: u32,
    /// GNU build-id, empty if none.
    pub build_id: &'a [u8],
    /// Path as the loader knows it.
    pub path: &'a [u8],
}

impl<'a> Module<'a> {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.bias);
        out.uint(self.start);
        out.uint(self.end);
        out.uint(u64::from(self.first_node));
        out.uint(self.build_id.len() as u64);
        out.bytes(self.build_id);
        out.bytes(self.path);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Module<'a>> {
        let mut input = In::new(payload);
        let bias = input.uint()?;
        let start = input.uint()?;
        let end = input.uint()?;
        let first_node = input.u32()?;
        let id_len = usize::try_from(input.uint()?).ok()?;
        Some(Module {
            bias,
            start,
            end,
            first_node,
            build_id: input.bytes(id_len)?,
            path: input.rest(),
        })
    }
}

/// Payload of [`BlobKind::ModuleUnload`]: load bias, node count.
pub fn encode_unload(bias: u64, node_count: u32, out: &mut Out<'_>) {
    out.uint(bias);
    out.uint(u64::from(node_count));
}

/// Decodes [`BlobKind::ModuleUnload`].
pub fn decode_unload(payload: &[u8]) -> Option<(u64, u32)> {
    let mut input = In::new(payload);
    Some((input.uint()?, input.u32()?))
}

/// Payload of [`BlobKind::ThreadStart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread<'a> {
    /// Serial number in this log, from 1.
    pub serial: u32,
    /// Kernel's thread id.
    pub tid: u32,
    /// Name if known, else empty.
    pub name: &'a [u8],
}

impl<'a> Thread<'a> {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(u64::from(self.serial));
        out.uint(u64::from(self.tid));
        out.bytes(self.name);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Thread<'a>> {
        let mut input = In::new(payload);
        Some(Thread {
            serial: input.u32()?,
            tid: input.u32()?,
            name: input.rest(),
        })
    }
}

/// Payload of [`BlobKind::Disagreement`]: two lists of return addresses, ours
/// first, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement<'a> {
    /// The recorder's frames.
    pub ours: &'a [u64],
    /// The other unwinder's frames.
    pub theirs: &'a [u64],
}

impl Disagreement<'_> {
    /// Appends both lists.
    pub fn encode(&self, out: &mut Out<'_>) {
        for list in [self.ours, self.theirs] {
            out.uint(list.len() as u64);
            for &address in list {
                out.uint(address);
            }
        }
    }
}

/// Decodes [`BlobKind::Disagreement`]: calls `each(is_ours, address)`.
pub fn decode_disagreement(payload: &[u8], mut each: impl FnMut(bool, u64)) -> Option<()> {
    let mut input = In::new(payload);
    for ours in [true, false] {
        for _ in 0..input.uint()? {
            each(ours, input.uint()?);
        }
    }
    Some(())
}
