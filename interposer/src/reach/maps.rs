//! The process's mappings, as the kernel lists them, and the modules among them.
//!
//! Modules are found by the ELF headers that are mapped, not by asking the loader: it
//! would take its lock, which a stopped thread may hold.

use super::array::List;
use crate::digits::number;
use crate::sys;
use core::mem::size_of;

/// Most mappings read; the kernel's usual limit is 65,530.
const MOST: usize = 128 << 10;
/// Most text read.
const TEXT: usize = 32 << 20;
/// Most modules.
const MODULES: usize = 4096;

/// What stands behind a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Anonymous,
    /// The break.
    Heap,
    /// The main thread's stack.
    Stack,
    /// A file.
    File,
    /// A device or the kernel's own: not to be touched.
    Other,
}

/// A mapping.
#[derive(Clone, Copy, Debug)]
pub struct Map {
    /// First address.
    pub start: u64,
    /// End.
    pub end: u64,
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// It may be executed.
    pub execute: bool,
    /// Other processes may see what is written.
    pub shared: bool,
    /// What it is.
    pub kind: Kind,
    /// Place in the file, bytes.
    pub offset: u64,
    /// Device and inode, mixed.
    pub file: u64,
}

/// A part of the program or a library: `start..end` of a writable segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First address.
    pub start: u64,
    /// End.
    pub end: u64,
    /// The module has the allocator.
    pub allocator: bool,
}

/// See the module.
pub struct Maps {
    /// By address.
    pub maps: List<Map>,
    /// Writable segments of modules other than this library.
    pub data: List<Segment>,
    /// Where modules are: start and end.
    pub modules: List<(u64, u64)>,
    /// Bytes that the thread-local variables of all modules take, at most.
    pub thread_local: u64,
    /// What the kernel wrote. Its own mapping is in the list, too.
    text: List<u8>,
}

impl Maps {
    /// Reads them; `None` without `/proc` or memory. `allocator` is an address in the
    /// module that has the allocator.
    pub fn read(allocator: u64) -> Option<Maps> {
        let mut text = List::<u8>::new(TEXT)?;
        // SAFETY: bytes.
        let len = sys::read_file(b"/proc/self/maps\0", unsafe { text.room() })?;
        text.fill(len);
        let (mut list, data, modules) = (
            List::new(MOST)?,
            List::new(4 * MODULES)?,
            List::new(MODULES)?,
        );
        let lines = text.all().split(|&byte| byte == b'\n');
        lines.filter_map(parse).for_each(|map| list.push(map));
        let mut maps = Maps {
            maps: list,
            data,
            modules,
            thread_local: 0,
            text,
        };
        if maps.maps.all().is_empty() {
            return None;
        }
        let count = maps.maps.all().len();
        for at in 0..count {
            maps.module(at, allocator);
        }
        Some(maps)
    }

    /// The mapping that contains an address.
    pub fn at(&self, address: u64) -> Option<&Map> {
        let maps = self.maps.all();
        let place = maps.partition_point(|map| map.end <= address);
        maps.get(place).filter(|map| map.start <= address)
    }

    /// The file that stands behind an address: its path (empty if there is none), where that
    /// begins in the kernel's list, and the address's place in the file.
    pub fn file_at(&self, address: u64) -> (&[u8], usize, u64) {
        let nothing: (&[u8], usize, u64) = (&[], 0, 0);
        let text = self.text.all();
        let mut begin = 0;
        for line in text.split(|&byte| byte == b'\n') {
            if let Some(map) = parse(line)
                && (map.start..map.end).contains(&address)
            {
                let Some(at) = line.iter().position(|&byte| byte == b'/') else {
                    return nothing;
                };
                let path = line.get(at..).unwrap_or(&[]);
                // The same for all mappings of the file.
                let is_path =
                    |window: &[u8]| matches!(window, [b' ', inner @ .., b'\n'] if inner == path);
                let first = text.windows(path.len() + 2).position(is_path);
                return (
                    path,
                    first.unwrap_or(begin + at),
                    address - map.start + map.offset,
                );
            }
            begin += line.len() + 1;
        }
        nothing
    }

