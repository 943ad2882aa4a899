//! LeakSanitizer's suppressions, as far as a process can judge them of itself.
//!
//! `leak:pattern` is looked for in the module's path and the function's name of every frame.
//! Names come from the symbol tables of the files; of a C++ or Rust one the plain parts are also
//! tried (`_ZN3Foo3barEi` is `Foo::bar`). Source files, inlined calls and template arguments are
//! not known here.

use super::array::List;
use super::maps::Maps;
use crate::sys;
use core::mem::size_of;
use log_format::layout::{Node, node_kind};

/// Frames whose verdict is kept: places in a table.
const KEPT: usize = 1 << 16;
/// Files whose symbols are kept open.
const FILES: usize = 256;
/// Most bytes of a name that are put together.
const NAME: usize = 512;
/// Frames of a stack that are looked at.
const FRAMES: usize = 1 << 16;

/// What was found of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    Unknown,
    Yes,
    No,
}

/// A file whose symbols are at hand.
#[derive(Clone, Copy)]
struct File {
    /// Start of its path in the list of mappings.
    path: usize,
    base: *const u8,
    len: usize,
}

/// Judges stacks.
pub struct Judge<'a> {
    maps: &'a Maps,
    nodes: &'a [Node],
    /// Lines of suppressions.
    text: &'a [u8],
    /// Address and whether a pattern fits there.
    kept: List<(u64, Fits)>,
    files: List<File>,
}

