//! Why objects are kept, in the words of the program: `leak heap why` and the ways of `leak heap leaks`, on
//! all versions of Node. `tests/heap/ways/` has the programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leak_tests::node;
use leak_tests::tools::heap;
use serde_json::Value;

const VERSIONS: [&str; 5] = ["18", "20", "22", "24", "26"];

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/ways")
}

/// Runs a program with the names of its snapshots; `false` if there is no such Node.
fn run(version: &str, program: &Path, outs: &[PathBuf]) -> bool {
    let arguments = std::iter::once(program).chain(outs.iter().map(PathBuf::as_path));
    node::run(version, &arguments.collect::<Vec<_>>())
}

fn leak(arguments: &[&str], files: &[PathBuf]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&heap(&arguments, files)).expect("JSON")
}

/// `variable rooms of server.js:6 Map → .members Array`
fn text(way: &Value) -> String {
    let folder = format!("{}/", programs().display());
    let steps = way.as_array().expect("steps");
    let shown: Vec<String> = steps
        .iter()
        .map(|step| {
            let word = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
            let times = match step["times"].as_u64() {
                Some(1) | None => String::new(),
                Some(_) => " (links)".to_owned(),
            };
            format!("{} {}{times}", word("by"), word("what"))
                .trim()
                .replace(&folder, "")
        })
        .collect();
    shown.join(" → ")
}

/// The way to each object with a goal, by the goal.
fn ways(file: &Path) -> BTreeMap<String, String> {
    let files = [file.to_owned()];
    let all = leak(&["query", "has('goal') && type == object"], &files);
    let mut ways = BTreeMap::new();
    for node in all["nodes"].as_array().expect("nodes") {
        let id = node["id"].to_string();
        let why = leak(&["why", &id, "--ways", "1"], &files);
        let way = text(&why["way"]);
        // Objects that V8 keeps as patterns of literals.
        if way.contains("compiled code") {
            continue;
        }
        let references = why["references"].as_array().expect("references");
        let goal = references.iter().find(|one| one["by"] == ".goal");
        let goal = goal.and_then(|goal| goal["what"].as_str());
        ways.insert(goal.unwrap_or_default().trim_matches('"').to_owned(), way);
    }
    ways
}

const SERVER: [(&str, &str); 13] = [
    (
        "member 17",
        "variable rooms of server.js:6 Map → Map value of key \"lobby\" Object → .members Array → [17] Object",
    ),
    (
        "static",
        "variable Session of server.js:10 Session() server.js:10:1 → .all Array → [0] Object",
    ),
    (
        "private",
        "variable session of server.js:15 Session → .#rows Array → [0] Object",
    ),
    (
        "list",
        "variable head of server.js:20 Link → .next Link (links) → .next Object",
    ),
    (
        "call",
        "variable store of server.js:27 Object → .has has() server.js:25:16 → variable items of makeStore() Set → Set entry Object",
    ),
    (
        "suspended",
        "variable waiting of server.js:29 Array → [0] function → Promise → awaited by suspended call of handle() server.js:30:22 → local variable Object",
    ),
    (
        "timer",
        "Node's timers: Timeout → ._onTimeout late() server.js:38:27 → variable request of guard() Object",
    ),
    (
        "bound",
        "variable bound of server.js:43 native_bind() → bound this Object",
    ),
    (
        "odd",
        "variable odd of server.js:44 Object → [\"odd name\"] Object",
    ),
    (
        "exports",
        "exports of server.js Object → .list Array → [0] Object",
    ),
    ("global", "global → .forgotten Object"),
    (
        "listener",
        "process → ._events Object → .custom anonymous function server.js:47:36 → .data Object",
    ),
    (
        "stack",
        "local variable of running take() server.js:49:14 Object",
    ),
];

#[test]
fn ways_begin_where_the_program_does_and_not_where_the_snapshot_was_taken() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.heapsnapshot");
    for version in VERSIONS {
        if !run(
            version,
            &programs().join("server.js"),
            std::slice::from_ref(&file),
        ) {
            continue;
        }
        let ways = ways(&file);
        for (goal, wanted) in SERVER {
            let found = ways.get(goal).map(String::as_str).unwrap_or_default();
            assert_eq!(found, wanted, "{goal} on Node {version}: {ways:#?}");
        }
    }
}

#[test]
fn variables_of_es_modules_have_their_names_and_files() {
    let folder = tempfile::tempdir().expect("a directory");
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| folder.path().join(format!("{number}.heapsnapshot")))
        .collect();
    let wanted = [
        (
            "Map variable sessions has 300 entries",
            "variable sessions of store.mjs:1 Map",
        ),
        (
            "Array variable list has 300 entries",
            "variable list of store.mjs:2 Array",
        ),
        (
            "Array static Registry.items has 300 entries",
            "default export of store.mjs Registry() store.mjs:3:16 → .items Array",
        ),
        (
            "Set variable hidden has 300 entries",
            "variable hidden of store.mjs:6 Set",
        ),
        (
            "Array variable here has 300 entries",
            "variable here of module.mjs:5 Array",
        ),
    ];
    for version in VERSIONS {
        if !run(version, &programs().join("module.mjs"), &outs) {
            continue;
        }
        let leaks = leak(&["leaks"], &outs);
        let found: BTreeMap<&str, String> = leaks["leaks"]
            .as_array()
            .expect("leaks")
            .iter()
            .map(|leak| {
                (
                    leak["what"].as_str().unwrap_or_default(),
                    text(&leak["way"]),
                )
            })
            .collect();
        for (what, way) in wanted {
            let shown = found.get(what).map(String::as_str).unwrap_or_default();
            assert_eq!(shown, way, "{what} on Node {version}: {found:#?}");
        }
    }
}

#[test]
fn variables_of_running_code_are_found_by_its_text() {
    let folder = tempfile::tempdir().expect("a directory");
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| folder.path().join(format!("{number}.heapsnapshot")))
        .collect();
    let wanted = [
        (
            "Array variable rows has 360 entries",
            "the top-level code at running.js:1:1",
            "variable rows of running.js:5 Array",
        ),
        (
            "Map variable byName has 390 entries",
            "the top-level code at running.js:1:1",
            "variable byName of running.js:6 Map",
        ),
        (
            "Array variable shared has 420 entries",
            "share() running.js:9:15",
            "variable shared of running.js:8 Array",
        ),
        (
            "Set local variable has 300 entries",
            "work() running.js:12:14",
            "local variable of running work() running.js:12:14 Set",
        ),
        (
            "Array local variable has 330 entries",
            "work() running.js:12:14",
            "local variable of running work() running.js:12:14 Array",
        ),
    ];
    for version in VERSIONS {
        if !run(version, &programs().join("running.js"), &outs) {
            continue;
        }
        let leaks = leak(&["leaks"], &outs);
        let folder = format!("{}/", programs().display());
        let found: BTreeMap<String, (String, String)> = leaks["leaks"]
            .as_array()
            .expect("leaks")
            .iter()
            .map(|leak| {
                let word = |name: &str| leak[name].as_str().unwrap_or_default().to_owned();
                let place = word("place").replace(&folder, "");
                (word("what"), (place, text(&leak["way"])))
            })
            .collect();
        for (what, place, way) in wanted {
            let shown = found.get(what).cloned().unwrap_or_default();
            let wanted = (place.to_owned(), way.to_owned());
            assert_eq!(shown, wanted, "{what} on Node {version}: {found:#?}");
        }
    }
}
