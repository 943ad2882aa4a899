//! Names without debug information, and names made readable.

mod common;

use common::{Workshop, expect_only_physical, look};
use leak_symbolizer::{Detail, Frame, Module, Options, PerfMap};

fn function(frames: &[Frame]) -> Option<&str> {
    frames.last()?.function.as_deref()
}

#[test]
fn a_symbol_table_names_functions() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -o app program.c");
    let symbols = shop.look("app", shop.probe("app"), &Options::default());
    expect_only_physical(&symbols);
    assert_eq!(symbols.detail, Detail::Functions);
    assert_eq!(symbols.problem, None);
}

#[test]
fn exports_name_functions_of_a_stripped_library() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -shared -fPIC -o lib.so program.c; strip lib.so");
    let address = shop.symbol("lib.so", "physical") + 1;
    let symbols = shop.look("lib.so", address, &Options::default());
    expect_only_physical(&symbols);
    assert_eq!(symbols.detail, Detail::Exports);
}

#[test]
fn the_small_symbol_file_inside_a_stripped_program_is_used() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -o app program.c");
    let address = shop.probe("app");
    shop.run("objcopy --only-keep-debug app mini; xz mini; strip app");
    shop.run("objcopy --add-section .gnu_debugdata=mini.xz app");
    let symbols = shop.look("app", address, &Options::default());
    expect_only_physical(&symbols);
    assert_eq!(symbols.detail, Detail::Functions);
}

#[test]
fn the_public_name_of_a_function_is_preferred_to_its_internal_one() {
    let shop = Workshop::new();
    shop.write(
        "alias.c",
        "int __libc_thing(void) { return 1; }\n\
         int thing(void) __attribute__((alias(\"__libc_thing\")));\n",
    );
    shop.run("gcc -g -shared -fPIC -o alias.so alias.c");
    let symbols = shop.look(
        "alias.so",
        shop.symbol("alias.so", "thing"),
        &Options::default(),
    );
    assert_eq!(function(&symbols.frames[0]), Some("thing"));
    assert_eq!(symbols.frames[0][0].line, Some(1));
}

#[test]
fn an_address_between_functions_has_no_name() {
    let shop = Workshop::new();
    shop.write(
        "gap.s",
        ".globl one, two\n.type one,@function\n.type two,@function\n.text\n\
         one: nop\n.size one,.-one\n.skip 64\ntwo: nop\n.size two,.-two\n",
    );
    shop.run("gcc -shared -nostdlib -o gap.so gap.s");
    let one = shop.symbol("gap.so", "one");
    let at = |address| shop.look("gap.so", address, &Options::default());
    assert_eq!(function(&at(one).frames[0]), Some("one"));
    assert!(at(one + 8).frames[0].is_empty());
    assert_eq!(function(&at(one + 65).frames[0]), Some("two"));
    assert!(at(one + 66).frames[0].is_empty());
}

#[test]
fn assembly_without_sizes_reaches_to_the_next_symbol() {
    let shop = Workshop::new();
    shop.write(
        "bare.s",
        ".globl start, next\n.text\nstart: nop\n.skip 30\nnext: nop\n.data\nvalue: .long 0\n",
    );
    shop.run("gcc -shared -nostdlib -o bare.so bare.s");
    let start = shop.symbol("bare.so", "start");
    let at = |address| shop.look("bare.so", address, &Options::default());
    assert_eq!(function(&at(start + 30).frames[0]), Some("start"));
    assert_eq!(function(&at(start + 31).frames[0]), Some("next"));
    assert!(at(start + 5000).frames[0].is_empty());
}

#[test]
fn a_function_inside_another_leaves_the_outer_one_its_rest() {
    let shop = Workshop::new();
    shop.write(
        "nest.s",
        ".globl outer, inner\n.type outer,@function\n.type inner,@function\n.text\n\
         outer: .skip 10\ninner: .skip 5\n.size inner,.-inner\n.skip 20\n.size outer,.-outer\n",
    );
    shop.run("gcc -shared -nostdlib -o nest.so nest.s");
    let outer = shop.symbol("nest.so", "outer");
    let request = leak_symbolizer::Request {
        module: Module {
            path: shop.path("nest.so"),
            build_id: None,
        },
        addresses: vec![outer + 30, outer + 12, outer + 3, outer + 20],
    };
    let options = Options::default();
    let files = leak_symbolizer::LocalFiles::new(&options);
    let symbols = leak_symbolizer::symbolize(&[request], &options, &files, &|_| {}).remove(0);
    let names: Vec<_> = symbols
        .frames
        .iter()
        .map(|frames| function(frames))
        .collect();
    assert_eq!(
        names,
        [Some("outer"), Some("inner"), Some("outer"), Some("outer")]
    );
}

#[test]
fn of_two_names_for_one_function_the_public_one_is_told() {
    let shop = Workshop::new();
    shop.write(
        "alias.c",
        "int __libc_thing(void) { return 1; }\n\
         int thing(void) __attribute__((alias(\"__libc_thing\")));\n",
    );
    shop.run("gcc -shared -fPIC -o alias.so alias.c");
    let symbols = shop.look(
        "alias.so",
        shop.symbol("alias.so", "thing"),
        &Options::default(),
    );
    assert_eq!(function(&symbols.frames[0]), Some("thing"));
}

