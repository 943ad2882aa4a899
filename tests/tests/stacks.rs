//! Stacks that are hard to take: deep ones, those that are left by a jump or an
//! exception, fibers, unloaded libraries, generated code, odd frames.

use leak_tests::report::functions;
use leak_tests::{Program, Run};

fn deep(depth: u64) {
    let report = Run::program("deep")
        .args([depth.to_string(), "3".to_owned()])
        .checked()
        .report();
    for (bottom, size) in [("bottom", 16), ("other_bottom", 24)] {
        let sums = report.within_all(&[bottom, "main"]);
        assert_eq!(
            (sums.sites, sums.blocks, sums.bytes),
            (1, 3, 3 * size),
            "{bottom} at depth {depth}"
        );
        for site in report.sites_within(bottom) {
            let frames = functions(site)
                .iter()
                .filter(|&&name| name == "descend")
                .count() as u64;
            assert_eq!(frames, depth + 1, "frames of descend");
        }
    }
    assert_eq!(report.number("loss.unwinds_truncated"), 0);
}

#[test]
fn a_stack_of_600_frames_is_whole() {
    deep(600);
}

#[test]
fn a_stack_of_5000_frames_is_whole() {
    deep(5000);
}

#[test]
fn a_stack_of_40000_frames_is_whole() {
    deep(40_000);
}

#[test]
fn of_a_stack_of_100000_frames_the_inner_ones_are_kept_and_the_cut_is_counted() {
    let report = Run::program("deep")
        .args(["100000", "3"])
        .undisturbed()
        .report();
    report.assert_consistent();
    for (bottom, size) in [("bottom", 16), ("other_bottom", 24)] {
        let sums = report.within(bottom);
        assert_eq!(
            (sums.sites, sums.blocks, sums.bytes),
            (1, 3, 3 * size),
            "{bottom}"
        );
        for site in report.sites_within(bottom) {
            let frames = functions(site)
                .iter()
                .filter(|&&name| name == "descend")
                .count();
            assert!(
                (30_000..65_536).contains(&frames),
                "{frames} frames of descend"
            );
        }
    }
    assert_eq!(report.within("main").blocks, 0);
    assert_eq!(report.number("loss.unwinds_truncated"), 6);
}

#[test]
fn a_longjmp_does_not_mix_stacks() {
    let report = Run::program("jumps").arg("1000").checked().report();
    let of = |functions: &[&str]| {
        let sums = report.within_all(functions);
        (sums.blocks, sums.bytes)
    };
    assert_eq!(of(&["left", "shared", "main"]), (1000, 32_000));
    assert_eq!(of(&["right", "shared", "main"]), (1000, 48_000));
    assert_eq!(of(&["left", "right"]), (0, 0));
}

#[test]
fn an_exception_does_not_mix_stacks() {
    let report = Run::program("throws").arg("500").checked().report();
    let of = |functions: &[&str]| {
        let sums = report.within_all(functions);
        (sums.blocks, sums.bytes)
    };
    assert_eq!(
        of(&["keep_before", "thrower", "middle", "caught", "main"]),
        (500, 12_000)
    );
    assert_eq!(of(&["keep_after", "caught", "main"]), (500, 20_000));
    assert_eq!(of(&["keep_after", "thrower"]), (0, 0));
    assert_eq!(
        of(&["main"]),
        (1000, 32_000),
        "the exception and the strings are freed"
    );
}

#[test]
fn fibers_keep_their_own_stacks() {
    let report = Run::program("fibers").arg("1000").checked().report();
    for (colour, size) in [("red", 16), ("green", 24), ("blue", 40)] {
        let sums = report.within_all(&[&format!("{colour}_keep"), colour]);
        assert_eq!(
            (sums.sites, sums.blocks, sums.bytes),
            (1, 1000, 1000 * size),
            "{colour}"
        );
    }
    for pair in [["red", "green"], ["green", "blue"], ["red", "blue"]] {
        assert_eq!(
            report.within_all(&pair).allocations,
            0,
            "{pair:?} on one stack"
        );
    }
    assert_eq!(report.within("keep").blocks, 3000);
    assert_eq!(report.number("loss.unwinds_truncated"), 0);
}

#[test]
fn libraries_loaded_and_unloaded_beside_allocating_threads_keep_their_names() {
    let plugin = |name: &str| Program::new(name).build().into_os_string();
    let run = Run::program("plugins")
        .arg(plugin("plugin_a"))
        .arg(plugin("plugin_b"))
        .arg("500")
        .seconds(120);
    let report = run.checked().report();
    for (function, size) in [("plugin_a_keep", 24), ("plugin_b_keep", 40)] {
        let sums = report.within_all(&[function, "plugin_work", "use", "main"]);
        assert_eq!((sums.blocks, sums.bytes), (500, 500 * size), "{function}");
    }
    assert_eq!(
        report
            .within_all(&["plugin_a_keep", "plugin_b_keep"])
            .allocations,
        0
    );
    assert_eq!(report.within_all(&["churn_keep", "churn"]).blocks, 300);
}

