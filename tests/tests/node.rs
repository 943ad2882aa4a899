//! Node: JavaScript frames in the stacks of what it allocates natively.
//!
//! Most programs end by a signal: at a clean end Node frees everything. What lived before that is a test.

use leak_tests::node::{program, versions};
use leak_tests::{Outcome, Report, Run};

/// The larger sites of all logs: Node has thousands of small ones.
fn reports(outcome: &Outcome) -> Vec<Report> {
    let read = |log: &std::path::PathBuf| {
        Report::with_options(log, &["--min-bytes", "2000", "--top", "0"])
    };
    assert!(!outcome.logs.is_empty(), "no log; {}", outcome.stderr);
    outcome.logs.iter().map(read).collect()
}

/// The sites of the only log.
fn report(outcome: &Outcome) -> Report {
    let mut all = reports(outcome);
    assert_eq!(all.len(), 1, "{:?}", outcome.logs);
    all.remove(0)
}

/// Whether a site has a frame for which something holds.
fn has_frame(site: &serde_json::Value, holds: impl Fn(&serde_json::Value) -> bool) -> bool {
    site["frames"].as_array().into_iter().flatten().any(holds)
}

/// Sites with a frame of `function` in `file` at `line`: how many blocks and bytes are live.
fn kept_at(report: &Report, function: &str, file: &str, line: u64) -> (u64, u64) {
    let mut sum = (0, 0);
    let named = |frame: &serde_json::Value| frame["function"].as_str() == Some(function);
    for site in report.sites().iter().filter(|site| has_frame(site, named)) {
        let here = |frame: &serde_json::Value| {
            named(frame)
                && frame["file"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(file))
                && frame["line"].as_u64() == Some(line)
        };
        assert!(
            has_frame(site, here),
            "{function} is not at {file}:{line} in {site}"
        );
        sum.0 += site["blocks"].as_u64().unwrap_or(0);
        sum.1 += site["bytes"].as_u64().unwrap_or(0);
    }
    sum
}

/// The line on which a text first stands in a program.
fn line_of(program: &std::path::Path, text: &str) -> u64 {
    let source = std::fs::read_to_string(program).expect("the program's source");
    let found = source.lines().position(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("{text} is not in {}", program.display())) as u64 + 1
}

#[test]
fn buffers_streams_zlib_and_crypto_show_the_javascript_that_asked() {
    let script = program("kinds");
    for node in versions() {
        let outcome = Run::executable(&node.path).arg(&script).under_leak();
        let report = report(&outcome);
        let kept = |function: &str, begin: &str| {
            kept_at(&report, function, "kinds.js", line_of(&script, begin))
        };
        let version = node.version;
        let (blocks, bytes) = kept("keepBuffers", "function keepBuffers");
        assert!(
            blocks >= 200 && bytes >= 200 * 20_000,
            "{version}: {blocks} blocks, {bytes} bytes of buffers"
        );
        // The compressor's own memory is taken later, by a thread that runs no JavaScript.
        let (blocks, bytes) = kept("keepCompressors", "function keepCompressors");
        assert!(
            blocks >= 5 && bytes >= 5 * 10_000,
            "{version}: {blocks} blocks, {bytes} bytes of compressors"
        );
        let (blocks, _) = kept("keepHashes", "function keepHashes");
        assert!(blocks >= 50, "{version}: {blocks} blocks of hashes");
        let (blocks, bytes) = kept("fill", "fill(count)");
        assert!(
            blocks >= 40 && bytes >= 40 * 30_000,
            "{version}: {blocks} blocks, {bytes} bytes of streams"
        );
    }
}

#[test]
fn every_thread_has_javascript_frames_also_a_worker_without_environment() {
    let script = program("threads");
    for node in versions() {
        let outcome = Run::executable(&node.path).arg(&script).under_leak();
        let report = report(&outcome);
        for (function, size) in [
            ("keepInMain", 10_000),
            ("keepInWorker", 11_000),
            ("keepInBareWorker", 12_000),
        ] {
            let line = line_of(&script, &format!("function {function}"));
            let (_, bytes) = kept_at(&report, function, "threads.js", line);
            assert!(
                bytes >= 100 * size,
                "{}: {bytes} bytes in {function}",
                node.version
            );
        }
    }
}

/// Stack nodes of a log: docs/design/log.md, the header.
fn node_count(log: &std::path::Path) -> u64 {
    let bytes = std::fs::read(log).expect("the log");
    u64::from_le_bytes(bytes[176..184].try_into().expect("eight bytes"))
}

