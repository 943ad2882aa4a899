//! What running code keeps: in which call a value on the stack is, and of a module whose own code still runs,
//! in which of its variables.
//!
//! V8 visits a call that is not optimized upwards: its registers, the last one first; where feedback is kept, if it is; the byte
//! code, the function, its context. A variable that no function captures is a register and has no name. But
//! registers have the order in which variables are declared in the text ([`super::declared`]).

use std::rc::Rc;

use graph::{Edge, Node};

use super::declared::{Declared, declared, place_of};
use crate::scripts::Scripts;
use crate::snapshot::{Location, Snapshot};
use crate::sources::Sources;

/// Registers of a call that are looked through.
const MOST: usize = 256;

/// A value in a call that is running.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// The function.
    pub(crate) closure: Node,
    /// Where it begins.
    pub(crate) location: Location,
    /// The variable and its line (from 1), if that is plain.
    pub(crate) variable: Option<(Rc<str>, usize)>,
}

impl Running {
    /// Whether the call is that of a module's own code.
    pub(crate) fn is_module(&self, snapshot: &Snapshot) -> bool {
        let Location { line, column, .. } = self.location;
        (line, column) == (0, 0) && snapshot.name(self.closure).is_empty()
    }
}

/// The call that has the value at the first edge of a way that leads over the stack, and how many edges that is.
pub(crate) fn on_way(
    snapshot: &Snapshot,
    scripts: &Scripts,
    sources: &Sources,
    way: &[(Node, Edge)],
) -> Option<(Running, usize)> {
    let is_stack = |&(from, _): &(Node, Edge)| {
        snapshot.kinds[from as usize] == snapshot.kind.synthetic
            && snapshot.strings.raw(snapshot.names[from as usize]) == b"(Stack roots)"
    };
    let at = way.iter().take(3).position(is_stack)?;
    let (stack, edge) = way[at];
    let all = snapshot.graph.of(stack);
    let targets: Vec<Node> = all.clone().map(|edge| snapshot.graph.to(edge)).collect();
    let value = all.clone().position(|other| other == edge)?;
    let call = Call::around(snapshot, &targets, value)?;
    let location = snapshot.location(call.closure)?;
    let mut running = Running {
        closure: call.closure,
        location,
        variable: None,
    };
    if running.is_module(snapshot) {
        let text = sources.text(snapshot, scripts, location.script);
        running.variable = text.and_then(|text| call.variable(snapshot, &text, value));
    }
    Some((running, at + 1))
}

/// A call on the stack.
struct Call<'a> {
    closure: Node,
    context: Node,
    /// Values of registers and where they are on the stack, the first one first; and what else is pushed.
    registers: Vec<(usize, &'a Node)>,
}

impl Call<'_> {
    /// The call of the interpreter that has a value among its registers.
    fn around<'a>(snapshot: &Snapshot, targets: &'a [Node], value: usize) -> Option<Call<'a>> {
        let is = |node: Node, name: &str| snapshot.name(node) == name;
        let is_code = |node: Node| {
            snapshot.kinds[node as usize] == snapshot.kind.code
                && snapshot.name(node).starts_with('(')
        };
        let behind = targets[value..].iter().take(MOST);
        let byte_code = behind
            .take_while(|&&node| !is_code(node))
            .position(|&node| is(node, "system / BytecodeArray"))?
            + value;
        let &[closure, context, ..] = targets.get(byte_code + 1..)? else {
            return None;
        };
        let is_call = snapshot.kinds[closure as usize] == snapshot.kind.closure
            && snapshot.name(context).starts_with("system / ");
        let registers = targets[..byte_code].iter().enumerate().rev();
        let registers = registers
            .take(MOST)
            .take_while(|&(_, &node)| !is_code(node))
            .filter(|&(_, &node)| !snapshot.name(node).starts_with("system / Feedback"));
        is_call.then(|| Call {
            closure,
            context,
            registers: registers.collect(),
        })
    }

    /// The variable of a module's text that has a value on the stack.
    fn variable(&self, snapshot: &Snapshot, text: &str, value: usize) -> Option<(Rc<str>, usize)> {
        let is_captured = |name: &str| {
            let (context, internal) = (snapshot.edge_kind.context, snapshot.edge_kind.internal);
            let scopes = std::iter::successors(Some(self.context), |&scope| {
                snapshot.follow(scope, internal, "previous")
            });
            let mut scopes = scopes.take(MOST);
            scopes.any(|scope| snapshot.follow(scope, context, name).is_some())
        };
        let mut names: Vec<Declared> = declared(text)?;
        names.retain(|declared| !is_captured(declared.name));
        names.truncate(MOST);
        let at = self.registers.iter().position(|&(at, _)| at == value)?;
        let fits = |declared: &Declared, register: usize| {
            let &(_, &node) = &self.registers[register];
            let kind = snapshot.kinds[node as usize];
            // Not set yet.
            if kind == snapshot.kind.hidden {
                return true;
            }
            declared.may_be(&snapshot.name(node), kind == snapshot.kind.closure)
        };
        let place = place_of(&names, self.registers.len(), at, fits)?;
        Some((Rc::from(names[place].name), names[place].line))
    }
}