#[test]
fn generated_code_with_frame_pointers_is_walked_through() {
    let report = Run::program("generated").arg("2000").checked().report();
    let framed = report.within_all(&["with_frames", "main"]);
    assert_eq!((framed.blocks, framed.bytes), (2000, 64_000));
}

#[test]
fn generated_code_without_frames_costs_the_stack_and_no_more() {
    let run = |count: &str| Run::program("generated").arg(count);
    let totals = run("2000").totals_beyond(&run("0"));
    assert_eq!(
        (totals.live_blocks, totals.live_bytes),
        (4000, 2000 * (32 + 48))
    );
    assert_eq!((totals.allocations, totals.frees), (6000, 2000));
}

#[test]
fn frames_of_odd_shapes_are_walked_through() {
    let report = Run::program("frames").arg("1000").checked().report();
    for (function, size) in [
        ("of_alloca", 16),
        ("of_array", 24),
        ("of_aligned", 40),
        ("of_all", 56),
    ] {
        let sums = report.within_all(&["keep", function, "main"]);
        assert_eq!((sums.blocks, sums.bytes), (1000, 1000 * size), "{function}");
    }
    assert_eq!(report.number("loss.unwinds_truncated"), 0);
}

#[test]
fn ways_that_are_gone_again_and_again_are_told_apart() {
    let report = Run::program("ways").arg("500").checked().report();
    for way in 0..16 {
        let (inner, outer) = (format!("inner_{way}"), format!("way_{way}"));
        let sums = report.within_all(&["keep", "last", &inner, &outer, "dispatch", "main"]);
        assert_eq!((sums.blocks, sums.bytes), (2000, 16_000), "{outer}");
        assert_eq!(sums.sites, 7, "depths of {outer}");
    }
    let sums = report.within_all(&["keep", "realigned", "dispatch", "main"]);
    assert_eq!((sums.blocks, sums.bytes), (96_000, 2_304_000));
    assert_eq!(report.number("loss.unwinds_truncated"), 0);
}

#[test]
fn a_realigned_frame_may_take_the_place_of_a_plain_one() {
    let report = Run::program("realigned").arg("10").checked().report();
    let allocations = |function| {
        report
            .within_all(&[function, "turn", "outermost", "main"])
            .allocations
    };
    assert_eq!(
        (allocations("by_pointer"), allocations("of_aligned")),
        (10, 200)
    );
}

#[test]
fn a_program_with_branch_protection_is_undisturbed() {
    let program = Program::new("frames").flags(["-fcf-protection=full", "-O2"]);
    let report = Run::executable(program.build())
        .arg("500")
        .checked()
        .report();
    assert_eq!(report.within_all(&["keep", "main"]).blocks, 2000);
}

#[test]
fn a_call_at_the_end_of_a_function_belongs_to_that_function() {
    let report = Run::program("ends_by_call").checked().report();
    let kept = report.within_all(&["keep", "ends_here", "last_of_all", "main"]);
    assert_eq!((kept.blocks, kept.bytes), (3, 192));
    assert_eq!(report.within("next_door").allocations, 0);
}

#[test]
fn generated_code_with_registered_unwind_information_is_walked_through() {
    let report = Run::program("registered").arg("1000").checked().report();
    let made = report.within_all(&["made", "main"]);
    assert_eq!((made.blocks, made.bytes), (1000, 32_000));
}

#[test]
fn unwind_information_may_go_away_while_another_thread_looks_through_it() {
    let run = Run::program("registered_race").arg("3000").seconds(180);
    let kept = run.checked().report().within("kept_at_last");
    assert_eq!((kept.blocks, kept.bytes), (1, 32));
}

#[test]
fn fibers_whose_stacks_are_unmapped_are_never_read_again() {
    let report = Run::program("fiber_storm").arg("3000").checked().report();
    let of = |function: &str| {
        (
            report.within(function).blocks,
            report.within(function).bytes,
        )
    };
    assert_eq!(of("storm_keeps"), (3000, 144_000));
    assert_eq!(of("shore_keeps"), (3000, 168_000));
    assert_eq!(
        report
            .within_all(&["storm_keeps", "shore_keeps"])
            .allocations,
        0
    );
    assert_eq!(
        report.within_all(&["storm_keeps", "below", "run"]).blocks,
        3000
    );
}
