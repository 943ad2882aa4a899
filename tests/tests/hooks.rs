//! Every function of the family: exact counts and bytes, failures, errno, and what is
//! no block at all.
//!
//! Expectations stand in each program's first comment. What libc and the loader allocate
//! by themselves is left out by asking for the stacks with a function of the program, or
//! by taking away the totals of the same program with zero rounds.

use leak_tests::{Program, Run, Sums, Totals};

/// The size that `family` asks for in its i-th call.
fn wanted(i: u64) -> u64 {
    1 + 7 * (i % 100)
}

fn family(function: &str, calls: u64, release: &str) -> Run {
    Run::program("family").args([function, &calls.to_string(), release])
}

/// One function of the family, with exact expectations from the size of each call.
fn exact(function: &str, release: &str, size: impl Fn(u64) -> u64) {
    const CALLS: u64 = 1000; // 3k + 1
    let run = family(function, CALLS, release);
    let report = run.checked().report();
    let base = family(function, 0, release).checked().report();
    let kept = (0..CALLS).filter(|i| i % 3 == 0);
    let expected = Totals {
        allocations: CALLS,
        frees: CALLS - CALLS.div_ceil(3),
        reallocations: 0,
        allocated_bytes: (0..CALLS).map(&size).sum(),
        live_blocks: CALLS.div_ceil(3),
        live_bytes: kept.map(&size).sum(),
        temporary: 0,
    };
    assert_eq!(
        report.totals() - base.totals(),
        expected,
        "totals of {function}"
    );

    let sums = report.within(&format!("call_{function}"));
    assert_eq!(
        Sums {
            sites: 0,
            peak_bytes: 0,
            ..sums
        },
        Sums {
            sites: 0,
            blocks: expected.live_blocks,
            bytes: expected.live_bytes,
            allocations: expected.allocations,
            allocated_bytes: expected.allocated_bytes,
            peak_bytes: 0,
            temporary: 0,
        },
        "sites of {function}"
    );
    assert!(
        report
            .sites_within(&format!("call_{function}"))
            .all(|site| leak_tests::report::contains(site, "main"))
    );
}

fn rounded(i: u64) -> u64 {
    wanted(i).next_multiple_of(64)
}

#[test]
fn malloc_is_counted_exactly() {
    exact("malloc", "free", wanted);
}

#[test]
fn calloc_is_counted_exactly() {
    exact("calloc", "free", |i| 3 * wanted(i));
}

#[test]
fn realloc_of_nothing_is_an_allocation() {
    exact("realloc", "free", wanted);
}

#[test]
fn reallocarray_of_nothing_is_an_allocation() {
    exact("reallocarray", "free", |i| 5 * wanted(i));
}

#[test]
fn posix_memalign_is_counted_exactly() {
    exact("posix_memalign", "free", wanted);
}

#[test]
fn aligned_alloc_is_counted_exactly() {
    exact("aligned_alloc", "free", rounded);
}

#[test]
fn memalign_is_counted_exactly() {
    exact("memalign", "free", wanted);
}

#[test]
fn valloc_is_counted_exactly() {
    exact("valloc", "free", wanted);
}

#[test]
fn pvalloc_is_counted_exactly() {
    exact("pvalloc", "free", wanted);
}

#[test]
fn an_allocation_inside_libc_is_counted_with_its_caller() {
    exact("strdup", "free", wanted);
}

#[test]
fn cfree_ends_a_block() {
    exact("malloc", "cfree", wanted);
}

#[test]
fn free_sized_ends_a_block() {
    exact("malloc", "free_sized", wanted);
}

#[test]
fn free_aligned_sized_ends_a_block() {
    exact("aligned_alloc", "free_aligned_sized", rounded);
}

#[test]
fn the_library_exports_every_function_of_the_family() {
    let listed = std::process::Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(leak_tests::tools::library())
        .output()
        .expect("nm of binutils");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let defined: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    for name in [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "free",
        "cfree",
        "posix_memalign",
        "aligned_alloc",
        "memalign",
        "valloc",
        "pvalloc",
        "free_sized",
        "free_aligned_sized",
    ] {
        assert!(
            defined
                .iter()
                .any(|symbol| symbol.split('@').next() == Some(name)),
            "{name} is not exported"
        );
    }
    // Nothing but what it takes over: a name too many could replace one of the program's.
    for name in &defined {
        assert!(
            !name.contains("rust_") && !name.starts_with("_ZN"),
            "{name} leaks out of the library"
        );
    }
}

