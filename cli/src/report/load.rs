//! Logs from the command line to profiles. What cannot be read is told in a line each and does
//! not keep the others from being reported.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use heap::{Profile, WarmUp};

use super::progress::Progress;

/// What could be read, and what is wrong.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Processes, the one that began first in front.
    pub profiles: Vec<Profile>,
    /// What is wrong with logs, each in a line: what, where and what to do.
    pub problems: Vec<String>,
}

/// Reads logs and directories of logs; with what growth needs, if a warm-up is given. Sites that
/// `keep` refuses are forgotten at once.
pub fn logs(
    given: &[PathBuf],
    growth: Option<WarmUp>,
    keep: heap::KeepSite<'_>,
    progress: &Progress,
) -> Loaded {
    let mut loaded = Loaded::default();
    let mut paths = Vec::new();
    for path in given {
        match heap::find_logs(path) {
            Ok(found) => paths.extend(found),
            Err(error) => loaded.problems.push(error.to_string()),
        }
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));

    // Logs are read side by side; the bar is about all of them.
    let all = Mutex::new(HashMap::new());
    let tell = |path: &Path, now: heap::Progress| {
        let Ok(mut all) = all.lock() else { return };
        all.insert(path.to_owned(), (now.done.0, now.total.0));
        let (done, total) = all
            .values()
            .fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        progress.tell("reading", done, total);
    };
    let options = heap::Options {
        progress: Some(&tell),
        growth,
        keep: Some(keep),
        ..heap::Options::default()
    };
    for result in heap::replay_all(&paths, &options) {
        match result {
            Ok(profile) => {
                if let Some(problem) = damage(&profile) {
                    loaded.problems.push(problem);
                }
                loaded.profiles.push(profile);
            }
            Err(error) => loaded.problems.push(error.to_string()),
        }
    }
    loaded
        .profiles
        .sort_by_key(|profile| (profile.process.started, profile.process.pid));
    loaded
}

/// The damage of a log in one line.
fn damage(profile: &Profile) -> Option<String> {
    let (first, rest) = profile.loss.damage.split_first()?;
    let more = match rest.len() {
        0 => String::new(),
        n => format!(" (and {n} more; see the report)"),
    };
    Some(format!("{first}{more}"))
}
