//! `leak mark PID [NAME]`: a mark in the log of a running Node process.

use std::time::Duration;

use clap::Args;

use crate::error::Error;
use crate::live::{Channel, Way};
use crate::snapshot::javascript::{self, Wanted};

/// Time in which the recorder's own thread answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set a mark in the log of a running Node process: leak report shows it in its time line.
#[derive(Debug, Args)]
pub struct MarkFlags {
    /// The process; it must run with libleak.
    #[arg(value_name = "PID")]
    pub pid: i32,

    /// What the mark is called.
    #[arg(value_name = "NAME", default_value = "mark", value_parser = parse_name)]
    pub name: String,

    /// Take a heap snapshot as well: NAME.PID.heapsnapshot in the current directory.
    #[arg(long)]
    pub snapshot: bool,

    /// Take it even if memory may not suffice.
    #[arg(long, requires = "snapshot")]
    pub force: bool,
}

/// Longest name, bytes.
const LONGEST: usize = 200;

fn parse_name(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a mark needs a name".to_owned()),
        1..=LONGEST => Ok(text.to_owned()),
        _ => Err(format!("a name has at most {LONGEST} bytes")),
    }
}

/// Sets the mark.
pub fn mark(flags: &MarkFlags) -> Result<u8, Error> {
    let pid = flags.pid;
    let failed = |problem| Error::Asked { pid, problem };
    let channel = Channel::open(pid).map_err(failed)?;
    channel.mark(&flags.name, PATIENCE).map_err(failed)?;
    if flags.snapshot {
        let wanted = Wanted {
            output: None,
            workers: false,
            way: Way {
                force: flags.force,
                copy: false,
            },
            patience: PATIENCE,
        };
        return javascript::snapshots(pid, &channel, &wanted);
    }
    Ok(0)
}
