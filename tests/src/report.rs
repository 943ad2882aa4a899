//! What `leak report --format json` says, and the questions tests ask of it.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// One parsed report.
#[derive(Debug, Clone)]
pub struct Report(pub Value);

/// The totals of a report. Counts of calls, blocks and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Calls that made a new block.
    pub allocations: u64,
    /// Blocks given back.
    pub frees: u64,
    /// Successful reallocations of an existing block; neither of the two above.
    pub reallocations: u64,
    /// Requested bytes of all allocations, and the new size of each reallocation.
    pub allocated_bytes: u64,
    /// Blocks alive at the end.
    pub live_blocks: u64,
    /// Their requested bytes.
    pub live_bytes: u64,
    /// Blocks freed before their thread's next allocation.
    pub temporary: u64,
}

/// The sums over all sites whose stack contains one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Distinct stacks.
    pub sites: u64,
    /// Blocks alive at the end.
    pub blocks: u64,
    /// Their requested bytes.
    pub bytes: u64,
    /// Calls that made a new block.
    pub allocations: u64,
    /// Requested bytes of all allocations and reallocations.
    pub allocated_bytes: u64,
    /// Live bytes at the heap's peak.
    pub peak_bytes: u64,
    /// Blocks freed before their thread's next allocation.
    pub temporary: u64,
}

impl std::ops::Sub for Totals {
    type Output = Totals;

    /// What one run did beyond another one: with the same program and zero
    /// rounds, this leaves out what libc and the loader allocate by themselves.
    fn sub(self, base: Totals) -> Totals {
        let minus = |what: &str, left: u64, right: u64| {
            left.checked_sub(right)
                .unwrap_or_else(|| panic!("{what}: {left} in the run, {right} in the base run"))
        };
        Totals {
            allocations: minus("allocations", self.allocations, base.allocations),
            frees: minus("frees", self.frees, base.frees),
            reallocations: minus("reallocations", self.reallocations, base.reallocations),
            allocated_bytes: minus(
                "allocated_bytes",
                self.allocated_bytes,
                base.allocated_bytes,
            ),
            live_blocks: minus("live_blocks", self.live_blocks, base.live_blocks),
            live_bytes: minus("live_bytes", self.live_bytes, base.live_bytes),
            temporary: minus("temporary", self.temporary, base.temporary),
        }
    }
}

impl Report {
    /// The report of one log; panics with the command's words when it fails.
    pub fn of(log: &Path) -> Report {
        Self::with_options(log, &[])
    }

    /// The same with further options for `leak report`.
    pub fn with_options(log: &Path, options: &[&str]) -> Report {
        let run = Command::new(crate::tools::leak())
            .arg("report")
            .arg(log)
            .args(["--format", "json"])
            .args(options)
            .env_remove("LD_PRELOAD")
            .output()
            .unwrap_or_else(|error| panic!("leak report: {error}"));
        assert!(
            run.status.success(),
            "leak report {}: {}; {}",
            log.display(),
            run.status,
            String::from_utf8_lossy(&run.stderr)
        );
        let value = serde_json::from_slice(&run.stdout)
            .unwrap_or_else(|error| panic!("leak report {}: not JSON: {error}", log.display()));
        Report(value)
    }

    /// The report of a log that may lack something: then the command may also end with status 2
    /// and one line, with what could be read on stdout. `None` when that is nothing.
    pub fn of_part(log: &Path) -> Option<Report> {
        let run = Command::new(crate::tools::leak())
            .arg("report")
            .arg(log)
            .args(["--format", "json"])
            .env_remove("LD_PRELOAD")
            .output()
            .unwrap_or_else(|error| panic!("leak report: {error}"));
        let words = String::from_utf8_lossy(&run.stderr);
        let name = log.display();
        match run.status.code() {
            Some(0) => {}
            Some(2) => assert_eq!(words.lines().count(), 1, "{name}: one line, not: {words}"),
            _ => panic!("leak report {name}: {}; {words}", run.status),
        }
        if run.stdout.is_empty() {
            assert_eq!(
                run.status.code(),
                Some(2),
                "{name}: nothing, without a reason"
            );
            return None;
        }
        let mut value: Value = serde_json::from_slice(&run.stdout)
            .unwrap_or_else(|error| panic!("leak report {name}: not JSON: {error}"));
        value["refused"] = Value::Bool(run.status.code() == Some(2));
        Some(Report(value))
    }

    /// The number at a path such as `totals.frees`; panics when it is not there.
    pub fn number(&self, path: &str) -> u64 {
        let value = path.split('.').fold(&self.0, |value, key| &value[key]);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{path} is {value}, not a count"))
    }

    /// The totals.
    pub fn totals(&self) -> Totals {
        let totals = |key: &str| self.number(&format!("totals.{key}"));
        Totals {
            allocations: totals("allocations"),
            frees: totals("frees"),
            reallocations: totals("reallocations"),
            allocated_bytes: totals("allocated_bytes"),
            live_blocks: totals("live_blocks"),
            live_bytes: totals("live_bytes"),
            temporary: totals("temporary"),
        }
    }

    /// All sites.
    pub fn sites(&self) -> &[Value] {
        self.0["sites"]
            .as_array()
            .map_or_else(|| panic!("no sites in {}", self.0), Vec::as_slice)
    }

    /// The sites whose stack contains `function`.
    pub fn sites_within<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Value> {
        self.sites()
            .iter()
            .filter(move |site| contains(site, function))
    }

