//! Files that are missing, changed or damaged.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::{Workshop, debug_dir, expect_program_frames, look};
use leak_symbolizer::{
    Detail, FileData, FileSource, LocalFiles, Module, Options, Problem, Request, Wanted, symbolize,
};

#[test]
fn a_missing_file_is_told() {
    let module = Module {
        path: "/nowhere/app".into(),
        build_id: None,
    };
    let symbols = look(module, 1, &Options::default());
    assert_eq!(symbols.frames, [[]]);
    assert_eq!(symbols.detail, Detail::Nothing);
    let problem = symbols.problem.unwrap().to_string();
    assert!(
        problem.starts_with("/nowhere/app: cannot be opened"),
        "{problem}"
    );
}

#[test]
fn a_wrong_build_id_is_refused() {
    let shop = Workshop::with_app();
    let module = Module {
        path: shop.path("app"),
        build_id: Some(vec![0xab; 20]),
    };
    let symbols = look(module, shop.probe("app"), &Options::default());
    assert_eq!(symbols.frames, [[]]);
    let Some(Problem::Changed { found, .. }) = &symbols.problem else {
        panic!("{:?}", symbols.problem);
    };
    assert_eq!(*found, Some(shop.build_id("app")));
    let told = symbols.problem.unwrap().to_string();
    assert!(told.contains("changed since the run"), "{told}");
    assert!(told.contains("abababab"), "{told}");
}

#[test]
fn a_deleted_file_is_replaced_by_its_equal_only() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let path = PathBuf::from(format!("{} (deleted)", shop.path("app").display()));
    let deleted = |build_id| Module {
        path: path.clone(),
        build_id,
    };
    let symbols = look(
        deleted(Some(shop.build_id("app"))),
        address,
        &Options::default(),
    );
    assert_eq!(symbols.problem, None);
    expect_program_frames(&symbols.frames[0]);

    let symbols = look(deleted(None), address, &Options::default());
    assert_eq!(
        symbols.problem,
        Some(Problem::Deleted { path: path.clone() })
    );
    let symbols = look(deleted(Some(vec![1; 20])), address, &Options::default());
    assert!(matches!(symbols.problem, Some(Problem::Changed { .. })));
}

#[test]
fn a_sysroot_stands_for_the_other_machine() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let place = shop.build_id_path("root/usr/lib/debug", "app");
    let build_id = shop.build_id("app");
    shop.run("objcopy --only-keep-debug app app.debug; strip app");
    shop.run("mkdir -p root/opt; mv app root/opt");
    fs::rename(shop.path("app.debug"), place).unwrap();
    let options = Options {
        sysroot: Some(shop.path("root")),
        ..Options::default()
    };
    for build_id in [Some(build_id), None] {
        let module = Module {
            path: "/opt/app".into(),
            build_id,
        };
        let symbols = look(module, address, &options);
        assert_eq!(symbols.problem, None);
        expect_program_frames(&symbols.frames[0]);
    }
}

#[test]
fn a_sysroot_keeps_out_this_machines_files() {
    let shop = Workshop::with_app();
    let options = Options {
        sysroot: Some(shop.path("root")),
        ..Options::default()
    };
    let module = Module {
        path: shop.path("app"),
        build_id: None,
    };
    let symbols = look(module, 1, &options);
    assert!(matches!(symbols.problem, Some(Problem::Missing { .. })));
}

#[test]
fn what_is_no_elf_file_is_told() {
    let shop = Workshop::new();
    shop.write("script", "#!/bin/sh\n");
    shop.write("empty", "");
    shop.run("mkdir directory; mkfifo pipe");
    for (name, said) in [
        ("script", "not a 64-bit"),
        ("empty", ""),
        ("directory", "not a regular file"),
        ("pipe", "not a regular file"),
    ] {
        let module = Module {
            path: shop.path(name),
            build_id: None,
        };
        let problem = look(module, 1, &Options::default())
            .problem
            .unwrap()
            .to_string();
        assert!(problem.contains(said), "{name}: {problem}");
    }
}