#[test]
fn workers_that_come_and_go_share_their_stacks_and_have_names() {
    let script = program("workers");
    for node in versions() {
        let run = |workers: &str| {
            let outcome = Run::executable(&node.path)
                .arg(&script)
                .arg(workers)
                .under_leak();
            assert_eq!(outcome.logs.len(), 1, "{}", outcome.stderr);
            outcome
        };
        let (few, many) = (run("6"), run("36"));
        let [before, after] = [&few, &many].map(|outcome| node_count(&outcome.logs[0]));
        // Thirty workers more had some 10 (Node 26: 4) times the nodes when each had its own.
        assert!(
            after < before + before / 2,
            "{}: {before} nodes with 6 workers, {after} with 36",
            node.version
        );
        let report = Report::with_options(
            &many.logs[0],
            &["--all-frames", "--sort", "allocated", "--top", "1000"],
        );
        let unnamed =
            |frame: &serde_json::Value| frame["function"].is_null() && frame["module"].is_null();
        let all = report.sites().len();
        let with_unnamed = report
            .sites()
            .iter()
            .filter(|site| has_frame(site, unnamed));
        assert!(all >= 900, "{}: {all} sites", node.version);
        assert_eq!(with_unnamed.count(), 0, "{}: of {all} sites", node.version);
        let line = line_of(&script, "function work");
        let here = |frame: &serde_json::Value| {
            frame["function"] == "work" && frame["line"].as_u64() == Some(line)
        };
        let blocks = report.sites().iter().filter(|site| has_frame(site, here));
        let blocks: u64 = blocks.filter_map(|site| site["allocations"].as_u64()).sum();
        assert!(blocks >= 36 * 20, "{}: {blocks} of work()", node.version);
    }
}

#[test]
fn functions_have_names_after_thousands_of_wasm_modules() {
    let script = program("many_modules");
    let line = line_of(&script, "function afterwards");
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .arg("--expose-gc")
            .arg(&script)
            .under_leak();
        let (_, bytes) = kept_at(&report(&outcome), "afterwards", "many_modules.js", line);
        assert!(bytes >= 50 * 123_457, "{}: {bytes}", node.version);
    }
}

#[test]
fn functions_of_scripts_with_long_names_are_told_apart() {
    let script = program("long_names").with_extension("mjs");
    // V8 itself cuts names at 512 bytes in Node 18.
    for node in versions().into_iter().filter(|node| node.version != 18) {
        let outcome = Run::executable(&node.path).arg(&script).under_leak();
        let report = report(&outcome);
        // Each where it stands in its text.
        for (line, size) in [(2, 30_000), (4, 40_000)] {
            let here = |frame: &serde_json::Value| {
                frame["function"] == "make" && frame["line"].as_u64() == Some(line)
            };
            let sites = report.sites().iter().filter(|site| has_frame(site, here));
            let bytes: u64 = sites.filter_map(|site| site["bytes"].as_u64()).sum();
            assert_eq!(bytes, 10 * size, "{}: line {line}", node.version);
        }
    }
}

#[test]
fn no_block_is_charged_to_another_function_while_workers_come_and_go() {
    let script = program("sizes");
    let ways = [&[][..], &["--always-sparkplug"], &["--stress-flush-code"]];
    for (node, flags) in versions().into_iter().zip(ways.into_iter().cycle()) {
        let outcome = Run::executable(&node.path)
            .args(flags)
            .arg(&script)
            .under_leak();
        assert_eq!(outcome.logs.len(), 1, "{}", outcome.stderr);
        let largest = ["--sort", "allocated", "--top", "1500"];
        let report = Report::with_options(&outcome.logs[0], &largest);
        let mut seen = 0;
        for site in report.sites() {
            let figure = |name: &str| site[name].as_u64().unwrap_or(0);
            let allocations = figure("allocations").max(1);
            let (size, rest) = (
                figure("allocated_bytes") / allocations,
                figure("allocated_bytes") % allocations,
            );
            if !(100_003..=100_003 + 11 * 64).contains(&size) {
                continue;
            }
            let k = (size - 100_003) / 64;
            let own = |frame: &serde_json::Value| frame["function"] == format!("f{k}");
            let is_one_size = rest == 0 && size == 100_003 + k * 64;
            assert!(
                is_one_size && has_frame(site, own),
                "{} {flags:?}: {site}",
                node.version
            );
            seen += allocations;
        }
        // Each worker that was not ended makes 3,000 and more, the main thread 6,000.
        assert!(
            seen >= 16 * 3000 + 6000,
            "{} {flags:?}: {seen}",
            node.version
        );
    }
}

