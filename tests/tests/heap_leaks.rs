//! `leak heap leaks` on small programs that each have one leak, or its clean twin: the leak is named
//! with its kind and line, and no clean program is accused. `tests/heap/leaks/run.js` says how they run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use leak_tests::node;
use leak_tests::tools::heap;
use serde_json::Value;

/// Version of Node by program, in turn.
const VERSIONS: [&str; 5] = ["18", "20", "22", "24", "26"];

/// The programs or pages of a folder that have a mark.
fn corpus(folder: &Path) -> Vec<PathBuf> {
    let is_marked = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a text");
        let head = text.lines().next().unwrap_or_default();
        ["// leak: ", "// clean", "<!-- leak: ", "<!-- clean"]
            .iter()
            .any(|mark| head.contains(mark))
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(is_marked)
        .collect();
    files.sort();
    files
}

fn programs() -> Vec<PathBuf> {
    corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks"))
}

/// What to run on which version of Node. A program and its twin run on different ones, so that each kind is
/// seen on two; those whose functions are written in place, as handlers are, run on all, since how the code
/// of a function without a name is found differs.
fn runs(programs: Vec<PathBuf>) -> Vec<(PathBuf, &'static str)> {
    let is_inline = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("inline-")
    };
    let (inline, others): (Vec<PathBuf>, Vec<PathBuf>) = programs.into_iter().partition(is_inline);
    let others = others.into_iter().enumerate();
    let inline = inline.into_iter();
    others
        .map(|(number, program)| (program, VERSIONS[number % VERSIONS.len()]))
        .chain(inline.flat_map(|program| VERSIONS.map(|version| (program.clone(), version))))
        .collect()
}

fn leaks(files: &[PathBuf]) -> Vec<Value> {
    let text = heap(&["leaks", "--format", "json"], files);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    json["leaks"].as_array().expect("leaks").clone()
}

/// What `leak heap leaks` says wrongly of a program or page, by the mark in its first line: `leak: PATTERN
/// [PART OF WHAT IS SAID]` or `clean`, and `cure: PART OF IT` in the second line. A comment HERE marks the line of the function to be named; several, those of
/// which any may be the one.
fn wrong(program: &Path, files: &[PathBuf]) -> Option<String> {
    let found = leaks(files);
    let text = std::fs::read_to_string(program).expect("a program");
    let name = program.file_name().expect("a name").to_string_lossy();
    let lines = found
        .iter()
        .map(|leak| format!("{} {} {}", leak["pattern"], leak["what"], leak["place"]));
    let said = format!("{name}: {:?}", lines.collect::<Vec<_>>());
    let head = text.lines().next().unwrap_or_default();
    let mark = head.split_once("leak: ").map(|(_, mark)| {
        let mark = mark.split(" -->").next().unwrap_or(mark);
        mark.split_once(' ').unwrap_or((mark, ""))
    });
    let Some((pattern, what)) = mark else {
        assert!(head.contains("clean"), "{name} has no mark");
        return (!found.is_empty()).then_some(said);
    };
    let Some(first) = found.first() else {
        return Some(said);
    };
    // One leak is one finding.
    if found.len() > 1 {
        return Some(said);
    }
    let lines: Vec<String> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains("// HERE"))
        .map(|(at, _)| format!("{name}:{at}:"))
        .collect();
    let field = |name: &str| first[name].as_str().unwrap_or_default();
    let named = field("pattern") == pattern && field("what").contains(what);
    // Of several, any may be the one.
    let is_placed = match &lines[..] {
        [] => true,
        [line] => field("place").contains(line),
        all => {
            let places = first["perhaps"].as_array().expect("places");
            let said = |place: &Value| place.as_str().unwrap_or_default().to_owned();
            let places: Vec<String> = places.iter().map(said).collect();
            let mut pairs = places.iter().zip(all);
            places.len() == all.len() && pairs.all(|(place, line)| place.contains(line))
        }
    };
    let second = text.lines().nth(1).unwrap_or_default();
    let is_cured = second
        .split_once("cure: ")
        .is_none_or(|(_, cure)| field("cure").contains(cure));
    if !named || !is_placed || !is_cured {
        return Some(format!("{said}: {}", field("cure")));
    }
    // Each of the three has its figures, and they grow.
    for field in ["counts", "retained_bytes"] {
        let values: Vec<u64> = first[field]
            .as_array()
            .expect("figures")
            .iter()
            .filter_map(Value::as_u64)
            .collect();
        if values.len() != 3 || !values.is_sorted() {
            return Some(format!("{said}: {field} {values:?}"));
        }
    }
    let way = first["way"].as_array();
    way.is_none_or(|way| way.is_empty())
        .then_some(format!("{said}: no way"))
}

