//! How sites grow, in words, and as JSON.

use heap::{Growth, PARTS, Verdict};
use serde::Serialize;

use crate::figures::{bytes, count, counted, duration};

/// Bars from empty to full.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How many sites have which verdict.
pub type Verdicts = [u64; Verdict::ALL.len()];

/// Counts a verdict.
pub fn tally(verdicts: &mut Verdicts, verdict: Verdict) {
    verdicts[verdict as usize] += 1;
}

/// The sites that do not grow, in words; `None` if there are none.
pub fn others(verdicts: &Verdicts) -> Option<String> {
    let rest = Verdict::ALL.into_iter().zip(verdicts);
    let words: Vec<String> = rest
        .filter(|&(verdict, &n)| !verdict.grows() && n > 0)
        .map(|(verdict, &n)| format!("{} {}", count(n), verdict.name()))
        .collect();
    (!words.is_empty()).then(|| {
        format!(
            "Sites with blocks left that do not grow: {}.",
            words.join(", ")
        )
    })
}

/// The verdict and its confidence.
pub fn heading(growth: &Growth) -> String {
    format!(
        "{} (confidence {})",
        growth.verdict.name(),
        confidence(growth.confidence)
    )
}

/// Never rounded up to certainty.
fn confidence(value: f64) -> String {
    match value * 100.0 {
        ..99.95 => format!("{:.1} %", value * 100.0),
        _ => "> 99.9 %".to_owned(),
    }
}

/// Live bytes over the run, a bar for each part.
pub fn bars(growth: &Growth) -> String {
    let most = growth
        .points
        .iter()
        .map(|(_, level)| level.0)
        .max()
        .unwrap_or(0)
        .max(1);
    let bars = growth.points.iter().skip(1).map(|(_, level)| {
        let height = (level.0 as f64 / most as f64 * (BARS.len() - 1) as f64).round() as usize;
        BARS[height.min(BARS.len() - 1)]
    });
    bars.collect()
}

/// The sentence that explains the verdict.
pub fn sentence(growth: &Growth) -> String {
    let blocks = counted(growth.blocks, "block");
    let freed = growth.made.saturating_sub(growth.blocks);
    let parts = format!("{} of {PARTS} parts of the run", growth.parts_with_births);
    let between = format!(
        "between {} and {} after the start",
        duration(growth.births.0.0),
        duration(growth.births.1.0)
    );
    match growth.verdict {
        Verdict::SteadyLeak | Verdict::GrowingContainer => {
            let end = match (growth.verdict, growth.by_realloc, growth.reachable) {
                (Verdict::GrowingContainer, true, _) => "it is one container that grows by reallocation".to_owned(),
                (Verdict::GrowingContainer, ..) => "most of its blocks are reachable: something keeps collecting them".to_owned(),
                (_, _, Some(_)) => "nothing leads to most of its blocks any more".to_owned(),
                (_, _, None) => {
                    "whether anything still points to its blocks is not known, so it may be a container that only grows".to_owned()
                }
            };
            format!(
                "what lived on was born in {parts}; it grew in {} of {} steps and still does, by {}/s or {} every 1,000 \
                 allocations (by chance: p = {}, q = {}); {end}",
                growth.steps_up,
                growth.steps,
                rate(growth.bytes_per_second),
                rate(growth.bytes_per_1000_allocations),
                probability(growth.p),
                probability(growth.q),
            )
        }
        Verdict::WarmUp => format!("its {blocks} were born {between}; since then it has not grown"),
        Verdict::OneOff => format!(
            "its {blocks} were made at about one time, {} after the start",
            duration(growth.births.0.0)
        ),
        Verdict::Cache => format!(
            "{} freed for {} that are left: it turns over, and its level has no trend ({} of {} steps go up)",
            counted(freed, "block"),
            count(growth.blocks),
            growth.steps_up,
            growth.steps
        ),
        Verdict::Unclear => format!(
            "its {blocks} were born in {parts}, {between}; {} of {} steps go up, which is too few to tell from chance (p = {})",
            growth.steps_up,
            growth.steps,
            probability(growth.p)
        ),
    }
}

fn rate(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    match value.abs() {
        size @ ..10.0 => format!("{sign}{size:.1} B"),
        size => format!("{sign}{}", bytes(size.round() as u64)),
    }
}

fn probability(value: f64) -> String {
    if value < 0.001 {
        format!("{value:.0e}")
    } else {
        format!("{value:.3}")
    }
}

/// `growth` of a site in JSON.
#[derive(Serialize)]
pub struct JsonGrowth {
    verdict: &'static str,
    confidence: f64,
    sentence: String,
    reachable: Option<bool>,
    by_realloc: bool,
    p: f64,
    q: f64,
    steps_up: u32,
    steps: u32,
    bytes_per_second: f64,
    bytes_per_1000_allocations: f64,
    parts: usize,
    parts_with_births: u32,
    warm_up_births: u64,
    first_birth_ns: u64,
    last_birth_ns: u64,
    survivor_ages: heap::Ages,
    warm_up_ns: u64,
    live_bytes: Vec<[u64; 2]>,
}

impl From<&Growth> for JsonGrowth {
    fn from(growth: &Growth) -> JsonGrowth {
        JsonGrowth {
            verdict: growth.verdict.name(),
            confidence: growth.confidence,
            sentence: sentence(growth),
            reachable: growth.reachable,
            by_realloc: growth.by_realloc,
            p: growth.p,
            q: growth.q,
            steps_up: growth.steps_up,
            steps: growth.steps,
            bytes_per_second: growth.bytes_per_second,
            bytes_per_1000_allocations: growth.bytes_per_1000_allocations,
            parts: PARTS,
            parts_with_births: growth.parts_with_births,
            warm_up_births: growth.warm_up_births,
            first_birth_ns: growth.births.0.0,
            last_birth_ns: growth.births.1.0,
            survivor_ages: growth.ages,
            warm_up_ns: growth.warm_up.0,
            live_bytes: growth
                .points
                .iter()
                .map(|(time, level)| [time.0, level.0])
                .collect(),
        }
    }
}

/// How many sites have which verdict, in JSON.
pub fn counts(verdicts: &Verdicts) -> serde_json::Map<String, serde_json::Value> {
    let named = Verdict::ALL.into_iter().zip(verdicts);
    named
        .map(|(verdict, &n)| (verdict.name().to_owned(), n.into()))
        .collect()
}
