//! A command line that makes no sense, told in one line as all bad input is.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::flags::Flags;

/// What is wrong, where, and what to do. `None` if the user asked for help or version, which is
/// printed as it is.
pub fn line(error: &clap::Error, args: impl Iterator<Item = OsString>) -> Option<String> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return None;
    }
    let text = error.render().to_string();
    let parts: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let what = parts.join(" ").replace(" tip: ", "; ");
    let mut what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    if error.kind() == ErrorKind::InvalidSubcommand {
        let known = Flags::command();
        let names = known
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        let names: Vec<&str> = names.map(clap::Command::get_name).collect();
        what = format!("{what}; the commands are {}", names.join(", "));
    }
    let command = command(args);
    if command == "leak heap"
        && error.kind() == ErrorKind::ArgumentConflict
        && what.contains("'<FILE>'")
    {
        what = "leak heap FILE reads one snapshot; compare several with leak heap leaks or leak heap diff".to_owned();
    }
    Some(format!("{what}; see {command} --help"))
}

/// The command whose help explains its words.
fn command(args: impl Iterator<Item = OsString>) -> String {
    let known = Flags::command();
    let first = args
        .skip(1)
        .find(|word| !word.as_encoded_bytes().starts_with(b"-"))
        .and_then(|word| word.into_string().ok());
    match first {
        Some(name) if known.find_subcommand(&name).is_some() => format!("leak {name}"),
        _ => "leak".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn said(words: &[&str]) -> String {
        let words = || words.iter().map(OsString::from);
        let error = Flags::try_parse_from(words()).expect_err("refused");
        line(&error, words()).expect("a line")
    }

    #[test]
    fn each_mistake_is_one_line_with_the_help_to_read() {
        for (words, expected) in [
            (
                &["leak", "report", "--fromat", "json", "x"][..],
                "unexpected argument '--fromat' found; a similar argument exists: '--format'; \
                 see leak report --help",
            ),
            (
                &["leak", "report", "--format", "xml", "x"],
                "invalid value 'xml' for '--format <FORMAT>' [possible values: text, json]; \
                 see leak report --help",
            ),
            (
                &["leak", "report"],
                "the following required arguments were not provided: <LOG|DIR>...; see leak report --help",
            ),
            (
                &["leak", "run", "--top", "many", "ls"],
                "invalid value 'many' for '--top <N>': invalid digit found in string; see leak run --help",
            ),
            (
                &["leak", "heap", "a", "b"],
                "leak heap FILE reads one snapshot; compare several with leak heap leaks or leak heap diff; \
                 see leak heap --help",
            ),
            (
                &["leak", "./app"],
                "unrecognized subcommand './app'; the commands are run, report, check, snapshot, mark, watch, heap; see leak --help",
            ),
        ] {
            assert_eq!(said(words), expected);
        }
    }
}
