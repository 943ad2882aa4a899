//! Definitions of a symbol in the loaded modules, in the program's search order.
//!
//! Not `dlsym(RTLD_NEXT)`: for a name that is not there it formats a message, and
//! allocates it, which inside an allocator that is just taking its own lock never
//! ends. This walk over the loaded modules' hash tables allocates nothing, keeps no
//! list of them, and costs a short program less.

use core::ffi::c_void;

/// A name to look for, with its hash in GNU tables.
#[derive(Clone, Copy)]
pub struct Name {
    text: &'static [u8],
    gnu: u32,
}

impl Name {
    /// The name; its hash is found at compile time where it is a constant.
    pub const fn new(text: &'static str) -> Name {
        let mut gnu = 5381u32;
        let mut rest = text.as_bytes();
        while let [byte, others @ ..] = rest {
            gnu = gnu.wrapping_mul(33).wrapping_add(*byte as u32);
            rest = others;
        }
        Name {
            text: text.as_bytes(),
            gnu,
        }
    }

    /// Hash in tables of the older kind.
    fn sysv(&self) -> u32 {
        self.text.iter().fold(0u32, |hash, &byte| {
            let hash = (hash << 4).wrapping_add(u32::from(byte));
            let high = hash & 0xf000_0000;
            (hash ^ high >> 24) & !high
        })
    }
}

/// Where a symbol is defined.
#[derive(Clone, Copy)]
pub struct Definition {
    address: u64,
    /// The address is of the function that chooses one.
    indirect: bool,
}

impl Definition {
    /// Address of the function. To be called when the walk is over: it may run code of
    /// the module's, which no lock of the loader should be held for.
    pub fn function(self) -> *mut c_void {
        if self.indirect {
            // SAFETY: the type of a resolver of a loaded module.
            unsafe {
                core::mem::transmute::<u64, unsafe extern "C" fn() -> *mut c_void>(self.address)()
            }
        } else {
            self.address as *mut c_void
        }
    }
}

/// Where a module stands in the search order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before this library: its definitions win over ours.
    Before,
    /// Behind it.
    Behind,
}

/// A loaded module with symbols.
pub struct Module {
    /// Its place.
    pub place: Place,
    name: *const libc::c_char,
    tables: Tables,
}

impl Module {
    /// Its definition of a symbol.
    pub fn find(&self, name: &Name) -> Option<Definition> {
        // SAFETY: tables of a loaded module.
        unsafe { self.tables.find(name) }
    }

    /// Whether its file's name begins so.
    pub fn is_named(&self, stem: &[u8]) -> bool {
        // SAFETY: the loader's string, or null.
        let path = unsafe { crate::modules::c_bytes(self.name) };
        path.rsplit(|&byte| byte == b'/')
            .next()
            .is_some_and(|name| name.starts_with(stem))
    }
}

/// Calls `each` with every module but this library and the kernel's, the program
/// first, under the loader's lock: it must not call anything but what is here.
pub fn walk<F: FnMut(&Module)>(each: F) {
    struct Walk<F> {
        each: F,
        place: Place,
    }
    unsafe extern "C" fn visit<F: FnMut(&Module)>(
        info: *mut libc::dl_phdr_info,
        _: usize,
        data: *mut c_void,
    ) -> i32 {
        // SAFETY: the loader's record and our walk.
        unsafe {
            let (info, walk) = (&*info, &mut *data.cast::<Walk<F>>());
            let headers = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
            let own = visit::<F> as *const () as u64;
            let is_own = walk.place == Place::Before
                && headers.iter().any(|h| {
                    let start = info.dlpi_addr.wrapping_add(h.p_vaddr);
                    h.p_type == libc::PT_LOAD && (start..start + h.p_memsz).contains(&own)
                });
            if is_own {
                walk.place = Place::Behind;
                return 0;
            }
            let dynamic = headers.iter().find(|h| h.p_type == libc::PT_DYNAMIC);
            // The kernel's module has no function that anyone replaces.
            let kernel = info.dlpi_addr == libc::getauxval(libc::AT_SYSINFO_EHDR);
            if let Some(tables) = dynamic
                .filter(|_| !kernel)
                .and_then(|h| Tables::read(info.dlpi_addr, h.p_vaddr))
            {
                (walk.each)(&Module {
                    place: walk.place,
                    name: info.dlpi_name,
                    tables,
                });
            }
            0
        }
    }
    let mut walk = Walk {
        each,
        place: Place::Before,
    };
    // SAFETY: the callback matches; `walk` outlives the call. No lock of ours is held.
    unsafe { libc::dl_iterate_phdr(Some(visit::<F>), (&raw mut walk).cast()) };
}

/// The first definitions of some names in the modules that are `wanted`; null where
/// there is none.
pub fn find<const N: usize>(
    names: [Name; N],
    wanted: impl Fn(&Module) -> bool,
) -> [*mut c_void; N] {
    let mut found = [None; N];
    walk(|module| {
        if wanted(module) {
            first(&mut found, names.iter(), module);
        }
    });
    found.map(|definition: Option<Definition>| {
        definition.map_or(core::ptr::null_mut(), Definition::function)
    })
}

