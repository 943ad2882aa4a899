//! When a sample is worth an alert.

use std::collections::{HashMap, VecDeque};

use heap::{Bytes, Nanos, Rule, Trend, trend};

use super::flags::WatchFlags;
use super::sample::Sample;

/// A threshold that was passed is armed again below this part of it.
const ARMED_BELOW: f64 = 0.95;
/// Worth another alert before the rest is over: by this factor more than was told last.
const WORSE: f64 = 1.25;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Alert {
    /// More of a figure than allowed: bytes, and the limit.
    Above(Figure, u64, u64),
    /// Growth within the window.
    Growth(Growth),
}

/// What has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// All that is in memory.
    Rss,
    /// JavaScript's heap in use.
    HeapUsed,
    /// All of that heap.
    HeapTotal,
    /// Memory outside of it that its objects hold.
    External,
}

impl Figure {
    /// Its name for commands.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Rss => "rss",
            Figure::HeapUsed => "heap_used",
            Figure::HeapTotal => "heap_total",
            Figure::External => "external",
        }
    }

    /// Its name for people.
    pub fn words(self) -> &'static str {
        match self {
            Figure::Rss => "in memory",
            Figure::HeapUsed => "of the heap in use",
            Figure::HeapTotal => "of heap",
            Figure::External => "held outside of the heap",
        }
    }

    fn of(self, sample: &Sample) -> Option<u64> {
        match self {
            Figure::Rss => Some(sample.rss),
            Figure::HeapUsed => sample.heap.map(|heap| heap.heap_used),
            Figure::HeapTotal => sample.heap.map(|heap| heap.heap_total),
            Figure::External => sample.heap.map(|heap| heap.external),
        }
    }
}

/// Growth within a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Whether it is JavaScript's heap, or all that is in memory.
    pub is_heap: bool,
    /// How it grew.
    pub trend: Trend,
    /// The factor that is allowed.
    pub limit: f64,
}

/// What was told last of a rule: the same is told again after a rest only, unless it is clearly worse.
#[derive(Debug, Default)]
struct Told {
    last: Option<(Nanos, u64)>,
}

impl Told {
    fn is_worse(&self, bytes: u64) -> bool {
        self.last
            .is_some_and(|(_, before)| bytes as f64 >= before as f64 * WORSE)
    }

    /// Whether so many bytes are to be told of now.
    fn tell(&mut self, time: Nanos, bytes: u64, rest: Nanos) -> bool {
        let is_rested = self
            .last
            .is_none_or(|(then, _)| time.0.saturating_sub(then.0) >= rest.0);
        let tells = is_rested || self.is_worse(bytes);
        if tells {
            self.last = Some((time, bytes));
        }
        tells
    }
}

/// A limit on a figure: alerts when it is passed, and again when it is passed after the figure was clearly below,
/// or when the figure is clearly worse.
struct Threshold {
    limit: u64,
    armed: bool,
    told: Told,
}

impl Threshold {
    fn new(limit: u64) -> Threshold {
        Threshold {
            limit,
            armed: true,
            told: Told::default(),
        }
    }

    fn is_passed(&mut self, value: u64, time: Nanos, rest: Nanos) -> bool {
        if value <= self.limit {
            self.armed |= (value as f64) < self.limit as f64 * ARMED_BELOW;
            return false;
        }
        let was_armed = std::mem::replace(&mut self.armed, false);
        (was_armed || self.told.is_worse(value)) && self.told.tell(time, value, rest)
    }
}

/// The last figures of the heap in use, or of all that is in memory.
struct Window {
    rule: Rule,
    figures: VecDeque<(Nanos, Bytes)>,
    is_heap: bool,
    told: Told,
}

impl Window {
    fn new(factor: f64, window: u32) -> Window {
        Window {
            rule: Rule {
                window: window as usize,
                factor,
            },
            figures: VecDeque::new(),
            is_heap: false,
            told: Told::default(),
        }
    }

