//! Links libgcc's unwinder (the self-check's) into the library.
//!
//! rustc asks for `-lgcc_s`, which would be one more library to load in every
//! process, with constructors that question the processor (slow in virtual
//! machines). A linker script of that name, found first, gives the static one.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n").expect("OUT_DIR is writable");
    // It brings a `__register_frame` of its own; the hook's comes first and stands.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,muldefs");
    println!("cargo::rustc-link-search=native={}", out.display());
}