/// Looks up in a module those of the names that have no definition yet.
pub fn first<'a>(
    found: &mut [Option<Definition>],
    names: impl Iterator<Item = &'a Name>,
    module: &Module,
) {
    for (definition, name) in found.iter_mut().zip(names) {
        if definition.is_none() {
            *definition = module.find(name);
        }
    }
}

/// A module's symbol tables.
struct Tables {
    bias: u64,
    symbols: *const libc::Elf64_Sym,
    strings: *const libc::c_char,
    /// GNU hash table, or null.
    gnu: *const u32,
    /// Hash table of the older kind, or null.
    sysv: *const u32,
    /// Version of each symbol, or null.
    versions: *const u16,
}

const DT_HASH: i64 = 4;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_GNU_HASH: i64 = 0x6fff_fef5;
const DT_VERSYM: i64 = 0x6fff_fff0;
const STT_GNU_IFUNC: u8 = 10;
/// Not the default version of its symbol.
const HIDDEN: u16 = 0x8000;

impl Tables {
    unsafe fn read(bias: u64, dynamic: u64) -> Option<Tables> {
        let mut found = Tables {
            bias,
            symbols: core::ptr::null(),
            strings: core::ptr::null(),
            gnu: core::ptr::null(),
            sysv: core::ptr::null(),
            versions: core::ptr::null(),
        };
        // SAFETY: the dynamic section of a loaded module ends with a null tag.
        unsafe {
            let mut entry = bias.wrapping_add(dynamic) as *const (i64, u64);
            while (*entry).0 != 0 {
                let (tag, value) = *entry;
                // glibc has relocated these in place.
                let address = if value < bias {
                    value.wrapping_add(bias)
                } else {
                    value
                };
                match tag {
                    DT_SYMTAB => found.symbols = address as *const _,
                    DT_STRTAB => found.strings = address as *const _,
                    DT_GNU_HASH => found.gnu = address as *const _,
                    DT_HASH => found.sysv = address as *const _,
                    DT_VERSYM => found.versions = address as *const _,
                    _ => {}
                }
                entry = entry.add(1);
            }
        }
        let hashed = !found.gnu.is_null() || !found.sysv.is_null();
        (!found.symbols.is_null() && !found.strings.is_null() && hashed).then_some(found)
    }

    unsafe fn find(&self, name: &Name) -> Option<Definition> {
        // SAFETY: as the caller's.
        unsafe {
            if self.gnu.is_null() {
                self.find_sysv(name)
            } else {
                self.find_gnu(name)
            }
        }
    }

    /// Header (number of buckets and of symbols), buckets, and for each symbol the next
    /// one of its chain; 0 ends it.
    unsafe fn find_sysv(&self, name: &Name) -> Option<Definition> {
        // SAFETY: the layout of a valid table.
        unsafe {
            let (buckets, symbols) = (*self.sysv, *self.sysv.add(1));
            if buckets == 0 {
                return None;
            }
            let table = self.sysv.add(2);
            let chains = table.add(buckets as usize);
            let mut index = *table.add((name.sysv() % buckets) as usize);
            while index != 0 && index < symbols {
                if let Some(found) = self.definition(index, name.text) {
                    return Some(found);
                }
                index = *chains.add(index as usize);
            }
            None
        }
    }

    /// Header (buckets, first symbol, words of the filter, shift), filter, buckets,
    /// chains.
    unsafe fn find_gnu(&self, name: &Name) -> Option<Definition> {
        let hash = name.gnu;
        // SAFETY: the layout of a valid table.
        unsafe {
            let (buckets, first, words) = (*self.gnu, *self.gnu.add(1), *self.gnu.add(2));
            if buckets == 0 {
                return None;
            }
            let table = self.gnu.add(4 + 2 * words as usize);
            let mut index = *table.add((hash % buckets) as usize);
            if index < first {
                return None;
            }
            let chains = table.add(buckets as usize);
            loop {
                let entry = *chains.add((index - first) as usize);
                if entry | 1 == hash | 1
                    && let Some(found) = self.definition(index, name.text)
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

    unsafe fn definition(&self, index: u32, name: &[u8]) -> Option<Definition> {
        // SAFETY: an index from the hash table.
        unsafe {
            let symbol = &*self.symbols.add(index as usize);
            let hidden =
                !self.versions.is_null() && *self.versions.add(index as usize) & HIDDEN != 0;
            if symbol.st_shndx == 0 || hidden {
                return None;
            }
            let text = self.strings.add(symbol.st_name as usize).cast::<u8>();
            let same = name
                .iter()
                .enumerate()
                .all(|(at, &byte)| *text.add(at) == byte)
                && *text.add(name.len()) == 0;
            if !same {
                return None;
            }
            Some(Definition {
                address: self.bias.wrapping_add(symbol.st_value),
                indirect: symbol.st_info & 15 == STT_GNU_IFUNC,
            })
        }
    }
}
