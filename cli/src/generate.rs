//! Man pages and shell completions, from the same items as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use crate::environment;
use crate::error::Error;
use crate::flags::Flags;

/// Writes all of them below `share`, where shells and `man` look for them in a prefix.
pub fn generate(share: &Path) -> Result<(), Error> {
    let mut command = public().disable_help_subcommand(true);
    command.build();
    let pages = share.join("man/man1");
    write(
        &pages.join("leak.1"),
        &page(&command).map_err(|error| fail(&pages, error))?,
    )?;
    write_below(&command, "leak", &pages)?;

    let places = [
        (Shell::Bash, "bash-completion/completions/leak"),
        (Shell::Zsh, "zsh/site-functions/_leak"),
        (Shell::Fish, "fish/vendor_completions.d/leak.fish"),
    ];
    for (shell, place) in places {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut public(), "leak", &mut text);
        write(&share.join(place), &text)?;
    }
    Ok(())
}

/// The pages of a command's subcommands, and of theirs.
fn write_below(command: &clap::Command, name: &str, pages: &Path) -> Result<(), Error> {
    for sub in command.get_subcommands() {
        let name = format!("{name}-{}", sub.get_name());
        let text = page(&sub.clone().display_name(&name)).map_err(|error| fail(pages, error))?;
        write(&pages.join(format!("{name}.1")), &text)?;
        write_below(sub, &name, pages)?;
    }
    Ok(())
}

/// One man page.
fn page(command: &clap::Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::new();
    if command.get_name() == "run" {
        end.control("SH", ["ENVIRONMENT"]);
        for variable in environment::VARIABLES {
            end.control("TP", []);
            end.text([bold(variable.usage)]);
            end.text([roman(variable.help)]);
        }
        end.control("PP", []);
        end.text([roman(environment::WITHOUT_RUN)]);
    }
    end.control("SH", ["EXIT STATUS"]);
    end.text([roman(match command.get_name() {
        "run" => {
            "The program's; if a signal ended the program, leak ends by the same signal. 2 if the program cannot be \
             traced and was not started."
        }
        "check" => {
            "0 if no leak counts, 23 (or what --exit-code says) if one does; 2 for bad input, with one line on stderr \
             that says what, where and what to do."
        }
        "assert" => {
            "0 if all bounds are kept to, 1 if one is not; 2 for bad input, with one line on stderr that says what, \
             where and what to do."
        }
        _ => {
            "0 if all went well; 2 for bad input, with one line on stderr that says what, where and what to do."
        }
    })]);
    end.control("SH", ["SEE ALSO"]);
    end.text([roman("leak(1), leak-run(1), leak-report(1), ld.so(8)")]);
    end.to_writer(&mut text)?;
    Ok(text)
}

/// The command without what is hidden from users.
fn public() -> clap::Command {
    let all = Flags::command();
    let mut command = clap::Command::new("leak")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .after_help(all.get_after_help().cloned().unwrap_or_default());
    for sub in all.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        command = command.subcommand(sub.clone());
    }
    command
}

fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text))
        .map_err(|error| fail(path, error))
}

fn fail(path: &Path, error: io::Error) -> Error {
    Error::Write {
        path: PathBuf::from(path),
        error,
    }
}
