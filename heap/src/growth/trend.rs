//! The test for a trend, and what many tests at once come to.
//!
//! **Sign test on steps.** The level of a site at one border of a part hardly
//! differs from that at the border before: levels are no independent figures, and
//! tests that take them for such (Mann-Kendall without a correction) find trends
//! in every random walk. Steps are tested instead: without a trend each step of a
//! level is as likely up as down, for a random walk independently, and for a
//! level that is held at some size a step up makes the next one down likelier,
//! which the test errs on the safe side of.

/// Probability of at least `ups` heads in `steps` fair throws: the p-value of
/// the sign test (Dixon and Mood, J. Am. Stat. Assoc. 41, 1946), one-sided.
pub(crate) fn sign_test(ups: u32, steps: u32) -> f64 {
    if ups == 0 {
        return 1.0;
    }
    let mut term = 0.5f64.powi(steps.min(1000) as i32);
    let mut below = 0.0;
    let mut tail = 0.0;
    for heads in 0..=steps {
        if heads < ups {
            below += term
        } else {
            tail += term
        }
        term *= f64::from(steps - heads) / f64::from(heads + 1);
    }
    // The smaller sum has the smaller error.
    if below < tail { 1.0 - below } else { tail }
}

/// Benjamini and Hochberg's adjusted p-values (J. R. Stat. Soc. B 57, 1995):
/// rejecting those of at most `q` keeps the expected part of false ones at `q` if
/// the tests are independent or positively dependent, as sites are that a program
/// uses together.
///
/// `least` is the smallest p-value that each test could have had. Tests that
/// could not have rejected anything at `level` do not count as tests (Tarone,
/// Biometrics 46, 1990): their result is 1.
pub(crate) fn adjust(p_values: &[f64], least: &[f64], level: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&at| least[at] <= level)
        .collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let tests = order.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least_so_far = 1.0f64;
    for (before, &at) in order.iter().enumerate().rev() {
        least_so_far = least_so_far.min(p_values[at] * tests / (before + 1) as f64);
        adjusted[at] = least_so_far;
    }
    adjusted
}

/// Median of the slopes of all pairs of points (Theil, 1950; Sen, 1968): `y` per
/// `x`. 0 for fewer than two points.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (number, first) in points.iter().enumerate() {
        let later = points[number + 1..]
            .iter()
            .filter(|second| second.0 > first.0);
        slopes.extend(later.map(|second| (second.1 - first.1) / (second.0 - first.0)));
    }
    if slopes.is_empty() {
        return 0.0;
    }
    let middle = slopes.len() / 2;
    *slopes.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_agrees_with_counting() {
        for steps in 0..12u32 {
            for ups in 0..=steps {
                let hits = (0..1u32 << steps)
                    .filter(|throw| throw.count_ones() >= ups)
                    .count();
                let exact = hits as f64 / f64::from(1u32 << steps);
                assert!(
                    (sign_test(ups, steps) - exact).abs() < 1e-12,
                    "{ups} of {steps}"
                );
            }
        }
        assert!((sign_test(39, 39) / 0.5f64.powi(39) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn adjusted_values_are_those_of_the_paper() {
        let adjusted = adjust(&[0.01, 0.04, 0.02], &[0.0; 3], 0.05);
        for (got, expected) in adjusted.iter().zip([0.03, 0.04, 0.03]) {
            assert!((got - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(adjust(&[0.9, 0.001], &[0.5, 0.0001], 0.05), [1.0, 0.001]);
        assert!(adjust(&[], &[], 0.05).is_empty());
    }

    #[test]
    fn a_slope_is_not_moved_by_an_outlier() {
        let mut points: Vec<_> = (0..20)
            .map(|x| (f64::from(x), 3.0 * f64::from(x)))
            .collect();
        points[7].1 = 1e9;
        assert!((slope(&points) - 3.0).abs() < 1e-9);
        assert_eq!(slope(&points[..1]), 0.0);
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 5.0)]), 0.0);
    }
}
