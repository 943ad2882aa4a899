//! Man pages and shell completions, from the same items as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::Error;
use crate::flags::Flags;

/// Writes all of them below `share`, where shells and `man` look for them in a prefix.
pub fn generate(share: &Path) -> Result<(), Error> {
    let mut command = Flags::command();
    command.build();

    let pages = share.join("man/man1");
    let page = |name: &str, command: clap::Command| {
        let mut text = Vec::new();
        Man::new(command).render(&mut text).map_err(|error| fail(&pages, error))?;
        write(&pages.join(format!("{name}.1")), &text)
    };
    page("leak", command.clone())?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("leak-{}", sub.get_name());
        page(&name, sub.clone().display_name(&name))?;
    }

    let places = [
        (Shell::Bash, "bash-completion/completions/leak"),
        (Shell::Zsh, "zsh/site-functions/_leak"),
        (Shell::Fish, "fish/vendor_completions.d/leak.fish"),
    ];
    for (shell, place) in places {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Flags::command(), "leak", &mut text);
        write(&share.join(place), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text)).map_err(|error| fail(path, error))
}

fn fail(path: &Path, error: io::Error) -> Error {
    Error::Write { path: PathBuf::from(path), error }
}
