//! The pages of `leak heap leaks` and `leak heap why`, in a browser.

use std::path::{Path, PathBuf};
use std::process::Command;

fn leak(arguments: &[&str], files: &[PathBuf]) -> String {
    let (job, rest) = arguments.split_first().expect("a job");
    let run = Command::new(leak_tests::tools::leak())
        .args(["heap", job])
        .args(files)
        .args(rest)
        .env_remove("LD_PRELOAD")
        .output()
        .expect("leak");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).expect("text")
}

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
    let node = leak_tests::tools::target().join("heap-oracle/node_modules/node22/bin/node");
    if !node.exists() {
        eprintln!("skipped: no Node 22; run scripts/heap-oracle");
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let outs: Vec<PathBuf> = (0..3)
        .map(|number| folder.path().join(format!("{number}.heapsnapshot")))
        .collect();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("heap/ways/hostile.js");
    let run = Command::new(node)
        .arg(program)
        .args(&outs)
        .env_remove("LD_PRELOAD")
        .status()
        .expect("node");
    assert!(run.success());

    let json: serde_json::Value =
        serde_json::from_str(&leak(&["leaks", "--format", "json"], &outs)).expect("JSON");
    let id = json["leaks"][0]["id"].to_string();
    let pages = [
        ("leaks", leak(&["leaks", "--format", "html"], &outs)),
        ("why", leak(&["why", &id, "--format", "html"], &outs[2..])),
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
