//! One module: find its files, then its frames.
//!
//! Files are looked for in this order, and each is used for what it has: the module itself,
//! its debug file by build-id, its debug file by `.gnu_debuglink`. A debug file found by the
//! run's build-id serves even when the module is gone or was replaced.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::demangle::{demangle, is_mangled};
use crate::dwarf::{self, Dwarf, Lines};
use crate::elf::{self, Elf, Store};
use crate::files::{FileSource, Wanted};
use crate::local::without_deleted;
use crate::problem::Problem;
use crate::request::{Detail, Frame, Module, Options};
use crate::scope::ScopeCache;
use crate::symtab;

/// Addresses of one module that one thread takes at least, for it has to read the list of
/// units anew.
const CHUNK: usize = 2048;

/// What is known about a module's addresses.
pub(crate) struct Answer {
    /// One entry for each address.
    pub(crate) frames: Vec<Vec<Frame>>,
    pub(crate) detail: Detail,
    pub(crate) problem: Option<Problem>,
}

/// Frames for `addresses`, which must be sorted and free of repeats. `done` is told how many
/// more addresses are done.
pub(crate) fn symbolize(
    module: &Module,
    addresses: &[u64],
    options: &Options,
    files: &dyn FileSource,
    done: &(dyn Fn(usize) + Sync),
) -> Answer {
    let store = Store::default();
    let opened = Opened::new(module, files, &store);
    let mut problem = opened.problem.clone();

    let (names, mut detail) = opened.names(addresses, &store);
    let mut dwarf = None;
    if let Some(with_dwarf) = opened.with_dwarf() {
        match dwarf::load(with_dwarf, files, &store) {
            Ok((loaded, missing)) => {
                problem = problem.or(missing);
                dwarf = Some((loaded, with_dwarf.place.as_path()));
            }
            Err(what) => problem = problem.or(Some(what)),
        }
    }

    let lookup = Lookup {
        dwarf,
        module: opened.place(module),
        files,
        inlines: options.inlines,
    };
    let threads = rayon::current_num_threads();
    let chunk = addresses.len().div_ceil(threads).max(CHUNK);
    let parts: Vec<Part> = addresses
        .par_chunks(chunk)
        .zip(names.par_chunks(chunk))
        .map(|(addresses, names)| lookup.part(addresses, names, done))
        .collect();

    let mut frames = Vec::with_capacity(addresses.len());
    for part in parts {
        frames.extend(part.frames);
        problem = problem.or(part.problem);
        if part.lines {
            detail = Detail::Lines;
        }
    }
    Answer {
        frames,
        detail,
        problem,
    }
}

/// Whether a module's name stands for a file at all: the kernel's and the loader's own
/// mappings do not.
fn is_file(path: &Path) -> bool {
    const NAMELESS: &[&[u8]] = &[
        b"[",
        b"linux-vdso",
        b"linux-gate",
        b"anon_inode:",
        b"/memfd:",
        b"/SYSV",
        b"/dev/zero",
        b"//anon",
    ];
    let name = path.as_os_str().as_bytes();
    !name.is_empty() && !NAMELESS.iter().any(|start| name.starts_with(start))
}

/// The files of one module, parsed.
pub(crate) struct Opened<'d> {
    main: Option<Elf<'d>>,
    debug: Option<Elf<'d>>,
    problem: Option<Problem>,
}

impl<'d> Opened<'d> {
    pub(crate) fn new(module: &Module, files: &dyn FileSource, store: &'d Store) -> Self {
        let mut opened = Opened {
            main: None,
            debug: None,
            problem: None,
        };
        if !is_file(&module.path) {
            return opened;
        }
        let expected = module.build_id.as_deref().filter(|id| !id.is_empty());
        let gone = without_deleted(&module.path);
        let main = elf::find(files, store, &Wanted::Module(module), |elf| {
            match (expected, elf.build_id()) {
                (Some(expected), found) if found != Some(expected) => Err(Problem::Changed {
                    path: elf.place.clone(),
                    expected: expected.to_vec(),
                    found: found.map(<[u8]>::to_vec),
                }),
                (None, _) if gone.is_some() && without_deleted(&elf.place).is_none() => {
                    Err(Problem::Deleted {
                        path: module.path.clone(),
                    })
                }
                _ => Ok(()),
            }
        });
        let main_problem = match main {
            Ok(elf) => {
                opened.main = Some(elf);
                None
            }
            Err(problem) => Some(problem.unwrap_or_else(|| Problem::Missing {
                path: module.path.clone(),
                why: "no such file".into(),
            })),
        };
        if opened.main.as_ref().is_some_and(Elf::has_dwarf) {
            return opened;
        }

        let mut debug_problem = None;
        let id = expected.or(opened.main.as_ref().and_then(Elf::build_id));
        if let Some(id) = id {
            let wanted = Wanted::DebugById {
                module: &module.path,
                id,
            };
            let found = elf::find(files, store, &wanted, |elf| {
                accept_debug(elf, &module.path, Some(id), None)
            });
            match found {
                Ok(elf) => opened.debug = Some(elf),
                Err(problem) => debug_problem = problem,
            }
        }
        let link = opened
            .main
            .as_ref()
            .filter(|_| opened.debug.is_none())
            .and_then(|main| Some((main, main.debuglink()?)));
        if let Some((main, (name, crc))) = link {
            let wanted = Wanted::DebugByLink {
                module: &main.place,
                name,
            };
            let found = elf::find(files, store, &wanted, |elf| {
                accept_debug(elf, &module.path, id, Some(crc))
            });
            match found {
                Ok(elf) => opened.debug = Some(elf),
                Err(problem) => debug_problem = debug_problem.or(problem),
            }
        }
        if opened.debug.is_none() {
            opened.problem = main_problem.or(debug_problem);
        }
        opened
    }

