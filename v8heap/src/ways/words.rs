//! A way in the words of somebody who reads the program: names, keys and indexes; V8's own tables,
//! contexts and boxes are passed over.

use std::borrow::Cow;

use graph::{Edge, Node};

use super::running::on_way;
use super::{Step, start};
use crate::blocks;
use crate::pairs::PAIR;
use crate::place::Place;
use crate::scopes::{Scopes, common_js_file};
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;
use crate::sources::Sources;

/// Characters of a string shown.
const TEXT: usize = 40;
/// Characters of a class's name shown.
const NAME: usize = 80;

/// How the names of V8's and Blink's own boxes begin.
const BOXES: [&str; 5] = ["system / ", "blink::", "cppgc::", "EventListener", LISTENER];
/// What Blink keeps of a listener.
const LISTENER: &str = "V8EventListener";

/// What is needed to find words.
pub(super) struct Words<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) scripts: &'a Scripts,
    pub(super) scopes: &'a Scopes,
    pub(super) sources: &'a Sources,
}

impl Words<'_> {
    /// The steps of a way that leads to a node.
    pub(super) fn steps(&self, way: &[(Node, Edge)], node: Node) -> Vec<Step> {
        let Some(&(first, _)) = way.first() else {
            return vec![self.step(String::new(), node)];
        };
        let mut steps = Vec::with_capacity(way.len());
        let mut rest = way;
        if let Some((by, taken)) = self.beginning(way) {
            let (_, edge) = way[taken - 1];
            rest = &way[taken..];
            let to = self.snapshot.graph.to(edge);
            let mut step = self.step(by, to);
            if to != node && self.says_nothing(to) {
                step.what.clear();
            }
            steps.push(step);
        } else if start::is_timers(self.snapshot, self.scripts, first) {
            // Which link of the list it is says nothing.
            let link = |&&(_, edge): &&(Node, Edge)| {
                matches!(
                    &*self.snapshot.edge_name(edge),
                    "_idleNext" | "_idlePrev" | "head" | "tail"
                )
            };
            let links = way.iter().take_while(link).count();
            rest = &way[links..];
            let reached = rest.first().map_or(node, |&(from, _)| from);
            steps.push(self.step("Node's timers:".to_owned(), reached));
        } else if let Some((by, taken)) = self.running(way) {
            let (_, edge) = way[taken - 1];
            rest = &way[taken..];
            steps.push(self.step(by, self.snapshot.graph.to(edge)));
        } else if let Some(root) = self.root(way) {
            steps.push(Step {
                by: String::new(),
                what: root,
                id: self.snapshot.ids[first as usize],
                times: 1,
            });
        } else {
            steps.push(self.step(String::new(), first));
        }
        for (at, &(from, edge)) in rest.iter().enumerate() {
            let to = self.snapshot.graph.to(edge);
            let before = at
                .checked_sub(1)
                .and_then(|before| rest.get(before))
                .map(|&(node, _)| node);
            let Some(by) = self.by(before, from, edge) else {
                continue;
            };
            let step = if to != node && self.says_nothing(to) {
                Step {
                    by,
                    what: String::new(),
                    id: self.snapshot.ids[to as usize],
                    times: 1,
                }
            } else if to != node && by.is_empty() && self.is_builtin(to) {
                // Functions that settle a promise or go on behind an `await`.
                continue;
            } else if by.is_empty() && self.snapshot.name(to) == "Generator" {
                self.step("awaited by".to_owned(), to)
            } else {
                self.step(by, to)
            };
            match steps.last_mut() {
                _ if step.by.is_empty() && step.what.is_empty() => {}
                // Behind one of V8's boxes is what has the name.
                Some(last) if step.by.is_empty() && last.what.is_empty() => {
                    last.what = step.what;
                    last.id = step.id;
                }
                _ => steps.push(step),
            }
        }
        steps
    }

    /// The root of V8's that a way leads through.
    fn root(&self, way: &[(Node, Edge)]) -> Option<String> {
        let synthetic = self.snapshot.kind.synthetic;
        let (root, _) = way
            .iter()
            .take(3)
            .rfind(|&&(from, _)| self.snapshot.kinds[from as usize] == synthetic)?;
        let name = self.snapshot.name(*root);
        Some(match &*name {
            "" => "V8".to_owned(),
            name => start::name_of_root(name).to_owned(),
        })
    }

    /// The variable of a call that is running which a way begins at, and how many edges that is.
    fn running(&self, way: &[(Node, Edge)]) -> Option<(String, usize)> {
        let (running, taken) = on_way(self.snapshot, self.scripts, self.sources, way)?;
        let script = running.location.script;
        let file = self.scripts.name(script)?;
        let by = match &running.variable {
            Some((name, line)) => format!("variable {name} of {file}:{line}"),
            None if running.is_module(self.snapshot) => {
                format!("variable of {file}, whose own code is running")
            }
            None => {
                let function = what(self.snapshot, self.scripts, running.closure);
                format!("local variable of running {function}")
            }
        };
        Some((by, taken))
    }

    fn step(&self, by: String, to: Node) -> Step {
        Step {
            by,
            what: what(self.snapshot, self.scripts, to),
            id: self.snapshot.ids[to as usize],
            times: 1,
        }
    }

    /// The variable or the exports that a way begins at, and how many edges that is.
    fn beginning(&self, way: &[(Node, Edge)]) -> Option<(String, usize)> {
        let &(first, edge) = way.first()?;
        let name = self.snapshot.edge_name(edge);
        if let Some(file) = self.scopes.file(first) {
            if self.snapshot.kind_of_edge(edge) != self.snapshot.edge_kind.context {
                return None;
            }
            return Some((self.variable(&name, Some(file.script)), 1));
        }
        if let Some(export) = self.scopes.export(first) {
            let name = self.snapshot.strings.get(export.name);
            let script = export.file.map(|file| file.script);
            return Some((self.variable(&name, script), 1));
        }
        let file = common_js_file(self.snapshot, first)?;
        (name == "exports").then(|| (format!("exports of {file}"), 1))
    }

    /// `variable rooms of /app/server.js:3`
    fn variable(&self, name: &str, script: Option<u32>) -> String {
        let Some((script, file)) =
            script.and_then(|script| Some((script, self.scripts.name(script)?)))
        else {
            return format!("variable {name}");
        };
        let what = match name {
            // Of a CommonJS module.
            "exports" => "exports".to_owned(),
            "default" => "default export".to_owned(),
            _ => format!("variable {name}"),
        };
        match self
            .sources
            .line_of(self.snapshot, self.scripts, script, name)
        {
            Some(line) => format!("{what} of {file}:{line}"),
            None => format!("{what} of {file}"),
        }
    }

    /// What has no name of its own: arrays behind objects, contexts, V8's boxes.
    fn says_nothing(&self, node: Node) -> bool {
        let kind = self.snapshot.kinds[node as usize];
        kind == self.snapshot.kind.array
            || kind == self.snapshot.kind.code
            || kind == self.snapshot.kind.synthetic
            || BOXES
                .iter()
                .any(|name| self.snapshot.name(node).starts_with(name))
    }

    /// Functions of V8's own, without a name.
    fn is_builtin(&self, node: Node) -> bool {
        self.snapshot.kinds[node as usize] == self.snapshot.kind.closure
            && self.snapshot.name(node).is_empty()
            && self.snapshot.location(node).is_none()
    }

    /// What an edge is called where V8's own are shown too.
    pub(super) fn edge(&self, from: Node, edge: Edge) -> String {
        match self.by(None, from, edge) {
            Some(by) if !by.is_empty() => by,
            _ => format!("{{{}}}", self.snapshot.edge_name(edge)),
        }
    }

    /// How an edge is called, or `None` if it says nothing. `before` is what the way came from.
    fn by(&self, before: Option<Node>, from: Node, edge: Edge) -> Option<String> {
        let snapshot = self.snapshot;
        let kind = snapshot.kind_of_edge(edge);
        let name = snapshot.edge_name(edge);
        let of = &snapshot.edge_kind;
        Some(if snapshot.edge_kinds[edge as usize] & PAIR != 0 {
            "value in a WeakMap".to_owned()
        } else if kind == of.shortcut && name.starts_with("bound_") {
            internal(&name).into_owned()
        } else if kind == of.property || kind == of.shortcut {
            property(&name)
        } else if kind == of.element {
            let kind = snapshot.kinds[from as usize];
            if snapshot.name(snapshot.graph.to(edge)) == LISTENER {
                "listener".to_owned()
            } else if kind == snapshot.kind.synthetic || kind == snapshot.kind.native {
                String::new()
            } else {
                format!("[{name}]")
            }
        } else if kind == of.context {
            self.captured(&name, from)
        } else if snapshot.kinds[from as usize] == snapshot.kind.code {
            String::new()
        } else if snapshot.kinds[snapshot.graph.to(edge) as usize] == snapshot.kind.code {
            "compiled code".to_owned()
        } else if kind == of.internal {
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(self.entry(before, from, edge));
            }
            internal(&name).into_owned()
        } else if blocks::is_variable(snapshot, from, edge) {
            match blocks::variable(snapshot, self.scripts, self.sources, from, edge) {
                Some(name) => format!("variable {} of a block", snapshot.strings.get(name)),
                None => "variable of a block".to_owned(),
            }
        } else {
            String::new()
        })
    }

    /// A variable of a call, with the function if it is known.
    fn captured(&self, name: &str, scope: Node) -> String {
        let function = self.scopes.function(self.snapshot, scope);
        let called = function.map(|name| self.snapshot.strings.get(name));
        match called.filter(|called| !called.is_empty()) {
            Some(called) => format!("variable {name} of {called}()"),
            None => format!("variable {name}"),
        }
    }

    /// An entry of a table: of a Map the value with its key.
    fn entry(&self, before: Option<Node>, table: Node, edge: Edge) -> String {
        let snapshot = self.snapshot;
        let Some(owner) = before else {
            return "entry".to_owned();
        };
        match snapshot.strings.raw(snapshot.names[owner as usize]) {
            b"Set" => return "Set entry".to_owned(),
            b"Map" => {}
            // Properties that did not fit the object itself, arguments, …
            _ => return String::new(),
        }
        let place: Option<u64> = snapshot.edge_name(edge).parse().ok();
        let Some(place) = place else {
            return String::new();
        };
        let first = crate::leaks::first_key(snapshot, owner);
        match first.map(|first| place.saturating_sub(first) % 3) {
            Some(0) => "Map key".to_owned(),
            _ => {
                // V8 writes a table's references by their places: the key is just before.
                let key = edge.checked_sub(1).filter(|&key| {
                    snapshot.graph.of(table).any(|other| other == key)
                        && snapshot.edge_name(key).parse() == Ok(place.saturating_sub(1))
                });
                match key {
                    Some(key) => format!("Map value of key {}", self.key(snapshot.graph.to(key))),
                    // Small integers leave no edge.
                    None => "Map value".to_owned(),
                }
            }
        }
    }

    fn key(&self, node: Node) -> String {
        let text = what(self.snapshot, self.scripts, node);
        let kind = self.snapshot.kinds[node as usize];
        if kind == self.snapshot.kind.object || kind == self.snapshot.kind.closure {
            format!("{text} @{}", self.snapshot.ids[node as usize])
        } else {
            text
        }
    }
}