#[test]
fn one_bad_module_does_not_spoil_the_others() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let whole = fs::read(shop.path("app")).unwrap();
    fs::write(shop.path("half"), &whole[..whole.len() / 2]).unwrap();
    let request = |name: &str| Request {
        module: Module {
            path: shop.path(name),
            build_id: None,
        },
        addresses: vec![address; 3],
    };
    let options = Options::default();
    let requests = ["half", "app", "missing"].map(request);
    let all = symbolize(&requests, &options, &LocalFiles::new(&options), &|_| {});
    assert!(matches!(all[0].problem, Some(Problem::Damaged { .. })));
    assert!(matches!(all[2].problem, Some(Problem::Missing { .. })));
    assert_eq!(all[1].problem, None);
    for frames in &all[1].frames {
        expect_program_frames(frames);
    }
}

#[test]
fn damaged_lines_leave_the_symbols() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    shop.run("objcopy --compress-debug-sections=zlib app packed");
    let listing = shop.run("readelf -SW packed");
    let line = listing
        .lines()
        .find(|line| line.contains(" .debug_info "))
        .unwrap();
    let words: Vec<_> = line
        .split(".debug_info")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    let (offset, size) = (
        common::hex(words[2]) as usize,
        common::hex(words[3]) as usize,
    );
    let mut bytes = fs::read(shop.path("packed")).unwrap();
    bytes[offset + 30..offset + size - 4].fill(0x55);
    fs::write(shop.path("packed"), bytes).unwrap();
    let symbols = shop.look("packed", address, &Options::default());
    common::expect_only_physical(&symbols);
    let problem = symbols.problem.unwrap().to_string();
    assert!(problem.contains("section .debug_info"), "{problem}");
}

/// Files in memory: no disk is needed to drive the crate.
#[derive(Default)]
struct Memory(HashMap<PathBuf, Vec<u8>>);

impl FileSource for Memory {
    fn candidates(&self, wanted: &Wanted<'_>) -> Vec<PathBuf> {
        match wanted {
            Wanted::Module(module) => vec![module.path.clone()],
            Wanted::DebugById { .. } => vec!["debug".into()],
            _ => Vec::new(),
        }
    }

    fn open(&self, place: &Path) -> io::Result<FileData> {
        let bytes = self.0.get(place).ok_or(io::ErrorKind::NotFound)?;
        Ok(FileData::new(bytes.clone()))
    }
}

#[test]
fn any_source_of_files_will_do() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    shop.run("objcopy --only-keep-debug app debug; strip app");
    let files: HashMap<_, _> = ["app", "debug"]
        .map(|name| (PathBuf::from(name), fs::read(shop.path(name)).unwrap()))
        .into();
    let request = Request {
        module: Module {
            path: "app".into(),
            build_id: None,
        },
        addresses: vec![address],
    };
    let symbols = symbolize(&[request], &Options::default(), &Memory(files), &|_| {});
    assert_eq!(symbols[0].problem, None);
    expect_program_frames(&symbols[0].frames[0]);
}

/// Looks up many addresses in damaged copies of a file. What comes out may be wrong or nothing;
/// it must come out.
fn survive(whole: &[u8], addresses: &[u64], copies: u64) {
    let options = Options::default();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 33) as usize) % below
    };
    for copy in 0..copies {
        let mut bytes = whole.to_vec();
        if copy % 4 == 0 {
            bytes.truncate(random(whole.len()));
        }
        // From a single bit to whole pages, in headers and elsewhere.
        for _ in 0..1 + random(20) {
            if bytes.is_empty() {
                break;
            }
            let at = if random(4) == 0 {
                random(bytes.len().min(64))
            } else {
                random(bytes.len())
            };
            let end = bytes
                .len()
                .min(at + 1 + if random(8) == 0 { random(4096) } else { 0 });
            let value = random(256) as u8;
            bytes[at..end].fill(value);
            // The rest must be reached.
            if copy % 8 != 0 {
                let keep = whole.len().min(bytes.len()).min(64);
                bytes[..keep].copy_from_slice(&whole[..keep]);
            }
        }
        let request = Request {
            module: Module {
                path: "app".into(),
                build_id: None,
            },
            addresses: addresses.to_vec(),
        };
        let files = Memory([(PathBuf::from("app"), bytes)].into());
        let symbols = symbolize(&[request], &options, &files, &|_| {}).remove(0);
        assert_eq!(symbols.frames.len(), addresses.len());
        assert!(
            !matches!(symbols.problem, Some(Problem::Internal { .. })),
            "copy {copy}: {:?}",
            symbols.problem
        );
    }
}

