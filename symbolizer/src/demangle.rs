//! Names as programmers wrote them: Rust (both manglings, without hashes) and C++.
//!
//! Mangled names come from files, so they may be hostile: output and recursion are bounded,
//! and a name that cannot be demangled is shown as it is.

use std::fmt;

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

/// Longest output; a few template libraries really come to tens of kilobytes.
const MAX_LEN: usize = 64 * 1024;
/// Deepest nesting of a C++ name.
const MAX_DEPTH: u32 = 160;

/// The readable form of a symbol's name, or `None` if it is not mangled or not understood.
pub fn demangle(name: &str) -> Option<String> {
    if !is_mangled(name) || name.len() > MAX_LEN {
        return None;
    }
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        let mut out = Bounded::default();
        if fmt::write(&mut out, format_args!("{rust:#}")).is_ok() && !out.text.is_empty() {
            return Some(out.text);
        }
    }
    cpp(name)
        .or_else(|| {
            // Suffixes that compilers add to copies of a function are not all in the C++ grammar.
            let (stem, suffix) = name.split_once('.')?;
            Some(format!("{} [clone .{suffix}]", cpp(stem)?))
        })
        .or_else(|| bare(name))
}

/// The name alone of a C++ function whose types are beyond the demangler, as those of some
/// templates with conditions are: `std::make_shared<..>(..)`.
fn bare(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("_Z")?;
    let nested = rest.strip_prefix('N');
    rest = nested.unwrap_or(rest);
    let mut parts = Vec::new();
    if let Some(inside) = rest.strip_prefix("St") {
        parts.push("std");
        rest = inside;
    }
    while rest.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let len: usize = rest[..digits].parse().ok()?;
        let end = digits.checked_add(len)?;
        parts.push(rest.get(digits..end)?);
        rest = rest.get(end..)?;
        if nested.is_none() {
            break;
        }
    }
    // Only where the name is whole: then come template arguments.
    let ends = rest.starts_with('I') && parts.last().is_some_and(|last| *last != "std");
    ends.then(|| format!("{}<..>(..)", parts.join("::")))
}

/// Whether a name looks mangled by a C++ or Rust compiler.
pub(crate) fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("_R") || name.starts_with("__Z")
}

fn cpp(name: &str) -> Option<String> {
    let parse = ParseOptions::default().recursion_limit(MAX_DEPTH);
    let write = DemangleOptions::default().recursion_limit(MAX_DEPTH);
    let symbol = Symbol::new_with_options(name, &parse).ok()?;
    let mut out = Bounded::default();
    symbol.structured_demangle(&mut out, &write).ok()?;
    Some(out.text)
}

/// A string that refuses to grow past [`MAX_LEN`].
#[derive(Default)]
struct Bounded {
    text: String,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > MAX_LEN {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_names_lose_their_hash_in_both_manglings() {
        let legacy = "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE";
        assert_eq!(demangle(legacy).unwrap(), "core::fmt::Formatter::pad");
        let v0 = "_RNvCs1234_7mycrate3foo";
        assert_eq!(demangle(v0).unwrap(), "mycrate::foo");
    }

    #[test]
    fn cpp_names_keep_their_parameters() {
        assert_eq!(demangle("_ZN3foo3barEi").unwrap(), "foo::bar(int)");
    }

    #[test]
    fn a_compilers_copy_of_a_function_says_so() {
        assert_eq!(
            demangle("_ZN3foo3barEi.cold").unwrap(),
            "foo::bar(int) [clone .cold]"
        );
    }

    #[test]
    fn of_a_name_with_types_that_are_not_understood_the_name_is_left() {
        let name = "_ZSt11make_sharedI1NJEESt10shared_ptrINSt9enable_ifIXntsrSt8is_arrayIT_E5valueES4_E4typeEEDpOT0_";
        assert_eq!(demangle(name).unwrap(), "std::make_shared<..>(..)");
    }

    #[test]
    fn plain_and_broken_names_are_left_alone() {
        for name in ["main", "", "_Z", "_ZN", "_R", "_ZN99999999999999999999fooE"] {
            assert_eq!(demangle(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_explodes_is_left_alone() {
        // Each substitution doubles the one before.
        let mut name = String::from("_Z1fSt4pairIiiE");
        for i in 0..60 {
            let digit = char::from_digit(i % 36, 36).unwrap().to_ascii_uppercase();
            name.push_str(&format!("S{digit}_St4pairIS{digit}_S{digit}_E"));
        }
        if let Some(text) = demangle(&name) {
            assert!(text.len() <= MAX_LEN);
        }
    }
}