fn reallocs(mode: &str) -> (Totals, leak_tests::Report) {
    let run = Run::program("reallocs").args([mode, "100"]);
    let report = run.checked().report();
    let base = Run::program("reallocs")
        .args([mode, "0"])
        .checked()
        .report();
    (report.totals() - base.totals(), report)
}

/// allocations, frees, reallocations, allocated bytes, live blocks, live bytes.
fn assert_reallocs(mode: &str, expected: [u64; 6]) {
    let (totals, report) = reallocs(mode);
    let found = [
        totals.allocations,
        totals.frees,
        totals.reallocations,
        totals.allocated_bytes,
        totals.live_blocks,
        totals.live_bytes,
    ];
    assert_eq!(
        found, expected,
        "{mode}: allocations, frees, reallocations, allocated bytes, live blocks, live bytes"
    );
    let sums = report.within(mode);
    assert_eq!(
        [sums.blocks, sums.bytes],
        [expected[4], expected[5]],
        "{mode}: live blocks and bytes by site"
    );
    assert_eq!(
        sums.allocated_bytes, expected[3],
        "{mode}: allocated bytes by site"
    );
}

#[test]
fn realloc_that_grows_keeps_one_block_of_the_new_size() {
    assert_reallocs("grow", [100, 0, 100, 30_000, 100, 20_000]);
}

#[test]
fn realloc_that_shrinks_keeps_one_block_of_the_new_size() {
    assert_reallocs("shrink", [100, 0, 100, 25_000, 100, 5_000]);
}

#[test]
fn realloc_that_moves_leaves_nothing_at_the_old_address() {
    assert_reallocs(
        "move",
        [
            200,
            0,
            100,
            6_400 + 3_200 + 10_000_000,
            200,
            3_200 + 10_000_000,
        ],
    );
}

#[test]
fn realloc_to_nothing_is_a_free() {
    assert_reallocs("zero", [100, 100, 0, 4_000, 0, 0]);
}

#[test]
fn a_failing_realloc_leaves_the_old_block_alive() {
    assert_reallocs("failing", [100, 0, 0, 4_000, 100, 4_000]);
    let said = Run::program("reallocs")
        .args(["failing", "100"])
        .under_leak()
        .stdout;
    assert!(said.contains("200 of 200 say ENOMEM"), "{said}");
}

#[test]
fn realloc_of_a_null_pointer_is_an_allocation() {
    assert_reallocs("null", [100, 0, 0, 2_400, 100, 2_400]);
}

#[test]
fn reallocarray_is_a_realloc_of_the_product() {
    assert_reallocs("array", [100, 0, 100, 12_000, 100, 8_000]);
}

#[test]
fn a_chain_of_reallocs_is_one_block() {
    assert_reallocs("chain", [1, 0, 99, 5_050, 1, 100]);
}

#[test]
fn a_reallocated_block_can_be_freed() {
    let (totals, report) = reallocs("freed");
    assert_eq!(
        (
            totals.allocations,
            totals.frees,
            totals.reallocations,
            totals.live_blocks
        ),
        (100, 100, 100, 0)
    );
    assert_eq!(report.within("grow").blocks, 0);
}

#[test]
fn a_reallocated_block_belongs_to_the_stack_that_reallocated_it() {
    // In `grow` the two calls stand on different lines, so on different stacks.
    let (_, report) = reallocs("grow");
    let live: Vec<u64> = report
        .sites_within("grow")
        .filter_map(|site| site["blocks"].as_u64())
        .collect();
    assert_eq!(
        live.iter().filter(|&&blocks| blocks > 0).count(),
        1,
        "{live:?}"
    );
}

#[test]
fn blocks_of_no_bytes_are_blocks() {
    let run = |rounds: &str| Run::program("zero_sizes").arg(rounds);
    let totals = run("50").totals_beyond(&run("0"));
    assert_eq!(
        (totals.allocations, totals.frees, totals.live_blocks),
        (600, 300, 300)
    );
    assert_eq!(
        (
            totals.allocated_bytes,
            totals.live_bytes,
            totals.reallocations
        ),
        (0, 0, 0)
    );
}

#[test]
fn calls_that_fail_count_as_nothing_and_keep_errno() {
    let run = |rounds: &str| Run::program("huge_sizes").arg(rounds);
    assert_eq!(run("20").totals_beyond(&run("0")), Totals::default());
    let kept = run("20").checked().report().within("keep");
    assert_eq!((kept.allocations, kept.blocks, kept.bytes), (1, 1, 64));
}

