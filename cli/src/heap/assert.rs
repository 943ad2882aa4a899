//! `leak heap assert`: whether classes stay within bounds, for tests.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use v8heap::{Analysis, Classes, Scripts, Ways};

use crate::error::Error;
use crate::figures::{bytes, count, parse_bytes};
use crate::heap::flags::{HeapFormat, OutputFlags};
use crate::heap::leaks::{way_json, way_text};
use crate::heap::read;

/// Holders that are named of a class that exceeds its bound.
const HOLDERS: usize = 3;

/// What is bounded.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Retained,
    Count,
}

impl Of {
    fn key(self) -> &'static str {
        match self {
            Of::Retained => "retained",
            Of::Count => "count",
        }
    }

    fn shown(self, value: u64) -> String {
        match self {
            Of::Retained => bytes(value),
            Of::Count => count(value),
        }
    }
}

/// What may not be exceeded.
struct Bound {
    class: String,
    of: Of,
    most: u64,
}

impl Bound {
    /// Of a flag's value, `CLASS=MOST`.
    fn parse(text: &str, of: Of) -> Result<Bound, Error> {
        let wrong = |why: String| Error::Query {
            text: format!("{text:?}"),
            why,
        };
        let example = match of {
            Of::Retained => "CLASS=SIZE expected, like Session=1MB",
            Of::Count => "CLASS=N expected, like Session=100",
        };
        let split = text.rsplit_once('=').filter(|(class, _)| !class.is_empty());
        let (class, most) = split.ok_or_else(|| wrong(example.to_owned()))?;
        let most = match of {
            Of::Retained => parse_bytes(most).map_err(wrong)?,
            Of::Count => most
                .trim()
                .parse()
                .map_err(|_| wrong(format!("{most:?} is no number of objects: {example}")))?,
        };
        Ok(Bound {
            class: class.to_owned(),
            of,
            most,
        })
    }
}

/// How a bound is kept.
enum Verdict {
    Holds,
    Exceeded(Vec<Holder>),
    /// There is no object of the class; the class that may be meant.
    Absent(Option<String>),
}

/// What keeps objects of a class.
struct Holder {
    count: u64,
    retained: u64,
    way: Vec<v8heap::Step>,
}

/// Whether all bounds hold; all are told of.
///
/// A class that is not there would hold for ever, also if its name is misspelt: so it fails, unless none is what is
/// asked for (0), and no class has nearly that name.
pub fn assert(
    file: &Path,
    (max_retained, max_count): (&[String], &[String]),
    may_be_absent: bool,
    flags: &OutputFlags,
    out: &mut impl Write,
) -> Result<bool, Error> {
    let retained = max_retained
        .iter()
        .map(|text| Bound::parse(text, Of::Retained));
    let counts = max_count.iter().map(|text| Bound::parse(text, Of::Count));
    let bounds = retained.chain(counts).collect::<Result<Vec<_>, _>>()?;
    let analysis = read(file, flags)?;
    let classes = Classes::new(&analysis, None);
    let sums = classes.sums(&analysis);
    let mut ways = None;
    let mut rows = Vec::new();
    for bound in &bounds {
        let is_it = |class: usize| classes.all[class].name == bound.class;
        let of_name = (0..classes.all.len()).filter(|&class| is_it(class));
        let (there, retained) = of_name.fold((0, 0), |(count, retained), class| {
            (count + sums[class].count, retained + sums[class].retained)
        });
        let found = match bound.of {
            Of::Retained => retained,
            Of::Count => there,
        };
        let near = || nearest(&bound.class, &classes);
        let verdict = if found > bound.most {
            let ways = ways.get_or_insert_with(|| {
                let scripts = Scripts::new(&analysis.snapshot);
                (Ways::new(&analysis, &scripts), scripts)
            });
            Verdict::Exceeded(holders(&analysis, &classes, &bound.class, ways))
        } else if there > 0 || may_be_absent {
            Verdict::Holds
        } else {
            match near() {
                None if bound.most == 0 => Verdict::Holds,
                near => Verdict::Absent(near),
            }
        };
        rows.push((bound, found, verdict));
    }
    let well = rows
        .iter()
        .all(|(_, _, verdict)| matches!(verdict, Verdict::Holds));
    if flags.format == HeapFormat::Json {
        let rows: Vec<_> = rows.iter().map(row_json).collect();
        writeln!(
            out,
            "{:#}",
            json!({ "version": 1, "holds": well, "bounds": rows })
        )
    } else {
        rows.iter().try_for_each(|row| row_text(row, out))
    }
    .map_err(Error::Output)?;
    Ok(well)
}

type Row<'a> = (&'a Bound, u64, Verdict);

