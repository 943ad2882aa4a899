//! The pages of `leak heap leaks` and `leak heap why`, in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::node;
use leak_tests::tools::heap;

/// What a browser makes of a page.
fn shown(chromium: &Path, page: &str, folder: &Path) -> String {
    let path = folder.join("page.html");
    std::fs::write(&path, page).expect("a file");
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let run = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
            &profile,
        ])
        .arg(format!("file://{}", path.display()))
        .env_remove("LD_PRELOAD")
        .output()
        .expect("chromium");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn pages_of_leaks_show_ways_and_trees_and_hostile_names_stay_text() {
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| folder.path().join(format!("{number}.heapsnapshot")))
        .collect();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/ways/hostile.js");
    let arguments = std::iter::once(&program).chain(&outs);
    if !node::run("22", &arguments.map(PathBuf::as_path).collect::<Vec<_>>()) {
        return;
    }

    let json: serde_json::Value =
        serde_json::from_str(&heap(&["leaks", "--format", "json"], &outs)).expect("JSON");
    let id = json["leaks"][0]["id"].to_string();
    let pages = [
        ("leaks", heap(&["leaks", "--format", "html"], &outs)),
        ("why", heap(&["why", &id, "--format", "html"], &outs[2..])),
    ];
    for (job, page) in pages {
        assert_eq!(page.matches("</script>").count(), 2, "{job}: its own two");
        for address in ["src=", "href=", "url(", "@import", "fetch("] {
            let (template, _) = page.split_once("@DATA@").unwrap_or((&page, ""));
            let template = template.split("type=\"application/json\">").next();
            assert!(
                !template.unwrap_or_default().contains(address),
                "{job}: {address}"
            );
        }
        let dom = shown(&chromium, &page, folder.path());
        let (_, text) = dom.split_once("<body").expect("a body");
        let (text, _) = text.split_once("<script id=").expect("the data");
        assert!(
            dom.contains(&format!("<title>leak heap {job}</title>")),
            "{job}: a name ran as a script"
        );
        assert!(text.contains("variable held of "), "{job}: no way: {text}");
        assert!(text.contains("Retainers"), "{job}: no tree");
        assert!(text.contains("&lt;/script&gt;"), "{job}: no name: {text}");
        assert!(
            text.contains("\\u202e") || text.contains("\\u{202e}"),
            "{job}: what turns text around is not spelled out: {text}"
        );
        assert!(!text.contains('\u{202e}'), "{job}: text is turned around");
    }
}

#[test]
fn pages_show_where_objects_were_allocated() {
    let Some(chromium) = leak_tests::command_or_skip("chromium") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| folder.path().join(format!("{number}.heapsnapshot")))
        .collect();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/stacks");
    let programs = ["run.js", "helper.js"].map(|name| programs.join(name));
    let arguments = programs.iter().chain(&outs);
    if !node::run("26", &arguments.map(PathBuf::as_path).collect::<Vec<_>>()) {
        return;
    }
    let body = |page: &str| {
        let dom = shown(&chromium, page, folder.path());
        let (_, text) = dom.split_once("<body").expect("a body");
        let (text, _) = text.split_once("<script id=").expect("the data");
        text.to_owned()
    };
    let leaks = body(&heap(&["leaks", "--format", "html"], &outs));
    assert!(leaks.contains("allocated by: step() "), "{leaks}");
    let snapshot = body(&heap(&["--format=html"], &outs[2..]));
    assert!(snapshot.contains("Allocated, by stack"), "{snapshot}");
    assert!(snapshot.contains("append()"), "{snapshot}");
}
