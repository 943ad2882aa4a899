//! Rules of one's own for what is a leak and what is none: a file with a rule a line.
//!
//! ```text
//! # Sessions that nobody belongs to, whatever holds them.
//! leak "session without user" when class == Session and not has("user")
//! ignore when class == LRUCache
//! ignore "variable auditLog"
//! retain when place ~ "/warmup/"
//! ```
//!
//! * `leak "NAME" when …`: objects of which this is true and that have come since the first snapshot
//!   are a leak of this name.
//! * `ignore when …`: an object of which this is true is no leak.
//! * `ignore "TEXT"`: what is said of with this text, in its first line, is none.
//! * `retain when …`: neither is it, nor anything that it alone keeps: it is meant to be kept.
//!
//! What stands behind `when` is a [`Query`].

use graph::Node;

use crate::classes::Classes;
use crate::figures::Analysis;
use crate::query::{self, Query, Subject};
use crate::scripts::Scripts;

/// What a rule says of the objects it is true of.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Leak(String),
    Ignore,
    Retain,
    /// What is said so.
    Hide(String),
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    line: usize,
    verdict: Verdict,
    /// Of what is true; of what is said nothing is asked.
    query: Option<Query>,
}

impl Rule {
    fn matches(&self, subject: &Subject, node: Node) -> bool {
        self.query
            .as_ref()
            .is_some_and(|query| query.matches(subject, node))
    }
}

/// The rules of a file, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    all: Vec<Rule>,
}

/// A rule that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, and where in the line.
    pub why: query::Wrong,
}

/// What one of the rules for leaks has found in a snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Objects of which it is true.
    pub(crate) count: u64,
    /// What they keep together.
    pub(crate) retained: u64,
    /// They themselves, ascending.
    pub(crate) nodes: Vec<Node>,
}

/// What the rules say of a snapshot.
pub(crate) struct Findings {
    /// For each rule for leaks, in their order.
    pub(crate) leaks: Vec<Found>,
    /// By node: no leak, by `ignore` or `retain`.
    pub(crate) excused: Vec<bool>,
}

impl Rules {
    /// Parses the text of a file.
    pub fn parse(text: &str) -> Result<Rules, Wrong> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let line_number = number + 1;
            all.push(rule(line, line_number).map_err(|why| Wrong {
                line: line_number,
                why,
            })?);
        }
        Ok(Rules { all })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names and lines of the rules for leaks.
    pub(crate) fn leaks(&self) -> impl Iterator<Item = (&str, usize)> {
        self.all.iter().filter_map(|rule| match &rule.verdict {
            Verdict::Leak(name) => Some((name.as_str(), rule.line)),
            _ => None,
        })
    }

    /// Asks all rules about all nodes. The distances must have been computed.
    pub(crate) fn ask(&self, analysis: &Analysis, scripts: &Scripts) -> Findings {
        let subject = Subject {
            analysis,
            classes: &Classes::new(analysis, None),
            scripts,
        };
        let nodes = analysis.snapshot.graph.nodes();
        let mut excused = vec![false; nodes];
        let mut kept = vec![false; nodes];
        for rule in &self.all {
            let mark = match rule.verdict {
                Verdict::Leak(_) | Verdict::Hide(_) => continue,
                Verdict::Ignore => &mut excused,
                Verdict::Retain => &mut kept,
            };
            for node in 0..nodes as Node {
                mark[node as usize] |= rule.matches(&subject, node);
            }
        }
        let tree = &analysis.dominators;
        for &node in tree.downwards() {
            kept[node as usize] |= kept[tree.parent[node as usize] as usize];
        }
        for (excused, kept) in excused.iter_mut().zip(kept) {
            *excused |= kept;
        }
        let leaks = self
            .all
            .iter()
            .filter(|rule| matches!(rule.verdict, Verdict::Leak(_)))
            .map(|rule| {
                let matched: Vec<Node> = (0..nodes as Node)
                    .filter(|&node| !excused[node as usize] && rule.matches(&subject, node))
                    .collect();
                found(analysis, matched)
            })
            .collect();
        Findings { leaks, excused }
    }

    /// Whether what is said so is no leak.
    pub(crate) fn hide(&self, said: &str) -> bool {
        self.all
            .iter()
            .any(|rule| matches!(&rule.verdict, Verdict::Hide(text) if said.contains(&**text)))
    }

    /// The lines of rules that excuse nothing of what was found: nodes of the last snapshot, and what is said of them.
    pub(crate) fn idle(
        &self,
        analysis: &Analysis,
        scripts: &Scripts,
        found: &[(Option<Node>, String)],
    ) -> Vec<usize> {
        let subject = Subject {
            analysis,
            classes: &Classes::new(analysis, None),
            scripts,
        };
        let parents = &analysis.dominators.parent;
        let excuses = |rule: &Rule, node: Option<Node>, said: &str| match &rule.verdict {
            Verdict::Leak(_) => true,
            Verdict::Hide(text) => said.contains(&**text),
            Verdict::Ignore => node.is_some_and(|node| rule.matches(&subject, node)),
            Verdict::Retain => std::iter::successors(node, |&node| {
                Some(parents[node as usize]).filter(|&parent| parent != node)
            })
            .any(|node| rule.matches(&subject, node)),
        };
        self.all
            .iter()
            .filter(|rule| !matches!(rule.verdict, Verdict::Leak(_)))
            .filter(|rule| !found.iter().any(|(node, said)| excuses(rule, *node, said)))
            .map(|rule| rule.line)
            .collect()
    }
}

