//! The command line as parsed. Help, man pages and completions come from these items; what a
//! command works with is validated first ([`crate::report::Options`], [`crate::run::Options`]).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use heap::gate::FailOn;

use crate::environment;
use crate::figures;
use crate::heap::flags::HeapFlags;
use crate::mark::MarkFlags;
use crate::snapshot::SnapshotFlags;
use crate::watch::flags::WatchFlags;

/// Find out what a program never frees, and who allocated it.
#[derive(Debug, Parser)]
#[command(
    name = "leak",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "Start here:  leak run -- ./app args...")]
pub struct Flags {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(RunFlags),
    Report(ReportFlags),
    Check(CheckFlags),
    Snapshot(SnapshotFlags),
    Mark(MarkFlags),
    Watch(Box<WatchFlags>),
    Heap(HeapFlags),
    /// Write man pages and shell completions below DIR (a share directory).
    #[command(hide = true)]
    Generate {
        /// The directory.
        dir: PathBuf,
    },
}

/// Run a program, record every allocation, and say at the end what was not freed.
///
/// The program needs no rebuild; debug information (-g) adds file names and lines. Children
/// are followed, one log for each process. Signals to leak run go on to the program. It ends with the program's exit status, or by
/// the same signal (which shells show as 128 + its number); if the program cannot be traced,
/// it is not started and the exit status is 2.
#[derive(Debug, Args)]
#[command(override_usage = "leak run [OPTIONS] [--] PROGRAM [ARGS]...", after_long_help = environment::help())]
pub struct RunFlags {
    /// Where the logs go: a file name, in which %p becomes the process id and %e the program's
    /// name, or a directory (made if it ends in /).
    ///
    /// Nothing is overwritten: the name of a log that is there already gets a number
    /// (app.leak, app.1.leak), and a file that is no log is refused.
    ///
    /// Default: LEAK_LOG, else %e.%p.leak in the current directory, else in $TMPDIR, else in
    /// /tmp.
    #[arg(short, long, value_name = "PATTERN|DIR/", value_hint = ValueHint::AnyPath)]
    pub output: Option<OsString>,

    /// In Node, keep JavaScript's compilers from inlining calls.
    ///
    /// Without this, what an inlined function allocates is charged to the function that it was
    /// inlined into. Costs 25 to 45 % CPU in programs that compute.
    #[arg(long)]
    pub js_exact: bool,

    /// In Node, write heap snapshots beside the log, for leak heap: when the program ends (exit), when
    /// JavaScript's heap is nearly as large as it may become (limit), or both (exit,limit). Not taken
    /// if memory may not suffice, unless force is in the list.
    #[arg(long, value_name = "WHEN", value_parser = environment::parse_snapshot)]
    pub snapshot: Option<String>,

    /// Print no summary at the end.
    #[arg(short, long)]
    pub quiet: bool,

    /// Hold every free against the allocation of its block: double frees, frees by the wrong function or
    /// with the wrong size, frees of what is no block. The report shows them with all stacks. Costs a second
    /// stack for each allocation and one for each free.
    #[arg(long)]
    pub check_frees: bool,

    /// How many sites the summary shows.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,

    #[command(flatten)]
    pub gate: GateFlags,

    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM", value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}

/// Say what was not freed and who allocated it.
///
/// Several logs, or a directory of them, are merged site by site. The exit status is 0, or 2 if
/// any log could not be read as a whole; what can be read of it is reported all the same.
#[derive(Debug, Args)]
pub struct ReportFlags {
    /// Logs, or directories of logs.
    #[arg(required = true, value_name = "LOG|DIR", value_hint = ValueHint::AnyPath)]
    pub logs: Vec<PathBuf>,

    /// What to print: text for people, or JSON (documented, with every site and exact figures).
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,

    /// Show the first N sites only (0: all). Default: 10 in text, all in JSON.
    #[arg(short = 'n', long, value_name = "N")]
    pub top: Option<usize>,

    /// Leave out sites of fewer bytes: a number, or one with K, M, G or T (powers of 1024).
    #[arg(long, value_name = "SIZE", value_parser = figures::parse_bytes)]
    pub min_bytes: Option<u64>,

    /// What makes one site: the whole stack; the innermost JavaScript function of the program; or
    /// what allocated: the innermost function outside of allocators and standard libraries, its
    /// source file, or its module. Default: stack; in text of programs with JavaScript: place.
    #[arg(short, long, value_name = "BY")]
    pub merge: Option<Merge>,

    /// What was live when the heap was largest, instead of at the end.
    #[arg(long, conflicts_with = "temporary")]
    pub peak: bool,

