//! Groups that grow, and what is said of them.

use graph::Node;

use super::detached::{WINDOWS, is_window};
use super::groups::{CONSOLE, Group, Grouped, MIN_COPIED, Sum};
use super::registered::Registered;
use super::words::{Count, Pattern};
use super::written::opening;
use super::{Leak, Measures, View, callbacks, grows, holders, notes, reach, views};
use crate::functions::Wanted;
use crate::snapshot::{Location, Snapshot};

/// A group that grows.
#[derive(Debug)]
pub(super) struct Grown<'a> {
    pub(super) group: &'a Group,
    pub(super) sum: Sum,
    pub(super) counts: Vec<u64>,
    pub(super) retained: Vec<u64>,
    /// Those that have come since the first snapshot.
    pub(super) new: Vec<Node>,
    /// What listeners are added to, if all new ones are added to one.
    pub(super) target: Option<Node>,
}

impl Grown<'_> {
    /// Whether what it consists of is a leak by its kind, whatever holds it.
    pub(super) fn is_of_a_kind(&self) -> bool {
        !matches!(self.group, Group::Objects(..) | Group::Closures(_))
    }
}

/// The groups that grow.
pub(super) fn grown<'a>(view: &View, last: &'a Grouped, earlier: &[Measures]) -> Vec<Grown<'a>> {
    let mut found = Vec::new();
    let mut wanted = vec![usize::MAX; last.all.len() + 1];
    for (number, group) in (1..).zip(&last.all) {
        let Some(&sum) = last.sums.get(group) else {
            continue;
        };
        let of = |measures: &Measures| measures.groups.get(group).copied().unwrap_or_default();
        let counts: Vec<u64> = earlier
            .iter()
            .map(|m| of(m).count)
            .chain([sum.count])
            .collect();
        let retained: Vec<u64> = earlier
            .iter()
            .map(|m| of(m).retained)
            .chain([sum.retained])
            .collect();
        let least = match group {
            Group::Copies(..) => MIN_COPIED,
            _ => 1,
        };
        let grown = retained.last().zip(retained.first());
        if grows(&counts) && grown.is_some_and(|(last, first)| *last >= first + least) {
            wanted[number] = found.len();
            found.push(Grown {
                group,
                sum,
                counts,
                retained,
                new: Vec::new(),
                target: None,
            });
        }
    }
    for (node, &of) in (0..).zip(&last.of) {
        if let Some(grown) = found.get_mut(wanted[of as usize])
            && view.is_new(node)
        {
            grown.new.push(node);
        }
    }
    found.retain(|grown| !grown.new.is_empty());
    for grown in &mut found {
        let target = |node: &Node| last.targets.get(node).map(|target| target.node);
        let first = target(&grown.new[0]);
        let is_one = first.is_some() && grown.new.iter().all(|node| target(node) == first);
        grown.target = first.filter(|_| is_one);
    }
    found
}

/// What ends listeners of an EventTarget.
const EVENT_TARGET: &str = "Call removeEventListener() when the owner of each ends, add it with {once: true} or a {signal}, or add one for all.";

/// What keeps on asking for the next frame.
const FRAMES: (&str, &str) = (
    "What requestAnimationFrame() or requestIdleCallback() was given asks for the next one again and again, and never stops.",
    "Keep the number it returns and call cancelAnimationFrame() or cancelIdleCallback() when its owner ends, or ask for no more then.",
);

/// What there is to say of functions that wait for one promise that outlives them.
const LASTING: (&str, &str) = (
    "More and more functions wait for one promise, with all they capture: what then(), await and Promise.race() add to it stays until it is settled.",
    "Give each piece of work a promise, a signal or a token of its own, or keep a list of functions of which those are taken out that are done with.",
);

