//! The next definition of a symbol in the program's search order.
//!
//! Not `dlsym(RTLD_NEXT)`: for a name that is not there it formats a message, and
//! allocates it, which inside an allocator that is just taking its own lock never
//! ends. This walk over the loaded modules' hash tables allocates nothing, and
//! costs a short program less.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::ptr::null_mut;

/// Most modules looked at.
const MAX: usize = 256;

/// A module's symbol tables.
#[derive(Clone, Copy)]
struct Tables {
    bias: u64,
    symbols: *const libc::Elf64_Sym,
    strings: *const libc::c_char,
    hash: *const u32,
    /// Version of each symbol, or null.
    versions: *const u16,
}

/// The modules behind this one.
pub struct Next {
    tables: [Tables; MAX],
    len: usize,
    /// This library was passed.
    passed: bool,
}

const DT_GNU_HASH: i64 = 0x6fff_fef5;
const DT_VERSYM: i64 = 0x6fff_fff0;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const STT_GNU_IFUNC: u8 = 10;
/// Not the default version of its symbol.
const HIDDEN: u16 = 0x8000;

impl Next {
    /// Calls `use_it` with the modules that stand behind this library.
    ///
    /// # Safety
    /// Called once, by one thread.
    pub unsafe fn with(use_it: impl FnOnce(&Next)) {
        /// Too much for a small stack.
        struct Place(UnsafeCell<MaybeUninit<Next>>);
        // SAFETY: used once, by the caller's promise.
        unsafe impl Sync for Place {}
        static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::zeroed()));
        let next = PLACE.0.get().cast::<Next>();
        // SAFETY: zeroed memory is a valid, empty list. No lock of ours is held.
        unsafe {
            libc::dl_iterate_phdr(Some(visit), next.cast());
            use_it(&*next);
        }
    }

    /// The same with all modules, the program first, in memory of its own.
    pub fn with_all(use_it: impl FnOnce(&Next)) {
        let len = core::mem::size_of::<Next>();
        let Some(memory) = crate::sys::map_private(len) else { return };
        // SAFETY: zeroed memory of that size is a valid, empty list; it is unmapped
        // when nothing refers to it any more. No lock of ours is held.
        unsafe {
            let next = memory.cast::<Next>();
            (*next).passed = true;
            libc::dl_iterate_phdr(Some(visit), next.cast());
            use_it(&*next);
            crate::sys::unmap(memory, len);
        }
    }

    /// Address of a symbol's first definition; null if there is none.
    pub fn find(&self, name: &CStr) -> *mut c_void {
        let bytes = name.to_bytes();
        let hash = hash_of(bytes);
        self.tables
            .iter()
            .take(self.len)
            // SAFETY: tables of loaded modules.
            .find_map(|tables| unsafe { tables.find(bytes, hash) })
            .unwrap_or(null_mut())
    }
}

fn hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |h, &b| h.wrapping_mul(33).wrapping_add(u32::from(b)))
}

/// Addresses of symbols in the first module that has the first of them, this library or not;
/// null for those it has not. For interfaces that a program exports as a whole.
pub fn everywhere(names: &[&CStr], found: &mut [*mut c_void]) {
    struct Search<'a> {
        names: &'a [&'a CStr],
        found: &'a mut [*mut c_void],
    }
    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> i32 {
        // SAFETY: the loader's record, the search below, and tables of a loaded module.
        unsafe {
            let (info, search) = (&*info, &mut *data.cast::<Search<'_>>());
            if info.dlpi_addr == libc::getauxval(libc::AT_SYSINFO_EHDR) {
                return 0;
            }
            let headers = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
            let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC);
            let Some(tables) = dynamic.and_then(|header| Tables::read(info.dlpi_addr, header.p_vaddr)) else {
                return 0;
            };
            for (name, place) in search.names.iter().zip(search.found.iter_mut()) {
                let name = name.to_bytes();
                *place = tables.find(name, hash_of(name)).unwrap_or(null_mut());
                if place.is_null() {
                    break;
                }
            }
            i32::from(search.found.first().is_some_and(|first| !first.is_null()))
        }
    }
    let mut search = Search { names, found };
    // SAFETY: the callback matches; the search outlives the call. No lock of ours is held.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
}

unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> i32 {
    // SAFETY: the loader's record and our list.
    unsafe {
        let (info, next) = (&*info, &mut *data.cast::<Next>());
        let headers = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
        if !next.passed {
            let own = visit as *const () as u64;
            next.passed = headers.iter().any(|h| {
                let start = info.dlpi_addr.wrapping_add(h.p_vaddr);
                h.p_type == libc::PT_LOAD && (start..start + h.p_memsz).contains(&own)
            });
            return 0;
        }
        let dynamic = headers.iter().find(|h| h.p_type == libc::PT_DYNAMIC);
        // The kernel's module has no function that anyone replaces.
        let kernel = info.dlpi_addr == libc::getauxval(libc::AT_SYSINFO_EHDR);
        if let Some(tables) = dynamic.filter(|_| !kernel).and_then(|h| Tables::read(info.dlpi_addr, h.p_vaddr))
            && let Some(slot) = next.tables.get_mut(next.len)
        {
            *slot = tables;
            next.len += 1;
        }
        0
    }
}

impl Tables {
    unsafe fn read(bias: u64, dynamic: u64) -> Option<Tables> {
        let mut found = Tables {
            bias,
            symbols: core::ptr::null(),
            strings: core::ptr::null(),
            hash: core::ptr::null(),
            versions: core::ptr::null(),
        };
        // SAFETY: the dynamic section of a loaded module ends with a null tag.
        unsafe {
            let mut entry = bias.wrapping_add(dynamic) as *const (i64, u64);
            while (*entry).0 != 0 {
                let (tag, value) = *entry;
                // glibc has relocated these in place.
                let address = if value < bias { value.wrapping_add(bias) } else { value };
                match tag {
                    DT_SYMTAB => found.symbols = address as *const _,
                    DT_STRTAB => found.strings = address as *const _,
                    DT_GNU_HASH => found.hash = address as *const _,
                    DT_VERSYM => found.versions = address as *const _,
                    _ => {}
                }
                entry = entry.add(1);
            }
        }
        (!found.symbols.is_null() && !found.strings.is_null() && !found.hash.is_null()).then_some(found)
    }

    /// Looks a name up in the GNU hash table: header (buckets, first symbol, words
    /// of the filter, shift), filter, buckets, chains.
    unsafe fn find(&self, name: &[u8], hash: u32) -> Option<*mut c_void> {
        // SAFETY: the layout of a valid table.
        unsafe {
            let (buckets, first, words) = (*self.hash, *self.hash.add(1), *self.hash.add(2));
            if buckets == 0 {
                return None;
            }
            let table = self.hash.add(4 + 2 * words as usize);
            let mut index = *table.add((hash % buckets) as usize);
            if index < first {
                return None;
            }
            let chains = table.add(buckets as usize);
            loop {
                let entry = *chains.add((index - first) as usize);
                if entry | 1 == hash | 1
                    && let Some(found) = self.definition(index, name)
                {
                    return Some(found);
                }
                if entry & 1 != 0 {
                    return None;
                }
                index += 1;
            }
        }
    }

    unsafe fn definition(&self, index: u32, name: &[u8]) -> Option<*mut c_void> {
        // SAFETY: an index from the hash table.
        unsafe {
            let symbol = &*self.symbols.add(index as usize);
            let hidden = !self.versions.is_null() && *self.versions.add(index as usize) & HIDDEN != 0;
            if symbol.st_shndx == 0 || hidden {
                return None;
            }
            let text = self.strings.add(symbol.st_name as usize).cast::<u8>();
            let same = name.iter().enumerate().all(|(at, &byte)| *text.add(at) == byte) && *text.add(name.len()) == 0;
            if !same {
                return None;
            }
            let address = self.bias.wrapping_add(symbol.st_value);
            if symbol.st_info & 15 == STT_GNU_IFUNC {
                return Some(core::mem::transmute::<u64, unsafe extern "C" fn() -> *mut c_void>(address)());
            }
            Some(address as *mut c_void)
        }
    }
}