    /// Short-lived blocks: those freed before their thread's next allocation.
    #[arg(long)]
    pub temporary: bool,

    /// Of which moment the live blocks are shown. Text shows those of the teardown for processes that had
    /// one, unless --kind or --sort says otherwise; JSON has both, in the order of the end.
    #[arg(long, value_name = "MOMENT", conflicts_with_all = ["peak", "temporary", "growing"])]
    pub at: Option<Moment>,

    /// Only sites that grow over the run, each with its verdict and confidence (JSON: every site
    /// that has blocks left, with its verdict). Reads the logs twice.
    #[arg(long, conflicts_with_all = ["peak", "temporary", "sort"])]
    pub growing: bool,

    /// With --growing: growth counts from so long after the start on: seconds, or a number with
    /// ms, s, min or h. Default: detected for each process.
    #[arg(long, value_name = "SPAN", requires = "growing", value_parser = figures::parse_duration)]
    pub warm_up: Option<u64>,

    /// Only blocks of these classes: unreachable (nothing points to them), indirect (only
    /// unreachable blocks lead to them), possible (only pointers to their inside) or reachable.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', conflicts_with_all = ["peak", "temporary"])]
    pub kind: Vec<Kind>,

    /// What decides the order. Default: bytes (with --peak: peak, with --temporary: temporary).
    #[arg(short, long, value_name = "BY")]
    pub sort: Option<Sort>,

    /// Show the frames inside of the C++ and Rust standard libraries and of V8, those outside of
    /// main, and the middle of long stacks as well (JSON always has them).
    #[arg(long)]
    pub all_frames: bool,

    /// One report for each process instead of one for all.
    #[arg(long)]
    pub per_process: bool,

    /// Also write what is live in the JavaScript heap, by stack, as a .heapprofile, which Chrome's
    /// DevTools and VS Code open.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub heapprofile: Option<PathBuf>,

    #[command(flatten)]
    pub symbols: SymbolFlags,

    /// Colours. NO_COLOR in the environment turns them off as well.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// Where the names of functions are looked for.
#[derive(Debug, Args)]
pub struct SymbolFlags {
    /// Look here for separate debug information as well; may be given more than once.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub debug_dir: Vec<PathBuf>,

    /// Where the root directory of the machine that ran the program is to be found.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub sysroot: Option<PathBuf>,
}

impl SymbolFlags {
    /// The same for the symbolizer.
    pub fn options(&self) -> symbolizer::Options {
        symbolizer::Options {
            debug_dirs: self.debug_dir.clone(),
            sysroot: self.sysroot.clone(),
            inlines: true,
        }
    }
}

/// Judge logs, for tests and CI: leaks that count make the exit status 23.
///
/// What was not freed is held against suppressions and a baseline. The exit status is 0 if nothing is left
/// that counts, --exit-code if something is, and 2 if a log or a file could not be read, or if the logs
/// cannot answer the question.
#[derive(Debug, Args)]
#[command(after_long_help = GATE_HELP)]
pub struct CheckFlags {
    /// Logs, or directories of logs.
    #[arg(required = true, value_name = "LOG|DIR", value_hint = ValueHint::AnyPath)]
    pub logs: Vec<PathBuf>,

    /// What to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: CheckFormat,

    /// How many leaks a text shows (0: all).
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// Print a suppression for every leak that counts and nothing else: in LeakSanitizer's grammar, or in
    /// Valgrind's.
    #[arg(long, value_name = "GRAMMAR", num_args = 0..=1, require_equals = true, default_missing_value = "lsan")]
    pub gen_suppressions: Option<Grammar>,

    #[command(flatten)]
    pub gate: GateFlags,

    #[command(flatten)]
    pub symbols: SymbolFlags,

    /// Colours. NO_COLOR in the environment turns them off as well.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// What both ways to judge a run share.
#[derive(Clone, Debug, Default, Args)]
pub struct GateFlags {
    /// Which leaks count: unreachable (what nothing points to, and what only that points to), any
    /// (everything that was not freed) or growing (what sites hold that kept growing). With
    /// :bytes=N,blocks=N so much in all is put up with.
    ///
    /// Default: unreachable. leak run judges only if this or another option of the gate is given.
    #[arg(long, value_name = "WHAT[:bytes=N,blocks=N]", help_heading = GATE)]
    pub fail_on: Option<FailOn>,

    /// The exit status if leaks count. Default: exitcode in LSAN_OPTIONS or in the program's
    /// __lsan_default_options, else 23.
    #[arg(long, value_name = "N", help_heading = GATE)]
    pub exit_code: Option<u8>,

