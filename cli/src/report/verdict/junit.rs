//! A verdict as a JUnit test report: each leak a test that failed, was skipped (suppressed), or passed
//! (known, or of a class that does not count). CI servers show these beside the program's own tests.

use std::borrow::Cow;
use std::io::{self, Write};

use heap::gate::Status;

use super::text::describe;
use super::{Page, class_name, frame_name, frame_place, title};

/// Prints it.
pub fn print(out: &mut dyn Write, page: &Page<'_>) -> io::Result<()> {
    let findings = &page.verdict.findings;
    let of = |is: fn(&Status) -> bool| {
        findings
            .iter()
            .filter(|finding| is(&finding.status))
            .count()
    };
    let failures = of(|status| *status == Status::Counts);
    let skipped = of(|status| matches!(status, Status::Suppressed(_)));
    // The whole check is one more test: with a limit, leaks may be put up with; and no suite is empty.
    let tests = findings.len() + 1;
    let failures = failures + usize::from(page.verdict.failed);
    let counts = format!(r#"tests="{tests}" failures="{failures}" skipped="{skipped}" errors="0""#);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="leak" {counts}>"#)?;
    writeln!(
        out,
        r#"  <testsuite name="{}" {counts}>"#,
        escaped(page.program)
    )?;
    let sentence = page.sentence();
    write!(out, r#"    <testcase classname="leak" name="check""#)?;
    match page.verdict.failed {
        true => writeln!(
            out,
            r#"><failure type="leaks" message="{}"/></testcase>"#,
            escaped(&sentence)
        )?,
        false => writeln!(out, "/>")?,
    }
    for finding in findings {
        let message = title(finding, page);
        let name = format!("{message} [{}]", finding.identity);
        let class = class_name(finding.leak.class).replace(' ', "_");
        write!(
            out,
            r#"    <testcase classname="leak.{class}" name="{}""#,
            escaped(&name)
        )?;
        match finding.status {
            Status::Counts => {
                writeln!(out, ">")?;
                writeln!(
                    out,
                    r#"      <failure type="{class}" message="{}">"#,
                    escaped(&message)
                )?;
                for frame in page.frames(finding) {
                    let line = format!("{}  {}", frame_name(frame), frame_place(frame, &page.here));
                    writeln!(out, "{}", escaped(line.trim_end()))?;
                }
                writeln!(out, "      </failure>")?;
                writeln!(out, "    </testcase>")?;
            }
            Status::Suppressed(place) => {
                let why = page
                    .suppressions
                    .all()
                    .get(place)
                    .map_or_else(String::new, describe);
                writeln!(out, r#"><skipped message="{}"/></testcase>"#, escaped(&why))?;
            }
            Status::Known(_) | Status::Spared => writeln!(out, "/>")?,
        }
    }
    writeln!(out, "  </testsuite>")?;
    writeln!(out, "</testsuites>")
}

/// A text as XML has it, in attributes too. Control characters have no place in XML 1.0.
fn escaped(text: &str) -> Cow<'_, str> {
    let plain = |c: char| {
        !matches!(c, '<' | '>' | '&' | '"' | '\'' | '\u{fffe}' | '\u{ffff}') && !c.is_control()
    };
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            _ if plain(c) => safe.push(c),
            _ => safe.push('\u{fffd}'),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_safe_in_attributes() {
        assert_eq!(escaped("f(int)"), "f(int)");
        assert_eq!(
            escaped("a<b> & \"c\"\u{1}"),
            "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}"
        );
    }
}
