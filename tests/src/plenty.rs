//! What the program `plenty` does, and so what its report must say.

use crate::report::Report;
use crate::run::Outcome;

/// What `plenty` keeps.
pub fn kept_by_plenty(count: u64) -> (u64, u64) {
    (count, (0..count).map(|i| 1 + i % 64).sum())
}

/// The report has all that `plenty` did.
pub fn assert_plenty(report: &Report, count: u64) {
    let kept = report.within("plenty_keeps");
    assert_eq!((kept.blocks, kept.bytes), kept_by_plenty(count));
    assert_eq!(report.within("brief").allocations, 3 * count);
}

/// Either all of it is there, or the report says that it is not.
pub fn all_or_said(outcome: &Outcome, count: u64) {
    for report in outcome.logs.iter().filter_map(|log| Report::of_part(log)) {
        if report.is_complete() {
            assert_plenty(&report, count);
        }
    }
}