#[test]
fn damaged_files_are_survived() {
    // More of them where there is time: LEAK_DAMAGED_COPIES=100000.
    let copies = std::env::var("LEAK_DAMAGED_COPIES").map_or(400, |n| n.parse().unwrap());
    let shop = Workshop::with_program();
    for flags in ["-g", "-gdwarf-4", "-g -gz=zlib", "-g -gsplit-dwarf"] {
        shop.run(&format!("gcc -O2 {flags} -o app program.c"));
        let mut addresses: Vec<u64> = (0x1000..0x1300).step_by(7).collect();
        addresses.extend([0, 1, u64::MAX, u64::MAX - 1, shop.probe("app")]);
        survive(&fs::read(shop.path("app")).unwrap(), &addresses, copies);
    }
}

#[test]
fn damaged_cpp_files_are_survived() {
    let shop = Workshop::new();
    shop.write(
        "app.cpp",
        "extern int out(int); namespace { struct A { int f(int n) { return out(n); } }; } \
         int g(int n) { struct B { int h(int n) { return [&](int m) { return A().f(m + n); }(n) + 1; } }; \
         return B().h(n) + 1; }",
    );
    shop.run("g++ -O2 -g -shared -fPIC -o app app.cpp");
    let start = shop.symbol("app", "_Z1gi");
    let addresses: Vec<u64> = (start..start + 30).collect();
    survive(&fs::read(shop.path("app")).unwrap(), &addresses, 400);
}

#[test]
fn a_debug_directory_that_is_missing_is_no_problem() {
    let shop = Workshop::with_app();
    shop.expect_all("app", shop.probe("app"), &debug_dir("/nowhere".into()));
}

/// The disk, but for one file, on which it panics as a library might on another's contents.
struct Panicking(PathBuf);

impl FileSource for Panicking {
    fn candidates(&self, wanted: &Wanted<'_>) -> Vec<PathBuf> {
        LocalFiles::new(&Options::default()).candidates(wanted)
    }

    fn open(&self, place: &Path) -> io::Result<FileData> {
        assert!(
            place != self.0,
            "index out of bounds in {}",
            place.display()
        );
        LocalFiles::new(&Options::default()).open(place)
    }
}

#[test]
fn a_module_on_which_a_library_panics_costs_its_own_names_only() {
    let shop = Workshop::with_app();
    let bad = shop.path("bad");
    fs::copy(shop.path("app"), &bad).unwrap();
    let address = shop.probe("app");
    let requests = [&bad, &shop.path("app"), &bad].map(|path| Request {
        module: Module {
            path: path.clone(),
            build_id: None,
        },
        addresses: vec![address],
    });
    let answers = symbolize(
        &requests,
        &Options::default(),
        &Panicking(bad.clone()),
        &|_| {},
    );
    expect_program_frames(&answers[1].frames[0]);
    for answer in [&answers[0], &answers[2]] {
        assert_eq!(answer.frames, [[]]);
        let told = answer.problem.as_ref().unwrap().to_string();
        assert!(
            told.contains("/bad: the symbolizer failed") && told.contains("index out of bounds"),
            "{told}"
        );
    }
}
