//! The gate: `leak check`, and the end of `leak run --fail-on`.
//!
//! What a leak is held against is read before anything is run or loaded, so that a wrong line costs nobody
//! a test run. What counts is decided in [`heap::gate`]; how it looks, in [`crate::report::verdict`].

mod embedded;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use heap::gate::{
    Amount, Baseline, GateError, Grammar, LsanOptions, Policy, Source, Status, Suppressions,
    Verdict, generate, judge,
};
use heap::{Ending, Profile};
use symbolizer::LocalFiles;

use crate::error::Error;
use crate::figures::counted;
use crate::flags::{self, CheckFlags, CheckFormat, GateFlags};
use crate::paint::Paint;
use crate::report::{self, verdict};

/// LeakSanitizer's exit status.
const DEFAULT_EXIT_CODE: u8 = 23;

/// What to judge by and what to write, as validated.
#[derive(Clone, Debug)]
pub struct Options {
    /// What fails.
    pub policy: Policy,
    /// The status then, if it was given.
    pub exit_code: Option<u8>,
    /// Files of suppressions.
    pub suppressions: Vec<PathBuf>,
    /// Whether those that are built in hold.
    pub builtin: bool,
    /// Whether to print suppressions instead of the verdict, and in which grammar.
    pub generate: Option<Grammar>,
    /// Leaks that do not count.
    pub baseline: Option<PathBuf>,
    /// Where a new baseline goes.
    pub write_baseline: Option<PathBuf>,
    /// Files to write besides.
    pub write: Vec<(CheckFormat, PathBuf)>,
    /// What to print.
    pub format: CheckFormat,
    /// How many leaks a text shows; `None` for all.
    pub top: Option<usize>,
    /// Where debug information may be.
    pub symbols: symbolizer::Options,
    /// Colours.
    pub paint: Paint,
}

impl From<&CheckFlags> for Options {
    fn from(flags: &CheckFlags) -> Options {
        Options {
            generate: flags.gen_suppressions.map(|grammar| match grammar {
                flags::Grammar::Lsan => Grammar::Lsan,
                flags::Grammar::Valgrind => Grammar::Valgrind,
            }),
            format: flags.format,
            top: Some(flags.top).filter(|&top| top > 0),
            symbols: flags.symbols.options(),
            ..Options::of_run(
                &flags.gate,
                flags.top,
                Paint::new(flags.color, &io::stdout()),
            )
        }
    }
}

impl Options {
    /// Those of a run, whose verdict is a text.
    pub fn of_run(flags: &GateFlags, top: usize, paint: Paint) -> Options {
        Options {
            policy: Policy {
                fail_on: flags.fail_on.unwrap_or_default(),
            },
            exit_code: flags.exit_code,
            suppressions: flags.suppressions.clone(),
            builtin: !flags.no_builtin_suppressions,
            generate: None,
            baseline: flags.baseline.clone(),
            write_baseline: flags.write_baseline.clone(),
            write: flags.write.clone(),
            format: CheckFormat::Text,
            top: Some(top).filter(|&top| top > 0),
            symbols: symbolizer::Options::default(),
            paint,
        }
    }
}

/// `leak check`: judges logs and gives the exit status.
pub fn check(logs: &[PathBuf], options: &Options) -> Result<u8, Error> {
    let gate = Gate::prepare(options.clone())?;
    let loaded = report::load(logs, &report::Options::judged(gate.needs_growth()));
    for problem in &loaded.problems {
        tell!("leak: {problem}");
    }
    if loaded.profiles.is_empty() {
        return if loaded.problems.is_empty() {
            Err(Error::NoLog)
        } else {
            Ok(crate::BAD_INPUT)
        };
    }
    let failure = gate.judge(&mut io::stdout().lock(), loaded.profiles)?;
    Ok(failure.unwrap_or(if loaded.problems.is_empty() {
        0
    } else {
        crate::BAD_INPUT
    }))
}

/// What logs are judged by, read and found good.
#[derive(Debug)]
pub struct Gate {
    options: Options,
    /// The status of a run that fails, if someone named one.
    exit_code: Option<u8>,
    /// … and the one that the program itself names.
    exit_code_of_program: Option<u8>,
    suppressions: Suppressions,
    baseline: Option<Baseline>,
}

