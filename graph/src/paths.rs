//! Cheapest ways from the roots to every node: what a person is shown of why a node is kept.

use crate::{Edge, Graph, Node};

/// Costs of one edge are below this.
pub const MAX_COST: usize = 1024;

const NONE: u32 = u32::MAX;

/// The last step of the cheapest way to each node.
#[derive(Debug, Clone)]
pub struct Paths {
    edge: Vec<Edge>,
    costs: Vec<u32>,
}

impl Paths {
    /// Finds them: Dijkstra's algorithm with one bucket for each cost that is under way.
    ///
    /// `cost` says what an edge costs (below [`MAX_COST`]), or `None` if it keeps nothing.
    pub fn new(
        graph: &Graph,
        starts: &[(Node, u16)],
        cost: impl Fn(Node, Edge) -> Option<u16>,
    ) -> Paths {
        let mut paths = Paths {
            edge: vec![NONE; graph.nodes()],
            costs: vec![u32::MAX; graph.nodes()],
        };
        let costs = &mut paths.costs;
        let mut buckets: Vec<Vec<Node>> = vec![Vec::new(); MAX_COST];
        for &(node, cost) in starts {
            if u32::from(cost) < costs[node as usize] {
                costs[node as usize] = u32::from(cost);
                buckets[usize::from(cost) % MAX_COST].push(node);
            }
        }
        let mut now = 0u32;
        let mut idle = 0;
        while idle < MAX_COST {
            let Some(node) = buckets[now as usize % MAX_COST].pop() else {
                now += 1;
                idle += 1;
                continue;
            };
            idle = 0;
            // Found cheaper since, and done then.
            if costs[node as usize] != now {
                continue;
            }
            for edge in graph.of(node) {
                let to = graph.to(edge);
                let Some(cost) = cost(node, edge) else {
                    continue;
                };
                let sum = now + u32::from(cost).clamp(1, MAX_COST as u32 - 1);
                if sum < costs[to as usize] {
                    costs[to as usize] = sum;
                    paths.edge[to as usize] = edge;
                    buckets[sum as usize % MAX_COST].push(to);
                }
            }
        }
        paths
    }

    /// What the way to a node costs, with its start; `None` if there is none.
    pub fn cost(&self, node: Node) -> Option<u32> {
        let cost = self.costs[node as usize];
        (cost != u32::MAX).then_some(cost)
    }

    /// The way to a node of the same graph, from the start: (node, edge to the next); ends before the node itself.
    pub fn to(&self, graph: &Graph, node: Node) -> Vec<(Node, Edge)> {
        let mut way = Vec::new();
        let mut edge = self.edge[node as usize];
        while edge != NONE {
            let from = graph.from(edge);
            way.push((from, edge));
            edge = self.edge[from as usize];
        }
        way.reverse();
        way
    }
}
