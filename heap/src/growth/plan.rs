//! The parts of a run, and where its warm-up ends.
//!
//! Parts are equal in *progress*: half time, half allocations. By time alone a
//! program that sleeps for an hour and works for a minute has all of its work in
//! one part; by allocations alone a table that is filled in the first second
//! hides the slow leak of the hour after it. By both, each has half of the parts.

use super::spans::Spans;

/// A run has so many parts after its warm-up.
pub const PARTS: usize = 40;

/// Most marks kept.
const MAX_MARKS: usize = 4096;
/// Part of the run that the detected warm-up can take at most, in parts.
const MAX_WARM: usize = PARTS / 2;

/// A moment at which the state of every site is known exactly: the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    /// Event clock.
    time: u64,
    /// Allocations and reallocations up to then.
    made: u64,
}

/// The ends of windows, at most 4096 of them, evenly thinned.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    list: Vec<Mark>,
    /// Every so many windows one is kept.
    every: u64,
    windows: u64,
    made: u64,
    /// Not a part of the run.
    spans: Spans,
}

impl Marks {
    pub fn new() -> Marks {
        Marks {
            list: Vec::new(),
            every: 1,
            windows: 0,
            made: 0,
            spans: Spans::default(),
        }
    }

    /// The whole run made so many blocks: also those that are in no window.
    pub fn finish(&mut self, made: u64) {
        self.made = made;
    }

    /// Leaves out the time in which snapshots were taken, and what was made meanwhile: all of a
    /// window that meets one.
    pub fn without(&mut self, spans: &Spans) {
        let (mut before, mut left_out) = (Mark { time: 0, made: 0 }, 0);
        for mark in &mut self.list {
            let whole = *mark;
            if spans.meet(before.time, whole.time) {
                left_out += whole.made - before.made;
            }
            mark.made -= left_out;
            before = whole;
        }
        if spans.meet(before.time, u64::MAX) {
            left_out += self.made - before.made;
        }
        self.made -= left_out;
        self.spans = spans.clone();
    }

    /// A window ended; `made` blocks were made in it.
    pub fn window(&mut self, time: u64, made: u64) {
        self.made = self.made.saturating_add(made);
        self.windows += 1;
        if !self.windows.is_multiple_of(self.every) {
            return;
        }
        if self.list.len() >= MAX_MARKS {
            let mut keep = false;
            self.list.retain(|_| {
                keep = !keep;
                keep
            });
            self.every *= 2;
        }
        let time = time.max(self.list.last().map_or(0, |mark| mark.time));
        self.list.push(Mark {
            time,
            made: self.made,
        });
    }
}

/// The parts of one run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Event clock at the borders of the parts: `PARTS + 1`, ascending.
    pub borders: Vec<u64>,
    /// Per border: the stretch between two marks that it lies in, if it is not a
    /// mark itself. There pairs of `malloc` and `free` may be cancelled across it.
    pub inside: Vec<Option<u32>>,
    /// Allocations and reallocations after the warm-up.
    pub made: u64,
    /// Event clock at the start of the run.
    pub start: u64,
}

impl Plan {
    /// The parts between `warm`, the end of the warm-up, and `last`, the end of the
    /// run that began at `start`.
    pub fn new(marks: &Marks, start: u64, warm: u64, last: u64) -> Plan {
        let made = marks.made;
        let last = last.max(warm.saturating_add(1));
        // Progress is linear between marks.
        let mut knots = vec![Mark {
            time: warm,
            made: made_at(marks, warm, last, made),
        }];
        knots.extend(
            marks
                .list
                .iter()
                .filter(|mark| (warm + 1..last).contains(&mark.time)),
        );
        knots.push(Mark { time: last, made });
        let exact_from = marks.list.last().map_or(0, |mark| mark.time);
        let mut borders = vec![warm];
        let mut inside = vec![marks.list.iter().all(|mark| mark.time != warm).then_some(0)];
        for part in 1..PARTS {
            let ideal = at(&knots, &marks.spans, part as f64 / PARTS as f64);
            let [low, high] =
                [-0.5, 0.5].map(|off| at(&knots, &marks.spans, (part as f64 + off) / PARTS as f64));
            let before = borders[part - 1];
            let near = knots[1..knots.len() - 1]
                .iter()
                .filter(|knot| knot.time > low.max(before) && knot.time < high)
                .min_by_key(|knot| knot.time.abs_diff(ideal));
            match near {
                Some(knot) => {
                    borders.push(knot.time);
                    inside.push(None);
                }
                None => {
                    let time = ideal.max(before);
                    let stretch = marks.list.partition_point(|mark| mark.time < time) as u32;
                    // After the last window come the rings, event by event.
                    inside.push((time <= exact_from).then_some(stretch));
                    borders.push(time);
                }
            }
        }
        borders.push(last);
        inside.push(None);
        Plan {
            borders,
            inside,
            made: made.saturating_sub(knots[0].made),
            start,
        }
    }

    /// Ticks from the start of the run to its end.
    pub fn length(&self) -> u64 {
        self.borders[PARTS].saturating_sub(self.start)
    }

    /// The part of an event; `None` in the warm-up. What happens at a border comes
    /// before it: windows end with their last event.
    pub fn part(&self, time: u64) -> Option<usize> {
        let after = self.borders.partition_point(|&border| border < time);
        Some(after.checked_sub(1)?.min(PARTS - 1))
    }

