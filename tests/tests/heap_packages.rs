//! `leak heap leaks` on programs whose leak is in a package they use: the package's line, the program's own part.

use std::path::Path;

use leak_tests::node;
use leak_tests::tools::heap;
use serde_json::Value;

/// A program next to a package in `node_modules`, three snapshots of it, and what is found in them.
fn leaks(package: &str, program: &str, version: &str, folder: &Path) -> Option<Vec<Value>> {
    let modules = folder.join("node_modules/package");
    std::fs::create_dir_all(&modules).expect("a folder");
    std::fs::write(modules.join("index.js"), package).expect("a file");
    let file = folder.join("program.js");
    std::fs::write(&file, program).expect("a file");
    let files = node::three_snapshots(&file, version, folder)?;
    let text = heap(&["leaks", "--format", "json"], &files);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    Some(json["leaks"].as_array().expect("leaks").clone())
}

/// A package with a store, whose methods do not say who calls them.
const JAR: &str = "
class Cookie { constructor(text) { this.text = text; } }
class Jar {
  constructor() { this.all = []; }
  put(text) { return this.store(new Cookie(text)); }
  store(cookie) { this.all.push(cookie); return cookie; }
}
exports.Jar = Jar;
exports.Base = class Base { constructor(name) { this.name = name; } };
exports.use = (() => { const used = {}; return one => { used[one.name] = one; }; })();
";