/// What there is to say of a group, and its place.
pub(super) fn describe(view: &View, grown: &Grown) -> Option<(Leak, Option<Location>)> {
    let Grown {
        group, sum, new, ..
    } = grown;
    let snapshot = &view.analysis.snapshot;
    let count = Count(sum.count);
    let views = matches!(group, Group::Buffers)
        .then(|| views::kept_by(snapshot, new))
        .flatten();
    // The memory itself may be one that Node uses just now.
    let node = views.as_ref().map_or(sum.newest, |&(_, view)| view);
    let user = |location: &Option<Location>| {
        location.filter(|&location| !view.scripts.is_internal(location))
    };
    let callback = |location: &Option<Location>| Some(view.functions.around_or_at(user(location)?));
    // Who registers it, or else what is around the callback.
    let registrar = |location: Location| {
        callbacks::registrar(view, node, location, callbacks::registering(group))
            .or_else(|| callback(&Some(location)))
    };
    let at = |location: &Option<Location>| {
        location.map_or(String::new(), |location| {
            format!(" of {}", view.scripts.place(location))
        })
    };
    let (pattern, what, place) = match group {
        Group::Timers(location) => {
            let place = user(location).and_then(registrar);
            // Blink's timers do not tell whether they repeat; the code that sets them does.
            let names = |word| {
                let word = snapshot.strings.find(word);
                let place = place.as_ref().zip(word);
                place.is_some_and(|(&(_, place), word)| view.functions.names_within(place, word))
            };
            let is_of_page = snapshot.kinds[node as usize] == snapshot.kind.native;
            let repeats = is_of_page && names("setInterval") && !names("setTimeout");
            let (pattern, word) = match repeats {
                true => (Pattern::Intervals, "intervals"),
                false => (Pattern::Timers, "timers"),
            };
            (pattern, format!("{count} {word}{}", at(location)), place)
        }
        Group::Intervals(location) => (
            Pattern::Intervals,
            format!("{count} intervals{}", at(location)),
            user(location).and_then(registrar),
        ),
        Group::Frames(location) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Timers,
                format!(
                    "{count} callbacks of requestAnimationFrame() or requestIdleCallback(){}",
                    at(&Some(location))
                ),
                registrar(location),
            )
        }
        Group::Promises(location) => (
            Pattern::Promises,
            format!("{count} promises never settled"),
            user(location).map(|location| (function_name(snapshot, location), location)),
        ),
        Group::Suspended(location) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Promises,
                format!("{count} calls that wait for a promise never settled"),
                Some((function_name(snapshot, location), location)),
            )
        }
        Group::Listeners {
            target,
            event,
            location,
        } => {
            let own = user(&Some(*location));
            // Node adds some for calls that were given a signal; those on its own objects are its business.
            if own.is_none() && grown.target.is_none_or(|target| view.is_new(target)) {
                return None;
            }
            let place = own.and_then(registrar);
            let by = place.as_ref().map(|&(_, location)| location);
            (
                Pattern::Listeners,
                listeners(view, grown, target, event.as_deref(), own, by),
                place,
            )
        }
        Group::Streams(class) => {
            // The function that makes it names its class, if that is a property.
            let maker = || {
                view.functions.adder(Wanted {
                    name: Some(snapshot.names[node as usize]),
                    added: sum.count,
                    ..Wanted::default()
                })
            };
            // A server's own ends of connections are opened elsewhere.
            let is_accepted = || {
                let server = snapshot.follow(node, snapshot.edge_kind.property, "_server");
                server.is_some_and(|server| snapshot.name(server) == "Server")
            };
            // In pages the class is a global, which its maker names.
            let is_of_page = snapshot.kinds[node as usize] == snapshot.kind.native;
            let maker_first = is_of_page.then(maker).flatten();
            let place = maker_first
                .or_else(|| callback(&inside(view, node)))
                .or_else(maker)
                .or_else(|| {
                    view.functions
                        .at(opening(view, class).filter(|_| !is_accepted())?)
                });
            (Pattern::Streams, format!("{count} × {class}"), place)
        }
        Group::Detached(name) => (Pattern::Detached, format!("{count} × {name}"), None),
        Group::Registered(registered) => {
            // Node's own modules, loaded late, make symbols too.
            if matches!(registered, Registered::Symbols) && !names(view, "Symbol") {
                return None;
            }
            let (pattern, what, words) = registered.said(sum.count);
            let callback = registered.callback();
            if callback.is_some_and(|at| view.scripts.is_internal(at)) {
                return None;
            }
            let adder = || {
                let mut words = words.iter().filter_map(|word| snapshot.strings.find(word));
                words.find_map(|word| {
                    view.functions.adder(Wanted {
                        name: Some(word),
                        added: sum.count,
                        ..Wanted::default()
                    })
                })
            };
            let around = callback
                .filter(|&at| {
                    let mut words = words.iter().map(|word| snapshot.strings.find(word));
                    words.any(|word| view.functions.around_names(at, word))
                })
                .and_then(|at| view.functions.around(at));
            let from = callback.map_or(String::new(), |at| {
                format!(", callback {}", view.scripts.place(at))
            });
            (pattern, format!("{what}{from}"), around.or_else(adder))
        }
        Group::AsyncContexts => (
            Pattern::AsyncContexts,
            format!("{count} contexts of AsyncLocalStorage"),
            None,
        ),
        Group::Printed => {
            let printer = view.functions.adder(Wanted {
                name: snapshot.strings.find("console"),
                added: sum.count,
                ..Wanted::default()
            });
            (
                Pattern::Console,
                format!("{count} objects printed to the console"),
                printer,
            )
        }
        Group::Buffers => (Pattern::Buffers, format!("{count} ArrayBuffers"), None),
        // Nobody copies what is printed again and again; the console forgets the oldest.
        Group::Copies(..) if is_printed(view, node) => return None,
        Group::Copies(text, size) => {
            let start: String = text.chars().take(40).collect();
            let more = if start.len() < text.len() { "…" } else { "" };
            (
                Pattern::Copies,
                format!("{count} copies of the string {start:?}{more}, {size} bytes each"),
                None,
            )
        }
        Group::Closures(location) if waits(view, node) => {
            let location = user(&Some(*location))?;
            (
                Pattern::Promises,
                format!(
                    "{count} functions wait for a promise never settled, from {}",
                    view.scripts.place(location)
                ),
                callback(&Some(location)),
            )
        }
        Group::Closures(location) => {
            let location = user(&Some(*location))?;
            let name = function_name(snapshot, location);
            let captured = captured(snapshot, node);
            let text = if captured.is_empty() {
                String::new()
            } else {
                format!(" that capture {captured}")
            };
            (
                Pattern::Closures,
                format!("{count} closures{text}"),
                Some((name, location)),
            )
        }
        Group::Objects(class, location) => {
            let class: &str = class;
            let location = user(&Some(*location))?;
            (
                Pattern::Objects,
                format!("{count} × {class}"),
                Some((format!("new {class}"), location)),
            )
        }
    };
    // What Node alone keeps is Node's business.
    let way = view.ways.to(view.analysis, &view.scripts, node);
    // The nearest function of the user's that it points to, or that is on the way.
    let near = || {
        let is_wanted = |place| !view.scripts.is_internal(place);
        callback(&Some(reach::function_near(view, node, is_wanted)?))
    };
    let place = place.or_else(near).or_else(|| {
        let way = view.ways.raw(view.analysis, node);
        let on_the_way = way.iter().rev().find_map(|&(from, _)| {
            let location = user(&snapshot.location(from))?;
            Some((snapshot.name(from).into_owned(), location))
        });
        // Or what most likely adds to the variable.
        let adder = || {
            let (name, scope) = view.ways.variable(snapshot, &way)?;
            view.functions.adder(Wanted {
                name: Some(name),
                context: scope,
                ..Wanted::default()
            })
        };
        on_the_way.or_else(adder)
    });
    let entries = match group {
        Group::Buffers => views.map(|(sentence, _)| sentence),
        Group::Closures(location) => {
            let around = view.functions.around(*location);
            let made = around.map(|place| format!("made in {}", view.place(place)));
            let largest = notes::captured(view, node).map(|(name, bytes)| {
                format!("the largest variable they keep is {name} ({bytes} bytes in the newest)")
            });
            let both: Vec<String> = made.into_iter().chain(largest).collect();
            (!both.is_empty()).then(|| both.join("; "))
        }
        Group::AsyncContexts => view
            .ways
            .raw(view.analysis, node)
            .last()
            .map(|&(holder, _)| {
                let holder = crate::ways::what(snapshot, &view.scripts, holder);
                format!("the newest belongs to {holder}")
            }),
        _ => None,
    };
    let (mut is, mut cure) = pattern.sentences();
    match group {
        Group::Streams(class) => cure = notes::closing(class),
        // Those of emitters are found by their lists.
        Group::Listeners { .. } => cure = EVENT_TARGET,
        Group::Frames(_) => (is, cure) = FRAMES,
        Group::Detached(name) if is_window(name) => (is, cure) = WINDOWS,
        Group::Closures(_) if waits_for(view, node).is_some_and(|on| !view.is_new(on)) => {
            (is, cure) = LASTING;
        }
        _ => {}
    }
    let leak = Leak {
        pattern,
        what,
        counts: grown.counts.clone(),
        retained: grown.retained.clone(),
        id: snapshot.ids[node as usize],
        place: place.clone().map(|place| view.place(place)),
        entries,
        also: Vec::new(),
        shared: None,
        perhaps: Vec::new(),
        program: None,
        allocated: None,
        way,
        is: is.to_owned(),
        cure: cure.to_owned(),
        doubt: None,
    };
    Some((leak, place.map(|(_, location)| location)))
}

