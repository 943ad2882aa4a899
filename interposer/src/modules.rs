//! Modules: which are loaded, and that the log knows each of them.
//!
//! All that are there at the start are written then. Later ones are found by the
//! first frame in them, not by hooking `dlopen`: libc itself loads modules
//! without calling it (name service, character sets), and `dlopen` looks at its
//! caller, which a wrapper would change.

use crate::global::Global;
use crate::originals;
use crate::thread::ThreadState;
use core::sync::atomic::{AtomicU64, Ordering::*};
use log_format::blob::{self, BlobKind};
use log_format::varint::Out;

const MAX_MODULES: usize = 2048;

/// A module that the log knows.
struct Known {
    /// [`Object::identity`]; 0: none, [`GONE`]: unloaded.
    identity: AtomicU64,
    start: AtomicU64,
    end: AtomicU64,
    bias: AtomicU64,
}

const GONE: u64 = 1;

/// All-zero bytes are an empty list.
pub struct Modules {
    known: [Known; MAX_MODULES],
}

/// What the loader knows of the module at an address.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// First address; of the segment only, if the module has gaps between them.
    pub start: u64,
    /// End of the addresses, likewise.
    pub end: u64,
    /// Address of `.eh_frame_hdr`, 0 if none.
    pub eh_frame_hdr: u64,
    link_map: *const LinkMap,
}

impl Object {
    /// What two addresses of one module have in common.
    pub fn identity(&self) -> u64 {
        if self.link_map.is_null() {
            self.start
        } else {
            self.link_map as u64
        }
    }
}

/// Head of glibc's `struct link_map`.
#[repr(C)]
struct LinkMap {
    bias: usize,
    name: *const libc::c_char,
}

/// `struct dl_find_object` of glibc 2.35, `<dlfcn.h>`.
#[repr(C)]
pub struct DlFindObject {
    flags: u64,
    map_start: *mut u8,
    map_end: *mut u8,
    link_map: *const LinkMap,
    eh_frame: *mut u8,
    reserved: [u64; 7],
}

/// The module that contains `address`. Lock-free with glibc 2.35 and later.
pub fn find_object(address: u64) -> Option<Object> {
    let mut found = DlFindObject {
        flags: 0,
        map_start: core::ptr::null_mut(),
        map_end: core::ptr::null_mut(),
        link_map: core::ptr::null(),
        eh_frame: core::ptr::null_mut(),
        reserved: [0; 7],
    };
    match originals::dl_find_object() {
        // SAFETY: the function fills the structure and keeps nothing.
        Some(find) => (unsafe { find(address as *mut u8, &mut found) } == 0).then_some(Object {
            start: found.map_start as u64,
            end: found.map_end as u64,
            eh_frame_hdr: found.eh_frame as u64,
            link_map: found.link_map,
        }),
        None => find_by_iteration(address),
    }
}

/// For older glibc: asks the loader under its lock. We hold none.
fn find_by_iteration(address: u64) -> Option<Object> {
    struct Search {
        address: u64,
        found: Option<Object>,
    }
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        data: *mut libc::c_void,
    ) -> i32 {
        // SAFETY: the loader gives a valid record, we gave the search.
        let (info, search) = unsafe { (&*info, &mut *data.cast::<Search>()) };
        let mut object = extent(info);
        if (object.start..object.end).contains(&search.address) {
            object.eh_frame_hdr = headers(info)
                .iter()
                .find(|h| h.p_type == libc::PT_GNU_EH_FRAME)
                .map_or(0, |h| info.dlpi_addr.wrapping_add(h.p_vaddr));
            search.found = Some(object);
            return 1;
        }
        0
    }
    let mut search = Search {
        address,
        found: None,
    };
    // SAFETY: the callback matches; `search` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

/// Whether the address is the loader's own: its first frame has no unwind
/// information, and constructors of libraries run on it.
pub fn in_loader(address: u64) -> bool {
    // SAFETY: reads the auxiliary vector.
    let base = unsafe { libc::getauxval(libc::AT_BASE) };
    base != 0 && find_object(address.wrapping_sub(1)).is_some_and(|object| object.start == base)
}

