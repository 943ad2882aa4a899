//! Where objects were allocated: stacks that V8 writes into a snapshot if it was told to track
//! allocations before (`HeapProfiler.startTrackingHeapObjects`, "Allocation instrumentation on
//! timeline" in DevTools).
//!
//! A frame is a function with the place where it begins; V8 keeps no line of the call. What it has
//! inlined into a function is that function's.

mod read;

use graph::Node;

use crate::place::Place;
use crate::snapshot::{Location, Snapshot};

pub(crate) use read::{Part, Parts, parse};

/// No caller.
const NONE: u32 = u32::MAX;

/// A function on a stack; its strings by number.
#[derive(Debug, Clone, Copy)]
struct Function {
    name: u32,
    file: u32,
    script: u32,
    /// From 1; 0 if V8 does not know.
    line: u32,
    column: u32,
}

/// A stack: a row of the tree of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stack(u32);

/// A frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function's name; may be empty.
    pub function: String,
    /// A path, `node:fs`, …; empty for V8's own.
    pub file: String,
    /// V8's number of the file.
    pub script: u32,
    /// Where the function begins, line and column from 1, if V8 knows.
    pub place: Option<(u32, u32)>,
}

/// How near a function is to the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// In the program.
    Own,
    /// In a package that it uses.
    Package,
    /// In Node, the browser or V8.
    Engine,
}

impl Frame {
    /// How near it is to the user, by its file.
    pub fn nearness(&self) -> Nearness {
        match self.file.as_str() {
            "" => Nearness::Engine,
            file if file.starts_with("node:") || file.starts_with("extensions::") => {
                Nearness::Engine
            }
            file if file.contains("/node_modules/") => Nearness::Package,
            _ => Nearness::Own,
        }
    }

    /// Where the function begins, as closures have it.
    pub fn location(&self) -> Option<Location> {
        self.place.map(|(line, column)| Location {
            script: self.script,
            line: line.saturating_sub(1),
            column: column.saturating_sub(1),
        })
    }

    /// `file:line:column`
    pub fn file_and_line(&self) -> String {
        match self.place {
            Some((line, column)) => format!("{}:{line}:{column}", self.file),
            None => self.file.clone(),
        }
    }

    /// The function, and where it begins.
    pub fn said(&self) -> Place {
        Place {
            function: self.function.clone(),
            at: self.file_and_line(),
        }
    }

    /// `name() file:line:column`
    pub fn text(&self) -> String {
        self.said().text()
    }
}

/// What one stack or function has allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Objects since tracking began.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are in the snapshot.
    pub live_objects: u64,
    /// Their bytes; DevTools' self sizes.
    pub live_bytes: u64,
}

impl Allocated {
    fn add(&mut self, other: Allocated) {
        self.objects = self.objects.saturating_add(other.objects);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.live_objects += other.live_objects;
        self.live_bytes = self.live_bytes.saturating_add(other.live_bytes);
    }
}

/// A moment at which V8 noted how far it had numbered objects.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Since tracking began.
    microseconds: u64,
    /// Objects made before have no higher id.
    last_id: u64,
}

/// All stacks of a snapshot.
#[derive(Debug, Default)]
pub struct Stacks {
    functions: Vec<Function>,
    /// Of each row, the row that called it, or [`NONE`]; callers come first.
    callers: Vec<u32>,
    /// Of each row, its function.
    function_of: Vec<u32>,
    /// Objects and bytes that each row has allocated.
    objects: Vec<u64>,
    bytes: Vec<u64>,
    /// Of each node, 1 + its row, or 0.
    of_node: Vec<u32>,
    moments: Vec<Moment>,
}

impl Stacks {
    /// Where an object was allocated, if V8 was tracking then.
    pub fn of(&self, node: Node) -> Option<Stack> {
        let row = self.of_node.get(node as usize)?.checked_sub(1)?;
        Some(Stack(row))
    }

