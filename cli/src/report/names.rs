//! Addresses to functions, asked for in bulk and kept: the processes of a tree share most of
//! their libraries, and the sites of a program most of their frames.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use heap::{FrameKind, Profile, RawFrame};
use symbolizer::{Detail, LocalFiles, PerfMap, Problem, Request};

/// A place in code, the same in each process that has the module loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index of the module in [`Names`]; [`Place::NOWHERE`] for none.
    pub module: u32,
    /// Address of the call in the module's file; without a module the run-time address.
    pub at: u64,
}

impl Place {
    /// The module of addresses that are in no module.
    pub const NOWHERE: u32 = u32::MAX;
    /// The module of functions that were made at run time; their number is the address.
    const FUNCTIONS: u32 = u32::MAX - 3;
}

/// What is known of a module.
#[derive(Debug)]
pub struct Known {
    /// Path and build-id.
    pub module: symbolizer::Module,
    /// Where its names come from; `None` if it was never asked.
    pub detail: Option<Detail>,
    /// What is wrong with its files.
    pub problem: Option<Problem>,
    /// Names of code made at run time instead of a file.
    jit: Option<PerfMap>,
}

/// All names found so far.
#[derive(Debug)]
pub struct Names {
    options: symbolizer::Options,
    files: LocalFiles,
    modules: Vec<Known>,
    by_identity: HashMap<Identity, u32>,
    found: HashMap<Place, Vec<symbolizer::Frame>>,
    /// Functions made at run time, by what is known of them: the same one may have been compiled
    /// several times, and stood at several addresses.
    functions: HashMap<symbolizer::Frame, u64>,
    /// Those of them that were compiled with calls inlined.
    inlining: HashSet<Place>,
}

/// Two modules are the same if their build-ids are; without one, if their paths are.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Identity {
    BuildId(Vec<u8>),
    Path(PathBuf),
}

/// The modules of one process, as places name them.
#[derive(Debug)]
pub struct Mapped {
    modules: Vec<u32>,
    biases: Vec<u64>,
    jit: u32,
    codes: Vec<Place>,
}

impl Names {
    /// Nothing found yet.
    pub fn new(options: symbolizer::Options) -> Names {
        Names {
            files: LocalFiles::new(&options),
            options,
            modules: Vec::new(),
            by_identity: HashMap::new(),
            found: HashMap::new(),
            functions: HashMap::new(),
            inlining: HashSet::new(),
        }
    }

    /// Makes a process's modules known.
    pub fn map(&mut self, profile: &Profile) -> Mapped {
        let modules = &profile.modules;
        let exact = profile.js_heaps.iter().any(|heap| heap.exact);
        Mapped {
            modules: modules
                .iter()
                .map(|module| self.intern(module, &profile.process.exe))
                .collect(),
            biases: modules.iter().map(|module| module.bias).collect(),
            jit: self.jit(profile),
            codes: profile
                .codes
                .iter()
                .map(|code| self.function(&code.name, exact))
                .collect(),
        }
    }

    /// The place of a function by the name that its runtime gave it.
    fn function(&mut self, name: &str, exact: bool) -> Place {
        let frame = symbolizer::v8_code(name);
        let nodes = frame
            .file
            .as_deref()
            .is_none_or(|file| file.starts_with("node:"));
        let next = self.functions.len() as u64;
        let at = *self.functions.entry(frame.clone()).or_insert(next);
        let place = Place {
            module: Place::FUNCTIONS,
            at,
        };
        if at == next {
            self.found.insert(place, vec![frame]);
        }
        if !exact && !nodes && symbolizer::v8_inlines(name) {
            self.inlining.insert(place);
        }
        place
    }

    fn intern(&mut self, module: &heap::Module, program: &Path) -> u32 {
        // The loader has no name for the program itself.
        let unnamed = module.path.as_os_str().is_empty();
        let path = if unnamed {
            program
        } else {
            module.path.as_path()
        };
        let identity = match module.build_id.as_slice() {
            [] => Identity::Path(path.to_owned()),
            id => Identity::BuildId(id.to_vec()),
        };
        let next = self.modules.len() as u32;
        let number = *self.by_identity.entry(identity).or_insert(next);
        if number == next {
            self.modules.push(Known {
                module: symbolizer::Module {
                    path: path.to_owned(),
                    build_id: Some(module.build_id.clone()).filter(|id| !id.is_empty()),
                },
                detail: None,
                problem: None,
                jit: None,
            });
        }
        number
    }