impl<'a> Judge<'a> {
    /// `None` if there is no memory.
    pub fn new(maps: &'a Maps, nodes: &'a [Node], text: &'a [u8]) -> Option<Judge<'a>> {
        let mut kept = List::new(KEPT)?;
        (0..KEPT).for_each(|_| kept.push((0, Fits::Unknown)));
        Some(Judge {
            maps,
            nodes,
            text,
            kept,
            files: List::new(FILES)?,
        })
    }

    /// Whether blocks with this stack are no leaks: made while checking was disabled, suppressed,
    /// or the dynamic loader's, which keeps the tables of ended threads where no pointer counts.
    pub fn sets_aside(&mut self, stack: u32) -> bool {
        let mut id = stack;
        for place in 0..FRAMES {
            let Some(node) = self.nodes.get(id as usize).filter(|_| id != 0) else {
                return false;
            };
            match node.kind {
                node_kind::IGNORED => return true,
                node_kind::NATIVE => {
                    let code = node.payload.wrapping_sub(1);
                    if place == 0 && self.is_loader(code) || self.fits(code) {
                        return true;
                    }
                }
                _ => {}
            }
            id = node.parent;
        }
        false
    }

    fn is_loader(&self, code: u64) -> bool {
        let (path, _, _) = self.maps.file_at(code);
        path.rsplit(|&byte| byte == b'/')
            .next()
            .is_some_and(|name| name.starts_with(b"ld-linux") || name.starts_with(b"ld-musl"))
    }

    fn fits(&mut self, code: u64) -> bool {
        if self.text.is_empty() {
            return false;
        }
        let place = (code.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % KEPT;
        if let Some(&(kept, fits)) = self.kept.all().get(place)
            && kept == code
            && fits != Fits::Unknown
        {
            return fits == Fits::Yes;
        }
        let fits = self.judge(code);
        if let Some(kept) = self.kept.all_mut().get_mut(place) {
            *kept = (code, if fits { Fits::Yes } else { Fits::No });
        }
        fits
    }

    fn judge(&mut self, code: u64) -> bool {
        let (path, at, offset) = self.maps.file_at(code);
        if path.is_empty() {
            return false;
        }
        if any_fits(self.text, path) {
            return true;
        }
        let Some(name) = self.file(path, at).and_then(|file| function(file, offset)) else {
            return false;
        };
        let mut plain = [0u8; NAME];
        any_fits(self.text, name)
            || parts(name, &mut plain)
                .and_then(|len| plain.get(..len))
                .is_some_and(|plain| any_fits(self.text, plain))
    }

    /// The content of a file.
    fn file(&mut self, path: &[u8], at: usize) -> Option<&'a [u8]> {
        let file = match self.files.all().iter().find(|file| file.path == at) {
            Some(file) => *file,
            None => {
                let (base, len) = sys::map_readable(path).unwrap_or((core::ptr::null(), 0));
                let file = File {
                    path: at,
                    base,
                    len,
                };
                self.files.push(file);
                file
            }
        };
        // SAFETY: mapped for the rest of this copy's life.
        (!file.base.is_null()).then(|| unsafe { core::slice::from_raw_parts(file.base, file.len) })
    }
}

/// Whether a pattern of the text's fits.
fn any_fits(text: &[u8], what: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n')
        .filter_map(|line| line.trim_ascii().strip_prefix(b"leak:"))
        .any(|pattern| fits(pattern, what))
}

/// Whether a pattern is found: `*` is any text, `^` and `$` are the two ends.
fn fits(pattern: &[u8], what: &[u8]) -> bool {
    let (from_start, pattern) = match pattern.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (to_end, pattern) = match pattern.strip_suffix(b"$") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut rest = what;
    let mut first = from_start;
    let mut parts = pattern.split(|&byte| byte == b'*').peekable();
    while let Some(part) = parts.next() {
        let last = to_end && parts.peek().is_none();
        let after = match (first, last) {
            (true, true) => return rest == part,
            (false, true) => return rest.ends_with(part),
            (true, false) => rest.strip_prefix(part),
            (false, false) if part.is_empty() => Some(rest),
            (false, false) => rest
                .windows(part.len())
                .position(|window| window == part)
                .and_then(|at| rest.get(at + part.len()..)),
        };
        let Some(after) = after else { return false };
        (rest, first) = (after, false);
    }
    true
}

/// A plain structure at a place of a file.
fn at<T: Copy>(file: &[u8], offset: usize) -> Option<T> {
    let bytes = file.get(offset..offset.checked_add(size_of::<T>())?)?;
    // SAFETY: as many bytes as the structure has, which is made of numbers.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The function whose code stands at `offset` in an ELF file.
fn function(file: &[u8], offset: u64) -> Option<&[u8]> {
    let elf: libc::Elf64_Ehdr = at(file, 0)?;
    if elf.e_ident.get(..5) != Some(b"\x7fELF\x02") {
        return None;
    }
    let headers = (0..usize::from(elf.e_phnum)).filter_map(|number| {
        at::<libc::Elf64_Phdr>(
            file,
            elf.e_phoff as usize + number * size_of::<libc::Elf64_Phdr>(),
        )
    });
    let address = headers
        .filter(|header| header.p_type == libc::PT_LOAD)
        .find(|header| (header.p_offset..header.p_offset + header.p_filesz).contains(&offset))
        .map(|header| offset - header.p_offset + header.p_vaddr)?;
    let section = |number: usize| {
        at::<libc::Elf64_Shdr>(
            file,
            elf.e_shoff as usize + number * size_of::<libc::Elf64_Shdr>(),
        )
    };
    const SYMTAB: u32 = 2;
    const DYNSYM: u32 = 11;
    for kind in [SYMTAB, DYNSYM] {
        let tables = (0..usize::from(elf.e_shnum)).filter_map(section);
        for table in tables.filter(|table| table.sh_type == kind) {
            let names = section(table.sh_link as usize)?;
            let count = table.sh_size as usize / size_of::<libc::Elf64_Sym>();
            let found = (0..count)
                .filter_map(|number| {
                    at::<libc::Elf64_Sym>(
                        file,
                        table.sh_offset as usize + number * size_of::<libc::Elf64_Sym>(),
                    )
                })
                .find(|symbol| {
                    symbol.st_info & 15 == 2
                        && symbol.st_shndx != 0
                        && address.wrapping_sub(symbol.st_value) < symbol.st_size
                });
            if let Some(symbol) = found {
                let name = file.get(names.sh_offset as usize + symbol.st_name as usize..)?;
                return name.split(|&byte| byte == 0).next();
            }
        }
    }
    None
}

/// The plain parts of a mangled name, `::` between them, in `to`; its length. `None` if there
/// are none.
fn parts(name: &[u8], to: &mut [u8]) -> Option<usize> {
    let rest = name.strip_prefix(b"_Z")?;
    let mut rest = match rest.strip_prefix(b"N") {
        Some([b'K' | b'V' | b'r', rest @ ..]) => rest,
        Some(rest) => rest,
        None => rest,
    };
    let mut len = 0;
    let mut put = |text: &[u8]| {
        let place = to.get_mut(len..len + text.len())?;
        place.copy_from_slice(text);
        len += text.len();
        Some(len)
    };
    if let Some(after) = rest.strip_prefix(b"St") {
        rest = after;
        put(b"std::")?;
    }
    let mut first = true;
    let mut all = None;
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let size = rest.get(..digits)?.iter().try_fold(0usize, |sum, &digit| {
            sum.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
        })?;
        if digits == 0 {
            return all;
        }
        let part = rest.get(digits..digits.checked_add(size)?)?;
        rest = rest.get(digits + size..)?;
        if !first {
            put(b"::")?;
        }
        all = put(part);
        first = false;
    }
}
