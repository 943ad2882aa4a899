//! What blobs say about the process: collected while a log is read.

use super::js::IsolateFact;
use crate::blob::{
    BadFree, Blob, BlobKind, CodeName, CodeRange, HeapSnapshot, LeakCheck, Module, Process,
    RootRegion, Thread, decode_disagreement, decode_unload,
};
use crate::memory::{self, CLASSES, Sample};
use crate::varint::In;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

/// The process, as its blob says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFact {
    /// Path of the executable.
    pub exe: Vec<u8>,
    /// Working directory at the start.
    pub cwd: Vec<u8>,
    /// Path of the parent's log, empty if not a fork child.
    pub parent_log: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
}

/// A module that was loaded at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleFact {
    /// Path as the loader knows it.
    pub path: Vec<u8>,
    /// GNU build-id, empty if none.
    pub build_id: Vec<u8>,
    /// Load bias.
    pub bias: u64,
    /// First mapped address.
    pub start: u64,
    /// End of the last mapped address.
    pub end: u64,
    /// First node id that can mean it.
    pub first_node: u32,
    /// End of the node ids that can mean it, once it is gone.
    pub end_node: Option<u32>,
    /// Event clock when it was found.
    pub loaded: u64,
    /// Event clock when it was found gone.
    pub unloaded: Option<u64>,
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadFact {
    /// The kernel's id.
    pub tid: u32,
    /// Last known name.
    pub name: Vec<u8>,
    /// Whether it ended before the process.
    pub ended: bool,
}

/// What a program says to whoever checks it for leaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckFacts {
    /// Text of suppressions.
    pub suppressions: Vec<u8>,
    /// Text of options.
    pub options: Vec<u8>,
    /// Addresses in blocks that are not to be called leaks, and when it said so (event clock).
    pub ignored: Vec<(u64, u64)>,
    /// Memory that may point to blocks, as it is at the end.
    pub root_regions: Vec<RootRegion>,
    /// When it asked whether it leaks (event clock), and the answer.
    pub asked: Vec<(u64, LeakCheck)>,
    /// It is not to be checked.
    pub off: bool,
}

/// A sample of the process's memory that lists its mappings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFact {
    /// Event clock.
    pub time: u64,
    /// Its head.
    pub head: memory::Head,
    /// Bytes swapped out.
    pub swapped: u64,
    /// Mappings with resident pages, ascending.
    pub mappings: Vec<memory::Mapping>,
    /// Number and resident bytes of the other ones, by [`memory::Class`].
    pub rest: [(u64, u64); CLASSES],
}

/// Something to be seen in the time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimelineMark {
    /// A mark set from outside: its name.
    Named(Vec<u8>),
    /// A heap snapshot of JavaScript was written, see [`HeapSnapshot`].
    HeapSnapshot {
        /// [`crate::blob::cause`].
        cause: u8,
        /// Number of the isolate.
        isolate: u32,
        /// Serial of its thread.
        thread: u32,
        /// How long its thread stood still, ns.
        pause_ns: u64,
        /// Bytes of its heap in use before.
        heap_used: u64,
        /// Path of the file.
        path: Vec<u8>,
    },
}

/// Everything that blobs said.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The process; `None` if its blob is lost.
    pub process: Option<ProcessFact>,
    /// Modules in order of loading.
    pub modules: Vec<ModuleFact>,
    /// Threads by serial number.
    pub threads: BTreeMap<u32, ThreadFact>,
    /// Names of code made at run time, by number.
    pub codes: BTreeMap<u32, Vec<u8>>,
    /// Where some of it was, in order.
    pub code_ranges: Vec<CodeRange>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Stacks on which the self-check disagreed: ours, theirs.
    pub disagreements: Vec<(Vec<u64>, Vec<u64>)>,
    /// Bytes in memory over the run: event clock, resident; at most
    /// [`MAX_RESIDENT`], the first ones and the last one.
    pub resident: Vec<(u64, u64)>,
    /// The last sample that lists mappings.
    pub memory: Option<MemoryFact>,
    /// What the allocator said of itself.
    pub allocator: Option<memory::Account>,
    /// What the program says to whoever checks it for leaks.
    pub checks: CheckFacts,
    /// Isolates of a JavaScript engine, by the serial number of their thread.
    pub isolates: BTreeMap<u32, IsolateFact>,
    /// Frees that the recorder found wrong: event clock, thread, what.
    pub bad_frees: Vec<(u64, u32, BadFree)>,
    /// Marks and when they were set (event clock), at most [`MAX_MARKS`].
    pub marks: Vec<(u64, TimelineMark)>,
    /// When the program's runtime began to give back what it held (event clock), at a clean end.
    pub teardown: Option<u64>,
    /// Blobs that did not decode.
    pub broken: u64,
}

/// So many marks are kept.
pub const MAX_MARKS: usize = 10_000;

/// So many readings of the resident memory are kept. The recorder writes fewer.
pub const MAX_RESIDENT: usize = 1 << 16;

impl Facts {
    /// Takes in a blob. Unknown kinds are ignored.
    pub fn add(&mut self, blob: &Blob<'_>) {
        let Some(kind) = BlobKind::from_raw(blob.what) else {
            return;
        };
        if self.decode(kind, blob).is_none() {
            self.broken += 1;
        }
    }