#[test]
fn every_leak_is_named_with_its_line_and_no_clean_twin_is_accused() {
    let folder = tempfile::tempdir().expect("a directory");
    for version in VERSIONS {
        std::fs::create_dir(folder.path().join(version)).expect("a directory");
    }
    let runs = runs(programs());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all = Vec::new();
        while let Some((program, version)) = runs.get(next.fetch_add(1, Relaxed)) {
            let folder = folder.path().join(version);
            let Some(files) = node::three_snapshots(program, version, &folder) else {
                break;
            };
            all.extend(wrong(program, &files).map(|said| format!("Node {version}: {said}")));
            for file in files {
                std::fs::remove_file(file).expect("a file");
            }
        }
        all
    };
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work();
        all.extend(other.join().expect("its part"));
        all
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_leak_of_a_page_is_named_and_no_clean_page_is_accused() {
    let node = leak_tests::tools::target().join("heap-oracle/node_modules/node22/bin/node");
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    if !node.exists() {
        eprintln!("skipped: no Node 22; run scripts/heap-oracle");
        return;
    }
    const WORK: &str = "(async () => {
        const steps = window.STEPS || 100;
        for (let n = 0; n < steps; n++) await step(window.turn = (window.turn || 0) + 1);
    })()";
    let heap = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap");
    let folder = tempfile::tempdir().expect("a directory");
    let pages = corpus(&heap.join("pages"));
    let out = |page: &Path, number: usize| {
        let name = page.file_stem().expect("a name").to_string_lossy();
        folder.path().join(format!("{name}-{number}.heapsnapshot"))
    };
    let mut command = Command::new(node);
    command.arg(heap.join("page-snapshot.mjs")).arg(chromium);
    for (number, page) in pages.iter().enumerate() {
        command.args((number > 0).then_some("--")).arg(page);
        // The first one is before all work.
        command.arg(out(page, 0));
        for turn in 1..4 {
            command.arg(WORK).arg(out(page, turn));
        }
    }
    let run = command.env_remove("LD_PRELOAD").output().expect("node");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let files = |page: &Path| (1..4).map(|turn| out(page, turn)).collect::<Vec<_>>();
    let wrong: Vec<String> = pages
        .iter()
        .filter_map(|page| wrong(page, &files(page)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let keyed = &leaks(&files(&heap.join("pages/keyed-nodes.html")))[0];
    let sentence = |name: &str| keyed[name].as_str().unwrap_or_default();
    assert!(
        sentence("is").contains("no longer in the document"),
        "{keyed}"
    );
    assert!(sentence("cure").contains("a WeakMap"), "{keyed}");
}

#[test]
fn places_of_built_code_are_those_of_its_sources() {
    let folder = tempfile::tempdir().expect("a directory");
    let script = folder.path().join("app.js");
    // `function keep(text) {…}` in line 3 of src/app.ts became `k`.
    let map =
        r#"{"version":3,"sources":["src/app.ts"],"names":["keep"],"mappings":"AAEA,SAASA,CAAI"}"#;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write(
        "app.js",
        "function k(t){m.push({t})}const m=[];exports.step=k\n//# sourceMappingURL=app.js.map\n",
    );
    write("app.js.map", map);
    for version in VERSIONS {
        let Some(files) = node::three_snapshots(&script, version, folder.path()) else {
            continue;
        };
        let at = |name: &str| folder.path().join(name).display().to_string();
        let source = format!(", by keep() {}:3:14\n", at("src/app.ts"));
        let built = format!(", by k() {}:1:11\n", at("app.js"));
        let text = heap(&["leaks"], &files);
        assert!(text.contains(&source), "Node {version}: {text}");
        assert!(text.contains("by source maps"), "Node {version}: {text}");
        let plain = heap(&["leaks", "--no-source-maps"], &files);
        assert!(plain.contains(&built), "Node {version}: {plain}");
        assert!(!plain.contains("source maps"), "Node {version}: {plain}");
        let page = heap(&["leaks", "--format", "html"], &files);
        assert!(page.contains("src/app.ts:3:14"), "Node {version}");
        let json = leaks(&files).remove(0);
        assert_eq!(json["place"], built[5..].trim_end(), "Node {version}");
    }
}

#[test]
fn the_store_that_leaked_work_keeps_is_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/timers-in-context.js");
    for version in VERSIONS {
        let Some(files) = node::three_snapshots(&program, version, folder.path()) else {
            continue;
        };
        let leak = leaks(&files).remove(0);
        let entries = leak["entries"].as_str().unwrap_or_default();
        assert!(
            entries.contains("the store of an AsyncLocalStorage") && entries.contains(" Request ("),
            "Node {version}: {leak}"
        );
    }
}

#[test]
fn copies_of_texts_are_told_with_the_container_that_keeps_them() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/copied-fields.js");
    for version in VERSIONS {
        let Some(files) = node::three_snapshots(&program, version, folder.path()) else {
            continue;
        };
        let leak = leaks(&files).remove(0);
        let entries = leak["entries"].as_str().unwrap_or_default();
        assert!(
            entries.contains(" are 400 copies of 2 texts, such as \"Pacific/Pohnpei"),
            "Node {version}: {leak}"
        );
        let cure = leak["cure"].as_str().unwrap_or_default();
        assert!(cure.contains("each text once"), "{cure}");
    }
}

