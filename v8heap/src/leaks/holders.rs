//! How containers are held: under which name, by what.

use graph::{Edge, Node};

use super::View;
use super::entries::entries;
use super::groups::CONSOLE;
use super::words::Pattern;
use crate::blocks;
use crate::snapshot::Snapshot;
use crate::ways::Running;

/// How a container is held.
pub(super) struct Holder {
    /// `sessions`
    pub(super) name: String,
    /// The string's number of that name.
    pub(super) word: Option<u32>,
    /// `Cache.sessions`, `variable sessions`, …
    pub(super) shown: String,
    /// What has it under that name.
    pub(super) from: Option<Node>,
    /// Whether it is an entry of something that has the name.
    pub(super) within: bool,
    /// The context, if it is a variable.
    pub(super) context: Option<Node>,
    pub(super) pattern: Option<Pattern>,
    /// Whether it is a variable of a call that is running.
    pub(super) is_local: bool,
}

/// Node's variables for what performance.mark() and the like note.
const PERFORMANCE: [&str; 3] = [
    "markEntryBuffer",
    "measureEntryBuffer",
    "resourceTimingBuffer",
];

pub(super) fn holder(view: &View, node: Node) -> Holder {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    let kind = &snapshot.edge_kind;
    let console = way
        .iter()
        .any(|&(_, edge)| snapshot.edge_name(edge).ends_with(CONSOLE));
    let named = way.iter().rposition(|&(_, edge)| {
        let of = snapshot.kind_of_edge(edge);
        of == kind.property || of == kind.context || of == kind.shortcut
    });
    let is_block = |&(from, edge): &(Node, Edge)| blocks::is_variable(snapshot, from, edge);
    let named = named.max(way.iter().rposition(is_block));
    // In an array or a Map that has the name. A variable that is assigned again may have a cell for its value.
    let within = named.is_some_and(|at| {
        way[at + 1..].iter().any(|&(from, edge)| {
            snapshot.name(from) != "system / ContextCell"
                && (snapshot.kind_of_edge(edge) == kind.element
                    || snapshot
                        .edge_name(edge)
                        .starts_with(|first: char| first.is_ascii_digit()))
        })
    });
    let Some(&(from, edge)) = named.and_then(|at| way.get(at)) else {
        return exported(view, &way);
    };
    let block = blocks::variable(snapshot, &view.scripts, &view.sources, from, edge);
    if block.is_none() && is_block(&(from, edge)) {
        return Holder {
            name: String::new(),
            word: None,
            shown: "in a variable of a block".to_owned(),
            from: Some(from),
            within,
            context: Some(from),
            pattern: None,
            is_local: false,
        };
    }
    let name = match block {
        Some(name) => snapshot.strings.get(name),
        None => snapshot.edge_name(edge),
    };
    let name = name.into_owned();
    let word = block.or_else(|| {
        let has_name = snapshot.has_string_name(edge);
        has_name.then(|| snapshot.edge_names[edge as usize])
    });
    let class = snapshot.name(from);
    let is_global = class.starts_with("global") || class.starts_with("Window");
    let (shown, context, pattern) =
        if snapshot.kind_of_edge(edge) == kind.context || block.is_some() {
            (format!("variable {name}"), Some(from), None)
        } else if snapshot.kinds[from as usize] == snapshot.kind.closure {
            (format!("static {class}.{name}"), None, None)
        } else if is_global {
            (format!("global {name}"), None, Some(Pattern::Global))
        } else if is_exports(view, &way, from) {
            (format!("exports.{name}"), None, None)
        } else {
            let shown = match view.ways.variable(snapshot, &way) {
                // The class of an object without one says nothing.
                Some((variable, _)) if class == "Object" => {
                    let variable = snapshot.strings.get(variable);
                    match properties(snapshot, &way[1..=named.unwrap_or_default()]) {
                        Some(names) => format!("variable {variable}.{names}"),
                        None => format!("{class}.{name} in variable {variable}"),
                    }
                }
                _ => format!("{class}.{name}"),
            };
            (shown, None, None)
        };
    // All caches of the loader grow with the modules.
    let modules = match name.as_str() {
        "#resolveCache"
        | "#loadCache"
        | "relativeResolveCache"
        | "_pathCache"
        | "realpathCache"
        | "statCache"
        | "cjsParseCache"
        | "packageJSONCache" => true,
        "_cache" | "cache" | "children" => entries(snapshot, node)
            .take(20)
            .any(|edge| snapshot.name(snapshot.graph.to(edge)) == "Module"),
        _ => false,
    };
    let pattern = if console {
        Some(Pattern::Console)
    } else if modules {
        Some(Pattern::Modules)
    } else if PERFORMANCE.contains(&&*name) && snapshot.kind_of_edge(edge) == kind.context {
        Some(Pattern::Performance)
    } else {
        pattern
    };
    let shown = if within { format!("in {shown}") } else { shown };
    Holder {
        name,
        word,
        shown,
        from: Some(from),
        within,
        context,
        pattern,
        is_local: false,
    }
}