    fn grown(&mut self, sample: &Sample, rest: Nanos) -> Option<Growth> {
        let value = match sample.heap {
            Some(heap) => heap.heap_used,
            // A moment in which Node does not answer says nothing.
            None if self.is_heap => return None,
            None => sample.rss,
        };
        if self.is_heap != sample.heap.is_some() {
            self.is_heap = true;
            self.figures.clear();
        }
        self.figures.push_back((sample.time, Bytes(value)));
        if self.figures.len() < self.rule.window {
            return None;
        }
        let trend = trend(self.figures.make_contiguous(), self.rule)?;
        if !trend.grows {
            self.figures.pop_front();
            return None;
        }
        // The next one is judged by what comes now.
        self.figures.clear();
        let tells = self.told.tell(sample.time, value, rest);
        tells.then_some(Growth {
            is_heap: self.is_heap,
            trend,
            limit: self.rule.factor,
        })
    }
}

/// The rules of a watch, for the process with its main thread's heap, and for that of each worker
/// thread.
pub struct AllRules {
    main: Rules,
    workers: HashMap<u32, Rules>,
    of_worker: Box<dyn Fn() -> Rules + Send>,
}

impl AllRules {
    pub fn new(flags: &WatchFlags) -> AllRules {
        let flags = flags.limits();
        AllRules {
            main: Rules::new(flags),
            workers: HashMap::new(),
            of_worker: Box::new(move || Rules::new(Limits { rss: None, ..flags })),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.main.is_empty()
    }

    /// Whether one is about JavaScript's heap.
    pub fn want_heap(&self) -> bool {
        self.main.wants_heap()
    }

    /// The alerts that a sample raises, with the isolate's number; 0 is the main thread's.
    pub fn judge(&mut self, sample: &Sample) -> Vec<(u32, Alert)> {
        let main = self.main.judge(sample).into_iter();
        let mut alerts: Vec<(u32, Alert)> = main.map(|alert| (0, alert)).collect();
        for &(isolate, figures) in &sample.workers {
            let rules = self.workers.entry(isolate);
            let rules = rules.or_insert_with(&self.of_worker);
            let own = Sample {
                heap: Some(figures),
                workers: Vec::new(),
                ..*sample
            };
            let judged = rules.judge(&own).into_iter();
            alerts.extend(judged.map(|alert| (isolate, alert)));
        }
        alerts
    }
}

/// What the user allows; bytes, and the factor and samples of growth.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub rss: Option<u64>,
    pub heap_used: Option<u64>,
    pub heap_total: Option<u64>,
    pub external: Option<u64>,
    pub growth: Option<f64>,
    pub window: u32,
    /// Between two alerts of one rule that is not clearly worse meanwhile.
    pub rest: Nanos,
}

/// Rules for one heap.
struct Rules {
    thresholds: Vec<(Figure, Threshold)>,
    window: Option<Window>,
    rest: Nanos,
}

