//! Live bytes over time in a bounded number of points.

/// A time line has at most this many points.
pub const TIMELINE_POINTS: usize = 1000;

/// A point: event clock, live bytes, live blocks.
pub(crate) type RawPoint = (u64, u64, u64);

/// Takes a point now and then; when there are too many, keeps every second one
/// and takes them half as often.
#[derive(Debug)]
pub(crate) struct Timeline {
    points: Vec<RawPoint>,
    /// Ticks between points.
    step: u64,
    /// No point before this.
    next: u64,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline {
            points: Vec::new(),
            step: 1 << 12,
            next: 0,
        }
    }

    /// The state after an event.
    #[inline]
    pub fn event(&mut self, time: u64, bytes: u64, blocks: u64) {
        if time >= self.next {
            self.add((time, bytes, blocks));
        }
    }

    #[cold]
    fn add(&mut self, point: RawPoint) {
        if self.points.len() + 1 >= TIMELINE_POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.step = self.step.saturating_mul(2);
        }
        self.next = point.0.saturating_add(self.step);
        self.points.push(point);
    }

    /// All points and the end.
    pub fn finish(mut self, end: RawPoint) -> Vec<RawPoint> {
        self.points.retain(|point| point.0 < end.0);
        self.points.push(end);
        self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_line_stays_bounded_and_covers_the_run() {
        let mut timeline = Timeline::new();
        for time in 0..1_000_000u64 {
            timeline.event(time * 1000, time, 1);
        }
        let points = timeline.finish((1_000_000_000, 7, 7));
        assert!((TIMELINE_POINTS / 4..=TIMELINE_POINTS).contains(&points.len()));
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let widest = points.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        assert!(widest < Some(8_000_000), "{widest:?}");
    }
}