    /// The module and its debug file, as far as there are.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Elf<'d>> {
        [&self.debug, &self.main].into_iter().flatten()
    }

    pub(crate) fn with_dwarf(&self) -> Option<&Elf<'d>> {
        [&self.main, &self.debug]
            .into_iter()
            .flatten()
            .find(|elf| elf.has_dwarf())
    }

    /// The module as opened, or as asked for.
    fn place<'a>(&'a self, module: &'a Module) -> &'a Path {
        self.main.as_ref().map_or(&module.path, |elf| &elf.place)
    }

    /// Symbols at the addresses, from the best table.
    fn names(&self, addresses: &[u64], store: &'d Store) -> (Vec<Option<&'d str>>, Detail) {
        let files = [&self.debug, &self.main];
        for elf in files.into_iter().flatten() {
            let symbols = elf.symbols();
            if !symbols.is_empty() {
                return (symtab::lookup(&symbols, addresses), Detail::Functions);
            }
        }
        let mut names = vec![None; addresses.len()];
        let mut detail = Detail::Nothing;
        if let Some(elf) = files.into_iter().flatten().last() {
            let symbols = elf.exports();
            if !symbols.is_empty() {
                names = symtab::lookup(&symbols, addresses);
                detail = Detail::Exports;
            }
            // The functions that are not exported, where the distribution keeps them.
            if let Some(mini) = elf.mini_debug_info(store) {
                let more = symtab::lookup(&mini.symbols(), addresses);
                for (name, more) in names.iter_mut().zip(more) {
                    *name = name.or(more);
                }
                detail = Detail::Functions;
            }
        }
        (names, detail)
    }
}

/// Whether a file is the debug file of a module. Build-ids must agree where both are known; the
/// link's checksum is over the whole file.
fn accept_debug(
    elf: &Elf<'_>,
    module: &Path,
    id: Option<&[u8]>,
    crc: Option<u32>,
) -> Result<(), Problem> {
    let same_id = match (id, elf.build_id()) {
        (Some(id), Some(found)) => id == found,
        (Some(_), None) => crc.is_some(),
        (None, _) => true,
    };
    let same = same_id && crc.is_none_or(|crc| crc32fast::hash(elf.data) == crc);
    if same {
        Ok(())
    } else {
        Err(Problem::WrongDebugFile {
            path: elf.place.clone(),
            module: module.to_owned(),
        })
    }
}

/// Everything that a thread needs to look up a share of the addresses.
struct Lookup<'d, 's> {
    dwarf: Option<(Arc<Dwarf<'d>>, &'s Path)>,
    module: &'s Path,
    files: &'s dyn FileSource,
    inlines: bool,
}

/// What one thread found.
#[derive(Default)]
struct Part {
    frames: Vec<Vec<Frame>>,
    lines: bool,
    problem: Option<Problem>,
}

impl Lookup<'_, '_> {
    fn part(
        &self,
        addresses: &[u64],
        names: &[Option<&str>],
        done: &(dyn Fn(usize) + Sync),
    ) -> Part {
        // Split files are opened by each thread for itself.
        let store = Store::default();
        let mut part = Part::default();
        let mut readable = Readable::default();
        let mut scopes = ScopeCache::default();
        let lines = self.dwarf.as_ref().and_then(|(dwarf, place)| {
            Lines::new(dwarf.clone(), self.files, &store, self.module, place)
                .map_err(|error| part.problem = Some(damaged(place, error)))
                .ok()
        });
        for (&address, &name) in addresses.iter().zip(names) {
            let mut frames = Vec::new();
            // The last address of all has no end, which `addr2line` does not expect.
            if let (Some(lines), Some((_, place)), true) = (&lines, &self.dwarf, address < u64::MAX)
            {
                match dwarf_frames(lines, address, &mut readable, &mut scopes) {
                    Ok(found) => frames = found,
                    Err(error) => {
                        part.problem.get_or_insert_with(|| damaged(place, error));
                        frames = location_frame(lines, address);
                    }
                }
            }
            part.lines |= !frames.is_empty();
            add_name(&mut frames, name, &mut readable);
            if !self.inlines {
                frames.drain(..frames.len().saturating_sub(1));
            }
            part.frames
                .push(frames.into_iter().map(|raw| raw.frame).collect());
            done(1);
        }
        if let Some(lines) = lines {
            part.problem = part.problem.or(lines.into_problem());
        }
        part
    }
}

