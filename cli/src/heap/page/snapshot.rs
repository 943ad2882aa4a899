//! The page of a snapshot: a treemap of the dominator tree, the table of classes (with what changed, if
//! there is an earlier snapshot), and why the largest objects are kept.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use v8heap::{Analysis, Change, Children, Class, Classes, Scripts, Ways, what};

use crate::figures::count;
use crate::heap::stacks;

const PAGE: &str = include_str!("snapshot.html");

/// Boxes of less than this part of everything are not in the treemap.
const LEAST_PART: u64 = 2000;
/// Boxes within boxes.
const DEPTH: usize = 12;
/// Boxes side by side.
const WIDTH: usize = 60;
/// Largest objects.
const OBJECTS: usize = 40;

struct Tree<'a> {
    analysis: &'a Analysis,
    children: Children,
    scripts: &'a Scripts,
    least: u64,
}

impl Tree<'_> {
    /// `[what, retained, id, [children…]]`; the depth is bounded.
    fn of(&self, node: u32, depth: usize) -> Value {
        let snapshot = &self.analysis.snapshot;
        let retained = |node: u32| self.analysis.retained[node as usize];
        let mut below: Vec<u32> = match depth {
            DEPTH => Vec::new(),
            _ => self.children.of(node).to_vec(),
        };
        below.sort_by_key(|&node| std::cmp::Reverse(retained(node)));
        let all = below.len();
        below.retain(|&node| retained(node) >= self.least);
        below.truncate(WIDTH);
        let shown: u64 = below.iter().map(|&node| retained(node)).sum();
        let rest = retained(node) - shown - snapshot.sizes.get(node);
        let mut boxes: Vec<Value> = below.iter().map(|&node| self.of(node, depth + 1)).collect();
        if rest > self.least && all > below.len() {
            boxes.push(json!([
                format!("{} more", count((all - below.len()) as u64)),
                rest,
                0,
                []
            ]));
        }
        let name = if depth == 0 {
            "everything".to_owned()
        } else {
            what(snapshot, self.scripts, node)
        };
        json!([name, retained(node), snapshot.ids[node as usize], boxes])
    }
}

/// Writes the page of a snapshot; `changes` since an earlier one.
pub fn write(
    files: &[PathBuf],
    analysis: &Analysis,
    classes: &Classes,
    changes: &HashMap<Class, Change>,
    out: &mut impl Write,
) -> io::Result<()> {
    let snapshot = &analysis.snapshot;
    let scripts = Scripts::new(snapshot);
    let tree = Tree {
        analysis,
        children: Children::new(analysis),
        scripts: &scripts,
        least: analysis.total() / LEAST_PART + 1,
    };
    let sums = classes.sums(analysis);
    let none = v8heap::Sums::default();
    let known: HashSet<&Class> = classes.all.iter().collect();
    let gone = changes
        .keys()
        .filter(|class| !known.contains(class))
        .map(|class| (class, none));
    let rows: Vec<Value> = classes
        .all
        .iter()
        .zip(sums)
        .filter(|(_, sums)| sums.count > 0)
        .chain(gone)
        .map(|(class, sums)| {
            let change = changes.get(class).copied().unwrap_or_default();
            json!({
                "name": class.name,
                "place": class.location.map(|location| scripts.place(location)),
                "count": sums.count,
                "self": sums.own,
                "retained": sums.retained,
                "new": change.added,
                "gone": change.removed,
                "grown": i128::from(change.added_bytes) - i128::from(change.removed_bytes),
            })
        })
        .collect();
    let ways = Ways::new(analysis, &scripts);
    let mut largest: Vec<u32> = (0..snapshot.graph.nodes() as u32)
        .filter(|&node| {
            let kind = snapshot.kinds[node as usize];
            kind == snapshot.kind.object
                || kind == snapshot.kind.closure
                || kind == snapshot.kind.native
        })
        .collect();
    largest.sort_by_key(|&node| (std::cmp::Reverse(analysis.retained[node as usize]), node));
    let objects: Vec<Value> = largest
        .iter()
        .take(OBJECTS)
        .map(|&node| {
            let way = ways.to(analysis, &scripts, node);
            json!({
                "id": snapshot.ids[node as usize],
                "what": what(snapshot, &scripts, node),
                "retained": analysis.retained[node as usize],
                "way": way.iter().map(|step| json!({ "by": step.by, "what": step.what, "times": step.times })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let data = json!({
        "files": files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "total": analysis.total(),
        "nodes": snapshot.graph.nodes(),
        "edges": snapshot.graph.edges(),
        "tree": tree.of(snapshot.root, 0),
        "classes": rows,
        "objects": objects,
        "allocation": stacks::sums_json(snapshot),
    });
    super::render(PAGE, &data, out)
}
