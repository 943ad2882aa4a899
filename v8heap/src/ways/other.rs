//! Other ways than the best one: those that join it somewhere.

use graph::{Edge, Node, Retainers};
use rustc_hash::FxHashSet;

use super::{Step, Ways};
use crate::figures::Analysis;
use crate::scripts::Scripts;

/// Retainers looked at for one node of the way; what everything points to is kept by everything.
const RETAINERS: usize = 10_000;
/// Ways put into words to find different ones, and edges of all of them: chains may be long.
const TRIED: usize = 1_000;
const EDGES: usize = 200_000;

/// The best ways to a node, each by other objects.
pub(super) fn several(
    ways: &Ways,
    analysis: &Analysis,
    scripts: &Scripts,
    node: Node,
    most: usize,
) -> Vec<Vec<Step>> {
    let best = ways.raw(analysis, node);
    let mut found = vec![ways.words(analysis, scripts, &best, node)];
    let ids = |steps: &[Step]| steps.iter().map(|step| step.id).collect::<Vec<_>>();
    let mut known: FxHashSet<Vec<u32>> = found.iter().map(|steps| ids(steps)).collect();
    if most <= 1 {
        found.truncate(most);
        return found;
    }
    // (cost, retainer, edge, how many edges of the best way are left)
    let mut joins: Vec<(u32, Node, Edge, usize)> = Vec::new();
    let retainers = Retainers::new(&analysis.snapshot.graph);
    let snapshot = &analysis.snapshot;
    let mut rest = 0;
    for left in 0..=best.len() {
        let at = match left {
            0 => node,
            _ => best[best.len() - left].0,
        };
        if left > 0 {
            let (from, edge) = best[best.len() - left];
            rest += u32::from(ways.costs.of(snapshot, from, edge).unwrap_or_default());
        }
        for (from, edge) in retainers.of(at).take(RETAINERS) {
            let cost = ways.costs.of(snapshot, from, edge);
            if let (Some(cost), Some(before)) = (cost, ways.paths.cost(from)) {
                joins.push((before + u32::from(cost) + rest, from, edge, left));
            }
        }
    }
    joins.sort_unstable();
    let mut edges = 0;
    for (_, from, edge, left) in joins.into_iter().take(TRIED) {
        if found.len() == most || edges > EDGES {
            break;
        }
        let mut way = ways.paths.to(&snapshot.graph, from);
        way.push((from, edge));
        way.extend_from_slice(&best[best.len() - left..]);
        edges += way.len();
        // Over another function that sees the variable it is the same way.
        let start = best.first().map(|&(start, _)| start);
        let again = way.iter().skip(1).any(|&(node, _)| Some(node) == start);
        if again && start.is_some_and(|start| ways.is_of_a_file(start)) {
            continue;
        }
        // Round and round keeps nothing.
        let mut nodes: Vec<Node> = way.iter().map(|&(node, _)| node).chain([node]).collect();
        nodes.sort_unstable();
        if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
            continue;
        }
        let steps = ways.words(analysis, scripts, &way, node);
        if known.insert(ids(&steps)) {
            found.push(steps);
        }
    }
    found
}