/// `.name`, or what it is called otherwise.
pub(super) fn property(name: &str) -> String {
    match name {
        "__proto__" => return "its prototype".to_owned(),
        "<symbol owner_symbol>" => return "owner".to_owned(),
        _ => {}
    }
    for (accessor, word) in [("get ", "getter"), ("set ", "setter")] {
        if let Some(name) = name.strip_prefix(accessor) {
            return format!("{word} {}", property(name));
        }
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    if name.starts_with('<') || name.strip_prefix('#').unwrap_or(name).chars().all(plain) {
        return format!(".{name}");
    }
    let short: String = name.chars().take(TEXT).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    format!("[{short:?}{more}]")
}

/// V8's own references.
fn internal(name: &str) -> Cow<'_, str> {
    match name {
        "elements"
        | "properties"
        | "table"
        | "context"
        | "previous"
        | "shared"
        | "value"
        | "native_to_javascript"
        | "reactions_or_result"
        | "promise_or_capability"
        | "global_object"
        | "extension" => Cow::Borrowed(""),
        "fulfill_handler" => Cow::Borrowed("then"),
        "reject_handler" => Cow::Borrowed("catch"),
        "bound_function" => Cow::Borrowed("bound function"),
        "parameters_and_registers" => Cow::Borrowed("local variable"),
        "bound_this" => Cow::Borrowed("bound this"),
        "backing_store" => Cow::Borrowed("memory"),
        // The place in Blink's own source.
        _ if name.contains(")@../") => Cow::Borrowed(""),
        _ => {
            if let Some(number) = name.strip_prefix("bound_argument_") {
                Cow::Owned(format!("bound argument {number}"))
            } else {
                Cow::Owned(format!("{{{name}}}"))
            }
        }
    }
}

