//! Reports as one HTML file that needs nothing else: no network, no other file.
//!
//! A page is a template with the style and the tools that all have in common, and its data as JSON.

mod leaks;
mod snapshot;
mod tree;
mod why;

use std::io::{self, Write};

use serde_json::Value;

pub use leaks::write as leaks;
pub use snapshot::write as snapshot;
pub use why::write as why;

const STYLE: &str = include_str!("style.css");
const TOOLS: &str = include_str!("tools.js");

/// Writes a page.
fn render(template: &str, data: &Value, out: &mut impl Write) -> io::Result<()> {
    let page = template
        .replacen("@STYLE@", STYLE, 1)
        .replacen("@TOOLS@", TOOLS, 1);
    // Names come from the program: nothing in them may end the script element.
    let data = data.to_string().replace('<', "\\u003c");
    let (before, after) = page.split_once("@DATA@").unwrap_or((&page, ""));
    write!(out, "{before}{data}{after}")
}
