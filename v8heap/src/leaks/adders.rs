//! Who adds to a container: not in a snapshot, but functions name what they use.

use graph::Node;

use super::View;
use super::entries::{is_map, is_set, rows};
use super::holders::Holder;
use super::written::{loading, writers, writers_in};
use crate::functions::Wanted;
use crate::snapshot::Snapshot;

/// As many properties of an entry are looked for in code.
const MAX_NAMES: usize = 16;

/// Where something adds to a container, as far as names and contexts tell: one function, or some of which any may be
/// the one.
pub(super) fn adders(
    view: &View,
    holder: &Holder,
    node: Node,
    added: u64,
    renewed: bool,
    one: Option<Node>,
) -> Vec<(String, crate::Location)> {
    let snapshot = &view.analysis.snapshot;
    let script = holder
        .from
        .and_then(|from| snapshot.location(from))
        .map(|location| location.script);
    let by: &[&str] = match () {
        () if renewed => &["concat", "push", "set", "add", "assign"],
        () if is_map(snapshot, node) => &["set"],
        () if is_set(snapshot, node) => &["add"],
        () if snapshot.name(node) == "Array" => &["push", "unshift", "splice"],
        () => &["assign"],
    };
    // A class made from a Map adds to it in its methods.
    if rows(snapshot, node).1
        && !matches!(&*snapshot.name(node), "Map" | "Set")
        && let Some(method) = view.functions.method(snapshot, node)
    {
        return vec![method];
    }
    let made_of = one.map_or(Vec::new(), |one| names_in(snapshot, one));
    let wanted = Wanted {
        by,
        name: holder.word.filter(|_| !holder.name.is_empty()),
        context: holder.context,
        script,
        added,
        made_of: &made_of,
        ..Wanted::default()
    };
    // Byte code need not have the strings of private names, and all of the class see them.
    let class = holder.from.filter(|_| holder.name.starts_with('#'));
    if let Some(from) = class {
        let property = snapshot.edge_kind.property;
        let made_by = || {
            snapshot.follow(
                snapshot.follow(from, property, "__proto__")?,
                property,
                "constructor",
            )
        };
        let written = made_by()
            .and_then(|class| snapshot.location(class))
            .map_or(Vec::new(), |class| writers_in(view, [class.script], wanted));
        let method = match &written[..] {
            [only] => view.functions.at(*only),
            _ => view.functions.method(snapshot, from),
        };
        if let Some(method) = method {
            return vec![method];
        }
    }
    let way = view.ways.raw(view.analysis, node);
    // What is on the stack alone is seen by the call that has it, and by those it is given to.
    let knows = || wanted.name.is_some_and(|name| view.functions.knows(name));
    let is_local = holder.is_local || !knows();
    if let Some((running, _)) = view.ways.running(snapshot, &view.scripts, &way)
        && is_local
    {
        return view.functions.at(running.location).into_iter().collect();
    }
    // What is named outside of it.
    let outer = || {
        let names = way.iter().rev().filter_map(|&(from, edge)| {
            let kind = snapshot.kind_of_edge(edge);
            let context = (kind == snapshot.edge_kind.context).then_some(from);
            let named = kind == snapshot.edge_kind.property || context.is_some();
            let name = named.then(|| snapshot.edge_names[edge as usize])?;
            (context.is_some() || view.functions.knows(name)).then_some((name, context))
        });
        names.map(|(name, context)| Wanted {
            name: Some(name),
            context,
            ..wanted
        })
    };
    let found = |wanted| {
        let written = writers(view, wanted);
        view.functions.adders(Wanted {
            written: &written,
            ..wanted
        })
    };
    if holder.context.is_some() || knows() {
        // The name may be a key that whoever adds is given: others know it, and he knows what has it.
        let by_key = || {
            let mut outer = outer().skip_while(|outer| outer.name == wanted.name);
            let outer = outer.next().filter(|_| holder.context.is_none())?;
            let names_and_adds = |wanted| view.functions.names_and_adds(wanted);
            let is_written = |wanted| !writers(view, wanted).is_empty();
            (by != ["assign"] && !names_and_adds(wanted) && names_and_adds(outer)
                || !renewed && !is_written(wanted) && is_written(outer))
            .then_some(outer)
        };
        return found(by_key().unwrap_or(wanted));
    }
    // A name made at run time.
    outer().next().map_or(Vec::new(), found)
}

/// What code that makes an object names: its class, if it has one of the program's, and its properties.
fn names_in(snapshot: &Snapshot, object: Node) -> Vec<u32> {
    if snapshot.kinds[object as usize] != snapshot.kind.object {
        return Vec::new();
    }
    if snapshot.location(object).is_some() && snapshot.name(object) != "Object" {
        return vec![snapshot.names[object as usize]];
    }
    let properties = snapshot.graph.of(object).filter(|&edge| {
        snapshot.kind_of_edge(edge) == snapshot.edge_kind.property
            && snapshot.edge_name(edge) != "__proto__"
    });
    let names = properties.map(|edge| snapshot.edge_names[edge as usize]);
    names.take(MAX_NAMES).collect()
}

/// The function of the program that loads modules again: it names the cache, or asks where a module is, or is the only
/// one that loads modules by names that it puts together.
pub(super) fn loader(view: &View) -> Option<(String, crate::Location)> {
    let strings = &view.analysis.snapshot.strings;
    let wanted = |name| Wanted {
        name: strings.find(name),
        added: u64::MAX,
        ..Wanted::default()
    };
    let is_own = |location| view.distance(Some(location)) == 0;
    ["cache", "resolve"]
        .iter()
        .find_map(|name| view.functions.adder_in(wanted(name), is_own))
        .or_else(|| view.functions.at(loading(view)?))
}
