//! The command line of `leak heap`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::figures::parse_duration;

/// Say what is in a JavaScript heap snapshot, what grew between several, and why it is kept.
///
/// Snapshots (.heapsnapshot) come from Node (v8.writeHeapSnapshot(), --heapsnapshot-signal), Chrome
/// and Electron. Self size, retained size, distance and dominator of every object are those of
/// Chrome DevTools. If V8 was tracking allocations (DevTools: "Allocation instrumentation on timeline"),
/// it says what allocated them, too.
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

    /// Show the first N only (0: all). Default: 10 to 30 in text, 200 in pages, all in JSON.
    #[arg(short = 'n', long, value_name = "N")]
    pub top: Option<usize>,

    /// How many threads work; more than two are of use for reading only.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub threads: u8,

    /// Say places in built scripts as they are, not as their source maps say. JSON always does.
    #[arg(long)]
    pub no_source_maps: bool,
}

#[derive(Debug, Subcommand)]
pub enum HeapCommand {
    /// What came and went between snapshots of one process, class by class.
    Diff {
        /// Snapshots of one process, in the order they were taken.
        #[arg(required = true, num_args = 2.., value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Compare them as DevTools does even if their objects have numbers that do not fit, as those of two
        /// processes: then only the difference of came and went means something.
        #[arg(long)]
        unrelated: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// What grows in every snapshot of one process: leaks, with a name, a place and a cure.
    ///
    /// Three snapshots tell leaks from caches that are still filling up; two are enough to look.
    #[command(after_long_help = RULES_HELP)]
    Leaks {
        /// Snapshots of one process, in the order they were taken.
        #[arg(required = true, num_args = 2.., value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// Rules of your own for what is a leak and what is none, one a line.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        rules: Option<PathBuf>,
        /// The time between two snapshots, for growth per minute. Default: as the files' names tell
        /// (Heap.20261122.223344…), or their times if these lie far enough apart.
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        every: Option<u64>,
        /// The log of the process (APP.leak): the stacks of JavaScript that hold more and more go with the leaks
        /// whose function is on them.
        ///
        /// A log has one allocation sampled in 1 MiB (LEAK_JS_SAMPLE), with its stack, and which bytes of it
        /// still live; not of which object. Functions have the line where they begin.
        #[arg(long, value_name = "LOG", value_hint = ValueHint::FilePath)]
        stacks: Option<PathBuf>,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// What keeps one object alive.
    ///
    /// The way that says most to a reader, other ways, what the object has, what would free it, and what
    /// points to it.
    Why {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The object's id, as the other reports (and DevTools) show it: @1234.
        #[arg(value_name = "@ID", value_parser = parse_id)]
        id: u32,
        /// How many ways to show, the best first.
        #[arg(long, value_name = "N", default_value_t = 3)]
        ways: usize,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Strings that are there more than once.
    Dups {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Objects by shape: V8's hidden classes, with their properties.
    ///
    /// Objects of one class with many shapes were given their properties in many orders.
    Shapes {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// The objects with the most references, and how they are kept.
    ///
    /// The largest Maps, Sets, arrays and objects used as maps are among them.
    Fanout {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// What strings there are: how they are kept, what they look like, how they begin.
    ///
    /// A slice keeps the whole string it was cut from: the largest of these are listed.
    Strings {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// The nodes of which something is true, those that retain most first.
    #[command(after_long_help = QUERY_HELP)]
    Query {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// What is to be true, like 'class == "Session" && retained > 1MB'.
        #[arg(value_name = "EXPRESSION")]
        expression: String,
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Whether classes stay within bounds, for tests: exit status 1 if one does not.
    ///
    /// What exceeds its bound is told with its three largest holders.
    #[command(after_long_help = ASSERT_HELP)]
    Assert {
        /// The snapshot.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Objects of a class may retain at most so much together; may be given more than once.
        #[arg(long, value_name = "CLASS=SIZE", required_unless_present = "max_count")]
        max_retained: Vec<String>,
        /// There may be at most so many objects of a class; may be given more than once.
        #[arg(long, value_name = "CLASS=N")]
        max_count: Vec<String>,
        /// A class that has no object holds. Otherwise it fails, as a misspelt name would hold for ever, unless the
        /// bound is 0 and no class has nearly that name.
        #[arg(long)]
        may_be_absent: bool,
        #[command(flatten)]
        output: OutputFlags,
    },
}

const RULES_HELP: &str = "\
Rules, with what `leak heap query` understands behind `when`:

  # A comment.
  leak \"session without user\" when class == Session and not has(\"user\")
  ignore \"variable auditLog\"
  ignore when class == LRUCache
  retain when name == warmup

leak: objects of which it is true and that have come since the first snapshot are reported under \
this name. ignore: what is said in a leak's first line with this text is none; with `when`, such an \
object is none: the one whose number stands behind @. retain: neither is it, nor what it alone keeps.";

const ASSERT_HELP: &str = "\
Class names are those that leak heap FILE shows. Examples:

  leak heap assert a.heapsnapshot --max-count Session=100 --max-retained 'Session=1MB'
  leak heap assert a.heapsnapshot --max-count 'Detached <div>=0'";

const QUERY_HELP: &str = "\
Fields that are text:
  class       as leak heap FILE shows it: Session, (string), Detached <div>
  name        V8's: a function's name, a string's text, a constructor's name
  type        V8's: object, closure, string, array, native, code, regexp, number, symbol, …
  place       where a function begins: /srv/app.js:12:3
  dominator   the class of what alone keeps it
Fields that are numbers:
  id          @1234 or 1234
  self, retained   bytes; with a unit if you like: 4K, 1.5MB, 2G
  distance    from the roots, as in DevTools
  edges       references that it has
  entries     of a Map, a Set, an array, an object used as a map
True or not:
  detached    a node of a page that is no longer in it
  has(\"user\")         has such a property
  has_edge(\"table\")   has such a reference of any kind
Operators: == != < <= > >=, ~ (contains), not and or (or ! && ||), parentheses.
A text of one word needs no quotation marks.

Examples:
  leak heap query a.heapsnapshot 'class == Session && retained > 1MB'
  leak heap query a.heapsnapshot 'type == closure && place ~ \"server.js\" && !has(\"name\")'";

fn parse_id(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('@').unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "an object's id is a number, like @1234".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeapFormat {
    /// For people.
    Text,
    /// For programs: everything, with exact figures.
    Json,
    /// One page that needs no network: of a snapshot, a diff, leaks, or why an object is kept.
    Html,
}