#[test]
fn the_children_of_a_cluster_have_javascript_frames() {
    let script = program("children");
    for node in versions() {
        let outcome = Run::executable(&node.path).arg(&script).under_leak();
        let line = line_of(&script, "function keepInChild");
        let reports = reports(&outcome);
        let kept: Vec<u64> = reports
            .iter()
            .map(|report| kept_at(report, "keepInChild", "children.js", line).1)
            .filter(|&bytes| bytes >= 100 * 13_000)
            .collect();
        assert_eq!(
            kept.len(),
            2,
            "{}: {kept:?} in {} logs",
            node.version,
            reports.len()
        );
    }
}

#[test]
fn code_at_an_address_used_before_has_its_own_name() {
    const ROUNDS: u64 = 200;
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .args(["--expose-gc", "--flush-bytecode", "--stress-flush-code"])
            .arg(program("reused"))
            .arg(ROUNDS.to_string())
            .under_leak();
        let report = report(&outcome);
        let mut seen = 0;
        for round in 0..ROUNDS {
            let name = format!("allocate_{round}");
            let named = |frame: &serde_json::Value| frame["function"].as_str() == Some(&name);
            let large = report
                .sites()
                .iter()
                .filter(|site| site["bytes"].as_u64() >= Some(10_000));
            for site in large.filter(|site| has_frame(site, named)) {
                assert_eq!(
                    site["bytes"].as_u64(),
                    Some(10_000 + round),
                    "{}: {name}: {site}",
                    node.version
                );
                seen += 1;
            }
        }
        assert_eq!(seen, ROUNDS, "{}", node.version);
    }
}

#[test]
fn functions_that_are_compiled_again_while_they_run_keep_their_names() {
    for node in versions() {
        let outcome = Run::executable(&node.path).arg(program("hot")).under_leak();
        let mut bytes = 0;
        for site in report(&outcome).sites() {
            if has_frame(site, |frame| {
                frame["file"]
                    .as_str()
                    .is_some_and(|file| file.ends_with("hot.js"))
            }) {
                bytes += site["bytes"].as_u64().unwrap_or(0);
            }
        }
        assert!(bytes >= 400 * 14_000, "{}: {bytes} bytes", node.version);
        // The functions may be inlined into what calls them, unless that is forbidden.
        let run = Run::executable(&node.path).arg(program("hot"));
        let exact = report(&run.by_leak_run(&["--js-exact", "-q"]));
        let sums = exact.within_all(&["inner", "outer"]);
        assert!(
            sums.bytes >= 400 * 14_000,
            "{} with --js-exact: {sums:?}",
            node.version
        );
    }
}

#[test]
fn a_v8_that_makes_no_code_is_told_of() {
    for node in versions() {
        let run = Run::executable(&node.path).arg("--jitless");
        let outcome = run.arg(program("torn_down")).arg("itself").under_leak();
        let text = leak_tests::report::text(outcome.log(), &[]);
        let told = text.contains("V8 makes no code for functions (--jitless");
        assert!(told, "Node {}: {text}", node.version);
    }
}

#[test]
fn inlined_calls_are_said_and_kept_apart_on_demand() {
    let hint = "(optimized): V8 may have inlined other functions";
    let sampled = "that V8 inlined counts as its caller's (leak run --js-exact";
    for node in versions() {
        let run = Run::executable(&node.path)
            .arg("--allow-natives-syntax")
            .arg(program("inlined"));
        let lines = |outcome: &Outcome| {
            let text = leak_tests::report::text(outcome.log(), &["--min-bytes", "1000000"]);
            let place = |function: &str| {
                let line = |line: &&str| line.trim_start().starts_with(function);
                let found = text.lines().find(line).map(str::to_owned);
                found.unwrap_or_default()
            };
            (place("inner  "), place("outer  "), text)
        };
        let (inner, outer, text) = lines(&run.under_leak());
        let which = format!("Node {}: {text}", node.version);
        assert!(inner.is_empty(), "{which}");
        assert!(outer.ends_with("inlined.js:6 (optimized)"), "{which}");
        assert!(text.contains(hint) && text.contains(sampled), "{which}");

        let (inner, outer, text) = lines(&run.by_leak_run(&["--js-exact", "-q"]));
        let which = format!("Node {}, exact: {text}", node.version);
        assert!(inner.ends_with("inlined.js:5"), "{which}");
        assert!(outer.ends_with("inlined.js:6"), "{which}");
        assert!(!text.contains(hint) && !text.contains(sampled), "{which}");
    }
}

