//! A bar for work that takes long, on a terminal only.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work that is done sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(400);

/// A bar on stderr, or nothing.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    begun: std::time::Instant,
    terminal: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new() -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{msg:>16} [{bar:30}] {percent:>3} %  {elapsed}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress {
            bar,
            begun: std::time::Instant::now(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// How far the current work is.
    pub fn tell(&self, what: &'static str, done: u64, total: u64) {
        if !self.terminal || self.begun.elapsed() < PATIENCE {
            return;
        }
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(what);
        self.bar.set_length(total.max(1));
        self.bar.set_position(done.min(total));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
