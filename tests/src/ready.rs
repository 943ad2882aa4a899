//! Programs that say when they are ready, and wait.

use crate::tools;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Starts a program whose first line is `ready`, with libleak or without; the rest of its output.
pub fn start(command: &mut Command, preload: bool) -> (Child, BufReader<ChildStdout>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    if preload {
        command.env("LD_PRELOAD", tools::library());
    }
    let mut child = command.spawn().expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    (child, out)
}
