//! Link and eval of Lengauer and Tarjan, with path compression.
//!
//! Vertices are numbered from 1 in the order of the depth-first walk, so that a vertex is linked
//! to its parent exactly if its number is above the one being worked on: no forest to keep.

/// What is known of a vertex; one cache line holds four.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Vertex {
    /// Before it is linked the parent in the walk, afterwards some ancestor.
    pub(crate) ancestor: u32,
    /// Semidominator of this vertex.
    pub(crate) semi: u32,
    /// The vertex with the least semidominator between this one and `ancestor`.
    label: u32,
    /// That semidominator.
    least: u32,
}

impl Vertex {
    /// A vertex just reached from its parent.
    pub(crate) fn reached(number: u32, parent: u32) -> Vertex {
        Vertex {
            ancestor: parent,
            semi: parent,
            label: number,
            least: parent,
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
    /// Sets the semidominator when it is final; all above are linked.
    pub(crate) fn settle(&mut self, number: u32, semi: u32) {
        let vertex = &mut self.vertices[number as usize];
        vertex.semi = semi;
        vertex.least = semi;
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
