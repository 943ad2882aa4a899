//! What allocation stacks say of a leak: who adds to it, instead of a guess.
//!
//! The table behind a container is allocated by what adds to it when it is full; else what is new was
//! allocated by the one who adds it, or on his behalf. Of functions that V8 has inlined there is no
//! frame: if the guess is one that the innermost frame's code names, it stays.

use graph::Node;
use rustc_hash::FxHashMap;

use super::{Leak, View};
use crate::place::Place;
use crate::stacks::{Frame, Nearness, Stack, Stacks};

/// Where what is new was allocated.
#[derive(Debug, Clone)]
pub struct Allocated {
    /// The stack of most of it, innermost frame first.
    pub stack: Vec<Frame>,
    /// How many objects have this stack.
    pub objects: u64,
    /// Of how many that have one.
    pub of: u64,
}

/// Says of a leak where it was allocated, and names the function that adds to it; `new` is what came, `holders`
/// are its containers.
pub(super) fn tell(view: &View, leak: &mut Leak, new: &[Node], holders: &[Node]) {
    let snapshot = &view.analysis.snapshot;
    let Some(stacks) = &snapshot.stacks else {
        return;
    };
    let frames = |stack| stacks.frames(snapshot, stack).collect::<Vec<_>>();
    let internal = snapshot.edge_kind.internal;
    let tables: Vec<Node> = holders
        .iter()
        .flat_map(|&holder| {
            let tables = ["table", "elements", "properties"];
            tables.map(|name| snapshot.follow(holder, internal, name))
        })
        .flatten()
        .filter(|&table| view.is_new(table))
        .collect();
    let grown = most(stacks, &tables).map(|(stack, ..)| frames(stack));
    let made = most(stacks, new).or_else(|| most(stacks, &owned(view, new)));
    let made_at = made.map(|(stack, ..)| frames(stack));
    let guess = leak.place.take();
    let is_guess = |frame: &Frame| {
        let place = frame
            .location()
            .map(|location| view.scripts.place(location));
        place.is_some_and(|place| guess.as_ref().is_some_and(|guess| guess.at == place))
    };
    let found = match (&grown, &made_at) {
        (Some(grown), _) if nearest(grown).is_some() => nearest(grown),
        // Who makes an object need not be who adds it.
        (_, Some(made)) => {
            let is_maker = |frame: &&Frame| is_constructor(view, new, frame);
            let callers = made.iter().position(|frame| !is_maker(&frame));
            let callers = callers.map_or(&[][..], |first| &made[first..]);
            let guessed = made.iter().find(|frame| is_guess(frame));
            guessed.or(nearest(callers)).or(nearest(made))
        }
        _ => None,
    };
    let mut all = grown.iter().chain(&made_at).flatten();
    let is_seen = all.any(is_guess);
    if found.is_some() {
        leak.perhaps.clear();
    }
    leak.place = match found {
        Some(frame) if is_seen || !is_inlined(view, frame, guess.as_ref()) => Some(frame.said()),
        _ => guess,
    };
    if found.is_some_and(|frame| frame.nearness() == Nearness::Own) {
        leak.program = None;
    }
    if let (Some((_, objects, of)), Some(stack)) = (made, made_at) {
        leak.allocated = Some(Allocated { stack, objects, of });
    }
}

/// The stack of most nodes, how many have it, and how many have any.
fn most(stacks: &Stacks, nodes: &[Node]) -> Option<(Stack, u64, u64)> {
    let mut counts: FxHashMap<Stack, u64> = FxHashMap::default();
    let known = nodes.iter().filter_map(|&node| stacks.of(node));
    for stack in known {
        *counts.entry(stack).or_default() += 1;
    }
    let all = counts.values().sum();
    let best = counts
        .into_iter()
        .max_by_key(|&(stack, count)| (count, stack));
    best.map(|(stack, count)| (stack, count, all))
}

/// What is new and belongs to new objects themselves: V8 loses stacks of objects, and then these may have theirs.
fn owned(view: &View, new: &[Node]) -> Vec<Node> {
    let snapshot = &view.analysis.snapshot;
    let parents = &view.analysis.dominators.parent;
    let targets = |&node: &Node| {
        let edges = snapshot.graph.of(node);
        edges.map(move |edge| (node, snapshot.graph.to(edge)))
    };
    new.iter()
        .flat_map(targets)
        .filter(|&(from, to)| view.is_new(to) && parents[to as usize] == from)
        .map(|(_, to)| to)
        .collect()
}

/// Whether a frame is of the constructor of what is new, or of its fields.
fn is_constructor(view: &View, new: &[Node], frame: &Frame) -> bool {
    let snapshot = &view.analysis.snapshot;
    let class = new.last().map(|&node| snapshot.name(node));
    frame.function == "<instance_members_initializer>"
        || class.is_some_and(|class| frame.function == class)
}

/// The innermost frame of the program itself, or else of a package.
fn nearest(stack: &[Frame]) -> Option<&Frame> {
    let innermost = |nearness| stack.iter().find(|frame| frame.nearness() == nearness);
    innermost(Nearness::Own).or_else(|| innermost(Nearness::Package))
}

/// Whether the code of a function on a stack calls what was guessed, so that V8 may have inlined it.
fn is_inlined(view: &View, frame: &Frame, guess: Option<&Place>) -> bool {
    let strings = &view.analysis.snapshot.strings;
    let name = guess.and_then(|guess| strings.find(&guess.function));
    match (name, frame.location()) {
        (Some(name), Some(location)) => view.functions.names(location, name),
        _ => false,
    }
}
