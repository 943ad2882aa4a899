//! Suppressions that a program has inside though the recorder could not ask for them: their function is not
//! exported.
//!
//! `__lsan_default_suppressions` returns a literal in all but odd programs. So its code is read instead of run:
//! a load of one address (or, in a program with a fixed place, of a number) and a return. Anything else is left
//! alone.

use std::fs::File;

use memmap2::Mmap;
use object::LittleEndian;
use object::elf::{PT_LOAD, SHN_UNDEF};
use object::read::Object;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, Sym};
use symbolizer::{FileSource, LocalFiles, Module, Wanted};

/// Longest text that is taken, bytes.
const MAX_TEXT: usize = 1 << 20;

/// The text that a program's function of this name returns; `None` if it has none, or none that can be read.
pub fn text(module: &Module, files: &LocalFiles, name: &str) -> Option<String> {
    let places = files.candidates(&Wanted::Module(module));
    places.iter().find_map(|place| {
        let file = File::open(place).ok()?;
        // SAFETY: a private, read-only map of a program file; it breaks (SIGBUS) only if the
        // file is truncated at this moment, as with every tool that maps programs.
        let map = unsafe { Mmap::map(&file) }.ok()?;
        let elf = ElfFile64::<LittleEndian>::parse(&*map).ok()?;
        if module.build_id.as_deref() != elf.build_id().ok()? {
            return None;
        }
        let function = address_of(&elf, name)?;
        let literal = returned(function, bytes_at(&elf, &map, function)?)?;
        let bytes = bytes_at(&elf, &map, literal)?;
        let len = bytes.iter().take(MAX_TEXT).position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    })
}

fn address_of(elf: &ElfFile64<'_, LittleEndian>, name: &str) -> Option<u64> {
    let endian = LittleEndian;
    let table = elf.elf_symbol_table();
    let mut defined = table
        .iter()
        .filter(|symbol| symbol.st_shndx(endian) != SHN_UNDEF);
    let found = defined.find(|symbol| {
        symbol
            .name(endian, table.strings())
            .is_ok_and(|found| found == name.as_bytes())
    });
    found
        .map(|symbol| symbol.st_value(endian))
        .filter(|&address| address != 0)
}

/// What the file has from an address in it to the end of its segment.
fn bytes_at<'m>(
    elf: &ElfFile64<'_, LittleEndian>,
    map: &'m [u8],
    address: u64,
) -> Option<&'m [u8]> {
    let endian = LittleEndian;
    let headers = elf.elf_header().program_headers(endian, map).ok()?;
    headers
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD)
        .find_map(|header| {
            let inside = address.checked_sub(header.p_vaddr(endian))?;
            let left = header.p_filesz(endian).checked_sub(inside)?;
            let start = usize::try_from(header.p_offset(endian).checked_add(inside)?).ok()?;
            map.get(start..start.checked_add(usize::try_from(left).ok()?)?)
        })
}

/// The address that the code of a function at `at` returns, if that is all it does.
fn returned(at: u64, code: &[u8]) -> Option<u64> {
    const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
    const FRAME: &[u8] = &[0x55, 0x48, 0x89, 0xe5];
    let skip = |code: &'_ [u8], what: &[u8]| {
        if code.starts_with(what) {
            what.len()
        } else {
            0
        }
    };
    let mut start = skip(code, ENDBR64);
    let frame = skip(code.get(start..)?, FRAME);
    start += frame;
    let number = |from: usize| {
        Some(i32::from_le_bytes(
            code.get(from..from + 4)?.try_into().ok()?,
        ))
    };
    let (address, end) = match code.get(start..)? {
        // lea rax, [rip + number]
        [0x48, 0x8d, 0x05, ..] => {
            let end = start + 7;
            (
                at.wrapping_add(end as u64)
                    .wrapping_add_signed(number(start + 3)?.into()),
                end,
            )
        }
        // mov eax, number
        [0xb8, ..] => (u64::from(number(start + 1)?.cast_unsigned()), start + 5),
        _ => return None,
    };
    let rest = code.get(end..)?;
    let returns = if frame > 0 {
        rest.starts_with(&[0x5d, 0xc3])
    } else {
        rest.starts_with(&[0xc3])
    };
    returns.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_return_an_address_are_read() {
        let lea = [0x48, 0x8d, 0x05, 0x10, 0, 0, 0, 0xc3];
        assert_eq!(returned(0x1000, &lea), Some(0x1017));
        let cautious = [
            &[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5][..],
            &lea[..7],
            &[0x5d, 0xc3],
        ]
        .concat();
        assert_eq!(returned(0x1000, &cautious), Some(0x101f));
        assert_eq!(
            returned(0x1000, &[0xb8, 0x10, 0x20, 0x40, 0, 0xc3]),
            Some(0x40_2010)
        );
    }

    #[test]
    fn others_are_left_alone() {
        for code in [
            &[][..],
            &[0xc3],
            &[0xe8, 0, 0, 0, 0, 0xc3],
            &[0x48, 0x8d, 0x05, 0x10],
            &[0xb8, 0, 0, 0, 0, 0x90],
        ] {
            assert_eq!(returned(0x1000, code), None, "{code:x?}");
        }
    }
}