/// Load bias, name and program headers of the module with a loaded segment at `address`, by
/// the loader's list.
fn loaded_at(address: u64) -> Option<(u64, &'static [u8], &'static [libc::Elf64_Phdr])> {
    struct Search {
        address: u64,
        found: Option<(u64, &'static [u8], &'static [libc::Elf64_Phdr])>,
    }
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        data: *mut libc::c_void,
    ) -> i32 {
        // SAFETY: the loader gives a valid record of a module, which the caller keeps loaded;
        // we gave the search.
        unsafe {
            let (info, search) = (&*info, &mut *data.cast::<Search>());
            let all = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
            let at = search.address.wrapping_sub(info.dlpi_addr);
            if all.iter().any(|h| {
                h.p_type == libc::PT_LOAD && (h.p_vaddr..h.p_vaddr + h.p_memsz).contains(&at)
            }) {
                search.found = Some((info.dlpi_addr, c_bytes(info.dlpi_name), all));
            }
            i32::from(search.found.is_some())
        }
    }
    let mut search = Search {
        address,
        found: None,
    };
    // SAFETY: the callback matches; `search` outlives the call. No lock of ours is held.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

fn headers(info: &libc::dl_phdr_info) -> &[libc::Elf64_Phdr] {
    if info.dlpi_phdr.is_null() {
        return &[];
    }
    // SAFETY: the loader's program headers of a loaded module.
    unsafe { core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) }
}

fn extent(info: &libc::dl_phdr_info) -> Object {
    let (mut start, mut end) = (u64::MAX, 0);
    for header in headers(info).iter().filter(|h| h.p_type == libc::PT_LOAD) {
        let low = info.dlpi_addr.wrapping_add(header.p_vaddr);
        start = start.min(low & !4095);
        end = end.max(low.wrapping_add(header.p_memsz));
    }
    Object {
        start,
        end,
        eh_frame_hdr: 0,
        link_map: core::ptr::null(),
    }
}

/// GNU build-id of a module by its program headers, empty if none.
fn build_id(bias: u64, headers: &[libc::Elf64_Phdr], found: &mut [u8; 64]) -> usize {
    for header in headers.iter().filter(|h| h.p_type == libc::PT_NOTE) {
        let start = bias.wrapping_add(header.p_vaddr);
        // SAFETY: a note segment of a loaded module is readable.
        let mut notes =
            unsafe { core::slice::from_raw_parts(start as *const u8, header.p_memsz as usize) };
        while let Some((head, rest)) = notes.split_at_checked(12) {
            let word = |at: usize| {
                head.get(at..at + 4)
                    .and_then(|b| b.try_into().ok())
                    .map_or(0, u32::from_le_bytes) as usize
            };
            let (name_len, len, kind) = (word(0), word(4), word(8));
            let Some((name, rest)) = rest.split_at_checked(name_len.next_multiple_of(4)) else {
                break;
            };
            let Some(desc) = rest.get(..len) else { break };
            if kind == 3 && name == b"GNU\0" {
                let len = len.min(found.len());
                if let (Some(to), Some(from)) = (found.get_mut(..len), desc.get(..len)) {
                    to.copy_from_slice(from);
                    return len;
                }
            }
            notes = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        }
    }
    0
}

/// Bytes of a C string, at most 4096.
///
/// # Safety
/// `text` is null or NUL-terminated.
pub unsafe fn c_bytes<'a>(text: *const libc::c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { core::slice::from_raw_parts(text.cast(), libc::strnlen(text, 4096)) }
}

impl Modules {
    /// Claims a module for writing; false if the log has it (or no room is left).
    fn claim(&self, identity: u64, object: &Object, bias: u64) -> bool {
        for known in self.known.iter() {
            let seen = known.identity.load(Acquire);
            if seen == identity {
                return false;
            }
            let free = seen == 0 || seen == GONE && !self.knows(identity);
            if free
                && known
                    .identity
                    .compare_exchange(seen, identity, AcqRel, Relaxed)
                    .is_ok()
            {
                known.bias.store(bias, Relaxed);
                known.start.store(object.start, Relaxed);
                known.end.store(object.end, Release);
                return true;
            }
        }
        false
    }

    fn knows(&self, identity: u64) -> bool {
        self.known
            .iter()
            .map(|known| known.identity.load(Acquire))
            .take_while(|&seen| seen != 0)
            .any(|seen| seen == identity)
    }

