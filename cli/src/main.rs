//! `leak`: find out what a program never frees.
//!
//! One command, five jobs: [`run`] starts a program with the recorder preloaded, [`report`]
//! says what its logs mean, [`gate`] judges them, [`heap`] reads heap snapshots of JavaScript,
//! [`generate`] writes man pages and completions. Flags are parsed
//! ([`flags`]) and then validated (`Options` of each job); everything that is computed is
//! computed by the crates behind it.

/// A line on standard error; where nobody listens any more, nothing.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod environment;
mod error;
mod figures;
mod flags;
mod gate;
mod generate;
mod heap;
mod inspect;
mod live;
mod mark;
mod paint;
mod report;
mod run;
mod snapshot;
mod usage;
mod watch;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use crate::error::Error;
use crate::flags::{Command, Flags};

/// Bad input of any kind.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        if !symbolizer::handles_panics() {
            let what = panic.to_string().replace('\n', " ");
            tell!("leak: internal error: {what}; please report it, with the log if you can");
        }
    }));
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => match usage::line(&error, std::env::args_os()) {
            Some(line) => {
                tell!("leak: {line}");
                return ExitCode::from(BAD_INPUT);
            }
            None => error.exit(),
        },
    };
    let code = match perform(flags.command) {
        Ok(code) => ExitCode::from(code),
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            tell!("leak: {error}");
            ExitCode::from(BAD_INPUT)
        }
    };
    live::interrupt::end();
    code
}

fn perform(command: Command) -> Result<u8, Error> {
    match command {
        Command::Run(flags) => run::run(&run::Options::from(flags)),
        Command::Report(flags) => {
            let well = report::report(&flags.logs, &report::Options::from(&flags))?;
            Ok(if well { 0 } else { BAD_INPUT })
        }
        Command::Check(flags) => gate::check(&flags.logs, &gate::Options::from(&flags)),
        Command::Snapshot(flags) => snapshot::snapshot(&flags),
        Command::Mark(flags) => mark::mark(&flags),
        Command::Watch(flags) => watch::watch(*flags),
        Command::Heap(flags) => heap::heap(&flags),
        Command::Generate { dir } => generate::generate(&dir).map(|()| 0),
    }
}
