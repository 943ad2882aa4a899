//! What is known of one site, or of several of one process added up.

use super::plan::{PARTS, Plan};
use super::watch::Steps;
use crate::units::Bytes;

/// Classes in [`Ages`].
pub const AGE_CLASSES: usize = 8;

/// Survivors by their age at the end: class `k` holds those younger than
/// `10^(k + 6)` ns (1 ms, 10 ms … 1000 s), the last all older ones.
pub type Ages = [u64; AGE_CLASSES];

/// Of a site with live blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// Bytes at each border.
    pub levels: Vec<Bytes>,
    /// Steps of the old blocks.
    pub steps: Steps,
    /// Survivors by the part of their birth, [`PARTS`] of them.
    pub born: Vec<u64>,
    /// Survivors born in the warm-up.
    pub warm_born: u64,
    /// Survivors by age.
    pub ages: Ages,
    /// Earliest and latest birth of a survivor, event clock.
    pub births: Option<(u64, u64)>,
}

impl Evidence {
    /// A block that is there at the end, at that age in nanoseconds.
    pub fn survivor(&mut self, born: u64, age_ns: u64, plan: &Plan) {
        self.ages[age_class(age_ns)] += 1;
        self.born.resize(PARTS, 0);
        match plan.part(born) {
            Some(part) => self.born[part] += 1,
            None => self.warm_born += 1,
        }
        let (first, last) = self.births.unwrap_or((born, born));
        self.births = Some((first.min(born), last.max(born)));
    }

    /// Takes in another site of the same process. Wraps, as all sums of bytes.
    pub fn add(&mut self, other: &Evidence) {
        fn sum<T: Copy + Default>(mine: &mut Vec<T>, theirs: &[T], add: impl Fn(T, T) -> T) {
            mine.resize(mine.len().max(theirs.len()), T::default());
            for (to, &more) in mine.iter_mut().zip(theirs) {
                *to = add(*to, more);
            }
        }
        sum(&mut self.levels, &other.levels, |a, b| a + b);
        sum(&mut self.born, &other.born, u64::wrapping_add);
        self.warm_born = self.warm_born.wrapping_add(other.warm_born);
        for (mine, theirs) in self.ages.iter_mut().zip(other.ages) {
            *mine = mine.wrapping_add(theirs);
        }
        let (mine, theirs) = (&mut self.steps, &other.steps);
        for at in 0..=PARTS {
            mine.blocks[at] = mine.blocks[at].wrapping_add(theirs.blocks[at]);
            mine.bytes[at] = mine.bytes[at].wrapping_add(theirs.bytes[at]);
            mine.unseen[at] = mine.unseen[at].saturating_add(theirs.unseen[at]);
        }
        self.births = match (self.births, other.births) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    /// Blocks that are there at the end.
    pub fn survivors(&self) -> u64 {
        self.warm_born + self.born.iter().sum::<u64>()
    }
}

/// The class of an age in nanoseconds.
fn age_class(ns: u64) -> usize {
    let digits = ns.checked_ilog10().map_or(0, |log| log as usize + 1);
    digits.saturating_sub(6).min(AGE_CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_classed_by_powers_of_ten() {
        let ages = [
            0,
            999_999,
            1_000_000,
            9_999_999,
            10_000_000,
            999_999_999_999,
            1_000_000_000_000,
            u64::MAX,
        ];
        assert_eq!(ages.map(age_class), [0, 0, 1, 1, 2, 6, 7, 7]);
    }
}
