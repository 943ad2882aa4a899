//! Variables of blocks (`{ const jobs = new Map(); … }`): V8 numbers their values, without names, and leaves out small
//! integers.
//!
//! ```text
//! Context ─scope_info─> ScopeInfo: names of the variables, in order
//!    └─0, 1, …─> the values, in that order, without those that are small integers
//! ```

use graph::{Edge, Node};

use crate::scopes::{Scopes, scope_info};
use crate::scripts::Scripts;
use crate::snapshot::Snapshot;
use crate::sources::Sources;

/// Contexts around a function's own that are looked at.
const DEEPEST: usize = 16;

/// Whether an edge leads to the value of a block's variable.
pub(crate) fn is_variable(snapshot: &Snapshot, context: Node, edge: Edge) -> bool {
    snapshot.kind_of_edge(edge) == snapshot.edge_kind.hidden
        && snapshot.name(context) == "system / Context"
        && Scopes::has_names(snapshot, context)
}

/// The string's number of the name of a block's variable, by the edge to its value. If some values are small integers,
/// the text of the script has to tell which ones: that is looked for then.
pub(crate) fn variable(
    snapshot: &Snapshot,
    scripts: &Scripts,
    sources: &Sources,
    context: Node,
    edge: Edge,
) -> Option<u32> {
    if !is_variable(snapshot, context, edge) {
        return None;
    }
    let info = scope_info(snapshot, context)?;
    let hidden = |edge: &Edge| snapshot.kind_of_edge(*edge) == snapshot.edge_kind.hidden;
    let fields = snapshot.graph.of(info).filter(hidden);
    let names: Vec<u32> = fields
        .map(|edge| snapshot.graph.to(edge))
        .take_while(|&to| snapshot.kinds[to as usize] == snapshot.kind.string)
        .map(|to| snapshot.names[to as usize])
        .collect();
    let number = |edge: Edge| snapshot.edge_names[edge as usize] as usize;
    let values = snapshot.graph.of(context).filter(hidden).map(number);
    let missing = names.len().checked_sub(values.max()? + 1)?;
    let possible = names.get(number(edge)..=number(edge) + missing)?;
    if let [only] = *possible {
        return Some(only);
    }
    let script = sources.script_of_scope(info, || script_of(snapshot, info))?;
    let text = sources.text(snapshot, scripts, script)?;
    let class = snapshot.name(snapshot.graph.to(edge));
    let first = |name: &u32| first_value(&text, &snapshot.strings.get(*name));
    let mut alike = possible
        .iter()
        .filter(|name| first(name).is_some_and(|value| value.is_of(&class)));
    match (alike.next(), alike.next()) {
        (Some(&only), None) => Some(only),
        (Some(_), Some(_)) => None,
        (None, _) => {
            let mut others = possible.iter().filter(|name| first(name).is_none());
            others.next().copied().filter(|_| others.next().is_none())
        }
    }
}

/// The script of a function that sees the variables of a scope.
fn script_of(snapshot: &Snapshot, info: Node) -> Option<u32> {
    let internal = snapshot.edge_kind.internal;
    let sees = |&&(node, _): &&(Node, crate::snapshot::Location)| {
        let first = snapshot.follow(node, internal, "context");
        std::iter::successors(first, |&scope| snapshot.follow(scope, internal, "previous"))
            .take(DEEPEST)
            .any(|scope| scope_info(snapshot, scope) == Some(info))
    };
    let closures = snapshot.locations.iter();
    let mut closures =
        closures.filter(|&&(node, _)| snapshot.kinds[node as usize] == snapshot.kind.closure);
    closures.find(sees).map(|&(_, location)| location.script)
}

/// What a variable is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First<'a> {
    Number,
    /// `new Map`, `[`, `{`: the class.
    Class(&'a str),
    Function,
}

impl First<'_> {
    fn is_of(self, class: &str) -> bool {
        self == First::Class(class)
    }
}

/// What a variable is first, as its declaration in a text says; `None` if it does not, or there are several.
fn first_value<'a>(text: &'a str, name: &str) -> Option<First<'a>> {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let values = text.match_indices(name).filter_map(|(at, _)| {
        let before = text[..at].trim_end();
        let declares = ["const", "let", "var", ","].iter().any(|word| {
            before
                .strip_suffix(word)
                .is_some_and(|rest| *word == "," || !rest.ends_with(is_letter) && before.len() < at)
        });
        let after = text[at + name.len()..].trim_start().strip_prefix('=')?;
        (declares && !after.starts_with(['=', '>'])).then(|| kind(after.trim_start()))
    });
    let mut values = values.peekable();
    let first = (*values.peek()?)?;
    values.all(|value| value == Some(first)).then_some(first)
}

fn kind(value: &str) -> Option<First<'_>> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(First::Number);
    }
    if let Some(class) = value.strip_prefix("new ") {
        let class = class.trim_start();
        let end = class.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')));
        return Some(First::Class(&class[..end.unwrap_or(class.len())]));
    }
    match value.as_bytes() {
        [b'[', ..] => Some(First::Class("Array")),
        [b'{', ..] => Some(First::Class("Object")),
        _ if value.starts_with("Object.create(") => Some(First::Class("Object")),
        _ if ["function", "async "]
            .iter()
            .any(|word| value.starts_with(word)) =>
        {
            Some(First::Function)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_says_what_a_variable_is_first() {
        for (text, value) in [
            ("let jobs = new Map();", Some(First::Class("Map"))),
            ("const a = 1, jobs=[];", Some(First::Class("Array"))),
            ("var\njobs = {}", Some(First::Class("Object"))),
            ("let jobs = -1;", Some(First::Number)),
            ("const jobs = async () => 1", Some(First::Function)),
            ("const jobs = read();", None),
            ("jobs = new Map();", None),
            ("outlet jobs = new Map();", None),
            ("let jobs == 5", None),
            ("let jobs = 1; { let jobs = []; }", None),
            ("let jobs = 1; { let jobs = 2; }", Some(First::Number)),
            ("let jobsite = 1", None),
        ] {
            assert_eq!(first_value(text, "jobs"), value, "{text}");
        }
    }
}