#[test]
fn symbol_versions_are_not_part_of_the_name() {
    let shop = Workshop::new();
    shop.write(
        "v.c",
        "int old_f(void) { return 1; } __asm__(\".symver old_f,f@@V1\");",
    );
    shop.write("v.map", "V1 { global: f; };");
    shop.run("gcc -shared -fPIC -Wl,--version-script=v.map -o v.so v.c");
    let address = hex_of(&shop.run("nm -D v.so"), "f@@V1");
    let symbols = shop.look("v.so", address, &Options::default());
    let name = function(&symbols.frames[0]).unwrap();
    assert!(!name.contains('@'), "{name}");
}

fn hex_of(listing: &str, name: &str) -> u64 {
    let line = listing.lines().find(|line| line.ends_with(name)).unwrap();
    common::hex(line.split(' ').next().unwrap())
}

const CPP: &str = r#"
#include <cstdio>
#include <vector>
#include <string>
extern const char __ehdr_start __attribute__((visibility("hidden")));
__attribute__((noinline)) void probe() {
    std::printf("%lx\n", (unsigned long)((char *)__builtin_return_address(0) - &__ehdr_start));
}
namespace shop { namespace {
template <class T> struct Shelf {
    __attribute__((noinline)) int put(const std::vector<T> &v) { probe(); return v.size(); }
};
} }
int main() { shop::Shelf<std::string> s; return s.put({}); }
"#;

#[test]
fn cpp_names_come_with_namespace_and_template() {
    for flags in ["-O2", "-O0 -g", "-O2 -g"] {
        let shop = Workshop::new();
        shop.write("app.cpp", CPP);
        shop.run(&format!("g++ {flags} -o app app.cpp"));
        let symbols = shop.look("app", shop.probe("app"), &Options::default());
        let name = function(&symbols.frames[0]).unwrap();
        assert!(
            name.starts_with("shop::(anonymous namespace)::Shelf<std::"),
            "{flags}: {name}"
        );
        assert!(name.contains("::put("), "{flags}: {name}");
    }
}

#[test]
fn inlined_cpp_functions_come_with_their_scopes() {
    let shop = Workshop::new();
    let text = CPP.replace("noinline)) int put", "always_inline)) int put");
    // Kept from being a tail call, which would leave no frame.
    shop.write(
        "app.cpp",
        &text.replace("probe(); return", "probe(); __asm__(\"\"); return"),
    );
    for flags in ["-gdwarf-4", "-gdwarf-5", "-g -gsplit-dwarf"] {
        shop.run(&format!("g++ -O2 {flags} -o app app.cpp"));
        let symbols = shop.look("app", shop.probe("app"), &Options::default());
        let frame = &symbols.frames[0][0];
        let name = frame.function.as_deref().unwrap();
        assert!(frame.inlined, "{symbols:?}");
        assert!(
            name.starts_with("shop::(anonymous namespace)::Shelf<std::")
                && name.ends_with(">::put"),
            "{flags}: {name}"
        );
    }
}

const RUST: &str = r#"
mod shelf {
    pub trait Put { fn put(&self) -> usize; }
    impl<T> Put for Vec<T> {
        #[inline(never)]
        fn put(&self) -> usize { std::hint::black_box(self.len()) }
    }
}
fn main() {
    use shelf::Put;
    let f: fn(&Vec<String>) -> usize = <Vec<String> as Put>::put;
    println!("{:x}", f as usize);
    std::process::exit(f(&Vec::new()) as i32);
}
"#;

#[test]
fn rust_names_come_without_their_hash() {
    for flags in ["-g", "-g -C symbol-mangling-version=v0", "-O"] {
        let shop = Workshop::new();
        shop.write("app.rs", RUST);
        // At a fixed address, so that a function pointer is its ELF address.
        shop.run(&format!(
            "rustc {flags} -C relocation-model=static -o app app.rs"
        ));
        let address = common::hex(&shop.run("./app"));
        let symbols = shop.look("app", address, &Options::default());
        let name = function(&symbols.frames[0]).unwrap();
        assert!(name.ends_with("::put"), "{flags}: {name}");
        assert!(name.contains("shelf::Put"), "{flags}: {name}");
    }
}

#[test]
fn a_perf_map_is_loaded_from_its_file() {
    let shop = Workshop::new();
    shop.write("perf-1.map", "7f00 20 LazyCompile:*hot /app/x.js:3:9\n");
    let map = PerfMap::load(shop.path("perf-1.map")).unwrap();
    assert_eq!(map.lookup(0x7f10), Some("LazyCompile:*hot /app/x.js:3:9"));
    assert!(PerfMap::load(shop.path("perf-2.map")).is_err());
}

#[test]
fn a_name_that_is_no_file_is_no_problem() {
    for name in [
        "[vdso]",
        "linux-vdso.so.1",
        "",
        "//anon",
        "/memfd:jit (deleted)",
    ] {
        let module = Module {
            path: name.into(),
            build_id: None,
        };
        let symbols = look(module, 0x1000, &Options::default());
        assert_eq!(symbols.problem, None, "{name}");
        assert_eq!(symbols.frames, [[]]);
    }
}
