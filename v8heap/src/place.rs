//! Where a function stands, and how that is said.

use std::fmt;

/// A function of the program, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name, or `new Class` for a constructor; empty if it has none.
    pub function: String,
    /// `file:line:column`, from 1; empty if that is not known.
    pub at: String,
}

/// Where V8 has the code of a whole file, that of the function that Node makes of a module included.
const WHOLE_FILE: &str = ":1:1";

impl Place {
    /// What it is called in a list: `name() file:line:column`, `anonymous function file:line:column`.
    pub fn text(&self) -> String {
        let Place { function, at } = self;
        match (function.is_empty(), at.is_empty()) {
            (true, true) => "function".to_owned(),
            (true, false) if self.is_whole_file() => format!("top-level code {at}"),
            (true, false) => format!("anonymous function {at}"),
            (false, true) => format!("{function}()"),
            (false, false) => format!("{function}() {at}"),
        }
    }

    /// The file, if it is known.
    pub fn file(&self) -> Option<&str> {
        self.at.rsplitn(3, ':').nth(2)
    }

    fn is_whole_file(&self) -> bool {
        self.function.is_empty() && self.at.ends_with(WHOLE_FILE)
    }
}

impl fmt::Display for Place {
    /// As it is said in a sentence: `name() file:line:column`, `an anonymous function at file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let at = &self.at;
        match self.function.is_empty() {
            true if self.is_whole_file() => write!(f, "the top-level code at {at}"),
            true if !at.is_empty() => write!(f, "an anonymous function at {at}"),
            true => f.write_str("a function"),
            false => f.write_str(&self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_function_without_a_name_is_said_to_have_none() {
        let said = |function: &str, at: &str| {
            let place = Place {
                function: function.to_owned(),
                at: at.to_owned(),
            };
            (place.to_string(), place.text())
        };
        let both = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        let named = "add() /a b.js:3:7";
        assert_eq!(said("add", "/a b.js:3:7"), both(named, named));
        let (said_so, listed) = said("", "/a b.js:3:7");
        assert_eq!(said_so, "an anonymous function at /a b.js:3:7");
        assert_eq!(listed, "anonymous function /a b.js:3:7");
        assert_eq!(said("", "/a.js:1:1").0, "the top-level code at /a.js:1:1");
    }
}