impl Gate {
    /// Reads suppressions and baseline.
    pub fn prepare(options: Options) -> Result<Gate, Error> {
        let environment = std::env::var("LSAN_OPTIONS").unwrap_or_default();
        let lsan = LsanOptions::parse(&environment);
        let mut suppressions = Suppressions::default();
        for path in options.suppressions.iter().chain(&lsan.suppressions) {
            suppressions.add_file(path, &symbolizer::demangle)?;
        }
        let baseline = options
            .baseline
            .as_deref()
            .map(Baseline::read)
            .transpose()?;
        let exit_code = options.exit_code.or(lsan.exit_code);
        Ok(Gate {
            options,
            exit_code,
            exit_code_of_program: None,
            suppressions,
            baseline,
        })
    }

    /// Whether the logs must be read for growth.
    pub fn needs_growth(&self) -> bool {
        self.options.policy.needs_growth()
    }

    /// Judges the processes of a run (there is one at least), and writes what was asked for. Returns the exit
    /// status of a run that fails.
    pub fn judge(
        mut self,
        out: &mut dyn Write,
        mut profiles: Vec<Profile>,
    ) -> Result<Option<u8>, Error> {
        let program = program(&profiles);
        if let (Some(baseline), Some(path)) = (&self.baseline, &self.options.baseline) {
            baseline.is_of(&program, path)?;
        }
        let mut notes = Vec::new();
        profiles.retain(|profile| {
            // What `exec` replaces is nobody's any more.
            if profile.process.ending == Ending::Exec {
                return false;
            }
            if profile.checks.off {
                notes.push(format!(
                    "process {} is not checked, as it asked",
                    profile.process.pid
                ));
            }
            let asked = &profile.checks.asked;
            let unanswered = asked.iter().filter(|check| check.lost.is_err()).count() as u64;
            if unanswered > 0 {
                notes.push(format!(
                    "process {} asked {} while it ran whether it leaks, and got no answer",
                    profile.process.pid,
                    counted(unanswered, "time")
                ));
            }
            !profile.checks.off
        });
        let profiles = profiles.as_slice();
        self.see_classes(profiles, &mut notes)?;
        self.take_suppressions_of(profiles, &mut notes)?;
        if self.options.builtin {
            self.suppressions.add_builtin();
        }
        let named = report::Named::new(profiles, &self.options.symbols);
        let sites = named.sites();
        let leaks = named.leaks(&sites);
        let policy = &self.options.policy;
        let verdict = judge(
            leaks,
            &mut self.suppressions,
            self.baseline.as_ref(),
            policy,
        );
        let page = verdict::Page {
            program: &program,
            profiles,
            verdict: &verdict,
            suppressions: &self.suppressions,
            policy,
            with_baseline: self.baseline.is_some(),
            sites: &sites,
            ignored: ignored(profiles),
            loss: named.loss(),
            notes,
            top: self.options.top,
            here: std::env::current_dir().unwrap_or_default(),
        };
        for (format, path) in &self.options.write {
            write_file(*format, &page, path)?;
        }
        let printed = match self.options.generate {
            Some(grammar) => print_suppressions(out, &verdict, grammar),
            None => verdict::print(out, self.options.format, &page, self.options.paint),
        };
        match printed.and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                return Err(Error::Output(error));
            }
            _ => {}
        }
        if let Some(path) = &self.options.write_baseline {
            new_baseline(&program, &verdict).write(path)?;
            return Ok(None);
        }
        let exit_code = || {
            self.exit_code
                .or(self.exit_code_of_program)
                .unwrap_or(DEFAULT_EXIT_CODE)
        };
        // A status of 0 asks for a verdict without consequences.
        Ok(verdict.failed.then(exit_code))
    }

    /// Whether the question can be answered: for the first process it must be, of the others it is told.
    fn see_classes(&self, profiles: &[Profile], notes: &mut Vec<String>) -> Result<(), Error> {
        if !self.options.policy.needs_classes() {
            return Ok(());
        }
        let without =
            |profile: &&Profile| profile.totals.live_blocks > 0 && !profile.reach.is_known();
        for (number, profile) in profiles
            .iter()
            .enumerate()
            .filter(|(_, profile)| without(profile))
        {
            if number == 0 {
                return Err(Error::NotClassified {
                    log: profile.path.clone(),
                });
            }
            notes.push(format!(
                "process {}: it is not known what was reachable at its end; its blocks do not count",
                profile.process.pid
            ));
        }
        Ok(())
    }

    /// What the programs say themselves. A file that they name may be on another machine.
    fn take_suppressions_of(
        &mut self,
        profiles: &[Profile],
        notes: &mut Vec<String>,
    ) -> Result<(), Error> {
        let mut seen: Vec<String> = Vec::new();
        let mut files: Vec<PathBuf> = Vec::new();
        for profile in profiles {
            let (text, options) = said(profile, &self.options.symbols);
            let options = LsanOptions::parse(&options);
            self.exit_code_of_program = self.exit_code_of_program.or(options.exit_code);
            if let Some(path) = options
                .suppressions
                .map(|path| profile.process.cwd.join(path))
                && !files.contains(&path)
            {
                match self.suppressions.add_file(&path, &symbolizer::demangle) {
                    Err(error @ GateError::Read { .. }) => {
                        notes.push(format!("suppressions that the program names: {error}"))
                    }
                    other => other?,
                }
                files.push(path);
            }
            if text.is_empty() || seen.contains(&text) {
                continue;
            }
            let source = Source::Program(profile.process.exe.clone());
            self.suppressions
                .add_text(&source, &text, &symbolizer::demangle)?;
            seen.push(text);
        }
        Ok(())
    }
}