/// The listeners of a target: how many, of what, for which event, and where they are added.
fn listeners(
    view: &View,
    grown: &Grown,
    target: &str,
    event: Option<&str>,
    from: Option<Location>,
    by: Option<Location>,
) -> String {
    let count = Count(grown.sum.count);
    let from = from.map_or(String::new(), |from| {
        format!(", from {}", view.scripts.place(from))
    });
    // Where events are not in a snapshot, the code that adds the listener names some.
    let event = event
        .map(|event| format!("'{event}'"))
        .or_else(|| callbacks::events(view, by?));
    let event = event.map_or(String::new(), |event| format!("{event} "));
    match (grown.target, target) {
        (Some(node), _) => {
            let name = holders::variable(view, node)
                .map_or(String::new(), |name| format!(" (variable {name})"));
            let of = match target {
                "document" | "window" => target.to_owned(),
                _ => format!("{target}{name}"),
            };
            format!("emitter {event}of {of} has {count} listeners{from}")
        }
        (None, "") => format!("{count} listeners of EventTargets{from}"),
        (None, _) => {
            format!("{count} listeners {event}of as many or fewer {target} objects{from}")
        }
    }
}

/// Whether the console keeps something.
fn is_printed(view: &View, node: Node) -> bool {
    let way = view.ways.raw(view.analysis, node);
    let name = |edge| view.analysis.snapshot.edge_name(edge);
    way.iter().any(|&(_, edge)| name(edge).ends_with(CONSOLE))
}