    /// The frames of a stack, innermost first, without V8's root.
    pub fn frames<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        stack: Stack,
    ) -> impl Iterator<Item = Frame> + 'a {
        let caller = |row: &u32| Some(self.callers[*row as usize]).filter(|&row| row != NONE);
        std::iter::successors(Some(stack.0), caller)
            .filter(|&row| self.callers[row as usize] != NONE)
            .map(|row| self.frame(snapshot, self.function_of[row as usize]))
    }

    fn frame(&self, snapshot: &Snapshot, function: u32) -> Frame {
        let Function {
            name,
            file,
            script,
            line,
            column,
        } = self.functions[function as usize];
        let file = snapshot.strings.get(file);
        Frame {
            function: snapshot.strings.get(name).into_owned(),
            file: file.strip_prefix("file://").unwrap_or(&file).to_owned(),
            script,
            place: (line > 0).then_some((line, column)),
        }
    }

    /// What each stack has allocated, most live bytes first. `snapshot` has DevTools' self sizes.
    pub fn sums(&self, snapshot: &Snapshot) -> Vec<(Stack, Allocated)> {
        let mut all: Vec<(Stack, Allocated)> = (0..)
            .zip(self.objects.iter().zip(&self.bytes))
            .map(|(row, (&objects, &bytes))| {
                let sums = Allocated {
                    objects,
                    bytes,
                    ..Allocated::default()
                };
                (Stack(row), sums)
            })
            .collect();
        for (node, &row) in (0..).zip(&self.of_node) {
            if let Some(row) = row.checked_sub(1) {
                let sums = &mut all[row as usize].1;
                sums.live_objects += 1;
                sums.live_bytes = sums.live_bytes.saturating_add(snapshot.sizes.get(node));
            }
        }
        all.retain(|(_, sums)| sums.objects > 0 || sums.live_objects > 0);
        all.sort_by_key(|&(stack, sums)| (std::cmp::Reverse(sums.live_bytes), stack));
        all
    }

    /// What each function has allocated by itself, most live bytes first: DevTools' Allocation view.
    pub fn functions(&self, snapshot: &Snapshot) -> Vec<(Frame, Allocated)> {
        let mut all = vec![Allocated::default(); self.functions.len()];
        for (stack, sums) in self.sums(snapshot) {
            // DevTools leaves out rows of which V8 says that they allocated nothing.
            if sums.objects > 0 {
                all[self.function_of[stack.0 as usize] as usize].add(sums);
            }
        }
        let mut found: Vec<(u32, Allocated)> = (0..).zip(all).collect();
        found.retain(|(_, sums)| sums.objects > 0);
        found.sort_by_key(|&(function, sums)| (std::cmp::Reverse(sums.live_bytes), function));
        found
            .into_iter()
            .map(|(function, sums)| (self.frame(snapshot, function), sums))
            .collect()
    }

    /// When an object was made, in microseconds since tracking began: not before, and not after. `None` if
    /// it is older or younger than what V8 noted.
    pub fn made(&self, id: u32) -> Option<(u64, u64)> {
        let after = self
            .moments
            .partition_point(|moment| moment.last_id < u64::from(id));
        let later = self.moments.get(after)?;
        let earlier = self.moments.get(after.checked_sub(1)?)?;
        Some((earlier.microseconds, later.microseconds))
    }

    /// Takes the number of a stack for each node; numbers that are not in the tree are no stack.
    fn attach(&mut self, mut of_node: Vec<u32>, ids: &rustc_hash::FxHashMap<u64, u32>) {
        for id in &mut of_node {
            *id = match *id {
                0 => 0,
                id => ids.get(&u64::from(id)).map_or(0, |row| row + 1),
            };
        }
        self.of_node = of_node;
    }
}

#[cfg(test)]
mod tests {
    use crate::{Analysis, Fault, load_bytes};

