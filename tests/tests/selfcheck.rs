//! Every capture against a second unwinder: no disagreement in more than a million.
//!
//! One test, so that the sum can be asked for: the programs of this suite, sqlite3, cc1plus,
//! python3 and node.

use leak_tests::{Outcome, Program, Report, Run, command_or_skip};
use std::path::PathBuf;
use std::process::Command;

#[derive(Default, Debug)]
struct Sum {
    checked: u64,
    disagreed: u64,
    worst: Vec<String>,
}

impl Sum {
    fn add(&mut self, name: &str, outcome: &Outcome) {
        assert!(
            outcome.status.success() || name == "boxes" || name == "after_main",
            "{name}: {}",
            outcome.stderr
        );
        let before = self.checked;
        for log in &outcome.logs {
            // Only the account is wanted, not the names of a million sites.
            let report = Report::with_options(log, &["--top", "1"]);
            let disagreed = report.number("loss.selfcheck.disagreed");
            self.checked += report.number("loss.selfcheck.checked");
            self.disagreed += disagreed;
            if disagreed > 0 {
                self.worst
                    .push(format!("{name}: {}", report.0["loss"]["selfcheck"]));
            }
        }
        eprintln!("{name}: {} checked", self.checked - before);
        assert!(self.checked > before, "{name}: no capture was checked");
    }
}

#[test]
fn no_capture_disagrees_with_another_unwinder_in_more_than_a_million() {
    let mut sum = Sum::default();
    let plugin = |name: &str| Program::new(name).build().to_string_lossy().into_owned();
    let programs: &[(&str, Vec<String>)] = &[
        ("tree", vec!["200000".into()]),
        ("frames", vec!["5000".into()]),
        ("ways", vec!["100".into()]),
        ("jumps", vec!["2000".into()]),
        ("throws", vec!["1000".into()]),
        ("fibers", vec!["2000".into()]),
        ("plenty", vec!["60000".into()]),
        ("operators", vec!["500".into()]),
        ("cross_free", vec!["2".into(), "20000".into()]),
        ("swap_blocks", vec!["4".into(), "30000".into()]),
        ("thread_ends", vec!["50".into()]),
        ("after_main", vec![]),
        (
            "plugins",
            vec![plugin("plugin_a"), plugin("plugin_b"), "100".into()],
        ),
        ("alternate_stack", vec!["later".into(), "3000".into()]),
        ("deep", vec!["600".into(), "20".into()]),
        ("boxes", vec![]),
        ("inlines", vec![]),
        ("fork_child", vec![]),
    ];
    for (name, arguments) in programs {
        let outcome = Run::program(name)
            .args(arguments)
            .env("LEAK_SELFCHECK", "1")
            .seconds(120)
            .under_leak();
        sum.add(name, &outcome);
    }
    for flags in [
        ["-O3", "-funroll-loops"],
        ["-O2", "-fcf-protection=full"],
        ["-O0", "-g"],
        ["-O2", "-mstackrealign"],
    ] {
        let program = Program::new("tree").flags(flags).build();
        let outcome = Run::executable(program)
            .arg("100000")
            .env("LEAK_SELFCHECK", "1")
            .seconds(120)
            .under_leak();
        sum.add(&format!("tree {flags:?}"), &outcome);
    }
    for (name, run) in real_programs() {
        sum.add(name, &run.seconds(180).under_leak());
    }
    eprintln!("{} checked, {} disagreed", sum.checked, sum.disagreed);
    assert_eq!(sum.disagreed, 0, "{:?}", sum.worst);
    assert!(
        sum.checked >= 1_000_000,
        "only {} captures were checked",
        sum.checked
    );
}

fn real_programs() -> Vec<(&'static str, Run)> {
    let mut runs = Vec::new();
    if let Some(sqlite) = command_or_skip("sqlite3") {
        let script = "create table t(a integer primary key, b text);\n\
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)\n\
             insert into t select i, printf('%08d-%s', i, hex(i * 7)) from n;\n\
             create index tb on t(b);\n\
             select count(*), max(b) from t where b like '%7%' group by substr(b, 1, 3) limit 3;\n";
        runs.push((
            "sqlite3",
            Run::executable(sqlite)
                .arg(":memory:")
                .input(script)
                .env("LEAK_SELFCHECK", "1"),
        ));
    }
    if let Some((compiler, source)) = cc1plus() {
        runs.push((
            "cc1plus",
            Run::executable(compiler)
                .args([
                    "-quiet",
                    "-fpreprocessed",
                    "-O1",
                    "words.ii",
                    "-o",
                    "words.s",
                ])
                .file("words.ii", source)
                .env("LEAK_SELFCHECK", "3"),
        ));
    }
    if let Some(python) = command_or_skip("python3") {
        let script = "import json\n\
             data = [{'n': i, 'w': 'word %d' % i, 'l': list(range(i % 17))} for i in range(2500)]\n\
             for _ in range(3):\n    data = json.loads(json.dumps(data))\n\
             print(len(json.dumps(data)))\n";
        runs.push((
            "python3",
            Run::executable(python)
                .args(["-c", script])
                .env("PYTHONMALLOC", "malloc")
                .env("LEAK_SELFCHECK", "2"),
        ));
    }
    if let Some(node) = command_or_skip("node") {
        let script = "let sum = 0;\n\
             for (let i = 0; i < 3000; i++) {\n\
               const b = Buffer.alloc(10000 + i); b.fill(i & 255); sum += b[i];\n\
               sum += JSON.parse(JSON.stringify({a: [...Array(50).keys()], s: 'x'.repeat(i % 100)})).a.length;\n\
             }\n\
             console.log(sum)";
        runs.push((
            "node",
            Run::executable(node)
                .args(["-e", script])
                .env("LEAK_SELFCHECK", "1"),
        ));
    }
    runs
}

/// The compiler proper, and a preprocessed source for it.
fn cc1plus() -> Option<(PathBuf, Vec<u8>)> {
    const SOURCE: &str = "#include <map>\n#include <string>\n#include <vector>\n\
        std::map<std::string, std::vector<int>> words;\n\
        int count(const std::string &w) { words[w].push_back(1); return (int)words[w].size(); }\n";
    let said = Command::new("g++")
        .arg("-print-prog-name=cc1plus")
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    let folder = tempfile::tempdir().ok()?;
    let source = folder.path().join("words.cc");
    std::fs::write(&source, SOURCE).ok()?;
    let preprocessed = Command::new("g++").arg("-E").arg(&source).output().ok()?;
    path.is_absolute().then_some((path, preprocessed.stdout))
}