/// Suppressions and options that a program has inside: as it said them, or as its file has them.
fn said(profile: &Profile, symbols: &symbolizer::Options) -> (String, String) {
    let checks = &profile.checks;
    if !checks.suppressions.is_empty() || !checks.options.is_empty() {
        return (checks.suppressions.clone(), checks.options.clone());
    }
    let exe = &profile.process.exe;
    // The loader knows the program itself first, and sometimes by another path.
    let known = profile
        .modules
        .iter()
        .find(|module| &module.path == exe)
        .or(profile.modules.first());
    let module = symbolizer::Module {
        path: exe.clone(),
        build_id: known
            .map(|module| module.build_id.clone())
            .filter(|id| !id.is_empty()),
    };
    let files = LocalFiles::new(symbols);
    let text = |name| embedded::text(&module, &files, name).unwrap_or_default();
    (
        text("__lsan_default_suppressions"),
        text("__lsan_default_options"),
    )
}

/// The name of the program: that of the process that began first.
fn program(profiles: &[Profile]) -> String {
    let exe = profiles
        .first()
        .and_then(|profile| profile.process.exe.file_name());
    exe.unwrap_or_default().to_string_lossy().into_owned()
}

/// What the programs asked not to be counted.
fn ignored(profiles: &[Profile]) -> Amount {
    profiles.iter().fold(Amount::default(), |sum, profile| {
        let totals = &profile.totals;
        sum + Amount {
            blocks: totals.ignored_blocks,
            bytes: totals.ignored_bytes.0,
        }
    })
}

fn write_file(format: CheckFormat, page: &verdict::Page<'_>, path: &Path) -> Result<(), Error> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        verdict::print(&mut out, format, page, Paint::PLAIN)?;
        out.flush()
    });
    written.map_err(|source| {
        Error::Gate(GateError::Write {
            path: path.to_owned(),
            source,
        })
    })
}

/// What counts, and what the old baseline had and is still there.
fn new_baseline(program: &str, verdict: &Verdict<'_>) -> Baseline {
    let mut baseline = Baseline::new(program);
    for finding in &verdict.findings {
        if matches!(finding.status, Status::Counts | Status::Known(_)) {
            baseline.add(finding.identity.clone(), finding.leak.amount);
        }
    }
    baseline
}

fn print_suppressions(
    out: &mut dyn Write,
    verdict: &Verdict<'_>,
    grammar: Grammar,
) -> io::Result<()> {
    let mut seen = Vec::new();
    for finding in verdict
        .findings
        .iter()
        .filter(|finding| finding.status == Status::Counts)
    {
        if let Some(text) = generate(&finding.leak, grammar)
            && !seen.contains(&text)
        {
            write!(out, "{text}")?;
            seen.push(text);
        }
    }
    Ok(())
}