    /// If a module's header is mapped there: its segments.
    fn module(&mut self, at: usize, allocator: u64) {
        let Some(map) = self.maps.all().get(at).copied() else {
            return;
        };
        let is_head = map.kind == Kind::File && map.read && map.offset == 0 && !map.shared;
        // A file that is mapped to be read may be cut by now: only files with code.
        let mut near = self.maps.all().iter().skip(at).take(8);
        if !is_head || !near.any(|other| other.file == map.file && other.execute) {
            return;
        }
        // SAFETY: a readable page of a file that is run.
        let elf = unsafe { &*(map.start as *const libc::Elf64_Ehdr) };
        if elf.e_ident.get(..4) != Some(b"\x7fELF") || elf.e_phentsize != 56 {
            return;
        }
        let table = elf.e_phoff + u64::from(elf.e_phnum) * size_of::<libc::Elf64_Phdr>() as u64;
        if table > map.end - map.start || elf.e_phoff % 8 != 0 {
            return;
        }
        // SAFETY: inside the mapping.
        let headers = unsafe {
            core::slice::from_raw_parts(
                (map.start + elf.e_phoff) as *const libc::Elf64_Phdr,
                elf.e_phnum as usize,
            )
        };
        let loads = || {
            headers
                .iter()
                .filter(|header| header.p_type == libc::PT_LOAD)
        };
        let Some(first) = loads().next() else { return };
        let bias = map.start.wrapping_sub(first.p_vaddr & !4095);
        let end = loads()
            .map(|header| bias.wrapping_add(header.p_vaddr + header.p_memsz))
            .max()
            .unwrap_or(0);
        if end <= map.start
            || self
                .modules
                .all()
                .last()
                .is_some_and(|last| map.start < last.1)
        {
            return;
        }
        // A file that is mapped to be read, not run, has no mapping where its code
        // should stand.
        let code = loads().find(|header| header.p_flags & libc::PF_X != 0);
        let runs = code.is_some_and(|header| {
            self.at(bias.wrapping_add(header.p_vaddr))
                .is_some_and(|map| map.execute)
        });
        if !runs {
            return;
        }
        self.modules.push((map.start, end));
        let variables = headers
            .iter()
            .filter(|header| header.p_type == libc::PT_TLS);
        self.thread_local += variables
            .map(|header| header.p_memsz + header.p_align)
            .sum::<u64>();
        let own = (map.start..end).contains(&(parse as *const () as u64));
        for header in loads().filter(|header| header.p_flags & libc::PF_W != 0 && !own) {
            let start = bias.wrapping_add(header.p_vaddr);
            let allocator = (map.start..end).contains(&allocator);
            self.data.push(Segment {
                start,
                end: start + header.p_memsz,
                allocator,
            });
        }
    }

    /// Whether an address is in a module.
    pub fn in_module(&self, address: u64) -> bool {
        let modules = self.modules.all();
        let place = modules.partition_point(|module| module.1 <= address);
        modules.get(place).is_some_and(|module| module.0 <= address)
    }
}

/// `start-end perms offset major:minor inode path`.
fn parse(line: &[u8]) -> Option<Map> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut bounds = fields.next()?.splitn(2, |&byte| byte == b'-');
    let (start, end) = (number(bounds.next()?, 16)?, number(bounds.next()?, 16)?);
    let permissions = fields.next()?;
    let offset = number(fields.next()?, 16)?;
    let device = fields.next()?.iter().fold(0u64, |sum, &byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let inode = fields.next()?.iter().fold(0u64, |sum, &byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let path = fields.next().unwrap_or(b"").trim_ascii();
    let has = |at: usize, flag: u8| permissions.get(at) == Some(&flag);
    let begins = |prefix: &[u8]| path.starts_with(prefix);
    let kind = match path {
        b"" => Kind::Anonymous,
        b"[heap]" => Kind::Heap,
        b"[stack]" => Kind::Stack,
        _ if begins(b"[anon") => Kind::Anonymous,
        _ if begins(b"/dev/shm/") || begins(b"/dev/zero") => Kind::File,
        _ if begins(b"/dev/") || begins(b"[") || begins(b"anon_inode:") => Kind::Other,
        _ => Kind::File,
    };
    Some(Map {
        start,
        end,
        read: has(0, b'r'),
        write: has(1, b'w'),
        execute: has(2, b'x'),
        shared: has(3, b's'),
        kind,
        offset,
        file: device ^ inode.rotate_left(20),
    })
}