/// What some nodes keep together.
fn found(analysis: &Analysis, nodes: Vec<Node>) -> Found {
    let tree = &analysis.dominators;
    let mut within = vec![false; tree.parent.len()];
    for &node in &nodes {
        within[node as usize] = true;
    }
    let mut retained = 0;
    let root = analysis.snapshot.root;
    if within[root as usize] {
        retained = analysis.retained[root as usize];
    }
    for &node in tree.downwards() {
        let inner = within[tree.parent[node as usize] as usize];
        if within[node as usize] && !inner {
            retained += analysis.retained[node as usize];
        }
        within[node as usize] |= inner;
    }
    Found {
        count: nodes.len() as u64,
        retained,
        nodes,
    }
}

const QUOTES: [char; 2] = ['"', '\''];

/// The text between the quotation mark at a place and the next.
fn quoted(line: &str, at: usize) -> Result<&str, query::Wrong> {
    let mark = line[at..].chars().next().unwrap_or('"');
    let inside = &line[at + 1..];
    match inside.find(mark) {
        Some(length) => Ok(&inside[..length]),
        None => Err(query::Wrong::at(
            line,
            at,
            "a closing quotation mark after this",
        )),
    }
}

/// Parses one line.
fn rule(line: &str, number: usize) -> Result<Rule, query::Wrong> {
    let wrong = |at: usize, expected: &str| Err(query::Wrong::at(line, at, expected));
    let skip = |at: usize| line.len() - line[at..].trim_start().len();
    let word_end = |at: usize| {
        line[at..]
            .find(|c: char| !c.is_ascii_alphanumeric())
            .map_or(line.len(), |end| at + end)
    };
    let start = skip(0);
    let end = word_end(start);
    let mut at = skip(end);
    let verdict = match &line[start..end] {
        "ignore" if line[at..].starts_with(QUOTES) => {
            let text = quoted(line, at)?;
            at = skip(at + text.len() + 2);
            if text.is_empty() || at < line.len() {
                return wrong(at, "some text in quotation marks, and nothing behind it");
            }
            return Ok(Rule {
                line: number,
                verdict: Verdict::Hide(text.to_owned()),
                query: None,
            });
        }
        "ignore" => Verdict::Ignore,
        "retain" => Verdict::Retain,
        "leak" if !line[at..].starts_with(QUOTES) => {
            return wrong(at, "the leak's name in quotation marks");
        }
        "leak" => {
            let name = quoted(line, at)?;
            at = skip(at + name.len() + 2);
            Verdict::Leak(name.to_owned())
        }
        _ => return wrong(start, "leak, ignore, retain or #"),
    };
    let end = word_end(at);
    if &line[at..end] != "when" {
        return wrong(at, "when");
    }
    Ok(Rule {
        line: number,
        verdict,
        query: Some(Query::parse_from(line, end)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_parsed_and_what_is_wrong_is_said_with_its_line() {
        let text = "# none\n\n leak 'a b' when class == A\nignore when self > 1K\nretain when detached # \n";
        let wrong = Rules::parse(text).expect_err("a comment behind a rule");
        assert_eq!(wrong.line, 5);
        let rules = Rules::parse(text.trim_end_matches("# \n")).expect("rules");
        assert_eq!(rules.leaks().collect::<Vec<_>>(), [("a b", 3)]);
        assert_eq!(rules.all.len(), 3);
        assert!(Rules::parse("").expect("nothing").is_empty());
        for (text, words) in [
            ("leek", "character 1: leak, ignore"),
            ("leak when id == 1", "character 6: the leak's name"),
            ("leak \"é when", "character 6: a closing"),
            ("leak \"é\" if", "character 10: when"),
            ("ignore whenid == 1", "character 8: when"),
            ("ignore when", "character 12: class"),
            ("leak \"é\" when id = x", "character 20: a number"),
            ("ignore 'a", "character 8: a closing"),
            ("ignore ''", "character 10: some text"),
            ("ignore 'a' when id == 1", "character 12: some text"),
        ] {
            let wrong = Rules::parse(text).expect_err(text);
            let why = wrong.why.to_string();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