/// Whether a closure is kept as what goes on when a promise is settled.
fn waits(view: &View, closure: Node) -> bool {
    waits_for(view, closure).is_some()
}

/// The promise that a function waits for.
pub(super) fn waits_for(view: &View, closure: Node) -> Option<Node> {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, closure);
    let is_reaction = |node: Node| snapshot.name(node) == "system / PromiseReaction";
    way.last().filter(|&&(from, _)| is_reaction(from))?;
    let nodes = way.iter().rev().map(|&(from, _)| from);
    nodes.into_iter().find(|&node| !is_reaction(node))
}

/// A function of the user's that an object has, by way of properties and elements: a listener.
fn inside(view: &View, node: Node) -> Option<Location> {
    let snapshot = &view.analysis.snapshot;
    let mut list = vec![node];
    let mut next = 0;
    while next < list.len() && list.len() < 400 {
        let node = list[next];
        next += 1;
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            let of = snapshot.kind_of_edge(edge);
            let own = of == snapshot.edge_kind.property || of == snapshot.edge_kind.element;
            if !own || snapshot.edge_name(edge) == "__proto__" || list.contains(&to) {
                continue;
            }
            let location = snapshot
                .location(to)
                .filter(|&location| !view.scripts.is_internal(location));
            if location.is_some() && snapshot.kinds[to as usize] == snapshot.kind.closure {
                return location;
            }
            list.push(to);
        }
    }
    None
}

/// The name of the function that stands there.
fn function_name(snapshot: &Snapshot, location: Location) -> String {
    snapshot
        .locations
        .iter()
        .find(|&&(node, other)| {
            other == location && snapshot.kinds[node as usize] == snapshot.kind.closure
        })
        .map(|&(node, _)| snapshot.name(node).into_owned())
        .unwrap_or_default()
}

/// Whether the code of any function of the program has a word.
fn names(view: &View, word: &str) -> bool {
    let word = view.analysis.snapshot.strings.find(word);
    word.is_some_and(|word| view.functions.knows(word))
}

/// The variables in a closure's own context.
fn captured(snapshot: &Snapshot, closure: Node) -> String {
    let Some(context) = snapshot.follow(closure, snapshot.edge_kind.internal, "context") else {
        return String::new();
    };
    let names: Vec<String> = snapshot
        .graph
        .of(context)
        .filter(|&edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.context)
        .map(|edge| snapshot.edge_name(edge).into_owned())
        .take(6)
        .collect();
    names.join(", ")
}