    /// Writes the modules that are loaded now, through `each(payload)`.
    /// The loader has no name for the program itself: `program` is its path.
    pub fn scan(&self, global: &Global, program: &[u8], each: &mut dyn FnMut(&[u8])) {
        struct Scan<'a> {
            modules: &'a Modules,
            program: &'a [u8],
            first_node: u32,
            each: &'a mut dyn FnMut(&[u8]),
        }
        unsafe extern "C" fn visit(
            info: *mut libc::dl_phdr_info,
            _: usize,
            data: *mut libc::c_void,
        ) -> i32 {
            // SAFETY: the loader gives a valid record, we gave the scan.
            let (info, scan) = unsafe { (&*info, &mut *data.cast::<Scan<'_>>()) };
            let object = extent(info);
            let identity = find_object(object.start).map_or(object.start, |found| found.identity());
            if object.end > object.start && scan.modules.claim(identity, &object, info.dlpi_addr) {
                // SAFETY: the loader's name.
                let name = match unsafe { c_bytes(info.dlpi_name) } {
                    b"" => scan.program,
                    name => name,
                };
                describe(
                    info.dlpi_addr,
                    headers(info),
                    &object,
                    name,
                    scan.first_node,
                    scan.each,
                );
            }
            0
        }
        let mut scan = Scan {
            modules: self,
            program,
            first_node: global.stacks.count().max(1),
            each,
        };
        // SAFETY: the callback matches; `scan` outlives the call. No lock of ours is held.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut scan).cast()) };
    }

    /// Writes the module at `address` into the thread's ring if it is new.
    pub fn first_sight(&self, global: &Global, thread: *mut ThreadState, address: u64) {
        let Some(object) = find_object(address) else {
            return;
        };
        if self.knows(object.identity()) || object.link_map.is_null() {
            return;
        }
        // SAFETY: the loader's record of a module that has a frame on the stack.
        let (bias, name) = unsafe {
            (
                (*object.link_map).bias as u64,
                c_bytes((*object.link_map).name),
            )
        };
        if !self.claim(object.identity(), &object, bias) {
            return;
        }
        // SAFETY: a mapped ELF file begins with its header; libraries that are
        // loaded later have no gaps.
        let headers = unsafe {
            let elf = &*(object.start as *const libc::Elf64_Ehdr);
            if elf.e_ident.get(..4) == Some(b"\x7fELF") && elf.e_phentsize == 56 {
                core::slice::from_raw_parts(
                    (object.start + elf.e_phoff) as *const libc::Elf64_Phdr,
                    elf.e_phnum as usize,
                )
            } else {
                &[]
            }
        };
        describe(
            bias,
            headers,
            &object,
            name,
            global.stacks.count().max(1),
            &mut |payload| {
                // SAFETY: this thread's own state.
                unsafe { crate::thread::blob(thread, BlobKind::ModuleLoad, payload) };
            },
        );
    }

    /// The program has mapped `len` bytes of the file of the module at `address` once more, from
    /// `offset` on, at `copy`: addresses there mean those in the module.
    pub fn second_sight(&self, global: &Global, address: u64, copy: u64, len: u64, offset: u64) {
        let Some((bias, _, headers)) = loaded_at(address) else {
            return;
        };
        let segment = headers.iter().find(|header| {
            header.p_type == libc::PT_LOAD
                && (header.p_offset..header.p_offset + header.p_filesz).contains(&offset)
        });
        if let Some(segment) = segment {
            let original = bias.wrapping_add(offset - segment.p_offset + segment.p_vaddr);
            global
                .codes
                .put_copy(copy, copy.saturating_add(len), original);
        }
    }

    /// After a `dlclose`: writes what is gone and makes its addresses unknown.
    pub fn sweep(&self, global: &Global, thread: *mut ThreadState) {
        for known in self.known.iter() {
            let identity = known.identity.load(Acquire);
            if identity == 0 {
                break;
            }
            let (end, start) = (known.end.load(Acquire), known.start.load(Relaxed));
            if identity == GONE
                || end == 0
                || find_object(start).is_some_and(|o| o.identity() == identity)
            {
                continue;
            }
            if known
                .identity
                .compare_exchange(identity, GONE, AcqRel, Relaxed)
                .is_err()
            {
                continue;
            }
            global.stacks.forget(start, end);
            let mut buf = [0u8; 32];
            let mut out = Out::new(&mut buf);
            blob::encode_unload(known.bias.load(Relaxed), global.stacks.count(), &mut out);
            if !thread.is_null() {
                // SAFETY: this thread's own state.
                unsafe { crate::thread::blob(thread, BlobKind::ModuleUnload, out.written()) };
            }
        }
    }
}

fn describe(
    bias: u64,
    headers: &[libc::Elf64_Phdr],
    object: &Object,
    name: &[u8],
    first_node: u32,
    each: &mut dyn FnMut(&[u8]),
) {
    let mut id = [0u8; 64];
    let id_len = build_id(bias, headers, &mut id);
    let mut buf = [0u8; 640];
    let mut out = Out::new(&mut buf);
    let module = blob::Module {
        bias,
        start: object.start,
        end: object.end,
        first_node,
        build_id: id.get(..id_len).unwrap_or(&[]),
        // A path too long for the buffer is cut rather than left out.
        path: name.get(..name.len().min(500)).unwrap_or(&[]),
    };
    module.encode(&mut out);
    each(out.written());
}
