//! Who points to an object, and who to those: a tree of retainers, as far as it says something.

use graph::Retainers;
use serde_json::{Value, json};
use v8heap::{Analysis, Scripts, Ways, what};

/// Levels of the best retainer's branch, and of all others.
const DEPTH: usize = 16;
const SIDE: usize = 3;
/// Retainers of one node that are shown.
const WIDTH: usize = 6;
/// Retainers of one node that are looked at.
const MOST: usize = 2000;

/// What trees are made of.
pub(super) struct Trees<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) scripts: &'a Scripts,
    pub(super) ways: &'a Ways,
    pub(super) retainers: &'a Retainers,
}

impl Trees<'_> {
    /// The retainers of a node: `[edge, what, id, distance, retained, [retainers…], more]`, the best first.
    /// At most `budget` nodes.
    pub(super) fn of(&self, node: u32, mut budget: usize) -> Value {
        self.level(node, DEPTH, &mut vec![node], &mut budget).0
    }

    fn level(
        &self,
        node: u32,
        depth: usize,
        above: &mut Vec<u32>,
        budget: &mut usize,
    ) -> (Value, usize) {
        let snapshot = &self.analysis.snapshot;
        let mut all: Vec<(u32, u32, u32)> = self
            .retainers
            .of(node)
            .take(MOST)
            .filter_map(|(from, edge)| {
                let cost = self.ways.cost(self.analysis, from, edge)?;
                Some((cost, from, edge))
            })
            .collect();
        all.sort_unstable();
        let shown = all.len().min(WIDTH);
        let mut rows = Vec::new();
        for (place, &(_, from, edge)) in all.iter().take(WIDTH).enumerate() {
            let Some(left) = budget.checked_sub(1) else {
                break;
            };
            *budget = left;
            let again = above.contains(&from);
            let below = if place == 0 {
                depth.saturating_sub(1)
            } else {
                depth.saturating_sub(1).min(SIDE)
            };
            let (rows_above, more) = if again || below == 0 {
                (json!([]), 0)
            } else {
                above.push(from);
                let level = self.level(from, below, above, budget);
                above.pop();
                level
            };
            rows.push(json!([
                self.ways.edge(self.analysis, self.scripts, from, edge),
                what(snapshot, self.scripts, from),
                snapshot.ids[from as usize],
                self.analysis.distances[from as usize],
                self.analysis.retained[from as usize],
                rows_above,
                more,
            ]));
        }
        (Value::Array(rows), all.len() - shown)
    }
}