#[test]
fn the_program_s_function_that_names_what_it_has_of_a_package_is_its_part() {
    let program = "
const {Jar} = require('package');
const jar = new Jar();
function visit(i) { jar.put('sid=' + i); }
exports.step = i => { visit(i); };
";
    let folder = tempfile::tempdir().expect("a directory");
    for version in ["18", "22", "26"] {
        let Some(found) = leaks(JAR, program, version, folder.path()) else {
            continue;
        };
        let place = |name: &str| found[0][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(found.len(), 1, "Node {version}: {found:?}");
        assert!(
            place("place").contains("store() "),
            "Node {version}: {found:?}"
        );
        assert!(
            place("program").contains("program.js:4:"),
            "Node {version}: {found:?}"
        );
    }
}

#[test]
fn the_program_s_function_that_makes_what_a_package_keeps_is_its_part() {
    let program = "
const {Base, use} = require('package');
class Strategy extends Base { constructor(name) { super(name); } check() { return this.name; } }
function login(i) { use(new Strategy('tenant' + i)); }
exports.step = i => { login(i); };
";
    let folder = tempfile::tempdir().expect("a directory");
    for version in ["18", "22", "26"] {
        let Some(found) = leaks(JAR, program, version, folder.path()) else {
            continue;
        };
        let place = |name: &str| found[0][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(found.len(), 1, "Node {version}: {found:?}");
        assert!(
            place("place").contains("package/index.js:10:"),
            "Node {version}: {found:?}"
        );
        assert!(
            place("program").contains("login() "),
            "Node {version}: {found:?}"
        );
    }
}

/// A package whose object has what it is given in three ways: listeners, a table, and a list that is linked.
const HUB: &str = "
const {EventEmitter} = require('events');
class Queue {
  constructor() { this.last = null; this.length = 0; }
  put(value) { this.last = {value, before: this.last}; this.length++; }
}
class Hub {
  constructor() {
    this.emitter = new EventEmitter().setMaxListeners(0);
    this.byId = {};
    this.states = {};
    this.waiting = new Queue();
    this.next = 0;
  }
  subscribe(name, call) {
    const id = 'id' + this.next++;
    this.emitter.on(name, call);
    this.byId[id] = [name, call];
  }
  submit(work) {
    const id = 'job' + this.next++;
    this.states[id] = this.next;
    this.waiting.put({id, work});
  }
}
exports.Hub = Hub;
";

#[test]
fn what_one_object_of_a_package_keeps_of_the_same_calls_is_one_leak() {
    let hub = "const {Hub} = require('package');\nconst hub = new Hub();\n";
    let listen = "
function listen(i) { hub.subscribe('tick', () => i); }
exports.step = i => { listen(i); };
";
    let submit = "
function submit(i) { hub.submit(() => ({i})); }
exports.step = i => { submit(i); };
";
    let folder = tempfile::tempdir().expect("a directory");
    for version in ["18", "22", "26"] {
        for (program, pattern, other) in [
            (listen, "listeners", "Hub.byId"),
            (submit, "list", "Hub.states"),
        ] {
            let Some(found) = leaks(HUB, &format!("{hub}{program}"), version, folder.path()) else {
                continue;
            };
            assert_eq!(found.len(), 1, "Node {version}: {found:?}");
            assert_eq!(found[0]["pattern"], pattern, "Node {version}: {found:?}");
            let also = found[0]["also"].to_string();
            assert!(also.contains(other), "Node {version}: {found:?}");
        }
    }
}

#[test]
fn in_a_bundle_the_program_s_part_is_told_by_its_source_map() {
    let program = "
const {Jar} = require('package');
const jar = new Jar();
function visit(i) { jar.put('sid=' + i); }
exports.step = i => { visit(i); };
";
    let bundler = leak_tests::tools::target().join("heap-oracle/node_modules/esbuild/bin/esbuild");
    if !bundler.is_file() {
        eprintln!("skipped: no esbuild; run scripts/heap-oracle");
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let modules = folder.path().join("node_modules/package");
    std::fs::create_dir_all(&modules).expect("a folder");
    std::fs::write(modules.join("index.js"), JAR).expect("a file");
    std::fs::write(folder.path().join("program.js"), program).expect("a file");
    let bundled = std::process::Command::new(bundler)
        .current_dir(folder.path())
        .args(["program.js", "--bundle", "--platform=node"])
        .args(["--sourcemap", "--log-level=error", "--outfile=built/app.js"])
        .status();
    assert!(bundled.expect("esbuild runs").success());
    for version in ["18", "22", "26"] {
        let built = folder.path().join("built/app.js");
        let Some(files) = node::three_snapshots(&built, version, folder.path()) else {
            continue;
        };
        let text = heap(&["leaks"], &files);
        let part = text
            .lines()
            .find(|line| line.contains("the program's part: "));
        assert!(
            part.is_some_and(|line| line.contains("/program.js:4:")),
            "Node {version}: {text}"
        );
        let text = heap(&["leaks", "--no-source-maps"], &files);
        assert!(
            !text.contains("the program's part"),
            "Node {version}: {text}"
        );
    }
}

/// A package whose objects are in a list and have an interval each.
const BREAKERS: &str = "
const all = [];
class Breaker {
  constructor(call) {
    this.call = call;
    this.counts = new Array(50).fill(call);
    this.interval = setInterval(() => this.counts.reverse(), 3600e3);
    all.push(this);
  }
}
exports.Breaker = Breaker;
";

#[test]
fn what_timers_keep_as_well_as_a_list_is_told_with_them() {
    let program = "
const {Breaker} = require('package');
function call(i) { return new Breaker(() => i); }
exports.step = i => { call(i); };
";
    let folder = tempfile::tempdir().expect("a directory");
    for version in ["18", "22", "26"] {
        let Some(found) = leaks(BREAKERS, program, version, folder.path()) else {
            continue;
        };
        assert_eq!(found.len(), 1, "Node {version}: {found:?}");
        let leak = &found[0];
        assert_eq!(leak["pattern"], "array", "Node {version}: {leak}");
        let also = leak["also"].to_string();
        assert!(also.contains("400 intervals of "), "Node {version}: {leak}");
        assert!(
            leak["cure"].to_string().contains("clearInterval()"),
            "Node {version}: {leak}"
        );
        // 200 breakers with 50 pointers each, of 4 or 8 bytes.
        assert_eq!(leak["shared"]["holders"], 2, "Node {version}: {leak}");
        let new = leak["shared"]["new_bytes"].as_u64().unwrap_or_default();
        assert!(new > 200 * 50 * 4, "Node {version}: {leak}");
    }
}
