//! Blobs: the rare records, in rings and in META and WINDOW blocks.

use crate::reach::Outcome;
use crate::varint::{In, Out};

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
    /// Code was made at run time: [`Code`].
    CodeAdded = 16,
    /// Code made at run time is elsewhere now: [`CodeMove`].
    CodeMoved = 17,
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
            16 => BlobKind::CodeAdded,
            17 => BlobKind::CodeMoved,
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

/// Why a heap snapshot was taken: [`HeapSnapshot::cause`].
pub mod cause {
    /// Someone asked for it while the program ran.
    pub const REQUEST: u8 = 1;
    /// The program ended.
    pub const EXIT: u8 = 2;
    /// The heap was nearly as large as it may become.
    pub const LIMIT: u8 = 3;
}

/// Payload of [`BlobKind::HeapSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSnapshot<'a> {
    /// [`cause`].
    pub cause: u8,
    /// Number of the isolate, 0 for the main thread's.
    pub isolate: u32,
    /// How long its thread stood still, ns.
    pub pause_ns: u64,
    /// Bytes of its heap in use before.
    pub heap_used: u64,
    /// Absolute path of the file.
    pub path: &'a [u8],
}

impl<'a> HeapSnapshot<'a> {
    /// Appends the fields in order; the path is the rest.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.byte(self.cause);
        out.uint(u64::from(self.isolate));
        out.uint(self.pause_ns);
        out.uint(self.heap_used);
        out.bytes(self.path);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<HeapSnapshot<'a>> {
        let mut input = In::new(payload);
        Some(HeapSnapshot {
            cause: input.byte()?,
            isolate: input.u32()?,
            pause_ns: input.uint()?,
            heap_used: input.uint()?,
            path: input.rest(),
        })
    }
}

/// Payload of [`BlobKind::RootRegion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRegion {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Whether it is one from now on, or no longer.
    pub begins: bool,
}

impl RootRegion {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.start);
        out.uint(self.len);
        out.byte(u8::from(self.begins));
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<RootRegion> {
        let mut input = In::new(payload);
        Some(RootRegion {
            start: input.uint()?,
            len: input.uint()?,
            begins: input.byte()? != 0,
        })
    }
}

/// Payload of [`BlobKind::LeakCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakCheck {
    /// Stack of the call.
    pub stack: u32,
    /// Blocks that were lost then, and those that only they pointed to, without what is set
    /// aside; `None`: nobody looked.
    pub lost: Option<u64>,
    /// Bytes of them.
    pub bytes: u64,
    /// Blocks that were lost too, but are ignored or suppressed.
    pub set_aside: u64,
    /// How the search went; why there is no answer if there is none.
    pub outcome: Outcome,
    /// The program asked for the check that comes instead of the one at its end.
    pub last: bool,
}

impl LeakCheck {
    /// Appends the stack, the number of lost blocks plus one or 0, their bytes, the blocks that
    /// are set aside (uints), the outcome and whether it is the last one (bytes).
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(u64::from(self.stack));
        out.uint(self.lost.map_or(0, |lost| lost.saturating_add(1)));
        out.uint(self.bytes);
        out.uint(self.set_aside);
        out.byte(self.outcome as u8);
        out.byte(u8::from(self.last));
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<LeakCheck> {
        let mut input = In::new(payload);
        Some(LeakCheck {
            stack: input.u32()?,
            lost: input.uint()?.checked_sub(1),
            // Earlier recorders' end here, and never have an answer.
            bytes: input.uint().unwrap_or(0),
            set_aside: input.uint().unwrap_or(0),
            outcome: input.byte().map_or(Outcome::Off, Outcome::from_raw),
            last: input.byte().unwrap_or(0) != 0,
        })
    }
}

/// What is wrong with a free: [`BadFree::what`].
pub mod bad_free {
    /// The block was freed before and not allocated again.
    pub const DOUBLE: u8 = 1;
    /// The function is of another family than the one that made the block.
    pub const FAMILY: u8 = 2;
    /// The size is not the block's.
    pub const SIZE: u8 = 3;
    /// No block is known at the address. It may be one from before the check began;
    /// only if the drain knows none either is this free wrong.
    pub const UNKNOWN: u8 = 4;
}

/// Families of functions that make and free blocks: [`BadFree::made_by`].
pub mod family {
    /// Not known.
    pub const UNKNOWN: u8 = 0;
    /// malloc and its kin, free.
    pub const MALLOC: u8 = 1;
    /// operator new, operator delete.
    pub const NEW: u8 = 2;
    /// operator new[], operator delete[].
    pub const NEW_ARRAY: u8 = 3;
}

/// Payload of [`BlobKind::BadFree`]. Stacks are node ids, 0 if not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadFree {
    /// [`bad_free`].
    pub what: u8,
    /// [`family`] of the function that made the block.
    pub made_by: u8,
    /// [`family`] of the function that was called to free it.
    pub freed_by: u8,
    /// Address.
    pub ptr: u64,
    /// Bytes asked for when it was made.
    pub size: u64,
    /// Size given to the free, plus one; 0: none.
    pub given: u64,
    /// Where it was made.
    pub made: u32,
    /// Where it was freed before.
    pub freed: u32,
    /// Where this free is.
    pub here: u32,
}

impl BadFree {
    /// Appends the fields in order: three bytes, then uints.
    pub fn encode(&self, out: &mut Out<'_>) {
        for byte in [self.what, self.made_by, self.freed_by] {
            out.byte(byte);
        }
        for value in [
            self.ptr,
            self.size,
            self.given,
            self.made.into(),
            self.freed.into(),
            self.here.into(),
        ] {
            out.uint(value);
        }
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<BadFree> {
        let mut input = In::new(payload);
        Some(BadFree {
            what: input.byte()?,
            made_by: input.byte()?,
            freed_by: input.byte()?,
            ptr: input.uint()?,
            size: input.uint()?,
            given: input.uint()?,
            made: input.u32()?,
            freed: input.u32()?,
            here: input.u32()?,
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

/// Payload of [`BlobKind::CodeAdded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code<'a> {
    /// Address of the first byte.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Stack nodes handed out before; a node with a smaller id meant other code.
    pub first_node: u32,
    /// As the runtime says it.
    pub name: &'a [u8],
}

impl<'a> Code<'a> {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.start);
        out.uint(self.len);
        out.uint(u64::from(self.first_node));
        out.bytes(self.name);
    }

    /// Decodes a payload.
    pub fn decode(payload: &'a [u8]) -> Option<Code<'a>> {
        let mut input = In::new(payload);
        Some(Code {
            start: input.uint()?,
            len: input.uint()?,
            first_node: input.u32()?,
            name: input.rest(),
        })
    }
}

/// Payload of [`BlobKind::CodeMoved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeMove {
    /// Where it was.
    pub from: u64,
    /// Where it is.
    pub to: u64,
    /// As [`Code::first_node`].
    pub first_node: u32,
    /// Its bytes.
    pub len: u64,
}

impl CodeMove {
    /// Appends the fields in order.
    pub fn encode(&self, out: &mut Out<'_>) {
        out.uint(self.from);
        out.uint(self.to);
        out.uint(u64::from(self.first_node));
        out.uint(self.len);
    }

    /// Decodes a payload.
    pub fn decode(payload: &[u8]) -> Option<CodeMove> {
        let mut input = In::new(payload);
        Some(CodeMove {
            from: input.uint()?,
            to: input.uint()?,
            first_node: input.u32()?,
            len: input.uint()?,
        })
    }
}
