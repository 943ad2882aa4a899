//! When snapshots were taken: a file does not say it. Who took them may; Node's and Chrome's names of files do; and
//! files have times of their own, which are those of the snapshots unless they were copied or fetched.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Of copies made one after the other, times lie seconds apart: less than this says nothing.
const MIN_SPAN: Duration = Duration::from_secs(30);

/// The times between snapshots.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Each, if they are known or the files tell.
    pub(super) steps: Option<Vec<Duration>>,
    /// From the first to the last, if that can be relied on.
    pub(super) span: Option<Duration>,
}

/// The times between some snapshots, which were taken as far apart as is said, if it is.
pub(super) fn between(files: &[PathBuf], every: Option<Duration>) -> Times {
    let pairs = || files.windows(2);
    if let Some(every) = every {
        let steps = vec![every; pairs().count()];
        return Times {
            span: Some(steps.iter().sum()),
            steps: Some(steps),
        };
    }
    let by = |time: fn(&Path) -> Option<Duration>| -> Option<Vec<Duration>> {
        let steps = pairs().map(|pair| {
            let step = time(&pair[1])?.checked_sub(time(&pair[0])?)?;
            (step >= Duration::from_secs(1)).then_some(step)
        });
        steps.collect()
    };
    if let Some(steps) = by(of_name) {
        return Times {
            span: Some(steps.iter().sum()),
            steps: Some(steps),
        };
    }
    let steps = by(of_file);
    let span = steps.as_ref().map(|steps| steps.iter().sum());
    Times {
        span: span.filter(|&span| span >= MIN_SPAN),
        steps,
    }
}

/// When a file was last written to.
fn of_file(path: &Path) -> Option<Duration> {
    let changed = path.metadata().ok()?.modified().ok()?;
    changed.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// The time in a name that V8 or DevTools made: `Heap.20261122.223344.1234.0.001.heapsnapshot`,
/// `Heap-20261122T223344.heapsnapshot`.
fn of_name(path: &Path) -> Option<Duration> {
    let name = path.file_name()?.to_str()?;
    let digits = |text: &str, count: usize| {
        let is_number = text.len() >= count && text.bytes().take(count).all(|b| b.is_ascii_digit());
        is_number.then(|| text[..count].to_owned())
    };
    let places = name.match_indices(['.', '-']).map(|(at, _)| at + 1);
    let found = places.filter_map(|at| {
        let date = digits(&name[at..], 8)?;
        let rest = name[at + 8..].strip_prefix(['.', 'T', '-'])?;
        Some((date, digits(rest, 6)?))
    });
    let (date, time) = found.take(1).next()?;
    let part = |text: &str, at: usize, count: usize| text[at..at + count].parse::<u64>().ok();
    let (year, month, day) = (part(&date, 0, 4)?, part(&date, 4, 2)?, part(&date, 6, 2)?);
    let (hour, minute, second) = (part(&time, 0, 2)?, part(&time, 2, 2)?, part(&time, 4, 2)?);
    let is_time = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    is_time.then(|| {
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        Duration::from_secs(seconds)
    })
}

/// Days since the year 0 of the Gregorian calendar, from March to March.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(names: [&str; 2]) -> Option<Vec<Duration>> {
        between(&names.map(PathBuf::from), None).steps
    }

    #[test]
    fn names_of_files_tell_when_snapshots_were_taken() {
        let seconds = |seconds| Some(vec![Duration::from_secs(seconds)]);
        let node = [
            "a/Heap.20261122.235959.77.0.001.heapsnapshot",
            "Heap.20261123.000101.77.0.002.heapsnapshot",
        ];
        assert_eq!(steps(node), seconds(62));
        let leap = [
            "Heap-20240228T120000.heapsnapshot",
            "Heap-20240301T120000.heapsnapshot",
        ];
        assert_eq!(steps(leap), seconds(2 * 86_400));
        let year = [
            "Heap.20251231.000000.1.heapsnapshot",
            "Heap.20260101.000000.1.heapsnapshot",
        ];
        assert_eq!(steps(year), seconds(86_400));
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "node.1234.heapsnapshot",
            "Heap.20261399.235959.heapsnapshot",
            "Heap.20261122.2359.heapsnapshot",
        ] {
            assert_eq!(of_name(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn what_is_said_comes_first() {
        let files = ["a", "b", "c"].map(PathBuf::from);
        let times = between(&files, Some(Duration::from_secs(60)));
        assert_eq!(times.span, Some(Duration::from_secs(120)));
    }
}
