//! The environment variables of the recorder and the command: one table, from which
//! `leak run --help` and the man page come.

/// One variable.
pub struct Variable {
    /// Its name, and the form of its value.
    pub usage: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// Directory, file name and extension of a log unless told otherwise.
pub const DEFAULT_PATTERN: &str = "%e.%p.leak";

/// Where the log goes.
pub const LOG: &str = "LEAK_LOG";
/// What is done about JavaScript.
pub const JS: &str = "LEAK_JS";
/// Whether frees are checked.
pub const CHECK_FREES: &str = "LEAK_CHECK_FREES";
/// When heap snapshots of JavaScript are taken.
pub const SNAPSHOT: &str = "LEAK_SNAPSHOT";
/// Where `libleak.so` is.
pub const LIBRARY: &str = "LEAK_LIB";

/// All of them.
pub const VARIABLES: &[Variable] = &[
    Variable {
        usage: "LEAK_LOG=PATTERN",
        help: "Where the log of each process goes. %p stands for the process id, %e for the \
               program's name, %% for a percent sign. A directory (made if it ends in /) means the \
               default names in it. A name that is taken gets a number. Default: %e.%p.leak in the current \
               directory; if that cannot be written to, in $TMPDIR; else in /tmp. A fork \
               child that may not write to PATTERN's directory does the same with its file name. \
               -o of leak run overrides it.",
    },
    Variable {
        usage: "LEAK_SELFCHECK=N",
        help: "Compare every N-th captured stack with the one of an independent unwinder. The \
               report says how many were compared and how many differed. Slow; for distrust of \
               the recorder, not for daily use.",
    },
    Variable {
        usage: "LEAK_REACH=0",
        help: "Do not search at the end of the process for what can still be reached. (The search \
               takes about a second for each gigabyte of the heap, a minute at most.)",
    },
    Variable {
        usage: "LEAK_CHECK_FREES=1",
        help: "Hold every free against the allocation of its block, as leak run --check-frees.",
    },
    Variable {
        usage: "LEAK_DISABLE=1",
        help: "Record nothing: the preloaded library stays asleep.",
    },
    Variable {
        usage: "LEAK_JS=0|exact",
        help: "0: leave V8 alone; stacks in Node have native frames only. exact: keep its compilers from \
               inlining calls (--js-exact of leak run). Default: name JavaScript frames; what an \
               inlined function allocates is charged to the function that it was inlined into.",
    },
    Variable {
        usage: "LEAK_JS_SAMPLE=BYTES",
        help: "In Node, sample one JavaScript allocation in so many bytes (on average, at least 1024), to \
               show what is live in its heap by stack; less shows smaller leaks and costs more. 0: no \
               sampling. Default: 1048576.",
    },
    Variable {
        usage: "LEAK_SNAPSHOT=exit,limit",
        help: "When Node writes heap snapshots of its own beside the log, as leak run --snapshot. Workers write \
               theirs near the limit only.",
    },
    Variable {
        usage: "LEAK_VERBOSE=1",
        help: "One line on stderr when recording begins and one when it ends. Otherwise the \
               preloaded library prints nothing.",
    },
    Variable {
        usage: "LEAK_LIB=FILE",
        help: "The libleak.so that leak run preloads. Default: the one beside the leak command, \
               else the one in ../lib from there. If its path has a space, a colon or a dollar \
               sign, which LD_PRELOAD cannot hold, a link in $TMPDIR/leak-UID (or /tmp) stands \
               for it.",
    },
];

/// A list for [`SNAPSHOT`], its words known.
pub fn parse_snapshot(text: &str) -> Result<String, String> {
    let mut words = text.split(',');
    match words.all(|word| matches!(word, "exit" | "limit" | "force")) && text != "force" {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?}: write exit, limit or exit,limit (and ,force)"
        )),
    }
}

/// The other way to trace.
pub const WITHOUT_RUN: &str = "LD_PRELOAD=/path/to/libleak.so ./app does the same without leak run, but for the \
                               checks before and the summary after it.";

/// The table as the last section of a help text.
pub fn help() -> String {
    let mut text = String::from("Environment:");
    for variable in VARIABLES {
        text.push_str("\n  ");
        text.push_str(variable.usage);
        text.push('\n');
        for line in wrap(variable.help, 72) {
            text.push_str("          ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.push('\n');
    text.push_str(WITHOUT_RUN);
    text
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
