//! Colours, or none.

use std::fmt::{self, Display};
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

use crate::flags::Color;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// As asked; `auto` means on a terminal that is not dumb, and without `NO_COLOR`.
    pub fn new(color: Color, stream: &impl IsTerminal) -> Paint {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Paint(match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stream.is_terminal() && !set("NO_COLOR") && !dumb(),
        })
    }

    /// No colours.
    pub const PLAIN: Paint = Paint(false);

    /// What to look at first.
    pub fn strong(self, what: impl Display) -> impl Display {
        self.paint(Style::new().bold(), what)
    }

    /// What is there for completeness.
    pub fn faint(self, what: impl Display) -> impl Display {
        self.paint(Style::new().dimmed(), what)
    }

    /// Functions.
    pub fn function(self, what: impl Display) -> impl Display {
        self.paint(AnsiColor::Cyan.on_default(), what)
    }

    /// Amounts.
    pub fn amount(self, what: impl Display) -> impl Display {
        self.paint(AnsiColor::Yellow.on_default().bold(), what)
    }

    /// What is wrong.
    pub fn warning(self, what: impl Display) -> impl Display {
        self.paint(AnsiColor::Red.on_default().bold(), what)
    }

    fn paint(self, style: Style, what: impl Display) -> impl Display {
        Painted {
            style: if self.0 { style } else { Style::new() },
            what,
        }
    }
}

struct Painted<D> {
    style: Style,
    what: D,
}

impl<D: Display> Display for Painted<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.what, self.style)
    }
}