#[test]
fn what_a_program_had_kept_is_told_though_node_frees_it_at_a_clean_end() {
    for node in versions() {
        for (end, status) in [("itself", 0), ("exit", 3), ("throw", 1)] {
            let run = Run::executable(&node.path).arg(program("torn_down"));
            let outcome = run.arg(end).under_leak();
            let which = format!("Node {} {end}", node.version);
            assert_eq!(outcome.status.code(), Some(status), "{which}");
            let options = ["--at", "teardown", "--min-bytes", "2000", "--top", "0"];
            let report = Report::with_options(outcome.log(), &options);
            let bytes = |function| -> u64 {
                let sites = report.sites_within(function);
                sites
                    .filter_map(|site| site["teardown_bytes"].as_u64())
                    .sum()
            };
            assert!(bytes("keep") >= 100 * 20_000, "{which}");
            assert!(bytes("keepMore") >= 100 * 30_000, "{which}");
            let all = report.number("process.teardown.live_bytes");
            assert!(all >= bytes("keep") + bytes("keepMore"), "{which}");

            let text = leak_tests::report::text(outcome.log(), &[]);
            let (_, listed) = text
                .split_once("Live when JavaScript had ended, by place in the program")
                .unwrap_or_else(|| panic!("{which}: {text}"));
            assert!(listed.contains("     keepMore  "), "{which}: {text}");
            let text = leak_tests::report::text(outcome.log(), &["--at", "end"]);
            assert!(
                text.contains("Not freed, by place in the program"),
                "{which}: {text}"
            );
        }
    }
}

#[test]
fn a_program_sees_nothing_of_it() {
    for node in versions() {
        Run::executable(&node.path)
            .arg(program("says"))
            .undisturbed();
    }
}

#[test]
fn without_javascript_names_the_native_record_is_whole() {
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .env("LEAK_JS", "0")
            .arg(program("kinds"))
            .under_leak();
        let report = report(&outcome);
        assert_eq!(report.within("keepBuffers").sites, 0, "{}", node.version);
        assert!(
            report.everywhere().bytes >= 200 * 20_000,
            "{}",
            node.version
        );
        report.assert_lossless();
    }
}

#[test]
fn a_startup_snapshot_that_wants_equal_flags_still_starts() {
    let script =
        "require('v8').startupSnapshot.setDeserializeMainFunction(() => console.log('started'))";
    for node in versions().into_iter().filter(|node| node.version >= 20) {
        let made = Run::executable(&node.path)
            .file("entry.js", script)
            .args([
                "--snapshot-blob",
                "made.blob",
                "--build-snapshot",
                "entry.js",
            ])
            .plain();
        assert!(made.status.success(), "{}: {}", node.version, made.stderr);
        let run = Run::executable(&node.path)
            .args(["--snapshot-blob", "made.blob"])
            .inside(made.folder.path());
        let outcome = run.under_leak();
        assert_eq!(
            (outcome.stdout.as_str(), outcome.stderr.as_str()),
            ("started\n", ""),
            "{}",
            node.version
        );
        let notes = report(&outcome).0["loss"]["notes"].to_string();
        assert!(
            notes.contains("startup snapshot"),
            "{}: {notes}",
            node.version
        );
    }
}

#[test]
fn a_cpu_profile_is_made_and_where_v8_could_hang_interpreted_functions_have_no_names() {
    for node in versions() {
        let outcome = Run::executable(&node.path)
            .args(["--cpu-prof", "--cpu-prof-name=made.cpuprofile", "-e", "0"])
            .under_leak();
        assert!(outcome.status.success(), "{}", node.version);
        let profile = outcome.folder.path().join("made.cpuprofile");
        assert!(profile.exists(), "{}", node.version);
        let notes = report(&outcome).0["loss"]["notes"].to_string();
        assert_eq!(
            notes.contains("its CPU profiler"),
            node.version < 22,
            "{}: {notes}",
            node.version
        );
    }
}

#[test]
fn the_permission_model_is_no_hindrance() {
    let script = program("kinds");
    for node in versions().into_iter().filter(|node| node.version >= 20) {
        let flag = if node.version >= 24 {
            "--permission"
        } else {
            "--experimental-permission"
        };
        let outcome = Run::executable(&node.path)
            .args([flag, "--allow-fs-read=*"])
            .arg(&script)
            .under_leak();
        let report = report(&outcome);
        let line = line_of(&script, "function keepBuffers");
        let (_, bytes) = kept_at(&report, "keepBuffers", "kinds.js", line);
        assert!(
            bytes >= 200 * 20_000,
            "{}: {bytes} bytes; {}",
            node.version,
            outcome.stderr
        );
    }
}