    /// The sums over the sites whose stack contains `function`.
    pub fn within(&self, function: &str) -> Sums {
        sums(self.sites_within(function))
    }

    /// The sums over the sites whose stack contains every one of `functions`.
    pub fn within_all(&self, functions: &[&str]) -> Sums {
        sums(
            self.sites()
                .iter()
                .filter(|site| functions.iter().all(|function| contains(site, function))),
        )
    }

    /// The sums over the sites whose stack contains the first function and not the second.
    pub fn within_but(&self, function: &str, other: &str) -> Sums {
        sums(
            self.sites_within(function)
                .filter(|site| !contains(site, other)),
        )
    }

    /// The sums over all sites.
    pub fn everywhere(&self) -> Sums {
        sums(self.sites().iter())
    }

    /// Nothing lost, and every free known.
    pub fn assert_lossless(&self) {
        assert_eq!(
            self.number("loss.events_lost"),
            0,
            "events lost: {}",
            self.0["loss"]
        );
        assert_eq!(
            self.number("loss.unmatched_frees"),
            0,
            "frees without an allocation: {}",
            self.0["loss"]
        );
    }

    /// True when recording went on to the end and lost nothing; what a report says that
    /// lacks something is shown by [`Report::assert_lossless`].
    pub fn is_complete(&self) -> bool {
        let stopped = self.0["loss"]["stopped"].as_array();
        let refused = self.0["refused"] == Value::Bool(true);
        !refused && self.number("loss.events_lost") == 0 && stopped.is_some_and(Vec::is_empty)
    }

    /// What holds in every report, whatever the program did.
    pub fn assert_consistent(&self) {
        assert_eq!(self.number("schema"), 1);
        let totals = self.totals();
        assert_eq!(
            totals.live_blocks,
            totals.allocations - totals.frees,
            "{:?}",
            self.0["totals"]
        );
        assert!(
            totals.live_bytes <= self.number("totals.peak_bytes"),
            "{:?}",
            self.0["totals"]
        );
        assert!(
            self.number("totals.peak_bytes") <= totals.allocated_bytes,
            "{:?}",
            self.0["totals"]
        );
        assert!(totals.temporary <= totals.frees, "{:?}", self.0["totals"]);
        let all = self.everywhere();
        assert_eq!(
            all.blocks, totals.live_blocks,
            "blocks of the sites do not add up"
        );
        assert_eq!(
            all.bytes, totals.live_bytes,
            "bytes of the sites do not add up"
        );
        assert_eq!(
            all.allocations, totals.allocations,
            "allocations of the sites do not add up"
        );
        assert_eq!(
            all.allocated_bytes, totals.allocated_bytes,
            "allocated bytes of the sites do not add up"
        );
        assert_eq!(
            all.temporary, totals.temporary,
            "temporary blocks of the sites do not add up"
        );
        assert_eq!(
            all.peak_bytes,
            self.number("totals.peak_bytes"),
            "peak bytes of the sites do not add up"
        );
        let bytes: Vec<u64> = self
            .sites()
            .iter()
            .filter_map(|site| site["bytes"].as_u64())
            .collect();
        assert!(
            bytes.is_sorted_by(|left, right| left >= right),
            "sites are not ordered by bytes"
        );
    }

    /// `process.argv`.
    pub fn argv(&self) -> Vec<String> {
        let argv = self.0["process"]["argv"].as_array();
        argv.into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    }
}

/// The names of a site's frames, innermost first.
pub fn functions(site: &Value) -> Vec<&str> {
    let frames = site["frames"].as_array();
    frames
        .into_iter()
        .flatten()
        .filter_map(|frame| frame["function"].as_str())
        .collect()
}

/// True when one of the site's frames is of `function`: its plain name, without
/// scope, template arguments and parameters.
pub fn contains(site: &Value, function: &str) -> bool {
    functions(site)
        .iter()
        .any(|&name| name == function || plain(name) == function)
}

fn plain(name: &str) -> String {
    let name = name.replace("(anonymous namespace)::", "");
    let mut outside = String::new();
    let mut templates = 0usize;
    for character in name.chars() {
        match character {
            '<' => templates += 1,
            '>' => templates = templates.saturating_sub(1),
            '(' if templates == 0 => break,
            _ if templates == 0 => outside.push(character),
            _ => {}
        }
    }
    let last = outside.rsplit("::").find(|part| !is_rust_hash(part));
    let last = last.unwrap_or(&outside);
    last.rsplit(' ').next().unwrap_or(last).to_owned()
}

fn is_rust_hash(part: &str) -> bool {
    part.len() == 17
        && part.starts_with('h')
        && part.bytes().skip(1).all(|byte| byte.is_ascii_hexdigit())
}

fn sums<'a>(sites: impl Iterator<Item = &'a Value>) -> Sums {
    let mut sums = Sums::default();
    for site in sites {
        let number = |key: &str| {
            site[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key} is missing in {site}"))
        };
        sums.sites += 1;
        sums.blocks += number("blocks");
        sums.bytes += number("bytes");
        sums.allocations += number("allocations");
        sums.allocated_bytes += number("allocated_bytes");
        sums.peak_bytes += number("peak_bytes");
        sums.temporary += number("temporary");
    }
    sums
}

/// The text report of a log, with these options.
pub fn text(log: &Path, options: &[&str]) -> String {
    let run = Command::new(crate::tools::leak())
        .arg("report")
        .arg(log)
        .args(options)
        .output()
        .expect("leak report");
    assert!(
        run.status.success(),
        "{options:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8_lossy(&run.stdout).into_owned()
}