    /// Suppressions in LeakSanitizer's or Valgrind's grammar; may be given more than once. Those of
    /// suppressions= in LSAN_OPTIONS and of the program's own __lsan_default_suppressions are used as well.
    #[arg(long, value_name = "FILE", help_heading = GATE, value_hint = ValueHint::FilePath)]
    pub suppressions: Vec<PathBuf>,

    /// Let also count what libc, the loader and language runtimes keep by design.
    #[arg(long, help_heading = GATE)]
    pub no_builtin_suppressions: bool,

    /// Leaks that this file has do not count. Sites are compared by module, function and inlined calls,
    /// not by addresses or lines.
    #[arg(long, value_name = "FILE", help_heading = GATE, value_hint = ValueHint::FilePath)]
    pub baseline: Option<PathBuf>,

    /// Write the leaks that count, and those of --baseline that are still there, as a new baseline; the
    /// exit status is 0 then.
    #[arg(long, value_name = "FILE", help_heading = GATE, value_hint = ValueHint::FilePath)]
    pub write_baseline: Option<PathBuf>,

    /// Write the verdict into a file as well: sarif, junit, markdown, json or text; may be given more than
    /// once.
    #[arg(long, value_name = "FORMAT=FILE", help_heading = GATE, value_parser = written)]
    pub write: Vec<(CheckFormat, PathBuf)>,
}

impl GateFlags {
    /// Whether a run is to be judged.
    pub fn is_asked_for(&self) -> bool {
        self.fail_on.is_some()
            || self.exit_code.is_some()
            || !self.suppressions.is_empty()
            || self.no_builtin_suppressions
            || self.baseline.is_some()
            || self.write_baseline.is_some()
            || !self.write.is_empty()
    }
}

/// The heading of the options of [`GateFlags`].
const GATE: &str = "Options of the gate";

/// What ends the help of `leak check`.
const GATE_HELP: &str =
    "In CI:  leak run --fail-on any --baseline leaks.json --write sarif=leak.sarif -- ./tests";

fn written(text: &str) -> Result<(CheckFormat, PathBuf), String> {
    let (format, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or_else(|| format!("{text:?}: write FORMAT=FILE, as in sarif=leak.sarif"))?;
    Ok((CheckFormat::from_str(format, false)?, PathBuf::from(path)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Text,
    /// For programs; documented.
    Json,
    /// SARIF 2.1.0, as code scanning services read it.
    Sarif,
    /// A JUnit test report: each leak a failed test.
    Junit,
    /// Markdown for GitHub's summaries and comments.
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grammar {
    /// LeakSanitizer's: leak:function.
    Lsan,
    /// Valgrind's: whole stacks in braces.
    Valgrind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Merge {
    /// Each distinct stack is a site.
    Stack,
    /// Stacks with the same innermost JavaScript function of the program are one: neither Node's
    /// own nor a package's, if there is another. Stacks without JavaScript stay as they are.
    Place,
    /// Stacks that end in the same function are one.
    Function,
    /// Stacks that end in the same source file are one.
    File,
    /// Stacks that end in the same program or library are one.
    Module,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nothing points to the block.
    Unreachable,
    /// Only unreachable blocks lead to it.
    Indirect,
    /// Only pointers into the inside of blocks lead to it.
    Possible,
    /// The program could still have freed it.
    Reachable,
}

impl From<Kind> for heap::Class {
    fn from(kind: Kind) -> heap::Class {
        match kind {
            Kind::Unreachable => heap::Class::Unreachable,
            Kind::Indirect => heap::Class::Indirect,
            Kind::Possible => heap::Class::Possible,
            Kind::Reachable => heap::Class::Reachable,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// The process's end.
    End,
    /// When the program's JavaScript had ended and Node began to free what it held.
    Teardown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Bytes not freed.
    Bytes,
    /// Blocks not freed.
    Blocks,
    /// Number of allocations, freed or not.
    Allocations,
    /// Number of short-lived blocks.
    Temporary,
    /// Bytes live at the heap's peak.
    Peak,
    /// Bytes allocated, freed or not.
    Allocated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn what_follows_the_program_is_the_programs() {
        let flags = Flags::parse_from(["leak", "run", "-q", "ls", "-o", "--", "-q"]);
        let Command::Run(run) = flags.command else {
            panic!("not run")
        };
        assert_eq!(run.program, ["ls", "-o", "--", "-q"]);
        assert!(run.quiet && run.output.is_none());
    }
}