    fn decode(&mut self, kind: BlobKind, blob: &Blob<'_>) -> Option<()> {
        match kind {
            BlobKind::Process => {
                let process = Process::decode(blob.payload)?;
                let argv = process.argv.strip_suffix(&[0]).unwrap_or(process.argv);
                let mut words: Vec<Vec<u8>> =
                    argv.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
                if process.argv.is_empty() {
                    words.clear();
                }
                self.process = Some(ProcessFact {
                    exe: process.exe.to_vec(),
                    cwd: process.cwd.to_vec(),
                    parent_log: process.parent_log.to_vec(),
                    argv: words,
                });
            }
            BlobKind::ModuleLoad => {
                let module = Module::decode(blob.payload)?;
                self.modules.push(ModuleFact {
                    path: module.path.to_vec(),
                    build_id: module.build_id.to_vec(),
                    bias: module.bias,
                    start: module.start,
                    end: module.end,
                    first_node: module.first_node,
                    end_node: None,
                    loaded: blob.time,
                    unloaded: None,
                });
            }
            BlobKind::ModuleUnload => {
                let (bias, nodes) = decode_unload(blob.payload)?;
                let loaded = self.modules.iter_mut().rev();
                let module = loaded
                    .into_iter()
                    .find(|m| m.bias == bias && m.end_node.is_none())?;
                module.end_node = Some(nodes);
                module.unloaded = Some(blob.time);
            }
            BlobKind::ThreadStart => {
                let thread = Thread::decode(blob.payload)?;
                let fact = self.threads.entry(thread.serial).or_default();
                fact.tid = thread.tid;
                if !thread.name.is_empty() {
                    fact.name = thread.name.to_vec();
                }
            }
            BlobKind::ThreadName => {
                self.threads.entry(blob.thread).or_default().name = blob.payload.to_vec();
            }
            BlobKind::OtherName => {
                let thread = Thread::decode(blob.payload)?;
                self.threads.entry(thread.serial).or_default().name = thread.name.to_vec();
            }
            BlobKind::Disagreement => {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                decode_disagreement(blob.payload, |is_ours, address| {
                    if is_ours {
                        ours.push(address)
                    } else {
                        theirs.push(address)
                    }
                })?;
                self.disagreements.push((ours, theirs));
            }
            BlobKind::Note => self
                .notes
                .push(String::from_utf8_lossy(blob.payload).into_owned()),
            BlobKind::CodeName => {
                let code = CodeName::decode(blob.payload)?;
                self.codes.insert(code.number, code.name.to_vec());
            }
            BlobKind::CodeRange => self.code_ranges.push(CodeRange::decode(blob.payload)?),
            BlobKind::Memory => {
                let sample = Sample::decode(blob.payload)?;
                let head = sample.head;
                if self.resident.len() >= MAX_RESIDENT {
                    self.resident.pop();
                }
                self.resident.push((blob.time, head.resident));
                if let Some(swapped) = sample.swapped {
                    let mut mappings = Vec::new();
                    let rest = sample.mappings(|mapping| mappings.push(mapping))?;
                    self.memory = Some(MemoryFact {
                        time: blob.time,
                        head,
                        swapped,
                        mappings,
                        rest,
                    });
                }
            }
            BlobKind::Allocator => self.allocator = Some(memory::Account::decode(blob.payload)?),
            BlobKind::ThreadEnd => self.threads.entry(blob.thread).or_default().ended = true,
            BlobKind::Suppressions => self.checks.suppressions.extend_from_slice(blob.payload),
            BlobKind::CheckOptions => self.checks.options.extend_from_slice(blob.payload),
            BlobKind::Ignore => self
                .checks
                .ignored
                .push((In::new(blob.payload).uint()?, blob.time)),
            BlobKind::RootRegion => {
                let region = RootRegion::decode(blob.payload)?;
                let regions = &mut self.checks.root_regions;
                let same =
                    |other: &RootRegion| (other.start, other.len) == (region.start, region.len);
                if region.begins {
                    regions.push(region);
                } else if let Some(place) = regions.iter().position(same) {
                    regions.remove(place);
                }
            }
            BlobKind::LeakCheck => self
                .checks
                .asked
                .push((blob.time, LeakCheck::decode(blob.payload)?)),
            BlobKind::BadFree => {
                self.bad_frees
                    .push((blob.time, blob.thread, BadFree::decode(blob.payload)?));
            }
            BlobKind::ChecksOff => self.checks.off = true,
            BlobKind::JsHeap
            | BlobKind::JsUsage
            | BlobKind::JsCollection
            | BlobKind::JsFrame
            | BlobKind::JsLive => {
                let isolate = self.isolates.entry(blob.thread).or_default();
                match kind {
                    BlobKind::JsHeap => isolate.heap(blob.payload)?,
                    BlobKind::JsUsage => isolate.usage(blob.time, blob.payload)?,
                    BlobKind::JsCollection => isolate.collection(blob.payload)?,
                    BlobKind::JsFrame => isolate.frame(blob.payload)?,
                    _ => isolate.live(blob.time, blob.payload)?,
                }
            }
            BlobKind::HeapSnapshot => {
                let taken = HeapSnapshot::decode(blob.payload)?;
                let what = TimelineMark::HeapSnapshot {
                    cause: taken.cause,
                    isolate: taken.isolate,
                    thread: blob.thread,
                    pause_ns: taken.pause_ns,
                    heap_used: taken.heap_used,
                    path: taken.path.to_vec(),
                };
                self.mark(blob.time, what);
            }
            BlobKind::Teardown => self.teardown = Some(blob.time),
            BlobKind::Mark => self.mark(blob.time, TimelineMark::Named(blob.payload.to_vec())),
        }
        Some(())
    }

    fn mark(&mut self, time: u64, what: TimelineMark) {
        if self.marks.len() < MAX_MARKS {
            self.marks.push((time, what));
        }
    }
}
