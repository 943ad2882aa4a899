//! Leaks by rules of the user's: see [`crate::rules`].

use super::words::{Count, Pattern};
use super::{Leak, View};
use crate::rules::{Found, Rules};

/// The leaks that rules name. `found` is what each of them has found in each snapshot, in order.
pub(super) fn leaks(view: &View, rules: &Rules, found: &[Vec<Found>]) -> Vec<Leak> {
    let Some(last) = found.last() else {
        return Vec::new();
    };
    let mut leaks = Vec::new();
    for (number, ((name, line), now)) in rules.leaks().zip(last).enumerate() {
        let new: Vec<_> = now
            .nodes
            .iter()
            .copied()
            .filter(|&node| view.is_new(node))
            .collect();
        let ids = &view.analysis.snapshot.ids;
        let Some(newest) = new.iter().copied().max_by_key(|&node| ids[node as usize]) else {
            continue;
        };
        let snapshot = &view.analysis.snapshot;
        let place = snapshot.location(newest).map(|location| {
            let class = snapshot.name(newest);
            let closure = snapshot.kinds[newest as usize] == snapshot.kind.closure;
            let name = if closure {
                class.into_owned()
            } else {
                format!("new {class}")
            };
            view.place((name, location))
        });
        let (is, cure) = Pattern::Rule.sentences();
        leaks.push(Leak {
            pattern: Pattern::Rule,
            what: format!("{name}: {}, rule of line {line}", objects(now.count)),
            counts: found.iter().map(|rules| rules[number].count).collect(),
            retained: found.iter().map(|rules| rules[number].retained).collect(),
            id: ids[newest as usize],
            place,
            entries: None,
            also: Vec::new(),
            shared: None,
            perhaps: Vec::new(),
            program: None,
            allocated: None,
            way: view.ways.to(view.analysis, &view.scripts, newest),
            is: is.to_owned(),
            cure: cure.to_owned(),
            doubt: None,
        });
    }
    leaks
}

fn objects(count: u64) -> String {
    match count {
        1 => "1 object".to_owned(),
        _ => format!("{} objects", Count(count)),
    }
}
