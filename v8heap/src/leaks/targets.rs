//! EventTargets and their listeners: which one a listener is added to, and for which event.
//!
//! Node's EventTarget keeps a Map from events to lists (`<symbol kEvents>`: an object whose `next` is the first
//! Listener, and so on). Blink keeps its own objects between a target and its listeners, and events in strings
//! that are not in a snapshot: there, the target is the nearest object with a name above them.

use graph::Node;
use rustc_hash::FxHashMap;

use super::entries::{entries, rows};
use crate::snapshot::Snapshot;

/// What a listener is added to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) node: Node,
    /// The string's number of the event, if it is known.
    pub(super) event: Option<u32>,
}

/// What Blink keeps of a listener.
pub(super) const LISTENER: &str = "V8EventListener";

/// By listener: Node's `Listener`, Blink's `V8EventListener`.
pub(super) type Targets = FxHashMap<Node, Target>;

/// As many objects are looked at on the way from a listener of Blink's up to its target.
const MAX_ABOVE: usize = 64;

pub(super) fn find(snapshot: &Snapshot) -> Targets {
    let mut found = Targets::default();
    let strings = &snapshot.strings;
    if let (Some(events), Some(_)) = (strings.find("<symbol kEvents>"), strings.find("Listener")) {
        of_node(snapshot, events, &mut found);
    }
    if let Some(listener) = strings.find(LISTENER) {
        of_blink(snapshot, listener, &mut found);
    }
    found
}

fn of_node(snapshot: &Snapshot, events: u32, found: &mut Targets) {
    let property = snapshot.edge_kind.property;
    for node in 0..snapshot.graph.nodes() as Node {
        if snapshot.kinds[node as usize] != snapshot.kind.object {
            continue;
        }
        let map = snapshot.graph.of(node).find(|&edge| {
            snapshot.edge_names[edge as usize] == events && snapshot.kind_of_edge(edge) == property
        });
        let Some(map) = map.map(|edge| snapshot.graph.to(edge)) else {
            continue;
        };
        if !rows(snapshot, map).1 {
            continue;
        }
        // Each event stands just before its list.
        let mut row: Vec<(u64, Node)> = entries(snapshot, map)
            .filter_map(|edge| {
                let place = snapshot.edge_name(edge).parse().ok()?;
                Some((place, snapshot.graph.to(edge)))
            })
            .collect();
        row.sort_unstable();
        for pair in row.windows(2) {
            let [(at, key), (next, list)] = [pair[0], pair[1]];
            if snapshot.kinds[key as usize] == snapshot.kind.object || at + 1 != next {
                continue;
            }
            let target = Target {
                node,
                event: Some(snapshot.names[key as usize]),
            };
            let mut link = snapshot.follow(list, property, "next");
            while let Some(listener) = link.filter(|listener| !found.contains_key(listener)) {
                found.insert(listener, target);
                link = snapshot.follow(listener, property, "next");
            }
        }
    }
}

/// Whether a name is one of Blink's for what stands between a target and its listeners.
fn is_between(name: &str) -> bool {
    matches!(name, "V8EventListener" | "EventListener" | "InternalNode")
        || name.starts_with("blink::")
        || name.starts_with("cppgc::")
}

fn of_blink(snapshot: &Snapshot, listener: u32, found: &mut Targets) {
    let native = |node: Node| snapshot.kinds[node as usize] == snapshot.kind.native;
    let mut between: FxHashMap<u32, bool> = FxHashMap::default();
    let mut is_between = |node: Node| {
        let name = snapshot.names[node as usize];
        native(node)
            && *between
                .entry(name)
                .or_insert_with(|| is_between(&snapshot.strings.get(name)))
    };
    // What points to objects in between, which are few.
    let mut above: FxHashMap<Node, Vec<Node>> = FxHashMap::default();
    for node in (0..snapshot.graph.nodes() as Node).filter(|&node| native(node)) {
        for edge in snapshot.graph.of(node) {
            let to = snapshot.graph.to(edge);
            if is_between(to) {
                above.entry(to).or_default().push(node);
            }
        }
    }
    for node in (0..snapshot.graph.nodes() as Node).filter(|&node| native(node)) {
        if snapshot.names[node as usize] != listener {
            continue;
        }
        let mut list = vec![node];
        let mut next = 0;
        let mut best = None;
        while next < list.len() && next < MAX_ABOVE {
            let node = list[next];
            next += 1;
            if !is_between(node) {
                // A signal only takes the listener away.
                let is_signal = snapshot.name(node) == "AbortSignal";
                if best.is_none() || !is_signal {
                    best = Some(node);
                }
                if !is_signal {
                    break;
                }
                continue;
            }
            for &from in above.get(&node).into_iter().flatten() {
                if !list.contains(&from) {
                    list.push(from);
                }
            }
        }
        if let Some(target) = best {
            let target = Target {
                node: target,
                event: None,
            };
            found.insert(node, target);
        }
    }
}

/// What a target is called: `window`, `document`, its class.
pub(super) fn called(snapshot: &Snapshot, target: Node) -> String {
    let name = snapshot.name(target);
    let aborted = snapshot.strings.find("<symbol kAborted>");
    let has = |name: u32| {
        let mut edges = snapshot.graph.of(target);
        edges.any(|edge| snapshot.edge_names[edge as usize] == name)
    };
    match &*name {
        // Up to Node 18, signals are made as EventTargets first.
        "EventTarget" if aborted.is_some_and(has) => "AbortSignal".to_owned(),
        "HTMLDocument" | "Document" => "document".to_owned(),
        name if name == "Window" || name.starts_with("Window /") => "window".to_owned(),
        name => name.to_owned(),
    }
}

/// Events of pages.
pub(super) const EVENTS: [&str; 61] = [
    "abort",
    "animationend",
    "animationframe",
    "beforeunload",
    "blur",
    "change",
    "click",
    "close",
    "contextmenu",
    "copy",
    "cut",
    "dblclick",
    "DOMContentLoaded",
    "dragend",
    "dragover",
    "dragstart",
    "drop",
    "ended",
    "error",
    "focus",
    "focusin",
    "focusout",
    "fullscreenchange",
    "hashchange",
    "input",
    "keydown",
    "keypress",
    "keyup",
    "languagechange",
    "load",
    "message",
    "mousedown",
    "mouseenter",
    "mouseleave",
    "mousemove",
    "mouseout",
    "mouseover",
    "mouseup",
    "offline",
    "online",
    "orientationchange",
    "pagehide",
    "pageshow",
    "paste",
    "pointercancel",
    "pointerdown",
    "pointermove",
    "pointerup",
    "popstate",
    "resize",
    "scroll",
    "selectionchange",
    "storage",
    "submit",
    "touchend",
    "touchmove",
    "touchstart",
    "transitionend",
    "unload",
    "visibilitychange",
    "wheel",
];
