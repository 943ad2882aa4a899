//! Figures of every node, and how long each step took.
use std::io::Write;
fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let threads = std::env::args()
        .nth(2)
        .map_or(2, |n| n.parse().expect("a number"));
    let start = std::time::Instant::now();
    let snapshot = v8heap::load(path.as_ref(), threads).unwrap_or_else(|e| panic!("{e}"));
    eprintln!("load {:?}", start.elapsed());
    let all = v8heap::Analysis::new(snapshot, threads);
    eprintln!("all {:?}", start.elapsed());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for node in 0..all.retained.len() {
        writeln!(
            out,
            "{} {} {} {} {}",
            all.snapshot.ids[node],
            all.snapshot.sizes.get(node as u32),
            all.retained[node],
            all.distances[node],
            all.dominators.parent[node]
        )
        .expect("stdout");
    }
}
