//! DWARF sections of a file, its supplementary file and its split files, as `gimli` wants them.
//!
//! Only sections that lookups need are touched, and only compressed ones are copied. Split
//! files are opened when an address falls into their unit.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use addr2line::{Context, FrameIter, LookupContinuation, LookupResult, SplitDwarfLoad};
use gimli::{EndianSlice, LittleEndian, SectionId};
use rayon::prelude::*;

use crate::elf::{self, Elf, Store};
use crate::files::{FileSource, Wanted};
use crate::problem::Problem;

pub(crate) type Reader<'d> = EndianSlice<'d, LittleEndian>;
pub(crate) type Dwarf<'d> = gimli::Dwarf<Reader<'d>>;

/// What lookups read in a program, a debug file or a supplementary file.
const WHOLE: &[SectionId] = &[
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// What lookups read in a split file.
const SPLIT: &[SectionId] = &[
    SectionId::DebugAbbrev,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// What a package of split files must have: its index points into each section, and `gimli`
/// wants all that it points to, read or not.
const PACKAGE: &[SectionId] = &[
    SectionId::DebugAbbrev,
    SectionId::DebugCuIndex,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugMacinfo,
    SectionId::DebugMacro,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTuIndex,
    SectionId::DebugTypes,
];

/// Sections of one file, ready to read.
struct Sections<'d>(Vec<(SectionId, &'d [u8])>);

impl<'d> Sections<'d> {
    /// Decompresses the sections side by side where that is needed.
    fn load(
        elf: &Elf<'d>,
        store: &'d Store,
        ids: &[SectionId],
        split: bool,
    ) -> Result<Self, String> {
        let mut found = Vec::with_capacity(ids.len());
        for &id in ids {
            let name = if split {
                id.dwo_name()
            } else {
                Some(id.name())
            };
            if let Some(name) = name {
                found.push((id, name, elf.section(name)?));
            }
        }
        let ready: Result<Vec<_>, String> = found
            .into_par_iter()
            .map(|(id, name, section)| {
                let bytes =
                    elf::decompress(section).map_err(|what| format!("section {name} {what}"))?;
                Ok((id, bytes))
            })
            .collect();
        let sections = ready?
            .into_iter()
            .map(|(id, bytes)| match bytes {
                Cow::Borrowed(bytes) => (id, bytes),
                Cow::Owned(bytes) => (id, store.keep(bytes)),
            })
            .collect();
        Ok(Sections(sections))
    }

    fn get(&self, id: SectionId) -> Result<Reader<'d>, gimli::Error> {
        let found = self.0.iter().find(|(other, _)| *other == id);
        Ok(EndianSlice::new(
            found.map_or(&[], |&(_, bytes)| bytes),
            LittleEndian,
        ))
    }
}

/// The debug information of a file with, if it refers to one, its supplementary file. The
/// problem tells of a missing or damaged supplementary file.
pub(crate) fn load<'d>(
    elf: &Elf<'d>,
    files: &dyn FileSource,
    store: &'d Store,
) -> Result<(Arc<Dwarf<'d>>, Option<Problem>), Problem> {
    let damaged = |elf: &Elf<'_>, what: String| Problem::Damaged {
        path: elf.place.clone(),
        what,
    };
    let sections = Sections::load(elf, store, WHOLE, false).map_err(|what| damaged(elf, what))?;
    let mut dwarf =
        Dwarf::load(|id| sections.get(id)).map_err(|error| damaged(elf, error.to_string()))?;

    let mut problem = None;
    if let Some((name, id)) = elf.debugaltlink() {
        let wanted = Wanted::Supplement {
            of: &elf.place,
            name,
            id,
        };
        let found = elf::find(files, store, &wanted, |found| {
            if found.build_id() == Some(id) {
                Ok(())
            } else {
                Err(Problem::WrongDebugFile {
                    path: found.place.clone(),
                    module: elf.place.clone(),
                })
            }
        });
        let loaded = found.and_then(|sup| {
            let sections =
                Sections::load(&sup, store, WHOLE, false).map_err(|what| damaged(&sup, what))?;
            dwarf
                .load_sup(|id| sections.get(id))
                .map_err(|error: gimli::Error| Some(damaged(&sup, error.to_string())))
        });
        problem = loaded.err().map(|what| {
            what.unwrap_or_else(|| Problem::NoSupplement {
                path: elf.place.clone(),
                name: name.to_owned(),
            })
        });
    }
    dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
    Ok((Arc::new(dwarf), problem))
}

/// Lookups in one module's debug information. Not `Sync`: each thread makes its own from the
/// shared sections.
pub(crate) struct Lines<'d, 's> {
    context: Context<Reader<'d>>,
    split: Split<'d, 's>,
}

impl<'d, 's> Lines<'d, 's> {
    /// `module` is the program as opened, `with_dwarf` the file that holds the sections.
    pub(crate) fn new(
        dwarf: Arc<Dwarf<'d>>,
        files: &'s dyn FileSource,
        store: &'d Store,
        module: &'s Path,
        with_dwarf: &'s Path,
    ) -> Result<Self, gimli::Error> {
        Ok(Lines {
            context: Context::from_arc_dwarf(dwarf)?,
            split: Split {
                files,
                store,
                module,
                with_dwarf,
                package: OnceCell::new(),
                problem: RefCell::new(None),
            },
        })
    }

