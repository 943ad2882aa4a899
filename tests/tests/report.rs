//! The report: what it says of the process, its options, and several logs as one.

use leak_tests::report::{Report, contains, text};
use leak_tests::{Program, Run};
use std::process::Command;

fn some(count: &str) -> Run {
    Run::program("leak_some").arg(count)
}

#[test]
fn the_process_is_described() {
    let outcome = some("3").checked();
    let report = outcome.report();
    assert_eq!(report.number("process.pid"), u64::from(outcome.pid));
    assert_eq!(report.argv().len(), 2);
    assert_eq!(report.argv()[1], "3");
    assert!(
        report.0["process"]["exe"]
            .as_str()
            .is_some_and(|exe| exe.ends_with("/leak_some"))
    );
    let nanoseconds = report.number("process.duration_ns");
    assert!(
        (1_000..60_000_000_000).contains(&nanoseconds),
        "{nanoseconds}"
    );
}

#[test]
fn every_field_of_the_schema_is_there() {
    let report = some("3").checked().report();
    for path in [
        "schema",
        "process.pid",
        "process.duration_ns",
        "totals.allocations",
        "totals.frees",
        "totals.reallocations",
        "totals.allocated_bytes",
        "totals.live_blocks",
        "totals.live_bytes",
        "totals.peak_bytes",
        "totals.temporary",
        "loss.events_lost",
        "loss.unwinds_truncated",
        "loss.unmatched_frees",
        "loss.selfcheck.checked",
        "loss.selfcheck.disagreed",
    ] {
        report.number(path);
    }
    let site = report.sites_within("some_keep").next().expect("the site");
    for key in [
        "blocks",
        "bytes",
        "allocations",
        "allocated_bytes",
        "peak_bytes",
        "temporary",
    ] {
        assert!(site[key].is_u64(), "{key}: {site}");
    }
    let frames = site["frames"].as_array().expect("frames");
    let frame = frames
        .iter()
        .find(|frame| frame["function"] == "some_keep")
        .expect("the frame");
    for key in ["address", "module", "function", "file", "line", "inlined"] {
        assert!(!frame[key].is_null(), "{key}: {frame}");
    }
    assert!(
        frame["file"]
            .as_str()
            .is_some_and(|file| file.ends_with("leak_some.c")),
        "{frame}"
    );
    assert!(
        frame["module"]
            .as_str()
            .is_some_and(|module| module.ends_with("leak_some")),
        "{frame}"
    );
}

#[test]
fn options_of_the_report_choose_and_order() {
    let outcome = Run::program("peak").arg("plain").checked();
    let log = outcome.log();
    assert_eq!(Report::with_options(log, &["--top", "1"]).sites().len(), 1);
    let large = Report::with_options(log, &["--min-bytes", "50000"]);
    assert!(
        large
            .sites()
            .iter()
            .all(|site| site["bytes"].as_u64() >= Some(50_000))
            && !large.sites().is_empty()
    );

    let at_peak = Report::with_options(log, &["--peak"]);
    assert!(
        contains(&at_peak.sites()[0], "crest"),
        "the largest at the peak comes first"
    );
    let temporary = Run::program("temporary").arg("500").checked();
    let by_temporary = Report::with_options(temporary.log(), &["--temporary"]);
    assert_eq!(by_temporary.sites()[0]["temporary"].as_u64(), Some(500));

    for way in ["place", "function", "file", "module", "stack"] {
        let merged = Report::with_options(log, &["--merge", way]);
        assert_eq!(
            merged.everywhere().bytes,
            outcome.report().everywhere().bytes,
            "{way}"
        );
        assert!(
            merged.sites().len() <= outcome.report().sites().len(),
            "{way}"
        );
        assert!(!text(log, &["--merge", way]).is_empty());
    }
    assert!(
        Report::with_options(log, &["--merge", "module"])
            .sites()
            .len()
            <= 3
    );
}

#[test]
fn reports_of_several_logs_are_merged_by_site() {
    let folder = tempfile::tempdir().expect("a directory");
    for count in ["3", "5", "9"] {
        some(count)
            .env("LEAK_LOG", folder.path().join(format!("{count}.leak")))
            .undisturbed();
    }
    let merged = Report::of(folder.path());
    let sums = merged.within("some_keep");
    assert_eq!((sums.sites, sums.blocks, sums.bytes), (1, 17, 17 * 32));
    let run = Command::new(leak_tests::tools::leak())
        .arg("report")
        .args(["3.leak", "9.leak"])
        .args(["--format", "json"])
        .current_dir(folder.path())
        .output()
        .expect("leak report");
    let two = Report(serde_json::from_slice(&run.stdout).expect("JSON"));
    assert_eq!(two.within("some_keep").blocks, 12);
}

#[test]
fn a_report_says_what_a_reader_wants_first() {
    let outcome = Run::program("inlines").checked();
    let text = text(outcome.log(), &[]);
    assert!(
        !text.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    let head: String = text
        .lines()
        .take(14)
        .collect::<Vec<_>>()
        .join("\n")
        .to_lowercase();
    for word in ["inlines", "peak", "lost"] {
        assert!(head.contains(word), "{word:?} is not in the head: {head}");
    }
    let fill = text.find("store::fill").expect("the large site");
    let lose = text.find("lose").expect("the small site");
    assert!(fill < lose, "sorted by unfreed bytes");
}

#[test]
fn a_terminal_gets_colour() {
    if leak_tests::command_or_skip("script").is_none() {
        return;
    }
    let outcome = Run::program("inlines").checked();
    let line = format!(
        "{} report {}",
        leak_tests::tools::leak().display(),
        outcome.log().display()
    );
    let run = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .output()
        .expect("script of util-linux");
    assert!(
        String::from_utf8_lossy(&run.stdout).contains("\u{1b}["),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
}

#[test]
fn help_names_every_variable_of_the_environment() {
    let run = Command::new(leak_tests::tools::leak())
        .args(["run", "--help"])
        .output()
        .expect("leak run --help");
    assert!(run.status.success());
    let help = String::from_utf8_lossy(&run.stdout).into_owned();
    for name in [
        "LEAK_LOG",
        "LEAK_SELFCHECK",
        "LEAK_DISABLE",
        "LEAK_VERBOSE",
        "%p",
        "%e",
    ] {
        assert!(help.contains(name), "{name} is not in the help");
    }
}

#[test]
fn a_library_that_is_loaded_again_makes_no_new_sites() {
    let (first, second) = (
        Program::new("plugin_a").build(),
        Program::new("plugin_b").build(),
    );
    let outcome = Run::program("plugins")
        .arg(first)
        .arg(second)
        .arg("50")
        .checked();
    let report = outcome.report();
    for (function, bytes) in [("plugin_a_keep", 24), ("plugin_b_keep", 40)] {
        let sites: Vec<_> = report
            .sites()
            .iter()
            .filter(|site| contains(site, function))
            .collect();
        assert_eq!(sites.len(), 1, "{function}");
        assert_eq!(sites[0]["blocks"], 50);
        assert_eq!(sites[0]["bytes"], 50 * bytes);
        assert_eq!(sites[0]["threads"], 1);
        assert_eq!(sites[0]["processes"], 1);
    }
}