    /// A root, its object `a` and what that has, `b`; the parts of stacks as given.
    fn with(parts: &str) -> Vec<u8> {
        let meta = r#"{"node_fields":["type","name","id","self_size","edge_count","trace_node_id"],
            "node_types":[["synthetic","object"],"string","number","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"],"string_or_number","node"],
            "trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],
            "trace_node_fields":["id","function_info_index","count","size","children"],
            "sample_fields":["timestamp_us","last_assigned_id"]}"#;
        format!(
            r#"{{"snapshot":{{"meta":{meta},"node_count":3,"edge_count":2,"trace_function_count":3}},
            "nodes":[0,0,1,0,1,0,1,1,3,16,1,2,1,2,5,8,0,3],"edges":[0,1,6,0,2,12],{parts},"locations":[],
            "strings":["(root)","a","b","make","file:///app.js","main"]}}"#
        )
        .into_bytes()
    }

    const FUNCTIONS: &str = r#""trace_function_infos":[0,0,0,0,0,0,7,5,4,1,1,1,9,3,4,1,12,9]"#;

    #[test]
    fn objects_have_the_stacks_that_allocated_them() {
        let parts = format!(
            r#"{FUNCTIONS},"trace_tree":[1,0,0,0,[2,1,5,80,[3,2,1,8,[]],4,2,2,16,[]]],"samples":[0,1,500,3,900,9]"#
        );
        let analysis = Analysis::new(load_bytes(with(&parts)).expect("a snapshot"), 1);
        let snapshot = &analysis.snapshot;
        let stacks = snapshot.stacks.as_ref().expect("stacks");
        let text = |node| {
            let frames = stacks.frames(snapshot, stacks.of(node)?);
            Some(frames.map(|frame| frame.text()).collect::<Vec<_>>())
        };
        assert_eq!(text(0), None);
        assert_eq!(text(1), Some(vec!["main() /app.js:1:1".to_owned()]));
        assert_eq!(
            text(2),
            Some(vec![
                "make() /app.js:12:9".to_owned(),
                "main() /app.js:1:1".to_owned()
            ])
        );
        let functions = stacks.functions(snapshot);
        let sums: Vec<_> = functions
            .iter()
            .map(|(frame, sums)| (frame.function.as_str(), sums.objects, sums.live_bytes))
            .collect();
        assert_eq!(sums, [("main", 5, 16), ("make", 3, 8)]);
        assert_eq!(stacks.made(5), Some((500, 900)));
        assert_eq!(stacks.made(1), None);
        assert_eq!(stacks.made(11), None);
    }

    #[test]
    fn a_snapshot_without_stacks_has_none() {
        let parts = r#""trace_function_infos":[],"trace_tree":[],"samples":[]"#;
        let text = String::from_utf8(with(parts)).expect("text");
        let text = text.replace("trace_function_count\":3", "trace_function_count\":0");
        let snapshot = load_bytes(text.into_bytes()).expect("a snapshot");
        assert!(snapshot.stacks.is_none());
    }

    #[test]
    fn what_is_wrong_with_stacks_is_said_with_its_place() {
        let load = |tree: &str| {
            let parts = format!(r#"{FUNCTIONS},"trace_tree":{tree},"samples":[]"#);
            load_bytes(with(&parts)).expect_err("a fault").to_string()
        };
        for (tree, said) in [
            ("[1,3,0,0,[]]", "a stack is of function 3 of 3"),
            ("[1,0,0,0,[1,1,0,0,[]]]", "stack 1 is there twice"),
            ("[1,0,0,0,[2,1,0]]", "\"trace_tree\", byte"),
            ("[1,0,0,0]", "\"trace_tree\", byte"),
            ("[1,0,[],0,[]]", "\"trace_tree\", byte"),
            ("[1,0,0,0,[],]", "\"trace_tree\", byte"),
        ] {
            let fault = load(tree);
            assert!(fault.contains(said), "{tree}: {fault}");
        }
        let functions =
            r#""trace_function_infos":[0,0,9,0,0,0],"trace_tree":[1,0,0,0,[]],"samples":[]"#;
        let fault = load_bytes(with(functions))
            .expect_err("a fault")
            .to_string();
        assert!(fault.contains("string 9 of 6"), "{fault}");
    }

    #[test]
    fn a_million_calls_within_each_other_need_no_stack_of_ours() {
        let depth = 1_000_000;
        let mut tree = String::from("[");
        for id in 1..=depth {
            tree += &format!("{id},0,1,8,[");
        }
        tree += &"]".repeat(depth + 1);
        let parts = format!(r#"{FUNCTIONS},"trace_tree":{tree},"samples":[]"#);
        let snapshot = load_bytes(with(&parts)).expect("a snapshot");
        let stacks = snapshot.stacks.as_ref().expect("stacks");
        assert_eq!(stacks.sums(&snapshot).len(), depth);
        let cut = &with(&parts)[..5_000_000];
        let cut = load_bytes(cut.to_vec()).expect_err("a fault");
        assert!(matches!(cut, Fault::CutShort { .. }), "{cut}");
    }
}