impl Rules {
    fn new(flags: Limits) -> Rules {
        let limits = [
            (Figure::Rss, flags.rss),
            (Figure::HeapUsed, flags.heap_used),
            (Figure::HeapTotal, flags.heap_total),
            (Figure::External, flags.external),
        ];
        let thresholds = limits
            .into_iter()
            .filter_map(|(figure, limit)| Some((figure, Threshold::new(limit?))))
            .collect();
        Rules {
            thresholds,
            window: flags.growth.map(|factor| Window::new(factor, flags.window)),
            rest: flags.rest,
        }
    }

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.thresholds.is_empty() && self.window.is_none()
    }

    /// Whether one is about JavaScript's heap.
    fn wants_heap(&self) -> bool {
        let of_heap = |(figure, _): &(Figure, Threshold)| *figure != Figure::Rss;
        self.thresholds.iter().any(of_heap) || self.window.is_some()
    }

    /// The alerts that a sample raises.
    fn judge(&mut self, sample: &Sample) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for (figure, threshold) in &mut self.thresholds {
            if let Some(value) = figure.of(sample)
                && threshold.is_passed(value, sample.time, self.rest)
            {
                alerts.push(Alert::Above(*figure, value, threshold.limit));
            }
        }
        let rest = self.rest;
        let window = self.window.as_mut();
        let growth = window.and_then(|window| window.grown(sample, rest));
        alerts.extend(growth.map(Alert::Growth));
        alerts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rss(rss: u64) -> Sample {
        Sample {
            time: Nanos(0),
            rss,
            heap: None,
            workers: Vec::new(),
        }
    }

    /// Which values of a figure with a limit of 100 alert, one in each second.
    fn told(rest: u64, values: &[u64]) -> Vec<usize> {
        let mut rules = Rules::new(Limits {
            rss: Some(100),
            rest: Nanos(rest * 1_000_000_000),
            ..Limits::default()
        });
        let samples = (0..).zip(values).map(|(second, &value)| Sample {
            time: Nanos(second * 1_000_000_000),
            ..rss(value)
        });
        let alerts = samples.map(|sample| rules.judge(&sample).len());
        let told = alerts.enumerate().filter(|&(_, count)| count > 0);
        told.map(|(at, _)| at).collect()
    }

    #[test]
    fn a_threshold_alerts_once_until_the_figure_was_below_it() {
        assert_eq!(told(0, &[100, 101, 120, 99, 101, 94, 101]), [1, 6]);
    }

    #[test]
    fn a_figure_that_swings_about_its_limit_alerts_again_after_the_rest_only() {
        let swings = [101, 90, 101, 90, 101, 90, 101, 90, 101, 90, 101];
        assert_eq!(told(6, &swings), [0, 6]);
        assert_eq!(told(600, &swings), [0]);
    }

    #[test]
    fn what_is_clearly_worse_alerts_before_the_rest_is_over() {
        assert_eq!(told(600, &[101, 110, 127, 140, 158, 200]), [0, 2, 5]);
        assert_eq!(told(600, &[101, 90, 110, 90, 127]), [0, 4]);
    }

    /// Which of the samples alerts, if one does.
    fn window(values: &[u64]) -> Option<usize> {
        let mut window = Window::new(1.5, 6);
        let samples = (0..).zip(values).map(|(second, &value)| Sample {
            time: Nanos(second * 1_000_000_000),
            ..rss(value)
        });
        samples
            .map(|sample| window.grown(&sample, Nanos(0)))
            .position(|grown| grown.is_some())
    }

    fn heap(heap_used: u64) -> crate::live::Figures {
        crate::live::Figures {
            rss: 0,
            heap_total: 0,
            heap_used,
            heap_limit: 0,
            external: 0,
            available: 0,
            estimate: log_format::control::Estimate::of_heap(heap_used, 12),
        }
    }

    #[test]
    fn a_worker_is_judged_by_its_own_heap_and_never_by_what_the_process_has_in_memory() {
        let limits = Limits {
            rss: Some(100),
            heap_used: Some(50),
            ..Limits::default()
        };
        let mut rules = AllRules {
            main: Rules::new(limits),
            workers: HashMap::new(),
            of_worker: Box::new(move || {
                Rules::new(Limits {
                    rss: None,
                    ..limits
                })
            }),
        };
        let mut judged = |rss_now, main, workers: &[(u32, u64)]| -> Vec<(u32, Alert)> {
            rules.judge(&Sample {
                heap: Some(heap(main)),
                workers: workers.iter().map(|&(n, used)| (n, heap(used))).collect(),
                ..rss(rss_now)
            })
        };
        assert_eq!(judged(10, 10, &[(1, 10), (2, 50)]), []);
        assert_eq!(
            judged(101, 10, &[(1, 10), (2, 51)]),
            [
                (0, Alert::Above(Figure::Rss, 101, 100)),
                (2, Alert::Above(Figure::HeapUsed, 51, 50))
            ]
        );
        assert_eq!(judged(101, 51, &[(2, 51)]).len(), 1);
    }

    #[test]
    fn growth_alerts_when_the_window_is_full_of_it_and_a_saw_does_not() {
        assert_eq!(window(&[10, 20, 30, 40, 50]), None);
        assert_eq!(window(&[10, 20, 30, 40, 50, 60]), Some(5));
        assert_eq!(window(&[10, 50, 10, 50, 10, 50, 10, 50, 10, 50]), None);
        assert_eq!(window(&[10, 10, 10, 10, 20, 30, 40, 50, 60, 70]), Some(8));
    }
}
