//! Growth that is perhaps no leak: ever more slowly, as what fills up to a bound; or with nothing old left,
//! since something takes the entries out again.

use std::time::Duration;

use graph::Node;

use super::View;
use super::entries::{count, entries, first_key, is_map, is_oddball, rows};
use super::families::Family;

/// With fewer entries in the first snapshot nothing is to be said of how many of them are left.
const MIN_FIRST: u64 = 8;

/// Containers in which hardly one entry of the first snapshot is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turnover {
    /// They have few entries more.
    Steady,
    /// They have many more.
    Backlog,
}

/// How the entries of a family have been replaced, if they were.
pub(super) fn turnover(view: &View, family: &Family) -> Option<Turnover> {
    let (&first, &last) = (family.counts.first()?, family.counts.last()?);
    if family.numbers || first < MIN_FIRST {
        return None;
    }
    let old = family.nodes.iter().map(|&node| old(view, node));
    if old.sum::<Option<u64>>()? * 4 > first {
        return None;
    }
    Some(match last < first * 2 {
        true => Turnover::Steady,
        false => Turnover::Backlog,
    })
}

/// How many entries of a Map, a Set or an array were there in the first snapshot; `None` if that cannot be
/// told: of other objects, and where there are numbers, which leave no edges.
fn old(view: &View, node: Node) -> Option<u64> {
    let snapshot = &view.analysis.snapshot;
    let (_, is_table) = rows(snapshot, node);
    if !is_table && snapshot.name(node) != "Array" {
        return None;
    }
    let keys = match is_map(snapshot, node) {
        true => Some(first_key(snapshot, node)?),
        false => None,
    };
    // Where an entry was deleted is a hole, which was always there.
    let mut all: Vec<(u64, bool)> = entries(snapshot, node)
        .filter(|&edge| !is_oddball(snapshot, snapshot.graph.to(edge)))
        .map(|edge| {
            let place = snapshot.edge_name(edge).parse::<u64>().ok()?;
            let entry = keys.map_or(place, |first| place.saturating_sub(first) / 3);
            Some((entry, view.is_new(snapshot.graph.to(edge))))
        })
        .collect::<Option<_>>()?;
    // An entry is old if its key or its value is.
    all.sort_unstable();
    all.dedup_by_key(|(entry, _)| *entry);
    (all.len() as u64 >= count(snapshot, node))
        .then(|| all.iter().filter(|(_, is_new)| !is_new).count() as u64)
}

/// Whether the last step is so much smaller than another, by itself and for its time, that there may be an
/// end to it.
pub(super) fn slows(counts: &[u64], times: Option<&[Duration]>) -> bool {
    let smaller = |steps: &[f64]| {
        let most = steps.iter().copied().fold(0.0, f64::max);
        steps.last().is_some_and(|last| last * 8.0 < most * 5.0)
    };
    let steps: Vec<f64> = counts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]) as f64)
        .collect();
    let rates = |times: &[Duration]| -> Vec<f64> {
        let pairs = steps.iter().zip(times);
        pairs
            .map(|(step, time)| step / time.as_secs_f64())
            .collect()
    };
    smaller(&steps) && times.is_none_or(|times| smaller(&rates(times)))
}

#[cfg(test)]
mod tests {
    use super::slows;
    use std::time::Duration;

    #[test]
    fn what_fills_up_grows_ever_more_slowly() {
        assert!(slows(&[353, 459, 493], None));
        assert!(slows(&[100, 200, 256], None));
        assert!(slows(&[81, 92, 98], None));
        assert!(!slows(&[100, 200, 270], None));
        assert!(!slows(&[100, 200], None));
    }

    #[test]
    fn a_shorter_time_is_no_sign_of_it() {
        let seconds = |times: [u64; 2]| times.map(Duration::from_secs);
        assert!(!slows(&[100, 700, 900], Some(&seconds([60, 20]))));
        assert!(slows(&[100, 700, 900], Some(&seconds([60, 60]))));
    }
}
