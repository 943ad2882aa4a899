//! A process as the lines of a watch call it, and whether it is one that only starts others.

use std::fmt;
use std::fs;

/// Longest name that is shown, characters.
const LONGEST: usize = 60;

/// Programs of Node's that start what the user means, and wait for it.
const LAUNCHERS: [&str; 28] = [
    "concurrently",
    "corepack",
    "cross-env",
    "cross-env-shell",
    "dotenv",
    "dotenvx",
    "env-cmd",
    "forever",
    "lerna",
    "node-dev",
    "nodemon",
    "npm",
    "npm-cli",
    "npm-run-all",
    "npx",
    "npx-cli",
    "nx",
    "pnpm",
    "pnpx",
    "pm2",
    "run-p",
    "run-s",
    "ts-node-dev",
    "tsx",
    "turbo",
    "wireit",
    "yarn",
    "yarnpkg",
];

/// Options of Node's whose value is the next word.
const WITH_VALUE: [&str; 12] = [
    "-C",
    "-r",
    "--conditions",
    "--env-file",
    "--experimental-loader",
    "--import",
    "--inspect-port",
    "--loader",
    "--max-http-header-size",
    "--require",
    "--title",
    "--watch-path",
];

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its program, in Node with the script's name.
    pub name: String,
    /// Whether it is Node.
    pub is_node: bool,
    /// Whether it is known to start other programs only.
    pub is_launcher: bool,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "process {}", self.pid),
            name => write!(f, "{} {name}", self.pid),
        }
    }
}

impl Process {
    /// What a process is now: it may become another program, or change its title.
    pub fn look(pid: i32) -> Process {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let exe = exe.file_name().unwrap_or_default().to_string_lossy();
        Process::of(
            pid,
            exe.trim_end_matches(" (deleted)"),
            &String::from_utf8_lossy(&line),
        )
    }

    /// By the end of its program's path and its command line, words apart by NUL.
    fn of(pid: i32, exe: &str, line: &str) -> Process {
        let line = line.trim_end_matches('\0');
        let mut words: Vec<&str> = line.split('\0').collect();
        if let [title] = words[..] {
            // A title that the program gave itself, as npm does.
            words = title.split_whitespace().collect();
        }
        let first = words.first().copied().unwrap_or_default();
        let is_node = exe == "node" || exe.starts_with("nodejs") || last(first) == "node";
        let (name, is_launcher) = match (is_node, last(first) == "node" || last(first) == exe) {
            (true, true) => node(exe, words.get(1..).unwrap_or_default()),
            (true, false) => (line.replace('\0', " "), is_known(first)),
            (false, _) if first.is_empty() => (exe.to_owned(), false),
            (false, _) => (last(first).to_owned(), false),
        };
        let plain = |c: char| if c.is_control() { '?' } else { c };
        Process {
            pid,
            name: name.chars().take(LONGEST).map(plain).collect(),
            is_node,
            is_launcher,
        }
    }

    /// Whether one of the wishes is its id, or a part of its name. (Not of its command line: that of a
    /// shell has the names of what it starts.)
    pub fn is_one_of(&self, wishes: &[String]) -> bool {
        wishes.iter().any(|wish| match wish.parse::<i32>() {
            Ok(pid) => pid == self.pid,
            Err(_) => self.name.contains(wish.as_str()),
        })
    }
}

/// Name and kind of a Node by the words behind its own.
fn node(exe: &str, words: &[&str]) -> (String, bool) {
    let mut rest = words.iter();
    let mut watches = false;
    while let Some(&word) = rest.next() {
        if !word.starts_with('-') {
            let shown = if word.starts_with('/') {
                last(word)
            } else {
                word
            };
            return (format!("{exe} {shown}"), watches || is_known(word));
        }
        match word {
            "-e" | "-p" | "--eval" | "--print" | "-pe" => {
                return (format!("{exe} {word}"), watches);
            }
            // It runs the program in a process of its own, again and again.
            "--watch" => watches = true,
            _ if word.starts_with("--watch-path") => watches = true,
            _ => {}
        }
        if WITH_VALUE.contains(&word) {
            rest.next();
        }
    }
    (exe.to_owned(), watches)
}

/// Whether a script, or the first word of a title, is one of [`LAUNCHERS`].
fn is_known(script: &str) -> bool {
    let name = last(script);
    let stem = [".js", ".cjs", ".mjs"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    // The file that a package runs is often called so: its folder has the name then.
    let stem = match stem {
        "cli" | "index" | "bin" | "main" => script
            .rsplit('/')
            .skip(1)
            .find(|part| !matches!(*part, "dist" | "bin" | "lib" | "src"))
            .unwrap_or(stem),
        stem => stem,
    };
    LAUNCHERS.contains(&stem)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(line: &str) -> (String, bool) {
        let of = Process::of(7, "node", &line.replace(' ', "\0"));
        (of.name, of.is_launcher)
    }

    #[test]
    fn a_node_is_named_by_its_script() {
        for (line, name) in [
            ("node server.js --port 80", "node server.js"),
            ("/usr/bin/node dist/index.js", "node dist/index.js"),
            ("node /srv/app/server.js", "node server.js"),
            ("node --require ./a.js --expose-gc app.js", "node app.js"),
            ("node -e 1+1", "node -e"),
            ("node", "node"),
        ] {
            assert_eq!(node(line), (name.to_owned(), false), "{line}");
        }
    }

    #[test]
    fn those_that_only_start_others_are_known() {
        for line in [
            "node /usr/bin/npm start",
            "/usr/bin/node /usr/lib/node_modules/npm/bin/npx-cli.js x",
            "node /srv/node_modules/.bin/nodemon app.js",
            "node /srv/node_modules/tsx/dist/cli.mjs app.ts",
            "node --watch app.js",
            "node /root/.cache/corepack/v1/pnpm/9.0.0/bin/pnpm.cjs start",
        ] {
            assert!(node(line).1, "{line}");
        }
        assert!(!node("node npm/index.js/app.js").1);
        let titled = Process::of(7, "node", "npm run start\0\0\0");
        assert_eq!(titled.to_string(), "7 npm run start");
        assert!(titled.is_launcher);
    }

    #[test]
    fn other_programs_have_their_own_name() {
        let of = Process::of(7, "python3.11", "python3\0manage.py");
        assert_eq!(of.to_string(), "7 python3");
        assert!(of.is_one_of(&["thon".into()]) && of.is_one_of(&["7".into()]));
        assert!(!of.is_one_of(&["8".into(), "node".into()]));
        assert_eq!(Process::of(7, "", "").to_string(), "process 7");
    }
}
