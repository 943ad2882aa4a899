//! Questions about nodes, in a small language:
//!
//! ```text
//! class == "Session" && retained > 1MB && !(distance < 5)
//! type == closure and place ~ "server.js" and not has("timer")
//! ```
//!
//! Fields: `class`, `name`, `type`, `place`, `dominator` (text); `id`, `self`, `retained`, `distance`,
//! `edges`, `entries` (numbers); `detached`, `has("property")` and `has_edge("name")` (true or not).
//! Operators: `==`, `!=`, `<`, `<=`, `>`, `>=`, `~` (contains), `!` or `not`, `&&` or `and`, `||` or
//! `or`, and parentheses. Numbers may have units: K, M, G (1024).

use std::fmt;

use graph::Node;

use crate::classes::Classes;
use crate::figures::Analysis;
use crate::leaks::entries;
use crate::scripts::Scripts;
use crate::snapshot::detachedness::DETACHED;

/// A parsed question.
#[derive(Debug, Clone, PartialEq)]
pub struct Query(Expression);

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Text(TextField, Test, String),
    Number(NumberField, Test, f64),
    Detached,
    /// A property of this name.
    Has(String),
    /// An edge of this name, of whatever type.
    HasEdge(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum TextField {
    Class,
    Name,
    Type,
    Place,
    /// The class of the immediate dominator.
    Dominator,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum NumberField {
    Id,
    Own,
    Retained,
    Distance,
    Edges,
    /// Of a Map, a Set, an array, an object used as a map.
    Entries,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Test {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
}

/// What is wrong with a question, or with a line that contains one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// All of the text.
    pub text: String,
    /// Characters before the place.
    pub before: usize,
    /// What should be there.
    pub expected: String,
}

impl Wrong {
    /// At a byte of a text.
    pub(crate) fn at(text: &str, byte: usize, expected: &str) -> Wrong {
        Wrong {
            text: text.to_owned(),
            before: text[..byte].chars().count(),
            expected: expected.to_owned(),
        }
    }

    /// Characters on each side of the place that are shown.
    const AROUND: usize = 40;
}

/// In a line: where, what was expected there, and the text around the place, which is marked.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.before.saturating_sub(Wrong::AROUND);
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut shown = self.text.chars().map(plain).skip(skipped);
        let before: String = shown.by_ref().take(self.before - skipped).collect();
        let behind: String = shown.take(Wrong::AROUND).collect();
        write!(
            f,
            "at character {}: {} expected, at the arrow in: {before}➤{}",
            self.before + 1,
            self.expected,
            behind.trim_end()
        )
    }
}

/// What a question is asked of.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The figures.
    pub analysis: &'a Analysis,
    /// The classes.
    pub classes: &'a Classes,
    /// The names of files.
    pub scripts: &'a Scripts,
}

impl Query {
    /// Parses a question; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Query, Wrong> {
        Query::parse_from(text, 0)
    }

    /// Parses what stands in a text from byte `at` on; places in errors are those in the text.
    pub(crate) fn parse_from(text: &str, at: usize) -> Result<Query, Wrong> {
        let mut parser = Parser { text, at, depth: 0 };
        let whole = parser.or()?;
        match parser.peek() {
            "" => Ok(Query(whole)),
            _ => Err(parser.wrong("&&, || or the end")),
        }
    }

    /// Whether it is true of a node.
    pub fn matches(&self, subject: &Subject<'_>, node: Node) -> bool {
        self.0.of(subject, node)
    }
}

