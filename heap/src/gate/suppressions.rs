//! Suppressions: leaks that someone has decided to live with.

use super::{Amount, GateError, Leak, builtin, lsan, valgrind};
use log_format::reach::Class;
use std::fmt;
use std::path::{Path, PathBuf};

pub use valgrind::Demangle;

/// Where a suppression comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The program itself (`__lsan_default_suppressions`).
    Program(PathBuf),
    /// This crate.
    Builtin,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Program(path) => write!(f, "{}: __lsan_default_suppressions", path.display()),
            Source::Builtin => f.write_str("built in"),
        }
    }
}

/// How suppressions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// LeakSanitizer's: `leak:pattern`.
    Lsan,
    /// Valgrind's: entries in braces.
    Valgrind,
}

impl Grammar {
    /// That of a text, by its first line that says something.
    pub fn of(text: &str) -> Grammar {
        let mut lines = text.lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        if first.is_some_and(|line| line.starts_with('{')) {
            Grammar::Valgrind
        } else {
            Grammar::Lsan
        }
    }
}

/// What a suppression has suppressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// How many leaks: sites, each class apart.
    pub leaks: u64,
    /// Their blocks.
    pub amount: Amount,
}

/// One suppression.
#[derive(Clone, Debug)]
pub struct Suppression {
    /// What it says: the pattern, or the entry's name.
    pub name: String,
    /// Where it stands.
    pub source: Source,
    /// Line there, from 1; 0 for those that are built in.
    pub line: usize,
    /// Why it is there, if it is built in.
    pub reason: Option<&'static str>,
    /// What it has suppressed so far.
    pub hits: Hits,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Lsan(String),
    Valgrind(valgrind::Entry),
}

/// All that hold for a check, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Suppressions {
    all: Vec<Suppression>,
}

impl Suppressions {
    /// Adds those that are built in: what libc, the loader and language runtimes keep by design.
    pub fn add_builtin(&mut self) {
        self.all
            .extend(builtin::entries().map(|(reason, entry)| Suppression {
                name: entry.name.clone(),
                source: Source::Builtin,
                line: 0,
                reason: Some(reason),
                hits: Hits::default(),
                matcher: Matcher::Valgrind(entry),
            }));
    }

    /// Adds those of a file, in either grammar.
    ///
    /// # Errors
    /// If it cannot be read or a line is not in its grammar: nothing of it is added then.
    pub fn add_file(&mut self, path: &Path, demangle: Demangle<'_>) -> Result<(), GateError> {
        let bytes = std::fs::read(path).map_err(|source| GateError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.add_text(
            &Source::File(path.to_owned()),
            &String::from_utf8_lossy(&bytes),
            demangle,
        )
    }

    /// Adds those of a text, in either grammar.
    ///
    /// # Errors
    /// If a line is not in its grammar: nothing of the text is added then.
    pub fn add_text(
        &mut self,
        source: &Source,
        text: &str,
        demangle: Demangle<'_>,
    ) -> Result<(), GateError> {
        let parsed = match Grammar::of(text) {
            Grammar::Lsan => lsan::parse(text).map(|patterns| {
                let each = |(line, pattern): (usize, String)| {
                    (line, pattern.clone(), Matcher::Lsan(pattern))
                };
                patterns.into_iter().map(each).collect::<Vec<_>>()
            }),
            Grammar::Valgrind => valgrind::parse(text, demangle).map(|entries| {
                let each = |(line, entry): (usize, valgrind::Entry)| {
                    (line, entry.name.clone(), Matcher::Valgrind(entry))
                };
                entries.into_iter().map(each).collect()
            }),
        };
        let parsed = parsed.map_err(|(line, problem)| GateError::Line {
            source: source.to_string(),
            line,
            problem,
        })?;
        self.all
            .extend(parsed.into_iter().map(|(line, name, matcher)| Suppression {
                name,
                source: source.clone(),
                line,
                reason: None,
                hits: Hits::default(),
                matcher,
            }));
        Ok(())
    }

    /// The first suppression that a leak falls under, which counts it; its place in [`Suppressions::all`].
    pub fn suppress(&mut self, leak: &Leak<'_>) -> Option<usize> {
        let place = self
            .all
            .iter()
            .position(|suppression| match &suppression.matcher {
                Matcher::Lsan(pattern) => lsan::matches(pattern, &leak.frames),
                Matcher::Valgrind(entry) => entry.matches(leak),
            })?;
        let hits = &mut self.all[place].hits;
        hits.leaks += 1;
        hits.amount += leak.amount;
        Some(place)
    }

    /// All of them, in the order in which they are tried.
    pub fn all(&self) -> &[Suppression] {
        &self.all
    }

    /// Those that have suppressed nothing, apart from those that are built in.
    pub fn unused(&self) -> impl Iterator<Item = &Suppression> {
        self.all
            .iter()
            .filter(|one| one.hits.leaks == 0 && one.source != Source::Builtin)
    }
}

/// A suppression for a leak, in a grammar; `None` if it has no frame with a name.
pub fn generate(leak: &Leak<'_>, grammar: Grammar) -> Option<String> {
    let frames = leak.own_frames();
    let kept = leak.amount;
    match grammar {
        Grammar::Lsan => {
            let name = frames.iter().find_map(|frame| frame.function)?;
            let bytes = kept.bytes;
            Some(format!(
                "# {} blocks, {bytes} bytes\nleak:^{name}$\n",
                kept.blocks
            ))
        }
        Grammar::Valgrind => {
            use fmt::Write;
            let name = frames.iter().find_map(|frame| frame.function)?;
            let mut text = format!("{{\n   leak in {name}\n   Memcheck:Leak\n");
            if let Some(class) = leak.class {
                let kind = match class {
                    Class::Unreachable => "definite",
                    Class::Indirect => "indirect",
                    Class::Possible => "possible",
                    Class::Reachable => "reachable",
                };
                // Writing to a string cannot fail.
                let _ = writeln!(text, "   match-leak-kinds: {kind}");
            }
            for frame in frames {
                let _ = match (frame.function, frame.module) {
                    (Some(function), _) => writeln!(text, "   fun:{function}"),
                    (None, Some(module)) => writeln!(text, "   obj:{}", module.display()),
                    (None, None) => writeln!(text, "   obj:*"),
                };
            }
            text.push_str("}\n");
            Some(text)
        }
    }
}
