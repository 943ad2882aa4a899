//! Link and eval of Lengauer and Tarjan, with path compression.
//!
//! Vertices are numbered from 1 in the order of the depth-first walk, so that a vertex is linked
//! to its parent exactly if its number is above the one being worked on: no forest to keep.

/// What is known of a vertex; one cache line holds four. Before it is settled and afterwards the
/// same words hold different things.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vertex {
    /// Its parent in the walk; some ancestor when it is linked.
    pub(crate) ancestor: u32,
    /// The last edge that leads to it from a higher number (0: none); then the vertex with the least
    /// semidominator between this one and `ancestor`.
    pub(crate) label: u32,
    /// Its own semidominator as far as it is known; then that of `label`.
    pub(crate) least: u32,
    /// The last of those that wait for their semidominator, which is this one (0: none); then, while
    /// it waits itself, the next that does; then its dominator.
    pub(crate) dominator: u32,
}

impl Vertex {
    /// A vertex just reached from its parent.
    pub(crate) fn reached(parent: u32) -> Vertex {
        Vertex {
            ancestor: parent,
            least: parent,
            ..Vertex::default()
        }
    }
}

/// All vertices by number; 0 is unused.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    pub(crate) vertices: Vec<Vertex>,
    path: Vec<u32>,
}

impl Forest {
    /// Its semidominator is final, and its dominator or the next that waits known.
    pub(crate) fn settle(&mut self, number: u32, semi: u32, dominator: u32) {
        let vertex = &mut self.vertices[number as usize];
        vertex.label = number;
        vertex.least = semi;
        vertex.dominator = dominator;
    }

    /// The vertex with the least semidominator on the way from `number` up to the root of its tree
    /// in the forest of the vertices above `linked`, and that semidominator.
    pub(crate) fn eval(&mut self, number: u32, linked: u32) -> (u32, u32) {
        let vertex = self.vertices[number as usize];
        if number <= linked {
            return (number, number);
        }
        if vertex.ancestor <= linked {
            return (vertex.label, vertex.least);
        }
        // Compress: from below the root of the tree downwards.
        let mut above = number;
        while self.vertices[above as usize].ancestor > linked {
            self.path.push(above);
            above = self.vertices[above as usize].ancestor;
        }
        let mut upper = self.vertices[above as usize];
        while let Some(below) = self.path.pop() {
            let vertex = &mut self.vertices[below as usize];
            if upper.least < vertex.least {
                vertex.least = upper.least;
                vertex.label = upper.label;
            }
            vertex.ancestor = upper.ancestor;
            upper = *vertex;
        }
        (upper.label, upper.least)
    }
}
