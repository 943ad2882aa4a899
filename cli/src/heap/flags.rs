//! The command line of `leak heap`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// Say what is in a JavaScript heap snapshot, what grew between several, and why it is kept.
///
/// Snapshots (.heapsnapshot) come from Node (v8.writeHeapSnapshot(), --heapsnapshot-signal), Chrome
/// and Electron. Self size, retained size, distance and dominator of every object are those of
/// Chrome DevTools.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct HeapFlags {
    #[command(subcommand)]
    pub job: Option<HeapCommand>,

    /// The snapshot.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    pub file: Option<PathBuf>,

    /// One line for each node in the order of the file: id, self size, retained size, distance,
    /// ordinal of the immediate dominator.
    #[arg(long, conflicts_with_all = ["format", "top"])]
    pub nodes: bool,

    #[command(flatten)]
    pub output: OutputFlags,
}

/// What the jobs have in common.
#[derive(Debug, Args)]
pub struct OutputFlags {
    /// What to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: HeapFormat,

    /// Show the first N only (0: all). Default: 30 in text, all in JSON.
    #[arg(short = 'n', long, value_name = "N")]
    pub top: Option<usize>,

    /// How many threads work; more than two are of use for reading only.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,
}

#[derive(Debug, Subcommand)]
pub enum HeapCommand {
    /// What came and went between snapshots of one process, class by class.
    Diff {
        /// Snapshots of one process, in the order they were taken.
        #[arg(required = true, num_args = 2.., value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputFlags,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeapFormat {
    /// For people.
    Text,
    /// For programs: everything, with exact figures.
    Json,
}
