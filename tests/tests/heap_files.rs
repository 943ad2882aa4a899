//! `leak heap` on files that are large in an odd way, damaged, or of a V8 yet to come.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leak_tests::bytes::Random;
use leak_tests::v8::{snapshot, with_points};

fn leak(arguments: &[&str], file: &Path) -> Output {
    Command::new(leak_tests::tools::leak())
        .arg("heap")
        .args(arguments)
        .arg(file)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak")
}

fn written(folder: &tempfile::TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

const STRINGS: [&str; 5] = ["", "global", "Timeout", "_idleNext", "_idlePrev"];

#[test]
fn a_chain_of_a_million_timers_is_read() {
    let folder = tempfile::tempdir().expect("a directory");
    let count = 1_000_000u32;
    let mut nodes = vec![(9, 0, 1, 0, 1), (3, 1, 3, 16, 1)];
    let mut edges = vec![(5, 1, 1), (2, 3, 2)];
    for i in 0..count {
        let node = i + 2;
        nodes.push((3, 2, 2 * node + 1, 120, if i + 1 < count { 2 } else { 1 }));
        edges.push((2, 4, if i == 0 { 1 } else { node - 1 }));
        if i + 1 < count {
            edges.push((2, 3, node + 1));
        }
    }
    let file = written(
        &folder,
        "timers.heapsnapshot",
        snapshot(&nodes, &edges, &STRINGS).as_bytes(),
    );
    let run = leak(&["--nodes"], &file);
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let lines: Vec<&str> = std::str::from_utf8(&run.stdout)
        .expect("text")
        .lines()
        .collect();
    assert_eq!(lines.len(), nodes.len());
    assert_eq!(lines[0], "1 0 120000016 100000000 0");
    assert_eq!(lines[2], "5 120 120000000 2 1");
    assert_eq!(lines[1_000_001], "2000003 120 120 1000001 1000000");
}

#[test]
fn sizes_beyond_four_gigabytes_are_exact() {
    let folder = tempfile::tempdir().expect("a directory");
    let nodes = [
        (9, 0, 1, 0, 1),
        (3, 1, 3, 5_000_000_000, 1),
        (8, 2, 5, u64::from(u32::MAX), 0),
    ];
    let file = written(
        &folder,
        "large.heapsnapshot",
        snapshot(&nodes, &[(5, 1, 1), (2, 2, 2)], &STRINGS).as_bytes(),
    );
    let run = leak(&["--nodes"], &file);
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(
        text,
        "1 0 9294967295 100000000 0\n3 5000000000 9294967295 1 0\n5 4294967295 4294967295 2 1\n"
    );
}

#[test]
fn fields_and_types_that_are_not_known_are_passed_over() {
    let folder = tempfile::tempdir().expect("a directory");
    let text = r#"{"snapshot":{"future":{"a":["]",{}]},"meta":{"node_fields":["color","id","type","self_size","name","edge_count"],
        "node_types":["number","number",["object","synthetic","wormhole"],"number","string","number"],
        "edge_fields":["to_node","weight","name_or_index","type"],"edge_types":["node","number","string_or_number",["property","entangled","shortcut"]]}},
        "unheard_of":[[1,"[",{"x":null}],true],
        "nodes":[7,1,1,0,0,1, 7,3,0,16,1,1, 8,5,2,4,2,0],"edges":[6,1,1,2 , 12,1,2,1],
        "strings":["","a","b"]}"#;
    let file = written(&folder, "future.heapsnapshot", text.as_bytes());
    let run = leak(&["--nodes"], &file);
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let figures = String::from_utf8_lossy(&run.stdout);
    assert_eq!(figures, "1 0 20 100000000 0\n3 16 20 1 0\n5 4 4 2 1\n");
    let table = String::from_utf8_lossy(&leak(&[], &file).stdout).into_owned();
    assert!(table.contains("(wormhole)"), "{table}");
}

