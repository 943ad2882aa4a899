//! Allocators linked into a program, where preloading cannot see what they hand out.
//!
//! The program is first in the loader's search order: a `malloc` of its own is called instead
//! of the preloaded one, and a `je_malloc` is called by nobody else. Only symbol tables tell;
//! in a stripped program such an allocator stays unknown.

use std::fs::File;

use memmap2::Mmap;
use object::LittleEndian;
use object::elf::{SHN_UNDEF, STT_FUNC};
use object::read::Object;
use object::read::elf::{ElfFile64, Sym, SymbolTable};
use symbolizer::{FileSource, LocalFiles, Module, Wanted};

/// Functions that give an allocator away, and its name.
const SIGNS: &[(&[u8], &str)] = &[
    (b"_rjem_malloc", "jemalloc"),
    (b"_rjem_mallocx", "jemalloc"),
    (b"je_malloc", "jemalloc"),
    (b"je_mallocx", "jemalloc"),
    (b"mi_malloc", "mimalloc"),
    (b"tc_malloc", "tcmalloc"),
    (b"sn_malloc", "snmalloc"),
    (b"rpmalloc", "rpmalloc"),
    (b"scudo_malloc", "Scudo"),
    (b"runtime.mallocgc", "Go's heap"),
    // Least telling, so last.
    (b"malloc", "a malloc of its own"),
];

/// The allocator that is linked into a program, if its symbols tell of one.
pub fn find(module: &Module, files: &LocalFiles) -> Option<&'static str> {
    let places = files.candidates(&Wanted::Module(module));
    places
        .iter()
        .find_map(|place| {
            let file = File::open(place).ok()?;
            // SAFETY: a private, read-only map of a program file; it breaks (SIGBUS) only if the
            // file is truncated at this moment, as with every tool that maps programs.
            let map = unsafe { Mmap::map(&file) }.ok()?;
            let elf = ElfFile64::<LittleEndian>::parse(&*map).ok()?;
            if module.build_id.as_deref() != elf.build_id().ok()? {
                return None;
            }
            let found = [elf.elf_symbol_table(), elf.elf_dynamic_symbol_table()].map(sign);
            found.into_iter().flatten().min()
        })
        .and_then(|at| SIGNS.get(at))
        .map(|(_, name)| *name)
}

/// The first sign that a table has.
fn sign(table: &SymbolTable<'_, object::elf::FileHeader64<LittleEndian>>) -> Option<usize> {
    let endian = LittleEndian;
    let strings = table.strings();
    let defined = table
        .iter()
        .filter(|symbol| symbol.st_type() == STT_FUNC && symbol.st_shndx(endian) != SHN_UNDEF);
    let names = defined.filter_map(|symbol| symbol.name(endian, strings).ok());
    names
        .filter_map(|name| SIGNS.iter().position(|(sign, _)| *sign == name))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &std::path::Path) -> Module {
        let bytes = std::fs::read(path).unwrap();
        let elf = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
        Module {
            path: path.to_owned(),
            build_id: elf.build_id().unwrap().map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn a_program_without_an_allocator_of_its_own_has_none() {
        let files = LocalFiles::new(&symbolizer::Options::default());
        assert_eq!(
            find(&module(&std::env::current_exe().unwrap()), &files),
            None
        );
    }

    #[test]
    fn another_build_is_not_asked() {
        let files = LocalFiles::new(&symbolizer::Options::default());
        let mut own = module(&std::env::current_exe().unwrap());
        own.build_id = Some(vec![1, 2, 3]);
        assert_eq!(find(&own, &files), None);
    }
}