    /// The frames at an address, innermost first; split files are opened as needed.
    pub(crate) fn frames(&self, address: u64) -> Result<FrameIter<'_, Reader<'d>>, gimli::Error> {
        let mut result = self.context.find_frames(address);
        loop {
            match result {
                LookupResult::Output(output) => return output,
                LookupResult::Load { load, continuation } => {
                    result = continuation.resume(self.split.load(&load));
                }
            }
        }
    }

    /// The unit that [`frames`](Self::frames) found an address in.
    pub(crate) fn unit(&self, address: u64) -> Option<gimli::UnitRef<'_, Reader<'d>>> {
        self.context.find_dwarf_and_unit(address).skip_all_loads()
    }

    /// File and line alone: may be there when the functions are damaged.
    pub(crate) fn location(&self, address: u64) -> Option<addr2line::Location<'_>> {
        self.context.find_location(address).ok()?
    }

    /// The first split file that was wanted and could not be used.
    pub(crate) fn into_problem(self) -> Option<Problem> {
        self.split.problem.into_inner()
    }
}

/// Where split files come from: a package first, then single files.
struct Split<'d, 's> {
    files: &'s dyn FileSource,
    store: &'d Store,
    module: &'s Path,
    with_dwarf: &'s Path,
    package: OnceCell<Option<gimli::DwarfPackage<Reader<'d>>>>,
    problem: RefCell<Option<Problem>>,
}

impl<'d> Split<'d, '_> {
    fn load(&self, load: &SplitDwarfLoad<Reader<'d>>) -> Option<Arc<Dwarf<'d>>> {
        let package = self.package.get_or_init(|| {
            self.open_package(self.module)
                .or_else(|| self.open_package(self.with_dwarf))
        });
        if let Some(package) = package {
            match package.find_cu(load.dwo_id, &load.parent) {
                Ok(Some(unit)) => return Some(Arc::new(unit)),
                Ok(None) => {}
                Err(error) => self.note(Problem::Damaged {
                    path: self.module.to_owned(),
                    what: format!("its package of split debug information: {error}"),
                }),
            }
        }

        let path = |reader: &Reader<'d>| Path::new(OsStr::from_bytes(reader.slice()));
        let name = path(load.path.as_ref()?);
        let dir = load.comp_dir.as_ref().map(path);
        let wanted = Wanted::Split {
            module: self.with_dwarf,
            dir,
            name,
        };
        // A stale file with another id counts as not found, so the next place gets its turn.
        let wrong = |elf: &Elf<'d>| Problem::WrongDebugFile {
            path: elf.place.clone(),
            module: self.module.to_owned(),
        };
        let loaded = RefCell::new(None);
        let found = elf::find(self.files, self.store, &wanted, |elf| {
            let mut dwarf = self.open_split(elf)?;
            let unit = dwarf.units().next().and_then(|header| match header {
                Some(header) => dwarf.unit(header).map(Some),
                None => Ok(None),
            });
            match unit {
                Ok(Some(unit)) if unit.dwo_id == Some(load.dwo_id) => {}
                Ok(_) => return Err(wrong(elf)),
                Err(error) => {
                    return Err(Problem::Damaged {
                        path: elf.place.clone(),
                        what: error.to_string(),
                    });
                }
            }
            dwarf.make_dwo(&load.parent);
            loaded.replace(Some(Arc::new(dwarf)));
            Ok(())
        });
        if let Err(problem) = found {
            self.note(problem.unwrap_or_else(|| Problem::NoSplit {
                path: self.module.to_owned(),
                name: dir.map_or_else(|| name.to_owned(), |dir| dir.join(name)),
            }));
        }
        loaded.into_inner()
    }

    fn open_split(&self, elf: &Elf<'d>) -> Result<Dwarf<'d>, Problem> {
        let damaged = |what| Problem::Damaged {
            path: elf.place.clone(),
            what,
        };
        let sections = Sections::load(elf, self.store, SPLIT, true).map_err(damaged)?;
        Dwarf::load(|id| sections.get(id)).map_err(|error: gimli::Error| damaged(error.to_string()))
    }

    fn open_package(&self, module: &Path) -> Option<gimli::DwarfPackage<Reader<'d>>> {
        let wanted = Wanted::SplitPackage { module };
        let elf = match elf::find(self.files, self.store, &wanted, |_| Ok(())) {
            Ok(elf) => elf,
            Err(problem) => {
                problem.into_iter().for_each(|problem| self.note(problem));
                return None;
            }
        };
        let empty = EndianSlice::new(&[][..], LittleEndian);
        let package = Sections::load(&elf, self.store, PACKAGE, true).and_then(|sections| {
            gimli::DwarfPackage::load(|id| sections.get(id), empty)
                .map_err(|error: gimli::Error| error.to_string())
        });
        match package {
            Ok(package) => Some(package),
            Err(what) => {
                self.note(Problem::Damaged {
                    path: elf.place,
                    what,
                });
                None
            }
        }
    }

    fn note(&self, problem: Problem) {
        self.problem.borrow_mut().get_or_insert(problem);
    }
}
