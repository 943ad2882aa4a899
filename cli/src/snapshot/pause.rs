//! How long a program will stand for a heap snapshot: V8's own work, on a machine that has other work as well.

use std::fs;

/// A span of time in words, `about 200 ms to 1.5 s`: from the least work if the machine is idle, to the most
/// if its load stays what it is. Both are CPU time, ns.
pub fn words(least: u64, most: u64) -> String {
    between(least, most, share())
}

fn between(least: u64, most: u64, share: f64) -> String {
    let most = most as f64 * share;
    format!("about {} to {}", rough(least as f64), rough(most))
}

/// How many would share a processor if one more ran: 1 on an idle machine.
fn share() -> f64 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    share_of(&text, processors)
}

/// By `/proc/loadavg`: the mean of the last minute, and what runs just now, with this thread.
fn share_of(loadavg: &str, processors: usize) -> f64 {
    let mut words = loadavg.split_whitespace();
    let mean: f64 = words
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0.0);
    let now: f64 = words
        .nth(2)
        .and_then(|word| word.split('/').next()?.parse().ok())
        .unwrap_or(1.0);
    let others = mean.max(now - 1.0);
    ((others + 1.0) / processors as f64).max(1.0)
}

/// A time that is not known exactly: one digit, two if the first is a 1.
fn rough(ns: f64) -> String {
    let (value, unit) = match ns / 1e9 {
        ..0.95 => (ns / 1e6, "ms"),
        ..95.0 => (ns / 1e9, "s"),
        ..5400.0 => (ns / 60e9, "min"),
        _ => (ns / 3600e9, "h"),
    };
    let first = 10f64.powf(value.max(1e-3).log10().floor());
    let step = if value / first < 1.95 {
        first / 10.0
    } else {
        first
    };
    let rounded = (value / step).round() * step;
    // Tenths only where there are some.
    let text = format!("{rounded:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_not_known_exactly_have_few_digits() {
        let texts = [
            110e6, 447e6, 940e6, 1.04e9, 1.26e9, 2.5e9, 14.4e9, 61e9, 100e9, 7e12,
        ];
        assert_eq!(
            texts.map(rough),
            [
                "110 ms", "400 ms", "900 ms", "1 s", "1.3 s", "3 s", "14 s", "60 s", "1.7 min",
                "1.9 h"
            ]
        );
    }

    #[test]
    fn the_longest_is_longer_by_what_else_the_processors_have_to_do() {
        let cases = [
            ("0.00 0.01 0.05 1/127 9", 2, 1.0),
            ("3.00 1.00 0.50 2/127 9", 2, 2.0),
            ("0.50 1.00 0.50 6/127 9", 2, 3.0),
            ("1.00 1.00 0.50 2/127 9", 16, 1.0),
            ("", 2, 1.0),
        ];
        for (text, processors, expected) in cases {
            assert_eq!(share_of(text, processors), expected, "{text}");
        }
        let text = between(200_000_000, 1_000_000_000, 2.0);
        assert_eq!(text, "about 200 ms to 2 s");
    }
}
