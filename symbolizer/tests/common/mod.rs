//! Programs that are built for a test, run once to learn an address, and looked up again.

#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use leak_symbolizer::{Frame, LocalFiles, Module, Options, Request, Symbols, symbolize};
use tempfile::TempDir;

/// Prints the return address of the call that is marked `/* inner */`, less the load bias. The
/// marks are where the frames must be.
pub const PROGRAM: &str = r#"
#include <stdio.h>
extern const char __ehdr_start __attribute__((visibility("hidden")));
__attribute__((noinline)) void probe(void) {
    printf("%lx\n", (unsigned long)((char *)__builtin_return_address(0) - &__ehdr_start));
}
static inline __attribute__((always_inline)) void inner(void) {
    probe(); /* inner */
    __asm__ volatile("");
}
static inline __attribute__((always_inline)) void outer(void) {
    __asm__ volatile("");
    inner(); /* outer */
}
__attribute__((noinline)) int physical(int n) {
    outer(); /* physical */
    return n + 1;
}
int main(void) { return physical(1) - 2; }
"#;

/// A directory with one program's sources and files.
pub struct Workshop {
    dir: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Workshop {
            dir: TempDir::new().unwrap(),
        }
    }

    /// A directory that holds `program.c`.
    pub fn with_program() -> Self {
        let shop = Self::new();
        shop.write("program.c", PROGRAM);
        shop
    }

    /// A directory with `program.c` built to `app`: optimised, with debug information.
    pub fn with_app() -> Self {
        let shop = Self::with_program();
        shop.run("gcc -O2 -g -o app program.c");
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        // Real, so that a path told by a tool can be compared.
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a shell line in the directory and gives its output.
    pub fn run(&self, line: &str) -> String {
        let out = Command::new("sh")
            .args(["-ec", line])
            .current_dir(self.path(""))
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{line}: {}\n{}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// The address inside the call that `app` prints.
    pub fn probe(&self, app: &str) -> u64 {
        hex(&self.run(&format!("./{app}"))) - 1
    }

    /// The address of a symbol.
    pub fn symbol(&self, file: &str, name: &str) -> u64 {
        let all = self.run(&format!("nm -D {file}; nm {file}"));
        let line = all.lines().find(|line| line.ends_with(&format!(" {name}")));
        hex(line.unwrap().split(' ').next().unwrap())
    }

    pub fn build_id(&self, file: &str) -> Vec<u8> {
        let notes = self.run(&format!("readelf -n {file}"));
        let id = notes.split("Build ID: ").nth(1).unwrap();
        let digits: Vec<_> = id.split_whitespace().next().unwrap().chars().collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    /// `DIR/.build-id/xx/yyyy.debug`, with its directory made.
    pub fn build_id_path(&self, dir: &str, file: &str) -> PathBuf {
        let id: Vec<_> = self
            .build_id(file)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let path = self
            .path(dir)
            .join(".build-id")
            .join(&id[0])
            .join(format!("{}.debug", id[1..].concat()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Looks up one address with the build-id that the file has now.
    pub fn look(&self, file: &str, address: u64, options: &Options) -> Symbols {
        let module = Module {
            path: self.path(file),
            build_id: Some(self.build_id(file)),
        };
        look(module, address, options)
    }

    /// Fails unless `address` of `file` has the three frames of the program.
    #[track_caller]
    pub fn expect_all(&self, file: &str, address: u64, options: &Options) {
        let symbols = self.look(file, address, options);
        assert_eq!(symbols.problem, None);
        expect_program_frames(&symbols.frames[0]);
    }
}

/// One address of one module.
pub fn look(module: Module, address: u64, options: &Options) -> Symbols {
    let request = Request {
        module,
        addresses: vec![address],
    };
    symbolize(&[request], options, &LocalFiles::new(options), &|_| {}).remove(0)
}

/// `--debug-dir DIR`.
pub fn debug_dir(dir: PathBuf) -> Options {
    Options {
        debug_dirs: vec![dir],
        ..Options::default()
    }
}

pub fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).unwrap()
}

/// The line of a mark in [`PROGRAM`].
pub fn line_of(text: &str, mark: &str) -> u32 {
    let at = text
        .lines()
        .position(|line| line.contains(&format!("/* {mark} */")));
    u32::try_from(at.unwrap()).unwrap() + 1
}

#[track_caller]
pub fn expect_program_frames(frames: &[Frame]) {
    let told: Vec<_> = frames
        .iter()
        .map(|frame| {
            let file = Path::new(frame.file.as_deref().unwrap_or("?"));
            (
                frame.function.as_deref().unwrap_or("?"),
                file.file_name().unwrap().to_str().unwrap(),
                frame.line.unwrap_or(0),
                frame.inlined,
            )
        })
        .collect();
    let line = |mark| line_of(PROGRAM, mark);
    assert_eq!(
        told,
        [
            ("inner", "program.c", line("inner"), true),
            ("outer", "program.c", line("outer"), true),
            ("physical", "program.c", line("physical"), false),
        ]
    );
}

#[track_caller]
pub fn expect_only_physical(symbols: &Symbols) {
    let expected = Frame {
        function: Some("physical".into()),
        ..Frame::default()
    };
    assert_eq!(symbols.frames, [[expected]]);
}