fn damaged(place: &Path, error: gimli::Error) -> Problem {
    Problem::Damaged {
        path: place.to_owned(),
        what: format!("debug information: {error}"),
    }
}

/// A frame, and whether its name was mangled, so that it carries its namespace.
struct Raw {
    frame: Frame,
    qualified: bool,
}

fn dwarf_frames<'d>(
    lines: &Lines<'d, '_>,
    address: u64,
    readable: &mut Readable,
    scopes: &mut ScopeCache<'d>,
) -> Result<Vec<Raw>, gimli::Error> {
    let mut frames: Vec<Raw> = Vec::new();
    let mut found = lines.frames(address)?;
    while let Some(frame) = found.next()? {
        let (raw, language) = match &frame.function {
            Some(name) => (Some(name.raw_name()?), name.language),
            None => (None, None),
        };
        let qualified = raw.as_deref().is_some_and(is_mangled);
        let scoped = frame
            .dw_die_offset
            .filter(|_| !qualified && may_be_cpp(language))
            .and_then(|at| scopes.qualified(lines.unit(address)?, at));
        let mut told = Frame {
            function: scoped.or_else(|| raw.as_deref().map(|name| readable.get(name))),
            inlined: true,
            ..Frame::default()
        };
        set_location(&mut told, frame.location.as_ref());
        frames.push(Raw {
            frame: told,
            qualified,
        });
    }
    if let Some(last) = frames.last_mut() {
        last.frame.inlined = false;
    }
    Ok(frames)
}

/// Whether names may have scopes around them. Split files do not tell their language here.
fn may_be_cpp(language: Option<gimli::DwLang>) -> bool {
    matches!(
        language,
        None | Some(
            gimli::DW_LANG_C_plus_plus
                | gimli::DW_LANG_C_plus_plus_03
                | gimli::DW_LANG_C_plus_plus_11
                | gimli::DW_LANG_C_plus_plus_14
                | gimli::DW_LANG_C_plus_plus_17
                | gimli::DW_LANG_C_plus_plus_20
        )
    )
}

fn location_frame(lines: &Lines<'_, '_>, address: u64) -> Vec<Raw> {
    let Some(location) = lines.location(address) else {
        return Vec::new();
    };
    let mut frame = Frame::default();
    set_location(&mut frame, Some(&location));
    vec![Raw {
        frame,
        qualified: false,
    }]
}

fn set_location(frame: &mut Frame, location: Option<&addr2line::Location<'_>>) {
    if let Some(location) = location {
        frame.file = location.file.map(str::to_owned);
        frame.line = location.line.filter(|&line| line != 0);
    }
}

/// Brings in the symbol's name where debug information has none (assembly, damage), a bare one
/// (some C++ functions come without their namespace) or an internal one (the C library's
/// `malloc` is `__GI___libc_malloc` there).
fn add_name(frames: &mut Vec<Raw>, name: Option<&str>, readable: &mut Readable) {
    let Some(name) = name else { return };
    match frames.last_mut() {
        None => frames.push(Raw {
            frame: Frame {
                function: Some(readable.get(name)),
                ..Frame::default()
            },
            qualified: true,
        }),
        Some(last) if last.frame.function.is_none() => {
            last.frame.function = Some(readable.get(name));
        }
        Some(last) if !last.qualified && is_mangled(name) => {
            let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
            last.frame.function = Some(readable.get(stem));
        }
        Some(last) if !last.qualified && is_public(name) => {
            if last.frame.function.as_deref().is_some_and(is_internal) {
                last.frame.function = Some(name.to_owned());
            }
        }
        Some(_) => {}
    }
}

/// Whether a C name is one for the implementation's own use.
fn is_internal(name: &str) -> bool {
    name.starts_with('_')
}

/// Whether a symbol is a name that a program would write; compilers' copies have a dot.
fn is_public(name: &str) -> bool {
    !is_internal(name) && !name.contains('.')
}

/// Names already demangled: the same few come again and again.
#[derive(Default)]
struct Readable(HashMap<String, String>);

impl Readable {
    fn get(&mut self, raw: &str) -> String {
        if !is_mangled(raw) {
            return raw.to_owned();
        }
        if let Some(text) = self.0.get(raw) {
            return text.clone();
        }
        let text = demangle(raw).unwrap_or_else(|| raw.to_owned());
        self.0.insert(raw.to_owned(), text.clone());
        text
    }
}
