//! What a file is that is no heap snapshot, by how it begins: what to do about it differs.

/// Bytes that are looked at.
pub(crate) const HEAD: usize = 4096;

/// How some begin, and what then is to be said.
const BEGINNINGS: [(&[u8], &str); 8] = [
    (
        b"PK\x03\x04",
        "is a zip archive: unzip it, and give the snapshot that is in it",
    ),
    (
        b"\xfd7zXZ\0",
        "is packed with xz: unpack it first (unxz -k)",
    ),
    (b"BZh", "is packed with bzip2: unpack it first (bunzip2 -k)"),
    (
        b"\xff\xfe",
        "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)",
    ),
    (
        b"\xfe\xff",
        "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)",
    ),
    (b"leaklog\n", "is a log of leak: give it to leak report"),
    (
        b"JAVA PROFILE",
        "is a heap dump of Java, which leak does not read",
    ),
    (
        b"\x7fELF",
        "is a program or a core file, not a heap snapshot",
    ),
];

/// What JSON files begin with, without spaces, and what more is in them early.
const JSON: [(&str, &str, &str); 6] = [
    (
        "{\"head\":",
        "\"callFrame\"",
        "is a sampled heap profile (.heapprofile), which has stacks but no objects: open it in DevTools (Memory, Load), \
         or take a heap snapshot",
    ),
    (
        "{\"nodes\":[{",
        "\"callFrame\"",
        "is a CPU profile: open it in DevTools (Performance), or take a heap snapshot",
    ),
    (
        "{\"traceEvents\":",
        "",
        "is a trace of Chrome: open it in DevTools (Performance), or take a heap snapshot",
    ),
    (
        "[{",
        "\"ph\":",
        "is a trace of Chrome: open it in DevTools (Performance), or take a heap snapshot",
    ),
    (
        "{\"metadata\":",
        "",
        "is a trace of Chrome: open it in DevTools (Performance), or take a heap snapshot",
    ),
    (
        "{\"header\":{",
        "\"reportVersion\"",
        "is a diagnostic report of Node: open it as text, or take a heap snapshot",
    ),
];

/// What it is, if it is known.
pub(crate) fn what(bytes: &[u8]) -> Option<&'static str> {
    let found = BEGINNINGS
        .iter()
        .find(|(start, _)| bytes.starts_with(start));
    if let Some((_, what)) = found {
        return Some(what);
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    let text: String = String::from_utf8_lossy(head)
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let mut kinds = JSON.iter();
    let found = kinds.find(|(start, inside, _)| text.starts_with(start) && text.contains(inside));
    found.map(|(_, _, what)| *what)
}