#[test]
fn parts_are_read_in_any_order_as_long_as_the_strings_are_last() {
    let folder = tempfile::tempdir().expect("a directory");
    let header = r#""snapshot":{"meta":{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["object","synthetic"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"],"string_or_number","node"]}COUNTS}"#;
    let (nodes, edges) = (r#""nodes":[1,1,1,0,1,0,2,3,16,0]"#, r#""edges" : [0,1,5]"#);
    let strings = r#""strings" : ["","\"strings\":[","b"]}"#;
    for (counts, order) in [
        (",\"node_count\":2,\"edge_count\":1", [0, 1, 2]),
        (",\"node_count\":2,\"edge_count\":1", [2, 0, 1]),
        (",\"node_count\":2", [1, 2, 0]),
        ("", [0, 2, 1]),
    ] {
        let header = header.replace("COUNTS", counts);
        let parts = order.map(|part| [header.as_str(), nodes, edges][part]);
        let text = format!("{{{},{strings}", parts.join(",\n"));
        let file = written(&folder, "order.heapsnapshot", text.as_bytes());
        let run = leak(&["--nodes"], &file);
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{text}: {said}");
        let figures = String::from_utf8_lossy(&run.stdout);
        assert_eq!(figures, "1 0 16 100000000 0\n3 16 16 1 0\n", "{text}");
    }
    for counts in [
        ",\"node_count\":3,\"edge_count\":1",
        ",\"node_count\":1,\"edge_count\":1",
        ",\"node_count\":1000000000000,\"edge_count\":1",
    ] {
        let header = header.replace("COUNTS", counts);
        let text = format!("{{{header},{nodes},{edges},{strings}");
        let file = written(&folder, "counts.heapsnapshot", text.as_bytes());
        refused(&leak(&[], &file), &["nodes, but has 2"]);
    }
}

/// Exit status 2 and one line that contains the words.
fn refused(run: &Output, words: &[&str]) {
    let line = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "one line, not: {line}");
    assert!(run.stdout.is_empty(), "half a report");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

fn small() -> String {
    let nodes = [(9, 0, 1, 0, 1), (3, 1, 3, 16, 1), (3, 2, 5, 8, 0)];
    snapshot(&nodes, &[(5, 1, 1), (2, 3, 2)], &STRINGS)
}

#[test]
fn a_file_cut_anywhere_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let whole = small();
    let file = written(&folder, "cut.heapsnapshot", whole.as_bytes());
    assert_eq!(leak(&[], &file).status.code(), Some(0));
    for length in (0..whole.trim_end().len()).step_by(7) {
        let file = written(&folder, "cut.heapsnapshot", &whole.as_bytes()[..length]);
        refused(&leak(&[], &file), &["cut.heapsnapshot"]);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().expect("a directory");
    let whole = small();
    for (from, to, words) in [
        (
            "{\"snapshot\"",
            "{\"other\"",
            &["not a V8 heap snapshot"][..],
        ),
        (
            "\"node_count\":3",
            "\"node_count\":4",
            &["4 nodes, but has 3"],
        ),
        (
            ",3,1,3,16",
            ",3,1,3,x",
            &["\"nodes\", byte", "a number expected"],
        ),
        (
            ",3,1,3,16",
            ",3,1,3,-1",
            &["\"nodes\", byte", "a number expected"],
        ),
        (",3,1,3,16", ",3,99,3,16", &["string 99 of 5"]),
        (",3,1,3,16", ",77,1,3,16", &["type 77"]),
        (",2,3,12", ",2,3,13", &["an edge points to value 13"]),
        (",2,3,12", ",2,3,18", &["an edge points to value 18"]),
        (",2,3,12", ",9,3,12", &["an edge's type is 9"]),
        (",2,3,12", ",2,3", &["no whole number of rows"]),
        (
            "\"edge_count\":2",
            "\"edge_count\":7",
            &["7 edges, but has 2"],
        ),
        (
            "\"self_size\",",
            "\"size\",",
            &["node_fields has no \"self_size\""],
        ),
        ("\"strings\"", "\"words\"", &["has no \"strings\""]),
        ("\"meta\"", "\"mete\"", &["missing field `meta`"]),
    ] {
        assert!(whole.contains(from), "{from}");
        let file = written(
            &folder,
            "wrong.heapsnapshot",
            whole.replace(from, to).as_bytes(),
        );
        refused(&leak(&[], &file), words);
    }
    refused(&leak(&[], folder.path()), &["is a folder"]);
}

#[test]
fn damaged_files_never_crash_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let whole = small();
    let mut random = Random::new(4);
    for _ in 0..300 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] = random.below(256) as u8,
                1 => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, b"0123456789,[]{}\"\\ "[random.below(18) as usize]),
            }
        }
        let file = written(&folder, "damaged.heapsnapshot", &bytes);
        let run = leak(&[], &file);
        assert!(
            matches!(run.status.code(), Some(0 | 2)),
            "{:?} {}: {}",
            run.status,
            String::from_utf8_lossy(&run.stderr),
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn growth_that_fits_no_pattern_is_told_by_class() {
    let folder = tempfile::tempdir().expect("a directory");
    let [a, b, c] =
        [30, 60, 90].map(|n| written(&folder, &format!("{n}"), with_points(n).as_bytes()));
    let files = [a.to_str().expect("a name"), b.to_str().expect("a name")];
    let run = leak(&[&["leaks"], &files[..]].concat(), &c);
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{run:?}");
    assert!(
        text.contains("30 → 60 → 90") && text.contains("{x, y}"),
        "{text}"
    );
}

#[test]
fn snapshots_in_the_wrong_order_are_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let [early, late] =
        [30, 60].map(|n| written(&folder, &format!("{n}"), with_points(n).as_bytes()));
    let run = leak(&["leaks", late.to_str().expect("a name")], &early);
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("30: was taken before"), "{said}");
}

#[test]
fn a_reader_that_leaves_early_ends_it_quietly() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = written(&folder, "many", with_points(50_000).as_bytes());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = Command::new(leak_tests::tools::leak())
        .args(["heap", "--nodes"])
        .arg(&file)
        .stdout(writer.try_clone().expect("the pipe"))
        .stderr(writer)
        .status()
        .expect("leak");
    assert!(run.success(), "{run}");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let run = Command::new(leak_tests::tools::leak())
        .args(["heap", "nowhere"])
        .stderr(writer)
        .status()
        .expect("leak");
    assert_eq!(run.code(), Some(2));
}
