//! What sampled allocations say of leaks: stacks that hold more and more, beside the findings that they
//! are of.
//!
//! A sample knows bytes and a stack, but no object. So a stack is a finding's if the function that the finding names, or
//! one of the same name in the same file, is on it. What one function makes another one may add: else it is a finding's
//! if it is of the same file and has grown by about as much.

use std::cmp::Reverse;

use super::Leak;
use crate::place::Place;
use crate::stacks::{Frame, Nearness};

/// Why a stack is thought to be of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The function that the finding names is on it.
    Function,
    /// A function of that file is on it, and it has grown by about as much.
    File,
}

/// Growth that differs by more is of something else.
const ALIKE: f64 = 2.0;

/// A stack with the bytes that its samples stood for.
#[derive(Debug, Clone)]
pub struct Site {
    /// Innermost frame first.
    pub stack: Vec<Frame>,
    /// Live at the first snapshot, estimated.
    pub before: u64,
    /// And at the last one.
    pub after: u64,
}

impl Site {
    /// Bytes that it holds more.
    pub fn growth(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    /// The greatest growth first.
    fn order(&self) -> (Reverse<u64>, Vec<String>) {
        let names = self.stack.iter().map(Frame::text);
        (Reverse(self.growth()), names.collect())
    }
}

/// Whose stacks they are.
#[derive(Debug)]
pub struct Sampled {
    /// What all stacks that grow have grown by.
    pub growth: u64,
    /// Stacks of each leak, the greatest growth first.
    pub of_leaks: Vec<Vec<(Link, Site)>>,
    /// Those of no leak.
    pub others: Vec<Site>,
}

/// Gives the stacks that grow by `least` bytes or more to the leaks that they are of.
pub fn assign(leaks: &[Leak], sites: Vec<Site>, least: u64) -> Sampled {
    let mut sampled = Sampled {
        growth: sites.iter().map(Site::growth).sum(),
        of_leaks: vec![Vec::new(); leaks.len()],
        others: Vec::new(),
    };
    let is_large = |site: &Site| site.growth() >= least.max(1);
    let mut left = Vec::new();
    for site in sites.into_iter().filter(is_large) {
        // The innermost function that a leak names; a package's caller is on many stacks.
        let leak = (0..)
            .zip(leaks)
            .filter_map(|(number, leak)| {
                let place = place_on(&site.stack, leak.place.as_ref());
                let place = place.or_else(|| place_on(&site.stack, leak.program.as_ref()))?;
                Some((place, number))
            })
            .min();
        match leak {
            Some((_, number)) => sampled.of_leaks[number as usize].push((Link::Function, site)),
            None => left.push(site),
        }
    }
    for site in left {
        let unlike = |leak: &Leak| {
            (site.growth() as f64 / leak.growth().max(1) as f64)
                .ln()
                .abs()
        };
        let leak = leaks
            .iter()
            .zip(&mut sampled.of_leaks)
            .filter(|(leak, _)| is_of_file(&site.stack, leak) && unlike(leak) <= ALIKE.ln())
            .min_by(|(one, _), (other, _)| unlike(one).total_cmp(&unlike(other)));
        match leak {
            Some((_, sites)) => sites.push((Link::File, site)),
            None => sampled.others.push(site),
        }
    }
    for sites in &mut sampled.of_leaks {
        sites.sort_by_key(|(_, site)| site.order());
    }
    sampled.others.sort_by_key(Site::order);
    sampled
}

/// Whether a function of the file in which the leak's function stands is on a stack.
fn is_of_file(stack: &[Frame], leak: &Leak) -> bool {
    let places = [&leak.place, &leak.program].into_iter().flatten();
    let mut files = places.filter_map(Place::file);
    files.any(|file| stack.iter().any(|frame| frame.file == file))
}

/// Where on a stack the function of a leak is, innermost first.
fn place_on(stack: &[Frame], wanted: Option<&Place>) -> Option<usize> {
    let wanted = wanted?;
    let is_it = |frame: &Frame| {
        if frame.nearness() == Nearness::Engine {
            return false;
        }
        let same_name = !frame.function.is_empty()
            && wanted.function == frame.function
            && wanted.file() == Some(&frame.file);
        same_name || frame.place.is_some() && frame.file_and_line() == wanted.at
    };
    stack.iter().position(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaks::Pattern;

    fn leak(place: Option<(&str, &str)>) -> Leak {
        Leak {
            pattern: Pattern::Map,
            what: String::new(),
            counts: Vec::new(),
            retained: Vec::new(),
            id: 1,
            place: place.map(|(function, at)| Place {
                function: function.to_owned(),
                at: at.to_owned(),
            }),
            program: None,
            allocated: None,
            doubt: None,
            entries: None,
            also: Vec::new(),
            shared: None,
            perhaps: Vec::new(),
            way: Vec::new(),
            is: String::new(),
            cure: String::new(),
        }
    }

    fn site(stack: &[(&str, &str, u32)], before: u64, after: u64) -> Site {
        let frame = |&(function, file, line): &(&str, &str, u32)| Frame {
            function: function.to_owned(),
            file: file.to_owned(),
            script: 1,
            place: Some((line, 1)),
        };
        Site {
            stack: stack.iter().map(frame).collect(),
            before,
            after,
        }
    }

    #[test]
    fn a_stack_is_of_the_leak_whose_function_is_innermost_on_it() {
        let leaks = [
            leak(Some(("serve", "/a.js:1:1"))),
            leak(Some(("add", "/a.js:9:3"))),
            leak(None),
        ];
        let serve = ("serve", "/a.js", 1);
        let sites = vec![
            site(&[("add", "/a.js", 10), serve], 100, 700),
            site(&[("", "node:fs", 3), serve], 0, 200),
            site(&[("add", "/b.js", 9)], 0, 100),
            site(&[("add", "/a.js", 9), serve], 500, 400),
            site(&[("add", "/a.js", 9)], 0, 5),
        ];
        let sampled = assign(&leaks, sites, 10);
        assert_eq!(growths(&sampled), [vec![200], vec![600], vec![]]);
        let others: Vec<u64> = sampled.others.iter().map(Site::growth).collect();
        assert_eq!(others, [100]);
        assert_eq!(sampled.growth, 905);
    }

    fn growths(sampled: &Sampled) -> Vec<Vec<u64>> {
        let all = sampled.of_leaks.iter();
        all.map(|sites| sites.iter().map(|(_, site)| site.growth()).collect())
            .collect()
    }

    #[test]
    fn what_the_caller_makes_is_of_the_leak_in_its_file_that_grows_as_much() {
        let mut leaks = [
            leak(Some(("add", "/a.js:9:3"))),
            leak(Some(("put", "/a.js:20:3"))),
        ];
        leaks[0].retained = vec![0, 1000];
        leaks[1].retained = vec![0, 90_000];
        let sites = vec![
            site(&[("open", "/a.js", 5)], 100, 1000),
            site(&[("load", "/a.js", 7)], 0, 80_000),
            site(&[("read", "/a.js", 8)], 0, 9000),
            site(&[("open", "/b.js", 5)], 0, 1000),
        ];
        let sampled = assign(&leaks, sites, 10);
        assert_eq!(growths(&sampled), [vec![900], vec![80_000]]);
        let (link, _) = &sampled.of_leaks[0][0];
        assert_eq!(*link, Link::File);
        assert_eq!(sampled.others.len(), 2);
    }
}
