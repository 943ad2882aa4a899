//! Variables at addresses: their names from the symbol tables, and where debug information has
//! it, the line that declares them.

use std::collections::HashMap;
use std::path::Path;

use gimli::{AttributeValue, Section, UnitRef};
use object::LittleEndian;
use object::elf::{SHN_UNDEF, STB_LOCAL, STT_OBJECT};
use object::read::elf::Sym;

use crate::demangle::demangle;
use crate::dwarf::{self, Reader};
use crate::elf::{Elf, Store, Symbols};
use crate::files::FileSource;
use crate::module::Opened;
use crate::request::Module;

/// More debug information than this is not walked for the lines of variables, bytes.
const MAX_INFO: usize = 256 << 20;

/// A variable that covers an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// Demangled name.
    pub name: String,
    /// How far inside of it the address is, bytes.
    pub offset: u64,
    /// Source file that declares it.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
}

/// The variables at ELF virtual addresses of a module, in the order of the addresses; `None`
/// where the symbol tables have none. What is wrong with the module's files is no error here:
/// its variables then have no names.
pub fn variables(
    module: &Module,
    addresses: &[u64],
    files: &dyn FileSource,
) -> Vec<Option<Variable>> {
    let store = Store::default();
    let opened = Opened::new(module, files, &store);
    let mut found: Vec<Option<Found>> = vec![None; addresses.len()];
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_by_key(|&at| addresses[at]);
    for elf in opened.files() {
        for symbols in [elf.symbols(), elf.exports()] {
            take(&symbols, addresses, &order, &mut found);
        }
    }
    let mut lines = HashMap::new();
    if let Some(elf) = opened.with_dwarf() {
        lines.extend(found.iter().flatten().map(|found| (found.start, None)));
        // Damage costs the lines only.
        let _ = declared(elf, files, &store, &mut lines);
    }
    let named = found.into_iter().zip(addresses).map(|(found, address)| {
        let found = found?;
        let line = lines.get(&found.start).cloned().flatten();
        let (file, line) = line.unzip();
        Some(Variable {
            name: demangle(&found.name).unwrap_or(found.name),
            offset: address - found.start,
            file,
            line,
        })
    });
    named.collect()
}

#[derive(Clone)]
struct Found {
    start: u64,
    rank: u8,
    name: String,
}

/// Takes the symbols of a table that cover an address. `order` are the addresses' places by
/// address.
fn take(
    symbols: &Symbols<'_, '_>,
    addresses: &[u64],
    order: &[usize],
    found: &mut [Option<Found>],
) {
    let endian = LittleEndian;
    let strings = symbols.table.strings();
    for symbol in symbols.table.iter() {
        let (start, size) = (symbol.st_value(endian), symbol.st_size(endian));
        if symbol.st_type() != STT_OBJECT || symbol.st_shndx(endian) == SHN_UNDEF || size == 0 {
            continue;
        }
        let first = order.partition_point(|&at| addresses[at] < start);
        let covered = order[first..]
            .iter()
            .take_while(|&&at| addresses[at] - start < size);
        for &at in covered {
            let rank = u8::from(symbol.st_bind() != STB_LOCAL);
            let better = found[at]
                .as_ref()
                .is_none_or(|old| (start, rank) > (old.start, old.rank));
            if better && let Ok(name) = symbol.name(endian, strings) {
                let name = String::from_utf8_lossy(name);
                let name = name.split('@').next().unwrap_or_default().to_owned();
                found[at] = Some(Found { start, rank, name });
            }
        }
    }
}

/// Finds where the variables are declared whose addresses are in `lines`.
fn declared(
    elf: &Elf<'_>,
    files: &dyn FileSource,
    store: &Store,
    lines: &mut HashMap<u64, Option<(String, u32)>>,
) -> Option<()> {
    // The borrow of the store must outlive the sections.
    let (dwarf, _) = dwarf::load(elf, files, store).ok()?;
    if dwarf.debug_info.reader().len() > MAX_INFO {
        return None;
    }
    let mut units = dwarf.units();
    while let Some(header) = units.next().ok()? {
        let unit = dwarf.unit(header).ok()?;
        // A broken unit costs its own variables.
        let _ = of_unit(unit.unit_ref(&dwarf), lines);
    }
    Some(())
}

fn of_unit(
    unit: UnitRef<'_, Reader<'_>>,
    lines: &mut HashMap<u64, Option<(String, u32)>>,
) -> Result<(), gimli::Error> {
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        if abbreviation.tag() != gimli::DW_TAG_variable {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let (mut address, mut file, mut line, mut origin) = (None, None, None, None);
        for &spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(spec)?;
            match (attribute.name(), attribute.value()) {
                (gimli::DW_AT_location, AttributeValue::Exprloc(expression)) => {
                    address = match expression.operations(unit.encoding()).next()? {
                        Some(gimli::Operation::Address { address }) => Some(address),
                        Some(gimli::Operation::AddressIndex { index }) => unit.address(index).ok(),
                        _ => None,
                    };
                }
                (gimli::DW_AT_decl_file, AttributeValue::FileIndex(index)) => file = Some(index),
                (gimli::DW_AT_decl_line, value) => line = value.udata_value(),
                (
                    gimli::DW_AT_specification | gimli::DW_AT_abstract_origin,
                    AttributeValue::UnitRef(at),
                ) => {
                    origin = Some(at);
                }
                _ => {}
            }
        }
        let Some(slot) = address.and_then(|address| lines.get_mut(&address)) else {
            continue;
        };
        // A definition outside of its class or namespace has the rest at the declaration.
        if let Some(origin) = origin {
            let entry = unit.entry(origin)?;
            if file.is_none()
                && let Some(AttributeValue::FileIndex(index)) =
                    entry.attr_value(gimli::DW_AT_decl_file)
            {
                file = Some(index);
            }
            line = line.or(entry
                .attr_value(gimli::DW_AT_decl_line)
                .and_then(|value| value.udata_value()));
        }
        if let (Some(file), Some(line)) = (file.and_then(|index| path(unit, index)), line)
            && let Ok(line) = u32::try_from(line)
        {
            *slot = Some((file, line));
        }
    }
    Ok(())
}

/// The path of a unit's file.
fn path(unit: UnitRef<'_, Reader<'_>>, index: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(index)?;
    let text = |value| Some(unit.attr_string(value).ok()?.to_string_lossy().into_owned());
    let name = text(file.path_name())?;
    let mut path = std::path::PathBuf::new();
    if let Some(whole) = unit.comp_dir {
        path.push(whole.to_string_lossy().as_ref());
    }
    if let Some(directory) = file.directory(header).and_then(text) {
        path.push(directory);
    }
    path.push(Path::new(&name));
    Some(path.to_string_lossy().into_owned())
}