/// `.handlers.price` without its first dot: a way that has nothing but properties with plain names.
fn properties(snapshot: &Snapshot, way: &[(Node, Edge)]) -> Option<String> {
    let plain = |name: &str| {
        let letters = name.strip_prefix('#').unwrap_or(name);
        !letters.is_empty()
            && !letters.starts_with(|first: char| first.is_ascii_digit())
            && letters
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    let names = way.iter().map(|&(_, edge)| {
        let name = snapshot.edge_name(edge).into_owned();
        let of = snapshot.kind_of_edge(edge);
        (of == snapshot.edge_kind.property && plain(&name)).then_some(name)
    });
    let names: Vec<String> = names.collect::<Option<_>>()?;
    (!names.is_empty()).then(|| names.join("."))
}

/// What holds a container that no property and no context names: a variable that an ES module exports.
fn exported(view: &View, way: &[(Node, Edge)]) -> Holder {
    let snapshot = &view.analysis.snapshot;
    let variable = view.ways.variable(snapshot, way);
    let name = variable.map(|(name, _)| snapshot.strings.get(name).into_owned());
    if let Some((running, taken)) = view.ways.running(snapshot, &view.scripts, way) {
        return local(view, &running, way.len() > taken);
    }
    let within = if way.len() > 1 { "in " } else { "" };
    Holder {
        shown: name.as_ref().map_or(String::new(), |name| match &**name {
            "default" => format!("{within}default export"),
            name => format!("{within}variable {name}"),
        }),
        name: name.unwrap_or_default(),
        word: variable.map(|(name, _)| name),
        from: None,
        within: way.len() > 1,
        context: variable.and_then(|(_, scope)| scope),
        pattern: None,
        is_local: false,
    }
}

/// What holds a container that a running call has.
fn local(view: &View, running: &Running, within: bool) -> Holder {
    let snapshot = &view.analysis.snapshot;
    let name = running.variable.as_ref().map(|(name, _)| &**name);
    let what = match name {
        Some(name) => format!("variable {name}"),
        None => "local variable".to_owned(),
    };
    Holder {
        shown: format!("{}{what}", if within { "in " } else { "" }),
        word: name.and_then(|name| snapshot.strings.find(name)),
        name: name.unwrap_or_default().to_owned(),
        // Who has it on the stack is the first to be asked who adds to it.
        from: Some(running.closure),
        within,
        context: None,
        pattern: None,
        is_local: true,
    }
}

/// Whether an object is what a CommonJS module exports.
fn is_exports(view: &View, way: &[(Node, Edge)], object: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    way.iter().any(|&(from, edge)| {
        snapshot.graph.to(edge) == object
            && snapshot.edge_name(edge) == "exports"
            && (view.ways.is_file(from) || crate::scopes::common_js_file(snapshot, from).is_some())
    })
}

/// The variable of a file by which an object is reached.
pub(super) fn variable(view: &View, node: Node) -> Option<String> {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    let (name, _) = view.ways.variable(snapshot, &way)?;
    Some(snapshot.strings.get(name).into_owned())
}

/// Whether a container is one of those in which Node has connections: an Agent its sockets and what waits for one, a
/// server of HTTP/2 its sessions.
pub(super) fn is_of_connections(view: &View, node: Node) -> bool {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    way.iter().any(|&(from, edge)| {
        let name = snapshot.edge_name(edge);
        let is_one = match &*snapshot.name(from) {
            "Agent" => matches!(&*name, "sockets" | "requests" | "freeSockets"),
            "Http2Server" | "Http2SecureServer" => name.starts_with("<symbol "),
            _ => false,
        };
        is_one && view.distance(snapshot.location(from)) == 2
    })
}

/// If a container is the list of an emitter's listeners: the event and the emitter.
pub(super) fn emitter(view: &View, node: Node) -> Option<(String, Node)> {
    let snapshot = &view.analysis.snapshot;
    let way = view.ways.raw(view.analysis, node);
    let is_property = |edge| snapshot.kind_of_edge(edge) == snapshot.edge_kind.property;
    let [.., (emitter, events), (_, event)] = way[..] else {
        return None;
    };
    (is_property(event) && is_property(events) && snapshot.edge_name(events) == "_events")
        .then(|| (snapshot.edge_name(event).into_owned(), emitter))
}
