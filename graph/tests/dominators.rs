//! Dominators against the definition: a node dominates another if without it the other cannot be
//! reached.

use graph::{Edge, Graph, Incoming, Node, Rules, Use, dominators};
use proptest::prelude::*;

/// What each edge is, by number.
struct Table {
    uses: Vec<Use>,
    enters: Vec<bool>,
}

impl Rules for Table {
    fn edge(&self, _: Node, edge: Edge) -> Use {
        self.uses[edge as usize]
    }
    fn enters(&self, edge: Edge) -> bool {
        self.enters[edge as usize]
    }
}

fn graph(nodes: usize, edges: &[(u32, u32, u8)]) -> (Graph, Table) {
    let mut sorted = edges.to_vec();
    sorted.sort_by_key(|&(from, ..)| from);
    let first = (0..=nodes as u32)
        .map(|node| sorted.partition_point(|&(from, ..)| from < node) as u32)
        .collect();
    let to = sorted.iter().map(|&(_, to, _)| to).collect();
    let table = Table {
        uses: sorted
            .iter()
            .map(|&(_, _, kind)| match kind {
                0 => Use::Nothing,
                1 => Use::Reaches,
                _ => Use::Keeps,
            })
            .collect(),
        enters: sorted
            .iter()
            .map(|&(from, _, kind)| from == 0 && kind == 2)
            .collect(),
    };
    (Graph::new(first, to).expect("a graph"), table)
}

/// Counts edges, by two as two threads would.
fn incoming(graph: &Graph, table: &Table) -> Incoming {
    let mut parts = [Incoming::new(graph.nodes()), Incoming::new(graph.nodes())];
    for edge in 0..graph.edges() as Edge {
        if table.uses[edge as usize] != Use::Nothing {
            parts[edge as usize % 2].see(graph.to(edge));
        }
    }
    let [mut all, other] = parts;
    all.add(&other);
    all
}

/// The edges that count, by the words of the documentation.
fn keeping(graph: &Graph, table: &Table) -> Vec<(Node, Node)> {
    let nodes = graph.nodes();
    let all = |node: Node| graph.of(node).map(move |edge| (edge, graph.to(edge)));
    let mut domain = vec![false; nodes];
    let mut list: Vec<Node> = all(0)
        .filter(|&(edge, _)| table.enters[edge as usize])
        .map(|(_, to)| to)
        .collect();
    while let Some(node) = list.pop() {
        if !std::mem::replace(&mut domain[node as usize], true) {
            list.extend(
                all(node)
                    .filter(|&(edge, _)| table.uses[edge as usize] != Use::Nothing)
                    .map(|(_, to)| to),
            );
        }
    }
    let mut edges = Vec::new();
    for node in 0..nodes as Node {
        for (edge, to) in all(node) {
            let into = domain[to as usize] && !domain[node as usize] && node != 0;
            if table.uses[edge as usize] == Use::Keeps && to != node && !into {
                edges.push((node, to));
            }
        }
    }
    // Nodes that nothing keeps hang on the root.
    for node in 1..nodes as Node {
        if edges.iter().all(|&(_, to)| to != node) {
            edges.push((0, node));
        }
    }
    // So do the rings, and nothing follows from these.
    let reached = reach(nodes, &edges, None);
    edges.retain(|&(from, _)| reached[from as usize]);
    edges.extend(
        (1..nodes as Node)
            .filter(|&node| !reached[node as usize])
            .map(|node| (0, node)),
    );
    edges
}

fn reach(nodes: usize, edges: &[(Node, Node)], without: Option<Node>) -> Vec<bool> {
    let mut seen = vec![false; nodes];
    let mut list = vec![0];
    while let Some(node) = list.pop() {
        if Some(node) == without || std::mem::replace(&mut seen[node as usize], true) {
            continue;
        }
        list.extend(
            edges
                .iter()
                .filter(|&&(from, _)| from == node)
                .map(|&(_, to)| to),
        );
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn the_parent_is_the_nearest_of_all_dominators(
        (nodes, edges) in (1usize..14).prop_flat_map(|nodes| {
            let node = 0..nodes as u32;
            (Just(nodes), prop::collection::vec((node.clone(), node, 0u8..8), 0..40))
        })
    ) {
        let (graph, table) = graph(nodes, &edges);
        let found = dominators(&graph, 0, &table, &incoming(&graph, &table));
        let edges = keeping(&graph, &table);
        // Of each node all that dominate it: without them it is not reached.
        let without: Vec<Vec<bool>> =
            (0..nodes as Node).map(|node| reach(nodes, &edges, Some(node))).collect();
        let above = |node: usize| (0..nodes).filter(|&other| other != node && !without[other][node]).collect::<Vec<_>>();
        prop_assert_eq!(found.parent[0], 0);
        for node in 1..nodes {
            let all = above(node);
            let nearest = all.iter().copied().max_by_key(|&other| above(other).len()).unwrap_or(0);
            prop_assert_eq!(found.parent[node] as usize, nearest, "node {}", node);
        }
        let own = |node: Node| u64::from(node) + 1;
        let retained = found.retained((0..nodes as Node).map(own).collect());
        for (node, &bytes) in retained.iter().enumerate() {
            let sum: u64 = (0..nodes).filter(|&other| other == node || above(other).contains(&node)).map(|other| own(other as Node)).sum();
            prop_assert_eq!(bytes, sum);
        }
    }
}

#[test]
fn a_chain_of_three_million_nodes_is_no_deeper_than_a_loop() {
    // Doubly linked, and the last one has many that the first one has as well.
    let nodes = 3_000_000u32;
    let chain = nodes / 2;
    let mut edges = Vec::new();
    for node in 0..chain {
        edges.push((node, node + 1, 3));
        if node > 1 {
            edges.push((node, node - 1, 3));
        }
    }
    for node in chain + 1..nodes {
        edges.push((chain, node, 3));
        edges.push((1, node, 3));
    }
    let (graph, table) = graph(nodes as usize, &edges);
    let found = dominators(&graph, 0, &table, &incoming(&graph, &table));
    assert_eq!(found.parent[chain as usize], chain - 1);
    assert_eq!(found.parent[nodes as usize - 1], 1);
    assert_eq!(
        found.retained(vec![1; nodes as usize + 1])[1],
        u64::from(nodes) - 1
    );
}
