//! Growth that no pattern explains: classes of which there are more objects in each snapshot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use graph::Node;
use rustc_hash::FxHashMap;

use super::grows;
use super::settling::slows;
use crate::classes::{Class, Classes};
use crate::error::Error;
use crate::figures::Analysis;
use crate::scripts::Scripts;

/// A class that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// As in the table of classes, with its place if it has one.
    pub class: String,
    /// How many objects there are in each snapshot.
    pub counts: Vec<u64>,
    /// Their own bytes, in each.
    pub own: Vec<u64>,
}

/// The classes that grow in every step and not ever more slowly, as what is loaded or compiled once does; most
/// bytes first. `times` lie between the files. Reads the files again: what is asked for only when nothing else
/// was found.
pub(super) fn classes(
    last: &Analysis,
    earlier: &[PathBuf],
    times: Option<&[Duration]>,
    threads: usize,
) -> Result<Vec<Unnamed>, Error> {
    let classes = Classes::new(last, None);
    let mut series: Vec<FxHashMap<String, (u64, u64)>> = Vec::new();
    for file in earlier {
        let (analysis, ()) = Analysis::of_file_and(file as &Path, threads, false, |_| ())?;
        let of_file = Classes::new(&analysis, Some(&classes.definitions));
        series.push(by_key(&of_file, &analysis));
    }
    series.push(by_key(&classes, last));
    let scripts = Scripts::new(&last.snapshot);
    let mut found: Vec<Unnamed> = classes
        .all
        .iter()
        .filter(|class| is_the_programs(class))
        .filter_map(|class| {
            let key = class.key();
            let figures = series
                .iter()
                .map(|sums| sums.get(&key).copied().unwrap_or_default());
            let (counts, own): (Vec<u64>, Vec<u64>) = figures.unzip();
            let place = class.location.map(|location| scripts.place(location));
            let growth = own
                .last()
                .zip(own.first())
                .map_or(0, |(last, first)| last.saturating_sub(*first));
            let inside = is_of_blink(&class.name)
                || class.name.starts_with("Node / ")
                || place
                    .as_ref()
                    .is_some_and(|place| place.to_string().starts_with("node:"));
            let is_told = !inside || growth >= MIN_INSIDE;
            (is_told && grows(&counts) && !slows(&counts, times)).then(|| Unnamed {
                class: match place {
                    Some(place) => format!("{} {place}", class.name),
                    None => class.name.clone(),
                },
                counts,
                own,
            })
        })
        .collect();
    let growth = |class: &Unnamed| {
        let (first, last) = (class.own.first(), class.own.last());
        last.copied()
            .unwrap_or_default()
            .saturating_sub(first.copied().unwrap_or_default())
    };
    found.sort_by_key(|class| std::cmp::Reverse(growth(class)));
    Ok(found)
}

/// Strings and objects; what V8 keeps for itself follows from them.
fn is_the_programs(class: &Class) -> bool {
    class.name == "(string)" || !class.name.starts_with('(') && !class.name.starts_with("system /")
}

/// Less growth of Blink's and Node's own objects, which follow from what a program does and have caches, is
/// nothing to tell.
const MIN_INSIDE: u64 = 64 << 10;

/// Whether objects are Blink's own, which no script sees.
fn is_of_blink(class: &str) -> bool {
    class.starts_with("blink::") || class.starts_with("cppgc::")
}

/// As many dominators are between what belongs to an entry of a page's timeline and the list of entries.
const TIMELINE: usize = 8;

/// Of each node, whether the page's timeline of performance keeps it: the browser's own notes of loading, layout
/// and input, of which it keeps a bounded number.
fn noted(analysis: &Analysis) -> impl Fn(Node) -> bool {
    let snapshot = &analysis.snapshot;
    let parents = &analysis.dominators.parent;
    move |node| {
        let above = std::iter::successors(Some(node), |&node| Some(parents[node as usize]));
        snapshot.kinds[node as usize] == snapshot.kind.native
            && above.skip(1).take(TIMELINE).any(|above| {
                let name = snapshot.name(above);
                name.starts_with("blink::HeapVectorBacking")
                    && name.contains("blink::PerformanceEntry,")
            })
    }
}

/// Number and bytes of the nodes of each class that have a size.
fn by_key(classes: &Classes, analysis: &Analysis) -> FxHashMap<String, (u64, u64)> {
    let mut sums = vec![(0, 0); classes.all.len()];
    let noted = noted(analysis);
    for (node, &class) in (0..).zip(&classes.of) {
        let size = analysis.snapshot.sizes.get(node);
        if size != 0 && !noted(node) {
            let (count, bytes): &mut (u64, u64) = &mut sums[class as usize];
            *count += 1;
            *bytes += size;
        }
    }
    let keys = classes.all.iter().map(Class::key);
    keys.zip(sums).collect()
}
