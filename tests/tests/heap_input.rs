//! `leak heap` of what is packed, piped or something else, of files in an order that means nothing, and
//! `leak heap assert`.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use leak_tests::v8::with_points;

fn leak(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(leak_tests::tools::leak());
    command
        .args(words)
        .current_dir(folder)
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    leak(folder, words).output().expect("leak")
}

/// What it prints if it ends well.
fn printed(run: &Output) -> String {
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// The one line of a refusal.
fn refused(run: &Output) -> String {
    let line = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "one line, not: {line}");
    assert!(run.stdout.is_empty(), "half a report");
    line
}

fn fed(folder: &Path, words: &[&str], bytes: &[u8]) -> Output {
    let mut child = leak(folder, words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("leak");
    let mut pipe = child.stdin.take().expect("a pipe");
    // Who refuses it does not read to its end.
    let _ = pipe.write_all(bytes);
    drop(pipe);
    child.wait_with_output().expect("its end")
}

fn with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

/// Packs a file by a program of this system.
fn packed(folder: &Path, program: &str, file: &str) -> Option<PathBuf> {
    let path = folder.join(format!("{file}.{program}"));
    let to = std::fs::File::create(&path).expect("a file");
    let done = Command::new(program)
        .args(["-c", file])
        .current_dir(folder)
        .stdout(to)
        .status();
    done.is_ok_and(|status| status.success()).then_some(path)
}

#[test]
fn what_is_packed_or_piped_is_read_as_the_file_itself() {
    let text = with_points(3000);
    let folder = with(&[("plain", text.as_bytes())]);
    let at = folder.path();
    let plain = printed(&run(at, &["heap", "--nodes", "plain"]));
    assert_eq!(plain.lines().count(), 3002);
    let piped = fed(at, &["heap", "--nodes", "-"], text.as_bytes());
    assert_eq!(printed(&piped), plain);
    let marked = ["\u{feff}", &text].concat();
    std::fs::write(at.join("marked"), marked).expect("a file");
    assert_eq!(printed(&run(at, &["heap", "--nodes", "marked"])), plain);
    let packed = ["gzip", "zstd"].map(|program| packed(at, program, "plain"));
    assert!(packed[0].is_some(), "there is no gzip");
    for path in packed.iter().flatten() {
        let name = path.to_str().expect("a name");
        assert_eq!(printed(&run(at, &["heap", "--nodes", name])), plain);
        let whole = std::fs::read(path).expect("a file");
        let piped = fed(at, &["heap", "--nodes", "-"], &whole);
        assert_eq!(printed(&piped), plain);
        std::fs::write(path, &whole[..whole.len() / 2]).expect("a file");
        let line = refused(&run(at, &["heap", name]));
        assert!(line.contains("cannot be unpacked"), "{line}");
    }
}

#[test]
fn what_is_something_else_is_called_by_its_name() {
    let folder = with(&[
        ("zip", b"PK\x03\x04"),
        ("xz", b"\xfd7zXZ\0"),
        ("utf16", b"\xff\xfe{\0\"\0"),
        ("log", b"leaklog\n"),
        ("sampled", b"{\"head\":{\"callFrame\":{}}}"),
        ("cpu", b"{\"nodes\":[{\"id\":1, \"callFrame\":{}}]}"),
        ("trace", b"{\"traceEvents\":[]}"),
        ("events", b"[ {\"pid\":1,\"ph\":\"X\"}]"),
    ]);
    let at = folder.path();
    std::fs::create_dir(at.join("folder")).expect("a directory");
    let _socket = UnixListener::bind(at.join("socket")).expect("a socket");
    for (name, words) in [
        ("zip", "zip archive: unzip it"),
        ("xz", "unxz -k"),
        ("utf16", "iconv -f UTF-16"),
        ("log", "give it to leak report"),
        ("sampled", "sampled heap profile"),
        ("cpu", "CPU profile"),
        ("trace", "trace of Chrome"),
        ("events", "trace of Chrome"),
        ("folder", "is a folder"),
        ("socket", "is a socket"),
        ("/dev/zero", "not a V8 heap snapshot"),
        ("/dev/null", "the file is empty"),
    ] {
        let line = refused(&run(at, &["heap", name]));
        assert!(line.starts_with(&format!("leak: {name}: ")), "{line}");
        assert!(line.contains(words), "{line}");
    }
    let line = refused(&run(at, &["heap", "zip", "xz"]));
    assert!(line.contains("leak heap diff"), "{line}");
}

#[test]
fn a_snapshot_cut_at_any_fiftieth_or_with_bytes_behind_it_is_refused() {
    let text = with_points(2000);
    let text = text.as_bytes();
    let folder = tempfile::tempdir().expect("a directory");
    let read = |bytes: &[u8]| {
        std::fs::write(folder.path().join("file"), bytes).expect("a file");
        run(folder.path(), &["heap", "file"])
    };
    for part in 0..50 {
        refused(&read(&text[..text.len() * part / 50]));
    }
    for behind in [b"x".as_slice(), b"\0", text] {
        let line = refused(&read(&[text, behind].concat()));
        assert!(line.contains("the file goes on"), "{line}");
    }
    printed(&read(&[text, b" \n"].concat()));
    let unknown = [&text[..text.len() - 1], b",\"more\":[{\"a\":\"]\"}]}"].concat();
    printed(&read(&unknown));
}

#[test]
fn files_are_compared_once_each_and_in_their_order() {
    let (few, many) = (with_points(30), with_points(60));
    let folder = with(&[
        ("few", few.as_bytes()),
        ("many", many.as_bytes()),
        ("copy", few.as_bytes()),
    ]);
    let at = folder.path();
    std::os::unix::fs::symlink("few", at.join("link")).expect("a link");
    for job in ["diff", "leaks"] {
        for (files, words) in [
            (["few", "few"], "few: is given twice; give"),
            (["few", "link"], "link: is given twice (the same as few)"),
            (["many", "few"], "few: was taken before many"),
            (["few", "-"], "-: is no plain file"),
        ] {
            let line = refused(&run(at, &[&["heap", job], &files[..]].concat()));
            assert!(line.contains(words), "{line}");
        }
    }
    let text = printed(&run(at, &["heap", "diff", "few", "copy"]));
    assert!(text.contains("Nothing came and nothing went"), "{text}");
    let text = printed(&run(at, &["heap", "diff", "few", "many"]));
    assert!(text.contains("{x, y}"), "{text}");
    let backwards = ["heap", "diff", "--unrelated", "many", "few"];
    printed(&run(at, &backwards));
}

#[test]
fn a_bound_fails_with_its_holders_and_if_nothing_has_its_name() {
    let folder = with(&[("file", with_points(30).as_bytes())]);
    let ask = |words: &[&str]| {
        let run = run(
            folder.path(),
            &[&["heap", "assert", "file"], words].concat(),
        );
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        (run.status.code(), text)
    };
    let (status, text) = ask(&["--max-count", "{x, y}=30", "--max-retained", "{x, y}=1K"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("count 30 of at most 30"), "{text}");
    let (status, text) = ask(&["--max-count", "{x, y}=28"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("count 30, 2 above the most of 28"), "{text}");
    assert!(text.contains("30 in count,      720 B retained"), "{text}");
    for (bound, status, words) in [
        ("Pount=5", 1, "there is none of this class"),
        ("{x, z}=5", 1, "is {x, y} meant?"),
        ("{x, z}=0", 1, "is {x, y} meant?"),
        ("Session=0", 0, "holds"),
    ] {
        let (found, text) = ask(&["--max-count", bound]);
        assert_eq!(found, Some(status), "{bound}: {text}");
        assert!(text.contains(words), "{bound}: {text}");
        let (found, text) = ask(&["--max-count", bound, "--may-be-absent"]);
        assert_eq!(found, Some(0), "{bound}: {text}");
    }
    let (_, json) = ask(&["--max-count", "{x, y}=28", "-f", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("json");
    let holder = &json["bounds"][0]["holders"][0];
    assert_eq!(
        (&json["holds"], &holder["count"]),
        (&false.into(), &30.into())
    );
    for bound in ["Point", "=3", "Point=1M", "Point=-1"] {
        refused(&run(
            folder.path(),
            &["heap", "assert", "file", "--max-count", bound],
        ));
    }
}

#[test]
fn what_is_wrong_with_a_question_is_marked_in_its_line() {
    let folder = with(&[
        ("file", with_points(30).as_bytes()),
        ("later", with_points(60).as_bytes()),
        ("rules", b"# mine\nleak \"x\" when clas == 1\n"),
    ]);
    let said = |words: &[&str]| {
        let run = run(folder.path(), words);
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    let text = said(&["heap", "query", "file", "class == A && retaned > 1"]);
    assert!(text.contains("at character 15: "), "{text}");
    assert!(text.ends_with(" class == A && ➤retaned > 1\n"), "{text}");
    assert_eq!(text.lines().count(), 1);
    let text = said(&["heap", "leaks", "file", "later", "--rules", "rules"]);
    assert!(text.starts_with("leak: rules:2: at character 15"), "{text}");
    assert!(text.ends_with(" when ➤clas == 1\n"), "{text}");
    assert_eq!(text.lines().count(), 1);
}
