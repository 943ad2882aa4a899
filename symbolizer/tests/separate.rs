//! Debug information in files of its own, and how they are found and checked.

mod common;

use std::fs;

use common::{Workshop, debug_dir, expect_only_physical, look};
use leak_symbolizer::{Detail, Module, Options, Problem};

/// `app` stripped, `app.debug` beside it, linked by name; without a build-id if asked, so that
/// only the link can lead there.
fn stripped(flags: &str) -> (Workshop, u64) {
    let shop = Workshop::with_program();
    shop.run(&format!("gcc -O2 -g {flags} -o app program.c"));
    let address = shop.probe("app");
    shop.run("objcopy --only-keep-debug app app.debug; strip app");
    shop.run("objcopy --add-gnu-debuglink=app.debug app");
    (shop, address)
}

fn without_id(shop: &Workshop) -> Module {
    Module {
        path: shop.path("app"),
        build_id: None,
    }
}

#[track_caller]
fn found(shop: &Workshop, address: u64, options: &Options) {
    let symbols = look(without_id(shop), address, options);
    assert_eq!(symbols.problem, None);
    common::expect_program_frames(&symbols.frames[0]);
}

#[test]
fn a_linked_debug_file_is_found_beside_the_program() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    found(&shop, address, &Options::default());
}

#[test]
fn a_linked_debug_file_is_found_in_the_debug_subdirectory() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    shop.run("mkdir .debug; mv app.debug .debug");
    found(&shop, address, &Options::default());
}

#[test]
fn a_linked_debug_file_is_found_in_a_debug_directory() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    // Under the program's own directory, as distributions lay it out.
    let here = shop.path("");
    let inner = here.to_str().unwrap();
    shop.run(&format!("mkdir -p dbg{inner}; mv app.debug dbg{inner}"));
    found(&shop, address, &debug_dir(shop.path("dbg")));
}

#[test]
fn a_linked_debug_file_is_found_through_a_symbolic_link() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    shop.run("mkdir real; mv app app.debug real; ln -s real/app app");
    found(&shop, address, &Options::default());
}

#[test]
fn a_linked_debug_file_with_another_checksum_is_refused() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    shop.run("echo x >> app.debug");
    let symbols = look(without_id(&shop), address, &Options::default());
    assert_eq!(symbols.frames, [[]]);
    assert_eq!(
        symbols.problem,
        Some(Problem::WrongDebugFile {
            path: shop.path("app.debug"),
            module: shop.path("app"),
        })
    );
}

#[test]
fn a_second_place_is_tried_when_the_first_is_wrong() {
    let (shop, address) = stripped("-Wl,--build-id=none");
    shop.run("mkdir .debug; cp app.debug .debug; echo x >> app.debug");
    found(&shop, address, &Options::default());
}

#[test]
fn a_debug_file_is_found_by_build_id() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let place = shop.build_id_path("dbg", "app");
    shop.run("objcopy --only-keep-debug app app.debug; strip app");
    fs::rename(shop.path("app.debug"), place).unwrap();
    shop.expect_all("app", address, &debug_dir(shop.path("dbg")));
}

#[test]
fn a_debug_file_by_build_id_serves_when_the_program_is_gone() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let place = shop.build_id_path("dbg", "app");
    let module = Module {
        path: shop.path("app"),
        build_id: Some(shop.build_id("app")),
    };
    shop.run("objcopy --only-keep-debug app app.debug; rm app");
    fs::rename(shop.path("app.debug"), place).unwrap();
    let symbols = look(module, address, &debug_dir(shop.path("dbg")));
    assert_eq!(symbols.problem, None);
    common::expect_program_frames(&symbols.frames[0]);
}

#[test]
fn the_program_itself_may_lie_in_a_debug_directory() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let module = Module {
        path: "/nowhere/app".into(),
        build_id: Some(shop.build_id("app")),
    };
    let symbols = look(module, address, &debug_dir(shop.path("")));
    assert_eq!(symbols.problem, None);
    common::expect_program_frames(&symbols.frames[0]);
}

#[test]
fn a_debug_file_with_another_build_id_is_refused() {
    let shop = Workshop::with_app();
    let address = shop.probe("app");
    let place = shop.build_id_path("dbg", "app");
    shop.run("gcc -O1 -g -o other program.c; objcopy --only-keep-debug other other.debug");
    shop.run("objcopy --strip-debug app");
    fs::rename(shop.path("other.debug"), &place).unwrap();
    let symbols = shop.look("app", address, &debug_dir(shop.path("dbg")));
    expect_only_physical(&symbols);
    assert_eq!(symbols.detail, Detail::Functions);
    let problem = symbols.problem.unwrap();
    assert_eq!(problem.path(), place);
}

#[test]
fn the_debug_files_symbols_serve_without_lines() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -o app program.c");
    let address = shop.probe("app");
    let place = shop.build_id_path("dbg", "app");
    shop.run("objcopy --only-keep-debug app app.debug; strip app");
    fs::rename(shop.path("app.debug"), place).unwrap();
    let symbols = shop.look("app", address, &debug_dir(shop.path("dbg")));
    expect_only_physical(&symbols);
}

/// Types that two programs have in common.
const SHARED: &str = "
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
struct shared_a { pthread_t t; siginfo_t s; struct sigaction a; FILE *f; } sa;
struct shared_b { struct shared_a a[9]; pthread_mutex_t m; pthread_cond_t c; } sb;
";

/// Two programs whose common debug information dwz moved to a third file.
fn with_dwz(flags: &str) -> (Workshop, u64) {
    let shop = Workshop::with_program();
    // Large enough that sharing pays.
    shop.write(
        "program.c",
        &format!("{SHARED}#line 1 \"program.c\"\n{}", common::PROGRAM),
    );
    shop.run(&format!(
        "gcc -O2 {flags} -o app program.c; gcc -O1 {flags} -o app2 program.c"
    ));
    shop.run("dwz -m common.dwz -r app app2");
    assert!(shop.run("readelf -S app").contains(".gnu_debugaltlink"));
    let address = shop.probe("app");
    (shop, address)
}

#[test]
fn a_supplementary_file_beside_the_program_is_used() {
    for flags in ["-gdwarf-4", "-gdwarf-5"] {
        let (shop, address) = with_dwz(flags);
        shop.expect_all("app", address, &Options::default());
    }
}

#[test]
fn a_supplementary_file_is_found_in_a_debug_directory() {
    let (shop, address) = with_dwz("-g");
    shop.run("mkdir -p dbg/.dwz; mv common.dwz dbg/.dwz");
    shop.expect_all("app", address, &debug_dir(shop.path("dbg")));
}

#[test]
fn a_missing_supplementary_file_is_told_and_the_rest_serves() {
    let (shop, address) = with_dwz("-g");
    shop.run("rm common.dwz");
    let symbols = shop.look("app", address, &Options::default());
    assert!(matches!(
        symbols.problem,
        Some(Problem::NoSupplement { .. })
    ));
    let last = symbols.frames[0].last().unwrap();
    assert_eq!(last.function.as_deref(), Some("physical"));
}
