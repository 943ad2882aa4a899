//! Debug information inside the program, in all the forms compilers and linkers give it.

mod common;

use common::{PROGRAM, Workshop, expect_program_frames, line_of};
use leak_symbolizer::{Detail, Options};

fn frames_with(flags: &str) {
    let shop = Workshop::with_program();
    shop.run(&format!("gcc -O2 {flags} -o app program.c"));
    shop.expect_all("app", shop.probe("app"), &Options::default());
}

#[test]
fn dwarf_4_tells_inlined_frames() {
    frames_with("-gdwarf-4");
}

#[test]
fn dwarf_5_tells_inlined_frames() {
    frames_with("-gdwarf-5");
}

#[test]
fn sixty_four_bit_dwarf_is_read() {
    frames_with("-gdwarf-5 -gdwarf64");
}

#[test]
fn strict_dwarf_4_is_read() {
    frames_with("-gdwarf-4 -gstrict-dwarf");
}

#[test]
fn sections_compressed_with_zlib_are_read() {
    frames_with("-g -gz=zlib");
}

#[test]
fn sections_compressed_the_old_gnu_way_are_read() {
    frames_with("-g -gz=zlib-gnu");
}

#[test]
fn sections_compressed_with_zstd_are_read() {
    let shop = Workshop::with_app();
    shop.run("objcopy --compress-debug-sections=zstd app packed");
    assert!(shop.run("readelf -t packed").contains("ZSTD"));
    shop.expect_all("packed", shop.probe("packed"), &Options::default());
}

#[test]
fn type_units_do_not_confuse_it() {
    frames_with("-gdwarf-4 -fdebug-types-section");
    frames_with("-gdwarf-5 -fdebug-types-section");
}

#[test]
fn link_time_optimisation_is_read() {
    frames_with("-g -flto");
}

#[test]
fn a_program_at_a_fixed_address_is_read() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -g -no-pie -o app program.c");
    // What it prints is relative to its ELF header.
    let address = shop.probe("app") + shop.symbol("app", "__ehdr_start");
    shop.expect_all("app", address, &Options::default());
}

#[test]
fn without_inlines_the_function_is_told_with_its_own_line() {
    let shop = Workshop::with_app();
    let options = Options {
        inlines: false,
        ..Options::default()
    };
    let symbols = shop.look("app", shop.probe("app"), &options);
    let frame = &symbols.frames[0][0];
    assert_eq!(symbols.frames[0].len(), 1);
    assert_eq!(frame.function.as_deref(), Some("physical"));
    assert_eq!(frame.line, Some(line_of(PROGRAM, "physical")));
    assert!(!frame.inlined);
}

#[test]
fn split_debug_information_is_found_where_the_compiler_put_it() {
    for version in [4, 5] {
        let shop = Workshop::with_program();
        shop.run(&format!(
            "gcc -O2 -gdwarf-{version} -gsplit-dwarf -o app program.c"
        ));
        shop.expect_all("app", shop.probe("app"), &Options::default());
    }
}

#[test]
fn split_debug_information_moves_with_the_program() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -g -gsplit-dwarf -o app program.c; mkdir new; mv app *.dwo new");
    shop.expect_all("new/app", shop.probe("new/app"), &Options::default());
}

#[test]
fn a_package_of_split_debug_information_beside_the_program_is_used() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -gdwarf-4 -gsplit-dwarf -o app program.c; dwp -e app -o app.dwp; rm *.dwo");
    shop.expect_all("app", shop.probe("app"), &Options::default());
}