/// What a node is, in a few words.
pub fn what(snapshot: &Snapshot, scripts: &Scripts, node: Node) -> String {
    let kind = snapshot.kinds[node as usize];
    let name = snapshot.name(node);
    if kind == snapshot.kind.closure {
        return function(snapshot, scripts, node);
    }
    if let Some(name) = snapshot.text(node) {
        let text: String = name.chars().take(TEXT).collect();
        let more = if text.len() < name.len() { "…" } else { "" };
        return format!("{text:?}{more}");
    }
    if name == "Generator" {
        let internal = snapshot.edge_kind.internal;
        if let Some(closure) = snapshot.follow(node, internal, "function") {
            let of = function(snapshot, scripts, closure);
            return format!("suspended call of {of}");
        }
    }
    if let Some(file) = common_js_file(snapshot, node) {
        return format!("module {file}");
    }
    if name.is_empty() {
        return format!("({})", snapshot.node_types[usize::from(kind)]);
    }
    // Node and Chrome say in the name which global object it is.
    let name = name.replacen(" [JSGlobalObject]", "", 1);
    let name = name.strip_suffix(" (global*)").unwrap_or(&name);
    name.chars().take(NAME).collect()
}

/// `name() file:line:column`
fn function(snapshot: &Snapshot, scripts: &Scripts, node: Node) -> String {
    let place = Place {
        function: snapshot.name(node).into_owned(),
        at: scripts.place_of(snapshot, node).unwrap_or_default(),
    };
    place.text()
}
