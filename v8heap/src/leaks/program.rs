//! The program's own part in what a package keeps.

use graph::Node;

use super::written::using;
use super::{Leak, View, reach};
use crate::functions::Wanted;
use crate::place::Place;
use crate::snapshot::Location;

/// The function of the program itself that is nearest to what a package keeps: one around a function that new objects
/// point to; or one that names the class of what is new, the variable by which it is kept, or the package's function;
/// or else one that sees that variable.
pub(super) fn program(view: &View, leak: &Leak, new: &[Node]) -> Option<Place> {
    let snapshot = &view.analysis.snapshot;
    let is_own = |location| view.distance(Some(location)) == 0;
    let named = |name, context| {
        let wanted = Wanted {
            name,
            context,
            added: u64::MAX,
            ..Wanted::default()
        };
        view.functions.adder_in(wanted, is_own)
    };
    let names = |name: u32, context, not: Option<Location>| {
        let found = named(Some(name), context)?;
        let (_, place) = found;
        (view.functions.names(place, name) && Some(place) != not).then_some(found)
    };
    let near = new.last().and_then(|&newest| {
        let (node, place) = reach::placed_near(view, newest, is_own)?;
        if snapshot.kinds[node as usize] == snapshot.kind.object {
            return names(snapshot.names[node as usize], None, Some(place));
        }
        Some(view.functions.around_or_at(place))
    });
    let way = || {
        let node = snapshot.node_of_id(leak.id);
        node.map_or(Vec::new(), |node| view.ways.raw(view.analysis, node))
    };
    // What the program has calls the package's objects something.
    let by_name = || {
        way().iter().rev().find_map(|&(from, edge)| {
            let kind = snapshot.kind_of_edge(edge);
            let context = (kind == snapshot.edge_kind.context).then_some(from);
            let of_own = snapshot.location(from).is_some_and(is_own);
            let of_class = kind == snapshot.edge_kind.property && of_own;
            if context.is_none() && !of_class {
                return None;
            }
            let name = snapshot.edge_names[edge as usize];
            names(name, context, None).or_else(|| {
                context?;
                view.functions.at(using(view, &snapshot.strings.get(name))?)
            })
        })
    };
    let by_function = || {
        let name = &leak.place.as_ref()?.function;
        named(Some(snapshot.strings.find(name)?), None)
    };
    let seen = || {
        way().iter().rev().find_map(|&(from, edge)| {
            (snapshot.kind_of_edge(edge) == snapshot.edge_kind.context).then_some(())?;
            named(None, Some(from))
        })
    };
    near.or_else(by_name)
        .or_else(by_function)
        .or_else(seen)
        .map(|place| view.place(place))
}