/// The `dwp` of binutils knows DWARF 4 only, so the package is made here: with one unit it is
/// the split file and an index (DWARF 5, section 7.3.5.3).
#[test]
fn a_dwarf_5_package_is_used() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -gdwarf-5 -gsplit-dwarf -o app program.c");
    let dump = shop.run("readelf --debug-dump=info --wide app");
    let id = dump.split("DWO ID:").nth(1).unwrap();
    let id = common::hex(
        id.split_whitespace()
            .next()
            .unwrap()
            .trim_start_matches("0x"),
    );
    let listing = shop.run("readelf -SW app-program.dwo");
    let columns: Vec<(u32, u32)> = [
        (1, "info"),
        (3, "abbrev"),
        (4, "line"),
        (5, "loclists"),
        (6, "str_offsets"),
        (8, "rnglists"),
    ]
    .iter()
    .map(|(column, name)| {
        let behind = listing.split(&format!(".debug_{name}.dwo")).nth(1).unwrap();
        let size = behind.split_whitespace().nth(3).unwrap();
        (*column, u32::try_from(common::hex(size)).unwrap())
    })
    .collect();

    let count = u32::try_from(columns.len()).unwrap();
    let mut index: Vec<u8> = [5, count, 1, 2]
        .iter()
        .flat_map(|word: &u32| word.to_le_bytes())
        .collect();
    let slots: [u64; 2] = if id.is_multiple_of(2) {
        [id, 0]
    } else {
        [0, id]
    };
    index.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
    index.extend(
        slots
            .iter()
            .flat_map(|slot| u32::from(*slot != 0).to_le_bytes()),
    );
    index.extend(columns.iter().flat_map(|(column, _)| column.to_le_bytes()));
    index.extend(columns.iter().flat_map(|_| 0_u32.to_le_bytes()));
    index.extend(columns.iter().flat_map(|(_, size)| size.to_le_bytes()));
    std::fs::write(shop.path("index"), index).unwrap();
    shop.run("objcopy --add-section .debug_cu_index=index app-program.dwo app.dwp; rm *.dwo");
    shop.expect_all("app", shop.probe("app"), &Options::default());
}

#[test]
fn missing_split_debug_information_is_told_and_symbols_serve() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -g -gsplit-dwarf -o app program.c; rm *.dwo");
    let symbols = shop.look("app", shop.probe("app"), &Options::default());
    let problem = symbols.problem.unwrap().to_string();
    assert!(problem.contains(".dwo is missing"), "{problem}");
    let last = symbols.frames[0].last().unwrap();
    assert_eq!(last.function.as_deref(), Some("physical"));
}

#[test]
fn split_debug_information_of_another_build_is_refused() {
    let shop = Workshop::with_program();
    shop.run("gcc -O2 -g -gsplit-dwarf -o app program.c");
    shop.run("gcc -O1 -DX -g -gsplit-dwarf -o app2 program.c; mv app2-program.dwo app-program.dwo");
    let symbols = shop.look("app", shop.probe("app"), &Options::default());
    let problem = symbols.problem.unwrap().to_string();
    assert!(
        problem.contains("belongs to another build") || problem.contains("differs"),
        "{problem}"
    );
}

#[test]
fn thousands_of_addresses_are_answered_in_the_order_asked() {
    use leak_symbolizer::{LocalFiles, Module, Request, symbolize};
    let shop = Workshop::with_app();
    let wanted = shop.probe("app");
    let elsewhere = shop.symbol("app", "main");
    let addresses: Vec<u64> = (0..20_000)
        .map(|i| {
            if i % 3 == 0 {
                wanted
            } else {
                elsewhere + (i % 4000)
            }
        })
        .collect();
    let request = Request {
        module: Module {
            path: shop.path("app"),
            build_id: None,
        },
        addresses,
    };
    let options = Options::default();
    let files = LocalFiles::new(&options);
    let most = std::sync::atomic::AtomicUsize::new(0);
    let progress = |done| {
        most.fetch_max(done, std::sync::atomic::Ordering::Relaxed);
    };
    let symbols = symbolize(std::slice::from_ref(&request), &options, &files, &progress).remove(0);
    assert_eq!(symbols.frames.len(), request.addresses.len());
    assert_eq!(symbols.detail, Detail::Lines);
    for frames in symbols.frames.iter().step_by(3) {
        expect_program_frames(frames);
    }
    let main = symbols.frames.iter().zip(&request.addresses);
    let (main, _) = main
        .clone()
        .find(|(_, address)| **address == elsewhere)
        .unwrap();
    assert_eq!(main.last().unwrap().function.as_deref(), Some("main"));
    let unique: std::collections::HashSet<_> = request.addresses.iter().collect();
    assert_eq!(most.into_inner(), unique.len());
}
