//! Links libgcc's unwinder (the self-check's) into the library.
//!
//! rustc asks for `-lgcc_s`, which would be one more library to load in every
//! process, with constructors that question the processor (slow in virtual
//! machines). A linker script of that name, found first, gives the static one,
//! less its `__register_frame`, whose name is a hook's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    if static_unwinder(&out).is_none() {
        println!(
            "cargo::warning=no static libgcc_eh.a or objcopy: libleak.so will load libgcc_s.so.1"
        );
    }
}

fn static_unwinder(out: &Path) -> Option<()> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let printed = Command::new(compiler)
        .arg("-print-file-name=libgcc_eh.a")
        .output()
        .ok()?;
    let archive = PathBuf::from(String::from_utf8(printed.stdout).ok()?.trim());
    let renamed = out.join("libleak_unwinder.a");
    let mut objcopy = Command::new("objcopy");
    for name in ["__register_frame", "__deregister_frame"] {
        objcopy
            .arg("--redefine-sym")
            .arg(format!("{name}=leak_unused{name}"));
    }
    if !archive.is_absolute() || !objcopy.arg(&archive).arg(&renamed).status().ok()?.success() {
        return None;
    }
    fs::write(out.join("libgcc_s.so"), "GROUP ( -lleak_unwinder -lgcc )\n").ok()?;
    println!("cargo::rustc-link-search=native={}", out.display());
    Some(())
}
