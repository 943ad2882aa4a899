//! `leak heap` with rules of one's own, and its looks at shapes, fan-out and strings, on snapshots of a
//! program that is known.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Three snapshots of tests/heap/rules.js, or `None` where there is no Node.
static SNAPSHOTS: LazyLock<Option<(tempfile::TempDir, Vec<PathBuf>)>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/rules.js");
    let outs = leak_tests::node::three_snapshots(&program, "22", folder.path())?;
    Some((folder, outs))
});

/// Status, JSON and the lines for people of `leak heap` with these arguments.
fn heap(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let run = Command::new(leak_tests::tools::leak())
        .arg("heap")
        .args(arguments)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak");
    (
        run.status.code(),
        serde_json::from_slice(&run.stdout).unwrap_or_default(),
        String::from_utf8_lossy(&run.stderr).into_owned(),
    )
}

/// The leaks that these rules leave, as (pattern, what, counts).
fn leaks(rules: &str) -> Option<Vec<(String, String, Value)>> {
    let (folder, files) = SNAPSHOTS.as_ref()?;
    let path = folder
        .path()
        .join(format!("{:?}.rules", std::thread::current().id()));
    std::fs::write(&path, rules).expect("a file");
    let mut arguments = vec!["leaks", "--format", "json", "--rules"];
    arguments.push(path.to_str().expect("a name"));
    arguments.extend(files.iter().map(|file| file.to_str().expect("a name")));
    let (status, json, error) = heap(&arguments);
    assert_eq!(status, Some(0), "{error}");
    let all = json["leaks"].as_array().expect("leaks").iter();
    Some(
        all.map(|leak| {
            let word = |field: &str| leak[field].as_str().unwrap_or_default().to_owned();
            (word("pattern"), word("what"), leak["counts"].clone())
        })
        .collect(),
    )
}

#[test]
fn a_rule_names_a_leak_and_others_excuse_what_they_are_true_of() {
    // Every fifth session has no user; all are in one Map, which grows.
    let Some(found) = leaks(
        "# Sessions.\nleak 'without user' when class == Session and not has(user)\n\
         leak 'none' when class == Nothing\n",
    ) else {
        return;
    };
    let (pattern, what, counts) = &found[0];
    assert_eq!(pattern, "rule");
    assert!(
        what.contains("without user") && what.contains("line 2"),
        "{what}"
    );
    assert_eq!(counts, &serde_json::json!([40, 60, 80]));
    assert!(
        found[1..].iter().any(|(pattern, ..)| pattern == "map"),
        "{found:?}"
    );
    assert!(found.iter().all(|(_, what, _)| !what.contains("none")));

    // Ignored is the object itself, retained is all that it alone keeps too.
    let rule = "leak 'any' when class == Session\n";
    for (more, wanted) in [
        ("ignore when class == Map and entries >= 400", vec!["rule"]),
        ("retain when class == Map and entries >= 400", vec![]),
        ("ignore when class == Session", vec!["map"]),
        ("ignore 'variable sessions'", vec!["rule"]),
        ("ignore 'rules.js:'", vec!["rule"]),
        ("ignore 'variable others'", vec!["rule", "map"]),
    ] {
        let found = leaks(&format!("{rule}{more}")).expect("snapshots");
        let patterns: Vec<&str> = found.iter().map(|(pattern, ..)| pattern.as_str()).collect();
        assert_eq!(patterns, wanted, "{more}");
    }
}

#[test]
fn rules_that_hide_nothing_are_said_with_their_lines() {
    let Some((_, files)) = SNAPSHOTS.as_ref() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("my.rules");
    let text = "ignore 'variable'\nignore when class == Typo\nretain when name == none\nretain when class == Map\n";
    std::fs::write(&path, text).expect("a file");
    let mut command = Command::new(leak_tests::tools::leak());
    command
        .args(["heap", "leaks", "--rules"])
        .arg(&path)
        .args(files);
    let run = command.output().expect("leak runs");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        text.contains("The rules in lines 2, 3 hide nothing that was found."),
        "{text}"
    );
}

#[test]
fn a_rule_that_is_wrong_is_said_with_its_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("my.rules");
    let path = path.to_str().expect("a name");
    let said = |text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(path, text).expect("a file");
        }
        let (status, _, error) = heap(&["leaks", "a", "b", "--rules", path]);
        assert_eq!(status, Some(2), "{error}");
        error
    };
    assert!(said(None).contains("my.rules"));
    assert!(said(Some("\n# nothing\n")).contains("no rule"));
    assert_eq!(said(None).lines().count(), 1);
    let error = said(Some("ignore when detached\nleak 'a' when retained > big\n"));
    assert!(error.contains("my.rules:2: at character 26"), "{error}");
}

#[test]
fn shapes_fanout_and_strings_are_those_of_the_program() {
    let Some((_, files)) = SNAPSHOTS.as_ref() else {
        return;
    };
    let file = files[2].to_str().expect("a name");
    let ask = |job: &str| {
        let (status, json, error) = heap(&[job, file, "--format", "json"]);
        assert_eq!(status, Some(0), "{error}");
        json
    };
    let shapes = ask("shapes");
    let sessions: Vec<&Value> = shapes["shapes"]
        .as_array()
        .expect("shapes")
        .iter()
        .filter(|shape| shape["class"] == "Session")
        .collect();
    let mut counts: Vec<u64> = sessions
        .iter()
        .filter_map(|shape| shape["count"].as_u64())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [80, 320], "{sessions:?}");
    for shape in sessions {
        assert_eq!(shape["shapes_of_class"], 2);
        assert!(
            shape["place"]
                .as_str()
                .is_some_and(|place| place.contains("rules.js:3:"))
        );
        let names = shape["properties"].to_string();
        assert_eq!(names.contains("user"), shape["count"] == 320, "{names}");
    }

    let fans = ask("fanout");
    let map = fans["objects"]
        .as_array()
        .expect("objects")
        .iter()
        .find(|fan| fan["what"] == "Map" && fan["way"].to_string().contains("sessions"))
        .expect("the sessions");
    assert_eq!(map["entries"], 400);
    assert!(map["references"].as_u64() >= Some(800), "{map}");

    let strings = ask("strings");
    let slices = strings["sliced"].as_array().expect("slices");
    let text = slices
        .iter()
        .find(|parent| parent["text"].to_string().starts_with("\"a long text"))
        .expect("the text");
    assert_eq!(
        (&text["slices"], &text["by_slices_only"]),
        (&Value::from(1), &Value::from(true))
    );
    assert!(text["self_bytes"].as_u64() > Some(3000), "{text}");
    let urls = strings["looks"].as_array().expect("looks");
    let urls = urls
        .iter()
        .find(|sort| sort["name"] == "URL")
        .expect("URLs");
    assert!(urls["count"].as_u64() >= Some(400), "{urls}");
}
