//! Whether a measured size grows: figures of a process or of a heap, taken now and then.
//!
//! Good input is what is left after each full collection; the resident memory does as well. Two
//! conditions must hold over the last figures, the *window*: the level at its end is some *factor*
//! above that at its start, and the steps between its *floors* (the least figure from each
//! moment on) are up more often than chance explains. A cache that fills, or a saw, has a factor
//! but few new floors; noise has neither. Where a saw lies over the growth, as garbage does, the least of two or three
//! figures counts as one.

use crate::growth::{sign_test, slope};
use crate::units::{Bytes, Nanos};

/// Above this probability that the steps are chance, nothing grows.
const LEVEL: f64 = 0.05;
/// With fewer figures nothing can be said: five steps up of five are chance in 3 of 100.
pub const LEAST_WINDOW: usize = 6;

/// Figures of which the least may count as one: garbage between two collections makes a saw, whose teeth hide
/// every other step up.
const WIDEST: usize = 3;

/// What counts as growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Figures that are looked at: the last ones. At least [`LEAST_WINDOW`].
    pub window: usize,
    /// The level at the end over that at the start.
    pub factor: f64,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            window: 20,
            factor: 1.1,
        }
    }
}

/// How a size went over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Figures in the window.
    pub figures: usize,
    /// From the first to the last of them.
    pub span: Nanos,
    /// Level at its start and at its end: the medians of its first and its last third.
    pub from: Bytes,
    /// See `from`.
    pub to: Bytes,
    /// `to / from`; infinite if it began with nothing.
    pub factor: f64,
    /// Bytes a second (Theil and Sen).
    pub per_second: f64,
    /// Steps to a higher floor.
    pub ups: u32,
    /// All steps.
    pub steps: u32,
    /// Probability of so many steps up by chance (sign test).
    pub p: f64,
    /// Whether both conditions hold.
    pub grows: bool,
    /// Whether the first one holds, the factor.
    pub rises: bool,
}

/// The trend of the last figures, in order of time; `None` if there are too few.
pub fn trend(figures: &[(Nanos, Bytes)], rule: Rule) -> Option<Trend> {
    let window = rule.window.max(LEAST_WINDOW);
    let last = &figures[figures.len().saturating_sub(window)..];
    if last.len() < LEAST_WINDOW {
        return None;
    }
    let (ups, steps, p) = (1..=WIDEST)
        .take_while(|width| last.len() >= width * LEAST_WINDOW)
        .map(|width| rises(last, width))
        .min_by(|(.., p), (.., other)| p.total_cmp(other))?;
    let third = last.len() / 3;
    let from = median(&last[..third]);
    let to = median(&last[last.len() - third..]);
    let factor = match (from, to) {
        (0, 0) => 1.0,
        (from, to) => to as f64 / from as f64,
    };
    let points: Vec<(f64, f64)> = last
        .iter()
        .map(|(time, size)| (time.0 as f64 / 1e9, size.0 as f64))
        .collect();
    Some(Trend {
        figures: last.len(),
        span: last[last.len() - 1].0 - last[0].0,
        from: Bytes(from),
        to: Bytes(to),
        factor,
        per_second: slope(&points),
        ups,
        steps,
        p,
        grows: factor >= rule.factor && p <= LEVEL,
        rises: factor >= rule.factor,
    })
}

/// Steps to a higher floor, all steps, and the probability of so many by chance; of the least of so many figures in
/// turn each.
fn rises(figures: &[(Nanos, Bytes)], width: usize) -> (u32, u32, f64) {
    let least = |part: &[(Nanos, Bytes)]| part.iter().map(|(_, size)| size.0).min().unwrap_or(0);
    let mut floors: Vec<u64> = figures.rchunks(width).map(least).collect();
    floors.reverse();
    for at in (1..floors.len()).rev() {
        floors[at - 1] = floors[at - 1].min(floors[at]);
    }
    let ups = floors.windows(2).filter(|pair| pair[1] > pair[0]).count() as u32;
    let steps = floors.len() as u32 - 1;
    (ups, steps, sign_test(ups, steps))
}

fn median(part: &[(Nanos, Bytes)]) -> u64 {
    let mut sizes: Vec<u64> = part.iter().map(|(_, size)| size.0).collect();
    let middle = sizes.len() / 2;
    *sizes.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sizes: impl IntoIterator<Item = u64>) -> Option<Trend> {
        let figures: Vec<_> = (0..)
            .zip(sizes)
            .map(|(second, size)| (Nanos(second * 1_000_000_000), Bytes(size)))
            .collect();
        trend(&figures, Rule::default())
    }

    /// Numbers that look random, below `most`.
    fn noise(seed: u64, most: u64) -> impl Iterator<Item = u64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % most
        })
    }

    #[test]
    fn steady_growth_is_found_with_its_rate() {
        let found = of((0..30).map(|n| 1_000_000 + n * 50_000)).unwrap();
        assert!(found.grows && found.figures == 20, "{found:?}");
        assert!((found.per_second - 50_000.0).abs() < 1.0, "{found:?}");
        assert_eq!(found.span, Nanos(19_000_000_000));
    }

    #[test]
    fn growth_under_the_garbage_of_a_server_is_found() {
        // MB of a heap in use, every 0.4 s, of a server that keeps something of each request.
        let used = [
            10, 9, 13, 15, 14, 22, 19, 25, 29, 32, 40, 40, 40, 48, 45, 41, 42, 45, 45, 59, 63, 62,
            65, 63, 71, 75, 74, 71, 81, 82, 84, 84, 83, 83, 85, 89, 90, 106, 106, 108, 101, 108,
            109, 111, 118, 120, 125, 120, 126, 123,
        ];
        let windows = used.windows(20);
        let grows = windows.filter(|window| of(window.iter().copied()).unwrap().grows);
        assert!(grows.count() >= 12);
        // The same teeth on level ground.
        let saw = (0..60u64).map(|n| 50 + n % 7 * 9 + n % 3);
        let level: Vec<u64> = saw.collect();
        assert!(
            level
                .windows(20)
                .all(|window| !of(window.iter().copied()).unwrap().grows)
        );
    }

    #[test]
    fn growth_under_noise_is_found() {
        let found = of((0..20)
            .zip(noise(7, 60_000))
            .map(|(n, r)| 1_000_000 + n * 50_000 + r));
        assert!(found.unwrap().grows, "{found:?}");
    }

    #[test]
    fn a_level_with_noise_does_not_grow() {
        for seed in 1..200 {
            let found = of(noise(seed, 400_000).take(20).map(|r| 1_000_000 + r));
            assert!(!found.unwrap().grows, "{seed}: {found:?}");
        }
    }

    #[test]
    fn a_cache_that_is_full_does_not_grow() {
        let sizes = (0..20).map(|n: u64| 1_000_000 + n.min(5) * 500_000);
        assert!(!of(sizes).unwrap().grows);
    }

    #[test]
    fn slow_growth_below_the_factor_is_not_called_growth() {
        let found = of((0..20).map(|n| 100_000_000 + n * 1000)).unwrap();
        assert!(found.p < 0.01 && !found.grows, "{found:?}");
    }

    #[test]
    fn too_few_figures_have_no_trend() {
        assert_eq!(of((0..5).map(|n| n * 1000)), None);
        let found = of((0..6).map(|n| 1000 + n * 1000)).unwrap();
        assert!(found.grows && found.steps == 5, "{found:?}");
    }
}