#[test]
fn errno_is_untouched_by_calls_that_succeed() {
    let report = Run::program("errno_kept").arg("100000").checked().report();
    let kept = report.within("keep");
    assert_eq!((kept.blocks, kept.bytes), (1000, 8000));
    assert_eq!(report.within("round_of").blocks, 1000);
}

#[test]
fn malloc_usable_size_says_the_same_as_without_leak() {
    assert_eq!(
        Run::program("usable_size")
            .checked()
            .report()
            .within("main")
            .blocks,
        0
    );
}

#[test]
fn mappings_are_passed_through_and_are_no_blocks() {
    let run = |count: &str| Run::program("mappings").arg(count);
    assert_eq!(run("200").totals_beyond(&run("0")), Totals::default());
}

/// Mappings and their bytes at the end, beyond those of a program that does nothing.
fn mapped(what: &str, count: &str) -> (u64, u64) {
    let of = |what: &str| {
        let report = Run::program("mappings_exact")
            .args([what, count])
            .checked()
            .report();
        (
            report.number("totals.mappings"),
            report.number("totals.mapped_bytes"),
        )
    };
    let (base, own) = (of("nothing"), of(what));
    (own.0 - base.0, own.1 - base.1)
}

#[test]
fn mappings_and_the_break_are_exact_also_where_a_call_fails() {
    const PAGE: u64 = 4096;
    assert_eq!(mapped("map", "50").1, 50 * 3 * PAGE);
    assert_eq!(mapped("unmap", "50"), (1, 3 * PAGE));
    assert_eq!(mapped("remap", "50").1, 50 * 5 * PAGE);
    assert_eq!(mapped("brk", "50").1, 49 * PAGE);
}

#[test]
fn mappings_that_threads_make_and_remove_at_once_are_exact() {
    for _ in 0..3 {
        assert_eq!(mapped("threads", "20000").1, 4 * 4096);
    }
}

#[test]
fn operators_new_and_delete_are_counted_once() {
    let run = |rounds: &str| Run::program("operators").arg(rounds);
    let report = run("100").checked().report();
    let kept = report.within("kept");
    assert_eq!(
        (kept.blocks, kept.allocations, kept.bytes),
        (800, 800, 4 * 100 * 40 + 4 * 100 * 128)
    );
    let freed = report.within("freed");
    assert_eq!((freed.blocks, freed.allocations), (0, 1700));
    assert_eq!(report.within("throws").blocks, 0);
    let base = run("0").checked().report();
    let totals = report.totals() - base.totals();
    assert_eq!(totals.live_blocks, 800);
}

#[test]
fn a_program_with_its_own_operator_new_is_counted_by_the_malloc_inside() {
    let run = |count: &str| Run::program("own_new").arg(count);
    let totals = run("100").totals_beyond(&run("0"));
    assert_eq!(
        (totals.allocations, totals.frees, totals.allocated_bytes),
        (100, 50, 5600)
    );
    let made = run("100").checked().report().within("make");
    assert_eq!((made.blocks, made.bytes), (50, 2800));
}

#[test]
fn temporary_blocks_are_those_freed_before_the_next_allocation() {
    let report = Run::program("temporary").arg("1000").checked().report();
    let brief = report.within("brief_ones");
    assert_eq!(
        (brief.allocations, brief.temporary, brief.blocks),
        (1000, 1000, 0)
    );
    assert_eq!(report.within("inner").temporary, 1000);
    assert_eq!(report.within("outer").temporary, 0);
    assert_eq!(report.within("outer").allocations, 1000);
    let lasting = report.within("lasting_ones");
    assert_eq!(
        (lasting.allocations, lasting.temporary, lasting.blocks),
        (1000, 0, 1)
    );
    let run = |count: &str| Run::program("temporary").arg(count);
    assert_eq!(run("1000").totals_beyond(&run("0")).temporary, 2000);
}

/// The peak by site function, and everything of the program added up.
fn peaks(mode: &str, functions: &[&str]) -> Vec<u64> {
    let report = Run::program("peak").arg(mode).checked().report();
    let beyond_program = report.everywhere().peak_bytes - report.within("main").peak_bytes;
    let mut found: Vec<u64> = functions
        .iter()
        .map(|function| report.within(function).peak_bytes)
        .collect();
    found.push(report.number("totals.peak_bytes") - beyond_program);
    found
}

