//! Mangled C++ names that end in a wild card, as suppressions have them: frames have readable names.
//!
//! `_ZN3Foo3bar*` begins with whole parts, so it can be said in readable names: `Foo::bar` with any parameters,
//! its instances, and what lies in it. One that is cut within a part, or goes on into parameters, cannot.
//! (Itanium C++ ABI, 5.1.)

/// Patterns of readable names that together fit what a mangled one with a `*` at its end fits; `None` if it is
/// no such name.
pub(super) fn readable(pattern: &str) -> Option<Vec<String>> {
    let start = pattern.strip_prefix("_Z")?.strip_suffix('*')?;
    let (nested, mut rest) = match start.strip_prefix('N') {
        Some(rest) => (true, rest.trim_start_matches(['r', 'V', 'K'])),
        None => (false, start),
    };
    let mut parts = Vec::new();
    while rest.starts_with(|first: char| first.is_ascii_digit()) {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let len: usize = rest[..digits].parse().ok()?;
        parts.push(rest.get(digits..digits.checked_add(len)?)?);
        rest = rest.get(digits + len..)?;
    }
    let last = *parts.last()?;
    let name = parts.join("::");
    Some(match rest.as_bytes().first() {
        None if nested => vec![name.clone(), format!("{name}<*"), format!("{name}::*")],
        None => vec![name.clone(), format!("{name}<*")],
        Some(b'E') if nested && rest.len() == 1 => vec![name],
        Some(b'C') if nested => vec![format!("{name}::{last}")],
        Some(b'D') if nested => vec![format!("{name}::~{last}")],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_parts_become_readable_and_others_do_not() {
        let of = |pattern| readable(pattern).unwrap_or_default();
        assert_eq!(
            of("_ZN3Foo3bar*"),
            ["Foo::bar", "Foo::bar<*", "Foo::bar::*"]
        );
        assert_eq!(of("_ZNK3Foo3barE*"), ["Foo::bar"]);
        assert_eq!(of("_Z4make*"), ["make", "make<*"]);
        assert_eq!(of("_ZN3FooC*"), ["Foo::Foo"]);
        assert_eq!(of("_ZN3FooD1Ev*"), ["Foo::~Foo"]);
        for pattern in [
            "_ZN3Fo*",
            "_ZN3Foo",
            "_Znw*",
            "_Z4makei*",
            "_Z99999999999999999999a*",
            "main*",
        ] {
            assert_eq!(readable(pattern), None, "{pattern}");
        }
    }
}
