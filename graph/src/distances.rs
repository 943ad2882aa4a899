//! Distances: breadth first.

use crate::prefetch::prefetch;
use crate::{Edge, Graph, Node};

/// So many targets of a node are loaded before it is looked at.
const TARGETS_AHEAD: usize = 16;

/// The distance of a node that no walk has reached.
pub const UNREACHED: i32 = -5;

/// Walks breadth first from what is in `queue`, whose distances the caller has set, and gives each
/// node not yet reached ([`UNREACHED`]) its predecessor's distance + 1 and a place in `queue`.
///
/// `follows` is asked once for each edge to a node not yet reached, in the order of the walk, and
/// may keep state. A start that is listed twice is walked twice.
pub fn breadth_first(
    graph: &Graph,
    queue: &mut Vec<Node>,
    distances: &mut [i32],
    mut follows: impl FnMut(Node, Edge) -> bool,
) {
    let mut next = 0;
    while next < queue.len() {
        let node = queue[next];
        next += 1;
        graph.look_ahead(&queue[next..]);
        if let Some(&ahead) = queue.get(next + 2) {
            for &to in graph.targets(graph.of(ahead)).iter().take(TARGETS_AHEAD) {
                prefetch(distances, to as usize);
            }
        }
        let distance = distances[node as usize] + 1;
        let edges = graph.of(node);
        for (edge, &to) in edges.clone().zip(graph.targets(edges)) {
            if distances[to as usize] == UNREACHED && follows(node, edge) {
                distances[to as usize] = distance;
                queue.push(to);
            }
        }
    }
}