fn row_text((bound, found, verdict): &Row<'_>, out: &mut impl Write) -> io::Result<()> {
    let (class, what) = (&bound.class, bound.of.key());
    let (is, most) = (bound.of.shown(*found), bound.of.shown(bound.most));
    match verdict {
        Verdict::Holds => writeln!(out, "   holds  {class}: {what} {is} of at most {most}"),
        Verdict::Exceeded(holders) => {
            let over = bound.of.shown(found - bound.most);
            writeln!(
                out,
                "EXCEEDED  {class}: {what} {is}, {over} above the most of {most}"
            )?;
            for holder in holders {
                writeln!(
                    out,
                    "{:>18} in count, {:>10} retained, kept by: {}",
                    count(holder.count),
                    bytes(holder.retained),
                    way_text(&holder.way)
                )?;
            }
            Ok(())
        }
        Verdict::Absent(near) => {
            let near = near
                .as_ref()
                .map_or(String::new(), |near| format!("; is {near} meant?"));
            writeln!(
                out,
                "NO OBJECT  {class}: there is none of this class, so {what} of at most {most} proves nothing{near} \
                 (--may-be-absent if there need not be one)"
            )
        }
    }
}

fn row_json((bound, found, verdict): &Row<'_>) -> Value {
    let mut row = json!({
        "class": bound.class,
        "what": bound.of.key(),
        "found": found,
        "most": bound.most,
        "holds": matches!(verdict, Verdict::Holds),
    });
    match verdict {
        Verdict::Holds => {}
        Verdict::Absent(near) => {
            row["absent"] = true.into();
            row["near"] = json!(near);
        }
        Verdict::Exceeded(holders) => {
            let all = holders.iter().map(|holder| {
                json!({ "count": holder.count, "retained_bytes": holder.retained, "way": way_json(&holder.way) })
            });
            row["holders"] = all.collect();
        }
    }
    row
}

/// The class with nearly this name.
fn nearest(name: &str, classes: &Classes) -> Option<String> {
    let wanted = name.to_lowercase();
    let most = match wanted.chars().count() {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    let near = classes.all.iter().filter_map(|class| {
        let distance = strsim::damerau_levenshtein(&class.name.to_lowercase(), &wanted);
        (distance <= most).then_some((distance, &class.name))
    });
    near.min().map(|(_, name)| name.clone())
}

/// What keeps the most of a class: the nearest object of another class that alone keeps them, and the way to the
/// largest.
fn holders(
    analysis: &Analysis,
    classes: &Classes,
    class: &str,
    (ways, scripts): &(Ways, Scripts),
) -> Vec<Holder> {
    let snapshot = &analysis.snapshot;
    let parents = &analysis.dominators.parent;
    let is_it = |node: u32| classes.all[classes.of[node as usize] as usize].name == class;
    let is_holder = |node: u32| {
        let kind = snapshot.kinds[node as usize];
        let of = &snapshot.kind;
        node == snapshot.root || [of.object, of.closure, of.native].contains(&kind) && !is_it(node)
    };
    // Each with its holder, and whether it is within another one.
    let mut all: Vec<(u32, u32, bool)> = (0..snapshot.graph.nodes() as u32)
        .filter(|&node| is_it(node))
        .map(|node| {
            let (mut holder, mut is_inner) = (parents[node as usize], false);
            while !is_holder(holder) {
                is_inner |= is_it(holder);
                holder = parents[holder as usize];
            }
            (node, holder, is_inner)
        })
        .collect();
    let mut groups = by_holder(analysis, &all);
    // If each has one of its own, what holds these.
    while let Some((_, first)) = groups.first()
        && first.count.saturating_mul(HOLDERS as u64 + 1) < all.len() as u64
    {
        let mut has_climbed = false;
        for (_, holder, _) in all
            .iter_mut()
            .filter(|(_, holder, _)| *holder != snapshot.root)
        {
            *holder = parents[*holder as usize];
            while !is_holder(*holder) {
                *holder = parents[*holder as usize];
            }
            has_climbed = true;
        }
        let outer = by_holder(analysis, &all);
        if !has_climbed
            || outer
                .first()
                .is_none_or(|(holder, _)| *holder == snapshot.root)
        {
            break;
        }
        groups = outer;
    }
    groups.truncate(HOLDERS);
    let all = groups.into_iter().map(|(_, group)| Holder {
        count: group.count,
        retained: group.retained,
        way: ways.to(analysis, scripts, group.largest),
    });
    all.collect()
}

/// Objects of one holder.
#[derive(Clone, Copy)]
struct Group {
    count: u64,
    retained: u64,
    /// The one that retains most.
    largest: u32,
}

/// Objects by their holders, which retain most first. Given are each object, its holder, and whether it is within another.
fn by_holder(analysis: &Analysis, all: &[(u32, u32, bool)]) -> Vec<(u32, Group)> {
    let own = |node: u32| analysis.retained[node as usize];
    let mut groups: HashMap<u32, Group> = HashMap::new();
    for &(node, holder, is_inner) in all {
        let group = groups.entry(holder).or_insert(Group {
            count: 0,
            retained: 0,
            largest: node,
        });
        group.count += 1;
        // What is within another one is in its figure.
        if !is_inner {
            group.retained += own(node);
        }
        if own(node) > own(group.largest) {
            group.largest = node;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups
        .sort_by_key(|&(holder, group)| (std::cmp::Reverse((group.retained, group.count)), holder));
    groups
}
