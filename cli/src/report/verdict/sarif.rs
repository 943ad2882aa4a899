//! A verdict as SARIF 2.1.0 (OASIS), which code scanning services read.

use std::io::{self, Write};
use std::path::Path;

use heap::gate::{Finding, Status};
use heap::{Class, Ending};
use serde_json::{Value, json};

use super::super::page::Frame;
use super::text::describe;
use super::{Page, blamed, frame_name, title};

/// The schema that the output keeps to.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What relative paths are relative to.
const ROOT: &str = "SRCROOT";

/// Rule, level and words of each kind of leak.
const RULES: [(&str, &str, &str); 5] = [
    (
        "unreachable",
        "error",
        "Nothing points to the block any more: it can never be freed.",
    ),
    (
        "indirect",
        "error",
        "Only blocks that are lost themselves point to the block.",
    ),
    (
        "possible",
        "warning",
        "Only pointers into the inside of the block are left.",
    ),
    (
        "reachable",
        "note",
        "The block was not freed, though something still points to it.",
    ),
    (
        "not-freed",
        "warning",
        "The block was not freed; what points to it at the end is not known.",
    ),
];

/// Prints it.
pub fn print(out: &mut dyn Write, page: &Page<'_>) -> io::Result<()> {
    let rules = RULES.map(|(id, level, words)| {
        json!({
            "id": format!("leak/{id}"),
            "shortDescription": {"text": words},
            "defaultConfiguration": {"level": level},
        })
    });
    let results: Vec<Value> = page
        .verdict
        .findings
        .iter()
        .map(|finding| result(finding, page))
        .collect();
    let mut root = page.here.to_string_lossy().into_owned();
    root.push('/');
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "leak",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "originalUriBaseIds": {ROOT: {"uri": format!("file://{}", encoded(&root))}},
            "invocations": invocations(page),
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// The processes that leaked; whether each came to its end and how. Without their arguments: the file is
/// made to be uploaded.
fn invocations(page: &Page<'_>) -> Vec<Value> {
    let notes: Vec<Value> = page
        .loss
        .iter()
        .map(|line| json!({"level": "warning", "message": {"text": line}}))
        .collect();
    let invocations = page.profiles.iter().map(|profile| {
        let process = &profile.process;
        let mut invocation = json!({
            "executionSuccessful": matches!(process.ending, Ending::Exited { status: 0 } | Ending::Exec),
            "processId": process.pid,
            "executableLocation": {"uri": format!("file://{}", encoded(&process.exe.to_string_lossy()))},
        });
        if let Ending::Exited { status } = process.ending {
            invocation["exitCode"] = json!(status);
        }
        if !notes.is_empty() {
            invocation["toolExecutionNotifications"] = json!(notes);
        }
        invocation
    });
    invocations.collect()
}

fn rule(class: Option<Class>) -> usize {
    class.map_or(4, |class| class as usize - 1)
}

fn result(finding: &Finding<'_>, page: &Page<'_>) -> Value {
    let leak = &finding.leak;
    let (id, level, _) = RULES[rule(leak.class)];
    let frames = page.frames(finding);
    let mut result = json!({
        "ruleId": format!("leak/{id}"),
        "ruleIndex": rule(leak.class),
        "level": if finding.status == Status::Counts { level } else { "note" },
        "message": {"text": title(finding, page)},
        "partialFingerprints": {"leakSite/v1": finding.identity.to_string()},
        "occurrenceCount": leak.amount.blocks.max(1),
        "properties": {
            "blocks": leak.amount.blocks,
            "bytes": leak.amount.bytes,
            "status": super::status_name(finding.status),
        },
    });
    if let Some(frame) = blamed(frames) {
        result["locations"] = json!([location(frame, page)]);
    }
    if !frames.is_empty() {
        let frames: Vec<Value> = frames
            .iter()
            .map(|frame| stack_frame(frame, page))
            .collect();
        result["stacks"] =
            json!([{"message": {"text": "where it was allocated"}, "frames": frames}]);
    }
    if let Status::Suppressed(place) = finding.status {
        let why = page
            .suppressions
            .all()
            .get(place)
            .map_or_else(String::new, describe);
        result["suppressions"] = json!([{"kind": "external", "justification": why}]);
    }
    if page.with_baseline {
        let known = matches!(finding.status, Status::Known(_));
        result["baselineState"] = json!(if known { "unchanged" } else { "new" });
    }
    result
}

fn stack_frame(frame: &Frame<'_>, page: &Page<'_>) -> Value {
    let mut value = json!({"location": location(frame, page)});
    if let Some(module) = frame.module_name() {
        value["module"] = json!(module);
    }
    value
}

fn location(frame: &Frame<'_>, page: &Page<'_>) -> Value {
    let name = frame_name(frame);
    let mut value = json!({"logicalLocations": [{"fullyQualifiedName": name, "kind": "function"}]});
    let module = || frame.module.and_then(Path::to_str);
    if let Some(file) = frame.file.or_else(module) {
        value["physicalLocation"] = json!({"artifactLocation": artifact(file, &page.here)});
        if let (Some(line), Some(_)) = (frame.line.filter(|&line| line > 0), frame.file) {
            value["physicalLocation"]["region"] = json!({"startLine": line});
        }
    }
    value
}

/// A file: below the reader's directory relative to it, as services that know the repository want it.
fn artifact(file: &str, here: &Path) -> Value {
    match Path::new(file).strip_prefix(here) {
        Ok(inside) => json!({"uri": encoded(&inside.to_string_lossy()), "uriBaseId": ROOT}),
        Err(_) if file.starts_with('/') => json!({"uri": format!("file://{}", encoded(file))}),
        Err(_) => json!({"uri": encoded(file)}),
    }
}

/// A path as a URI has it (RFC 3986: all but unreserved characters and slashes are encoded).
fn encoded(path: &str) -> String {
    use std::fmt::Write;
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(encoded("/a b/c++/ä.c"), "/a%20b/c%2B%2B/%C3%A4.c");
        let here = Path::new("/home/me/app");
        assert_eq!(artifact("/home/me/app/src/a.c", here)["uri"], "src/a.c");
        assert_eq!(
            artifact("/usr/include/x.h", here)["uri"],
            "file:///usr/include/x.h"
        );
    }
}
