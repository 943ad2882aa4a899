//! A verdict as Markdown, as GitHub shows it in summaries of jobs and in comments.

use std::io::{self, Write};

use heap::gate::{Finding, Status};

use super::text::describe;
use super::{Page, amount, blamed, class_name, frame_name, frame_place};

/// Leaks with their stacks; a summary is limited to 1 MiB.
const MOST: usize = 50;

/// Prints it.
pub fn print(out: &mut dyn Write, page: &Page<'_>) -> io::Result<()> {
    let verdict = page.verdict;
    let mark = if verdict.failed {
        ":x:"
    } else {
        ":white_check_mark:"
    };
    writeln!(out, "### {mark} leak check: {}", code(page.program))?;
    writeln!(out)?;
    writeln!(out, "{}", plain(&page.sentence()))?;
    for loss in &page.loss {
        writeln!(out)?;
        writeln!(out, "> :warning: {}", plain(loss))?;
    }
    let counting: Vec<_> = verdict
        .findings
        .iter()
        .filter(|finding| finding.status == Status::Counts)
        .collect();
    if !counting.is_empty() {
        writeln!(out)?;
        writeln!(out, "| | bytes | blocks | class | allocated in | |")?;
        writeln!(out, "|-:|-:|-:|---|---|---|")?;
        for (number, finding) in counting.iter().take(MOST).enumerate() {
            row(out, number + 1, finding, page)?;
        }
        for (number, finding) in counting.iter().take(MOST).enumerate() {
            details(out, number + 1, finding, page)?;
        }
        if counting.len() > MOST {
            writeln!(out)?;
            writeln!(out, "{} more leaks.", counting.len() - MOST)?;
        }
    }
    let others = [
        (verdict.known, "known to the baseline"),
        (verdict.suppressed, "suppressed"),
        (verdict.spared, "of classes that do not count"),
    ];
    let mut lines: Vec<String> = others
        .iter()
        .filter(|(sum, _)| sum.leaks > 0)
        .map(|(sum, what)| format!("- {what}: {} leaks, {}", sum.leaks, amount(sum.amount)))
        .collect();
    lines.extend(page.notes.iter().map(|note| format!("- {}", plain(note))));
    if page.ignored.blocks > 0 {
        lines.push(format!(
            "- ignored, as the program asked: {}",
            amount(page.ignored)
        ));
    }
    let unused = page.suppressions.unused();
    lines.extend(unused.map(|one| {
        format!(
            "- a suppression that suppressed nothing: {}",
            code(&describe(one))
        )
    }));
    if !lines.is_empty() {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn row(
    out: &mut dyn Write,
    number: usize,
    finding: &Finding<'_>,
    page: &Page<'_>,
) -> io::Result<()> {
    let leak = &finding.leak;
    let frame = blamed(page.frames(finding));
    let name = frame.map_or_else(|| "(no stack)".to_owned(), |frame| code(&frame_name(frame)));
    let place = frame.map_or_else(String::new, |frame| code(&frame_place(frame, &page.here)));
    writeln!(
        out,
        "| {number} | {} | {} | {} | {} | {} |",
        leak.amount.bytes,
        leak.amount.blocks,
        class_name(leak.class),
        name.replace('|', "\\|"),
        place.replace('|', "\\|")
    )
}

fn details(
    out: &mut dyn Write,
    number: usize,
    finding: &Finding<'_>,
    page: &Page<'_>,
) -> io::Result<()> {
    writeln!(out)?;
    writeln!(
        out,
        "<details><summary>{number}: {}</summary>",
        amount(finding.leak.amount)
    )?;
    writeln!(out)?;
    writeln!(out, "```text")?;
    for frame in page.frames(finding) {
        let line = format!("{}  {}", frame_name(frame), frame_place(frame, &page.here));
        // A fence inside of a name would end the block.
        writeln!(
            out,
            "{}",
            line.trim_end().replace("```", "'''").replace('\n', " ")
        )?;
    }
    writeln!(out, "```")?;
    writeln!(out, "</details>")
}

/// A text as code; without backticks of its own, which would end it.
fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        _ => format!("`{}`", text.replace('`', "'").replace('\n', " ")),
    }
}

/// A text in which nothing is markup.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '*' | '_' | '`' | '[' | ']' | '|' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            '\n' => safe.push(' '),
            _ => safe.push(c),
        }
    }
    safe
}
