//! Long names and paths, made short enough to be read. JSON has them whole.

use std::borrow::Cow;
use std::path::Path;

/// Longer names are shortened.
const LONG: usize = 110;

/// A function's name, without what glibc puts before its own aliases. If it is long, first template arguments go, then parameters.
pub fn function(name: &str) -> Cow<'_, str> {
    let name = name.strip_prefix("__GI_").unwrap_or(name);
    if name.len() <= LONG {
        return Cow::Borrowed(name);
    }
    let name = without_arguments(name);
    if name.len() <= LONG {
        return Cow::Owned(name);
    }
    let name = without_parameters(&name);
    match name.char_indices().nth(2 * LONG) {
        Some((at, _)) => Cow::Owned(format!("{}...", &name[..at])),
        None => Cow::Owned(name),
    }
}

/// `a<b<c>, d>::e` becomes `a<..>::e`. What follows a blank or begins the name is no argument
/// list (`<T as Trait>::f`), nor are `operator<` and `->`.
fn without_arguments(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut before = ' ';
    for c in name.chars() {
        let opens = c == '<'
            && (before.is_alphanumeric() || "_:}".contains(before))
            && !short.ends_with("operator");
        match c {
            '<' if depth > 0 => depth += 1,
            '<' if opens => {
                short.push_str("<..>");
                depth = 1;
            }
            '>' if depth > 0 && before != '-' => depth -= 1,
            _ if depth > 0 => {}
            _ => short.push(c),
        }
        before = c;
    }
    short
}

/// `f(a, g(b))` becomes `f(..)`; `(anonymous namespace)` and `{lambda(int)#1}` are no lists.
fn without_parameters(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut depth = 0usize;
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if depth == 0 && rest.starts_with("(anonymous") {
            let end = rest.find(')').map_or(rest.len(), |at| at + 1);
            short.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match c {
            '(' => {
                if depth == 0 {
                    short.push_str("(..)");
                }
                depth += 1;
            }
            ')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => short.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    short
}

/// A source file's path: relative to where the reader stands, if it is below; Rust's own
/// sources without the hash of the compiler, and its packages' without cargo's directories.
pub fn file<'a>(path: &'a str, here: &Path) -> Cow<'a, str> {
    if let Ok(below) = Path::new(path).strip_prefix(here)
        && let Some(below) = below.to_str()
        && !below.is_empty()
    {
        return Cow::Borrowed(below);
    }
    if let Some((_, package)) = path.split_once("/.cargo/registry/src/")
        && let Some((_, inside)) = package.split_once('/')
    {
        return Cow::Borrowed(inside);
    }
    match path
        .strip_prefix("/rustc/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((_, inside)) => Cow::Owned(format!("rust:{inside}")),
        None => Cow::Borrowed(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_cargo_is_shown_by_its_name_and_version() {
        let path =
            "/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/rayon-1.12.0/src/lib.rs";
        assert_eq!(file(path, Path::new("/x")), "rayon-1.12.0/src/lib.rs");
    }

    #[test]
    fn short_names_stay_whole() {
        for name in [
            "main",
            "std::vector<int, std::allocator<int> >::push_back(int&&)",
        ] {
            assert_eq!(function(name), name);
        }
    }

    #[test]
    fn long_names_lose_their_template_arguments() {
        let arguments = "std::pair<int const, long>, ".repeat(8);
        let name = format!("std::map<{arguments}int>::operator[](int const&)");
        assert_eq!(function(&name), "std::map<..>::operator[](int const&)");
        let name = format!("<a::B<{arguments}i32> as c::D>::e");
        assert_eq!(function(&name), "<a::B<..> as c::D>::e");
        let name = format!("bool operator< <{arguments}int>(A<{arguments}int> const&)");
        assert!(
            function(&name).starts_with("bool operator<"),
            "{}",
            function(&name)
        );
    }

    #[test]
    fn names_that_are_still_long_lose_their_parameters() {
        let parameters = "char const*, ".repeat(20);
        let name = format!("(anonymous namespace)::f({parameters}int)");
        assert_eq!(function(&name), "(anonymous namespace)::f(..)");
    }

    #[test]
    fn paths_are_told_from_here() {
        let here = Path::new("/home/me/app");
        assert_eq!(file("/home/me/app/src/a.c", here), "src/a.c");
        assert_eq!(file("/usr/include/a.h", here), "/usr/include/a.h");
        assert_eq!(file("a.c", here), "a.c");
        assert_eq!(
            file("/rustc/0123456789abcdef/library/alloc/src/vec/mod.rs", here),
            "rust:library/alloc/src/vec/mod.rs"
        );
    }
}