impl Expression {
    fn of(&self, subject: &Subject<'_>, node: Node) -> bool {
        let snapshot = &subject.analysis.snapshot;
        match self {
            Expression::Or(a, b) => a.of(subject, node) || b.of(subject, node),
            Expression::And(a, b) => a.of(subject, node) && b.of(subject, node),
            Expression::Not(a) => !a.of(subject, node),
            Expression::Detached => snapshot
                .detachedness
                .as_ref()
                .is_some_and(|states| states[node as usize] & 3 == DETACHED),
            Expression::Has(name) => snapshot.graph.of(node).any(|edge| {
                snapshot.kind_of_edge(edge) == snapshot.edge_kind.property
                    && snapshot.edge_name(edge) == *name
            }),
            Expression::HasEdge(name) => snapshot
                .graph
                .of(node)
                .any(|edge| snapshot.edge_name(edge) == *name),
            Expression::Text(field, test, wanted) => {
                let class = |node: Node| {
                    let class = subject.classes.of[node as usize];
                    &subject.classes.all[class as usize].name
                };
                let holds = |found: &str| match test {
                    Test::Contains => found.contains(wanted.as_str()),
                    Test::Unequal => found != wanted,
                    _ => found == wanted,
                };
                match field {
                    TextField::Class => holds(class(node)),
                    TextField::Dominator => {
                        holds(class(subject.analysis.dominators.parent[node as usize]))
                    }
                    TextField::Name => holds(&snapshot.name(node)),
                    TextField::Type => {
                        holds(&snapshot.node_types[usize::from(snapshot.kinds[node as usize])])
                    }
                    TextField::Place => {
                        holds(&subject.scripts.place_of(snapshot, node).unwrap_or_default())
                    }
                }
            }
            Expression::Number(field, test, wanted) => {
                let found = match field {
                    NumberField::Id => f64::from(snapshot.ids[node as usize]),
                    NumberField::Own => snapshot.sizes.get(node) as f64,
                    NumberField::Retained => subject.analysis.retained[node as usize] as f64,
                    NumberField::Distance => f64::from(subject.analysis.distances[node as usize]),
                    NumberField::Edges => f64::from(snapshot.graph.degree(node)),
                    NumberField::Entries => entries(snapshot, node) as f64,
                };
                match test {
                    Test::Equal | Test::Contains => found == *wanted,
                    Test::Unequal => found != *wanted,
                    Test::Less => found < *wanted,
                    Test::AtMost => found <= *wanted,
                    Test::Greater => found > *wanted,
                    Test::AtLeast => found >= *wanted,
                }
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn wrong(&self, expected: &str) -> Wrong {
        Wrong::at(self.text, self.at, expected)
    }

    fn peek(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.peek().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    /// Takes a sign or the word for it.
    fn take_either(&mut self, sign: &str, word: &str) -> bool {
        let before = self.at;
        if self.take(sign) || self.word() == word {
            return true;
        }
        self.at = before;
        false
    }

    fn or(&mut self) -> Result<Expression, Wrong> {
        let mut left = self.and()?;
        while self.take_either("||", "or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, Wrong> {
        let mut left = self.single()?;
        while self.take_either("&&", "and") {
            left = Expression::And(Box::new(left), Box::new(self.single()?));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Expression, Wrong> {
        self.depth += 1;
        if self.depth > 200 {
            return Err(self.wrong("fewer parentheses"));
        }
        let found = self.nested();
        self.depth -= 1;
        found
    }

    fn nested(&mut self) -> Result<Expression, Wrong> {
        if self.take_either("!", "not") {
            return Ok(Expression::Not(Box::new(self.single()?)));
        }
        if self.take("(") {
            let inner = self.or()?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err(self.wrong(")"))
            };
        }
        let before = self.at;
        let word = self.word();
        let text = match word {
            "class" => Some(TextField::Class),
            "name" => Some(TextField::Name),
            "type" => Some(TextField::Type),
            "place" => Some(TextField::Place),
            "dominator" => Some(TextField::Dominator),
            _ => None,
        };
        if let Some(field) = text {
            let test = self.test()?;
            if !matches!(test, Test::Equal | Test::Unequal | Test::Contains) {
                return Err(self.wrong("==, != or ~ before a text"));
            }
            return Ok(Expression::Text(field, test, self.quoted()?));
        }
        let number = match word {
            "id" => NumberField::Id,
            "self" => NumberField::Own,
            "retained" => NumberField::Retained,
            "distance" => NumberField::Distance,
            "edges" => NumberField::Edges,
            "entries" => NumberField::Entries,
            "detached" => return Ok(Expression::Detached),
            "has" | "has_edge" => {
                if !self.take("(") {
                    return Err(self.wrong("("));
                }
                let name = self.quoted()?;
                return if self.take(")") {
                    Ok(match word {
                        "has" => Expression::Has(name),
                        _ => Expression::HasEdge(name),
                    })
                } else {
                    Err(self.wrong(")"))
                };
            }
            _ => {
                self.at = before;
                self.peek();
                return Err(self.wrong(
                    "class, name, type, place, dominator, id, self, retained, distance, edges, entries, detached, has(…), has_edge(…), not or (",
                ));
            }
        };
        let test = self.test()?;
        if test == Test::Contains {
            return Err(self.wrong("a comparison of numbers before this"));
        }
        Ok(Expression::Number(number, test, self.number()?))
    }

    fn word(&mut self) -> &'a str {
        let rest = self.peek();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        for (token, test) in [
            ("==", Test::Equal),
            ("!=", Test::Unequal),
            ("<=", Test::AtMost),
            (">=", Test::AtLeast),
            ("<", Test::Less),
            (">", Test::Greater),
            ("~", Test::Contains),
            ("=", Test::Equal),
        ] {
            if self.take(token) {
                return Ok(test);
            }
        }
        Err(self.wrong("==, !=, <, <=, >, >= or ~"))
    }

    /// In quotation marks, or one word.
    fn quoted(&mut self) -> Result<String, Wrong> {
        let rest = self.peek();
        for mark in ['"', '\''] {
            if let Some(inner) = rest.strip_prefix(mark) {
                let end = inner
                    .find(mark)
                    .ok_or_else(|| self.wrong("a closing quotation mark"))?;
                self.at += end + 2;
                return Ok(inner[..end].to_owned());
            }
        }
        match self.word() {
            "" => Err(self.wrong("a text in quotation marks")),
            word => Ok(word.to_owned()),
        }
    }

    fn number(&mut self) -> Result<f64, Wrong> {
        let rest = self
            .peek()
            .strip_prefix('@')
            .unwrap_or_else(|| &self.text[self.at..]);
        self.at = self.text.len() - rest.len();
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
            .unwrap_or(rest.len());
        let value: f64 = rest[..end].parse().map_err(|_| self.wrong("a number"))?;
        self.at += end;
        // A word further on is no unit.
        let adjacent = self.text[self.at..].starts_with(|c: char| c.is_ascii_alphanumeric());
        let unit = if adjacent { self.word() } else { "" };
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1u64,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return Err(self.wrong("K, M or G before this")),
        };
        Ok(value * factor as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_said_with_its_place() {
        for (text, words) in [
            ("", "character 1: class, name"),
            ("class", "character 6: =="),
            ("class < 'a'", "== , != or ~"),
            ("retained > x", "character 12: a number"),
            ("retained > 1Q", "K, M or G"),
            ("has('a'", "character 8: )"),
            ("(id == 1", "character 9: )"),
            ("id == 1 id", "character 9: &&"),
            ("name == 'a", "closing quotation mark"),
            ("class == 'é' andy", "character 14: &&"),
            ("note == 1", "character 1: class"),
        ] {
            let error = Query::parse(text).expect_err(text).to_string();
            let squeezed = words.replace("== ,", "==,");
            assert!(error.contains(&squeezed), "{text}: {error}");
        }
        let error = Query::parse("class == 'é' andy").expect_err("a word");
        assert_eq!(
            error.to_string(),
            "at character 14: &&, || or the end expected, at the arrow in: class == 'é' ➤andy"
        );
        let deep = Query::parse(&"(".repeat(100_000)).expect_err("too deep");
        assert!(deep.to_string().len() < 400, "{deep}");
        for text in [
            "class == Session && retained >= 1.5MB",
            "!(detached || has(\"a b\")) && distance<3",
            "id==@17 || type ~ 'string' && edges != 0",
            "not has_edge(map) and (entries > 10 or dominator == Map) and not(detached)",
        ] {
            Query::parse(text).expect(text);
        }
    }
}