#[test]
fn the_peak_and_its_sites_are_exact() {
    assert_eq!(
        peaks("plain", &["base", "crest", "after"]),
        [100_000, 150_000, 0, 250_000]
    );
}

#[test]
fn a_peak_within_thousands_of_short_lived_blocks_is_exact() {
    assert_eq!(
        peaks("hidden", &["base", "wave", "foam"]),
        [100_000, 10_700, 700, 110_700]
    );
}

#[test]
fn a_peak_of_one_short_lived_block_is_exact() {
    assert_eq!(
        peaks("tall", &["tower", "brief", "base"]),
        [40_000_000, 0, 0, 40_000_000]
    );
}

#[test]
fn a_peak_reached_by_realloc_is_exact() {
    assert_eq!(
        peaks("moved", &["swell", "base"]),
        [5_000_000, 0, 5_000_000]
    );
}

#[test]
fn a_peak_at_the_end_of_a_steady_rise_is_exact() {
    assert_eq!(
        peaks("rising", &["climb", "brief"]),
        [1_000_020, 30, 1_000_020]
    );
}

#[test]
fn a_peak_that_two_threads_share_is_exact() {
    let report = Run::program("peak_of_threads").checked().report();
    let of = |function: &str| report.within(function).peak_bytes;
    assert_eq!(
        (of("left"), of("right"), of("brief"), of("keep")),
        (300_000, 700_000, 0, 0)
    );
    assert_eq!(report.within("keep").bytes, 500);
}

#[test]
fn counts_do_not_depend_on_how_the_program_was_compiled() {
    let variants: [&[&str]; 10] = [
        &["-O0"],
        &["-O2"],
        &["-O3", "-funroll-loops"],
        &["-Os"],
        &["-fno-omit-frame-pointer"],
        &["-no-pie"],
        &["-fcf-protection=full"],
        &["-mstackrealign"],
        &["-fstack-protector-all", "-fstack-clash-protection"],
        &["-Wl,-z,now,-z,relro", "-Wl,--hash-style=gnu", "-s"],
    ];
    let kept: u64 = (0..300).map(|tenth| 1 + (tenth * 10) % 50).sum();
    for flags in variants {
        let program = Program::new("tree").flags(flags.iter().copied());
        let run = |count: &str| Run::executable(program.build()).arg(count);
        let outcome = run("3000").checked();
        let report = outcome.report();
        let totals = report.totals() - run("0").checked().report().totals();
        assert_eq!(
            (
                totals.allocations,
                totals.frees,
                totals.live_blocks,
                totals.live_bytes
            ),
            (3000, 2700, 300, kept),
            "{flags:?}"
        );
        assert_eq!(report.number("loss.unwinds_truncated"), 0, "{flags:?}");
        if !flags.contains(&"-s") {
            assert_eq!(
                report.within_all(&["main", "keep"]).blocks,
                300,
                "{flags:?}"
            );
        }
    }
}

#[test]
fn a_program_without_unwind_tables_keeps_its_counts() {
    let program = Program::new("tree").flags([
        "-fno-asynchronous-unwind-tables",
        "-fno-unwind-tables",
        "-O2",
    ]);
    let run = |count: &str| Run::executable(program.build()).arg(count);
    let totals = run("3000").totals_beyond(&run("0"));
    assert_eq!(
        (totals.allocations, totals.frees, totals.live_blocks),
        (3000, 2700, 300)
    );
}

#[test]
fn a_rust_program_is_traced_like_any_other() {
    let report = Run::program("boxes").checked().report();
    let boxes = report.within("forget_boxes");
    assert_eq!((boxes.blocks, boxes.bytes), (12, 2400));
    let vector = report.within("grow_vector");
    assert_eq!((vector.blocks, vector.bytes), (1, 8192));
    // What glibc keeps of the threads' stacks for the next ones is not the program's.
    assert_eq!(
        report.within_but("nothing_left", "pthread_create").blocks,
        0
    );
}

#[test]
fn sizes_beyond_32_bits_are_exact() {
    const LARGE: u64 = 5 * 1024 * 1024 * 1024 + 1;
    let run = Run::program("large_blocks");
    if run.plain().status.code() == Some(77) {
        return eprintln!("skipped: this machine promises no 15 GiB");
    }
    let report = run.checked().report();
    let kept = report.within("large_keeps");
    assert_eq!(
        (kept.blocks, kept.bytes, kept.allocated_bytes),
        (2, 2 * LARGE, 3 * LARGE)
    );
    assert_eq!(kept.peak_bytes, 3 * LARGE);
}