    /// The map that compilers at run time leave for perf, unless it is of an earlier process:
    /// a copy that was saved beside the log, else where it was written.
    fn jit(&mut self, profile: &Profile) -> u32 {
        let name = format!("perf-{}.map", profile.process.pid);
        let saved = profile.path.with_file_name(&name);
        let fresh = |path: &Path| {
            let written = std::fs::metadata(path).and_then(|about| about.modified());
            written.is_ok_and(|time| time >= profile.process.started)
        };
        let places = [saved, Path::new("/tmp").join(&name)];
        let found = places
            .into_iter()
            .filter(|path| fresh(path))
            .find_map(|path| {
                let map = PerfMap::load(&path).ok().filter(|map| !map.is_empty())?;
                Some((path, map))
            });
        let Some((path, map)) = found else {
            return Place::NOWHERE;
        };
        self.modules.push(Known {
            module: symbolizer::Module {
                path,
                build_id: None,
            },
            detail: None,
            problem: None,
            jit: Some(map),
        });
        self.modules.len() as u32 - 1
    }

    /// Looks up what is not known yet. `progress` is told how many addresses are done.
    pub fn look_up(
        &mut self,
        places: impl Iterator<Item = Place>,
        progress: &(dyn Fn(usize) + Sync),
    ) {
        let mut wanted: HashMap<u32, Vec<u64>> = HashMap::new();
        for place in places {
            if place.module != Place::NOWHERE && !self.found.contains_key(&place) {
                self.found.insert(place, Vec::new());
                wanted.entry(place.module).or_default().push(place.at);
            }
        }
        let mut requests = Vec::new();
        let mut numbers = Vec::new();
        for (number, addresses) in wanted {
            let Some(known) = self.modules.get(number as usize) else {
                continue;
            };
            if let Some(map) = &known.jit {
                for at in addresses {
                    let frame = symbolizer::Frame {
                        function: map.lookup(at).map(str::to_owned),
                        ..symbolizer::Frame::default()
                    };
                    self.found.insert(Place { module: number, at }, vec![frame]);
                }
            } else {
                numbers.push(number);
                requests.push(Request {
                    module: known.module.clone(),
                    addresses,
                });
            }
        }
        let answers = symbolizer::symbolize(&requests, &self.options, &self.files, progress);
        for ((number, request), answer) in numbers.into_iter().zip(requests).zip(answers) {
            if let Some(known) = self.modules.get_mut(number as usize) {
                known.detail = Some(answer.detail);
                known.problem = answer.problem;
            }
            for (at, frames) in request.addresses.into_iter().zip(answer.frames) {
                self.found.insert(Place { module: number, at }, frames);
            }
        }
    }

    /// The variables at places in a module.
    pub fn variables(&self, module: u32, at: &[u64]) -> Vec<Option<symbolizer::Variable>> {
        match self.module(module) {
            Some(known) if known.jit.is_none() => {
                symbolizer::variables(&known.module, at, &self.files)
            }
            _ => vec![None; at.len()],
        }
    }

    /// What was found for a place: the innermost inlined function first.
    pub fn at(&self, place: Place) -> &[symbolizer::Frame] {
        self.found.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Whether a place is a function of a script into which V8 may have inlined others: what those allocate is told
    /// there.
    pub fn is_inlining(&self, place: Place) -> bool {
        self.inlining.contains(&place)
    }

    /// A module.
    pub fn module(&self, number: u32) -> Option<&Known> {
        self.modules.get(number as usize)
    }

    /// The module with a path.
    pub fn by_path(&self, path: &Path) -> Option<&Known> {
        self.modules.iter().find(|known| known.module.path == path)
    }

    /// The path of a place's module, if that is a file.
    pub fn path(&self, place: Place) -> Option<&Path> {
        let known = self.module(place.module)?;
        known.jit.is_none().then_some(known.module.path.as_path())
    }
}

impl Mapped {
    /// Where a frame is; `None` if it is none.
    pub fn place(&self, frame: &RawFrame) -> Option<Place> {
        if frame.kind != FrameKind::Native {
            return None;
        }
        if let Some(place) = frame.code.and_then(|id| self.codes.get(id.0 as usize)) {
            return Some(*place);
        }
        // The call is before the address to return to.
        let call = frame.address.wrapping_sub(1);
        let inside = frame.module.and_then(|id| {
            let (module, bias) = (
                self.modules.get(id.0 as usize)?,
                self.biases.get(id.0 as usize)?,
            );
            Some(Place {
                module: *module,
                at: call.wrapping_sub(*bias),
            })
        });
        Some(inside.unwrap_or(Place {
            module: self.jit,
            at: call,
        }))
    }

    /// Whether one module stood at several places in turn: a library that was unloaded and
    /// loaded again.
    pub fn reloaded(&self) -> bool {
        let mut seen = HashSet::new();
        !self.modules.iter().all(|module| seen.insert(module))
    }

    /// The modules' numbers in [`Names`].
    pub fn modules(&self) -> &[u32] {
        &self.modules
    }
}