#[test]
fn what_two_containers_share_is_what_their_common_owner_retains() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/shared.js");
    for version in VERSIONS {
        let Some(files) = node::three_snapshots(&program, version, folder.path()) else {
            continue;
        };
        let leak = leaks(&files).remove(0);
        let figure = |of: &Value, name: &str| of[name].as_u64().expect("a figure");
        let other = &leak["also"][0];
        assert_eq!(leak["shared"]["holders"], 2, "Node {version}: {leak}");
        assert!(
            other["what"]
                .as_str()
                .is_some_and(|what| what.contains("byToken"))
        );
        assert_eq!(other["place"], leak["place"]);
        // The object that has both Maps and nothing else: of its own are its size and, in most versions, the
        // names of its two properties.
        let way = leak["way"].as_array().expect("a way");
        let owner = way[way.len() - 2]["id"].as_u64().expect("an id");
        let why = heap(
            &["why", "--format", "json"],
            &[files[2].clone(), format!("@{owner}").into()],
        );
        let why: Value = serde_json::from_str(&why).expect("JSON");
        let below = figure(&why, "retained_bytes") - figure(&why, "self_bytes");
        let together = figure(&leak["shared"], "retained_bytes");
        assert!(
            together <= below && together + 16_384 >= below,
            "{together} of {below}"
        );
        if version == "18" {
            assert_eq!(together, below);
        }
        let alone = leak["retained_bytes"][2].as_u64().expect("a figure");
        assert!(alone * 10 < together && figure(&leak["shared"], "new_bytes") * 3 > together);
    }
}

#[test]
fn questions_are_answered_and_bounds_are_checked() {
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/map.js");
    let Some(files) = node::three_snapshots(&program, "22", folder.path()) else {
        return;
    };
    let file = files[2].to_str().expect("a name");
    let leak = |arguments: &[&str]| {
        let run = Command::new(leak_tests::tools::leak())
            .arg("heap")
            .args(arguments)
            .output()
            .expect("leak");
        let json = serde_json::from_slice::<Value>(&run.stdout).unwrap_or_default();
        (
            run.status.code(),
            json,
            String::from_utf8_lossy(&run.stderr).into_owned(),
        )
    };
    let query = |text: &str| leak(&["query", file, text, "--format", "json"]);
    let (_, all, _) = query("class == Session");
    assert_eq!(all["count"], 400);
    let id = all["nodes"][0]["id"].to_string();
    assert_eq!(
        query(&format!(
            "id == @{id} && has('user') && place ~ 'map.js' && !detached"
        ))
        .1["count"],
        1
    );
    assert_eq!(query("class == Session && retained < 10").1["count"], 0);
    let (status, _, error) = query("class = ");
    assert_eq!((status, error.lines().count()), (Some(2), 1), "{error}");

    let (status, why, _) = leak(&["why", file, &format!("@{id}"), "--format", "json"]);
    assert_eq!(status, Some(0));
    assert!(
        why["way"].to_string().contains("variable sessions"),
        "{why}"
    );
    let (status, _, error) = leak(&["why", file, "@4294967295"]);
    assert_eq!((status, error.lines().count()), (Some(2), 1), "{error}");

    let assert = |most: &str, count: &str| {
        leak(&["assert", file, "--max-retained", most, "--max-count", count]).0
    };
    assert_eq!(assert("Session=1MB", "Session=400"), Some(0));
    assert_eq!(assert("Session=1K", "Session=400"), Some(1));
    assert_eq!(assert("Session=1MB", "Session=399"), Some(1));
    assert_eq!(assert("Session", "Session=399"), Some(2));

    let (_, dups, _) = leak(&["dups", file, "--format", "json"]);
    assert!(dups["wasted_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
}

#[test]
fn the_page_shows_itself_in_a_browser_without_a_network() {
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/leaks/map.js");
    let Some(files) = node::three_snapshots(&program, "22", folder.path()) else {
        return;
    };
    let page = |arguments: &[&str], files: &[PathBuf]| {
        let run = Command::new(leak_tests::tools::leak())
            .arg("heap")
            .args(arguments)
            .args(files)
            .output()
            .expect("leak");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let path = folder.path().join("page.html");
        std::fs::write(&path, &run.stdout).expect("a file");
        for address in ["src=", "href=", "url(", "@import", "fetch("] {
            let text = String::from_utf8_lossy(&run.stdout).into_owned();
            let template = text
                .split("type=\"application/json\">")
                .next()
                .expect("a head");
            assert!(!template.contains(address), "{address}");
        }
        let run = Command::new(&chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--dump-dom",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .arg(format!("file://{}", path.display()))
            .env_remove("LD_PRELOAD")
            .output()
            .expect("chromium");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let one = page(&["--format", "html"], &files[2..]);
    assert!(one.contains("<td>Session <small>"), "no class");
    assert!(one.matches("background: rgb(").count() > 10, "no treemap");
    assert!(one.matches("<details>").count() > 10, "no ways");
    let diff = page(&["diff", "--format", "html"], &files);
    assert!(
        diff.contains("<th><button>grown</button></th>"),
        "no deltas"
    );
    assert!(diff.contains("class=\"more\">"), "nothing has grown");
}
