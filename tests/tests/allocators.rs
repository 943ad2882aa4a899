//! Other allocators preloaded behind libleak: they stay the allocator, and the counts are the
//! same as with glibc's.

use leak_tests::{Run, library_or_skip};
use std::path::PathBuf;

fn jemalloc() -> Option<PathBuf> {
    library_or_skip(&["libjemalloc.so.2"])
}

fn tcmalloc() -> Option<PathBuf> {
    library_or_skip(&["libtcmalloc_minimal.so.4"])
}

fn mimalloc() -> Option<PathBuf> {
    library_or_skip(&["libmimalloc.so.2", "libmimalloc.so.2.0"])
}

/// Every function of the family, with the counts that hooks.rs expects of glibc.
fn family(allocator: PathBuf) {
    const CALLS: u64 = 1000;
    for (function, factor) in [
        ("malloc", 1),
        ("calloc", 3),
        ("realloc", 1),
        ("reallocarray", 5),
        ("posix_memalign", 1),
        ("memalign", 1),
        ("valloc", 1),
        ("pvalloc", 1),
        ("strdup", 1),
    ] {
        let run = |calls: u64| {
            Run::program("family")
                .args([function, &calls.to_string()])
                .behind(&allocator)
        };
        if !run(CALLS).plain().status.success() {
            // jemalloc has no pvalloc: glibc's block then meets jemalloc's free.
            assert_eq!(
                function,
                "pvalloc",
                "{} fails without leak",
                allocator.display()
            );
            eprintln!("skipped: {function} of {}", allocator.display());
            continue;
        }
        let totals = run(CALLS).totals_beyond(&run(0));
        let bytes: u64 = (0..CALLS).map(|i| factor * (1 + 7 * (i % 100))).sum();
        assert_eq!(
            (
                totals.allocations,
                totals.frees,
                totals.reallocations,
                totals.allocated_bytes
            ),
            (CALLS, 666, 0, bytes),
            "{function}"
        );
    }
}

fn the_rest(allocator: PathBuf) {
    for (mode, expected) in [
        ("grow", [100, 0, 100, 30_000, 100]),
        ("shrink", [100, 0, 100, 25_000, 100]),
        ("failing", [100, 0, 0, 4_000, 100]),
        ("null", [100, 0, 0, 2_400, 100]),
        ("chain", [1, 0, 99, 5_050, 1]),
        ("freed", [100, 100, 100, 30_000, 0]),
    ] {
        let run = |count: &str| {
            Run::program("reallocs")
                .args([mode, count])
                .behind(&allocator)
        };
        let totals = run("100").totals_beyond(&run("0"));
        let found = [
            totals.allocations,
            totals.frees,
            totals.reallocations,
            totals.allocated_bytes,
            totals.live_blocks,
        ];
        assert_eq!(found, expected, "{mode}");
    }

    let operators = |mode: &[&str]| {
        let run = Run::program("operators").arg("100").args(mode);
        run.behind(&allocator)
    };
    let mode: &[&str] = if operators(&[]).plain().status.success() {
        &[]
    } else {
        &["calm"]
    };
    let kept = operators(mode).checked().report();
    assert_eq!(
        (kept.within("kept").blocks, kept.within("freed").blocks),
        (800, 0)
    );
    assert_eq!(
        (
            kept.within("kept").allocations,
            kept.within("freed").allocations
        ),
        (800, 1700)
    );

    let report = Run::program("cross_free")
        .args(["2", "20000"])
        .behind(&allocator)
        .checked()
        .report();
    assert_eq!(
        (
            report.within("give").allocations,
            report.within("give").blocks
        ),
        (40_000, 40)
    );

    let report = Run::program("swap_blocks")
        .args(["4", "50000"])
        .behind(&allocator)
        .checked()
        .report();
    assert_eq!(report.within("body").blocks, 0);

    let report = Run::program("many_threads")
        .arg("2000")
        .behind(&allocator)
        .checked()
        .report();
    assert_eq!(report.within("thread_keep").blocks, 20);

    Run::program("usable_size").behind(&allocator).checked();
    let errno = Run::program("errno_kept").arg("2000").behind(&allocator);
    if errno.plain().status.success() {
        errno.checked();
    }

    let outcome = Run::program("fork_child").behind(&allocator).checked();
    assert_eq!(outcome.report_of_first().within("parent_keeps").blocks, 100);
}

/// The allocator must really be the one in use.
fn is_in_use(allocator: PathBuf) {
    let name = allocator
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let stem = name.split(".so").next().expect("a stem");
    let outcome = Run::executable("/usr/bin/grep")
        .args(["-c", stem, "/proc/self/maps"])
        .behind(&allocator)
        .under_leak();
    assert_ne!(outcome.stdout, "0\n");
}

macro_rules! behind_leak {
    ($($allocator:ident: $family:ident, $rest:ident;)*) => {$(
        #[test]
        fn $family() {
            if let Some(allocator) = $allocator() {
                is_in_use(allocator.clone());
                family(allocator);
            }
        }

        #[test]
        fn $rest() {
            if let Some(allocator) = $allocator() {
                the_rest(allocator);
            }
        }
    )*};
}

behind_leak! {
    jemalloc: the_family_of_jemalloc_counts_the_same, reallocs_operators_and_threads_of_jemalloc_count_the_same;
    tcmalloc: the_family_of_tcmalloc_counts_the_same, reallocs_operators_and_threads_of_tcmalloc_count_the_same;
    mimalloc: the_family_of_mimalloc_counts_the_same, reallocs_operators_and_threads_of_mimalloc_count_the_same;
}
