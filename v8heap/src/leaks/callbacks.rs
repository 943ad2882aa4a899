//! The functions behind what calls back: listeners, timers, frames. Who registers a function is not always
//! who makes it: a method is bound, an object has `handleEvent`, a field of a class has a function.

use graph::Node;

use super::View;
use super::groups::Group;
use super::targets::{EVENTS, LISTENER};
use crate::snapshot::{Location, Snapshot};

/// As many of Blink's own objects are between a listener or a timer and its function.
const BETWEEN: usize = 4;
/// As many prototypes are looked at, and functions bound again.
const DEEP: usize = 8;
/// As many events of one listener are named.
const MAX_EVENTS: usize = 3;

/// What is called back, and where that is known to be a method: what has the methods of its class.
struct Callback {
    function: Node,
    methods: Option<Node>,
}

/// The place of the function behind a timer or a listener of Blink's, one or two of its own objects away.
pub(super) fn callback(snapshot: &Snapshot, node: Node) -> Option<Location> {
    snapshot.location(find(snapshot, node)?.function)
}

/// The place of a function, or of the one it was bound from.
pub(super) fn place(snapshot: &Snapshot, closure: Node) -> Option<Location> {
    snapshot.location(unbound(snapshot, closure).function)
}

fn find(snapshot: &Snapshot, node: Node) -> Option<Callback> {
    let is_listener = snapshot.name(node) == LISTENER;
    let mut list = vec![node];
    let mut next = 0;
    while next < list.len() && next < BETWEEN {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if snapshot.kinds[to as usize] == snapshot.kind.closure {
                return Some(unbound(snapshot, to));
            }
            if matches!(&*snapshot.name(to), "ScheduledAction" | "V8Function") {
                list.push(to);
            } else if is_listener && let Some(found) = handler(snapshot, to) {
                return Some(found);
            }
        }
    }
    None
}

/// A function, or the one it was bound from, and the prototype of what it was bound to.
fn unbound(snapshot: &Snapshot, closure: Node) -> Callback {
    let internal = snapshot.edge_kind.internal;
    let mut function = closure;
    for _ in 0..DEEP {
        let Some(bound) = snapshot.follow(function, internal, "bound_function") else {
            break;
        };
        function = bound;
    }
    let this = snapshot.follow(closure, internal, "bound_this");
    let methods =
        this.and_then(|this| snapshot.follow(this, snapshot.edge_kind.property, "__proto__"));
    Callback { function, methods }
}

/// The method of an object that was given as a listener.
fn handler(snapshot: &Snapshot, object: Node) -> Option<Callback> {
    let property = snapshot.edge_kind.property;
    let next = |&object: &Node| snapshot.follow(object, property, "__proto__");
    std::iter::successors(Some(object), next)
        .take(DEEP)
        .find_map(|methods| {
            let function = snapshot.follow(methods, property, "handleEvent")?;
            let is_function = snapshot.kinds[function as usize] == snapshot.kind.closure;
            is_function.then_some(Callback {
                function,
                methods: Some(methods),
            })
        })
}

/// Who registers what a group's newest object calls back, by one of some methods: the function around it, if its
/// code names one; else one of the same script whose code names one, and the callback by its name or as a method
/// of its own class.
pub(super) fn registrar(
    view: &View,
    node: Node,
    location: Location,
    methods: &[&str],
) -> Option<(String, Location)> {
    let snapshot = &view.analysis.snapshot;
    let methods = methods
        .iter()
        .filter_map(|name| snapshot.strings.find(name));
    let methods: Vec<u32> = methods.collect();
    let around = methods
        .iter()
        .any(|&method| view.functions.around_names(location, Some(method)));
    if around {
        return view.functions.around(location);
    }
    let kept = |name| {
        let closure = snapshot.follow(node, snapshot.edge_kind.property, name)?;
        Some(unbound(snapshot, closure))
    };
    let found = match snapshot.name(node).as_ref() {
        // What Node keeps of them.
        "Listener" => kept("callback"),
        "Timeout" => kept("_onTimeout"),
        _ => find(snapshot, node),
    }?;
    let name = snapshot.names[found.function as usize];
    let is_named = !snapshot.name(found.function).is_empty();
    let class = found
        .methods
        .map(|class| view.functions.methods(snapshot, class));
    methods.iter().find_map(|&method| {
        view.functions
            .naming(location.script, method, |function, words| {
                let is_method = class
                    .as_ref()
                    .is_some_and(|class| class.contains(&function));
                is_method || is_named && words.contains(&name)
            })
    })
}

/// The events that a function adds listeners for: the words of its code that are the first argument of a call in its
/// text, else those that pages know.
pub(super) fn events(view: &View, place: Location) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let named = |event: &str| {
        let word = snapshot.strings.find(event);
        word.is_some_and(|word| view.functions.names(place, word))
    };
    let few = |events: Vec<&str>| {
        let events: Vec<String> = events.iter().map(|event| format!("'{event}'")).collect();
        (!events.is_empty() && events.len() <= MAX_EVENTS).then(|| events.join(" or "))
    };
    let text = view.sources.text(snapshot, &view.scripts, place.script);
    let in_text = text.and_then(|text| {
        let mut events: Vec<&str> = added(&text).filter(|event| named(event)).collect();
        events.sort_unstable();
        events.dedup();
        few(events)
    });
    in_text.or_else(|| {
        few(EVENTS
            .iter()
            .copied()
            .filter(|event| named(event))
            .collect())
    })
}

/// What a text gives to `addEventListener` as a string.
fn added(text: &str) -> impl Iterator<Item = &str> {
    text.split("addEventListener(").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"' | '`'))?;
        let (event, _) = rest[1..].split_once(quote)?;
        Some(event)
    })
}

/// The methods by which what is in a group is registered.
pub(super) fn registering(group: &Group) -> &'static [&'static str] {
    match group {
        Group::Listeners { .. } => &["addEventListener", "addListener"],
        Group::Timers(_) | Group::Intervals(_) => &["setTimeout", "setInterval"],
        Group::Frames(_) => &["requestAnimationFrame", "requestIdleCallback"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::added;

    #[test]
    fn events_are_the_first_arguments_of_calls() {
        let text = "a.addEventListener('theme', f); b.addEventListener( \"x-y\", g);
            c.addEventListener(event, h); d.addEventListener(`cart`, i); addEventListener(";
        assert_eq!(added(text).collect::<Vec<_>>(), ["theme", "x-y", "cart"]);
    }
}
