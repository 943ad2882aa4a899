//! What preloading needs to know of a program file: the few facts of its ELF headers.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

/// The facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Made of 32-bit code, whatever the processor.
    pub narrow: bool,
    /// 64-bit, little-endian and for this processor.
    pub native: bool,
    /// Made to be loaded into a program: a shared library, and not one that the kernel starts.
    pub library: bool,
    /// The dynamic loader that the program asks for.
    pub loader: Option<String>,
    /// Its own name as a shared library.
    pub soname: Option<String>,
    /// Libraries it is linked with.
    pub needed: Vec<String>,
}

/// The machine that `libleak.so` is made for.
const MACHINE: elf::Machine = if cfg!(target_arch = "aarch64") {
    elf::EM_AARCH64
} else {
    elf::EM_X86_64
};

/// The facts of a file's bytes; `None` if they are no ELF file. What is damaged is left out:
/// the kernel will have its say.
pub fn facts(bytes: &[u8]) -> Option<Facts> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return None;
    }
    let mut facts = Facts {
        narrow: bytes.get(4) == Some(&elf::ELFCLASS32.0),
        ..Facts::default()
    };
    let Ok(header) = FileHeader64::<LittleEndian>::parse(bytes) else {
        return Some(facts);
    };
    let endian = LittleEndian;
    facts.native = header.e_machine(endian) == MACHINE;
    let shared = header.e_type(endian) == elf::ET_DYN;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for segment in header.program_headers(endian, bytes).unwrap_or_default() {
        if let Ok(Some(path)) = segment.interpreter(endian, bytes) {
            facts.loader = Some(text(path));
        }
    }
    let table = header
        .sections(endian, bytes)
        .and_then(|sections| sections.dynamic_table(endian, bytes))
        .unwrap_or_default();
    for entry in &table {
        match (entry.tag, table.string(entry)) {
            (elf::DT_NEEDED, Ok(name)) => facts.needed.push(text(name)),
            (elf::DT_SONAME, Ok(name)) => facts.soname = Some(text(name)),
            _ => {}
        }
    }
    facts.library = shared && !table.is_empty() && facts.loader.is_none();
    Some(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_native_program_with_a_loader() {
        let own = std::env::current_exe().and_then(std::fs::read).unwrap();
        let facts = facts(&own).unwrap();
        assert!(facts.native && !facts.narrow && !facts.library);
        assert!(facts.loader.unwrap().contains("ld-"));
        assert!(facts.needed.iter().any(|name| name.starts_with("libc.so")));
    }

    #[test]
    fn cut_files_have_no_facts_but_do_not_panic() {
        let own = std::env::current_exe().and_then(std::fs::read).unwrap();
        for len in [0, 3, 4, 5, 16, 20, 63, 64, 100, 1000, own.len() / 2] {
            assert_eq!(facts(&own[..len]).is_some(), len >= 4, "{len}");
        }
        assert_eq!(facts(b"#!/bin/sh\n"), None);
    }
}