    /// Where the warm-up ends: after the leading parts in which more of the
    /// survivors were born than in twice the usual part. `births` are the event
    /// clocks of all survivors; this plan is the one without warm-up.
    pub fn warm_up(&self, births: impl Iterator<Item = u64>) -> u64 {
        let mut counts = [0u64; PARTS];
        for time in births {
            counts[self.part(time).unwrap_or(0)] += 1;
        }
        let mut sorted = counts;
        sorted.sort_unstable();
        let usual = sorted[PARTS / 2];
        let warm = counts[..MAX_WARM]
            .iter()
            .take_while(|&&count| count > 2 * usual);
        self.borders[warm.count()]
    }
}

/// Allocations up to a moment.
fn made_at(marks: &Marks, time: u64, last: u64, made: u64) -> u64 {
    let next = marks.list.partition_point(|mark| mark.time <= time);
    let before = next
        .checked_sub(1)
        .map_or(Mark { time: 0, made: 0 }, |at| marks.list[at]);
    let after = marks
        .list
        .get(next)
        .copied()
        .unwrap_or(Mark { time: last, made });
    let share = ratio(
        time.saturating_sub(before.time),
        after.time.saturating_sub(before.time),
    );
    before.made + (after.made.saturating_sub(before.made) as f64 * share) as u64
}

/// The moment of a progress of 0 to 1.
fn at(knots: &[Mark], spans: &Spans, progress: f64) -> u64 {
    let (first, last) = (knots[0], knots[knots.len() - 1]);
    let of = |mark: &Mark| {
        let by_time = ratio(
            spans.between(first.time, mark.time),
            spans.between(first.time, last.time),
        );
        match last.made.saturating_sub(first.made) {
            0 => by_time,
            all => (by_time + ratio(mark.made.saturating_sub(first.made), all)) / 2.0,
        }
    };
    let next = knots
        .partition_point(|knot| of(knot) < progress)
        .clamp(1, knots.len() - 1);
    let (before, after) = (knots[next - 1], knots[next]);
    let (low, high) = (of(&before), of(&after));
    let share = if high > low {
        ((progress - low) / (high - low)).clamp(0.0, 1.0)
    } else {
        0.0
    };
    before.time + ((after.time - before.time) as f64 * share) as u64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(list: &[(u64, u64)]) -> Marks {
        let mut marks = Marks::new();
        list.iter()
            .for_each(|&(time, made)| marks.window(time, made));
        marks
    }

    #[test]
    fn the_time_and_the_work_of_snapshots_are_no_part_of_the_run() {
        let work: Vec<_> = (1..=100).map(|n| (n * 10, 50)).collect();
        let alone = Plan::new(&marks(&work), 0, 0, 1000);
        // The same, and for half as long again a snapshot with ten times the work.
        let mut with = work.clone();
        with.extend((1..=50).map(|n| (1000 + n * 10, 1000)));
        let mut marks = marks(&with);
        marks.without(&Spans::given(&[(1000, 1500)]));
        let found = Plan::new(&marks, 0, 0, 1500);
        assert_eq!(found.borders[..PARTS], alone.borders[..PARTS]);
        assert_eq!((found.borders[PARTS], found.made), (1500, 5000));
    }

    #[test]
    fn borders_ascend_and_cover_the_run() {
        for list in [
            &[][..],
            &[(500, 10)],
            &[(100, 1), (100, 1), (900, 1_000_000)],
            &[(999, 7)],
        ] {
            let marks = marks(list);
            for warm in [0, 300, 2000] {
                let plan = Plan::new(&marks, 0, warm, 1000);
                assert_eq!(
                    (plan.borders.len(), plan.inside.len()),
                    (PARTS + 1, PARTS + 1)
                );
                assert!(
                    plan.borders.is_sorted(),
                    "{list:?} {warm}: {:?}",
                    plan.borders
                );
                assert_eq!(
                    (plan.borders[0], plan.borders[PARTS]),
                    (warm, 1000.max(warm + 1))
                );
            }
        }
    }

    #[test]
    fn with_many_windows_every_border_is_the_end_of_one() {
        let list: Vec<_> = (1..=1000).map(|window| (window * 1000, 5)).collect();
        let marks = marks(&list);
        let plan = Plan::new(&marks, 0, 0, 1_000_000);
        assert!(plan.inside[1..].iter().all(Option::is_none));
        assert!(
            plan.borders[1..]
                .iter()
                .all(|border| border.is_multiple_of(1000))
        );
    }

    #[test]
    fn half_of_the_parts_are_of_time_and_half_of_work() {
        // Sleeps for 990 ticks, then works for 10.
        let marks = marks(&[(990, 0), (1000, 100_000)]);
        let plan = Plan::new(&marks, 0, 0, 1000);
        let asleep = plan.borders.iter().filter(|&&border| border < 990).count();
        assert!(
            (PARTS / 2 - 2..=PARTS / 2 + 2).contains(&asleep),
            "{asleep}"
        );
    }

    #[test]
    fn a_warm_up_is_what_stands_out_at_the_start() {
        let plan = Plan::new(&marks(&[]), 0, 0, 4000);
        let even = (0..4000).step_by(10);
        assert_eq!(plan.warm_up(even.clone()), 0);
        let early = (0..300).flat_map(|time| [time; 5]);
        assert_eq!(plan.warm_up(even.chain(early)), 300);
        assert_eq!(plan.warm_up(0..2900), 0, "most of the run is no warm-up");
        assert_eq!(plan.warm_up(0..250), 300);
        assert_eq!(plan.warm_up(3900..4000), 0);
    }

    #[test]
    fn marks_stay_bounded() {
        let mut marks = Marks::new();
        (0..100_000).for_each(|time| marks.window(time, 1));
        assert!((MAX_MARKS / 4..=MAX_MARKS).contains(&marks.list.len()));
        assert_eq!(marks.made, 100_000);
    }
}
