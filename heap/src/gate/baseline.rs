//! Baselines: the leaks that a program had when someone last looked.
//!
//! A file of JSON, made for version control: sites in the order of their frames, a line a frame.

use super::{Amount, GateError, Identity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    leak_baseline: u32,
    program: String,
    sites: Vec<Site>,
}

#[derive(Serialize, Deserialize)]
struct Site {
    id: String,
    blocks: u64,
    bytes: u64,
    frames: Vec<String>,
}

/// What a baseline knows of a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is new.
    No,
    /// It was there, with so much.
    Yes(Amount),
}

/// The leaks of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    program: String,
    sites: BTreeMap<Identity, Amount>,
}

impl Baseline {
    /// An empty one, of a program (its file's name).
    pub fn new(program: &str) -> Baseline {
        Baseline {
            program: program.to_owned(),
            sites: BTreeMap::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the file cannot be read or is no baseline.
    pub fn read(path: &Path) -> Result<Baseline, GateError> {
        let bad = |problem: String| GateError::Baseline {
            path: path.to_owned(),
            problem,
        };
        let bytes = std::fs::read(path).map_err(|source| GateError::Read {
            path: path.to_owned(),
            source,
        })?;
        let file: File = serde_json::from_slice(&bytes)
            .map_err(|error| bad(format!("no baseline ({error})")))?;
        if file.leak_baseline != VERSION {
            return Err(bad(format!(
                "a baseline of version {}, but this leak knows version {VERSION}",
                file.leak_baseline
            )));
        }
        let mut baseline = Baseline::new(&file.program);
        for site in file.sites {
            let amount = Amount {
                blocks: site.blocks,
                bytes: site.bytes,
            };
            baseline.add(Identity::from_frames(site.frames), amount);
        }
        Ok(baseline)
    }

    /// Refuses to be used for another program. `path` is where it was read.
    ///
    /// # Errors
    /// If it is not that program's.
    pub fn is_of(&self, program: &str, path: &Path) -> Result<(), GateError> {
        if self.program == program {
            return Ok(());
        }
        Err(GateError::OtherProgram {
            path: path.to_owned(),
            theirs: self.program.clone(),
            ours: program.to_owned(),
        })
    }

    /// Adds a leak.
    pub fn add(&mut self, identity: Identity, amount: Amount) {
        *self.sites.entry(identity).or_default() += amount;
    }

    /// What it knows of a leak.
    pub fn knows(&self, identity: &Identity) -> Known {
        self.sites
            .get(identity)
            .map_or(Known::No, |&amount| Known::Yes(amount))
    }

    /// Leaks in it.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// Writes it, all or nothing.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), GateError> {
        let sites = self.sites.iter().map(|(identity, amount)| Site {
            id: identity.to_string(),
            blocks: amount.blocks,
            bytes: amount.bytes,
            frames: identity.frames().to_vec(),
        });
        let file = File {
            leak_baseline: VERSION,
            program: self.program.clone(),
            sites: sites.collect(),
        };
        let failed = |source| GateError::Write {
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_string_pretty(&file).map_err(|error| failed(error.into()))?;
        text.push('\n');
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        std::fs::write(&beside, text).map_err(failed)?;
        std::fs::rename(&beside, path).map_err(|error| {
            // Of no use to anyone; that the rename failed is what counts.
            let _ = std::fs::remove_file(&beside);
            failed(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(frames: &[&str]) -> Identity {
        Identity::from_frames(frames.iter().map(|&frame| frame.to_owned()).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("base.json");
        let mut baseline = Baseline::new("app");
        let amount = Amount {
            blocks: 2,
            bytes: 64,
        };
        baseline.add(identity(&["app!f", "app!main"]), amount);
        baseline.add(identity(&["app!f", "app!main"]), amount);
        baseline.add(identity(&["app!a", "app!main"]), amount);
        baseline.write(&path).unwrap();
        let read = Baseline::read(&path).unwrap();
        assert_eq!(read, baseline);
        assert_eq!(
            read.knows(&identity(&["app!f", "app!main"])),
            Known::Yes(amount + amount)
        );
        assert_eq!(read.knows(&identity(&["app!main"])), Known::No);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_baseline_of_this_program_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("base.json");
        let refused = |content: &str, word: &str| {
            std::fs::write(&path, content).unwrap();
            let read = Baseline::read(&path).and_then(|baseline| baseline.is_of("app", &path));
            let error = read.unwrap_err().to_string();
            assert!(
                error.contains("base.json: ") && error.contains(word),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1);
        };
        refused("{", "no baseline");
        refused(
            r#"{"leak_baseline": 9, "program": "app", "sites": []}"#,
            "version 9",
        );
        refused(
            r#"{"leak_baseline": 1, "program": "other", "sites": []}"#,
            "the baseline of other",
        );
    }
}
